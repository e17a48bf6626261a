#include "io/signals.h"

#include "io/socket.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void signals_can_be_read(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(lv_signals_open(&fd), 0);
    assert_int_equal(lv_signals_take(fd), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(lv_socket_wait(fd, false, 5000), 0);
    assert_int_equal(lv_signals_take(fd), SIGTERM);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(lv_signals_take(fd), SIGINT);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(lv_signals_take(fd), SIGHUP);
    assert_int_equal(lv_signals_take(fd), 0);
    lv_signals_close(fd);
}

static void afterwards_they_end_the_program_again(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        int fd;

        if (lv_signals_open(&fd) == 0)
            lv_signals_close(fd);
        raise(SIGTERM);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_write_that_fails_does_not_end_the_program(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        int fd;

        if (lv_signals_open(&fd) == 0 && raise(SIGPIPE) == 0 && raise(SIGXFSZ) == 0)
            _exit(0);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_can_be_read),
        cmocka_unit_test(afterwards_they_end_the_program_again),
        cmocka_unit_test(a_write_that_fails_does_not_end_the_program),
    };

    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
