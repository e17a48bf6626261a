/*
 * broker/queue.h - a queue on the shard that is its home: what is ready, who consumes, in which
 * order.
 *
 * Positions: every message gets the next sequence number of its queue. Ready messages are a deque
 * in that order; what was delivered and comes back goes to a small heap by sequence number. All in
 * the heap is older than all in the deque, since only what left the deque can come back, so the
 * heap is served first and a returned message stands in its original place. Consumers that can take
 * a message are in `able`, higher priorities first and equal ones in the order of their turns. A
 * queue with work is in the broker's list of dirty queues and is drained at the end of the turn,
 * never in the middle of a command. Owning shard only.
 */
#pragma once

#include "base/list.h"
#include "broker/refs.h"
#include "store/store.h"

struct lv_broker;
struct lv_cold;
struct lv_consumer;
struct lv_kept;
struct lv_queue_entry;

/* A message that came back: its place and its reference. */
struct lv_returned {
    uint64_t seq;
    struct lv_ref ref;
};

/* On its home shard only. It is small as long as nothing is in it. */
struct lv_queue {
    struct lv_broker *broker;     /* view */
    struct lv_queue_entry *entry; /* view  the directory's; owns us */
    struct lv_kept *kept;         /* own   what the log has of it; NULL: nothing */
    struct lv_cold *cold;         /* own   what lies in segments; NULL: nothing */
    struct lv_link spill_link;    /* view  while something is spilled */
    struct lv_refs ready;         /* own */
    struct lv_returned *returned; /* own   binary heap, smallest seq first */
    uint32_t returned_count;
    uint32_t returned_capacity;
    uint64_t next_seq; /*       of the next message that comes in */
    uint64_t unacked_count;
    struct lv_list consumers;      /* view  of lv_consumer.queue_link, getters included */
    struct lv_list able;           /* view  of lv_consumer.able_link */
    struct lv_link dirty_link;     /* view  in lv_broker.dirty */
    struct lv_consumer *exclusive; /* view  the only consumer allowed, or NULL */
    uint32_t consumer_count;       /*       without getters */
    uint32_t prioritized_count;    /*       of these, how many have a priority other than 0 */
    bool had_consumer;             /*       auto-delete waits for a first one */
    bool is_lagging;               /*       its consumers had not taken all when it was drained */
    bool deleting;                 /*       its removal is under way */
};

/* Gives a queue for the directory's entry, or NULL when out of memory. */
struct lv_queue *lv_queue_new(struct lv_broker *broker, struct lv_queue_entry *entry) LV_MUST_CHECK;
/* Drops all messages, tells and removes all consumers. */
void lv_queue_free(struct lv_queue *queue);

/* Messages that a consumer could have now, those that came back included. */
uint64_t lv_queue_ready_count(const struct lv_queue *queue);

/* Takes one holder of the message. On failure the holder stays the caller's. */
int lv_queue_push(struct lv_queue *queue, struct lv_ref ref) LV_MUST_CHECK;
/* The oldest ready message, which stays. False when there is none. */
bool lv_queue_peek(const struct lv_queue *queue, uint64_t *ret_seq, struct lv_ref *ret_ref)
    LV_MUST_CHECK;
/* The oldest ready message: gives its holder. False when there is none. */
bool lv_queue_take(struct lv_queue *queue, uint64_t *ret_seq, struct lv_ref *ret_ref) LV_MUST_CHECK;
/* Back to its place; takes the holder. Without memory for that the program ends: 24 bytes for what
 * was 32 until now are there, or nothing is. */
void lv_queue_return(struct lv_queue *queue, uint64_t seq, struct lv_ref ref);
/* The first of those that were returned is lost: out of `returned`, and no longer ready. */
void lv_queue_drop_first(struct lv_queue *queue);
/* Messages with this number and above have never been delivered. */
uint64_t lv_queue_delivered(const struct lv_queue *queue);
/* Drops what is ready; returns how many. */
uint64_t lv_queue_clear(struct lv_queue *queue);

/* There may be work: messages came or a consumer can take again. */
void lv_queue_touch(struct lv_queue *queue);
/* The consumer can take messages, after those of its own priority that can already. */
void lv_queue_enable(struct lv_queue *queue, struct lv_consumer *consumer);
/* Hands out up to `budget` messages. True when it could go on. */
bool lv_queue_drain(struct lv_queue *queue, uint32_t budget);
