/*
 * The core's answers to commands, as methods.
 *
 * They come within the command or much later, then within a callback of the core: what is sent here
 * is sent at once, what has to be closed waits for the next step.
 */
#include "base/alloc.h"
#include "codec/amqp091/method.h"
#include "session/amqp091/machine.h"

/* Counts go out in 32 bits. */
static uint32_t clip(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

/* basic.get-ok has content, the only reply that does. */
static void reply_get(struct lv_session_channel *channel, const struct lv_reply *reply)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_GET_EMPTY};
    const struct lv_delivery *delivery = reply->delivery;

    assert(reply->command == LV_COMMAND_GET);
    if (delivery == NULL) {
        lv_session_send(channel->session, channel->number, &method);
        return;
    }
    method.id = LV_AMQP091_BASIC_GET_OK;
    method.basic_get_ok.delivery_tag = delivery->tag;
    method.basic_get_ok.redelivered = delivery->redelivered;
    method.basic_get_ok.exchange = delivery->message.exchange;
    method.basic_get_ok.routing_key = delivery->message.key;
    method.basic_get_ok.message_count = clip(reply->message_count);
    lv_session_send(channel->session, channel->number, &method);
    lv_session_send_content(channel->session, channel->number, &delivery->message, delivery->ref);
}

/* The core answers an unknown tag like a known one. */
static void cancel(struct lv_session_channel *channel, struct lv_bytes tag)
{
    struct lv_session_consumer *consumer = lv_session_consumer_find(channel, tag);

    assert(channel->state <= LV_SESSION_CHANNEL_BODY);
    if (consumer != NULL)
        lv_session_consumer_remove(channel, consumer);
}

/* Flat: the answer to each command. `asked` is the method that gave it. */
static struct lv_amqp091_method answer(const struct lv_reply *reply, uint32_t asked)
{
    struct lv_amqp091_method method = {.id = 0};

    switch (reply->command) {
    case LV_COMMAND_EXCHANGE_DECLARE:
        method.id = LV_AMQP091_EXCHANGE_DECLARE_OK;
        return method;
    case LV_COMMAND_EXCHANGE_DELETE:
        method.id = LV_AMQP091_EXCHANGE_DELETE_OK;
        return method;
    case LV_COMMAND_QUEUE_DECLARE:
        method.id = LV_AMQP091_QUEUE_DECLARE_OK;
        method.queue_declare_ok.queue = reply->name;
        method.queue_declare_ok.message_count = clip(reply->message_count);
        method.queue_declare_ok.consumer_count = clip(reply->consumer_count);
        return method;
    case LV_COMMAND_QUEUE_DELETE:
        method.id = LV_AMQP091_QUEUE_DELETE_OK;
        method.queue_delete_ok.message_count = clip(reply->message_count);
        return method;
    case LV_COMMAND_QUEUE_PURGE:
        method.id = LV_AMQP091_QUEUE_PURGE_OK;
        method.queue_purge_ok.message_count = clip(reply->message_count);
        return method;
    case LV_COMMAND_BIND:
        method.id = asked == LV_AMQP091_EXCHANGE_BIND ? LV_AMQP091_EXCHANGE_BIND_OK
                                                      : LV_AMQP091_QUEUE_BIND_OK;
        return method;
    case LV_COMMAND_UNBIND:
        method.id = asked == LV_AMQP091_EXCHANGE_UNBIND ? LV_AMQP091_EXCHANGE_UNBIND_OK
                                                        : LV_AMQP091_QUEUE_UNBIND_OK;
        return method;
    case LV_COMMAND_CONSUME:
        method.id = LV_AMQP091_BASIC_CONSUME_OK;
        method.basic_consume_ok.consumer_tag = reply->name;
        return method;
    case LV_COMMAND_CANCEL:
        method.id = LV_AMQP091_BASIC_CANCEL_OK;
        method.basic_cancel_ok.consumer_tag = reply->name;
        return method;
    case LV_COMMAND_TX_COMMIT:
        method.id = LV_AMQP091_TX_COMMIT_OK;
        return method;
    case LV_COMMAND_GET:
    case LV_COMMAND_PROBE:
    case LV_COMMAND_CHANGE:
    case LV_COMMAND_COUNT:
        break;
    }
    LV_IMPOSSIBLE("these have answers of their own");
}

/* The consumer joins its channel even when nobody waits for consume-ok. */
static void succeed(struct lv_session_channel *channel, const struct lv_session_pending *pending,
                    const struct lv_reply *reply)
{
    struct lv_amqp091_method method;

    assert(reply->error == 0);
    if (reply->command == LV_COMMAND_GET) {
        reply_get(channel, reply);
        return;
    }
    if (reply->command == LV_COMMAND_CONSUME)
        lv_session_consumer_add(channel, pending->consumer, reply->name);
    else if (reply->command == LV_COMMAND_CANCEL)
        cancel(channel, reply->name);
    if (pending->no_wait)
        return;
    method = answer(reply, pending->method);
    lv_session_send(channel->session, channel->number, &method);
}

/* One switch over what was asked, since the answers of the core are all of one form. */
void lv_session_reply(void *channel_ctx, const struct lv_reply *reply)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_session *session = channel->session;
    struct lv_session_pending pending = session->pending;
    struct lv_fault fault;

    assert(pending.channel == channel);
    session->pending = (struct lv_session_pending){.channel = NULL};
    if (reply->command == LV_COMMAND_PROBE) { /* the command comes again */
        lv_session_resume(session, LV_PAUSE_ANSWER);
        return;
    }
    if (reply->error == 0) {
        succeed(channel, &pending, reply);
        lv_session_resume(session, LV_PAUSE_ANSWER);
        return;
    }
    lv_free(pending.consumer);
    if (reply->error == -LV_E_LOCKED && session->may_probe) {
        session->is_locked_out = true;
        lv_session_resume(session, LV_PAUSE_ANSWER);
        return;
    }
    fault.method = pending.method;
    lv_fail(&fault.diag, reply->error, "%s", reply->text);
    lv_session_resume(session, LV_PAUSE_ANSWER);
    lv_session_fail(session, channel, reply->error, &fault);
}
