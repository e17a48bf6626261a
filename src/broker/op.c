#include "broker/op.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/reply_to.h"

struct lv_op *lv_op_new(const struct lv_broker *broker, enum lv_op_kind kind, uint32_t size)
{
    struct lv_op *op = lv_alloc(sizeof *op + size);

    if (op == NULL)
        return NULL;
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->from = broker->config.shard;
    op->changes = broker->changes;
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
    assert(!lv_link_is_linked(&op->link));
    assert(to < broker->config.shard_count);
    if (to == broker->config.shard)
        lv_list_push_back(&broker->local, &op->link);
    else
        broker->config.send(broker->config.send_ctx, to, op);
}

/* A persistent message, for those of its queues that are there and don't have it yet, as many at a
 * time as a record can name. */
static bool enqueue_kept(struct lv_broker *broker, struct lv_op *op)
{
    uint64_t *ids = (uint64_t *)(void *)op->data;
    size_t ids_size = op->enqueue.queue_count * sizeof *ids;
    struct lv_bytes record = lv_bytes(op->data + ids_size, op->size - ids_size);
    struct lv_queue_entry **entries = lv_alloc(op->enqueue.queue_count * sizeof(void *));
    uint32_t next = 0;
    int rc = entries == NULL ? -LV_E_NOMEM : 0;

    while (rc == 0 && next < op->enqueue.queue_count) {
        uint32_t first = next, count = 0;
        void *places[2] = {NULL, NULL};
        for (; next < op->enqueue.queue_count && count < LV_KEEP_MAX; next++) {
            entries[count] = lv_broker_home(broker, ids[next]);
            count += entries[count] != NULL;
        }
        if (count > 0)
            rc = lv_broker_keep(broker, entries, count, (uint32_t)record.size, places);
        for (int i = 0; rc == 0 && i < 2; i++)
            if (places[i] != NULL)
                lv_put_bytes(places[i], record);
        for (; rc == 0 && first < next; first++)
            if (lv_broker_home(broker, ids[first]) != NULL)
                ids[first] = 0; /* no queue's id */
    }
    lv_free(entries);
    return rc == 0;
}

/* Puts the message into the queues that are still there. False: out of memory, try again; queues
 * that have it are no longer among the ids then. */
static bool enqueue(struct lv_broker *broker, struct lv_op *op)
{
    uint64_t *ids = (uint64_t *)(void *)op->data;
    uint32_t ids_size = op->enqueue.queue_count * (uint32_t)sizeof *ids;
    uint32_t left = 0;
    struct lv_ref ref;
    void *record;

    for (uint32_t i = 0; i < op->enqueue.queue_count; i++)
        left += lv_broker_home(broker, ids[i]) != NULL;
    if (left == 0)
        return true;
    if (lv_message_is_persistent(op->data + ids_size) && broker->config.log != NULL)
        return enqueue_kept(broker, op);
    if (lv_store_append(broker->config.store, op->size - ids_size, &ref, &record) < 0)
        return false;
    memcpy(record, op->data + ids_size, op->size - ids_size);
    if (left > 1)
        lv_store_share(broker->config.store, &ref, left - 1);
    for (uint32_t i = 0; i < op->enqueue.queue_count; i++) {
        struct lv_queue_entry *entry = lv_broker_home(broker, ids[i]);
        if (entry == NULL)
            continue;
        if (lv_queue_push(entry->queue, ref) < 0)
            break;
        ids[i] = 0; /* no queue's id */
        left--;
    }
    for (uint32_t i = left; i > 0; i--)
        lv_store_release(broker->config.store, ref);
    return left == 0;
}

/* Takes the operation, whose message is in its queues: the publisher's shard hears of it. */
static void enqueued(struct lv_broker *broker, struct lv_op *op)
{
    uint32_t from = op->from;

    assert(op->kind == LV_OP_ENQUEUE);
    if (op->enqueue.channel == NULL) {
        lv_op_free(op);
        return;
    }
    bool is_kept = lv_message_is_persistent(op->data + op->enqueue.queue_count * sizeof(uint64_t));
    op->kind = LV_OP_ENQUEUED;
    op->from = broker->config.shard;
    if (is_kept)
        lv_promise_send(broker, from, op);
    else
        lv_op_send(broker, from, op);
}

/* Is there a queue among the ids whose declare may still come? */
static bool awaits_declare(const struct lv_broker *broker, const struct lv_op *op)
{
    const uint64_t *ids = (const uint64_t *)(const void *)op->data;

    assert(op->kind == LV_OP_ENQUEUE);
    if (LV_LIKELY(!lv_op_is_early(broker, op)))
        return false;
    for (uint32_t i = 0; i < op->enqueue.queue_count; i++)
        if (ids[i] != 0 && lv_broker_home(broker, ids[i]) == NULL)
            return true;
    return false;
}

/* Takes the operation, whose message is in all of its queues that are here. */
static void finish_enqueue(struct lv_broker *broker, struct lv_op *op)
{
    if (LV_UNLIKELY(awaits_declare(broker, op)))
        lv_list_push_back(&broker->early, &op->link);
    else
        enqueued(broker, op);
}

/* What found no memory waits, and what comes later stays behind it. */
static void run_enqueue(struct lv_broker *broker, struct lv_op *op)
{
    if (LV_LIKELY(lv_list_is_empty(&broker->waiting) && enqueue(broker, op)))
        finish_enqueue(broker, op);
    else
        lv_list_push_back(&broker->waiting, &op->link);
}

void lv_broker_retry(struct lv_broker *broker)
{
    struct lv_link *link;

    while (LV_UNLIKELY((link = lv_list_first(&broker->waiting)) != NULL)) {
        struct lv_op *op = lv_container(link, struct lv_op, link);
        if (!enqueue(broker, op))
            return;
        lv_link_remove(link);
        finish_enqueue(broker, op);
    }
}

static void run_settle(const struct lv_op *op)
{
    const struct lv_op_delivery *what = &op->delivery;

    assert(what->subscriber->remote);
    if (what->to)
        lv_subscriber_settle_to(what->subscriber, what->tag, what->settle);
    else if (!lv_subscriber_settle(what->subscriber, what->tag, what->settle))
        LV_IMPOSSIBLE("a delivery was settled twice");
}

/* Takes the operation. The first bounce is answered: all that was under way to the channel is ahead
 * of the answer. */
static void run_bounce(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_subscriber *subscriber = op->delivery.subscriber;
    bool first = !subscriber->held;

    assert(subscriber->remote);
    lv_subscriber_bounce(subscriber, op->delivery.tag);
    if (!first) {
        lv_op_free(op);
        return;
    }
    op->kind = LV_OP_HELD;
    op->from = broker->config.shard;
    lv_op_send(broker, subscriber->front, op);
}

static void run_credit(const struct lv_op *op)
{
    struct lv_subscriber *subscriber = op->delivery.subscriber;

    subscriber->window += op->delivery.count;
    subscriber->window_size += (int64_t)op->delivery.size;
    assert(subscriber->window <= LV_REMOTE_WINDOW);
    assert(subscriber->window_size <= LV_REMOTE_WINDOW_SIZE);
    lv_subscriber_wake(subscriber);
}

/* A consumer's queue is gone. Takes the operation: a command of the channel is answered first,
 * since it may be the one that deleted the queue. */
static void run_cancelled(struct lv_op *op)
{
    struct lv_channel *channel = op->delivery.channel;
    struct lv_subscription *subscription = op->delivery.subscription;

    assert(subscription != NULL || channel->closing);
    if (!channel->closing && channel->commands > 0) {
        lv_list_push_back(&channel->deferred, &op->link);
        return;
    }
    if (!channel->closing) { /* else its subscriptions are gone already */
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

    assert(subscriber->remote);
    assert(subscriber->front == from);
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
    case LV_OP_APPLIED:
        lv_command_applied(broker, op);
        break;
    case LV_OP_ANSWER:
        lv_command_answer(broker, op);
        break;
    case LV_OP_ENQUEUED:
        lv_channel_enqueued(op);
        break;
    case LV_OP_DELIVER:
        lv_channel_take_delivery(op->delivery.channel, op);
        break;
    case LV_OP_SETTLE:
        run_settle(op);
        break;
    case LV_OP_HELD:
        lv_channel_drained(op->delivery.channel, op->from);
        break;
    case LV_OP_CREDIT:
        run_credit(op);
        break;
    case LV_OP_RESUME:
        op->delivery.subscriber->held = false;
        lv_subscriber_wake(op->delivery.subscriber);
        break;
    case LV_OP_DETACHED:
        lv_channel_detached(op->delivery.channel);
        break;
    default:
        LV_IMPOSSIBLE("the others take their operation");
    }
}

/* Takes the operation; then what waited for this change goes on, in its order. */
static void run_apply(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_list early;
    struct lv_link *link;

    broker->changes++; /* what comes of it is behind it */
    lv_change_apply(broker, op);
    lv_list_init(&early);
    lv_list_splice_back(&early, &broker->early);
    while (LV_UNLIKELY((link = lv_list_pop_front(&early)) != NULL))
        lv_op_run(broker, lv_container(link, struct lv_op, link));
}

void lv_op_run(struct lv_broker *broker, struct lv_op *op)
{
    switch (op->kind) {
    case LV_OP_ENQUEUE:
        run_enqueue(broker, op);
        return;
    case LV_OP_SUBMIT:
        lv_change_sequence(broker, op);
        return;
    case LV_OP_APPLY:
        run_apply(broker, op);
        return;
    case LV_OP_QUERY:
    case LV_OP_DELETE:
    case LV_OP_PURGE:
    case LV_OP_GET:
    case LV_OP_CONSUME:
    case LV_OP_CANCEL:
        lv_command_run(broker, op);
        return;
    case LV_OP_BOUNCE:
        run_bounce(broker, op);
        return;
    case LV_OP_DETACH:
        run_detach(broker, op);
        return;
    case LV_OP_CANCELLED:
        run_cancelled(op);
        return;
    case LV_OP_REPLY:
        lv_reply_to_run(broker, op);
        return;
    case LV_OP_REPLIED:
        lv_reply_to_done(op);
        return;
    case LV_OP_REPLY_QUERY:
        lv_reply_to_query(broker, op);
        return;
    case LV_OP_REPLY_ANSWER:
        lv_reply_to_answered(op);
        return;
    case LV_OP_PROBE:
        lv_owner_probe(broker, op);
        return;
    case LV_OP_PROBED:
        lv_owner_probed(op);
        return;
    case LV_OP_COUNT:
        lv_tally_take(broker, op);
        return;
    default:
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
