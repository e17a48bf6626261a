/*
 * store/format.h - how a shard's log lies on disk. Version 1; little-endian.
 *
 * Files: `log-SS-NNNNNNNN` (shard and number, hexadecimal), LV_LOG_FILE_SIZE bytes each, written
 * with zeros before they are used, and used again under the next number when nothing in them is
 * needed any more. An LSN is a position in the endless row of bytes that the files of one shard
 * make up: number * LV_LOG_FILE_SIZE + offset. A record larger than a file has a file of its own,
 * as long as it needs, that takes as many numbers as it covers.
 *
 *   file:    struct lv_log_head, padded to LV_LOG_HEAD_SIZE; then blocks
 *   block:   struct lv_block_head, then records. What was sealed together.
 *   record:  struct lv_record_head, its payload, zeros up to a multiple of 8
 *
 * A block follows the one before it directly, or begins the next page (LV_PAGE_SIZE) when that one
 * had no room, or a later file (behind its head): the next one, or after a crash one that had not
 * been used yet. It says where the block before it ends, so that what a crash left of later blocks
 * is never taken for the log's continuation. Where no block continues is the end of the log - or
 * damage: every block says how far the log had been synced when it was sealed, so a valid block
 * that lies behind the gap and vouches for bytes in the gap tells the two apart.
 * Hashes are XXH3 with the file's own random seed, so that neither an earlier life of the file nor
 * a message's body can look like a block of it.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define LV_FORMAT_VERSION 1u
#ifndef LV_LOG_FILE_SIZE /* tests have logs of many small files */
#define LV_LOG_FILE_SIZE (16u << 20)
#endif
#define LV_LOG_HEAD_SIZE 4096u
#define LV_LOG_MAGIC     "LVLOG\r\n\032"

struct lv_log_head {
    char magic[8];
    uint32_t version;
    uint32_t shard;
    uint64_t number;    /* the file's first LSN is number * LV_LOG_FILE_SIZE */
    uint64_t file_size; /* bytes, a multiple of LV_PAGE_SIZE */
    uint64_t seed;      /* random, new in every life of the file */
    uint64_t check;     /* XXH3 of all before it, seed 0 */
};

struct lv_block_head {
    uint64_t hash;     /* XXH3 of all behind this field up to `size`, with the file's seed */
    uint64_t lsn;      /* where this head lies */
    uint64_t previous; /* where the block before it ends; 0: it is the first */
    uint64_t synced;   /* all below it had been synced when the block was sealed; 0: not said */
    uint32_t size;     /* bytes with this head, a multiple of 8 */
    uint32_t count;    /* records, at least 1 */
};

struct lv_record_head {
    uint32_t size; /* bytes of payload */
    uint8_t kind;  /* enum lv_record_kind */
    uint8_t flags; /* 0 */
    uint16_t count;
};

enum lv_record_kind {
    /* `count` × struct lv_record_place: the queues that got the message; then the message, as
     * broker/message.h says. */
    LV_RECORD_MESSAGE = 1,
    /* struct lv_record_queue, then `count` × struct lv_record_range: sequence numbers of messages
     * that are gone (acknowledged, purged, expired). */
    LV_RECORD_SETTLE = 2,
    /* The same head; with the settle and bits records behind it all that is gone of the queue's
     * numbers from `low` on: replaces what earlier records said. Written again before the file that
     * holds the last one is used again. */
    LV_RECORD_STATE = 3,
    /* Shard 0 only: a change of exchanges, queues or bindings, as broker/change.h says. */
    LV_RECORD_CHANGE = 4,
    /* The broker was stopped in good order; no payload. Last record of its log. */
    LV_RECORD_CLEAN = 5,
    /* struct lv_record_queue, struct lv_record_bits, then `count` × uint64_t: a bit for each
     * number, the lowest of the first word for the first one; those that are set are gone. It goes
     * on with what a state record began, where ranges would take more room. */
    LV_RECORD_BITS = 6
};

struct lv_record_place {
    uint64_t queue_id;
    uint64_t seq; /* the message's number in the queue; grows by one with each */
};

struct lv_record_queue {
    uint64_t queue_id;
    uint64_t low;       /* all below are gone */
    uint64_t delivered; /* below this a message may have been delivered before */
    uint64_t next;      /* number of the next message */
};

struct lv_record_range {
    uint64_t from, to; /* both included */
};

struct lv_record_bits {
    uint64_t from; /* number of the first bit, a multiple of 64 */
};

static_assert(sizeof(struct lv_log_head) == 48, "the file's head as it lies on disk");
static_assert(sizeof(struct lv_block_head) == 40, "a block's head as it lies on disk");
static_assert(sizeof(struct lv_record_head) == 8, "a record's head as it lies on disk");
static_assert(sizeof(struct lv_record_queue) == 32, "a queue's state as it lies on disk");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read and written as they lie");

/* Numbers of messages are below. */
#define LV_SEQ_MAX (UINT64_C(1) << 62)

/* Does the record say what is gone of a queue? */
static inline bool lv_record_is_gone(const struct lv_record_head *head)
{
    return head->kind == LV_RECORD_SETTLE || head->kind == LV_RECORD_STATE ||
           head->kind == LV_RECORD_BITS;
}

/* Bytes that a record with this payload takes. */
static inline uint64_t lv_record_size(uint64_t payload)
{
    return (sizeof(struct lv_record_head) + payload + 7) & ~(uint64_t)7;
}
