/*
 * `leveret publish`: messages from arguments, files or standard input.
 */
#include "base/alloc.h"
#include "cli/bodies.h"
#include "cli/command.h"
#include "cli/properties.h"
#include "cli/remote.h"
#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX   1024u
#define WINDOW      2000u /* publishes that may lack their confirm */
#define WINDOW_LOW  1000u
#define SHOWN_MAX   5u /* returned messages that are named one by one */
#define PROGRESS_NS LV_NS_PER_S

/* What the options say, and how far it has come. */
struct publish {
    struct lv_remote remote;
    const struct lv_usage *usage;
    struct lv_property_options properties;
    uint8_t *raw; /* own   the properties, encoded */
    size_t raw_size;
    const char *exchange, *routing_key, *exchange_type, *queue;
    const char *files[FILES_MAX];
    size_t file_count;
    uint64_t count, repeat;
    bool no_confirm, mandatory, declare, null, whole;
    uint64_t published, confirmed, refused, returned;
    uint64_t progress_at;
};

/* Called while publishing and waiting; here it is only counted and shown. */
static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct publish *publish = ctx;

    if (event->kind == LV_ENGINE_CONFIRMED) {
        publish->confirmed += event->last - event->first + 1;
        if (event->refused)
            publish->refused += event->last - event->first + 1;
    } else if (event->kind == LV_ENGINE_RETURNED) {
        const struct lv_amqp091_basic_return *returned = &event->message->method.basic_return;

        assert(event->message->method.id == LV_AMQP091_BASIC_RETURN);
        if (publish->returned++ < SHOWN_MAX)
            fprintf(stderr,
                    "%s: a message was not routed: exchange '%.*s', routing key '%.*s': %.*s\n",
                    publish->usage->command, LV_FMT(returned->exchange),
                    LV_FMT(returned->routing_key), LV_FMT(returned->reply_text));
    } else if (event->kind == LV_ENGINE_BLOCKED && lv_remote_is_watched(&publish->remote)) {
        fprintf(stderr, "%s: the broker takes no messages for now: %.*s\n", publish->usage->command,
                LV_FMT(event->method->connection_blocked.reason));
    }
}

/* Once a second, on a terminal. The clock is read now and then only, as it costs more than a
 * message. */
static void show_progress(struct publish *publish)
{
    uint64_t now;

    if (!lv_remote_is_watched(&publish->remote) || publish->published % 64 != 0)
        return;
    now = lv_clock_now();
    if (publish->progress_at == 0)
        publish->progress_at = now;
    if (now - publish->progress_at < PROGRESS_NS)
        return;
    assert(publish->confirmed <= publish->published);
    publish->progress_at = now;
    fprintf(stderr, "\r%llu published, %llu confirmed ", (unsigned long long)publish->published,
            (unsigned long long)publish->confirmed);
}

/* --count */
static bool is_enough(const struct publish *publish)
{
    assert(publish->repeat > 0);
    return publish->count > 0 && publish->published >= publish->count;
}

/* One body, as often as was asked for. */
static int publish_body(struct publish *publish, struct lv_bytes body)
{
    struct lv_remote *remote = &publish->remote;
    const struct lv_amqp091_basic_publish to = {
        .exchange = lv_text(publish->exchange == NULL ? "" : publish->exchange),
        .routing_key = lv_text(publish->routing_key == NULL ? "" : publish->routing_key),
        .mandatory = publish->mandatory};
    const struct lv_engine_content content = {lv_bytes(publish->raw, publish->raw_size), body};
    uint64_t tag;
    int rc = 0;

    assert(publish->raw_size >= 2);
    for (uint64_t i = 0; i < publish->repeat && rc == 0 && !is_enough(publish); i++) {
        rc = lv_driver_publish(remote->driver, 1, &to, &content, &tag, &remote->diag);
        publish->published += rc == 0;
        if (rc == 0 && lv_engine_unconfirmed(lv_driver_engine(remote->driver), 1) >= WINDOW)
            rc = lv_driver_await_confirms(remote->driver, 1, WINDOW_LOW, &remote->diag);
        show_progress(publish);
    }
    return rc;
}

/* All bodies of a stream; between two of them it may take its time. */
static int publish_stream(struct publish *publish, int fd, int separator)
{
    struct lv_remote *remote = &publish->remote;
    struct lv_bodies bodies;
    int rc = 0;

    lv_bodies_init(&bodies, fd, separator);
    while (rc >= 0 && !is_enough(publish)) {
        struct lv_bytes body;

        rc = lv_bodies_next(&bodies, &body);
        if (rc == 1) {
            rc = publish_body(publish, body);
        } else if (rc == 0) {
            rc = lv_driver_wait_fd(remote->driver, fd, &remote->diag);
            if (rc >= 0)
                rc = lv_bodies_fill(&bodies, &remote->diag);
        } else {
            assert(rc == -LV_E_CLOSED);
            rc = 0;
            break;
        }
    }
    lv_bodies_fini(&bodies);
    return rc < 0 ? rc : 0;
}

/* A file is one message, or with --null many. */
static int publish_file(struct publish *publish, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    assert(path != NULL);
    if (fd < 0)
        return lv_fail(&publish->remote.diag, -LV_E_IO, "cannot open %s: %s", path,
                       strerror(errno));
    rc = publish_stream(publish, fd, publish->null ? '\0' : -1);
    (void)close(fd);
    return rc;
}

/* Arguments, then files; without either, standard input. */
static int publish_all(struct publish *publish, int argc, char **argv)
{
    int rc = 0;

    assert(argc >= 0);
    for (int i = 0; i < argc && rc == 0; i++)
        rc = publish_body(publish, lv_text(argv[i]));
    for (size_t i = 0; i < publish->file_count && rc == 0; i++)
        rc = publish_file(publish, publish->files[i]);
    if (rc == 0 && argc == 0 && publish->file_count == 0)
        rc = publish_stream(publish, STDIN_FILENO,
                            publish->whole  ? -1
                            : publish->null ? '\0'
                                            : '\n');
    return rc;
}

/* Declares what was asked for before anything is published. */
static int prepare(struct publish *publish)
{
    const struct lv_amqp091_method select = {.id = LV_AMQP091_CONFIRM_SELECT};
    struct lv_remote *remote = &publish->remote;
    int rc = 0;

    assert(!publish->declare || publish->queue != NULL);
    if (publish->declare)
        rc = lv_remote_declare_queue(remote, publish->queue);
    if (rc == 0 && publish->exchange_type != NULL)
        rc = lv_remote_declare_exchange(remote, publish->exchange, publish->exchange_type);
    if (rc == 0 && !publish->no_confirm)
        rc = lv_remote_call(remote, &select, NULL);
    return rc;
}

/* Everything that was sent is confirmed, or at least read; what is not routed has come back. */
static int settle(struct publish *publish)
{
    const struct lv_amqp091_method close_channel = {
        .id = LV_AMQP091_CHANNEL_CLOSE,
        .channel_close = {.reply_code = LV_AMQP091_REPLY_SUCCESS, .reply_text = lv_text("done")}};
    struct lv_remote *remote = &publish->remote;
    int rc = lv_driver_flush(remote->driver, &remote->diag);

    assert(publish->refused <= publish->confirmed);
    if (rc == 0)
        rc = lv_driver_await_confirms(remote->driver, 1, 0, &remote->diag);
    return rc < 0 ? rc : lv_remote_call(remote, &close_channel, NULL);
}

/* What went wrong, all of it, and the exit code. */
static int report(struct publish *publish, int rc)
{
    const char *command = publish->usage->command;

    assert(command != NULL);
    if (lv_remote_is_watched(&publish->remote) && publish->progress_at != 0)
        (void)fputs("\r\033[K", stderr);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", command, publish->remote.diag.text);
        if (!publish->no_confirm && publish->confirmed < publish->published)
            fprintf(stderr, "%s: %llu of %llu messages are not confirmed\n", command,
                    (unsigned long long)(publish->published - publish->confirmed),
                    (unsigned long long)publish->published);
    }
    if (publish->refused > 0)
        fprintf(stderr, "%s: the broker refused %llu of %llu messages\n", command,
                (unsigned long long)publish->refused, (unsigned long long)publish->published);
    if (publish->returned > 0)
        fprintf(stderr, "%s: %llu of %llu messages were not routed to any queue\n", command,
                (unsigned long long)publish->returned, (unsigned long long)publish->published);
    if (rc < 0 || publish->refused > 0 || publish->returned > 0)
        return LV_EXIT_FAILED;
    if (lv_remote_is_watched(&publish->remote))
        fprintf(stderr, "%llu published%s\n", (unsigned long long)publish->published,
                publish->no_confirm ? "" : " and confirmed");
    return LV_EXIT_OK;
}

/* Finds out what the arguments mean. Returns how many of them are bodies, or minus the exit code.
 */
static int sort_out(struct publish *publish, int argc, char **argv)
{
    const struct lv_usage *usage = publish->usage;
    bool addressed = publish->exchange != NULL || publish->routing_key != NULL;

    if (!addressed && argc < 2)
        return -lv_options_refuse(usage, "a queue is missing, or --exchange");
    if (addressed && publish->declare)
        return -lv_options_refuse(usage, "--declare is for a queue that is named as an argument");
    if (publish->exchange_type != NULL && publish->exchange == NULL)
        return -lv_options_refuse(usage, "--exchange-type needs --exchange");
    if (publish->null && publish->whole)
        return -lv_options_refuse(usage, "--null and --whole are two different things");
    if (!addressed)
        publish->queue = publish->routing_key = argv[1];
    if (!lv_remote_is_short(usage, "the exchange's name", publish->exchange) ||
        !lv_remote_is_short(usage, "the queue's name or routing key", publish->routing_key) ||
        !lv_remote_is_short(usage, "the exchange's type", publish->exchange_type))
        return -LV_EXIT_USAGE;
    if (lv_property_encode(&publish->properties, &publish->raw, &publish->raw_size,
                           &publish->remote.diag) < 0)
        return -lv_options_refuse(usage, "%s", publish->remote.diag.text);
    assert(argc >= 1);
    return argc - 1 - !addressed;
}

/* From the arguments to the exit code. */
static int run(struct publish *publish, int argc, char **argv)
{
    int bodies = sort_out(publish, argc, argv), exit_code, rc;

    if (bodies < 0)
        return -bodies;
    if (bodies > 0 && publish->file_count > 0)
        return lv_options_refuse(publish->usage, "bodies come from arguments or from files");
    exit_code = lv_remote_open(&publish->remote, publish->usage, on_event, publish);
    if (exit_code == LV_EXIT_OK) {
        assert(publish->remote.driver != NULL);
        rc = prepare(publish);
        if (rc == 0)
            rc = publish_all(publish, bodies, argv + argc - bodies);
        if (rc == 0)
            rc = settle(publish);
        exit_code = report(publish, rc);
    }
    lv_remote_close(&publish->remote);
    return exit_code;
}

/* --file, for each time it is given. */
static int add_file(void *ctx, const char *value, struct lv_diag *diag)
{
    struct publish *publish = ctx;

    assert(value != NULL);
    if (publish->file_count == FILES_MAX)
        return lv_fail(diag, -LV_E_USAGE, "at most %u files", FILES_MAX);
    publish->files[publish->file_count++] = value;
    return 0;
}

static const char details[] =
    "Without BODY and --file every line of standard input is a message. The program ends with 0 "
    "when\n"
    "the broker has confirmed all messages, with 1 when one was refused, not routed (--mandatory) "
    "or\n"
    "the broker could not be reached, and with 2 when an option is wrong.\n"
    "\n"
    "  leveret publish --declare hello 'Hello, world'\n"
    "  seq 1000 | leveret publish jobs --persistent\n"
    "  leveret publish jobs --file order.json --content-type application/json\n"
    "  leveret publish --exchange amq.fanout 'News'\n"
    "  leveret publish --exchange orders --routing-key eu.new --mandatory -H tries:int=1 < order\n"
    "  find . -print0 | leveret publish files --null\n";

/* One message for each argument, or else for each body of standard input. */
int lv_run_publish(int argc, char **argv)
{
    struct publish publish = {.repeat = 1, .remote.stop_fd = -1};
    struct publish *p = &publish;
    /* One flat table. */
    const struct lv_option options[] = {
        LV_REMOTE_OPTIONS(&p->remote),
        LV_TEXT_OPTION("exchange", 'x', "NAME", &p->exchange, "publish to this exchange"),
        LV_TEXT_OPTION("routing-key", 'k', "KEY", &p->routing_key, "with this routing key"),
        LV_TEXT_OPTION("exchange-type", 0, "TYPE", &p->exchange_type,
                       "declare the exchange first, durable: direct, fanout, …"),
        LV_FLAG_OPTION("declare", 0, &p->declare, "declare the queue first, durable"),
        LV_CALL_OPTION("file", 'f', "FILE", add_file, p, "a file is a message; repeatable"),
        LV_FLAG_OPTION("null", '0', &p->null, "messages end with a zero byte"),
        LV_FLAG_OPTION("whole", 0, &p->whole, "all of standard input is one message"),
        LV_NUMBER_OPTION("count", 'n', "N", &p->count, 1, UINT64_MAX, "at most N messages"),
        LV_NUMBER_OPTION("repeat", 0, "N", &p->repeat, 1, UINT64_MAX, "every message N times [1]"),
        LV_FLAG_OPTION("no-confirm", 0, &p->no_confirm, "do not wait for the broker's confirms"),
        LV_FLAG_OPTION("mandatory", 'm', &p->mandatory, "fail when a message reaches no queue"),
        LV_PROPERTY_OPTIONS(&p->properties),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {.command = "leveret publish",
                                   .arguments = "QUEUE [BODY...] | --exchange NAME [BODY...]",
                                   .summary =
                                       "Publishes messages and waits until the broker has them.",
                                   .options = options,
                                   .arguments_max = 1u << 20,
                                   .details = details};
    int exit_code = LV_EXIT_OK;

    assert(publish.repeat == 1);
    publish.usage = &usage;
    if (lv_options_parse(&usage, &argc, argv, &exit_code))
        exit_code = run(&publish, argc, argv);
    lv_free(publish.raw);
    return exit_code;
}
