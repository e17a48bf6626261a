/*
 * tests/crash/client.h - clients that use a broker and tell the model what they asked for and
 * heard.
 */
#pragma once

#include "broker/broker.h"
#include "model.h"
#include "world.h"

struct crash_client;

struct crash_consumer {
    struct crash_client *client; /* view */
    uint32_t queue;
    bool is_on, no_ack;
};

/* A delivery by its tag. */
struct crash_held {
    uint32_t queue, id; /* id 0: settled, or of a queue that is gone */
    bool is_pending;    /* settled in a transaction that is not committed */
    enum lv_settle how;
};

/* A publish by its tag, or in a transaction. */
struct crash_sent {
    uint32_t id;
    uint32_t queues, certain;      /* bits */
    uint32_t epochs[CRASH_QUEUES]; /* of the queues when it was published */
};

/* How its channel publishes. */
enum crash_mode { CRASH_PLAIN, CRASH_CONFIRM, CRASH_TX };

struct crash_client {
    struct crash_world *world; /* view */
    struct crash_model *model; /* view */
    struct lv_random *random;  /* view */
    uint32_t *epochs;          /* view  how often each queue was deleted */
    struct lv_client *core;
    struct lv_channel *channel;
    uint16_t source;
    enum crash_mode mode;
    bool is_closing, waits;
    enum lv_command command;
    uint32_t command_queue;
    uint64_t count_min, count_max; /* of messages that the answer should tell */
    bool checks_count;
    bool got_no_ack;
    struct crash_consumer consumers[CRASH_QUEUES];
    struct crash_held *held; /* own   by tag - 1 */
    size_t held_count, held_capacity;
    struct crash_sent *sent; /* own   by tag - 1; of a transaction, those to be committed */
    size_t sent_count, sent_capacity, committing;
    size_t confirmed;
};

/* It does something, if it can; `is_manager`: it alone declares, binds and deletes. */
void crash_client_act(struct crash_client *client, bool is_manager);
/* While nothing is under way: empties a queue, or asks how long it is. */
void crash_client_purge(struct crash_client *client, uint32_t queue);
void crash_client_measure(struct crash_client *client, uint32_t queue);
/* Forgets what a world that is gone had told it; closes it there. */
void crash_client_lose(struct crash_client *client);
void crash_client_fini(struct crash_client *client);

/* Everything in every queue, as a client gets it from a broker that has just recovered. */
void crash_drain(struct crash_world *world, const struct crash_model *model,
                 struct lv_random *random, struct crash_findings *ret_findings);
