/*
 * `leveret get`: takes messages out of a queue without waiting for any.
 */
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/show.h"

#include <stdio.h>
#include <unistd.h>

/* What the options say, and how far it has come. */
struct get {
    struct lv_remote remote;
    const struct lv_usage *usage;
    struct lv_show show;
    struct lv_output output;
    const char *queue;
    uint64_t count;
    bool all, no_ack, requeue;
    uint64_t got;
    int error; /* of printing */
};

/* The answer to basic.get: its message is valid only here. */
static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct get *get = ctx;

    if (event->kind != LV_ENGINE_GOT)
        return;
    assert(event->message->method.id == LV_AMQP091_BASIC_GET_OK);
    get->error = lv_show_message(&get->show, &get->output, event->message, &get->remote.diag);
}

/* 1 when a message was printed, 0 when the queue is empty. */
static int get_one(struct get *get)
{
    const struct lv_amqp091_method method = {
        .id = LV_AMQP091_BASIC_GET,
        .basic_get = {.queue = lv_text(get->queue), .no_ack = get->no_ack}};
    struct lv_amqp091_method ack = {.id = LV_AMQP091_BASIC_ACK}, reply;
    int rc = lv_remote_call(&get->remote, &method, &reply);

    if (rc < 0)
        return rc;
    if (reply.id == LV_AMQP091_BASIC_GET_EMPTY)
        return 0;
    assert(reply.id == LV_AMQP091_BASIC_GET_OK);
    ack.basic_ack.delivery_tag = reply.basic_get_ok.delivery_tag;
    if (get->error == 0)
        get->error = lv_output_flush(&get->output);
    if (get->error == -LV_E_IO)
        return lv_fail(&get->remote.diag, get->error, "standard output cannot be written");
    if (get->error < 0)
        return get->error;
    get->got++;
    /* Unacked messages go back to their places when the connection ends. */
    if (!get->no_ack && !get->requeue)
        rc = lv_driver_send(get->remote.driver, 1, &ack, &get->remote.diag);
    return rc < 0 ? rc : 1;
}

/* Until there are enough or none is left. */
static int get_all(struct get *get)
{
    int rc = 1;

    while (rc == 1 && (get->all || get->got < get->count))
        rc = get_one(get);
    assert(rc <= 1);
    if (rc == -LV_E_CLOSED && get->error == rc)
        return LV_EXIT_OK; /* whoever read our output has enough */
    if (rc < 0)
        return lv_remote_complain(&get->remote, get->usage);
    if (lv_driver_flush(get->remote.driver, &get->remote.diag) < 0)
        return lv_remote_complain(&get->remote, get->usage);
    if (get->got > 0)
        return LV_EXIT_OK;
    if (!get->remote.quiet)
        fprintf(stderr, "%s: the queue '%s' is empty\n", get->usage->command, get->queue);
    return LV_EXIT_FAILED;
}

static const char details[] =
    "A message leaves the queue once it has been printed. The program ends with 0 when it got at\n"
    "least one, with 1 when there was none or something went wrong, and with 2 when an option is\n"
    "wrong.\n"
    "\n"
    "  leveret get hello\n"
    "  leveret get jobs --count 10 --requeue --json    look, and leave them there\n"
    "  leveret get jobs --all --null | xargs -0 -n1 echo\n";

/* One at a time, as basic.get has it: for looking, not for working. */
int lv_run_get(int argc, char **argv)
{
    struct get get = {.count = 1, .remote.stop_fd = -1};
    struct get *g = &get;
    const struct lv_option options[] = {
        LV_REMOTE_OPTIONS(&g->remote),
        LV_NUMBER_OPTION("count", 'n', "N", &g->count, 1, UINT64_MAX, "at most N messages [1]"),
        LV_FLAG_OPTION("all", 'a', &g->all, "all that are there"),
        LV_FLAG_OPTION("requeue", 0, &g->requeue, "put them back afterwards"),
        LV_FLAG_OPTION("no-ack", 0, &g->no_ack,
                       "let the broker forget them as it sends them: faster,\n"
                       "and lost if printing fails"),
        LV_SHOW_OPTIONS(&g->show),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {.command = "leveret get",
                                   .arguments = "QUEUE",
                                   .summary =
                                       "Takes messages that wait in a queue and prints them.",
                                   .options = options,
                                   .arguments_min = 1,
                                   .arguments_max = 1,
                                   .details = details};
    int exit_code;

    assert(get.got == 0);
    if (!lv_options_parse(&usage, &argc, argv, &exit_code))
        return exit_code;
    get.usage = &usage;
    get.queue = argv[1];
    if (!lv_show_is_sound(&get.show, &usage) || !lv_remote_is_short(&usage, "the name", get.queue))
        return LV_EXIT_USAGE;
    if (get.no_ack && get.requeue)
        return lv_options_refuse(&usage, "--no-ack messages cannot be put back by --requeue");
    exit_code = lv_remote_open(&get.remote, &usage, on_event, &get);
    if (exit_code == LV_EXIT_OK) {
        lv_output_init(&get.output, STDOUT_FILENO, get.remote.driver);
        exit_code = get_all(&get);
    }
    lv_remote_close(&get.remote);
    return exit_code;
}
