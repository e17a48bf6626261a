/*
 * broker/cold.h - what of a queue lies in segments: the middle of a long backlog, and old messages
 * that nobody has settled yet.
 *
 * When a part of the log is to be used again, all that lives in it is spilled to a segment
 * (store/segment.h). Of what waited in the queue only a run stays here: which numbers the segment
 * has, and how many of them are left. When the queue's front comes there, the next piece is loaded
 * and served from `returned`, so order is: returned, then runs, then the deque. What was delivered
 * and not settled is in a run too, but does not wait; should it be returned when its page has gone,
 * it is loaded by its number. Reading and writing are the server's (struct lv_cold_ops); here is
 * only who needs what. Owning shard only.
 */
#pragma once

#include "base/list.h"
#include "store/segment.h"
#include "store/store.h"

#include <stdbool.h>

struct lv_broker;
struct lv_op;
struct lv_queue;

/* Bytes that are loaded in one go: read ahead, for as long as the queue's front is there. */
#ifndef LV_LOAD_SIZE /* tests make it small */
#define LV_LOAD_SIZE (256u * 1024)
#endif

/* A segment, as far as the broker needs to know it. */
struct lv_segment_use {
    struct lv_link link;        /* view  in lv_broker.segments, then lv_broker.dead_segments */
    struct lv_link sparse_link; /* view  in lv_broker.sparse_segments */
    uint64_t number;
    uint64_t live_count;             /* messages in it that are not settled */
    uint64_t count, size;            /* all messages that are in the file, its bytes, about */
    uint64_t dead_lsn, topology_lsn; /* dead: goes when the logs are synced up to these */
    bool is_busy;                    /* its file is being written, merged or removed */
    bool is_fixed;                   /* stays as it is, whatever little is left of it */
};

struct lv_run {
    struct lv_segment_use *segment; /* view */
    uint64_t first, last;           /* numbers in the queue */
    uint64_t live_count;
};

struct lv_cold {
    struct lv_link link;    /* view  in lv_broker.cold_queues */
    struct lv_queue *queue; /* view */
    struct lv_run *runs;    /* own   ascending */
    uint32_t count, capacity;
    uint64_t next;          /*       the next number to be loaded, while some wait */
    uint64_t waiting_count; /*       messages from there on, all in runs */
    bool is_loading;
    bool is_front;          /*       loading: one message, the front of `returned`, */
    uint64_t asked;         /*       with this number; else those from here on, */
    uint64_t asked_last;    /*       to the end of the run */
    struct lv_list getters; /* own   GET operations that wait for the front */
};

/* A transient message whose page is kept until it is written. */
struct lv_spilled_ref {
    struct lv_page *page;
    struct lv_ref ref;
};

/* What is spilled: written as one segment, then lv_broker_spilled(). */
struct lv_spill {
    struct lv_segment_use *segment;   /* view  NULL: nothing is to be written */
    struct lv_segment_entry *entries; /* own   point into pages that stay until then */
    uint64_t count;
    uint64_t number;             /* of the segment */
    uint64_t end;                /* LSN: all that lives of the log below it is in here */
    uint64_t log_end;            /* LSNs: what it leaves out is gone when this shard's log */
    uint64_t topology_lsn;       /* and shard 0's are synced up to here */
    struct lv_spilled_ref *refs; /* own   transient messages in it */
    uint64_t ref_count;
};

/* The server's part. Each answers later, never within the call. */
struct lv_cold_ops {
    /* Messages of the queue from this number on, LV_LOAD_SIZE bytes; just one when `one`; then
     * lv_broker_loaded(). */
    int (*load)(void *ctx, uint64_t queue_id, uint64_t segment, uint64_t from_seq, bool one);
    /* Nothing in the segment is wanted any more: its file is to go, then lv_broker_dropped(). Until
     * that is called the log goes on saying what is gone of it. Less than zero: not now. */
    int (*drop)(void *ctx, uint64_t segment);
};

/* With its queue: runs let go of their segments. Takes NULL. */
void lv_cold_free(struct lv_queue *queue);
/* Is the front of the queue somewhere else? Then it is asked for; true when it will come. */
bool lv_cold_want(struct lv_queue *queue);
/* The front has come nearer its end: asks for the next piece before it is needed. */
void lv_cold_read_ahead(struct lv_queue *queue);
/* The number is settled: one less in its run, if it is in one. */
void lv_cold_settled(struct lv_queue *queue, uint64_t seq);
/* Settles all that waits in runs; returns how many. */
uint64_t lv_cold_clear(struct lv_queue *queue);

/* ---- for the server ---- */

/* Takes out of the log's window all that lives below `end`, the beginning of one of its files.
 * -LV_E_NOMEM changes nothing. count 0: nothing lives there, nothing is to be written. */
int lv_broker_spill(struct lv_broker *broker, uint64_t end, uint64_t number,
                    struct lv_spill *ret_spill) LV_MUST_CHECK;
/* Takes transient messages, at most `max_size` bytes, from the front of the queue that has most in
 * memory, so that a backlog of them does not fill it. count 0: no queue has many. As
 * lv_broker_spill() otherwise; `end` is 0, as the log has nothing to do with it. */
int lv_broker_spill_longest(struct lv_broker *broker, uint64_t number, uint64_t max_size,
                            struct lv_spill *ret_spill) LV_MUST_CHECK;
/* Is what the spill leaves out gone for the disk, too: settled messages and deleted queues? Before
 * that its segment may not be written. */
bool lv_broker_spill_is_due(const struct lv_broker *broker, const struct lv_spill *spill);
/* The segment is durable, or there was nothing to write: the window moves. Frees what the spill
 * owns. */
void lv_broker_spilled(struct lv_broker *broker, struct lv_spill *spill);
/* What lv_cold_ops.load asked for, of which any may be missing that could not be read; `next`: the
 * number to go on with in the run, UINT64_MAX behind its last. Entries are copied. */
void lv_broker_loaded(struct lv_broker *broker, uint64_t queue_id, uint64_t segment,
                      const struct lv_segment_entry *entries, uint64_t count, uint64_t next);
/* What becomes of the segment with what is left of it: nothing, it goes, or it may be merged. */
void lv_cold_review(struct lv_broker *broker, struct lv_segment_use *segment);
/* Segments go in which nothing is wanted, once it is on disk that nothing is. */
void lv_cold_drop_dead(struct lv_broker *broker);
/* The file that lv_cold_ops.drop was called for is gone, or can't be removed for the moment: it is
 * asked again. */
void lv_broker_dropped(struct lv_broker *broker, uint64_t segment, bool is_gone);
/* Start-up, when all that is gone is known: what a segment has of a queue; segments ascending.
 * -LV_E_CORRUPT: it does not follow what those before it have. */
int lv_broker_restore_run(struct lv_broker *broker, uint64_t segment,
                          const struct lv_segment_run *run) LV_MUST_CHECK;
/* Start-up, behind all runs of the segment: is anything in it wanted? */
bool lv_broker_uses_segment(const struct lv_broker *broker, uint64_t segment);
/* Then it has so many messages, and bytes. */
void lv_broker_restored_segment(struct lv_broker *broker, uint64_t segment, uint64_t count,
                                uint64_t size);
