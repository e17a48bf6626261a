/*
 * tests/crash/damage.h - one file of a broker that has been stopped is no longer what it was.
 */
#pragma once

#include "base/random.h"
#include "store/image_disk.h"

struct crash_damage {
    char name[LV_DISK_NAME_SIZE]; /* of the file */
    bool is_segment;
    char text[160]; /* what was done, for a report */
};

/* Flips bits, wipes or cuts something of one file, of any kind, or removes it. False: there is no
 * file that could be damaged in a way that the format can notice. */
bool crash_damage_draw(struct crash_damage *damage, struct lv_image_disk *image,
                       struct lv_random *random);
