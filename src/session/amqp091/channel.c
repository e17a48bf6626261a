/*
 * The channels of a connection and the consumers on them.
 *
 * A channel is here and in the core; it opens and closes in both, but not at the same moment: the
 * core may have to ask other shards before it can let go. Our half stays until the core's is gone
 * and the client has heard or said close-ok.
 */
#include "base/alloc.h"
#include "codec/amqp091/method.h"
#include "session/amqp091/machine.h"

#define BIT(state) (1u << LV_SESSION_CHANNEL_##state)

/* Where each state may lead. A channel ends by being freed. */
static const uint8_t allowed[LV_SESSION_CHANNEL_STATE_COUNT] = {
    [LV_SESSION_CHANNEL_OPEN] = BIT(HEADER) | BIT(FAILED) | BIT(LEAVING),
    [LV_SESSION_CHANNEL_HEADER] = BIT(OPEN) | BIT(BODY) | BIT(FAILED),
    [LV_SESSION_CHANNEL_BODY] = BIT(OPEN) | BIT(FAILED),
    [LV_SESSION_CHANNEL_FAILED] = BIT(LEAVING),
    [LV_SESSION_CHANNEL_LEAVING] = 0,
};

/* Every change of state goes through here, so a forbidden one is found where it happens. */
void lv_session_channel_move_to(struct lv_session_channel *channel,
                                enum lv_session_channel_state state)
{
    assert(allowed[channel->state] & 1u << state);
    channel->state = (uint8_t)state;
}

/* Room for channel `number` in the table. It doubles, so that small numbers need a small one. */
static int grow(struct lv_session *session, uint16_t number)
{
    uint32_t capacity = session->channel_capacity > 0 ? session->channel_capacity : 2;
    struct lv_session_channel **channels;

    assert(number > 0);
    if (number < session->channel_capacity)
        return 0;
    while (capacity <= number)
        capacity *= 2;
    channels = lv_realloc(session->channels, capacity * sizeof *channels);
    if (channels == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = session->channel_capacity; i < capacity; i++)
        channels[i] = NULL;
    session->channels = channels;
    session->channel_capacity = capacity;
    return 0;
}

static uint32_t count_channels(const struct lv_session *session)
{
    uint32_t count = 0;

    assert(session->channel_capacity == 0 || session->channels != NULL);
    for (uint32_t i = 0; i < session->channel_capacity; i++)
        count += session->channels[i] != NULL;
    return count;
}

/* RabbitMQ counts channels and takes any number; our table is indexed by it. */
static int check_number(const struct lv_session *session, uint16_t number, struct lv_fault *fault)
{
    assert(number > 0);
    if (number > session->channel_max && count_channels(session) >= session->channel_max)
        return lv_fail(&fault->diag, -LV_E_NOT_ALLOWED,
                       "number of channels opened (%u) has reached the negotiated channel_max (%u)",
                       (unsigned)session->channel_max, (unsigned)session->channel_max);
    if (number > session->channel_max)
        return lv_fail(&fault->diag, -LV_E_NOT_ALLOWED,
                       "channel number %u is higher than the negotiated channel_max (%u)",
                       (unsigned)number, (unsigned)session->channel_max);
    return 0;
}

/* Out of memory ends the connection, as 0-9-1 has no soft error for it. */
int lv_session_channel_open(struct lv_session *session, uint16_t number, struct lv_fault *fault)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CHANNEL_OPEN_OK};
    struct lv_session_channel *channel;
    int rc = check_number(session, number, fault);

    if (rc < 0)
        return rc;
    assert(lv_session_channel(session, number) == NULL);
    channel = grow(session, number) < 0 ? NULL : lv_calloc(1, sizeof *channel);
    if (channel == NULL)
        return lv_fail(&fault->diag, -LV_E_NOMEM, "no memory for channel %u", (unsigned)number);
    rc = lv_channel_open(session->client, channel, &fault->diag, &channel->core);
    if (rc < 0) {
        lv_free(channel);
        return rc;
    }
    channel->session = session;
    channel->number = number;
    session->channels[number] = channel;
    lv_session_send(session, number, &method);
    return 0;
}

/* What the client waits for until the core has let go. The number may be used again only then, and
 * no frame is judged before. */
static void leave(struct lv_session_channel *channel)
{
    struct lv_session *session = channel->session;

    assert(channel->core != NULL);
    lv_session_channel_move_to(channel, LV_SESSION_CHANNEL_LEAVING);
    session->pause |= LV_PAUSE_ANSWER;
    if (channel->core_closing)
        return;
    channel->core_closing = true;
    lv_channel_close(channel->core); /* may free the channel */
}

/* 0-9-1 §1.5.2.6: the client may use the number again as soon as it has this. */
static void send_close_ok(struct lv_session_channel *channel)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CHANNEL_CLOSE_OK};

    assert(channel->number > 0);
    lv_session_send(channel->session, channel->number, &method);
}

/* close-ok waits until the core has put back what was unacknowledged: who reopens the channel finds
 * it in the queues. */
void lv_session_channel_close(struct lv_session_channel *channel)
{
    assert(channel->state == LV_SESSION_CHANNEL_OPEN ||
           channel->state == LV_SESSION_CHANNEL_FAILED);
    if (channel->state == LV_SESSION_CHANNEL_FAILED) {
        send_close_ok(channel); /* both closed at once; the client's close-ok is still to come */
        return;
    }
    channel->owes_close_ok = true;
    leave(channel);
}

/* The channel ended at the error; what is left is its number. */
void lv_session_channel_close_ok(struct lv_session_channel *channel)
{
    assert(channel->state == LV_SESSION_CHANNEL_FAILED);
    if (channel->core == NULL)
        lv_session_channel_free(channel);
    else
        leave(channel);
}

/* Within a callback: the channel may be freed, but nothing may be asked of the core. */
void lv_session_channel_closed(void *channel_ctx)
{
    struct lv_session_channel *channel = channel_ctx;
    struct lv_session *session = channel->session;

    assert(channel->core != NULL);
    channel->core = NULL;
    if (channel->state != LV_SESSION_CHANNEL_LEAVING)
        return; /* FAILED: close-ok is still to come; or the whole client goes */
    if (channel->owes_close_ok && session->state == LV_SESSION_RUNNING)
        send_close_ok(channel);
    lv_session_channel_free(channel);
    if (session->state == LV_SESSION_RUNNING && session->farewell == NULL)
        lv_session_resume(session, LV_PAUSE_ANSWER);
}

/* Told at once, taken down later: the core may be in the middle of something that concerns the
 * channel. */
void lv_session_channel_fail(struct lv_session_channel *channel, int error,
                             const struct lv_fault *fault)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CHANNEL_CLOSE};
    struct lv_session *session = channel->session;
    char text[256];

    assert(lv_error_code(error) > 0);
    lv_session_error_text(error, fault->diag.text, text);
    lv_session_log(session, LV_WARN, "channel.error", text);
    method.channel_close.reply_code = (uint16_t)lv_error_code(error);
    method.channel_close.reply_text = lv_text(text);
    method.channel_close.class_id = (uint16_t)(fault->method >> 16);
    method.channel_close.method_id = (uint16_t)fault->method;
    lv_content_free(channel);
    lv_session_send(session, channel->number, &method);
    lv_session_channel_move_to(channel, LV_SESSION_CHANNEL_FAILED);
    lv_session_defer(session);
}

/* At the outermost end of a step, when nothing of the core is under way. */
void lv_session_channels_close_failed(struct lv_session *session)
{
    assert(session->depth > 0);
    for (uint32_t i = 0; i < session->channel_capacity; i++) {
        struct lv_session_channel *channel = session->channels[i];
        if (channel == NULL || channel->state != LV_SESSION_CHANNEL_FAILED || channel->core_closing)
            continue;
        channel->core_closing = true;
        lv_channel_close(channel->core);
    }
}

/* The core has let go of it, or never knew it. */
void lv_session_channel_free(struct lv_session_channel *channel)
{
    struct lv_session *session;

    if (channel == NULL)
        return;
    session = channel->session;
    assert(session->channels[channel->number] == channel);
    session->channels[channel->number] = NULL;
    lv_content_free(channel);
    while (channel->consumers != NULL) {
        struct lv_session_consumer *consumer = channel->consumers;
        channel->consumers = consumer->next;
        lv_free(consumer);
    }
    lv_free(channel);
}

/* With the connection; each would be taken down by itself otherwise. */
void lv_session_channels_fini(struct lv_session *session)
{
    assert(session->channels != NULL || session->channel_capacity == 0);
    for (uint32_t i = 0; i < session->channel_capacity; i++)
        lv_session_channel_free(session->channels[i]);
    lv_free(session->channels);
    session->channels = NULL;
    session->channel_capacity = 0;
}

/* The tag is kept in front of every delivery of the consumer, encoded once. */
struct lv_session_consumer *lv_session_consumer_new(struct lv_bytes tag)
{
    /* A tag of the broker's making: "amq.ctag-" and 22 characters. */
    size_t capacity = tag.size > 0 ? tag.size : 31;
    struct lv_session_consumer *consumer;

    assert(capacity <= UINT8_MAX);
    consumer = lv_alloc(sizeof *consumer + LV_CONSUMER_PREFIX_SIZE + capacity);
    if (consumer == NULL)
        return NULL;
    *consumer = (struct lv_session_consumer){.tag_capacity = (uint8_t)capacity};
    return consumer;
}

/* Built once per consumer: all of basic.deliver that is the same each time. */
void lv_session_consumer_add(struct lv_session_channel *channel,
                             struct lv_session_consumer *consumer, struct lv_bytes tag)
{
    uint8_t *p = consumer->prefix;

    assert(tag.size > 0);
    assert(tag.size <= consumer->tag_capacity);
    p = lv_put8(p, LV_AMQP091_FRAME_METHOD);
    p = lv_put16(p, channel->number);
    p = lv_put32(p, 0);
    p = lv_put32(p, LV_AMQP091_BASIC_DELIVER);
    p = lv_put8(p, (uint8_t)tag.size);
    p = lv_put_bytes(p, tag);
    consumer->prefix_size = (uint16_t)(p - consumer->prefix);
    consumer->next = channel->consumers;
    channel->consumers = consumer;
    channel->consumer_count++;
}

/* A walk: it happens at cancel only; deliveries know their consumer. */
struct lv_session_consumer *lv_session_consumer_find(const struct lv_session_channel *channel,
                                                     struct lv_bytes tag)
{
    struct lv_session_consumer *consumer = channel->consumers;

    assert(channel->session != NULL);
    for (; consumer != NULL; consumer = consumer->next) {
        struct lv_bytes own = lv_bytes(consumer->prefix + LV_CONSUMER_PREFIX_SIZE,
                                       consumer->prefix_size - (size_t)LV_CONSUMER_PREFIX_SIZE);
        if (lv_bytes_equal(own, tag))
            return consumer;
    }
    return NULL;
}

/* From the list; the core has no subscription with it any more. */
void lv_session_consumer_remove(struct lv_session_channel *channel,
                                struct lv_session_consumer *consumer)
{
    struct lv_session_consumer **place = &channel->consumers;

    while (*place != consumer) {
        assert(*place != NULL);
        place = &(*place)->next;
    }
    *place = consumer->next;
    channel->consumer_count--;
    lv_free(consumer);
}
