/*
 * client/driver.h - the engine of client/engine.h on a socket, for programs that may block.
 *
 * Every wait has a deadline and ends early when the stop descriptor becomes readable. Whatever
 * fails leaves a sentence that names the broker. One owner; the event function is called from
 * within the functions below and makes no call but lv_driver_send() and lv_driver_publish().
 */
#pragma once

#include "client/engine.h"
#include "client/url.h"
#include "io/tls.h"

struct lv_driver;

/* Zero and NULL mean the defaults in brackets. */
struct lv_driver_options {
    const struct lv_url *url;
    const char *name;          /* of the connection, as the broker shows it [none] */
    const char *version;       /* of the program [none] */
    uint32_t timeout_ms;       /* for each answer of the broker [10 s] */
    uint32_t frame_max;        /* [131072] */
    int stop_fd;               /* ends waits with -LV_E_STOPPED once it is readable; -1: none */
    lv_engine_event_fn *event; /* all events but answers to lv_driver_call() [ignored] */
    void *event_ctx;
};

/* Connects and logs in. `options` and the URL are copied but for their strings and the context. */
int lv_driver_open(const struct lv_driver_options *options, struct lv_driver **ret_driver,
                   struct lv_diag *diag) LV_MUST_CHECK;
/* Says goodbye and waits for the answer. The driver must still be freed. */
int lv_driver_close(struct lv_driver *driver, struct lv_diag *diag) LV_MUST_CHECK;
/* Takes NULL. Drops the connection if it is still there. */
void lv_driver_free(struct lv_driver *driver);

/* Sends a method and waits for its answer. `ret_reply` may be NULL; its views are valid until the
 * next call. When the broker closes the channel instead, the error is its reply code's. */
int lv_driver_call(struct lv_driver *driver, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_amqp091_method *ret_reply,
                   struct lv_diag *diag) LV_MUST_CHECK;
/* Sends a method that has no answer. It leaves with the next wait or flush. */
int lv_driver_send(struct lv_driver *driver, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_diag *diag) LV_MUST_CHECK;
/* As lv_engine_publish(); waits only while there is much unsent, for as long as the broker takes
 * it. */
int lv_driver_publish(struct lv_driver *driver, uint16_t channel,
                      const struct lv_amqp091_basic_publish *publish,
                      const struct lv_engine_content *content, uint64_t *ret_tag,
                      struct lv_diag *diag) LV_MUST_CHECK;

/* Sends what is there and handles what comes, until something has come or `deadline` (ns of
 * lv_clock_now()) has passed: 1 or 0. Errors: the connection or a channel ended. */
int lv_driver_wait(struct lv_driver *driver, uint64_t deadline, struct lv_diag *diag) LV_MUST_CHECK;
/* The same, but ends with 1 as soon as `fd` can be read, and not for what comes from the broker. */
int lv_driver_wait_fd(struct lv_driver *driver, int fd, struct lv_diag *diag) LV_MUST_CHECK;
/* Waits until all has been sent. */
int lv_driver_flush(struct lv_driver *driver, struct lv_diag *diag) LV_MUST_CHECK;
/* Waits until at most `most` publishes of the channel lack their confirm. It does so without an end
 * while the broker blocks publishers, and else for the timeout after the last confirm. */
int lv_driver_await_confirms(struct lv_driver *driver, uint16_t channel, uint64_t most,
                             struct lv_diag *diag) LV_MUST_CHECK;
/* Keeps the connection alive while the caller is busy elsewhere and takes no input. */
void lv_driver_keep_alive(struct lv_driver *driver);

/* For what can only be asked of the engine. Calls go through the driver. */
struct lv_engine *lv_driver_engine(struct lv_driver *driver);

/* For who takes the connection over once it is set up: its socket, to wait for. */
int lv_driver_fd(const struct lv_driver *driver);
/* With TLS, buffers for lv_driver_read() are larger than this. */
#define LV_DRIVER_READ_MIN LV_TLS_SLACK_SIZE
/* As lv_socket_read() and lv_socket_write(), also where TLS is between. Such a connection may owe
 * the socket what it took: then it takes no more, and wants to write when the socket can. */
ssize_t lv_driver_read(struct lv_driver *driver, void *buffer, size_t size) LV_MUST_CHECK;
ssize_t lv_driver_write(struct lv_driver *driver, const struct lv_bytes *pieces, size_t count)
    LV_MUST_CHECK;
bool lv_driver_owes(const struct lv_driver *driver);
