#include "base/deadline.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a test's deadline does when it fires. */
struct alarm {
    struct lv_deadline deadline;
    struct lv_deadlines *set;
    unsigned fired;
    uint64_t fired_at;
    uint64_t again_at;    /* arms itself again, 0: does not */
    struct alarm *cancel; /* cancels this one, or NULL */
    struct alarm *arm;    /* arms this one at `again_at`, or NULL */
};

static void ring(struct lv_deadline *deadline, uint64_t now)
{
    struct alarm *alarm = lv_container(deadline, struct alarm, deadline);

    assert_false(deadline->armed);
    alarm->fired++;
    alarm->fired_at = now;
    if (alarm->cancel != NULL)
        lv_deadline_cancel(alarm->set, &alarm->cancel->deadline);
    if (alarm->arm != NULL)
        lv_deadline_set(alarm->set, &alarm->arm->deadline, alarm->again_at);
    else if (alarm->again_at != 0)
        lv_deadline_set(alarm->set, deadline, alarm->again_at);
}

static void prepare(struct alarm *alarm, struct lv_deadlines *set, uint64_t at)
{
    *alarm = (struct alarm){.set = set};
    lv_deadline_init(&alarm->deadline, ring);
    if (at != 0)
        lv_deadline_set(set, &alarm->deadline, at);
}

static void what_is_due_fires_once(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm early, late;

    (void)state;
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
    prepare(&late, &set, 20);
    prepare(&early, &set, 10);
    assert_int_equal(lv_deadlines_next(&set), 10);
    lv_deadlines_run(&set, 9);
    assert_int_equal(early.fired, 0);
    lv_deadlines_run(&set, 12);
    assert_int_equal(early.fired, 1);
    assert_int_equal(early.fired_at, 12);
    assert_int_equal(late.fired, 0);
    assert_int_equal(lv_deadlines_next(&set), 20);
    lv_deadlines_run(&set, 20);
    lv_deadlines_run(&set, 30);
    assert_int_equal(early.fired, 1);
    assert_int_equal(late.fired, 1);
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
}

static void setting_again_moves_a_deadline(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm alarm;

    (void)state;
    prepare(&alarm, &set, 10);
    lv_deadline_set(&set, &alarm.deadline, 50);
    lv_deadlines_run(&set, 49);
    assert_int_equal(alarm.fired, 0);
    lv_deadline_set(&set, &alarm.deadline, 5);
    lv_deadlines_run(&set, 49);
    assert_int_equal(alarm.fired, 1);
}

static void a_cancelled_deadline_does_not_fire(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm alarm;

    (void)state;
    prepare(&alarm, &set, 10);
    lv_deadline_cancel(&set, &alarm.deadline);
    lv_deadline_cancel(&set, &alarm.deadline); /* isn't armed: nothing happens */
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
    lv_deadlines_run(&set, 100);
    assert_int_equal(alarm.fired, 0);
}

static void what_a_run_arms_for_later_fires_later(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm alarm;

    (void)state;
    prepare(&alarm, &set, 10);
    alarm.again_at = 30;
    lv_deadlines_run(&set, 10);
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(lv_deadlines_next(&set), 30);
    lv_deadlines_run(&set, 30);
    assert_int_equal(alarm.fired, 2);
}

static void what_a_run_arms_for_now_waits_for_the_next_run(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm alarm;

    (void)state;
    prepare(&alarm, &set, 10);
    alarm.again_at = 5;
    lv_deadlines_run(&set, 10); /* ends, although it is always due again */
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(lv_deadlines_next(&set), 5);
    lv_deadlines_run(&set, 10); /* the same time is good enough */
    assert_int_equal(alarm.fired, 2);
    lv_deadline_cancel(&set, &alarm.deadline);
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
}

static void a_run_may_cancel_what_is_due_too(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm first, second;

    (void)state;
    prepare(&first, &set, 10);
    prepare(&second, &set, 11);
    first.cancel = &second;
    lv_deadlines_run(&set, 20);
    assert_int_equal(first.fired, 1);
    assert_int_equal(second.fired, 0);
}

static void a_run_may_take_back_what_it_armed_for_now(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm arms, cancels, third;

    (void)state;
    prepare(&third, &set, 0);
    prepare(&arms, &set, 10);
    prepare(&cancels, &set, 11);
    arms.arm = &third;
    arms.again_at = 15;
    cancels.cancel = &third;
    lv_deadlines_run(&set, 20);
    assert_int_equal(cancels.fired, 1);
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
    assert_int_equal(third.fired, 0);
}

static void free_it(struct lv_deadline *deadline, uint64_t now)
{
    assert_int_equal(now, 7);
    lv_free(lv_container(deadline, struct alarm, deadline));
}

static void a_deadline_may_free_itself(void **state)
{
    struct lv_deadlines set = {.running = false};
    struct alarm *alarm = lv_calloc(1, sizeof *alarm);

    (void)state;
    assert_non_null(alarm);
    lv_deadline_init(&alarm->deadline, free_it);
    lv_deadline_set(&set, &alarm->deadline, 7);
    lv_deadlines_run(&set, 7);
    assert_true(lv_deadlines_next(&set) == LV_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_fires_once),
        cmocka_unit_test(setting_again_moves_a_deadline),
        cmocka_unit_test(a_cancelled_deadline_does_not_fire),
        cmocka_unit_test(what_a_run_arms_for_later_fires_later),
        cmocka_unit_test(what_a_run_arms_for_now_waits_for_the_next_run),
        cmocka_unit_test(a_run_may_cancel_what_is_due_too),
        cmocka_unit_test(a_run_may_take_back_what_it_armed_for_now),
        cmocka_unit_test(a_deadline_may_free_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
