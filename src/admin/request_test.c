#include "admin/request.h"

#include "base/alloc.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lv_request request;
static struct lv_diag diag;

static int parse(const char *line)
{
    diag = (struct lv_diag){""};
    return lv_request_parse(lv_text(line), &request, &diag);
}

#define assert_refused(line, error, sentence)                                                      \
    do {                                                                                           \
        assert_int_equal(parse(line), -(error));                                                   \
        assert_string_equal(diag.text, sentence);                                                  \
    } while (0)

static void lists_are_asked_for_with_their_columns(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"list_queues\",\"vhost\":\"v\","
                           "\"columns\":[\"messages\",\"name\"]}"),
                     0);
    assert_int_equal(request.kind, LV_REQUEST_LIST);
    assert_int_equal(request.list, LV_LIST_QUEUE);
    assert_int_equal(request.column_count, 2);
    assert_int_equal(request.columns[0], LV_COLUMN_QUEUE_MESSAGES);
    assert_int_equal(request.columns[1], LV_COLUMN_QUEUE_NAME);
    assert_int_equal(request.vhost_size, 1);
    assert_int_equal(request.vhost[0], 'v');
}

static void the_usual_vhost_need_not_be_named(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"list_exchanges\",\"columns\":[\"name\"]}"), 0);
    assert_int_equal(request.list, LV_LIST_EXCHANGE);
    assert_int_equal(request.vhost_size, 1);
    assert_int_equal(request.vhost[0], '/');
}

static void status_and_stop_need_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"status\"}"), 0);
    assert_int_equal(request.kind, LV_REQUEST_STATUS);
    assert_int_equal(parse(" { \"command\" : \"stop\", \"more\": [1, {}] } "), 0);
    assert_int_equal(request.kind, LV_REQUEST_STOP);
}

static void a_drain_has_its_time_or_the_usual(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"drain\"}"), 0);
    assert_int_equal(request.kind, LV_REQUEST_DRAIN);
    assert_int_equal(request.drain_s, LV_REQUEST_DRAIN_S);
    assert_int_equal(parse("{\"command\":\"drain\",\"timeout\":0}"), 0);
    assert_int_equal(request.drain_s, 0);
    assert_int_equal(parse("{\"command\":\"drain\",\"timeout\":1000000}"), 0);
    assert_int_equal(request.drain_s, 1000000);
    assert_refused("{\"command\":\"drain\",\"timeout\":1000001}", LV_E_SYNTAX,
                   "\"timeout\" is no number of seconds from 0 to 1000000");
    assert_refused("{\"command\":\"drain\",\"timeout\":-1}", LV_E_SYNTAX,
                   "\"timeout\" is no number of seconds from 0 to 1000000");
    assert_refused("{\"command\":\"drain\",\"timeout\":\"1\"}", LV_E_SYNTAX,
                   "\"timeout\" is no number of seconds from 0 to 1000000");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused("{}", LV_E_SYNTAX, "the request has no \"command\"");
    assert_refused("[\"status\"]", LV_E_SYNTAX, "the request has no \"command\"");
    assert_refused("{\"command\":7}", LV_E_SYNTAX, "the request has no \"command\"");
    assert_refused("{\"command\":\"dance\"}", LV_E_NOT_FOUND, "no such command: dance");
    assert_refused("{\"command\":\"list_queues\"}", LV_E_SYNTAX,
                   "\"columns\" is no list of 1 to 32 names");
    assert_refused("{\"command\":\"list_queues\",\"columns\":{}}", LV_E_SYNTAX,
                   "\"columns\" is no list of 1 to 32 names");
    assert_refused("{\"command\":\"list_queues\",\"columns\":[\"nose\"]}", LV_E_NOT_FOUND,
                   "list_queues has no such column: nose");
    assert_refused("{\"command\":\"list_queues\",\"columns\":[null]}", LV_E_NOT_FOUND,
                   "list_queues has no such column: not a string");
    assert_refused("{\"command\":\"list_queues\",\"vhost\":[],\"columns\":[\"name\"]}", LV_E_SYNTAX,
                   "\"vhost\" is no name");
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{\"command\":\"status\"",
        "nonsense",
        "{\"command\":\"status\"} x",
        "\xff",
        "{\"command\":\"status\",\"command\":\"stop\"}",
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(lines); i++) {
        assert_int_equal(parse(lines[i]), -LV_E_SYNTAX);
        assert_int_equal(strncmp(diag.text, "the request is no JSON", 22), 0);
    }
}

static void nesting_without_end_is_refused(void **state)
{
    char line[8000];

    (void)state;
    memset(line, '[', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    assert_int_equal(parse(line), -LV_E_SYNTAX);
}

static void columns_and_vhosts_are_bounded(void **state)
{
    char line[2000] = "{\"command\":\"list_queues\",\"columns\":[\"name\"";
    size_t size = strlen(line);

    (void)state;
    for (unsigned i = 1; i < LV_COLUMNS_MAX; i++) {
        lv_put_bytes((uint8_t *)line + size, lv_text(",\"name\""));
        size += 7;
    }
    lv_put_bytes((uint8_t *)line + size, lv_bytes("]}", 3));
    assert_int_equal(parse(line), 0);
    assert_int_equal(request.column_count, LV_COLUMNS_MAX);
    lv_put_bytes((uint8_t *)line + size, lv_bytes(",\"name\"]}", 10));
    assert_int_equal(parse(line), -LV_E_SYNTAX);
}

/* Bytes of a good request changed at random: an answer or an error, never more than there is room
 * for. */
static void garbled_requests_do_no_harm(void **state)
{
    static const char good[] = "{\"command\":\"list_queues\",\"vhost\":\"/\","
                               "\"columns\":[\"name\",\"messages\"]}";
    struct lv_random random;
    unsigned parsed = 0;

    (void)state;
    lv_random_seed(&random, 5);
    for (unsigned i = 0; i < 20000; i++) {
        char line[sizeof good];
        size_t size = sizeof good - 1 - lv_random_below(&random, 3);

        memcpy(line, good, sizeof good);
        for (uint64_t n = lv_random_below(&random, 3); n > 0; n--)
            line[lv_random_below(&random, size)] = (char)lv_random_below(&random, 256);
        if (lv_request_parse(lv_bytes(line, size), &request, &diag) < 0)
            continue;
        parsed++;
        assert_in_range(request.kind, LV_REQUEST_LIST, LV_REQUEST_STOP);
        assert_true(request.column_count <= LV_COLUMNS_MAX);
    }
    assert_in_range(parsed, 1000, 19000);
}

/* Whichever allocation fails. */
static void lack_of_memory_is_an_error(void **state)
{
    int rc = -LV_E_NOMEM;

    (void)state;
    for (uint64_t n = 1; rc < 0; n++) {
        lv_alloc_fail_after(n, 0);
        rc = parse("{\"command\":\"list_queues\",\"columns\":[\"messages\",\"name\"]}");
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM || rc == -LV_E_SYNTAX);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_asked_for_with_their_columns),
        cmocka_unit_test(the_usual_vhost_need_not_be_named),
        cmocka_unit_test(status_and_stop_need_nothing_else),
        cmocka_unit_test(a_drain_has_its_time_or_the_usual),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(columns_and_vhosts_are_bounded),
        cmocka_unit_test(garbled_requests_do_no_harm),
        cmocka_unit_test(lack_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
