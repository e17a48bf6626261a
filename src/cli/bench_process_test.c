#include "cli/bench_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void burn(uint64_t ns)
{
    uint64_t until = lv_process_own_cpu() + ns;

    while (lv_process_own_cpu() < until)
        continue;
}

static void used_processor_time_is_seen(void **state)
{
    int pid = getpid();
    struct lv_process_usage before, after;

    (void)state;
    assert_int_equal(lv_process_measure(&pid, 1, &before, NULL), 0);
    burn(30000000);
    assert_int_equal(lv_process_measure(&pid, 1, &after, NULL), 0);
    assert_true(after.cpu_ns - before.cpu_ns > 15000000);
    assert_true(after.cpu_ns - before.cpu_ns < 1000000000);
    assert_true(after.resident > 100000 && after.peak >= after.resident);
}

static void processes_are_summed_up(void **state)
{
    int pids[2] = {getpid(), getpid()};
    struct lv_process_usage one, two, none;

    (void)state;
    assert_int_equal(lv_process_measure(pids, 1, &one, NULL), 0);
    assert_int_equal(lv_process_measure(pids, 2, &two, NULL), 0);
    assert_true(two.cpu_ns >= 2 * one.cpu_ns);
    assert_int_equal(lv_process_measure(NULL, 0, &none, NULL), 0);
    assert_int_equal(none.cpu_ns, 0);
}

static void a_process_that_is_gone_is_named(void **state)
{
    int pid = 0x7ffffff0;
    struct lv_process_usage usage;
    struct lv_diag diag = {.text = ""};

    (void)state;
    lv_process_reset_peak(&pid, 1);
    assert_int_equal(lv_process_measure(&pid, 1, &usage, &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, "2147483632"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_processor_time_is_seen),
        cmocka_unit_test(processes_are_summed_up),
        cmocka_unit_test(a_process_that_is_gone_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
