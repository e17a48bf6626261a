#include "broker/words.h"

#include "base/err.h"

#include <stdio.h>

#define FIELDS_MAX 32u

/* The part up to the mark, which goes with it. */
static struct lv_bytes take_until(struct lv_bytes *rest, char mark)
{
    struct lv_bytes part = lv_bytes(rest->data, 0);

    assert(rest != NULL);
    while (part.size < rest->size && rest->data[part.size] != (uint8_t)mark)
        part.size++;
    if (part.size == rest->size)
        *rest = lv_bytes(NULL, 0);
    else
        *rest = lv_bytes(rest->data + part.size + 1, rest->size - part.size - 1);
    return part;
}

/* Tests have memory; without it nothing they say would mean anything. */
static struct lv_table *table_new(struct lv_arena *arena, uint32_t count)
{
    struct lv_table *table = lv_arena_alloc(arena, sizeof *table + count * sizeof(struct lv_field));

    assert(arena != NULL);
    if (table == NULL)
        abort();
    table->count = count;
    return table;
}

/* Words between semicolons, for CC and BCC. */
static const struct lv_table *array_of(struct lv_arena *arena, struct lv_bytes words)
{
    struct lv_field fields[FIELDS_MAX] = {0};
    uint32_t count = 0;

    while (words.size > 0) {
        assert(count < FIELDS_MAX);
        fields[count].name = lv_bytes(NULL, 0);
        fields[count++].value =
            (struct lv_value){.type = LV_TYPE_STRING, .bytes = take_until(&words, ';')};
    }
    struct lv_table *table = table_new(arena, count);
    memcpy(table->fields, fields, count * sizeof *fields);
    return table;
}

/* A dot makes it a real number, an h a short one, so that tests can tell the types apart. */
static struct lv_value number_of(const char *digits)
{
    assert(digits[0] != '\0');
    if (strchr(digits, '.') != NULL)
        return (struct lv_value){.type = LV_TYPE_F64, .real = strtod(digits, NULL)};
    return (struct lv_value){.type = strchr(digits, 'h') != NULL ? LV_TYPE_I16 : LV_TYPE_I64,
                             .integer = strtol(digits, NULL, 10)};
}

/* The first character tells the type, so that a table fits on a test's line. */
static struct lv_value value_of(struct lv_arena *arena, struct lv_bytes word)
{
    char text[32];

    assert(word.size == 0 || word.data != NULL);
    (void)snprintf(text, sizeof text, "%.*s", LV_FMT(word));
    if (text[0] == '[')
        return (struct lv_value){.type = LV_TYPE_ARRAY,
                                 .table = array_of(arena, lv_bytes(word.data + 1, word.size - 2))};
    if (strcmp(text, "~") == 0)
        return (struct lv_value){.type = LV_TYPE_VOID};
    if (strcmp(text, "t") == 0)
        return (struct lv_value){.type = LV_TYPE_BOOL, .boolean = true};
    if (text[0] == '@')
        return (struct lv_value){.type = LV_TYPE_TIMESTAMP, .integer = strtol(text + 1, NULL, 10)};
    if ((text[0] >= '0' && text[0] <= '9') || text[0] == '-')
        return number_of(text);
    return (struct lv_value){.type = LV_TYPE_STRING, .bytes = word};
}

/* "a=1 b=x" as a table; views into the words. */
const struct lv_table *lv_words_table(struct lv_arena *arena, struct lv_bytes words)
{
    struct lv_field fields[FIELDS_MAX] = {0};
    uint32_t count = 0;

    if (words.size == 0 || words.data[0] == 0)
        return NULL;
    while (words.size > 0) {
        struct lv_bytes word = take_until(&words, ' ');
        assert(count < FIELDS_MAX);
        fields[count].name = take_until(&word, '=');
        fields[count++].value = value_of(arena, word);
    }
    struct lv_table *table = table_new(arena, count);
    memcpy(table->fields, fields, count * sizeof *fields);
    return table;
}

/* Properties of the tests' messages are such words and nothing else. */
static int find_headers(const struct lv_message *message, struct lv_arena *arena,
                        const struct lv_table **ret_headers)
{
    assert(ret_headers != NULL);
    *ret_headers = lv_words_table(arena, message->properties);
    return 0;
}

/* As a session does it with BCC, on these words. */
static int remove_header(const struct lv_message *message, const char *name, struct lv_arena *arena,
                         struct lv_bytes *ret_properties)
{
    struct lv_bytes rest = message->properties;
    uint8_t *copy = lv_arena_alloc(arena, rest.size + 1), *p = copy;

    assert(name != NULL);
    if (copy == NULL)
        return -LV_E_NOMEM;
    while (rest.size > 0) {
        struct lv_bytes word = take_until(&rest, ' '), value = word;
        if (lv_bytes_equal(take_until(&value, '='), lv_text(name)))
            continue;
        if (p != copy)
            p = lv_put8(p, ' ');
        p = lv_put_bytes(p, word);
    }
    *ret_properties = lv_bytes(copy, (size_t)(p - copy));
    return 0;
}

/* What a session would say in the message's flags. */
bool lv_words_have_extra_keys(struct lv_bytes words)
{
    assert(words.size == 0 || words.data != NULL);
    while (words.size > 0) {
        struct lv_bytes word = take_until(&words, ' ');
        struct lv_bytes name = take_until(&word, '=');
        if (lv_bytes_equal(name, lv_text("CC")) || lv_bytes_equal(name, lv_text("BCC")))
            return true;
    }
    return false;
}

const struct lv_properties lv_words_properties = {
    .headers = find_headers,
    .without_header = remove_header,
};
