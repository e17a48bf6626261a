/*
 * admin/request.h - what a client of the control socket asks for.
 *
 * One line of JSON, read into a struct that holds all of it: nothing of the line is needed any
 * more. Pure; any thread.
 */
#pragma once

#include "admin/list.h"
#include "base/err.h"
#include "broker/topology.h"

/* Longest line. */
#define LV_REQUEST_MAX 8192u

enum lv_request_kind {
    LV_REQUEST_LIST,
    LV_REQUEST_STATUS,
    LV_REQUEST_ENVIRONMENT,
    LV_REQUEST_STOP,
    LV_REQUEST_DRAIN,
    LV_REQUEST_CHANGE,
    LV_REQUEST_AUTHENTICATE,
    LV_REQUEST_CLOSE,
    LV_REQUEST_ORDER,
    LV_REQUEST_EXPORT,
    LV_REQUEST_IMPORT
};

/* How long a drain may take, if the request doesn't say it, and at most. */
#define LV_REQUEST_DRAIN_S     60u
#define LV_REQUEST_DRAIN_S_MAX 1000000u

/* Which connections are to be closed. */
enum lv_close_kind { LV_CLOSE_ONE, LV_CLOSE_VHOST, LV_CLOSE_USER, LV_CLOSE_ALL };

#define LV_REQUEST_ARGUMENTS_MAX 4u

/* Holds views of itself: neither copied nor moved. */
struct lv_request {
    enum lv_request_kind kind;
    enum lv_list_kind list;
    uint8_t columns[LV_COLUMNS_MAX]; /* places in the list's table, each once */
    unsigned column_count;
    /* CHANGE: what is wanted. Else vhost, and the user or the queue as `name`. */
    struct lv_change change;
    struct lv_bytes password; /* CHANGE: to be hashed, when has_password; AUTHENTICATE */
    bool has_password;
    bool is_all;           /* LIST, CLOSE: of all vhosts or users */
    struct lv_bytes limit; /* CHANGE of a user's limits: the only one that is cleared, or "all" */
    enum lv_close_kind close;
    uint64_t client;                    /* CLOSE_ONE: id in the core */
    uint64_t count;                     /* CLOSE: at most so many; 0: all */
    struct lv_bytes reason;             /* CLOSE */
    bool is_purge, if_unused, if_empty; /* ORDER */
    bool is_plan;                       /* IMPORT: only say what it would change */
    uint64_t size;                      /* IMPORT: bytes that follow the line */
    uint64_t drain_s;                   /* DRAIN: seconds that clients have */
    struct lv_table *arguments;         /* own  with room for LV_REQUEST_ARGUMENTS_MAX */
    size_t text_size;
    uint8_t text[LV_REQUEST_MAX]; /* what all views lead to */
};

/* -LV_E_SYNTAX, -LV_E_NOT_FOUND: no such command or column; -LV_E_PRECONDITION: limits that are
 * none; -LV_E_NOMEM. The sentence names what is wrong. */
int lv_request_parse(struct lv_bytes line, struct lv_request *ret_request, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Nobody finds a password there any more. Takes one that lv_request_parse() has failed on, too. */
void lv_request_wipe(struct lv_request *request);
