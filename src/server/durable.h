/*
 * server/durable.h - a shard's log between memory and disk: read at start-up, written while it
 * runs, closed in good order.
 *
 * The shard hands over what its log has sealed once a turn and takes notice of how far it is on
 * disk. What somebody waits for is sealed at once; settles that nobody waits for may collect for
 * LAZY_NS. Functions are the shard's thread's; open and close the main thread's while that doesn't
 * run.
 */
#pragma once

#include "base/deadline.h"
#include "server/helper.h"
#include "server/merger.h"
#include "server/spill.h"
#include "server/writer.h"
#include "store/logfile.h"

struct lv_metadata;
struct lv_shard;
struct lv_shared;

struct lv_durable {
    struct lv_shard *shard; /* view */
    struct lv_log *log;     /* own */
    struct lv_helper helper;
    struct lv_writer writer;
    struct lv_spiller spiller;
    struct lv_merger merger;
    struct lv_deadline lazy;  /*      seals what nobody waits for */
    uint64_t topology_synced; /*      as the broker was told */
    bool is_full;             /*      as the main thread was told */
    bool is_started;          /*      its threads run */
    bool is_clean;            /*      ended, and all of it is on disk */
};

/* Before the shard's broker is made: an empty log. */
int lv_durable_init(struct lv_durable *durable, struct lv_shard *shard) LV_MUST_CHECK;
/* Takes what never ran, too. */
void lv_durable_fini(struct lv_durable *durable);

/* Reads the logs of all shards into their brokers, and says in one line what it found. */
int lv_durable_restore(struct lv_shared *shared, struct lv_diag *diag) LV_MUST_CHECK;
/* After all shards: what is left to be told to the metadata is. */
void lv_durable_end_topology(struct lv_shared *shared);
/* The broker's `changed`: a change of the topology is in shard 0's log. */
void lv_durable_changed(void *ctx, uint64_t lsn_end, struct lv_bytes change);
/* Its threads begin. */
int lv_durable_start(struct lv_durable *durable) LV_MUST_CHECK;
/* The shard's thread has ended: what a clean restart needs is written; its threads end. */
void lv_durable_stop(struct lv_durable *durable);

/* The log can't be written any more: the process ends, and recovers at its next start. */
void lv_durable_fail(struct lv_durable *durable, int error, const char *why);
/* Publishers hear that it, or that of another shard, has failed. */
void lv_durable_follow_error(struct lv_durable *durable);
/* Is the topology that the log below `lsn` speaks of in the metadata? */
bool lv_durable_may_forget(struct lv_durable *durable, uint64_t lsn);
/* Up to which LSN of this shard's log it is; 0 where the log has none of it. */
uint64_t lv_durable_applied(struct lv_durable *durable);

/* At the beginning of a turn: what has come from the disk. */
void lv_durable_take(struct lv_durable *durable);
/* When the broker has had its turn: what has to go there. */
void lv_durable_turn(struct lv_durable *durable);
