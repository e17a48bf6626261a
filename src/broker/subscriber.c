#include "broker/subscriber.h"

#include "base/alloc.h"
#include "broker/core.h"

#define UNACKED_CAPACITY_MIN 8u

void lv_subscriber_init(struct lv_subscriber *subscriber, struct lv_broker *broker,
                        struct lv_channel *channel)
{
    *subscriber = (struct lv_subscriber){
        .broker = broker,
        .channel = channel,
        .front = broker->config.shard,
        .base_tag = 1,
        .next_tag = 1,
        .window = LV_REMOTE_WINDOW,
    };
    lv_list_init(&subscriber->consumers);
    lv_list_init(&subscriber->parked);
}

static struct lv_unacked *slot(const struct lv_subscriber *subscriber, uint64_t tag)
{
    assert(subscriber->unacked_capacity > 0);
    return &subscriber->unacked[tag & (subscriber->unacked_capacity - 1)];
}

/* Room for one tag more. */
static int grow(struct lv_subscriber *subscriber)
{
    uint32_t capacity =
        subscriber->unacked_capacity == 0 ? UNACKED_CAPACITY_MIN : 2 * subscriber->unacked_capacity;
    struct lv_unacked *ring = lv_alloc(capacity * sizeof *ring);

    if (ring == NULL)
        return -LV_E_NOMEM;
    for (uint64_t tag = subscriber->base_tag; tag < subscriber->next_tag; tag++)
        ring[tag & (capacity - 1)] = *slot(subscriber, tag);
    lv_free(subscriber->unacked);
    subscriber->broker->memory_size += (capacity - subscriber->unacked_capacity) * sizeof *ring;
    subscriber->unacked = ring;
    subscriber->unacked_capacity = capacity;
    return 0;
}

static int put(struct lv_subscriber *subscriber, struct lv_unacked unacked)
{
    if (LV_UNLIKELY(subscriber->next_tag - subscriber->base_tag == subscriber->unacked_capacity)) {
        int rc = grow(subscriber);
        if (rc < 0)
            return rc;
    }
    *slot(subscriber, subscriber->next_tag++) = unacked;
    return 0;
}

int lv_subscriber_remember(struct lv_subscriber *subscriber, struct lv_consumer *consumer,
                           uint64_t seq, struct lv_ref ref)
{
    int rc = put(subscriber, (struct lv_unacked){.ref = ref, .seq = seq, .consumer = consumer});

    if (rc < 0)
        return rc;
    consumer->unacked_count++;
    consumer->queue->unacked_count++;
    subscriber->broker->stats.unacked++;
    if (consumer->subscription != NULL && !subscriber->remote)
        lv_channel_count(subscriber->channel, 1);
    return 0;
}

int lv_subscriber_skip(struct lv_subscriber *subscriber)
{
    if (subscriber->base_tag == subscriber->next_tag) { /* nothing is unacked: no ring needed */
        subscriber->base_tag++;
        subscriber->next_tag++;
        return 0;
    }
    return put(subscriber, (struct lv_unacked){.consumer = NULL});
}

struct lv_consumer *lv_consumer_new(struct lv_subscriber *subscriber, struct lv_queue *queue,
                                    const struct lv_consumer_config *config)
{
    struct lv_consumer *consumer = lv_calloc(1, sizeof *consumer);

    if (consumer == NULL)
        return NULL;
    consumer->subscriber = subscriber;
    consumer->queue = queue;
    consumer->subscription = config->subscription;
    consumer->prefetch = config->prefetch;
    consumer->no_ack = config->no_ack;
    lv_list_push_back(&subscriber->consumers, &consumer->link);
    lv_list_push_back(&queue->consumers, &consumer->queue_link);
    lv_list_push_back(&queue->able, &consumer->able_link);
    if (config->exclusive)
        queue->exclusive = consumer;
    queue->consumer_count++;
    queue->had_consumer = true;
    subscriber->broker->stats.consumers++;
    lv_queue_touch(queue);
    return consumer;
}

struct lv_consumer *lv_subscriber_getter(struct lv_subscriber *subscriber, struct lv_queue *queue)
{
    LV_LIST_EACH(&subscriber->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, link);
        if (consumer->subscription == NULL && consumer->queue == queue)
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

static void consumer_free(struct lv_consumer *consumer)
{
    assert(consumer->unacked_count == 0);
    lv_link_clear(&consumer->link);
    lv_link_clear(&consumer->able_link);
    lv_link_clear(&consumer->queue_link);
    lv_free(consumer);
}

void lv_consumer_cancel(struct lv_consumer *consumer)
{
    struct lv_queue *queue = consumer->queue;

    assert(!consumer->cancelled);
    consumer->cancelled = true;
    lv_link_clear(&consumer->able_link);
    lv_link_remove(&consumer->link);
    if (consumer->subscription != NULL && queue != NULL) {
        if (queue->exclusive == consumer)
            queue->exclusive = NULL;
        queue->consumer_count--;
        consumer->subscriber->broker->stats.consumers--;
        if (queue->consumer_count == 0 && queue->entry->auto_delete && !queue->deleting) {
            queue->deleting = true;
            lv_queue_submit_delete(queue->broker, queue->entry, NULL);
        }
    }
    if (consumer->unacked_count == 0)
        consumer_free(consumer);
}

struct lv_consumer *lv_subscriber_find(const struct lv_subscriber *subscriber,
                                       const struct lv_subscription *subscription)
{
    LV_LIST_EACH(&subscriber->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, link);
        if (consumer->subscription == subscription)
            return consumer;
    }
    return NULL;
}

bool lv_consumer_is_able(const struct lv_consumer *consumer)
{
    const struct lv_subscriber *subscriber = consumer->subscriber;

    if (!consumer->no_ack && consumer->prefetch > 0 &&
        consumer->unacked_count >= consumer->prefetch)
        return false;
    if (subscriber->remote)
        return subscriber->window > 0 && (consumer->no_ack || !subscriber->held);
    if (!subscriber->channel->client->writable)
        return false;
    return consumer->no_ack || lv_channel_has_room(subscriber->channel);
}

void lv_consumer_park(struct lv_consumer *consumer)
{
    assert(!consumer->parked);
    lv_link_remove(&consumer->able_link);
    lv_list_push_back(&consumer->subscriber->parked, &consumer->able_link);
    consumer->parked = true;
}

static void wake(struct lv_consumer *consumer)
{
    if (!consumer->parked || consumer->cancelled || !lv_consumer_is_able(consumer))
        return;
    lv_link_remove(&consumer->able_link);
    lv_list_push_back(&consumer->queue->able, &consumer->able_link);
    consumer->parked = false;
    if (lv_queue_ready_count(consumer->queue) > 0)
        lv_queue_touch(consumer->queue);
}

void lv_subscriber_wake(struct lv_subscriber *subscriber)
{
    LV_LIST_EACH(&subscriber->parked, link)
    wake(lv_container(link, struct lv_consumer, able_link));
}

/* To a channel of another shard: the message travels with the operation. */
static bool deliver_remote(struct lv_consumer *consumer, uint64_t tag, struct lv_ref ref)
{
    struct lv_subscriber *subscriber = consumer->subscriber;
    struct lv_broker *broker = subscriber->broker;
    struct lv_op *op = lv_op_new(broker, LV_OP_DELIVER, ref.size);

    if (op == NULL)
        return false;
    memcpy(op->data, lv_store_view(broker->config.store, ref), ref.size);
    op->delivery = (struct lv_op_delivery){
        .channel = subscriber->channel,
        .subscriber = subscriber,
        .subscription = consumer->subscription,
        .tag = tag,
        .redelivered = (ref.flags & LV_REF_REDELIVERED) != 0,
        .no_ack = consumer->no_ack,
    };
    subscriber->window--;
    lv_op_send(broker, subscriber->front, op);
    return true;
}

bool lv_consumer_deliver(struct lv_consumer *consumer, uint64_t seq, struct lv_ref ref)
{
    struct lv_subscriber *subscriber = consumer->subscriber;
    struct lv_broker *broker = subscriber->broker;
    uint64_t tag = subscriber->next_tag;
    int rc = consumer->no_ack ? lv_subscriber_skip(subscriber)
                              : lv_subscriber_remember(subscriber, consumer, seq, ref);

    if (rc < 0)
        return false;
    if (!subscriber->remote)
        lv_channel_deliver_local(subscriber->channel, consumer, tag, ref);
    else if (!deliver_remote(consumer, tag, ref))
        lv_broker_exhausted();
    broker->stats.delivered++;
    if (consumer->no_ack)
        lv_store_release(broker->config.store, ref);
    return true;
}

bool lv_subscriber_is_unacked(const struct lv_subscriber *subscriber, uint64_t tag)
{
    return tag >= subscriber->base_tag && tag < subscriber->next_tag &&
           slot(subscriber, tag)->consumer != NULL;
}

static void forget(struct lv_subscriber *subscriber, struct lv_unacked *unacked)
{
    struct lv_consumer *consumer = unacked->consumer;

    unacked->consumer = NULL;
    consumer->unacked_count--;
    if (consumer->queue != NULL) {
        consumer->queue->unacked_count--;
        subscriber->broker->stats.unacked--;
    }
    if (consumer->subscription != NULL && !subscriber->remote)
        lv_channel_count(subscriber->channel, -1);
    if (LV_UNLIKELY(consumer->unacked_count == 0 &&
                    (consumer->cancelled || consumer->subscription == NULL)))
        consumer_free(consumer);
    else if (consumer->parked)
        wake(consumer);
}

static void settle(struct lv_subscriber *subscriber, struct lv_unacked *unacked, enum lv_settle how)
{
    struct lv_queue *queue = unacked->consumer->queue;

    if (how == LV_SETTLE_REQUEUE && queue != NULL) {
        struct lv_ref ref = unacked->ref;
        ref.flags |= LV_REF_REDELIVERED;
        lv_queue_return(queue, unacked->seq, ref);
    } else {
        lv_store_release(subscriber->broker->config.store, unacked->ref);
    }
    forget(subscriber, unacked);
}

/* Drops what is settled at the beginning of the ring. */
static void advance(struct lv_subscriber *subscriber)
{
    while (subscriber->base_tag < subscriber->next_tag &&
           slot(subscriber, subscriber->base_tag)->consumer == NULL)
        subscriber->base_tag++;
}

void lv_subscriber_settle(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how)
{
    assert(lv_subscriber_is_unacked(subscriber, tag));
    settle(subscriber, slot(subscriber, tag), how);
    advance(subscriber);
}

void lv_subscriber_settle_to(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how)
{
    assert(tag < subscriber->next_tag);
    for (uint64_t at = subscriber->base_tag; at <= tag; at++) {
        struct lv_unacked *unacked = slot(subscriber, at);
        if (unacked->consumer != NULL)
            settle(subscriber, unacked, how);
    }
    advance(subscriber);
}

void lv_subscriber_bounce(struct lv_subscriber *subscriber, uint64_t tag)
{
    assert(subscriber->remote);
    assert(lv_subscriber_is_unacked(subscriber, tag));
    struct lv_unacked *unacked = slot(subscriber, tag);
    struct lv_queue *queue = unacked->consumer->queue;

    subscriber->held = true;
    if (queue != NULL)
        lv_queue_return(queue, unacked->seq, unacked->ref);
    else
        lv_store_release(subscriber->broker->config.store, unacked->ref);
    forget(subscriber, unacked);
    advance(subscriber);
}

void lv_subscriber_fini(struct lv_subscriber *subscriber)
{
    LV_LIST_EACH(&subscriber->consumers, link)
    {
        struct lv_consumer *consumer = lv_container(link, struct lv_consumer, link);
        if (consumer->subscription != NULL)
            lv_consumer_cancel(consumer);
    }
    if (subscriber->base_tag < subscriber->next_tag)
        lv_subscriber_settle_to(subscriber, subscriber->next_tag - 1, LV_SETTLE_REQUEUE);
    assert(lv_list_is_empty(&subscriber->consumers));
    subscriber->broker->memory_size -= subscriber->unacked_capacity * sizeof *subscriber->unacked;
    lv_free(subscriber->unacked);
    subscriber->unacked = NULL;
    subscriber->unacked_capacity = 0;
}
