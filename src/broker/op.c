#include "broker/op.h"

#include "base/alloc.h"
#include "broker/core.h"

struct lv_op *lv_op_new(const struct lv_broker *broker, enum lv_op_kind kind, uint32_t size)
{
    struct lv_op *op = lv_alloc(sizeof *op + size);

    if (op == NULL)
        return NULL;
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->from = broker->config.shard;
    op->size = size;
    return op;
}

void lv_op_free(struct lv_op *op)
{
    if (op == NULL)
        return;
    assert(!lv_link_is_linked(&op->link));
    if (op->kind == LV_OP_SUBMIT || op->kind == LV_OP_APPLY)
        lv_free(op->change.arguments);
    lv_free(op);
}

void lv_op_send(struct lv_broker *broker, uint32_t to, struct lv_op *op)
{
    assert(to < broker->config.shard_count);
    if (to == broker->config.shard)
        lv_list_push_back(&broker->local, &op->link);
    else
        broker->config.send(broker->config.send_ctx, to, op);
}

/* Puts the message into the queues that are still there. False: out of memory, try again. */
static bool enqueue(struct lv_broker *broker, const struct lv_op *op)
{
    const uint64_t *ids = (const uint64_t *)(const void *)op->data;
    uint32_t ids_size = op->enqueue.queue_count * (uint32_t)sizeof *ids;
    uint32_t found = 0;
    struct lv_ref ref;
    void *record;

    for (uint32_t i = 0; i < op->enqueue.queue_count; i++)
        found += lv_broker_home(broker, ids[i]) != NULL;
    if (found == 0)
        return true;
    if (lv_store_append(broker->config.store, op->size - ids_size, &ref, &record) < 0)
        return false;
    memcpy(record, op->data + ids_size, op->size - ids_size);
    if (found > 1)
        lv_store_share(broker->config.store, &ref, found - 1);
    for (uint32_t i = 0; i < op->enqueue.queue_count; i++) {
        struct lv_queue_entry *entry = lv_broker_home(broker, ids[i]);
        if (entry != NULL && lv_queue_push(entry->queue, ref) < 0)
            lv_broker_exhausted();
    }
    return true;
}

/* Takes the operation: answers with it, or keeps it until there is memory. */
static void run_enqueue(struct lv_broker *broker, struct lv_op *op)
{
    uint32_t from = op->from;

    if (!enqueue(broker, op)) {
        lv_list_push_back(&broker->waiting, &op->link);
        return;
    }
    if (op->enqueue.channel == NULL) {
        lv_op_free(op);
        return;
    }
    op->kind = LV_OP_ENQUEUED;
    op->from = broker->config.shard;
    lv_op_send(broker, from, op);
}

static void run_settle(const struct lv_op *op)
{
    struct lv_subscriber *subscriber = op->delivery.subscriber;

    if (op->delivery.to)
        lv_subscriber_settle_to(subscriber, op->delivery.tag, op->delivery.settle);
    else
        lv_subscriber_settle(subscriber, op->delivery.tag, op->delivery.settle);
}

/* A consumer's queue is gone. Takes the operation: a command of the channel is answered first,
 * since it may be the one that deleted the queue. */
static void run_cancelled(struct lv_op *op)
{
    struct lv_channel *channel = op->delivery.channel;
    struct lv_subscription *subscription = op->delivery.subscription;

    if (!channel->closing && channel->commands > 0) {
        lv_list_push_back(&channel->deferred, &op->link);
        return;
    }
    if (!channel->closing) { /* else its subscriptions are gone already */
        lv_link_remove(&subscription->link);
        channel->client->ops->cancelled(
            channel->ctx, lv_bytes(subscription->tag, subscription->tag_size), subscription->ctx);
        lv_subscription_free(subscription);
    }
    lv_op_free(op);
}

/* The channel of another shard is closing: takes its subscriber away and says so. */
static void run_detach(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_subscriber *subscriber = op->delivery.subscriber;
    uint32_t from = op->from;

    lv_subscriber_fini(subscriber);
    lv_link_remove(&subscriber->remote_link);
    lv_free(subscriber);
    op->kind = LV_OP_DETACHED;
    op->from = broker->config.shard;
    lv_op_send(broker, from, op);
}

/* Those that are done when the function returns; the operation is freed by the caller. */
static void run_plain(struct lv_broker *broker, struct lv_op *op)
{
    switch (op->kind) {
    case LV_OP_SUBMIT:
        lv_change_sequence(broker, op);
        break;
    case LV_OP_APPLY:
        lv_change_apply(broker, op);
        break;
    case LV_OP_APPLIED:
        lv_command_applied(broker, op);
        break;
    case LV_OP_ANSWER:
        lv_command_answer(broker, op);
        break;
    case LV_OP_ENQUEUED:
        lv_channel_enqueued(op->enqueue.channel, op->enqueue.publish_tag);
        break;
    case LV_OP_DELIVER:
        lv_channel_take_delivery(op->delivery.channel, op);
        break;
    case LV_OP_SETTLE:
        run_settle(op);
        break;
    case LV_OP_BOUNCE:
        lv_subscriber_bounce(op->delivery.subscriber, op->delivery.tag);
        break;
    case LV_OP_CREDIT:
        op->delivery.subscriber->window += op->delivery.count;
        lv_subscriber_wake(op->delivery.subscriber);
        break;
    case LV_OP_RESUME:
        op->delivery.subscriber->held = false;
        lv_subscriber_wake(op->delivery.subscriber);
        break;
    case LV_OP_DETACHED:
        lv_channel_detached(op->delivery.channel);
        break;
    default: /* QUERY … CANCEL */
        lv_command_run(broker, op);
    }
}

void lv_op_run(struct lv_broker *broker, struct lv_op *op)
{
    if (op->kind == LV_OP_ENQUEUE) {
        run_enqueue(broker, op);
    } else if (op->kind == LV_OP_DETACH) {
        run_detach(broker, op);
    } else if (op->kind == LV_OP_CANCELLED) {
        run_cancelled(op);
    } else {
        run_plain(broker, op);
        lv_op_free(op);
    }
}

void lv_broker_settle_local(struct lv_broker *broker)
{
    struct lv_link *link;

    if (broker->settling)
        return; /* the loop below gets there */
    broker->settling = true;
    while ((link = lv_list_pop_front(&broker->local)) != NULL)
        lv_op_run(broker, lv_container(link, struct lv_op, link));
    broker->settling = false;
}
