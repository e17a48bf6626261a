#include "server/merger.h"

#include "base/alloc.h"
#include "base/event.h"
#include "io/machine.h"
#include "server/durable.h"
#include "server/shard.h"

/* After a segment has become sparse: time to become empty. */
#define LOOK_NS LV_NS_PER_S
/* After the disk was full. */
#define AGAIN_NS (5 * LV_NS_PER_S)

static struct lv_shard *shard_of(const struct lv_merger *merger)
{
    return merger->durable->shard;
}

static void look_in(struct lv_merger *merger, uint64_t delay)
{
    struct lv_shard *shard = shard_of(merger);

    lv_deadline_set(&shard->deadlines, &merger->look, shard->now + delay);
}

/* ---- writing: the helper's ---- */

static void close_sources(struct lv_segment **sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        lv_segment_close(sources[i]);
}

/* A source that can't be opened is left alone like one that is damaged. Which others a source stood
 * for doesn't matter: they have been removed for good, or its merge failed and they are in use. */
static int open_sources(struct lv_merger *merger, struct lv_segment **sources,
                        struct lv_segment_info *info)
{
    const struct lv_merge *merge = &merger->merge;
    struct lv_disk *disk = shard_of(merger)->shared->disk;

    assert(merge->source_count <= LV_MERGE_SOURCES_MAX);
    for (uint32_t i = 0; i < merge->source_count; i++) {
        const struct lv_segment_info *source;
        int rc = lv_segment_open(disk, info->shard, merge->numbers[i], &sources[i], &merger->diag);
        if (rc < 0) {
            close_sources(sources, i);
            merger->merging.damaged = i;
            return rc == -LV_E_NOMEM ? rc : -LV_E_CORRUPT;
        }
        source = lv_segment_info(sources[i]);
        if (source->covers > info->covers)
            info->covers = source->covers;
    }
    return 0;
}

static void write(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, job);
    struct lv_merge *merge = &merger->merge;
    struct lv_segment *sources[LV_MERGE_SOURCES_MAX];
    struct lv_segment_info info = {
        .shard = shard_of(merger)->number,
        .number = merge->numbers[merge->source_count - 1],
        .first_number = merge->numbers[0],
        .seed = lv_machine_random(),
    };

    assert(merge->source_count > 0);
    merger->error = open_sources(merger, sources, &info);
    if (merger->error < 0)
        return;
    lv_merge_prepare(merge);
    merger->merging = (struct lv_segment_merging){
        .sources = sources,
        .source_count = merge->source_count,
        .wanted = lv_merge_wanted,
        .ctx = merge,
    };
    merger->error =
        lv_segment_merge(shard_of(merger)->shared->disk, &info, &merger->merging, &merger->diag);
    close_sources(sources, merge->source_count);
}

/* ---- afterwards ---- */

/* On the spiller's helper, so that it is between what was loaded before and what will be. */
static void remove_sources(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, removal);
    struct lv_disk *disk = shard_of(merger)->shared->disk;
    char name[LV_DISK_NAME_SIZE];
    int error = 0;

    assert(merger->number_count < LV_MERGE_SOURCES_MAX); /* the last one is the new one's number */
    for (uint32_t i = 0; i < merger->number_count; i++) {
        int rc;
        lv_spiller_close_segment(&merger->durable->spiller, merger->numbers[i]);
        lv_segment_name(shard_of(merger)->number, merger->numbers[i], name);
        rc = disk->ops->remove(disk, name);
        if (rc < 0 && rc != -LV_E_NOT_FOUND)
            error = rc;
    }
    /* They go for good before the new one may, which says that they are no more. */
    merger->error = error < 0 ? error : disk->ops->sync_directory(disk);
}

static void removed(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, removal);

    assert(merger->state == LV_MERGER_REMOVING);
    if (merger->error == -LV_E_FULL) { /* some file systems want room to remove a file */
        merger->is_refused = true;
        look_in(merger, AGAIN_NS);
        return;
    }
    merger->state = LV_MERGER_IDLE;
    look_in(merger, lv_merge_is_behind(shard_of(merger)->broker) ? 0 : LOOK_NS);
    if (merger->error < 0)
        lv_durable_fail(merger->durable, merger->error, "merged segments can't be removed");
}

static void start_removing(struct lv_merger *merger)
{
    merger->state = LV_MERGER_REMOVING;
    merger->is_refused = false;
    merger->removal.run = remove_sources;
    merger->removal.done = removed;
    lv_helper_run(&merger->durable->helper, &merger->removal);
}

static void close_target(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, removal);

    lv_spiller_close_segment(&merger->durable->spiller, merger->numbers[merger->number_count]);
}

static void end(struct lv_merger *merger, enum lv_merge_result result, uint64_t delay)
{
    assert(merger->state != LV_MERGER_IDLE);
    assert(merger->state != LV_MERGER_REMOVING); /* the broker knows no more of it then */
    lv_merge_end(shard_of(merger)->broker, &merger->merge, result, &merger->merging);
    merger->state = LV_MERGER_IDLE;
    look_in(merger, delay);
}

/* Some queues more. */
static void switch_some(struct lv_merger *merger)
{
    struct lv_durable *durable = merger->durable;

    assert(merger->state == LV_MERGER_SWITCHING);
    if (!lv_merge_switch(durable->shard->broker, &merger->merge)) {
        look_in(merger, 0);
        return;
    }
    lv_event(LV_DEBUG, "store.merged", LV_U("shard", durable->shard->number),
             LV_U("segments", merger->merge.source_count), LV_U("messages", merger->merging.count),
             LV_U("bytes", merger->merging.size));
    end(merger, LV_MERGE_DONE, LOOK_NS);
    start_removing(merger);
}

/* The target's file is another one now. */
static void closed(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, removal);

    assert(merger->state == LV_MERGER_WRITING);
    if (!merger->is_started)
        return; /* the shard has ended: its next start finds the new segment */
    merger->state = LV_MERGER_SWITCHING;
    switch_some(merger);
}

static void written(struct lv_job *job)
{
    struct lv_merger *merger = lv_container(job, struct lv_merger, job);

    assert(merger->state == LV_MERGER_WRITING);
    if (merger->error == 0 && merger->merging.count == 0) {
        end(merger, LV_MERGE_EMPTY, LOOK_NS);
    } else if (merger->error == 0) {
        merger->removal.run = close_target;
        merger->removal.done = closed;
        lv_helper_run(&merger->durable->helper, &merger->removal);
    } else if (merger->error == -LV_E_CORRUPT) {
        lv_event(LV_ERROR, "store.damaged", LV_S("why", merger->diag.text));
        end(merger, LV_MERGE_DAMAGED, LOOK_NS);
    } else if (merger->error == -LV_E_FULL || merger->error == -LV_E_NOMEM) {
        end(merger, LV_MERGE_FAILED, AGAIN_NS);
    } else {
        end(merger, LV_MERGE_FAILED, AGAIN_NS);
        lv_durable_fail(merger->durable, merger->error, merger->diag.text);
    }
}

/* ---- before ---- */

static void wake(void *ctx)
{
    const struct lv_shard *shard = ctx;

    lv_mesh_wake(shard->shared->mesh, shard->number);
}

/* Its thread begins with its first work: most brokers have none for it. */
static int start(struct lv_merger *merger)
{
    char name[16];
    int rc = 0;

    if (merger->is_started)
        return 0;
    snprintf(name, sizeof name, "merge %u", shard_of(merger)->number);
    rc = lv_helper_start(&merger->helper, name, wake, shard_of(merger));
    merger->is_started = rc == 0;
    return rc;
}

static void hand_over(struct lv_merger *merger)
{
    const struct lv_merge *merge = &merger->merge;

    assert(merger->state == LV_MERGER_WAITING);
    assert(merge->source_count > 0);
    if (start(merger) < 0) {
        end(merger, LV_MERGE_FAILED, AGAIN_NS);
        return;
    }
    merger->number_count = merge->source_count - 1;
    memcpy(merger->numbers, merge->numbers, merge->source_count * sizeof *merge->numbers);
    merger->state = LV_MERGER_WRITING;
    lv_helper_run(&merger->helper, &merger->job);
}

static void collect_some(struct lv_merger *merger)
{
    int rc = lv_merge_collect(shard_of(merger)->broker, &merger->merge);

    assert(merger->state == LV_MERGER_COLLECTING);
    if (rc < 0)
        end(merger, LV_MERGE_FAILED, AGAIN_NS);
    else if (rc == 0)
        look_in(merger, 0);
    else
        merger->state = LV_MERGER_WAITING;
}

static void on_look(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_merger *merger = lv_container(deadline, struct lv_merger, look);

    (void)now;
    if (merger->state == LV_MERGER_IDLE && lv_merge_begin(shard_of(merger)->broker, &merger->merge))
        merger->state = LV_MERGER_COLLECTING;
    if (merger->state == LV_MERGER_COLLECTING)
        collect_some(merger);
    else if (merger->state == LV_MERGER_SWITCHING)
        switch_some(merger);
    else if (merger->state == LV_MERGER_REMOVING && merger->is_refused)
        start_removing(merger);
}

void lv_merger_turn(struct lv_merger *merger)
{
    const struct lv_broker *broker = shard_of(merger)->broker;

    if (merger->is_started)
        lv_helper_take(&merger->helper);
    if (LV_UNLIKELY(merger->state == LV_MERGER_WAITING) && lv_merge_is_due(broker, &merger->merge))
        hand_over(merger);
    if (LV_UNLIKELY(lv_merge_is_worth_a_look(broker)) && merger->state == LV_MERGER_IDLE &&
        !merger->look.armed)
        look_in(merger, LOOK_NS);
}

/* ---- making and ending ---- */

void lv_merger_init(struct lv_merger *merger, struct lv_durable *durable)
{
    *merger = (struct lv_merger){.durable = durable};
    merger->job.run = write;
    merger->job.done = written;
    lv_deadline_init(&merger->look, on_look);
}

void lv_merger_stop(struct lv_merger *merger)
{
    if (merger->is_started)
        lv_helper_stop(&merger->helper);
    merger->is_started = false;
}

void lv_merger_fini(struct lv_merger *merger)
{
    assert(!merger->is_started);
    lv_merge_fini(&merger->merge);
}
