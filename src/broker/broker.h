/*
 * broker/broker.h - one shard's part of the broker's core, as sessions and the server see it.
 *
 * The core knows vhosts, exchanges, queues, consumers and deliveries; it knows no wire words, no
 * sockets, no threads and no clock. A session opens a client (its connection), channels on it, and
 * gives commands; what the core has to say comes through the session's table of functions
 * (struct lv_client_ops). Work for other shards leaves through the config's `send` and comes in
 * through lv_broker_take(); on one shard nothing ever leaves.
 *
 * Answers: every command that has one answers by ops->reply, exactly once, either before the
 * command returns (all is on this shard) or later. Until then the session gives no further command
 * on that client except closing it. Publish and settle have no answer; they fail at once or not at
 * all.
 *
 * Only the owning shard's thread may call. Callbacks run inside commands, lv_broker_take() and
 * lv_broker_turn(). From within one a session may close the channel or client that it is about
 * (`reply` only) and call lv_client_set_writable(…, false); nothing else.
 */
#pragma once

#include "base/err.h"
#include "base/map.h"
#include "base/value.h"
#include "broker/message.h"
#include "store/log.h"
#include "store/store.h"

struct lv_broker;
struct lv_cold_ops;
struct lv_client;
struct lv_channel;
struct lv_op; /* a message between shards, broker/op.h */

/* Takes the operation; carries it to lv_broker_take() of shard `to`, in order per pair of shards.
 */
typedef void lv_op_send_fn(void *ctx, uint32_t to, struct lv_op *op);

/* Copied by lv_broker_new(), but for what the pointers lead to. */
struct lv_broker_config {
    uint32_t shard;                 /* this one's number */
    uint32_t shard_count;           /* 1 … 64 */
    struct lv_store *store;         /* view  outlives the broker */
    uint64_t first_serial;          /* of queue ids: above all of earlier runs */
    struct lv_log *log;             /* view  outlives it; NULL: nothing outlives us */
    const struct lv_cold_ops *cold; /* view  with a log only */
    /* With a log, on shard 0: a change of what is durable was logged, as lv_change_encode() wrote
     * it and valid during the call; its record ends at `lsn_end`. */
    void (*changed)(void *ctx, uint64_t lsn_end, struct lv_bytes change);
    void *log_ctx;                          /* view  of `changed` and `cold` */
    uint64_t first_segment;                 /* segments with lower numbers are of earlier runs */
    const struct lv_properties *properties; /* view  NULL: no message has any headers */
    struct lv_hash_key hash_key;            /*      the same on every shard */
    uint64_t seed;       /*       for generated names; different on every shard */
    lv_op_send_fn *send; /*       may be NULL with one shard */
    void *send_ctx;      /* view */
};

/* Gives a broker without vhosts and users, or NULL when out of memory. From here on it belongs to
 * one thread. */
struct lv_broker *lv_broker_new(const struct lv_broker_config *config) LV_MUST_CHECK;
/* All clients must be closed. Takes NULL. */
void lv_broker_free(struct lv_broker *broker);

/* Takes an operation that another shard has sent here. */
void lv_broker_take(struct lv_broker *broker, struct lv_op *op);
/* Frees an operation that will never be taken. */
void lv_op_free(struct lv_op *op);
/* The end of a turn: drains queues into their consumers and sends the confirms that are due. True
 * when work is left and the next turn should come without sleeping. */
bool lv_broker_turn(struct lv_broker *broker);

/* ---- what the core tells a session ---- */

/* Views, valid during the call: the session copies or sends what it wants. */
struct lv_delivery {
    void *consumer_ctx;           /* as given to lv_channel_consume(); NULL for a get */
    struct lv_bytes consumer_tag; /* empty for a get */
    uint64_t tag;                 /* delivery tag, per channel from 1 */
    bool redelivered;
    struct lv_message message; /* valid during the call */
    struct lv_ref ref;         /* size 0: the message is not in this shard's store */
};

/* What can be asked of the core and is answered later. */
enum lv_command {
    LV_COMMAND_EXCHANGE_DECLARE,
    LV_COMMAND_EXCHANGE_DELETE,
    LV_COMMAND_QUEUE_DECLARE,
    LV_COMMAND_QUEUE_DELETE,
    LV_COMMAND_QUEUE_PURGE,
    LV_COMMAND_BIND,
    LV_COMMAND_UNBIND,
    LV_COMMAND_CONSUME,
    LV_COMMAND_CANCEL,
    LV_COMMAND_GET,
    LV_COMMAND_TX_COMMIT,
    LV_COMMAND_PROBE,
    LV_COMMAND_CHANGE, /* lv_broker_change(): no session hears of it */
    LV_COMMAND_COUNT
};

/* One form for all answers; each command fills what it has. */
struct lv_reply {
    enum lv_command command;
    int error;              /* 0 or -LV_E_…; the explanation without the error's name in `text` */
    const char *text;       /* valid during the call */
    struct lv_bytes name;   /* queue declare: the queue; consume, cancel: the consumer's tag */
    uint64_t message_count; /* declare: ready; purge, delete: gone; get: left after this one */
    uint64_t consumer_count;            /* declare */
    const struct lv_delivery *delivery; /* get: NULL when the queue is empty */
};

/* `channel_ctx` and `client_ctx` are what the session gave when it opened them. */
struct lv_client_ops {
    void (*reply)(void *channel_ctx, const struct lv_reply *reply);
    void (*deliver)(void *channel_ctx, const struct lv_delivery *delivery);
    /* Confirms: `tag`, or all up to it. Once per channel and turn where possible. */
    void (*confirm)(void *channel_ctx, uint64_t tag, bool multiple);
    /* The same publishes will never be confirmed, as the log can't be written any more. */
    void (*refused)(void *channel_ctx, uint64_t tag, bool multiple);
    /* A mandatory message that no queue took (code 312). Comes before its confirm. */
    void (*returned)(void *channel_ctx, const struct lv_message *message);
    /* The consumer is gone because its queue is. */
    void (*cancelled)(void *channel_ctx, struct lv_bytes consumer_tag, void *consumer_ctx);
    /* lv_channel_close() is done: unacked messages are back in their queues. May open the next
     * channel. The channel's memory is gone after this. */
    void (*channel_closed)(void *channel_ctx);
    /* Somebody wants a queue that only this client may use. Is its peer still there? Answered by
     * lv_client_alive() or by closing the client, both also from within the call. `is_same`: by all
     * that can be seen it is the same application come back. */
    void (*probe)(void *client_ctx, bool is_same);
    /* For the log: `name` of the event, and why. */
    void (*warned)(void *client_ctx, const char *name, const char *why);
    /* An operator has deleted its vhost or its user: tell the peer (code 320) why, and close the
     * client, but not within this call. */
    void (*forced)(void *client_ctx, const char *why);
    /* lv_client_close() is done: channels closed, exclusive queues deleted; the client is gone. */
    void (*client_closed)(void *client_ctx);
};

/* ---- clients and channels ---- */

/* Copied, strings included. */
struct lv_client_config {
    const struct lv_client_ops *ops; /* view */
    void *ctx;                       /* view  for client_closed */
    struct lv_bytes vhost;
    struct lv_bytes user; /*       who has logged in */
    uint64_t origin;      /*       where the peer is, as a number; 0: not known */
    uint64_t alias;       /*       what it calls itself, as a number; 0: nothing */
};

/* -LV_E_NOT_ALLOWED: no such vhost, or the user may not use it, or there are as many connections as
 * there may be. */
int lv_client_open(struct lv_broker *broker, const struct lv_client_config *config,
                   struct lv_diag *diag, struct lv_client **ret_client) LV_MUST_CHECK;
/* Closes its channels too (with channel_closed for each), then answers client_closed, perhaps
 * before it returns. Pending commands are answered no more. */
void lv_client_close(struct lv_client *client);
/* False while the connection's output is full: its consumers get nothing until it is true again.
 * May be called from within `deliver`. */
void lv_client_set_writable(struct lv_client *client, bool writable);

/* Since it was last asked the client, which consumes nothing itself, has published into a queue of
 * this shard whose consumers don't keep up: whoever reads its connection should let them catch up
 * first, as long as they take anything. */
bool lv_client_took_lead(struct lv_client *client);

/* The peer has given a sign of life since `probe` was called. */
void lv_client_alive(struct lv_client *client);

/* Gives a channel; `channel_ctx` comes back with everything that is told about it. -LV_E_NOMEM;
 * -LV_E_NOT_ALLOWED: the user has as many as he may have. Else any number: the session bounds them.
 */
int lv_channel_open(struct lv_client *client, void *channel_ctx, struct lv_diag *diag,
                    struct lv_channel **ret_channel) LV_MUST_CHECK;
/* Consumers are removed, unacked deliveries go back to their places, confirms are forgotten. */
void lv_channel_close(struct lv_channel *channel);

/* ---- topology; names are checked here, texts as RabbitMQ's ---- */

/* Strings and tables of these commands are borrowed for the call. */
struct lv_exchange_declare {
    struct lv_bytes name, type;
    bool passive, durable, auto_delete, internal;
    const struct lv_table *arguments; /* view, may be NULL */
};

/* x-arguments that nothing here understands are refused, not ignored. */
struct lv_queue_declare {
    struct lv_bytes name; /* empty: the broker makes one, "amq.gen-…" */
    bool passive, durable, exclusive, auto_delete;
    const struct lv_table *arguments;
};

/* Both ends by name, as they may be made and removed by anybody meanwhile. */
struct lv_bind {
    struct lv_bytes queue, exchange, key; /* empty queue: the last one declared on this channel;
                                             with an empty key too, the key is its name */
    const struct lv_table *arguments;
};

/* The same with an exchange at both ends. Answered as LV_COMMAND_BIND and LV_COMMAND_UNBIND. */
struct lv_exchange_bind {
    struct lv_bytes destination, source, key;
    const struct lv_table *arguments;
};

/* Answered as LV_COMMAND_EXCHANGE_DECLARE: 0, or 403, 404 (passive), 406 or 540 with RabbitMQ's
 * sentence. Like all commands below it borrows its strings and tables. */
void lv_exchange_declare(struct lv_channel *channel, const struct lv_exchange_declare *declare);
/* What is not there is deleted like what is. 403 for names of the broker's own kind, 406 when it
 * should be unused and is not. */
void lv_exchange_delete(struct lv_channel *channel, struct lv_bytes name, bool if_unused);
/* Binds `destination` to `source`, so that it gets what matches there. 404 names the exchange that
 * is missing. */
void lv_exchange_bind_exchange(struct lv_channel *channel, const struct lv_exchange_bind *bind);
/* An unknown binding is answered like a known one. */
void lv_exchange_unbind_exchange(struct lv_channel *channel, const struct lv_exchange_bind *bind);
/* Answered with the queue's name and how many messages and consumers it has: 0, or 403, 404
 * (passive), 405, 406 or 540. */
void lv_queue_declare(struct lv_channel *channel, const struct lv_queue_declare *declare);
/* Answered with the number of messages that went with it; 405 for somebody else's exclusive queue,
 * 406 when a condition does not hold. */
void lv_queue_delete(struct lv_channel *channel, struct lv_bytes name, bool if_unused,
                     bool if_empty);
/* Answered with the number of messages dropped: those that are ready, not those that are out. */
void lv_queue_purge(struct lv_channel *channel, struct lv_bytes name);
/* Again changes nothing. 404 names what is missing, 405 a queue that is exclusive to somebody else.
 * */
void lv_queue_bind(struct lv_channel *channel, const struct lv_bind *bind);
/* An unknown binding is answered like a known one. */
void lv_queue_unbind(struct lv_channel *channel, const struct lv_bind *bind);

/* A command has failed because another client locks the queue (empty: the last one declared): has
 * that client's peer looked at. Answered by LV_COMMAND_PROBE when it is alive or its queues are
 * gone; the command may be tried once more then. False: it is nobody else's, or memory is short. */
bool lv_channel_probe_owner(struct lv_channel *channel, struct lv_bytes queue);

/* ---- messages ---- */

/* The next command's answer promises nothing: it comes when the command has taken effect, though it
 * may not be on disk yet. For commands whose answer nobody hears. */
void lv_channel_hurry(struct lv_channel *channel);
/* Confirms count from here, from 1. Doing it again changes nothing. */
void lv_channel_confirm_select(struct lv_channel *channel);

/* Copies the message, without its BCC, into the queues it is routed to. Fails with the channel
 * error to tell the publisher (403, 404, 406, 506); a failed publish gets no confirm. */
int lv_channel_publish(struct lv_channel *channel, const struct lv_message *message, bool mandatory,
                       struct lv_diag *diag) LV_MUST_CHECK;

/* The arguments may hold x-priority. */
struct lv_consume {
    struct lv_bytes queue;
    struct lv_bytes tag; /* empty: the broker makes one, "amq.ctag-…" */
    bool no_ack, exclusive;
    void *consumer_ctx; /* view  given back with each delivery */
    const struct lv_table *arguments;
};

/* -LV_E_NOT_ALLOWED (hard): the tag is in use on this channel. Deliveries come after the reply. */
void lv_channel_consume(struct lv_channel *channel, const struct lv_consume *consume);
/* An unknown tag is answered like a known one. No delivery comes after the reply. */
void lv_channel_cancel(struct lv_channel *channel, struct lv_bytes tag);
/* Answered as LV_COMMAND_GET, with the message as the reply's delivery, or without one when the
 * queue is empty. 404, 405. */
void lv_channel_get(struct lv_channel *channel, struct lv_bytes queue, bool no_ack);

/* `global`: one limit for the channel at once; else for consumers made from now on. 0: no limit. */
void lv_channel_qos(struct lv_channel *channel, uint16_t prefetch_count, bool global);

enum lv_settle { LV_SETTLE_ACK, LV_SETTLE_REJECT, LV_SETTLE_REQUEUE };
/* Tag 0 with `multiple`: all. -LV_E_PRECONDITION: no such delivery. */
int lv_channel_settle(struct lv_channel *channel, uint64_t tag, bool multiple,
                      enum lv_settle settle, struct lv_diag *diag) LV_MUST_CHECK;

/* Everything unacked goes back to its place, at once. */
void lv_channel_recover(struct lv_channel *channel);

/* ---- transactions ---- */

/* Bytes of messages and tags that one transaction may hold. */
#define LV_TX_SIZE_MAX (64u << 20)

/* From now on publishes and settles of the channel wait for its commits. Again changes nothing.
 * -LV_E_PRECONDITION: it confirms; and a channel with transactions may not begin to. */
int lv_channel_tx_select(struct lv_channel *channel, struct lv_diag *diag) LV_MUST_CHECK;
/* Then publishes get no confirm and nothing of them is seen before the commit. */
bool lv_channel_is_transactional(const struct lv_channel *channel);
/* Does all that has waited; answered when every queue has its messages. -LV_E_PRECONDITION, in the
 * answer: the channel is not transactional. */
void lv_channel_tx_commit(struct lv_channel *channel);
/* Publishes are forgotten, and settled deliveries are unacked again. */
int lv_channel_tx_rollback(struct lv_channel *channel, struct lv_diag *diag) LV_MUST_CHECK;

/* ---- direct reply-to ---- */

/* Bytes of answers that wait for a client that does not read. */
#define LV_REPLY_TO_SIZE_MAX (4u << 20)

/* The name under which answers reach this channel's consumer of "amq.rabbitmq.reply-to", or nothing
 * when it has none. Valid until that consumer is gone. */
struct lv_bytes lv_channel_reply_to(const struct lv_channel *channel);
/* What lv_channel_publish() would say of the message's exchange. */
int lv_channel_check_publish(struct lv_channel *channel, const struct lv_message *message,
                             struct lv_diag *diag) LV_MUST_CHECK;
/* As it was given when the client was opened. */
struct lv_bytes lv_channel_user(const struct lv_channel *channel);

/* ---- what operators change ---- */

struct lv_change; /* broker/topology.h */

/* 0, or -LV_E_… and why. */
typedef void lv_change_done_fn(void *ctx, int error, const char *why);
/* Has every shard apply the change, which is borrowed for the call, and then calls `done` once,
 * perhaps before it returns: when it is on disk too, or when it was refused and nothing has
 * changed. Any kind will do. Refusals: -LV_E_NOT_FOUND (no such vhost or user), -LV_E_PRECONDITION
 * (there is one already; a pattern does not compile; too long a name), -LV_E_NOMEM. */
void lv_broker_change(struct lv_broker *broker, const struct lv_change *change,
                      lv_change_done_fn *done, void *ctx);

/* What an operator wants of a queue; `done` is called as for a change. */
struct lv_queue_order {
    struct lv_bytes vhost, name;
    bool is_purge; /*       else it is deleted, */
    bool if_unused, if_empty;
    lv_change_done_fn *done;
    void *ctx;                   /* view */
    uint64_t *ret_message_count; /* view  written before `done`: ready messages that have gone */
};
/* The order is borrowed for the call. -LV_E_NOT_FOUND, -LV_E_PRECONDITION (in use, not empty),
 * -LV_E_NOMEM. */
void lv_broker_order(struct lv_broker *broker, const struct lv_queue_order *order);

/* Views, valid until the next command, operation or turn. */
struct lv_user_view {
    struct lv_bytes name;
    struct lv_bytes hash; /* of the password, as text; empty: no password is his */
    struct lv_bytes tags; /* with commas between */
    uint64_t version;     /* another one after every change of this user, until the broker ends */
};
/* False: there is no such user. */
bool lv_broker_user(const struct lv_broker *broker, struct lv_bytes name,
                    struct lv_user_view *ret_user) LV_MUST_CHECK;

/* ---- numbers ---- */

/* Sums of one shard, kept as things happen and never counted afterwards. */
struct lv_broker_stats {
    uint64_t connections, channels, queues, exchanges, vhosts, consumers;
    uint64_t ready, unacked; /* messages */
    uint64_t memory_size;    /* accounted bytes: store, deques, unacked rings */
    uint64_t published, delivered;
};

/* One of them, which is cheaper: messages handed to consumers of this shard's queues. */
uint64_t lv_broker_delivered(const struct lv_broker *broker);
/* The numbers of this shard alone; whoever wants the broker's adds up. */
void lv_broker_stats(const struct lv_broker *broker, struct lv_broker_stats *ret_stats);
/* Keeps the bytes of a delivery's ref (size not 0) at their place: gives what has to be called, and
 * *ret_owner with what, when they are no longer needed. */
lv_out_release_fn *lv_broker_pin(struct lv_broker *broker, struct lv_ref ref, void **ret_owner);

/* ---- the log ---- */

/* More of the log is on disk, this shard's or (`topology_lsn`) shard 0's: says what waited for it.
 * `topology_lsn` is the synced LSN of shard 0's log. */
void lv_broker_synced(struct lv_broker *broker, uint64_t topology_lsn);
/* Where the last durable change of the topology that is known here ends in shard 0's log. */
uint64_t lv_broker_topology_lsn(const struct lv_broker *broker);
/* The broker is about to end: from now on nothing leaves a queue of this shard for a consumer, and
 * a get finds nothing. What clients have they may settle, and what they publish is kept. */
void lv_broker_rest(struct lv_broker *broker);
/* A log can't be written any more, here or on another shard: what is not confirmed by now is
 * refused, and nothing is confirmed from here on. */
void lv_broker_log_failed(struct lv_broker *broker);
/* Does anybody wait for the log to be synced? */
bool lv_broker_awaits_log(const struct lv_broker *broker);
