#include "io/notify.h"

#include "base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A manager's socket, by its path or, with '@', by an abstract name. */
static int listen_as_manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

/* What came, or "". */
static const char *heard(int fd)
{
    static char text[256];
    ssize_t size = recv(fd, text, sizeof text - 1, 0);

    text[size < 0 ? 0 : size] = '\0';
    return text;
}

static int clear(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

static void without_a_manager_nothing_is_said(void **state)
{
    struct lv_notify notify;

    (void)state;
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(notify.fd, -1);
    assert_int_equal(notify.watchdog_ns, 0);
    assert_int_equal(lv_notify_send(&notify, "READY=1"), 0);
    lv_notify_close(&notify);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(notify.fd, -1);
}

static void a_socket_with_a_path_is_told(void **state)
{
    char directory[] = "/tmp/leveret-notify-XXXXXX", path[64];
    struct lv_notify notify;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    fd = listen_as_manager(path);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(lv_notify_send(&notify, "READY=1\nSTATUS=well"), 0);
    assert_string_equal(heard(fd), "READY=1\nSTATUS=well");
    assert_int_equal(lv_notify_send(&notify, "STOPPING=1"), 0);
    assert_string_equal(heard(fd), "STOPPING=1");
    lv_notify_close(&notify);
    assert_int_equal(notify.fd, -1);
    close(fd);
    unlink(path);
    rmdir(directory);
}

static void an_abstract_socket_is_told(void **state)
{
    char name[64];
    struct lv_notify notify;
    int fd;

    (void)state;
    snprintf(name, sizeof name, "@leveret-notify-%d", getpid());
    fd = listen_as_manager(name);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(lv_notify_send(&notify, "READY=1"), 0);
    assert_string_equal(heard(fd), "READY=1");
    lv_notify_close(&notify);
    close(fd);
}

static void a_manager_that_went_away_is_no_end(void **state)
{
    char name[64];
    struct lv_notify notify;

    (void)state;
    snprintf(name, sizeof name, "@leveret-gone-%d", getpid());
    close(listen_as_manager(name));
    assert_int_equal(lv_notify_open(&notify, NULL), -LV_E_IO);
    int fd = listen_as_manager(name);

    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    close(fd);
    assert_int_equal(lv_notify_send(&notify, "READY=1"), -LV_E_IO);
    lv_notify_close(&notify);
}

static void the_watchdogs_time_is_for_the_process_that_it_names(void **state)
{
    char name[64], pid[16];
    struct lv_notify notify;
    int fd;

    (void)state;
    snprintf(name, sizeof name, "@leveret-watch-%d", getpid());
    fd = listen_as_manager(name);
    setenv("WATCHDOG_USEC", "2000000", 1);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(notify.watchdog_ns, 2 * LV_NS_PER_S);
    lv_notify_close(&notify);
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(notify.watchdog_ns, 2 * LV_NS_PER_S);
    lv_notify_close(&notify);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(lv_notify_open(&notify, NULL), 0);
    assert_int_equal(notify.watchdog_ns, 0);
    lv_notify_close(&notify);
    close(fd);
}

static void words_without_sense_are_refused_with_a_sentence(void **state)
{
    static const char *const names[] = {"socket", "@", "/", "vsock:2:1"};
    char longest[200], name[64];
    struct lv_notify notify;
    struct lv_diag diag;
    int fd;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_int_equal(lv_notify_open(&notify, &diag), -LV_E_USAGE);
        assert_non_null(strstr(diag.text, names[i]));
    }
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(lv_notify_open(&notify, &diag), -LV_E_USAGE);
    snprintf(name, sizeof name, "@leveret-sense-%d", getpid());
    fd = listen_as_manager(name);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(lv_notify_open(&notify, &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "soon"));
    setenv("WATCHDOG_USEC", "18446744073709551615", 1);
    assert_int_equal(lv_notify_open(&notify, &diag), -LV_E_USAGE);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_manager_nothing_is_said, clear),
        cmocka_unit_test_setup(a_socket_with_a_path_is_told, clear),
        cmocka_unit_test_setup(an_abstract_socket_is_told, clear),
        cmocka_unit_test_setup(a_manager_that_went_away_is_no_end, clear),
        cmocka_unit_test_setup(the_watchdogs_time_is_for_the_process_that_it_names, clear),
        cmocka_unit_test_setup(words_without_sense_are_refused_with_a_sentence, clear),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
