#include "store/slots.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Never looked into here: any address will do. */
static char pages[1000];

static struct lv_page *page(size_t i)
{
    return (struct lv_page *)(void *)&pages[i];
}

static void what_was_put_is_found(void **state)
{
    struct lv_slots slots;

    (void)state;
    assert_int_equal(lv_slots_init(&slots), 0);
    assert_null(lv_slots_get(&slots, 0));
    for (size_t i = 0; i < LV_COUNT(pages); i++) {
        assert_int_equal(lv_slots_reserve(&slots), 0);
        lv_slots_put(&slots, i * i, page(i));
    }
    for (size_t i = 0; i < LV_COUNT(pages); i++)
        assert_ptr_equal(lv_slots_get(&slots, i * i), page(i));
    assert_null(lv_slots_get(&slots, 3));
    assert_int_equal(slots.count, LV_COUNT(pages));
    assert_true(slots.count * 2 <= lv_slots_capacity(&slots));
    lv_slots_fini(&slots);
}

static void neighbours_lie_at_home_or_next_door(void **state)
{
    struct lv_slots slots;

    (void)state;
    assert_int_equal(lv_slots_init(&slots), 0);
    for (uint64_t i = 0; i < LV_COUNT(pages); i++) {
        assert_int_equal(lv_slots_reserve(&slots), 0);
        lv_slots_put(&slots, 1000000 + i, page(i));
    }
    for (uint64_t i = 0; i < LV_COUNT(pages); i++) {
        uint32_t home = lv_slots_home(&slots, 1000000 + i);
        uint32_t at = (uint32_t)(lv_slots_find(&slots, 1000000 + i) - slots.slots);
        assert_true(((at - home) & (lv_slots_capacity(&slots) - 1)) <= 1);
    }
    lv_slots_fini(&slots);
}

static void it_holds_what_was_put_and_not_removed(void **state)
{
    static bool in[LV_COUNT(pages)];
    struct lv_random random;
    struct lv_slots slots;
    uint32_t count = 0;

    (void)state;
    lv_random_seed(&random, 11);
    assert_int_equal(lv_slots_init(&slots), 0);
    for (int step = 0; step < 200000; step++) {
        /* Numbers that share their upper bits, so that some do meet. */
        size_t i = lv_random_below(&random, 1 + (size_t)step % LV_COUNT(pages));
        uint64_t number = (uint64_t)i * i << 30;
        if (in[i]) {
            lv_slots_remove(&slots, number);
        } else {
            assert_int_equal(lv_slots_reserve(&slots), 0);
            lv_slots_put(&slots, number, page(i));
        }
        in[i] = !in[i];
        count += in[i] ? 1 : (uint32_t)-1;
        i = lv_random_below(&random, LV_COUNT(pages));
        assert_ptr_equal(lv_slots_get(&slots, (uint64_t)i * i << 30), in[i] ? page(i) : NULL);
        assert_int_equal(slots.count, count);
    }
    lv_slots_fini(&slots);
}

static void out_of_memory_changes_nothing(void **state)
{
    struct lv_slots slots;
    uint64_t count = 0;

    (void)state;
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_slots_init(&slots), -LV_E_NOMEM);
    assert_int_equal(lv_slots_init(&slots), 0);
    lv_alloc_fail_after(1, 1);
    for (; lv_slots_reserve(&slots) == 0; count++)
        lv_slots_put(&slots, count, page(count));
    lv_alloc_fail_after(0, 0);
    assert_true(count > 0);
    assert_int_equal(slots.count, count);
    for (uint64_t i = 0; i < count; i++)
        assert_ptr_equal(lv_slots_get(&slots, i), page(i));
    assert_int_equal(lv_slots_reserve(&slots), 0);
    lv_slots_put(&slots, count, page(count));
    assert_ptr_equal(lv_slots_get(&slots, count), page(count));
    lv_slots_fini(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(neighbours_lie_at_home_or_next_door),
        cmocka_unit_test(it_holds_what_was_put_and_not_removed),
        cmocka_unit_test(out_of_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
