#include "cli/json.h"

#include "base/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_output output;

/* What was put since the last call. */
static const char *text(void)
{
    static char copy[sizeof output.buffer + 1];

    memcpy(copy, output.buffer, output.size);
    copy[output.size] = '\0';
    output.size = 0;
    return copy;
}

static void strings_are_escaped(void **state)
{
    (void)state;
    lv_json_string(&output, lv_text("a\"b\\c\n\t\x7f ü"));
    assert_string_equal(text(), "\"a\\\"b\\\\c\\n\\u0009\x7f ü\"");
    lv_json_string(&output, lv_bytes("\0", 1));
    assert_string_equal(text(), "\"\\u0000\"");
    lv_json_string(&output, lv_text(""));
    assert_string_equal(text(), "\"\"");
}

static void base64_has_its_padding(void **state)
{
    static const struct {
        const char *plain, *coded;
    } rows[] = {{"", "\"\""},
                {"f", "\"Zg==\""},
                {"fa", "\"ZmE=\""},
                {"foo", "\"Zm9v\""},
                {"foobar", "\"Zm9vYmFy\""}}; /* RFC 4648 §10 */

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        lv_json_base64(&output, lv_text(rows[i].plain));
        assert_string_equal(text(), rows[i].coded);
    }
    lv_json_base64(&output, lv_bytes("\xff\xef\xbe", 3));
    assert_string_equal(text(), "\"/+++\"");
}

static void every_type_of_value_has_a_form(void **state)
{
    const struct {
        struct lv_value value;
        const char *expected;
    } rows[] = {
        {{.type = LV_TYPE_VOID}, "null"},
        {{.type = LV_TYPE_BOOL, .boolean = true}, "true"},
        {{.type = LV_TYPE_I8, .integer = -8}, "-8"},
        {{.type = LV_TYPE_I64, .integer = INT64_MIN}, "-9223372036854775808"},
        {{.type = LV_TYPE_TIMESTAMP, .integer = 17}, "17"},
        {{.type = LV_TYPE_F64, .real = 0.5}, "0.5"},
        {{.type = LV_TYPE_F64, .real = NAN}, "null"},
        {{.type = LV_TYPE_DECIMAL, .scale = 2, .integer = 314}, "314e-2"},
        {{.type = LV_TYPE_STRING, .bytes = lv_text("s")}, "\"s\""},
        {{.type = LV_TYPE_STRING, .bytes = lv_bytes("\xff", 1)}, "{\"base64\":\"/w==\"}"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        lv_json_value(&output, &rows[i].value);
        assert_string_equal(text(), rows[i].expected);
    }
}

static void tables_and_arrays_nest(void **state)
{
    struct lv_table *array = lv_calloc(1, sizeof *array + 2 * sizeof(struct lv_field));
    struct lv_table *table = lv_calloc(1, sizeof *table + 2 * sizeof(struct lv_field));
    struct lv_value value = {.type = LV_TYPE_TABLE, .table = table};

    (void)state;
    assert_true(array != NULL && table != NULL);
    array->count = 2;
    array->fields[0].value = (struct lv_value){.type = LV_TYPE_U8, .integer = 1};
    table->count = 2;
    table->fields[0] = (struct lv_field){lv_text("a"), {.type = LV_TYPE_ARRAY, .table = array}};
    table->fields[1].name = lv_bytes("b\xff", 2);
    lv_json_value(&output, &value);
    assert_string_equal(text(), "{\"a\":[1,null],\"b?\":null}");
    lv_free(array);
    lv_free(table);
}

static void a_message_is_one_line(void **state)
{
    const uint8_t properties[] = {0x80, 0x08, 1, 't', 2, 'm', 'e'};
    struct lv_engine_message message = {.method = {.id = LV_AMQP091_BASIC_GET_OK,
                                                   .basic_get_ok = {.redelivered = true,
                                                                    .exchange = lv_text("x"),
                                                                    .routing_key = lv_text("k")}},
                                        .properties = lv_bytes(properties, sizeof properties),
                                        .body = lv_text("line\n")};

    (void)state;
    assert_int_equal(lv_json_message(&output, &message, NULL), 0);
    assert_string_equal(text(), "{\"exchange\":\"x\",\"routing_key\":\"k\",\"redelivered\":true,"
                                "\"properties\":{\"content_type\":\"t\",\"app_id\":\"me\"},"
                                "\"body\":\"line\\n\"}\n");
    message.body = lv_bytes("\xff", 1);
    message.properties.size--; /* cut off */
    assert_int_equal(lv_json_message(&output, &message, NULL), -LV_E_BAD_FRAME);
    assert_non_null(strstr(text(), "\"body_base64\":\"/w==\""));
}

static void a_gone_reader_is_told(void **state)
{
    static uint8_t large[200000];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    lv_output_init(&output, ends[1], NULL);
    lv_output_text(&output, "kept");
    assert_int_equal(lv_output_flush(&output), 0);
    (void)close(ends[0]);
    lv_output_put(&output, lv_bytes(large, sizeof large));
    assert_int_equal(lv_output_flush(&output), -LV_E_CLOSED);
    lv_output_text(&output, "more"); /* goes nowhere and does no harm */
    assert_int_equal(lv_output_flush(&output), -LV_E_CLOSED);
    (void)close(ends[1]);
}

static int setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    lv_output_init(&output, STDOUT_FILENO, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(base64_has_its_padding),
        cmocka_unit_test(every_type_of_value_has_a_form),
        cmocka_unit_test(tables_and_arrays_nest),
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(a_gone_reader_is_told),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
