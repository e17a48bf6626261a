#include "world.h"

#include "base/alloc.h"
#include "broker/change.h"
#include "broker/core.h"
#include "model.h"
#include "store/segment.h"

#include <stdlib.h>

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static uint64_t below(struct crash_world *world, uint64_t bound)
{
    return lv_random_below(&world->random, bound);
}

/* The broker would stop for this. */
static void stop_for(struct crash_world *world, int rc)
{
    assert(rc < 0);
    if (world->error == 0)
        world->error = rc;
}

/* ---- the metadata ---- */

static void add_change(struct crash_changes *changes, uint64_t lsn_end, const void *bytes,
                       size_t size)
{
    struct crash_change *change;

    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity == 0 ? 16 : 2 * changes->capacity;
        changes->list = must(realloc(changes->list, changes->capacity * sizeof *changes->list));
    }
    change = &changes->list[changes->count++];
    *change = (struct crash_change){.lsn_end = lsn_end, .size = size, .bytes = must(malloc(size))};
    memcpy(change->bytes, bytes, size);
}

static void free_changes(struct crash_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        free(changes->list[i].bytes);
    free(changes->list);
    *changes = (struct crash_changes){.list = NULL};
}

void crash_metadata_copy(struct crash_metadata *to, const struct crash_metadata *from)
{
    *to = (struct crash_metadata){.applied = from->applied};
    for (size_t i = 0; i < from->changes.count; i++) {
        const struct crash_change *change = &from->changes.list[i];
        add_change(&to->changes, change->lsn_end, change->bytes, change->size);
    }
    assert(to->changes.count == from->changes.count);
}

void crash_metadata_fini(struct crash_metadata *metadata)
{
    free_changes(&metadata->changes);
    assert(metadata->changes.count == 0);
}

/* The broker's, on shard 0. */
static void on_changed(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    struct crash_shard *shard = ctx;

    assert(shard->number == 0);
    add_change(&shard->world->pending, lsn_end, change.data, change.size);
}

static int on_recovered(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    struct crash_world *world = ctx;

    assert(lsn_end > world->metadata.applied);
    add_change(&world->pending, lsn_end, change.data, change.size);
    return 0;
}

/* Some of what is on disk in the log, in one transaction. */
static void keep(struct crash_world *world)
{
    uint64_t synced = lv_log_synced_lsn(world->sim.shards[0].log);
    size_t count = 0;

    while (count < world->pending.count && world->pending.list[count].lsn_end <= synced &&
           (count == 0 || below(world, 4) > 0)) {
        const struct crash_change *change = &world->pending.list[count++];
        add_change(&world->metadata.changes, change->lsn_end, change->bytes, change->size);
        world->metadata.applied = change->lsn_end;
        free(change->bytes);
    }
    world->pending.count -= count;
    if (count > 0)
        memmove(world->pending.list, world->pending.list + count,
                world->pending.count * sizeof *world->pending.list);
}

/* ---- the helper ---- */

static void add_job(struct crash_shard *shard, const struct crash_job *job)
{
    if (shard->job_first > 0 && shard->job_first == shard->job_count)
        shard->job_first = shard->job_count = 0;
    if (shard->job_count == shard->job_capacity) {
        shard->job_capacity = shard->job_capacity == 0 ? 16 : 2 * shard->job_capacity;
        shard->jobs = must(realloc(shard->jobs, shard->job_capacity * sizeof *shard->jobs));
    }
    shard->jobs[shard->job_count++] = *job;
}

static int on_load(void *ctx, uint64_t queue_id, uint64_t segment, uint64_t from_seq, bool one)
{
    add_job(ctx, &(struct crash_job){.kind = CRASH_JOB_LOAD,
                                     .queue_id = queue_id,
                                     .segment = segment,
                                     .from = from_seq,
                                     .one = one});
    return 0;
}

static int on_drop(void *ctx, uint64_t segment)
{
    const struct crash_shard *shard = ctx;

    if (shard->world->is_ending || below(shard->world, 4) == 0)
        return -LV_E_NOMEM;
    add_job(ctx, &(struct crash_job){.kind = CRASH_JOB_DROP, .segment = segment});
    return 0;
}

static const struct lv_cold_ops cold_ops = {.load = on_load, .drop = on_drop};

static void make_spare(struct crash_shard *shard)
{
    int rc = lv_logfiles_make_spare(shard->world->disk, shard->number);

    assert(shard->spare == CRASH_SPARE_WANTED);
    shard->spare = rc == 0 ? CRASH_SPARE_READY : CRASH_SPARE_NONE;
}

static void recycle(struct crash_shard *shard, const struct crash_job *job)
{
    const struct lv_checkpoint next = {
        .begin = job->to, .end = shard->synced, .changes = job->changes, .is_syncing = true};
    int rc;

    assert(shard->oldest <= job->to);
    crash_trace("shard %u: lets go of files %llu to %llu", shard->number,
                (unsigned long long)shard->oldest, (unsigned long long)job->to);
    rc = lv_logfiles_recycle(shard->world->disk, shard->number, shard->oldest, &next);
    if (rc == 0)
        shard->oldest = job->to;
    else if (rc != -LV_E_FULL)
        stop_for(shard->world, rc);
}

/* What was wanted of the segment before it was written. */
static void load_early(struct crash_shard *shard)
{
    for (size_t i = 0; i < shard->early_count; i++)
        add_job(shard, &shard->early[i]);
    shard->early_count = 0;
}

static bool is_early(const struct crash_shard *shard, const struct crash_job *job)
{
    return job->segment == shard->spill.number && shard->spill_state != CRASH_SPILL_IDLE &&
           shard->spill_state != CRASH_SPILL_WRITTEN && !shard->world->is_ending;
}

static void write_spill(struct crash_shard *shard)
{
    const struct lv_segment_info info = {
        .shard = shard->number,
        .number = shard->spill.number,
        .covers = shard->spill.end,
        .seed = lv_random_next(&shard->world->random),
    };
    int rc =
        lv_segment_write(shard->world->disk, &info, shard->spill.entries, shard->spill.count, NULL);

    assert(shard->spill_state == CRASH_SPILL_WRITING);
    if (rc == 0)
        shard->spill_state = CRASH_SPILL_WRITTEN;
    else if (rc == -LV_E_FULL)
        shard->spill_state = CRASH_SPILL_FAILED;
    else
        stop_for(shard->world, rc);
    crash_trace("shard %u: has written segment %llu: %d", shard->number,
                (unsigned long long)shard->spill.number, rc);
    if (rc == 0)
        load_early(shard);
}

#define LOADED_MAX 4096u

struct loaded {
    struct lv_segment_entry entries[LOADED_MAX];
    uint64_t count;
};

static int collect(void *ctx, const struct lv_segment_entry *entry)
{
    struct loaded *loaded = ctx;
    struct lv_segment_entry *copy = &loaded->entries[loaded->count++];
    void *data = must(malloc(entry->size));

    assert(loaded->count < LOADED_MAX);
    memcpy(data, entry->data, entry->size);
    *copy = *entry;
    copy->data = data;
    return 0;
}

static const struct lv_segment_run *find_run(const struct lv_segment *segment, uint64_t queue_id)
{
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);

    for (size_t i = 0; i < count; i++)
        if (runs[i].queue_id == queue_id)
            return &runs[i];
    return NULL;
}

/* What can't be read is said and left out. */
static void load(struct crash_shard *shard, const struct crash_job *job)
{
    struct crash_world *world = shard->world;
    struct loaded *loaded = must(calloc(1, sizeof *loaded));
    struct lv_segment_reading reading = {
        .from_seq = job->from,
        .max_size = job->one ? 1 : LV_LOAD_SIZE,
        .each = collect,
        .ctx = loaded,
        .next_seq = UINT64_MAX,
    };
    struct lv_segment *segment = NULL;
    int rc;

    if (is_early(shard, job)) {
        assert(shard->early_count < CRASH_EARLY_MAX);
        shard->early[shard->early_count++] = *job;
        free(loaded);
        return;
    }
    rc = lv_segment_open(world->disk, shard->number, job->segment, &segment, &world->damage);

    if (rc == 0) {
        const struct lv_segment_run *run = find_run(segment, job->queue_id);
        if (run != NULL)
            rc = lv_segment_read(segment, run, &reading, &world->damage);
    }
    lv_segment_close(segment);
    crash_trace("shard %u: loads from %llu of queue %llu in segment %llu: %llu messages, %d",
                shard->number, (unsigned long long)job->from, (unsigned long long)job->queue_id,
                (unsigned long long)job->segment, (unsigned long long)loaded->count, rc);
    world->damaged_count += reading.damaged_count;
    world->is_cut |= rc < 0;
    lv_broker_loaded(world->sim.shards[shard->number].broker, job->queue_id, job->segment,
                     loaded->entries, loaded->count, reading.next_seq);
    for (uint64_t i = 0; i < loaded->count; i++)
        free((void *)(uintptr_t)loaded->entries[i].data);
    free(loaded);
}

static void drop(struct crash_shard *shard, uint64_t segment)
{
    struct lv_disk *disk = shard->world->disk;
    char name[LV_DISK_NAME_SIZE];
    int rc;

    lv_segment_name(shard->number, segment, name);
    rc = disk->ops->remove(disk, name);
    crash_trace("shard %u: removes segment %llu: %d", shard->number, (unsigned long long)segment,
                rc);
    assert(shard->next_segment > segment);
    lv_broker_dropped(shard->world->sim.shards[shard->number].broker, segment,
                      rc == 0 || rc == -LV_E_NOT_FOUND);
    if (rc < 0 && rc != -LV_E_NOT_FOUND && rc != -LV_E_FULL)
        stop_for(shard->world, rc);
}

static void end_merge(struct crash_shard *shard, enum lv_merge_result result)
{
    lv_merge_end(shard->world->sim.shards[shard->number].broker, &shard->merge, result,
                 &shard->merging);
    shard->merge_state = CRASH_MERGE_IDLE;
}

/* All of the sources into one, which gets the name of the last. */
static int merge_sources(struct crash_shard *shard)
{
    struct lv_merge *merge = &shard->merge;
    struct lv_segment *sources[LV_MERGE_SOURCES_MAX] = {NULL};
    struct lv_segment_info info = {
        .shard = shard->number,
        .number = merge->numbers[merge->source_count - 1],
        .first_number = merge->numbers[0],
        .seed = lv_random_next(&shard->world->random),
    };
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < merge->source_count; i++) {
        const struct lv_segment_info *source;
        rc = lv_segment_open(shard->world->disk, shard->number, merge->numbers[i], &sources[i],
                             NULL);
        if (rc < 0)
            break;
        source = lv_segment_info(sources[i]);
        info.covers = source->covers > info.covers ? source->covers : info.covers;
    }
    lv_merge_prepare(merge);
    shard->merging = (struct lv_segment_merging){.sources = sources,
                                                 .source_count = merge->source_count,
                                                 .wanted = lv_merge_wanted,
                                                 .ctx = merge};
    if (rc == 0)
        rc = lv_segment_merge(shard->world->disk, &info, &shard->merging, NULL);
    for (uint32_t i = 0; i < merge->source_count; i++)
        lv_segment_close(sources[i]);
    return rc;
}

static void write_merge(struct crash_shard *shard)
{
    const struct lv_merge *merge = &shard->merge;
    int rc;

    assert(shard->merge_state == CRASH_MERGE_WRITING);
    shard->merged_count = merge->source_count - 1;
    memcpy(shard->merged, merge->numbers, merge->source_count * sizeof *merge->numbers);
    rc = merge_sources(shard);
    crash_trace("shard %u: merges %u segments into %llu: %llu messages, %d", shard->number,
                merge->source_count, (unsigned long long)merge->numbers[merge->source_count - 1],
                (unsigned long long)shard->merging.count, rc);
    if (rc == 0 && shard->merging.count == 0)
        end_merge(shard, LV_MERGE_EMPTY);
    else if (rc == 0)
        shard->merge_state = CRASH_MERGE_SWITCHING;
    else
        end_merge(shard, LV_MERGE_FAILED);
    if (rc < 0 && rc != -LV_E_FULL)
        stop_for(shard->world, rc);
}

static void remove_merged(struct crash_shard *shard)
{
    struct lv_disk *disk = shard->world->disk;
    char name[LV_DISK_NAME_SIZE];
    int error = 0;

    assert(shard->merge_state == CRASH_MERGE_REMOVING);
    for (uint32_t i = 0; i < shard->merged_count; i++) {
        int rc;
        lv_segment_name(shard->number, shard->merged[i], name);
        rc = disk->ops->remove(disk, name);
        error = rc < 0 && rc != -LV_E_NOT_FOUND ? rc : error;
    }
    error = error < 0 ? error : disk->ops->sync_directory(disk);
    if (error == -LV_E_FULL) {
        shard->is_refused = true;
        return;
    }
    shard->merge_state = CRASH_MERGE_IDLE;
    if (error < 0)
        stop_for(shard->world, error);
}

static bool run_job(struct crash_shard *shard)
{
    struct crash_job job;

    if (shard->job_first == shard->job_count)
        return false;
    job = shard->jobs[shard->job_first++];
    if (shard->world->is_ending && job.kind != CRASH_JOB_LOAD)
        return true;
    switch (job.kind) {
    case CRASH_JOB_SPARE:
        make_spare(shard);
        break;
    case CRASH_JOB_RECYCLE:
        recycle(shard, &job);
        break;
    case CRASH_JOB_SPILL:
        write_spill(shard);
        break;
    case CRASH_JOB_LOAD:
        load(shard, &job);
        break;
    case CRASH_JOB_DROP:
        drop(shard, job.segment);
        break;
    case CRASH_JOB_MERGE:
        write_merge(shard);
        break;
    case CRASH_JOB_REMOVE:
        remove_merged(shard);
        break;
    }
    return true;
}

/* ---- the writer ---- */

static struct lv_log *log_of(const struct crash_shard *shard)
{
    assert(shard->number < shard->world->sim.shard_count);
    return shard->world->sim.shards[shard->number].log;
}

static void want_spare(struct crash_shard *shard)
{
    if (shard->spare != CRASH_SPARE_NONE)
        return;
    shard->spare = CRASH_SPARE_WANTED;
    add_job(shard, &(struct crash_job){.kind = CRASH_JOB_SPARE});
}

static bool take_spare(struct crash_shard *shard)
{
    bool is_ready;

    while (shard->spare == CRASH_SPARE_WANTED && run_job(shard))
        ;
    is_ready = shard->spare == CRASH_SPARE_READY;
    shard->spare = CRASH_SPARE_NONE;
    return is_ready;
}

static int write_one(struct crash_shard *shard, const struct lv_log_write *write)
{
    if (lv_logfiles_is_turn(&shard->files, write)) {
        bool has_spare = write->file_size == LV_LOG_FILE_SIZE && take_spare(shard);
        int rc = lv_logfiles_turn(&shard->files, write, has_spare);
        if (rc < 0)
            return rc;
        want_spare(shard);
    }
    return lv_logfiles_write(&shard->files, write);
}

/* A batch is written one piece after the other; then comes its sync. */
static bool write_step(struct crash_shard *shard)
{
    const struct lv_log_write *last;
    int rc;

    if (shard->batch_count == 0) {
        uint32_t max = 1 + (uint32_t)below(shard->world, CRASH_BATCH_MAX);
        while (shard->batch_count < max &&
               lv_log_next_write(log_of(shard), &shard->batch[shard->batch_count]))
            shard->batch_count++;
        shard->batch_done = 0;
        return shard->batch_count > 0;
    }
    if (shard->batch_done < shard->batch_count) {
        rc = write_one(shard, &shard->batch[shard->batch_done]);
        shard->is_full = rc == -LV_E_FULL;
        if (rc == 0)
            shard->batch_done++;
    } else {
        rc = lv_logfiles_sync(&shard->files);
        last = &shard->batch[shard->batch_count - 1];
        if (rc == 0)
            shard->synced = last->lsn + last->size;
        crash_trace("shard %u: syncs to %llu: %d", shard->number,
                    (unsigned long long)(last->lsn + last->size), rc);
        shard->batch_count = 0;
    }
    if (rc < 0 && rc != -LV_E_FULL)
        stop_for(shard->world, rc);
    return true;
}

/* The shard hears of it. */
static bool report_step(struct crash_shard *shard)
{
    struct crash_world *world = shard->world;
    uint64_t topology;
    bool is_news = shard->synced > lv_log_synced_lsn(log_of(shard));

    if (is_news)
        lv_log_synced(log_of(shard), shard->synced);
    topology = lv_log_synced_lsn(world->sim.shards[0].log);
    if (!is_news && topology == shard->topology_synced)
        return false;
    shard->topology_synced = topology;
    lv_broker_synced(world->sim.shards[shard->number].broker, topology);
    return true;
}

/* ---- the spiller ---- */

static bool may_forget(const struct crash_shard *shard, uint64_t lsn)
{
    const struct crash_changes *pending = &shard->world->pending;

    return shard->number != 0 || pending->count == 0 || pending->list[0].lsn_end > lsn;
}

static void begin_spill(struct crash_shard *shard, uint64_t end)
{
    struct lv_broker *broker = shard->world->sim.shards[shard->number].broker;
    int rc = end == 0 ? lv_broker_spill_longest(broker, shard->next_segment, 1000, &shard->spill)
                      : lv_broker_spill(broker, end, shard->next_segment, &shard->spill);

    assert_int_equal(rc, 0);
    crash_trace("shard %u: spills below %llu: %llu messages into %llu, log to %llu", shard->number,
                (unsigned long long)end, (unsigned long long)shard->spill.count,
                (unsigned long long)shard->next_segment, (unsigned long long)shard->spill.log_end);
    if (shard->spill.count == 0) {
        shard->spill_state = end == 0 ? CRASH_SPILL_IDLE : CRASH_SPILL_WRITTEN;
        return;
    }
    shard->next_segment++;
    shard->spill_state = CRASH_SPILL_SYNCING;
}

/* As server/spill.c has it, but that the window is as small as can be. */
static bool spill_step(struct crash_shard *shard)
{
    struct lv_log *log = log_of(shard);
    struct lv_broker *broker = shard->world->sim.shards[shard->number].broker;
    uint64_t end;

    lv_cold_drop_dead(broker);
    if (shard->spill_state == CRASH_SPILL_FAILED ||
        (shard->spill_state == CRASH_SPILL_SYNCING &&
         lv_broker_spill_is_due(broker, &shard->spill))) {
        shard->spill_state = CRASH_SPILL_WRITING;
        add_job(shard, &(struct crash_job){.kind = CRASH_JOB_SPILL});
        return true;
    }
    if (shard->spill_state == CRASH_SPILL_WRITTEN &&
        lv_broker_spill_is_due(broker, &shard->spill) && may_forget(shard, shard->spill.end)) {
        end = shard->spill.end / LV_LOG_FILE_SIZE;
        lv_broker_spilled(broker, &shard->spill);
        shard->spill_state = CRASH_SPILL_IDLE;
        if (end > 0)
            add_job(shard, &(struct crash_job){
                               .kind = CRASH_JOB_RECYCLE,
                               .to = end,
                               .changes = shard->number == 0 ? shard->world->metadata.applied : 0,
                           });
        return true;
    }
    if (shard->spill_state != CRASH_SPILL_IDLE || lv_log_end(log) == 0)
        return false;
    end = lv_log_next_file(log, lv_log_begin(log));
    if (end < lv_log_synced_lsn(log))
        begin_spill(shard, end);
    else if (below(shard->world, 8) == 0)
        begin_spill(shard, 0);
    return shard->spill_state != CRASH_SPILL_IDLE;
}

/* ---- the merger ---- */

static void merge_step(struct crash_shard *shard)
{
    struct lv_broker *broker = shard->world->sim.shards[shard->number].broker;

    switch (shard->merge_state) {
    case CRASH_MERGE_IDLE:
        if (lv_merge_is_worth_a_look(broker) && lv_merge_begin(broker, &shard->merge))
            shard->merge_state = CRASH_MERGE_COLLECTING;
        break;
    case CRASH_MERGE_COLLECTING:
        if (lv_merge_collect(broker, &shard->merge) == 1)
            shard->merge_state = CRASH_MERGE_WAITING;
        break;
    case CRASH_MERGE_WAITING:
        if (!lv_merge_is_due(broker, &shard->merge))
            break;
        shard->merge_state = CRASH_MERGE_WRITING;
        add_job(shard, &(struct crash_job){.kind = CRASH_JOB_MERGE});
        break;
    case CRASH_MERGE_SWITCHING:
        if (!lv_merge_switch(broker, &shard->merge))
            break;
        end_merge(shard, LV_MERGE_DONE);
        shard->merge_state = CRASH_MERGE_REMOVING;
        add_job(shard, &(struct crash_job){.kind = CRASH_JOB_REMOVE});
        break;
    case CRASH_MERGE_REMOVING:
        if (shard->is_refused)
            add_job(shard, &(struct crash_job){.kind = CRASH_JOB_REMOVE});
        shard->is_refused = false;
        break;
    case CRASH_MERGE_WRITING:
        break; /* the helper's */
    }
}

/* ---- steps ---- */

void crash_world_step(struct crash_world *world)
{
    struct crash_shard *shard = &world->shards[below(world, world->sim.shard_count)];

    assert(!world->is_ending);
    if (world->error < 0)
        return;
    switch (below(world, 8)) {
    case 0:
        lv_log_seal(log_of(shard));
        break;
    case 1:
    case 2:
    case 3:
        (void)write_step(shard);
        break;
    case 4:
        (void)report_step(shard);
        break;
    case 5:
        (void)run_job(shard);
        break;
    case 6:
        (void)spill_step(shard);
        merge_step(shard);
        break;
    default:
        keep(world);
        break;
    }
}

static bool run_loads(struct crash_world *world)
{
    bool any = false;

    for (uint32_t i = 0; i < world->sim.shard_count; i++)
        while (world->error == 0 && run_job(&world->shards[i]))
            any = true;
    return any;
}

void crash_world_settle(struct crash_world *world)
{
    do
        lv_sim_settle(&world->sim);
    while (run_loads(world));
}

/* One round of what each shard has to do. */
static bool sync_round(struct crash_world *world)
{
    bool any = false;

    crash_world_settle(world);
    for (uint32_t i = 0; i < world->sim.shard_count && world->error == 0; i++) {
        struct crash_shard *shard = &world->shards[i];
        lv_log_seal(log_of(shard));
        while (world->error == 0 && !shard->is_full && write_step(shard))
            any = true;
        shard->is_full = false;
    }
    for (uint32_t i = 0; i < world->sim.shard_count && world->error == 0; i++)
        any |= report_step(&world->shards[i]);
    return any;
}

bool crash_world_sync(struct crash_world *world)
{
    assert(!world->is_ending);
    for (uint32_t i = 0; i < world->sim.shard_count; i++)
        world->shards[i].is_full = false;
    for (int rounds = 0; world->error == 0 && rounds < 64; rounds++)
        if (!sync_round(world) && !lv_sim_step(&world->sim)) {
            for (uint32_t i = 0; i < world->sim.shard_count; i++)
                if (world->shards[i].batch_count > 0 ||
                    lv_log_synced_lsn(log_of(&world->shards[i])) <
                        lv_log_end(log_of(&world->shards[i])))
                    return false;
            return world->error == 0;
        }
    return false;
}

void crash_world_end(struct crash_world *world)
{
    world->is_ending = true;
    for (uint32_t i = 0; i < world->sim.shard_count; i++)
        load_early(&world->shards[i]);
    world->error = 0;
    lv_image_disk_watch(world->image, NULL, NULL);
    for (int op = 0; op < LV_IMAGE_OP_COUNT; op++)
        lv_image_disk_fail(world->image, (enum lv_image_op)op, 0, 0, false);
    crash_world_settle(world);
}

bool crash_world_stop(struct crash_world *world)
{
    uint64_t ends[LV_SIM_SHARDS_MAX];

    for (uint32_t i = 0; i < world->sim.shard_count; i++)
        if (lv_broker_log_clean(world->sim.shards[i].broker) < 0)
            abort();
    if (!crash_world_sync(world))
        return false;
    for (uint32_t i = 0; i < world->sim.shard_count; i++)
        ends[i] = lv_log_end(log_of(&world->shards[i]));
    return lv_recovery_end(world->disk, world->sim.shard_count, ends, true) == 0;
}

/* ---- making and ending ---- */

static void configure(void *ctx, struct lv_broker_config *config)
{
    struct crash_world *world = ctx;
    struct crash_shard *shard = &world->shards[config->shard];
    int rc = lv_recovery_next_segment(world->disk, config->shard, &shard->next_segment);

    if (rc < 0)
        abort();
    config->log = must(lv_log_new(config->shard, 1, lv_random_next(&world->random)));
    config->cold = &cold_ops;
    config->changed = on_changed;
    config->log_ctx = shard;
    config->first_segment = shard->next_segment;
}

static int load_metadata(struct crash_world *world, struct lv_recovery *recovery)
{
    struct lv_arena arena;
    int rc = 0;

    lv_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; rc == 0 && i < world->metadata.changes.count; i++) {
        const struct crash_change *at = &world->metadata.changes.list[i];
        struct lv_change change;

        rc = lv_change_decode(lv_bytes(at->bytes, at->size), &arena, &change);
        if (rc == 0)
            rc = lv_recovery_apply(recovery, &change);
        lv_arena_reset(&arena);
    }
    lv_arena_fini(&arena);
    recovery->applied = world->metadata.applied;
    return rc;
}

int crash_world_open(struct crash_world *world, uint32_t shard_count, uint64_t seed,
                     struct lv_image_disk *image, const struct crash_metadata *metadata,
                     struct lv_diag *diag)
{
    struct lv_recovery *recovery = must(calloc(1, sizeof *recovery));
    int rc;

    *world = (struct crash_world){.image = image, .disk = lv_image_disk_view(image)};
    lv_random_seed(&world->random, seed);
    crash_metadata_copy(&world->metadata, metadata);
    for (uint32_t i = 0; i < shard_count; i++) {
        world->shards[i].world = world;
        world->shards[i].number = i;
    }
    lv_sim_init_with(&world->sim, shard_count, 1 + seed, configure, world);
    *recovery = (struct lv_recovery){.disk = world->disk,
                                     .shard_count = shard_count,
                                     .is_syncing = true,
                                     .changed = on_recovered,
                                     .ctx = world};
    for (uint32_t i = 0; i < shard_count; i++) {
        recovery->shards[i].broker = world->sim.shards[i].broker;
        recovery->shards[i].log = world->sim.shards[i].log;
        lv_logfiles_init(&world->shards[i].files, world->disk, i, true);
    }
    rc = load_metadata(world, recovery);
    if (rc == 0)
        rc = lv_recovery_run(recovery, diag);
    for (uint32_t i = 0; i < shard_count; i++) {
        world->shards[i].oldest = recovery->shards[i].oldest;
        world->ends[i] = recovery->shards[i].end;
        world->shards[i].synced = lv_log_synced_lsn(world->sim.shards[i].log);
    }
    free(recovery);
    if (rc < 0)
        crash_world_close(world);
    return rc;
}

/* What a spill has taken goes with it. */
static void free_spill(struct crash_shard *shard)
{
    struct lv_store *store = shard->world->sim.shards[shard->number].store;

    if (shard->spill_state == CRASH_SPILL_IDLE)
        return;
    for (uint64_t i = 0; i < shard->spill.ref_count; i++) {
        lv_store_unpin(shard->spill.refs[i].page);
        lv_store_release(store, shard->spill.refs[i].ref);
    }
    lv_free(shard->spill.refs);
    lv_free(shard->spill.entries);
}

/* Those who wait for the disk wait no more. */
static bool pretend(struct crash_world *world)
{
    struct lv_log_write write;
    bool any = false;

    assert(world->is_ending);
    for (uint32_t i = 0; i < world->sim.shard_count; i++) {
        struct lv_log *log = world->sim.shards[i].log;
        lv_log_seal(log);
        while (lv_log_next_write(log, &write))
            ;
        any |= lv_log_end(log) > lv_log_synced_lsn(log);
        lv_log_synced(log, lv_log_end(log));
        lv_broker_synced(world->sim.shards[i].broker, lv_log_synced_lsn(world->sim.shards[0].log));
    }
    return any;
}

void crash_world_close(struct crash_world *world)
{
    if (!world->is_ending)
        crash_world_end(world);
    do
        crash_world_settle(world);
    while (pretend(world) || lv_sim_step(&world->sim));
    for (uint32_t i = 0; i < world->sim.shard_count; i++) {
        lv_logfiles_fini(&world->shards[i].files);
        free_spill(&world->shards[i]);
        if (world->shards[i].merge_state != CRASH_MERGE_IDLE &&
            world->shards[i].merge_state != CRASH_MERGE_REMOVING)
            lv_merge_fini(&world->shards[i].merge);
        free(world->shards[i].jobs);
    }
    lv_sim_fini(&world->sim);
    free_changes(&world->pending);
    crash_metadata_fini(&world->metadata);
    lv_image_disk_free(world->image);
}
