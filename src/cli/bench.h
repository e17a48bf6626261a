/*
 * cli/bench.h - what the parts of the load generator `leveret bench` share.
 *
 * Producers live on one thread, consumers on another, so that the broker is the bottleneck; a third
 * thread, which began the run, watches. Counters have one writer each and are read while it runs.
 */
#pragma once

#include "cli/bench_plan.h"
#include "client/driver.h"

#include <pthread.h>
#include <stdatomic.h>

#define LV_BENCH_PIDS_MAX 16u

/* Bodies begin with the producer's number and the message's, then the time of sending. */
#define LV_BENCH_STAMP_SIZE     16u
#define LV_BENCH_PRODUCER_SHIFT 48u
#define LV_BENCH_SEQUENCE_MASK  (((uint64_t)1 << LV_BENCH_PRODUCER_SHIFT) - 1)

/* What a client of `--churn` does again and again. */
enum lv_bench_cycle {
    LV_BENCH_CYCLE_CONNECTION, /* connect, publish, close */
    LV_BENCH_CYCLE_CHANNEL,    /* on one connection: open a channel, publish, close it */
    LV_BENCH_CYCLE_QUEUE,      /* on one channel: declare a queue, publish to it, delete it */
    LV_BENCH_CYCLE_BINDING     /* bind a queue with a new key, publish with it, unbind */
};

struct lv_bench_options {
    struct lv_url url;
    struct lv_bench_shape shape;
    uint64_t messages;  /* of all producers; 0: for `duration` */
    uint64_t window;    /* publishes of a producer that may lack their confirm; 0: no confirms */
    uint64_t prefetch;  /* 0: no limit */
    uint64_t ack_every; /* 0: no acks, the broker forgets what it sends */
    uint64_t idle;      /* connections with a consumer that only wait; 0: another mode */
    uint64_t hold;      /* every so many-th message stays unacked; 0: none does */
    uint64_t clients;   /* threads that connect, publish and close; 0: another mode */
    enum lv_bench_cycle cycle;
    double rate;                              /* messages/s of each producer; 0: as many as go */
    double duration, warmup, patience, limit; /* s */
    bool ack_single; /* one basic.ack for each message, where otherwise one stands for many */
    bool persistent;
    bool durable;
    bool mandatory;
    bool keep;  /* the queues stay */
    bool drain; /* no producers: consume what an earlier run left */
    bool json;
    bool quiet;
    const char *queue_type;      /* x-queue-type; NULL: none is asked for */
    const char *prefix;          /* of the names of queues and of the exchange */
    int pids[LV_BENCH_PIDS_MAX]; /* the broker's processes */
    size_t pid_count;
};

/* A number that one thread adds to and others read. */
struct lv_bench_counter {
    _Alignas(64) atomic_ullong value;
};

/* Only the one thread that writes the counter may call this: it is no atomic addition. */
static inline void lv_bench_count(struct lv_bench_counter *counter, uint64_t more)
{
    unsigned long long value = atomic_load_explicit(&counter->value, memory_order_relaxed);

    atomic_store_explicit(&counter->value, value + more, memory_order_relaxed);
}

/* Any thread; the value may be a moment old. */
static inline uint64_t lv_bench_read(struct lv_bench_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

struct lv_bench {
    const struct lv_bench_options *options; /* view */
    struct lv_bench_plan plan;
    struct lv_bench_counter published, confirmed, delivered; /* any */
    atomic_bool stop_publishing, stop_consuming;             /* any */
    atomic_bool measuring;  /* any  latencies count between warm-up and the end of the window */
    atomic_uint publishing; /* any  producers that are not done */
    atomic_uint blocked;    /* any  producers that the broker has told to stop */
    atomic_ullong refused, returned, blocked_ns; /* any */
    atomic_bool failed;                          /* any  `error` says why */
    pthread_mutex_t error_mutex;
    char error[512]; /*      the first one */
};

/* Keeps the first sentence and sets `failed`. Any thread. */
void lv_bench_fail(struct lv_bench *bench, const char *fmt, ...) LV_PRINTF(2, 3);

/* Ends the program with exit code 1 and a sentence once `seconds` are over, whatever it waits for:
 * a broker that goes on just a little must not hold up who compares it with others. */
void lv_bench_limit(double seconds);
/* What the sentence says that the run was doing; `phase` is kept and must stay. */
void lv_bench_phase(const char *phase);

/* Opens a connection with channel 1 on it; `what` names it to the broker. */
int lv_bench_connect(const struct lv_bench_options *options, const char *what,
                     struct lv_driver **ret_client, struct lv_diag *diag) LV_MUST_CHECK;

/* Declares (or deletes) the queues, exchange and bindings of the plan. */
int lv_bench_declare(const struct lv_bench *bench, struct lv_driver *client, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Messages that wait in all queues of the plan, and the queues' consumers. */
int lv_bench_count_ready(const struct lv_bench *bench, struct lv_driver *client,
                         uint64_t *ret_messages, uint64_t *ret_consumers, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Leaves everything there if the options say so. */
int lv_bench_delete(const struct lv_bench *bench, struct lv_driver *client, struct lv_diag *diag)
    LV_MUST_CHECK;

/* The modes. Each prints its result and returns an exit code. */
int lv_bench_run_load(const struct lv_bench_options *options);
/* --churn: connections that come and go. */
int lv_bench_run_churn(const struct lv_bench_options *options);
/* --idle: connections that wait. */
int lv_bench_run_idle(const struct lv_bench_options *options);
/* `leveret bench relay`, with its own options. */
int lv_bench_relay(int argc, char **argv);
