/*
 * base/deadline.h - the core's only view of time: "call me when it is `at` or later".
 *
 * Times are nanoseconds of a monotonic clock that somebody else reads; the simulation makes them
 * up. The owner of the set asks for the next deadline, sleeps, and runs what is due. One owner.
 */
#pragma once

#include "base/heap.h"

#define LV_NS_PER_MS 1000000ull
#define LV_NS_PER_S  1000000000ull
#define LV_NEVER     UINT64_MAX

struct lv_deadline;
typedef void lv_deadline_fn(struct lv_deadline *deadline, uint64_t now);

/* Lives in what it is for; lv_container() leads back to that. */
struct lv_deadline {
    struct lv_heap_node node;
    lv_deadline_fn *fire; /* called with the deadline disarmed; may arm it again or free it */
    bool armed;
    bool late; /* waits in the set's `late` */
};

/* All zeros is an empty set. */
struct lv_deadlines {
    struct lv_heap heap;
    struct lv_heap late; /* armed in a run for what was due already: it waits for the next run */
    uint64_t now;        /* of the run */
    bool running;
};

/* Not armed. */
void lv_deadline_init(struct lv_deadline *deadline, lv_deadline_fn *fire);
/* Arms, or moves when it is armed. */
void lv_deadline_set(struct lv_deadlines *set, struct lv_deadline *deadline, uint64_t at);
/* Nothing happens when it isn't armed. */
void lv_deadline_cancel(struct lv_deadlines *set, struct lv_deadline *deadline);

/* When lv_deadlines_run() is wanted next, LV_NEVER when none is armed. */
uint64_t lv_deadlines_next(const struct lv_deadlines *set);
/* Fires what is due at `now`; what these arm at or before `now` fires in the next run. */
void lv_deadlines_run(struct lv_deadlines *set, uint64_t now);
