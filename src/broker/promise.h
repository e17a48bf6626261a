/*
 * broker/promise.h - what is said only when the log is on disk: confirms and answers.
 *
 * In the order of the log, so that one look at its synced LSN lets go of all that are due. A
 * promise about a message waits for the topology too: the queue's own declaration, which shard 0
 * logs, must survive with it. Owning shard only.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

struct lv_broker;
struct lv_channel;
struct lv_op;

/* Either an operation to be sent, or publishes of a channel that count one shard less to await. */
struct lv_promise {
    uint64_t lsn;               /* of this shard's log */
    uint64_t topology_lsn;      /* of shard 0's */
    struct lv_op *op;           /* own   NULL: the channel's */
    struct lv_channel *channel; /* ref */
    uint64_t from, to;          /* publish tags */
    uint32_t shard;             /* where the operation goes */
};

struct lv_promises {
    struct lv_promise *ring; /* own */
    uint64_t first, next;    /* [first, next) are in the ring */
    uint32_t capacity;       /* 0 or a power of two */
};

void lv_promises_init(struct lv_promises *promises);
/* Frees operations that were never sent. */
void lv_promises_fini(struct lv_promises *promises);

/* Makes sure that the next promise needs no memory. */
int lv_promise_reserve(struct lv_broker *broker) LV_MUST_CHECK;
/* Room was reserved: the publish with this tag counts one less when the log is synced. */
void lv_promise_confirm(struct lv_broker *broker, struct lv_channel *channel, uint64_t tag);
/* Takes the operation, to be sent to `shard` when all that has been logged is on disk; at once
 * when it is, or without a log. Without memory for that the program ends. */
void lv_promise_send(struct lv_broker *broker, uint32_t shard, struct lv_op *op);
/* The same of what depends on the topology alone: it does not wait for messages. */
void lv_promise_topology(struct lv_broker *broker, uint32_t shard, struct lv_op *op);
/* Keeps what is due now. */
void lv_promises_keep(struct lv_broker *broker);
