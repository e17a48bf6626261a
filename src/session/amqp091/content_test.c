#include "base/random.h"
#include "session/amqp091/scene.h"

/* Properties: delivery-mode 2; content-type and delivery-mode 2; all that there are. */
#define PERSISTENT "1000 02"
#define TYPED      "9000 0a 'text/plain' 02"
#define ALL_OF_THEM                                                                                \
    "fffc 01 'a' 01 'b' 00000007 01 'k' 'S' 00000000 02 09 01 'c' 01 'd' 02 '10' 01 'e' "          \
    "0000000000000001 01 'f' 05 'guest' 01 'h' 01 'i'"

static void get(struct lv_peer *peer, const char *queue)
{
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text(queue), .no_ack = true);
}

static void messages_come_back_as_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *properties, *body, *heard;
    } cases[] = {
        {"0000", "", "1 header body=0 properties=2\n"},
        {"0000", "x", "1 header body=1 properties=2\n1 body x\n"},
        {PERSISTENT, "hello", "1 header body=5 properties=3\n1 body hello\n"},
        {TYPED, "", "1 header body=0 properties=14\n"},
        {ALL_OF_THEM, "b", "1 header body=1 properties=48\n1 body b\n"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        char want[256];
        scene_begin(&scene);
        declare_queue(&scene.peer, "q");
        lv_peer_say_publish(&scene.peer, 1,
                            &(struct lv_peer_publish){.exchange = "",
                                                      .key = "q",
                                                      .properties = golden(cases[i].properties),
                                                      .body = lv_text(cases[i].body)});
        get(&scene.peer, "q");
        snprintf(want, sizeof want,
                 "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                 "message_count=0\n%s",
                 cases[i].heard);
        assert_hears(&scene.peer, want);
        scene_end(&scene);
    }
}

/* What a session has heard when the same bytes come in pieces. */
static void hear_in_pieces(struct lv_bytes said, size_t piece, char *heard, size_t size)
{
    struct scene scene;

    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    lv_peer_say(&scene.peer, said);
    lv_peer_push(&scene.peer, piece);
    lv_world_settle(&scene.world);
    snprintf(heard, size, "%s", lv_peer_trace(&scene.peer));
    scene_end(&scene);
}

/* A conversation with all kinds of messages, errors and the rest after them, as bytes. */
static void say_conversation(struct lv_peer *peer)
{
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    say_message(peer, "", "q", "first");
    say_message(peer, "", "q", "");
    lv_peer_say_publish(peer, 1,
                        &(struct lv_peer_publish){.exchange = "",
                                                  .key = "q",
                                                  .properties = golden(ALL_OF_THEM),
                                                  .body = lv_text("in three frames"),
                                                  .frame_max = 14});
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){
            .exchange = "", .key = "none", .body = lv_text("b"), .mandatory = true});
    for (int i = 0; i < 4; i++)
        get(peer, "q");
    SAY(peer, 1, BASIC_ACK, basic_ack, .multiple = true);
    say_message(peer, "none", "q", "to no exchange");
    say_message(peer, "", "q", "to a failed channel");
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    say_golden(peer, "08 0000 00000000 ce");
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = false);
    SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK);
}

static void pieces_of_any_size_give_the_same_conversation(void **state)
{
    (void)state;
    struct scene scene;
    char whole[4096], heard[4096];

    scene_begin(&scene);
    say_conversation(&scene.peer);
    struct lv_bytes said = lv_bytes(scene.peer.said, scene.peer.said_size);
    hear_in_pieces(said, SIZE_MAX, whole, sizeof whole);
    assert_non_null(strstr(whole, "1 header body=15 properties=48\n1 body in three frames\n"));
    assert_non_null(strstr(whole, "closed\n"));
    for (size_t piece = 1; piece < said.size; piece++) {
        hear_in_pieces(said, piece, heard, sizeof heard);
        assert_string_equal(heard, whole);
    }
    scene.peer.said_size = 0;
    scene_end(&scene);
}

static void a_split_at_any_byte_gives_the_same_conversation(void **state)
{
    (void)state;
    struct scene scene, other;
    char whole[4096];

    scene_begin(&scene);
    say_conversation(&scene.peer);
    struct lv_bytes said = lv_bytes(scene.peer.said, scene.peer.said_size);
    hear_in_pieces(said, SIZE_MAX, whole, sizeof whole);
    for (size_t split = 0; split <= said.size; split++) {
        scene_begin(&other);
        declare_queue(&other.peer, "q");
        lv_peer_say(&other.peer, lv_bytes(said.data, split));
        lv_peer_push(&other.peer, SIZE_MAX);
        lv_peer_say(&other.peer, lv_bytes(said.data + split, said.size - split));
        assert_hears(&other.peer, whole);
        scene_end(&other);
    }
    scene.peer.said_size = 0;
    scene_end(&scene);
}

/* 200 KiB in frames as large as they may be, in small reads. */
static void large_messages_arrive_piece_by_piece(void **state)
{
    (void)state;
    const size_t size = 200 * 1024;
    uint8_t *body = lv_alloc(size);
    struct lv_random random;
    struct scene scene;

    assert_non_null(body);
    lv_random_seed(&random, 1);
    put_letters(&random, body, size);
    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    for (int i = 0; i < 3; i++)
        lv_peer_say_publish(
            &scene.peer, 1,
            &(struct lv_peer_publish){.exchange = "", .key = "q", .body = lv_bytes(body, size)});
    lv_peer_push(&scene.peer, 5000);
    get(&scene.peer, "q");
    assert_hears(&scene.peer,
                 "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                 "message_count=2\n1 header body=204800 properties=2\n1 body (131064 bytes)\n"
                 "1 body (73736 bytes)\n");
    lv_free(body);
    scene_end(&scene);
}

static void an_announced_size_is_no_reason_to_hold_memory(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("q"));
    say_golden(peer, "02 0001 0000000e 003c 0000 0000000001000000 0000 ce"); /* 16 MiB */
    say_golden(peer, "03 0001 0001fff8 'a'");
    lv_world_settle(&scene.world);
    for (int i = 0; i < 1000; i++)
        say_golden(peer, "'b'");
    lv_alloc_fail_after(1,
                        true); /* what has come fits already, what is announced does not matter */
    lv_peer_push(peer, SIZE_MAX);
    lv_alloc_fail_after(0, false);
    assert_hears(peer, "");
    scene_end(&scene);
}

static void a_message_above_the_maximum_closes_the_channel(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    scene.world.limits.max_message_size = 10;
    declare_queue(peer, "q");
    say_message(peer, "", "q", "1234567890");
    say_message(peer, "", "q", "12345678901");
    assert_hears(peer, "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - message "
                       "size 11 is larger than max size 10\" class_id=60 method_id=40\n");
    SAY_PLAIN(peer, 1, CHANNEL_CLOSE_OK);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    get(peer, "q");
    assert_hears(peer, "1 channel.open-ok\n"
                       "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=10 properties=2\n1 body 1234567890\n");
    scene_end(&scene);
}

static void incomplete_messages_of_a_connection_are_bounded(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    static const uint8_t letters[3000];

    scene_begin(&scene);
    scene.world.limits.assembly_size = 10000;
    for (uint16_t channel = 1; channel <= 5; channel++) {
        char header[64];
        if (channel > 1)
            SAY_PLAIN(peer, channel, CHANNEL_OPEN);
        SAY(peer, channel, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("q"));
        snprintf(header, sizeof header, "02 %04x 0000000e 003c 0000 0000000000001000 0000 ce",
                 channel);
        say_golden(peer, header);
        snprintf(header, sizeof header, "03 %04x 00000bb8", channel);
        say_golden(peer, header);
        lv_peer_say(peer, lv_bytes(letters, sizeof letters));
        say_golden(peer, "ce");
    }
    assert_hears(peer, "2 channel.open-ok\n3 channel.open-ok\n"
                       "0 connection.close reply_code=506 reply_text=\"RESOURCE_ERROR - incomplete "
                       "messages need more than 10000 bytes\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* What a body may be depends on its header; all of these end the connection. */
static void wrong_frames_within_a_message_are_refused(void **state)
{
    (void)state;
#define PUBLISH "01 0001 0000000a 003c 0028 0000 00 01 'q' 00 ce "
#define HEADER  "02 0001 0000000e 003c 0000 0000000000000003 0000 ce "
#define CLOSE(code, text)                                                                          \
    "0 connection.close reply_code=" code " reply_text=\"" text "\" class_id=60 method_id=40\n"
    static const struct {
        const char *said, *heard;
    } cases[] = {
        {PUBLISH PUBLISH, CLOSE("505", "UNEXPECTED_FRAME - expected content header for class 60, "
                                       "got non content header frame instead")},
        {PUBLISH "03 0001 00000001 'x' ce",
         CLOSE("505", "UNEXPECTED_FRAME - expected content header for class 60, got non content "
                      "header frame instead")},
        {PUBLISH "02 0001 0000000e 0032 0000 0000000000000003 0000 ce",
         CLOSE("505", "UNEXPECTED_FRAME - expected content header for class 60, got one for class "
                      "50 instead")},
        {PUBLISH "02 0001 0000000e 003c 0001 0000000000000003 0000 ce",
         CLOSE("501", "FRAME_ERROR - cannot decode <<0,60,0,1,0,0,0,0,0,0,0,3,0,0>>: a content "
                      "header's weight is not 0")},
        {PUBLISH "02 0001 00000002 003c ce",
         CLOSE("501", "FRAME_ERROR - cannot decode <<0,60>>: a content header ends too early")},
        {PUBLISH "02 0001 0000000e 003c 0000 0000000020000001 0000 ce",
         CLOSE("501", "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size "
                      "536870912")},
        {PUBLISH "02 0001 0000000e 003c 0000 0000000000000003 8000 ce",
         CLOSE("501", "FRAME_ERROR - cannot decode <<128,0>>: it ends too early")},
        {PUBLISH HEADER PUBLISH, CLOSE("505", "UNEXPECTED_FRAME - expected content body, got non "
                                              "content body frame instead")},
        {PUBLISH HEADER HEADER, CLOSE("505", "UNEXPECTED_FRAME - expected content body, got non "
                                             "content body frame instead")},
        {PUBLISH HEADER "03 0001 00000004 'four' ce",
         CLOSE("501", "FRAME_ERROR - content body of 4 bytes exceeds the announced size 3")},
        {PUBLISH HEADER "03 0001 00000002 'ab' ce 03 0001 00000002 'cd' ce",
         CLOSE("501", "FRAME_ERROR - content body of 4 bytes exceeds the announced size 3")},
        {HEADER, "0 connection.close reply_code=505 reply_text=\"UNEXPECTED_FRAME - expected "
                 "method frame, got non method frame instead\" class_id=0 method_id=0\n"},
        {"03 0001 00000001 'x' ce",
         "0 connection.close reply_code=505 reply_text=\"UNEXPECTED_FRAME - expected method "
         "frame, got non method frame instead\" class_id=0 method_id=0\n"},
        {PUBLISH HEADER "03 0001 00000000 ce 03 0001 00000003 'abc' ce", ""}, /* pointless, but */
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        scene_begin(&scene);
        say_golden(&scene.peer, cases[i].said);
        assert_hears(&scene.peer, cases[i].heard);
        scene_end(&scene);
    }
}

static void messages_of_several_channels_may_interleave(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    declare_queue(peer, "q");
    say_golden(peer, "01 0001 0000000a 003c 0028 0000 00 01 'q' 00 ce"
                     "01 0002 0000000a 003c 0028 0000 00 01 'q' 00 ce"
                     "02 0002 0000000e 003c 0000 0000000000000003 0000 ce"
                     "02 0001 0000000e 003c 0000 0000000000000003 0000 ce"
                     "03 0001 00000002 'ab' ce"
                     "03 0002 00000003 'xyz' ce"
                     "08 0000 00000000 ce"
                     "03 0001 00000001 'c' ce");
    get(peer, "q");
    get(peer, "q");
    assert_hears(peer, "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=1\n1 header body=3 properties=2\n1 body xyz\n"
                       "1 basic.get-ok delivery_tag=2 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=3 properties=2\n1 body abc\n");
    scene_end(&scene);
}

static void running_out_of_memory_ends_one_connection_only(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 8; n++) {
        struct scene scene;
        struct lv_peer other;
        scene_begin(&scene);
        lv_peer_init(&other, &scene.world, 0);
        lv_peer_open(&other);
        declare_queue(&other, "q");
        lv_peer_say_publish(
            &scene.peer, 1,
            &(struct lv_peer_publish){
                .exchange = "", .key = "q", .body = lv_text("in three frames"), .frame_max = 14});
        lv_alloc_fail_after(n, false);
        lv_peer_push(&scene.peer, SIZE_MAX);
        lv_alloc_fail_after(0, false);
        lv_world_settle(&scene.world);
        const char *heard = lv_peer_trace(&scene.peer);
        if (heard[0] != '\0')
            assert_non_null(strstr(heard, "0 connection.close reply_code=506 reply_text=\"RESOURCE_"
                                          "ERROR - "));
        say_message(&other, "", "none", "x");
        get(&other, "none");
        lv_world_settle(&scene.world);
        assert_non_null(strstr(lv_peer_trace(&other), "1 channel.close reply_code=404"));
        lv_peer_fini(&other);
        scene_end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_as_they_were),
        cmocka_unit_test(pieces_of_any_size_give_the_same_conversation),
        cmocka_unit_test(a_split_at_any_byte_gives_the_same_conversation),
        cmocka_unit_test(large_messages_arrive_piece_by_piece),
        cmocka_unit_test(an_announced_size_is_no_reason_to_hold_memory),
        cmocka_unit_test(a_message_above_the_maximum_closes_the_channel),
        cmocka_unit_test(incomplete_messages_of_a_connection_are_bounded),
        cmocka_unit_test(wrong_frames_within_a_message_are_refused),
        cmocka_unit_test(messages_of_several_channels_may_interleave),
        cmocka_unit_test(running_out_of_memory_ends_one_connection_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
