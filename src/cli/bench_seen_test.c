#include "cli/bench_seen.h"

#include "base/alloc.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void numbers_in_order_take_no_memory(void **state)
{
    struct lv_seen seen = {.base = 0};

    (void)state;
    for (uint64_t n = 0; n < 100000; n++)
        assert_int_equal(lv_seen_add(&seen, n), LV_SEEN_NEW);
    assert_int_equal(seen.base, 100000);
    assert_null(seen.words);
    lv_seen_fini(&seen);
}

static void a_number_that_came_before_is_told(void **state)
{
    struct lv_seen seen = {.base = 0};

    (void)state;
    assert_int_equal(lv_seen_add(&seen, 0), LV_SEEN_NEW);
    assert_int_equal(lv_seen_add(&seen, 0), LV_SEEN_AGAIN);
    assert_int_equal(lv_seen_add(&seen, 5), LV_SEEN_NEW);
    assert_int_equal(lv_seen_add(&seen, 5), LV_SEEN_AGAIN);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.base, 1);
    lv_seen_fini(&seen);
}

static void a_gap_stays_open_until_it_is_filled(void **state)
{
    struct lv_seen seen = {.base = 0};

    (void)state;
    for (uint64_t n = 1; n < 20000; n++)
        assert_int_equal(lv_seen_add(&seen, n), LV_SEEN_NEW);
    assert_int_equal(seen.base, 0);
    assert_int_equal(seen.count, 19999);
    assert_int_equal(lv_seen_add(&seen, 0), LV_SEEN_NEW);
    assert_int_equal(seen.base, 20000);
    /* and the fast way is open again */
    assert_int_equal(lv_seen_add(&seen, 20000), LV_SEEN_NEW);
    assert_int_equal(seen.base, 20001);
    lv_seen_fini(&seen);
}

static void any_order_gives_the_same_sum(void **state)
{
    enum { COUNT = 50000 };
    struct lv_seen seen = {.base = 0};
    struct lv_random random;
    uint32_t *order = lv_alloc(COUNT * sizeof *order);

    (void)state;
    assert_non_null(order);
    lv_random_seed(&random, 7);
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = i;
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t j = (uint32_t)lv_random_below(&random, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(lv_seen_add(&seen, order[i]), LV_SEEN_NEW);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(lv_seen_add(&seen, order[i]), LV_SEEN_AGAIN);
    assert_int_equal(seen.base, COUNT);
    assert_int_equal(seen.count, COUNT);
    lv_free(order);
    lv_seen_fini(&seen);
}

static void absurd_numbers_and_lack_of_memory_are_told_apart(void **state)
{
    struct lv_seen seen = {.base = 0};

    (void)state;
    assert_int_equal(lv_seen_add(&seen, LV_SEEN_WINDOW_MAX), LV_SEEN_FOREIGN);
    assert_int_equal(lv_seen_add(&seen, UINT64_MAX), LV_SEEN_FOREIGN);
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_seen_add(&seen, 9), LV_SEEN_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(lv_seen_add(&seen, 9), LV_SEEN_NEW);
    assert_int_equal(seen.count, 1);
    lv_seen_fini(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_order_take_no_memory),
        cmocka_unit_test(a_number_that_came_before_is_told),
        cmocka_unit_test(a_gap_stays_open_until_it_is_filled),
        cmocka_unit_test(any_order_gives_the_same_sum),
        cmocka_unit_test(absurd_numbers_and_lack_of_memory_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
