/*
 * `leveret bench relay`: what no broker can do without, and nothing else.
 *
 * It answers the handshake and declarations, and passes every publish on to the queue's consumer as
 * a delivery: no queue, no storage, no acks, no limits on a peer that means harm. Publishes to a
 * queue without a consumer are forgotten. Confirms are one basic.ack for all that was read at once;
 * with --log what is persistent in it was written to a file and synced before, as it came. So it
 * shows how fast a broker could be on a machine. One thread.
 */
#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/bench_disk.h"
#include "cli/bench_route.h"
#include "cli/command.h"
#include "cli/options.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"
#include "io/address.h"
#include "io/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)1 << 20)
#define BUFFER_MAX  ((size_t)64 << 20)
#define BUFFER_LOW  ((size_t)1 << 18) /* less room than this behind what was read: move it down */
#define COPY_MAX    4096u             /* longer messages are sent from where they were read */
#define VECTORS_MAX 512u
#define EVENTS      64
#define DELIVER_MAX 1024u
#define FRAME_MAX   131072u

/* A consumer's output: pieces copied into `copies`, and longer ones in the reader's buffer. */
struct output {
    struct iovec vectors[VECTORS_MAX];
    size_t vector_count;
    uint8_t *copies; /* own   BUFFER_SIZE */
    size_t copied;
    bool dirty;
    struct connection *next_dirty; /* view */
};

struct connection {
    struct relay *relay; /* view */
    int fd;
    bool greeted, confirming;
    uint16_t channel; /* where it publishes or consumes */
    uint8_t *buffer;  /* own   NULL while nothing is left over */
    size_t buffer_size, start, end;
    uint64_t published, confirmed;
    const struct lv_relay_route *route; /* view  of the last publish */
    uint64_t route_version;
    struct output *output;     /* own   of a consumer, else NULL */
    uint8_t consumer_tag[256]; /* a short string, with its length */
    uint64_t delivery_tag;
};

struct relay {
    int poller, listener;
    struct lv_relay_table *routes; /* own */
    uint8_t *spare;                /* own   a buffer that nobody uses now */
    struct connection *dirty;      /* view  consumers with output */
    struct lv_bench_disk disk;
    struct iovec kept[VECTORS_MAX]; /* what was read and has to be on the disk, in a buffer */
    size_t kept_count;
};

/* Sends all of it, however long the peer takes. */
static void send_all(int fd, struct iovec *vectors, size_t count)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN && lv_socket_wait(fd, true, 1000) == 0)
            continue;
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return; /* the peer has gone, which its reader will notice */
        while (sent > 0 && count > 0 && (size_t)sent >= vectors->iov_len) {
            sent -= (ssize_t)vectors->iov_len;
            vectors++;
            count--;
        }
        if (sent > 0) {
            vectors->iov_base = (uint8_t *)vectors->iov_base + sent;
            vectors->iov_len -= (size_t)sent;
        }
    }
}

/* All output of a consumer with one system call, if the socket takes it. */
static void flush(struct connection *connection)
{
    struct output *output = connection->output;

    assert(output != NULL);
    send_all(connection->fd, output->vectors, output->vector_count);
    output->vector_count = 0;
    output->copied = 0;
}

/* Before the reader's buffer is touched again. */
static void flush_dirty(struct relay *relay)
{
    while (relay->dirty != NULL) {
        struct connection *connection = relay->dirty;

        assert(connection->output->dirty);
        relay->dirty = connection->output->next_dirty;
        connection->output->dirty = false;
        flush(connection);
    }
}

/* Room for `size` more copied bytes; lengthens the last piece if that is a copy too. */
static uint8_t *reserve(struct connection *connection, size_t size)
{
    struct output *output = connection->output;
    struct iovec *last;
    uint8_t *at;

    if (output->copied + size > BUFFER_SIZE || output->vector_count == VECTORS_MAX)
        flush(connection);
    at = output->copies + output->copied;
    last = output->vector_count > 0 ? &output->vectors[output->vector_count - 1] : NULL;
    assert(size <= BUFFER_SIZE);
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == at)
        last->iov_len += size;
    else
        output->vectors[output->vector_count++] = (struct iovec){at, size};
    output->copied += size;
    return at;
}

/* Copies what is short; points at what is long. */
static void put(struct connection *connection, const uint8_t *data, size_t size)
{
    struct output *output = connection->output;
    union {
        const uint8_t *bytes;
        void *base; /* POSIX has no const here, though sending changes nothing */
    } cast;

    assert(size > 0);
    if (size <= COPY_MAX) {
        memcpy(reserve(connection, size), data, size);
        return;
    }
    if (output->vector_count == VECTORS_MAX)
        flush(connection);
    cast.bytes = data;
    output->vectors[output->vector_count++] = (struct iovec){cast.base, size};
}

/* `key` is exchange and routing key, `content` the header and body frames. */
static void deliver(struct relay *relay, struct connection *to, struct lv_bytes key,
                    struct lv_bytes content)
{
    size_t tag_size = to->consumer_tag[0] + 1u;
    size_t payload_size = 4 + tag_size + 9 + key.size;
    size_t size = LV_AMQP091_FRAME_OVERHEAD_SIZE + payload_size;
    bool together = content.size <= COPY_MAX;
    uint8_t *p = reserve(to, together ? size + content.size : size);

    assert(size <= DELIVER_MAX);
    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_METHOD, to->channel, payload_size);
    p = lv_put32(p, LV_AMQP091_BASIC_DELIVER);
    p = lv_put_bytes(p, lv_bytes(to->consumer_tag, tag_size));
    p = lv_put8(lv_put64(p, ++to->delivery_tag), 0);
    p = lv_put_bytes(p, key);
    p = lv_put8(p, LV_AMQP091_FRAME_END);
    if (together)
        memcpy(p, content.data, content.size);
    else
        put(to, content.data, content.size);
    if (!to->output->dirty) {
        to->output->dirty = true;
        to->output->next_dirty = relay->dirty;
        relay->dirty = to;
    }
}

/* Is delivery-mode 2? `content` begins with a header frame. */
static bool is_persistent(struct lv_bytes content)
{
    size_t size = lv_get32(content.data + 3), head = LV_AMQP091_CONTENT_HEAD_SIZE;
    const uint8_t *raw = content.data + LV_AMQP091_FRAME_HEAD_SIZE + head;
    struct lv_bytes mode;

    assert(size < content.size);
    return size > head &&
           lv_amqp091_property_find(lv_bytes(raw, size - head), LV_AMQP091_PROPERTY_DELIVERY_MODE,
                                    &mode) &&
           mode.data[0] == 2;
}

/* Writes what is to be kept, from where it was read. */
static int append(struct relay *relay)
{
    int rc = 0;

    if (relay->kept_count > 0)
        rc = lv_bench_disk_append(&relay->disk, relay->kept, relay->kept_count);
    relay->kept_count = 0;
    if (rc < 0)
        perror("leveret bench relay: --log");
    assert(rc <= 0);
    return rc;
}

/* Publishes mostly lie one behind the other, and then are written as one piece. */
static int keep(struct relay *relay, struct lv_bytes message)
{
    struct iovec *last = relay->kept_count > 0 ? &relay->kept[relay->kept_count - 1] : NULL;
    union {
        const uint8_t *bytes;
        void *base; /* POSIX has no const here, though writing changes nothing */
    } cast = {.bytes = message.data};

    assert(message.size > 0);
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == message.data) {
        last->iov_len += message.size;
        return 0;
    }
    if (relay->kept_count == VECTORS_MAX && append(relay) < 0)
        return -LV_E_IO;
    relay->kept[relay->kept_count++] = (struct iovec){cast.base, message.size};
    return 0;
}

/* Set-up only: one write per answer. */
static void reply(struct connection *connection, uint16_t channel,
                  const struct lv_amqp091_method *method)
{
    uint8_t frame[DELIVER_MAX];
    struct iovec vector = {frame, lv_amqp091_frame_method_size(method)};

    assert(vector.iov_len <= sizeof frame);
    lv_amqp091_frame_encode_method(method, channel, frame);
    send_all(connection->fd, &vector, 1);
}

/* A method without arguments, or with empty ones. */
static void reply_id(struct connection *connection, uint16_t channel, uint32_t id)
{
    const struct lv_amqp091_method method = {.id = id};

    assert(id != 0);
    reply(connection, channel, &method);
}

/* Everything that was read at once, by one frame. */
static void confirm(struct connection *connection)
{
    const struct lv_amqp091_method ack = {
        .id = LV_AMQP091_BASIC_ACK,
        .basic_ack = {.delivery_tag = connection->published, .multiple = true}};

    assert(connection->confirming);
    if (connection->confirmed == connection->published)
        return;
    connection->confirmed = connection->published;
    reply(connection, connection->channel, &ack);
}

/* The last consumer of a queue gets its messages; the relay has no round-robin. */
static int consume(struct connection *connection, uint16_t channel,
                   const struct lv_amqp091_basic_consume *consume)
{
    struct lv_relay_queue *queue = lv_relay_queue(connection->relay->routes, consume->queue);
    struct lv_bytes tag = consume->consumer_tag.size > 0 ? consume->consumer_tag : lv_text("c");
    const struct lv_amqp091_method ok = {.id = LV_AMQP091_BASIC_CONSUME_OK,
                                         .basic_consume_ok = {.consumer_tag = tag}};

    if (queue == NULL)
        return -LV_E_NOMEM;
    if (connection->output == NULL) {
        connection->output = lv_calloc(1, sizeof *connection->output);
        if (connection->output != NULL)
            connection->output->copies = lv_alloc(BUFFER_SIZE);
    }
    if (connection->output == NULL || connection->output->copies == NULL)
        return -LV_E_NOMEM;
    assert(tag.size < sizeof connection->consumer_tag);
    lv_put_bytes(lv_put8(connection->consumer_tag, (uint8_t)tag.size), tag);
    connection->channel = channel;
    reply(connection, channel, &ok);
    queue->consumer = connection;
    return 0;
}

static void say_start(struct connection *connection)
{
    const struct lv_amqp091_method start = {
        .id = LV_AMQP091_CONNECTION_START,
        .connection_start = {.version_minor = 9,
                             .mechanisms = lv_text("PLAIN AMQPLAIN"),
                             .locales = lv_text("en_US")}};

    assert(connection->greeted);
    reply(connection, 0, &start);
}

static void say_tune(struct connection *connection)
{
    const struct lv_amqp091_method tune = {
        .id = LV_AMQP091_CONNECTION_TUNE,
        .connection_tune = {.channel_max = 2047, .frame_max = FRAME_MAX}};

    assert(connection->greeted);
    reply(connection, 0, &tune);
}

static void say_declared(struct connection *connection, uint16_t channel, struct lv_bytes queue)
{
    const struct lv_amqp091_method ok = {.id = LV_AMQP091_QUEUE_DECLARE_OK,
                                         .queue_declare_ok = {.queue = queue}};

    assert(queue.size < 256);
    reply(connection, channel, &ok);
}

/* Everything but publishes: one flat switch. Negative when the connection is over. */
static int control(struct connection *connection, uint16_t channel,
                   const struct lv_amqp091_method *method)
{
    struct lv_relay_table *routes = connection->relay->routes;
    int rc = 0;

    assert(connection->greeted);
    switch (method->id) {
    case LV_AMQP091_CONNECTION_START_OK:
        say_tune(connection);
        break;
    case LV_AMQP091_CONNECTION_OPEN:
        reply_id(connection, 0, LV_AMQP091_CONNECTION_OPEN_OK);
        break;
    case LV_AMQP091_CONNECTION_CLOSE:
        reply_id(connection, 0, LV_AMQP091_CONNECTION_CLOSE_OK);
        return -LV_E_CLOSED;
    case LV_AMQP091_CHANNEL_OPEN:
        reply_id(connection, channel, LV_AMQP091_CHANNEL_OPEN_OK);
        break;
    case LV_AMQP091_CHANNEL_CLOSE:
        reply_id(connection, channel, LV_AMQP091_CHANNEL_CLOSE_OK);
        break;
    case LV_AMQP091_EXCHANGE_DECLARE:
        rc = lv_relay_exchange(routes, method->exchange_declare.exchange,
                               method->exchange_declare.type);
        reply_id(connection, channel, LV_AMQP091_EXCHANGE_DECLARE_OK);
        break;
    case LV_AMQP091_EXCHANGE_DELETE:
        reply_id(connection, channel, LV_AMQP091_EXCHANGE_DELETE_OK);
        break;
    case LV_AMQP091_QUEUE_DECLARE:
        rc = lv_relay_queue(routes, method->queue_declare.queue) == NULL ? -LV_E_NOMEM : 0;
        say_declared(connection, channel, method->queue_declare.queue);
        break;
    case LV_AMQP091_QUEUE_BIND:
        rc = lv_relay_bind(routes, method->queue_bind.queue, method->queue_bind.exchange,
                           method->queue_bind.routing_key);
        reply_id(connection, channel, LV_AMQP091_QUEUE_BIND_OK);
        break;
    case LV_AMQP091_QUEUE_DELETE:
        lv_relay_delete_queue(routes, method->queue_delete.queue);
        reply_id(connection, channel, LV_AMQP091_QUEUE_DELETE_OK);
        break;
    case LV_AMQP091_BASIC_QOS:
        reply_id(connection, channel, LV_AMQP091_BASIC_QOS_OK);
        break;
    case LV_AMQP091_BASIC_CONSUME:
        return consume(connection, channel, &method->basic_consume);
    case LV_AMQP091_CONFIRM_SELECT:
        connection->confirming = true;
        reply_id(connection, channel, LV_AMQP091_CONFIRM_SELECT_OK);
        break;
    default: /* acks and what else needs no answer */
        break;
    }
    return rc;
}

/* The size of the content behind a basic.publish, 0 when some of it has not come yet. */
static size_t content_size(struct lv_bytes input)
{
    size_t at;
    uint64_t left;

    if (input.size < 22)
        return 0;
    at = lv_get32(input.data + 3) + (size_t)LV_AMQP091_FRAME_OVERHEAD_SIZE;
    left = lv_get64(input.data + LV_AMQP091_FRAME_HEAD_SIZE + 4);
    assert(at > 0);
    while (left > 0) {
        uint32_t size;

        if (input.size < at + LV_AMQP091_FRAME_OVERHEAD_SIZE)
            return 0;
        size = lv_get32(input.data + at + 3);
        at += size + (size_t)LV_AMQP091_FRAME_OVERHEAD_SIZE;
        left = size < left && size > 0 ? left - size : 0;
    }
    return at <= input.size ? at : 0;
}

/* A publish with its content: bytes used, 0 for more, or an error. */
static ssize_t publish(struct connection *connection, struct lv_bytes input, size_t method_size)
{
    struct relay *relay = connection->relay;
    const uint8_t *at = input.data + LV_AMQP091_FRAME_HEAD_SIZE + 6; /* behind id and ticket */
    size_t key_size = 2u + at[0] + at[1u + at[0]];
    struct lv_bytes key = lv_bytes(at, key_size);
    struct lv_bytes content = lv_bytes(input.data + method_size, input.size - method_size);
    const struct lv_relay_route *route = connection->route;

    content.size = content_size(content);
    if (content.size == 0)
        return 0; /* messages of several producers must not be mixed */
    if (route == NULL || connection->route_version != lv_relay_version(relay->routes) ||
        route->key_size != key_size || memcmp(route->key, at, key_size) != 0) {
        route = lv_relay_find(relay->routes, key);
        if (route == NULL)
            return -LV_E_NOMEM;
        connection->route = route;
        connection->route_version = lv_relay_version(relay->routes);
    }
    connection->published++;
    connection->channel = lv_get16(input.data + 1);
    for (uint32_t i = 0; i < route->target_count; i++)
        if (route->targets[i]->consumer != NULL)
            deliver(relay, route->targets[i]->consumer, key, content);
    assert(method_size + content.size <= input.size);
    if (relay->disk.fd >= 0 && is_persistent(content) &&
        keep(relay, lv_bytes(input.data, method_size + content.size)) < 0)
        return -LV_E_IO;
    return (ssize_t)(method_size + content.size);
}

/* One frame, or a whole message: bytes used, 0 for more, or an error. */
static ssize_t take(struct connection *connection, struct lv_bytes input)
{
    struct lv_amqp091_frame frame;
    struct lv_amqp091_method method;
    size_t size;
    int rc;

    if (input.size < LV_AMQP091_FRAME_OVERHEAD_SIZE)
        return 0;
    size = lv_get32(input.data + 3) + (size_t)LV_AMQP091_FRAME_OVERHEAD_SIZE;
    if (size > input.size)
        return 0;
    if (size > 20 && lv_get32(input.data + LV_AMQP091_FRAME_HEAD_SIZE) == LV_AMQP091_BASIC_PUBLISH)
        return publish(connection, input, size);
    rc = lv_amqp091_frame_decode(input, 0, &frame, NULL);
    if (rc <= 0)
        return rc;
    assert((size_t)rc == size);
    if (frame.type != LV_AMQP091_FRAME_METHOD)
        return (ssize_t)size;
    rc = lv_amqp091_method_decode(frame.payload, &method, NULL);
    if (rc == 0)
        rc = control(connection, frame.channel, &method);
    return rc < 0 ? rc : (ssize_t)size;
}

/* Goes over what has been read; negative when the connection is over. */
static int digest(struct connection *connection)
{
    assert(connection->start <= connection->end);
    if (!connection->greeted) {
        if (connection->end - connection->start < LV_AMQP091_HEADER_SIZE)
            return 0;
        connection->start += LV_AMQP091_HEADER_SIZE;
        connection->greeted = true;
        say_start(connection);
    }
    for (;;) {
        ssize_t used = take(connection, lv_bytes(connection->buffer + connection->start,
                                                 connection->end - connection->start));

        if (used < 0)
            return (int)used;
        if (used == 0)
            return 0;
        connection->start += (size_t)used;
    }
}

/* A buffer with room behind what is left over in it. Idle connections hold none. */
static bool make_room(struct connection *connection)
{
    struct relay *relay = connection->relay;
    size_t left = connection->end - connection->start;

    if (connection->buffer == NULL) {
        connection->buffer = relay->spare != NULL ? relay->spare : lv_alloc(BUFFER_SIZE);
        connection->buffer_size = BUFFER_SIZE;
        relay->spare = NULL;
        return connection->buffer != NULL;
    }
    if (connection->buffer_size - connection->end >= BUFFER_LOW)
        return true;
    memmove(connection->buffer, connection->buffer + connection->start, left);
    connection->start = 0;
    connection->end = left;
    assert(connection->end <= connection->buffer_size);
    if (connection->buffer_size - left < BUFFER_LOW && connection->buffer_size < BUFFER_MAX) {
        uint8_t *wider = lv_realloc(connection->buffer, connection->buffer_size * 2);

        if (wider == NULL)
            return false;
        connection->buffer = wider;
        connection->buffer_size *= 2;
    }
    return connection->end < connection->buffer_size;
}

/* A buffer without bytes serves the next connection that reads. */
static void give_back(struct connection *connection)
{
    struct relay *relay = connection->relay;

    assert(connection->start == connection->end);
    connection->start = connection->end = 0;
    if (relay->spare == NULL && connection->buffer_size == BUFFER_SIZE)
        relay->spare = connection->buffer;
    else
        lv_free(connection->buffer);
    connection->buffer = NULL;
}

/* Everything that was read at once and is persistent, with one sync if somebody waits for it. */
static int settle_disk(struct connection *connection)
{
    struct relay *relay = connection->relay;
    bool wanted = relay->kept_count > 0 && connection->confirming;
    int rc = append(relay);

    assert(relay->kept_count == 0);
    if (rc == 0 && wanted && lv_bench_disk_sync(&relay->disk) < 0) {
        perror("leveret bench relay: --log");
        return -LV_E_IO;
    }
    return rc;
}

/* Reads once and passes on; negative when the connection is over. */
static int serve(struct connection *connection)
{
    ssize_t got;
    int rc;

    if (!make_room(connection))
        return -LV_E_NOMEM;
    got = lv_socket_read(connection->fd, connection->buffer + connection->end,
                         connection->buffer_size - connection->end);
    if (got < 0)
        return (int)got;
    connection->end += (size_t)got;
    rc = digest(connection);
    flush_dirty(connection->relay); /* the pieces lie in this buffer */
    if (settle_disk(connection) < 0)
        return -LV_E_IO;
    if (rc < 0)
        return rc;
    if (connection->confirming)
        confirm(connection);
    assert(connection->relay->dirty == NULL);
    if (connection->start == connection->end)
        give_back(connection);
    return 0;
}

/* Forgets a connection everywhere. */
static void drop(struct connection *connection)
{
    struct relay *relay = connection->relay;

    assert(relay->dirty == NULL);
    lv_relay_forget(relay->routes, connection);
    (void)epoll_ctl(relay->poller, EPOLL_CTL_DEL, connection->fd, NULL);
    lv_socket_close(connection->fd);
    if (connection->output != NULL)
        lv_free(connection->output->copies);
    lv_free(connection->output);
    connection->start = connection->end;
    if (connection->buffer != NULL)
        give_back(connection);
    lv_free(connection);
}

/* One for each event; more are reported again. */
static void take_connection(struct relay *relay)
{
    struct lv_address peer;
    struct connection *connection;
    struct epoll_event event = {.events = EPOLLIN};
    int fd;

    assert(relay->listener >= 0);
    if (lv_socket_accept(relay->listener, &fd, &peer) < 0)
        return;
    connection = lv_calloc(1, sizeof *connection);
    event.data.ptr = connection;
    if (connection == NULL || epoll_ctl(relay->poller, EPOLL_CTL_ADD, fd, &event) < 0) {
        lv_free(connection);
        lv_socket_close(fd);
        return;
    }
    connection->relay = relay;
    connection->fd = fd;
}

/* For ever. */
static int run(struct relay *relay)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (epoll_ctl(relay->poller, EPOLL_CTL_ADD, relay->listener, &event) < 0)
        return -LV_E_IO;
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(relay->poller, events, EVENTS, -1);

        assert(count <= EVENTS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                take_connection(relay);
            else if (serve(events[i].data.ptr) < 0)
                drop(events[i].data.ptr);
        }
    }
}

/* Says where, since port 0 takes a free one. */
static int listen_at(struct relay *relay, const char *text, struct lv_diag *diag)
{
    char shown[LV_ADDRESS_TEXT_SIZE];
    struct lv_endpoint endpoint;
    struct lv_address address;
    int rc = lv_endpoint_parse(text, &endpoint, diag);

    assert(text != NULL);
    if (rc < 0)
        return rc;
    rc = lv_address_resolve(endpoint.host, endpoint.port, &address, 1, diag);
    if (rc >= 0)
        rc = lv_socket_listen(&address, &relay->listener, diag);
    if (rc < 0)
        return rc;
    address = lv_socket_local(relay->listener);
    printf("ready: the relay listens on %s\n", lv_address_text(&address, shown));
    return fflush(stdout) == 0 ? 0 : -LV_E_IO;
}

static const char details[] = "It ends with Ctrl-C. Measure it as if it were a broker:\n"
                              "\n"
                              "  leveret bench relay --listen 127.0.0.1:5673 &\n"
                              "  leveret bench --url amqp://127.0.0.1:5673 --pid $!\n";

int lv_bench_relay(int argc, char **argv)
{
    const char *listen = "127.0.0.1:5673", *log = NULL;
    const struct lv_option options[] = {
        LV_TEXT_OPTION("listen", 'l', "HOST:PORT", &listen, "where it listens [127.0.0.1:5673]"),
        LV_TEXT_OPTION("log", 0, "DIR", &log,
                       "write persistent messages to a file there and sync before confirms"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret bench relay",
        .arguments = "",
        .summary =
            "passes publishes on to consumers, as thinly as possible: the ceiling for brokers",
        .options = options,
        .details = details};
    struct relay relay = {
        .poller = epoll_create1(EPOLL_CLOEXEC), .listener = -1, .disk = {.fd = -1}};
    struct lv_diag diag = {.text = "out of memory"};
    int exit_code;

    if (!lv_options_parse(&usage, &argc, argv, &exit_code))
        return exit_code;
    relay.routes = lv_relay_new();
    assert(relay.dirty == NULL);
    if (relay.routes == NULL || relay.poller < 0 ||
        (log != NULL && lv_bench_disk_open(log, &relay.disk, &diag) < 0) ||
        listen_at(&relay, listen, &diag) < 0 || run(&relay) < 0) {
        fprintf(stderr, "leveret bench relay: %s\n", diag.text);
        lv_relay_free(relay.routes);
        lv_bench_disk_close(&relay.disk);
        return LV_EXIT_FAILED;
    }
    return LV_EXIT_OK;
}
