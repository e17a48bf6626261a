/*
 * store/segment_format.h - how a segment lies on disk. Version 1; little-endian.
 *
 *   struct lv_segment_head
 *   messages: struct lv_segment_record, the bytes, zeros up to a multiple of 8; ascending by queue,
 *             then by number. Those of one queue are its run.
 *   table:    struct lv_segment_run of each queue, then struct lv_segment_mark: about every
 *             LV_SEGMENT_MARK_SIZE bytes of a run the place of a message
 *   struct lv_segment_foot, the file's last bytes
 *
 * Every message carries two checks. The one of its head is small, but says without a look at the
 * bytes where the next message lies; a damaged message costs only itself. Where a head is damaged
 * the next one is searched: the seed makes that no message can hold bytes that look like another.
 * Marks count the messages before them, so that what is missing between two of them is known.
 *
 * Magic, version and check lie in the head of any version as they do here.
 */
#pragma once

#include "base/hash.h"
#include "store/segment.h"

#define LV_SEGMENT_MAGIC "LVSEG\r\n\032"
#ifndef LV_SEGMENT_MARK_SIZE /* tests make it small */
#define LV_SEGMENT_MARK_SIZE (64u << 10)
#endif

struct lv_segment_head {
    char magic[8];
    uint32_t version; /* LV_FORMAT_VERSION */
    uint32_t shard;
    uint64_t number;
    uint64_t first_number; /* == number, unless it was merged from others */
    uint64_t covers;
    uint64_t seed;
    uint64_t check; /* XXH3 of all before it, seed 0 */
};

struct lv_segment_record {
    uint64_t check; /* XXH3 of the bytes, seeded with the head's hash */
    uint64_t seq;
    uint32_t size;
    uint32_t tag; /* enum lv_segment_flag in the lowest byte, the head's hash in the others */
};

struct lv_segment_mark {
    uint64_t seq;    /* of the message that lies */
    uint64_t offset; /* here in the file; never a run's first */
    uint32_t index;  /* messages of the run before it */
    uint32_t zero;
};

struct lv_segment_foot {
    uint64_t table_offset;
    uint64_t table_check; /* XXH3 of the marks, seeded with that of the runs, with the file's */
    uint32_t run_count;
    uint32_t mark_count;
    uint64_t check; /* XXH3 of all before it, with the file's seed */
};

#define LV_SEGMENT_FLAGS 0xffu

static_assert(sizeof(struct lv_segment_head) == 56, "as it lies on disk");
static_assert(sizeof(struct lv_segment_record) == 24, "as it lies on disk");
static_assert(sizeof(struct lv_segment_run) == 48, "as it lies on disk");
static_assert(sizeof(struct lv_segment_mark) == 24, "as it lies on disk");
static_assert(sizeof(struct lv_segment_foot) == 32, "as it lies on disk");

/* What the checks of a queue's messages are seeded with: in another queue they mean nothing. */
static inline uint64_t lv_segment_run_seed(uint64_t seed, uint64_t queue_id)
{
    return lv_xxh3(&queue_id, sizeof queue_id, seed);
}

/* The hash of a record's head. */
static inline uint64_t lv_segment_head_hash(const struct lv_segment_record *record,
                                            uint64_t run_seed)
{
    const struct {
        uint64_t seq;
        uint32_t size, flags;
    } head = {record->seq, record->size, record->tag & LV_SEGMENT_FLAGS};

    return lv_xxh3(&head, sizeof head, run_seed);
}

/* The tag that belongs to this hash and these flags. */
static inline uint32_t lv_segment_tag(uint64_t head_hash, uint32_t flags)
{
    return ((uint32_t)head_hash & ~LV_SEGMENT_FLAGS) | (flags & LV_SEGMENT_FLAGS);
}

/* Bytes of the file that a message of this size takes. */
static inline uint64_t lv_segment_record_size(uint32_t size)
{
    return (sizeof(struct lv_segment_record) + (uint64_t)size + 7) & ~(uint64_t)7;
}

/* The checks of head, foot and table. */
static inline uint64_t lv_segment_head_check(const struct lv_segment_head *head)
{
    return lv_xxh3(head, offsetof(struct lv_segment_head, check), 0);
}

static inline uint64_t lv_segment_foot_check(const struct lv_segment_foot *foot, uint64_t seed)
{
    return lv_xxh3(foot, offsetof(struct lv_segment_foot, check), seed);
}

static inline uint64_t lv_segment_table_check(const struct lv_segment_run *runs, uint32_t run_count,
                                              const struct lv_segment_mark *marks,
                                              uint32_t mark_count, uint64_t seed)
{
    return lv_xxh3(marks, mark_count * sizeof *marks,
                   lv_xxh3(runs, run_count * sizeof *runs, seed));
}
