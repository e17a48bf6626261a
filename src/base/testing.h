/*
 * base/testing.h - what tests of typed values share: an arena for each test, and tables in it.
 *
 * For x_test.c only, of which each is one program with one thread.
 */
#pragma once

#include "base/alloc.h"
#include "base/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ARENA_SIZE_OF_TEST ((size_t)1 << 24)

/* Tables are built here, as decoders do it. */
static struct lv_arena arena;

/* cmocka's form of a set-up. */
static inline int set_up_arena(void **state)
{
    (void)state;
    lv_arena_init(&arena, ARENA_SIZE_OF_TEST);
    return 0;
}

/* Also ends what lv_alloc_fail_after() began. */
static inline int tear_down_arena(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_arena_fini(&arena);
    return 0;
}

/* A test between the two. */
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, set_up_arena, tear_down_arena)

/* A table with copies of the fields; what they refer to stays where it is. */
static inline struct lv_table *table_of(uint32_t count, const struct lv_field *fields)
{
    struct lv_table *table =
        lv_arena_alloc(&arena, sizeof *table + count * sizeof table->fields[0]);

    assert_non_null(table);
    table->count = count;
    if (count > 0)
        memcpy(table->fields, fields, count * sizeof *fields);
    return table;
}
