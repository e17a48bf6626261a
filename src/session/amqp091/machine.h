/*
 * session/amqp091/machine.h - the structures behind session.h, shared by the modules of this room.
 *
 * Two machines: the connection (enum lv_session_state) and each of its channels (enum
 * lv_session_channel_state). Bytes enter by input.c; methods become commands in command.c; what
 * the core says becomes frames in reply.c and deliver.c. Every frame's handler returns 0 or an
 * error with its sentence in a struct lv_fault; only error.c turns these into closed channels and
 * connections. The core's callbacks may not call the core back: what they would have to close is
 * left as `deferred` and done at the next step. Owning shard only.
 */
#pragma once

#include "session/amqp091/limits.h"
#include "session/amqp091/session.h"

struct lv_amqp091_method;

/* ---- the connection ---- */

/* In the order of a connection's life; see allowed[] in session.c. */
enum lv_session_state {
    LV_SESSION_HEADER,    /* the protocol header is awaited */
    LV_SESSION_STARTING,  /* start is sent, start-ok awaited */
    LV_SESSION_LOGIN,     /* the host is asked who this is */
    LV_SESSION_TUNING,    /* tune is sent, tune-ok awaited */
    LV_SESSION_OPENING,   /* connection.open is awaited */
    LV_SESSION_RUNNING,   /* */
    LV_SESSION_RELEASING, /* the core lets go of the client; then close, close-ok or nothing is sent
                           */
    LV_SESSION_CLOSING,   /* connection.close is sent, close-ok awaited, all else ignored */
    LV_SESSION_LINGERING, /* nothing more to say: input is thrown away until the peer goes or time
                             is up */
    LV_SESSION_FINISHED,  /* the host is told, or about to be */
    LV_SESSION_STATE_COUNT
};

/* Why no input is taken. */
enum lv_session_pause {
    LV_PAUSE_ANSWER = 1u << 0, /* the next frame can't be judged before an answer comes */
    LV_PAUSE_FULL = 1u << 1,   /* the output is above out_full */
    LV_PAUSE_ALARM = 1u << 2,  /* a publisher during an alarm */
    LV_PAUSE_DRAIN = 1u << 3   /* it has nothing unacked, and the broker is about to end */
};

/* What the client says it understands. */
enum lv_session_capability {
    LV_CAPABLE_AUTHENTICATION_FAILURE_CLOSE = 1u << 0,
    LV_CAPABLE_BLOCKED = 1u << 1,
    LV_CAPABLE_CANCEL_NOTIFY = 1u << 2
};

/* A frame's failure: what is told to the peer and about which method (class << 16 | method, or 0).
 */
struct lv_fault {
    struct lv_diag diag;
    uint32_t method;
};

struct lv_session_consumer;

/* The command whose reply is awaited; there is at most one. */
struct lv_session_pending {
    struct lv_session_channel *channel;   /* view  NULL: none */
    struct lv_session_consumer *consumer; /* own   consume: joins its channel with the reply */
    uint32_t method;                      /*       class << 16 | method */
    bool no_wait;
};

/* connection.close as it will be sent once the core has let go. */
struct lv_session_farewell {
    uint16_t code;
    uint32_t method;
    char text[256]; /* "NAME - explanation" */
};

/* All of a connection but its socket. Kept small, since there may be very many that are idle. */
struct lv_session {
    struct lv_out out;
    const struct lv_session_host *host;     /* view */
    void *host_ctx;                         /* view */
    const struct lv_session_limits *limits; /* view */
    struct lv_client *client;               /* own   from connection.open to client_closed */
    struct lv_session_channel **channels;   /* own   by number; grown on demand */
    uint32_t frame_max;     /*       negotiated; the largest frame, overhead included */
    uint32_t frame_left;    /*       of a body frame: bytes to come, end byte included */
    uint16_t frame_channel; /*       whose body frame that is */
    uint16_t channel_max;
    uint32_t channel_capacity;
    uint16_t heartbeat_s;
    uint8_t state;        /* enum lv_session_state */
    uint8_t pause;        /* enum lv_session_pause */
    uint8_t capabilities; /* enum lv_session_capability */
    uint8_t silent_checks;
    bool flush_asked : 1;   /* the host knows that there is output */
    bool is_writable : 1;   /* as the core was told */
    bool has_sent : 1;      /* since the last heartbeat tick */
    bool has_received : 1;  /* since the last heartbeat check */
    bool half_tick : 1;     /* ticks come at half the heartbeat, checks at every second one */
    bool told_blocked : 1;  /* connection.blocked is out */
    bool deferred : 1;      /* something waits for a step outside the core */
    bool doomed : 1;        /* the output is torn: nothing more can be said */
    bool out_of_step : 1;   /* framing is lost: no close-ok can be found in what comes */
    bool is_timing : 1;     /* the deadline counts from a known time */
    bool owes_close_ok : 1; /* RUNNING, RELEASING: the client has asked */
    bool is_told : 1;       /* `finished` was called */
    bool resumed : 1;       /* the last pause ended within this step */
    bool may_probe : 1;     /* a command runs that may be tried again */
    bool is_locked_out : 1; /* it was refused because another client locks the queue */
    bool is_retried : 1;    /* the frame just judged is to be judged again */
    bool has_probed : 1;    /* the next command is tried again: what it says now counts */
    uint32_t wait_ms;       /* of CLOSING and LINGERING */
    uint32_t depth;         /* steps on the stack */
    struct lv_session_pending pending;
    struct lv_deadline deadline;          /* the handshake, then heartbeats, then the end */
    struct lv_deadlines *deadlines;       /* view */
    uint64_t assembly_size;               /*       bytes of incomplete bodies held */
    const char *alarm;                    /* view  the reason, NULL when there is none */
    struct lv_session_farewell *farewell; /* own */
    char *user;                           /* own   between start-ok and open */
    const char *mechanism;                /* view  from start-ok on */
    uint8_t *properties;                  /* own   the client's, as they came; NULL: not kept */
    uint32_t properties_size;
    struct lv_broker *broker; /* view */
    uint64_t origin, alias;   /*       as in struct lv_client_config */
    const char *certified;    /* view  as in struct lv_session_config */
    const char *version;      /* view */
    const char *information;  /* view */
};

/* ---- session.c: life ---- */

/* The one place where the connection's state changes; asserts that it may, and tells the log. */
void lv_session_move_to(struct lv_session *session, enum lv_session_state state);
/* `reasons` (enum lv_session_pause) no longer hold; the last one to go lets the input go on. */
void lv_session_resume(struct lv_session *session, unsigned reasons);
/* Something has to be done outside the core's callbacks: at the end of this step or in the next,
 * which the host is asked for. */
void lv_session_defer(struct lv_session *session);
/* The core knows the client no more: says farewell, if there is one to say, and ends. */
void lv_session_release(struct lv_session *session);
/* The output can't be continued (out of memory in the middle of a frame): the connection ends
 * without another word. */
void lv_session_doom(struct lv_session *session);
/* The next heartbeat tick, half an interval from now. */
void lv_session_arm_heartbeat(struct lv_session *session, uint64_t now);
/* The core's probe. */
void lv_session_probe(void *client_ctx, bool is_same);
/* The core's warned. */
void lv_session_warned(void *client_ctx, const char *name, const char *why);
/* The core's forced. */
void lv_session_forced(void *client_ctx, const char *why);
/* The core's client_closed. */
void lv_session_client_closed(void *client_ctx);
/* The output is above its first mark: the core has to hold back, and perhaps the peer too. */
void lv_session_throttle(struct lv_session *session);
/* Moves to a state that lasts at most `ms`, from the next time that is known. */
void lv_session_wait(struct lv_session *session, enum lv_session_state state, uint32_t ms);
/* For the host's log; `why` may be "". */
void lv_session_log(struct lv_session *session, enum lv_level level, const char *name,
                    const char *why);

/* To be called after bytes were added to the output. */
static inline void lv_session_wrote(struct lv_session *session)
{
    session->has_sent = true;
    if (!session->flush_asked) {
        session->flush_asked = true;
        session->host->flush(session->host_ctx);
    }
    if (LV_UNLIKELY(session->out.size > session->limits->out_high))
        lv_session_throttle(session);
}

/* ---- input.c ---- */

/* One frame, one whole message, or a part of a body: bytes used, 0 for more. */
size_t lv_session_take(struct lv_session *session, struct lv_bytes input, uint64_t now);

/* ---- handshake.c ---- */

/* The protocol header: bytes used, 0 for more. Any header but 0-9-1's ends the session. */
size_t lv_session_take_header(struct lv_session *session, struct lv_bytes input);
/* connection.start-ok: asks the host who this is, which pauses the session. */
int lv_session_start_ok(struct lv_session *session, const struct lv_amqp091_method *method,
                        struct lv_fault *fault) LV_MUST_CHECK;
/* The host's answer: connection.tune, or a refusal. */
void lv_session_logged_in(struct lv_session *session, const char *refusal);
/* connection.tune-ok: what was offered may only be lowered. */
int lv_session_tune_ok(struct lv_session *session, const struct lv_amqp091_method *method,
                       struct lv_fault *fault) LV_MUST_CHECK;
/* connection.open: makes the core's client; the connection is running. */
int lv_session_open(struct lv_session *session, const struct lv_amqp091_method *method,
                    struct lv_fault *fault, uint64_t now) LV_MUST_CHECK;

/* ---- channels ---- */

/* See allowed[] in channel.c. */
enum lv_session_channel_state {
    LV_SESSION_CHANNEL_OPEN,    /* methods are awaited */
    LV_SESSION_CHANNEL_HEADER,  /* basic.publish came, its content header is awaited */
    LV_SESSION_CHANNEL_BODY,    /* body frames are awaited */
    LV_SESSION_CHANNEL_FAILED,  /* channel.close is sent: all is discarded until close-ok */
    LV_SESSION_CHANNEL_LEAVING, /* the core lets go; then it is gone, with close-ok if that is owed
                                 */
    LV_SESSION_CHANNEL_STATE_COUNT
};

/* A message being assembled from frames that did not come in one piece. */
struct lv_content {
    uint8_t *properties;   /* own   raw, NULL until the header came */
    uint8_t *body;         /* own   what has arrived */
    uint64_t expected;     /*       bytes announced */
    size_t size, capacity; /*       of the body */
    uint32_t properties_size;
    uint8_t exchange_size, key_size;
    bool mandatory;
    uint8_t names[]; /* exchange, key */
};

/* A channel's number, and what came of a message that is not complete yet. */
struct lv_session_channel {
    struct lv_session *session;            /* view */
    struct lv_channel *core;               /* own   NULL when the core has let go */
    struct lv_session_consumer *consumers; /* own */
    struct lv_content *content;            /* own   in HEADER and BODY */
    uint32_t consumer_count;
    uint16_t number;
    uint8_t state;      /* enum lv_session_channel_state */
    bool owes_close_ok; /* LEAVING: the client has asked */
    bool core_closing;  /* lv_channel_close() was called */
};

/* Bytes of a consumer's prefix before its tag. */
#define LV_CONSUMER_PREFIX_SIZE 12

/* What a delivery to this consumer begins with: the method frame up to the delivery tag. */
struct lv_session_consumer {
    struct lv_session_consumer *next; /* own   in its channel */
    uint16_t prefix_size;             /*       bytes of `prefix`, 0 until the reply came */
    uint8_t tag_capacity;
    uint8_t prefix[]; /* type, channel, size (to be filled), class, method, tag */
};

/* ---- channel.c ---- */

/* NULL when no such channel is open. */
static inline struct lv_session_channel *lv_session_channel(const struct lv_session *session,
                                                            uint16_t number)
{
    return number < session->channel_capacity ? session->channels[number] : NULL;
}
/* The one place where a channel's state changes; asserts that it may. */
void lv_session_channel_move_to(struct lv_session_channel *channel,
                                enum lv_session_channel_state state);
/* channel.open on a number that is free. */
int lv_session_channel_open(struct lv_session *session, uint16_t number, struct lv_fault *fault)
    LV_MUST_CHECK;
/* The client's channel.close: answered when the core has let go, which may free the channel. */
void lv_session_channel_close(struct lv_session_channel *channel);
/* The client's answer to ours; may free the channel. */
void lv_session_channel_close_ok(struct lv_session_channel *channel);
/* Tells the client now; the core's side is deferred. */
void lv_session_channel_fail(struct lv_session_channel *channel, int error,
                             const struct lv_fault *fault);
/* Closes in the core the channels that have failed. Not within its callbacks. */
void lv_session_channels_close_failed(struct lv_session *session);
/* The core's channel_closed. */
void lv_session_channel_closed(void *channel_ctx);
/* Takes NULL. The core must have let go, or be about to with all of the client. */
void lv_session_channel_free(struct lv_session_channel *channel);
/* Frees all channels and their table. */
void lv_session_channels_fini(struct lv_session *session);

/* Gives a consumer with room for the tag (empty: for one of the broker's making), or NULL. */
struct lv_session_consumer *lv_session_consumer_new(struct lv_bytes tag) LV_MUST_CHECK;
/* Takes the consumer, which gets its name now. */
void lv_session_consumer_add(struct lv_session_channel *channel,
                             struct lv_session_consumer *consumer, struct lv_bytes tag);
/* NULL when there is none with that tag. */
struct lv_session_consumer *lv_session_consumer_find(const struct lv_session_channel *channel,
                                                     struct lv_bytes tag);
/* Frees it; it must be the channel's. */
void lv_session_consumer_remove(struct lv_session_channel *channel,
                                struct lv_session_consumer *consumer);

/* ---- content.c: basic.publish and what follows it ---- */

/* No complete message is smaller; so much of one may be read before looking closer. */
#define LV_CONTENT_WHOLE_MIN 39u

/* All frames of a message in one piece, published from where they lie: bytes used. 0 when they are
 * not there or not as usual; they are then judged one by one. */
size_t lv_content_take_whole(struct lv_session_channel *channel, struct lv_bytes input);
/* basic.publish: the message's content is awaited. */
int lv_content_begin(struct lv_session_channel *channel, const struct lv_amqp091_method *method,
                     struct lv_fault *fault) LV_MUST_CHECK;
/* Its content header; without a body that is all, and the message is published. */
int lv_content_header(struct lv_session_channel *channel, struct lv_bytes payload,
                      struct lv_fault *fault) LV_MUST_CHECK;
/* A body frame of `size` bytes begins. */
int lv_content_frame(struct lv_session_channel *channel, uint32_t size, struct lv_fault *fault)
    LV_MUST_CHECK;
/* Some bytes of it. */
int lv_content_body(struct lv_session_channel *channel, struct lv_bytes bytes,
                    struct lv_fault *fault) LV_MUST_CHECK;
/* A body frame is complete; if the body is too, the message is published. */
void lv_content_end(struct lv_session_channel *channel);
/* Forgets a message that will not be completed; there need not be one. */
void lv_content_free(struct lv_session_channel *channel);

/* ---- judged.c ---- */

/* Properties by which the broker judges a message, as bits of its flags. */
#define LV_SESSION_JUDGED_PROPERTIES                                                               \
    (LV_AMQP091_PROPERTY_REPLY_TO | LV_AMQP091_PROPERTY_EXPIRATION | LV_AMQP091_PROPERTY_USER_ID)

/* lv_channel_publish() for a message that has such properties. */
int lv_session_publish_judged(struct lv_session_channel *channel, const struct lv_message *message,
                              bool mandatory, struct lv_diag *diag) LV_MUST_CHECK;

/* ---- command.c ---- */

/* Any other method on an open channel. */
int lv_session_command(struct lv_session_channel *channel, const struct lv_amqp091_method *method,
                       struct lv_fault *fault) LV_MUST_CHECK;

/* ---- reply.c and deliver.c ---- */

/* What the core calls. */
extern const struct lv_client_ops lv_session_client_ops;
/* The core's reply to the pending command. */
void lv_session_reply(void *channel_ctx, const struct lv_reply *reply);
/* A method on its way to the client. */
void lv_session_send(struct lv_session *session, uint16_t channel,
                     const struct lv_amqp091_method *method);
/* Header and body after a method that has content. `ref` as in struct lv_delivery. */
void lv_session_send_content(struct lv_session *session, uint16_t channel,
                             const struct lv_message *message, struct lv_ref ref);

/* ---- error.c ---- */

/* Closes the channel or, for a hard error or without a channel, the connection. */
void lv_session_fail(struct lv_session *session, struct lv_session_channel *channel, int error,
                     const struct lv_fault *fault);
/* "NAME - explanation", at most 255 bytes and cut at a character. Returns `text`. */
const char *lv_session_error_text(int error, const char *explanation, char text[256]);
