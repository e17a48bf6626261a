#include "broker/cold.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/merge.h"

/* So little in `returned` is the sign to read ahead. */
#ifndef AHEAD_BELOW /* tests make it small */
#define AHEAD_BELOW 256u
#endif
/* Transient messages in a queue that are worth a segment. */
#ifndef SPILL_COUNT_MIN /* tests make it small */
#define SPILL_COUNT_MIN 256u
#endif

/* ---- runs ---- */

/* Made with the queue's first run. */
static struct lv_cold *cold_of(struct lv_queue *queue)
{
    assert(queue->broker->config.cold != NULL);
    if (queue->cold != NULL)
        return queue->cold;
    queue->cold = lv_calloc(1, sizeof *queue->cold);
    if (queue->cold == NULL)
        lv_broker_exhausted();
    lv_list_init(&queue->cold->getters);
    queue->cold->queue = queue;
    lv_list_push_back(&queue->broker->cold_queues, &queue->cold->link);
    return queue->cold;
}

/* A queue without anything in segments is as small as one that never had. */
static void free_cold(struct lv_queue *queue)
{
    struct lv_cold *cold = queue->cold;

    assert(lv_list_is_empty(&cold->getters));
    lv_merge_pass(queue->broker, cold);
    lv_link_remove(&cold->link);
    lv_free(cold->runs);
    lv_free(cold);
    queue->cold = NULL;
}

/* Behind all others. */
static struct lv_run *add_run(struct lv_cold *cold, struct lv_segment_use *segment, uint64_t seq)
{
    if (cold->count == cold->capacity) {
        uint32_t capacity = cold->capacity == 0 ? 4 : 2 * cold->capacity;
        struct lv_run *runs = lv_realloc(cold->runs, capacity * sizeof *runs);
        if (runs == NULL)
            lv_broker_exhausted();
        cold->runs = runs;
        cold->capacity = capacity;
    }
    assert(cold->count == 0 || seq > cold->runs[cold->count - 1].last);
    cold->runs[cold->count] = (struct lv_run){.segment = segment, .first = seq, .last = seq};
    return &cold->runs[cold->count++];
}

/* The segment gets one message more of the queue. */
static void add_to_run(struct lv_queue *queue, struct lv_segment_use *segment, uint64_t seq)
{
    struct lv_cold *cold = cold_of(queue);
    struct lv_run *run = cold->count == 0 ? NULL : &cold->runs[cold->count - 1];

    if (run == NULL || run->segment != segment)
        run = add_run(cold, segment, seq);
    if (seq < run->first)
        run->first = seq;
    if (seq > run->last)
        run->last = seq;
    run->live_count++;
    segment->live_count++;
    if (queue->kept != NULL)
        queue->kept->last_segment = segment->number;
}

/* The first run that has numbers at or above `seq`; count when none has. */
static uint32_t find_run(const struct lv_cold *cold, uint64_t seq)
{
    uint32_t low = 0, high = cold->count;

    assert(high <= cold->capacity);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cold->runs[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Nothing in it is wanted: it goes once that is on disk. */
static void bury(struct lv_broker *broker, struct lv_segment_use *segment)
{
    assert(segment->live_count == 0);
    segment->dead_lsn = lv_log_end(broker->config.log);
    segment->topology_lsn = broker->topology_lsn;
    lv_link_remove(&segment->link);
    lv_link_clear(&segment->sparse_link);
    lv_list_push_back(&broker->dead_segments, &segment->link);
}

/* Whenever something in it is settled, and when who was busy with it is done. */
void lv_cold_review(struct lv_broker *broker, struct lv_segment_use *segment)
{
    assert(lv_link_is_linked(&segment->link));
    if (segment->is_busy)
        return; /* and looked at again afterwards */
    if (segment->live_count == 0)
        bury(broker, segment);
    else
        lv_merge_note(broker, segment);
}

/* So many of the run are wanted no longer. */
static void let_go(struct lv_broker *broker, struct lv_run *run, uint64_t count)
{
    assert(run->live_count >= count);
    assert(run->segment->live_count >= count);
    run->live_count -= count;
    run->segment->live_count -= count;
    if (count > 0)
        lv_cold_review(broker, run->segment);
}

/* Runs with nothing left, from the front on and wherever they are, go. */
static void sweep(struct lv_queue *queue)
{
    struct lv_cold *cold = queue->cold;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < cold->count; i++)
        if (cold->runs[i].live_count > 0)
            cold->runs[kept++] = cold->runs[i];
    cold->count = kept;
    if (kept == 0 && cold->waiting_count == 0 && !cold->is_loading &&
        lv_list_is_empty(&cold->getters))
        free_cold(queue);
}

/* Also of messages in the window: that it has no run tells them apart. */
void lv_cold_settled(struct lv_queue *queue, uint64_t seq)
{
    struct lv_cold *cold = queue->cold;
    uint32_t at = find_run(cold, seq);

    assert(seq < queue->next_seq);
    if (at == cold->count || cold->runs[at].first > seq)
        return; /* in the window still */
    let_go(queue->broker, &cold->runs[at], 1);
    if (cold->runs[at].live_count == 0)
        sweep(queue);
}

/* What is being loaded for it will find no queue. */
void lv_cold_free(struct lv_queue *queue)
{
    struct lv_cold *cold = queue->cold;
    struct lv_link *link;

    assert(queue->deleting);
    if (cold == NULL)
        return;
    for (uint32_t i = 0; i < cold->count; i++)
        let_go(queue->broker, &cold->runs[i], cold->runs[i].live_count);
    while ((link = lv_list_pop_front(&cold->getters)) != NULL) /* answered that the queue is gone */
        lv_list_push_back(&queue->broker->local, link);
    free_cold(queue);
}

/* Before that a crash could bring back what the segment has and the log does not say is gone. */
void lv_cold_drop_dead(struct lv_broker *broker)
{
    assert(broker->config.log != NULL);
    LV_LIST_EACH(&broker->dead_segments, link)
    {
        struct lv_segment_use *segment = lv_container(link, struct lv_segment_use, link);
        if (segment->is_busy || segment->dead_lsn > lv_log_synced_lsn(broker->config.log) ||
            segment->topology_lsn > broker->topology_synced_lsn)
            continue;
        segment->is_busy = broker->config.cold->drop(broker->config.log_ctx, segment->number) >= 0;
    }
}

/* A file that stayed while the log forgets what was gone of it would bring all of that back. */
void lv_broker_dropped(struct lv_broker *broker, uint64_t number, bool is_gone)
{
    LV_LIST_EACH(&broker->dead_segments, link)
    {
        struct lv_segment_use *segment = lv_container(link, struct lv_segment_use, link);
        if (segment->number != number)
            continue;
        assert(segment->is_busy);
        segment->is_busy = false;
        if (is_gone) {
            lv_link_remove(link);
            lv_free(segment);
        }
        return;
    }
}

/* ---- loading ---- */

/* The number of the front, when it has to be loaded. False: it is in memory, or there is none. */
static bool is_away(const struct lv_queue *queue, uint64_t *ret_seq, bool *ret_one)
{
    assert(queue->cold != NULL);
    *ret_one = queue->returned_count > 0;
    if (queue->returned_count > 0) {
        *ret_seq = queue->returned[0].seq;
        return !lv_broker_is_warm(queue->broker, queue->returned[0].ref);
    }
    *ret_seq = queue->cold->next;
    return queue->cold->waiting_count > 0;
}

/* One question of a queue is under way at a time. */
static void load(struct lv_queue *queue, uint64_t seq, bool one)
{
    struct lv_broker *broker = queue->broker;
    struct lv_cold *cold = queue->cold;
    uint32_t at = find_run(cold, seq);

    assert(!cold->is_loading);
    assert(at < cold->count);
    if (seq < cold->runs[at].first)
        seq = cold->runs[at].first; /* what waits begins there */
    cold->is_loading = true;
    cold->is_front = one;
    cold->asked = seq;
    cold->asked_last = cold->runs[at].last;
    if (broker->config.cold->load(broker->config.log_ctx, queue->entry->id,
                                  cold->runs[at].segment->number, seq, one) < 0)
        lv_broker_exhausted();
}

/* Asked by whoever found that the front can't be seen. */
bool lv_cold_want(struct lv_queue *queue)
{
    uint64_t seq;
    bool one;

    assert(queue->entry != NULL);
    if (queue->cold == NULL || (!queue->cold->is_loading && !is_away(queue, &seq, &one)))
        return false;
    if (!queue->cold->is_loading)
        load(queue, seq, one);
    return true;
}

/* A queue that nobody consumes from keeps its backlog where it is. */
void lv_cold_read_ahead(struct lv_queue *queue)
{
    const struct lv_cold *cold = queue->cold;

    assert(queue->entry != NULL);
    if (cold != NULL && !cold->is_loading && cold->waiting_count > 0 && queue->consumer_count > 0 &&
        queue->returned_count < AHEAD_BELOW)
        load(queue, cold->next, false);
}

/* A copy in memory, as what the queue's holder has from now on. */
static struct lv_ref copy(struct lv_queue *queue, const struct lv_segment_entry *entry)
{
    struct lv_broker *broker = queue->broker;
    struct lv_ref ref;
    void *data;

    assert(entry->size > 0);
    if (lv_store_append(broker->config.store, entry->size, &ref, &data) < 0)
        lv_broker_exhausted();
    memcpy(data, entry->data, entry->size);
    if ((entry->flags & LV_SEGMENT_TRANSIENT) == 0)
        ref.flags |= LV_REF_COLD | LV_REF_KEPT;
    if ((entry->flags & LV_SEGMENT_REDELIVERED) != 0 ||
        (queue->kept != NULL && entry->seq < queue->kept->old))
        ref.flags |= LV_REF_REDELIVERED;
    return ref;
}

/* It is in memory now, but nobody has got it yet. */
static void note_fresh(struct lv_queue *queue, uint64_t seq)
{
    struct lv_kept *kept = queue->kept;

    assert(seq < queue->next_seq);
    if (kept == NULL)
        return;
    if (kept->fresh >= kept->fresh_end)
        kept->fresh = seq;
    kept->fresh_end = seq + 1;
}

/* So many wait no longer, as they can't be read: whoever tried has said so. */
static void lose(struct lv_queue *queue, uint64_t count)
{
    assert(queue->cold->waiting_count >= count);
    queue->cold->waiting_count -= count;
    queue->broker->stats.ready -= count;
}

/* The run has been read up to `next`: persistent messages that weren't shown stay in the segment,
 * which stays for them, and are tried again after a restart. */
static void pass(struct lv_queue *queue, struct lv_run *run, uint64_t next)
{
    struct lv_cold *cold = queue->cold;
    uint64_t from = cold->next > run->first ? cold->next : run->first;

    assert(next <= run->last + 1);
    if (from >= next)
        return;
    cold->next = next;
    if (queue->kept != NULL)
        lose(queue, next - from - lv_seqs_count(&queue->kept->gone, from, next - 1));
}

/* The next of those that wait, if that is what it is. */
static void take_entry(struct lv_queue *queue, struct lv_run *run,
                       const struct lv_segment_entry *entry, bool is_ours)
{
    struct lv_cold *cold = queue->cold;
    bool is_persistent = (entry->flags & LV_SEGMENT_TRANSIENT) == 0;

    if (cold->waiting_count == 0 || entry->seq < cold->next)
        return; /* one that was delivered and waits for its answer */
    if (is_persistent ? lv_seqs_has(&queue->kept->gone, entry->seq) : !is_ours)
        return; /* settled, or spilled by a broker that is no more */
    pass(queue, run, entry->seq);
    cold->waiting_count--;
    cold->next = entry->seq + 1;
    note_fresh(queue, entry->seq);
    queue->broker->stats.ready--; /* counted again as it comes back */
    lv_queue_return(queue, entry->seq, copy(queue, entry));
    if (!is_persistent) /* there is no restart that could bring it back */
        let_go(queue->broker, run, 1);
}

/* What was delivered of the first run stays; all behind it waited. */
static uint64_t waiting_in(const struct lv_cold *cold, uint32_t at)
{
    uint64_t behind = 0;

    assert(at < cold->count);
    for (uint32_t i = at + 1; i < cold->count; i++)
        behind += cold->runs[i].live_count;
    assert(cold->waiting_count >= behind);
    return cold->waiting_count - behind;
}

/* The front of what waits has been read up to `next`. */
static void take_run(struct lv_queue *queue, uint64_t segment,
                     const struct lv_segment_entry *entries, uint64_t count, uint64_t next)
{
    struct lv_cold *cold = queue->cold;
    uint32_t at = find_run(cold, cold->next);
    struct lv_run *run = &cold->runs[at];

    if (cold->waiting_count == 0)
        return; /* purged meanwhile; what has come since begins behind `asked_last` */
    assert(at < cold->count);
    for (uint64_t i = 0; i < count && entries[i].seq <= cold->asked_last; i++)
        take_entry(queue, run, &entries[i], segment >= queue->broker->config.first_segment);
    pass(queue, run, next <= cold->asked_last ? next : cold->asked_last + 1);
    if (cold->next > run->last) { /* of transient ones only their number is known */
        uint64_t left = waiting_in(cold, at);
        lose(queue, left);
        let_go(queue->broker, run, left);
    }
}

/* The front of what came back is there again, or lost. */
static void take_one(struct lv_queue *queue, const struct lv_segment_entry *entries, uint64_t count)
{
    struct lv_returned *first = queue->returned;
    uint64_t seq = queue->cold->asked;

    assert(queue->cold->is_front);
    if (queue->returned_count == 0 || first->seq != seq ||
        lv_broker_is_warm(queue->broker, first->ref))
        return; /* purged, or something older has come back meanwhile */
    if (count > 0 && entries->seq == seq) {
        uint32_t redelivered = first->ref.flags & LV_REF_REDELIVERED;
        first->ref = copy(queue, entries);
        first->ref.flags |= redelivered;
        return;
    }
    lv_queue_drop_first(queue);
}

/* The queue may have been purged meanwhile, or be gone: what comes is looked at anew. */
void lv_broker_loaded(struct lv_broker *broker, uint64_t queue_id, uint64_t segment,
                      const struct lv_segment_entry *entries, uint64_t count, uint64_t next)
{
    struct lv_queue_entry *entry = lv_broker_home(broker, queue_id);
    struct lv_queue *queue = entry == NULL ? NULL : entry->queue;
    struct lv_cold *cold = queue == NULL ? NULL : queue->cold;
    struct lv_link *link;

    if (cold == NULL)
        return; /* deleted or purged meanwhile */
    assert(cold->is_loading);
    cold->is_loading = false;
    if (cold->is_front)
        take_one(queue, entries, count);
    else
        take_run(queue, segment, entries, count, next);
    while ((link = lv_list_pop_front(&cold->getters)) != NULL)
        lv_list_push_back(&broker->local, link);
    lv_queue_touch(queue);
    sweep(queue);
    lv_broker_settle_local(broker);
}

/* ---- purging ---- */

/* Nothing is read for it: a range in the log says that all of a run is gone. */
uint64_t lv_cold_clear(struct lv_queue *queue)
{
    struct lv_cold *cold = queue->cold;
    uint64_t count, first;
    uint32_t at;

    if (cold == NULL || cold->waiting_count == 0)
        return 0;
    at = find_run(cold, cold->next);
    count = cold->waiting_count;
    first = waiting_in(cold, at);
    for (uint32_t i = at; i < cold->count; i++) {
        struct lv_run *run = &cold->runs[i];
        if (queue->kept != NULL)
            lv_kept_settle_range(queue, run->first > cold->next ? run->first : cold->next,
                                 run->last);
        let_go(queue->broker, run, i == at ? first : run->live_count);
    }
    cold->waiting_count = 0;
    queue->broker->stats.ready -= count;
    sweep(queue);
    return count;
}

/* ---- spilling ---- */

struct spilling {
    struct lv_broker *broker;
    struct lv_segment_use *segment;
    struct lv_spill *spill;
    uint64_t capacity;      /* of its entries */
    struct lv_list touched; /* of lv_queue.spill_link */
};

/* Twice as much room is made when there is none: what is spilled has left its queue already. */
static void add_entry(struct spilling *spilling, struct lv_queue *queue, uint64_t seq,
                      struct lv_bytes record, uint32_t flags)
{
    struct lv_spill *spill = spilling->spill;

    assert(spill->count <= spilling->capacity);
    if (spill->count == spilling->capacity) {
        uint64_t capacity = 2 * spilling->capacity;
        struct lv_segment_entry *entries = lv_realloc(spill->entries, capacity * sizeof *entries);
        if (entries == NULL)
            lv_broker_exhausted();
        spill->entries = entries;
        spilling->capacity = capacity;
    }
    spill->entries[spill->count++] = (struct lv_segment_entry){.queue_id = queue->entry->id,
                                                               .seq = seq,
                                                               .data = record.data,
                                                               .size = (uint32_t)record.size,
                                                               .flags = flags};
    spilling->segment->count++;
    spilling->segment->size += sizeof(struct lv_segment_entry) + record.size;
    add_to_run(queue, spilling->segment, seq);
}

/* All that lives of a log file goes, whether it waits, is out with a consumer or has come back. */
static void spill_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                         const uint8_t *payload)
{
    struct spilling *spilling = ctx;
    const struct lv_record_place *places = (const struct lv_record_place *)(const void *)payload;
    uint32_t places_size = head->count * (uint32_t)sizeof *places;
    struct lv_bytes record = lv_bytes(payload + places_size, head->size - places_size);

    (void)lsn;
    if (head->kind != LV_RECORD_MESSAGE)
        return;
    for (uint32_t i = 0; i < head->count; i++) {
        struct lv_queue_entry *entry = lv_broker_home(spilling->broker, places[i].queue_id);
        if (entry == NULL || entry->queue->kept == NULL ||
            lv_seqs_has(&entry->queue->kept->gone, places[i].seq))
            continue;
        add_entry(spilling, entry->queue, places[i].seq, record, 0);
        if (!lv_link_is_linked(&entry->queue->spill_link))
            lv_list_push_back(&spilling->touched, &entry->queue->spill_link);
    }
}

/* A transient message in memory goes along, so that the queue's order stays; its page stays where
 * it is until it is written. */
static void spill_transient(struct spilling *spilling, struct lv_queue *queue, uint64_t seq,
                            struct lv_ref ref)
{
    struct lv_store *store = spilling->broker->config.store;
    struct lv_spill *spill = spilling->spill;

    assert((ref.flags & LV_REF_LOGGED) == 0);
    if ((spill->ref_count & (spill->ref_count - 1)) == 0) { /* a power of two: twice as many */
        uint64_t capacity = spill->ref_count == 0 ? 1 : 2 * spill->ref_count;
        struct lv_spilled_ref *refs = lv_realloc(spill->refs, capacity * sizeof *refs);
        if (refs == NULL)
            lv_broker_exhausted();
        spill->refs = refs;
    }
    spill->refs[spill->ref_count++] =
        (struct lv_spilled_ref){.page = lv_store_pin(store, ref), .ref = ref};
    add_entry(spilling, queue, seq, lv_bytes(lv_store_view(store, ref), ref.size),
              LV_SEGMENT_TRANSIENT |
                  ((ref.flags & LV_REF_REDELIVERED) != 0 ? LV_SEGMENT_REDELIVERED : 0));
}

/* What waits at the deque's front, up to the last number that the segment has, waits there now. */
static void move_front(struct spilling *spilling, struct lv_queue *queue)
{
    struct lv_cold *cold = queue->cold;
    uint64_t last = cold->runs[cold->count - 1].last, seq;

    while (queue->ready.count > 0) {
        struct lv_ref ref = lv_refs_first(&queue->ready, &seq);
        if (seq > last)
            return;
        (void)lv_refs_pop(&queue->ready, &queue->broker->refs_pool);
        if ((ref.flags & LV_REF_LOGGED) == 0)
            spill_transient(spilling, queue, seq, ref);
        if (cold->waiting_count++ == 0)
            cold->next = seq;
    }
}

/* The segment that is to be. It is busy until it is written. */
static int begin_segment(struct spilling *spilling, uint64_t capacity)
{
    struct lv_spill *spill = spilling->spill;
    struct lv_segment_use *segment = lv_calloc(1, sizeof *segment);

    assert(capacity > 0);
    spill->entries = lv_alloc(capacity * sizeof *spill->entries);
    if (segment == NULL || spill->entries == NULL) {
        lv_free(segment);
        lv_free(spill->entries);
        return -LV_E_NOMEM;
    }
    spilling->capacity = capacity;
    segment->number = spill->number;
    segment->is_busy = true;
    lv_list_push_back(&spilling->broker->segments, &segment->link);
    spilling->segment = spill->segment = segment;
    return 0;
}

/* Of every queue that has something to lose, before its last records go. The state is newer than
 * all that is spilled: so it also says which numbers between were those of transient messages. */
static int log_states(struct lv_broker *broker, uint64_t end)
{
    uint64_t oldest = lv_broker_oldest_segment(broker);
    struct lv_queue_entry *entry;
    uint32_t cursor = 0;

    while ((entry = lv_map_next(&broker->homes, &cursor)) != NULL) {
        if (lv_kept_is_needed(entry->queue, oldest) && entry->queue->kept->state_lsn < end &&
            lv_kept_state(entry->queue) < 0)
            return -LV_E_NOMEM;
    }
    return 0;
}

/* The states come first: without memory for them nothing has happened yet. */
int lv_broker_spill(struct lv_broker *broker, uint64_t end, uint64_t number,
                    struct lv_spill *ret_spill)
{
    struct spilling spilling = {.broker = broker, .spill = ret_spill};
    uint64_t live = lv_log_held(broker->config.log, end);
    struct lv_link *link;

    *ret_spill = (struct lv_spill){.number = number, .end = end};
    if (log_states(broker, end) < 0)
        return -LV_E_NOMEM;
    ret_spill->log_end = lv_log_end(broker->config.log);
    ret_spill->topology_lsn = broker->topology_lsn;
    if (live == 0)
        return 0;
    if (begin_segment(&spilling, live) < 0)
        return -LV_E_NOMEM;
    lv_list_init(&spilling.touched);
    lv_log_each(broker->config.log, end, true, spill_record, &spilling);
    while ((link = lv_list_pop_front(&spilling.touched)) != NULL)
        move_front(&spilling, lv_container(link, struct lv_queue, spill_link));
    if (ret_spill->count == 0) { /* what was held are messages of queues that are gone */
        lv_link_remove(&spilling.segment->link);
        lv_free(spilling.segment);
        ret_spill->segment = NULL;
    }
    return 0;
}

/* Persistent messages older than all that wait will be spilled later: were newer ones in a segment
 * by then, runs would not be in the order of their segments. */
static bool has_older(const struct lv_queue *queue)
{
    return queue->kept != NULL && queue->kept->live_count > 0 &&
           (queue->unacked_count > 0 || queue->returned_count > 0);
}

/* Only transient messages at the front count: what is in the log takes no memory of its own. */
static struct lv_queue *longest(const struct lv_broker *broker)
{
    struct lv_queue *found = NULL;
    struct lv_queue_entry *entry;
    uint32_t cursor = 0;
    uint64_t most = SPILL_COUNT_MIN, seq;

    while ((entry = lv_map_next(&broker->homes, &cursor)) != NULL) {
        struct lv_queue *queue = entry->queue;
        if (queue->ready.count > most &&
            (lv_refs_first(&queue->ready, &seq).flags & LV_REF_LOGGED) == 0 && !has_older(queue)) {
            found = queue;
            most = queue->ready.count;
        }
    }
    return found;
}

/* What consumers are about to get stays: the front moves on while it is being written. */
static void move_transient(struct spilling *spilling, struct lv_queue *queue, uint64_t max_size)
{
    uint64_t size = 0, seq;

    while (queue->ready.count > 0 && size < max_size) {
        struct lv_ref ref = lv_refs_first(&queue->ready, &seq);
        struct lv_cold *cold;

        if ((ref.flags & LV_REF_LOGGED) != 0)
            return;
        (void)lv_refs_pop(&queue->ready, &queue->broker->refs_pool);
        spill_transient(spilling, queue, seq, ref);
        cold = queue->cold;
        if (cold->waiting_count++ == 0)
            cold->next = seq;
        size += ref.size;
    }
}

/* Only what no restart brings back, so the log needs to hear nothing. */
int lv_broker_spill_longest(struct lv_broker *broker, uint64_t number, uint64_t max_size,
                            struct lv_spill *ret_spill)
{
    struct spilling spilling = {.broker = broker, .spill = ret_spill};
    struct lv_queue *queue = longest(broker);

    *ret_spill = (struct lv_spill){.number = number};
    if (queue == NULL)
        return 0;
    if (begin_segment(&spilling, SPILL_COUNT_MIN) < 0)
        return -LV_E_NOMEM;
    move_transient(&spilling, queue, max_size);
    return 0;
}

bool lv_broker_spill_is_due(const struct lv_broker *broker, const struct lv_spill *spill)
{
    return lv_log_synced_lsn(broker->config.log) >= spill->log_end &&
           broker->topology_synced_lsn >= spill->topology_lsn;
}

/* From here on the log's files below `end` may be used again. */
void lv_broker_spilled(struct lv_broker *broker, struct lv_spill *spill)
{
    assert(lv_log_synced_lsn(broker->config.log) >= spill->log_end);
    for (uint64_t i = 0; i < spill->ref_count; i++) {
        lv_store_unpin(spill->refs[i].page);
        lv_store_release(broker->config.store, spill->refs[i].ref);
    }
    lv_free(spill->refs);
    lv_free(spill->entries);
    if (spill->segment != NULL) {
        spill->segment->is_busy = false;
        lv_cold_review(broker, spill->segment);
    }
    lv_log_forget(broker->config.log, spill->end);
}

/* ---- start-up ---- */

/* The last one, while they are restored in their order. */
static struct lv_segment_use *last_segment(const struct lv_broker *broker, uint64_t number)
{
    struct lv_segment_use *segment;

    if (lv_list_is_empty(&broker->segments))
        return NULL;
    segment = lv_container(broker->segments.head.prev, struct lv_segment_use, link);
    return segment->number == number ? segment : NULL;
}

/* Runs of one segment come together. */
static struct lv_segment_use *segment_use(struct lv_broker *broker, uint64_t number)
{
    struct lv_segment_use *segment = last_segment(broker, number);

    if (segment != NULL)
        return segment;
    segment = lv_calloc(1, sizeof *segment);
    if (segment == NULL)
        return NULL;
    segment->number = number;
    lv_list_push_back(&broker->segments, &segment->link);
    return segment;
}

/* Whatever is in the run and not gone waits; who had got it before is known by `old`. */
int lv_broker_restore_run(struct lv_broker *broker, uint64_t number,
                          const struct lv_segment_run *run)
{
    struct lv_queue_entry *entry = lv_broker_home(broker, run->queue_id);
    struct lv_queue *queue = entry == NULL ? NULL : entry->queue;
    struct lv_segment_use *segment;
    struct lv_run *added;
    uint64_t live;

    if (run->first_seq > run->last_seq || run->last_seq >= LV_SEQ_MAX)
        return -LV_E_CORRUPT;
    if (queue == NULL || !lv_queue_is_keeping(queue))
        return 0;
    if (queue->cold != NULL && run->first_seq <= queue->cold->runs[queue->cold->count - 1].last)
        return -LV_E_CORRUPT;
    if (lv_queue_kept(queue) == NULL)
        return -LV_E_NOMEM;
    if (lv_kept_follow(queue, run->first_seq, run->last_seq) < 0)
        return -LV_E_NOMEM;
    queue->kept->last_segment = number;
    live = run->last_seq - run->first_seq + 1 -
           lv_seqs_count(&queue->kept->gone, run->first_seq, run->last_seq);
    if (run->last_seq >= queue->next_seq)
        queue->next_seq = run->last_seq + 1;
    if (live == 0)
        return 0;
    segment = segment_use(broker, number);
    if (segment == NULL)
        return -LV_E_NOMEM;
    added = add_run(cold_of(queue), segment, run->first_seq);
    added->last = run->last_seq;
    added->live_count = live;
    segment->live_count += live;
    queue->cold->next = queue->cold->runs[0].first;
    queue->cold->waiting_count += live;
    queue->kept->live_count += live;
    broker->stats.ready += live;
    return 0;
}

/* Right behind its runs. */
bool lv_broker_uses_segment(const struct lv_broker *broker, uint64_t number)
{
    assert(number > 0);
    return last_segment(broker, number) != NULL;
}

/* Its size tells later whether it is worth merging. */
void lv_broker_restored_segment(struct lv_broker *broker, uint64_t number, uint64_t count,
                                uint64_t size)
{
    struct lv_segment_use *segment = last_segment(broker, number);

    assert(segment != NULL);
    segment->count = count;
    segment->size = size;
    lv_cold_review(broker, segment);
}
