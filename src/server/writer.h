/*
 * server/writer.h - the thread that brings a shard's log to the disk.
 *
 * The shard gives it what is sealed; it writes all that has collected, syncs once, and says how far
 * the log is on disk. While one sync is under way the next batch collects, so there is no timer and
 * nothing to tune. The file behind the one being written is made ready ahead, by the helper.
 *
 * A full disk makes it wait for room and try again: nothing confirmed is lost and nothing further
 * is confirmed. Any other failure is the end (lv_writer.error): what was written may be lost by
 * the kernel, and a second sync would lie about it.
 */
#pragma once

#include "io/thread.h"
#include "server/helper.h"
#include "server/logfiles.h"

#include <pthread.h>
#include <stdatomic.h>

enum lv_spare { LV_SPARE_NONE, LV_SPARE_WANTED, LV_SPARE_READY };

struct lv_writer {
    struct lv_thread thread;
    struct lv_logfiles files; /*       the writer's; the helper reads whose they are */
    struct lv_helper *helper; /* view  makes files ready */
    lv_helper_wake_fn *wake;
    void *wake_ctx; /* view */

    pthread_mutex_t mutex;
    pthread_cond_t cond;          /*       something to write, a spare file, or the end */
    struct lv_log_write *waiting; /* own   mutex */
    uint32_t count, capacity;     /*       mutex */
    enum lv_spare spare;          /*       mutex */
    bool is_ending;               /*       mutex */
    int spare_error;              /*       mutex: why the last could not be made */
    bool is_spare_asked;          /*       mutex: the job is on its way */
    struct lv_job spare_job;      /*       the helper's while it is */
    uint64_t oldest;              /* the helper's: number of the first file there is */

    struct lv_log_write *batch; /* own   the writer's */
    uint32_t batch_capacity;

    atomic_ullong synced; /* any   LSN */
    atomic_int error;     /* any   0, or -LV_E_… that ended it */
    atomic_bool is_full;  /* any   waits for room on the disk */
};

/* Its thread begins; `wake` is called from it whenever lv_writer_synced() or _error() changed. */
int lv_writer_start(struct lv_writer *writer, uint32_t shard, struct lv_disk *disk,
                    struct lv_helper *helper, bool is_syncing) LV_MUST_CHECK;
/* The shard's thread. -LV_E_NOMEM: not taken. */
int lv_writer_add(struct lv_writer *writer, const struct lv_log_write *writes, uint32_t count)
    LV_MUST_CHECK;
/* The shard's thread: files with numbers below this one are no longer the log's; they become spare
 * files, or go. `changes`: as in struct lv_checkpoint. */
void lv_writer_recycle(struct lv_writer *writer, uint64_t number, uint64_t changes);
/* Writes what it has, then its thread ends. The helper may still have jobs of it. */
void lv_writer_stop(struct lv_writer *writer);
/* Once the helper has stopped as well: its jobs use the writer to their end. */
void lv_writer_fini(struct lv_writer *writer);

static inline uint64_t lv_writer_synced(struct lv_writer *writer)
{
    return atomic_load_explicit(&writer->synced, memory_order_acquire);
}
