#include "cli/remote.h"

#include "cli/command.h"
#include "io/signals.h"
#include "lv_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The option wins over the environment, as everywhere. */
static const char *url_of(const struct lv_remote *remote)
{
    const char *url = remote->url;

    if (url == NULL)
        url = getenv("LEVERET_URL");
    assert(LV_URL_DEFAULT[0] == 'a');
    return url == NULL || url[0] == '\0' ? LV_URL_DEFAULT : url;
}

int lv_remote_complain(const struct lv_remote *remote, const struct lv_usage *usage)
{
    assert(usage->command != NULL);
    fprintf(stderr, "%s: %s\n", usage->command, remote->diag.text);
    return LV_EXIT_FAILED;
}

int lv_remote_open(struct lv_remote *remote, const struct lv_usage *usage,
                   lv_engine_event_fn *event, void *ctx)
{
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    struct lv_driver_options options = {
        .name = usage->command, .version = LV_VERSION, .event = event, .event_ctx = ctx};
    struct lv_url url;

    assert(remote->driver == NULL);
    remote->stop_fd = -1;
    if (lv_url_parse(url_of(remote), &remote->diag, &url) < 0)
        return lv_options_refuse(usage, "%s", remote->diag.text);
    if (lv_signals_open(&remote->stop_fd) < 0) {
        lv_fail(&remote->diag, -LV_E_RESOURCE, "signals cannot be read");
        return lv_remote_complain(remote, usage);
    }
    options.url = &url;
    options.stop_fd = remote->stop_fd;
    if (lv_driver_open(&options, &remote->driver, &remote->diag) < 0 ||
        lv_driver_call(remote->driver, 1, &open, NULL, &remote->diag) < 0)
        return lv_remote_complain(remote, usage);
    return LV_EXIT_OK;
}

void lv_remote_close(struct lv_remote *remote)
{
    struct lv_diag diag;

    assert(remote != NULL);
    if (remote->stop_fd >= 0) {
        while (lv_signals_take(remote->stop_fd) != 0)
            continue;                      /* one that has been heeded must not end us once more */
        lv_signals_close(remote->stop_fd); /* from now on a signal ends us at once */
    }
    if (remote->driver != NULL && !lv_engine_is_closed(lv_driver_engine(remote->driver)) &&
        lv_driver_close(remote->driver, &diag) < 0)
        remote->quiet = true; /* all that mattered has been answered before */
    lv_driver_free(remote->driver);
    remote->driver = NULL;
}

int lv_remote_call(struct lv_remote *remote, const struct lv_amqp091_method *method,
                   struct lv_amqp091_method *ret_reply)
{
    assert(remote->driver != NULL);
    return lv_driver_call(remote->driver, 1, method, ret_reply, &remote->diag);
}

int lv_remote_declare_queue(struct lv_remote *remote, const char *queue)
{
    const struct lv_amqp091_method declare = {
        .id = LV_AMQP091_QUEUE_DECLARE,
        .queue_declare = {.queue = lv_text(queue), .durable = true}};

    assert(queue[0] != '\0');
    return lv_remote_call(remote, &declare, NULL);
}

int lv_remote_declare_exchange(struct lv_remote *remote, const char *exchange, const char *type)
{
    const struct lv_amqp091_method declare = {.id = LV_AMQP091_EXCHANGE_DECLARE,
                                              .exchange_declare = {.exchange = lv_text(exchange),
                                                                   .type = lv_text(type),
                                                                   .durable = true}};

    assert(exchange[0] != '\0');
    return lv_remote_call(remote, &declare, NULL);
}

bool lv_remote_is_short(const struct lv_usage *usage, const char *what, const char *text)
{
    assert(what != NULL);
    if (text == NULL || strlen(text) <= 255)
        return true;
    (void)lv_options_refuse(usage, "%s is %zu bytes long; at most 255 are possible", what,
                            strlen(text));
    return false;
}

bool lv_remote_is_watched(const struct lv_remote *remote)
{
    assert(remote != NULL);
    return !remote->quiet && isatty(STDERR_FILENO);
}
