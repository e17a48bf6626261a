#include "server/deeds.h"

#include "auth/password.h"
#include "base/alloc.h"
#include "broker/access.h"
#include "broker/core.h"
#include "server/connection.h"
#include "server/shard.h"
#include "session/amqp091/inspect.h"

/* Changes of an import that one turn of shard 0 takes up. */
#define CHANGES_PER_TURN 1000u

/* A deed under way. */
struct task {
    struct lv_job job;
    struct lv_call call;
    struct lv_deeds *deeds; /* view */
    struct lv_deed *deed;   /* own */
    uint32_t shard;         /*       where the call is */
    size_t next;            /*       IMPORT: step */
    size_t open;            /*       IMPORT: changes under way, and giving more of them */
    size_t made;
    struct lv_change change; /*       as it is given to shard 0 */
    char hash[LV_PASSWORD_HASH_SIZE];
};

/* ---- from thread to thread ---- */

static void post(struct lv_deeds *deeds, struct lv_deed *deed)
{
    assert(deed->error <= 0);
    if (lv_mailbox_post(&deeds->done, &deed->letter))
        lv_reactor_wake(deeds->shared->main);
}

/* Any thread. */
static void finish(struct task *task)
{
    struct lv_deeds *deeds = task->deeds;
    struct lv_deed *deed = task->deed;

    assert(task->open == 0);
    explicit_bzero(task->hash, sizeof task->hash);
    lv_free(task);
    post(deeds, deed);
}

static void fail(struct task *task, int error, const char *why)
{
    assert(error < 0);
    task->deed->error = lv_fail(&task->deed->diag, error, "%s", why);
    finish(task);
}

/* Any thread. */
static void go_to_shard(struct task *task, uint32_t shard, lv_call_fn *run)
{
    assert(shard < task->deeds->shared->shard_count);
    task->shard = shard;
    task->call.run = run;
    lv_shard_call(task->deeds->shared->shards[shard], &task->call);
}

static void wake_main(void *ctx)
{
    struct lv_deeds *deeds = ctx;

    assert(deeds->shared->main != NULL);
    lv_reactor_wake(deeds->shared->main);
}

/* The main thread's. */
static void go_to_helper(struct task *task, lv_job_fn *run, lv_job_fn *done)
{
    struct lv_deeds *deeds = task->deeds;

    if (!deeds->has_helper)
        deeds->has_helper = lv_helper_start(&deeds->helper, "desk", wake_main, deeds) == 0;
    if (!deeds->has_helper) {
        fail(task, -LV_E_NOMEM, "can't start a thread");
        return;
    }
    task->job.run = run;
    task->job.done = done;
    assert(done != NULL);
    lv_helper_run(&deeds->helper, &task->job);
}

static struct task *task_of(struct lv_job *job)
{
    assert(job != NULL);
    return lv_container(job, struct task, job);
}

static void on_finished(struct lv_job *job)
{
    finish(task_of(job));
}

/* ---- changes of users, vhosts, permissions, limits ---- */

static void on_changed(void *ctx, int error, const char *why)
{
    struct task *task = ctx;
    const struct lv_change *change = &task->change;
    bool is_there = error == -LV_E_PRECONDITION && change->kind == LV_CHANGE_VHOST_PUT;

    assert(change->client == 0);
    if (error == 0 || (is_there && change->is_new)) /* a vhost that is there is left as it is */
        finish(task);
    else
        fail(task, error, why);
}

/* What the user has stays, but for the limits that are named: RabbitMQ's users set them one by
 * one. */
static void complete_limits(const struct lv_broker *broker, const struct lv_request *request)
{
    const struct lv_user *user = lv_access_user(&broker->access, request->change.name);
    struct lv_table *table = request->arguments;
    const struct {
        const char *name;
        int64_t limit;
    } limits[] = {
        {"max-connections", user == NULL ? -1 : user->tally.max_connections},
        {"max-channels", user == NULL ? -1 : user->tally.max_channels},
    };
    bool clears_all = lv_bytes_equal(request->limit, lv_text("all"));

    for (size_t i = 0; i < LV_COUNT(limits); i++) {
        struct lv_bytes name = lv_text(limits[i].name);

        if (limits[i].limit < 0 || clears_all || lv_bytes_equal(name, request->limit) ||
            lv_table_get(table, limits[i].name) != NULL)
            continue;
        assert(table->count < LV_REQUEST_ARGUMENTS_MAX);
        table->fields[table->count++] = (struct lv_field){
            .name = name, .value = {.type = LV_TYPE_I64, .integer = limits[i].limit}};
    }
}

static void run_change(struct lv_call *call, struct lv_shard *shard)
{
    struct task *task = lv_container(call, struct task, call);
    const struct lv_request *request = task->deed->request;

    assert(shard->number == 0);
    task->change = request->change;
    if (request->has_password)
        task->change.other = lv_text(task->hash);
    if (task->change.kind == LV_CHANGE_LIMITS_PUT && task->change.name.size > 0)
        complete_limits(shard->broker, request);
    task->change.arguments = request->arguments;
    lv_broker_change(shard->broker, &task->change, on_changed, task);
}

static void run_hash(struct lv_job *job)
{
    struct task *task = task_of(job);
    struct lv_deed *deed = task->deed;

    assert(deed->request->has_password);
    deed->error = lv_password_hash(deed->request->password, task->hash, &deed->diag);
}

static void on_hashed(struct lv_job *job)
{
    struct task *task = task_of(job);

    assert(task->open == 0);
    if (task->deed->error < 0)
        finish(task);
    else
        go_to_shard(task, 0, run_change);
}

/* An empty password means that there is none: nobody logs in with it. */
static void begin_change(struct task *task)
{
    const struct lv_request *request = task->deed->request;

    assert(request->kind == LV_REQUEST_CHANGE);
    if (request->has_password && request->password.size > 0)
        go_to_helper(task, run_hash, on_hashed);
    else
        go_to_shard(task, 0, run_change);
}

/* ---- authentication ---- */

static void run_verify(struct lv_job *job)
{
    struct task *task = task_of(job);
    const struct lv_request *request = task->deed->request;
    int rc = lv_password_verify(task->hash, request->password);

    assert(request->kind == LV_REQUEST_AUTHENTICATE);
    if (rc != 1)
        task->deed->error =
            lv_fail(&task->deed->diag, rc < 0 ? rc : -LV_E_ACCESS_REFUSED,
                    "user '%.*s' - invalid credentials", LV_FMT(request->change.name));
}

/* A user who is not there is judged by the empty hash, which no password fits. */
static void run_find(struct lv_call *call, struct lv_shard *shard)
{
    struct task *task = lv_container(call, struct task, call);
    struct lv_user_view user;

    assert(shard->number == 0);
    if (lv_broker_user(shard->broker, task->deed->request->change.name, &user)) {
        assert(user.hash.size < sizeof task->hash);
        lv_put_bytes((uint8_t *)task->hash, user.hash);
    }
    task->job.run = run_verify;
    task->job.done = on_finished;
    lv_helper_run(&task->deeds->helper, &task->job);
}

static void run_nothing(struct lv_job *job)
{
    assert(job->done != NULL);
    (void)job;
}

static void on_helper_there(struct lv_job *job)
{
    go_to_shard(task_of(job), 0, run_find);
}

/* ---- connections ---- */

static bool is_meant(const struct lv_request *request, const struct lv_session_view *session)
{
    assert(request->kind == LV_REQUEST_CLOSE);
    switch (request->close) {
    case LV_CLOSE_ONE:
        return session->client != 0 && session->client == request->client;
    case LV_CLOSE_VHOST:
        return lv_bytes_equal(session->vhost, request->change.vhost);
    case LV_CLOSE_USER:
        return lv_bytes_equal(session->user, request->change.name);
    case LV_CLOSE_ALL:
        return true;
    }
    LV_IMPOSSIBLE("every kind has its case");
}

/* What the peer is told, which is a short string. */
static void close_connections(struct lv_shard *shard, struct lv_deed *deed)
{
    const struct lv_request *request = deed->request;
    char reason[200];

    snprintf(
        reason, sizeof reason, "%.*s",
        (int)(request->reason.size < sizeof reason - 1 ? request->reason.size : sizeof reason - 1),
        (const char *)request->reason.data);
    assert(request->count == 0 || deed->count <= request->count);
    LV_LIST_EACH(&shard->connections, link)
    {
        struct lv_connection *connection = lv_container(link, struct lv_connection, all);
        struct lv_session_view view;

        if (connection->is_finished || connection->is_lost)
            continue;
        if (request->count > 0 && deed->count == request->count)
            return;
        lv_session_inspect(connection->session, &view);
        if (!is_meant(request, &view))
            continue;
        lv_session_stop(connection->session, reason);
        deed->count++;
    }
}

/* One shard after the other. */
static void run_close(struct lv_call *call, struct lv_shard *shard)
{
    struct task *task = lv_container(call, struct task, call);

    assert(shard->number == task->shard);
    close_connections(shard, task->deed);
    if (task->shard + 1 < task->deeds->shared->shard_count)
        go_to_shard(task, task->shard + 1, run_close);
    else
        finish(task);
}

/* ---- queues ---- */

static void on_ordered(void *ctx, int error, const char *why)
{
    struct task *task = ctx;

    assert(task->deed->request->kind == LV_REQUEST_ORDER);
    if (error < 0)
        fail(task, error, why);
    else
        finish(task);
}

static void run_order(struct lv_call *call, struct lv_shard *shard)
{
    struct task *task = lv_container(call, struct task, call);
    const struct lv_request *request = task->deed->request;
    const struct lv_queue_order order = {
        .vhost = request->change.vhost,
        .name = request->change.name,
        .is_purge = request->is_purge,
        .if_unused = request->if_unused,
        .if_empty = request->if_empty,
        .done = on_ordered,
        .ctx = task,
        .ret_message_count = &task->deed->count,
    };

    assert(shard->number == 0);
    lv_broker_order(shard->broker, &order);
}

/* ---- definitions ---- */

static void run_export(struct lv_job *job)
{
    struct task *task = task_of(job);

    assert(task->deed->request->kind == LV_REQUEST_EXPORT);
    lv_deed_export(task->deed);
}

static void run_import(struct lv_job *job)
{
    struct task *task = task_of(job);

    assert(task->deed->request->kind == LV_REQUEST_IMPORT);
    lv_deed_import(task->deed);
}

/* One thing less is under way; the last one ends it. The first refusal is told, with what has been
 * done all the same: the plan was good, so somebody else has changed something since. */
static void release(struct task *task)
{
    struct lv_deed *deed = task->deed;
    struct lv_diag diag = deed->diag;

    assert(task->open > 0);
    if (--task->open > 0)
        return;
    deed->count = task->made;
    if (deed->error < 0)
        lv_fail(
            &deed->diag, deed->error,
            "%.380s (somebody changed it meanwhile; %zu of %zu changes were made, import again)",
            diag.text, task->made, deed->plan.count);
    finish(task);
}

static void on_applied(void *ctx, int error, const char *why)
{
    struct task *task = ctx;
    struct lv_deed *deed = task->deed;

    assert(task->made < deed->plan.count);
    if (error == 0)
        task->made++;
    else if (deed->error == 0)
        deed->error = lv_fail(&deed->diag, error, "%s", why);
    release(task);
}

/* Steps are answered when they are on disk, perhaps before the next turn takes up more. The one
 * thing that is under way from the beginning is this. */
static void run_apply(struct lv_call *call, struct lv_shard *shard)
{
    struct task *task = lv_container(call, struct task, call);
    const struct lv_plan *plan = &task->deed->plan;
    size_t left = plan->count - task->next;
    size_t end = task->next + (left < CHANGES_PER_TURN ? left : CHANGES_PER_TURN);

    assert(shard->number == 0);
    while (task->next < end && task->deed->error == 0) {
        const struct lv_change *change = &plan->steps[task->next++].wanted->change;

        task->open++;
        lv_broker_change(shard->broker, change, on_applied, task);
    }
    if (task->next < plan->count && task->deed->error == 0)
        go_to_shard(task, 0, run_apply);
    else
        release(task);
}

static void on_imported(struct lv_job *job)
{
    struct task *task = task_of(job);
    const struct lv_deed *deed = task->deed;

    assert(deed->request->kind == LV_REQUEST_IMPORT);
    if (deed->error < 0 || deed->request->is_plan || deed->plan.count == 0) {
        finish(task);
    } else {
        task->open = 1;
        go_to_shard(task, 0, run_apply);
    }
}

/* ---- all of them ---- */

void lv_deeds_init(struct lv_deeds *deeds, struct lv_shared *shared)
{
    assert(shared->shard_count > 0);
    *deeds = (struct lv_deeds){.shared = shared};
    lv_mailbox_init(&deeds->done);
}

void lv_deeds_do(struct lv_deeds *deeds, struct lv_deed *deed)
{
    struct task *task = lv_calloc(1, sizeof *task);

    assert(deed->error == 0);
    if (task == NULL) {
        deed->error = lv_fail(&deed->diag, -LV_E_NOMEM, "out of memory");
        post(deeds, deed);
        return;
    }
    task->deeds = deeds;
    task->deed = deed;
    switch (deed->request->kind) {
    case LV_REQUEST_CHANGE:
        begin_change(task);
        break;
    case LV_REQUEST_AUTHENTICATE: /* the shard gives it on to the helper, which has to be there */
        go_to_helper(task, run_nothing, on_helper_there);
        break;
    case LV_REQUEST_CLOSE:
        go_to_shard(task, 0, run_close);
        break;
    case LV_REQUEST_ORDER:
        go_to_shard(task, 0, run_order);
        break;
    case LV_REQUEST_EXPORT:
        go_to_helper(task, run_export, on_finished);
        break;
    case LV_REQUEST_IMPORT:
        go_to_helper(task, run_import, on_imported);
        break;
    default:
        LV_IMPOSSIBLE("the others are no deeds");
    }
}

struct lv_deed *lv_deeds_take(struct lv_deeds *deeds)
{
    struct lv_letter *letter;
    struct lv_deed *deed;

    if (deeds->has_helper)
        lv_helper_take(&deeds->helper);
    if (deeds->letters == NULL)
        deeds->letters = lv_mailbox_take(&deeds->done);
    letter = deeds->letters;
    if (letter == NULL)
        return NULL;
    deeds->letters = letter->next;
    deed = lv_container(letter, struct lv_deed, letter);
    assert(deed->request != NULL);
    return deed;
}

void lv_deeds_stop(struct lv_deeds *deeds)
{
    assert(deeds->letters == NULL);
    if (deeds->has_helper)
        lv_helper_stop(&deeds->helper);
    deeds->has_helper = false;
}
