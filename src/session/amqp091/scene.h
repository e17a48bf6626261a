/*
 * session/amqp091/scene.h - how the tests of this room begin and end.
 *
 * For x_test.c only: a world with one peer on an open connection with channel 1, and what it should
 * hear.
 */
#pragma once

#include "codec/testing.h"
#include "session/amqp091/testing.h"

#include <stdio.h>

/* One peer of one broker, which is what most tests need. */
struct scene {
    struct lv_world world;
    struct lv_peer peer;
};

/* A connection without a byte said. */
static inline void scene_begin_new(struct scene *scene)
{
    lv_world_init(&scene->world, 1);
    lv_peer_init(&scene->peer, &scene->world, 0);
}

/* With a client that is logged in and has channel 1. */
static inline void scene_begin(struct scene *scene)
{
    assert(scene != NULL);
    scene_begin_new(scene);
    lv_peer_open(&scene->peer);
}

/* The peer first, as it lives in the world. */
static inline void scene_end(struct scene *scene)
{
    assert(scene != NULL);
    lv_peer_fini(&scene->peer);
    lv_world_fini(&scene->world);
}

/* Lets everything run; the peer hears exactly these lines. */
#define assert_hears(peer, text)                                                                   \
    do {                                                                                           \
        lv_world_settle((peer)->shard->world);                                                     \
        assert_string_equal(lv_peer_trace(peer), text);                                            \
    } while (0)

/* Bytes as they stand in the specification's examples. */
static inline void say_golden(struct lv_peer *peer, const char *text)
{
    assert(text != NULL);
    lv_peer_say(peer, golden(text));
}

/* In one write: method, header and body. */
static inline void say_message(struct lv_peer *peer, const char *exchange, const char *key,
                               const char *body)
{
    assert(body != NULL);
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){.exchange = exchange, .key = key, .body = lv_text(body)});
}

/* A queue of this name; nothing of it stays in the trace. */
static inline void declare_queue(struct lv_peer *peer, const char *name)
{
    assert(name != NULL);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name));
    lv_world_settle(peer->shard->world);
    (void)lv_peer_trace(peer);
}

/* A consumer with the tag "c". */
static inline void consume(struct lv_peer *peer, const char *queue, bool no_ack)
{
    assert(queue != NULL);
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text(queue),
        .consumer_tag = lv_text("c"), .no_ack = no_ack);
    lv_world_settle(peer->shard->world);
    (void)lv_peer_trace(peer);
}
