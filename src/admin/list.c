#include "admin/list.h"

#include "base/defs.h"

/* The names of each list's columns. */
#define NAMES(NAME, command, COLUMNS, ...)                                                         \
    static const char *const command##_columns[] = {COLUMNS(NAME_OF) NULL};                        \
    static_assert(LV_COUNT(command##_columns) - 1 <= LV_COLUMNS_MAX, "slices have room for all");
#define NAME_OF(NAME, name) #name,
LV_LISTS(NAMES)
#undef NAME_OF
#undef NAMES

const struct lv_list_row lv_list_rows[LV_LIST_COUNT] = {
#define ROW(NAME, command, COLUMNS, standard, has_vhost)                                           \
    {#command, command##_columns, standard, has_vhost,                                             \
     LV_LIST_##NAME == LV_LIST_USER_PERMISSION ||                                                  \
         LV_LIST_##NAME == LV_LIST_USER_TOPIC_PERMISSION},
    LV_LISTS(ROW)
#undef ROW
};

enum lv_list_kind lv_list_find(struct lv_bytes command)
{
    enum lv_list_kind kind = (enum lv_list_kind)0;

    assert(command.data != NULL);
    while (kind < LV_LIST_COUNT && !lv_bytes_equal(lv_text(lv_list_rows[kind].command), command))
        kind++;
    return kind;
}

int lv_list_column(enum lv_list_kind kind, struct lv_bytes name)
{
    const char *const *columns = lv_list_rows[kind].columns;

    assert(kind < LV_LIST_COUNT);
    for (int i = 0; columns[i] != NULL; i++) {
        if (lv_bytes_equal(lv_text(columns[i]), name))
            return i;
    }
    return -1;
}
