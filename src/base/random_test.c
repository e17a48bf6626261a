#include "base/random.h"

#include "base/defs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_sequence_is_that_of_xoshiro256_starstar(void **state)
{
    /* From state 1, 2, 3, 4; worked out by hand from the definition:
     * rotl(2 * 5, 7) * 9 = 11520, then s1 = 0 gives 0, then s1 = 262149. */
    struct lv_random random = {.state = {1, 2, 3, 4}};

    (void)state;
    assert_true(lv_random_next(&random) == 11520);
    assert_true(lv_random_next(&random) == 0);
    assert_true(lv_random_next(&random) == 1509978240);
}

static void a_seed_repeats_its_sequence_and_no_other(void **state)
{
    struct lv_random a, b, c;

    (void)state;
    lv_random_seed(&a, 42);
    lv_random_seed(&b, 42);
    lv_random_seed(&c, 43);
    for (int i = 0; i < 100; i++) {
        uint64_t x = lv_random_next(&a);
        assert_true(x == lv_random_next(&b));
        assert_true(x != lv_random_next(&c));
    }
}

static void below_is_uniform(void **state)
{
    struct lv_random random;
    uint32_t counts[7] = {0};

    (void)state;
    lv_random_seed(&random, 7);
    for (int i = 0; i < 70000; i++) {
        uint64_t x = lv_random_below(&random, 7);
        assert_true(x < 7);
        counts[x]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(lv_random_below(&random, 1), 0);
    assert_true(lv_random_below(&random, UINT64_MAX) < UINT64_MAX);
}

static void names_are_22_different_looking_characters(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct lv_random random;
    char name[23] = {0};
    char last[23] = {0};
    bool seen[64] = {false};

    (void)state;
    lv_random_seed(&random, 1);
    for (int i = 0; i < 1000; i++) {
        lv_random_name(&random, name);
        assert_int_equal(strspn(name, digits), 22);
        assert_string_not_equal(name, last);
        memcpy(last, name, sizeof last);
        for (size_t k = 0; k < 22; k++)
            seen[strchr(digits, name[k]) - digits] = true;
    }
    for (size_t i = 0; i < 64; i++)
        assert_true(seen[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_that_of_xoshiro256_starstar),
        cmocka_unit_test(a_seed_repeats_its_sequence_and_no_other),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(names_are_22_different_looking_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
