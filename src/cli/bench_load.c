/* `leveret bench` under load: producers, consumers and a watch over both. See cli/bench.h. */
#include "cli/bench.h"
#include "cli/bench_consumer.h"
#include "cli/bench_process.h"
#include "cli/bench_producer.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS   (2 * LV_NS_PER_MS)
#define WATCH_NS  (10 * LV_NS_PER_MS) /* while it runs: every wake takes time from the load */
#define LINGER_NS (50 * LV_NS_PER_MS) /* in which a stray duplicate would show */
#define LINE_NS   LV_NS_PER_S

static const char *const exchange_names[] = {"default", "direct", "fanout", "topic"};

/* What all had done at one moment. */
struct snapshot {
    uint64_t at, published, confirmed, delivered, own_cpu_ns;
    struct lv_process_usage broker;
};

struct load {
    struct lv_bench bench;
    struct lv_driver *control; /* own */
    struct lv_bench_producers producers;
    struct lv_bench_consumers consumers;
    struct snapshot idle, begin, end, done; /* before all; the window; when nothing was left */
    struct snapshot line;                   /* what the last progress line said */
    struct snapshot tenth, rest; /* with --messages and --drain: a tenth was done, was left */
    uint64_t backlog, left;      /* messages that waited before a drain, and after the run */
    uint64_t first_delivery_ns;  /* from the consumers' connecting; 0: none came */
    bool whole;                  /* of a drain: nothing is missing before its last message */
};

/* For people and rates. */
static double seconds(uint64_t ns)
{
    return (double)ns / (double)LV_NS_PER_S;
}

/* The watching thread has nothing to do in between. */
static void sleep_ns(uint64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t)(ns / LV_NS_PER_S),
                          .tv_nsec = (long)(ns % LV_NS_PER_S)};

    (void)nanosleep(&ts, NULL);
}

/* Counters first: reading /proc takes a moment in which they go on. */
static void take_snapshot(struct load *load, struct snapshot *snapshot)
{
    const struct lv_bench_options *options = load->bench.options;
    struct lv_diag diag;

    snapshot->at = lv_clock_now();
    snapshot->published = lv_bench_read(&load->bench.published);
    snapshot->confirmed = lv_bench_read(&load->bench.confirmed);
    snapshot->delivered = lv_bench_read(&load->bench.delivered);
    snapshot->own_cpu_ns = lv_process_own_cpu();
    if (lv_process_measure(options->pids, options->pid_count, &snapshot->broker, &diag) < 0)
        lv_bench_fail(&load->bench, "%s", diag.text);
}

/* What the run is about: deliveries, or without consumers what the broker has taken. */
static uint64_t work_of(const struct load *load, const struct snapshot *snapshot)
{
    assert(snapshot->published >= snapshot->confirmed);
    if (load->bench.plan.shape.consumers > 0)
        return snapshot->delivered;
    return load->bench.options->window > 0 ? snapshot->confirmed : snapshot->published;
}

/* Of a run over a known number of messages: the moments after the first and before the last tenth,
 * as what grows in between must not make a broker slower. */
static void note_tenths(struct load *load)
{
    const struct lv_bench_options *options = load->bench.options;
    uint64_t total = options->drain ? load->backlog : options->messages;
    const struct snapshot now = {.published = lv_bench_read(&load->bench.published),
                                 .confirmed = lv_bench_read(&load->bench.confirmed),
                                 .delivered = lv_bench_read(&load->bench.delivered)};

    assert(load->rest.at == 0 || load->tenth.at > 0);
    if (total == 0 || (!options->drain && load->bench.plan.shape.queues > 1))
        return; /* no known number, or a message may be delivered more than once, or never */
    if (load->tenth.at == 0 && work_of(load, &now) >= total / 10)
        take_snapshot(load, &load->tenth);
    if (load->rest.at == 0 && work_of(load, &now) >= total - total / 10)
        take_snapshot(load, &load->rest);
}

/* Once a second, for a person who watches. */
static void show_progress(struct load *load)
{
    struct snapshot now;
    double elapsed;

    if (load->bench.options->quiet || !isatty(STDERR_FILENO) ||
        lv_clock_now() - load->line.at < LINE_NS)
        return;
    take_snapshot(load, &now);
    elapsed = seconds(now.at - load->line.at);
    assert(elapsed > 0);
    fprintf(stderr, "\r%8.0f published/s %8.0f delivered/s %5.0f %% of a CPU in the broker   ",
            (double)(now.published - load->line.published) / elapsed,
            (double)(now.delivered - load->line.delivered) / elapsed,
            seconds(now.broker.cpu_ns - load->line.broker.cpu_ns) / elapsed * 100);
    load->line = now;
}

/* Deliveries that all that was sent has to lead to. The producers must have ended. */
static uint64_t expected_deliveries(const struct load *load)
{
    const struct lv_bench_plan *plan = &load->bench.plan;
    uint64_t expected = 0;

    if (load->bench.options->drain)
        return load->backlog;
    for (uint64_t queue = 0; queue < plan->shape.queues; queue++)
        for (uint64_t i = 0; i < plan->shape.producers; i++)
            if (lv_bench_plan_is_consumed(plan, queue))
                expected += lv_bench_plan_expected(plan, i, queue,
                                                   lv_bench_producers_sent(&load->producers, i));
    assert(plan->shape.consumers > 0 || expected == 0);
    return expected;
}

/* Waits until the producers have wound up, or nothing has moved for too long. */
static void await_producers(struct load *load)
{
    uint64_t patience = (uint64_t)(load->bench.options->patience * (double)LV_NS_PER_S);
    uint64_t moved_at = lv_clock_now(), last = 0;

    lv_bench_phase("waits until the broker has taken what was published");
    while (atomic_load(&load->bench.publishing) > 0 && !atomic_load(&load->bench.failed)) {
        uint64_t moved = lv_bench_read(&load->bench.confirmed) +
                         lv_bench_read(&load->bench.delivered) +
                         lv_bench_read(&load->bench.published);

        assert(moved >= last);
        if (moved != last) {
            last = moved;
            moved_at = lv_clock_now();
        } else if (lv_clock_now() - moved_at > patience) {
            lv_bench_fail(&load->bench, "the broker does not confirm or take what was published%s",
                          atomic_load(&load->bench.blocked) > 0
                              ? ": it blocks publishers (connection.blocked)"
                              : "");
        }
        sleep_ns(TICK_NS);
        show_progress(load);
        note_tenths(load);
    }
    lv_bench_producers_join(&load->producers);
}

/* Waits until all has been delivered, or nothing has come for too long. */
static void await_deliveries(struct load *load)
{
    uint64_t patience = (uint64_t)(load->bench.options->patience * (double)LV_NS_PER_S);
    uint64_t expected = expected_deliveries(load), moved_at = lv_clock_now(), last = 0;

    assert(!load->producers.running);
    lv_bench_phase("waits for deliveries");
    while (load->bench.plan.shape.consumers > 0 && !atomic_load(&load->bench.failed)) {
        uint64_t delivered = lv_bench_read(&load->bench.delivered);

        if (delivered > 0 && load->first_delivery_ns == 0)
            load->first_delivery_ns = lv_clock_now() - load->idle.at;
        note_tenths(load);
        if (delivered >= expected)
            break;
        if (delivered != last) {
            last = delivered;
            moved_at = lv_clock_now();
        } else if (lv_clock_now() - moved_at > patience) {
            break; /* the rest is lost */
        }
        sleep_ns(TICK_NS);
        show_progress(load);
    }
}

/* Measures for a time, after a warm-up. */
static void watch_window(struct load *load)
{
    const struct lv_bench_options *options = load->bench.options;
    uint64_t begin = lv_clock_now() + (uint64_t)(options->warmup * (double)LV_NS_PER_S);
    uint64_t end = begin + (uint64_t)(options->duration * (double)LV_NS_PER_S);

    assert(options->duration > 0);
    lv_bench_phase("publishes");
    while (lv_clock_now() < begin && !atomic_load(&load->bench.failed))
        sleep_ns(WATCH_NS);
    take_snapshot(load, &load->begin);
    atomic_store(&load->bench.measuring, true);
    while (lv_clock_now() < end && !atomic_load(&load->bench.failed)) {
        sleep_ns(WATCH_NS);
        show_progress(load);
    }
    take_snapshot(load, &load->end);
    atomic_store(&load->bench.measuring, false);
}

/* The queues: new ones, or those which an earlier run has filled. */
static int prepare(struct load *load, struct lv_diag *diag)
{
    struct lv_bench *bench = &load->bench;
    const struct lv_bench_options *options = bench->options;
    int rc = lv_bench_connect(options, "leveret bench", &load->control, diag);
    uint64_t consumers;

    assert(bench->plan.shape.queues > 0);
    if (rc < 0 || !options->drain)
        return rc < 0 ? rc : lv_bench_declare(bench, load->control, diag);
    rc = lv_bench_count_ready(bench, load->control, &load->backlog, &consumers, diag);
    if (rc == 0 && options->messages > 0 && options->messages != load->backlog)
        rc = lv_fail(diag, -LV_E_NOT_FOUND, "%llu messages wait there, not %llu",
                     (unsigned long long)load->backlog, (unsigned long long)options->messages);
    return rc;
}

/* Consumers before producers, so that no message waits for somebody to come. */
static int start(struct load *load, struct lv_diag *diag)
{
    struct lv_bench *bench = &load->bench;
    const struct lv_bench_options *options = bench->options;
    int rc = lv_bench_plan_init(&bench->plan, &options->shape);

    if (rc < 0)
        return lv_fail(diag, rc, "out of memory");
    rc = prepare(load, diag);
    if (rc < 0)
        return rc;
    take_snapshot(load, &load->idle);
    lv_process_reset_peak(options->pids, options->pid_count);
    if (options->shape.consumers > 0)
        rc = lv_bench_consumers_init(&load->consumers, bench, diag);
    if (rc == 0 && !options->drain)
        rc = lv_bench_producers_init(&load->producers, bench, diag);
    if (rc < 0)
        return rc;
    /* For a run that is measured as a whole. A drain has begun with the first consumer. */
    load->begin = load->idle;
    if (!options->drain)
        take_snapshot(load, &load->begin);
    load->line = load->begin;
    atomic_store(&bench->measuring, options->messages > 0 && !options->drain);
    if (options->shape.consumers > 0)
        rc = lv_bench_consumers_start(&load->consumers, diag);
    return rc < 0 || options->drain ? rc : lv_bench_producers_start(&load->producers, diag);
}

/* The load itself: for a time, or until all messages have gone through. */
static void run(struct load *load)
{
    struct lv_bench *bench = &load->bench;
    bool whole = bench->options->messages > 0 || bench->options->drain;

    if (!whole) {
        watch_window(load);
        atomic_store(&bench->stop_publishing, true);
    }
    if (!bench->options->drain)
        await_producers(load);
    await_deliveries(load);
    if (whole)
        take_snapshot(load, &load->end);
    assert(!load->producers.running);
    sleep_ns(LINGER_NS);
    take_snapshot(load, &load->done);
}

/* The consumers' thread ends; the producers' has ended by itself. */
static void stop(struct load *load)
{
    struct lv_bench *bench = &load->bench;

    assert(!load->producers.running);
    atomic_store(&bench->stop_consuming, true);
    lv_bench_consumers_join(&load->consumers);
}

/* What is there when nobody consumes any more and all that was not acked has gone back. */
static void count_left(struct load *load)
{
    uint64_t patience = (uint64_t)(load->bench.options->patience * (double)LV_NS_PER_S);
    uint64_t end = lv_clock_now() + patience, consumers = 1;
    struct lv_diag diag = {.text = ""};

    if (load->consumers.bench == NULL || load->bench.options->ack_every == 0)
        return;
    lv_bench_phase("waits until the broker has forgotten the consumers");
    assert(!load->consumers.running);
    lv_bench_consumers_disconnect(&load->consumers);
    while (consumers > 0 && !atomic_load(&load->bench.failed)) {
        if (lv_bench_count_ready(&load->bench, load->control, &load->left, &consumers, &diag) < 0)
            lv_bench_fail(&load->bench, "%s", diag.text);
        else if (consumers > 0 && lv_clock_now() > end)
            lv_bench_fail(&load->bench, "the broker does not forget its consumers");
        sleep_ns(TICK_NS);
    }
}

/* What was measured, so that a result can be read without its command. */
static void report_setting(struct load *load, struct lv_report *report)
{
    const struct lv_bench_options *options = load->bench.options;
    const struct lv_bench_shape *shape = &load->bench.plan.shape;

    lv_report_text(report, "mode",
                   options->drain         ? "drain"
                   : shape->consumers > 0 ? "load"
                                          : "publish");
    lv_report_text(report, "broker", lv_engine_server(lv_driver_engine(load->control)));
    lv_report_text(report, "exchange", exchange_names[shape->exchange]);
    lv_report_count(report, "producers", shape->producers);
    lv_report_count(report, "consumers", shape->consumers);
    lv_report_count(report, "queues", shape->queues);
    lv_report_count(report, "size", shape->size);
    lv_report_bool(report, "persistent", options->persistent);
    lv_report_count(report, "confirm_window", options->window);
    lv_report_count(report, "prefetch", options->prefetch);
    lv_report_count(report, "ack_every", options->ack_every);
    assert(shape->queues > 0);
}

/* Within the window only: warm-up and winding up do not count. */
static void report_rates(struct load *load, struct lv_report *report)
{
    const struct lv_bench_options *options = load->bench.options;
    double elapsed = seconds(load->end.at - load->begin.at);
    double published = (double)(load->end.published - load->begin.published);
    double confirmed = (double)(load->end.confirmed - load->begin.confirmed);
    double delivered = (double)(load->end.delivered - load->begin.delivered);
    double work = load->bench.plan.shape.consumers > 0 ? delivered : published;
    double cpu = seconds(load->end.broker.cpu_ns - load->begin.broker.cpu_ns);
    double own_cpu = seconds(load->end.own_cpu_ns - load->begin.own_cpu_ns);

    assert(elapsed > 0);
    lv_report_number(report, "window_s", elapsed, "");
    lv_report_number(report, "published_per_s", published / elapsed, "");
    if (options->window > 0)
        lv_report_number(report, "confirmed_per_s", confirmed / elapsed, "");
    lv_report_number(report, "delivered_per_s", delivered / elapsed, "");
    if (options->pid_count > 0) {
        lv_report_number(report, "broker_cpu_s", cpu, "");
        lv_report_number(report, "broker_ns_per_message", work > 0 ? cpu * 1e9 / work : 0, "");
        lv_report_number(report, "messages_per_broker_cpu_s", cpu > 0 ? work / cpu : 0, "");
        lv_report_count(report, "broker_resident_before", load->idle.broker.resident);
        lv_report_count(report, "broker_resident_peak", load->done.broker.peak);
        lv_report_count(report, "broker_resident_after", load->done.broker.resident);
    }
    lv_report_number(report, "messages_per_bench_cpu_s", own_cpu > 0 ? work / own_cpu : 0, "");
}

/* Rates of the first and of the last tenth. */
static void report_tenths(struct load *load, struct lv_report *report)
{
    const struct snapshot *from[] = {&load->begin, &load->rest};
    const struct snapshot *to[] = {&load->tenth, &load->end};
    static const char *const names[][2] = {
        {"first_tenth_per_s", "first_tenth_per_broker_cpu_s"},
        {"last_tenth_per_s", "last_tenth_per_broker_cpu_s"},
    };

    if (load->tenth.at == 0 || work_of(load, &load->rest) == work_of(load, &load->end))
        return; /* over before anybody looked */
    for (size_t i = 0; i < LV_COUNT(from); i++) {
        double work = (double)(work_of(load, to[i]) - work_of(load, from[i]));
        double elapsed = seconds(to[i]->at - from[i]->at);
        double cpu = seconds(to[i]->broker.cpu_ns - from[i]->broker.cpu_ns);

        assert(elapsed >= 0);
        lv_report_number(report, names[i][0], elapsed > 0 ? work / elapsed : 0, "");
        if (load->bench.options->pid_count > 0)
            lv_report_number(report, names[i][1], cpu > 0 ? work / cpu : 0, "");
    }
}

/* What else is known of messages that waited. */
static void report_backlog(struct load *load, struct lv_report *report)
{
    const struct lv_bench_options *options = load->bench.options;

    if (options->drain) {
        lv_report_count(report, "backlog", load->backlog);
        lv_report_number(report, "first_delivery_s", seconds(load->first_delivery_ns), "");
        lv_report_bool(report, "whole", load->whole);
    }
    assert(options->ack_every > 0 || load->left == 0);
    if (load->consumers.bench != NULL && options->ack_every > 0)
        lv_report_count(report, "left", load->left);
}

/* Returns true when nothing is wrong. */
static bool report_verdict(struct load *load, struct lv_report *report)
{
    struct lv_bench *bench = &load->bench;
    const struct lv_bench_faults *faults = &load->consumers.faults;
    bool good = faults->lost + faults->duplicated + faults->reordered + faults->misrouted +
                        faults->foreign + atomic_load(&bench->refused) ==
                    0 &&
                !atomic_load(&bench->failed);

    lv_report_count(report, "published", lv_bench_read(&bench->published));
    lv_report_count(report, "confirmed", lv_bench_read(&bench->confirmed));
    lv_report_count(report, "delivered", lv_bench_read(&bench->delivered));
    lv_report_count(report, "returned", atomic_load(&bench->returned));
    lv_report_count(report, "refused", atomic_load(&bench->refused));
    lv_report_number(report, "blocked_s", seconds(atomic_load(&bench->blocked_ns)), "");
    lv_report_count(report, "lost", faults->lost);
    lv_report_count(report, "duplicated", faults->duplicated);
    lv_report_count(report, "reordered", faults->reordered);
    lv_report_count(report, "misrouted", faults->misrouted);
    lv_report_count(report, "foreign", faults->foreign);
    lv_report_count(report, "redelivered", faults->redelivered);
    if (bench->error[0] != '\0')
        lv_report_text(report, "error", bench->error);
    lv_report_bool(report, "good", good);
    return good;
}

/* All of it on standard output; returns true when nothing is wrong. */
static bool report(struct load *load)
{
    struct lv_report out;
    bool good;

    assert(load->control != NULL);
    if (load->bench.options->drain && !atomic_load(&load->bench.failed))
        load->whole = lv_bench_consumers_judge_all(&load->consumers, load->backlog);
    else if (load->consumers.bench != NULL && !atomic_load(&load->bench.failed))
        for (uint64_t i = 0; i < load->bench.plan.shape.producers; i++)
            lv_bench_consumers_judge(&load->consumers, i,
                                     lv_bench_producers_sent(&load->producers, i));
    if (!load->bench.options->quiet && isatty(STDERR_FILENO))
        (void)fputs("\r\033[K", stderr);
    lv_report_begin(&out, stdout, load->bench.options->json);
    report_setting(load, &out);
    report_rates(load, &out);
    report_tenths(load, &out);
    report_backlog(load, &out);
    if (load->consumers.latencies != NULL)
        lv_report_latencies(&out, "latency", load->consumers.latencies);
    if (load->producers.latencies != NULL)
        lv_report_latencies(&out, "confirm", load->producers.latencies);
    good = report_verdict(load, &out);
    lv_report_end(&out);
    return good;
}

/* Queues and connections go, whatever happened before. */
static void clean_up(struct load *load)
{
    struct lv_diag diag = {.text = ""};

    lv_bench_phase("closes connections and deletes queues");
    lv_bench_producers_fini(&load->producers);
    lv_bench_consumers_fini(&load->consumers);
    if (load->control != NULL && (lv_bench_delete(&load->bench, load->control, &diag) < 0 ||
                                  lv_driver_close(load->control, &diag) < 0))
        fprintf(stderr, "leveret bench: %s\n", diag.text);
    assert(load->producers.producers == NULL);
    lv_driver_free(load->control);
    lv_bench_plan_fini(&load->bench.plan);
}

int lv_bench_run_load(const struct lv_bench_options *options)
{
    struct load load = {.bench = {.options = options}};
    struct lv_diag diag = {.text = ""};
    bool good = false;
    int rc;

    (void)pthread_mutex_init(&load.bench.error_mutex, NULL);
    assert(options->shape.producers > 0);
    lv_bench_phase("declares and connects");
    rc = start(&load, &diag);
    if (rc == 0) {
        run(&load);
        stop(&load);
        count_left(&load);
        good = report(&load);
    } else {
        stop(&load);
        fprintf(stderr, "leveret bench: %s\n", diag.text);
    }
    clean_up(&load);
    return good ? LV_EXIT_OK : LV_EXIT_FAILED;
}
