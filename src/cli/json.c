#include "cli/json.h"

#include "base/json.h"
#include "base/utf8.h"
#include "codec/amqp091/properties.h"
#include "codec/amqp091/table.h"

#include <inttypes.h>

/* Headers are bounded by a frame; what they need decoded is a small multiple of it. */
#define HEADERS_MAX ((size_t)16 << 20)

/* The output remembers its errors until it is flushed. */
static void put(void *ctx, struct lv_bytes bytes)
{
    assert(ctx != NULL);
    lv_output_put(ctx, bytes);
}

/* Everything goes through the output's buffer. */
static struct lv_json json_of(struct lv_output *output)
{
    assert(output->fd >= 0);
    return (struct lv_json){.put = put, .ctx = output};
}

static void put_text(struct lv_output *output, struct lv_bytes text)
{
    struct lv_json json = json_of(output);

    lv_json_text(&json, text);
}

/* Decoded into an arena, as values: the bytes came from anybody. */
static int put_headers(struct lv_output *output, struct lv_bytes entries, struct lv_diag *diag)
{
    struct lv_json json = json_of(output);
    const struct lv_table *table;
    struct lv_arena arena;
    int rc;

    assert(entries.data != NULL || entries.size == 0);
    lv_arena_init(&arena, HEADERS_MAX);
    rc = lv_amqp091_table_decode(entries, &arena, &table, diag);
    if (rc == 0)
        lv_json_table(&json, table);
    lv_arena_fini(&arena);
    return rc;
}

/* `"name":`, with a comma before all but the first. */
static void put_key(struct lv_output *output, bool *begun, const char *name)
{
    assert(name[0] != '\0');
    lv_output_print(output, "%s\"%s\":", *begun ? "," : "", name);
    *begun = true;
}

/* Only those that are there, in the order of the protocol. */
static int put_properties(struct lv_output *output, struct lv_bytes raw, struct lv_diag *diag)
{
    struct lv_amqp091_properties p;
    bool begun = false;
    int rc = lv_amqp091_properties_decode(raw, &p, diag);

    if (rc < 0)
        return rc;
    lv_output_text(output, "{");
#define PUT_TEXT(NAME, name)                                                                       \
    if (p.flags & LV_AMQP091_PROPERTY_##NAME) {                                                    \
        put_key(output, &begun, #name);                                                            \
        put_text(output, p.name);                                                                  \
    }
#define PUT_NUMBER(NAME, name)                                                                     \
    if (p.flags & LV_AMQP091_PROPERTY_##NAME) {                                                    \
        put_key(output, &begun, #name);                                                            \
        lv_output_print(output, "%" PRIu64, (uint64_t)p.name);                                     \
    }
    PUT_TEXT(CONTENT_TYPE, content_type)
    PUT_TEXT(CONTENT_ENCODING, content_encoding)
    if (p.flags & LV_AMQP091_PROPERTY_HEADERS) {
        put_key(output, &begun, "headers");
        rc = put_headers(output, p.headers, diag);
    }
    PUT_NUMBER(DELIVERY_MODE, delivery_mode)
    PUT_NUMBER(PRIORITY, priority)
    PUT_TEXT(CORRELATION_ID, correlation_id)
    PUT_TEXT(REPLY_TO, reply_to)
    PUT_TEXT(EXPIRATION, expiration)
    PUT_TEXT(MESSAGE_ID, message_id)
    PUT_NUMBER(TIMESTAMP, timestamp)
    PUT_TEXT(TYPE, type)
    PUT_TEXT(USER_ID, user_id)
    PUT_TEXT(APP_ID, app_id)
    PUT_TEXT(CLUSTER_ID, cluster_id)
#undef PUT_TEXT
#undef PUT_NUMBER
    assert((p.flags & ~LV_AMQP091_PROPERTY_ALL) == 0);
    lv_output_text(output, "}");
    return rc;
}

int lv_json_message(struct lv_output *output, const struct lv_engine_message *message,
                    struct lv_diag *diag)
{
    const struct lv_amqp091_method *method = &message->method;
    bool got = method->id == LV_AMQP091_BASIC_GET_OK;
    bool text = lv_utf8_is_valid(message->body);
    struct lv_json json = json_of(output);
    int rc;

    assert(got || method->id == LV_AMQP091_BASIC_DELIVER);
    lv_output_text(output, "{\"exchange\":");
    put_text(output, got ? method->basic_get_ok.exchange : method->basic_deliver.exchange);
    lv_output_text(output, ",\"routing_key\":");
    put_text(output, got ? method->basic_get_ok.routing_key : method->basic_deliver.routing_key);
    lv_output_print(output, ",\"redelivered\":%s,\"properties\":",
                    (got ? method->basic_get_ok.redelivered : method->basic_deliver.redelivered)
                        ? "true"
                        : "false");
    rc = put_properties(output, message->properties, diag);
    lv_output_text(output, text ? ",\"body\":" : ",\"body_base64\":");
    if (text)
        lv_json_string(&json, message->body);
    else
        lv_json_base64(&json, message->body);
    lv_output_text(output, "}\n");
    return rc;
}
