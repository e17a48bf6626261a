/*
 * session/amqp091/session.h - the server's end of one AMQP 0-9-1 connection, as a step machine.
 *
 * Bytes and time go in by lv_session_input() and the set of deadlines; bytes for the peer collect
 * in the session's output chain, commands go straight to the broker's core. The host (server or
 * simulation) owns the socket: it reads, keeps what the session did not use yet, sends the output
 * once a turn and closes. The session does no I/O and reads no clock. Owning shard only.
 */
#pragma once

#include "base/deadline.h"
#include "base/event.h"
#include "base/out.h"
#include "broker/broker.h"

struct lv_session;

/* What a peer may choose is bounded by these; the server fills them from its settings. */
struct lv_session_limits {
    uint32_t frame_max;         /* bytes, offered in tune; 0 never */
    uint16_t channel_max;       /* offered in tune */
    uint16_t heartbeat_s;       /* offered in tune; the client's answer counts */
    uint32_t handshake_ms;      /* from accept to connection.open-ok */
    uint64_t max_message_size;  /* bytes of body; 406 above */
    uint64_t assembly_size;     /* bytes of incomplete bodies a connection may hold; 506 above */
    uint32_t out_high, out_low; /* output bytes: deliveries stop above, go on below */
    uint32_t out_full; /* output bytes: above, the peer's input is no longer taken either */
};

/* Views, valid during the call: a password is kept nowhere. */
struct lv_login {
    const char *mechanism;
    struct lv_bytes user, password;
    bool is_proved; /* it is this user (EXTERNAL): no password is asked for */
};

/* What a session cannot do by itself. Called from within its steps. */
struct lv_session_host {
    /* The output chain has bytes: send them at the end of the turn. Called once until
     * lv_session_flushed(). */
    void (*flush)(void *ctx);
    /* Is this who he says he is? Answered once by lv_session_login(), in the call or later. The
     * views are valid during the call. */
    void (*login)(void *ctx, const struct lv_login *login);
    /* lv_session_input() is wanted soon, with what was left and even if nothing was: something has
     * to be done outside the core's callbacks. Never call it from within this. */
    void (*resume)(void *ctx);
    /* Somebody wants what this connection alone may use. Is the peer still there? Answered by
     * lv_session_alive() or lv_session_lost(), later. `is_same`: it is the same application come
     * back, as far as can be seen. */
    void (*probe)(void *ctx, bool is_same);
    /* Something for the log; `why` is the explanation or "". */
    void (*event)(void *ctx, enum lv_level level, const char *name, const char *why);
    /* Nothing in the core knows the session any more: send what is left of the output, then close
     * the socket and lv_session_free(), but not within this call. Never called from
     * lv_session_free(). */
    void (*finished)(void *ctx);
};

/* What all connections of a shard have in common, and what tells them apart. */
struct lv_session_config {
    const struct lv_session_host *host;     /* view */
    void *host_ctx;                         /* view */
    struct lv_broker *broker;               /* view */
    struct lv_deadlines *deadlines;         /* view */
    struct lv_chunk_pool *pool;             /* view */
    const struct lv_session_limits *limits; /* view */
    const char *version;                    /* view  of the product, as clients see it ("4.1.0") */
    const char *information;                /* view  "Leveret 0.1.0 …" */
    uint64_t origin;                        /*       the peer's address as a number; 0: not known */
    const char
        *certified; /* view  the user that the peer's certificate names (EXTERNAL), or NULL */
};

/* Gives a session that waits for a protocol header, its handshake's deadline armed, or NULL when
 * out of memory. `now` is in ns; the config's views outlive the session. */
struct lv_session *lv_session_new(const struct lv_session_config *config, uint64_t now)
    LV_MUST_CHECK;
/* Only after `finished`, or before any input. */
void lv_session_free(struct lv_session *session);

/* Takes bytes from the peer; returns how many were used. What was not used (less than a frame, or
 * anything while paused) must be presented again, with what follows it, after more bytes came or
 * after `resume`. Bodies are taken as they come, so what an unpaused session leaves is always less
 * than frame_max + 8 bytes. `now` in ns. */
size_t lv_session_input(struct lv_session *session, struct lv_bytes input, uint64_t now);
/* The peer is gone (end of stream or error): ends in `finished`. */
void lv_session_lost(struct lv_session *session);
/* The answer to `probe`: the peer has given a sign of life. */
void lv_session_alive(struct lv_session *session);
/* Gives the peer something to acknowledge: a heartbeat, whether or not it is time for one. */
void lv_session_prod(struct lv_session *session);
/* The answer to `login`: NULL, or why not, for the log only (peers get RabbitMQ's one sentence). */
void lv_session_login(struct lv_session *session, const char *refusal);
/* The broker stops or an operator wants it: connection.close 320 with the text. */
void lv_session_stop(struct lv_session *session, const char *text);
/* The broker rests (lv_broker_rest()) and wants to end when its clients have finished what they
 * have. The peer is read as long as it has something unacked; then no more, and when its confirms
 * are out it is told to go, as by lv_session_stop(), and this is true. To be called every turn. */
bool lv_session_drain(struct lv_session *session, const char *text);
/* The memory alarm: publishers are told (connection.blocked with the reason) and no longer read;
 * NULL ends it. */
void lv_session_alarm(struct lv_session *session, const char *reason);

/* The host gathers from here and consumes what it sent, then says so. */
struct lv_out *lv_session_out(struct lv_session *session);
/* As much as the socket took has been consumed from the output; reading and deliveries may go on.
 * */
void lv_session_flushed(struct lv_session *session);

/* Since it was last asked the peer has published more than consumers take: let them catch up before
 * more is read. */
bool lv_session_took_lead(struct lv_session *session);

/* True while no input is wanted: an answer is awaited, the output is full or an alarm blocks. */
bool lv_session_is_paused(const struct lv_session *session);
