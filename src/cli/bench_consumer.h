/*
 * cli/bench_consumer.h - the consuming half of the load generator: all consumers on one thread.
 *
 * Every message is looked for in the plan: what is lost, comes twice, comes to the wrong queue or
 * overtakes another one of its producer is counted.
 */
#pragma once

#include "cli/bench.h"
#include "cli/bench_histogram.h"

struct lv_bench_consumer;
struct lv_seen;

/* What should all be zero. */
struct lv_bench_faults {
    uint64_t lost, duplicated, reordered, misrouted, foreign;
    uint64_t redelivered; /* no fault when a consumer has gone */
};

struct lv_bench_consumers {
    struct lv_bench *bench;              /* view */
    struct lv_bench_consumer *consumers; /* own */
    size_t count;
    struct lv_seen *seen;           /* own   [queue][producer] */
    struct lv_histogram *latencies; /* own   from sending to reading, in ns */
    struct lv_bench_faults faults;  /*       of the thread, until it has ended */
    pthread_t thread;
    bool running;
};

/* Connects all of them and lets them consume. On failure too, …_fini() is needed. */
int lv_bench_consumers_init(struct lv_bench_consumers *consumers, struct lv_bench *bench,
                            struct lv_diag *diag) LV_MUST_CHECK;
/* -LV_E_RESOURCE: no thread. */
int lv_bench_consumers_start(struct lv_bench_consumers *consumers, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Waits for the thread, which ends when told by `stop_consuming`. */
void lv_bench_consumers_join(struct lv_bench_consumers *consumers);
/* Drops the connections, so that what they have not acked goes back. The thread must have ended. */
void lv_bench_consumers_disconnect(struct lv_bench_consumers *consumers);
/* Drops the connections; the thread must have ended. */
void lv_bench_consumers_fini(struct lv_bench_consumers *consumers);

/* A backlog of `count` messages whose producers are long gone: adds what did not come of it. True
 * when each producer's messages came from its first to its last one. After the end only. */
bool lv_bench_consumers_judge_all(struct lv_bench_consumers *consumers, uint64_t count);
/* Adds what is missing of the `sent` messages of a producer. After the end only. */
void lv_bench_consumers_judge(struct lv_bench_consumers *consumers, uint64_t producer,
                              uint64_t sent);
