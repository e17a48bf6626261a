#include "cli/bench_consumer.h"

#include "base/alloc.h"
#include "cli/bench_scan.h"
#include "cli/bench_seen.h"
#include "codec/amqp091/frame.h"
#include "io/clock.h"
#include "io/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_SIZE 262144u
/* From this size on bodies are dropped in the kernel, so that copying them costs no time that the
 * broker could have had. A small buffer then keeps the reads short. */
#define LARGE_SIZE       16384u
#define INPUT_SIZE_LARGE 4096u
#define DROP_SIZE        ((size_t)1 << 20)
#define READS_IN_A_ROW   8
#define IDLE_MS          20
#define EVENTS           128
#define ACK_FRAME_SIZE   21u
#define OUTPUT_SIZE      65536u

struct lv_bench_consumer {
    struct lv_bench_consumers *all; /* view */
    struct lv_driver *client;       /* own */
    uint64_t number, queue;
    struct lv_scan scan;
    uint64_t now;      /* when what is scanned was read */
    uint64_t burst;    /* messages of one read */
    uint64_t acked;    /* the last tag that was acked */
    uint64_t complete; /* the last tag that came whole */
    bool measuring;
    uint64_t *newest; /* own   by producer: the highest number seen here, plus one */
    uint8_t *input;   /* own */
    size_t input_capacity, input_start, input_end;
    uint8_t output[OUTPUT_SIZE];
    size_t output_start, output_end;
};

/* One message, seen by its queue's consumer. */
static void take_message(void *ctx, const struct lv_scan *scan)
{
    struct lv_bench_consumer *consumer = ctx;
    struct lv_bench_consumers *all = consumer->all;
    const struct lv_bench_plan *plan = &all->bench->plan;
    uint64_t producer = scan->identity >> LV_BENCH_PRODUCER_SHIFT;
    uint64_t number = scan->identity & LV_BENCH_SEQUENCE_MASK, rank;
    /* What was delivered before comes when it comes, but a backlog comes once and in order. */
    bool excused = scan->redelivered && !all->bench->options->drain;

    consumer->burst++;
    consumer->complete = scan->tag;
    if (consumer->measuring)
        lv_histogram_add(all->latencies,
                         consumer->now > scan->stamp ? consumer->now - scan->stamp : 0);
    if (LV_UNLIKELY(producer >= plan->shape.producers)) {
        all->faults.foreign++;
        return;
    }
    rank = lv_bench_plan_rank(plan, producer, consumer->queue, number);
    if (LV_UNLIKELY(scan->redelivered))
        all->faults.redelivered++;
    if (LV_UNLIKELY(rank == LV_BENCH_NOT_ROUTED)) {
        all->faults.misrouted++;
        return;
    }
    switch (lv_seen_add(&all->seen[consumer->queue * plan->shape.producers + producer], rank)) {
    case LV_SEEN_NEW:
        if (LV_UNLIKELY(number < consumer->newest[producer]) && !excused)
            all->faults.reordered++;
        break;
    case LV_SEEN_AGAIN:
        all->faults.duplicated += !excused;
        break;
    default:
        all->faults.foreign++;
    }
    if (number >= consumer->newest[producer])
        consumer->newest[producer] = number + 1;
}

/* basic.consume is sent by hand, so that the scanner gets all that follows it. */
static int send_consume(struct lv_bench_consumer *consumer, struct lv_diag *diag)
{
    const struct lv_bench_options *options = consumer->all->bench->options;
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_method consume = {.id = LV_AMQP091_BASIC_CONSUME,
                                        .basic_consume = {.no_ack = options->ack_every == 0}};
    uint8_t frame[256];
    struct lv_bytes bytes;

    snprintf(queue, sizeof queue, "%s-%u", options->prefix, (unsigned)consumer->queue);
    consume.basic_consume.queue = lv_text(queue);
    assert(lv_amqp091_frame_method_size(&consume) <= sizeof frame);
    bytes = lv_bytes(frame, (size_t)(lv_amqp091_frame_encode_method(&consume, 1, frame) - frame));
    if (lv_driver_write(consumer->client, &bytes, 1) != (ssize_t)bytes.size)
        return lv_fail(diag, -LV_E_IO, "basic.consume could not be sent");
    return 0;
}

/* Its connection, and buffers that suit the size of the bodies. */
static int open_consumer(struct lv_bench_consumer *consumer, struct lv_diag *diag)
{
    const struct lv_bench_options *options = consumer->all->bench->options;
    const struct lv_amqp091_method qos = {
        .id = LV_AMQP091_BASIC_QOS, .basic_qos = {.prefetch_count = (uint16_t)options->prefetch}};
    int rc;

    consumer->scan = (struct lv_scan){.message = take_message, .ctx = consumer};
    /* With TLS nothing can be thrown away unread. */
    consumer->input_capacity =
        options->shape.size >= LARGE_SIZE && !options->url.is_tls ? INPUT_SIZE_LARGE : INPUT_SIZE;
    consumer->input = lv_alloc(consumer->input_capacity);
    consumer->newest = lv_calloc(options->shape.producers, sizeof *consumer->newest);
    if (consumer->input == NULL || consumer->newest == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    rc = lv_bench_connect(options, "leveret bench consumer", &consumer->client, diag);
    if (rc == 0 && options->prefetch > 0)
        rc = lv_driver_call(consumer->client, 1, &qos, NULL, diag);
    return rc < 0 ? rc : send_consume(consumer, diag);
}

/* The run is over: one consumer that misses messages makes the rest meaningless. */
static void fail(struct lv_bench_consumer *consumer, const char *why)
{
    assert(why != NULL);
    lv_bench_fail(consumer->all->bench, "consumer %u: %s", (unsigned)consumer->number, why);
}

/* Sends acks; what the socket does not take now goes with the next ones. */
static void push(struct lv_bench_consumer *consumer)
{
    struct lv_bytes bytes = lv_bytes(consumer->output + consumer->output_start,
                                     consumer->output_end - consumer->output_start);
    ssize_t sent = 0;

    assert(consumer->output_start <= consumer->output_end);
    if (bytes.size > 0 || lv_driver_owes(consumer->client))
        sent = lv_driver_write(consumer->client, &bytes, bytes.size > 0 ? 1 : 0);
    if (sent < 0)
        fail(consumer, "the connection broke");
    else
        consumer->output_start += (size_t)sent;
    if (consumer->output_start == consumer->output_end)
        consumer->output_start = consumer->output_end = 0;
}

/* False when there is no room for another ack now. */
static bool put_ack(struct lv_bench_consumer *consumer, uint64_t tag, bool multiple)
{
    const struct lv_amqp091_method ack = {.id = LV_AMQP091_BASIC_ACK,
                                          .basic_ack = {.delivery_tag = tag, .multiple = multiple}};

    if (OUTPUT_SIZE - consumer->output_end < ACK_FRAME_SIZE)
        push(consumer);
    if (OUTPUT_SIZE - consumer->output_end < ACK_FRAME_SIZE)
        return false;
    assert(lv_amqp091_frame_method_size(&ack) <= ACK_FRAME_SIZE);
    consumer->output_end =
        (size_t)(lv_amqp091_frame_encode_method(&ack, 1, consumer->output + consumer->output_end) -
                 consumer->output);
    return true;
}

/* Some messages may be left as they are, to grow old among others. */
static bool is_held(const struct lv_bench_options *options, uint64_t tag)
{
    assert(tag > 0);
    return options->hold > 0 && tag % options->hold == 0;
}

/* Acks what has come whole, when it is enough or `all` is wanted. */
static void acknowledge(struct lv_bench_consumer *consumer, bool all)
{
    const struct lv_bench_options *options = consumer->all->bench->options;
    uint64_t open = consumer->complete - consumer->acked;

    assert(consumer->complete >= consumer->acked);
    if (options->ack_every == 0)
        return;
    if (open > 0 && (all || open >= options->ack_every)) {
        if (!options->ack_single && put_ack(consumer, consumer->complete, true))
            consumer->acked = consumer->complete;
        while (options->ack_single && consumer->acked < consumer->complete &&
               (is_held(options, consumer->acked + 1) ||
                put_ack(consumer, consumer->acked + 1, false)))
            consumer->acked++;
    }
    push(consumer);
}

/* Lets the scanner go over what has been read. False at an end. */
static bool scan(struct lv_bench_consumer *consumer)
{
    struct lv_bench *bench = consumer->all->bench;
    struct lv_diag diag = {.text = ""};
    ssize_t used;

    consumer->now = lv_clock_now();
    consumer->measuring = atomic_load_explicit(&bench->measuring, memory_order_relaxed);
    used = lv_scan_input(&consumer->scan,
                         lv_bytes(consumer->input + consumer->input_start,
                                  consumer->input_end - consumer->input_start),
                         &diag);
    if (used < 0) {
        fail(consumer, diag.text);
        return false;
    }
    consumer->input_start += (size_t)used;
    assert(consumer->input_start <= consumer->input_end);
    lv_bench_count(&bench->delivered, consumer->burst);
    consumer->burst = 0;
    return true;
}

/* Makes room behind what is left over. */
static void compact(struct lv_bench_consumer *consumer)
{
    size_t left = consumer->input_end - consumer->input_start;

    assert(left < consumer->input_capacity);
    if (consumer->input_start == 0)
        return;
    memmove(consumer->input, consumer->input + consumer->input_start, left);
    consumer->input_start = 0;
    consumer->input_end = left;
}

/* Reads once: bytes, 0 when there is nothing now, or less at the end. */
static ssize_t read_once(struct lv_bench_consumer *consumer, uint8_t *drop)
{
    size_t unwanted = lv_scan_unwanted(&consumer->scan);
    ssize_t got;

    compact(consumer);
    if (consumer->input_end == 0 && unwanted >= INPUT_SIZE_LARGE &&
        consumer->input_capacity == INPUT_SIZE_LARGE) {
        got = recv(lv_driver_fd(consumer->client), drop,
                   unwanted < DROP_SIZE ? unwanted : DROP_SIZE, MSG_DONTWAIT | MSG_TRUNC);
        if (got > 0)
            lv_scan_dropped(&consumer->scan, (size_t)got);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        return got > 0 ? got : -1;
    }
    got = lv_driver_read(consumer->client, consumer->input + consumer->input_end,
                         consumer->input_capacity - consumer->input_end);
    if (got > 0) {
        consumer->input_end += (size_t)got;
        if (!scan(consumer))
            return 0;
    }
    return got;
}

/* A fair share of what is there, then the next consumer. */
static void receive(struct lv_bench_consumer *consumer, uint8_t *drop)
{
    bool large = consumer->input_capacity == INPUT_SIZE_LARGE;

    assert(drop != NULL);
    for (int i = 0; i < READS_IN_A_ROW; i++) {
        ssize_t got = read_once(consumer, drop);

        if (got < 0)
            fail(consumer, "the broker ended the connection");
        if (got <= 0)
            break;
        acknowledge(consumer, false);
        if (!large && (size_t)got < consumer->input_capacity / 2)
            break; /* most likely there is no more */
    }
}

/* In a pause, so that a broker with a prefetch limit never waits for the last few. */
static void acknowledge_all(struct lv_bench_consumers *consumers)
{
    assert(consumers->consumers != NULL);
    for (size_t i = 0; i < consumers->count; i++)
        acknowledge(&consumers->consumers[i], true);
}

/* Level-triggered: a consumer may leave something for the next round. */
static int make_poller(struct lv_bench_consumers *consumers)
{
    int poller = epoll_create1(EPOLL_CLOEXEC);

    assert(consumers->count > 0);
    for (size_t i = 0; i < consumers->count && poller >= 0; i++) {
        struct lv_bench_consumer *consumer = &consumers->consumers[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = consumer};

        if (epoll_ctl(poller, EPOLL_CTL_ADD, lv_driver_fd(consumer->client), &event) < 0)
            return -1;
    }
    return poller;
}

/* The thread of all consumers. */
static void *consume_all(void *arg)
{
    struct lv_bench_consumers *consumers = arg;
    struct lv_bench *bench = consumers->bench;
    int poller = make_poller(consumers);
    uint8_t *drop = lv_alloc(DROP_SIZE);

    if (poller < 0 || drop == NULL)
        lv_bench_fail(bench, "epoll: %s", strerror(errno));
    while (!atomic_load(&bench->failed)) {
        struct epoll_event events[EVENTS];
        bool stopping = atomic_load(&bench->stop_consuming);
        int count = epoll_wait(poller, events, EVENTS, stopping ? 0 : IDLE_MS);

        for (int i = 0; i < count; i++)
            receive(events[i].data.ptr, drop);
        if (count <= 0 || stopping)
            acknowledge_all(consumers);
        if (stopping)
            break;
    }
    lv_free(drop);
    (void)close(poller);
    return NULL;
}

int lv_bench_consumers_init(struct lv_bench_consumers *consumers, struct lv_bench *bench,
                            struct lv_diag *diag)
{
    const struct lv_bench_shape *shape = &bench->plan.shape;
    size_t count = (size_t)shape->consumers;
    int rc = 0;

    assert(count > 0);
    *consumers = (struct lv_bench_consumers){.bench = bench};
    consumers->consumers = lv_calloc(count, sizeof *consumers->consumers);
    consumers->seen = lv_calloc(shape->queues * shape->producers, sizeof *consumers->seen);
    consumers->latencies = lv_calloc(1, sizeof *consumers->latencies);
    if (consumers->consumers == NULL || consumers->seen == NULL || consumers->latencies == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    consumers->count = count;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct lv_bench_consumer *consumer = &consumers->consumers[i];

        consumer->all = consumers;
        consumer->number = i;
        consumer->queue = i % shape->queues;
        rc = open_consumer(consumer, diag);
    }
    return rc;
}

int lv_bench_consumers_start(struct lv_bench_consumers *consumers, struct lv_diag *diag)
{
    int error = pthread_create(&consumers->thread, NULL, consume_all, consumers);

    assert(!consumers->running);
    consumers->running = error == 0;
    return error == 0 ? 0 : lv_fail(diag, -LV_E_RESOURCE, "no thread: %s", strerror(error));
}

void lv_bench_consumers_join(struct lv_bench_consumers *consumers)
{
    assert(consumers->bench != NULL || !consumers->running);
    if (consumers->running)
        (void)pthread_join(consumers->thread, NULL);
    consumers->running = false;
}

void lv_bench_consumers_disconnect(struct lv_bench_consumers *consumers)
{
    assert(!consumers->running);
    for (size_t i = 0; i < consumers->count; i++) {
        /* Without goodbye: the scanner has taken the engine's input. */
        lv_driver_free(consumers->consumers[i].client);
        consumers->consumers[i].client = NULL;
    }
}

void lv_bench_consumers_fini(struct lv_bench_consumers *consumers)
{
    assert(!consumers->running);
    lv_bench_consumers_disconnect(consumers);
    for (size_t i = 0; i < consumers->count; i++) {
        lv_free(consumers->consumers[i].input);
        lv_free(consumers->consumers[i].newest);
    }
    if (consumers->seen != NULL)
        for (uint64_t i = 0;
             i < consumers->bench->plan.shape.queues * consumers->bench->plan.shape.producers; i++)
            lv_seen_fini(&consumers->seen[i]);
    lv_free(consumers->seen);
    lv_free(consumers->consumers);
    lv_free(consumers->latencies);
    *consumers = (struct lv_bench_consumers){.bench = NULL};
}

void lv_bench_consumers_judge(struct lv_bench_consumers *consumers, uint64_t producer,
                              uint64_t sent)
{
    const struct lv_bench_plan *plan = &consumers->bench->plan;

    assert(!consumers->running);
    for (uint64_t queue = 0; queue < plan->shape.queues; queue++) {
        uint64_t expected = lv_bench_plan_expected(plan, producer, queue, sent);
        uint64_t seen = consumers->seen[queue * plan->shape.producers + producer].count;

        if (!lv_bench_plan_is_consumed(plan, queue))
            continue;
        if (seen < expected)
            consumers->faults.lost += expected - seen;
        else /* more than were sent */
            consumers->faults.foreign += seen - expected;
    }
}

bool lv_bench_consumers_judge_all(struct lv_bench_consumers *consumers, uint64_t count)
{
    const struct lv_bench_shape *shape = &consumers->bench->plan.shape;
    uint64_t seen = 0;
    bool whole = true;

    assert(!consumers->running);
    for (uint64_t i = 0; i < shape->queues * shape->producers; i++) {
        seen += consumers->seen[i].count;
        whole = whole && consumers->seen[i].count == consumers->seen[i].base;
    }
    if (seen < count)
        consumers->faults.lost += count - seen;
    else
        consumers->faults.foreign += seen - count;
    return whole && seen == count;
}
