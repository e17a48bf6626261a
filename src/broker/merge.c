#include "broker/merge.h"

#include "base/alloc.h"
#include "broker/core.h"

#include <stdlib.h>

/* What one merge writes at most, if it is more than one segment: the helper is busy for so long,
 * and so much room is needed for a while. */
#ifndef LIVE_COUNT_MAX /* tests make these small */
#define LIVE_COUNT_MAX ((uint64_t)64 * 1024)
#define LIVE_SIZE_MAX  (32u << 20)
/* A segment that is smaller than this is merged although all of it may be live. */
#define SMALL_SIZE (1u << 20)
/* It is worth it for so many bytes, or for so many files. */
#define DEAD_SIZE_MIN (1u << 20)
#define FILES_MIN     8u
/* Steps of the shard in one go. */
#define QUEUES_MAX 1024u
#define RANGES_MAX 8192u
#endif

/* ---- which segments ---- */

/* Messages of a segment are taken to be of one size. */
static uint64_t live_size(const struct lv_segment_use *segment)
{
    uint64_t live = segment->live_count;

    if (segment->count <= live) /* after a restart some may be counted that aren't there */
        return segment->size;
    return segment->size / segment->count * live;
}

static bool is_mergeable(const struct lv_segment_use *segment)
{
    assert(segment->number > 0);
    return !segment->is_busy && !segment->is_fixed &&
           (segment->live_count < segment->count / 3 || segment->size < SMALL_SIZE);
}

void lv_merge_note(struct lv_broker *broker, struct lv_segment_use *segment)
{
    if (!lv_link_is_linked(&segment->sparse_link) && is_mergeable(segment))
        lv_list_push_back(&broker->sparse_segments, &segment->sparse_link);
}

bool lv_merge_is_worth_a_look(const struct lv_broker *broker)
{
    return !lv_list_is_empty(&broker->sparse_segments);
}

bool lv_merge_is_behind(const struct lv_broker *broker)
{
    uint32_t count = 0;

    LV_LIST_EACH(&broker->sparse_segments, link)
    {
        if (++count == FILES_MIN)
            return true;
    }
    return false;
}

/* Transient messages in a segment of before the restart are gone, those in one of after it may not
 * be: after a merge nobody could tell. */
static bool is_ours(const struct lv_broker *broker, const struct lv_segment_use *segment)
{
    return segment->number >= broker->config.first_segment;
}

/* A row of neighbours. */
struct row {
    struct lv_link *first, *last; /* in lv_broker.segments */
    uint64_t live_count, live_size, size;
    uint32_t count;
};

static bool extend(const struct lv_broker *broker, struct row *row, struct lv_link *link,
                   bool wants_ours)
{
    const struct lv_segment_use *segment;

    if (link == &broker->segments.head || row->count == LV_MERGE_SOURCES_MAX)
        return false;
    segment = lv_container(link, struct lv_segment_use, link);
    if (!is_mergeable(segment) || is_ours(broker, segment) != wants_ours)
        return false;
    if (row->count > 0 && (row->live_count + segment->live_count > LIVE_COUNT_MAX ||
                           row->live_size + live_size(segment) > LIVE_SIZE_MAX))
        return false;
    row->live_count += segment->live_count;
    row->live_size += live_size(segment);
    row->size += segment->size;
    row->count++;
    return true;
}

/* The row around the segment. */
static struct row row_around(const struct lv_broker *broker, struct lv_segment_use *segment)
{
    bool wants_ours = is_ours(broker, segment);
    struct row row = {.first = &segment->link, .last = &segment->link};

    if (!extend(broker, &row, row.first, wants_ours))
        return row;
    while (extend(broker, &row, row.first->prev, wants_ours))
        row.first = row.first->prev;
    while (extend(broker, &row, row.last->next, wants_ours))
        row.last = row.last->next;
    return row;
}

static bool is_worth_it(const struct row *row)
{
    assert(row->size >= row->live_size);
    return row->count >= FILES_MIN ||
           (row->count > 0 && row->size - row->live_size >= DEAD_SIZE_MIN);
}

static void take_row(struct lv_broker *broker, struct lv_merge *merge, const struct row *row)
{
    struct lv_link *link = row->first;

    *merge = (struct lv_merge){.source_count = row->count};
    for (uint32_t i = 0; i < row->count; i++, link = link->next) {
        struct lv_segment_use *segment = lv_container(link, struct lv_segment_use, link);
        assert(i == 0 || merge->numbers[i - 1] < segment->number);
        segment->is_busy = true;
        lv_link_clear(&segment->sparse_link);
        merge->sources[i] = segment;
        merge->numbers[i] = segment->number;
    }
    merge->is_ours = is_ours(broker, merge->sources[0]);
    broker->merge_cursor = broker->cold_queues.head.next;
}

bool lv_merge_begin(struct lv_broker *broker, struct lv_merge *merge)
{
    struct lv_link *link;

    assert(broker->merge_cursor == NULL);
    while ((link = lv_list_pop_front(&broker->sparse_segments)) != NULL) {
        struct lv_segment_use *segment = lv_container(link, struct lv_segment_use, sparse_link);
        struct row row = row_around(broker, segment);
        if (is_worth_it(&row)) {
            take_row(broker, merge, &row);
            return true;
        }
    }
    return false;
}

/* ---- what is left in them ---- */

/* The queue's runs in the sources: [first, end). */
static void find_runs(const struct lv_merge *merge, const struct lv_cold *cold, uint32_t *ret_first,
                      uint32_t *ret_end)
{
    uint32_t low = 0, high = cold->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cold->runs[middle].segment->number < merge->numbers[0])
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    while (low < cold->count &&
           cold->runs[low].segment->number <= merge->numbers[merge->source_count - 1])
        low++;
    *ret_end = low;
}

/* Room for one more. */
static int reserve(void **items, uint32_t count, uint32_t *capacity, size_t size)
{
    uint32_t more = *capacity == 0 ? 64 : 2 * *capacity;
    void *grown;

    assert(count <= *capacity);
    if (count < *capacity)
        return 0;
    grown = lv_realloc(*items, more * size);
    if (grown == NULL)
        return -LV_E_NOMEM;
    *items = grown;
    *capacity = more;
    return 0;
}

static int add_range(struct lv_merge *merge, uint64_t from, uint64_t to)
{
    void *ranges = merge->ranges;
    int rc = reserve(&ranges, merge->range_count, &merge->range_capacity, sizeof *merge->ranges);

    assert(from <= to);
    merge->ranges = ranges;
    if (rc == 0)
        merge->ranges[merge->range_count++] = (struct lv_merge_range){from, to};
    return rc;
}

/* The numbers from `from` to `to` that are not gone. */
static int add_live(struct lv_merge *merge, const struct lv_seqs *gone, uint64_t from, uint64_t to)
{
    uint64_t first, last;
    int rc = 0;

    if (from < gone->low)
        from = gone->low;
    while (rc == 0 && from <= to && lv_seqs_next(gone, from, &first, &last) && first <= to) {
        if (first > from)
            rc = add_range(merge, from, first - 1);
        from = last + 1;
    }
    return rc == 0 && from <= to ? add_range(merge, from, to) : rc;
}

/* What is said of the queue is needed for as long as the segment is there that it will be in. */
static void note_segment(struct lv_queue *queue, const struct lv_merge *merge)
{
    uint64_t number = merge->numbers[merge->source_count - 1];

    if (queue->kept != NULL && queue->kept->last_segment < number)
        queue->kept->last_segment = number;
}

static int collect(struct lv_merge *merge, const struct lv_cold *cold)
{
    struct lv_queue *queue = cold->queue;
    struct lv_merge_queue noted = {.queue_id = queue->entry->id, .range = merge->range_count};
    void *queues = merge->queues;
    uint32_t first, end;
    int rc;

    find_runs(merge, cold, &first, &end);
    if (first == end)
        return 0;
    rc = reserve(&queues, merge->queue_count, &merge->queue_capacity, sizeof *merge->queues);
    merge->queues = queues;
    if (rc == 0 && queue->kept != NULL)
        rc = add_live(merge, &queue->kept->gone, cold->runs[first].first, cold->runs[end - 1].last);
    noted.count = merge->range_count - noted.range;
    /* A source that has transient messages only was written without a word in the log. In one run
     * with others a restart would take their numbers for messages. */
    if (rc == 0 && merge->is_ours && noted.count > 0)
        rc = lv_kept_state(queue);
    noted.waiting = merge->is_ours && cold->waiting_count > 0 ? cold->next : UINT64_MAX;
    if (rc == 0)
        merge->queues[merge->queue_count++] = noted;
    note_segment(queue, merge);
    return rc;
}

int lv_merge_collect(struct lv_broker *broker, struct lv_merge *merge)
{
    uint32_t ranges = merge->range_count;
    struct lv_link *link;

    assert(broker->merge_cursor != NULL);
    for (uint32_t i = 0; i < QUEUES_MAX && merge->range_count - ranges < RANGES_MAX; i++) {
        link = broker->merge_cursor;
        if (link == &broker->cold_queues.head) {
            broker->merge_cursor = NULL;
            merge->log_end = lv_log_end(broker->config.log);
            merge->topology_lsn = broker->topology_lsn;
            return 1;
        }
        if (collect(merge, lv_container(link, struct lv_cold, link)) < 0) {
            broker->merge_cursor = NULL;
            return -LV_E_NOMEM;
        }
        broker->merge_cursor = link->next;
    }
    return 0;
}

void lv_merge_pass(struct lv_broker *broker, const struct lv_cold *cold)
{
    if (broker->merge_cursor == &cold->link)
        broker->merge_cursor = cold->link.next;
}

/* After a restart all numbers that aren't gone are taken to be there. */
bool lv_merge_is_due(const struct lv_broker *broker, const struct lv_merge *merge)
{
    assert(merge->log_end > 0);
    return lv_log_synced_lsn(broker->config.log) >= merge->log_end &&
           broker->topology_synced_lsn >= merge->topology_lsn;
}

/* ---- the helper's ---- */

static int compare(const void *a, const void *b)
{
    const struct lv_merge_queue *x = a, *y = b;

    return x->queue_id < y->queue_id ? -1 : x->queue_id > y->queue_id;
}

void lv_merge_prepare(struct lv_merge *merge)
{
    if (merge->queue_count > 1)
        qsort(merge->queues, merge->queue_count, sizeof *merge->queues, compare);
}

static const struct lv_merge_queue *find_queue(const struct lv_merge *merge, uint64_t queue_id)
{
    uint32_t low = 0, high = merge->queue_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (merge->queues[middle].queue_id == queue_id)
            return &merge->queues[middle];
        if (merge->queues[middle].queue_id < queue_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* A transient message is read once and is in memory then. */
bool lv_merge_wanted(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags)
{
    const struct lv_merge *merge = ctx;
    const struct lv_merge_queue *queue = find_queue(merge, queue_id);
    uint32_t low = 0, high;

    if (queue == NULL)
        return false;
    if ((flags & LV_SEGMENT_TRANSIENT) != 0)
        return seq >= queue->waiting;
    high = queue->count;
    while (low < high) { /* the first range that doesn't end below */
        uint32_t middle = low + (high - low) / 2;
        if (merge->ranges[queue->range + middle].to < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < queue->count && merge->ranges[queue->range + low].from <= seq;
}

/* ---- afterwards ---- */

/* The runs become one, with what the queue has in them now. */
static void switch_queue(struct lv_cold *cold, struct lv_merge *merge)
{
    struct lv_segment_use *target = merge->sources[merge->source_count - 1];
    uint32_t first, end;
    struct lv_run *run;

    find_runs(merge, cold, &first, &end);
    if (first == end)
        return;
    run = &cold->runs[first];
    for (uint32_t i = first; i < end; i++) {
        assert(cold->runs[i].segment->is_busy);
        cold->runs[i].segment->live_count -= cold->runs[i].live_count;
        target->live_count += cold->runs[i].live_count;
        if (i > first)
            run->live_count += cold->runs[i].live_count;
    }
    run->segment = target;
    run->last = cold->runs[end - 1].last;
    memmove(run + 1, cold->runs + end, (cold->count - end) * sizeof *run);
    cold->count -= end - first - 1;
}

bool lv_merge_switch(struct lv_broker *broker, struct lv_merge *merge)
{
    for (uint32_t i = 0; i < QUEUES_MAX; i++) {
        struct lv_queue_entry *entry;

        if (merge->switched == merge->queue_count)
            return true;
        entry = lv_broker_home(broker, merge->queues[merge->switched++].queue_id);
        if (entry != NULL && entry->queue->cold != NULL)
            switch_queue(entry->queue->cold, merge);
    }
    return false;
}

static void end_source(struct lv_broker *broker, struct lv_segment_use *source)
{
    source->is_busy = false;
    lv_cold_review(broker, source);
}

void lv_merge_end(struct lv_broker *broker, struct lv_merge *merge, enum lv_merge_result result,
                  const struct lv_segment_merging *merging)
{
    uint32_t kept = result == LV_MERGE_DONE ? merge->source_count - 1 : 0;
    struct lv_segment_use *target = merge->sources[merge->source_count - 1];

    assert(merge->source_count > 0);
    broker->merge_cursor = NULL;
    for (uint32_t i = 0; i < kept; i++) {
        assert(merge->sources[i]->live_count == 0);
        lv_link_remove(&merge->sources[i]->link);
        lv_free(merge->sources[i]);
    }
    if (result == LV_MERGE_DAMAGED)
        merge->sources[merging->damaged]->is_fixed = true;
    if (result == LV_MERGE_DONE) {
        target->count = merging->count;
        target->size = merging->size;
    }
    for (uint32_t i = kept; i < merge->source_count; i++) {
        merge->sources[i]->is_fixed |= result == LV_MERGE_EMPTY;
        end_source(broker, merge->sources[i]);
    }
    lv_merge_fini(merge);
}

void lv_merge_fini(struct lv_merge *merge)
{
    lv_free(merge->queues);
    lv_free(merge->ranges);
    *merge = (struct lv_merge){.source_count = 0};
}
