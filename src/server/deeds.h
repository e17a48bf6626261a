/*
 * server/deeds.h - does what operators ask for: the way of a deed over helper and shards.
 *
 * Passwords are hashed and definitions read and written by a helper thread, which begins with the
 * first deed that needs it. Changes are given to shard 0, and connections closed by their own
 * shards. The main thread's but for what runs elsewhere.
 */
#pragma once

#include "admin/deed.h"
#include "server/helper.h"
#include "server/shared.h"

struct lv_deeds {
    struct lv_shared *shared; /* view */
    struct lv_helper helper;
    bool has_helper;
    struct lv_mailbox done;    /* any   deeds, by their letters */
    struct lv_letter *letters; /*       taken from there already */
};

void lv_deeds_init(struct lv_deeds *deeds, struct lv_shared *shared);
/* Takes the deed until lv_deeds_take() gives it on. */
void lv_deeds_do(struct lv_deeds *deeds, struct lv_deed *deed);
/* After every wait. Gives a deed that is done, or NULL: that is all. */
struct lv_deed *lv_deeds_take(struct lv_deeds *deeds);
/* When all deeds are done. Takes one that is all zeros. */
void lv_deeds_stop(struct lv_deeds *deeds);
