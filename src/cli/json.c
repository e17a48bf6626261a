#include "cli/json.h"

#include "base/utf8.h"
#include "codec/amqp091/properties.h"
#include "codec/amqp091/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Headers are bounded by a frame; what they need decoded is a small multiple of it. */
#define HEADERS_MAX ((size_t)16 << 20)

void lv_json_string(struct lv_output *output, struct lv_bytes text)
{
    size_t start = 0;

    assert(lv_utf8_is_valid(text));
    lv_output_text(output, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        lv_output_put(output, lv_bytes(text.data + start, i - start));
        start = i + 1;
        if (c == '"' || c == '\\')
            lv_output_print(output, "\\%c", c);
        else if (c == '\n')
            lv_output_text(output, "\\n");
        else
            lv_output_print(output, "\\u%04x", c);
    }
    lv_output_put(output, lv_bytes(text.data + start, text.size - start));
    lv_output_text(output, "\"");
}

void lv_json_base64(struct lv_output *output, struct lv_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    lv_output_text(output, "\"");
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        char text[4];

        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        text[0] = digits[group >> 18];
        text[1] = digits[group >> 12 & 63];
        text[2] = left > 1 ? digits[group >> 6 & 63] : '=';
        text[3] = left > 2 ? digits[group & 63] : '=';
        lv_output_put(output, lv_bytes(text, sizeof text));
    }
    assert(sizeof digits == 65);
    lv_output_text(output, "\"");
}

/* Most strings are text; those that are not must not break the line. */
static void put_text(struct lv_output *output, struct lv_bytes text)
{
    if (lv_utf8_is_valid(text)) {
        lv_json_string(output, text);
        return;
    }
    assert(text.size > 0);
    lv_output_text(output, "{\"base64\":");
    lv_json_base64(output, text);
    lv_output_text(output, "}");
}

/* Names have to be strings; bytes that are not UTF-8 become question marks. */
static void put_name(struct lv_output *output, struct lv_bytes name)
{
    char text[256];

    assert(name.size < sizeof text);
    for (size_t i = 0; i < name.size; i++)
        text[i] = name.data[i] < 0x80 ? (char)name.data[i] : '?';
    lv_json_string(output, lv_utf8_is_valid(name) ? name : lv_bytes(text, name.size));
    lv_output_text(output, ":");
}

/* 17 digits give back the same double. */
static void put_real(struct lv_output *output, double value)
{
    if (isfinite(value))
        lv_output_print(output, "%.17g", value);
    else
        lv_output_text(output, "null"); /* JSON has no other word for these */
    assert(output->size > 0 || output->error < 0);
}

/* 314 with scale 2 is 314e-2: exact, and valid JSON. */
static void put_decimal(struct lv_output *output, const struct lv_value *value)
{
    assert(value->type == LV_TYPE_DECIMAL);
    lv_output_print(output, "%" PRId64 "e-%u", value->integer, value->scale);
}

/* Tables and arrays nest no deeper than the codec allows. */
static void put_table(struct lv_output *output, const struct lv_table *table, bool named)
{
    lv_output_text(output, named ? "{" : "[");
    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        if (i > 0)
            lv_output_text(output, ",");
        if (named)
            put_name(output, table->fields[i].name);
        lv_json_value(output, &table->fields[i].value);
    }
    assert(output->fd >= 0);
    lv_output_text(output, named ? "}" : "]");
}

void lv_json_value(struct lv_output *output, const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    switch (value->type) {
    case LV_TYPE_VOID:
        lv_output_text(output, "null");
        break;
    case LV_TYPE_BOOL:
        lv_output_text(output, value->boolean ? "true" : "false");
        break;
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        put_real(output, value->real);
        break;
    case LV_TYPE_DECIMAL:
        put_decimal(output, value);
        break;
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        put_text(output, value->bytes);
        break;
    case LV_TYPE_ARRAY:
    case LV_TYPE_TABLE:
        put_table(output, value->table, value->type == LV_TYPE_TABLE);
        break;
    default: /* integers and timestamps */
        lv_output_print(output, "%" PRId64, value->integer);
    }
}

/* Decoded into an arena, as values: the bytes came from anybody. */
static int put_headers(struct lv_output *output, struct lv_bytes entries, struct lv_diag *diag)
{
    const struct lv_table *table;
    struct lv_arena arena;
    int rc;

    assert(entries.data != NULL || entries.size == 0);
    lv_arena_init(&arena, HEADERS_MAX);
    rc = lv_amqp091_table_decode(entries, &arena, &table, diag);
    if (rc == 0)
        put_table(output, table, true);
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
        lv_json_string(output, message->body);
    else
        lv_json_base64(output, message->body);
    lv_output_text(output, "}\n");
    return rc;
}
