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

struct lv_driver {
    struct lv_driver_options options;
    struct lv_url url;
    struct lv_chunk_pool pool;
    struct lv_engine *engine; /* own */
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

static void take_end(struct lv_driver *client, const struct lv_engine_event *event)
{
    const struct lv_url *url = &client->url;

    assert(event->kind == LV_ENGINE_CLOSED);
    client->closed = true;
    client->closed_error = event->error;
    if (event->error == -LV_E_ACCESS_REFUSED && !client->opened)
        lv_fail(&client->why, -LV_E_CLOSED, "%s:%u refuses the login of user '%s' (%s)", url->host,
                url->port, url->user, event->text);
    else if (client->dead_channel == 0)
        lv_fail(&client->why, -LV_E_CLOSED, "%s:%u: %s", url->host, url->port, event->text);
}

static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct lv_driver *client = ctx;

    client->told_count++;
    switch (event->kind) {
    case LV_ENGINE_OPENED:
        client->opened = true;
        return;
    case LV_ENGINE_CLOSED:
        take_end(client, event);
        break;
    case LV_ENGINE_CHANNEL_CLOSED:
        client->dead_channel = event->channel;
        client->dead_error = event->error;
        lv_fail(&client->why, -LV_E_CLOSED, "%s:%u: %s", client->url.host, client->url.port,
                event->text);
        break;
    case LV_ENGINE_REPLIED:
        assert(event->channel == client->call_channel);
        client->reply = *event->method;
        client->call_answered = true;
        return;
    case LV_ENGINE_GOT: /* the message goes to the event function, the method to the caller */
        client->reply = event->message->method;
        client->call_answered = true;
        break;
    default:
        break;
    }
    if (client->options.event != NULL)
        client->options.event(client->options.event_ctx, event);
}

/* Why nothing can be done any more on the channel (0: the connection), or 0. */
static int check(const struct lv_driver *client, uint16_t channel, struct lv_diag *diag)
{
    int error = 0;

    if (client->closed)
        error = client->closed_error == 0 ? -LV_E_CLOSED : client->closed_error;
    else if (client->dead_channel != 0 && (channel == 0 || channel == client->dead_channel))
        error = client->dead_error;
    assert(error <= 0);
    return error == 0 ? 0 : lv_fail(diag, error, "%s", client->why.text);
}

/* Sends what the socket takes now. */
static void send_some(struct lv_driver *client)
{
    struct lv_out *out = lv_engine_out(client->engine);

    while (out->size > 0) {
        struct lv_bytes pieces[LV_SOCKET_PIECES];
        size_t count = lv_out_gather(out, pieces, LV_SOCKET_PIECES);
        ssize_t sent = lv_socket_write(client->fd, pieces, count);

        assert(count > 0);
        if (sent == 0)
            return;
        /* A socket that takes nothing any more may still hold what the broker said last, so its end
         * is found by reading. */
        lv_out_consume(out, sent > 0 ? (size_t)sent : out->size);
    }
}

/* Gives the engine what has been read. */
static void digest(struct lv_driver *client)
{
    struct lv_bytes input =
        lv_bytes(client->input + client->input_start, client->input_end - client->input_start);

    assert(client->input_start <= client->input_end);
    client->input_start += lv_engine_input(client->engine, input, lv_clock_now());
    if (client->input_start == client->input_end)
        client->input_start = client->input_end = 0;
}

/* Makes room behind what the engine has left over, which is less than a frame. */
static bool make_room(struct lv_driver *client)
{
    size_t left = client->input_end - client->input_start;
    uint8_t *wider;

    if (client->input_start > 0) {
        memmove(client->input, client->input + client->input_start, left);
        client->input_start = 0;
        client->input_end = left;
    }
    if (client->input_capacity - client->input_end >= client->input_capacity / 2)
        return true;
    assert(client->input_capacity < INPUT_MAX);
    wider = lv_realloc(client->input, client->input_capacity * 2);
    if (wider == NULL)
        return client->input_end < client->input_capacity;
    client->input = wider;
    client->input_capacity *= 2;
    return true;
}

/* Reads what is there now and handles it. */
static void receive_some(struct lv_driver *client)
{
    ssize_t got;

    if (!make_room(client)) {
        lv_engine_lost(client->engine, "out of memory");
        return;
    }
    assert(client->input_end < client->input_capacity);
    got = lv_socket_read(client->fd, client->input + client->input_end,
                         client->input_capacity - client->input_end);
    if (got > 0) {
        client->input_end += (size_t)got;
        digest(client);
    } else if (got == -LV_E_CLOSED) {
        lv_engine_lost(client->engine, "the broker closed the connection without a word");
    } else if (got < 0) {
        lv_engine_lost(client->engine, "the connection to the broker broke");
    }
}

static int milliseconds_until(uint64_t deadline, uint64_t now)
{
    uint64_t left = deadline > now ? deadline - now : 0;

    if (deadline == LV_NEVER)
        return -1;
    left = (left + LV_NS_PER_MS - 1) / LV_NS_PER_MS;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* One turn: send, sleep until something can be done or `deadline`, receive. 0, or -LV_E_STOPPED. */
static int turn(struct lv_driver *client, uint64_t deadline, struct lv_diag *diag)
{
    struct pollfd pollers[2] = {{.fd = client->fd, .events = POLLIN},
                                {.fd = client->options.stop_fd, .events = POLLIN}};
    uint64_t now = lv_clock_now(), beat;
    int count;

    lv_engine_tick(client->engine, now);
    send_some(client);
    if (client->closed)
        return 0;
    beat = lv_engine_next(client->engine);
    if (lv_engine_out(client->engine)->size > 0)
        pollers[0].events |= POLLOUT;
    assert(client->fd >= 0);
    count = poll(pollers, 2, milliseconds_until(beat < deadline ? beat : deadline, now));
    if (count > 0 && pollers[1].revents != 0)
        return lv_fail(diag, -LV_E_STOPPED, "stopped");
    if (count > 0 && (pollers[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        receive_some(client);
    return 0;
}

static uint64_t timeout_at(const struct lv_driver *client)
{
    assert(client->options.timeout_ms > 0);
    return lv_clock_now() + client->options.timeout_ms * LV_NS_PER_MS;
}

static int timed_out(const struct lv_driver *client, const char *what, struct lv_diag *diag)
{
    assert(what != NULL);
    return lv_fail(diag, -LV_E_TIMEOUT, "%s:%u did not answer %s within %u ms", client->url.host,
                   client->url.port, what, client->options.timeout_ms);
}

/* Runs the handshake to its end. */
static int log_in(struct lv_driver *client, uint64_t deadline, struct lv_diag *diag)
{
    int rc = 0;

    assert(!client->opened);
    while (rc == 0 && !client->opened && !client->closed) {
        if (lv_clock_now() >= deadline)
            return timed_out(client, "the login", diag);
        rc = turn(client, deadline, diag);
    }
    return rc < 0 ? rc : check(client, 0, diag);
}

static int make_engine(struct lv_driver *client)
{
    const struct lv_engine_config config = {
        .user = client->url.user,
        .password = client->url.password,
        .vhost = client->url.vhost,
        .name = client->options.name,
        .version = client->options.version,
        .heartbeat_s = client->url.heartbeat_s,
        .frame_max = client->options.frame_max,
        .body_max = BODY_MAX,
        .event = on_event,
        .event_ctx = client,
        .pool = &client->pool,
    };

    assert(config.frame_max > 0);
    client->input_capacity = INPUT_MIN;
    client->input = lv_alloc(client->input_capacity);
    client->engine = lv_engine_new(&config, lv_clock_now());
    return client->input == NULL || client->engine == NULL ? -LV_E_NOMEM : 0;
}

int lv_driver_open(const struct lv_driver_options *options, struct lv_driver **ret_client,
                   struct lv_diag *diag)
{
    struct lv_driver *client = lv_calloc(1, sizeof *client);
    uint64_t deadline;
    int rc;

    if (client == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    assert(options->url != NULL);
    client->options = *options;
    client->url = *options->url;
    client->options.url = &client->url;
    client->fd = -1;
    if (client->options.timeout_ms == 0)
        client->options.timeout_ms = TIMEOUT_MS;
    if (client->options.frame_max == 0)
        client->options.frame_max = FRAME_MAX;
    lv_chunk_pool_init(&client->pool);
    deadline = timeout_at(client);
    rc = make_engine(client);
    if (rc < 0)
        lv_fail(diag, rc, "out of memory");
    if (rc == 0)
        rc = lv_socket_connect(client->url.host, client->url.port, client->options.timeout_ms,
                               &client->fd, diag);
    if (rc == 0)
        rc = log_in(client, deadline, diag);
    if (rc < 0) {
        lv_driver_free(client);
        return rc;
    }
    *ret_client = client;
    return 0;
}

void lv_driver_free(struct lv_driver *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0) {
        if (client->closed)
            send_some(client); /* the answer to the broker's close */
        lv_socket_close(client->fd);
    }
    lv_engine_free(client->engine);
    assert(client->pool.used_count == 0);
    lv_chunk_pool_fini(&client->pool);
    lv_free(client->input);
    lv_free(client);
}

int lv_driver_close(struct lv_driver *client, struct lv_diag *diag)
{
    const struct lv_amqp091_method close_method = {
        .id = LV_AMQP091_CONNECTION_CLOSE,
        .connection_close = {.reply_code = LV_AMQP091_REPLY_SUCCESS,
                             .reply_text = lv_text("goodbye")}};
    uint64_t deadline = timeout_at(client);
    int rc;

    if (client->closed)
        return check(client, 0, diag);
    rc = lv_engine_call(client->engine, 0, &close_method, diag);
    while (rc == 0 && !client->closed) {
        if (lv_clock_now() >= deadline)
            return timed_out(client, "connection.close", diag);
        rc = turn(client, deadline, diag);
    }
    if (rc < 0)
        return rc;
    return client->closed_error == 0 ? 0 : check(client, 0, diag);
}

int lv_driver_call(struct lv_driver *client, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_amqp091_method *ret_reply,
                   struct lv_diag *diag)
{
    uint64_t deadline = timeout_at(client);
    int rc;

    assert(channel != 0 && client->call_channel == PENDING_NONE);
    if (method->id == LV_AMQP091_CHANNEL_OPEN && channel == client->dead_channel)
        client->dead_channel = 0;
    rc = check(client, channel, diag);
    if (rc == 0)
        rc = lv_engine_call(client->engine, channel, method, diag);
    if (rc < 0)
        return rc;
    client->call_channel = channel;
    client->call_answered = false;
    while (rc == 0 && !client->call_answered) {
        if (lv_clock_now() >= deadline)
            rc = timed_out(client, lv_amqp091_method_name(method->id), diag);
        else
            rc = turn(client, deadline, diag);
        if (rc == 0 && !client->call_answered)
            rc = check(client, channel, diag);
    }
    client->call_channel = PENDING_NONE;
    if (rc == 0 && ret_reply != NULL)
        *ret_reply = client->reply;
    return rc;
}

int lv_driver_send(struct lv_driver *client, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_diag *diag)
{
    int rc = check(client, channel, diag);

    assert(channel != 0);
    return rc < 0 ? rc : lv_engine_call(client->engine, channel, method, diag);
}

int lv_driver_publish(struct lv_driver *client, uint16_t channel,
                      const struct lv_amqp091_basic_publish *publish, struct lv_bytes properties,
                      struct lv_bytes body, uint64_t *ret_tag, struct lv_diag *diag)
{
    struct lv_out *out = lv_engine_out(client->engine);
    int rc = check(client, channel, diag);

    assert(channel != 0);
    if (rc == 0)
        rc = lv_engine_publish(client->engine, channel, publish, properties, body, ret_tag, diag);
    /* A broker that takes nothing holds us up on purpose: there is no deadline but the heartbeat.
     */
    if (rc == 0 && out->size > OUT_HIGH) {
        while (rc == 0 && out->size > OUT_LOW && !client->closed)
            rc = turn(client, LV_NEVER, diag);
        if (rc == 0)
            rc = check(client, channel, diag);
    }
    return rc;
}

int lv_driver_wait(struct lv_driver *client, uint64_t deadline, struct lv_diag *diag)
{
    uint64_t told_count = client->told_count;
    int rc = check(client, 0, diag);

    assert(client->call_channel == PENDING_NONE);
    while (rc == 0 && client->told_count == told_count) {
        if (lv_clock_now() >= deadline)
            return 0;
        rc = turn(client, deadline, diag);
        if (rc == 0)
            rc = check(client, 0, diag);
    }
    return rc < 0 ? rc : 1;
}

int lv_driver_flush(struct lv_driver *client, struct lv_diag *diag)
{
    int rc = check(client, 0, diag);

    assert(client->engine != NULL);
    send_some(client);
    while (rc == 0 && lv_engine_out(client->engine)->size > 0 && !client->closed)
        rc = turn(client, LV_NEVER, diag);
    return rc < 0 ? rc : check(client, 0, diag);
}

int lv_driver_await_confirms(struct lv_driver *client, uint16_t channel, uint64_t most,
                             struct lv_diag *diag)
{
    uint64_t left = lv_engine_unconfirmed(client->engine, channel);
    uint64_t deadline = timeout_at(client);
    int rc = check(client, channel, diag);

    while (rc == 0 && left > most) {
        uint64_t before = left;

        rc = turn(client, lv_engine_is_blocked(client->engine) ? LV_NEVER : deadline, diag);
        if (rc == 0)
            rc = check(client, channel, diag);
        left = lv_engine_unconfirmed(client->engine, channel);
        assert(left <= before || rc < 0);
        if (left < before || lv_engine_is_blocked(client->engine) ||
            lv_engine_out(client->engine)->size > 0)
            deadline = timeout_at(client);
        else if (rc == 0 && lv_clock_now() >= deadline)
            return timed_out(client, "publishes with confirms", diag);
    }
    return rc;
}

void lv_driver_keep_alive(struct lv_driver *client)
{
    struct pollfd poller = {.fd = client->fd, .events = POLLIN};

    assert(client->fd >= 0);
    /* Bytes that wait to be read are a sign of life too. */
    if (poll(&poller, 1, 0) > 0)
        lv_engine_heard(client->engine, lv_clock_now());
    lv_engine_tick(client->engine, lv_clock_now());
    send_some(client);
}

struct lv_engine *lv_driver_engine(struct lv_driver *client)
{
    return client->engine;
}

int lv_driver_fd(const struct lv_driver *client)
{
    return client->fd;
}
