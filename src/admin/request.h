/*
 * admin/request.h - what a client of the control socket asks for.
 *
 * Pure; any thread.
 */
#pragma once

#include "admin/list.h"
#include "base/err.h"

enum lv_request_kind { LV_REQUEST_LIST, LV_REQUEST_STATUS, LV_REQUEST_STOP, LV_REQUEST_DRAIN };

/* How long a drain may take, if the request doesn't say it, and at most. */
#define LV_REQUEST_DRAIN_S     60u
#define LV_REQUEST_DRAIN_S_MAX 1000000u

struct lv_request {
    enum lv_request_kind kind;
    enum lv_list_kind list;
    uint8_t columns[LV_COLUMNS_MAX]; /* places in the list's table, each once */
    unsigned column_count;
    uint64_t drain_s; /* seconds that clients have */
    uint8_t vhost_size;
    char vhost[255]; /* "/" unless said otherwise */
};

/* From one line of JSON. -LV_E_SYNTAX, -LV_E_NOT_FOUND: no such command or column; -LV_E_NOMEM. The
 * sentence names what is wrong. */
int lv_request_parse(struct lv_bytes line, struct lv_request *ret_request, struct lv_diag *diag)
    LV_MUST_CHECK;
