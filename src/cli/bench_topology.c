/* The queues, exchange and bindings of a run, and connections to it: see cli/bench.h. */
#include "cli/bench.h"
#include "lv_version.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 128u

static const char *const exchange_types[] = {"", "direct", "fanout", "topic"};

void lv_bench_fail(struct lv_bench *bench, const char *fmt, ...)
{
    va_list args;
    int rc = pthread_mutex_lock(&bench->error_mutex);

    assert(rc == 0);
    (void)rc;
    if (bench->error[0] == '\0') {
        va_start(args, fmt);
        vsnprintf(bench->error, sizeof bench->error, fmt, args);
        va_end(args);
    }
    (void)pthread_mutex_unlock(&bench->error_mutex);
    atomic_store(&bench->failed, true);
}

int lv_bench_connect(const struct lv_bench_options *options, const char *what,
                     struct lv_driver **ret_client, struct lv_diag *diag)
{
    const struct lv_driver_options client_options = {
        .url = &options->url, .name = what, .version = LV_VERSION, .stop_fd = -1};
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    struct lv_driver *client;
    int rc = lv_driver_open(&client_options, &client, diag);

    assert(what != NULL);
    if (rc < 0)
        return rc;
    rc = lv_driver_call(client, 1, &open, NULL, diag);
    if (rc < 0) {
        lv_driver_free(client);
        return rc;
    }
    *ret_client = client;
    return 0;
}

/* PREFIX-NUMBER */
static struct lv_bytes queue_name(const struct lv_bench *bench, uint64_t number,
                                  char name[NAME_SIZE])
{
    int size = snprintf(name, NAME_SIZE, "%s-%u", bench->options->prefix, (unsigned)number);

    assert(size > 0);
    assert((size_t)size < NAME_SIZE);
    return lv_bytes(name, (size_t)size);
}

/* 0-9-1 §4.2.5.5: one field, a long string, or nothing. */
static struct lv_bytes queue_arguments(const struct lv_bench *bench, uint8_t bytes[NAME_SIZE])
{
    struct lv_bytes name = lv_text("x-queue-type"), type;
    uint8_t *end = bytes;

    if (bench->options->queue_type == NULL)
        return lv_bytes(bytes, 0);
    type = lv_text(bench->options->queue_type);
    assert(type.size + name.size + 6 <= NAME_SIZE);
    end = lv_put_bytes(lv_put8(end, (uint8_t)name.size), name);
    end = lv_put_bytes(lv_put32(lv_put8(end, 'S'), (uint32_t)type.size), type);
    return lv_bytes(bytes, (size_t)(end - bytes));
}

/* Old queues of the name go first: they may be of another kind, or hold messages. */
static int declare_queue(const struct lv_bench *bench, struct lv_driver *client, uint64_t number,
                         struct lv_diag *diag)
{
    char name[NAME_SIZE];
    uint8_t arguments[NAME_SIZE];
    struct lv_bytes queue = queue_name(bench, number, name);
    const struct lv_amqp091_method remove = {.id = LV_AMQP091_QUEUE_DELETE,
                                             .queue_delete = {.queue = queue}};
    const struct lv_amqp091_method declare = {
        .id = LV_AMQP091_QUEUE_DECLARE,
        .queue_declare = {.queue = queue,
                          .durable = bench->options->durable,
                          .arguments = queue_arguments(bench, arguments)}};
    int rc = lv_driver_call(client, 1, &remove, NULL, diag);

    assert(queue.size > 0);
    return rc < 0 ? rc : lv_driver_call(client, 1, &declare, NULL, diag);
}

/* An old one goes first: it may be of another type. */
static int declare_exchange(const struct lv_bench *bench, struct lv_driver *client,
                            struct lv_diag *diag)
{
    struct lv_bytes exchange = lv_text(bench->options->prefix);
    const struct lv_amqp091_method remove = {.id = LV_AMQP091_EXCHANGE_DELETE,
                                             .exchange_delete = {.exchange = exchange}};
    const struct lv_amqp091_method declare = {
        .id = LV_AMQP091_EXCHANGE_DECLARE,
        .exchange_declare = {.exchange = exchange,
                             .type = lv_text(exchange_types[bench->plan.shape.exchange]),
                             .durable = bench->options->durable}};
    int rc = lv_driver_call(client, 1, &remove, NULL, diag);

    assert(exchange.size > 0);
    return rc < 0 ? rc : lv_driver_call(client, 1, &declare, NULL, diag);
}

/* Binding n belongs to queue n modulo their count, as the plan has it. */
static int bind_queues(const struct lv_bench *bench, struct lv_driver *client, struct lv_diag *diag)
{
    const struct lv_bench_plan *plan = &bench->plan;
    int rc = 0;

    assert(plan->shape.bindings >= plan->shape.queues);
    for (uint64_t i = 0; i < plan->shape.bindings && rc == 0; i++) {
        char name[NAME_SIZE];
        const struct lv_amqp091_method bind = {
            .id = LV_AMQP091_QUEUE_BIND,
            .queue_bind = {.queue = queue_name(bench, i % plan->shape.queues, name),
                           .exchange = lv_text(bench->options->prefix),
                           .routing_key =
                               lv_text(plan->patterns == NULL ? "" : plan->patterns[i])}};

        rc = lv_driver_call(client, 1, &bind, NULL, diag);
    }
    return rc;
}

int lv_bench_declare(const struct lv_bench *bench, struct lv_driver *client, struct lv_diag *diag)
{
    int rc = 0;

    assert(bench->plan.shape.queues > 0);
    for (uint64_t i = 0; i < bench->plan.shape.queues && rc == 0; i++)
        rc = declare_queue(bench, client, i, diag);
    if (rc < 0 || bench->plan.shape.exchange == LV_BENCH_DEFAULT)
        return rc;
    rc = declare_exchange(bench, client, diag);
    return rc < 0 ? rc : bind_queues(bench, client, diag);
}

int lv_bench_count_ready(const struct lv_bench *bench, struct lv_driver *client,
                         uint64_t *ret_messages, uint64_t *ret_consumers, struct lv_diag *diag)
{
    uint64_t messages = 0, consumers = 0;

    assert(bench->plan.shape.queues > 0);
    for (uint64_t i = 0; i < bench->plan.shape.queues; i++) {
        char name[NAME_SIZE];
        const struct lv_amqp091_method declare = {
            .id = LV_AMQP091_QUEUE_DECLARE,
            .queue_declare = {.queue = queue_name(bench, i, name), .passive = true}};
        struct lv_amqp091_method reply;
        int rc = lv_driver_call(client, 1, &declare, &reply, diag);

        if (rc < 0)
            return rc;
        messages += reply.queue_declare_ok.message_count;
        consumers += reply.queue_declare_ok.consumer_count;
    }
    *ret_messages = messages;
    *ret_consumers = consumers;
    return 0;
}

int lv_bench_delete(const struct lv_bench *bench, struct lv_driver *client, struct lv_diag *diag)
{
    int rc = 0;

    assert(bench->plan.shape.queues > 0);
    if (bench->options->keep)
        return 0;
    for (uint64_t i = 0; i < bench->plan.shape.queues && rc == 0; i++) {
        char name[NAME_SIZE];
        const struct lv_amqp091_method remove = {
            .id = LV_AMQP091_QUEUE_DELETE, .queue_delete = {.queue = queue_name(bench, i, name)}};

        rc = lv_driver_call(client, 1, &remove, NULL, diag);
    }
    if (rc == 0 && bench->plan.shape.exchange != LV_BENCH_DEFAULT) {
        const struct lv_amqp091_method remove = {
            .id = LV_AMQP091_EXCHANGE_DELETE,
            .exchange_delete = {.exchange = lv_text(bench->options->prefix)}};

        rc = lv_driver_call(client, 1, &remove, NULL, diag);
    }
    return rc;
}
