/*
 * cli/bench_producer.h - the publishing half of the load generator: all producers on one thread.
 *
 * A producer's messages are encoded once, in a row; before each write only the stamps at the start
 * of their bodies change. Several hundred messages leave with one system call.
 */
#pragma once

#include "cli/bench.h"
#include "cli/bench_histogram.h"
#include "client/unconfirmed.h"

struct lv_bench_producer;

struct lv_bench_producers {
    struct lv_bench *bench;              /* view */
    struct lv_bench_producer *producers; /* own */
    size_t count;
    struct lv_histogram *latencies; /* own   from sending to the confirm, in ns */
    pthread_t thread;
    bool running;
};

/* Connects all of them. On failure too, lv_bench_producers_fini() is needed. */
int lv_bench_producers_init(struct lv_bench_producers *producers, struct lv_bench *bench,
                            struct lv_diag *diag) LV_MUST_CHECK;
/* -LV_E_RESOURCE: no thread. */
int lv_bench_producers_start(struct lv_bench_producers *producers, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Waits for the thread. It ends once every producer has sent what it has to and, with confirms, has
 * heard of all of it; or at once when the bench has failed. */
void lv_bench_producers_join(struct lv_bench_producers *producers);
/* Says goodbye to the broker; the thread must have ended. */
void lv_bench_producers_fini(struct lv_bench_producers *producers);

/* Messages that the producer has sent. After the end only. */
uint64_t lv_bench_producers_sent(const struct lv_bench_producers *producers, uint64_t number);
