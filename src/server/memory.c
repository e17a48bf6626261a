#include "server/memory.h"

/* The alarm ends a twentieth below where it begins, so that it does not flap. */
void lv_memory_init(struct lv_memory *memory, struct lv_alarms *alarms, uint64_t high)
{
    assert(high > 0);
    memory->alarms = alarms;
    memory->high = high;
    memory->low = high - high / 20;
    atomic_init(&memory->used, 0);
}

/* May be below zero for a moment: one shard frees what another has not reported yet. */
uint64_t lv_memory_used(struct lv_memory *memory)
{
    long long used = atomic_load_explicit(&memory->used, memory_order_relaxed);

    assert(memory->high > 0);
    return used < 0 ? 0 : (uint64_t)used;
}

/* Relaxed throughout: the number is a measure, nothing is handed over by it. */
bool lv_memory_report(struct lv_memory *memory, int64_t change)
{
    bool is_alarm = lv_memory_is_alarm(memory), wanted;
    uint64_t used;

    assert(memory->low <= memory->high);
    if (change != 0)
        atomic_fetch_add_explicit(&memory->used, change, memory_order_relaxed);
    used = lv_memory_used(memory);
    wanted = is_alarm ? used >= memory->low : used > memory->high;
    /* Two shards may see the border crossed at once; one of them turns the alarm. */
    return wanted != is_alarm && lv_alarm_turn(memory->alarms, LV_ALARM_MEMORY, wanted);
}
