#include "io/machine.h"

#include "io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void the_machine_has_processors_and_memory(void **state)
{
    (void)state;
    assert_true(lv_machine_cpus() >= 1);
    assert_true(lv_machine_memory() > (1u << 20));
    assert_true(lv_machine_resident() > 4096);
    assert_true(lv_machine_resident() < lv_machine_memory());
}

static void the_limit_of_files_becomes_the_hard_one(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(lv_machine_raise_files() == limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

static void random_numbers_differ(void **state)
{
    (void)state;
    assert_true(lv_machine_random() != lv_machine_random());
}

static void clocks_go_forward(void **state)
{
    uint64_t before = lv_clock_now(), used = lv_clock_thread();

    (void)state;
    while (lv_clock_now() == before)
        ;
    assert_true(lv_clock_now() > before);
    assert_true(lv_clock_thread() >= used);
}

static void time_is_written_in_utc_with_milliseconds(void **state)
{
    char text[LV_CLOCK_TEXT_SIZE];

    (void)state;
    lv_clock_text(text);
    assert_int_equal(strlen(text), strlen("2026-11-21T12:52:23.123Z"));
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[19], '.');
    assert_int_equal(text[23], 'Z');
}

static void open_files_are_counted(void **state)
{
    uint64_t before, after, limit;
    int fd;

    (void)state;
    lv_machine_files(&before, &limit);
    assert_true(before >= 3 && before <= limit);
    fd = dup(0);
    lv_machine_files(&after, &limit);
    assert_int_equal(after, before + 1);
    close(fd);
    lv_machine_files(&after, &limit);
    assert_int_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_has_processors_and_memory),
        cmocka_unit_test(the_limit_of_files_becomes_the_hard_one),
        cmocka_unit_test(open_files_are_counted),
        cmocka_unit_test(random_numbers_differ),
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(time_is_written_in_utc_with_milliseconds),
    };

    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
