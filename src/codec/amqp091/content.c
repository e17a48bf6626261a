#include "codec/amqp091/content.h"

#include "codec/amqp091/table.h"
#include "codec/amqp091/wire.h"

#define CLASS_BASIC 60u

/* The value of a property, which the reader is at. A view of it alone, so that looking for one
 * property costs no more than stepping over those before it. */
static struct lv_bytes read_value(struct lv_amqp091_reader *reader, unsigned property)
{
    switch (property) {
    case LV_AMQP091_PROPERTY_HEADERS:
        return lv_amqp091_read_longstr(reader);
    case LV_AMQP091_PROPERTY_DELIVERY_MODE:
    case LV_AMQP091_PROPERTY_PRIORITY:
        return lv_amqp091_read_bytes(reader, 1);
    case LV_AMQP091_PROPERTY_TIMESTAMP:
        return lv_amqp091_read_bytes(reader, 8);
    default:
        return lv_amqp091_read_shortbytes(reader);
    }
}

/* The highest flag there is, which stands for the property that comes first (0-9-1 §4.2.6.1). */
static unsigned first_of(unsigned flags)
{
    assert(flags != 0);
    return 0x80000000u >> __builtin_clz(flags);
}

/* Goes from flag to flag, so that a header costs what it has and not what it could have. */
static int check_properties(struct lv_bytes raw, struct lv_diag *diag)
{
    struct lv_amqp091_reader reader = lv_amqp091_reader(raw);
    unsigned flags = lv_amqp091_read_short(&reader) & LV_AMQP091_PROPERTY_ALL;

    while (flags != 0) {
        unsigned property = first_of(flags);
        struct lv_bytes value = read_value(&reader, property);

        assert((flags & property) != 0);
        flags &= ~property;
        if (property == LV_AMQP091_PROPERTY_HEADERS) {
            int rc = lv_amqp091_table_check(value, diag);
            if (rc < 0)
                return rc;
        }
    }
    return lv_amqp091_reader_end(&reader, raw, diag);
}

int lv_amqp091_content_decode(struct lv_bytes payload, struct lv_amqp091_content *ret_content,
                              struct lv_diag *diag)
{
    struct lv_amqp091_content content;
    const uint8_t *p = payload.data;
    int rc;

    if (payload.size < LV_AMQP091_CONTENT_HEAD_SIZE)
        return lv_amqp091_cannot_decode(payload, "a content header ends too early", diag);
    if (lv_get16(p) != CLASS_BASIC)
        return lv_fail(diag, -LV_E_UNEXPECTED_FRAME,
                       "expected content header for class %u, got one for class %u instead",
                       CLASS_BASIC, lv_get16(p));
    if (lv_get16(p + 2) != 0)
        return lv_amqp091_cannot_decode(payload, "a content header's weight is not 0", diag);
    content.body_size = lv_get64(p + 4);
    if (content.body_size > LV_AMQP091_BODY_SIZE_MAX)
        return lv_fail(
            diag, -LV_E_BAD_FRAME, "content body size %llu exceeds maximum allowed size %llu",
            (unsigned long long)content.body_size, (unsigned long long)LV_AMQP091_BODY_SIZE_MAX);
    content.properties =
        lv_bytes(p + LV_AMQP091_CONTENT_HEAD_SIZE, payload.size - LV_AMQP091_CONTENT_HEAD_SIZE);
    rc = check_properties(content.properties, diag);
    if (rc < 0)
        return rc;
    assert(content.properties.size >= 2); /* the flags */
    *ret_content = content;
    return 0;
}

uint8_t *lv_amqp091_content_encode(const struct lv_amqp091_content *content, uint8_t *p)
{
    assert(content->properties.size >= 2); /* the flags, if nothing else */
    assert(content->body_size <= LV_AMQP091_BODY_SIZE_MAX);
    p = lv_put16(p, CLASS_BASIC);
    p = lv_put16(p, 0);
    p = lv_put64(p, content->body_size);
    return lv_put_bytes(p, content->properties);
}

bool lv_amqp091_property_find(struct lv_bytes raw, enum lv_amqp091_property property,
                              struct lv_bytes *ret_value)
{
    struct lv_amqp091_reader reader = lv_amqp091_reader(raw);
    unsigned flags = lv_amqp091_read_short(&reader) & LV_AMQP091_PROPERTY_ALL;
    struct lv_bytes value;

    assert((property & LV_AMQP091_PROPERTY_ALL) == property);
    if ((flags & property) == 0)
        return false;
    for (; first_of(flags) != property; flags &= ~first_of(flags))
        (void)read_value(&reader, first_of(flags));
    value = read_value(&reader, property);
    if (reader.why != NULL)
        return false;
    *ret_value = value;
    return true;
}
