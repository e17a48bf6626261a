/* What lies at the edges of what a peer may choose, and one step beyond. */
#include "session/amqp091/limits.h"
#include "session/amqp091/scene.h"

#include "base/alloc.h"

#define UNKNOWN_TAG(channel, tag, id)                                                              \
    channel " channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - unknown delivery "   \
            "tag " tag "\" class_id=60 method_id=" id "\n"

static void all_channels_open_in_one_write_and_not_one_more(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    for (uint16_t number = LV_BOUND_CHANNEL_MAX; number >= 2; number--) {
        SAY_PLAIN(peer, number, CHANNEL_OPEN);
        SAY(peer, number, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .no_wait = true);
    }
    lv_world_settle(&scene.world);
    const char *heard = lv_peer_trace(peer);
    assert_starts_with(heard, "2047 channel.open-ok\n2046 channel.open-ok\n");
    unsigned lines = 0;
    for (const char *p = heard; (p = strstr(p, " channel.open-ok\n")) != NULL; p++)
        lines++;
    assert_int_equal(lines, LV_BOUND_CHANNEL_MAX - 1);
    SAY_PLAIN(peer, LV_BOUND_CHANNEL_MAX + 1, CHANNEL_OPEN);
    assert_hears(peer, "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - number of "
                       "channels opened (2047) has reached the negotiated channel_max (2047)\" "
                       "class_id=20 method_id=10\n");
    scene_end(&scene);
}

static void tags_out_of_range_close_their_channel(void **state)
{
    (void)state;
    static const struct {
        uint64_t tag;
        const char *heard;
    } cases[] = {
        {0, UNKNOWN_TAG("1", "0", "80")},
        {2, UNKNOWN_TAG("1", "2", "80")},
        {UINT32_MAX, UNKNOWN_TAG("1", "4294967295", "80")},
        {INT64_MAX, UNKNOWN_TAG("1", "9223372036854775807", "80")},
        {UINT64_MAX, UNKNOWN_TAG("1", "18446744073709551615", "80")},
    };

    for (size_t i = 0; i < 2 * LV_COUNT(cases); i++) {
        struct scene scene;
        uint64_t tag = cases[i / 2].tag;
        bool multiple = i % 2 == 1;
        scene_begin(&scene);
        declare_queue(&scene.peer, "q");
        say_message(&scene.peer, "", "q", "m");
        consume(&scene.peer, "q", false);
        SAY(&scene.peer, 1, BASIC_ACK, basic_ack, .delivery_tag = tag, .multiple = multiple);
        assert_hears(&scene.peer, tag == 0 && multiple ? "" : cases[i / 2].heard);
        scene_end(&scene);
    }
}

static void a_tag_is_good_once_and_on_its_own_channel(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_message(peer, "", "q", "m");
    consume(peer, "q", false);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY(peer, 2, BASIC_REJECT, basic_reject, .delivery_tag = 1);
    assert_hears(peer, "2 channel.open-ok\n" UNKNOWN_TAG("2", "1", "90"));
    SAY(peer, 1, BASIC_ACK, basic_ack, .delivery_tag = 1);
    SAY(peer, 1, BASIC_NACK, basic_nack, .delivery_tag = 1, .multiple = true);
    assert_hears(peer, UNKNOWN_TAG("1", "1", "120"));
    scene_end(&scene);
}

/* A message of that many bytes, and its depth in the queue. */
static void say_body_of(struct scene *scene, size_t size, const char *heard)
{
    struct lv_peer *peer = &scene->peer;
    uint8_t *body = lv_calloc(1, size + 1);

    assert_non_null(body);
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){.exchange = "", .key = "q", .body = lv_bytes(body, size)});
    lv_free(body);
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(peer, heard);
}

static void bodies_of_nothing_and_of_the_maximum_pass_and_one_byte_more_does_not(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    say_body_of(&scene, 0, "1 queue.purge-ok message_count=1\n");
    say_body_of(&scene, LV_BOUND_MESSAGE, "1 queue.purge-ok message_count=1\n");
    say_body_of(&scene, LV_BOUND_MESSAGE + 1,
                "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - message size "
                "16777217 is larger than max size 16777216\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* Above the size that no setting raises, nobody can tell what follows. */
static void a_body_beyond_all_limits_ends_the_connection(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY(&scene.peer, 1, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("q"));
    say_golden(&scene.peer, "02 0001 0000000e 003c 0000 0000000020000001 0000 ce");
    assert_hears(&scene.peer,
                 "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - content body size "
                 "536870913 exceeds maximum allowed size 536870912\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* Tables in each other, `depth` of them, as an argument. */
static void declare_nested(struct lv_peer *peer, unsigned depth)
{
    uint8_t entries[128 * 7], *end = entries + sizeof entries, *p = end;

    for (unsigned inside = 1; inside < depth; inside++) { /* from the innermost out */
        uint32_t size = (uint32_t)(end - p);
        p -= 7;
        lv_put32(lv_put8(lv_put8(lv_put8(p, 1), 'k'), 'F'), size);
    }
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("deep"),
        .arguments = lv_bytes(p, (size_t)(end - p)));
}

static void tables_are_sixty_four_deep_at_most(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    declare_nested(&scene.peer, LV_BOUND_TABLE_DEPTH);
    assert_hears(&scene.peer,
                 "1 queue.declare-ok queue=\"deep\" message_count=0 consumer_count=0\n");
    declare_nested(&scene.peer, LV_BOUND_TABLE_DEPTH + 1);
    lv_world_settle(&scene.world);
    assert_starts_with(lv_peer_trace(&scene.peer),
                       "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - cannot decode "
                       "<<");
    scene_end(&scene);
}

static void a_consumer_tag_may_be_used_again_when_it_is_free(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    consume(peer, "q", true);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY(peer, 2, BASIC_CONSUME, basic_consume, .queue = lv_text("q"), .consumer_tag = lv_text("c"));
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("c"));
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("amq.rabbitmq.reply-to"),
        .consumer_tag = lv_text("c"), .no_ack = true);
    assert_hears(peer, "2 channel.open-ok\n2 basic.consume-ok consumer_tag=\"c\"\n"
                       "1 basic.cancel-ok consumer_tag=\"c\"\n"
                       "1 basic.consume-ok consumer_tag=\"c\"\n");
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"), .consumer_tag = lv_text("c"));
    assert_hears(peer, "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - attempt to "
                       "reuse consumer tag 'c'\" class_id=60 method_id=20\n");
    scene_end(&scene);
}

/* Methods, headers and bodies of two messages, a transaction and a declare, each in its turn. */
static void channels_may_interleave_at_every_frame(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY_PLAIN(peer, 2, TX_SELECT);
    SAY(peer, 1, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("q"));
    SAY(peer, 2, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("q"));
    SAY_PLAIN(peer, 3, CHANNEL_OPEN);
    say_golden(peer, "02 0002 0000000e 003c 0000 0000000000000002 0000 ce");
    SAY(peer, 3, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    say_golden(peer, "02 0001 0000000e 003c 0000 0000000000000003 0000 ce");
    say_golden(peer, "03 0002 00000001 'a' ce 03 0001 00000001 'x' ce 08 0000 00000000 ce");
    say_golden(peer, "03 0001 00000002 'yz' ce 03 0002 00000001 'b' ce");
    SAY_PLAIN(peer, 2, TX_COMMIT);
    SAY(peer, 3, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    SAY(peer, 3, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    assert_hears(peer, "2 channel.open-ok\n2 tx.select-ok\n3 channel.open-ok\n"
                       "3 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n"
                       "2 tx.commit-ok\n"
                       "3 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=1\n3 header body=3 properties=2\n3 body xyz\n"
                       "3 basic.get-ok delivery_tag=2 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n3 header body=2 properties=2\n3 body ab\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_channels_open_in_one_write_and_not_one_more),
        cmocka_unit_test(tags_out_of_range_close_their_channel),
        cmocka_unit_test(a_tag_is_good_once_and_on_its_own_channel),
        cmocka_unit_test(bodies_of_nothing_and_of_the_maximum_pass_and_one_byte_more_does_not),
        cmocka_unit_test(a_body_beyond_all_limits_ends_the_connection),
        cmocka_unit_test(tables_are_sixty_four_deep_at_most),
        cmocka_unit_test(a_consumer_tag_may_be_used_again_when_it_is_free),
        cmocka_unit_test(channels_may_interleave_at_every_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
