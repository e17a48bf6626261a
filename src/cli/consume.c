/*
 * `leveret consume`: prints messages as they come and acknowledges what has been printed.
 */
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFETCH    100u
#define PROGRESS_NS LV_NS_PER_S

/* What the options say, and how far it has come. */
struct consume {
    struct lv_remote remote;
    const struct lv_usage *usage;
    struct lv_show show;
    struct lv_output output;
    const char *queue, *exchange, *routing_key, *exchange_type;
    char own_queue[256]; /* the temporary one's name */
    uint64_t count, prefetch;
    double timeout_s;
    bool ack, no_ack, declare;
    uint64_t taken;    /* messages in the output or beyond it */
    uint64_t last_tag; /* of the last message that was put into the output */
    uint64_t acked_tag;
    bool cancelled; /* the queue is gone */
    int error;      /* of printing */
    uint64_t progress_at;
};

/* --count */
static bool is_enough(const struct consume *consume)
{
    assert(consume->last_tag >= consume->acked_tag);
    return consume->count > 0 && consume->taken >= consume->count;
}

/* Into the output's buffer; it is written once the broker's bytes have all been looked at, so that
 * many messages go out with one write and are acked with one frame. */
static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct consume *consume = ctx;

    if (event->kind == LV_ENGINE_CANCELLED)
        consume->cancelled = true;
    /* What comes beyond the count stays unacked and so returns to its queue. */
    if (event->kind != LV_ENGINE_DELIVERED || is_enough(consume) || consume->error < 0)
        return;
    assert(event->message->method.id == LV_AMQP091_BASIC_DELIVER);
    consume->error =
        lv_show_message(&consume->show, &consume->output, event->message, &consume->remote.diag);
    consume->taken++;
    consume->last_tag = event->message->method.basic_deliver.delivery_tag;
}

/* What has been delivered goes out, and is acked only then. */
static int write_and_ack(struct consume *consume)
{
    const struct lv_amqp091_method ack = {
        .id = LV_AMQP091_BASIC_ACK,
        .basic_ack = {.delivery_tag = consume->last_tag, .multiple = true}};
    int rc;

    assert(consume->last_tag >= consume->acked_tag);
    if (consume->error == 0)
        consume->error = lv_output_flush(&consume->output);
    if (consume->error == -LV_E_IO)
        return lv_fail(&consume->remote.diag, consume->error, "standard output cannot be written");
    if (consume->error < 0)
        return consume->error;
    if (consume->no_ack || consume->last_tag == consume->acked_tag)
        return 0;
    rc = lv_driver_send(consume->remote.driver, 1, &ack, &consume->remote.diag);
    if (rc == 0)
        consume->acked_tag = consume->last_tag;
    return rc;
}

/* Once a second, when messages go elsewhere than to the terminal. */
static void show_progress(struct consume *consume)
{
    uint64_t now = lv_clock_now();

    /* Progress would run through messages that go to the same terminal. */
    if (!lv_remote_is_watched(&consume->remote) || isatty(STDOUT_FILENO) ||
        now - consume->progress_at < PROGRESS_NS)
        return;
    assert(now >= consume->progress_at);
    consume->progress_at = now;
    fprintf(stderr, "\r%llu received ", (unsigned long long)consume->taken);
}

/* A queue for this connection only, bound to the exchange. */
static int bind_own_queue(struct consume *consume)
{
    const struct lv_amqp091_method declare = {.id = LV_AMQP091_QUEUE_DECLARE,
                                              .queue_declare = {.exclusive = true}};
    struct lv_amqp091_method bind = {
        .id = LV_AMQP091_QUEUE_BIND,
        .queue_bind = {.exchange = lv_text(consume->exchange),
                       .routing_key =
                           lv_text(consume->routing_key == NULL ? "" : consume->routing_key)}};
    struct lv_amqp091_method reply;
    int rc = lv_remote_call(&consume->remote, &declare, &reply);

    if (rc < 0)
        return rc;
    assert(reply.queue_declare_ok.queue.size < sizeof consume->own_queue);
    snprintf(consume->own_queue, sizeof consume->own_queue, "%.*s",
             LV_FMT(reply.queue_declare_ok.queue));
    consume->queue = consume->own_queue;
    bind.queue_bind.queue = lv_text(consume->queue);
    return lv_remote_call(&consume->remote, &bind, NULL);
}

/* Queue and limits, before the first message comes. */
static int prepare(struct consume *consume)
{
    const struct lv_amqp091_method qos = {
        .id = LV_AMQP091_BASIC_QOS, .basic_qos = {.prefetch_count = (uint16_t)consume->prefetch}};
    int rc = 0;

    assert((consume->queue == NULL) == (consume->exchange != NULL));
    if (consume->declare)
        rc = lv_remote_declare_queue(&consume->remote, consume->queue);
    if (rc == 0 && consume->exchange_type != NULL)
        rc =
            lv_remote_declare_exchange(&consume->remote, consume->exchange, consume->exchange_type);
    if (rc == 0 && consume->exchange != NULL)
        rc = bind_own_queue(consume);
    if (rc == 0 && consume->prefetch > 0)
        rc = lv_remote_call(&consume->remote, &qos, NULL);
    return rc;
}

/* From here on the broker sends. */
static int start(struct consume *consume)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_CONSUME,
                                       .basic_consume = {.no_ack = consume->no_ack}};
    int rc = prepare(consume);

    if (rc < 0)
        return rc;
    method.basic_consume.queue = lv_text(consume->queue);
    rc = lv_remote_call(&consume->remote, &method, NULL);
    assert(consume->queue != NULL);
    if (rc == 0 && lv_remote_is_watched(&consume->remote))
        fprintf(stderr, "%s: waits for messages in '%s'; Ctrl-C ends it\n", consume->usage->command,
                consume->queue);
    return rc;
}

/* Waits for messages until there are enough, none comes any more, or somebody stops it. */
static int receive(struct consume *consume)
{
    uint64_t patience = (uint64_t)(consume->timeout_s * (double)LV_NS_PER_S);
    int rc = write_and_ack(consume);

    while (rc >= 0 && !is_enough(consume) && !consume->cancelled) {
        uint64_t before = consume->taken;
        uint64_t deadline = patience == 0 ? LV_NEVER : lv_clock_now() + patience;

        rc = lv_driver_wait(consume->remote.driver, deadline, &consume->remote.diag);
        if (rc == 0 && consume->taken == before)
            return lv_fail(&consume->remote.diag, -LV_E_TIMEOUT, "no message came within %g s",
                           consume->timeout_s);
        if (rc >= 0)
            rc = write_and_ack(consume);
        show_progress(consume);
    }
    assert(rc <= 1);
    if (rc >= 0)
        rc = lv_driver_flush(consume->remote.driver, &consume->remote.diag);
    return rc;
}

/* How it ended decides: stopped and closed pipes are no failures. */
static int finish(struct consume *consume, int rc)
{
    bool wanted_more = consume->count > 0 && consume->taken < consume->count;

    assert(consume->usage != NULL);
    if (lv_remote_is_watched(&consume->remote) && consume->progress_at != 0 &&
        !isatty(STDOUT_FILENO))
        (void)fputs("\r\033[K", stderr);
    if (rc == -LV_E_CLOSED && consume->error == rc)
        return LV_EXIT_OK; /* whoever read our output has enough */
    if (rc == -LV_E_STOPPED || (rc == -LV_E_TIMEOUT && consume->count == 0)) {
        /* What came in the last moment is printed and acked too. */
        if (write_and_ack(consume) < 0 ||
            lv_driver_flush(consume->remote.driver, &consume->remote.diag) == -LV_E_IO)
            return lv_remote_complain(&consume->remote, consume->usage);
        return LV_EXIT_OK;
    }
    if (consume->cancelled && rc >= 0)
        rc = lv_fail(&consume->remote.diag, -LV_E_NOT_FOUND, "the queue '%s' was deleted",
                     consume->queue);
    if (rc < 0 && wanted_more && rc == -LV_E_TIMEOUT)
        fprintf(stderr, "%s: %llu of %llu messages came\n", consume->usage->command,
                (unsigned long long)consume->taken, (unsigned long long)consume->count);
    return rc < 0 ? lv_remote_complain(&consume->remote, consume->usage) : LV_EXIT_OK;
}

/* What no single option can judge; NULL when all is well. */
static const char *find_conflict(const struct consume *consume)
{
    assert(consume->usage != NULL);
    if ((consume->queue == NULL) == (consume->exchange == NULL))
        return "name a queue, or an exchange with --exchange";
    if (consume->declare && consume->queue == NULL)
        return "--declare is for a queue; with --exchange there is a temporary one";
    if (consume->routing_key != NULL && consume->exchange == NULL)
        return "--routing-key needs --exchange";
    if (consume->exchange_type != NULL && consume->exchange == NULL)
        return "--exchange-type needs --exchange";
    if (consume->ack && consume->no_ack)
        return "--ack and --no-ack exclude each other";
    if (consume->no_ack && consume->count > 0)
        return "--no-ack with --count would lose messages that the broker sends beyond the count";
    return NULL;
}

static const char details[] =
    "A message is acknowledged once it has been printed, so nothing is lost when the program or\n"
    "whoever reads its output is stopped. With --exchange a temporary queue is bound to the "
    "exchange\n"
    "and gets what is published from then on. Ctrl-C ends it with 0. It ends with 1 when the queue "
    "is\n"
    "not there, when --count messages did not come within --timeout or when the broker is gone, "
    "and\n"
    "with 2 when an option is wrong.\n"
    "\n"
    "  leveret consume jobs\n"
    "  leveret consume jobs --count 10 --json\n"
    "  leveret consume --exchange amq.fanout\n"
    "  leveret consume --exchange amq.direct --routing-key red\n"
    "  leveret consume jobs --null | xargs -0 -n1 ./work\n";

/* From the arguments to the exit code. */
static int run(struct consume *consume)
{
    const char *conflict = find_conflict(consume);
    int exit_code;

    if (conflict != NULL)
        return lv_options_refuse(consume->usage, "%s", conflict);
    if (!lv_show_is_sound(&consume->show, consume->usage) ||
        !lv_remote_is_short(consume->usage, "the queue's name", consume->queue) ||
        !lv_remote_is_short(consume->usage, "the exchange's name", consume->exchange) ||
        !lv_remote_is_short(consume->usage, "the exchange's type", consume->exchange_type) ||
        !lv_remote_is_short(consume->usage, "the routing key", consume->routing_key))
        return LV_EXIT_USAGE;
    /* More would only have to go back. */
    if (consume->count > 0 && consume->count < consume->prefetch)
        consume->prefetch = consume->count;
    exit_code = lv_remote_open(&consume->remote, consume->usage, on_event, consume);
    if (exit_code == LV_EXIT_OK) {
        int rc;

        lv_output_init(&consume->output, STDOUT_FILENO, consume->remote.driver);
        rc = start(consume);
        if (rc >= 0)
            rc = receive(consume);
        exit_code = finish(consume, rc);
    }
    assert(exit_code >= 0);
    lv_remote_close(&consume->remote);
    return exit_code;
}

/* Ends with the count that was asked for, a signal, or the connection. */
int lv_run_consume(int argc, char **argv)
{
    struct consume consume = {.prefetch = PREFETCH, .remote.stop_fd = -1};
    struct consume *c = &consume;
    /* One flat table. */
    const struct lv_option options[] = {
        LV_REMOTE_OPTIONS(&c->remote),
        LV_TEXT_OPTION("exchange", 'x', "NAME", &c->exchange,
                       "what is published to this exchange from now on"),
        LV_TEXT_OPTION("routing-key", 'k', "KEY", &c->routing_key, "with this binding key"),
        LV_TEXT_OPTION("exchange-type", 0, "TYPE", &c->exchange_type,
                       "declare the exchange first, durable: direct, fanout, …"),
        LV_FLAG_OPTION("declare", 0, &c->declare, "declare the queue first, durable"),
        LV_NUMBER_OPTION("count", 'n', "N", &c->count, 1, UINT64_MAX, "end after N messages"),
        LV_DECIMAL_OPTION("timeout", 't', "S", &c->timeout_s,
                          "end when no message has come for S seconds"),
        LV_FLAG_OPTION("ack", 0, &c->ack,
                       "acknowledge each message once it is printed: the default"),
        LV_FLAG_OPTION("no-ack", 0, &c->no_ack,
                       "let the broker forget messages as it sends them: faster,\n"
                       "and lost if printing fails"),
        LV_NUMBER_OPTION("prefetch", 0, "N", &c->prefetch, 0, UINT16_MAX,
                         "messages that the broker may send ahead; 0: any [100]"),
        LV_SHOW_OPTIONS(&c->show),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {.command = "leveret consume",
                                   .arguments = "QUEUE | --exchange NAME",
                                   .summary = "Prints messages as they come.",
                                   .options = options,
                                   .arguments_max = 1,
                                   .details = details};
    int exit_code;

    assert(consume.taken == 0);
    if (!lv_options_parse(&usage, &argc, argv, &exit_code))
        return exit_code;
    consume.usage = &usage;
    consume.queue = argc > 1 ? argv[1] : NULL;
    return run(&consume);
}
