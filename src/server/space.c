#include "server/space.h"

#include "base/event.h"

void lv_space_init(struct lv_space *space, struct lv_disk *disk, struct lv_alarms *alarms,
                   uint64_t limit)
{
    assert(disk != NULL);
    assert(alarms != NULL);
    space->disk = disk;
    space->alarms = alarms;
    space->limit = limit;
    space->last_short = 0;
    atomic_init(&space->full_count, 0);
}

void lv_space_full(struct lv_space *space, bool is_full)
{
    unsigned before =
        is_full ? atomic_fetch_add(&space->full_count, 1) : atomic_fetch_sub(&space->full_count, 1);

    assert(is_full || before > 0);
    (void)before;
}

static void tell(const struct lv_space *space, bool is_alarm, uint64_t room, unsigned full_count)
{
    if (!is_alarm)
        lv_event(LV_WARN, "disk.alarm_ended", LV_U("free", room), LV_U("limit", space->limit));
    else if (full_count > 0)
        lv_event(LV_ERROR, "disk.alarm", LV_U("free", room), LV_U("limit", space->limit),
                 LV_S("why", "what is to be written finds no room"),
                 LV_S("effect", "publishers are blocked and nothing is confirmed until there is"));
    else
        lv_event(LV_WARN, "disk.alarm", LV_U("free", room), LV_U("limit", space->limit),
                 LV_S("effect", "publishers are blocked; consumers go on"));
}

/* A file system that can't be asked is as good as it was; writing will tell. The alarm ends a
 * twentieth above where it begins, and not before a while has passed, so that it does not flap: a
 * log that finds no room now and then gives some back, such as half a file. */
bool lv_space_check(struct lv_space *space, uint64_t now)
{
    bool was_alarm = (lv_alarms_now(space->alarms) & LV_ALARM_DISK) != 0, is_alarm = was_alarm;
    unsigned full_count = atomic_load(&space->full_count);
    uint64_t room = 0, enough = space->limit + (was_alarm ? space->limit / 20 : 0);

    assert(enough >= space->limit);
    if (space->disk->ops->free_space(space->disk, &room) == 0)
        is_alarm = room < enough;
    if (full_count > 0)
        is_alarm = true;
    if (is_alarm)
        space->last_short = now;
    if (is_alarm == was_alarm || (was_alarm && now < space->last_short + LV_SPACE_CHECK_NS))
        return false;
    tell(space, is_alarm, room, full_count);
    return lv_alarm_turn(space->alarms, LV_ALARM_DISK, is_alarm);
}
