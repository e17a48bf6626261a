#include "io/local.h"

#include "io/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static char directory[4096];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/leveret-local-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    lv_local_remove(directory, "s");
    return rmdir(directory);
}

static int listen_there(void)
{
    struct lv_diag diag = {""};
    int fd = -1;

    assert_int_equal(lv_local_listen(directory, "s", &fd, &diag), 0);
    assert_string_equal(diag.text, "");
    return fd;
}

static void what_one_end_writes_the_other_reads(void **state)
{
    struct lv_bytes hello = lv_text("hello");
    int listener = listen_there(), client, server;
    char got[16];

    (void)state;
    assert_int_equal(lv_local_accept(listener, &server), -LV_E_TIMEOUT);
    assert_int_equal(lv_local_connect(directory, "s", 10000, &client, NULL), 0);
    assert_int_equal(lv_local_accept(listener, &server), 0);
    assert_int_equal(lv_socket_write(client, &hello, 1), 5);
    assert_int_equal(lv_socket_wait(server, false, 10000), 0);
    assert_int_equal(lv_socket_read(server, got, sizeof got), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(lv_socket_read(client, got, sizeof got), 0); /* and does not wait */
    lv_socket_close(server);
    assert_int_equal(lv_socket_read(client, got, sizeof got), -LV_E_CLOSED);
    lv_socket_close(client);
    close(listener);
}

static void only_the_owner_may_connect_from_the_first_moment(void **state)
{
    mode_t before = umask(0);
    int listener = listen_there();
    char path[sizeof directory + 8];
    struct stat status;

    (void)state;
    umask(before);
    snprintf(path, sizeof path, "%s/s", directory);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    close(listener);
}

static void both_ends_know_who_the_other_is(void **state)
{
    int listener = listen_there(), client, server;
    struct lv_local_peer peer;

    (void)state;
    assert_int_equal(lv_local_connect(directory, "s", 10000, &client, NULL), 0);
    assert_int_equal(lv_local_accept(listener, &server), 0);
    assert_int_equal(lv_local_peer(client, &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(lv_local_peer(server, &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    lv_socket_close(server);
    lv_socket_close(client);
    close(listener);
}

static void a_socket_that_was_left_behind_is_replaced(void **state)
{
    int first = listen_there(), second, client;

    (void)state;
    close(first);
    assert_int_equal(lv_local_connect(directory, "s", 10000, &client, NULL), -LV_E_NOT_FOUND);
    second = listen_there();
    assert_int_equal(lv_local_connect(directory, "s", 10000, &client, NULL), 0);
    lv_socket_close(client);
    close(second);
}

static void long_names_of_directories_do_no_harm(void **state)
{
    char *deep = directory + strlen(directory), *end = deep;
    int listener, client;

    (void)state;
    for (int i = 0; i < 4; i++) {
        end += snprintf(end, 64, "/%050d", i);
        assert_int_equal(mkdir(directory, 0700), 0);
    }
    listener = listen_there();
    assert_int_equal(lv_local_connect(directory, "s", 10000, &client, NULL), 0);
    lv_socket_close(client);
    close(listener);
    lv_local_remove(directory, "s");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rmdir(directory), 0);
        *strrchr(directory, '/') = '\0';
    }
    assert_ptr_equal(directory + strlen(directory), deep);
}

static void who_is_not_there_and_what_is_no_directory_is_named(void **state)
{
    struct lv_diag diag;
    char text[sizeof directory + 64];
    int fd;

    (void)state;
    assert_int_equal(lv_local_connect(directory, "s", 10000, &fd, &diag), -LV_E_NOT_FOUND);
    snprintf(text, sizeof text, "nobody listens on %s/s", directory);
    assert_string_equal(diag.text, text);
    assert_int_equal(lv_local_connect("/nowhere", "s", 10000, &fd, &diag), -LV_E_NOT_FOUND);
    assert_int_equal(lv_local_listen("/nowhere", "s", &fd, &diag), -LV_E_IO);
    assert_string_equal(diag.text, "can't listen on /nowhere/s: No such file or directory");
    lv_local_remove("/nowhere", "s");
}

static void whom_nobody_takes_in_waits_no_longer_than_he_wants(void **state)
{
    int listener = listen_there(), clients[200], count = 0, rc;

    (void)state;
    while ((rc = lv_local_connect(directory, "s", 10, &clients[count], NULL)) == 0 && count < 199)
        count++;
    assert_int_equal(rc, -LV_E_TIMEOUT);
    assert_in_range(count, 64, 66);
    while (count > 0)
        close(clients[--count]);
    close(listener);
}

static void others_are_refused(void **state)
{
    int listener, status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        print_message("not root, so there is no other user to become\n");
        skip();
    }
    listener = listen_there();
    assert_int_equal(chmod(directory, 0755), 0);
    pid = fork();
    if (pid == 0) {
        int fd;

        if (setuid(NOBODY) < 0)
            _exit(1);
        _exit(lv_local_connect(directory, "s", 10000, &fd, NULL) == -LV_E_ACCESS_REFUSED ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
        TEST(what_one_end_writes_the_other_reads),
        TEST(only_the_owner_may_connect_from_the_first_moment),
        TEST(both_ends_know_who_the_other_is),
        TEST(a_socket_that_was_left_behind_is_replaced),
        TEST(long_names_of_directories_do_no_harm),
        TEST(who_is_not_there_and_what_is_no_directory_is_named),
        TEST(whom_nobody_takes_in_waits_no_longer_than_he_wants),
        TEST(others_are_refused),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
