/*
 * store/logfile.h - reads a shard's log files: at start-up, for a check and for a dump.
 *
 * A scan walks all blocks in order, verifies each, and shows it. It never writes. Where no block
 * continues, it looks for blocks behind that place: one that says that the place had been synced
 * makes it damage, else it is the end of what was written.
 * Pure but for disk.h; any thread that owns the scan.
 */
#pragma once

#include "store/disk.h"
#include "store/format.h"

/* One file of the log, by its head. */
struct lv_logfile {
    char name[LV_DISK_NAME_SIZE];
    struct lv_log_head head;
};

/* The file's name; shard below 256. */
void lv_logfile_name(uint32_t shard, uint64_t number, char name[LV_DISK_NAME_SIZE]);
/* False: not a log file's name. */
bool lv_logfile_parse_name(const char *name, uint32_t *ret_shard, uint64_t *ret_number)
    LV_MUST_CHECK;

/* The head of the file of this name. -LV_E_NOT_FOUND: it is made ready and not used yet (it begins
 * with zeros, or with the head of an earlier life), or it is not there any more. -LV_E_CORRUPT: the
 * sentence names file and offset; -LV_E_VERSION: a newer or unknown version wrote it, and what to
 * do. */
int lv_logfile_read_head(struct lv_disk *disk, const char *name, struct lv_logfile *ret_file,
                         struct lv_diag *diag) LV_MUST_CHECK;
/* All log files of the shard that are in use, ascending by number; none may cover a number of
 * another. Whether the first and the last are there only the checkpoint knows (checkpoint.h).
 * Errors of lv_logfile_read_head(). Gives *ret_files, for lv_free(). */
int lv_logfile_list(struct lv_disk *disk, uint32_t shard, struct lv_logfile **ret_files,
                    size_t *ret_count, struct lv_diag *diag) LV_MUST_CHECK;

/* Where the log breaks off and goes on. Bytes in between are lost; what they were is unknown. */
struct lv_logfile_damage {
    const struct lv_logfile *file; /* view  the last good block lies in it */
    uint64_t offset;               /*       in `file`: where the next block should be */
    const struct lv_logfile *next; /* view  NULL: nothing is behind it */
    uint64_t next_offset;          /*       in `next`: where the log goes on */
    uint64_t size;                 /*       bytes of the log between them, as far as is known */
    const char *sentence;          /* view  all of this for people */
};

/* What a scan shows, in the order of LSNs. Less than zero ends the scan with that result. */
struct lv_logfile_visitor {
    /* Each block with all of its bytes (with its head), valid only during the call. May be NULL. */
    int (*block)(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                 const uint8_t *bytes);
    /* 0 goes on behind the damage. NULL: any ends the scan with -LV_E_CORRUPT and its sentence. */
    int (*damage)(void *ctx, const struct lv_logfile_damage *damage);
    void *ctx; /* view */
};

struct lv_logfile_end {
    uint64_t lsn; /* behind the last valid block; LSN of the first file's first block when none */
    uint64_t next_number; /* behind all numbers of the files: a log that goes on begins with it */
    uint64_t block_count, record_count;
    uint64_t dropped_size; /* bytes of blocks behind the end, vouched for by nobody: what a crash
                              cut off */
    bool is_clean;         /* the last record is LV_RECORD_CLEAN */
};

/* Scans the files of one shard, as lv_logfile_list() gives them. What it shows is not all on disk
 * when only the process had ended, not the machine: who goes on writing syncs the files first.
 * -LV_E_NOT_FOUND: a file is not there any more, as a running broker uses it again; list again. */
int lv_logfile_scan(struct lv_disk *disk, const struct lv_logfile *files, size_t count,
                    const struct lv_logfile_visitor *visitor, struct lv_logfile_end *ret_end,
                    struct lv_diag *diag) LV_MUST_CHECK;

/* Called for each record of a block. `payload` has head->size bytes and lies at `lsn`. */
typedef int lv_logfile_record_fn(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                                 const uint8_t *payload);
/* Walks the records of one verified block; checks every size and every kind's payload against its
 * count. -LV_E_CORRUPT: the block was hashed with nonsense in it. `each` may be NULL; less than
 * zero from it ends the walk with that result. */
int lv_block_each(const struct lv_block_head *block, const uint8_t *bytes,
                  lv_logfile_record_fn *each, void *ctx) LV_MUST_CHECK;

/* A block's hash, over `size - 8` bytes behind its first field. */
uint64_t lv_block_hash(const uint8_t *bytes, uint32_t size, uint64_t seed);
/* Fills in magic, version and check. */
void lv_log_head_seal(struct lv_log_head *head);
