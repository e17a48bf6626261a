/*
 * server/alarms.h - why publishers wait: memory runs short, the disk does.
 *
 * Whoever finds that a reason begins or ends turns it; each shard looks once a turn and tells its
 * sessions. Any thread.
 */
#pragma once

#include "base/defs.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Bits of lv_alarms.reasons. */
enum lv_alarm { LV_ALARM_MEMORY = 1u << 0, LV_ALARM_DISK = 1u << 1 };

/* One for the broker; all zero is none. */
struct lv_alarms {
    _Alignas(64) atomic_uint reasons; /* any */
};

/* Read by every shard once a turn. */
static inline unsigned lv_alarms_now(struct lv_alarms *alarms)
{
    return atomic_load_explicit(&alarms->reasons, memory_order_relaxed);
}

/* True when it was not so before: the caller tells the log and wakes the shards. */
bool lv_alarm_turn(struct lv_alarms *alarms, enum lv_alarm alarm, bool is_on);
/* As connection.blocked has it in RabbitMQ; NULL when there is no reason. */
const char *lv_alarms_text(unsigned reasons);
