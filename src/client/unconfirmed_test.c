#include "client/unconfirmed.h"

#include "base/alloc.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What was settled, as text: "1-3 5 ". */
struct told {
    char text[256];
    size_t used;
    uint64_t count;
};

static void tell(void *ctx, uint64_t first, uint64_t last)
{
    struct told *told = ctx;
    size_t room = sizeof told->text - told->used;
    int size = first == last
                   ? snprintf(told->text + told->used, room, "%d ", (int)first)
                   : snprintf(told->text + told->used, room, "%d-%d ", (int)first, (int)last);

    assert_true(size > 0);
    if ((size_t)size < room)
        told->used += (size_t)size;
    told->count += last - first + 1;
}

static struct lv_unconfirmed with_open(uint64_t count)
{
    struct lv_unconfirmed confirms;

    lv_unconfirmed_init(&confirms);
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t tag = 0;
        assert_int_equal(lv_unconfirmed_open(&confirms, &tag), 0);
        assert_int_equal(tag, i);
    }
    return confirms;
}

static void tags_start_with_one_and_multiple_settles_all_below(void **state)
{
    struct lv_unconfirmed confirms = with_open(5);
    struct told told = {.used = 0};

    (void)state;
    assert_int_equal(lv_unconfirmed_count(&confirms), 5);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 3, true, tell, &told), 0);
    assert_string_equal(told.text, "1-3 ");
    assert_int_equal(lv_unconfirmed_count(&confirms), 2);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 0, true, tell, &told), 0);
    assert_string_equal(told.text, "1-3 4-5 ");
    assert_int_equal(lv_unconfirmed_count(&confirms), 0);
    lv_unconfirmed_fini(&confirms);
}

static void tags_settled_early_are_told_once(void **state)
{
    struct lv_unconfirmed confirms = with_open(6);
    struct told told = {.used = 0};

    (void)state;
    assert_int_equal(lv_unconfirmed_settle(&confirms, 3, false, tell, &told), 0);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 5, false, tell, &told), 0);
    assert_int_equal(lv_unconfirmed_count(&confirms), 4);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 6, true, tell, &told), 0);
    assert_string_equal(told.text, "3 5 1-2 4 6 ");
    assert_int_equal(lv_unconfirmed_count(&confirms), 0);
    lv_unconfirmed_fini(&confirms);
}

static void settling_the_lowest_passes_over_early_ones(void **state)
{
    struct lv_unconfirmed confirms = with_open(4);
    struct told told = {.used = 0};

    (void)state;
    assert_int_equal(lv_unconfirmed_settle(&confirms, 2, false, tell, &told), 0);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 1, false, tell, &told), 0);
    assert_int_equal(confirms.lowest, 3);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 1, true, tell, &told), 0); /* nothing new */
    assert_string_equal(told.text, "2 1 ");
    lv_unconfirmed_fini(&confirms);
}

static void tags_never_given_or_settled_before_are_errors(void **state)
{
    struct lv_unconfirmed confirms = with_open(3);
    struct told told = {.used = 0};

    (void)state;
    assert_int_equal(lv_unconfirmed_settle(&confirms, 4, false, tell, &told), -LV_E_SYNTAX);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 4, true, tell, &told), -LV_E_SYNTAX);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 0, false, tell, &told), -LV_E_SYNTAX);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 2, false, tell, &told), 0);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 2, false, tell, &told), -LV_E_SYNTAX);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 1, false, tell, &told), 0);
    assert_int_equal(lv_unconfirmed_settle(&confirms, 1, false, tell, &told), -LV_E_SYNTAX);
    assert_string_equal(told.text, "2 1 ");
    lv_unconfirmed_fini(&confirms);
}

static void any_order_settles_every_tag_once(void **state)
{
    enum { COUNT = 20000 };
    struct lv_unconfirmed confirms = with_open(0);
    struct lv_random random;
    struct told told = {.used = 0};
    uint64_t opened = 0;

    (void)state;
    lv_random_seed(&random, 11);
    while (opened < COUNT || lv_unconfirmed_count(&confirms) > 0) {
        uint64_t tag, before = told.count;

        if (opened < COUNT && lv_random_below(&random, 3) > 0) {
            assert_int_equal(lv_unconfirmed_open(&confirms, &tag), 0);
            opened++;
            continue;
        }
        if (confirms.next == confirms.lowest)
            continue;
        tag = confirms.lowest + lv_random_below(&random, confirms.next - confirms.lowest);
        if (lv_random_below(&random, 50) == 0)
            assert_int_equal(lv_unconfirmed_settle(&confirms, tag, true, tell, &told), 0);
        else if (lv_unconfirmed_settle(&confirms, tag, false, tell, &told) < 0)
            assert_int_equal(told.count, before);
    }
    assert_int_equal(told.count, COUNT);
    assert_int_equal(confirms.early, 0);
    lv_unconfirmed_fini(&confirms);
}

static void lack_of_memory_opens_nothing(void **state)
{
    struct lv_unconfirmed confirms;
    uint64_t tag = 42;

    (void)state;
    lv_unconfirmed_init(&confirms);
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_unconfirmed_open(&confirms, &tag), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(tag, 42);
    assert_int_equal(lv_unconfirmed_count(&confirms), 0);
    lv_unconfirmed_fini(&confirms);
}

static void the_number_of_open_tags_is_bounded(void **state)
{
    struct lv_unconfirmed confirms = with_open(0);
    uint64_t tag;

    (void)state;
    for (uint64_t i = 0; i < LV_UNCONFIRMED_OPEN_MAX; i++)
        if (lv_unconfirmed_open(&confirms, &tag) != 0)
            fail_msg("tag %d was not opened", (int)i);
    assert_int_equal(lv_unconfirmed_open(&confirms, &tag), -LV_E_RESOURCE);
    lv_unconfirmed_fini(&confirms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_start_with_one_and_multiple_settles_all_below),
        cmocka_unit_test(tags_settled_early_are_told_once),
        cmocka_unit_test(settling_the_lowest_passes_over_early_ones),
        cmocka_unit_test(tags_never_given_or_settled_before_are_errors),
        cmocka_unit_test(any_order_settles_every_tag_once),
        cmocka_unit_test(lack_of_memory_opens_nothing),
        cmocka_unit_test(the_number_of_open_tags_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
