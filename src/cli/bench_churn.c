/* `leveret bench --churn N`: clients that connect, publish one message and close, again and again.
 * See cli/bench.h. */
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
    struct lv_bench *bench; /* view */
    pthread_t thread;
    bool running;
    atomic_ullong cycles;          /* any */
    struct lv_histogram latencies; /* of whole cycles, in ns */
};

struct churn {
    struct lv_bench bench;
    struct lv_bench_options options;
    struct lv_driver *control; /* own */
    struct churner *churners;  /* own */
};

/* One cycle: four round trips, as every client makes them. */
static int cycle(const struct lv_bench *bench, struct lv_bytes body, struct lv_diag *diag)
{
    const struct lv_bench_options *options = bench->options;
    const uint8_t properties[3] = {0x10, 0, options->persistent ? 2 : 1};
    const struct lv_engine_content content = {lv_bytes(properties, sizeof properties), body};
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_basic_publish publish = {.mandatory = options->mandatory};
    struct lv_driver *client;
    uint64_t tag;
    int rc = lv_bench_connect(options, "leveret bench churn", &client, diag);

    if (rc < 0)
        return rc;
    assert(body.size == options->shape.size);
    snprintf(queue, sizeof queue, "%s-0", options->prefix);
    publish.routing_key = lv_text(queue);
    rc = lv_driver_publish(client, 1, &publish, &content, &tag, diag);
    if (rc == 0)
        rc = lv_driver_close(client, diag);
    lv_driver_free(client);
    return rc;
}

/* One client's thread. */
static void *churn_on(void *arg)
{
    struct churner *churner = arg;
    struct lv_bench *bench = churner->bench;
    struct lv_diag diag = {.text = ""};
    uint8_t *body = lv_calloc(bench->options->shape.size, 1);

    if (body == NULL)
        lv_bench_fail(bench, "out of memory");
    while (!atomic_load(&bench->stop_publishing) && !atomic_load(&bench->failed)) {
        uint64_t began = lv_clock_now();

        if (cycle(bench, lv_bytes(body, bench->options->shape.size), &diag) < 0)
            lv_bench_fail(bench, "%s", diag.text);
        else if (atomic_load(&bench->measuring))
            lv_histogram_add(&churner->latencies, lv_clock_now() - began);
        atomic_fetch_add(&churner->cycles, 1);
    }
    lv_free(body);
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
    snprintf(options->url.host, sizeof options->url.host, "%.*s", (int)(end - host), host);
    return 0;
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
    for (uint64_t i = 0; i < churn->options.clients; i++) {
        struct churner *churner = &churn->churners[i];

        churner->bench = bench;
        churner->running = pthread_create(&churner->thread, NULL, churn_on, churner) == 0;
        if (!churner->running)
            return lv_fail(diag, -LV_E_RESOURCE, "no thread");
    }
    return 0;
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
    int rc = measure(churn, &window, diag);
    uint64_t lost = 0;

    stop(churn);
    if (rc < 0)
        return false;
    if (!atomic_load(&churn->bench.failed))
        lost = count_lost(churn, cycles_of(churn), diag);
    assert(lost <= cycles_of(churn));
    return report(churn, &window, lost);
}

int lv_bench_run_churn(const struct lv_bench_options *options)
{
    struct churn churn = {.options = *options};
    struct lv_diag diag = {.text = ""};
    bool good = false;

    churn.options.shape.queues = 1;
    churn.options.shape.exchange = LV_BENCH_DEFAULT;
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
