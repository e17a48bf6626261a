/* `leveret bench`: reads the options and runs one of the modes. See cli/bench.h. */
#include "cli/bench.h"
#include "cli/bench_disk.h"
#include "cli/bench_process.h"
#include "cli/command.h"
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 100000u
#define LIMIT_S   600 /* beyond warm-up and duration, unless it is said otherwise */

/* What the parser fills, before it becomes struct lv_bench_options. */
struct choice {
    struct lv_bench_options options;
    const char *url;
    bool publish_only;
};

/* --exchange */
static int choose_exchange(void *ctx, const char *value, struct lv_diag *diag)
{
    static const char *const names[] = {"default", "direct", "fanout", "topic"};
    struct choice *choice = ctx;

    assert(value != NULL);
    for (size_t i = 0; i < LV_COUNT(names); i++)
        if (strcmp(value, names[i]) == 0) {
            choice->options.shape.exchange = (enum lv_bench_exchange)i;
            return 0;
        }
    return lv_fail(diag, -LV_E_USAGE, "'%s' is none of default, direct, fanout, topic", value);
}

/* --cycle */
static int choose_cycle(void *ctx, const char *value, struct lv_diag *diag)
{
    static const char *const names[] = {"connection", "channel", "queue", "binding"};
    struct choice *choice = ctx;

    assert(value != NULL);
    for (size_t i = 0; i < LV_COUNT(names); i++)
        if (strcmp(value, names[i]) == 0) {
            choice->options.cycle = (enum lv_bench_cycle)i;
            return 0;
        }
    return lv_fail(diag, -LV_E_USAGE, "'%s' is none of connection, channel, queue, binding", value);
}

/* --pid, for each time it is given. */
static int add_pid(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choice *choice = ctx;
    char *end;
    long pid = strtol(value, &end, 10);

    assert(choice->options.pid_count <= LV_BENCH_PIDS_MAX);
    if (*end != '\0' || pid <= 0 || pid > 1 << 30)
        return lv_fail(diag, -LV_E_USAGE, "'%s' is no process number", value);
    if (choice->options.pid_count == LV_BENCH_PIDS_MAX)
        return lv_fail(diag, -LV_E_USAGE, "at most %u processes", LV_BENCH_PIDS_MAX);
    choice->options.pids[choice->options.pid_count++] = (int)pid;
    return 0;
}

/* What no single option can judge. NULL when all is well. */
static const char *find_conflict(const struct choice *choice)
{
    const struct lv_bench_options *options = &choice->options;

    assert(options->shape.queues > 0);
    if (!choice->publish_only && options->shape.consumers < options->shape.queues &&
        options->shape.exchange != LV_BENCH_DEFAULT)
        return "with fewer --consumers than --queues some queues would only grow";
    if (options->ack_single && options->ack_every == 0)
        return "--ack-single needs --ack-every";
    if (options->prefetch > 0 && options->ack_every == 0)
        return "--prefetch needs --ack-every, as a broker that waits for no acks has no limit";
    if (options->prefetch > 0 && options->ack_every > options->prefetch)
        return "--ack-every above --prefetch would wait for messages that never come";
    if (options->duration <= 0)
        return "--duration has to be above 0";
    if (options->idle > 0 && options->clients > 0)
        return "--idle and --churn are two different runs";
    if (options->cycle != LV_BENCH_CYCLE_CONNECTION && options->clients == 0)
        return "--cycle needs --churn";
    if (options->drain && (choice->publish_only || options->idle > 0 || options->clients > 0))
        return "--drain is a run of its own";
    if (options->drain && options->shape.consumers < options->shape.queues)
        return "--drain needs a consumer for every queue";
    if (options->hold > 0 && (!options->ack_single || options->prefetch > 0))
        return "--hold needs --ack-single, and no --prefetch that held messages would use up";
    if (options->queue_type != NULL && strlen(options->queue_type) > 40)
        return "--queue-type has at most 40 characters";
    return NULL;
}

static const char details[] =
    "Every body carries its producer's number and its own, so loss, duplicates and messages out "
    "of\n"
    "order are found; then the exit code is 1. With --pid the broker's processor time counts:\n"
    "messages_per_broker_cpu_s is the figure to compare on a machine that broker and bench share.\n"
    "Queues PREFIX-0, PREFIX-1, … are deleted, declared and deleted again.\n"
    "\n"
    "  leveret bench --size 1024 --duration 5\n"
    "  leveret bench --confirm 1000 --ack-every 100 --prefetch 1000 --persistent --durable\n"
    "  leveret bench --exchange fanout --queues 10 --consumers 10 --pid $(pidof leveret)\n"
    "  leveret bench --publish-only --keep -n 100000 leaves a backlog, which may wait\n"
    "  leveret bench --drain --ack-every 100         takes it, and checks it too\n"
    "  leveret bench --rate 10000 --size 1024        latency at a steady rate\n"
    "  leveret bench --churn 2                       connect, publish, close\n"
    "  leveret bench --churn 2 --cycle binding       bind, publish, unbind\n"
    "  leveret bench --idle 1000 --pid PID           memory of idle connections\n"
    "  leveret bench relay --listen 127.0.0.1:5673   the thinnest relay, to compare with\n"
    "  leveret bench fsync --dir DIR                 what a sync costs there\n";

/* The options are complete: check them against each other and go. */
static int run(struct choice *choice, const struct lv_usage *usage)
{
    struct lv_bench_options *options = &choice->options;
    struct lv_diag diag = {.text = ""};
    const char *conflict = find_conflict(choice);
    struct lv_process_usage usage_now;

    if (conflict != NULL)
        return lv_options_refuse(usage, "%s", conflict);
    if (lv_url_parse(choice->url, &diag, &options->url) < 0)
        return lv_options_refuse(usage, "%s", diag.text);
    if (lv_process_measure(options->pids, options->pid_count, &usage_now, &diag) < 0)
        return lv_options_refuse(usage, "--pid: %s", diag.text);
    options->url.heartbeat_s = 0; /* the generator has no time for them */
    if (choice->publish_only)
        options->shape.consumers = 0;
    assert(options->shape.producers > 0);
    if (options->limit <= 0 && options->messages == 0)
        options->limit = options->warmup + options->duration + LIMIT_S;
    if (options->limit > 0)
        lv_bench_limit(options->limit);
    if (options->clients > 0)
        return lv_bench_run_churn(options);
    if (options->idle > 0)
        return lv_bench_run_idle(options);
    return lv_bench_run_load(options);
}

static struct choice defaults(void)
{
    const char *url = getenv("LEVERET_URL");
    return (struct choice){
        .url = url != NULL && url[0] != '\0' ? url : LV_URL_DEFAULT,
        .options = {.shape = {.producers = 1, .consumers = 1, .queues = 1, .size = 16},
                    .duration = 5,
                    .warmup = 1,
                    .patience = 30,
                    .prefix = "lv-bench"}};
}

/* What is measured by options; the other ways have words of their own. */
static int run_with_options(int argc, char **argv)
{
    struct choice choice = defaults();
    struct lv_bench_options *o = &choice.options;
    /* One flat table. */
    const struct lv_option options[] = {
        LV_TEXT_OPTION("url", 'u', "URL", &choice.url,
                       "the broker; else $LEVERET_URL, else loopback"),
        LV_NUMBER_OPTION("producers", 'p', "N", &o->shape.producers, 1, 10000, "producers [1]"),
        LV_NUMBER_OPTION("consumers", 'c', "N", &o->shape.consumers, 1, 10000, "consumers [1]"),
        LV_NUMBER_OPTION("queues", 'q', "N", &o->shape.queues, 1, 10000, "queues [1]"),
        LV_FLAG_OPTION("publish-only", 0, &choice.publish_only, "no consumers"),
        LV_SIZE_OPTION("size", 's', "BYTES", &o->shape.size, LV_BENCH_STAMP_SIZE, 64 << 20,
                       "bytes of a body [16]"),
        LV_CALL_OPTION("exchange", 'x', "KIND", choose_exchange, &choice,
                       "default, direct, fanout or topic [default]"),
        LV_NUMBER_OPTION("bindings", 0, "N", &o->shape.bindings, 1, COUNT_MAX,
                         "bindings of a direct or topic exchange [one per queue]"),
        LV_NUMBER_OPTION("confirm", 0, "N", &o->window, 1, 1000000,
                         "publish with confirms, at most N open"),
        LV_NUMBER_OPTION("prefetch", 0, "N", &o->prefetch, 1, 65535, "unacked messages at once"),
        LV_NUMBER_OPTION("ack-every", 0, "N", &o->ack_every, 1, 65535,
                         "ack every N messages [the broker waits for no acks]"),
        LV_FLAG_OPTION("ack-single", 0, &o->ack_single, "ack each of them by itself"),
        LV_NUMBER_OPTION("hold", 0, "N", &o->hold, 1, UINT32_MAX,
                         "but never every N-th, which stays unacked"),
        LV_DECIMAL_OPTION("rate", 'r', "N", &o->rate, "messages per second of each producer"),
        LV_FLAG_OPTION("persistent", 0, &o->persistent, "persistent messages"),
        LV_FLAG_OPTION("durable", 0, &o->durable, "durable queues"),
        LV_TEXT_OPTION("queue-type", 0, "TYPE", &o->queue_type,
                       "declare queues with this x-queue-type [without]"),
        LV_FLAG_OPTION("mandatory", 0, &o->mandatory, "count unroutable messages"),
        LV_NUMBER_OPTION("messages", 'n', "N", &o->messages, 1, (uint64_t)1 << 40,
                         "send N messages and wait for them, instead of --duration"),
        LV_DECIMAL_OPTION("duration", 'd', "S", &o->duration, "measure for S seconds [5]"),
        LV_DECIMAL_OPTION("warmup", 0, "S", &o->warmup, "after a warm-up of S seconds [1]"),
        LV_DECIMAL_OPTION("patience", 0, "S", &o->patience,
                          "give up when nothing has moved for S seconds [30]"),
        LV_DECIMAL_OPTION("limit", 0, "S", &o->limit,
                          "end after S seconds in any case [duration + 600; --messages: none]"),
        LV_FLAG_OPTION("drain", 0, &o->drain, "no producers: consume what --keep left"),
        LV_NUMBER_OPTION("churn", 0, "N", &o->clients, 1, 64,
                         "N clients that make something, publish one message and end it"),
        LV_CALL_OPTION("cycle", 0, "KIND", choose_cycle, &choice,
                       "what: connection, channel, queue or binding [connection]"),
        LV_NUMBER_OPTION("idle", 0, "N", &o->idle, 1, COUNT_MAX,
                         "N connections with a consumer that wait for nothing"),
        LV_CALL_OPTION("pid", 0, "PID", add_pid, &choice, "a process of the broker; repeatable"),
        LV_TEXT_OPTION("prefix", 0, "NAME", &o->prefix, "of the queues' names [lv-bench]"),
        LV_FLAG_OPTION("keep", 0, &o->keep, "leave the queues there"),
        LV_FLAG_OPTION("json", 0, &o->json, "print one JSON object"),
        LV_FLAG_OPTION("quiet", 0, &o->quiet, "no progress on the terminal"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {.command = "leveret bench",
                                   .arguments = "",
                                   .summary = "loads an AMQP 0-9-1 broker and measures it",
                                   .options = options,
                                   .details = details};
    int exit_code = LV_EXIT_OK;

    if (!lv_options_parse(&usage, &argc, argv, &exit_code))
        return exit_code;
    if (strlen(choice.options.prefix) > 40)
        return lv_options_refuse(&usage, "--prefix has at most 40 characters");
    return run(&choice, &usage);
}

int lv_run_bench(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "relay") == 0)
        return lv_bench_relay(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "fsync") == 0)
        return lv_bench_fsync(argc - 1, argv + 1);
    return run_with_options(argc, argv);
}
