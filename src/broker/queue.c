#include "broker/queue.h"

#include "base/alloc.h"
#include "broker/core.h"

/* Costs no chunk and no heap until something is queued or returned. */
struct lv_queue *lv_queue_new(struct lv_broker *broker, struct lv_queue_entry *entry)
{
    struct lv_queue *queue = lv_calloc(1, sizeof *queue);

    assert(entry->id != 0);
    if (queue == NULL)
        return NULL;
    queue->broker = broker;
    queue->entry = entry;
    lv_refs_init(&queue->ready);
    lv_list_init(&queue->consumers);
    lv_list_init(&queue->able);
    return queue;
}

/* What was returned is ready like the rest, only kept elsewhere. */
uint64_t lv_queue_ready_count(const struct lv_queue *queue)
{
    assert(queue->returned_count <= queue->returned_capacity);
    return queue->ready.count + queue->returned_count +
           (queue->cold == NULL ? 0 : queue->cold->waiting_count);
}

/* Once per turn however many messages came: the drain looks at all of them together. */
void lv_queue_touch(struct lv_queue *queue)
{
    assert(queue->entry != NULL);
    if (!lv_link_is_linked(&queue->dirty_link))
        lv_list_push_back(&queue->broker->dirty, &queue->dirty_link);
}

/* The sequence is what gives a requeued message its place again. */
int lv_queue_push(struct lv_queue *queue, struct lv_ref ref)
{
    int rc = lv_refs_push(&queue->ready, &queue->broker->refs_pool, queue->next_seq, ref);

    if (rc < 0)
        return rc;
    if (LV_UNLIKELY(queue->kept != NULL && (ref.flags & LV_REF_LOGGED) == 0))
        lv_kept_skip(queue->kept, queue->next_seq);
    queue->next_seq++;
    queue->broker->stats.ready++;
    lv_queue_touch(queue);
    return 0;
}

/* Lets the first element sink to its place. */
static void sift_down(struct lv_returned *heap, uint32_t count)
{
    uint32_t at = 0;

    assert(count > 0);
    for (;;) {
        uint32_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < count && heap[left].seq < heap[least].seq)
            least = left;
        if (right < count && heap[right].seq < heap[least].seq)
            least = right;
        if (least == at)
            return;
        struct lv_returned swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

/* Lets the last element rise to its place. */
static void sift_up(struct lv_returned *heap, uint32_t at)
{
    assert(heap != NULL);
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (heap[parent].seq <= heap[at].seq)
            return;
        struct lv_returned swap = heap[at];
        heap[at] = heap[parent];
        heap[parent] = swap;
        at = parent;
    }
}

/* The heap goes with its last message: returning is rare, and most queues never do. */
static void drop_returned(struct lv_queue *queue)
{
    assert(queue->returned_count > 0);
    if (queue->kept != NULL && queue->returned[0].seq >= queue->kept->fresh)
        queue->kept->fresh = queue->returned[0].seq + 1;
    queue->returned[0] = queue->returned[--queue->returned_count];
    if (queue->returned_count > 0) {
        sift_down(queue->returned, queue->returned_count);
    } else {
        queue->broker->memory_size -= queue->returned_capacity * sizeof *queue->returned;
        lv_free(queue->returned);
        queue->returned = NULL;
        queue->returned_capacity = 0;
    }
}

/* Everything returned was taken from the front once, so it is older than all of the deque; what
 * waits in segments stands between them. */
bool lv_queue_peek(const struct lv_queue *queue, uint64_t *ret_seq, struct lv_ref *ret_ref)
{
    assert(ret_seq != NULL);
    assert(ret_ref != NULL);
    if (LV_UNLIKELY(queue->returned_count > 0)) {
        *ret_seq = queue->returned[0].seq;
        *ret_ref = queue->returned[0].ref;
    } else if (LV_UNLIKELY(queue->cold != NULL && queue->cold->waiting_count > 0)) {
        return false;
    } else if (queue->ready.count > 0) {
        *ret_ref = lv_refs_first(&queue->ready, ret_seq);
    } else {
        return false;
    }
    return LV_LIKELY(lv_broker_is_warm(queue->broker, *ret_ref));
}

/* What lv_queue_peek() has shown, or would show if it were in memory, is somebody else's now. */
static LV_ALWAYS_INLINE void pop(struct lv_queue *queue)
{
    assert(lv_queue_ready_count(queue) > 0);
    if (LV_UNLIKELY(queue->returned_count > 0))
        drop_returned(queue);
    else
        (void)lv_refs_pop(&queue->ready, &queue->broker->refs_pool);
    queue->broker->stats.ready--;
}

/* The reference becomes the caller's, who releases it or returns it. */
bool lv_queue_take(struct lv_queue *queue, uint64_t *ret_seq, struct lv_ref *ret_ref)
{
    assert(ret_ref != NULL);
    if (!lv_queue_peek(queue, ret_seq, ret_ref))
        return false;
    pop(queue);
    return true;
}

/* The memory is accounted: a client that rejects a large backlog must not be free of charge. */
static int grow_returned(struct lv_queue *queue)
{
    uint32_t capacity = queue->returned_capacity == 0 ? 16 : 2 * queue->returned_capacity;
    struct lv_returned *heap = lv_realloc(queue->returned, capacity * sizeof *heap);

    assert(queue->returned_count == queue->returned_capacity);
    if (heap == NULL)
        return -LV_E_NOMEM;
    queue->broker->memory_size += (capacity - queue->returned_capacity) * sizeof *heap;
    queue->returned = heap;
    queue->returned_capacity = capacity;
    return 0;
}

/* Back to its place (0-9-1 basic.reject, requeue), as a heap by sequence has it. */
void lv_queue_return(struct lv_queue *queue, uint64_t seq, struct lv_ref ref)
{
    assert(seq < queue->next_seq);
    if (queue->returned_count == queue->returned_capacity && grow_returned(queue) < 0)
        lv_broker_exhausted();
    queue->returned[queue->returned_count] = (struct lv_returned){.seq = seq, .ref = ref};
    sift_up(queue->returned, queue->returned_count++);
    queue->broker->stats.ready++;
    lv_queue_touch(queue);
}

/* Numbers below may have been delivered; the first that wait were not, unless they were returned.
 */
uint64_t lv_queue_delivered(const struct lv_queue *queue)
{
    uint64_t seq = queue->next_seq;

    if (queue->kept != NULL && queue->kept->fresh < queue->kept->fresh_end)
        seq = queue->kept->fresh;
    else if (queue->cold != NULL && queue->cold->waiting_count > 0)
        seq = queue->cold->next;
    else if (queue->ready.count > 0)
        (void)lv_refs_first(&queue->ready, &seq);
    return queue->kept != NULL && queue->kept->old > seq ? queue->kept->old : seq;
}

void lv_queue_drop_first(struct lv_queue *queue)
{
    assert(queue->returned_count > 0);
    pop(queue);
}

/* Purge takes what is ready; what is out with consumers is theirs. Without looking at any of them:
 * what is not in memory goes as well. */
uint64_t lv_queue_clear(struct lv_queue *queue)
{
    uint64_t count = 0, seq;
    struct lv_ref ref;

    assert(queue->broker->stats.ready >= lv_queue_ready_count(queue));
    while (queue->returned_count > 0) {
        struct lv_returned first = queue->returned[0];
        pop(queue);
        lv_queue_release(queue->broker, queue, first.seq, first.ref);
        count++;
    }
    count += lv_cold_clear(queue);
    while (queue->ready.count > 0) {
        ref = lv_refs_first(&queue->ready, &seq);
        pop(queue);
        lv_queue_release(queue->broker, queue, seq, ref);
        count++;
    }
    return count;
}

/* The queue goes: the consumer loses it, its client is told. */
static void orphan(struct lv_queue *queue, struct lv_consumer *consumer)
{
    struct lv_broker *broker = queue->broker;
    struct lv_subscription *subscription = consumer->subscription;
    struct lv_subscriber *subscriber = consumer->subscriber;

    assert(queue->deleting);
    assert(consumer->queue == queue);
    if (subscription != NULL) {
        struct lv_op *op = lv_op_new(broker, LV_OP_CANCELLED, 0);
        if (op == NULL)
            lv_broker_exhausted();
        op->delivery.channel = subscriber->channel;
        op->delivery.subscription = subscription;
        lv_op_send(broker, subscriber->front, op);
    }
    lv_consumer_cancel(consumer);
}

/* Unacknowledged deliveries stay settleable; settling them then only releases the memory. */
void lv_queue_free(struct lv_queue *queue)
{
    if (queue == NULL)
        return;
    queue->deleting = true; /* its consumers' leaving is no reason to delete it again */
    LV_LIST_EACH(&queue->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, queue_link);
        if (!consumer->cancelled)
            orphan(queue, consumer);
    }
    /* What is left are consumers with unacked deliveries and getters. */
    LV_LIST_EACH(&queue->consumers, link)
    {
        lv_container(link, struct lv_consumer, queue_link)->queue = NULL;
        lv_link_remove(link);
    }
    assert(queue->broker->stats.unacked >= queue->unacked_count);
    queue->broker->stats.unacked -= queue->unacked_count;
    lv_kept_free(queue->kept);
    queue->kept = NULL;
    lv_queue_clear(queue);
    lv_cold_free(queue);
    lv_link_clear(&queue->spill_link);
    lv_link_clear(&queue->dirty_link);
    lv_refs_fini(&queue->ready, &queue->broker->refs_pool);
    lv_free(queue);
}

/* Of a consumer in the turn order. */
static int32_t priority_of(struct lv_link *link)
{
    assert(link != NULL);
    return lv_container(link, struct lv_consumer, able_link)->priority;
}

/* Behind its equals: consumers of one priority take turns. */
void lv_queue_enable(struct lv_queue *queue, struct lv_consumer *consumer)
{
    struct lv_link *place = &queue->able.head;

    assert(consumer->queue == queue);
    /* From the back: where all have the same priority it is behind the first one looked at. */
    while (LV_UNLIKELY(queue->prioritized_count > 0) && place->prev != &queue->able.head &&
           priority_of(place->prev) < consumer->priority)
        place = place->prev;
    lv_link_insert_before(place, &consumer->able_link);
}

/* Only consumers that can take something are in `able`, so each round delivers or takes one out. */
bool lv_queue_drain(struct lv_queue *queue, uint32_t budget)
{
    assert(budget > 0);
    while (lv_queue_ready_count(queue) > 0) {
        struct lv_link *first = lv_list_first(&queue->able);
        if (first == NULL)
            return false;
        struct lv_consumer *consumer = lv_container(first, struct lv_consumer, able_link);
        if (!lv_consumer_is_able(consumer)) {
            lv_consumer_park(consumer);
            continue;
        }
        if (budget-- == 0)
            return true;
        /* Round robin among equals: who is alone at the top stays there. */
        if (first->next != &queue->able.head && priority_of(first->next) == consumer->priority) {
            lv_link_remove(first);
            lv_queue_enable(queue, consumer);
        }
        uint64_t seq = 0;
        struct lv_ref ref = {0};
        if (LV_UNLIKELY(!lv_queue_peek(queue, &seq, &ref))) {
            bool comes = lv_cold_want(queue); /* and will touch the queue */
            assert(comes);
            return !comes;
        }
        if (LV_UNLIKELY(!lv_consumer_deliver(consumer, seq, ref)))
            return true; /* out of memory: next turn */
        pop(queue);
    }
    return false;
}
