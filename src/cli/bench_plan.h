/*
 * cli/bench_plan.h - who publishes what to whom, so that every delivery can be foretold.
 *
 * A producer sends the same round of messages again and again; each place in the round ("slot") has
 * its routing key. For every queue the plan knows which slots reach it, hence how many of a
 * producer's messages have to arrive there and which number among them each has. Pure.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

enum lv_bench_exchange {
    LV_BENCH_DEFAULT, /* producer n publishes to queue n modulo their count */
    LV_BENCH_DIRECT,
    LV_BENCH_FANOUT,
    LV_BENCH_TOPIC,
};

struct lv_bench_shape {
    enum lv_bench_exchange exchange;
    uint64_t producers, consumers, queues;
    uint64_t bindings; /* of direct and topic exchanges; at least one per queue */
    uint64_t size;     /* of bodies */
};

#define LV_BENCH_KEY_SIZE   64u
#define LV_BENCH_NOT_ROUTED UINT64_MAX

struct lv_bench_plan {
    struct lv_bench_shape shape;
    uint32_t slot_count;                 /* messages in a round */
    char (*keys)[LV_BENCH_KEY_SIZE];     /* own   routing key of each slot; NULL: all the same */
    char (*patterns)[LV_BENCH_KEY_SIZE]; /* own   binding keys; number n binds queue n % queues */
    uint32_t *ranks; /* own   [queue][slot]: earlier slots of the round that reach the queue too */
    uint32_t *reached; /* own   [queue]: slots of a round that reach it */
};

/* `shape.bindings` below the number of queues is raised to it. -LV_E_NOMEM. */
int lv_bench_plan_init(struct lv_bench_plan *plan, const struct lv_bench_shape *shape)
    LV_MUST_CHECK;
/* May be called again, and after a failed init. */
void lv_bench_plan_fini(struct lv_bench_plan *plan);

/* Which one the producer's message number `sequence` is among its messages for the queue, or
 * LV_BENCH_NOT_ROUTED. */
uint64_t lv_bench_plan_rank(const struct lv_bench_plan *plan, uint64_t producer, uint64_t queue,
                            uint64_t sequence);
/* How many of the producer's first `count` messages reach the queue. */
uint64_t lv_bench_plan_expected(const struct lv_bench_plan *plan, uint64_t producer, uint64_t queue,
                                uint64_t count);
/* Does a consumer read the queue? With fewer consumers than queues some are left alone. */
bool lv_bench_plan_is_consumed(const struct lv_bench_plan *plan, uint64_t queue);

/* AMQP 0-9-1 §3.1.3.3: `*` is one word, `#` any number of them. */
bool lv_bench_topic_matches(const char *pattern, const char *key);
