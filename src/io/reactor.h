/*
 * io/reactor.h - waits until sockets are ready and calls who watches them.
 *
 * Level-triggered epoll with one eventfd, by which other threads end a wait. One reactor belongs to
 * one thread; only lv_reactor_wake() may be called by others. A handler may add, change and remove
 * any watch, its own included, and free what holds it.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

struct lv_reactor;
struct lv_watch;

enum lv_io {
    LV_IO_READ = 1u << 0,
    LV_IO_WRITE = 1u << 1,
    LV_IO_HANGUP = 1u << 2 /* both ways are dead; comes unasked */
};

typedef void lv_watch_fn(struct lv_watch *watch, unsigned ready);

/* Lies in the object that has the descriptor; lv_container() leads back to it. */
struct lv_watch {
    lv_watch_fn *ready; /* NULL: not in a reactor */
    int fd;
    unsigned wanted; /* enum lv_io */
};

/* NULL: out of memory or descriptors. */
struct lv_reactor *lv_reactor_new(void) LV_MUST_CHECK;
/* Takes NULL. All watches must be gone. */
void lv_reactor_free(struct lv_reactor *reactor);

/* Watches `fd` by the watch, whose fields it sets. -LV_E_RESOURCE: out of memory, or more than the
 * kernel watches for one user. */
int lv_reactor_add(struct lv_reactor *reactor, struct lv_watch *watch, int fd, unsigned wanted,
                   lv_watch_fn *ready) LV_MUST_CHECK;
/* Costs a system call only when `wanted` is something else than before. */
void lv_reactor_change(struct lv_reactor *reactor, struct lv_watch *watch, unsigned wanted);
/* Before the descriptor is closed. Nothing happens to a watch that is in no reactor. */
void lv_reactor_remove(struct lv_reactor *reactor, struct lv_watch *watch);

/* Calls the handlers of what is ready, waiting for it until `deadline` (lv_clock_now()'s time;
 * LV_NEVER: for ever; 0: not at all). *now is the time as last known; before the first handler is
 * called it is set to the time at which the wait ended. Returns how many handlers it called. */
unsigned lv_reactor_wait(struct lv_reactor *reactor, uint64_t *now, uint64_t deadline);

/* Any thread: the wait that goes on, or the next one, ends at once. */
void lv_reactor_wake(struct lv_reactor *reactor);
