/*
 * tests/sim/client.h - clients that do what they like and remember what they are owed.
 *
 * A client says things long before the session takes them. What follows from them (a message is
 * published, a delivery is settled) becomes true in the model when the bytes have been taken: until
 * then a lost connection undoes it.
 */
#pragma once

#include "model.h"
#include "session/amqp091/testing.h"

#define SIM_EXPECTED_MAX 64u
#define SIM_HELD_MAX     512u
#define SIM_WINDOW       40u        /* publishes without a confirm */
#define SIM_TAGS_MAX     64u        /* consumers of a churner's channel, one after another */
#define SIM_UNCOUNTED    UINT32_MAX /* the queue of a delivery that nobody accounts for */

enum sim_role { SIM_PUBLISHER, SIM_CONSUMER, SIM_CHURNER };

enum sim_event_kind { SIM_PUBLISH, SIM_ACK, SIM_REQUEUE, SIM_CLOSE };

/* What becomes true when the session has taken all bytes up to `at`. */
struct sim_event {
    uint64_t at;
    uint64_t tag;    /* of the delivery; 0 for a publish */
    uint32_t number; /* of the message */
    enum sim_event_kind kind;
};

struct sim_held {
    uint64_t tag;
    uint32_t number, queue;
    uint32_t consumer; /* which one of the channel's, 0 for a get */
    bool answered;     /* said, not yet taken */
};

/* A churner's consumer, by its tag "x0" … */
enum sim_tag_state { SIM_TAG_FREE, SIM_TAG_ASKED, SIM_TAG_LIVE, SIM_TAG_GONE };

struct sim_consumer {
    uint32_t id; /* counts up; 0: none */
    uint32_t prefetch, held;
    uint32_t said_prefetch;
    bool wanted;                         /* as said; consume-ok may be still to come */
    uint32_t heard_next[SIM_PUBLISHERS]; /* per publisher: numbers below have been seen */
};

/* Content that is being received, and why. */
struct sim_content {
    uint32_t id; /* the method's */
    uint64_t tag, size;
    uint32_t queue;
    bool redelivered;
    size_t got;
    uint8_t body[SIM_BODY_MAX];
};

struct sim_client {
    struct lv_peer peer;
    struct sim_run *run; /* view */
    enum sim_role role;
    bool is_open;     /* has a peer */
    bool is_closing;  /* has said a close: of the channel, or of the connection */
    bool has_left;    /* has said connection.close */
    bool is_released; /* the close is taken: what is still heard belongs to others */
    uint64_t said;
    struct sim_event events[1024];
    uint32_t event_count;
    uint32_t expected[SIM_EXPECTED_MAX];  /* replies, oldest first */
    uint32_t got_queue[SIM_EXPECTED_MAX]; /* for a basic.get: whose */
    uint32_t expected_count;
    uint32_t publisher;  /* a new one for each channel: order counts within */
    uint32_t *published; /* own   message numbers by confirm tag - 1 */
    uint32_t published_count, published_capacity, taken_count, confirmed_count;
    struct sim_held held[SIM_HELD_MAX];
    uint32_t held_count;
    struct sim_consumer consumers[SIM_QUEUES];
    uint32_t next_consumer, next_prefetch, global_prefetch, said_global;
    struct sim_content content;
    uint8_t tags[SIM_TAGS_MAX]; /* enum sim_tag_state */
    uint32_t tag_count;
};

/* One simulated world. */
struct sim_run {
    struct sim_model model;
    struct lv_world world;
    uint64_t carried[LV_WORLD_SHARDS_MAX][LV_WORLD_SHARDS_MAX];
    uint32_t homes[SIM_QUEUES];
    uint32_t frame_max;
    struct sim_client *clients; /* own */
    uint32_t client_count;
    bool lossy_lost; /* a consumer without acks was cut off */
    bool is_ending;  /* nobody starts anything new */
};

/* The queue whose consumers don't acknowledge: what is on its way when they go is lost. */
#define SIM_LOSSY (SIM_QUEUES - 1)

void sim_client_connect(struct sim_client *client);
/* Says something, if it is in the mood. */
void sim_client_act(struct sim_client *client);
/* Lets the session take a piece of what was said. */
void sim_client_push(struct sim_client *client, size_t size);
/* The socket breaks, or the client says goodbye. */
void sim_client_lose(struct sim_client *client);
void sim_client_leave(struct sim_client *client);
/* After its session has finished. */
void sim_client_end(struct sim_client *client);
