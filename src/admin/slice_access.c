/* Lists of users, vhosts, permissions and limits: rows made from changes. */
#include "admin/slice.h"
#include "broker/access.h"
#include "broker/core.h"

/* What each list is made of. */
static const enum lv_changes sources[LV_LIST_COUNT] = {
    [LV_LIST_USER] = LV_CHANGES_USERS,
    [LV_LIST_VHOST] = LV_CHANGES_VHOSTS,
    [LV_LIST_PERMISSION] = LV_CHANGES_PERMISSIONS,
    [LV_LIST_USER_PERMISSION] = LV_CHANGES_PERMISSIONS,
    [LV_LIST_TOPIC_PERMISSION] = LV_CHANGES_TOPIC_PERMISSIONS,
    [LV_LIST_USER_TOPIC_PERMISSION] = LV_CHANGES_TOPIC_PERMISSIONS,
    [LV_LIST_VHOST_LIMIT] = LV_CHANGES_VHOST_LIMITS,
    [LV_LIST_USER_LIMIT] = LV_CHANGES_USER_LIMITS,
};

/* Lists of what one vhost has, and of what one user has. */
static bool is_of_vhost(const struct lv_slice *slice)
{
    assert(slice->kind >= LV_LIST_ACCESS_FIRST);
    return slice->kind == LV_LIST_PERMISSION || slice->kind == LV_LIST_TOPIC_PERMISSION ||
           (slice->kind == LV_LIST_VHOST_LIMIT && !slice->is_all);
}

static bool is_of_user(const struct lv_slice *slice)
{
    assert(slice->kind >= LV_LIST_ACCESS_FIRST);
    return slice->kind == LV_LIST_USER_PERMISSION || slice->kind == LV_LIST_USER_TOPIC_PERMISSION ||
           (slice->kind == LV_LIST_USER_LIMIT && !slice->is_all);
}

/* A string among the change's arguments, or what is said when it is not there. */
static void put_argument(struct lv_rows *rows, const struct lv_change *change, const char *name,
                         const char *other)
{
    const struct lv_value *value = lv_table_get(change->arguments, name);

    assert(name != NULL);
    lv_rows_text(rows,
                 value == NULL || value->type != LV_TYPE_STRING ? lv_text(other) : value->bytes);
}

static void put_vhost_column(struct lv_rows *rows, const struct lv_change *change,
                             enum lv_vhost_column column)
{
    const struct lv_value *value = NULL;

    switch (column) {
    case LV_COLUMN_VHOST_NAME:
        lv_rows_text(rows, change->vhost);
        break;
    case LV_COLUMN_VHOST_TRACING:
        value = lv_table_get(change->arguments, "tracing");
        lv_rows_bool(rows, value != NULL && value->type == LV_TYPE_BOOL && value->boolean);
        break;
    case LV_COLUMN_VHOST_DESCRIPTION:
        put_argument(rows, change, "description", "");
        break;
    case LV_COLUMN_VHOST_TAGS:
        value = lv_table_get(change->arguments, "tags");
        lv_rows_words(rows, value == NULL ? lv_text("") : value->bytes);
        break;
    case LV_COLUMN_VHOST_DEFAULT_QUEUE_TYPE:
        put_argument(rows, change, "default_queue_type", "undefined");
        break;
    }
}

/* A column by its name: the other lists share most of theirs. */
static void put_column(struct lv_rows *rows, const struct lv_change *change, const char *column)
{
    assert(column != NULL);
    if (strcmp(column, "user") == 0)
        lv_rows_text(rows, change->name);
    else if (strcmp(column, "vhost") == 0)
        lv_rows_text(rows, change->vhost);
    else if (strcmp(column, "exchange") == 0)
        lv_rows_text(rows, change->other);
    else if (strcmp(column, "tags") == 0)
        lv_rows_words(rows, change->key);
    else if (strcmp(column, "limits") == 0)
        lv_rows_table_text(rows, change->arguments);
    else
        put_argument(rows, change, column, "");
}

static bool show_change(void *ctx, const struct lv_change *change)
{
    struct lv_slice *slice = ctx;
    const char *const *columns = lv_list_rows[slice->kind].columns;

    assert(slice->kind >= LV_LIST_ACCESS_FIRST);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++) {
        if (slice->kind == LV_LIST_VHOST)
            put_vhost_column(&slice->rows, change, (enum lv_vhost_column)slice->columns[i]);
        else
            put_column(&slice->rows, change, columns[slice->columns[i]]);
    }
    lv_rows_end(&slice->rows);
    return lv_slice_has_room(slice);
}

/* A list of somebody who isn't there is a mistake, and not an empty list. */
static bool is_there(struct lv_slice *slice, const struct lv_broker *broker)
{
    assert(slice->diag.text[0] == '\0');
    if (is_of_vhost(slice) && lv_topology_vhost(&broker->topology, slice->vhost) == NULL)
        (void)lv_vhost_missing(slice->vhost, &slice->diag);
    else if (is_of_user(slice) && lv_access_user(&broker->access, slice->user) == NULL)
        lv_fail(&slice->diag, -LV_E_NOT_FOUND, "User \"%.*s\" does not exist", LV_FMT(slice->user));
    return slice->diag.text[0] == '\0';
}

void lv_slice_access(struct lv_slice *slice, const struct lv_broker *broker)
{
    struct lv_client_view of = {.id = 0};

    assert(slice->kind >= LV_LIST_ACCESS_FIRST);
    if (is_of_vhost(slice))
        of.vhost = slice->vhost;
    if (is_of_user(slice))
        of.user = slice->user;
    slice->is_over = !is_there(slice, broker) || !lv_changes_walk(broker, sources[slice->kind], &of,
                                                                  &slice->walk, show_change, slice);
}
