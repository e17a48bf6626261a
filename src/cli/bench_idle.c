/* `leveret bench --idle N`: what a connection with a channel and a consumer costs that does
 * nothing. See cli/bench.h. */
#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/bench_process.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "io/clock.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#define SETTLE_S 1 /* brokers tidy up a moment after they were busy */

struct idle {
    struct lv_bench bench;
    struct lv_bench_options options;
    struct lv_driver *control;  /* own */
    struct lv_driver **clients; /* own */
    struct lv_process_usage before, connected, after, closed;
    double connect_s, watched_s;
};

/* Connections need descriptors; where the limit is lower, connecting says so. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    int rc = getrlimit(RLIMIT_NOFILE, &limit);

    assert(rc == 0);
    limit.rlim_cur = limit.rlim_max;
    if (rc == 0 && setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fprintf(stderr, "leveret bench: the limit of open files stays as it is\n");
}

/* Brokers are left alone meanwhile. */
static void sleep_seconds(double seconds)
{
    struct timespec ts = {.tv_sec = (time_t)seconds};

    assert(seconds >= 0);
    ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * (double)LV_NS_PER_S);
    (void)nanosleep(&ts, NULL);
}

/* One after the other, each with a channel and a consumer. */
static int open_all(struct idle *idle, struct lv_diag *diag)
{
    char queue[LV_BENCH_KEY_SIZE];
    struct lv_amqp091_method consume = {.id = LV_AMQP091_BASIC_CONSUME};
    uint64_t began = lv_clock_now();
    int rc = 0;

    assert(idle->clients != NULL);
    for (uint64_t i = 0; i < idle->options.idle && rc == 0; i++) {
        snprintf(queue, sizeof queue, "%s-%u", idle->options.prefix,
                 (unsigned)(i % idle->options.shape.queues));
        consume.basic_consume.queue = lv_text(queue);
        rc = lv_bench_connect(&idle->options, "leveret bench idle", &idle->clients[i], diag);
        if (rc == 0)
            rc = lv_driver_call(idle->clients[i], 1, &consume, NULL, diag);
    }
    idle->connect_s = (double)(lv_clock_now() - began) / (double)LV_NS_PER_S;
    return rc;
}

/* Without goodbye, as a machine that is switched off. */
static void close_all(struct idle *idle)
{
    for (uint64_t i = 0; idle->clients != NULL && i < idle->options.idle; i++)
        lv_driver_free(idle->clients[i]);
    lv_free(idle->clients);
    idle->clients = NULL;
    assert(idle->options.idle > 0);
}

/* The broker's processes now. */
static int measure(struct idle *idle, struct lv_process_usage *ret_usage, struct lv_diag *diag)
{
    assert(idle->options.idle > 0);
    return lv_process_measure(idle->options.pids, idle->options.pid_count, ret_usage, diag);
}

/* Before, with the connections, after a while, without them. */
static int run(struct idle *idle, struct lv_diag *diag)
{
    int rc = lv_bench_plan_init(&idle->bench.plan, &idle->options.shape);
    uint64_t began;

    lv_bench_phase("connects");
    if (rc == 0)
        rc = lv_bench_connect(&idle->options, "leveret bench", &idle->control, diag);
    if (rc == 0)
        rc = lv_bench_declare(&idle->bench, idle->control, diag);
    if (rc < 0)
        return rc;
    sleep_seconds(SETTLE_S);
    rc = measure(idle, &idle->before, diag);
    idle->clients = lv_calloc(idle->options.idle, sizeof(struct lv_driver *));
    if (rc == 0 && idle->clients == NULL)
        rc = lv_fail(diag, -LV_E_NOMEM, "out of memory");
    if (rc == 0)
        rc = open_all(idle, diag);
    sleep_seconds(SETTLE_S);
    if (rc == 0)
        rc = measure(idle, &idle->connected, diag);
    lv_bench_phase("watches idle connections, and closes them");
    began = lv_clock_now();
    sleep_seconds(rc == 0 ? idle->options.duration : 0);
    idle->watched_s = (double)(lv_clock_now() - began) / (double)LV_NS_PER_S;
    if (rc == 0)
        rc = measure(idle, &idle->after, diag);
    close_all(idle);
    sleep_seconds(SETTLE_S);
    return rc < 0 ? rc : measure(idle, &idle->closed, diag);
}

/* Nothing here can be wrong: a connection that fails ends the run before. */
static void report(const struct idle *idle)
{
    struct lv_report out;
    double count = (double)idle->options.idle;

    assert(count > 0);
    lv_report_begin(&out, stdout, idle->options.json);
    lv_report_text(&out, "mode", "idle");
    lv_report_text(&out, "broker", lv_engine_server(lv_driver_engine(idle->control)));
    lv_report_count(&out, "connections", idle->options.idle);
    lv_report_number(&out, "connects_per_s", count / idle->connect_s, "");
    if (idle->options.pid_count > 0) {
        lv_report_count(&out, "resident_before", idle->before.resident);
        lv_report_count(&out, "resident_connected", idle->after.resident);
        lv_report_count(&out, "resident_closed", idle->closed.resident);
        lv_report_number(&out, "bytes_per_connection",
                         ((double)idle->after.resident - (double)idle->before.resident) / count,
                         "");
        lv_report_number(
            &out, "idle_cpu_percent",
            (double)(idle->after.cpu_ns - idle->connected.cpu_ns) / 1e7 / idle->watched_s, "");
    }
    lv_report_bool(&out, "good", true);
    lv_report_end(&out);
}

int lv_bench_run_idle(const struct lv_bench_options *options)
{
    struct idle idle = {.options = *options};
    struct lv_diag diag = {.text = ""};
    int rc;

    idle.options.shape.exchange = LV_BENCH_DEFAULT;
    idle.bench.options = &idle.options;
    (void)pthread_mutex_init(&idle.bench.error_mutex, NULL);
    raise_file_limit();
    rc = run(&idle, &diag);
    close_all(&idle);
    if (rc == 0)
        report(&idle);
    if (rc == 0)
        rc = lv_bench_delete(&idle.bench, idle.control, &diag);
    if (rc == 0)
        rc = lv_driver_close(idle.control, &diag);
    if (rc < 0)
        fprintf(stderr, "leveret bench: %s\n", diag.text);
    assert(idle.clients == NULL);
    lv_driver_free(idle.control);
    lv_bench_plan_fini(&idle.bench.plan);
    return rc < 0 ? LV_EXIT_FAILED : LV_EXIT_OK;
}
