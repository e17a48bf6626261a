#include "io/process.h"

#include "base/err.h"
#include "io/socket.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void the_end_of_a_process_can_be_awaited(void **state)
{
    pid_t pid = fork();
    int fd, status;

    (void)state;
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(lv_process_open((uint64_t)pid, &fd), 0);
    assert_int_equal(lv_socket_wait(fd, false, 0), -LV_E_TIMEOUT);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(lv_socket_wait(fd, false, 10000), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
}

static void numbers_of_nobody_are_not_found(void **state)
{
    pid_t pid = fork();
    int fd;

    (void)state;
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(lv_process_open((uint64_t)pid, &fd), -LV_E_NOT_FOUND);
    assert_int_equal(lv_process_open(0, &fd), -LV_E_NOT_FOUND);
    assert_int_equal(lv_process_open(UINT64_MAX, &fd), -LV_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_process_can_be_awaited),
        cmocka_unit_test(numbers_of_nobody_are_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
