#include "admin/rows.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(const struct lv_rows *rows, const char *text)
{
    assert_int_equal(rows->size, strlen(text));
    assert_memory_equal(rows->text, text, rows->size);
}

static void a_row_is_an_array_on_a_line(void **state)
{
    static const uint64_t numbers[] = {127, 0, 0, 1};
    struct lv_rows rows = {.text = NULL};

    (void)state;
    lv_rows_begin(&rows);
    lv_rows_text(&rows, lv_text("a\"b\n"));
    lv_rows_number(&rows, UINT64_MAX);
    lv_rows_bool(&rows, true);
    lv_rows_bool(&rows, false);
    lv_rows_numbers(&rows, numbers, 4);
    lv_rows_print(&rows, "<%u.%s>", 7u, "x");
    lv_rows_end(&rows);
    lv_rows_begin(&rows);
    lv_rows_text(&rows, lv_bytes("\xff", 1));
    lv_rows_end(&rows);
    assert_text(&rows, "[\"a\\\"b\\n\",18446744073709551615,true,false,[127,0,0,1],\"<7.x>\"]\n"
                       "[{\"base64\":\"/w==\"}]\n");
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.whole, rows.size);
    lv_rows_fini(&rows);
}

/* Tables and arrays in C's own memory. */
static struct lv_table *table_of(uint32_t count)
{
    struct lv_table *table = lv_calloc(1, sizeof *table + count * sizeof *table->fields);

    assert_non_null(table);
    table->count = count;
    return table;
}

static void arguments_carry_their_types(void **state)
{
    struct lv_rows rows = {.text = NULL};
    struct lv_table *array = table_of(2), *inner = table_of(1), *table = table_of(5);

    (void)state;
    array->fields[0].value = (struct lv_value){.type = LV_TYPE_I32, .integer = 1};
    array->fields[1].value = (struct lv_value){.type = LV_TYPE_BOOL, .boolean = true};
    inner->fields[0] =
        (struct lv_field){lv_text("x"), {.type = LV_TYPE_STRING, .bytes = lv_text("y")}};
    table->fields[0] = (struct lv_field){lv_text("i"), {.type = LV_TYPE_I64, .integer = -5}};
    table->fields[1] = (struct lv_field){lv_text("a"), {.type = LV_TYPE_ARRAY, .table = array}};
    table->fields[2] = (struct lv_field){lv_text("t"), {.type = LV_TYPE_TABLE, .table = inner}};
    table->fields[3] = (struct lv_field){lv_text("v"), {.type = LV_TYPE_VOID}};
    table->fields[4] = (struct lv_field){lv_text("e"), {.type = LV_TYPE_TABLE, .table = NULL}};
    lv_rows_begin(&rows);
    lv_rows_arguments(&rows, table);
    lv_rows_arguments(&rows, NULL);
    lv_rows_end(&rows);
    assert_text(&rows,
                "[[[\"i\",\"long\",-5],[\"a\",\"array\",[[\"signedint\",1],[\"bool\",true]]],"
                "[\"t\",\"table\",[[\"x\",\"longstr\",\"y\"]]],[\"v\",\"void\",null],"
                "[\"e\",\"table\",[]]],[]]\n");
    lv_rows_fini(&rows);
    lv_free(array);
    lv_free(inner);
    lv_free(table);
}

static void other_json_goes_between_rows(void **state)
{
    struct lv_rows rows = {.text = NULL};

    (void)state;
    lv_rows_raw(&rows, "{\"a\":");
    lv_rows_raw_text(&rows, "b\"");
    lv_rows_raw(&rows, "}\n");
    assert_text(&rows, "{\"a\":\"b\\\"\"}\n");
    assert_int_equal(rows.whole, rows.size);
    assert_int_equal(rows.count, 0);
    lv_rows_fini(&rows);
}

static void reset_rows_are_empty_and_can_be_filled_again(void **state)
{
    struct lv_rows rows = {.text = NULL};

    (void)state;
    lv_rows_begin(&rows);
    lv_rows_number(&rows, 1);
    lv_rows_end(&rows);
    lv_rows_reset(&rows);
    assert_text(&rows, "");
    assert_int_equal(rows.count, 0);
    lv_rows_begin(&rows);
    lv_rows_number(&rows, 2);
    lv_rows_end(&rows);
    assert_text(&rows, "[2]\n");
    lv_rows_fini(&rows);
}

static void without_memory_the_last_whole_row_stays(void **state)
{
    struct lv_rows rows = {.text = NULL};
    char long_text[6000];
    size_t whole;

    (void)state;
    memset(long_text, 'x', sizeof long_text);
    lv_rows_begin(&rows);
    lv_rows_number(&rows, 1);
    lv_rows_end(&rows);
    whole = rows.size;
    lv_alloc_fail_after(1, 1);
    lv_rows_begin(&rows);
    lv_rows_number(&rows, 2);
    lv_rows_text(&rows, lv_bytes(long_text, sizeof long_text));
    lv_rows_number(&rows, 3);
    lv_rows_end(&rows);
    lv_alloc_fail_after(0, 0);
    assert_true(rows.is_short);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.size, whole);
    assert_text(&rows, "[1]\n");
    lv_rows_fini(&rows);
}

static void words_tables_and_bytes_have_their_forms(void **state)
{
    static const char wanted[] = "[[\"a\",\"b\"],[],\"{}\"]\n\0x";
    struct lv_rows rows = {.text = NULL};

    (void)state;
    lv_rows_begin(&rows);
    lv_rows_words(&rows, lv_text("a,b"));
    lv_rows_words(&rows, lv_text(""));
    lv_rows_table_text(&rows, NULL);
    lv_rows_end(&rows);
    lv_rows_bytes(&rows, lv_bytes("\0x", 2));
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.size, sizeof wanted - 1);
    assert_memory_equal(rows.text, wanted, rows.size);
    lv_rows_fini(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_an_array_on_a_line),
        cmocka_unit_test(arguments_carry_their_types),
        cmocka_unit_test(words_tables_and_bytes_have_their_forms),
        cmocka_unit_test(other_json_goes_between_rows),
        cmocka_unit_test(reset_rows_are_empty_and_can_be_filled_again),
        cmocka_unit_test(without_memory_the_last_whole_row_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
