#include "base/json.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const struct lv_json *json, const void *data, size_t size)
{
    assert(json->put != NULL);
    if (size > 0)
        json->put(json->ctx, lv_bytes(data, size));
}

/* As few pieces as there are characters to escape. */
static void put_escaped(const struct lv_json *json, struct lv_bytes text)
{
    size_t start = 0;

    assert(text.size == 0 || text.data != NULL);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        char escaped[8];
        int size;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(json, text.data + start, i - start);
        start = i + 1;
        if (c == '"' || c == '\\')
            size = snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c == '\n')
            size = snprintf(escaped, sizeof escaped, "\\n");
        else
            size = snprintf(escaped, sizeof escaped, "\\u%04x", c);
        put(json, escaped, (size_t)size);
    }
    if (start < text.size) /* no bytes may have no address */
        put(json, text.data + start, text.size - start);
}

void lv_json_raw(const struct lv_json *json, const char *text)
{
    assert(text != NULL);
    put(json, text, strlen(text));
}

void lv_json_string(const struct lv_json *json, struct lv_bytes text)
{
    assert(lv_utf8_is_valid(text));
    put(json, "\"", 1);
    put_escaped(json, text);
    put(json, "\"", 1);
}

void lv_json_base64(const struct lv_json *json, struct lv_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    put(json, "\"", 1);
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
        put(json, text, sizeof text);
    }
    static_assert(sizeof digits == 65, "six bits choose one");
    put(json, "\"", 1);
}

void lv_json_text(const struct lv_json *json, struct lv_bytes text)
{
    if (lv_utf8_is_valid(text)) {
        lv_json_string(json, text);
        return;
    }
    assert(text.size > 0);
    lv_json_raw(json, "{\"base64\":");
    lv_json_base64(json, text);
    lv_json_raw(json, "}");
}

/* Names have to be strings, whatever a peer chose for them. */
static void put_name(const struct lv_json *json, struct lv_bytes name)
{
    bool valid = lv_utf8_is_valid(name);

    assert(name.size == 0 || name.data != NULL);
    put(json, "\"", 1);
    if (valid)
        put_escaped(json, name);
    for (size_t i = 0; i < name.size && !valid; i++)
        put_escaped(json, name.data[i] < 0x80 ? lv_bytes(name.data + i, 1) : lv_text("?"));
    put(json, "\":", 2);
}

static void put_integer(const struct lv_json *json, int64_t integer)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, integer);

    assert(size > 0);
    assert((size_t)size < sizeof text);
    put(json, text, (size_t)size);
}

/* The fewest digits that give back the same double, at most 17; with a point, so that it doesn't
 * come back as an integer. */
static void put_real(const struct lv_json *json, double real)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%.15g", real);

    if (!isfinite(real)) {
        lv_json_raw(json, "null"); /* JSON has no other word for these */
        return;
    }
    for (int digits = 16; digits <= 17 && strtod(text, NULL) != real; digits++)
        size = snprintf(text, sizeof text, "%.*g", digits, real);
    assert(size > 0);
    assert((size_t)size < sizeof text);
    lv_json_raw(json, text);
    if (strpbrk(text, ".e") == NULL)
        lv_json_raw(json, ".0");
}

/* 314 with scale 2 is 314e-2: exact, and valid JSON. */
static void put_decimal(const struct lv_json *json, const struct lv_value *value)
{
    char text[8];
    int size = snprintf(text, sizeof text, "e-%u", value->scale);

    assert(value->type == LV_TYPE_DECIMAL);
    put_integer(json, value->integer);
    put(json, text, (size_t)size);
}

/* Tables and arrays nest no deeper than the codec allows. */
static void put_fields(const struct lv_json *json, const struct lv_table *table, bool named)
{
    lv_json_raw(json, named ? "{" : "[");
    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        assert(named || table->fields[i].name.size == 0);
        if (i > 0)
            lv_json_raw(json, ",");
        if (named)
            put_name(json, table->fields[i].name);
        lv_json_value(json, &table->fields[i].value);
    }
    lv_json_raw(json, named ? "}" : "]");
}

void lv_json_value(const struct lv_json *json, const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    switch (value->type) {
    case LV_TYPE_VOID:
        lv_json_raw(json, "null");
        break;
    case LV_TYPE_BOOL:
        lv_json_raw(json, value->boolean ? "true" : "false");
        break;
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        put_real(json, value->real);
        break;
    case LV_TYPE_DECIMAL:
        put_decimal(json, value);
        break;
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        lv_json_text(json, value->bytes);
        break;
    case LV_TYPE_ARRAY:
    case LV_TYPE_TABLE:
        put_fields(json, value->table, value->type == LV_TYPE_TABLE);
        break;
    default: /* integers and timestamps */
        put_integer(json, value->integer);
    }
}

void lv_json_table(const struct lv_json *json, const struct lv_table *table)
{
    put_fields(json, table, true);
}
