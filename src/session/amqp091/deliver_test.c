#include "base/random.h"
#include "codec/amqp091/content.h"
#include "session/amqp091/scene.h"

static void say_body(struct lv_peer *peer, const char *key, const uint8_t *body, size_t size)
{
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){.exchange = "", .key = key, .body = lv_bytes(body, size)});
}

static uint8_t *letters(size_t size)
{
    uint8_t *data = lv_alloc(size);
    struct lv_random random;

    assert_non_null(data);
    lv_random_seed(&random, size);
    put_letters(&random, data, size);
    return data;
}

static void deliveries_carry_tag_exchange_and_key(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("q"), .exchange = lv_text("amq.direct"),
        .routing_key = lv_text("k"));
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n"
                       "1 queue.bind-ok\n");
    consume(peer, "q", true);
    say_message(peer, "amq.direct", "k", "one");
    say_message(peer, "", "q", "");
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"amq.direct\" "
                       "routing_key=\"k\"\n1 header body=3 properties=2\n1 body one\n"
                       "1 basic.deliver consumer_tag=\"c\" delivery_tag=2 exchange=\"\" "
                       "routing_key=\"q\"\n1 header body=0 properties=2\n");
    scene_end(&scene);
}

static void confirms_come_once_a_turn_and_after_returns(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_message(peer, "", "q", "before confirm.select");
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    for (int i = 0; i < 5; i++)
        say_message(peer, "", "q", "x");
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){
            .exchange = "", .key = "none", .body = lv_text("body"), .mandatory = true});
    assert_hears(peer, "1 confirm.select-ok\n"
                       "1 basic.return reply_code=312 reply_text=\"NO_ROUTE\" exchange=\"\" "
                       "routing_key=\"none\"\n1 header body=4 properties=2\n1 body body\n"
                       "1 basic.ack delivery_tag=6 multiple=1\n");
    say_message(peer, "", "none", "dropped");
    assert_hears(peer, "1 basic.ack delivery_tag=7\n");
    scene_end(&scene);
}

/* Confirms wait for another shard when a log fails. */
static void what_will_never_be_confirmed_is_nacked(void **state)
{
    static const char *const queues[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct lv_world world;
    struct lv_peer peer;
    const char *heard;

    (void)state;
    lv_world_init(&world, 2);
    lv_peer_init(&peer, &world, 0);
    lv_peer_open(&peer);
    for (size_t i = 0; i < LV_COUNT(queues); i++)
        declare_queue(&peer, queues[i]);
    SAY_PLAIN(&peer, 1, CONFIRM_SELECT);
    assert_hears(&peer, "1 confirm.select-ok\n");
    for (size_t i = 0; i < 5 * LV_COUNT(queues); i++)
        say_message(&peer, "", queues[i % LV_COUNT(queues)], "x");
    lv_peer_push(&peer, SIZE_MAX);
    lv_broker_log_failed(world.shards[0].broker);
    lv_world_settle(&world);
    heard = lv_peer_trace(&peer);
    assert_non_null(strstr(heard, "1 basic.nack delivery_tag=40 multiple=1\n"));
    assert_null(strstr(heard, "1 basic.ack delivery_tag=40"));
    lv_peer_fini(&peer);
    lv_world_fini(&world);
}

/* What a consumer receives, put together again. */
struct collected {
    uint8_t *body;
    size_t size, capacity;
    uint64_t announced;
    size_t largest_frame, frames;
};

static void collect(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct collected *collected = peer->ctx;
    struct lv_amqp091_content content;

    if (frame->type == LV_AMQP091_FRAME_HEADER) {
        assert_int_equal(lv_amqp091_content_decode(frame->payload, &content, NULL), 0);
        collected->announced = content.body_size;
        collected->size = collected->frames = collected->largest_frame = 0;
    } else if (frame->type == LV_AMQP091_FRAME_BODY) {
        assert_true(collected->size + frame->payload.size <= collected->capacity);
        lv_put_bytes(collected->body + collected->size, frame->payload);
        collected->size += frame->payload.size;
        collected->frames++;
        if (frame->payload.size > collected->largest_frame)
            collected->largest_frame = frame->payload.size;
    }
}

/* Around the sizes at which bodies are copied, viewed, and split into frames. */
static void bodies_of_all_sizes_are_delivered_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,      1,      4087,    4088,    4089,   4095,
                                   4096,   4097,   32768,   131063,  131064, 131065,
                                   262128, 300000, 1048000, 1048576, 2000000};
    struct collected collected = {.capacity = 2000000};
    uint8_t *body = letters(2000000);

    collected.body = lv_alloc(collected.capacity);
    for (uint32_t frame_max = 4096; frame_max <= 131072; frame_max += 126976) {
        struct scene scene;
        scene_begin_new(&scene);
        scene.world.limits.frame_max = frame_max;
        lv_peer_open(&scene.peer);
        declare_queue(&scene.peer, "q");
        consume(&scene.peer, "q", true);
        scene.peer.on_frame = collect;
        scene.peer.ctx = &collected;
        for (size_t i = 0; i < LV_COUNT(sizes); i++) {
            collected.announced = UINT64_MAX;
            lv_peer_say_publish(&scene.peer, 1,
                                &(struct lv_peer_publish){.exchange = "",
                                                          .key = "q",
                                                          .body = lv_bytes(body, sizes[i]),
                                                          .frame_max = frame_max});
            lv_world_settle(&scene.world);
            assert_int_equal(collected.announced, sizes[i]);
            assert_int_equal(collected.size, sizes[i]);
            assert_memory_equal(collected.body, body, sizes[i]);
            assert_true(collected.largest_frame <= frame_max - 8);
            assert_int_equal(collected.frames, (sizes[i] + frame_max - 9) / (frame_max - 8));
        }
        scene_end(&scene);
    }
    lv_free(collected.body);
    lv_free(body);
}

static void large_properties_are_delivered_whole(void **state)
{
    (void)state;
    const uint32_t size = 100000;
    uint8_t *properties = lv_alloc(size + 13), *p = properties;
    struct scene scene;

    assert_non_null(properties);
    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    consume(&scene.peer, "q", true);
    p = lv_put16(p, 0x2000); /* headers: one long string */
    p = lv_put32(p, size + 7);
    p = lv_put8(lv_put8(lv_put8(p, 1), 'k'), 'S');
    p = lv_put32(p, size);
    memset(p, 'x', size);
    lv_peer_say_publish(&scene.peer, 1,
                        &(struct lv_peer_publish){.exchange = "",
                                                  .key = "q",
                                                  .properties = lv_bytes(properties, size + 13),
                                                  .body = lv_text("b")});
    assert_hears(&scene.peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"\" "
                              "routing_key=\"q\"\n1 header body=1 properties=100013\n1 body b\n");
    lv_free(properties);
    scene_end(&scene);
}

/* The page stays where it is although its queue has let go long before the peer reads. */
static void a_body_outlives_its_queue_until_it_is_sent(void **state)
{
    (void)state;
    const size_t size = 50000;
    uint8_t *body = letters(size);
    struct collected collected = {.capacity = size, .body = lv_alloc(size)};
    struct scene scene;
    struct lv_peer other;

    scene_begin(&scene);
    lv_peer_init(&other, &scene.world, 0);
    lv_peer_open(&other);
    declare_queue(&other, "q");
    consume(&other, "q", true);
    other.on_frame = collect;
    other.ctx = &collected;
    other.is_deaf = true;
    say_body(&scene.peer, "q", body, size);
    assert_hears(&scene.peer, "");
    SAY(&scene.peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(&scene.peer, "1 queue.delete-ok message_count=0\n");
    for (int i = 0; i < 100; i++) /* what would be written over it, were it free */
        say_body(&scene.peer, "none", body + 1, size - 1);
    assert_hears(&scene.peer, "");
    other.is_deaf = false;
    lv_world_settle(&scene.world);
    assert_int_equal(collected.size, size);
    assert_memory_equal(collected.body, body, size);
    lv_peer_fini(&other);
    lv_free(collected.body);
    lv_free(body);
    scene_end(&scene);
}

static void a_reader_that_is_slow_keeps_its_messages_in_the_queue(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct lv_peer reader;
    char ready[128];
    static const uint8_t body[1000];

    scene_begin(&scene);
    scene.world.limits.out_low = 10000;
    scene.world.limits.out_high = 100000;
    scene.world.limits.out_full = 200000;
    declare_queue(peer, "q");
    lv_peer_init(&reader, &scene.world, 0);
    lv_peer_open(&reader);
    consume(&reader, "q", true);
    reader.is_deaf = true;
    for (int i = 0; i < 1000; i++)
        say_body(peer, "q", body, sizeof body);
    lv_world_settle(&scene.world);
    size_t held = lv_session_out(reader.session)->size;
    assert_in_range(held, 100000, 102000);
    unsigned left = 1000 - (unsigned)(held / 1056);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    snprintf(ready, sizeof ready,
             "1 queue.declare-ok queue=\"q\" message_count=%u consumer_count=1\n", left);
    assert_hears(peer, ready);
    /* reading a little changes nothing, below out_low it goes on */
    lv_peer_hear(&reader, held - 20000);
    reader.is_deaf = true;
    lv_world_settle(&scene.world);
    assert_int_equal(lv_session_out(reader.session)->size, 20000);
    lv_peer_hear(&reader, 15000);
    lv_world_settle(&scene.world);
    assert_in_range(lv_session_out(reader.session)->size, 100000, 102000);
    reader.is_deaf = false;
    lv_world_settle(&scene.world);
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.delete-ok message_count=0\n");
    lv_peer_fini(&reader);
    scene_end(&scene);
}

static void a_peer_that_never_reads_is_not_listened_to_either(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    scene.world.limits.out_low = 1000;
    scene.world.limits.out_high = 5000;
    scene.world.limits.out_full = 10000;
    peer->is_deaf = true;
    for (int i = 0; i < 10000; i++)
        SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    lv_world_settle(&scene.world);
    assert_true(lv_session_is_paused(peer->session));
    assert_in_range(lv_session_out(peer->session)->size, 10001, 10020);
    assert_true(peer->said_size > 0);
    peer->is_deaf = false;
    lv_world_settle(&scene.world);
    assert_int_equal(peer->said_size, 0);
    assert_false(lv_session_is_paused(peer->session));
    scene_end(&scene);
}

static void running_out_of_memory_for_output_ends_the_connection(void **state)
{
    (void)state;
    uint8_t *body = letters(4000);
    struct scene scene;
    struct lv_peer other;

    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    lv_peer_init(&other, &scene.world, 0);
    lv_peer_open(&other);
    consume(&other, "q", true); /* without acks the output is all that needs memory */
    other.is_deaf = true;
    for (int i = 0; i < 100; i++)
        say_body(&scene.peer, "q", body, 4000);
    lv_peer_push(&scene.peer, SIZE_MAX);
    lv_alloc_fail_after(1, true);
    (void)lv_broker_turn(scene.world.shards[0].broker);
    lv_alloc_fail_after(0, false);
    lv_world_settle(&scene.world);
    assert_null(other.session);
    SAY(&scene.peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(&scene.peer, "1 queue.delete-ok message_count=0\n");
    lv_peer_fini(&other);
    lv_free(body);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deliveries_carry_tag_exchange_and_key),
        cmocka_unit_test(confirms_come_once_a_turn_and_after_returns),
        cmocka_unit_test(what_will_never_be_confirmed_is_nacked),
        cmocka_unit_test(bodies_of_all_sizes_are_delivered_whole),
        cmocka_unit_test(large_properties_are_delivered_whole),
        cmocka_unit_test(a_body_outlives_its_queue_until_it_is_sent),
        cmocka_unit_test(a_reader_that_is_slow_keeps_its_messages_in_the_queue),
        cmocka_unit_test(a_peer_that_never_reads_is_not_listened_to_either),
        cmocka_unit_test(running_out_of_memory_for_output_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
