/*
 * server/space.h - is there room on the disk? Publishers wait while there is little, so that the
 * log never meets a full disk; and while it has met one all the same.
 *
 * The main thread looks, now and then and whenever it is woken; it may block.
 */
#pragma once

#include "base/deadline.h"
#include "server/alarms.h"
#include "store/disk.h"

/* How long a disk may fill before anybody looks. */
#define LV_SPACE_CHECK_NS (1 * LV_NS_PER_S)

/* One for the broker. */
struct lv_space {
    struct lv_disk *disk;     /* view */
    struct lv_alarms *alarms; /* view */
    uint64_t limit;           /*       bytes; the alarm begins below */
    uint64_t last_short;      /*       when room was short; the main thread's */
    atomic_uint full_count;   /* any   logs that wait for room */
};

/* No alarm. Disk and alarms outlive it. */
void lv_space_init(struct lv_space *space, struct lv_disk *disk, struct lv_alarms *alarms,
                   uint64_t limit);
/* A log has begun to wait for room, or goes on. Any thread; the main one has to be woken. */
void lv_space_full(struct lv_space *space, bool is_full);
/* Begins the alarm, or ends it when room has not been short for LV_SPACE_CHECK_NS, with a line in
 * the log. True: it did, the shards have to be woken. Main thread. */
bool lv_space_check(struct lv_space *space, uint64_t now);
