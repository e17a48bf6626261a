#include "session/amqp091/scene.h"

#define FRAMING(text)                                                                              \
    "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - " text                           \
    "\" class_id=0 method_id=0\n"
#define UNEXPECTED(text)                                                                           \
    "0 connection.close reply_code=505 reply_text=\"UNEXPECTED_FRAME - " text                      \
    "\" class_id=0 method_id=0\n"
#define CHANNEL_ERROR(text, ids)                                                                   \
    "0 connection.close reply_code=504 reply_text=\"CHANNEL_ERROR - " text "\" " ids "\n"

struct bad_input {
    const char *said, *heard;
};

/* On an open connection with channel 1. */
static const struct bad_input bad_inputs[] = {
    /* frames */
    {"09 0001 00000000 ce", FRAMING("type 9, all octets = <<>>: unknown_frame")},
    {"00 0000 00000000 ce", FRAMING("type 0, all octets = <<>>: unknown_frame")},
    {"'GET / H'", FRAMING("type 71, all octets = <<>>: {frame_too_large,539959368,131064}")},
    {"01 0001 00020001", FRAMING("type 1, all octets = <<>>: {frame_too_large,131073,131064}")},
    {"03 0001 ffffffff", FRAMING("type 3, all octets = <<>>: {frame_too_large,4294967295,131064}")},
    {"08 0000 00000000 cf", FRAMING("type 8, all octets = <<>>: {invalid_frame_end_marker,207}")},
    {"01 0001 00000004 00140014 00",
     FRAMING("type 1, all octets = <<0,20,0,20>>: {invalid_frame_end_marker,0}")},
    {"02 0001 00000011 '01234567890123456' 00",
     FRAMING("type 2, first 16 octets = <<48,49,50,51,52,53,54,55,56,57,48,49,50,51,52,53>>: "
             "{invalid_frame_end_marker,0}")},
    {"01 0001 0000000a 003c 0028 0000 00 01 'q' 00 ce"
     "02 0001 0000000e 003c 0000 0000000000000003 0000 ce 03 0001 00000003 'abc' 00",
     FRAMING("type 3, all octets = <<>>: {invalid_frame_end_marker,0}")},
    {"08 0001 00000000 ce", UNEXPECTED("type 8, all octets = <<>>")},
    {"08 0000 00000001 00 ce", FRAMING("type 8, all octets = <<0>>: unknown_frame")},
    {"02 0000 00000002 003c ce", UNEXPECTED("type 2, all octets = <<0,60>>")},
    {"03 0000 00000000 ce", UNEXPECTED("type 3, all octets = <<>>")},
    {"02 0009 00000002 003c ce", UNEXPECTED("expected method frame, got non method frame instead")},
    {"03 0009 00000002 003c ce", UNEXPECTED("expected method frame, got non method frame instead")},
    /* channels */
    {"01 0002 00000005 0014 0014 01 ce",
     CHANNEL_ERROR("expected 'channel.open'", "class_id=20 method_id=20")},
    {"01 0002 00000004 0014 0029 ce",
     CHANNEL_ERROR("expected 'channel.open'", "class_id=20 method_id=41")},
    {"01 0000 00000005 0014 0014 01 ce",
     CHANNEL_ERROR("unexpected method in connection state running", "class_id=20 method_id=20")},
    {"01 0000 00000008 000a 0028 01 '/' 00 00 ce",
     CHANNEL_ERROR("unexpected method in connection state running", "class_id=10 method_id=40")},
    {"01 0000 0000000c 000a 001f 0000 00001000 0000 ce",
     CHANNEL_ERROR("unexpected method in connection state running", "class_id=10 method_id=31")},
    {"01 0000 00000004 000a 0033 ce",
     CHANNEL_ERROR("unexpected method in connection state running", "class_id=10 method_id=51")},
    {"01 0000 00000009 000a 0046 00000000 00 ce", "0 connection.update-secret-ok\n"},
    /* methods */
    {"01 0001 00000000 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - cannot decode <<>>: no method "
     "id\" class_id=0 method_id=0\n"},
    {"01 0001 00000003 003c00 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - cannot decode <<0,60,0>>: no "
     "method id\" class_id=0 method_id=0\n"},
    {"01 0001 00000004 003c 0063 ce",
     "0 connection.close reply_code=503 reply_text=\"COMMAND_INVALID - unimplemented method\" "
     "class_id=60 method_id=99\n"},
    {"01 0000 00000004 ffff ffff ce",
     "0 connection.close reply_code=503 reply_text=\"COMMAND_INVALID - unimplemented method\" "
     "class_id=65535 method_id=65535\n"},
    {"01 0001 00000004 0014 0014 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - cannot decode <<>>: it ends too "
     "early\" class_id=20 method_id=20\n"},
    {"01 0001 00000006 0014 0014 01 01 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - cannot decode <<1,1>>: bytes "
     "are left over\" class_id=20 method_id=20\n"},
    {"01 0001 0000000a 003c 0028 0000 00 01 ff 00 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - Malformed UTF-8 in shortstr\" "
     "class_id=60 method_id=40\n"},
    {"01 0001 0000000a 0032 001e 0000 02 c3 28 00 ce",
     "0 connection.close reply_code=501 reply_text=\"FRAME_ERROR - Malformed UTF-8 in shortstr\" "
     "class_id=50 method_id=30\n"},
};

static void every_malformed_input_gets_its_code_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < LV_COUNT(bad_inputs); i++) {
        struct scene scene;
        scene_begin(&scene);
        say_golden(&scene.peer, bad_inputs[i].said);
        lv_world_settle(&scene.world);
        const char *heard = lv_peer_trace(&scene.peer);
        if (strcmp(heard, bad_inputs[i].heard) != 0)
            print_error("after %s\n", bad_inputs[i].said);
        assert_string_equal(heard, bad_inputs[i].heard);
        scene_end(&scene);
    }
}

static void malformed_input_touches_nobody_else(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    for (size_t i = 0; i < LV_COUNT(bad_inputs); i++) {
        struct lv_peer bad;
        lv_peer_init(&bad, &scene.world, 0);
        lv_peer_open(&bad);
        say_golden(&bad, bad_inputs[i].said);
        say_message(&scene.peer, "", "q", "x");
        SAY(&scene.peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
        lv_world_settle(&scene.world);
        assert_starts_with(lv_peer_trace(&scene.peer), "1 basic.get-ok delivery_tag=");
        lv_peer_fini(&bad);
    }
    scene_end(&scene);
}

/* The same bytes, one by one. */
static void malformed_input_is_judged_the_same_however_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < LV_COUNT(bad_inputs); i++) {
        struct scene scene;
        char whole[512];
        scene_begin(&scene);
        say_golden(&scene.peer, bad_inputs[i].said);
        lv_world_settle(&scene.world);
        snprintf(whole, sizeof whole, "%s", lv_peer_trace(&scene.peer));
        scene_end(&scene);
        scene_begin(&scene);
        say_golden(&scene.peer, bad_inputs[i].said);
        lv_peer_push(&scene.peer, 1);
        assert_hears(&scene.peer, whole);
        scene_end(&scene);
    }
}

/* Handshake states: how many of the client's four steps are done, and what must not come then. */
static void wrong_frames_during_the_handshake_are_refused(void **state)
{
    (void)state;
#define QUEUE_PURGE       "01 0000 00000009 0032 001e 0000 01 'q' 00 ce"
#define TUNE_OK           "01 0000 0000000c 000a 001f 0001 00001000 0000 ce"
#define OPEN              "01 0000 00000008 000a 0028 01 '/' 00 00 ce"
#define STATE(state, ids) CHANNEL_ERROR("unexpected method in connection state " state, ids)
    static const struct {
        unsigned steps;
        const char *said, *heard, *logged;
    } cases[] = {
        {1, QUEUE_PURGE, "", "CHANNEL_ERROR - unexpected method in connection state starting"},
        {1, TUNE_OK, "", "CHANNEL_ERROR - unexpected method in connection state starting"},
        {1, OPEN, "", "CHANNEL_ERROR - unexpected method in connection state starting"},
        {1, "03 0000 00000000 ce", "", "UNEXPECTED_FRAME - type 3, all octets = <<>>"},
        {1, "01 0001 00000005 0014 000a 00 ce", "",
         "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>"},
        {1, "01 0000 00002001", "",
         "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}"},
        {2, OPEN, STATE("tuning", "class_id=10 method_id=40"), NULL},
        {2, QUEUE_PURGE, STATE("tuning", "class_id=50 method_id=30"), NULL},
        {2, "01 0001 00000005 0014 000a 00 ce", UNEXPECTED("type 1, all octets = <<0,20,0,10,0>>"),
         NULL},
        {2, "01 0000 00002001", FRAMING("type 1, all octets = <<>>: {frame_too_large,8193,8184}"),
         NULL},
        {3, TUNE_OK, STATE("opening", "class_id=10 method_id=31"), NULL},
        {3, QUEUE_PURGE, STATE("opening", "class_id=50 method_id=30"), NULL},
        {3, "03 0001 00000000 ce", UNEXPECTED("type 3, all octets = <<>>"), NULL},
        {3, "08 0000 00000000 ce", "", NULL}, /* a heartbeat is never wrong on channel 0 */
        {2, "01 0000 0000000b 000a 0032 00c8 00 0000 0000 ce", "0 connection.close-ok\nclosed\n",
         NULL},
    };
    static const char response[] = "\0guest\0guest";

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        struct lv_peer *peer = &scene.peer;
        scene_begin_new(&scene);
        lv_peer_say(peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
        if (cases[i].steps > 1)
            SAY(peer, 0, CONNECTION_START_OK, connection_start_ok, .mechanism = lv_text("PLAIN"),
                .response = lv_bytes(response, sizeof response - 1));
        if (cases[i].steps > 2)
            SAY(peer, 0, CONNECTION_TUNE_OK, connection_tune_ok, .channel_max = 1,
                .frame_max = 8192);
        lv_world_settle(&scene.world);
        (void)lv_peer_trace(peer);
        peer->shows_events = cases[i].logged != NULL;
        say_golden(peer, cases[i].said);
        lv_world_settle(&scene.world);
        if (cases[i].logged != NULL) {
            const char *heard = lv_peer_trace(peer);
            assert_starts_with(heard, "* handshake.error ");
            assert_starts_with(heard + strlen("* handshake.error "), cases[i].logged);
            peer->shows_events = false;
            lv_world_wait_ms(&scene.world, 3000);
            assert_hears(peer, "closed\n");
        } else {
            assert_hears(peer, cases[i].heard);
        }
        scene_end(&scene);
    }
}

static void nothing_but_the_end_is_heard_while_closing(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = false);
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    say_message(peer, "", "q", "lost");
    say_golden(peer, "01 0001 00000003 'abc' ce 03 0007 00000003 'abc' ce 08 0009 00000000 ce");
    assert_hears(peer, "0 connection.close reply_code=540 reply_text=\"NOT_IMPLEMENTED - "
                       "active=false\" class_id=20 method_id=20\n");
    SAY(peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
    assert_hears(peer, "0 connection.close-ok\n");
    SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK);
    assert_hears(peer, "closed\n");
    scene_end(&scene);
}

static void a_client_that_never_says_close_ok_is_cut_off(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY(&scene.peer, 1, CHANNEL_FLOW, channel_flow, .active = false);
    lv_world_wait_ms(&scene.world, 9999);
    assert_non_null(scene.peer.session);
    lv_world_wait_ms(&scene.world, 1);
    assert_null(scene.peer.session);
    scene_end(&scene);
}

/* After a framing error no close-ok can be found; the socket stays open for the client to read. */
static void after_a_framing_error_the_rest_is_thrown_away(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    say_golden(peer, "ff ffff ffffffff");
    assert_hears(peer, FRAMING("type 255, all octets = <<>>: "
                               "{frame_too_large,4294967295,131064}"));
    SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK);
    assert_hears(peer, "");
    assert_int_equal(peer->said_size, 0);
    lv_world_wait_ms(&scene.world, 2999);
    assert_non_null(peer->session);
    lv_world_wait_ms(&scene.world, 1);
    assert_hears(peer, "closed\n");
    scene_end(&scene);
}

static void a_framing_error_while_closing_ends_the_wait_for_close_ok(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY(&scene.peer, 1, CHANNEL_FLOW, channel_flow, .active = false);
    say_golden(&scene.peer, "ff ffff ffffffff");
    lv_world_wait_ms(&scene.world, 3000);
    assert_null(scene.peer.session);
    scene_end(&scene);
}

static void frames_may_exceed_the_limit_by_the_tolerance(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    uint8_t body[4096];

    memset(body, 'x', sizeof body);
    scene_begin_new(&scene);
    scene.world.limits.frame_max = 4096;
    lv_peer_open(peer);
    declare_queue(peer, "q");
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){
            .exchange = "", .key = "q", .body = lv_bytes(body, sizeof body), .frame_max = 4104});
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    assert_hears(peer, "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=4096 properties=2\n"
                       "1 body (4088 bytes)\n1 body xxxxxxxx\n");
    scene_end(&scene);
}

static void what_is_left_is_always_less_than_a_frame(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    uint8_t body[8000];

    memset(body, 'x', sizeof body);
    scene_begin_new(&scene);
    scene.world.limits.frame_max = 4096;
    lv_peer_open(peer);
    declare_queue(peer, "q");
    for (size_t size = 1; size < sizeof body; size += 7) {
        lv_peer_say_publish(
            peer, 1,
            &(struct lv_peer_publish){
                .exchange = "", .key = "q", .body = lv_bytes(body, size), .frame_max = 4096});
        size_t said = peer->said_size;
        peer->said_size = said - 1; /* the last byte is still under way */
        lv_peer_push(peer, SIZE_MAX);
        assert_true(peer->said_size < 4096 + 8);
        say_golden(peer, "ce");
        lv_peer_push(peer, SIZE_MAX);
        assert_int_equal(peer->said_size, 0);
    }
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.purge-ok message_count=1143\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_input_gets_its_code_and_text),
        cmocka_unit_test(malformed_input_touches_nobody_else),
        cmocka_unit_test(malformed_input_is_judged_the_same_however_it_comes),
        cmocka_unit_test(wrong_frames_during_the_handshake_are_refused),
        cmocka_unit_test(nothing_but_the_end_is_heard_while_closing),
        cmocka_unit_test(a_client_that_never_says_close_ok_is_cut_off),
        cmocka_unit_test(after_a_framing_error_the_rest_is_thrown_away),
        cmocka_unit_test(a_framing_error_while_closing_ends_the_wait_for_close_ok),
        cmocka_unit_test(frames_may_exceed_the_limit_by_the_tolerance),
        cmocka_unit_test(what_is_left_is_always_less_than_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
