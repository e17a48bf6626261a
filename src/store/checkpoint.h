/*
 * store/checkpoint.h - from where to where a shard's log was on disk: what its files can't say of
 * those that are not there.
 *
 * Without it a log whose first or last files were lost would look like one that begins later or
 * ends sooner. It moves before files leave the log, when a broker has found what the log has, and
 * when it has ended in good order; so between its two ends nothing may be missing.
 *
 * The file `checkpoint-SS` (shard, hexadecimal) has two of struct lv_checkpoint_slot, each in
 * LV_CHECKPOINT_STRIDE bytes of its own. The newer one that is whole counts and the other one is
 * written next: so it needs no room on a full disk, and what a crash tears is not what counts.
 * Pure but for disk.h; one thread at a time for each shard.
 */
#pragma once

#include "store/logfile.h"

#define LV_CHECKPOINT_MAGIC  "LVCHK\r\n\032"
#define LV_CHECKPOINT_STRIDE 4096u

/* As it lies on disk; little-endian. Magic and version lie so in every version. */
struct lv_checkpoint_slot {
    char magic[8];
    uint32_t version; /* LV_FORMAT_VERSION */
    uint32_t shard;
    uint64_t count; /* one more with each */
    uint64_t begin, end, changes;
    uint64_t is_syncing;
    uint64_t check; /* XXH3 of all before it, seed 0 */
};

struct lv_checkpoint {
    uint64_t begin;   /* number of the log's first file: all from it on are needed */
    uint64_t end;     /* LSN: the log reached at least up to here; 0: it may have no file yet */
    uint64_t changes; /* LSN: up to here the metadata had what the log said of the topology, at
                         least; nobody else knows of what stood before the log's beginning */
    bool is_syncing;  /* `durability = disk`: what others were told is on disk is in the log */
    bool is_torn;     /* one slot is not whole, so this may be an older one */
};

/* The file's name; shard below 256. */
void lv_checkpoint_name(uint32_t shard, char name[LV_DISK_NAME_SIZE]);
/* False: not a checkpoint's name. */
bool lv_checkpoint_parse_name(const char *name, uint32_t *ret_shard) LV_MUST_CHECK;

/* -LV_E_NOT_FOUND: the shard has none, so it never had a log. -LV_E_CORRUPT, -LV_E_VERSION: with a
 * sentence that names the file. */
int lv_checkpoint_read(struct lv_disk *disk, uint32_t shard, struct lv_checkpoint *ret_checkpoint,
                       struct lv_diag *diag) LV_MUST_CHECK;
/* It is on disk when this returns 0; its ends never go back. -LV_E_FULL: the old one counts, later
 * it may be tried again. */
int lv_checkpoint_advance(struct lv_disk *disk, uint32_t shard,
                          const struct lv_checkpoint *checkpoint) LV_MUST_CHECK;

/* Are the first of these files, which are lv_logfile_list()'s, and all that the log must have,
 * there and in use? Else -LV_E_CORRUPT, with a sentence that names the file. */
int lv_checkpoint_check_begin(const struct lv_checkpoint *checkpoint, uint32_t shard,
                              const struct lv_logfile *files, size_t count, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Does the log in these files, of which there is one at least, end at `lsn` where it may? Else
 * -LV_E_CORRUPT. */
int lv_checkpoint_check_end(const struct lv_checkpoint *checkpoint, const struct lv_logfile *files,
                            size_t count, uint64_t lsn, struct lv_diag *diag) LV_MUST_CHECK;
