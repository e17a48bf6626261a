#include "base/alloc.h"
#include "broker/arguments.h"
#include "broker/core.h"
#include "broker/reply_to.h"

/* Bytes of arguments that are kept for each consumer. */
#define SHOWN_ARGUMENTS_MAX 1024u

/* Consumer arguments that this broker doesn't know yet. */
static const char *const unknown_arguments[] = {"x-consumer-timeout"};

struct lv_subscription *lv_channel_subscription(const struct lv_channel *channel,
                                                struct lv_bytes tag)
{
    return lv_map_get(&channel->by_tag, tag);
}

static struct lv_bytes tag_of(const struct lv_subscription *subscription)
{
    return lv_bytes(subscription->tag, subscription->tag_size);
}

void lv_subscription_free(struct lv_subscription *subscription)
{
    if (subscription == NULL)
        return;
    lv_link_remove(&subscription->link);
    lv_map_remove(&subscription->channel->by_tag, tag_of(subscription));
    lv_free(subscription->arguments);
    lv_free(subscription);
}

/* They have done their work and are kept to be shown; what is longer than any argument that means
 * something is not, as nothing bounds the sum. */
static int keep_arguments(struct lv_subscription *subscription, const struct lv_table *arguments)
{
    assert(subscription->arguments == NULL);
    if (arguments == NULL || lv_arguments_size(arguments) > SHOWN_ARGUMENTS_MAX)
        return 0;
    return lv_arguments_copy(arguments, &subscription->arguments);
}

/* The tag is found by hash, as a client may have thousands of consumers on one channel. */
struct lv_subscription *lv_subscription_new(struct lv_channel *channel,
                                            const struct lv_consume *consume, uint32_t home)
{
    struct lv_subscription *subscription =
        lv_calloc(1, sizeof *subscription + consume->tag.size + consume->queue.size);

    assert(consume->tag.size <= UINT8_MAX);
    assert(consume->queue.size <= UINT8_MAX);
    if (subscription == NULL)
        return NULL;
    subscription->channel = channel;
    subscription->ctx = consume->consumer_ctx;
    subscription->home = home;
    subscription->prefetch = channel->prefetch;
    subscription->no_ack = consume->no_ack;
    subscription->exclusive = consume->exclusive;
    subscription->tag_size = (uint8_t)consume->tag.size;
    subscription->queue_size = (uint8_t)consume->queue.size;
    lv_put_bytes(lv_put_bytes((uint8_t *)subscription->tag, consume->tag), consume->queue);
    if (keep_arguments(subscription, consume->arguments) < 0 ||
        lv_map_put(&channel->by_tag, tag_of(subscription), subscription) < 0) {
        lv_free(subscription->arguments);
        lv_free(subscription);
        return NULL;
    }
    lv_list_push_back(&channel->subscriptions, &subscription->link);
    return subscription;
}

/* Any integer; more than 32 bits of them order nobody's consumers. */
static int check_priority(const struct lv_consume *consume, const struct lv_queue_entry *entry,
                          struct lv_diag *diag, int32_t *ret_priority)
{
    const struct lv_value *value = lv_table_get(consume->arguments, "x-priority");

    assert(ret_priority != NULL);
    if (value == NULL)
        return 0;
    if (!lv_value_is_integer(value))
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid arg 'x-priority' for queue '%.*s' in vhost '%.*s': "
                       "\"expected integer, got %s\"",
                       LV_FMT(lv_entry_name(entry)), LV_FMT(lv_vhost_name(entry->vhost)),
                       lv_type_name(value->type));
    if (value->integer > INT32_MAX)
        *ret_priority = INT32_MAX;
    else
        *ret_priority = value->integer < INT32_MIN ? INT32_MIN : (int32_t)value->integer;
    return 0;
}

/* What would have an effect in RabbitMQ and has none here is refused, not ignored. */
static int check(const struct lv_channel *channel, const struct lv_consume *consume,
                 const struct lv_queue_entry *entry, struct lv_diag *diag, int32_t *ret_priority)
{
    assert(channel->client != NULL);
    if (consume->tag.size > 0 && lv_channel_subscription(channel, consume->tag) != NULL)
        return lv_fail(diag, -LV_E_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
                       LV_FMT(consume->tag));
    for (size_t i = 0; i < LV_COUNT(unknown_arguments); i++)
        if (lv_table_get(consume->arguments, unknown_arguments[i]) != NULL)
            return lv_fail(diag, -LV_E_NOT_IMPLEMENTED, "argument '%s'", unknown_arguments[i]);
    if (lv_table_get(consume->arguments, "x-stream-offset") != NULL)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid arg 'x-stream-offset' for queue '%.*s' in vhost '%.*s' of queue "
                       "type rabbit_classic_queue",
                       LV_FMT(lv_entry_name(entry)), LV_FMT(lv_vhost_name(entry->vhost)));
    return check_priority(consume, entry, diag, ret_priority);
}

/* The tag is taken before the queue's shard is asked, so that a second consume with it is refused
 * however long the answer takes. */
void lv_channel_consume(struct lv_channel *channel, const struct lv_consume *consume)
{
    char generated[] = "amq.ctag-0123456789012345678901";
    struct lv_consume named = *consume;
    struct lv_queue_entry *entry = NULL;
    int32_t priority = 0;
    struct lv_diag diag;
    int rc;

    assert(!channel->closing);
    if (lv_reply_to_is_pseudo(consume->queue)) {
        lv_reply_to_consume(channel, consume);
        return;
    }
    rc = lv_channel_queue(channel, &named.queue, LV_PERMISSION_READ, &diag, &entry);
    if (rc == 0)
        rc = check(channel, consume, entry, &diag, &priority);
    if (rc < 0) {
        lv_command_refuse(channel, LV_COMMAND_CONSUME, rc, &diag);
        return;
    }
    if (named.tag.size == 0) {
        lv_random_name(&channel->broker->random, generated + sizeof "amq.ctag-" - 1);
        named.tag = lv_text(generated);
    }
    struct lv_op_command ask = {
        .subscription = lv_subscription_new(channel, &named, entry->home),
        .prefetch = channel->prefetch,
        .no_ack = consume->no_ack,
        .exclusive = consume->exclusive,
        .priority = priority,
    };
    if (ask.subscription == NULL)
        lv_command_refuse_memory(channel, LV_COMMAND_CONSUME);
    else
        lv_channel_ask(channel, LV_COMMAND_CONSUME, entry, &ask, NULL);
}

/* Cancelling what is not there is fine (RabbitMQ answers cancel-ok), also when the queue's end and
 * the client's cancel cross. */
void lv_channel_cancel(struct lv_channel *channel, struct lv_bytes tag)
{
    struct lv_broker *broker = channel->broker;
    struct lv_subscription *subscription = lv_channel_subscription(channel, tag);
    struct lv_reply reply = {.command = LV_COMMAND_CANCEL, .text = "", .name = tag};

    assert(!channel->closing);
    if (subscription == NULL) {
        channel->client->ops->reply(channel->ctx, &reply);
        return;
    }
    if (subscription->is_reply_to) {
        lv_reply_to_end(channel);
        channel->client->ops->reply(channel->ctx, &reply);
        return;
    }
    struct lv_pending *pending = lv_pending_new(channel->client, channel, LV_COMMAND_CANCEL);
    if (pending == NULL) {
        lv_command_refuse_memory(channel, LV_COMMAND_CANCEL);
        return;
    }
    pending->home = subscription->home;
    lv_pending_set_name(pending, tag);
    struct lv_op *op = lv_command_op(broker, LV_OP_CANCEL, pending, NULL);
    if (op == NULL) {
        lv_pending_free(pending);
        lv_command_refuse_memory(channel, LV_COMMAND_CANCEL);
        return;
    }
    op->command.subscription = subscription;
    lv_op_send(broker, subscription->home, op);
    lv_broker_settle_local(broker);
}

/* Answered by the queue's shard; the session waits, as order with what follows has to be kept. */
void lv_channel_get(struct lv_channel *channel, struct lv_bytes queue, bool no_ack)
{
    struct lv_op_command ask = {.no_ack = no_ack};
    struct lv_queue_entry *entry = NULL;
    struct lv_diag diag;
    int rc = lv_channel_queue(channel, &queue, LV_PERMISSION_READ, &diag, &entry);

    assert(!channel->closing);
    if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_GET, rc, &diag);
    else
        lv_channel_ask(channel, LV_COMMAND_GET, entry, &ask, NULL);
}
