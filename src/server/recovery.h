/*
 * server/recovery.h - from what the disk has to shards that may run: their logs, queues and
 * messages.
 *
 * In this order: the topology, first from the metadata (lv_recovery_apply() for each change), then
 * from shard 0's log; what the logs say is gone; what segments have; the logs' messages. No threads
 * and no clock, so that tests recover from any state of a disk. Blocks on the disk; start-up only.
 */
#pragma once

#include "base/arena.h"
#include "broker/restore.h"
#include "store/checkpoint.h"
#include "store/disk.h"

#define LV_RECOVERY_SHARDS_MAX 64u

struct lv_recovery_shard {
    struct lv_broker *broker; /* view  without messages */
    struct lv_log *log;       /* view  empty */
    /* results */
    uint64_t oldest; /* number of the first log file there is, or of the next one */
    struct lv_logfile_end end;
    struct lv_checkpoint checkpoint; /* what the next start will hold against the log */
};

struct lv_recovery {
    struct lv_disk *disk; /* view */
    uint32_t shard_count;
    bool is_syncing;  /* `durability = disk` from now on */
    uint64_t applied; /* LSN: the metadata has what shard 0's log says below it */
    /* A change that the metadata does not have, as it is in the log; in order. Less than zero ends
     * the recovery with that result. */
    int (*changed)(void *ctx, uint64_t lsn_end, struct lv_bytes change);
    void *ctx; /* view */
    struct lv_recovery_shard shards[LV_RECOVERY_SHARDS_MAX];
};

/* The number behind those of all segments the shard has: of its next one. */
int lv_recovery_next_segment(struct lv_disk *disk, uint32_t shard, uint64_t *ret_number)
    LV_MUST_CHECK;

/* Applies a change of the topology on every shard; `ctx` is the struct lv_recovery. -LV_E_NOMEM:
 * what else a change says is wrong with it was so when it was made, too. */
int lv_recovery_apply(void *ctx, const struct lv_change *change) LV_MUST_CHECK;

/* When the metadata has been applied: all else. When it returns 0, all that it has found is on
 * disk. Segments that nobody wants are removed. From here on the broker runs, as far as the next
 * start is concerned. */
int lv_recovery_run(struct lv_recovery *recovery, struct lv_diag *diag) LV_MUST_CHECK;
/* All logs end with LV_RECORD_CLEAN, with `durability = disk` on disk: the broker has ended in good
 * order, shard i's log at the LSN ends[i]. */
int lv_recovery_end(struct lv_disk *disk, uint32_t shard_count, const uint64_t *ends,
                    bool is_syncing) LV_MUST_CHECK;
