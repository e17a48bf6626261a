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
    lv_request_wipe(&request);
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
    assert_true(lv_bytes_equal(request.change.vhost, lv_text("v")));
}

static void the_usual_vhost_need_not_be_named(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"list_exchanges\",\"columns\":[\"name\"]}"), 0);
    assert_int_equal(request.list, LV_LIST_EXCHANGE);
    assert_true(lv_bytes_equal(request.change.vhost, lv_text("/")));
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

#define assert_bytes(bytes, expected) assert_true(lv_bytes_equal(bytes, lv_text(expected)))

static const struct lv_value *argument(const char *name)
{
    const struct lv_value *value = lv_table_get(request.change.arguments, name);

    assert_non_null(value);
    return value;
}

static void users_come_with_password_and_tags(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"add_user\",\"user\":\"u\",\"password\":\"p\","
                           "\"tags\":[\"a\",\"b\"]}"),
                     0);
    assert_int_equal(request.kind, LV_REQUEST_CHANGE);
    assert_int_equal(request.change.kind, LV_CHANGE_USER_PUT);
    assert_true(request.change.is_new && request.has_password);
    assert_bytes(request.change.name, "u");
    assert_bytes(request.change.key, "a,b");
    assert_bytes(request.password, "p");
    assert_int_equal(parse("{\"command\":\"clear_password\",\"user\":\"u\"}"), 0);
    assert_int_equal(request.change.kind, LV_CHANGE_USER_PASSWORD);
    assert_false(request.has_password);
}

static void permissions_are_three_strings(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"set_permissions\",\"user\":\"u\",\"vhost\":\"v\","
                           "\"configure\":\"^c\",\"write\":\"\",\"read\":\".*\"}"),
                     0);
    assert_int_equal(request.change.kind, LV_CHANGE_PERMISSION_PUT);
    assert_bytes(request.change.vhost, "v");
    assert_bytes(argument("configure")->bytes, "^c");
    assert_bytes(argument("write")->bytes, "");
    assert_bytes(argument("read")->bytes, ".*");
}

static void limits_are_json_in_a_string(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"set_vhost_limits\",\"vhost\":\"v\","
                           "\"limits\":\"{\\\"max-queues\\\": 5}\"}"),
                     0);
    assert_int_equal(request.change.kind, LV_CHANGE_LIMITS_PUT);
    assert_int_equal(argument("max-queues")->integer, 5);
    assert_refused("{\"command\":\"set_vhost_limits\",\"vhost\":\"v\",\"limits\":\"x\"}",
                   LV_E_PRECONDITION, "JSON decoding error. Reason: badarg");
    assert_refused("{\"command\":\"set_user_limits\",\"user\":\"u\","
                   "\"limits\":\"{\\\"max-queues\\\": 5}\"}",
                   LV_E_PRECONDITION, "Unrecognised terms [{<<\"max-queues\">>,5}] in user-limits");
    assert_refused("{\"command\":\"set_vhost_limits\",\"vhost\":\"v\","
                   "\"limits\":\"{\\\"max-queues\\\": \\\"x\\\"}\"}",
                   LV_E_PRECONDITION,
                   "Validation failed\n\nmax-queues should be a number, actually was <<\"x\">>\n");
}

static void connections_are_named_by_their_pids(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"close_connection\",\"pid\":\"<leveret.0.77.0>\","
                           "\"reason\":\"r\"}"),
                     0);
    assert_int_equal(request.kind, LV_REQUEST_CLOSE);
    assert_int_equal(request.close, LV_CLOSE_ONE);
    assert_int_equal(request.client, 77);
    assert_refused("{\"command\":\"close_connection\",\"pid\":\"<0.1.2>\",\"reason\":\"r\"}",
                   LV_E_PRECONDITION, "{:invalid_pid_syntax, \"<0.1.2>\"}");
    assert_int_equal(parse("{\"command\":\"close_all_connections\",\"vhost\":\"/\","
                           "\"reason\":\"r\",\"all\":true,\"count\":3}"),
                     0);
    assert_int_equal(request.close, LV_CLOSE_ALL);
    assert_int_equal(request.count, 3);
}

static void queues_are_purged_and_deleted(void **state)
{
    (void)state;
    assert_int_equal(
        parse("{\"command\":\"delete_queue\",\"vhost\":\"/\",\"queue\":\"q\",\"if_empty\":true}"),
        0);
    assert_int_equal(request.kind, LV_REQUEST_ORDER);
    assert_true(request.if_empty && !request.if_unused && !request.is_purge);
    assert_bytes(request.change.name, "q");
    assert_int_equal(parse("{\"command\":\"purge_queue\",\"vhost\":\"/\",\"queue\":\"q\"}"), 0);
    assert_true(request.is_purge);
}

static void an_import_says_how_large_it_is(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"import_definitions\",\"size\":12,\"plan\":true}"), 0);
    assert_int_equal(request.kind, LV_REQUEST_IMPORT);
    assert_int_equal(request.size, 12);
    assert_true(request.is_plan);
    assert_int_equal(parse("{\"command\":\"import_definitions\",\"size\":99999999}"),
                     -LV_E_PRECONDITION);
}

static void members_that_are_missing_or_wrong_are_named(void **state)
{
    (void)state;
    assert_refused("{\"command\":\"add_user\",\"user\":\"u\"}", LV_E_SYNTAX,
                   "the request has no \"password\"");
    assert_refused("{\"command\":\"set_user_tags\",\"user\":\"u\",\"tags\":\"a\"}", LV_E_SYNTAX,
                   "\"tags\" is no list of strings");
    assert_refused("{\"command\":\"set_user_tags\",\"user\":\"u\",\"tags\":[\"a,b\"]}",
                   LV_E_PRECONDITION, "a tag may not have a comma in it: a,b");
    assert_refused("{\"command\":\"delete_queue\",\"vhost\":\"/\",\"queue\":\"q\",\"if_empty\":1}",
                   LV_E_SYNTAX, "\"if_empty\" is no true or false");
    assert_refused("{\"command\":\"import_definitions\",\"size\":-1}", LV_E_SYNTAX,
                   "\"size\" is no number");
    assert_refused("{\"command\":\"add_vhost\",\"vhost\":\"v\",\"default_queue_type\":\"quorum\"}",
                   LV_E_PRECONDITION,
                   "queue type 'quorum' isn't there: this broker has classic queues");
}

static void a_wiped_request_has_no_password_any_more(void **state)
{
    static const uint8_t nothing[sizeof request.text];

    (void)state;
    assert_int_equal(
        parse("{\"command\":\"change_password\",\"user\":\"u\",\"password\":\"secret\"}"), 0);
    lv_request_wipe(&request);
    assert_memory_equal(request.text, nothing, sizeof nothing);
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
        lv_request_wipe(&request);
        if (lv_request_parse(lv_bytes(line, size), &request, &diag) < 0)
            continue;
        parsed++;
        assert_in_range(request.kind, LV_REQUEST_LIST, LV_REQUEST_IMPORT);
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
        cmocka_unit_test(users_come_with_password_and_tags),
        cmocka_unit_test(permissions_are_three_strings),
        cmocka_unit_test(limits_are_json_in_a_string),
        cmocka_unit_test(connections_are_named_by_their_pids),
        cmocka_unit_test(queues_are_purged_and_deleted),
        cmocka_unit_test(an_import_says_how_large_it_is),
        cmocka_unit_test(members_that_are_missing_or_wrong_are_named),
        cmocka_unit_test(a_wiped_request_has_no_password_any_more),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(columns_and_vhosts_are_bounded),
        cmocka_unit_test(garbled_requests_do_no_harm),
        cmocka_unit_test(lack_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
