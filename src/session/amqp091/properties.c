#include "session/amqp091/properties.h"

#include "base/err.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/table.h"

/* Looks at the names only: the table was checked when the message came. */
bool lv_session_has_extra_keys(struct lv_bytes properties)
{
    struct lv_amqp091_field field;
    struct lv_bytes entries;

    if (!lv_amqp091_property_find(properties, LV_AMQP091_PROPERTY_HEADERS, &entries))
        return false;
    while (lv_amqp091_field_next(&entries, &field, NULL) > 0) {
        if (field.name.size < 2 || field.name.size > 3)
            continue;
        if (lv_bytes_equal(field.name, lv_text("CC")) || lv_bytes_equal(field.name, lv_text("BCC")))
            return true;
    }
    return false;
}

/* Decoded when a headers exchange or a rule asks, not for every message. */
static int find_headers(const struct lv_message *message, struct lv_arena *arena,
                        const struct lv_table **ret_headers)
{
    struct lv_bytes entries;

    assert(message->format == LV_MESSAGE_AMQP091);
    *ret_headers = NULL;
    if (!lv_amqp091_property_find(message->properties, LV_AMQP091_PROPERTY_HEADERS, &entries))
        return 0;
    /* It was well-formed when it came, so what can be lacking is memory. */
    return lv_amqp091_table_decode(entries, arena, ret_headers, NULL) < 0 ? -LV_E_NOMEM : 0;
}

/* Copies a table's entries but those of this name; returns the byte behind them. */
static uint8_t *copy_entries(uint8_t *p, struct lv_bytes entries, struct lv_bytes name)
{
    struct lv_amqp091_field field;
    const uint8_t *begin = entries.data;

    while (lv_amqp091_field_next(&entries, &field, NULL) > 0) {
        assert(entries.data > begin);
        if (!lv_bytes_equal(field.name, name))
            p = lv_put_bytes(p, lv_bytes(begin, (size_t)(entries.data - begin)));
        begin = entries.data;
    }
    return p;
}

/* A copy, as the message itself may be in other queues or on other shards. */
static int remove_header(const struct lv_message *message, const char *name, struct lv_arena *arena,
                         struct lv_bytes *ret_properties)
{
    struct lv_bytes raw = message->properties, entries;
    uint8_t *copy, *size_at, *p;

    assert(message->format == LV_MESSAGE_AMQP091);
    *ret_properties = raw;
    if (!lv_amqp091_property_find(raw, LV_AMQP091_PROPERTY_HEADERS, &entries))
        return 0;
    copy = lv_arena_alloc(arena, raw.size);
    if (copy == NULL)
        return -LV_E_NOMEM;
    size_t before = (size_t)(entries.data - raw.data) - 4; /* the table's size stands between */
    size_at = lv_put_bytes(copy, lv_bytes(raw.data, before));
    p = copy_entries(size_at + 4, entries, lv_text(name));
    lv_put32(size_at, (uint32_t)(p - size_at - 4));
    p = lv_put_bytes(p,
                     lv_bytes(entries.data + entries.size, raw.size - before - 4 - entries.size));
    assert((size_t)(p - copy) <= raw.size);
    *ret_properties = lv_bytes(copy, (size_t)(p - copy));
    return 0;
}

const struct lv_properties lv_session_properties = {
    .headers = find_headers,
    .without_header = remove_header,
};
