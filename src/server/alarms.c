#include "server/alarms.h"

#include <stddef.h>

/* Of several who turn the same alarm at once, one is told that it did. */
bool lv_alarm_turn(struct lv_alarms *alarms, enum lv_alarm alarm, bool is_on)
{
    unsigned bit = (unsigned)alarm, before;

    assert(lv_alarms_text(bit) != NULL);
    before = is_on ? atomic_fetch_or_explicit(&alarms->reasons, bit, memory_order_relaxed)
                   : atomic_fetch_and_explicit(&alarms->reasons, ~bit, memory_order_relaxed);
    return ((before & bit) != 0) != is_on;
}

const char *lv_alarms_text(unsigned reasons)
{
    static const char *const texts[] = {
        [0] = NULL,
        [LV_ALARM_MEMORY] = "low on memory",
        [LV_ALARM_DISK] = "low on disk",
        [LV_ALARM_MEMORY | LV_ALARM_DISK] = "low on memory & disk",
    };

    assert(reasons < LV_COUNT(texts));
    return texts[reasons];
}
