#include "base/json.h"

#include "base/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct {
    char text[1000];
    size_t size;
    size_t pieces;
} sink;

static void put(void *ctx, struct lv_bytes bytes)
{
    assert_ptr_equal(ctx, &sink);
    assert_true(bytes.size > 0 && sink.size + bytes.size < sizeof sink.text);
    lv_put_bytes((uint8_t *)sink.text + sink.size, bytes);
    sink.size += bytes.size;
    sink.pieces++;
}

static const struct lv_json json = {.put = put, .ctx = &sink};

/* What was put since the last call. */
static const char *text(void)
{
    sink.text[sink.size] = '\0';
    sink.size = sink.pieces = 0;
    return sink.text;
}

static void strings_are_escaped(void **state)
{
    (void)state;
    lv_json_string(&json, lv_text("a\"b\\c\n\t\x7f ü"));
    assert_string_equal(text(), "\"a\\\"b\\\\c\\n\\u0009\x7f ü\"");
    lv_json_string(&json, lv_bytes("\0", 1));
    assert_string_equal(text(), "\"\\u0000\"");
    lv_json_string(&json, lv_text(""));
    assert_string_equal(text(), "\"\"");
    lv_json_string(&json, lv_bytes(NULL, 0));
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
        lv_json_base64(&json, lv_text(rows[i].plain));
        assert_string_equal(text(), rows[i].coded);
    }
    lv_json_base64(&json, lv_bytes("\xff\xef\xbe", 3));
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
        {{.type = LV_TYPE_F64, .real = 0.1}, "0.1"},
        {{.type = LV_TYPE_F64, .real = -3}, "-3.0"},
        {{.type = LV_TYPE_F64, .real = 1e300}, "1e+300"},
        {{.type = LV_TYPE_F64, .real = 1.0 / 3}, "0.3333333333333333"},
        {{.type = LV_TYPE_F64, .real = 0.1 + 0.2}, "0.30000000000000004"},
        {{.type = LV_TYPE_F64, .real = NAN}, "null"},
        {{.type = LV_TYPE_DECIMAL, .scale = 2, .integer = 314}, "314e-2"},
        {{.type = LV_TYPE_STRING, .bytes = lv_text("s")}, "\"s\""},
        {{.type = LV_TYPE_STRING, .bytes = lv_bytes("\xff", 1)}, "{\"base64\":\"/w==\"}"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        lv_json_value(&json, &rows[i].value);
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
    lv_json_value(&json, &value);
    assert_string_equal(text(), "{\"a\":[1,null],\"b?\":null}");
    lv_free(array);
    lv_free(table);
}

static void text_without_special_characters_is_one_piece(void **state)
{
    (void)state;
    lv_json_string(&json, lv_text("nothing to escape"));
    assert_int_equal(sink.pieces, 3); /* with the quotes */
    assert_string_equal(text(), "\"nothing to escape\"");
}

static void an_absent_table_is_an_empty_object(void **state)
{
    struct lv_value array = {.type = LV_TYPE_ARRAY, .table = NULL};

    (void)state;
    lv_json_table(&json, NULL);
    assert_string_equal(text(), "{}");
    lv_json_value(&json, &array);
    assert_string_equal(text(), "[]");
}

static void names_of_any_length_are_strings(void **state)
{
    struct lv_table *table = lv_calloc(1, sizeof *table + sizeof(struct lv_field));
    char name[300];

    (void)state;
    assert_non_null(table);
    memset(name, 'n', sizeof name);
    name[0] = '"';
    name[299] = (char)0x80;
    table->count = 1;
    table->fields[0].name = lv_bytes(name, sizeof name);
    lv_json_table(&json, table);
    assert_int_equal(sink.size, 1 + 1 + 301 + 1 + 1 + 4 + 1);
    assert_memory_equal(text(), "{\"\\\"nnn", 7);
    lv_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(text_without_special_characters_is_one_piece),
        cmocka_unit_test(base64_has_its_padding),
        cmocka_unit_test(every_type_of_value_has_a_form),
        cmocka_unit_test(tables_and_arrays_nest),
        cmocka_unit_test(an_absent_table_is_an_empty_object),
        cmocka_unit_test(names_of_any_length_are_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
