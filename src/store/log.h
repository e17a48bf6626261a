/*
 * store/log.h - a shard's durable log, as far as it is in memory: what was appended and where it
 * lies.
 *
 * Records are written straight into the pages that go to the disk (format.h); a page is the message
 * memory of what is in it until the log's window has moved past it. Appending moves one offset.
 * Sealing makes a block of what was appended since the last time and gives it its hash; sealed
 * bytes never change, so another thread may write them out while the shard goes on. The log does no
 * I/O: lv_log_next_write() says what has to be written, lv_log_synced() is told when it was.
 * Pure; the owning shard only.
 */
#pragma once

#include "base/defs.h"
#include "base/out.h"
#include "base/random.h"
#include "store/format.h"

#include <stdbool.h>

struct lv_log;

/* Bytes that are to be written at (lsn - number * LV_LOG_FILE_SIZE) in the file `number`. A file
 * that is met for the first time begins with a head with this seed and size. */
struct lv_log_write {
    uint64_t lsn;
    const uint8_t *data; /* view  stays as it is until lv_log_synced() has passed it */
    uint64_t size;
    uint64_t number, file_size, seed;
};

/* Its first file is `first_number`. NULL: out of memory. */
struct lv_log *lv_log_new(uint32_t shard, uint64_t first_number, uint64_t seed) LV_MUST_CHECK;
/* Takes NULL. Nothing may be pinned any more. */
void lv_log_free(struct lv_log *log);
/* Do blocks say how far the log had been synced? They do unless told otherwise: where nothing is
 * synced, a gap before them is what a power loss left, and no damage. */
void lv_log_set_vouching(struct lv_log *log, bool vouches);

/* A record with `payload_size` bytes to be filled at *ret_payload before the next call; gives the
 * LSN of the payload. -LV_E_NOMEM changes nothing. */
int lv_log_append(struct lv_log *log, enum lv_record_kind kind, uint16_t count,
                  uint64_t payload_size, uint64_t *ret_lsn, void **ret_payload) LV_MUST_CHECK;
/* The last record appended gets `size` bytes of payload more (a multiple of 8) and its count grows
 * by one. NULL: it isn't the last any more, or is sealed, or has no room: append another. */
void *lv_log_extend(struct lv_log *log, uint64_t payload_lsn, uint32_t size);
/* May this record still be changed? */
bool lv_log_is_open(const struct lv_log *log, uint64_t payload_lsn);

/* LSN behind the last record: when the log is synced up to it, all appended so far is on disk. */
uint64_t lv_log_end(const struct lv_log *log);
/* Bytes appended and not sealed. */
uint64_t lv_log_open_size(const struct lv_log *log);
void lv_log_seal(struct lv_log *log);
/* The next sealed bytes that nobody was given yet. False: none. */
bool lv_log_next_write(struct lv_log *log, struct lv_log_write *ret_write) LV_MUST_CHECK;
/* All below `lsn` is on disk; never less than before. */
void lv_log_synced(struct lv_log *log, uint64_t lsn);
/* As lv_log_synced() was told last. */
uint64_t lv_log_synced_lsn(const struct lv_log *log);

/* ---- the window ---- */

/* The payload's bytes, NULL when the window has moved past them. Valid until it does. */
const void *lv_log_view(const struct lv_log *log, uint64_t lsn);
/* `count` holders more, or one less, of the message with this payload; nothing when the window has
 * moved past it. */
void lv_log_hold(struct lv_log *log, uint64_t lsn, uint32_t count);
/* One holder less, see lv_log_hold(). */
void lv_log_release(struct lv_log *log, uint64_t lsn);
/* Holders of messages in the pages that begin below `end`. */
uint64_t lv_log_held(const struct lv_log *log, uint64_t end);
/* Keeps the page with these bytes, which are in the window, until lv_log_unpin(pin). */
void *lv_log_pin(struct lv_log *log, uint64_t lsn);
/* Is an lv_out_release_fn. */
void lv_log_unpin(void *pin);
/* First LSN of the window. */
uint64_t lv_log_begin(const struct lv_log *log);
/* Bytes of memory of what is in the window. */
uint64_t lv_log_window_size(const struct lv_log *log);
/* The same with pages that wait to be used again. */
uint64_t lv_log_memory_size(const struct lv_log *log);
/* Everything below `lsn`, the beginning of a file that is synced, leaves the window. */
void lv_log_forget(struct lv_log *log, uint64_t lsn);
/* First LSN of the file behind the one that has `lsn`; the window must have both. */
uint64_t lv_log_next_file(const struct lv_log *log, uint64_t lsn);

/* Called for each record of the window, see lv_log_each(). */
typedef void lv_log_each_fn(void *ctx, uint64_t payload_lsn, const struct lv_record_head *head,
                            const uint8_t *payload);
/* Shows the sealed records of the window's pages that begin below `end`; `held`: only of pages in
 * which a message is held. */
void lv_log_each(const struct lv_log *log, uint64_t end, bool held, lv_log_each_fn *each,
                 void *ctx);

/* At start-up, before the first append: a block of an earlier run becomes part of the window.
 * Blocks come in order. */
int lv_log_restore(struct lv_log *log, const struct lv_log_head *file, uint64_t lsn,
                   struct lv_bytes block) LV_MUST_CHECK;
/* Behind the last lv_log_restore(): appending begins with this file. */
void lv_log_start(struct lv_log *log, uint64_t number);
/* Where that file begins; 0 before lv_log_start(). What is below is of earlier runs. */
uint64_t lv_log_start_lsn(const struct lv_log *log);
