#include "client/handshake.h"

#include "codec/amqp091/table.h"
#include "codec/amqp091/wire.h"

#include <stdio.h>

#define NAME_MAX_SIZE 255u

/* One field of the table: RabbitMQ shows these in its lists of connections. */
static uint8_t *put_text(uint8_t *p, const char *name, struct lv_bytes value)
{
    assert(name != NULL);
    p = lv_amqp091_write_shortstr(p, lv_text(name));
    p = lv_put8(p, 'S');
    return lv_amqp091_write_longstr(p, value);
}

/* What the broker may use because we understand it. */
static uint8_t *put_capabilities(uint8_t *p)
{
    static const char *const names[] = {
        "publisher_confirms",     "exchange_exchange_bindings",   "basic.nack",
        "consumer_cancel_notify", "authentication_failure_close", "connection.blocked",
    };
    uint8_t *length;

    p = lv_amqp091_write_shortstr(p, lv_text("capabilities"));
    p = lv_put8(p, 'F');
    length = p;
    p += 4;
    for (size_t i = 0; i < LV_COUNT(names); i++) {
        p = lv_amqp091_write_shortstr(p, lv_text(names[i]));
        p = lv_put8(p, 't');
        p = lv_put8(p, 1);
    }
    assert(p > length + 4);
    lv_put32(length, (uint32_t)(p - length - 4));
    return p;
}

/* Without its length, which the method's encoder writes. */
size_t lv_handshake_properties(const struct lv_engine_config *config,
                               uint8_t entries[LV_HANDSHAKE_PROPERTIES_SIZE])
{
    uint8_t *p = entries;

    p = put_text(p, "product", lv_text("leveret"));
    p = put_text(p, "platform", lv_text("C"));
    if (config->version != NULL) {
        size_t size = strlen(config->version);
        p = put_text(p, "version", lv_bytes(config->version, size < 64 ? size : 64));
    }
    if (config->name != NULL) {
        size_t size = strlen(config->name);
        p = put_text(p, "connection_name",
                     lv_bytes(config->name, size < NAME_MAX_SIZE ? size : NAME_MAX_SIZE));
    }
    p = put_capabilities(p);
    assert((size_t)(p - entries) <= LV_HANDSHAKE_PROPERTIES_SIZE);
    return (size_t)(p - entries);
}

/* The smaller of two limits, where 0 is none. */
static uint32_t smaller(uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* Each limit is the lower one of both sides' (0-9-1 connection.tune). */
struct lv_amqp091_connection_tune_ok
lv_handshake_tune(const struct lv_engine_config *config,
                  const struct lv_amqp091_connection_tune *offer)
{
    assert(config->frame_max >= LV_AMQP091_FRAME_SIZE_MIN);
    return (struct lv_amqp091_connection_tune_ok){
        .channel_max = (uint16_t)smaller(config->channel_max, offer->channel_max),
        .frame_max = smaller(config->frame_max, offer->frame_max),
        /* Either side may switch heartbeats off, the client by asking for none. */
        .heartbeat = config->heartbeat_s < offer->heartbeat || offer->heartbeat == 0
                         ? config->heartbeat_s
                         : offer->heartbeat,
    };
}

/* Whole words: PLAIN is a part of AMQPLAIN. */
bool lv_handshake_offers(struct lv_bytes mechanisms, const char *word)
{
    size_t size = strlen(word), at = 0;

    assert(size > 0);
    while (at < mechanisms.size) {
        const uint8_t *space = memchr(mechanisms.data + at, ' ', mechanisms.size - at);
        size_t end = space == NULL ? mechanisms.size : (size_t)(space - mechanisms.data);

        if (end - at == size && memcmp(mechanisms.data + at, word, size) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

/* For people; brokers are free to say nothing. */
const char *lv_handshake_server(struct lv_bytes properties, char *text, size_t size)
{
    struct lv_bytes product = lv_text("an unknown broker"), version = lv_text("");
    struct lv_amqp091_field field;

    assert(size > 0);
    while (lv_amqp091_field_next(&properties, &field, NULL) > 0) {
        if (field.octet == 'S' && lv_bytes_equal(field.name, lv_text("product")))
            product = field.value;
        if (field.octet == 'S' && lv_bytes_equal(field.name, lv_text("version")))
            version = field.value;
    }
    snprintf(text, size, "%.*s %.*s", LV_FMT(product), LV_FMT(version));
    return text;
}

/* From the last on, since general errors stand in front and special ones behind them. */
int lv_handshake_error(uint16_t reply_code)
{
    assert(LV_E_NONE == 0);
    for (int error = LV_E_COUNT - 1; error > LV_E_NOMEM; error--)
        if (lv_error_code(-error) == reply_code && reply_code != 0)
            return -error;
    return -LV_E_INTERNAL;
}
