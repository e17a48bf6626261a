/*
 * server/keeper.h - the thread that carries durable changes of the topology into the metadata.
 *
 * Shard 0 hands over each change that it has logged and says how far the log is on disk; the keeper
 * applies what is there, many changes in one transaction, together with the LSN that they reach.
 * So the file never runs ahead of the log, which may be used again where lv_keeper_has() all of it.
 * Nobody waits for the keeper: it lets changes collect for some milliseconds, since each of its
 * transactions is a sync that competes with the log's.
 *
 * What the log says is all there is to it: queues and exchanges take their bindings along, but an
 * auto-delete exchange that goes is a change of its own, because it may go (or stay) by bindings
 * that are not durable.
 *
 * A full disk, or a foreign program that keeps the file locked, makes it wait and try again. Any
 * other failure is the end (lv_keeper_error()); the changes are in the log all the same.
 */
#pragma once

#include "broker/topology.h"
#include "io/thread.h"
#include "store/metadata.h"

#include <pthread.h>
#include <stdatomic.h>

struct lv_keeper_entry; /* a change that waits */

/* Called by the keeper's thread when lv_keeper_applied(), _is_full() or _error() has changed. */
typedef void lv_keeper_wake_fn(void *ctx);

struct lv_keeper {
    struct lv_thread thread;
    struct lv_metadata *metadata; /* view  the keeper's alone while it runs */
    lv_keeper_wake_fn *wake;
    void *wake_ctx; /* view */

    pthread_mutex_t mutex;
    pthread_cond_t cond;                    /*       something to do, or the end */
    struct lv_keeper_entry *first, **where; /* own   mutex; in the order of the log */
    uint32_t count;                         /*       mutex; of these */
    uint64_t synced;                        /*       mutex */
    uint64_t taken;                         /*       mutex; LSN of the last that was in a batch */
    bool is_ending;                         /*       mutex */

    struct lv_keeper_entry *batch; /* own   the thread's, being applied */
    struct lv_arena arena;         /*       the thread's, for one change */
    uint64_t last_queue_id;        /*       the thread's */

    atomic_ullong applied; /* any   LSN */
    atomic_bool is_full;   /* any   waits for room, or for the file's lock */
    atomic_int error;      /* any   0, or -LV_E_… that ended it */
    struct lv_diag diag;   /*       the sentence, once `error` is set */
};

/* Its thread begins. Both outlive it. The caller has loaded what it wants to know of the file, and
 * adds again what the log has behind lv_metadata_lsn(). */
int lv_keeper_start(struct lv_keeper *keeper, struct lv_metadata *metadata, lv_keeper_wake_fn *wake,
                    void *wake_ctx) LV_MUST_CHECK;
/* A change of durable objects, as lv_change_encode() wrote it (copied), in the order of the log;
 * `lsn_end` lies behind its record. One thread, which is not blocked. -LV_E_NOMEM. */
int lv_keeper_add(struct lv_keeper *keeper, uint64_t lsn_end, struct lv_bytes change) LV_MUST_CHECK;
/* The log is on disk up to `lsn`, and all changes below it were added. The same thread. */
void lv_keeper_synced(struct lv_keeper *keeper, uint64_t lsn);
/* Is all in the file that was added and ends at or below `lsn`? The same thread. */
bool lv_keeper_has(struct lv_keeper *keeper, uint64_t lsn);
/* Applies what is on disk in the log, but does not wait for room; then its thread ends. */
void lv_keeper_stop(struct lv_keeper *keeper);

/* The LSN of the last change that is in the file. */
static inline uint64_t lv_keeper_applied(struct lv_keeper *keeper)
{
    return atomic_load_explicit(&keeper->applied, memory_order_acquire);
}

/* Is it waiting for room? */
static inline bool lv_keeper_is_full(struct lv_keeper *keeper)
{
    return atomic_load_explicit(&keeper->is_full, memory_order_acquire);
}

/* 0, or why it has ended; lv_keeper.diag has the sentence. */
static inline int lv_keeper_error(struct lv_keeper *keeper)
{
    return atomic_load_explicit(&keeper->error, memory_order_acquire);
}

/* At start-up: everything in the file as changes in an order in which they can be applied: views,
 * valid during the call. Not zero ends it with that result. */
typedef int lv_keeper_each_fn(void *ctx, const struct lv_change *change);
/* *ret_last_queue_id is the largest id that a durable queue ever had. */
int lv_keeper_load(struct lv_metadata *metadata, lv_keeper_each_fn *each, void *ctx,
                   uint64_t *ret_last_queue_id, struct lv_diag *diag) LV_MUST_CHECK;
