/*
 * server/logfiles.h - the files of a shard's log, as they are made, written and used again.
 *
 * A file is filled with zeros and synced under the name of a spare one; it gets its own name with
 * its head when the log comes to it, and may become a spare one again when the log has left it. No
 * threads: the writer calls what is about the open file, the helper the rest.
 */
#pragma once

#include "store/checkpoint.h"
#include "store/disk.h"
#include "store/log.h"

/* What is being written. */
struct lv_logfiles {
    struct lv_disk *disk; /* view */
    uint32_t shard;
    bool is_syncing; /* `durability = disk` */
    uint64_t number; /* of the open file */
    int file;        /* -1: none */
};

/* No file is open; the disk outlives it. */
void lv_logfiles_init(struct lv_logfiles *files, struct lv_disk *disk, uint32_t shard,
                      bool is_syncing);
/* Closes the open file. */
void lv_logfiles_fini(struct lv_logfiles *files);

/* Does the log go on in another file with this? */
bool lv_logfiles_is_turn(const struct lv_logfiles *files, const struct lv_log_write *write);
/* Then this comes first: the last file is synced, the new one made, from the spare one if it has
 * the usual size; the spare one is made on the spot unless `has_spare`. -LV_E_FULL: may be tried
 * again. */
int lv_logfiles_turn(struct lv_logfiles *files, const struct lv_log_write *write, bool has_spare)
    LV_MUST_CHECK;
/* Into the open file. -LV_E_FULL: may be tried again. */
int lv_logfiles_write(struct lv_logfiles *files, const struct lv_log_write *write) LV_MUST_CHECK;
/* What was written is on disk (with `durability = os`: it may be). Never to be tried again. */
int lv_logfiles_sync(struct lv_logfiles *files) LV_MUST_CHECK;

/* The shard's spare file, whole and synced, or not there. */
int lv_logfiles_make_spare(struct lv_disk *disk, uint32_t shard) LV_MUST_CHECK;
/* The log begins with next->begin, which is on disk: files from `from` to that one go, the oldest
 * first. The last that can be one is kept for the next spare one. Any error: it may be tried again
 * with the same `from`. */
int lv_logfiles_recycle(struct lv_disk *disk, uint32_t shard, uint64_t from,
                        const struct lv_checkpoint *next) LV_MUST_CHECK;
