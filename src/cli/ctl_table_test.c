#include "cli/ctl_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const columns[] = {"name", "n"};

/* Rows as JSON arrays, NULL ends them; all that was written, to be freed. */
static void assert_written(enum lv_ctl_form form, bool has_header, const char *const *rows,
                           const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    struct lv_ctl_table table = {
        .file = open_memstream(&text, &size),
        .columns = columns,
        .column_count = 2,
        .form = form,
        .has_header = has_header,
        .is_plain = true,
    };

    assert_non_null(table.file);
    lv_ctl_table_begin(&table);
    for (; *rows != NULL; rows++) {
        json_t *row = json_loads(*rows, 0, NULL);

        assert_non_null(row);
        lv_ctl_table_row(&table, row);
        json_decref(row);
    }
    lv_ctl_table_end(&table);
    fclose(table.file);
    assert_string_equal(text, wanted);
    free(text);
}

static const char *const nothing[] = {NULL};
static const char *const two[] = {"[\"a\",1]", "[\"say \\\"ü\\\"\",20]", NULL};

static void tables_have_tabs_and_a_header(void **state)
{
    (void)state;
    assert_written(LV_CTL_TABLE, true, two, "name\tn\na\t1\nsay \"ü\"\t20\n");
    assert_written(LV_CTL_TABLE, false, two, "a\t1\nsay \"ü\"\t20\n");
    assert_written(LV_CTL_TABLE, true, nothing, "");
}

static void csv_quotes_everything(void **state)
{
    (void)state;
    assert_written(LV_CTL_CSV, true, two,
                   "\"name\",\"n\"\n\"a\",\"1\"\n\"say \"\"ü\"\"\",\"20\"\n");
    assert_written(LV_CTL_CSV, true, nothing, "");
}

static void json_is_an_array_of_objects_even_of_none(void **state)
{
    (void)state;
    assert_written(LV_CTL_JSON, true, two,
                   "[\n{\"name\":\"a\",\"n\":1}\n,{\"name\":\"say \\\"ü\\\"\",\"n\":20}\n]\n");
    assert_written(LV_CTL_JSON, false, nothing, "[\n]\n");
}

static void pretty_tables_are_as_wide_as_what_is_in_them(void **state)
{
    (void)state;
#define BAR "\033(0x\033(B"
    assert_written(LV_CTL_PRETTY, true, two,
                   "\033(0lqqqqqqqqqwqqqqk\033(B\n" /* */
                   BAR " name    " BAR " n  " BAR "\n"
                   "\033(0tqqqqqqqqqnqqqqu\033(B\n" /* */
                   BAR " a       " BAR " 1  " BAR "\n"
                   "\033(0tqqqqqqqqqnqqqqu\033(B\n" /* */
                   BAR " say \"ü\" " BAR " 20 " BAR "\n"
                   "\033(0mqqqqqqqqqvqqqqj\033(B\n");
#undef BAR
    assert_written(LV_CTL_PRETTY, true, nothing, "");
}

static void forms_have_names(void **state)
{
    (void)state;
    assert_int_equal(lv_ctl_form_find("table"), LV_CTL_TABLE);
    assert_int_equal(lv_ctl_form_find("json"), LV_CTL_JSON);
    assert_int_equal(lv_ctl_form_find("csv"), LV_CTL_CSV);
    assert_int_equal(lv_ctl_form_find("pretty_table"), LV_CTL_PRETTY);
    assert_int_equal(lv_ctl_form_find("erlang"), LV_CTL_FORM_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_have_tabs_and_a_header),
        cmocka_unit_test(csv_quotes_everything),
        cmocka_unit_test(json_is_an_array_of_objects_even_of_none),
        cmocka_unit_test(pretty_tables_are_as_wide_as_what_is_in_them),
        cmocka_unit_test(forms_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
