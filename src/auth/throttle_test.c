#include "auth/throttle.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS  1000000ull
#define NOW (1000 * LV_THROTTLE_FORGET_NS) /* of the first failure */

static const uint8_t here[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
static const uint8_t there[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 2};

static struct lv_throttle *throttle;

static int begin(void **state)
{
    (void)state;
    throttle = lv_throttle_new();
    return throttle == NULL;
}

static int end(void **state)
{
    (void)state;
    lv_throttle_free(throttle);
    return 0;
}

/* So many failures at once; what is held is let go. Returns how long the last was held. */
static uint64_t mistake(const uint8_t ip[16], unsigned count, uint64_t now)
{
    uint64_t held = 0;

    for (unsigned i = 0; i < count; i++) {
        held = lv_throttle_fail(throttle, ip, now);
        if (held > 0)
            lv_throttle_let_go(throttle, ip);
    }
    return held;
}

static void the_first_failures_are_answered_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LV_THROTTLE_FREE; i++)
        assert_true(mistake(here, 1, NOW + i) == 0);
    assert_false(lv_throttle_is_full(throttle, here));
}

static void each_further_answer_is_held_twice_as_long_up_to_a_limit(void **state)
{
    static const uint64_t wanted_ms[] = {125, 250, 500, 1000, 2000, 4000, 4000, 4000};

    (void)state;
    mistake(here, LV_THROTTLE_FREE, NOW);
    for (unsigned i = 0; i < LV_COUNT(wanted_ms); i++)
        assert_true(mistake(here, 1, NOW) == wanted_ms[i] * MS);
}

static void nothing_more_is_checked_while_enough_answers_are_held(void **state)
{
    (void)state;
    mistake(here, LV_THROTTLE_FREE, NOW);
    for (unsigned i = 0; i < LV_THROTTLE_HELD; i++) {
        assert_false(lv_throttle_is_full(throttle, here));
        assert_true(lv_throttle_fail(throttle, here, NOW) > 0);
    }
    assert_true(lv_throttle_is_full(throttle, here));
    assert_false(lv_throttle_is_full(throttle, there));
    lv_throttle_let_go(throttle, here);
    assert_false(lv_throttle_is_full(throttle, here));
}

static void addresses_are_told_apart(void **state)
{
    (void)state;
    mistake(here, 100, NOW);
    assert_true(mistake(there, LV_THROTTLE_FREE, NOW) == 0);
    assert_true(mistake(here, 1, NOW) == LV_THROTTLE_MAX_NS);
}

static void of_ipv6_the_network_counts(void **state)
{
    uint8_t one[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 1}, two[16], other[16];

    (void)state;
    memcpy(two, one, sizeof one);
    two[15] = 99;
    memcpy(other, one, sizeof one);
    other[7] = 2;
    mistake(one, LV_THROTTLE_FREE, NOW);
    assert_true(mistake(two, 1, NOW) == LV_THROTTLE_MIN_NS);
    assert_true(mistake(other, 1, NOW) == 0);
}

static void time_forgets_one_failure_after_the_other(void **state)
{
    uint64_t now = NOW;

    (void)state;
    mistake(here, LV_THROTTLE_FREE + 3, now);
    now += 2 * LV_THROTTLE_FORGET_NS; /* two are forgotten and one is new */
    assert_true(mistake(here, 1, now) == 2 * LV_THROTTLE_MIN_NS);
    now += LV_THROTTLE_FORGET_NS; /* one of each: whoever fails as slowly is never held longer */
    assert_true(mistake(here, 1, now) == 2 * LV_THROTTLE_MIN_NS);
    now += LV_THROTTLE_FORGET_NS - 1; /* too soon */
    assert_true(mistake(here, 1, now) == 4 * LV_THROTTLE_MIN_NS);
    now += 1000 * LV_THROTTLE_FORGET_NS;
    assert_true(mistake(here, LV_THROTTLE_FREE, now) == 0);
}

static void a_flood_of_addresses_takes_no_more_memory_and_forgets_the_oldest(void **state)
{
    uint8_t ip[16];
    unsigned known = 0;

    (void)state;
    memcpy(ip, here, sizeof ip);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20000; i++) {
            ip[12] = (uint8_t)(1 + i / 65536), ip[13] = (uint8_t)(i / 256), ip[14] = (uint8_t)i;
            if (round == 0)
                mistake(ip, LV_THROTTLE_FREE + 1, NOW + i);
            else
                known += lv_throttle_fail(throttle, ip, NOW + 20000 + i) > 0;
        }
    }
    assert_in_range(known, 0, 4096);
    mistake(ip, LV_THROTTLE_FREE, NOW + 40000);
    assert_true(mistake(ip, 1, NOW + 40000) > 0);
}

static void letting_go_what_nobody_remembers_does_nothing(void **state)
{
    (void)state;
    lv_throttle_let_go(throttle, here);
    mistake(here, 1, NOW);
    lv_throttle_let_go(throttle, here);
    assert_false(lv_throttle_is_full(throttle, here));
}

static void without_memory_there_is_no_table(void **state)
{
    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_null(lv_throttle_new());
    lv_alloc_fail_after(0, 0);
    lv_throttle_free(NULL);
}

#define THROTTLE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THROTTLE_TEST(the_first_failures_are_answered_at_once),
        THROTTLE_TEST(each_further_answer_is_held_twice_as_long_up_to_a_limit),
        THROTTLE_TEST(nothing_more_is_checked_while_enough_answers_are_held),
        THROTTLE_TEST(addresses_are_told_apart),
        THROTTLE_TEST(of_ipv6_the_network_counts),
        THROTTLE_TEST(time_forgets_one_failure_after_the_other),
        THROTTLE_TEST(a_flood_of_addresses_takes_no_more_memory_and_forgets_the_oldest),
        THROTTLE_TEST(letting_go_what_nobody_remembers_does_nothing),
        cmocka_unit_test(without_memory_there_is_no_table),
    };

    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
