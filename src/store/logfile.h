/*
 * store/logfile.h - reads a shard's log files: at start-up, for a check and for a dump.
 *
 * A scan walks all blocks in order, verifies each, and shows its records. It never writes. What is
 * not valid ends it; what that means (the end of what was written, or damage) is in the result.
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

/* The heads of all log files of the shard, ascending by number. Files whose head is not valid are
 * left out when they hold nothing but zeros there (made ready and not used yet) and are an error
 * otherwise: -LV_E_CORRUPT names file and offset; -LV_E_VERSION says that a newer or unknown
 * version wrote it and what to do. Gives *ret_files, for lv_free(). */
int lv_logfile_list(struct lv_disk *disk, uint32_t shard, struct lv_logfile **ret_files,
                    size_t *ret_count, struct lv_diag *diag) LV_MUST_CHECK;

/* Called for each block with all of its bytes, valid only during the call, in the order of LSNs.
 * Not zero ends the scan with that result. */
typedef int lv_logfile_block_fn(void *ctx, const struct lv_block_head *block, const uint8_t *bytes);
/* Called for each record of a block. `payload` has head->size bytes. */
typedef int lv_logfile_record_fn(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                                 const uint8_t *payload);

struct lv_logfile_end {
    uint64_t lsn; /* behind the last valid block; LSN of the first file's first block when none */
    uint64_t block_count, record_count;
    uint64_t dropped_size; /* bytes behind it that are no zeros and vouched for by nobody: what a
                              crash cut off */
    bool is_clean;         /* the last record is LV_RECORD_CLEAN */
};

/* Scans `count` files (ascending, as lv_logfile_list() gives them; numbers must follow each other,
 * a gap is -LV_E_CORRUPT) for one shard. `buffer` of at least the largest file_size bytes is
 * used for reading, or NULL to have one allocated. -LV_E_CORRUPT: damage before the end; the
 * sentence names file, offset and how many bytes from there to the next valid block are affected.
 */
int lv_logfile_scan(struct lv_disk *disk, const struct lv_logfile *files, size_t count,
                    lv_logfile_block_fn *each, void *ctx, struct lv_logfile_end *ret_end,
                    struct lv_diag *diag) LV_MUST_CHECK;

/* Walks the records of one verified block; checks every size and every kind's payload against its
 * count. -LV_E_CORRUPT: the block was hashed with nonsense in it. */
int lv_block_each(const struct lv_block_head *block, const uint8_t *bytes,
                  lv_logfile_record_fn *each, void *ctx) LV_MUST_CHECK;

/* A block's hash, over `size - 8` bytes behind its first field. */
uint64_t lv_block_hash(const uint8_t *bytes, uint32_t size, uint64_t seed);
/* Fills in magic, version and check. */
void lv_log_head_seal(struct lv_log_head *head);
