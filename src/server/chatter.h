/*
 * server/chatter.h - how many lines of a kind peers may cause in the log.
 *
 * A client that breaks the protocol as fast as it can would otherwise fill the disk with lines
 * about it. Of each event's name a shard writes the first LV_CHATTER_LINES of a window; the rest is
 * counted, and a line `log.suppressed` gives the count when the window is over, so what was left
 * out is never silent. An event that is rare is not hidden by one that floods, as each name has its
 * own window. Lines of level debug are asked for and not counted. On the shard's thread.
 */
#pragma once

#include "base/deadline.h"
#include "base/event.h"

#include <stdbool.h>

#define LV_CHATTER_LINES     50u
#define LV_CHATTER_WINDOW_NS (10 * LV_NS_PER_S)
#define LV_CHATTER_NAMES     16u /* our own code's: more than there are events that peers cause */

/* One kind of event. */
struct lv_chatter_row {
    const char *name; /* view  NULL: free */
    enum lv_level level;
    uint64_t ends_at;    /* of the window */
    uint32_t said, held; /* lines in it */
};

/* One for a shard. Rows are never freed: there are as many as kinds of events. */
struct lv_chatter {
    struct lv_deadlines *deadlines; /* view */
    struct lv_deadline deadline;    /* armed while any row holds lines back */
    struct lv_chatter_row rows[LV_CHATTER_NAMES];
};

/* Nothing has been said yet. The deadlines outlive it. */
void lv_chatter_init(struct lv_chatter *chatter, struct lv_deadlines *deadlines);
/* Says what is still held back. */
void lv_chatter_fini(struct lv_chatter *chatter);

/* May a line of this name be written at `now` (ns)? If not it is counted. The name is kept and must
 * stay. */
bool lv_chatter_may_say(struct lv_chatter *chatter, enum lv_level level, const char *name,
                        uint64_t now);
