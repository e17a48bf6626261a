/*
 * server/shared.h - what all shards of a broker have in common.
 *
 * Written by the main thread before the shards start, read by all afterwards; what changes later is
 * atomic.
 */
#pragma once

#include "server/keeper.h"
#include "server/memory.h"
#include "server/mesh.h"
#include "server/settings.h"
#include "server/space.h"
#include "session/amqp091/session.h"

struct lv_handshakers;
struct lv_listener;
struct lv_shard;

/* Only ever forward, and every shard goes through each. */
enum lv_phase {
    LV_PHASE_RUNNING,
    LV_PHASE_DRAINING, /* nobody new comes in, nothing is delivered; who has nothing unacked goes */
    LV_PHASE_STOPPING, /* clients are told to go */
    LV_PHASE_DROPPING, /* those who have not gone are cut off */
    LV_PHASE_ENDED     /* threads end */
};

/* Owned by the main thread, which outlives the shards. */
struct lv_shared {
    const struct lv_settings *settings; /* view */
    struct lv_session_limits limits;
    char information[96];        /* what clients are told about us beside the product */
    struct lv_hash_key hash_key; /* of the tables whose keys clients choose */
    struct lv_mesh *mesh;        /* own */
    struct lv_shard **shards;    /* own */
    uint32_t shard_count;
    uint32_t next_shard;           /*       shard 0's: who gets the next connection */
    struct lv_listener *listeners; /* own   on shard 0 */
    unsigned listener_count;
    struct lv_handshakers *handshakers; /* own   NULL: no listener has TLS */
    struct lv_reactor *main; /* view  the main thread's, to be woken when the last client left */
    struct lv_disk *disk;    /* view  of the data directory */
    struct lv_metadata *metadata; /* own   the keeper's while it runs */
    struct lv_keeper keeper;
    bool is_keeping;               /* the keeper's thread runs */
    struct lv_alarms alarms;       /* any */
    struct lv_memory memory;       /* any */
    struct lv_space space;         /*       the main thread's, but for lv_space_full() */
    atomic_ullong topology_synced; /* any   LSN: shard 0's log is on disk up to here */
    atomic_int disk_error;         /* any   not 0: why the log can't be written any more */
    atomic_int phase;              /* any   enum lv_phase */
    atomic_uint connections;       /* any   of all shards */
    unsigned connections_max;      /*       more would leave no descriptors for files */
    atomic_uint stopping;          /* any   shards that take nobody new any more */
};

/* Acquire: who sees a phase sees all that was written before it was entered. */
static inline enum lv_phase lv_shared_phase(struct lv_shared *shared)
{
    return (enum lv_phase)atomic_load_explicit(&shared->phase, memory_order_acquire);
}
