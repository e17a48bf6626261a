#include "server/alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void who_turns_an_alarm_is_told_so_and_nobody_else(void **state)
{
    struct lv_alarms alarms = {0};

    (void)state;
    assert_true(lv_alarm_turn(&alarms, LV_ALARM_DISK, true));
    assert_false(lv_alarm_turn(&alarms, LV_ALARM_DISK, true));
    assert_true(lv_alarm_turn(&alarms, LV_ALARM_DISK, false));
    assert_false(lv_alarm_turn(&alarms, LV_ALARM_DISK, false));
}

static void alarms_are_independent(void **state)
{
    struct lv_alarms alarms = {0};

    (void)state;
    assert_true(lv_alarm_turn(&alarms, LV_ALARM_DISK, true));
    assert_true(lv_alarm_turn(&alarms, LV_ALARM_MEMORY, true));
    assert_int_equal(lv_alarms_now(&alarms), LV_ALARM_DISK | LV_ALARM_MEMORY);
    assert_true(lv_alarm_turn(&alarms, LV_ALARM_DISK, false));
    assert_int_equal(lv_alarms_now(&alarms), LV_ALARM_MEMORY);
}

static void reasons_are_said_as_rabbitmq_says_them(void **state)
{
    (void)state;
    assert_null(lv_alarms_text(0));
    assert_string_equal(lv_alarms_text(LV_ALARM_MEMORY), "low on memory");
    assert_string_equal(lv_alarms_text(LV_ALARM_DISK), "low on disk");
    assert_string_equal(lv_alarms_text(LV_ALARM_MEMORY | LV_ALARM_DISK), "low on memory & disk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_turns_an_alarm_is_told_so_and_nobody_else),
        cmocka_unit_test(alarms_are_independent),
        cmocka_unit_test(reasons_are_said_as_rabbitmq_says_them),
    };
    return cmocka_run_group_tests_name("server alarms", tests, NULL, NULL);
}
