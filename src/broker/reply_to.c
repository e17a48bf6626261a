#include "broker/reply_to.h"

#include "base/alloc.h"
#include "broker/core.h"

#include <stdio.h>

#define PSEUDO_QUEUE "amq.rabbitmq.reply-to"
/* The prefix, a token of 32 digits, and the shard's number. */
#define NAME_SIZE_MAX (sizeof PSEUDO_QUEUE + 32 + 4)

/* A channel that consumes from amq.rabbitmq.reply-to. There is no queue behind it. */
struct lv_reply_to {
    struct lv_channel *channel;           /* view */
    struct lv_subscription *subscription; /* view  the channel's */
    struct lv_list waiting;               /* own   REPLY operations */
    uint64_t waiting_size;
    uint8_t name_size;
    char name[NAME_SIZE_MAX];
};

/* Of the pseudo-queue as answers are addressed to it. */
static struct lv_bytes name_of(const struct lv_reply_to *reply_to)
{
    assert(reply_to->name_size > 0);
    return lv_bytes(reply_to->name, reply_to->name_size);
}

/* The name that a requester consumes from; it is no queue. */
bool lv_reply_to_is_pseudo(struct lv_bytes queue)
{
    assert(queue.size == 0 || queue.data != NULL);
    return lv_bytes_equal(queue, lv_text(PSEUDO_QUEUE));
}

/* What stands in reply-to of a request: the prefix, a dot, and who asked. */
bool lv_reply_to_is_name(struct lv_bytes name)
{
    static const char prefix[] = PSEUDO_QUEUE ".";

    assert(name.size == 0 || name.data != NULL);
    return name.size > sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0;
}

/* Empty when nothing is consumed directly; then reply-to is passed on as it came. */
struct lv_bytes lv_channel_reply_to(const struct lv_channel *channel)
{
    assert(channel->client != NULL);
    return channel->reply_to == NULL ? lv_bytes("", 0) : name_of(channel->reply_to);
}

/* The shard that a name says it is on. Anybody may make up names: any shard will do for those. */
static uint32_t shard_of(const struct lv_broker *broker, struct lv_bytes name)
{
    uint32_t shard = 0;

    assert(name.size > 2);
    const uint8_t *digits = name.data + name.size - 2;
    for (size_t i = 0; i < 2; i++)
        if (digits[i] >= '0' && digits[i] <= '9')
            shard = 10 * shard + digits[i] - '0';
    return shard < broker->config.shard_count ? shard : broker->config.shard;
}

/* ---- the requester's side ---- */

/* A keyed hash of what is different each time: who has seen many of these knows no other. */
static uint64_t secret(const struct lv_broker *broker, uint64_t number, uint64_t salt)
{
    uint64_t words[] = {salt, number, broker->config.seed, broker->config.shard};

    assert(number > 0);
    return lv_siphash(&broker->config.hash_key, lv_bytes(words, sizeof words));
}

/* Nobody may guess another requester's name, so it is a keyed hash of a number; the shard stands in
 * it in plain, as every publisher's shard has to find its way there. */
static void make_name(struct lv_broker *broker, struct lv_reply_to *reply_to)
{
    uint64_t number = ++broker->last_reply_to;

    int size = snprintf(reply_to->name, sizeof reply_to->name, PSEUDO_QUEUE ".%016llx%016llx.%02u",
                        (unsigned long long)secret(broker, number, 0x7265706c79),
                        (unsigned long long)secret(broker, number, 0x2d746f),
                        (unsigned)broker->config.shard);
    assert(size > 0);
    assert((size_t)size < sizeof reply_to->name);
    reply_to->name_size = (uint8_t)size;
}

/* RabbitMQ's three conditions, in its order. */
static int check(const struct lv_channel *channel, const struct lv_consume *consume,
                 struct lv_diag *diag)
{
    assert(channel->broker != NULL);
    if (consume->tag.size > 0 && lv_channel_subscription(channel, consume->tag) != NULL)
        return lv_fail(diag, -LV_E_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
                       LV_FMT(consume->tag));
    if (channel->reply_to != NULL)
        return lv_fail(diag, -LV_E_PRECONDITION, "reply consumer already set");
    if (!consume->no_ack)
        return lv_fail(diag, -LV_E_PRECONDITION, "reply consumer cannot acknowledge");
    return 0;
}

/* On the requester's own shard: the answer takes one hop, and no queue is made. */
static int begin(struct lv_channel *channel, const struct lv_consume *consume)
{
    struct lv_broker *broker = channel->broker;
    struct lv_reply_to *reply_to = lv_calloc(1, sizeof *reply_to);

    assert(channel->reply_to == NULL);
    if (reply_to == NULL)
        return -LV_E_NOMEM;
    reply_to->channel = channel;
    lv_list_init(&reply_to->waiting);
    make_name(broker, reply_to);
    if (lv_map_put(&broker->reply_tos, name_of(reply_to), reply_to) < 0) {
        lv_free(reply_to);
        return -LV_E_NOMEM;
    }
    reply_to->subscription = lv_subscription_new(channel, consume, broker->config.shard);
    if (reply_to->subscription == NULL) {
        lv_map_remove(&broker->reply_tos, name_of(reply_to));
        lv_free(reply_to);
        return -LV_E_NOMEM;
    }
    reply_to->subscription->is_reply_to = true;
    channel->reply_to = reply_to;
    broker->stats.consumers++;
    return 0;
}

/* Answered at once, as nobody else has to be asked. */
void lv_reply_to_consume(struct lv_channel *channel, const struct lv_consume *consume)
{
    char generated[] = "amq.ctag-0123456789012345678901";
    struct lv_reply reply = {.command = LV_COMMAND_CONSUME, .text = ""};
    struct lv_consume named = *consume;
    struct lv_diag diag;
    int rc = check(channel, consume, &diag);

    assert(!channel->closing);
    if (rc < 0) {
        lv_command_refuse(channel, LV_COMMAND_CONSUME, rc, &diag);
        return;
    }
    if (named.tag.size == 0) {
        lv_random_name(&channel->broker->random, generated + sizeof "amq.ctag-" - 1);
        named.tag = lv_text(generated);
    }
    reply.name = named.tag;
    if (begin(channel, &named) < 0)
        lv_command_refuse_memory(channel, LV_COMMAND_CONSUME);
    else
        channel->client->ops->reply(channel->ctx, &reply);
}

/* Answers nobody will read; they were in no queue and were never promised. */
static void drop_waiting(struct lv_reply_to *reply_to)
{
    struct lv_link *link;

    assert(reply_to->channel != NULL);
    while ((link = lv_list_pop_front(&reply_to->waiting)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
    reply_to->channel->broker->memory_size -= reply_to->waiting_size;
    reply_to->waiting_size = 0;
}

/* With the consumer or the channel, whatever comes first. */
void lv_reply_to_end(struct lv_channel *channel)
{
    struct lv_reply_to *reply_to = channel->reply_to;
    struct lv_broker *broker = channel->broker;

    assert(channel->broker != NULL);
    if (reply_to == NULL)
        return;
    channel->reply_to = NULL;
    drop_waiting(reply_to);
    lv_map_remove(&broker->reply_tos, name_of(reply_to));
    lv_subscription_free(reply_to->subscription);
    lv_free(reply_to);
    broker->stats.consumers--;
}

/* Not acknowledged, hence not in the ring of unacknowledged deliveries. */
static void deliver(const struct lv_reply_to *reply_to, const struct lv_op *op)
{
    static const struct lv_wire_tag settled = {.tag = 0};
    struct lv_channel *channel = reply_to->channel;
    const struct lv_subscription *subscription = reply_to->subscription;
    struct lv_delivery delivery = {
        .consumer_ctx = subscription->ctx,
        .consumer_tag = lv_bytes(subscription->tag, subscription->tag_size),
        .tag = lv_channel_wire_tag(channel, &settled),
        .message = lv_message_view(op->data),
    };

    assert(op->kind == LV_OP_REPLY);
    if (delivery.tag == 0)
        return; /* out of memory: an answer that never came */
    channel->broker->stats.delivered++;
    channel->client->ops->deliver(channel->ctx, &delivery);
}

/* Until the client reads again. There is no queue that could keep more: what comes on top is an
 * answer that never came. */
static void keep(struct lv_reply_to *reply_to, const struct lv_op *op)
{
    struct lv_broker *broker = reply_to->channel->broker;
    struct lv_op *copy;

    assert(op->kind == LV_OP_REPLY);
    if (reply_to->waiting_size + op->size > LV_REPLY_TO_SIZE_MAX)
        return;
    copy = lv_op_new(broker, LV_OP_REPLY, op->size);
    if (copy == NULL)
        return;
    memcpy(copy->data, op->data, op->size);
    lv_list_push_back(&reply_to->waiting, &copy->link);
    reply_to->waiting_size += op->size;
    broker->memory_size += op->size;
}

/* When the requester reads again, before any newer answer. */
void lv_reply_to_flush(struct lv_channel *channel)
{
    struct lv_reply_to *reply_to = channel->reply_to;
    struct lv_link *link;

    assert(channel->client != NULL);
    if (reply_to == NULL)
        return;
    while (channel->client->writable && (link = lv_list_pop_front(&reply_to->waiting)) != NULL) {
        struct lv_op *op = lv_container(link, struct lv_op, link);
        reply_to->waiting_size -= op->size;
        channel->broker->memory_size -= op->size;
        deliver(reply_to, op);
        lv_op_free(op);
    }
}

/* An answer that finds its requester not reading waits in line behind those that wait already. */
void lv_reply_to_run(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_message message = lv_message_view(op->data);
    struct lv_reply_to *reply_to = lv_map_get(&broker->reply_tos, message.key);
    uint32_t from = op->from;

    assert(op->kind == LV_OP_REPLY);
    op->enqueue.found = reply_to != NULL;
    if (reply_to != NULL && reply_to->channel->client->writable &&
        lv_list_is_empty(&reply_to->waiting))
        deliver(reply_to, op);
    else if (reply_to != NULL)
        keep(reply_to, op);
    if (op->enqueue.channel == NULL) {
        lv_op_free(op);
        return;
    }
    op->kind = LV_OP_REPLIED;
    op->from = broker->config.shard;
    lv_op_send(broker, from, op);
}

/* ---- the responder's side ---- */

/* The shard is read from the name, which may be invented: it is checked there, not here. */
struct lv_op *lv_reply_to_op(const struct lv_broker *broker, const struct lv_message *message,
                             bool mandatory, uint32_t *ret_shard)
{
    struct lv_op *op = lv_op_new(broker, LV_OP_REPLY, lv_message_record_size(message));

    assert(lv_reply_to_is_name(message->key));
    if (op == NULL)
        return NULL;
    lv_message_write(message, op->data);
    op->enqueue.mandatory = mandatory;
    *ret_shard = shard_of(broker, message->key);
    return op;
}

/* A requester that is gone is unroutable, as the default exchange has it. */
void lv_reply_to_done(struct lv_op *op)
{
    struct lv_channel *channel = op->enqueue.channel;

    assert(channel != NULL);
    if (op->enqueue.mandatory && !op->enqueue.found && !channel->closing) {
        struct lv_message message = lv_message_view(op->data);
        channel->client->ops->returned(channel->ctx, &message);
    }
    lv_channel_enqueued(op);
    lv_op_free(op);
}

/* A passive declare is how responders ask whether their requester is still there. */
void lv_reply_to_declare(struct lv_channel *channel, struct lv_bytes name)
{
    struct lv_broker *broker = channel->broker;
    struct lv_reply reply = {.command = LV_COMMAND_QUEUE_DECLARE, .text = "", .name = name};

    assert(!channel->closing);
    if (lv_reply_to_is_pseudo(name)) {
        reply.consumer_count = 1;
        channel->client->ops->reply(channel->ctx, &reply);
        return;
    }
    struct lv_pending *pending = lv_pending_new(channel->client, channel, LV_COMMAND_QUEUE_DECLARE);
    struct lv_op *op =
        pending == NULL ? NULL : lv_op_new(broker, LV_OP_REPLY_QUERY, (uint32_t)name.size);
    if (op == NULL) {
        lv_pending_free(pending);
        lv_command_refuse_memory(channel, LV_COMMAND_QUEUE_DECLARE);
        return;
    }
    lv_pending_set_name(pending, name);
    op->command.pending = pending;
    lv_put_bytes(op->data, name);
    lv_op_send(broker, shard_of(broker, name), op);
    lv_broker_settle_local(broker);
}

/* The operation turns around and carries the answer. */
void lv_reply_to_query(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_bytes name = lv_bytes(op->data, op->size);
    struct lv_op_answer answer = {
        .pending = op->command.pending,
        .found = lv_map_get(&broker->reply_tos, name) != NULL,
    };
    uint32_t from = op->from;

    assert(op->kind == LV_OP_REPLY_QUERY);
    op->kind = LV_OP_REPLY_ANSWER;
    op->from = broker->config.shard;
    op->answer = answer;
    lv_op_send(broker, from, op);
}

/* RabbitMQ's 404, with the vhost although no queue of the name can be in one. */
void lv_reply_to_answered(struct lv_op *op)
{
    struct lv_pending *pending = op->answer.pending;
    struct lv_bytes name = lv_bytes(pending->name, pending->name_size);

    assert(op->kind == LV_OP_REPLY_ANSWER);
    assert(pending != NULL);
    pending->consumer_count = 1;
    if (!op->answer.found)
        pending->error = lv_fail(&pending->diag, -LV_E_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'",
                                 LV_FMT(name), LV_FMT(lv_vhost_name(pending->client->vhost)));
    lv_op_free(op);
    lv_pending_finish(pending, NULL);
}
