/*
 * Messages whose properties mean something to the broker itself: who sent them, where answers go,
 * how long they are of use.
 */
#include "base/alloc.h"
#include "codec/amqp091/content.h"
#include "session/amqp091/machine.h"

#include <stdio.h>

/* What a requester puts into reply-to; it becomes the name of its channel's own. */
#define PSEUDO_QUEUE "amq.rabbitmq.reply-to"

/* Ten years in milliseconds: RabbitMQ takes no longer expiration. */
#define EXPIRATION_MAX UINT64_C(315360000000)

/* Short strings as RabbitMQ's error texts show them at most, an octet in four characters. */
struct shown {
    char text[4 * 255 + 3];
};

/* Erlang's name of an octet within quotes: the letter after the backslash, 0 when it needs none. */
static char escape(uint8_t octet)
{
    static const char from[] = "\b\t\n\v\f\r\x1b\"\\", to[] = "btnvfre\"\\";
    const char *at = octet == 0 ? NULL : strchr(from, octet);

    assert(sizeof from == sizeof to);
    return at == NULL ? '\0' : to[at - from];
}

static bool is_printable(uint8_t octet)
{
    return (octet >= ' ' && octet <= '~') || octet >= 0xa0 || escape(octet) != '\0';
}

/* Octets as Erlang writes a list of them: a text in quotes if all are printable, else numbers. */
static const char *show(struct lv_bytes octets, struct shown *shown)
{
    char *p = shown->text;
    bool is_text = true;

    assert(octets.size <= UINT8_MAX);
    for (size_t i = 0; i < octets.size; i++)
        is_text = is_text && is_printable(octets.data[i]);
    *p++ = is_text ? '"' : '[';
    for (size_t i = 0; i < octets.size; i++) {
        char letter = escape(octets.data[i]);
        if (!is_text) {
            p += snprintf(p, sizeof ",255", i == 0 ? "%u" : ",%u", octets.data[i]);
            continue;
        }
        if (letter != '\0')
            *p++ = '\\';
        *p++ = letter != '\0' ? letter : (char)octets.data[i];
    }
    *p++ = is_text ? '"' : ']';
    *p = '\0';
    return shown->text;
}

/* RabbitMQ reads it as Erlang does: a sign, then digits, however many zeros come first. */
static int check_expiration(struct lv_bytes properties, struct lv_diag *diag)
{
    struct lv_bytes text;
    struct shown shown;
    uint64_t value = 0;
    size_t at, begin;

    if (!lv_amqp091_property_find(properties, LV_AMQP091_PROPERTY_EXPIRATION, &text))
        return 0;
    bool negative = text.size > 0 && text.data[0] == '-';
    at = begin = text.size > 0 && (negative || text.data[0] == '+') ? 1 : 0;
    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        if (value == 0)
            begin = at; /* behind the zeros */
        if (value <= EXPIRATION_MAX)
            value = value * 10 + (uint64_t)(text.data[at] - '0');
    }
    assert(at <= text.size);
    if (at == 0 || text.data[at - 1] == '-' || text.data[at - 1] == '+')
        return lv_fail(diag, -LV_E_PRECONDITION, "invalid expiration '%.*s': no_integer",
                       LV_FMT(text));
    if (at < text.size)
        return lv_fail(diag, -LV_E_PRECONDITION, "invalid expiration '%.*s': {leftover_string,%s}",
                       LV_FMT(text), show(lv_bytes(text.data + at, text.size - at), &shown));
    struct lv_bytes digits = lv_bytes(text.data + begin, text.size - begin);
    if (negative && value > 0)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid expiration '%.*s': {value_negative,-%.*s}", LV_FMT(text),
                       LV_FMT(digits));
    if (value > EXPIRATION_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid expiration '%.*s': {value_too_large,%.*s}", LV_FMT(text),
                       LV_FMT(digits));
    return 0;
}

/* A user may only speak in his own name. */
static int check_user(const struct lv_session_channel *channel, struct lv_bytes properties,
                      struct lv_diag *diag)
{
    struct lv_bytes user = lv_channel_user(channel->core);
    struct lv_bytes claimed;

    assert(channel->core != NULL);
    if (!lv_amqp091_property_find(properties, LV_AMQP091_PROPERTY_USER_ID, &claimed) ||
        lv_bytes_equal(claimed, user))
        return 0;
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "user_id property set to '%.*s' but authenticated user was '%.*s'",
                   LV_FMT(claimed), LV_FMT(user));
}

/* The properties with another reply-to in place of `old`, which lies in them. */
static uint8_t *replace(struct lv_bytes properties, struct lv_bytes old, struct lv_bytes name)
{
    uint8_t *copy = lv_alloc(properties.size - old.size + name.size);
    const uint8_t *end = properties.data + properties.size, *behind = old.data + old.size;
    uint8_t *p = copy;

    assert(old.data > properties.data);
    assert(name.size <= UINT8_MAX);
    if (copy == NULL)
        return NULL;
    p = lv_put_bytes(p, lv_bytes(properties.data, (size_t)(old.data - 1 - properties.data)));
    p = lv_put_bytes(lv_put8(p, (uint8_t)name.size), name);
    lv_put_bytes(p, lv_bytes(behind, (size_t)(end - behind)));
    return copy;
}

/* The message says that answers should come to this channel. */
static int publish_request(struct lv_session_channel *channel, const struct lv_message *message,
                           struct lv_bytes reply_to, bool mandatory, struct lv_diag *diag)
{
    struct lv_bytes name = lv_channel_reply_to(channel->core);
    struct lv_message request = *message;
    uint8_t *properties;
    int rc;

    assert(name.size > 0);
    properties = replace(message->properties, reply_to, name);
    if (properties == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "no memory for a message");
    request.properties = lv_bytes(properties, message->properties.size - reply_to.size + name.size);
    rc = lv_channel_publish(channel->core, &request, mandatory, diag);
    lv_free(properties);
    return rc;
}

/* Only for messages with properties that a rule applies to; all others never come here. */
/* What is wrong with the properties, in the order in which RabbitMQ 4 looks: the exchange, then
 * reply-to and expiration, then CC and BCC, then the user. The core knows of exchange and CC. */
static int check(const struct lv_session_channel *channel, const struct lv_message *message,
                 bool is_request, struct lv_diag *diag)
{
    struct lv_diag first, last;
    int rc = 0, user = check_user(channel, message->properties, &last);

    if (is_request && lv_channel_reply_to(channel->core).size == 0)
        rc = lv_fail(diag, -LV_E_PRECONDITION, "fast reply consumer does not exist");
    if (rc == 0)
        rc = check_expiration(message->properties, diag);
    if (rc == 0 && user == 0)
        return 0;
    int routing = lv_channel_check_publish(channel->core, message, &first);
    if (routing < 0 && (rc == 0 || routing != -LV_E_PRECONDITION)) {
        *diag = first;
        return routing;
    }
    if (rc == 0)
        *diag = last;
    return rc < 0 ? rc : user;
}

int lv_session_publish_judged(struct lv_session_channel *channel, const struct lv_message *message,
                              bool mandatory, struct lv_diag *diag)
{
    struct lv_bytes properties = message->properties, reply_to;
    bool is_request =
        lv_amqp091_property_find(properties, LV_AMQP091_PROPERTY_REPLY_TO, &reply_to) &&
        lv_bytes_equal(reply_to, lv_text(PSEUDO_QUEUE));
    int rc = check(channel, message, is_request, diag);

    assert(message->format == LV_MESSAGE_AMQP091);
    if (rc < 0)
        return rc;
    return is_request ? publish_request(channel, message, reply_to, mandatory, diag)
                      : lv_channel_publish(channel->core, message, mandatory, diag);
}
