/*
 * server/memory.h - how much memory all shards hold together, and the alarm when it is too much.
 *
 * Each shard reports once a turn by how much its part has grown or shrunk; whoever carries the sum
 * over a border turns the alarm. Any thread.
 */
#pragma once

#include "server/alarms.h"

#include <stdint.h>

/* One for the broker. Shards add what they have more, now and then. */
struct lv_memory {
    struct lv_alarms *alarms;       /* view */
    uint64_t high;                  /*       bytes; the alarm begins above */
    uint64_t low;                   /*       bytes; it ends below, so that it does not flutter */
    _Alignas(64) atomic_llong used; /* any */
};

/* Nothing is used; the alarm begins above `high` bytes. */
void lv_memory_init(struct lv_memory *memory, struct lv_alarms *alarms, uint64_t high);
/* True when this report began or ended the alarm: the other shards have to be woken. */
bool lv_memory_report(struct lv_memory *memory, int64_t change);

static inline bool lv_memory_is_alarm(const struct lv_memory *memory)
{
    return (lv_alarms_now(memory->alarms) & LV_ALARM_MEMORY) != 0;
}

/* Bytes that all shards have reported. */
uint64_t lv_memory_used(struct lv_memory *memory);
