#include "io/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What a thread saw of itself; looked at after it was joined. */
struct report {
    char name[16];
    size_t stack_size;
    sigset_t blocked;
};

static void look(void *ctx)
{
    struct report *report = ctx;
    pthread_attr_t attributes;

    pthread_getname_np(pthread_self(), report->name, sizeof report->name);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &report->stack_size);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, NULL, &report->blocked);
}

static void threads_have_a_name_a_small_stack_and_no_signals(void **state)
{
    struct report report = {.name = ""};
    struct lv_thread thread;
    sigset_t mine;

    (void)state;
    assert_int_equal(lv_thread_start(&thread, "shard 7", look, &report), 0);
    lv_thread_join(&thread);
    assert_string_equal(report.name, "shard 7");
    assert_true(report.stack_size >= 256 * 1024);
    assert_true(report.stack_size <= 1024 * 1024); /* sanitizers add to it; default: 8 MiB */
    assert_true(sigismember(&report.blocked, SIGTERM));
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
}

static void a_long_name_is_cut(void **state)
{
    struct report report = {.name = ""};
    struct lv_thread thread;

    (void)state;
    assert_int_equal(lv_thread_start(&thread, "a name of many letters", look, &report), 0);
    lv_thread_join(&thread);
    assert_string_equal(report.name, "a name of many ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_a_name_a_small_stack_and_no_signals),
        cmocka_unit_test(a_long_name_is_cut),
    };

    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
