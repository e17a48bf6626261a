#include "cli/properties.h"

#include "base/alloc.h"
#include "base/text.h"
#include "codec/amqp091/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DELIVERY_MODE_PERSISTENT 2u

/* Every text is one. */
static int parse_text(const char *text, struct lv_value *ret_value)
{
    assert(text != NULL);
    *ret_value = (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(text)};
    return 0;
}

/* Sent as 64-bit signed, `l`. */
static int parse_integer(const char *text, struct lv_value *ret_value)
{
    char *end;
    long long number;

    assert(sizeof number == sizeof ret_value->integer);
    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return -LV_E_USAGE;
    *ret_value = (struct lv_value){.type = LV_TYPE_I64, .integer = number};
    return 0;
}

/* Seconds since 1970. */
static int parse_time(const char *text, struct lv_value *ret_value)
{
    int rc = parse_integer(text, ret_value);

    assert(text != NULL);
    ret_value->type = LV_TYPE_TIMESTAMP;
    return rc;
}

/* true or false. */
static int parse_bool(const char *text, struct lv_value *ret_value)
{
    bool is_true = strcmp(text, "true") == 0;

    if (!is_true && strcmp(text, "false") != 0)
        return -LV_E_USAGE;
    assert(text[0] == 't' || text[0] == 'f');
    *ret_value = (struct lv_value){.type = LV_TYPE_BOOL, .boolean = is_true};
    return 0;
}

/* Sent as double. */
static int parse_float(const char *text, struct lv_value *ret_value)
{
    char *end;
    double number = strtod(text, &end);

    assert(end >= text);
    if (end == text || *end != '\0')
        return -LV_E_USAGE;
    *ret_value = (struct lv_value){.type = LV_TYPE_F64, .real = number};
    return 0;
}

/* A header that is there and has no value. */
static int parse_void(const char *text, struct lv_value *ret_value)
{
    assert(text != NULL);
    *ret_value = (struct lv_value){.type = LV_TYPE_VOID};
    return text[0] == '\0' ? 0 : -LV_E_USAGE;
}

static const struct {
    const char *name;
    int (*parse)(const char *text, struct lv_value *ret_value);
} types[] = {
    {"str", parse_text},    {"int", parse_integer}, {"bool", parse_bool},
    {"float", parse_float}, {"time", parse_time},   {"void", parse_void},
};

/* NAME=VALUE is text, whatever it looks like; NAME:TYPE=VALUE says what it is. */
int lv_property_header(void *ctx, const char *value, struct lv_diag *diag)
{
    struct lv_property_options *options = ctx;
    const char *equals = strchr(value, '=');
    const char *colon = equals == NULL ? NULL : memrchr(value, ':', (size_t)(equals - value));
    const char *end = colon != NULL ? colon : equals;
    struct lv_field *field = &options->headers[options->header_count];
    size_t type = 0;

    if (options->header_count == LV_PROPERTIES_HEADERS_MAX)
        return lv_fail(diag, -LV_E_USAGE, "at most %u headers", LV_PROPERTIES_HEADERS_MAX);
    if (equals == NULL || end == value || end - value > 255)
        return lv_fail(diag, -LV_E_USAGE,
                       "'%s' is no header; write NAME=VALUE, with a name of 1 to 255 bytes", value);
    if (colon != NULL) {
        size_t size = (size_t)(equals - colon - 1);

        while (type < LV_COUNT(types) &&
               (strlen(types[type].name) != size || memcmp(types[type].name, colon + 1, size) != 0))
            type++;
    }
    if (type == LV_COUNT(types))
        return lv_fail(diag, -LV_E_USAGE,
                       "'%.*s' is no type; there are str, int, bool, float, time and void (for a "
                       "name with a colon write NAME:str=VALUE)",
                       (int)(equals - colon - 1), colon + 1);
    if (types[type].parse(equals + 1, &field->value) < 0)
        return lv_fail(diag, -LV_E_USAGE, "'%s' is no %s", equals + 1, types[type].name);
    field->name = lv_bytes(value, (size_t)(end - value));
    options->header_count++;
    return 0;
}

int lv_property_persistent(void *ctx, const char *value, struct lv_diag *diag)
{
    struct lv_property_options *options = ctx;

    (void)diag;
    assert(value == NULL);
    options->properties.flags |= LV_AMQP091_PROPERTY_DELIVERY_MODE;
    options->properties.delivery_mode = DELIVERY_MODE_PERSISTENT;
    return 0;
}

int lv_property_priority(void *ctx, const char *value, struct lv_diag *diag)
{
    struct lv_property_options *options = ctx;
    uint64_t number;

    assert(value != NULL);
    if (lv_text_number(value, &number) < 0 || number > UINT8_MAX)
        return lv_fail(diag, -LV_E_USAGE, "'%s' is no number from 0 to 255", value);
    options->properties.flags |= LV_AMQP091_PROPERTY_PRIORITY;
    options->properties.priority = (uint8_t)number;
    return 0;
}

int lv_property_expiration(void *ctx, const char *value, struct lv_diag *diag)
{
    struct lv_property_options *options = ctx;
    uint64_t number;

    assert(value != NULL);
    if (lv_text_number(value, &number) < 0)
        return lv_fail(diag, -LV_E_USAGE, "'%s' is no number of milliseconds", value);
    options->properties.flags |= LV_AMQP091_PROPERTY_EXPIRATION;
    snprintf(options->expiration, sizeof options->expiration, "%llu", (unsigned long long)number);
    return 0;
}

int lv_property_timestamp(void *ctx, const char *value, struct lv_diag *diag)
{
    struct lv_property_options *options = ctx;
    uint64_t number = (uint64_t)time(NULL);

    assert(value != NULL);
    if (strcmp(value, "now") != 0 && lv_text_number(value, &number) < 0)
        return lv_fail(diag, -LV_E_USAGE, "'%s' is neither seconds since 1970 nor `now`", value);
    options->properties.flags |= LV_AMQP091_PROPERTY_TIMESTAMP;
    options->properties.timestamp = number;
    return 0;
}

/* One property that is a short string. */
static int take_text(struct lv_amqp091_properties *properties, enum lv_amqp091_property flag,
                     const char *text, struct lv_bytes *member, struct lv_diag *diag)
{
    if (text == NULL)
        return 0;
    assert((~LV_AMQP091_PROPERTY_ALL & (unsigned)flag) == 0);
    *member = lv_text(text);
    properties->flags |= (uint16_t)flag;
    if (member->size > 255)
        return lv_fail(diag, -LV_E_USAGE, "properties have at most 255 bytes, not %zu",
                       member->size);
    return 0;
}

/* All properties that are plain texts. */
static int take_texts(const struct lv_property_options *options, struct lv_amqp091_properties *p,
                      struct lv_diag *diag)
{
    int rc = take_text(p, LV_AMQP091_PROPERTY_CONTENT_TYPE, options->content_type, &p->content_type,
                       diag);

    assert(options != NULL);
#define TAKE(NAME, name)                                                                           \
    if (rc == 0)                                                                                   \
        rc = take_text(p, LV_AMQP091_PROPERTY_##NAME, options->name, &p->name, diag);
    TAKE(CONTENT_ENCODING, content_encoding)
    TAKE(CORRELATION_ID, correlation_id)
    TAKE(REPLY_TO, reply_to)
    TAKE(MESSAGE_ID, message_id)
    TAKE(TYPE, type)
    TAKE(USER_ID, user_id)
    TAKE(APP_ID, app_id)
#undef TAKE
    return rc;
}

/* Gives the entries of the headers' table (lv_free); NULL when out of memory. */
static uint8_t *encode_headers(const struct lv_property_options *options, size_t *ret_size)
{
    size_t fields_size = options->header_count * sizeof(struct lv_field);
    struct lv_table *table = lv_alloc(sizeof *table + fields_size);
    uint8_t *entries = NULL;

    assert(options->header_count <= LV_PROPERTIES_HEADERS_MAX);
    if (table == NULL)
        return NULL;
    table->count = options->header_count;
    memcpy(table->fields, options->headers, fields_size);
    *ret_size = lv_amqp091_table_size(table);
    entries = lv_alloc(*ret_size);
    if (entries != NULL)
        lv_amqp091_table_encode(table, entries);
    lv_free(table);
    return entries;
}

int lv_property_encode(const struct lv_property_options *options, uint8_t **ret_raw,
                       size_t *ret_size, struct lv_diag *diag)
{
    struct lv_amqp091_properties properties = options->properties;
    uint8_t *entries = NULL, *raw = NULL;
    size_t size = 0;
    int rc = take_texts(options, &properties, diag);

    if (rc < 0)
        return rc;
    properties.expiration = lv_text(options->expiration);
    if (options->header_count > 0) {
        entries = encode_headers(options, &size);
        if (entries == NULL)
            return lv_fail(diag, -LV_E_NOMEM, "out of memory");
        properties.headers = lv_bytes(entries, size);
        properties.flags |= LV_AMQP091_PROPERTY_HEADERS;
    }
    size = lv_amqp091_properties_size(&properties);
    raw = lv_alloc(size);
    if (raw != NULL)
        lv_amqp091_properties_encode(&properties, raw);
    lv_free(entries);
    assert(size >= 2);
    if (raw == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    *ret_raw = raw;
    *ret_size = size;
    return 0;
}
