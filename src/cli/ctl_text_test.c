#include "cli/ctl_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The column's value, given as JSON, looks so. */
static void assert_shown(const char *column, const char *value, const char *wanted)
{
    struct lv_ctl_text text = {.data = NULL};
    json_t *json = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    assert_non_null(json);
    lv_ctl_text_value(&text, column, json);
    assert_string_equal(text.data, wanted);
    assert_int_equal(text.size, strlen(wanted));
    lv_ctl_text_fini(&text);
    json_decref(json);
}

static void simple_values_are_shown_as_they_are(void **state)
{
    (void)state;
    assert_shown("name", "\"täst x\"", "täst x");
    assert_shown("name", "\"\"", "");
    assert_shown("messages", "18446744073709", "18446744073709");
    assert_shown("durable", "true", "true");
    assert_shown("durable", "false", "false");
    assert_shown("x", "0.5", "0.5");
    assert_shown("x", "null", "undefined");
}

static void control_characters_neither_break_rows_nor_drive_terminals(void **state)
{
    (void)state;
    assert_shown("name", "\"a\\tb\\nc\\u001b[1m\\u0000\\u007f\\\\\"",
                 "a\\011b\\012c\\033[1m\\000\\177\\");
    assert_shown("arguments", "[[\"k\",\"longstr\",\"\\u001b\\u0007\\t\\\"\\\\\"]]",
                 "[{\"k\",\"\\033\\007\\t\\\"\\\\\"}]");
}

static void what_is_no_text_is_base64(void **state)
{
    (void)state;
    assert_shown("name", "{\"base64\":\"/w==\"}", "base64:/w==");
    assert_shown("arguments", "[[\"k\",\"longstr\",{\"base64\":\"/w==\"}]]",
                 "[{\"k\",base64:/w==}]");
}

static void arguments_look_like_terms(void **state)
{
    (void)state;
    assert_shown("arguments", "[]", "[]");
    assert_shown("arguments",
                 "[[\"x-priority\",\"signedint\",3],[\"s\",\"longstr\",\"v\"],"
                 "[\"b\",\"bool\",true],[\"n\",\"void\",null]]",
                 "[{\"x-priority\",3},{\"s\",\"v\"},{\"b\",true},{\"n\",undefined}]");
    assert_shown("arguments",
                 "[[\"t\",\"table\",[[\"a\",\"signedint\",1],"
                 "[\"b\",\"array\",[[\"signedint\",1],[\"longstr\",\"x\"],[\"array\",[]]]]]]]",
                 "[{\"t\",[{\"a\",1},{\"b\",[1,\"x\",[]]}]}]");
}

static void addresses_are_written_as_usual(void **state)
{
    (void)state;
    assert_shown("peer_host", "[127,0,0,1]", "127.0.0.1");
    assert_shown("host", "[0,0,0,0,0,0,0,1]", "::1");
    assert_shown("host", "[8193,3512,0,0,0,0,0,255]", "2001:db8::ff");
    assert_shown("protocol", "[0,9,1]", "{0,9,1}");
}

static void texts_grow(void **state)
{
    struct lv_ctl_text text = {.data = NULL};

    (void)state;
    for (int i = 0; i < 1000; i++)
        lv_ctl_text_print(&text, "%03d,", i);
    assert_int_equal(text.size, 4000);
    assert_string_equal(text.data + 3996, "999,");
    lv_ctl_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_values_are_shown_as_they_are),
        cmocka_unit_test(control_characters_neither_break_rows_nor_drive_terminals),
        cmocka_unit_test(what_is_no_text_is_base64),
        cmocka_unit_test(arguments_look_like_terms),
        cmocka_unit_test(addresses_are_written_as_usual),
        cmocka_unit_test(texts_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
