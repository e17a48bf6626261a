#include "base/arena.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int let_all_succeed(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    return 0;
}

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    struct lv_arena arena;
    uint8_t *pieces[200];

    (void)state;
    lv_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < LV_COUNT(pieces); i++) {
        pieces[i] = lv_arena_alloc(&arena, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < LV_COUNT(pieces); i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i);
    }
    lv_arena_fini(&arena);
}

static void the_limit_counts_what_was_handed_out(void **state)
{
    struct lv_arena arena;

    (void)state;
    lv_arena_init(&arena, 100);
    assert_non_null(lv_arena_alloc(&arena, 60));
    assert_null(lv_arena_alloc(&arena, 60));
    assert_non_null(lv_arena_alloc(&arena, 32));
    assert_true(arena.used <= 100);
    assert_null(lv_arena_alloc(&arena, 10));
    assert_null(lv_arena_alloc(&arena, SIZE_MAX));
    lv_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(lv_arena_alloc(&arena, 96));
    lv_arena_fini(&arena);
}

static void a_piece_may_be_larger_than_any_block(void **state)
{
    struct lv_arena arena;
    uint8_t *large;

    (void)state;
    lv_arena_init(&arena, 10 << 20);
    assert_non_null(lv_arena_alloc(&arena, 10));
    large = lv_arena_alloc(&arena, 3 << 20);
    assert_non_null(large);
    memset(large, 1, 3 << 20);
    assert_non_null(lv_arena_alloc(&arena, 10));
    lv_arena_fini(&arena);
}

static void the_next_job_needs_no_new_memory(void **state)
{
    struct lv_arena arena;

    (void)state;
    lv_arena_init(&arena, 1 << 20);
    for (int i = 0; i < 100; i++)
        assert_non_null(lv_arena_alloc(&arena, 200)); /* several blocks */
    lv_arena_reset(&arena);
    lv_alloc_fail_after(1, 1);
    assert_non_null(lv_arena_alloc(&arena, 900));
    assert_null(lv_arena_alloc(&arena, 900));
    lv_alloc_fail_after(0, 0);
    assert_non_null(lv_arena_alloc(&arena, 900)); /* a failure breaks nothing */
    lv_arena_fini(&arena);
}

static void an_arena_that_was_never_used_owns_nothing(void **state)
{
    struct lv_arena arena;

    (void)state;
    lv_arena_init(&arena, 1000);
    lv_arena_reset(&arena);
    assert_null(arena.blocks);
    lv_arena_fini(&arena);
    assert_null(arena.blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(the_limit_counts_what_was_handed_out),
        cmocka_unit_test(a_piece_may_be_larger_than_any_block),
        cmocka_unit_test_teardown(the_next_job_needs_no_new_memory, let_all_succeed),
        cmocka_unit_test(an_arena_that_was_never_used_owns_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
