/* `leveret bench --churn N`: clients that make something, publish one message and end it, again and
 * again. See cli/bench.h. */
#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/bench_histogram.h"
#include "cli/bench_process.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "io/address.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ADDRESSES_MAX 8u

struct churner {
    struct lv_bench *bench;   /* view */
    struct lv_driver *client; /* own   for all cycles, unless they are about connections */
    uint8_t *body;            /* own */
    uint64_t number;
    pthread_t thread;
    bool running;
    atomic_ullong cycles;          /* any */
    atomic_ullong lost;            /* any  messages that were not where they should have been */
    struct lv_histogram latencies; /* of whole cycles, in ns */
};

struct churn {
    struct lv_bench bench;
    struct lv_bench_options options;
    struct lv_driver *control; /* own */
    struct churner *churners;  /* own */
};

static const char *const cycle_names[] = {"connection", "channel", "queue", "binding"};

/* One message of the run's size. */
static int publish(const struct churner *churner, struct lv_driver *client, uint16_t channel,
                   const struct lv_amqp091_basic_publish *publish, struct lv_diag *diag)
{
    const struct lv_bench_options *options = churner->bench->options;
    const uint8_t properties[3] = {0x10, 0, options->persistent ? 2 : 1};
    const struct lv_engine_content content = {lv_bytes(properties, sizeof properties),
                                              lv_bytes(churner->body, options->shape.size)};
    struct lv_amqp091_basic_publish method = *publish;
    uint64_t tag;

    assert(churner->body != NULL);
    method.mandatory = options->mandatory;
    return lv_driver_publish(client, channel, &method, &content, &tag, diag);
}

/* Four round trips, as every client makes them. */
static int cycle_connection(struct churner *churner, struct lv_diag *diag)
{
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_basic_publish method = {.mandatory = false};
    struct lv_driver *client;
    int rc = lv_bench_connect(churner->bench->options, "leveret bench churn", &client, diag);

    if (rc < 0)
        return rc;
    snprintf(queue, sizeof queue, "%s-0", churner->bench->options->prefix);
    method.routing_key = lv_text(queue);
    rc = publish(churner, client, 1, &method, diag);
    if (rc == 0)
        rc = lv_driver_close(client, diag);
    assert(rc <= 0);
    lv_driver_free(client);
    return rc;
}

/* Two round trips. */
static int cycle_channel(struct churner *churner, struct lv_diag *diag)
{
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    const struct lv_amqp091_method end = {
        .id = LV_AMQP091_CHANNEL_CLOSE,
        .channel_close = {.reply_code = LV_AMQP091_REPLY_SUCCESS, .reply_text = lv_text("bye")}};
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_basic_publish method = {.mandatory = false};
    int rc = lv_driver_call(churner->client, 2, &open, NULL, diag);

    assert(churner->client != NULL);
    snprintf(queue, sizeof queue, "%s-0", churner->bench->options->prefix);
    method.routing_key = lv_text(queue);
    if (rc == 0)
        rc = publish(churner, churner->client, 2, &method, diag);
    return rc < 0 ? rc : lv_driver_call(churner->client, 2, &end, NULL, diag);
}

/* Two round trips. The answer to the second one says how many messages went with the queue. */
static int cycle_queue(struct churner *churner, struct lv_diag *diag)
{
    char name[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_method declare = {
        .id = LV_AMQP091_QUEUE_DECLARE,
        .queue_declare = {.durable = churner->bench->options->durable}};
    struct lv_amqp091_method remove = {.id = LV_AMQP091_QUEUE_DELETE};
    struct lv_amqp091_basic_publish method = {.mandatory = false};
    struct lv_amqp091_method reply;
    int rc;

    assert(churner->client != NULL);
    snprintf(name, sizeof name, "%s-c%u-%u", churner->bench->options->prefix,
             (unsigned)churner->number, (unsigned)atomic_load(&churner->cycles));
    declare.queue_declare.queue = lv_text(name);
    remove.queue_delete.queue = lv_text(name);
    method.routing_key = lv_text(name);
    rc = lv_driver_call(churner->client, 1, &declare, NULL, diag);
    if (rc == 0)
        rc = publish(churner, churner->client, 1, &method, diag);
    if (rc == 0)
        rc = lv_driver_call(churner->client, 1, &remove, &reply, diag);
    if (rc == 0 && reply.queue_delete_ok.message_count != 1)
        atomic_fetch_add(&churner->lost, 1);
    return rc;
}

/* Two round trips, with a key that no route can be remembered for. */
static int cycle_binding(struct churner *churner, struct lv_diag *diag)
{
    const struct lv_bytes exchange = lv_text(churner->bench->options->prefix);
    char key[LV_BENCH_KEY_SIZE], queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_method bind = {.id = LV_AMQP091_QUEUE_BIND};
    struct lv_amqp091_method unbind = {.id = LV_AMQP091_QUEUE_UNBIND};
    struct lv_amqp091_basic_publish method = {.exchange = exchange};
    int rc;

    assert(churner->client != NULL);
    snprintf(key, sizeof key, "churn.%u.%u", (unsigned)churner->number,
             (unsigned)atomic_load(&churner->cycles));
    snprintf(queue, sizeof queue, "%s-0", churner->bench->options->prefix);
    bind.queue_bind = (struct lv_amqp091_queue_bind){
        .queue = lv_text(queue), .exchange = exchange, .routing_key = lv_text(key)};
    unbind.queue_unbind = (struct lv_amqp091_queue_unbind){
        .queue = lv_text(queue), .exchange = exchange, .routing_key = lv_text(key)};
    method.routing_key = lv_text(key);
    rc = lv_driver_call(churner->client, 1, &bind, NULL, diag);
    if (rc == 0)
        rc = publish(churner, churner->client, 1, &method, diag);
    return rc < 0 ? rc : lv_driver_call(churner->client, 1, &unbind, NULL, diag);
}

static int cycle(struct churner *churner, struct lv_diag *diag)
{
    switch (churner->bench->options->cycle) {
    case LV_BENCH_CYCLE_CONNECTION:
        return cycle_connection(churner, diag);
    case LV_BENCH_CYCLE_CHANNEL:
        return cycle_channel(churner, diag);
    case LV_BENCH_CYCLE_QUEUE:
        return cycle_queue(churner, diag);
    case LV_BENCH_CYCLE_BINDING:
        return cycle_binding(churner, diag);
    }
    LV_IMPOSSIBLE("a cycle of no kind");
}

/* One client's thread. */
static void *churn_on(void *arg)
{
    struct churner *churner = arg;
    struct lv_bench *bench = churner->bench;
    struct lv_diag diag = {.text = ""};

    assert(bench != NULL);
    while (!atomic_load(&bench->stop_publishing) && !atomic_load(&bench->failed)) {
        uint64_t began = lv_clock_now();

        if (cycle(churner, &diag) < 0)
            lv_bench_fail(bench, "%s", diag.text);
        else if (atomic_load(&bench->measuring))
            lv_histogram_add(&churner->latencies, lv_clock_now() - began);
        atomic_fetch_add(&churner->cycles, 1);
    }
    return NULL;
}

/* Names are resolved once, so that the resolver's files are not what is measured. */
static int resolve(struct lv_bench_options *options, struct lv_diag *diag)
{
    struct lv_address addresses[ADDRESSES_MAX];
    char text[LV_ADDRESS_TEXT_SIZE];
    const char *host = text, *end;
    int count =
        lv_address_resolve(options->url.host, options->url.port, addresses, ADDRESSES_MAX, diag);

    if (count < 0)
        return count;
    assert(count > 0);
    for (int i = count - 1; i >= 0; i--) /* the first one, or better the first of IPv4 */
        if (i == 0 || lv_address_is_ipv4(&addresses[i]))
            lv_address_text(&addresses[i], text);
    end = strrchr(text, ':');
    if (text[0] == '[') {
        host++;
        end--;
    }
    if (options->url.server_name[0] == '\0') /* the certificate is for the name */
        snprintf(options->url.server_name, sizeof options->url.server_name, "%s",
                 options->url.host);
    snprintf(options->url.host, sizeof options->url.host, "%.*s", (int)(end - host), host);
    return 0;
}

/* Messages that the clients themselves found missing. */
static uint64_t missed(const struct churn *churn)
{
    uint64_t lost = 0;

    assert(churn->churners != NULL);
    for (uint64_t i = 0; i < churn->options.clients; i++)
        lost += atomic_load(&churn->churners[i].lost);
    return lost;
}

/* Of all clients so far. */
static uint64_t cycles_of(const struct churn *churn)
{
    uint64_t cycles = 0;

    assert(churn->churners != NULL);
    for (uint64_t i = 0; i < churn->options.clients; i++)
        cycles += atomic_load(&churn->churners[i].cycles);
    return cycles;
}

/* Ends early when the run has failed. */
static void sleep_seconds(const struct lv_bench *bench, double seconds)
{
    const struct timespec tick = {.tv_nsec = 5 * (long)LV_NS_PER_MS};
    uint64_t end = lv_clock_now() + (uint64_t)(seconds * (double)LV_NS_PER_S);

    assert(seconds >= 0);
    while (lv_clock_now() < end && !atomic_load(&bench->failed))
        (void)nanosleep(&tick, NULL);
}

/* A client, which begins at once. */
static int start_one(struct churn *churn, uint64_t number, struct lv_diag *diag)
{
    struct churner *churner = &churn->churners[number];

    assert(number < churn->options.clients);
    churner->bench = &churn->bench;
    churner->number = number;
    churner->body = lv_calloc(churn->options.shape.size, 1);
    if (churner->body == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    if (churn->options.cycle != LV_BENCH_CYCLE_CONNECTION) {
        int rc = lv_bench_connect(&churn->options, "leveret bench churn", &churner->client, diag);

        if (rc < 0)
            return rc;
    }
    churner->running = pthread_create(&churner->thread, NULL, churn_on, churner) == 0;
    return churner->running ? 0 : lv_fail(diag, -LV_E_RESOURCE, "no thread");
}

/* Queue and threads. */
static int start(struct churn *churn, struct lv_diag *diag)
{
    struct lv_bench *bench = &churn->bench;
    int rc = lv_bench_plan_init(&bench->plan, &churn->options.shape);

    assert(churn->options.clients > 0);
    if (rc == 0)
        rc = resolve(&churn->options, diag);
    if (rc == 0)
        rc = lv_bench_connect(&churn->options, "leveret bench", &churn->control, diag);
    if (rc == 0)
        rc = lv_bench_declare(bench, churn->control, diag);
    if (rc < 0)
        return rc;
    churn->churners = lv_calloc(churn->options.clients, sizeof *churn->churners);
    if (churn->churners == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    for (uint64_t i = 0; i < churn->options.clients && rc == 0; i++)
        rc = start_one(churn, i, diag);
    return rc;
}

/* May be called again. */
static void stop(struct churn *churn)
{
    atomic_store(&churn->bench.stop_publishing, true);
    assert(churn->options.clients > 0);
    for (uint64_t i = 0; churn->churners != NULL && i < churn->options.clients; i++) {
        if (churn->churners[i].running)
            (void)pthread_join(churn->churners[i].thread, NULL);
        churn->churners[i].running = false;
        lv_driver_free(churn->churners[i].client);
        churn->churners[i].client = NULL;
        lv_free(churn->churners[i].body);
        churn->churners[i].body = NULL;
    }
}

/* Messages in the queue, all of which should be there; -1 when it cannot be asked. */
static int64_t count_messages(struct churn *churn, struct lv_diag *diag)
{
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_method declare = {.id = LV_AMQP091_QUEUE_DECLARE,
                                        .queue_declare = {.passive = true}};
    struct lv_amqp091_method reply;

    snprintf(queue, sizeof queue, "%s-0", churn->options.prefix);
    assert(churn->control != NULL);
    declare.queue_declare.queue = lv_text(queue);
    if (lv_driver_call(churn->control, 1, &declare, &reply, diag) < 0)
        return -1;
    return reply.queue_declare_ok.message_count;
}

/* Publishes were sent before each goodbye was answered, so all are in the queue soon. */
static uint64_t count_lost(struct churn *churn, uint64_t cycles, struct lv_diag *diag)
{
    int64_t messages = -1;

    assert(churn->options.patience >= 0);
    for (int i = 0; i < 100 && !atomic_load(&churn->bench.failed); i++) {
        messages = count_messages(churn, diag);
        if (messages < 0 || (uint64_t)messages >= cycles)
            break;
        sleep_seconds(&churn->bench, 0.01);
    }
    if (messages < 0)
        return 0;
    return (uint64_t)messages < cycles ? cycles - (uint64_t)messages : 0;
}

/* What was measured between warm-up and end. */
struct window {
    double elapsed, cpu; /* s */
    uint64_t cycles;
};

/* Cycles and processor time between warm-up and end. */
static int measure(struct churn *churn, struct window *ret_window, struct lv_diag *diag)
{
    const struct lv_bench_options *options = &churn->options;
    struct lv_process_usage before, after;
    uint64_t began, cycles;
    int rc;

    sleep_seconds(&churn->bench, options->warmup);
    rc = lv_process_measure(options->pids, options->pid_count, &before, diag);
    if (rc < 0)
        return rc;
    began = lv_clock_now();
    cycles = cycles_of(churn);
    atomic_store(&churn->bench.measuring, true);
    sleep_seconds(&churn->bench, options->duration);
    atomic_store(&churn->bench.measuring, false);
    ret_window->cycles = cycles_of(churn) - cycles;
    ret_window->elapsed = (double)(lv_clock_now() - began) / (double)LV_NS_PER_S;
    rc = lv_process_measure(options->pids, options->pid_count, &after, diag);
    if (rc < 0)
        return rc;
    assert(after.cpu_ns >= before.cpu_ns);
    ret_window->cpu = (double)(after.cpu_ns - before.cpu_ns) / (double)LV_NS_PER_S;
    return 0;
}

/* Returns true when nothing is wrong. */
static bool report(struct churn *churn, const struct window *window, uint64_t lost)
{
    const struct lv_bench_options *options = &churn->options;
    bool good = lost == 0 && !atomic_load(&churn->bench.failed);
    struct lv_report out;

    assert(window->elapsed > 0);
    lv_report_begin(&out, stdout, options->json);
    lv_report_text(&out, "mode", "churn");
    lv_report_text(&out, "cycle", cycle_names[options->cycle]);
    lv_report_text(&out, "broker", lv_engine_server(lv_driver_engine(churn->control)));
    lv_report_count(&out, "clients", options->clients);
    lv_report_number(&out, "window_s", window->elapsed, "");
    lv_report_number(&out, "cycles_per_s", (double)window->cycles / window->elapsed, "");
    if (options->pid_count > 0) {
        lv_report_number(&out, "broker_cpu_s", window->cpu, "");
        lv_report_number(&out, "cycles_per_broker_cpu_s",
                         window->cpu > 0 ? (double)window->cycles / window->cpu : 0, "");
    }
    for (uint64_t i = 1; i < options->clients; i++)
        lv_histogram_merge(&churn->churners[0].latencies, &churn->churners[i].latencies);
    lv_report_latencies(&out, "cycle", &churn->churners[0].latencies);
    lv_report_count(&out, "cycles", cycles_of(churn));
    lv_report_count(&out, "lost", lost);
    if (churn->bench.error[0] != '\0')
        lv_report_text(&out, "error", churn->bench.error);
    lv_report_bool(&out, "good", good);
    lv_report_end(&out);
    return good;
}

/* Measures, winds up, looks for what is missing. */
static bool run(struct churn *churn, struct lv_diag *diag)
{
    struct window window;
    uint64_t lost = 0;
    int rc;

    lv_bench_phase("goes through cycles");
    rc = measure(churn, &window, diag);
    lv_bench_phase("winds up");
    stop(churn);
    if (rc < 0)
        return false;
    if (!atomic_load(&churn->bench.failed))
        lost = churn->options.cycle == LV_BENCH_CYCLE_QUEUE
                   ? missed(churn)
                   : count_lost(churn, cycles_of(churn), diag);
    assert(lost <= cycles_of(churn));
    return report(churn, &window, lost);
}

int lv_bench_run_churn(const struct lv_bench_options *options)
{
    struct churn churn = {.options = *options};
    struct lv_diag diag = {.text = ""};
    bool good = false;

    churn.options.shape.queues = 1;
    churn.options.shape.bindings = 1;
    churn.options.shape.exchange =
        options->cycle == LV_BENCH_CYCLE_BINDING ? LV_BENCH_DIRECT : LV_BENCH_DEFAULT;
    churn.bench.options = &churn.options;
    (void)pthread_mutex_init(&churn.bench.error_mutex, NULL);
    assert(options->clients > 0);
    if (start(&churn, &diag) == 0)
        good = run(&churn, &diag);
    stop(&churn);
    if (churn.control != NULL && (lv_bench_delete(&churn.bench, churn.control, &diag) < 0 ||
                                  lv_driver_close(churn.control, &diag) < 0))
        good = false;
    if (diag.text[0] != '\0')
        fprintf(stderr, "leveret bench: %s\n", diag.text);
    lv_driver_free(churn.control);
    lv_free(churn.churners);
    lv_bench_plan_fini(&churn.bench.plan);
    return good ? LV_EXIT_OK : LV_EXIT_FAILED;
}
