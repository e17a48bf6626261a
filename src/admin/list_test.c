#include "admin/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void lists_are_found_by_their_commands(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LV_LIST_COUNT; i++) {
        const char *command = lv_list_rows[i].command;

        assert_int_equal(strncmp(command, "list_", 5), 0);
        assert_int_equal(lv_list_find(lv_text(command)), i);
    }
    assert_int_equal(lv_list_find(lv_text("list_queue")), LV_LIST_COUNT);
    assert_int_equal(lv_list_find(lv_text("")), LV_LIST_COUNT);
}

static void columns_are_found_by_their_names(void **state)
{
    (void)state;
    assert_int_equal(lv_list_column(LV_LIST_QUEUE, lv_text("messages")), LV_COLUMN_QUEUE_MESSAGES);
    assert_int_equal(lv_list_column(LV_LIST_CHANNEL, lv_text("pid")), LV_COLUMN_CHANNEL_PID);
    assert_int_equal(lv_list_column(LV_LIST_CHANNEL, lv_text("messages")), -1);
    assert_int_equal(lv_list_column(LV_LIST_QUEUE, lv_text("Name")), -1);
    assert_int_equal(lv_list_column(LV_LIST_QUEUE, lv_text("")), -1);
}

static void each_column_stands_once_and_standard_ones_exist(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < LV_LIST_COUNT; kind++) {
        const struct lv_list_row *row = &lv_list_rows[kind];
        const char *name = row->standard;

        for (int i = 0; row->columns[i] != NULL; i++) {
            assert_true((unsigned)i < LV_COLUMNS_MAX);
            assert_int_equal(lv_list_column((enum lv_list_kind)kind, lv_text(row->columns[i])), i);
        }
        while (*name != '\0') {
            size_t size = strcspn(name, " ");

            assert_true(lv_list_column((enum lv_list_kind)kind, lv_bytes(name, size)) >= 0);
            name += size + (name[size] == ' ');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_found_by_their_commands),
        cmocka_unit_test(columns_are_found_by_their_names),
        cmocka_unit_test(each_column_stands_once_and_standard_ones_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
