/*
 * server/shard.h - one thread with everything it owns: reactor, broker, store, connections.
 *
 * A turn reads and steps every connection that is ready, takes what other shards sent, lets the
 * broker drain its queues, and writes each connection's output once. The struct is open to the
 * files of this room that work on it, on the shard's thread.
 */
#pragma once

#include "base/mailbox.h"
#include "io/address.h"
#include "io/thread.h"
#include "server/chatter.h"
#include "server/durable.h"
#include "server/login.h"
#include "server/shared.h"

/* What one read takes at most: a busy connection has its turn, then the others have theirs. Half as
 * much costs 10 % more CPU per message, as every turn wakes the peers; twice as much leaves the
 * CPU's cache and costs 20 to 50 %. */
#define LV_READ_SIZE ((size_t)512 * 1024)
/* A publisher that is ahead of live consumers is read in smaller pieces: each when a consumer has
 * taken something, so that these can catch up, or after so long without anything of the kind. */
#define LV_READ_SIZE_AHEAD ((size_t)64 * 1024)
#define LV_AHEAD_NS        LV_NS_PER_MS

struct lv_call;
/* On the shard's thread, or on the main thread after all others have ended. */
typedef void lv_call_fn(struct lv_call *call, struct lv_shard *shard);

/* Something to be done on a shard's thread; lies in the object that it is done with. */
struct lv_call {
    struct lv_letter letter;
    lv_call_fn *run;
};

/* A connection on its way from its listener to its shard, perhaps by way of a TLS handshake. */
struct lv_arrival {
    struct lv_call call;
    struct lv_address peer;
    struct lv_tls *tls; /* own   NULL: nothing is encrypted, or the handshake is still to come */
    int fd;             /* own */
};

/* Every list links connections; each connection is in `connections`, perhaps in `dirty`, and in at
 * most one of `again`, `held`, `ahead` and `closing`. */
struct lv_shard {
    struct lv_shared *shared; /* view */
    uint32_t number;
    struct lv_thread thread;
    struct lv_reactor *reactor; /* own */
    struct lv_store *store;     /* own */
    struct lv_durable durable;
    struct lv_broker *broker; /* own */
    struct lv_deadlines deadlines;
    struct lv_logins logins;
    struct lv_chatter chatter; /* every line that a peer may cause asks it first */
    struct lv_chunk_pool pool;
    uint64_t now;    /*       of this turn */
    uint8_t *buffer; /* own   what every connection is read into */
    size_t buffer_size;
    struct lv_tls_room *tls_room; /* own   NULL: no listener has TLS */

    struct lv_list connections; /* all */
    struct lv_list dirty;       /* have output, or are to be closed */
    struct lv_list again;       /* may take up what they had left */
    struct lv_list held;        /* are not read while this shard is congested */
    struct lv_list ahead;       /* are not read until consumers have taken something */
    struct lv_deadline ahead_deadline;
    uint64_t delivered;     /* messages, when that was looked at last */
    struct lv_list closing; /* finished, but not all is sent; oldest first */
    struct lv_deadline closing_deadline;

    uint64_t last_number;   /* of a connection */
    size_t left_size;       /* bytes that connections keep for later */
    size_t owed_size;       /* bytes that are encrypted and not yet sent */
    uint64_t reported_size; /* bytes of memory that the common sum knows of */
    bool is_congested;      /* operations wait for room in a ring */
    unsigned alarms;        /* as the sessions have been told */
    bool has_more;          /* the next turn comes at once */
    enum lv_phase phase;    /* as far as this shard has followed */

    struct lv_mailbox calls; /* any */
};

/* A shard whose thread does not run yet. */
struct lv_shard *lv_shard_new(struct lv_shared *shared, uint32_t number) LV_MUST_CHECK;
/* Its thread begins to turn and owns the shard from now on. */
int lv_shard_start(struct lv_shard *shard) LV_MUST_CHECK;
/* After the phase has become LV_PHASE_ENDED. */
void lv_shard_join(struct lv_shard *shard);
/* After all threads. Takes NULL. */
void lv_shard_free(struct lv_shard *shard);

/* Takes the socket. NULL: out of memory, and it is closed. */
struct lv_arrival *lv_arrival_new(int fd, const struct lv_address *peer) LV_MUST_CHECK;
/* Closes the socket. */
void lv_arrival_free(struct lv_arrival *arrival);
/* Any thread. Takes the arrival. */
void lv_shard_give(struct lv_shard *shard, struct lv_arrival *arrival);
/* Any thread. Takes the call until it runs, in the shard's next turn. */
void lv_shard_call(struct lv_shard *shard, struct lv_call *call);
