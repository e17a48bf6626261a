/*
 * tests/crash/world.h - shards whose logs and segments lie on a disk in memory, in one thread.
 *
 * What the server's threads do is cut into steps: the writer takes, writes, syncs and reports, the
 * helper does its jobs one by one, the metadata gets what has been logged. A step is drawn from the
 * seed, so clients, shards and disk meet in every order, and a crash may come between any two
 * steps or, by the image's watch, in the middle of one. What server/spill.c and server/merger.c do
 * is written down once more for that, as the state of a shard and its jobs; they themselves are
 * driven step by step in their own tests.
 */
#pragma once

#include "base/random.h"
#include "broker/cold.h"
#include "broker/harness.h"
#include "broker/merge.h"
#include "server/logfiles.h"
#include "server/recovery.h"
#include "store/image_disk.h"

/* A change of the topology, as it is in the log. */
struct crash_change {
    uint64_t lsn_end;
    size_t size;
    uint8_t *bytes; /* own */
};

struct crash_changes {
    struct crash_change *list; /* own */
    size_t count, capacity;
};

/* What the metadata has; it changes in one step, which a crash sees whole or not at all. */
struct crash_metadata {
    struct crash_changes changes; /* all that were ever applied */
    uint64_t applied;             /* LSN */
};

void crash_metadata_copy(struct crash_metadata *to, const struct crash_metadata *from);
void crash_metadata_fini(struct crash_metadata *metadata);

#define CRASH_BATCH_MAX 8u
#define CRASH_EARLY_MAX 32u

enum crash_job_kind {
    CRASH_JOB_SPARE,
    CRASH_JOB_RECYCLE,
    CRASH_JOB_SPILL,
    CRASH_JOB_LOAD,
    CRASH_JOB_DROP,
    CRASH_JOB_MERGE,
    CRASH_JOB_REMOVE
};

/* The helper's. */
struct crash_job {
    enum crash_job_kind kind;
    uint64_t from;    /* load: the first number to read */
    uint64_t to;      /* recycle: number of the log's first file */
    uint64_t changes; /* recycle: LSN that the metadata has reached */
    uint64_t queue_id;
    uint64_t segment; /* load, drop */
    bool one;
};

enum crash_spare { CRASH_SPARE_NONE, CRASH_SPARE_WANTED, CRASH_SPARE_READY };
enum crash_spill {
    CRASH_SPILL_IDLE,
    CRASH_SPILL_SYNCING,
    CRASH_SPILL_WRITING,
    CRASH_SPILL_FAILED,
    CRASH_SPILL_WRITTEN
};

/* As server/merger.h has it. */
enum crash_merge {
    CRASH_MERGE_IDLE,
    CRASH_MERGE_COLLECTING,
    CRASH_MERGE_WAITING,
    CRASH_MERGE_WRITING,
    CRASH_MERGE_SWITCHING,
    CRASH_MERGE_REMOVING
};

struct crash_shard {
    struct crash_world *world; /* view */
    uint32_t number;
    /* the writer */
    struct lv_logfiles files;
    struct lv_log_write batch[CRASH_BATCH_MAX];
    uint32_t batch_count, batch_done;
    bool is_full;    /* has to try again */
    uint64_t synced; /* LSN, not reported yet */
    enum crash_spare spare;
    uint64_t oldest; /* number of the first file there is */
    /* the helper */
    struct crash_job *jobs; /* own */
    size_t job_first, job_count, job_capacity;
    struct crash_job early[CRASH_EARLY_MAX]; /* loads from the segment that is not written yet */
    size_t early_count;
    /* the spiller */
    enum crash_spill spill_state;
    struct lv_spill spill;
    uint64_t next_segment;
    /* the merger */
    enum crash_merge merge_state;
    struct lv_merge merge;
    struct lv_segment_merging merging;
    uint64_t merged[LV_MERGE_SOURCES_MAX]; /* numbers: to be removed */
    uint32_t merged_count;
    bool is_refused;          /* while they are removed: there was no room to do it */
    uint64_t topology_synced; /* as the broker was told */
};

struct crash_world {
    struct lv_sim sim;
    struct lv_random random;
    struct lv_image_disk *image; /* own */
    struct lv_disk *disk;        /* view  of the image */
    struct crash_metadata metadata;
    struct crash_changes pending; /* changes that the metadata has not got yet */
    int error;                    /* what the broker would have stopped for */
    bool is_ending;               /* nothing reaches the disk any more */
    bool is_cut;                  /* a segment can't be read to its end */
    uint64_t damaged_count;       /* messages that could not be loaded, as it was said */
    struct lv_diag damage;        /* the sentence */
    struct lv_logfile_end ends[LV_SIM_SHARDS_MAX]; /* of what was recovered */
    struct crash_shard shards[LV_SIM_SHARDS_MAX];
};

/* Recovers what is on the disk. Takes the image, also when it fails. */
int crash_world_open(struct crash_world *world, uint32_t shard_count, uint64_t seed,
                     struct lv_image_disk *image, const struct crash_metadata *metadata,
                     struct lv_diag *diag) LV_MUST_CHECK;
/* Of one that was opened. Clients are closed, which nothing on the disk will know of. */
void crash_world_close(struct crash_world *world);

/* Something happens on the way to the disk or from it, if there is anything. */
void crash_world_step(struct crash_world *world);
/* All that is under way between shards arrives, and what has to be loaded is. */
void crash_world_settle(struct crash_world *world);
/* Besides, all that was logged reaches the disk and everybody knows; false when the disk does not
 * let it. */
bool crash_world_sync(struct crash_world *world);
/* From now on the disk is left alone, while clients are closed. */
void crash_world_end(struct crash_world *world);
/* Stops in good order: all clients are closed. False when the disk does not let it. */
bool crash_world_stop(struct crash_world *world);
