/*
 * The entries of a field table: looking and decoding agree, and what is encoded from the values
 * decodes to equal values.
 */
#include "codec/amqp091/table.h"

#include <stdlib.h>

#define ARENA_SIZE (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives the table's entries in a block of exactly their size. */
static struct lv_bytes encode(const struct lv_table *table)
{
    size_t size = lv_amqp091_table_size(table);
    uint8_t *out = malloc(size);

    assert(out != NULL || size == 0);
    assert(lv_amqp091_table_encode(table, out) == out + size);
    return lv_bytes(out, size);
}

static void let_go(struct lv_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static void check_table(const struct lv_table *table, size_t size, struct lv_arena *arena)
{
    struct lv_bytes first = encode(table);
    struct lv_bytes second;
    const struct lv_table *again;
    char text[64];

    assert(first.size == size); /* types may change their octet, but not their size */
    assert(lv_amqp091_table_decode(first, arena, &again, NULL) == 0);
    second = encode(again);
    assert(lv_bytes_equal(first, second));
    for (uint32_t i = 0; i < table->count; i++)
        (void)lv_value_print(&table->fields[i].value, text, sizeof text);
    let_go(first);
    let_go(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct lv_table *table;
    struct lv_arena arena;
    struct lv_diag diag;
    int checked, decoded;

    lv_arena_init(&arena, ARENA_SIZE);
    checked = lv_amqp091_table_check(lv_bytes(data, size), NULL);
    decoded = lv_amqp091_table_decode(lv_bytes(data, size), &arena, &table, &diag);
    assert(checked == decoded);
    if (decoded == 0)
        check_table(table, size, &arena);
    lv_arena_fini(&arena);
    return 0;
}
