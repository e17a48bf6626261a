/*
 * The payload of a header frame: what passes the check can be decoded property by property, all at
 * once, and is the same when written again.
 */
#include "codec/amqp091/content.h"
#include "codec/amqp091/table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each property is found when its flag says so, and nothing else is. */
static void check_single(struct lv_bytes raw, const struct lv_amqp091_properties *properties)
{
    struct lv_bytes value;

    for (unsigned flag = 0x8000; flag >= 0x0004; flag >>= 1) {
        bool found = lv_amqp091_property_find(raw, flag, &value);
        assert(found == ((properties->flags & flag) != 0));
        if (found && flag == LV_AMQP091_PROPERTY_HEADERS) {
            assert(lv_bytes_equal(value, properties->headers));
            assert(lv_amqp091_table_check(value, NULL) == 0);
        }
        if (found && flag == LV_AMQP091_PROPERTY_CLUSTER_ID)
            assert(lv_bytes_equal(value, properties->cluster_id));
    }
}

/* The raw properties come back, but for flag bits that have no property. */
static void check_rewritten(struct lv_bytes raw, const struct lv_amqp091_properties *properties)
{
    size_t size = lv_amqp091_properties_size(properties);
    uint8_t *out = malloc(size);

    assert(out != NULL);
    assert(size == raw.size);
    assert(lv_amqp091_properties_encode(properties, out) == out + size);
    assert(memcmp(out + 2, raw.data + 2, size - 2) == 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_amqp091_properties properties;
    struct lv_amqp091_content content;
    struct lv_diag diag;
    uint8_t *out;

    /* Searching has to stay inside even in what nobody checked. */
    for (unsigned flag = 0x8000; flag >= 0x0004; flag >>= 1)
        (void)lv_amqp091_property_find(lv_bytes(data, size), flag, &content.properties);
    if (lv_amqp091_content_decode(lv_bytes(data, size), &content, &diag) < 0)
        return 0;
    assert(lv_amqp091_properties_decode(content.properties, &properties, NULL) == 0);
    check_single(content.properties, &properties);
    check_rewritten(content.properties, &properties);
    assert(lv_amqp091_content_size(&content) == size);
    out = malloc(size);
    assert(out != NULL);
    assert(lv_amqp091_content_encode(&content, out) == out + size);
    assert(memcmp(out, data, size) == 0);
    free(out);
    return 0;
}
