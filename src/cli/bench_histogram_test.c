#include "cli/bench_histogram.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct lv_histogram *fresh(void)
{
    struct lv_histogram *histogram = lv_calloc(1, sizeof *histogram);

    assert_non_null(histogram);
    return histogram;
}

static void an_empty_histogram_says_zero(void **state)
{
    struct lv_histogram *h = fresh();

    (void)state;
    assert_int_equal(lv_histogram_quantile(h, 0), 0);
    assert_int_equal(lv_histogram_quantile(h, 1), 0);
    lv_free(h);
}

static void small_values_are_exact(void **state)
{
    struct lv_histogram *h = fresh();

    (void)state;
    for (uint64_t v = 1; v <= 100; v++)
        lv_histogram_add(h, v);
    assert_int_equal(h->count, 100);
    assert_int_equal(lv_histogram_quantile(h, 0.5), 50);
    assert_int_equal(lv_histogram_quantile(h, 0.99), 99);
    assert_int_equal(lv_histogram_quantile(h, 1), 100);
    lv_free(h);
}

static void any_value_comes_back_within_one_percent(void **state)
{
    uint64_t value = 1;

    (void)state;
    for (int i = 0; i < 60; i++, value = value * 2 + (uint64_t)i) {
        struct lv_histogram *h = fresh();
        uint64_t got;

        lv_histogram_add(h, value);
        lv_histogram_add(h, UINT64_MAX); /* so that `highest` does not help */
        got = lv_histogram_quantile(h, 0.5);
        assert_true(got >= value);
        assert_true(got - value <= value / 100);
        lv_free(h);
    }
}

static void the_highest_value_is_exact_and_the_largest_fits(void **state)
{
    struct lv_histogram *h = fresh();

    (void)state;
    lv_histogram_add(h, 0);
    lv_histogram_add(h, 1000003);
    assert_int_equal(lv_histogram_quantile(h, 1), 1000003);
    lv_histogram_add(h, UINT64_MAX);
    assert_true(lv_histogram_quantile(h, 1) == UINT64_MAX);
    lv_free(h);
}

static void merging_is_adding_all_values(void **state)
{
    struct lv_histogram *a = fresh(), *b = fresh();

    (void)state;
    for (uint64_t v = 1; v <= 50; v++) {
        lv_histogram_add(a, v);
        lv_histogram_add(b, v + 50);
    }
    lv_histogram_merge(a, b);
    assert_int_equal(a->count, 100);
    assert_int_equal(a->highest, 100);
    assert_int_equal(lv_histogram_quantile(a, 0.75), 75);
    lv_free(a);
    lv_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_says_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(any_value_comes_back_within_one_percent),
        cmocka_unit_test(the_highest_value_is_exact_and_the_largest_fits),
        cmocka_unit_test(merging_is_adding_all_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
