/*
 * admin/gather.h - all definitions of a broker, taken from shard 0 a slice at a time.
 *
 * The holder gives the gatherer's slice to shard 0, where lv_gather_fill() adds changes as the log
 * writes them; back with the holder lv_gather_take() keeps them, and says whether there is more.
 * The topology may change in between: what then doesn't fit together is left out at the end.
 */
#pragma once

#include "admin/definitions.h"
#include "admin/slice.h"

struct lv_gather {
    struct lv_definitions list; /* own */
    struct lv_bytes *vhosts;    /* own   views into the list */
    size_t vhost_count, vhost_capacity;
    size_t at; /* vhost that is walked */
};

/* Sets the slice to the beginning. */
void lv_gather_begin(struct lv_gather *gather, struct lv_slice *slice);
/* On shard 0's thread. */
void lv_gather_fill(struct lv_slice *slice, const struct lv_broker *broker);
/* Takes what the slice has, empties it and sets it to what comes next. 1: ask again; 0: that was
 * all, and the list is sorted; -LV_E_NOMEM. */
int lv_gather_take(struct lv_gather *gather, struct lv_slice *slice) LV_MUST_CHECK;
/* Takes all zeros, too. */
void lv_gather_fini(struct lv_gather *gather);
