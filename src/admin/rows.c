#include "admin/rows.h"

#include "base/alloc.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define CAPACITY_MIN ((size_t)4096)

/* Grows by doubling. Once memory was short nothing more is added. */
static void put(void *ctx, struct lv_bytes bytes)
{
    struct lv_rows *rows = ctx;

    assert(rows->size <= rows->capacity);
    if (rows->is_short)
        return;
    if (bytes.size > rows->capacity - rows->size) {
        size_t capacity = rows->capacity < CAPACITY_MIN ? CAPACITY_MIN : rows->capacity;
        char *text;

        while (capacity - rows->size < bytes.size)
            capacity *= 2;
        text = lv_realloc(rows->text, capacity);
        if (text == NULL) {
            rows->is_short = true;
            rows->size = rows->whole;
            return;
        }
        rows->text = text;
        rows->capacity = capacity;
    }
    lv_put_bytes((uint8_t *)rows->text + rows->size, bytes);
    rows->size += bytes.size;
}

static struct lv_json sink(struct lv_rows *rows)
{
    assert(rows != NULL);
    return (struct lv_json){.put = put, .ctx = rows};
}

static void put_text(struct lv_rows *rows, const char *text)
{
    put(rows, lv_text(text));
}

/* The comma before all but the first. */
static void begin_value(struct lv_rows *rows)
{
    if (rows->has_value)
        put_text(rows, ",");
    rows->has_value = true;
}

void lv_rows_fini(struct lv_rows *rows)
{
    lv_free(rows->text);
    *rows = (struct lv_rows){.text = NULL};
}

void lv_rows_reset(struct lv_rows *rows)
{
    assert(rows->whole <= rows->size);
    rows->size = rows->whole = 0;
    rows->count = 0;
    rows->is_short = rows->has_value = false;
}

void lv_rows_begin(struct lv_rows *rows)
{
    assert(rows->size == rows->whole);
    rows->has_value = false;
    put_text(rows, "[");
}

void lv_rows_end(struct lv_rows *rows)
{
    put_text(rows, "]\n");
    if (rows->is_short)
        return;
    rows->whole = rows->size;
    rows->count++;
}

void lv_rows_text(struct lv_rows *rows, struct lv_bytes text)
{
    struct lv_json json = sink(rows);

    begin_value(rows);
    lv_json_text(&json, text);
}

void lv_rows_print(struct lv_rows *rows, const char *fmt, ...)
{
    char text[512];
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(size >= 0);
    (void)size;
    lv_rows_text(rows, lv_text(text));
}

static void put_number(struct lv_rows *rows, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    put_text(rows, text);
}

void lv_rows_number(struct lv_rows *rows, uint64_t number)
{
    begin_value(rows);
    put_number(rows, number);
}

void lv_rows_numbers(struct lv_rows *rows, const uint64_t *numbers, size_t count)
{
    begin_value(rows);
    put_text(rows, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            put_text(rows, ",");
        put_number(rows, numbers[i]);
    }
    put_text(rows, "]");
}

void lv_rows_bool(struct lv_rows *rows, bool value)
{
    begin_value(rows);
    put_text(rows, value ? "true" : "false");
}

/* The type says what JSON cannot: an int from a long, a text from bytes. Tables nest no deeper than
 * the codec allows. */
static void put_table(struct lv_rows *rows, const struct lv_table *table, bool is_array)
{
    struct lv_json json = sink(rows);

    put_text(rows, "[");
    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        const struct lv_value *value = &table->fields[i].value;

        put_text(rows, i > 0 ? ",[" : "[");
        if (!is_array) {
            lv_json_text(&json, table->fields[i].name);
            put_text(rows, ",");
        }
        lv_json_string(&json, lv_text(lv_type_name(value->type)));
        put_text(rows, ",");
        if (value->type == LV_TYPE_TABLE || value->type == LV_TYPE_ARRAY)
            put_table(rows, value->table, value->type == LV_TYPE_ARRAY);
        else
            lv_json_value(&json, value);
        put_text(rows, "]");
    }
    put_text(rows, "]");
}

void lv_rows_arguments(struct lv_rows *rows, const struct lv_table *table)
{
    begin_value(rows);
    put_table(rows, table, false);
}

/* Where a text goes that becomes a string. */
struct text {
    char *data; /* own */
    size_t size, capacity;
    bool is_short; /* of memory */
};

static void put_to_text(void *ctx, struct lv_bytes bytes)
{
    struct text *text = ctx;
    char *data;

    if (text->is_short || bytes.size > text->capacity - text->size) {
        size_t capacity = 2 * (text->capacity + bytes.size);

        data = text->is_short ? NULL : lv_realloc(text->data, capacity);
        text->is_short = data == NULL;
        if (text->is_short)
            return;
        text->data = data;
        text->capacity = capacity;
    }
    lv_put_bytes((uint8_t *)text->data + text->size, bytes);
    text->size += bytes.size;
    assert(text->size <= text->capacity);
}

void lv_rows_table_text(struct lv_rows *rows, const struct lv_table *table)
{
    struct text text = {.data = NULL};
    const struct lv_json json = {.put = put_to_text, .ctx = &text};

    lv_json_table(&json, table);
    assert(text.is_short || text.size >= 2);
    if (text.is_short)
        rows->is_short = true;
    else
        lv_rows_text(rows, lv_bytes(text.data, text.size));
    lv_free(text.data);
}

void lv_rows_words(struct lv_rows *rows, struct lv_bytes words)
{
    const uint8_t *next = words.data, *end = words.size == 0 ? next : next + words.size;
    struct lv_json json = sink(rows);

    begin_value(rows);
    put_text(rows, "[");
    while (next < end) {
        const uint8_t *comma = memchr(next, ',', (size_t)(end - next));
        size_t size = (size_t)((comma == NULL ? end : comma) - next);

        lv_json_text(&json, lv_bytes(next, size));
        next += size + (comma != NULL);
        put_text(rows, comma != NULL ? "," : "");
        assert(next <= end);
    }
    put_text(rows, "]");
}

void lv_rows_bytes(struct lv_rows *rows, struct lv_bytes bytes)
{
    assert(rows->size == rows->whole);
    put(rows, bytes);
    if (rows->is_short)
        return;
    rows->whole = rows->size;
    rows->count++;
}

void lv_rows_raw(struct lv_rows *rows, const char *text)
{
    put_text(rows, text);
    if (!rows->is_short)
        rows->whole = rows->size;
}

void lv_rows_raw_text(struct lv_rows *rows, const char *text)
{
    struct lv_json json = sink(rows);

    lv_json_text(&json, lv_text(text));
    if (!rows->is_short)
        rows->whole = rows->size;
}
