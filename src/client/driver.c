#include "client/driver.h"

#include "base/alloc.h"
#include "io/clock.h"
#include "io/socket.h"

#include <limits.h>
#include <poll.h>
#include <string.h>

#define TIMEOUT_MS   10000u
#define FRAME_MAX    131072u
#define BODY_MAX     ((uint64_t)512 << 20)
#define OUT_HIGH     ((size_t)1 << 20) /* unsent bytes above which publishing waits */
#define OUT_LOW      ((size_t)1 << 18)
#define PENDING_NONE 0u
/* The input buffer begins small and doubles while a frame or a burst fills it by half. */
#define INPUT_MIN ((size_t)16384)
#define INPUT_MAX ((size_t)1 << 30)
/* Half of it has to be enough for a read with TLS. */
#define INPUT_MIN_TLS ((size_t)65536)

/* The engine, its socket, and the one call that may wait. */
struct lv_driver {
    struct lv_driver_options options;
    struct lv_url url;
    struct lv_chunk_pool pool;
    struct lv_engine *engine; /* own */
    struct lv_tls *tls;       /* own   NULL: nothing is encrypted */
    struct lv_tls_room *room; /* own   with `tls` */
    int fd;
    uint8_t *input; /* own */
    size_t input_capacity;
    size_t input_start, input_end; /* bytes that the engine has not used */
    uint64_t told_count;           /* events so far */
    uint16_t call_channel;         /* where a call waits, PENDING_NONE: none does */
    bool call_answered;
    struct lv_amqp091_method reply;
    bool opened;
    int closed_error; /* 0 while there is no reason */
    bool closed;
    uint16_t dead_channel; /* ended by the broker; 0: none */
    int dead_error;
    struct lv_diag why; /* the connection's or the channel's end */
};

/* The sentence that everything from now on fails with. A refused login is explained by what was
 * tried, since brokers do not say more. */
static void take_end(struct lv_driver *driver, const struct lv_engine_event *event)
{
    const struct lv_url *url = &driver->url;

    assert(event->kind == LV_ENGINE_CLOSED);
    driver->closed = true;
    driver->closed_error = event->error;
    if (event->error == -LV_E_ACCESS_REFUSED && !driver->opened)
        lv_fail(&driver->why, -LV_E_CLOSED, "%s:%u refuses the login of user '%s' (%s)", url->host,
                url->port, url->user, event->text);
    else if (driver->dead_channel == 0)
        lv_fail(&driver->why, -LV_E_CLOSED, "%s:%u: %s", url->host, url->port, event->text);
}

/* Keeps what calls wait for and passes the rest on. */
static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct lv_driver *driver = ctx;

    driver->told_count++;
    switch (event->kind) {
    case LV_ENGINE_OPENED:
        driver->opened = true;
        return;
    case LV_ENGINE_CLOSED:
        take_end(driver, event);
        break;
    case LV_ENGINE_CHANNEL_CLOSED:
        driver->dead_channel = event->channel;
        driver->dead_error = event->error;
        lv_fail(&driver->why, -LV_E_CLOSED, "%s:%u: %s", driver->url.host, driver->url.port,
                event->text);
        break;
    case LV_ENGINE_REPLIED:
        assert(event->channel == driver->call_channel);
        driver->reply = *event->method;
        driver->call_answered = true;
        return;
    case LV_ENGINE_GOT: /* the message goes to the event function, the method to the caller */
        driver->reply = event->message->method;
        driver->call_answered = true;
        break;
    default:
        break;
    }
    if (driver->options.event != NULL)
        driver->options.event(driver->options.event_ctx, event);
}

/* Why nothing can be done any more on the channel (0: the connection), or 0. */
static int check(const struct lv_driver *driver, uint16_t channel, struct lv_diag *diag)
{
    int error = 0;

    if (driver->closed)
        error = driver->closed_error == 0 ? -LV_E_CLOSED : driver->closed_error;
    else if (driver->dead_channel != 0 && (channel == 0 || channel == driver->dead_channel))
        error = driver->dead_error;
    assert(error <= 0);
    return error == 0 ? 0 : lv_fail(diag, error, "%s", driver->why.text);
}

ssize_t lv_driver_read(struct lv_driver *driver, void *buffer, size_t size)
{
    assert(driver->fd >= 0);
    return driver->tls == NULL ? lv_socket_read(driver->fd, buffer, size)
                               : lv_tls_read(driver->tls, driver->room, buffer, size);
}

ssize_t lv_driver_write(struct lv_driver *driver, const struct lv_bytes *pieces, size_t count)
{
    assert(driver->fd >= 0);
    return driver->tls == NULL ? lv_socket_write(driver->fd, pieces, count)
                               : lv_tls_write(driver->tls, driver->room, pieces, count);
}

bool lv_driver_owes(const struct lv_driver *driver)
{
    return driver->tls != NULL && lv_tls_owed(driver->tls) > 0;
}

/* Something waits for room in the socket. */
static bool has_unsent(const struct lv_driver *driver)
{
    assert(driver->engine != NULL);
    return lv_engine_out(driver->engine)->size > 0 || lv_driver_owes(driver);
}

/* Sends what the socket takes now. */
static void send_some(struct lv_driver *driver)
{
    struct lv_out *out = lv_engine_out(driver->engine);

    while (has_unsent(driver)) {
        struct lv_bytes pieces[LV_SOCKET_PIECES];
        size_t count = lv_out_gather(out, pieces, LV_SOCKET_PIECES);
        ssize_t sent = lv_driver_write(driver, pieces, count);

        assert(count > 0 || driver->tls != NULL);
        if (sent == 0 && (count > 0 || lv_driver_owes(driver)))
            return;
        /* A socket that takes nothing any more may still hold what the broker said last, so its end
         * is found by reading. */
        lv_out_consume(out, sent >= 0 ? (size_t)sent : out->size);
        if (sent < 0)
            return;
    }
}

/* Gives the engine what has been read. */
static void digest(struct lv_driver *driver)
{
    struct lv_bytes input =
        lv_bytes(driver->input + driver->input_start, driver->input_end - driver->input_start);

    assert(driver->input_start <= driver->input_end);
    driver->input_start += lv_engine_input(driver->engine, input, lv_clock_now());
    if (driver->input_start == driver->input_end)
        driver->input_start = driver->input_end = 0;
}

/* Makes room behind what the engine has left over, which is less than a frame. */
static bool make_room(struct lv_driver *driver)
{
    size_t left = driver->input_end - driver->input_start;
    uint8_t *wider;

    if (driver->input_start > 0) {
        memmove(driver->input, driver->input + driver->input_start, left);
        driver->input_start = 0;
        driver->input_end = left;
    }
    if (driver->input_capacity - driver->input_end >= driver->input_capacity / 2)
        return true;
    assert(driver->input_capacity < INPUT_MAX);
    wider = lv_realloc(driver->input, driver->input_capacity * 2);
    if (wider == NULL)
        return driver->input_end < driver->input_capacity;
    driver->input = wider;
    driver->input_capacity *= 2;
    return true;
}

/* Reads what is there now and handles it. */
static void receive_some(struct lv_driver *driver)
{
    ssize_t got;

    if (!make_room(driver)) {
        lv_engine_lost(driver->engine, "out of memory");
        return;
    }
    assert(driver->input_end < driver->input_capacity);
    got = lv_driver_read(driver, driver->input + driver->input_end,
                         driver->input_capacity - driver->input_end);
    if (got > 0) {
        driver->input_end += (size_t)got;
        digest(driver);
    } else if (got == -LV_E_CLOSED) {
        lv_engine_lost(driver->engine, "the broker closed the connection without a word");
    } else if (got < 0) {
        lv_engine_lost(driver->engine, "the connection to the broker broke");
    }
    /* No event announces an end that came with the last bytes. */
    if (got > 0 && driver->tls != NULL && lv_tls_end(driver->tls) < 0)
        lv_engine_lost(driver->engine, "the broker closed the connection without a word");
}

/* For poll(): rounded up, so that it does not wake just before the deadline. */
static int milliseconds_until(uint64_t deadline, uint64_t now)
{
    uint64_t left = deadline > now ? deadline - now : 0;

    if (deadline == LV_NEVER)
        return -1;
    left = (left + LV_NS_PER_MS - 1) / LV_NS_PER_MS;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* One turn: send, sleep until something can be done or `deadline`, receive. 1 when `fd` (-1: none)
 * can be read, else 0, or -LV_E_STOPPED. */
static int turn_with(struct lv_driver *driver, uint64_t deadline, int fd, struct lv_diag *diag)
{
    struct pollfd pollers[3] = {{.fd = driver->fd, .events = POLLIN},
                                {.fd = driver->options.stop_fd, .events = POLLIN},
                                {.fd = fd, .events = POLLIN}};
    uint64_t now = lv_clock_now(), beat;
    int count;

    lv_engine_tick(driver->engine, now);
    send_some(driver);
    if (driver->closed)
        return 0;
    beat = lv_engine_next(driver->engine);
    if (has_unsent(driver))
        pollers[0].events |= POLLOUT;
    assert(driver->fd >= 0);
    count = poll(pollers, 3, milliseconds_until(beat < deadline ? beat : deadline, now));
    if (count > 0 && pollers[1].revents != 0)
        return lv_fail(diag, -LV_E_STOPPED, "stopped");
    if (count > 0 && (pollers[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        receive_some(driver);
    return count > 0 && pollers[2].revents != 0 ? 1 : 0;
}

/* A turn that waits for the broker only. */
static int turn(struct lv_driver *driver, uint64_t deadline, struct lv_diag *diag)
{
    assert(driver->engine != NULL);
    return turn_with(driver, deadline, -1, diag);
}

/* When an answer that is asked for now is overdue. */
static uint64_t timeout_at(const struct lv_driver *driver)
{
    assert(driver->options.timeout_ms > 0);
    return lv_clock_now() + driver->options.timeout_ms * LV_NS_PER_MS;
}

/* The broker is there but does not answer: it says so, with what was asked. */
static int timed_out(const struct lv_driver *driver, const char *what, struct lv_diag *diag)
{
    assert(what != NULL);
    return lv_fail(diag, -LV_E_TIMEOUT, "%s:%u did not answer %s within %u ms", driver->url.host,
                   driver->url.port, what, driver->options.timeout_ms);
}

/* Runs the handshake to its end. */
static int log_in(struct lv_driver *driver, uint64_t deadline, struct lv_diag *diag)
{
    int rc = 0;

    assert(!driver->opened);
    while (rc == 0 && !driver->opened && !driver->closed) {
        if (lv_clock_now() >= deadline)
            return timed_out(driver, "the login", diag);
        rc = turn(driver, deadline, diag);
    }
    return rc < 0 ? rc : check(driver, 0, diag);
}

/* A context for this connection alone: programs have one or a few. */
static int make_tls(struct lv_driver *driver, struct lv_diag *diag)
{
    const struct lv_url *url = &driver->url;
    const struct lv_tls_client_options options = {
        .cacertfile = url->cacertfile,
        .pair = {url->certfile, url->keyfile},
        .verify_none = url->verify_none,
    };
    struct lv_tls_context *context;
    int rc = lv_tls_client_context(&options, &context, diag);

    assert(url->is_tls);
    if (rc < 0)
        return rc;
    driver->room = lv_tls_room_new();
    driver->tls =
        lv_tls_new(context, driver->fd, url->server_name[0] == '\0' ? url->host : url->server_name);
    lv_tls_context_unref(context);
    return driver->room == NULL || driver->tls == NULL ? lv_fail(diag, -LV_E_NOMEM, "out of memory")
                                                       : 0;
}

/* The handshake to its end; the same deadline as for the login. */
static int secure(struct lv_driver *driver, uint64_t deadline, struct lv_diag *diag)
{
    struct lv_diag why = {.text = ""};
    int rc = make_tls(driver, diag);

    if (rc < 0)
        return rc;
    while ((rc = lv_tls_handshake(driver->tls, &why)) == 0) {
        uint64_t now = lv_clock_now();
        bool for_write = (lv_tls_wants(driver->tls) & LV_IO_WRITE) != 0;

        assert(driver->fd >= 0);
        if (now >= deadline ||
            lv_socket_wait(driver->fd, for_write, milliseconds_until(deadline, now)) < 0)
            return timed_out(driver, "the TLS handshake", diag);
    }
    return rc > 0 ? 0
                  : lv_fail(diag, rc, "%s:%u: TLS: %.400s", driver->url.host, driver->url.port,
                            why.text);
}

/* Memory for the connection; on failure what there is goes with the driver. */
static int make_engine(struct lv_driver *driver)
{
    const struct lv_engine_config config = {
        .user = driver->url.user,
        .password = driver->url.password,
        .vhost = driver->url.vhost,
        .is_external = driver->url.is_external,
        .name = driver->options.name,
        .version = driver->options.version,
        .heartbeat_s = driver->url.heartbeat_s,
        .frame_max = driver->options.frame_max,
        .body_max = BODY_MAX,
        .event = on_event,
        .event_ctx = driver,
        .pool = &driver->pool,
    };

    assert(config.frame_max > 0);
    driver->input_capacity = driver->url.is_tls ? INPUT_MIN_TLS : INPUT_MIN;
    driver->input = lv_alloc(driver->input_capacity);
    driver->engine = lv_engine_new(&config, lv_clock_now());
    return driver->input == NULL || driver->engine == NULL ? -LV_E_NOMEM : 0;
}

/* One deadline for all of it: resolving, connecting and the login. */
int lv_driver_open(const struct lv_driver_options *options, struct lv_driver **ret_driver,
                   struct lv_diag *diag)
{
    struct lv_driver *driver = lv_calloc(1, sizeof *driver);
    uint64_t deadline;
    int rc;

    if (driver == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    assert(options->url != NULL);
    driver->options = *options;
    driver->url = *options->url;
    driver->options.url = &driver->url;
    driver->fd = -1;
    if (driver->options.timeout_ms == 0)
        driver->options.timeout_ms = TIMEOUT_MS;
    if (driver->options.frame_max == 0)
        driver->options.frame_max = FRAME_MAX;
    lv_chunk_pool_init(&driver->pool);
    deadline = timeout_at(driver);
    rc = make_engine(driver);
    if (rc < 0)
        lv_fail(diag, rc, "out of memory");
    if (rc == 0)
        rc = lv_socket_connect(driver->url.host, driver->url.port, driver->options.timeout_ms,
                               &driver->fd, diag);
    if (rc == 0 && driver->url.is_tls)
        rc = secure(driver, deadline, diag);
    if (rc == 0)
        rc = log_in(driver, deadline, diag);
    if (rc < 0) {
        lv_driver_free(driver);
        return rc;
    }
    *ret_driver = driver;
    return 0;
}

/* Without a word if nobody has said goodbye. */
void lv_driver_free(struct lv_driver *driver)
{
    if (driver == NULL)
        return;
    if (driver->fd >= 0) {
        if (driver->closed)
            send_some(driver); /* the answer to the broker's close */
        if (driver->tls != NULL)
            lv_tls_say_end(driver->tls);
        lv_socket_close(driver->fd);
    }
    lv_tls_free(driver->tls);
    lv_tls_room_free(driver->room);
    lv_engine_free(driver->engine);
    assert(driver->pool.used_count == 0);
    lv_chunk_pool_fini(&driver->pool);
    lv_free(driver->input);
    lv_free(driver);
}

/* The broker's close-ok is the proof that all that was published before has been read. */
int lv_driver_close(struct lv_driver *driver, struct lv_diag *diag)
{
    const struct lv_amqp091_method close_method = {
        .id = LV_AMQP091_CONNECTION_CLOSE,
        .connection_close = {.reply_code = LV_AMQP091_REPLY_SUCCESS,
                             .reply_text = lv_text("goodbye")}};
    uint64_t deadline = timeout_at(driver);
    int rc;

    assert(driver->call_channel == PENDING_NONE);
    if (driver->closed)
        return check(driver, 0, diag);
    rc = lv_engine_call(driver->engine, 0, &close_method, diag);
    while (rc == 0 && !driver->closed) {
        if (lv_clock_now() >= deadline)
            return timed_out(driver, "connection.close", diag);
        rc = turn(driver, deadline, diag);
    }
    if (rc < 0)
        return rc;
    return driver->closed_error == 0 ? 0 : check(driver, 0, diag);
}

/* The channel's end is an answer as well, and then the one that counts. */
int lv_driver_call(struct lv_driver *driver, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_amqp091_method *ret_reply,
                   struct lv_diag *diag)
{
    uint64_t deadline = timeout_at(driver);
    int rc;

    assert(channel != 0);
    assert(driver->call_channel == PENDING_NONE);
    if (method->id == LV_AMQP091_CHANNEL_OPEN && channel == driver->dead_channel)
        driver->dead_channel = 0;
    rc = check(driver, channel, diag);
    if (rc == 0)
        rc = lv_engine_call(driver->engine, channel, method, diag);
    if (rc < 0)
        return rc;
    driver->call_channel = channel;
    driver->call_answered = false;
    while (rc == 0 && !driver->call_answered) {
        if (lv_clock_now() >= deadline)
            rc = timed_out(driver, lv_amqp091_method_name(method->id), diag);
        else
            rc = turn(driver, deadline, diag);
        if (rc == 0 && !driver->call_answered)
            rc = check(driver, channel, diag);
    }
    driver->call_channel = PENDING_NONE;
    if (rc == 0 && ret_reply != NULL)
        *ret_reply = driver->reply;
    return rc;
}

/* Acknowledgements and the like: sent with what follows, or by a flush. */
int lv_driver_send(struct lv_driver *driver, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_diag *diag)
{
    int rc = check(driver, channel, diag);

    assert(channel != 0);
    return rc < 0 ? rc : lv_engine_call(driver->engine, channel, method, diag);
}

/* May send nothing yet, so that many small messages leave together. */
int lv_driver_publish(struct lv_driver *driver, uint16_t channel,
                      const struct lv_amqp091_basic_publish *publish,
                      const struct lv_engine_content *content, uint64_t *ret_tag,
                      struct lv_diag *diag)
{
    struct lv_out *out = lv_engine_out(driver->engine);
    int rc = check(driver, channel, diag);

    assert(channel != 0);
    if (rc == 0)
        rc = lv_engine_publish(driver->engine, channel, publish, content, ret_tag, diag);
    /* A broker that takes nothing holds us up on purpose: there is no deadline but the heartbeat.
     */
    if (rc == 0 && out->size > OUT_HIGH) {
        while (rc == 0 && out->size > OUT_LOW && !driver->closed)
            rc = turn(driver, LV_NEVER, diag);
        if (rc == 0)
            rc = check(driver, channel, diag);
    }
    return rc;
}

/* The events themselves have been told by then. */
int lv_driver_wait(struct lv_driver *driver, uint64_t deadline, struct lv_diag *diag)
{
    uint64_t told_count = driver->told_count;
    int rc = check(driver, 0, diag);

    assert(driver->call_channel == PENDING_NONE);
    while (rc == 0 && driver->told_count == told_count) {
        if (lv_clock_now() >= deadline)
            return 0;
        rc = turn(driver, deadline, diag);
        if (rc == 0)
            rc = check(driver, 0, diag);
    }
    return rc < 0 ? rc : 1;
}

/* For programs that wait for their own input and the broker together. */
int lv_driver_wait_fd(struct lv_driver *driver, int fd, struct lv_diag *diag)
{
    int rc = check(driver, 0, diag);

    assert(fd >= 0);
    while (rc == 0) {
        rc = turn_with(driver, LV_NEVER, fd, diag);
        if (rc == 0)
            rc = check(driver, 0, diag);
    }
    return rc;
}

/* For acknowledgements before a long pause, say. */
int lv_driver_flush(struct lv_driver *driver, struct lv_diag *diag)
{
    int rc = check(driver, 0, diag);

    assert(driver->engine != NULL);
    send_some(driver);
    while (rc == 0 && has_unsent(driver) && !driver->closed)
        rc = turn(driver, LV_NEVER, diag);
    return rc < 0 ? rc : check(driver, 0, diag);
}

/* The time-out begins anew with every confirm: a slow disk is not a silent broker. */
int lv_driver_await_confirms(struct lv_driver *driver, uint16_t channel, uint64_t most,
                             struct lv_diag *diag)
{
    uint64_t left = lv_engine_unconfirmed(driver->engine, channel);
    uint64_t deadline = timeout_at(driver);
    int rc = check(driver, channel, diag);

    while (rc == 0 && left > most) {
        uint64_t before = left;

        rc = turn(driver, lv_engine_is_blocked(driver->engine) ? LV_NEVER : deadline, diag);
        if (rc == 0)
            rc = check(driver, channel, diag);
        left = lv_engine_unconfirmed(driver->engine, channel);
        assert(left <= before || rc < 0);
        if (left < before || lv_engine_is_blocked(driver->engine) ||
            lv_engine_out(driver->engine)->size > 0)
            deadline = timeout_at(driver);
        else if (rc == 0 && lv_clock_now() >= deadline)
            return timed_out(driver, "publishes with confirms", diag);
    }
    return rc;
}

/* Does not read: what has come is for later, when the caller is ready. */
void lv_driver_keep_alive(struct lv_driver *driver)
{
    struct pollfd poller = {.fd = driver->fd, .events = POLLIN};

    assert(driver->fd >= 0);
    /* Bytes that wait to be read are a sign of life too. */
    if (poll(&poller, 1, 0) > 0)
        lv_engine_heard(driver->engine, lv_clock_now());
    lv_engine_tick(driver->engine, lv_clock_now());
    send_some(driver);
}

/* Questions only: a call through it would find nobody who waits. */
struct lv_engine *lv_driver_engine(struct lv_driver *driver)
{
    assert(driver != NULL);
    return driver->engine;
}

/* For poll(), or for who takes over. */
int lv_driver_fd(const struct lv_driver *driver)
{
    assert(driver->fd >= 0);
    return driver->fd;
}
