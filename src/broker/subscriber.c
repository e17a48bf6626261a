#include "broker/subscriber.h"

#include "base/alloc.h"
#include "broker/core.h"

#define UNACKED_SIZE sizeof(struct lv_unacked)

/* Getters that are looked at for the one of a queue; a channel that gets from more queues than this
 * in turn has several for one queue, which is as good. */
#define GETTERS_TRIED 8

/* Its window is for a channel of another shard: how much may be on the way before CREDIT has come.
 */
void lv_subscriber_init(struct lv_subscriber *subscriber, struct lv_broker *broker,
                        struct lv_channel *channel)
{
    assert(channel != NULL);
    *subscriber = (struct lv_subscriber){
        .broker = broker,
        .channel = channel,
        .front = broker->config.shard,
        .window = LV_REMOTE_WINDOW,
        .window_size = LV_REMOTE_WINDOW_SIZE,
    };
    lv_list_init(&subscriber->consumers);
    lv_list_init(&subscriber->parked);
    lv_map_init(&subscriber->by_subscription, &broker->config.hash_key);
    lv_tags_init(&subscriber->unacked, &broker->memory_size);
}

/* Before the message leaves its queue, so that lack of memory loses nothing. */
int lv_subscriber_remember(struct lv_subscriber *subscriber, struct lv_consumer *consumer,
                           uint64_t seq, struct lv_ref ref)
{
    struct lv_unacked *unacked = lv_tags_push(&subscriber->unacked, UNACKED_SIZE);

    assert(consumer->subscriber == subscriber);
    assert(consumer->queue != NULL);
    if (LV_UNLIKELY(unacked == NULL))
        return -LV_E_NOMEM;
    *unacked = (struct lv_unacked){.consumer = consumer, .seq = seq, .ref = ref};
    consumer->unacked_count++;
    consumer->queue->unacked_count++;
    subscriber->broker->stats.unacked++;
    if (consumer->subscription != NULL && !subscriber->remote)
        lv_channel_count(subscriber->channel, 1);
    return 0;
}

/* What needs no acknowledgement has a tag as well (0-9-1 basic.deliver). */
int lv_subscriber_skip(struct lv_subscriber *subscriber)
{
    return lv_tags_skip(&subscriber->unacked, UNACKED_SIZE);
}

/* So that the delivery which follows cannot fail half way. */
int lv_subscriber_reserve(struct lv_subscriber *subscriber)
{
    return lv_tags_reserve(&subscriber->unacked, UNACKED_SIZE);
}

/* What names a subscription here: its address, which lies in the consumer. */
static struct lv_bytes name_of(struct lv_subscription *const *subscription)
{
    assert(subscription != NULL);
    return lv_bytes(subscription, sizeof *subscription);
}

/* At the end of its queue's turn order, within its priority. */
struct lv_consumer *lv_consumer_new(struct lv_subscriber *subscriber, struct lv_queue *queue,
                                    const struct lv_consumer_config *config)
{
    struct lv_consumer *consumer = lv_calloc(1, sizeof *consumer);

    if (consumer == NULL)
        return NULL;
    consumer->subscriber = subscriber;
    consumer->queue = queue;
    consumer->subscription = config->subscription;
    consumer->priority = config->priority;
    consumer->prefetch = config->prefetch;
    consumer->no_ack = config->no_ack;
    assert(config->subscription != NULL);
    if (lv_map_put(&subscriber->by_subscription, name_of(&consumer->subscription), consumer) < 0) {
        lv_free(consumer);
        return NULL;
    }
    lv_list_push_back(&subscriber->consumers, &consumer->link);
    lv_list_push_back(&queue->consumers, &consumer->queue_link);
    if (config->priority != 0)
        queue->prioritized_count++;
    lv_queue_enable(queue, consumer);
    if (config->exclusive)
        queue->exclusive = consumer;
    queue->consumer_count++;
    queue->had_consumer = true;
    subscriber->broker->stats.consumers++;
    lv_queue_touch(queue);
    return consumer;
}

/* basic.get with acknowledgements needs somebody to whom the message is out; the same one serves
 * the channel's next get from that queue. */
struct lv_consumer *lv_subscriber_getter(struct lv_subscriber *subscriber, struct lv_queue *queue)
{
    int tried = 0;

    assert(!queue->deleting);
    LV_LIST_EACH(&subscriber->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, link);
        if (consumer->subscription != NULL || ++tried > GETTERS_TRIED)
            break;
        if (consumer->queue == queue)
            return consumer;
    }
    struct lv_consumer *getter = lv_calloc(1, sizeof *getter);
    if (getter == NULL)
        return NULL;
    getter->subscriber = subscriber;
    getter->queue = queue;
    lv_list_push_front(&subscriber->consumers, &getter->link);
    lv_list_push_back(&queue->consumers, &getter->queue_link);
    return getter;
}

/* Out of every list. Its deliveries point at it, so none may be left. */
static void consumer_free(struct lv_consumer *consumer)
{
    assert(!consumer->parked || consumer->subscription != NULL);
    assert(consumer->unacked_count == 0);
    lv_link_clear(&consumer->link);
    lv_link_clear(&consumer->able_link);
    lv_link_clear(&consumer->queue_link);
    lv_free(consumer);
}

/* Deliveries under way stay unacknowledged until the client settles them (0-9-1 basic.cancel); the
 * consumer stays as long. */
void lv_consumer_cancel(struct lv_consumer *consumer)
{
    struct lv_queue *queue = consumer->queue;

    assert(!consumer->cancelled);
    consumer->cancelled = true;
    lv_link_clear(&consumer->able_link);
    lv_link_remove(&consumer->link);
    if (consumer->subscription != NULL)
        lv_map_remove(&consumer->subscriber->by_subscription, name_of(&consumer->subscription));
    if (consumer->subscription != NULL && queue != NULL) {
        if (queue->exclusive == consumer)
            queue->exclusive = NULL;
        if (consumer->priority != 0)
            queue->prioritized_count--;
        queue->consumer_count--;
        consumer->subscriber->broker->stats.consumers--;
        if (queue->consumer_count == 0 && queue->entry->auto_delete && !queue->deleting) {
            /* From here on it is gone for everybody, though the other shards learn of it later. */
            queue->deleting = true;
            lv_queue_submit_delete(queue->broker, queue->entry, NULL);
        }
    }
    if (consumer->unacked_count == 0)
        consumer_free(consumer);
}

/* By the subscription's address, which is unique over all shards. */
struct lv_consumer *lv_subscriber_find(const struct lv_subscriber *subscriber,
                                       struct lv_subscription *subscription)
{
    assert(subscription != NULL);
    return lv_map_get(&subscriber->by_subscription, name_of(&subscription));
}

/* Asked for every message and consumer. */
bool lv_consumer_is_able(const struct lv_consumer *consumer)
{
    const struct lv_subscriber *subscriber = consumer->subscriber;

    if (LV_UNLIKELY(subscriber->broker->resting))
        return false;
    if (!consumer->no_ack && consumer->prefetch > 0 &&
        consumer->unacked_count >= consumer->prefetch)
        return false;
    /* What limits the channel as a whole, its shard counts; here only what it has asked for is
     * known: to hold back, and how far ahead it can be served. */
    if (subscriber->remote)
        return subscriber->window > 0 && subscriber->window_size > 0 &&
               (consumer->no_ack || !subscriber->held);
    if (!subscriber->channel->client->writable)
        return false;
    return consumer->no_ack || lv_channel_has_room(subscriber->channel);
}

/* Out of its queue's turn order: a drain never looks at who cannot take anything. */
void lv_consumer_park(struct lv_consumer *consumer)
{
    assert(!consumer->parked);
    lv_link_remove(&consumer->able_link);
    lv_list_push_back(&consumer->subscriber->parked, &consumer->able_link);
    consumer->parked = true;
}

/* Back in line, at its end. A queue with nothing ready needs no turn for that. */
static void wake(struct lv_consumer *consumer)
{
    assert(consumer->queue != NULL || consumer->cancelled);
    if (!consumer->parked || consumer->cancelled || !lv_consumer_is_able(consumer))
        return;
    lv_link_remove(&consumer->able_link);
    lv_queue_enable(consumer->queue, consumer);
    consumer->parked = false;
    if (lv_queue_ready_count(consumer->queue) > 0)
        lv_queue_touch(consumer->queue);
}

/* Something changed for all of them: room under a limit, output, credit. */
void lv_subscriber_wake(struct lv_subscriber *subscriber)
{
    assert(subscriber->channel != NULL);
    LV_LIST_EACH(&subscriber->parked, link)
    wake(lv_container(link, struct lv_consumer, able_link));
}

/* To a channel of another shard: the message travels with the operation. */
static bool deliver_remote(struct lv_consumer *consumer, uint64_t seq, struct lv_ref ref)
{
    struct lv_subscriber *subscriber = consumer->subscriber;
    struct lv_broker *broker = subscriber->broker;
    uint64_t tag = subscriber->unacked.next;
    struct lv_op *op = lv_op_new(broker, LV_OP_DELIVER, ref.size);

    assert(subscriber->window > 0);
    assert(!subscriber->held || consumer->no_ack);
    if (op == NULL)
        return false;
    if (!consumer->no_ack && lv_subscriber_remember(subscriber, consumer, seq, ref) < 0) {
        lv_op_free(op);
        return false;
    }
    memcpy(op->data, lv_broker_view(broker, ref), ref.size);
    op->delivery = (struct lv_op_delivery){
        .channel = subscriber->channel,
        .subscriber = subscriber,
        .subscription = consumer->subscription,
        .tag = tag,
        .redelivered = (ref.flags & LV_REF_REDELIVERED) != 0,
        .no_ack = consumer->no_ack,
    };
    subscriber->window--;
    subscriber->window_size -= ref.size;
    lv_op_send(broker, subscriber->front, op);
    return true;
}

/* Straight to the session. All that can fail comes first: a message that was shown to the session
 * cannot be taken back. */
static bool deliver_local(struct lv_consumer *consumer, uint64_t seq, struct lv_ref ref)
{
    struct lv_subscriber *subscriber = consumer->subscriber;
    uint64_t tag = subscriber->unacked.next;

    assert(!subscriber->remote);
    if (LV_UNLIKELY(lv_channel_reserve_tag(subscriber->channel) < 0))
        return false;
    int rc = consumer->no_ack ? lv_subscriber_skip(subscriber)
                              : lv_subscriber_remember(subscriber, consumer, seq, ref);
    if (LV_UNLIKELY(rc < 0))
        return false;
    lv_channel_deliver_local(subscriber->channel, consumer, tag, ref);
    return true;
}

/* Acknowledged by being sent, when the consumer does not acknowledge. */
bool lv_consumer_deliver(struct lv_consumer *consumer, uint64_t seq, struct lv_ref ref)
{
    struct lv_broker *broker = consumer->subscriber->broker;
    bool delivered = LV_LIKELY(!consumer->subscriber->remote) ? deliver_local(consumer, seq, ref)
                                                              : deliver_remote(consumer, seq, ref);

    assert(!consumer->cancelled);
    if (LV_UNLIKELY(!delivered))
        return false;
    broker->stats.delivered++;
    if (consumer->no_ack)
        lv_queue_release(broker, consumer->queue, seq, ref);
    return true;
}

/* Asked about one tag before `multiple` settles all up to it, so that a wrong tag changes nothing.
 */
bool lv_subscriber_is_unacked(const struct lv_subscriber *subscriber, uint64_t tag)
{
    assert(subscriber->broker != NULL);
    return lv_tags_find(&subscriber->unacked, UNACKED_SIZE, tag) != NULL;
}

/* The consumer has one unacknowledged delivery less. */
static void forget(struct lv_subscriber *subscriber, struct lv_consumer *consumer)
{
    assert(consumer->unacked_count > 0);
    consumer->unacked_count--;
    if (consumer->queue != NULL) {
        consumer->queue->unacked_count--;
        subscriber->broker->stats.unacked--;
    }
    if (consumer->subscription != NULL && !subscriber->remote)
        lv_channel_count(subscriber->channel, -1);
    /* Cancelled ones and getters live for their deliveries only. */
    if (LV_UNLIKELY(consumer->unacked_count == 0 &&
                    (consumer->cancelled || consumer->subscription == NULL)))
        consumer_free(consumer);
    else if (consumer->parked)
        wake(consumer);
}

/* 0-9-1 §1.8.3.13, §1.8.3.14: gone, or back in its place. A queue that is gone takes nothing back.
 */
static void settle(struct lv_subscriber *subscriber, uint64_t tag, struct lv_unacked *unacked,
                   enum lv_settle how)
{
    struct lv_unacked was = *unacked;
    struct lv_queue *queue = was.consumer->queue;

    assert(was.consumer != NULL);
    lv_tags_drop(&subscriber->unacked, UNACKED_SIZE, tag, unacked);
    if (how == LV_SETTLE_REQUEUE && queue != NULL) {
        was.ref.flags |= LV_REF_REDELIVERED;
        lv_queue_return(queue, was.seq, was.ref);
    } else {
        lv_queue_release(subscriber->broker, queue, was.seq, was.ref);
    }
    forget(subscriber, was.consumer);
}

/* An unknown tag is the client's mistake; the channel says so. */
bool lv_subscriber_settle(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how)
{
    struct lv_unacked *unacked = lv_tags_find(&subscriber->unacked, UNACKED_SIZE, tag);

    if (LV_UNLIKELY(unacked == NULL))
        return false;
    settle(subscriber, tag, unacked, how);
    return true;
}

/* From the oldest on, so that requeued messages go back in their order. */
void lv_subscriber_settle_to(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how)
{
    struct lv_unacked *unacked;

    assert(subscriber->broker != NULL);
    for (uint64_t at = 0;
         (unacked = lv_tags_seek(&subscriber->unacked, UNACKED_SIZE, &at)) != NULL && at <= tag;)
        settle(subscriber, at, unacked, how);
}

/* The message never reached the client, so it is not marked redelivered unless somebody else may
 * have overtaken it. */
void lv_subscriber_bounce(struct lv_subscriber *subscriber, uint64_t tag)
{
    struct lv_unacked *unacked = lv_tags_find(&subscriber->unacked, UNACKED_SIZE, tag);

    assert(subscriber->remote);
    assert(unacked != NULL);
    struct lv_unacked was = *unacked;
    struct lv_queue *queue = was.consumer->queue;
    subscriber->held = true;
    lv_tags_drop(&subscriber->unacked, UNACKED_SIZE, tag, unacked);
    if (queue != NULL) {
        uint32_t own = was.consumer->cancelled ? 0 : 1;
        if (queue->consumer_count > own) /* others may have been given what comes behind it */
            was.ref.flags |= LV_REF_REDELIVERED;
        lv_queue_return(queue, was.seq, was.ref);
    } else {
        lv_queue_release(subscriber->broker, queue, was.seq, was.ref);
    }
    forget(subscriber, was.consumer);
}

/* The end of a channel: its deliveries go back to where they came from. */
void lv_subscriber_fini(struct lv_subscriber *subscriber)
{
    if (LV_UNLIKELY(subscriber->waiting != NULL)) {
        subscriber->waiting->command.is_dropped = true;
        subscriber->waiting->command.subscriber = NULL;
        subscriber->waiting = NULL;
    }
    LV_LIST_EACH(&subscriber->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, link);
        if (consumer->subscription != NULL)
            lv_consumer_cancel(consumer);
    }
    /* Cancelled first, so that none of them gets back what another one returns. */
    lv_subscriber_settle_to(subscriber, UINT64_MAX, LV_SETTLE_REQUEUE);
    assert(lv_list_is_empty(&subscriber->consumers));
    lv_map_fini(&subscriber->by_subscription);
    lv_tags_fini(&subscriber->unacked, UNACKED_SIZE);
}
