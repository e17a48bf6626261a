#include "cli/ctl_text.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAPACITY_MIN ((size_t)256)

void lv_ctl_text_fini(struct lv_ctl_text *text)
{
    assert(text->size <= text->capacity);
    lv_free(text->data);
    *text = (struct lv_ctl_text){.data = NULL};
}

void lv_ctl_text_put(struct lv_ctl_text *text, struct lv_bytes bytes)
{
    assert(text->size <= text->capacity);
    if (text->capacity - text->size <= bytes.size) {
        size_t capacity = text->capacity < CAPACITY_MIN ? CAPACITY_MIN : text->capacity;

        while (capacity - text->size <= bytes.size)
            capacity *= 2;
        text->data = lv_realloc(text->data, capacity);
        if (text->data == NULL) {
            fprintf(stderr, "Error: out of memory\n");
            exit(1);
        }
        text->capacity = capacity;
    }
    lv_put_bytes((uint8_t *)text->data + text->size, bytes);
    text->size += bytes.size;
    text->data[text->size] = '\0';
}

void lv_ctl_text_print(struct lv_ctl_text *text, const char *fmt, ...)
{
    char piece[128];
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    assert(size >= 0);
    assert((size_t)size < sizeof piece);
    lv_ctl_text_put(text, lv_bytes(piece, (size_t)size));
}

static void put(struct lv_ctl_text *text, const char *piece)
{
    lv_ctl_text_put(text, lv_text(piece));
}

static struct lv_bytes string_of(const json_t *value)
{
    assert(json_is_string(value));
    return lv_bytes(json_string_value(value), json_string_length(value));
}

static bool is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

static void put_plain_string(struct lv_ctl_text *text, struct lv_bytes string)
{
    for (size_t i = 0; i < string.size; i++) {
        if (is_control(string.data[i]))
            lv_ctl_text_print(text, "\\%03o", string.data[i]);
        else
            lv_ctl_text_put(text, lv_bytes(string.data + i, 1));
    }
    assert(string.size == 0 || text->size > 0);
}

/* As in Erlang's source. */
static void put_quoted_string(struct lv_ctl_text *text, struct lv_bytes string)
{
    static const char named[] = "\b\t\n\v\f\r\"\\", letters[] = "btnvfr\"\\";

    put(text, "\"");
    for (size_t i = 0; i < string.size; i++) {
        uint8_t c = string.data[i];
        const char *found = c == 0 ? NULL : strchr(named, c);

        if (found != NULL)
            lv_ctl_text_print(text, "\\%c", letters[found - named]);
        else if (is_control(c))
            lv_ctl_text_print(text, "\\%03o", c);
        else
            lv_ctl_text_put(text, lv_bytes(string.data + i, 1));
    }
    static_assert(sizeof named == sizeof letters, "each has its letter");
    put(text, "\"");
}

/* Bytes that are no text come as {"base64": "…"}. */
static void put_bytes(struct lv_ctl_text *text, const json_t *value)
{
    const json_t *base64 = json_object_get(value, "base64");

    assert(json_is_object(value));
    put(text, "base64:");
    if (json_is_string(base64))
        lv_ctl_text_put(text, string_of(base64));
}

static void put_number(struct lv_ctl_text *text, const json_t *value)
{
    if (json_is_integer(value))
        lv_ctl_text_print(text, "%lld", (long long)json_integer_value(value));
    else
        lv_ctl_text_print(text, "%.17g", json_real_value(value));
}

/* What is neither a string nor a list of more. */
static void put_simple(struct lv_ctl_text *text, const json_t *value)
{
    assert(value != NULL);
    if (json_is_object(value))
        put_bytes(text, value);
    else if (json_is_number(value))
        put_number(text, value);
    else if (json_is_boolean(value))
        put(text, json_is_true(value) ? "true" : "false");
    else
        put(text, "undefined");
}

/* [["name", "type", value], …] of a table, [["type", value], …] of an array; the type says how to
 * read the value. Nests as deep as the broker's decoder allows. */
static void put_terms(struct lv_ctl_text *text, const json_t *terms)
{
    put(text, "[");
    for (size_t i = 0; i < json_array_size(terms); i++) {
        const json_t *term = json_array_get(terms, i);
        bool is_field = json_array_size(term) == 3;
        const json_t *value = json_array_get(term, is_field ? 2 : 1);

        put(text, i > 0 ? "," : "");
        if (is_field && json_is_string(json_array_get(term, 0))) {
            put(text, "{");
            put_quoted_string(text, string_of(json_array_get(term, 0)));
            put(text, ",");
        }
        if (json_is_array(value))
            put_terms(text, value);
        else if (json_is_string(value))
            put_quoted_string(text, string_of(value));
        else if (value != NULL)
            put_simple(text, value);
        put(text, is_field ? "}" : "");
    }
    put(text, "]");
}

/* Four numbers are IPv4, eight IPv6. */
static void put_host(struct lv_ctl_text *text, const json_t *host)
{
    char name[INET6_ADDRSTRLEN] = "";
    size_t count = json_array_size(host);
    uint8_t ip[16] = {0};

    for (size_t i = 0; i < count && i < 8; i++) {
        unsigned number = (unsigned)json_integer_value(json_array_get(host, i));

        if (count == 4) {
            ip[i] = (uint8_t)number;
        } else {
            ip[2 * i] = (uint8_t)(number >> 8);
            ip[2 * i + 1] = (uint8_t)number;
        }
    }
    inet_ntop(count == 4 ? AF_INET : AF_INET6, ip, name, sizeof name);
    assert(count == 0 || name[0] != '\0');
    put(text, name);
}

/* {0,9,1} */
static void put_tuple(struct lv_ctl_text *text, const json_t *tuple)
{
    assert(json_is_array(tuple));
    put(text, "{");
    for (size_t i = 0; i < json_array_size(tuple); i++) {
        put(text, i > 0 ? "," : "");
        put_simple(text, json_array_get(tuple, i));
    }
    put(text, "}");
}

/* [administrator, monitoring] */
static void put_words(struct lv_ctl_text *text, const json_t *words)
{
    assert(json_is_array(words));
    put(text, "[");
    for (size_t i = 0; i < json_array_size(words); i++) {
        put(text, i > 0 ? ", " : "");
        if (json_is_string(json_array_get(words, i)))
            put_plain_string(text, string_of(json_array_get(words, i)));
    }
    put(text, "]");
}

void lv_ctl_text_value(struct lv_ctl_text *text, const char *column, const json_t *value)
{
    assert(column != NULL);
    put(text, ""); /* so that there is a zero byte */
    if (json_is_string(value))
        put_plain_string(text, string_of(value));
    else if (!json_is_array(value))
        put_simple(text, value);
    else if (strcmp(column, "host") == 0 || strcmp(column, "peer_host") == 0)
        put_host(text, value);
    else if (strcmp(column, "protocol") == 0)
        put_tuple(text, value);
    else if (strcmp(column, "tags") == 0)
        put_words(text, value);
    else
        put_terms(text, value);
}
