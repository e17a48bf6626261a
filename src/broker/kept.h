/*
 * broker/kept.h - what the log has of a durable queue.
 *
 * A persistent message of a durable queue lies in the shard's log, with its number in the queue;
 * when it is settled, a record says so. Numbers that settle one after the other share a record as
 * long as it isn't sealed. A queue gets its struct with its first persistent message; until then it
 * keeps nothing but its declaration. Owning shard only.
 */
#pragma once

#include "base/seqs.h"
#include "store/log.h"
#include "store/store.h"

struct lv_broker;
struct lv_queue;
struct lv_queue_entry;

struct lv_kept {
    struct lv_seqs gone; /*       numbers that the log has no message for any more, or never had */
    uint64_t record;     /*       LSN of the queue's last settle record, 0: none */
    struct lv_record_queue *open; /* view  its payload, as long as it may be changed */
    uint64_t delivered;           /*       as that record says, see struct lv_record_queue */
    uint64_t live_count;          /*       messages that would be there after a restart */
    uint64_t state_lsn;           /* LSN of its last LV_RECORD_STATE, 0: none since the start */
    uint64_t last_segment;        /* number of the last one that got any of its messages, 0: none */
    uint64_t old; /* numbers below were delivered before the restart, or might have been */
    uint64_t fresh, fresh_end; /* numbers of loaded messages that were never delivered */
};

/* Does the queue keep persistent messages? */
bool lv_queue_is_keeping(const struct lv_queue *queue);
/* The queue's, made when there is none yet; NULL: out of memory. */
struct lv_kept *lv_queue_kept(struct lv_queue *queue) LV_MUST_CHECK;
/* With its queue; what the log has of it means nothing any more. Takes NULL. */
void lv_kept_free(struct lv_kept *kept);

/* Queues that one record of the log can name. */
#define LV_KEEP_MAX UINT16_MAX

/* A persistent message for `count` (at most LV_KEEP_MAX) queues of this shard, each of which gets a
 * holder: one copy in the log for those that keep it, one in memory for the others. Gives where
 * `size` bytes of record are to be written: one place or two, else NULL. -LV_E_NOMEM: nothing
 * happened. */
int lv_broker_keep(struct lv_broker *broker, struct lv_queue_entry *const *entries, uint32_t count,
                   uint32_t size, void *ret_records[2]) LV_MUST_CHECK;
/* lv_queue_release() of a message that the log, a segment or both know of; the queue is NULL when
 * it is gone itself. */
void lv_kept_release(struct lv_broker *broker, struct lv_queue *queue, uint64_t seq,
                     struct lv_ref ref);
/* The next message of the queue, with this number, is transient. */
void lv_kept_skip(struct lv_kept *kept, uint64_t seq);
/* All numbers of the range that are not gone yet are, whatever has their messages. */
void lv_kept_settle_range(struct lv_queue *queue, uint64_t from, uint64_t to);
/* More has been delivered: says so in the log. */
void lv_kept_note(struct lv_queue *queue);
/* Number of the oldest segment that may be on the disk, UINT64_MAX: there is none. */
uint64_t lv_broker_oldest_segment(const struct lv_broker *broker);
/* Does what the log says of the queue still mean anything to a restart, when segments below
 * `oldest_segment` are no more? */
bool lv_kept_is_needed(const struct lv_queue *queue, uint64_t oldest_segment);
/* All that the log has to know of the queue. -LV_E_NOMEM: not all was said. */
int lv_kept_state(struct lv_queue *queue) LV_MUST_CHECK;
/* Start-up, in the order of numbers: what is there of the queue next. Numbers between that and what
 * came before are gone. */
int lv_kept_follow(struct lv_queue *queue, uint64_t first, uint64_t last) LV_MUST_CHECK;
