/*
 * server/desk.h - where operators ask: the control socket, answered by the shards.
 *
 * The main thread's, on its reactor. Parts of an answer go to a shard as calls and come back
 * through a mailbox, so no shard waits for a reader and nothing of a shard is touched from here.
 */
#pragma once

#include "admin/control.h"
#include "server/deeds.h"
#include "server/shared.h"

struct lv_desk_config {
    struct lv_shared *shared; /* view */
    const char *directory;    /* view  the data directory; outlives the desk */
    const uint64_t *now;      /* view  of the main reactor's waits */
    void (*stop)(void *ctx);  /*       somebody asks for the broker's end */
    /* Or for one that waits so long for what clients have. */
    void (*drain)(void *ctx, uint64_t seconds);
    void *ctx; /* view */
};

/* All zeros is one that is not open. */
struct lv_desk {
    struct lv_desk_config config;
    struct lv_control *control; /* own   NULL: not open */
    struct lv_mailbox answers;  /* any */
    struct lv_deeds deeds;
    uint64_t began;
};

/* Before the shards' threads start. */
int lv_desk_open(struct lv_desk *desk, const struct lv_desk_config *config, struct lv_diag *diag)
    LV_MUST_CHECK;
/* When lv_desk_turn() is wanted next, besides after every wait; LV_NEVER when it is not open. */
uint64_t lv_desk_next(const struct lv_desk *desk);
/* What has come back from shards goes out. */
void lv_desk_turn(struct lv_desk *desk);
/* The socket is gone and who is there is cut off. False: a shard still has a part of an answer;
 * turns go on until it is true, with the shards running. */
bool lv_desk_close(struct lv_desk *desk);
