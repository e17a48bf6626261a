/*
 * session/amqp091/testing.h - a small world for tests: shards, a clock, and peers on sessions.
 *
 * The world carries operations between its shards, runs deadlines by a clock of its own and gives
 * sessions the bytes of their peers. A peer says bytes or methods; what it hears is written down as
 * text, a line per frame. Nothing happens by itself: lv_world_settle() lets everything run until
 * nothing moves any more, and those who want another order call the steps one by one. Tests only.
 */
#pragma once

#include "codec/amqp091/frame.h"
#include "session/amqp091/session.h"

#define LV_WORLD_SHARDS_MAX 4u

struct lv_world;
struct lv_peer;

/* Operations from one shard to another, oldest first. */
struct lv_world_road {
    struct lv_op **ops; /* own */
    size_t count, capacity;
};

/* A broker, its deadlines, and its peers. */
struct lv_world_shard {
    struct lv_world *world;   /* view */
    struct lv_store *store;   /* own */
    struct lv_broker *broker; /* own */
    struct lv_deadlines deadlines;
    struct lv_chunk_pool pool;
    struct lv_world_road roads[LV_WORLD_SHARDS_MAX]; /* to each shard */
    uint32_t number;
};

/* Sessions over brokers, in one thread and with a clock of its own. */
struct lv_world {
    struct lv_world_shard shards[LV_WORLD_SHARDS_MAX];
    struct lv_session_limits limits; /* may be changed before peers come */
    struct lv_peer *peers;           /* view  newest first */
    uint32_t shard_count;
    uint64_t origin;       /* of peers to come, as in struct lv_session_config */
    const char *certified; /* the same */
    uint64_t now;
};

/* Shards with a broker each, a clock that only tests move, and no threads. */
void lv_world_init(struct lv_world *world, uint32_t shard_count);
/* Peers must be gone. */
void lv_world_fini(struct lv_world *world);

/* The oldest operation from one shard to another arrives; false when none is under way. */
bool lv_world_carry(struct lv_world *world, uint32_t from, uint32_t to);
/* Operations, turns, input and output until nothing moves. */
void lv_world_settle(struct lv_world *world);
/* The clock goes on; what falls due happens in its order, and all settles. */
void lv_world_wait_ms(struct lv_world *world, uint64_t ms);

typedef void lv_peer_frame_fn(struct lv_peer *peer, const struct lv_amqp091_frame *frame);

/* A client that says what the test says; what it gets is kept as text. */
struct lv_peer {
    struct lv_peer *next;         /* view */
    struct lv_world_shard *shard; /* view */
    struct lv_session *session;   /* own   NULL after lv_peer_reap() */
    uint8_t *said;                /* own   what is not taken yet, behind what is */
    size_t said_begin;            /*       0 after lv_peer_say() */
    size_t said_size, said_capacity;
    size_t shown_size; /*       of it, what the session has seen and left */
    uint8_t *heard;    /* own   not a whole frame yet */
    size_t heard_size, heard_capacity;
    uint8_t *trace; /* own   what was heard, as text */
    size_t trace_size, trace_capacity;
    lv_peer_frame_fn *on_frame; /* instead of the trace */
    void *ctx;                  /* view  its */
    uint64_t resume_count;
    bool header_heard;    /* the server answered with a protocol header: nothing can follow */
    unsigned probe_count; /* times that the host was asked whether we are there */
    bool is_numb;         /* and does not know */
    bool is_deaf;         /* doesn't read what is sent */
    bool is_asked;        /* login without an answer */
    bool logs_in_later;
    bool shows_events; /* states and refusals are in the trace */
    bool must_flush, must_resume;
    bool is_finished; /* as the session says; until lv_peer_reap() it is still there */
};

/* A new connection to a shard, without a byte said. */
void lv_peer_init(struct lv_peer *peer, struct lv_world *world, uint32_t shard);
/* Closes the socket if that is still to be done, and waits. */
void lv_peer_fini(struct lv_peer *peer);

/* To be taken by the session at the next step. */
void lv_peer_say(struct lv_peer *peer, struct lv_bytes bytes);
/* The same for a method, in its frame. */
void lv_peer_say_method(struct lv_peer *peer, uint16_t channel,
                        const struct lv_amqp091_method *method);
/* A message: basic.publish, header and body frames of at most `frame_max` bytes. */
struct lv_peer_publish {
    const char *exchange, *key;
    struct lv_bytes properties, body; /* properties: raw, or empty for none */
    bool mandatory;
    uint32_t frame_max; /* 0: 131072 */
};
/* Method, header and bodies, cut to frames of `frame_max`. */
void lv_peer_say_publish(struct lv_peer *peer, uint16_t channel,
                         const struct lv_peer_publish *publish);
/* The methods from protocol header to connection.open, as guest. */
void lv_peer_say_hello(struct lv_peer *peer);
/* hello, channel 1, and all of it forgotten in the trace. */
void lv_peer_open(struct lv_peer *peer);

/* Gives the session what was said and not taken, in pieces of at most `piece` bytes. */
void lv_peer_push(struct lv_peer *peer, size_t piece);
/* One piece of it; false when there is nothing that the session would take now. */
bool lv_peer_push_piece(struct lv_peer *peer, size_t size);
/* Reads what the session has to send, at most `max` bytes. */
void lv_peer_hear(struct lv_peer *peer, size_t max);
/* The socket breaks. */
void lv_peer_vanish(struct lv_peer *peer);
/* Hears the last words of a session that has finished, and frees it; false when there is none. */
bool lv_peer_reap(struct lv_peer *peer);

/* What was heard since the last call; valid until the next. */
const char *lv_peer_trace(struct lv_peer *peer);

/* SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q")) */
#define SAY(peer, channel, name, member, ...)                                                      \
    lv_peer_say_method(                                                                            \
        (peer), (channel),                                                                         \
        &(struct lv_amqp091_method){.id = LV_AMQP091_##name, .member = {__VA_ARGS__}})
/* A method without arguments. */
#define SAY_PLAIN(peer, channel, name)                                                             \
    lv_peer_say_method((peer), (channel), &(struct lv_amqp091_method){.id = LV_AMQP091_##name})
