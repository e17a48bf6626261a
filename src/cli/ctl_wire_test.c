#include "cli/ctl_wire.h"

#include "base/bytes.h"
#include "base/deadline.h"
#include "io/clock.h"
#include "io/local.h"
#include "io/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static int listener, server;
static struct lv_ctl_wire wire;

static int begin(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/leveret-wire-XXXXXX");
    if (mkdtemp(directory) == NULL || lv_local_listen(directory, "control", &listener, NULL) < 0)
        return -1;
    if (lv_ctl_wire_open(&wire, directory, lv_clock_now() + 10 * LV_NS_PER_S, NULL) < 0)
        return -1;
    return lv_local_accept(listener, &server);
}

static int end(void **state)
{
    (void)state;
    lv_ctl_wire_close(&wire);
    if (server >= 0)
        close(server);
    close(listener);
    lv_local_remove(directory, "control");
    return rmdir(directory);
}

static void say(const char *text, size_t size)
{
    struct lv_bytes piece = lv_bytes(text, size);

    assert_int_equal(lv_socket_write(server, &piece, 1), size);
}

static void assert_next(const char *wanted)
{
    json_t *value = NULL, *other = json_loads(wanted, JSON_DECODE_ANY, NULL);

    assert_int_equal(lv_ctl_wire_next(&wire, &value, NULL), 0);
    assert_true(json_equal(value, other));
    json_decref(value);
    json_decref(other);
}

static void requests_are_one_line(void **state)
{
    char heard[64] = "";

    (void)state;
    assert_int_equal(lv_ctl_wire_send(&wire, json_pack("{s:s}", "command", "a\nb"), NULL), 0);
    assert_int_equal(lv_socket_read(server, heard, sizeof heard - 1), 19);
    assert_string_equal(heard, "{\"command\":\"a\\nb\"}\n");
    assert_int_equal(lv_ctl_wire_send(&wire, json_pack("{s:s}", "vhost", "\xff"), NULL),
                     -LV_E_SYNTAX);
}

static void lines_come_one_by_one_however_they_are_cut(void **state)
{
    json_t *value;
    struct lv_diag diag;

    (void)state;
    say("[1]\n[2]\n[3", 10);
    assert_next("[1]");
    assert_next("[2]");
    say(",4]\n{\"ok\":true}\n", 16);
    assert_next("[3,4]");
    assert_next("{\"ok\":true}");
    close(server);
    server = -1;
    assert_int_equal(lv_ctl_wire_next(&wire, &value, &diag), -LV_E_CLOSED);
    assert_string_equal(diag.text, "the broker has ended the connection");
}

static void long_lines_come_whole(void **state)
{
    static char text[50000];
    json_t *value;

    (void)state;
    memset(text, 'x', sizeof text);
    say("[\"", 2);
    say(text, sizeof text);
    say(text, sizeof text);
    say("\"]\n[1]\n", 7);
    assert_int_equal(lv_ctl_wire_next(&wire, &value, NULL), 0);
    assert_int_equal(json_string_length(json_array_get(value, 0)), 2 * sizeof text);
    json_decref(value);
    assert_next("[1]");
}

static void what_is_no_json_is_an_error(void **state)
{
    json_t *value;
    struct lv_diag diag;

    (void)state;
    say("[1\n", 3);
    assert_int_equal(lv_ctl_wire_next(&wire, &value, &diag), -LV_E_SYNTAX);
    assert_string_equal(diag.text, "the broker's answer can't be read");
}

static void silence_ends_at_the_deadline(void **state)
{
    json_t *value;
    struct lv_diag diag;
    uint64_t began = lv_clock_now();

    (void)state;
    wire.deadline = began + 20 * LV_NS_PER_MS;
    assert_int_equal(lv_ctl_wire_next(&wire, &value, &diag), -LV_E_TIMEOUT);
    assert_true(lv_clock_now() - began >= 20 * LV_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(requests_are_one_line),        TEST(lines_come_one_by_one_however_they_are_cut),
        TEST(long_lines_come_whole),        TEST(what_is_no_json_is_an_error),
        TEST(silence_ends_at_the_deadline),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
