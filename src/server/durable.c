#include "server/durable.h"

#include "base/alloc.h"
#include "io/clock.h"
#include "io/machine.h"
#include "server/recovery.h"
#include "server/shard.h"

#include <stdio.h>

/* Bytes that nobody waits for are sealed when so many have collected, or after this time. */
#define LAZY_SIZE ((uint64_t)256 * 1024)
#define LAZY_NS   (50 * LV_NS_PER_MS)
/* Handed to the writer in one go. */
#define WRITES_MAX 16u

/* ---- while it runs ---- */

static void wake(void *ctx)
{
    const struct lv_shard *shard = ctx;

    lv_mesh_wake(shard->shared->mesh, shard->number);
}

void lv_durable_fail(struct lv_durable *durable, int error, const char *why)
{
    struct lv_shared *shared = durable->shard->shared;
    int none = 0;

    assert(error < 0);
    if (!atomic_compare_exchange_strong(&shared->disk_error, &none, error))
        return;
    lv_event(LV_ERROR, "disk.failed", LV_U("shard", durable->shard->number), LV_S("why", why),
             LV_S("effect", "what is not confirmed is refused; the broker stops"));
    lv_reactor_wake(shared->main);
    lv_mesh_wake_all(shared->mesh); /* their publishers are to hear of it, too */
}

/* Only shard 0's log has changes of the topology. */
bool lv_durable_may_forget(struct lv_durable *durable, uint64_t lsn)
{
    return durable->shard->number != 0 || lv_keeper_has(&durable->shard->shared->keeper, lsn);
}

uint64_t lv_durable_applied(struct lv_durable *durable)
{
    return durable->shard->number != 0 ? 0 : lv_keeper_applied(&durable->shard->shared->keeper);
}

void lv_durable_follow_error(struct lv_durable *durable)
{
    const struct lv_shard *shard = durable->shard;

    if (LV_UNLIKELY(atomic_load_explicit(&shard->shared->disk_error, memory_order_relaxed) != 0))
        lv_broker_log_failed(shard->broker);
}

/* The writer waits for room, or goes on. */
static void follow_room(struct lv_durable *durable)
{
    struct lv_shared *shared = durable->shard->shared;
    bool is_full = atomic_load(&durable->writer.is_full);

    if (LV_LIKELY(is_full == durable->is_full))
        return;
    durable->is_full = is_full;
    lv_space_full(&shared->space, is_full);
    lv_reactor_wake(shared->main);
}

/* Shard 0's log is on disk up to here. Others are woken only if there were changes that they may
 * be waiting for. */
static void tell_topology(struct lv_durable *durable, uint64_t synced)
{
    struct lv_shared *shared = durable->shard->shared;
    uint64_t last_change = lv_broker_topology_lsn(durable->shard->broker);
    uint64_t before = atomic_exchange(&shared->topology_synced, synced);

    lv_keeper_synced(&shared->keeper, synced);
    if (shared->shard_count > 1 && last_change > before)
        lv_mesh_wake_all(shared->mesh);
}

void lv_durable_take(struct lv_durable *durable)
{
    struct lv_shard *shard = durable->shard;
    uint64_t synced = lv_writer_synced(&durable->writer), topology;
    bool is_news = false;
    int error = atomic_load(&durable->writer.error);

    if (LV_UNLIKELY(error == 0 && shard->number == 0 &&
                    lv_keeper_error(&shard->shared->keeper) != 0))
        lv_durable_fail(durable, lv_keeper_error(&shard->shared->keeper),
                        shard->shared->keeper.diag.text);
    if (LV_UNLIKELY(error != 0))
        lv_durable_fail(durable, error, lv_error_name(error));
    follow_room(durable);
    lv_helper_take(&durable->helper);
    if (synced > lv_log_synced_lsn(durable->log)) {
        lv_log_synced(durable->log, synced);
        is_news = true;
        if (shard->number == 0)
            tell_topology(durable, synced);
    }
    topology = atomic_load(&shard->shared->topology_synced);
    if (is_news || topology > durable->topology_synced) {
        durable->topology_synced = topology;
        lv_broker_synced(shard->broker, topology);
    }
    lv_durable_follow_error(durable);
    lv_spiller_turn(&durable->spiller);
    lv_merger_turn(&durable->merger);
}

/* Everything that is sealed goes to the writer. */
static void hand_over(struct lv_durable *durable)
{
    struct lv_log_write writes[WRITES_MAX];
    uint32_t count;

    do {
        count = 0;
        while (count < WRITES_MAX && lv_log_next_write(durable->log, &writes[count]))
            count++;
        if (count > 0 && lv_writer_add(&durable->writer, writes, count) < 0)
            lv_durable_fail(durable, -LV_E_NOMEM, "out of memory");
    } while (count == WRITES_MAX);
}

static void on_lazy(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_durable *durable = lv_container(deadline, struct lv_durable, lazy);

    (void)now;
    lv_log_seal(durable->log);
}

void lv_durable_turn(struct lv_durable *durable)
{
    struct lv_shard *shard = durable->shard;
    uint64_t open = lv_log_open_size(durable->log);

    if (open > 0 && (open >= LAZY_SIZE || lv_broker_awaits_log(shard->broker)))
        lv_log_seal(durable->log);
    else if (open > 0 && !durable->lazy.armed)
        lv_deadline_set(&shard->deadlines, &durable->lazy, shard->now + LAZY_NS);
    hand_over(durable);
}

/* ---- start-up ---- */

static int keep_change(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    struct lv_shared *shared = ctx;

    return lv_keeper_add(&shared->keeper, lsn_end, change);
}

static void wake_first(void *ctx)
{
    const struct lv_shared *shared = ctx;

    lv_mesh_wake(shared->mesh, 0);
}

/* The metadata, then the thread that carries further changes into it. */
static int restore_topology(struct lv_shared *shared, struct lv_recovery *recovery,
                            struct lv_diag *diag)
{
    uint64_t last_queue_id;
    int rc = lv_keeper_load(shared->metadata, lv_recovery_apply, recovery, &last_queue_id, diag);

    if (rc == 0)
        rc = lv_metadata_lsn(shared->metadata, &recovery->applied, diag);
    if (rc == 0)
        rc = lv_keeper_start(&shared->keeper, shared->metadata, wake_first, shared);
    shared->is_keeping = rc == 0;
    for (uint32_t i = 0; rc == 0 && i < shared->shard_count; i++)
        lv_broker_restore_last_id(shared->shards[i]->broker, last_queue_id);
    return rc;
}

/* One line says what there was. */
static void tell(const struct lv_shared *shared, const struct lv_recovery *recovery, uint64_t begin)
{
    uint64_t messages = 0, queues = 0, records = 0, dropped = 0;
    bool is_clean = true;

    for (uint32_t i = 0; i < shared->shard_count; i++) {
        const struct lv_logfile_end *end = &recovery->shards[i].end;
        struct lv_broker_stats stats;

        lv_broker_stats(shared->shards[i]->broker, &stats);
        messages += stats.ready;
        queues += stats.queues;
        records += end->record_count;
        dropped += end->dropped_size;
        is_clean = is_clean && (end->is_clean || end->block_count == 0);
    }
    if (records > 0)
        lv_event(is_clean ? LV_INFO : LV_WARN, "store.recovered", LV_U("queues", queues),
                 LV_U("messages", messages), LV_U("records", records),
                 LV_U("cut_off_bytes", dropped),
                 LV_S("stopped", is_clean ? "cleanly" : "not cleanly"),
                 LV_U("ms", (lv_clock_now() - begin) / LV_NS_PER_MS));
}

int lv_durable_restore(struct lv_shared *shared, struct lv_diag *diag)
{
    struct lv_recovery recovery = {
        .disk = shared->disk,
        .shard_count = shared->shard_count,
        .is_syncing = shared->settings->durability == LV_DURABILITY_DISK,
        .changed = keep_change,
        .ctx = shared,
    };
    uint64_t begin = lv_clock_now();
    int rc;

    for (uint32_t i = 0; i < shared->shard_count; i++) {
        recovery.shards[i].broker = shared->shards[i]->broker;
        recovery.shards[i].log = shared->shards[i]->durable.log;
    }
    rc = restore_topology(shared, &recovery, diag);
    if (rc == 0)
        rc = lv_recovery_run(&recovery, diag);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < shared->shard_count; i++)
        shared->shards[i]->durable.writer.oldest = recovery.shards[i].oldest;
    lv_keeper_synced(&shared->keeper, recovery.shards[0].end.lsn);
    tell(shared, &recovery, begin);
    return 0;
}

void lv_durable_end_topology(struct lv_shared *shared)
{
    uint64_t ends[LV_RECOVERY_SHARDS_MAX];
    bool is_clean = shared->is_keeping;

    if (shared->is_keeping)
        lv_keeper_stop(&shared->keeper);
    for (uint32_t i = 0; is_clean && i < shared->shard_count; i++) {
        is_clean = shared->shards[i]->durable.is_clean;
        ends[i] = lv_log_end(shared->shards[i]->durable.log);
    }
    if (is_clean && lv_recovery_end(shared->disk, shared->shard_count, ends,
                                    shared->settings->durability == LV_DURABILITY_DISK) < 0)
        lv_event(LV_WARN, "disk.failed", LV_S("effect", "the next start takes this for a crash"));
    shared->is_keeping = false;
    lv_metadata_close(shared->metadata);
    shared->metadata = NULL;
}

/* ---- making and ending ---- */

int lv_durable_init(struct lv_durable *durable, struct lv_shard *shard)
{
    durable->shard = shard;
    lv_deadline_init(&durable->lazy, on_lazy);
    lv_spiller_init(&durable->spiller, durable);
    lv_merger_init(&durable->merger, durable);
    durable->log = lv_log_new(shard->number, 1, lv_machine_random());
    if (durable->log == NULL)
        return -LV_E_NOMEM;
    lv_log_set_vouching(durable->log, shard->shared->settings->durability == LV_DURABILITY_DISK);
    return lv_recovery_next_segment(shard->shared->disk, shard->number,
                                    &durable->spiller.next_number);
}

int lv_durable_start(struct lv_durable *durable)
{
    const struct lv_shared *shared = durable->shard->shared;
    char name[16];
    int rc;

    snprintf(name, sizeof name, "store %u", durable->shard->number);
    rc = lv_helper_start(&durable->helper, name, wake, durable->shard);
    if (rc < 0)
        return rc;
    rc = lv_writer_start(&durable->writer, durable->shard->number, shared->disk, &durable->helper,
                         shared->settings->durability == LV_DURABILITY_DISK);
    if (rc < 0) {
        lv_helper_stop(&durable->helper);
        return rc;
    }
    durable->is_started = true;
    return 0;
}

/* Nothing is confirmed any more, so what can't be written is only asked for again. */
void lv_durable_stop(struct lv_durable *durable)
{
    if (!durable->is_started)
        return;
    if (atomic_load(&durable->writer.error) == 0 &&
        lv_broker_log_clean(durable->shard->broker) == 0) {
        lv_log_seal(durable->log);
        hand_over(durable);
    }
    lv_writer_stop(&durable->writer);
    durable->is_clean = lv_writer_synced(&durable->writer) == lv_log_end(durable->log);
    if (durable->shard->number == 0)
        lv_keeper_synced(&durable->shard->shared->keeper, lv_writer_synced(&durable->writer));
    lv_merger_stop(&durable->merger);
    lv_helper_stop(&durable->helper);
    durable->is_started = false;
    lv_helper_take(&durable->helper);
    lv_writer_fini(&durable->writer);
}

void lv_durable_fini(struct lv_durable *durable)
{
    assert(!durable->is_started);
    lv_merger_fini(&durable->merger);
    lv_spiller_fini(&durable->spiller);
    lv_log_free(durable->log);
    durable->log = NULL;
}

void lv_durable_changed(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    struct lv_durable *durable = ctx;

    if (lv_keeper_add(&durable->shard->shared->keeper, lsn_end, change) < 0)
        lv_durable_fail(durable, -LV_E_NOMEM, "out of memory");
}
