#include "broker/kept.h"

#include "base/alloc.h"
#include "broker/core.h"

/* Ranges in one record at most: more go into another. */
#ifndef STATE_RANGES_MAX /* tests make it small */
#define STATE_RANGES_MAX 4096u
#endif
/* Where so many numbers on end are cheaper to say by a bit each than by ranges, they are: so a
 * state takes little more than a bit for each number, however they were settled. */
#ifndef STATE_PIECE
#define STATE_PIECE 4096u
#endif
/* Bits in one record at most, 64 in a word. */
#ifndef STATE_WORDS_MAX
#define STATE_WORDS_MAX 4096u
#endif

/* A transient queue is gone with its messages at a restart, so nothing of it is logged. */
bool lv_queue_is_keeping(const struct lv_queue *queue)
{
    assert(queue->entry != NULL);
    return queue->entry->durable && queue->broker->config.log != NULL;
}

/* All numbers so far were of transient messages: gone, as far as the log is concerned. */
struct lv_kept *lv_queue_kept(struct lv_queue *queue)
{
    assert(lv_queue_is_keeping(queue));
    if (LV_LIKELY(queue->kept != NULL))
        return queue->kept;
    queue->kept = lv_calloc(1, sizeof *queue->kept);
    if (queue->kept == NULL)
        return NULL;
    lv_seqs_init(&queue->kept->gone, queue->next_seq);
    return queue->kept;
}

/* Nothing is logged: that the queue is gone says it all. */
void lv_kept_free(struct lv_kept *kept)
{
    if (kept == NULL)
        return;
    lv_seqs_fini(&kept->gone);
    lv_free(kept);
}

/* ---- messages in ---- */

/* Everything that can fail, so that what follows can't. */
static int reserve(struct lv_broker *broker, struct lv_queue_entry *const *entries, uint32_t count,
                   uint32_t *ret_keeping)
{
    uint32_t keeping = 0;

    assert(count > 0);
    assert(count <= LV_KEEP_MAX);
    for (uint32_t i = 0; i < count; i++) {
        int rc = lv_refs_reserve(&entries[i]->queue->ready, &broker->refs_pool,
                                 entries[i]->queue->next_seq);
        if (rc < 0)
            return rc;
        if (!lv_queue_is_keeping(entries[i]->queue))
            continue;
        if (lv_queue_kept(entries[i]->queue) == NULL)
            return -LV_E_NOMEM;
        keeping++;
    }
    *ret_keeping = keeping;
    return 0;
}

/* The room in the log, with the places filled in: where the record goes, NULL without memory. */
static void *append(struct lv_broker *broker, struct lv_queue_entry *const *entries, uint32_t count,
                    uint32_t keeping, uint32_t size, struct lv_ref *ret_ref)
{
    uint64_t places_size = keeping * sizeof(struct lv_record_place);
    struct lv_record_place *place;
    uint64_t lsn;
    void *payload;

    assert(keeping <= UINT16_MAX);
    if (lv_log_append(broker->config.log, LV_RECORD_MESSAGE, (uint16_t)keeping, places_size + size,
                      &lsn, &payload) < 0)
        return NULL;
    place = payload;
    for (uint32_t i = 0; i < count; i++)
        if (lv_queue_is_keeping(entries[i]->queue)) {
            place->queue_id = entries[i]->id;
            place->seq = entries[i]->queue->next_seq;
            place++;
        }
    *ret_ref = (struct lv_ref){.lsn = lsn + places_size, .size = size, .flags = LV_REF_LOGGED};
    return place;
}

/* The queues that keep nothing share a copy in memory. */
static int append_copy(struct lv_broker *broker, uint32_t holders, uint32_t size,
                       struct lv_ref *ret_ref, void **ret_copy)
{
    int rc = lv_store_append(broker->config.store, size, ret_ref, ret_copy);

    assert(holders > 0);
    if (rc == 0 && holders > 1)
        lv_store_share(broker->config.store, ret_ref, holders - 1);
    return rc;
}

/* What fails does so before any queue has the message, so there is nothing to take back. */
int lv_broker_keep(struct lv_broker *broker, struct lv_queue_entry *const *entries, uint32_t count,
                   uint32_t size, void *ret_records[2])
{
    struct lv_ref logged = {.size = 0}, copied = {.size = 0};
    uint32_t keeping;

    assert(broker->config.log != NULL);
    assert(size > 0);
    ret_records[0] = ret_records[1] = NULL;
    if (reserve(broker, entries, count, &keeping) < 0)
        return -LV_E_NOMEM;
    if (keeping < count && append_copy(broker, count - keeping, size, &copied, &ret_records[1]) < 0)
        return -LV_E_NOMEM;
    if (keeping > 0)
        ret_records[0] = append(broker, entries, count, keeping, size, &logged);
    if (keeping > 0 && ret_records[0] == NULL) {
        for (uint32_t i = keeping; i < count; i++)
            lv_store_release(broker->config.store, copied);
        return -LV_E_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool is_keeping = lv_queue_is_keeping(entries[i]->queue);
        int rc = lv_queue_push(entries[i]->queue, is_keeping ? logged : copied);
        if (rc < 0)
            LV_IMPOSSIBLE("room was reserved");
        if (is_keeping)
            entries[i]->queue->kept->live_count++;
    }
    return 0;
}

/* ---- messages gone ---- */

/* What of the queue is said with every record. */
static struct lv_record_queue say(const struct lv_queue *queue)
{
    assert(queue->kept->gone.low <= queue->next_seq);
    return (struct lv_record_queue){
        .queue_id = queue->entry->id,
        .low = queue->kept->gone.low,
        .delivered = lv_queue_delivered(queue),
        .next = queue->next_seq,
    };
}

/* A record about the queue with room for `size` bytes behind its head. NULL: out of memory, the log
 * says less than it could. */
static struct lv_record_queue *append_record(struct lv_queue *queue, enum lv_record_kind kind,
                                             uint32_t count, size_t size, uint64_t *ret_lsn)
{
    void *payload;

    assert(count <= UINT16_MAX);
    if (lv_log_append(queue->broker->config.log, kind, (uint16_t)count,
                      sizeof(struct lv_record_queue) + size, ret_lsn, &payload) < 0)
        return NULL;
    *(struct lv_record_queue *)payload = say(queue);
    queue->kept->delivered = lv_queue_delivered(queue);
    return payload;
}

/* With room for `count` ranges, and for more as long as it is open. */
static struct lv_record_queue *new_record(struct lv_queue *queue, enum lv_record_kind kind,
                                          uint32_t count)
{
    struct lv_kept *kept = queue->kept;
    struct lv_record_queue *record;
    uint64_t lsn;

    assert(count <= STATE_RANGES_MAX);
    record = append_record(queue, kind, count, count * sizeof(struct lv_record_range), &lsn);
    if (record == NULL)
        return NULL;
    if (kind == LV_RECORD_STATE)
        kept->state_lsn = lsn;
    kept->record = lsn;
    kept->open = record;
    return record;
}

/* They follow the head of the payload. */
static struct lv_record_range *ranges_of(struct lv_record_queue *record)
{
    assert(record != NULL);
    return (struct lv_record_range *)(void *)(record + 1);
}

/* The queue's record while it may still be changed, or NULL. */
static inline struct lv_record_queue *open_record(const struct lv_queue *queue)
{
    const struct lv_kept *kept = queue->kept;

    return lv_log_is_open(queue->broker->config.log, kept->record) ? kept->open : NULL;
}

/* The record's own head lies before its payload, in the same page. */
static uint32_t count_of(const struct lv_record_queue *record)
{
    assert(record != NULL);
    return ((const struct lv_record_head *)(const void *)record)[-1].count;
}

/* A crash may bring back what this says is gone; that is all that happens when it can't be said. */
static void log_settle(struct lv_queue *queue, uint64_t from, uint64_t to)
{
    struct lv_record_queue *record = open_record(queue);
    struct lv_record_range *range = NULL;

    assert(from <= to);
    if (LV_LIKELY(record != NULL)) {
        uint32_t count = count_of(record);
        range = ranges_of(record) + count;
        *record = say(queue);
        if (LV_LIKELY(count > 0 && range[-1].to + 1 == from)) {
            range[-1].to = to;
            return;
        }
        range = count >= STATE_RANGES_MAX
                    ? NULL
                    : lv_log_extend(queue->broker->config.log, queue->kept->record, sizeof *range);
    }
    if (range == NULL) {
        record = new_record(queue, LV_RECORD_SETTLE, 1);
        if (record == NULL)
            return;
        range = ranges_of(record);
    }
    *range = (struct lv_record_range){.from = from, .to = to};
}

/* First the bytes, wherever they lie; then the number, in the log and in its segment. */
void lv_kept_release(struct lv_broker *broker, struct lv_queue *queue, uint64_t seq,
                     struct lv_ref ref)
{
    if ((ref.flags & LV_REF_LOGGED) != 0)
        lv_log_release(broker->config.log, ref.lsn);
    else
        lv_store_release(broker->config.store, ref);
    if (queue == NULL)
        return; /* with the queue all of its messages are gone */
    if (queue->kept != NULL && (ref.flags & (LV_REF_LOGGED | LV_REF_KEPT)) != 0) {
        assert(!lv_seqs_has(&queue->kept->gone, seq));
        assert(queue->kept->live_count > 0);
        queue->kept->live_count--;
        if (lv_seqs_add(&queue->kept->gone, seq) < 0)
            lv_broker_exhausted();
        log_settle(queue, seq, seq);
    }
    if (LV_UNLIKELY(queue->cold != NULL))
        lv_cold_settled(queue, seq);
}

/* Its number is one that the log has no message for. */
void lv_kept_skip(struct lv_kept *kept, uint64_t seq)
{
    assert(seq >= kept->gone.low);
    if (lv_seqs_add(&kept->gone, seq) < 0)
        lv_broker_exhausted();
}

/* One range in the log, however many of its numbers were gone before. live_count stays the number
 * of those that are not. */
void lv_kept_settle_range(struct lv_queue *queue, uint64_t from, uint64_t to)
{
    struct lv_kept *kept = queue->kept;
    uint64_t added;

    assert(from <= to);
    assert(to < queue->next_seq);
    if (lv_seqs_add_range(&kept->gone, from, to, &added) < 0)
        lv_broker_exhausted();
    assert(kept->live_count >= added);
    kept->live_count -= added;
    if (added > 0)
        log_settle(queue, from, to);
}

/* Once a turn at most, and mostly in a record that acknowledgements have made anyway. */
void lv_kept_note(struct lv_queue *queue)
{
    struct lv_record_queue *record;

    assert(queue->entry != NULL);
    if (queue->kept == NULL || queue->kept->live_count == 0 ||
        lv_queue_delivered(queue) == queue->kept->delivered)
        return;
    record = open_record(queue);
    if (record != NULL)
        *record = say(queue);
    else
        record = new_record(queue, LV_RECORD_SETTLE, 0);
    if (record != NULL)
        queue->kept->delivered = lv_queue_delivered(queue);
}

/* Do the ranges that begin in the piece take more room than a bit for each of its numbers? */
static bool is_dense(const struct lv_seqs *gone, uint64_t piece)
{
    uint64_t at = piece * STATE_PIECE, first, last;
    size_t size = 0;

    static_assert(STATE_PIECE % 64 == 0, "bits come in words");
    for (; size <= STATE_PIECE / 8 && lv_seqs_next(gone, at, &first, &last); at = last + 1) {
        if (first / STATE_PIECE != piece)
            return false;
        size += sizeof(struct lv_record_range);
    }
    return size > STATE_PIECE / 8;
}

/* A bit for each number of the dense pieces on end from that of *from on; *from: where to go on. */
static int bits_record(struct lv_queue *queue, uint64_t *from)
{
    const struct lv_seqs *gone = &queue->kept->gone;
    uint64_t first = *from / STATE_PIECE, last = first + 1;
    uint32_t count = STATE_PIECE / 64;
    struct lv_record_queue *record;
    struct lv_record_bits *bits;
    uint64_t *words, lsn;

    for (; count + STATE_PIECE / 64 <= STATE_WORDS_MAX && is_dense(gone, last); last++)
        count += STATE_PIECE / 64;
    record =
        append_record(queue, LV_RECORD_BITS, count, sizeof *bits + count * sizeof(uint64_t), &lsn);
    if (record == NULL)
        return -LV_E_NOMEM;
    bits = (struct lv_record_bits *)(void *)(record + 1);
    *bits = (struct lv_record_bits){.from = first * STATE_PIECE};
    words = (uint64_t *)(void *)(bits + 1);
    for (uint32_t i = 0; i < count; i++)
        words[i] = lv_seqs_word(gone, bits->from + 64 * (uint64_t)i);
    *from = last * STATE_PIECE;
    assert(*from > bits->from);
    return 0;
}

/* Ranges of the set from *from on, as many as one record takes, up to a piece for which bits are
 * better; *from: where to go on. */
static int ranges_record(struct lv_queue *queue, enum lv_record_kind kind, uint64_t *from)
{
    const struct lv_seqs *gone = &queue->kept->gone;
    uint64_t at = *from, first, last, sparse = UINT64_MAX;
    uint32_t count = 0;
    struct lv_record_queue *record;

    assert(*from >= gone->low);
    for (; count < STATE_RANGES_MAX && lv_seqs_next(gone, at, &first, &last); at = last + 1) {
        if (first / STATE_PIECE != sparse && is_dense(gone, first / STATE_PIECE))
            break;
        sparse = first / STATE_PIECE;
        count++;
    }
    record = new_record(queue, kind, count);
    if (record == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < count && lv_seqs_next(gone, *from, &first, &last); i++) {
        ranges_of(record)[i] = (struct lv_record_range){.from = first, .to = last};
        *from = last + 1;
    }
    return 0;
}

/* Dead ones count: their files are there until it is on disk that they are dead. */
uint64_t lv_broker_oldest_segment(const struct lv_broker *broker)
{
    const struct lv_list *const lists[] = {&broker->segments, &broker->dead_segments};
    uint64_t oldest = UINT64_MAX;

    assert(broker->config.log != NULL);
    for (size_t i = 0; i < LV_COUNT(lists); i++)
        LV_LIST_EACH(lists[i], link)
        {
            uint64_t number = lv_container(link, const struct lv_segment_use, link)->number;
            oldest = number < oldest ? number : oldest;
        }
    return oldest;
}

/* A segment that other queues keep brings back what the log does not say is gone. */
bool lv_kept_is_needed(const struct lv_queue *queue, uint64_t oldest_segment)
{
    const struct lv_kept *kept = queue->kept;

    assert(oldest_segment > 0);
    return kept != NULL && (kept->live_count > 0 || kept->last_segment >= oldest_segment);
}

/* Until all of it is said, older records are still needed. */
int lv_kept_state(struct lv_queue *queue)
{
    struct lv_kept *kept = queue->kept;
    uint64_t from = kept->gone.low, before = kept->state_lsn, last;
    int rc = ranges_record(queue, LV_RECORD_STATE, &from);

    assert(kept->state_lsn >= before);
    while (rc == 0 && lv_seqs_next(&kept->gone, from, &from, &last)) {
        if (is_dense(&kept->gone, from / STATE_PIECE))
            rc = bits_record(queue, &from);
        else
            rc = ranges_record(queue, LV_RECORD_SETTLE, &from);
    }
    if (rc < 0)
        kept->state_lsn = before;
    return rc;
}

/* ---- start-up ---- */

/* What is missing is known by what comes behind it: nothing is logged of a message that never was
 * persistent. */
int lv_kept_follow(struct lv_queue *queue, uint64_t first, uint64_t last)
{
    struct lv_kept *kept = queue->kept;
    uint64_t from = kept->fresh_end, added; /* here: behind what was there so far */

    assert(first <= last + 1);
    if (first > from && lv_seqs_add_range(&kept->gone, from, first - 1, &added) < 0)
        return -LV_E_NOMEM;
    if (last >= from)
        kept->fresh_end = last + 1;
    return 0;
}
