/*
 * A change of the topology, as the log has it: what decodes encodes to the very same bytes, in
 * memory that is bounded by theirs, and so do its arguments by themselves.
 */
#include "broker/change.h"
#include "base/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives the change's bytes. */
static uint8_t *encode(const struct lv_change *change)
{
    uint8_t *bytes = malloc(lv_change_size(change));

    assert(bytes != NULL);
    lv_change_encode(change, bytes);
    return bytes;
}

static void check_arguments(const struct lv_table *arguments, struct lv_arena *arena)
{
    uint32_t size = lv_table_packed_size(arguments);
    uint8_t *bytes = malloc(size);
    struct lv_table *again;

    assert(bytes != NULL);
    assert(lv_table_pack(arguments, bytes) == bytes + size);
    assert(lv_table_unpack(lv_bytes(bytes, size), arena, &again) == 0);
    assert(lv_table_packed_size(again) == size);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_change change;
    struct lv_arena arena, second;
    int rc;

    lv_arena_init(&arena, 48 * size);
    lv_arena_init(&second, 48 * size);
    rc = lv_change_decode(lv_bytes(data, size), &arena, &change);
    assert(rc == 0 || rc == -LV_E_CORRUPT || rc == -LV_E_VERSION);
    if (rc == 0) {
        uint8_t *bytes = encode(&change);
        assert(lv_change_size(&change) == size);
        assert(memcmp(bytes, data, size) == 0);
        free(bytes);
        check_arguments(change.arguments, &second);
    }
    lv_arena_fini(&second);
    lv_arena_fini(&arena);
    return 0;
}
