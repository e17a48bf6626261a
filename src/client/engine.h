/*
 * client/engine.h - the client's end of one AMQP 0-9-1 connection, as a step machine.
 *
 * Bytes and time go in, bytes for the broker collect in an output chain, and what happens comes out
 * as events. The engine does no I/O and reads no clock. It ends with its connection: whoever wants
 * to reconnect makes a new one and repeats the topology. One owner; no call may be made from within
 * the event function but lv_engine_call() and lv_engine_publish().
 */
#pragma once

#include "base/deadline.h"
#include "base/out.h"
#include "client/assembly.h"

struct lv_engine;

/* Calls whose answers may be outstanding on one channel. */
#define LV_ENGINE_AWAITED_MAX 64u

/* Told from within lv_engine_input(), in the order of the bytes. */
enum lv_engine_event_kind {
    LV_ENGINE_OPENED,    /* the connection is ready for channels */
    LV_ENGINE_REPLIED,   /* `method` answers the oldest open call on the channel */
    LV_ENGINE_DELIVERED, /* `message` came for a consumer */
    LV_ENGINE_GOT,       /* `message` answers the oldest open call, a basic.get */
    LV_ENGINE_RETURNED,  /* `message` could not be routed */
    LV_ENGINE_CONFIRMED, /* publishes `first` to `last`: taken, or refused if `refused` */
    LV_ENGINE_CANCELLED, /* `method`: the broker ended a consumer */
    LV_ENGINE_BLOCKED,   /* `method`: the broker is short of something, publishing has to wait */
    LV_ENGINE_UNBLOCKED, /* it goes on */
    LV_ENGINE_CHANNEL_CLOSED, /* by the broker: `error`, `reply_code` and `text` say why */
    LV_ENGINE_CLOSED,         /* the last event; `error` 0 when we had asked for it */
};

/* Views are valid during the call. */
struct lv_engine_event {
    enum lv_engine_event_kind kind;
    uint16_t channel;
    const struct lv_amqp091_method *method;
    const struct lv_engine_message *message;
    uint64_t first, last;
    bool refused;
    int error;           /* -LV_E_…, or 0 */
    uint16_t reply_code; /* as the broker gave it; 0 when the broker did not close */
    const char *text;
};

typedef void lv_engine_event_fn(void *ctx, const struct lv_engine_event *event);

/* Strings are views that have to outlive the engine. */
struct lv_engine_config {
    const char *user;
    const char *password;
    const char *vhost;
    const char *name;     /* of the connection, as the broker's tools show it; or NULL */
    const char *version;  /* of the program */
    bool is_external;     /* the transport says who we are: EXTERNAL in place of PLAIN */
    uint16_t heartbeat_s; /* wanted; 0 switches heartbeats off */
    uint16_t channel_max; /* wanted; 0: whatever the broker allows */
    uint32_t frame_max;   /* wanted, at least 4096 */
    uint64_t body_max;    /* the largest body that is taken */
    lv_engine_event_fn *event;
    void *event_ctx;
    struct lv_chunk_pool *pool;
};

/* Begins with the protocol header in the output. NULL when out of memory. */
struct lv_engine *lv_engine_new(const struct lv_engine_config *config, uint64_t now) LV_MUST_CHECK;
/* Takes NULL. Tells nothing any more. */
void lv_engine_free(struct lv_engine *engine);

/* Takes bytes from the broker; returns how many were used. The rest, less than a frame, must be
 * presented again together with what follows it. */
size_t lv_engine_input(struct lv_engine *engine, struct lv_bytes input, uint64_t now);
/* Bytes have come that are not taken yet: the broker is alive. */
void lv_engine_heard(struct lv_engine *engine, uint64_t now);
/* The broker is gone (end of stream or error); `why` is for the sentence. */
void lv_engine_lost(struct lv_engine *engine, const char *why);
/* To be called at lv_engine_next() or later: heartbeats. */
void lv_engine_tick(struct lv_engine *engine, uint64_t now);
/* LV_NEVER when there are no heartbeats. */
uint64_t lv_engine_next(const struct lv_engine *engine);
/* The host sends from here. What is there after LV_ENGINE_CLOSED is worth sending too. */
struct lv_out *lv_engine_out(struct lv_engine *engine);

/* Sends a method; when it has an answer, LV_ENGINE_REPLIED or LV_ENGINE_GOT will bring it. A
 * channel begins with channel.open; connection.close goes to channel 0. Not for basic.publish and
 * not with nowait. Short strings are at most 255 bytes, as the caller makes sure. -LV_E_CLOSED,
 * -LV_E_CHANNEL (not open), -LV_E_RESOURCE (too many open calls, or frame_max). */
int lv_engine_call(struct lv_engine *engine, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_diag *diag) LV_MUST_CHECK;

/* What a message consists of besides its address. */
struct lv_engine_content {
    struct lv_bytes properties; /* raw: at least the two bytes of flags */
    struct lv_bytes body;
};

/* Sends a message. On a channel in confirm mode `ret_tag` is the number that
 * LV_ENGINE_CONFIRMED will name, else 0. Errors as above. */
int lv_engine_publish(struct lv_engine *engine, uint16_t channel,
                      const struct lv_amqp091_basic_publish *publish,
                      const struct lv_engine_content *content, uint64_t *ret_tag,
                      struct lv_diag *diag) LV_MUST_CHECK;

/* Publishes on the channel that wait for their confirm. */
uint64_t lv_engine_unconfirmed(const struct lv_engine *engine, uint16_t channel);
/* LV_ENGINE_CLOSED has been told. */
bool lv_engine_is_closed(const struct lv_engine *engine);
/* Between LV_ENGINE_BLOCKED and LV_ENGINE_UNBLOCKED. */
bool lv_engine_is_blocked(const struct lv_engine *engine);
/* What the broker says it is ("RabbitMQ 3.10.8"); "" before it has said so. */
const char *lv_engine_server(const struct lv_engine *engine);
/* As negotiated; 0 before that. */
uint32_t lv_engine_frame_max(const struct lv_engine *engine);
