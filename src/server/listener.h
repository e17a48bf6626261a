/*
 * server/listener.h - takes in connections and spreads them over the shards in turn.
 *
 * Lives on one shard's reactor; before that shard's thread runs, the main thread sets it up. When
 * the process is out of descriptors or memory it stops accepting for a moment, says so once, and
 * says when it goes on: those who wait stay in the kernel's queue.
 */
#pragma once

#include "base/deadline.h"
#include "io/address.h"
#include "io/reactor.h"

struct lv_shared;

/* On shard 0. Paused while there are no descriptors for whoever comes. */
struct lv_listener {
    struct lv_watch watch;
    struct lv_shared *shared; /* view */
    struct lv_shard *shard;   /* view  whose thread it lives on */
    struct lv_deadline retry;
    struct lv_address address;
    bool is_tls;    /* a handshake comes before the shard */
    bool is_paused; /* and the log has been told */
};

/* Listens and adds itself to the shard's reactor. */
int lv_listener_open(struct lv_listener *listener, struct lv_shard *shard,
                     const struct lv_address *address, bool is_tls, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Nothing happens to one that is closed, or all zeros. */
void lv_listener_close(struct lv_listener *listener);
