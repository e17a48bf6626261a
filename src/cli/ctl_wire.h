/*
 * cli/ctl_wire.h - the client's end of the control socket: one request, then lines of JSON.
 *
 * Waits at most until a deadline. Main thread.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

struct lv_ctl_wire {
    int fd;
    uint64_t deadline; /* lv_clock_now()'s time; LV_NEVER: none */
    char *buffer;      /* own */
    size_t begin, end, capacity;
};

/* The broker of this data directory. -LV_E_NOT_FOUND: none runs; -LV_E_ACCESS_REFUSED: not for this
 * user; others: `diag` says why. */
int lv_ctl_wire_open(struct lv_ctl_wire *wire, const char *directory, uint64_t deadline,
                     struct lv_diag *diag) LV_MUST_CHECK;
void lv_ctl_wire_close(struct lv_ctl_wire *wire);

/* Sends the request; takes it, and wipes what was written of it: passwords may be there. */
int lv_ctl_wire_send(struct lv_ctl_wire *wire, json_t *request, struct lv_diag *diag) LV_MUST_CHECK;
/* Sends bytes behind the request. */
int lv_ctl_wire_write(struct lv_ctl_wire *wire, const void *bytes, size_t size,
                      struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the answer that are no line. */
int lv_ctl_wire_read(struct lv_ctl_wire *wire, void *bytes, size_t size, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Gives the next line, for json_decref(). -LV_E_TIMEOUT; -LV_E_CLOSED: the broker has ended the
 * connection; -LV_E_SYNTAX. */
int lv_ctl_wire_next(struct lv_ctl_wire *wire, json_t **ret_value, struct lv_diag *diag)
    LV_MUST_CHECK;
