#include "server/harness.h"

#include "base/alloc.h"
#include "base/event.h"
#include "broker/change.h"
#include "broker/core.h"

#include <stdio.h>
#include <stdlib.h>

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- in place of threads ---- */

/* Who the functions below speak to. */
static struct lv_hand *hand_now;

int lv_helper_start(struct lv_helper *helper, const char *name, lv_helper_wake_fn *wake,
                    void *wake_ctx)
{
    assert_non_null(name);
    helper->wake = wake;
    helper->wake_ctx = wake_ctx;
    helper->is_ending = false;
    lv_mailbox_init(&helper->done);
    return 0;
}

void lv_helper_run(struct lv_helper *helper, struct lv_job *job)
{
    assert_false(helper->is_ending);
    job->next = NULL;
    if (helper->last == NULL)
        helper->first = job;
    else
        helper->last->next = job;
    helper->last = job;
}

void lv_helper_take(struct lv_helper *helper)
{
    struct lv_letter *letter = lv_mailbox_take(&helper->done);

    while (letter != NULL) {
        struct lv_job *job = lv_container(letter, struct lv_job, letter);
        letter = letter->next;
        job->done(job);
    }
}

static bool run_one(struct lv_helper *helper)
{
    struct lv_job *job = helper->first;
    bool is_asked;

    if (job == NULL)
        return false;
    helper->first = job->next;
    if (helper->first == NULL)
        helper->last = NULL;
    is_asked = job->done != NULL;
    job->run(job);
    if (is_asked)
        (void)lv_mailbox_post(&helper->done, &job->letter);
    return true;
}

void lv_helper_stop(struct lv_helper *helper)
{
    while (run_one(helper))
        ;
    helper->is_ending = true;
}

void lv_mesh_wake(struct lv_mesh *mesh, uint32_t shard)
{
    assert_null(mesh); /* a turn looks at everything */
    assert_int_equal(shard, 0);
}

/* ---- in place of the writer and the keeper ---- */

struct recycling {
    struct lv_job job;
    uint64_t to;      /* number */
    uint64_t changes; /* LSN */
};

/* As writer.c has it. */
static void run_recycling(struct lv_job *job)
{
    struct recycling *recycling = lv_container(job, struct recycling, job);
    struct lv_hand *hand = hand_now;
    const struct lv_checkpoint next = {
        .begin = recycling->to,
        .end = lv_log_synced_lsn(hand->shard.durable.log),
        .changes = recycling->changes,
        .is_syncing = true,
    };
    int rc = lv_logfiles_recycle(hand->shared.disk, 0, hand->oldest, &next);

    if (rc == 0)
        hand->oldest = recycling->to;
    else if (rc != -LV_E_FULL)
        lv_durable_fail(&hand->shard.durable, rc, "recycling");
    free(recycling);
}

void lv_writer_recycle(struct lv_writer *writer, uint64_t number, uint64_t changes)
{
    struct recycling *recycling = must(calloc(1, sizeof *recycling));

    assert_ptr_equal(writer, &hand_now->shard.durable.writer);
    recycling->job.run = run_recycling;
    recycling->to = number;
    recycling->changes = changes;
    lv_helper_run(&hand_now->shard.durable.helper, &recycling->job);
}

void lv_durable_fail(struct lv_durable *durable, int error, const char *why)
{
    struct lv_hand *hand = hand_now;

    assert_ptr_equal(durable, &hand->shard.durable);
    assert_true(error < 0);
    if (hand->error == 0) {
        hand->error = error;
        (void)snprintf(hand->error_text, sizeof hand->error_text, "%s", why);
    }
}

bool lv_durable_may_forget(struct lv_durable *durable, uint64_t lsn)
{
    struct lv_hand *hand = hand_now;

    assert_ptr_equal(durable, &hand->shard.durable);
    if (!hand->is_held && lv_log_synced_lsn(durable->log) >= lsn && hand->applied < lsn)
        hand->applied = lsn;
    return hand->applied >= lsn;
}

uint64_t lv_durable_applied(struct lv_durable *durable)
{
    assert_ptr_equal(durable, &hand_now->shard.durable);
    return hand_now->applied;
}

static void keep_change(struct lv_hand *hand, uint64_t lsn_end, struct lv_bytes change)
{
    hand->changes = must(realloc(hand->changes, (hand->change_count + 1) * sizeof *hand->changes));
    hand->changes[hand->change_count] = (struct lv_hand_change){
        .lsn_end = lsn_end, .size = change.size, .bytes = must(malloc(change.size + 1))};
    memcpy(hand->changes[hand->change_count++].bytes, change.data, change.size);
}

static void on_changed(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    assert_ptr_equal(ctx, &hand_now->shard.durable);
    keep_change(hand_now, lsn_end, change);
}

static int on_recovered(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    keep_change(ctx, lsn_end, change);
    return 0;
}

static void on_event(void *ctx, enum lv_level level, struct lv_bytes line)
{
    static const char damaged[] = "event=store.damaged";

    (void)ctx;
    if (level == LV_ERROR && memmem(line.data, line.size, damaged, sizeof damaged - 1) != NULL)
        hand_now->damaged_count++;
}

/* ---- beginning ---- */

static void configure(void *ctx, struct lv_broker_config *config)
{
    struct lv_hand *hand = ctx;
    struct lv_durable *durable = &hand->shard.durable;

    lv_spiller_init(&durable->spiller, durable);
    lv_merger_init(&durable->merger, durable);
    if (lv_recovery_next_segment(hand->shared.disk, 0, &durable->spiller.next_number) < 0)
        durable->spiller.next_number = 1; /* recovery will say what is wrong */
    durable->log = must(lv_log_new(0, 1, 1 + hand->shard.now));
    config->log = durable->log;
    config->cold = &lv_spiller_ops;
    config->changed = on_changed;
    config->log_ctx = durable;
    config->first_segment = durable->spiller.next_number;
}

/* What the metadata has: changes that the log lost were never promised. */
static int restore_topology(struct lv_hand *hand, struct lv_recovery *recovery)
{
    struct lv_arena arena;
    uint32_t kept = 0;
    int rc = 0;

    lv_arena_init(&arena, (size_t)1 << 20);
    for (uint32_t i = 0; i < hand->change_count; i++) {
        struct lv_hand_change *at = &hand->changes[i];
        struct lv_change change;

        if (at->lsn_end > hand->applied) {
            free(at->bytes);
            continue;
        }
        if (rc == 0)
            rc = lv_change_decode(lv_bytes(at->bytes, at->size), &arena, &change);
        if (rc == 0)
            rc = lv_recovery_apply(recovery, &change);
        lv_arena_reset(&arena);
        hand->changes[kept++] = *at;
    }
    hand->change_count = kept;
    lv_arena_fini(&arena);
    recovery->applied = hand->applied;
    return rc;
}

static void init(struct lv_hand *hand)
{
    struct lv_shared *shared = &hand->shared;
    struct lv_shard *shard = &hand->shard;
    uint64_t now = shard->now;

    hand_now = hand;
    lv_event_sink(on_event, NULL, LV_ERROR);
    *shared = (struct lv_shared){.shard_count = 1, .disk = lv_image_disk_view(hand->image)};
    lv_memory_init(&shared->memory, &shared->alarms, (uint64_t)1 << 40);
    *shard = (struct lv_shard){.shared = shared, .now = now + 1};
    shard->durable.shard = shard;
    shard->durable.is_started = true;
    if (lv_helper_start(&shard->durable.helper, "store", NULL, NULL) < 0)
        abort();
    lv_logfiles_init(&hand->files, shared->disk, 0, true);
    lv_sim_init_with(&hand->sim, 1, 0, configure, hand);
    shard->broker = hand->sim.shards[0].broker;
    shard->store = hand->sim.shards[0].store;
}

int lv_hand_open(struct lv_hand *hand, struct lv_image_disk *image, struct lv_diag *diag)
{
    struct lv_recovery *recovery = must(calloc(1, sizeof *recovery));
    int rc;

    hand->image = image;
    hand->error = 0;
    hand->is_full = false;
    hand->damaged_count = 0;
    init(hand);
    *recovery = (struct lv_recovery){.disk = hand->shared.disk,
                                     .shard_count = 1,
                                     .is_syncing = true,
                                     .changed = on_recovered,
                                     .ctx = hand};
    recovery->shards[0].broker = hand->shard.broker;
    recovery->shards[0].log = hand->shard.durable.log;
    rc = restore_topology(hand, recovery);
    lv_alloc_fail_after(hand->fail_after, false);
    if (rc == 0)
        rc = lv_recovery_run(recovery, diag);
    lv_alloc_fail_after(0, false);
    hand->oldest = recovery->shards[0].oldest;
    hand->end = recovery->shards[0].end;
    free(recovery);
    if (rc < 0)
        lv_hand_close(hand, false);
    else
        lv_sim_client_open(&hand->a, &hand->sim, 0);
    return rc;
}

void lv_hand_begin(struct lv_hand *hand)
{
    struct lv_diag diag;

    *hand = (struct lv_hand){.applied = 0};
    assert_int_equal(lv_hand_open(hand, lv_image_disk_new(1), &diag), 0);
    lv_sim_declare(&hand->a, "q", "d");
    lv_sim_settle(&hand->sim);
    assert_int_equal(lv_hand_sync(hand), 0);
    assert_hears(&hand->a, "declare-ok q 0 0");
    lv_sim_declare(&hand->a, "t", "");
    assert_hears(&hand->a, "declare-ok t 0 0");
}

/* ---- steps ---- */

/* What did not fit the last time comes first. */
static bool next_write(struct lv_hand *hand)
{
    if (hand->is_full)
        return true;
    return lv_log_next_write(hand->shard.durable.log, &hand->write);
}

int lv_hand_sync(struct lv_hand *hand)
{
    struct lv_log *log = hand->shard.durable.log;
    const struct lv_log_write *write = &hand->write;
    int rc = 0;

    lv_log_seal(log);
    while (rc == 0 && next_write(hand)) {
        if (lv_logfiles_is_turn(&hand->files, write))
            rc = lv_logfiles_turn(&hand->files, write, false);
        if (rc == 0)
            rc = lv_logfiles_write(&hand->files, write);
        hand->is_full = rc == -LV_E_FULL;
        if (rc == 0)
            rc = lv_logfiles_sync(&hand->files);
        if (rc == 0)
            lv_log_synced(log, write->lsn + write->size);
    }
    if (rc < 0 && rc != -LV_E_FULL)
        lv_durable_fail(&hand->shard.durable, rc, "the log");
    if (!hand->is_held)
        hand->applied = lv_log_synced_lsn(log);
    lv_broker_synced(hand->shard.broker, lv_log_synced_lsn(log));
    return rc;
}

void lv_hand_turn(struct lv_hand *hand)
{
    struct lv_shard *shard = &hand->shard;

    lv_deadlines_run(&shard->deadlines, shard->now);
    lv_helper_take(&shard->durable.helper);
    lv_spiller_turn(&shard->durable.spiller);
    lv_merger_turn(&shard->durable.merger);
}

void lv_hand_wait(struct lv_hand *hand, uint64_t delay)
{
    hand->shard.now += delay;
    lv_hand_turn(hand);
}

bool lv_hand_run_job(struct lv_hand *hand)
{
    struct lv_durable *durable = &hand->shard.durable;

    return run_one(&durable->helper) ||
           (durable->merger.is_started && run_one(&durable->merger.helper));
}

static bool has_mail(struct lv_hand *hand)
{
    struct lv_durable *durable = &hand->shard.durable;

    return atomic_load(&durable->helper.done.newest) != NULL ||
           (durable->merger.is_started && atomic_load(&durable->merger.helper.done.newest) != NULL);
}

/* Is anything to be expected of another round? */
static bool is_moving(struct lv_hand *hand, uint64_t end_before)
{
    const struct lv_shard *shard = &hand->shard;

    return lv_log_end(shard->durable.log) != end_before || has_mail(hand) ||
           lv_deadlines_next(&shard->deadlines) <= shard->now;
}

void lv_hand_settle(struct lv_hand *hand)
{
    uint64_t before;
    enum lv_spill_state state;

    do {
        before = lv_log_end(hand->shard.durable.log);
        state = hand->shard.durable.spiller.state;
        lv_sim_settle(&hand->sim);
        if (hand->error == 0)
            (void)lv_hand_sync(hand);
        lv_hand_turn(hand);
        while (lv_hand_run_job(hand))
            ;
    } while (is_moving(hand, before) ||
             (state != hand->shard.durable.spiller.state && hand->error == 0));
}

/* ---- ending ---- */

/* What a spill has taken goes with it, as with the process. */
static void let_go(struct lv_hand *hand)
{
    const struct lv_spiller *spiller = &hand->shard.durable.spiller;

    for (uint64_t i = 0; spiller->state != LV_SPILL_IDLE && i < spiller->spill.ref_count; i++) {
        lv_store_unpin(spiller->spill.refs[i].page);
        lv_store_release(hand->shard.store, spiller->spill.refs[i].ref);
    }
}

/* Those who wait for the disk wait no more. */
static void part(struct lv_hand *hand)
{
    struct lv_log *log = hand->shard.durable.log;
    struct lv_log_write write;

    if (hand->a.core != NULL)
        lv_sim_client_close(&hand->a);
    do {
        lv_log_seal(log);
        while (lv_log_next_write(log, &write))
            ;
        lv_log_synced(log, lv_log_end(log));
        lv_broker_synced(hand->shard.broker, lv_log_end(log));
        lv_sim_settle(&hand->sim);
        lv_helper_take(&hand->shard.durable.helper);
    } while (lv_hand_run_job(hand) || lv_log_end(log) > lv_log_synced_lsn(log));
    if (hand->a.sim != NULL)
        lv_sim_client_fini(&hand->a);
    hand->a = (struct lv_sim_client){.sim = NULL};
}

static void end_clean(struct lv_hand *hand)
{
    uint64_t end;

    lv_sim_client_close(&hand->a);
    lv_hand_settle(hand);
    assert_int_equal(lv_broker_log_clean(hand->shard.broker), 0);
    assert_int_equal(lv_hand_sync(hand), 0);
    end = lv_log_end(hand->shard.durable.log);
    assert_int_equal(lv_recovery_end(hand->shared.disk, 1, &end, true), 0);
}

/* The disk of a process that ends at once stays as it is: what the helpers have to do is never
 * done, though done with as far as memory goes. */
void lv_hand_close(struct lv_hand *hand, bool is_clean)
{
    struct lv_durable *durable = &hand->shard.durable;
    struct lv_image_disk *image = NULL;

    if (is_clean)
        end_clean(hand);
    else
        image = lv_image_disk_copy(hand->image);
    part(hand);
    lv_merger_stop(&durable->merger);
    lv_helper_stop(&durable->helper);
    durable->is_started = false;
    lv_helper_take(&durable->helper);
    let_go(hand);
    lv_sim_fini(&hand->sim);
    lv_merger_fini(&durable->merger);
    lv_spiller_fini(&durable->spiller);
    lv_logfiles_fini(&hand->files);
    if (image != NULL) {
        lv_image_disk_free(hand->image);
        hand->image = image;
    }
}

void lv_hand_end(struct lv_hand *hand)
{
    for (uint32_t i = 0; i < hand->change_count; i++)
        free(hand->changes[i].bytes);
    free(hand->changes);
    lv_image_disk_free(hand->image);
    lv_event_sink(NULL, NULL, LV_ERROR);
    hand_now = NULL;
}

void lv_hand_restart(struct lv_hand *hand, bool is_clean)
{
    struct lv_diag diag = {.text = ""};

    lv_hand_close(hand, is_clean);
    if (lv_hand_open(hand, hand->image, &diag) < 0)
        fail_msg("%s", diag.text);
}

/* ---- commands ---- */

void lv_hand_publish(struct lv_hand *hand, const char *queue, const char *body, bool is_persistent)
{
    const struct lv_message message = {.key = lv_text(queue),
                                       .body = lv_text(body),
                                       .flags = is_persistent ? LV_MESSAGE_PERSISTENT : 0};

    assert_int_equal(lv_channel_publish(hand->a.channels[0].core, &message, false, NULL), 0);
}

void lv_hand_fill(struct lv_hand *hand, unsigned from, unsigned to, size_t size)
{
    static char body[65536];

    assert_true(size < sizeof body);
    for (unsigned i = from; i < to; i++) {
        int length = snprintf(body, sizeof body, "%u:", i);
        if ((size_t)length < size)
            memset(body + length, 'x', size - (size_t)length);
        body[(size_t)length < size ? size : (size_t)length] = '\0';
        lv_hand_publish(hand, "q", body, true);
        if (i % 100 == 99 && hand->error == 0)
            (void)lv_hand_sync(hand);
    }
}

/* "get-ok #TAG BODY[ again], N left" */
bool lv_hand_get(struct lv_hand *hand, const char *queue, unsigned *ret_number, bool *ret_again)
{
    const char *heard, *body;

    lv_sim_get(&hand->a, queue, "n");
    lv_hand_settle(hand);
    heard = lv_sim_heard(&hand->a);
    if (strcmp(heard, "get-empty") == 0)
        return false;
    body = strchr(heard, '#');
    if (body == NULL || strncmp(heard, "get-ok", 6) != 0)
        fail_msg("heard: %s", heard);
    body = strchr(body, ' ') + 1;
    *ret_number = (unsigned)strtoul(body, NULL, 10);
    *ret_again = strncmp(body + strcspn(body, " ,"), " again", 6) == 0;
    return true;
}

uint64_t lv_hand_ready(struct lv_hand *hand, const char *queue)
{
    const struct lv_vhost *vhost = lv_topology_vhost(&hand->shard.broker->topology, lv_text("/"));
    const struct lv_queue_entry *entry = lv_vhost_queue(vhost, lv_text(queue));

    assert_non_null(entry);
    return lv_queue_ready_count(entry->queue);
}

struct counting {
    const char *prefix; /* view */
    unsigned count;
};

static int count_name(void *ctx, const char *name)
{
    struct counting *counting = ctx;

    counting->count += strncmp(name, counting->prefix, strlen(counting->prefix)) == 0;
    return 0;
}

unsigned lv_hand_count_files(struct lv_hand *hand, const char *prefix)
{
    struct counting counting = {.prefix = prefix};

    assert_int_equal(hand->shared.disk->ops->list(hand->shared.disk, count_name, &counting), 0);
    return counting.count;
}
