#include "admin/request.h"

#include "base/alloc.h"

#include <jansson.h>
#include <string.h>

static struct lv_bytes text_of(const json_t *value)
{
    assert(json_is_string(value));
    return lv_bytes(json_string_value(value), json_string_length(value));
}

static int take_columns(const json_t *columns, struct lv_request *request, struct lv_diag *diag)
{
    size_t count = json_array_size(columns);

    assert(request->column_count == 0);
    if (!json_is_array(columns) || count == 0 || count > LV_COLUMNS_MAX)
        return lv_fail(diag, -LV_E_SYNTAX, "\"columns\" is no list of 1 to %u names",
                       LV_COLUMNS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *column = json_array_get(columns, i);
        int place = json_is_string(column) ? lv_list_column(request->list, text_of(column)) : -1;

        if (place < 0)
            return lv_fail(diag, -LV_E_NOT_FOUND, "%s has no such column: %.100s",
                           lv_list_rows[request->list].command,
                           json_is_string(column) ? json_string_value(column) : "not a string");
        request->columns[request->column_count++] = (uint8_t)place;
    }
    return 0;
}

static int take_vhost(const json_t *vhost, struct lv_request *request, struct lv_diag *diag)
{
    struct lv_bytes name = lv_text("/");

    if (vhost != NULL) {
        if (!json_is_string(vhost) || json_string_length(vhost) > sizeof request->vhost)
            return lv_fail(diag, -LV_E_SYNTAX, "\"vhost\" is no name");
        name = text_of(vhost);
    }
    assert(name.size <= sizeof request->vhost);
    request->vhost_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)request->vhost, name);
    return 0;
}

/* "timeout": seconds. */
static int take_drain(const json_t *timeout, struct lv_request *request, struct lv_diag *diag)
{
    json_int_t seconds = timeout == NULL ? LV_REQUEST_DRAIN_S : json_integer_value(timeout);

    assert(request->drain_s == 0);
    if ((timeout != NULL && !json_is_integer(timeout)) || seconds < 0 ||
        seconds > LV_REQUEST_DRAIN_S_MAX)
        return lv_fail(diag, -LV_E_SYNTAX, "\"timeout\" is no number of seconds from 0 to %u",
                       LV_REQUEST_DRAIN_S_MAX);
    request->kind = LV_REQUEST_DRAIN;
    request->drain_s = (uint64_t)seconds;
    return 0;
}

static int take_request(const json_t *root, struct lv_request *request, struct lv_diag *diag)
{
    const json_t *command = json_object_get(root, "command");
    int rc;

    if (!json_is_string(command))
        return lv_fail(diag, -LV_E_SYNTAX, "the request has no \"command\"");
    if (strcmp(json_string_value(command), "status") == 0) {
        request->kind = LV_REQUEST_STATUS;
        return 0;
    }
    if (strcmp(json_string_value(command), "stop") == 0) {
        request->kind = LV_REQUEST_STOP;
        return 0;
    }
    if (strcmp(json_string_value(command), "drain") == 0)
        return take_drain(json_object_get(root, "timeout"), request, diag);
    assert(request->kind == LV_REQUEST_LIST);
    request->list = lv_list_find(text_of(command));
    if (request->list == LV_LIST_COUNT)
        return lv_fail(diag, -LV_E_NOT_FOUND, "no such command: %.100s",
                       json_string_value(command));
    rc = take_vhost(json_object_get(root, "vhost"), request, diag);
    if (rc < 0)
        return rc;
    return take_columns(json_object_get(root, "columns"), request, diag);
}

int lv_request_parse(struct lv_bytes line, struct lv_request *ret_request, struct lv_diag *diag)
{
    struct lv_request request = {.kind = LV_REQUEST_LIST};
    json_error_t error;
    json_t *root;
    int rc;

    json_set_alloc_funcs(lv_alloc, lv_free);
    root = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
                      &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a request");
    if (root == NULL)
        return lv_fail(diag, -LV_E_SYNTAX, "the request is no JSON: %s", error.text);
    rc = take_request(root, &request, diag);
    json_decref(root);
    if (rc < 0)
        return rc;
    assert(request.kind != LV_REQUEST_LIST || request.column_count > 0);
    *ret_request = request;
    return 0;
}
