#include "broker/naive.h"

#include <assert.h>
#include <stdio.h>

/* A key's words. */
struct words {
    const char *at[64];
    size_t size[64];
    uint32_t count;
};

/* The straightforward way, for tests to compare the fast one with. */
static void split(const char *key, struct words *words)
{
    assert(key != NULL);
    words->count = 0;
    while (*key != '\0') {
        const char *dot = strchr(key, '.');
        size_t size = dot == NULL ? strlen(key) : (size_t)(dot - key);
        words->at[words->count] = key;
        words->size[words->count++] = size;
        if (dot == NULL)
            return;
        key = dot + 1;
        if (*key == '\0') {
            words->at[words->count] = key;
            words->size[words->count++] = 0;
        }
    }
}

/* Tries everything that # could stand for: exponential, and obviously right. */
static bool matches_from(const struct words *pattern, uint32_t p, const struct words *key,
                         uint32_t k)
{
    assert(p <= pattern->count);
    assert(k <= key->count);
    if (p == pattern->count)
        return k == key->count;
    if (pattern->size[p] == 1 && pattern->at[p][0] == '#')
        return matches_from(pattern, p + 1, key, k) ||
               (k < key->count && matches_from(pattern, p, key, k + 1));
    if (k == key->count)
        return false;
    bool same =
        pattern->size[p] == key->size[k] && memcmp(pattern->at[p], key->at[k], key->size[k]) == 0;
    bool star = pattern->size[p] == 1 && pattern->at[p][0] == '*';
    return (same || star) && matches_from(pattern, p + 1, key, k + 1);
}

/* As the specification words it. */
bool lv_naive_topic_matches(const char *pattern, const char *key)
{
    struct words a, b;

    assert(pattern != NULL);
    assert(key != NULL);
    split(pattern, &a);
    split(key, &b);
    return matches_from(&a, 0, &b, 0);
}

/* x- fields take part only in the with-x modes. */
static bool is_asked(const struct lv_field *field, bool with_x)
{
    assert(field != NULL);
    if (with_x)
        return !lv_bytes_equal(field->name, lv_text("x-match"));
    return field->name.size < 2 || memcmp(field->name.data, "x-", 2) != 0;
}

/* Field by field, without groups and hashes; the mode was checked when the binding was made. */
bool lv_naive_headers_match(const struct lv_table *arguments, const struct lv_table *message)
{
    const struct lv_value *mode = lv_table_get(arguments, "x-match");
    struct lv_bytes word = mode == NULL ? lv_text("all") : mode->bytes;
    bool with_x = word.size > 3, any = word.data[1] == 'n';

    assert(word.size >= 3);
    for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++) {
        const struct lv_field *field = &arguments->fields[i];
        char name[32];
        if (!is_asked(field, with_x))
            continue;
        snprintf(name, sizeof name, "%.*s", LV_FMT(field->name));
        if (lv_table_get(arguments, name) != &field->value)
            continue;
        const struct lv_value *value = lv_table_get(message, name);
        bool met = value != NULL &&
                   (field->value.type == LV_TYPE_VOID || lv_value_equal(value, &field->value));
        if (met == any)
            return any;
    }
    return !any;
}
