/*
 * basic.publish and its content: whole in the input, or assembled from frames as they come.
 *
 * The first way takes what is usual and complete, and copies nothing; it never judges, but leaves
 * anything else to the second, which sees every frame by itself and knows all the errors.
 */
#include "codec/amqp091/content.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/amqp091/frame.h"
#include "session/amqp091/machine.h"
#include "session/amqp091/properties.h"

/* A body's first buffer; it doubles as bytes arrive. */
#define BODY_CAPACITY_MIN 4096u

/* Bits of basic.publish. */
#define MANDATORY 1u
#define IMMEDIATE 2u

/* During an alarm the first message is taken, then the connection is read no more. */
static void block(struct lv_session *session)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_BLOCKED};

    assert(session->alarm != NULL);
    session->pause |= LV_PAUSE_ALARM;
    if (session->told_blocked || !(session->capabilities & LV_CAPABLE_BLOCKED))
        return;
    session->told_blocked = true;
    method.connection_blocked.reason = lv_text(session->alarm);
    lv_session_send(session, 0, &method);
}

/* Both ways end here. The message's bytes are the caller's and copied by the core. */
static void publish(struct lv_session_channel *channel, const struct lv_message *message,
                    bool mandatory)
{
    struct lv_session *session = channel->session;
    struct lv_fault fault;
    int rc;

    assert(channel->state == LV_SESSION_CHANNEL_OPEN);
    if (LV_UNLIKELY(lv_get16(message->properties.data) & LV_SESSION_JUDGED_PROPERTIES))
        rc = lv_session_publish_judged(channel, message, mandatory, &fault.diag);
    else
        rc = lv_channel_publish(channel->core, message, mandatory, &fault.diag);
    if (LV_UNLIKELY(rc < 0)) {
        fault.method = LV_AMQP091_BASIC_PUBLISH;
        lv_session_fail(session, channel, rc, &fault);
    }
    if (LV_UNLIKELY(session->alarm != NULL))
        block(session);
}

/* Flags of a message whose properties have something that has to be looked for. */
static uint8_t look_for_flags(struct lv_bytes properties)
{
    uint8_t flags = lv_session_has_extra_keys(properties) ? LV_MESSAGE_EXTRA_KEYS : 0;
    struct lv_bytes mode;

    if (lv_amqp091_property_find(properties, LV_AMQP091_PROPERTY_DELIVERY_MODE, &mode) &&
        mode.data[0] == 2)
        flags |= LV_MESSAGE_PERSISTENT;
    return flags;
}

/* What the core wants to know of the properties at once: it asks for more only where it must. */
static inline uint8_t message_flags(struct lv_bytes properties)
{
    uint16_t flags = lv_get16(properties.data);

    assert(properties.size >= 2);
    if ((flags & (LV_AMQP091_PROPERTY_HEADERS | LV_AMQP091_PROPERTY_DELIVERY_MODE)) == 0)
        return 0;
    if (flags < LV_AMQP091_PROPERTY_DELIVERY_MODE * 2) /* nothing stands before it */
        return properties.data[2] == 2 ? LV_MESSAGE_PERSISTENT : 0;
    return look_for_flags(properties);
}

/* ---- the whole in one piece ---- */

/* The payload of a complete frame of `type` on the channel, NULL when it isn't there. */
static const uint8_t *frame_at(const uint8_t *p, const uint8_t *end, uint8_t type, uint16_t channel,
                               uint32_t *ret_size)
{
    size_t left = (size_t)(end - p);
    uint32_t size;

    assert(p <= end);
    if (left < LV_AMQP091_FRAME_OVERHEAD_SIZE || p[0] != type || lv_get16(p + 1) != channel)
        return NULL;
    size = lv_get32(p + 3);
    if (left - LV_AMQP091_FRAME_OVERHEAD_SIZE < size ||
        p[LV_AMQP091_FRAME_HEAD_SIZE + size] != LV_AMQP091_FRAME_END)
        return NULL;
    *ret_size = size;
    return p + LV_AMQP091_FRAME_HEAD_SIZE;
}

/* basic.publish: id 4, ticket 2, exchange, routing key, bits. False when anything is not as usual.
 */
static bool read_publish(const uint8_t *p, uint32_t size, struct lv_message *message,
                         bool *ret_mandatory)
{
    const uint8_t *end = p + size;
    uint8_t bits;

    if (size < 9)
        return false;
    p += 6;
    if ((size_t)(end - p) < 3u + p[0])
        return false;
    message->exchange = lv_bytes(p + 1, p[0]);
    p += 1 + p[0];
    if ((size_t)(end - p) != 2u + p[0])
        return false;
    message->key = lv_bytes(p + 1, p[0]);
    bits = end[-1];
    *ret_mandatory = (bits & MANDATORY) != 0;
    return (bits & IMMEDIATE) == 0 && lv_utf8_is_valid(message->exchange) &&
           lv_utf8_is_valid(message->key);
}

size_t lv_content_take_whole(struct lv_session_channel *channel, struct lv_bytes input)
{
    const struct lv_session *session = channel->session;
    const uint8_t *end = input.data + input.size;
    uint32_t frame_max = session->frame_max; /* of payloads, with the tolerated overhead */
    struct lv_amqp091_content content;
    struct lv_message message;
    const uint8_t *p;
    uint32_t size;
    bool mandatory;

    assert(channel->state == LV_SESSION_CHANNEL_OPEN);
    p = frame_at(input.data, end, LV_AMQP091_FRAME_METHOD, channel->number, &size);
    if (p == NULL || size > frame_max || !read_publish(p, size, &message, &mandatory))
        return 0;
    p = frame_at(p + size + 1, end, LV_AMQP091_FRAME_HEADER, channel->number, &size);
    if (p == NULL || size > frame_max ||
        lv_amqp091_content_decode(lv_bytes(p, size), &content, NULL) < 0)
        return 0;
    p += size + 1;
    message.body = lv_bytes(p, 0);
    if (content.body_size > 0) {
        p = frame_at(p, end, LV_AMQP091_FRAME_BODY, channel->number, &size);
        if (p == NULL || size != content.body_size || size > frame_max ||
            size > session->limits->max_message_size)
            return 0;
        message.body = lv_bytes(p, size);
        p += size + 1;
    }
    message.properties = content.properties;
    message.format = LV_MESSAGE_AMQP091;
    message.flags = message_flags(content.properties);
    publish(channel, &message, mandatory);
    return (size_t)(p - input.data);
}

/* ---- piece by piece ---- */

void lv_content_free(struct lv_session_channel *channel)
{
    struct lv_content *content = channel->content;

    if (content == NULL)
        return;
    assert(channel->session->assembly_size >= content->capacity);
    channel->session->assembly_size -= content->capacity;
    lv_free(content->properties);
    lv_free(content->body);
    lv_free(content);
    channel->content = NULL;
}

int lv_content_begin(struct lv_session_channel *channel, const struct lv_amqp091_method *method,
                     struct lv_fault *fault)
{
    const struct lv_amqp091_basic_publish *from = &method->basic_publish;
    struct lv_content *content;

    assert(channel->content == NULL);
    if (from->immediate)
        return lv_fail(&fault->diag, -LV_E_NOT_IMPLEMENTED, "immediate=true");
    content = lv_alloc(sizeof *content + from->exchange.size + from->routing_key.size);
    if (content == NULL)
        return lv_fail(&fault->diag, -LV_E_NOMEM, "no memory for a message");
    *content = (struct lv_content){
        .exchange_size = (uint8_t)from->exchange.size,
        .key_size = (uint8_t)from->routing_key.size,
        .mandatory = from->mandatory,
    };
    lv_put_bytes(lv_put_bytes(content->names, from->exchange), from->routing_key);
    channel->content = content;
    lv_session_channel_move_to(channel, LV_SESSION_CHANNEL_HEADER);
    return 0;
}

/* The state changes first: a publish that fails closes an open channel. */
static void complete(struct lv_session_channel *channel)
{
    struct lv_content *content = channel->content;
    struct lv_message message = {
        .exchange = lv_bytes(content->names, content->exchange_size),
        .key = lv_bytes(content->names + content->exchange_size, content->key_size),
        .properties = lv_bytes(content->properties, content->properties_size),
        .body = lv_bytes(content->body, content->size),
        .format = LV_MESSAGE_AMQP091,
    };

    assert(content->size == content->expected);
    message.flags = message_flags(message.properties);
    lv_session_channel_move_to(channel, LV_SESSION_CHANNEL_OPEN);
    publish(channel, &message, content->mandatory);
    lv_content_free(channel);
}

/* Too large a message is refused before it arrives; its body is then discarded like all that comes
 * on a failed channel. */
int lv_content_header(struct lv_session_channel *channel, struct lv_bytes payload,
                      struct lv_fault *fault)
{
    const struct lv_session_limits *limits = channel->session->limits;
    struct lv_content *content = channel->content;
    struct lv_amqp091_content header;
    int rc = lv_amqp091_content_decode(payload, &header, &fault->diag);

    assert(channel->state == LV_SESSION_CHANNEL_HEADER);
    if (rc < 0)
        return rc;
    if (header.body_size > limits->max_message_size)
        return lv_fail(
            &fault->diag, -LV_E_PRECONDITION, "message size %llu is larger than max size %llu",
            (unsigned long long)header.body_size, (unsigned long long)limits->max_message_size);
    content->properties = lv_alloc(header.properties.size);
    if (content->properties == NULL)
        return lv_fail(&fault->diag, -LV_E_NOMEM, "no memory for a message");
    lv_put_bytes(content->properties, header.properties);
    content->properties_size = (uint32_t)header.properties.size;
    content->expected = header.body_size;
    if (content->expected == 0) {
        complete(channel);
        return 0;
    }
    lv_session_channel_move_to(channel, LV_SESSION_CHANNEL_BODY);
    return 0;
}

/* RabbitMQ up to 4.0 does not notice too long a body; then the rest would start the next message.
 */
int lv_content_frame(struct lv_session_channel *channel, uint32_t size, struct lv_fault *fault)
{
    const struct lv_content *content = channel->content;

    assert(channel->state == LV_SESSION_CHANNEL_BODY);
    if (size > content->expected - content->size)
        return lv_fail(&fault->diag, -LV_E_BAD_FRAME,
                       "content body of %llu bytes exceeds the announced size %llu",
                       (unsigned long long)content->size + size,
                       (unsigned long long)content->expected);
    return 0;
}

/* Room for `size` bytes more. What was announced is no reason to hold memory, what came is. */
static int grow(struct lv_session *session, struct lv_content *content, size_t size)
{
    size_t need = content->size + size;
    size_t capacity = content->capacity * 2;
    uint8_t *body;

    assert(content->size <= content->capacity);
    if (need <= content->capacity)
        return 0;
    if (capacity < BODY_CAPACITY_MIN)
        capacity = BODY_CAPACITY_MIN;
    if (capacity > content->expected)
        capacity = (size_t)content->expected;
    if (capacity < need)
        capacity = need;
    if (session->assembly_size + capacity - content->capacity > session->limits->assembly_size)
        return -LV_E_RESOURCE;
    body = lv_realloc(content->body, capacity);
    if (body == NULL)
        return -LV_E_NOMEM;
    session->assembly_size += capacity - content->capacity;
    content->body = body;
    content->capacity = capacity;
    return 0;
}

int lv_content_body(struct lv_session_channel *channel, struct lv_bytes bytes,
                    struct lv_fault *fault)
{
    struct lv_content *content = channel->content;
    int rc = grow(channel->session, content, bytes.size);

    assert(channel->state == LV_SESSION_CHANNEL_BODY);
    if (rc < 0)
        return lv_fail(&fault->diag, rc, "incomplete messages need more than %llu bytes",
                       (unsigned long long)channel->session->limits->assembly_size);
    lv_put_bytes(content->body + content->size, bytes);
    content->size += bytes.size;
    return 0;
}

void lv_content_end(struct lv_session_channel *channel)
{
    assert(channel->state == LV_SESSION_CHANNEL_BODY);
    if (channel->content->size == channel->content->expected)
        complete(channel);
}
