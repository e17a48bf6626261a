/*
 * broker/op.h - what shards tell each other.
 *
 * An operation is one block of memory that moves from shard to shard; pointers in it that belong to
 * another shard are names there: carried and given back, never looked into. Operations between two
 * shards arrive in the order they were sent. One for the own shard goes to a local list that is
 * worked off at the end of the command, so a command is never entered from within itself. Changes
 * of the topology arrive in one order everywhere, but not at one time: an operation about a queue
 * that is unknown waits when its sender knew of more changes than have come here.
 *
 * Topology:   SUBMIT → shard 0, APPLY → every shard, APPLIED → the shard that asked.
 * Commands:   QUERY, DELETE, PURGE, GET, CONSUME, CANCEL → the queue's home; ANSWER comes back.
 * Messages:   ENQUEUE → home, ENQUEUED back (the confirm); DELIVER → the channel's shard, SETTLE or
 *             BOUNCE back, CREDIT as deliveries are taken; HELD answers the first BOUNCE, behind
 * all that was under way and bounces too, RESUME when there is room again; CANCELLED when the queue
 * is gone. Channels:   DETACH → a shard with one of its subscribers, DETACHED back, after which
 * neither knows the other.
 * Limits:     COUNT → every other shard, which does not answer.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "broker/broker.h"
#include "broker/tally.h"
#include "broker/topology.h"

struct lv_pending;
struct lv_subscriber;
struct lv_subscription;

enum lv_op_kind {
    LV_OP_SUBMIT,
    LV_OP_APPLY,
    LV_OP_APPLIED,
    LV_OP_QUERY,
    LV_OP_DELETE,
    LV_OP_PURGE,
    LV_OP_GET,
    LV_OP_CONSUME,
    LV_OP_CANCEL,
    LV_OP_ANSWER,
    LV_OP_ENQUEUE,
    LV_OP_ENQUEUED,
    LV_OP_DELIVER,
    LV_OP_SETTLE,
    LV_OP_BOUNCE,
    LV_OP_HELD,
    LV_OP_CREDIT,
    LV_OP_RESUME,
    LV_OP_CANCELLED,
    LV_OP_DETACH,
    LV_OP_DETACHED,
    LV_OP_REPLY,
    LV_OP_REPLIED,
    LV_OP_REPLY_QUERY,
    LV_OP_REPLY_ANSWER,
    LV_OP_PROBE,
    LV_OP_PROBED,
    LV_OP_COUNT
};

/* A change on its way: struct lv_change with its strings behind the operation. SUBMIT becomes the
 * APPLY of a shard, and that its APPLIED. */
struct lv_op_change {
    struct lv_change change;
    struct lv_table *arguments; /* own   what change.arguments points at */
    struct lv_pending *pending; /* view  who waits, on `origin`; NULL: nobody */
    uint64_t topology_lsn;      /*       APPLY: of the change in shard 0's log */
    bool is_hurried;            /*       who waits is told before it is on disk */
    uint32_t origin;
};

/* A command for a queue's home, and later the ANSWER to it. Behind it lie the names of the queue
 * and of its vhost, for whom the queue is gone. */
struct lv_op_command {
    struct lv_pending *pending;       /* view */
    struct lv_channel *channel;       /* view  GET and CONSUME */
    struct lv_subscriber *subscriber; /* view  the channel's on that shard, NULL when none yet */
    struct lv_subscription *subscription; /* view  CONSUME and CANCEL */
    uint64_t queue_id;
    uint16_t prefetch;
    uint8_t name_size, vhost_size;
    bool no_ack, exclusive, if_unused, if_empty;
    bool is_hurried;  /*       QUERY: who asks is told before it is on disk */
    bool is_dropped;  /*       its channel has closed while it waited: is to do nothing */
    int32_t priority; /*       CONSUME */
};

/* ANSWER and APPLIED; the explanation of an error or (GET) the message's record lies behind. */
struct lv_op_answer {
    struct lv_pending *pending;       /* view */
    struct lv_subscriber *subscriber; /* view  ANSWER: made by the command, else NULL */
    int error;
    uint64_t message_count, consumer_count;
    uint64_t tag; /*       GET: the subscriber's tag; 0: awaits no answer */
    bool found;   /*       GET: the message's record lies behind */
    bool redelivered;
    bool is_going; /*       the queue is here, but on its way out */
    bool refused;  /*       APPLIED: no shard has or will */
};

struct lv_op_enqueue {
    struct lv_channel *channel; /* view  ENQUEUED: whose confirm; NULL: nobody asks */
    uint64_t publish_tag;       /*       0: of no confirm */
    uint32_t queue_count;       /*       ids lie behind, then the record */
    bool transacted;            /*       of a commit */
    bool mandatory, found;      /*       REPLY: to be returned when nobody is there; REPLIED */
};

/* Is the client that locks a queue still alive? The user of the one who asks lies behind. */
struct lv_op_probe {
    struct lv_pending *pending; /* view */
    uint64_t owner;             /*       the client's id */
    uint64_t origin, alias;     /*       of the one who asks, as in struct lv_client_config */
};

/* What the sender has of a user's, or a vhost's, whose name lies behind. */
struct lv_op_count {
    struct lv_counts counts;
    bool is_vhost;
};

struct lv_op_delivery {
    struct lv_channel *channel;           /* view */
    struct lv_subscriber *subscriber;     /* view */
    struct lv_subscription *subscription; /* view */
    uint64_t tag;                         /*       the subscriber's */
    uint32_t count;                       /*       CREDIT: deliveries taken, */
    uint64_t size;                        /*       and their bytes */
    enum lv_settle settle;
    bool redelivered, no_ack, to; /*       `to`: SETTLE all up to the tag */
};

struct lv_op {
    struct lv_link link; /* view  whatever list carries it */
    enum lv_op_kind kind;
    uint32_t from;    /*       shard */
    uint64_t changes; /*       of the topology, that shard had applied when this was made */
    union {
        struct lv_op_change change;
        struct lv_op_command command;
        struct lv_op_answer answer;
        struct lv_op_enqueue enqueue;
        struct lv_op_delivery delivery;
        struct lv_op_probe probe;
        struct lv_op_count count;
    };
    uint32_t size; /*       bytes behind */
    _Alignas(8) uint8_t data[];
};

/* Gives a zeroed operation with room for `size` bytes behind it, or NULL. */
struct lv_op *lv_op_new(const struct lv_broker *broker, enum lv_op_kind kind, uint32_t size)
    LV_MUST_CHECK;
/* Takes the operation; to the own shard it is worked off at the end of the command. */
void lv_op_send(struct lv_broker *broker, uint32_t to, struct lv_op *op);
/* Takes the operation and does what it says. */
void lv_op_run(struct lv_broker *broker, struct lv_op *op);
/* Works off the local list; called at the end of every command and of the turn. */
void lv_broker_settle_local(struct lv_broker *broker);
