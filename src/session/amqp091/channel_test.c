#include "session/amqp091/scene.h"

#define NOT_FOUND_CLOSE                                                                            \
    "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no queue 'none' in vhost '/'\" "      \
    "class_id=50 method_id=10\n"

static void fail_channel_1(struct lv_peer *peer)
{
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("none"), .passive = true);
}

static void channels_open_in_any_order_and_close(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 2047, CHANNEL_OPEN);
    SAY_PLAIN(peer, 7, CHANNEL_OPEN);
    assert_hears(peer, "2047 channel.open-ok\n7 channel.open-ok\n");
    SAY(peer, 2047, CHANNEL_CLOSE, channel_close, .reply_code = 200);
    assert_hears(peer, "2047 channel.close-ok\n");
    SAY_PLAIN(peer, 2047, CHANNEL_OPEN);
    assert_hears(peer, "2047 channel.open-ok\n");
    scene_end(&scene);
}

static void a_channel_number_above_the_negotiated_one_is_refused(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY_PLAIN(&scene.peer, 2048, CHANNEL_OPEN);
    assert_hears(&scene.peer,
                 "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - channel number 2048 "
                 "is higher than the negotiated channel_max (2047)\" class_id=20 method_id=10\n");
    scene_end(&scene);
}

static void more_channels_than_negotiated_are_refused(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    scene.world.limits.channel_max = 2;
    lv_peer_open(peer);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY_PLAIN(peer, 3, CHANNEL_OPEN);
    assert_hears(peer, "2 channel.open-ok\n"
                       "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - number of "
                       "channels opened (2) has reached the negotiated channel_max (2)\" "
                       "class_id=20 method_id=10\n");
    scene_end(&scene);
}

static void a_soft_error_leaves_the_connection_usable(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    assert_hears(peer, "2 channel.open-ok\n");
    fail_channel_1(peer);
    SAY(peer, 2, CHANNEL_FLOW, channel_flow, .active = true);
    assert_hears(peer, NOT_FOUND_CLOSE "2 channel.flow-ok active=1\n");
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    assert_hears(peer, "1 channel.open-ok\n");
    scene_end(&scene);
}

static void everything_is_discarded_until_close_ok(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    fail_channel_1(peer);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY_PLAIN(peer, 1, BASIC_DELIVER); /* not even a client's method */
    say_message(peer, "", "q", "a message that is lost");
    say_golden(peer, "03 0001 00000003 'abc' ce");
    say_golden(peer, "02 0001 00000003 'abc' ce");
    assert_hears(peer, NOT_FOUND_CLOSE);
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    assert_hears(peer, "1 channel.open-ok\n"
                       "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no queue 'q' in "
                       "vhost '/'\" class_id=50 method_id=10\n");
    scene_end(&scene);
}

static void both_ends_may_close_a_channel_at_once(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    fail_channel_1(peer);
    SAY(peer, 1, CHANNEL_CLOSE, channel_close, .reply_code = 200);
    assert_hears(peer, NOT_FOUND_CLOSE "1 channel.close-ok\n");
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    assert_hears(peer, "1 channel.open-ok\n");
    scene_end(&scene);
}

static void what_a_failed_channel_had_delivered_comes_again(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    consume(peer, "q", false);
    say_message(peer, "", "q", "x");
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"\" "
                       "routing_key=\"q\"\n1 header body=1 properties=2\n1 body x\n");
    fail_channel_1(peer);
    assert_hears(peer, NOT_FOUND_CLOSE);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY(peer, 2, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    assert_hears(peer,
                 "2 channel.open-ok\n"
                 "2 basic.get-ok delivery_tag=1 redelivered=1 exchange=\"\" "
                 "routing_key=\"q\" message_count=0\n2 header body=1 properties=2\n2 body x\n");
    scene_end(&scene);
}

static void a_closed_channel_gives_its_messages_back(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_message(peer, "", "q", "x");
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    SAY(peer, 1, CHANNEL_CLOSE, channel_close, .reply_code = 200);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    assert_hears(peer, "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=1 properties=2\n1 body x\n"
                       "1 channel.close-ok\n1 channel.open-ok\n"
                       "1 queue.declare-ok queue=\"q\" message_count=1 consumer_count=0\n");
    scene_end(&scene);
}

/* With queues on other shards every answer comes later, and the channel's end takes its time. */
static void channels_close_in_order_over_several_shards(void **state)
{
    (void)state;
    static const char *const queues[] = {"a", "b", "c", "d", "e", "f"};
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 1);
    lv_peer_open(peer);
    for (size_t i = 0; i < LV_COUNT(queues); i++) {
        SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(queues[i]), .no_wait = true);
        SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text(queues[i]),
            .consumer_tag = lv_text(queues[i]), .no_wait = true);
    }
    SAY(peer, 1, CHANNEL_CLOSE, channel_close, .reply_code = 200);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    fail_channel_1(peer);
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    for (size_t i = 0; i < LV_COUNT(queues); i++)
        SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text(queues[i]), .if_unused = true);
    assert_hears(peer,
                 "1 channel.close-ok\n1 channel.open-ok\n" NOT_FOUND_CLOSE "1 channel.open-ok\n"
                 "1 queue.delete-ok message_count=0\n1 queue.delete-ok message_count=0\n"
                 "1 queue.delete-ok message_count=0\n1 queue.delete-ok message_count=0\n"
                 "1 queue.delete-ok message_count=0\n1 queue.delete-ok message_count=0\n");
    scene_end(&scene);
}

/* The refusal arrives when nobody is speaking; what the channel held has to come free all the same.
 */
static void a_refusal_from_another_shard_closes_the_channel_without_input(void **state)
{
    (void)state;
    static const char *const queues[] = {"a", "b", "c", "d", "e", "f"};
    struct scene scene;
    struct lv_peer *peer = &scene.peer, other;
    unsigned refused_later = 0;

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 0);
    lv_peer_open(peer);
    lv_peer_init(&other, &scene.world, 0);
    lv_peer_open(&other);
    for (size_t i = 0; i < LV_COUNT(queues); i++) {
        uint64_t resumed = peer->resume_count;
        declare_queue(&other, queues[i]);
        say_message(&other, "", queues[i], "x");
        consume(peer, queues[i], false);
        SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text(queues[i]), .exclusive = true);
        lv_world_settle(&scene.world);
        const char *heard = lv_peer_trace(peer);
        assert_non_null(strstr(heard, "1 channel.close reply_code=403"));
        refused_later += peer->resume_count > resumed + 1;
        SAY(&other, 1, QUEUE_PURGE, queue_purge, .queue = lv_text(queues[i]));
        assert_hears(&other, "1 queue.purge-ok message_count=1\n");
        SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
        SAY_PLAIN(peer, 1, CHANNEL_OPEN);
        assert_hears(peer, "1 channel.open-ok\n");
    }
    assert_true(refused_later > 0); /* one of the queues at least lives elsewhere */
    lv_peer_fini(&other);
    scene_end(&scene);
}

static void long_error_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    char name[256] = "", heard[600];

    for (size_t i = 0; i < 254; i += 2)
        snprintf(name + i, sizeof name - i, "\xc3\xa9"); /* é: two bytes each */
    scene_begin(&scene);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .passive = true);
    lv_world_settle(&scene.world);
    snprintf(heard, sizeof heard, "%s", lv_peer_trace(peer));
    /* "NOT_FOUND - no queue '" is 22 bytes; 116 characters more make 254, and half a one is not
     * sent. They are printed as \xHH. */
    assert_non_null(strstr(heard, "reply_code=404 reply_text=\"NOT_FOUND - no queue '\\xc3\\xa9"));
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    name[253] = '\0';
    name[252] = 'x';
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .passive = true);
    lv_world_settle(&scene.world);
    assert_non_null(strstr(lv_peer_trace(peer), "\\xc3\\xa9\" class_id=50"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_open_in_any_order_and_close),
        cmocka_unit_test(a_channel_number_above_the_negotiated_one_is_refused),
        cmocka_unit_test(more_channels_than_negotiated_are_refused),
        cmocka_unit_test(a_soft_error_leaves_the_connection_usable),
        cmocka_unit_test(everything_is_discarded_until_close_ok),
        cmocka_unit_test(both_ends_may_close_a_channel_at_once),
        cmocka_unit_test(what_a_failed_channel_had_delivered_comes_again),
        cmocka_unit_test(a_closed_channel_gives_its_messages_back),
        cmocka_unit_test(channels_close_in_order_over_several_shards),
        cmocka_unit_test(a_refusal_from_another_shard_closes_the_channel_without_input),
        cmocka_unit_test(long_error_texts_are_cut_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
