#include "server/memory.h"

#include "io/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_alarm_begins_above_and_ends_below(void **state)
{
    struct lv_alarms alarms = {0};
    struct lv_memory memory;

    (void)state;
    lv_memory_init(&memory, &alarms, 1000);
    assert_false(lv_memory_report(&memory, 1000));
    assert_false(lv_memory_is_alarm(&memory));
    assert_true(lv_memory_report(&memory, 1));
    assert_true(lv_memory_is_alarm(&memory));
    assert_false(lv_memory_report(&memory, 500));
    assert_false(lv_memory_report(&memory, -550)); /* 951: not yet far enough below */
    assert_true(lv_memory_is_alarm(&memory));
    assert_true(lv_memory_report(&memory, -2));
    assert_false(lv_memory_is_alarm(&memory));
    assert_int_equal(lv_memory_used(&memory), 949);
}

static void a_shard_may_give_back_what_another_reported(void **state)
{
    struct lv_alarms alarms = {0};
    struct lv_memory memory;

    (void)state;
    lv_memory_init(&memory, &alarms, 1000);
    assert_false(lv_memory_report(&memory, -5));
    assert_int_equal(lv_memory_used(&memory), 0);
    assert_false(lv_memory_report(&memory, 5));
    assert_int_equal(lv_memory_used(&memory), 0);
}

/* Carries the sum over the border and back many times. */
struct reporter {
    struct lv_memory *memory;
    int turned;
};

static void report(void *ctx)
{
    struct reporter *reporter = ctx;

    for (int i = 0; i < 100000; i++) {
        if (lv_memory_report(reporter->memory, 600))
            reporter->turned++;
        if (lv_memory_report(reporter->memory, -600))
            reporter->turned++;
    }
}

static void two_shards_turn_the_alarm_on_as_often_as_off(void **state)
{
    struct lv_alarms alarms = {0};
    struct lv_memory memory;
    struct reporter reporters[2] = {{.memory = &memory}, {.memory = &memory}};
    struct lv_thread threads[2];
    bool last;

    (void)state;
    lv_memory_init(&memory, &alarms, 1000);
    for (int i = 0; i < 2; i++)
        assert_int_equal(lv_thread_start(&threads[i], "reporter", report, &reporters[i]), 0);
    for (int i = 0; i < 2; i++)
        lv_thread_join(&threads[i]);
    last = lv_memory_report(&memory, 0); /* one may have looked before the other gave back */
    assert_int_equal((reporters[0].turned + reporters[1].turned + last) % 2, 0);
    assert_false(lv_memory_is_alarm(&memory));
    assert_int_equal(lv_memory_used(&memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alarm_begins_above_and_ends_below),
        cmocka_unit_test(a_shard_may_give_back_what_another_reported),
        cmocka_unit_test(two_shards_turn_the_alarm_on_as_often_as_off),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
