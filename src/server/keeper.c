#include "server/keeper.h"

#include "base/alloc.h"
#include "base/event.h"
#include "broker/change.h"

#include <errno.h>
#include <time.h>

/* Changes in one transaction, at most. */
#define BATCH_COUNT 1000u
/* How long changes may collect, and how long to wait before what failed is tried again. */
#define COLLECT_MS 50
#define RETRY_MS   500
/* Memory for one change's arguments. */
#define ARENA_SIZE ((size_t)256 << 20)

static const char last_queue_id_name[] = "last_queue_id";

struct lv_keeper_entry {
    struct lv_keeper_entry *next; /* own */
    uint64_t lsn_end;
    uint32_t size;
    uint8_t bytes[];
};

/* ---- changes as rows ---- */

static struct lv_row row_of(const struct lv_change *change)
{
    static const enum lv_row_kind kinds[] = {
        [LV_CHANGE_EXCHANGE_DECLARE] = LV_ROW_EXCHANGE,
        [LV_CHANGE_EXCHANGE_DELETE] = LV_ROW_EXCHANGE,
        [LV_CHANGE_QUEUE_DECLARE] = LV_ROW_QUEUE,
        [LV_CHANGE_QUEUE_DELETE] = LV_ROW_QUEUE,
        [LV_CHANGE_BIND] = LV_ROW_BINDING,
        [LV_CHANGE_UNBIND] = LV_ROW_BINDING,
        [LV_CHANGE_VHOST_PUT] = LV_ROW_VHOST,
        [LV_CHANGE_VHOST_DELETE] = LV_ROW_VHOST,
        [LV_CHANGE_USER_PUT] = LV_ROW_USER,
        [LV_CHANGE_USER_DELETE] = LV_ROW_USER,
        [LV_CHANGE_PERMISSION_PUT] = LV_ROW_PERMISSION,
        [LV_CHANGE_PERMISSION_DELETE] = LV_ROW_PERMISSION,
        [LV_CHANGE_TOPIC_PERMISSION_PUT] = LV_ROW_TOPIC_PERMISSION,
        [LV_CHANGE_TOPIC_PERMISSION_DELETE] = LV_ROW_TOPIC_PERMISSION,
        [LV_CHANGE_LIMITS_PUT] = LV_ROW_LIMITS,
        [LV_CHANGE_LIMITS_DELETE] = LV_ROW_LIMITS,
    };

    assert(change->kind < LV_COUNT(kinds));
    return (struct lv_row){
        .kind = kinds[change->kind],
        .vhost = change->vhost,
        .name = change->name,
        .other = change->other,
        .key = change->key,
        .arguments = change->arguments,
        .queue_id = change->queue_id,
        .home = change->home,
        .auto_delete = change->auto_delete,
        .internal = change->internal,
        .to_exchange = change->to_exchange,
    };
}

static bool is_addition(enum lv_change_kind kind)
{
    switch (kind) {
    case LV_CHANGE_EXCHANGE_DECLARE:
    case LV_CHANGE_QUEUE_DECLARE:
    case LV_CHANGE_BIND:
    case LV_CHANGE_VHOST_PUT:
    case LV_CHANGE_USER_PUT:
    case LV_CHANGE_PERMISSION_PUT:
    case LV_CHANGE_TOPIC_PERMISSION_PUT:
    case LV_CHANGE_LIMITS_PUT:
        return true;
    default:
        return false;
    }
}

static int apply_change(struct lv_keeper *keeper, const struct lv_keeper_entry *entry,
                        struct lv_diag *diag)
{
    struct lv_change change;
    struct lv_row row;
    int rc;

    assert(entry->size > 0);
    lv_arena_reset(&keeper->arena);
    rc = lv_change_decode(lv_bytes(entry->bytes, entry->size), &keeper->arena, &change);
    if (rc < 0)
        return lv_fail(diag, rc, "a change that ends at %llu in the log cannot be read",
                       (unsigned long long)entry->lsn_end);
    row = row_of(&change);
    if (change.kind == LV_CHANGE_QUEUE_DECLARE && change.queue_id > keeper->last_queue_id)
        keeper->last_queue_id = change.queue_id;
    return is_addition(change.kind) ? lv_metadata_add(keeper->metadata, &row, diag)
                                    : lv_metadata_delete(keeper->metadata, &row, diag);
}

/* All of the batch in one transaction, which reaches `lsn`. */
static int apply_batch(struct lv_keeper *keeper, uint64_t lsn, struct lv_diag *diag)
{
    uint64_t last_queue_id = keeper->last_queue_id;
    int rc = lv_metadata_begin(keeper->metadata, diag);

    assert(lsn >= lv_keeper_applied(keeper));
    for (const struct lv_keeper_entry *e = keeper->batch; e != NULL && rc == 0; e = e->next)
        rc = apply_change(keeper, e, diag);
    if (rc == 0 && keeper->last_queue_id != last_queue_id)
        rc = lv_metadata_set(keeper->metadata, last_queue_id_name, keeper->last_queue_id, diag);
    if (rc == 0)
        rc = lv_metadata_commit(keeper->metadata, lsn, diag);
    if (rc < 0) {
        keeper->last_queue_id = last_queue_id;
        lv_metadata_rollback(keeper->metadata);
    }
    return rc;
}

static void free_entries(struct lv_keeper_entry *entry)
{
    while (entry != NULL) {
        struct lv_keeper_entry *next = entry->next;
        assert(entry->size > 0);
        lv_free(entry);
        entry = next;
    }
}

/* ---- the thread ---- */

/* With the mutex, until somebody signals or the time is over; false: it is. */
static bool wait_ms(struct lv_keeper *keeper, unsigned ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    assert(ms > 0);
    while (!keeper->is_ending)
        if (pthread_cond_timedwait(&keeper->cond, &keeper->mutex, &until) == ETIMEDOUT)
            return false;
    return true;
}

/* Is there anything that may be done now? With the mutex. */
static bool has_work(const struct lv_keeper *keeper)
{
    assert((keeper->first == NULL) == (keeper->count == 0));
    return keeper->first != NULL && keeper->first->lsn_end <= keeper->synced;
}

/* Moves what is on disk in the log into the batch; gives the LSN that it reaches. With the mutex.
 */
static uint64_t take_entries(struct lv_keeper *keeper)
{
    struct lv_keeper_entry **end = &keeper->first;
    uint32_t count = 0;

    assert(has_work(keeper));

    while (*end != NULL && (*end)->lsn_end <= keeper->synced && count < BATCH_COUNT) {
        assert((*end)->lsn_end > keeper->taken);
        keeper->taken = (*end)->lsn_end;
        end = &(*end)->next;
        count++;
    }
    keeper->batch = keeper->first;
    keeper->first = *end;
    keeper->count -= count;
    *end = NULL;
    if (keeper->first == NULL)
        keeper->where = &keeper->first;
    return keeper->taken;
}

/* False: the end. */
static bool next_batch(struct lv_keeper *keeper, uint64_t *ret_lsn)
{
    bool has;

    assert(ret_lsn != NULL);
    pthread_mutex_lock(&keeper->mutex);
    while (!has_work(keeper) && !keeper->is_ending)
        pthread_cond_wait(&keeper->cond, &keeper->mutex);
    if (keeper->count < BATCH_COUNT)
        (void)wait_ms(keeper, COLLECT_MS);
    has = has_work(keeper);
    if (has)
        *ret_lsn = take_entries(keeper);
    pthread_mutex_unlock(&keeper->mutex);
    return has;
}

static void set_full(struct lv_keeper *keeper, bool is_full, const struct lv_diag *diag)
{
    if (atomic_exchange(&keeper->is_full, is_full) == is_full)
        return;
    assert(!is_full || diag != NULL);
    if (is_full)
        lv_event(LV_ERROR, "metadata.waits", LV_S("why", diag->text),
                 LV_S("effect", "the log grows until this ends"));
    else
        lv_event(LV_WARN, "metadata.goes_on");
    keeper->wake(keeper->wake_ctx);
}

/* Interrupted by the end only, which is not waited for. */
static int apply_patiently(struct lv_keeper *keeper, uint64_t lsn)
{
    int rc;

    while ((rc = apply_batch(keeper, lsn, &keeper->diag)) == -LV_E_FULL || rc == -LV_E_LOCKED) {
        bool is_ending;

        set_full(keeper, true, &keeper->diag);
        pthread_mutex_lock(&keeper->mutex);
        is_ending = wait_ms(keeper, RETRY_MS);
        pthread_mutex_unlock(&keeper->mutex);
        if (is_ending)
            return rc;
    }
    assert(rc <= 0);
    if (rc == 0)
        set_full(keeper, false, NULL);
    return rc;
}

static void run(void *ctx)
{
    struct lv_keeper *keeper = ctx;
    uint64_t lsn = 0;

    while (next_batch(keeper, &lsn)) {
        int rc = apply_patiently(keeper, lsn);

        free_entries(keeper->batch);
        keeper->batch = NULL;
        if (rc == -LV_E_FULL || rc == -LV_E_LOCKED)
            break;
        if (rc < 0)
            atomic_store_explicit(&keeper->error, rc, memory_order_release);
        else
            atomic_store_explicit(&keeper->applied, lsn, memory_order_release);
        keeper->wake(keeper->wake_ctx);
        if (rc < 0)
            break;
    }
    assert(keeper->batch == NULL);
}

/* ---- the shard's side ---- */

int lv_keeper_start(struct lv_keeper *keeper, struct lv_metadata *metadata, lv_keeper_wake_fn *wake,
                    void *wake_ctx)
{
    pthread_condattr_t attributes;
    struct lv_diag diag;
    uint64_t applied;
    int rc;

    assert(metadata != NULL);
    assert(wake != NULL);
    memset(keeper, 0, sizeof *keeper);
    keeper->metadata = metadata;
    keeper->wake = wake;
    keeper->wake_ctx = wake_ctx;
    keeper->where = &keeper->first;
    rc = lv_metadata_lsn(metadata, &applied, &diag);
    if (rc == 0)
        rc = lv_metadata_get(metadata, last_queue_id_name, &keeper->last_queue_id, &diag);
    if (rc < 0)
        return rc;
    atomic_store(&keeper->applied, applied);
    keeper->synced = applied;
    lv_arena_init(&keeper->arena, ARENA_SIZE);
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return lv_thread_start(&keeper->thread, "metadata", run, keeper);
}

int lv_keeper_add(struct lv_keeper *keeper, uint64_t lsn_end, struct lv_bytes change)
{
    struct lv_keeper_entry *entry = lv_alloc(sizeof *entry + change.size);

    assert(change.size > 0);
    assert(change.size <= UINT32_MAX);
    if (entry == NULL)
        return -LV_E_NOMEM;
    if (lv_keeper_error(keeper) != 0) { /* nobody will take it; the log has it */
        lv_free(entry);
        return 0;
    }
    entry->next = NULL;
    entry->lsn_end = lsn_end;
    entry->size = (uint32_t)change.size;
    lv_put_bytes(entry->bytes, change);
    pthread_mutex_lock(&keeper->mutex);
    *keeper->where = entry;
    keeper->where = &entry->next;
    keeper->count++;
    pthread_mutex_unlock(&keeper->mutex);
    return 0;
}

/* It is woken when there begins to be something to do: not by each sync of what is published. */
void lv_keeper_synced(struct lv_keeper *keeper, uint64_t lsn)
{
    pthread_mutex_lock(&keeper->mutex);
    assert(!keeper->is_ending);
    bool had_work = has_work(keeper);
    if (lsn > keeper->synced)
        keeper->synced = lsn;
    if (!had_work && has_work(keeper))
        pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
}

bool lv_keeper_has(struct lv_keeper *keeper, uint64_t lsn)
{
    bool has;

    pthread_mutex_lock(&keeper->mutex);
    assert(!keeper->is_ending);
    has = (keeper->first == NULL || keeper->first->lsn_end > lsn) &&
          lv_keeper_applied(keeper) >= keeper->taken;
    pthread_mutex_unlock(&keeper->mutex);
    return has;
}

void lv_keeper_stop(struct lv_keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    keeper->is_ending = true;
    pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
    lv_thread_join(&keeper->thread);
    pthread_cond_destroy(&keeper->cond);
    pthread_mutex_destroy(&keeper->mutex);
    lv_arena_fini(&keeper->arena);
    free_entries(keeper->first);
    assert(keeper->batch == NULL);
    keeper->first = NULL;
}

/* ---- start-up ---- */

struct load {
    lv_keeper_each_fn *each;
    void *ctx; /* view */
};

/* What is in the file is durable and nobody's own. */
static int load_row(void *ctx, const struct lv_row *row)
{
    static const enum lv_change_kind kinds[] = {
        [LV_ROW_EXCHANGE] = LV_CHANGE_EXCHANGE_DECLARE,
        [LV_ROW_QUEUE] = LV_CHANGE_QUEUE_DECLARE,
        [LV_ROW_BINDING] = LV_CHANGE_BIND,
        [LV_ROW_VHOST] = LV_CHANGE_VHOST_PUT,
        [LV_ROW_USER] = LV_CHANGE_USER_PUT,
        [LV_ROW_PERMISSION] = LV_CHANGE_PERMISSION_PUT,
        [LV_ROW_TOPIC_PERMISSION] = LV_CHANGE_TOPIC_PERMISSION_PUT,
        [LV_ROW_LIMITS] = LV_CHANGE_LIMITS_PUT,
    };
    const struct load *load = ctx;
    const struct lv_change change = {
        .kind = kinds[row->kind],
        .vhost = row->vhost,
        .name = row->name,
        .other = row->other,
        .key = row->key,
        .arguments = row->arguments,
        .queue_id = row->queue_id,
        .home = row->home,
        .durable = row->kind == LV_ROW_EXCHANGE || row->kind == LV_ROW_QUEUE,
        .auto_delete = row->auto_delete,
        .internal = row->internal,
        .to_exchange = row->to_exchange,
    };

    assert(load->each != NULL);
    return load->each(load->ctx, &change);
}

int lv_keeper_load(struct lv_metadata *metadata, lv_keeper_each_fn *each, void *ctx,
                   uint64_t *ret_last_queue_id, struct lv_diag *diag)
{
    struct load load = {.each = each, .ctx = ctx};
    int rc = lv_metadata_get(metadata, last_queue_id_name, ret_last_queue_id, diag);

    assert(each != NULL);
    return rc < 0 ? rc : lv_metadata_load(metadata, load_row, &load, diag);
}
