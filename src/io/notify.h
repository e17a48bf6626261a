/*
 * io/notify.h - tells a service manager how the program is doing, as sd_notify(3) describes it:
 * lines NAME=VALUE in a datagram to the socket that the variable NOTIFY_SOCKET names.
 *
 * Main thread.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct lv_notify {
    int fd; /* -1: nobody wants to hear */
    uint64_t
        watchdog_ns; /* after so long without WATCHDOG=1 the program counts as dead; 0: never */
};

/* By the environment. Without a service manager nothing is opened, and that is no error;
 * -LV_E_USAGE, -LV_E_IO: there is one, but what it says makes no sense or nobody listens there. */
int lv_notify_open(struct lv_notify *ret_notify, struct lv_diag *diag) LV_MUST_CHECK;
/* Takes one that was not opened, with fd -1, too. */
void lv_notify_close(struct lv_notify *notify);

/* Waits up to a second for room in a busy manager's queue. -LV_E_IO: it was not heard. */
int lv_notify_send(const struct lv_notify *notify, const char *lines) LV_MUST_CHECK;
