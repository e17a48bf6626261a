/*
 * cli/remote.h - what every command that is a client has in common: a broker, and being stopped.
 *
 * Main thread.
 */
#pragma once

#include "cli/options.h"
#include "client/driver.h"

/* The connection of a command, and what ends it. */
struct lv_remote {
    const char *url;          /* view  --url; NULL: $LEVERET_URL, else loopback */
    bool quiet;               /*       no progress and no summary on the terminal */
    struct lv_driver *driver; /* own */
    int stop_fd;              /* readable once SIGINT or SIGTERM has come */
    struct lv_diag diag;      /* what went wrong last */
};

#define LV_REMOTE_OPTIONS(remote)                                                                  \
    LV_TEXT_OPTION("url", 'u', "URL", &(remote)->url,                                              \
                   "amqp://user:password@host:port/vhost [$LEVERET_URL, else loopback]"),          \
        LV_FLAG_OPTION("quiet", 'q', &(remote)->quiet, "no progress on the terminal")

/* Connects and opens channel 1. `name` is what the broker's tools show. An enum lv_exit; what was
 * wrong has been said. */
int lv_remote_open(struct lv_remote *remote, const struct lv_usage *usage,
                   lv_engine_event_fn *event, void *ctx);
/* Says goodbye unless the connection is broken, and frees all. Takes one that is not open. */
void lv_remote_close(struct lv_remote *remote);

/* Calls on channel 1 and gives the answer; NULL when it is not wanted. */
int lv_remote_call(struct lv_remote *remote, const struct lv_amqp091_method *method,
                   struct lv_amqp091_method *ret_reply) LV_MUST_CHECK;
/* Declares a durable queue. */
int lv_remote_declare_queue(struct lv_remote *remote, const char *queue) LV_MUST_CHECK;
/* The same for an exchange of the type. */
int lv_remote_declare_exchange(struct lv_remote *remote, const char *exchange, const char *type)
    LV_MUST_CHECK;

/* Says on stderr what stands in `remote->diag` and returns LV_EXIT_FAILED. */
int lv_remote_complain(const struct lv_remote *remote, const struct lv_usage *usage);
/* Names and keys are at most 255 bytes; false after the usage error was printed. */
bool lv_remote_is_short(const struct lv_usage *usage, const char *what, const char *text);
/* Is there a person who wants to see progress? */
bool lv_remote_is_watched(const struct lv_remote *remote);
