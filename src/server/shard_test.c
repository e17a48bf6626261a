#include "server/shard.h"

#include "base/alloc.h"
#include "broker/guest.h"
#include "io/clock.h"
#include "io/socket.h"
#include "server/listener.h"
#include "store/image_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECONDS_MS 10000

static const struct lv_address loopback = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
static const char header[] = "AMQP\0\0\x09\x01";

/* A server without main(): shards whose threads run, and a listener on the first. */
struct world {
    struct lv_settings settings;
    struct lv_shared shared;
    struct lv_image_disk *image; /* own   of the log */
    struct lv_listener listeners[1];
    uint16_t port;
};

/* The user guest with his usual password, hashed with little work. */
static void begin(struct lv_broker *broker)
{
    const struct lv_change change = {
        .kind = LV_CHANGE_USER_PUT,
        .name = lv_text("guest"),
        .other =
            lv_text("$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7"),
    };

    assert_int_equal(lv_guest_begin(broker), 0);
    assert_int_equal(lv_broker_restore_change(broker, &change, NULL), 0);
}

static struct world *start(uint32_t shard_count, uint64_t memory, uint32_t handshake_ms)
{
    struct world *world = lv_calloc(1, sizeof *world);
    struct lv_shared *shared = &world->shared;

    assert_int_equal(lv_settings_init(&world->settings), 0);
    shared->settings = &world->settings;
    shared->shard_count = shard_count;
    shared->limits = (struct lv_session_limits){
        .frame_max = 131072,
        .channel_max = 2047,
        .handshake_ms = handshake_ms,
        .max_message_size = 1u << 24,
        .assembly_size = 1u << 26,
        .out_high = 1u << 20,
        .out_low = 1u << 18,
        .out_full = 1u << 22,
    };
    lv_memory_init(&shared->memory, &shared->alarms, memory);
    world->image = lv_image_disk_new(1);
    shared->disk = lv_image_disk_view(world->image);
    shared->connections_max = 1000;
    lv_space_init(&shared->space, shared->disk, &shared->alarms, 1);
    shared->main = lv_reactor_new();
    shared->mesh = lv_mesh_new(shard_count);
    shared->shards = lv_calloc(shard_count, sizeof(struct lv_shard *));
    for (uint32_t i = 0; i < shard_count; i++) {
        shared->shards[i] = lv_shard_new(shared, i);
        assert_non_null(shared->shards[i]);
        begin(shared->shards[i]->broker);
    }
    shared->listeners = world->listeners;
    assert_int_equal(lv_listener_open(world->listeners, shared->shards[0], &loopback, false, NULL),
                     0);
    shared->listener_count = 1;
    world->port = world->listeners[0].address.port;
    for (uint32_t i = 0; i < shard_count; i++)
        assert_int_equal(lv_shard_start(shared->shards[i]), 0);
    return world;
}

static void enter(struct world *world, enum lv_phase phase)
{
    atomic_store(&world->shared.phase, phase);
    lv_mesh_wake_all(world->shared.mesh);
}

/* Waits for the main reactor's wakes until nobody is connected and every shard has followed. */
static void wait_empty(struct world *world)
{
    struct lv_shared *shared = &world->shared;
    uint64_t now = lv_clock_now(), deadline = now + SECONDS_MS * LV_NS_PER_MS;

    while (atomic_load(&shared->stopping) < shared->shard_count ||
           atomic_load(&shared->connections) > 0) {
        lv_reactor_wait(shared->main, &now, deadline);
        assert_true(now < deadline);
    }
}

static void stop(struct world *world)
{
    struct lv_shared *shared = &world->shared;

    if (lv_shared_phase(shared) < LV_PHASE_STOPPING)
        enter(world, LV_PHASE_STOPPING);
    enter(world, LV_PHASE_DROPPING);
    wait_empty(world);
    enter(world, LV_PHASE_ENDED);
    for (uint32_t i = 0; i < shared->shard_count; i++)
        lv_shard_join(shared->shards[i]);
    for (uint32_t i = 0; i < shared->shard_count; i++)
        lv_shard_free(shared->shards[i]);
    lv_image_disk_free(world->image);
    lv_listener_close(world->listeners);
    lv_mesh_free(shared->mesh);
    lv_free(shared->shards);
    lv_reactor_free(shared->main);
    lv_settings_fini(&world->settings);
    lv_free(world);
}

/* ---- a client that writes frames by hand ---- */

static int dial(const struct world *world)
{
    int fd;

    assert_int_equal(lv_socket_connect("127.0.0.1", world->port, SECONDS_MS, &fd, NULL), 0);
    return fd;
}

static void send_bytes(int fd, const void *data, size_t size)
{
    const uint8_t *from = data;

    while (size > 0) {
        struct lv_bytes piece = lv_bytes(from, size);
        ssize_t sent = lv_socket_write(fd, &piece, 1);

        assert_true(sent >= 0);
        if (sent == 0)
            assert_int_equal(lv_socket_wait(fd, true, SECONDS_MS), 0);
        from += sent;
        size -= (size_t)sent;
    }
}

/* Exactly so many bytes. False when the stream ended before. */
static bool receive(int fd, void *data, size_t size)
{
    uint8_t *to = data;

    while (size > 0) {
        ssize_t got;

        assert_int_equal(lv_socket_wait(fd, false, SECONDS_MS), 0);
        got = lv_socket_read(fd, to, size);
        if (got < 0)
            return false;
        to += got;
        size -= (size_t)got;
    }
    return true;
}

/* The class and method of the next method frame (heartbeats and contents are passed over), or 0 at
 * the end of the stream. The rest of the frame's payload goes to `payload`. */
static uint32_t read_method(int fd, uint8_t payload[131072])
{
    uint8_t head[7], end;

    for (;;) {
        uint32_t size;

        if (!receive(fd, head, sizeof head))
            return 0;
        size = lv_get32(head + 3);
        assert_true(size <= 131072);
        if (!receive(fd, payload, size) || !receive(fd, &end, 1))
            return 0;
        assert_int_equal(end, 0xce);
        if (head[0] == 1)
            return lv_get32(payload);
    }
}

static uint8_t reply[131072];

static void assert_method(int fd, uint32_t id)
{
    assert_int_equal(read_method(fd, reply), id);
}

static void send_method(int fd, uint16_t channel, const void *payload, size_t size)
{
    uint8_t frame[512];
    uint8_t *p = lv_put8(frame, 1);

    assert_true(size + 8 <= sizeof frame);
    p = lv_put32(lv_put16(p, channel), (uint32_t)size);
    p = lv_put_bytes(p, lv_bytes(payload, size));
    p = lv_put8(p, 0xce);
    send_bytes(fd, frame, (size_t)(p - frame));
}

#define SEND(fd, channel, bytes) send_method(fd, channel, bytes, sizeof bytes - 1)

/* A connection with channel 1, whose client knows connection.blocked. */
static int connect_client(const struct world *world)
{
    int fd = dial(world);

    send_bytes(fd, header, 8);
    assert_method(fd, 0x000a000a);
    SEND(fd, 0,
         "\0\x0a\0\x0b"
         "\0\0\0\x27"
         "\x0c"
         "capabilitiesF"
         "\0\0\0\x15\x12"
         "connection.blockedt\1"
         "\x05PLAIN\0\0\0\x0c\0guest\0guest\x05"
         "en_US");
    assert_method(fd, 0x000a001e);
    SEND(fd, 0, "\0\x0a\0\x1f\x07\xff\0\2\0\0\0\0");
    SEND(fd, 0, "\0\x0a\0\x28\1/\0\0");
    assert_method(fd, 0x000a0029);
    SEND(fd, 1, "\0\x14\0\x0a\0");
    assert_method(fd, 0x0014000b);
    return fd;
}

static void declare(int fd)
{
    SEND(fd, 1, "\0\x32\0\x0a\0\0\1q\0\0\0\0\0");
    assert_method(fd, 0x0032000b);
}

/* basic.publish to the queue "q", its header and its body, in one piece. Returns the size. */
static size_t put_publish(uint8_t *to, uint32_t body_size)
{
    static const char method[] = "\1\0\1\0\0\0\x0a\0\x3c\0\x28\0\0\0\1q\0\xce";
    uint8_t *p = lv_put_bytes(to, lv_bytes(method, sizeof method - 1));

    p = lv_put32(lv_put16(lv_put8(p, 2), 1), 14);
    p = lv_put32(lv_put32(p, 60u << 16), 0);
    p = lv_put8(lv_put16(lv_put32(p, body_size), 0), 0xce);
    p = lv_put32(lv_put16(lv_put8(p, 3), 1), body_size);
    memset(p, 'x', body_size);
    p = lv_put8(p + body_size, 0xce);
    return (size_t)(p - to);
}

/* How many messages are ready in "q". */
static uint32_t depth(int fd)
{
    declare(fd);
    return lv_get32(reply + 4 + 1 + 1);
}

/* ---- the tests ---- */

static void a_client_gets_in_byte_by_byte(void **state)
{
    struct world *world = start(1, 1u << 30, SECONDS_MS);
    int fd = dial(world);

    (void)state;
    for (size_t i = 0; i < 8; i++)
        send_bytes(fd, header + i, 1);
    assert_method(fd, 0x000a000a);
    close(fd);
    stop(world);
}

static void messages_in_small_pieces_arrive_whole(void **state)
{
    struct world *world = start(1, 1u << 30, SECONDS_MS);
    int fd = connect_client(world);
    uint8_t bytes[4096];
    size_t size = put_publish(bytes, 1000);

    (void)state;
    declare(fd);
    for (size_t at = 0; at < size; at += 7)
        send_bytes(fd, bytes + at, size - at < 7 ? size - at : 7);
    assert_int_equal(depth(fd), 1);
    close(fd);
    stop(world);
}

/* More than one read takes, with messages across its borders. */
static void a_flood_is_taken_to_the_last_message(void **state)
{
    struct world *world = start(1, 1u << 30, SECONDS_MS);
    int fd = connect_client(world);
    static uint8_t bytes[512 * 1100];
    size_t size = 0;

    (void)state;
    declare(fd);
    for (unsigned i = 0; i < 512; i++)
        size += put_publish(bytes + size, 1000);
    for (unsigned i = 0; i < 8; i++)
        send_bytes(fd, bytes, size);
    assert_int_equal(depth(fd), 8 * 512);
    close(fd);
    stop(world);
}

static void strangers_are_answered_and_closed(void **state)
{
    struct world *world = start(1, 1u << 30, SECONDS_MS);
    int fd = dial(world);
    char answer[9] = "";

    (void)state;
    send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    assert_true(receive(fd, answer, 8));
    assert_memory_equal(answer, "AMQP", 4);
    assert_false(receive(fd, answer, 1));
    close(fd);
    stop(world);
}

static void who_stays_silent_is_cut_off(void **state)
{
    struct world *world = start(1, 1u << 30, 20);
    int fd = dial(world);
    char nothing;

    (void)state;
    assert_false(receive(fd, &nothing, 1));
    close(fd);
    stop(world);
}

static void connections_are_spread_in_turn_and_share_queues(void **state)
{
    struct world *world = start(3, 1u << 30, SECONDS_MS);
    uint8_t bytes[2048];
    size_t size = put_publish(bytes, 100);
    int fds[6];

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        fds[i] = connect_client(world);
    declare(fds[0]);
    for (unsigned i = 0; i < 6; i++) {
        send_bytes(fds[i], bytes, size);
        declare(fds[i]); /* answered behind the message */
    }
    while (depth(fds[5]) < 6)
        ;
    for (unsigned i = 0; i < 6; i++)
        close(fds[i]);
    stop(world);
}

/* No consumer reads what it gets; its output and the queue behind it must not stop anybody. */
static void one_that_does_not_read_holds_up_nobody(void **state)
{
    struct world *world = start(1, 1u << 30, SECONDS_MS);
    int lazy = connect_client(world), busy = connect_client(world);
    static uint8_t bytes[120 * 1024];
    size_t size = put_publish(bytes, 100000);

    (void)state;
    declare(lazy);
    SEND(lazy, 1, "\0\x3c\0\x14\0\0\1q\1c\2\0\0\0\0");
    assert_method(lazy, 0x003c0015);
    for (unsigned i = 0; i < 300; i++)
        send_bytes(busy, bytes, size);
    assert_true(depth(busy) > 100);
    close(lazy);
    close(busy);
    stop(world);
}

/* Publishes until the broker has something to say about it. */
static void publish_until_told(int fd)
{
    static uint8_t bytes[120 * 1024];
    struct lv_bytes rest = {.size = 0};

    while (lv_socket_wait(fd, false, 0) < 0) {
        ssize_t sent;

        if (rest.size == 0)
            rest = lv_bytes(bytes, put_publish(bytes, 100000));
        sent = lv_socket_write(fd, &rest, 1);
        assert_true(sent >= 0);
        rest = lv_bytes(rest.data + sent, rest.size - (size_t)sent);
        if (sent == 0 && lv_socket_wait(fd, true, 1) < 0)
            continue; /* full, so the broker does not read; it will say why */
    }
}

static void publishers_wait_for_memory_and_others_do_not(void **state)
{
    struct world *world = start(2, 8u << 20, SECONDS_MS);
    int publisher = connect_client(world), other = connect_client(world);

    (void)state;
    declare(publisher);
    publish_until_told(publisher);
    assert_method(publisher, 0x000a003c); /* connection.blocked */
    assert_true(lv_memory_is_alarm(&world->shared.memory));
    declare(other);
    SEND(other, 1, "\0\x32\0\x1e\0\0\1q\0");
    assert_method(other, 0x0032001f);     /* queue.purge-ok */
    assert_method(publisher, 0x000a003d); /* connection.unblocked */
    close(publisher);
    close(other);
    stop(world);
}

static void stopping_tells_clients_and_takes_nobody_new(void **state)
{
    struct world *world = start(2, 1u << 30, SECONDS_MS);
    int one = connect_client(world), two = connect_client(world), fd;
    char nothing;

    (void)state;
    enter(world, LV_PHASE_STOPPING);
    assert_method(one, 0x000a0032);
    assert_method(two, 0x000a0032);
    SEND(one, 0, "\0\x0a\0\x33");
    SEND(two, 0, "\0\x0a\0\x33");
    assert_false(receive(one, &nothing, 1));
    wait_empty(world);
    assert_true(lv_socket_connect("127.0.0.1", world->port, 1000, &fd, NULL) < 0);
    close(one);
    close(two);
    stop(world);
}

static void a_peer_that_vanishes_leaves_nothing_behind(void **state)
{
    struct world *world = start(2, 1u << 30, SECONDS_MS);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        int fd = connect_client(world);

        declare(fd);
        SEND(fd, 1, "\0\x3c\0\x14\0\0\1q\1c\2\0\0\0\0");
        if (i % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    enter(world, LV_PHASE_STOPPING);
    wait_empty(world);
    stop(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_in_byte_by_byte),
        cmocka_unit_test(messages_in_small_pieces_arrive_whole),
        cmocka_unit_test(a_flood_is_taken_to_the_last_message),
        cmocka_unit_test(strangers_are_answered_and_closed),
        cmocka_unit_test(who_stays_silent_is_cut_off),
        cmocka_unit_test(connections_are_spread_in_turn_and_share_queues),
        cmocka_unit_test(one_that_does_not_read_holds_up_nobody),
        cmocka_unit_test(publishers_wait_for_memory_and_others_do_not),
        cmocka_unit_test(stopping_tells_clients_and_takes_nobody_new),
        cmocka_unit_test(a_peer_that_vanishes_leaves_nothing_behind),
    };

    return cmocka_run_group_tests_name("shard", tests, NULL, NULL);
}
