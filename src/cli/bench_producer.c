#include "cli/bench_producer.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"
#include "io/clock.h"
#include "io/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRITE_SIZE  ((size_t)131072) /* bytes that are stamped and sent at a time */
#define INPUT_SIZE  65536u
#define EVENTS      64
#define IDLE_NS     (50 * LV_NS_PER_MS)
#define STAMPS_MIN  64u
#define BUSY_ROUNDS 8u /* writes between two looks for confirms */
#define TIMER_SLACK 1000ul

struct lv_bench_producer {
    struct lv_bench *bench;         /* view */
    struct lv_histogram *latencies; /* view */
    struct lv_driver *client;       /* own */
    uint64_t number;
    uint8_t *round;           /* own   the messages of a round, encoded */
    uint32_t *starts;         /* own   where each begins; one more for the end */
    uint32_t *bodies;         /* own   where its body begins */
    uint64_t sent;            /*       messages stamped so far: the next sequence number */
    uint64_t limit;           /*       0: none */
    size_t unsent_at, unsent; /*       bytes of the round that are stamped but not sent */
    struct lv_unconfirmed confirms;
    uint64_t *stamps; /* own   when the publish with tag t was sent, at t & mask */
    uint64_t stamp_mask;
    uint64_t now;           /*       for the confirms of one read */
    uint64_t due, interval; /*       when the next message is due; 0: as fast as it goes */
    uint8_t input[INPUT_SIZE];
    size_t input_size;
    bool refusing;                     /*       while settling: nacks */
    bool barrier_sent, barrier_passed; /* without confirms: the broker has read everything */
    bool blocked;
    uint64_t blocked_at;
    bool can_write, done;
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The basic.publish of a slot; `key` is memory for its routing key. */
static struct lv_amqp091_method publish_of(const struct lv_bench *bench, uint64_t number,
                                           uint32_t slot, char key[LV_BENCH_KEY_SIZE])
{
    const struct lv_bench_options *options = bench->options;
    const struct lv_bench_plan *plan = &bench->plan;
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_PUBLISH};

    key[0] = '\0';
    if (plan->shape.exchange == LV_BENCH_DEFAULT)
        snprintf(key, LV_BENCH_KEY_SIZE, "%s-%u", options->prefix,
                 (unsigned)(number % plan->shape.queues));
    else if (plan->keys != NULL)
        snprintf(key, LV_BENCH_KEY_SIZE, "%s", plan->keys[slot]);
    if (plan->shape.exchange != LV_BENCH_DEFAULT)
        method.basic_publish.exchange = lv_text(options->prefix);
    method.basic_publish.routing_key = lv_text(key);
    method.basic_publish.mandatory = options->mandatory;
    return method;
}

/* Bytes of a message, and where its body begins in them. */
static size_t message_size(const struct lv_amqp091_method *method, uint64_t body_size,
                           uint32_t frame_max, size_t *ret_body)
{
    uint64_t most = frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE;
    uint64_t frames = (body_size + most - 1) / most;

    /* The header has flags and delivery-mode. */
    *ret_body = lv_amqp091_frame_method_size(method) + LV_AMQP091_FRAME_OVERHEAD_SIZE +
                LV_AMQP091_CONTENT_HEAD_SIZE + 3 + LV_AMQP091_FRAME_HEAD_SIZE;
    assert(body_size > 0);
    return *ret_body - LV_AMQP091_FRAME_HEAD_SIZE + body_size +
           frames * LV_AMQP091_FRAME_OVERHEAD_SIZE;
}

/* Method, header with delivery-mode alone, and the body in frames. */
static uint8_t *encode_message(const struct lv_amqp091_method *method, bool persistent,
                               uint64_t body_size, uint32_t frame_max, uint8_t *p)
{
    const uint8_t properties[3] = {LV_AMQP091_PROPERTY_DELIVERY_MODE >> 8, 0, persistent ? 2 : 1};
    const struct lv_amqp091_content content = {body_size, lv_bytes(properties, sizeof properties)};
    size_t most = frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE;

    p = lv_amqp091_frame_encode_method(method, 1, p);
    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_HEADER, 1,
                                     lv_amqp091_content_size(&content));
    p = lv_put8(lv_amqp091_content_encode(&content, p), LV_AMQP091_FRAME_END);
    for (uint64_t left = body_size; left > 0;) {
        size_t size = (size_t)smaller(left, most);

        p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_BODY, 1, size);
        for (size_t i = 0; i < size; i++)
            p[i] = (uint8_t)('a' + i % 26);
        p = lv_put8(p + size, LV_AMQP091_FRAME_END);
        left -= size;
    }
    return p;
}

/* All slots in a row: sizes first, then the bytes. */
static int encode_round(struct lv_bench_producer *producer)
{
    const struct lv_bench_plan *plan = &producer->bench->plan;
    uint32_t frame_max = lv_engine_frame_max(lv_driver_engine(producer->client));
    char key[LV_BENCH_KEY_SIZE];
    size_t size = 0, body;

    assert(frame_max > LV_AMQP091_FRAME_OVERHEAD_SIZE + LV_BENCH_STAMP_SIZE);
    producer->starts = lv_calloc(plan->slot_count + 1u, sizeof *producer->starts);
    producer->bodies = lv_calloc(plan->slot_count, sizeof *producer->bodies);
    if (producer->starts == NULL || producer->bodies == NULL)
        return -LV_E_NOMEM;
    for (uint32_t slot = 0; slot < plan->slot_count; slot++) {
        struct lv_amqp091_method method = publish_of(producer->bench, producer->number, slot, key);

        producer->starts[slot] = (uint32_t)size;
        size += message_size(&method, plan->shape.size, frame_max, &body);
        producer->bodies[slot] = producer->starts[slot] + (uint32_t)body;
    }
    producer->starts[plan->slot_count] = (uint32_t)size;
    producer->round = lv_alloc(size);
    if (producer->round == NULL)
        return -LV_E_NOMEM;
    for (uint32_t slot = 0; slot < plan->slot_count; slot++) {
        struct lv_amqp091_method method = publish_of(producer->bench, producer->number, slot, key);
        uint8_t *end =
            encode_message(&method, producer->bench->options->persistent, plan->shape.size,
                           frame_max, producer->round + producer->starts[slot]);

        assert(end == producer->round + producer->starts[slot + 1]);
        (void)end;
    }
    return 0;
}

/* Times of sending are kept by tag in a ring that is larger than the window. */
static int select_confirms(struct lv_bench_producer *producer, struct lv_diag *diag)
{
    const struct lv_amqp091_method select = {.id = LV_AMQP091_CONFIRM_SELECT};
    uint64_t size = STAMPS_MIN;

    assert(producer->bench->options->window > 0);
    while (size < 2 * producer->bench->options->window)
        size *= 2;
    producer->stamp_mask = size - 1;
    producer->stamps = lv_calloc(size, sizeof *producer->stamps);
    if (producer->stamps == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    return lv_driver_call(producer->client, 1, &select, NULL, diag);
}

/* Its connection, its share of the messages and its round. */
static int open_producer(struct lv_bench_producer *producer, struct lv_diag *diag)
{
    const struct lv_bench_options *options = producer->bench->options;
    int rc;

    lv_unconfirmed_init(&producer->confirms);
    rc = lv_bench_connect(options, "leveret bench producer", &producer->client, diag);
    if (rc == 0 && options->window > 0)
        rc = select_confirms(producer, diag);
    if (rc < 0)
        return rc;
    if (options->messages > 0)
        producer->limit = options->messages / options->shape.producers +
                          (producer->number < options->messages % options->shape.producers);
    if (options->rate > 0)
        producer->interval = (uint64_t)((double)LV_NS_PER_S / options->rate);
    producer->done = options->messages > 0 && producer->limit == 0;
    return encode_round(producer) < 0 ? lv_fail(diag, -LV_E_NOMEM, "out of memory") : 0;
}

/* A run of confirms. Refused ones count as confirmed too: they are answered. */
static void settled(void *ctx, uint64_t first, uint64_t last)
{
    struct lv_bench_producer *producer = ctx;
    struct lv_bench *bench = producer->bench;

    assert(first <= last);
    if (atomic_load_explicit(&bench->measuring, memory_order_relaxed))
        for (uint64_t tag = first; tag <= last; tag++) {
            uint64_t at = producer->stamps[tag & producer->stamp_mask];
            lv_histogram_add(producer->latencies, producer->now > at ? producer->now - at : 0);
        }
    if (producer->refusing)
        atomic_fetch_add(&bench->refused, last - first + 1);
    lv_bench_count(&bench->confirmed, last - first + 1);
}

/* basic.ack or basic.nack. */
static int take_confirm(struct lv_bench_producer *producer, const struct lv_amqp091_method *method)
{
    producer->refusing = method->id == LV_AMQP091_BASIC_NACK;
    assert(producer->refusing || method->id == LV_AMQP091_BASIC_ACK);
    if (producer->refusing)
        return lv_unconfirmed_settle(&producer->confirms, method->basic_nack.delivery_tag,
                                     method->basic_nack.multiple, settled, producer);
    return lv_unconfirmed_settle(&producer->confirms, method->basic_ack.delivery_tag,
                                 method->basic_ack.multiple, settled, producer);
}

/* Time in which the broker took nothing, for the report. */
static void take_blocked(struct lv_bench_producer *producer, bool blocked)
{
    if (producer->blocked && !blocked) {
        atomic_fetch_add(&producer->bench->blocked_ns, producer->now - producer->blocked_at);
        atomic_fetch_sub(&producer->bench->blocked, 1);
    }
    assert(producer->now > 0);
    if (!producer->blocked && blocked) {
        producer->blocked_at = producer->now;
        atomic_fetch_add(&producer->bench->blocked, 1);
    }
    producer->blocked = blocked;
}

/* What a broker says to a producer. */
static int take_method(struct lv_bench_producer *producer, struct lv_bytes payload,
                       struct lv_diag *diag)
{
    struct lv_amqp091_method method;
    int rc = lv_amqp091_method_decode(payload, &method, diag);

    if (rc < 0)
        return rc;
    switch (method.id) {
    case LV_AMQP091_BASIC_ACK:
    case LV_AMQP091_BASIC_NACK:
        if (take_confirm(producer, &method) < 0)
            return lv_fail(diag, -LV_E_SYNTAX,
                           "the broker confirmed a message twice, or one that "
                           "was never published");
        return 0;
    case LV_AMQP091_BASIC_RETURN:
        atomic_fetch_add(&producer->bench->returned, 1);
        return 0;
    case LV_AMQP091_CONNECTION_BLOCKED:
    case LV_AMQP091_CONNECTION_UNBLOCKED:
        take_blocked(producer, method.id == LV_AMQP091_CONNECTION_BLOCKED);
        return 0;
    case LV_AMQP091_BASIC_QOS_OK:
        producer->barrier_passed = true;
        return 0;
    case LV_AMQP091_CHANNEL_CLOSE:
        return lv_fail(diag, -LV_E_CLOSED, "the broker closed the channel: %.*s",
                       LV_FMT(method.channel_close.reply_text));
    case LV_AMQP091_CONNECTION_CLOSE:
        return lv_fail(diag, -LV_E_CLOSED, "the broker closed the connection: %.*s",
                       LV_FMT(method.connection_close.reply_text));
    default:
        return 0;
    }
}

/* Takes the frames that have come whole. */
static int take_frames(struct lv_bench_producer *producer, struct lv_diag *diag)
{
    size_t at = 0;

    assert(producer->input_size <= INPUT_SIZE);
    for (;;) {
        struct lv_amqp091_frame frame;
        int size = lv_amqp091_frame_decode(
            lv_bytes(producer->input + at, producer->input_size - at), 0, &frame, diag);

        if (size > 0 && frame.type == LV_AMQP091_FRAME_METHOD) {
            int rc = take_method(producer, frame.payload, diag);
            if (rc < 0)
                return rc;
        }
        if (size < 0)
            return size;
        if (size == 0)
            break;
        at += (size_t)size;
    }
    if (at == 0 && producer->input_size == INPUT_SIZE)
        return lv_fail(diag, -LV_E_BAD_FRAME, "the broker sent a producer a frame over 64 KiB");
    producer->input_size -= at;
    memmove(producer->input, producer->input + at, producer->input_size);
    return 0;
}

/* Edge-triggered: reads until there is nothing more. */
static void receive(struct lv_bench_producer *producer)
{
    struct lv_diag diag = {.text = ""};
    ssize_t got = 1;

    while (got > 0 && !atomic_load(&producer->bench->failed)) {
        got = lv_driver_read(producer->client, producer->input + producer->input_size,
                             INPUT_SIZE - producer->input_size);
        if (got > 0) {
            producer->input_size += (size_t)got;
            producer->now = lv_clock_now();
            if (take_frames(producer, &diag) < 0)
                lv_bench_fail(producer->bench, "producer %u: %s", (unsigned)producer->number,
                              diag.text);
        }
    }
    if (got < 0)
        lv_bench_fail(producer->bench, "producer %u: the connection ended",
                      (unsigned)producer->number);
}

/* Sends what is stamped; true when all of it has gone. */
static bool push(struct lv_bench_producer *producer)
{
    assert(producer->unsent_at + producer->unsent <=
           producer->starts[producer->bench->plan.slot_count]);
    while (producer->unsent > 0 || lv_driver_owes(producer->client)) {
        struct lv_bytes piece = lv_bytes(producer->round + producer->unsent_at, producer->unsent);
        ssize_t size = lv_driver_write(producer->client, &piece, piece.size > 0 ? 1 : 0);

        if (size < 0) {
            producer->can_write = false;
            receive(producer); /* the reason may still wait to be read */
            lv_bench_fail(producer->bench, "producer %u: the connection broke",
                          (unsigned)producer->number);
            return false;
        }
        producer->unsent_at += (size_t)size;
        producer->unsent -= (size_t)size;
        if ((size == 0 && piece.size > 0) || lv_driver_owes(producer->client)) {
            producer->can_write = false;
            return false;
        }
    }
    return true;
}

/* How many messages may go now. When it is a matter of time, *wake is when to look again. */
static uint64_t allowance(const struct lv_bench_producer *producer, uint64_t now, uint64_t *wake)
{
    uint64_t window = producer->bench->options->window, count = UINT64_MAX;

    if (producer->limit > 0)
        count = producer->limit - producer->sent;
    if (window > 0) {
        uint64_t open = lv_unconfirmed_count(&producer->confirms);
        uint64_t span = producer->confirms.next - producer->confirms.lowest;
        uint64_t room = open < window ? window - open : 0;

        /* Writes stay large when a part of the window has to be free first. */
        if (room < (window + 3) / 4 && producer->interval == 0 && room < count)
            return 0;
        count = smaller(count, smaller(room, producer->stamp_mask + 1 - span));
    }
    if (producer->interval > 0) {
        if (now < producer->due) {
            *wake = smaller(*wake, producer->due);
            return 0;
        }
        count = smaller(count, (now - producer->due) / producer->interval + 1);
    }
    assert(producer->limit == 0 || count <= producer->limit);
    return count;
}

/* Stamps the next messages of the round, as many as are allowed and make a large write. */
static void stamp(struct lv_bench_producer *producer, uint64_t count, uint64_t now)
{
    const struct lv_bench_plan *plan = &producer->bench->plan;
    uint32_t slot = (uint32_t)(producer->sent % plan->slot_count);
    size_t start = producer->starts[slot];
    uint64_t stamped = 0, at = now, tag;

    assert(count > 0);
    assert(producer->unsent == 0);
    do {
        uint64_t head[2];

        if (producer->interval > 0) {
            at = producer->due; /* when it should have left: delays of ours count too */
            producer->due += producer->interval;
        }
        head[0] = producer->number << LV_BENCH_PRODUCER_SHIFT | producer->sent;
        head[1] = at;
        memcpy(producer->round + producer->bodies[slot], head, sizeof head);
        if (producer->stamps != NULL && lv_unconfirmed_open(&producer->confirms, &tag) == 0)
            producer->stamps[tag & producer->stamp_mask] = at;
        producer->sent++;
        stamped++;
        slot++;
    } while (stamped < count && slot < plan->slot_count &&
             producer->starts[slot + 1] - start <= WRITE_SIZE);
    producer->unsent_at = start;
    producer->unsent = producer->starts[slot] - start;
    lv_bench_count(&producer->bench->published, stamped);
}

/* True when something was sent. */
static bool produce(struct lv_bench_producer *producer, uint64_t *wake)
{
    uint64_t now, count;

    assert(!producer->done);
    if (!push(producer))
        return false;
    now = lv_clock_now();
    count = allowance(producer, now, wake);
    if (count == 0)
        return false;
    stamp(producer, count, now);
    (void)push(producer);
    return true;
}

/* A call that is answered behind all publishes: then the broker has read them. */
static bool pass_barrier(struct lv_bench_producer *producer)
{
    const struct lv_amqp091_method qos = {.id = LV_AMQP091_BASIC_QOS};
    uint8_t frame[64];

    if (!producer->barrier_sent) {
        uint8_t *end = lv_amqp091_frame_encode_method(&qos, 1, frame);
        struct lv_bytes bytes = lv_bytes(frame, (size_t)(end - frame));

        assert(producer->unsent == 0);
        producer->barrier_sent = lv_driver_write(producer->client, &bytes, 1) > 0;
    }
    return producer->barrier_passed;
}

/* Winds up after the last message: everything sent, and confirmed or at least read. */
static bool finish(struct lv_bench_producer *producer)
{
    if (!push(producer))
        return false;
    assert(producer->unsent == 0);
    if (producer->bench->options->window > 0)
        return lv_unconfirmed_count(&producer->confirms) == 0;
    return pass_barrier(producer);
}

/* One producer's turn: publish, or wind up. */
static void serve(struct lv_bench_producer *producer, uint64_t *wake, bool *progress)
{
    struct lv_bench *bench = producer->bench;
    bool stopping = atomic_load_explicit(&bench->stop_publishing, memory_order_relaxed);

    assert(!producer->done);
    if (stopping || (producer->limit > 0 && producer->sent >= producer->limit)) {
        if (!finish(producer))
            return;
        producer->done = true;
        atomic_fetch_sub(&bench->publishing, 1);
    } else if (producer->can_write && produce(producer, wake)) {
        *progress = true;
    }
}

/* Sleeps with ns precision, as rates need it. */
static void await_events(int poller, uint64_t wait_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(wait_ns / LV_NS_PER_S),
                          .tv_nsec = (long)(wait_ns % LV_NS_PER_S)};
    struct epoll_event events[EVENTS];
    int count = epoll_pwait2(poller, events, EVENTS, &ts, NULL);

    assert(poller >= 0);
    for (int i = 0; i < count; i++) {
        struct lv_bench_producer *producer = events[i].data.ptr;

        if (events[i].events & EPOLLOUT)
            producer->can_write = true;
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(producer);
    }
}

/* Edge-triggered, so a producer that is busy writing is not woken for it. */
static int make_poller(struct lv_bench_producers *producers)
{
    int poller = epoll_create1(EPOLL_CLOEXEC);
    uint64_t now = lv_clock_now();

    assert(producers->count > 0);
    for (size_t i = 0; i < producers->count && poller >= 0; i++) {
        struct lv_bench_producer *producer = &producers->producers[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = producer};

        if (epoll_ctl(poller, EPOLL_CTL_ADD, lv_driver_fd(producer->client), &event) < 0)
            return -1;
        producer->can_write = true;
        /* Spread over the interval, so that producers do not send at the same moments. */
        producer->due = now + LV_NS_PER_MS + producer->interval * i / producers->count;
    }
    return poller;
}

/* The thread of all producers. */
static void *produce_all(void *arg)
{
    struct lv_bench_producers *producers = arg;
    struct lv_bench *bench = producers->bench;
    int poller = make_poller(producers);
    unsigned rounds = 0;

    if (poller < 0) {
        lv_bench_fail(bench, "epoll: %s", strerror(errno));
        return NULL;
    }
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK); /* messages at a rate leave when they are due */
    while (atomic_load(&bench->publishing) > 0 && !atomic_load(&bench->failed)) {
        uint64_t wake = UINT64_MAX, now;
        bool progress = false;

        for (size_t i = 0; i < producers->count; i++)
            if (!producers->producers[i].done)
                serve(&producers->producers[i], &wake, &progress);
        if (progress && ++rounds % BUSY_ROUNDS != 0)
            continue;
        now = lv_clock_now();
        wake = progress ? now : smaller(wake, now + IDLE_NS);
        await_events(poller, wake > now ? wake - now : 0);
    }
    (void)close(poller);
    return NULL;
}

int lv_bench_producers_init(struct lv_bench_producers *producers, struct lv_bench *bench,
                            struct lv_diag *diag)
{
    size_t count = (size_t)bench->options->shape.producers;
    int rc = 0;

    assert(count > 0);
    *producers = (struct lv_bench_producers){.bench = bench};
    producers->producers = lv_calloc(count, sizeof *producers->producers);
    producers->latencies = lv_calloc(1, sizeof *producers->latencies);
    if (producers->producers == NULL || producers->latencies == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    producers->count = count;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct lv_bench_producer *producer = &producers->producers[i];

        producer->bench = bench;
        producer->latencies = producers->latencies;
        producer->number = i;
        rc = open_producer(producer, diag);
        if (rc == 0 && !producer->done)
            atomic_fetch_add(&bench->publishing, 1);
    }
    return rc;
}

int lv_bench_producers_start(struct lv_bench_producers *producers, struct lv_diag *diag)
{
    int error = pthread_create(&producers->thread, NULL, produce_all, producers);

    assert(!producers->running);
    producers->running = error == 0;
    return error == 0 ? 0 : lv_fail(diag, -LV_E_RESOURCE, "no thread: %s", strerror(error));
}

void lv_bench_producers_join(struct lv_bench_producers *producers)
{
    assert(producers->bench != NULL);
    if (producers->running)
        (void)pthread_join(producers->thread, NULL);
    producers->running = false;
}

void lv_bench_producers_fini(struct lv_bench_producers *producers)
{
    struct lv_diag diag;

    assert(!producers->running);
    for (size_t i = 0; i < producers->count; i++) {
        struct lv_bench_producer *producer = &producers->producers[i];

        if (producer->client != NULL && !atomic_load(&producers->bench->failed) &&
            lv_driver_close(producer->client, &diag) < 0)
            fprintf(stderr, "leveret bench: %s\n", diag.text);
        lv_driver_free(producer->client);
        lv_unconfirmed_fini(&producer->confirms);
        lv_free(producer->stamps);
        lv_free(producer->round);
        lv_free(producer->starts);
        lv_free(producer->bodies);
    }
    lv_free(producers->producers);
    lv_free(producers->latencies);
    *producers = (struct lv_bench_producers){.bench = NULL};
}

uint64_t lv_bench_producers_sent(const struct lv_bench_producers *producers, uint64_t number)
{
    assert(number < producers->count);
    return producers->producers[number].sent;
}
