/*
 * Messages on their way to the client, and what else the core says by itself.
 *
 * The hot half of the room: one reservation in the output per message, and no memory of its own.
 */
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"
#include "session/amqp091/machine.h"

/* Bodies up to this many bytes are copied into the output; larger ones are sent from their page. */
#define COPY_MAX 4096u

/* A header frame around raw properties. */
#define HEADER_FRAME_SIZE (LV_AMQP091_FRAME_OVERHEAD_SIZE + LV_AMQP091_CONTENT_HEAD_SIZE)

#define CLASS_BASIC       60u

void lv_session_send(struct lv_session *session, uint16_t channel,
                     const struct lv_amqp091_method *method)
{
    size_t size = lv_amqp091_frame_method_size(method);
    uint8_t *p = lv_out_reserve(&session->out, size);

    assert(size <= LV_OUT_CHUNK_SIZE);
    if (p == NULL) {
        lv_session_doom(session);
        return;
    }
    lv_amqp091_frame_encode_method(method, channel, p);
    lv_out_commit(&session->out, size);
    lv_session_wrote(session);
}

static uint8_t *put_header(uint8_t *p, uint16_t channel, const struct lv_message *message)
{
    assert(message->properties.size >= 2);
    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_HEADER, channel,
                                     LV_AMQP091_CONTENT_HEAD_SIZE + message->properties.size);
    p = lv_put32(p, CLASS_BASIC << 16); /* weight 0 */
    p = lv_put64(p, message->body.size);
    p = lv_put_bytes(p, message->properties);
    return lv_put8(p, LV_AMQP091_FRAME_END);
}

static uint8_t *put_body(uint8_t *p, uint16_t channel, struct lv_bytes body)
{
    assert(body.size > 0); /* an empty body has no frame */
    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_BODY, channel, body.size);
    p = lv_put_bytes(p, body);
    return lv_put8(p, LV_AMQP091_FRAME_END);
}

/* A few bytes, wherever they fit. */
static int copy(struct lv_session *session, const uint8_t *data, size_t size)
{
    assert(size <= LV_OUT_CHUNK_SIZE);
    return lv_out_copy(&session->out, lv_bytes(data, size));
}

/* As put_header(), when the properties may be larger than a chunk of the output. */
static int send_large_header(struct lv_session *session, uint16_t channel,
                             const struct lv_message *message)
{
    uint8_t head[HEADER_FRAME_SIZE];
    uint8_t *p = head;
    int rc;

    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_HEADER, channel,
                                     LV_AMQP091_CONTENT_HEAD_SIZE + message->properties.size);
    p = lv_put32(p, CLASS_BASIC << 16);
    p = lv_put64(p, message->body.size);
    rc = copy(session, head, (size_t)(p - head));
    if (rc == 0)
        rc = lv_out_copy(&session->out, message->properties);
    head[0] = LV_AMQP091_FRAME_END;
    return rc == 0 ? copy(session, head, 1) : rc;
}

/* One body frame; its payload stays in the page when it may. */
static int send_body_frame(struct lv_session *session, uint16_t channel, struct lv_bytes body,
                           struct lv_ref ref)
{
    uint8_t head[LV_AMQP091_FRAME_HEAD_SIZE], end = LV_AMQP091_FRAME_END;
    int rc;

    assert(body.size > 0);
    lv_amqp091_frame_head_encode(head, LV_AMQP091_FRAME_BODY, channel, body.size);
    rc = copy(session, head, sizeof head);
    if (rc == 0 && ref.size > 0) {
        void *owner;
        lv_out_release_fn *release = lv_broker_pin(session->broker, ref, &owner);
        rc = lv_out_view(&session->out, body, release, owner);
        if (rc < 0)
            release(owner);
    } else if (rc == 0) {
        rc = lv_out_copy(&session->out, body);
    }
    return rc == 0 ? copy(session, &end, 1) : rc;
}

/* Header and body of whatever size. */
static int send_large_content(struct lv_session *session, uint16_t channel,
                              const struct lv_message *message, struct lv_ref ref)
{
    size_t payload_max = session->frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE;
    struct lv_bytes rest = message->body;
    int rc = send_large_header(session, channel, message);

    assert(session->frame_max >= LV_BOUND_FRAME_MIN);
    while (rc == 0 && rest.size > 0) {
        size_t size = rest.size < payload_max ? rest.size : payload_max;
        rc = send_body_frame(session, channel, lv_bytes(rest.data, size), ref);
        rest = lv_bytes(rest.data + size, rest.size - size);
    }
    return rc;
}

/* Header and body frames that are copied in one go: their size, 0 when they are too large for it.
 */
static size_t small_content_size(const struct lv_session *session, const struct lv_message *message)
{
    size_t body = message->body.size;

    assert(message->format == LV_MESSAGE_AMQP091);
    assert(message->properties.size >= 2);
    if (body > COPY_MAX || message->properties.size > COPY_MAX ||
        body > session->frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE)
        return 0;
    return HEADER_FRAME_SIZE + message->properties.size +
           (body > 0 ? LV_AMQP091_FRAME_OVERHEAD_SIZE + body : 0);
}

static uint8_t *put_small_content(uint8_t *p, uint16_t channel, const struct lv_message *message)
{
    p = put_header(p, channel, message);
    return message->body.size > 0 ? put_body(p, channel, message->body) : p;
}

void lv_session_send_content(struct lv_session *session, uint16_t channel,
                             const struct lv_message *message, struct lv_ref ref)
{
    size_t size = small_content_size(session, message);
    int rc = 0;

    if (size > 0) {
        uint8_t *p = lv_out_reserve(&session->out, size);
        if (p == NULL) {
            rc = -LV_E_NOMEM;
        } else {
            put_small_content(p, channel, message);
            lv_out_commit(&session->out, size);
        }
    } else {
        rc = send_large_content(session, channel, message, ref);
    }
    if (rc < 0)
        lv_session_doom(session);
    else
        lv_session_wrote(session);
}

/* ---- the core's callbacks ---- */

/* Can something still be said on the channel? */
static bool is_heard(const struct lv_session_channel *channel)
{
    const struct lv_session *session = channel->session;

    return channel->state <= LV_SESSION_CHANNEL_BODY && !session->doomed &&
           session->state == LV_SESSION_RUNNING;
}

/* The consumer's prefix, with the frame's size put in, and the rest of basic.deliver. */
static uint8_t *put_deliver(uint8_t *p, const struct lv_session_consumer *consumer,
                            const struct lv_delivery *delivery, size_t frame_size)
{
    uint8_t *size_at = p + 3;

    assert(consumer->prefix_size > LV_CONSUMER_PREFIX_SIZE);
    p = lv_put_bytes(p, lv_bytes(consumer->prefix, consumer->prefix_size));
    lv_put32(size_at, (uint32_t)(frame_size - LV_AMQP091_FRAME_OVERHEAD_SIZE));
    p = lv_put64(p, delivery->tag);
    p = lv_put8(p, delivery->redelivered);
    p = lv_put8(p, (uint8_t)delivery->message.exchange.size);
    p = lv_put_bytes(p, delivery->message.exchange);
    p = lv_put8(p, (uint8_t)delivery->message.key.size);
    p = lv_put_bytes(p, delivery->message.key);
    return lv_put8(p, LV_AMQP091_FRAME_END);
}

/* Called for every message: what a client hears most of. */
static void deliver(void *channel_ctx, const struct lv_delivery *delivery)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_session *session = channel->session;
    const struct lv_session_consumer *consumer = delivery->consumer_ctx;
    const struct lv_message *message = &delivery->message;
    size_t method_size, content_size;
    uint8_t *p;

    assert(consumer->prefix_size > 0); /* consume-ok is out */
    if (LV_UNLIKELY(!is_heard(channel)))
        return;
    method_size =
        consumer->prefix_size + 8u + 1 + 1 + message->exchange.size + 1 + message->key.size + 1;
    content_size = small_content_size(session, message);
    p = lv_out_reserve(&session->out, method_size + content_size);
    if (LV_UNLIKELY(p == NULL)) {
        lv_session_doom(session);
        return;
    }
    p = put_deliver(p, consumer, delivery, method_size);
    if (LV_LIKELY(content_size > 0))
        put_small_content(p, channel->number, message);
    lv_out_commit(&session->out, method_size + content_size);
    if (LV_UNLIKELY(content_size == 0) &&
        send_large_content(session, channel->number, message, delivery->ref) < 0) {
        lv_session_doom(session);
        return;
    }
    lv_session_wrote(session);
}

/* The core collects confirms over a turn, so this is one frame for many publishes. */
static void confirm(void *channel_ctx, uint64_t tag, bool multiple)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_ACK};

    assert(tag > 0);
    if (!is_heard(channel))
        return;
    method.basic_ack.delivery_tag = tag;
    method.basic_ack.multiple = multiple;
    lv_session_send(channel->session, channel->number, &method);
}

/* RabbitMQ's extension: the broker's own nack. */
static void refused(void *channel_ctx, uint64_t tag, bool multiple)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_NACK};

    assert(tag > 0);
    if (!is_heard(channel))
        return;
    method.basic_nack.delivery_tag = tag;
    method.basic_nack.multiple = multiple;
    lv_session_send(channel->session, channel->number, &method);
}

/* 0-9-1 §1.8.3.10; the body is the publisher's own and not in the store, so it can only be copied.
 */
static void returned(void *channel_ctx, const struct lv_message *message)
{
    static const struct lv_ref not_pinned = {.size = 0};
    struct lv_session_channel *channel = channel_ctx;
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_RETURN};

    assert(message->exchange.size <= UINT8_MAX);
    if (!is_heard(channel))
        return;
    method.basic_return.reply_code = (uint16_t)lv_error_code(-LV_E_NO_ROUTE);
    method.basic_return.reply_text = lv_text(lv_error_name(-LV_E_NO_ROUTE));
    method.basic_return.exchange = message->exchange;
    method.basic_return.routing_key = message->key;
    lv_session_send(channel->session, channel->number, &method);
    lv_session_send_content(channel->session, channel->number, message, not_pinned);
}

/* RabbitMQ's extension; a client that didn't ask for it is left with a consumer that stays silent.
 */
static void cancelled(void *channel_ctx, struct lv_bytes consumer_tag, void *consumer_ctx)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_session *session = channel->session;
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_CANCEL};

    assert(consumer_ctx != NULL);
    method.basic_cancel.consumer_tag = consumer_tag;
    method.basic_cancel.no_wait = true;
    if (is_heard(channel) && (session->capabilities & LV_CAPABLE_CANCEL_NOTIFY))
        lv_session_send(session, channel->number, &method);
    lv_session_consumer_remove(channel, consumer_ctx);
}

const struct lv_client_ops lv_session_client_ops = {
    .reply = lv_session_reply,
    .deliver = deliver,
    .confirm = confirm,
    .refused = refused,
    .returned = returned,
    .cancelled = cancelled,
    .channel_closed = lv_session_channel_closed,
    .probe = lv_session_probe,
    .warned = lv_session_warned,
    .forced = lv_session_forced,
    .client_closed = lv_session_client_closed,
};
