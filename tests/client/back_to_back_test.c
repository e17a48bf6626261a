/*
 * The client's engine and the server's session, back to back: no socket, no clock, bytes in pieces.
 *
 * Both were written from the same specification by way of one codec and share nothing else, so what
 * one of them got wrong the other one refuses.
 */
#include "base/alloc.h"
#include "base/random.h"
#include "client/engine.h"
#include "session/amqp091/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define INCOMING_SIZE ((size_t)4 << 20)

/* What a client has heard of, counted. */
struct heard {
    uint64_t opened, replied, delivered, got, returned, confirmed, refused, cancelled;
    uint64_t channel_closed, closed;
    uint64_t bytes;    /* of bodies */
    uint64_t last_tag; /* delivered last */
    uint32_t last_reply;
    int error;
    uint16_t reply_code;
    char text[256];
};

struct client {
    struct lv_world *world; /* view */
    struct lv_peer peer;    /* the server's end */
    struct lv_chunk_pool pool;
    struct lv_engine *engine; /* own */
    struct heard heard;
    uint8_t *incoming; /* own   what the server sent and the engine has not taken */
    size_t incoming_size;
    size_t piece; /* bytes that travel at a time, either way */
    bool acks;
};

static void take_message(struct client *client, const struct lv_engine_event *event)
{
    const struct lv_engine_message *message = event->message;
    struct lv_amqp091_method ack = {.id = LV_AMQP091_BASIC_ACK};

    client->heard.bytes += message->body.size;
    for (size_t i = 0; i < message->body.size; i++)
        if (message->body.data[i] != (uint8_t)(message->body.size + i))
            fail_msg("byte %d of a body of %d is wrong", (int)i, (int)message->body.size);
    if (event->kind != LV_ENGINE_DELIVERED)
        return;
    client->heard.last_tag = message->method.basic_deliver.delivery_tag;
    ack.basic_ack.delivery_tag = client->heard.last_tag;
    if (client->acks)
        assert_int_equal(lv_engine_call(client->engine, event->channel, &ack, NULL), 0);
}

static void on_event(void *ctx, const struct lv_engine_event *event)
{
    struct client *client = ctx;
    struct heard *heard = &client->heard;

    heard->opened += event->kind == LV_ENGINE_OPENED;
    heard->replied += event->kind == LV_ENGINE_REPLIED;
    heard->delivered += event->kind == LV_ENGINE_DELIVERED;
    heard->got += event->kind == LV_ENGINE_GOT;
    heard->returned += event->kind == LV_ENGINE_RETURNED;
    heard->cancelled += event->kind == LV_ENGINE_CANCELLED;
    heard->channel_closed += event->kind == LV_ENGINE_CHANNEL_CLOSED;
    heard->closed += event->kind == LV_ENGINE_CLOSED;
    if (event->kind == LV_ENGINE_REPLIED)
        heard->last_reply = event->method->id;
    if (event->kind == LV_ENGINE_CONFIRMED)
        *(event->refused ? &heard->refused : &heard->confirmed) += event->last - event->first + 1;
    if (event->kind == LV_ENGINE_CHANNEL_CLOSED || event->kind == LV_ENGINE_CLOSED) {
        heard->error = event->error;
        heard->reply_code = event->reply_code;
        snprintf(heard->text, sizeof heard->text, "%s", event->text);
    }
    if (event->message != NULL)
        take_message(client, event);
}

/* A frame that the server sent: kept as the bytes it was. */
static void on_frame(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct client *client = peer->ctx;
    uint8_t *p = client->incoming + client->incoming_size;

    assert_true(client->incoming_size + frame->payload.size + 8 <= INCOMING_SIZE);
    p = lv_amqp091_frame_head_encode(p, frame->type, frame->channel, frame->payload.size);
    p = lv_put8(lv_put_bytes(p, frame->payload), LV_AMQP091_FRAME_END);
    client->incoming_size = (size_t)(p - client->incoming);
}

static void client_init(struct client *client, struct lv_world *world, uint32_t shard,
                        const char *password)
{
    struct lv_engine_config config = {.user = "guest",
                                      .password = password,
                                      .vhost = "/",
                                      .version = "0",
                                      .heartbeat_s = 60,
                                      .frame_max = 4096,
                                      .body_max = 1 << 20,
                                      .event = on_event,
                                      .event_ctx = client};

    memset(client, 0, sizeof *client);
    client->world = world;
    client->piece = SIZE_MAX;
    lv_peer_init(&client->peer, world, shard);
    client->peer.on_frame = on_frame;
    client->peer.ctx = client;
    client->incoming = lv_alloc(INCOMING_SIZE);
    lv_chunk_pool_init(&client->pool);
    config.pool = &client->pool;
    client->engine = lv_engine_new(&config, world->now);
    assert_true(client->engine != NULL && client->incoming != NULL);
}

static void client_fini(struct client *client)
{
    lv_peer_fini(&client->peer);
    lv_engine_free(client->engine);
    lv_chunk_pool_fini(&client->pool);
    lv_free(client->incoming);
}

/* The engine's output goes to the session. */
static bool send(struct client *client)
{
    struct lv_out *out = lv_engine_out(client->engine);
    struct lv_bytes pieces[16];
    size_t count = lv_out_gather(out, pieces, LV_COUNT(pieces)), size = 0;

    for (size_t i = 0; i < count; i++) {
        lv_peer_say(&client->peer, pieces[i]);
        size += pieces[i].size;
    }
    lv_out_consume(out, size);
    if (size > 0)
        lv_peer_push(&client->peer, client->piece);
    return size > 0;
}

/* What the session sent goes to the engine, which may leave a part of a frame. */
static bool receive(struct client *client)
{
    size_t used = 0, come = 0;
    bool moved = client->incoming_size > 0;

    while (come < client->incoming_size) {
        size_t left = client->incoming_size - come;

        come += left < client->piece ? left : client->piece;
        used += lv_engine_input(client->engine, lv_bytes(client->incoming + used, come - used),
                                client->world->now);
    }
    assert_int_equal(used, client->incoming_size); /* frames come whole */
    client->incoming_size = 0;
    return moved;
}

/* Until nobody has anything more to say. */
static void settle(struct client *clients, size_t count)
{
    bool moved;

    do {
        moved = false;
        for (size_t i = 0; i < count; i++)
            moved |= send(&clients[i]);
        lv_world_settle(clients[0].world);
        for (size_t i = 0; i < count; i++)
            moved |= receive(&clients[i]);
    } while (moved);
}

static void call(struct client *client, uint16_t channel, struct lv_amqp091_method method)
{
    assert_int_equal(lv_engine_call(client->engine, channel, &method, NULL), 0);
}

#define CALL(client, channel, name, member, ...)                                                   \
    call((client), (channel),                                                                      \
         (struct lv_amqp091_method){.id = LV_AMQP091_##name, .member = {__VA_ARGS__}})
#define CALL_PLAIN(client, channel, name)                                                          \
    call((client), (channel), (struct lv_amqp091_method){.id = LV_AMQP091_##name})

static void publish(struct client *client, const char *queue, size_t size)
{
    static uint8_t body[200000];
    const struct lv_amqp091_basic_publish to = {.routing_key = lv_text(queue), .mandatory = true};
    const struct lv_engine_content content = {lv_bytes("\0\0", 2), lv_bytes(body, size)};
    uint64_t tag;

    assert_true(size <= sizeof body);
    for (size_t i = 0; i < size; i++)
        body[i] = (uint8_t)(size + i);
    assert_int_equal(lv_engine_publish(client->engine, 1, &to, &content, &tag, NULL), 0);
}

/* Logged in, with channel 1 open. */
static void client_open(struct client *client)
{
    settle(client, 1);
    assert_int_equal(client->heard.opened, 1);
    CALL_PLAIN(client, 1, CHANNEL_OPEN);
    settle(client, 1);
    assert_int_equal(client->heard.replied, 1);
}

/* Publishes of many sizes, a consumer that acks, and what the counts have to be. */
static void converse(uint32_t shard_count, size_t piece)
{
    static const size_t sizes[] = {0, 1, 4087, 4088, 4089, 10000, 150000, 16, 8176};
    struct lv_world world;
    struct client clients[2];
    uint64_t bytes = 0;

    lv_world_init(&world, shard_count);
    for (uint32_t i = 0; i < 2; i++) {
        client_init(&clients[i], &world, i % shard_count, "guest");
        clients[i].piece = piece;
        client_open(&clients[i]);
    }
    CALL(&clients[0], 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    CALL_PLAIN(&clients[0], 1, CONFIRM_SELECT);
    settle(clients, 2);
    clients[1].acks = true;
    CALL(&clients[1], 1, BASIC_QOS, basic_qos, .prefetch_count = 2);
    CALL(&clients[1], 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
    settle(clients, 2);
    assert_int_equal(clients[1].heard.last_reply, LV_AMQP091_BASIC_CONSUME_OK);
    for (size_t i = 0; i < LV_COUNT(sizes); i++) {
        publish(&clients[0], "q", sizes[i]);
        bytes += sizes[i];
    }
    settle(clients, 2);
    assert_int_equal(clients[0].heard.confirmed, LV_COUNT(sizes));
    assert_int_equal(lv_engine_unconfirmed(clients[0].engine, 1), 0);
    assert_int_equal(clients[1].heard.delivered, LV_COUNT(sizes));
    assert_int_equal(clients[1].heard.last_tag, LV_COUNT(sizes));
    assert_int_equal(clients[1].heard.bytes, bytes);
    for (uint32_t i = 0; i < 2; i++)
        CALL(&clients[i], 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
    settle(clients, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(clients[i].heard.closed, 1);
        assert_int_equal(clients[i].heard.error, 0);
        client_fini(&clients[i]);
    }
    lv_world_fini(&world);
}

static void messages_go_from_one_client_to_the_other(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        converse(shard_count, SIZE_MAX);
        converse(shard_count, 1);
        converse(shard_count, 7);
        converse(shard_count, 4099);
    }
}

static void what_nobody_takes_comes_back_and_is_confirmed(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    CALL_PLAIN(&client, 1, CONFIRM_SELECT);
    settle(&client, 1);
    publish(&client, "nowhere", 5000);
    publish(&client, "nowhere", 0);
    settle(&client, 1);
    assert_int_equal(client.heard.returned, 2);
    assert_int_equal(client.heard.confirmed, 2);
    assert_int_equal(client.heard.bytes, 5000);
    client_fini(&client);
    lv_world_fini(&world);
}

static void a_message_is_fetched_and_put_back(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    CALL(&client, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    publish(&client, "q", 30);
    CALL(&client, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    CALL(&client, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    settle(&client, 1);
    assert_int_equal(client.heard.got, 1);
    assert_int_equal(client.heard.last_reply, LV_AMQP091_BASIC_GET_EMPTY);
    CALL(&client, 1, BASIC_NACK, basic_nack, .delivery_tag = 1, .requeue = true);
    CALL(&client, 1, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    settle(&client, 1);
    assert_int_equal(client.heard.got, 2);
    client_fini(&client);
    lv_world_fini(&world);
}

static void a_wrong_password_is_refused_with_its_code(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "wrong");
    settle(&client, 1);
    assert_int_equal(client.heard.opened, 0);
    assert_int_equal(client.heard.closed, 1);
    assert_int_equal(client.heard.reply_code, 403);
    assert_int_equal(client.heard.error, -LV_E_ACCESS_REFUSED);
    client_fini(&client);
    lv_world_fini(&world);
}

static void a_soft_error_ends_the_channel_and_the_next_one_works(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    CALL(&client, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("none"), .passive = true);
    CALL_PLAIN(&client, 1, BASIC_QOS); /* on its way already, and never answered */
    settle(&client, 1);
    assert_int_equal(client.heard.channel_closed, 1);
    assert_int_equal(client.heard.reply_code, 404);
    assert_string_equal(client.heard.text, "NOT_FOUND - no queue 'none' in vhost '/'");
    CALL_PLAIN(&client, 1, CHANNEL_OPEN);
    CALL_PLAIN(&client, 1, BASIC_QOS);
    settle(&client, 1);
    assert_int_equal(client.heard.last_reply, LV_AMQP091_BASIC_QOS_OK);
    assert_int_equal(client.heard.closed, 0);
    client_fini(&client);
    lv_world_fini(&world);
}

static void a_hard_error_ends_the_connection(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    CALL(&client, 1, CHANNEL_FLOW, channel_flow, .active = false);
    settle(&client, 1);
    assert_int_equal(client.heard.closed, 1);
    assert_int_equal(client.heard.reply_code, 540);
    client_fini(&client);
    lv_world_fini(&world);
}

static void a_deleted_queue_cancels_its_consumer(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    CALL(&client, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    CALL(&client, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
    CALL(&client, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    settle(&client, 1);
    assert_int_equal(client.heard.cancelled, 1);
    assert_int_equal(client.heard.last_reply, LV_AMQP091_QUEUE_DELETE_OK);
    client_fini(&client);
    lv_world_fini(&world);
}

/* Either end's heartbeats keep the other one content; without them it gives up. */
static void heartbeats_keep_both_ends_alive(void **state)
{
    struct lv_world world;
    struct client client;

    (void)state;
    lv_world_init(&world, 1);
    client_init(&client, &world, 0, "guest");
    client_open(&client);
    for (int i = 0; i < 40; i++) {
        lv_world_wait_ms(&world, 15000);
        lv_engine_tick(client.engine, world.now);
        settle(&client, 1);
    }
    assert_int_equal(client.heard.closed, 0);
    assert_false(client.peer.is_finished);
    client.peer.is_deaf = true; /* nothing arrives at the client any more */
    for (int i = 0; i < 12; i++) {
        lv_world_wait_ms(&world, 15000);
        lv_engine_tick(client.engine, world.now);
        (void)send(&client);
    }
    assert_int_equal(client.heard.closed, 1);
    assert_int_equal(client.heard.error, -LV_E_TIMEOUT);
    client.peer.is_deaf = false;
    client_fini(&client);
    lv_world_fini(&world);
}

/* Two clients at random: in the end all is confirmed and every message came once. */
static void random_conversations_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct lv_random random;
        struct lv_world world;
        struct client clients[2];
        uint64_t published = 0;

        lv_random_seed(&random, seed);
        lv_world_init(&world, seed % 2 == 0 ? 1 : 3);
        for (uint32_t i = 0; i < 2; i++) {
            client_init(&clients[i], &world, i % world.shard_count, "guest");
            clients[i].piece = 1 + lv_random_below(&random, 5000);
            clients[i].acks = true;
            client_open(&clients[i]);
            CALL(&clients[i], 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
            CALL_PLAIN(&clients[i], 1, CONFIRM_SELECT);
            CALL(&clients[i], 1, BASIC_QOS, basic_qos,
                 .prefetch_count = (uint16_t)lv_random_below(&random, 4));
            CALL(&clients[i], 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
            settle(clients, i + 1);
        }
        for (int i = 0; i < 200; i++) {
            struct client *client = &clients[lv_random_below(&random, 2)];

            if (lv_random_below(&random, 3) > 0) {
                publish(client, "q", lv_random_below(&random, 9000));
                published++;
            } else {
                settle(clients, 2);
            }
        }
        settle(clients, 2);
        if (clients[0].heard.delivered + clients[1].heard.delivered != published ||
            clients[0].heard.confirmed + clients[1].heard.confirmed != published)
            fail_msg("seed %d: %d published", (int)seed, (int)published);
        client_fini(&clients[0]);
        client_fini(&clients[1]);
        lv_world_fini(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_from_one_client_to_the_other),
        cmocka_unit_test(what_nobody_takes_comes_back_and_is_confirmed),
        cmocka_unit_test(a_message_is_fetched_and_put_back),
        cmocka_unit_test(a_wrong_password_is_refused_with_its_code),
        cmocka_unit_test(a_soft_error_ends_the_channel_and_the_next_one_works),
        cmocka_unit_test(a_hard_error_ends_the_connection),
        cmocka_unit_test(a_deleted_queue_cancels_its_consumer),
        cmocka_unit_test(heartbeats_keep_both_ends_alive),
        cmocka_unit_test(random_conversations_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
