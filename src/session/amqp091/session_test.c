#include "session/amqp091/limits.h"
#include "session/amqp091/scene.h"

static void silence_is_filled_with_heartbeats(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    lv_peer_open(peer);
    lv_world_wait_ms(&scene.world, 5000); /* what the handshake sent counts */
    assert_hears(peer, "");
    say_golden(peer, "08 0000 00000000 ce");
    lv_world_wait_ms(&scene.world, 5000);
    assert_hears(peer, "0 heartbeat\n");
    say_golden(peer, "08 0000 00000000 ce");
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    lv_world_wait_ms(&scene.world, 5000); /* any output will do */
    assert_hears(peer, "1 channel.flow-ok active=1\n");
    lv_world_wait_ms(&scene.world, 5000);
    assert_hears(peer, "0 heartbeat\n");
    scene_end(&scene);
}

static void two_silent_intervals_end_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    lv_peer_open(peer);
    lv_world_wait_ms(&scene.world, 29999);
    assert_non_null(peer->session);
    (void)lv_peer_trace(peer);
    peer->shows_events = true;
    lv_world_wait_ms(&scene.world, 1);
    assert_hears(peer, "* heartbeat.missed\n* connection.state releasing\n* connection.state "
                       "finished\n0 heartbeat\nclosed\n");
    scene_end(&scene);
}

static void any_byte_is_a_sign_of_life(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    static const char *const bytes[] = {"08", "00", "00", "00", "00", "00", "00"};

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    lv_peer_open(peer);
    for (size_t i = 0; i < LV_COUNT(bytes); i++) {
        say_golden(peer, bytes[i]);
        lv_world_wait_ms(&scene.world, 19000);
        assert_non_null(peer->session);
    }
    scene_end(&scene);
}

static void without_heartbeats_silence_may_last(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 0;
    lv_peer_open(&scene.peer);
    lv_world_wait_ms(&scene.world, 1000000);
    assert_non_null(scene.peer.session);
    assert_hears(&scene.peer, "");
    scene_end(&scene);
}

/* Who is blocked by an alarm can't be heard, so nothing can be expected of him. */
static void a_blocked_publisher_is_not_expected_to_be_heard(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    lv_peer_open(peer);
    lv_session_alarm(peer->session, "low on memory");
    say_message(peer, "", "none", "x");
    lv_world_wait_ms(&scene.world, 100000);
    assert_non_null(peer->session);
    scene_end(&scene);
}

static void a_peer_that_reads_is_alive_although_it_is_not_heard(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    scene.world.limits.out_low = 100;
    scene.world.limits.out_high = scene.world.limits.out_full = 1000;
    lv_peer_open(peer);
    peer->is_deaf = true;
    for (int i = 0; i < 200; i++)
        SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    for (int i = 0; i < 10; i++) {
        lv_world_wait_ms(&scene.world, 9000);
        assert_non_null(peer->session);
        assert_true(lv_session_is_paused(peer->session));
        lv_peer_hear(peer, 10);
    }
    lv_world_wait_ms(&scene.world, 30000); /* and no longer */
    assert_null(peer->session);
    scene_end(&scene);
}

static void an_alarm_blocks_who_publishes_and_nobody_else(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct lv_peer consumer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    lv_peer_init(&consumer, &scene.world, 0);
    lv_peer_open(&consumer);
    lv_session_alarm(peer->session, "low on memory");
    lv_session_alarm(consumer.session, "low on memory");
    SAY(&consumer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    assert_hears(peer, "1 channel.flow-ok active=1\n");
    assert_hears(&consumer, "1 channel.flow-ok active=1\n");
    say_message(peer, "", "q", "1"); /* the first one is still taken */
    say_message(peer, "", "q", "2");
    assert_hears(peer, "0 connection.blocked reason=\"low on memory\"\n");
    assert_true(lv_session_is_paused(peer->session));
    SAY(&consumer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(&consumer, "1 queue.purge-ok message_count=1\n");
    lv_session_alarm(peer->session, NULL);
    lv_session_alarm(consumer.session, NULL);
    assert_hears(peer, "0 connection.unblocked\n");
    assert_hears(&consumer, "");
    SAY(&consumer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(&consumer, "1 queue.purge-ok message_count=1\n");
    lv_peer_fini(&consumer);
    scene_end(&scene);
}

static void an_alarm_that_ends_before_anyone_publishes_is_not_told(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    lv_session_alarm(scene.peer.session, "low on memory");
    lv_session_alarm(scene.peer.session, NULL);
    say_message(&scene.peer, "", "none", "x");
    assert_hears(&scene.peer, "");
    scene_end(&scene);
}

static void stopping_tells_the_client_why(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    lv_session_stop(peer->session, "broker forced connection closure with reason 'shutdown'");
    assert_hears(peer, "0 connection.close reply_code=320 reply_text=\"CONNECTION_FORCED - broker "
                       "forced connection closure with reason 'shutdown'\" class_id=0 "
                       "method_id=0\n");
    lv_session_stop(peer->session, "again");
    SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK);
    assert_hears(peer, "closed\n");
    scene_end(&scene);
}

static void stopping_gives_up_a_handshake(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    lv_peer_say(&scene.peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
    lv_world_settle(&scene.world);
    (void)lv_peer_trace(&scene.peer);
    lv_session_stop(scene.peer.session, "shutdown");
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void stopping_after_a_long_silence_still_waits_for_the_answer(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 0;
    lv_peer_open(&scene.peer);
    lv_world_wait_ms(&scene.world, 3600000);
    lv_session_stop(scene.peer.session, "bye");
    lv_world_wait_ms(&scene.world, 9999);
    assert_non_null(scene.peer.session);
    lv_world_wait_ms(&scene.world, 1);
    assert_null(scene.peer.session);
    scene_end(&scene);
}

/* Exclusive queues are gone when close-ok is heard. */
static void exclusive_queues_end_with_their_connection(void **state)
{
    (void)state;
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct scene scene;
        struct lv_peer other;
        lv_world_init(&scene.world, shards);
        lv_peer_init(&scene.peer, &scene.world, 0);
        lv_peer_open(&scene.peer);
        lv_peer_init(&other, &scene.world, shards - 1);
        lv_peer_open(&other);
        SAY(&scene.peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("mine"),
            .exclusive = true);
        assert_hears(&scene.peer,
                     "1 queue.declare-ok queue=\"mine\" message_count=0 consumer_count=0\n");
        SAY(&other, 1, BASIC_GET, basic_get, .queue = lv_text("mine"));
        lv_world_settle(&scene.world);
        assert_starts_with(lv_peer_trace(&other), "1 channel.close reply_code=405");
        SAY(&scene.peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
        assert_hears(&scene.peer, "0 connection.close-ok\nclosed\n");
        SAY_PLAIN(&other, 1, CHANNEL_CLOSE_OK);
        SAY_PLAIN(&other, 1, CHANNEL_OPEN);
        SAY(&other, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("mine"));
        assert_hears(&other, "1 channel.open-ok\n1 queue.declare-ok queue=\"mine\" "
                             "message_count=0 consumer_count=0\n");
        lv_peer_fini(&other);
        scene_end(&scene);
    }
}

/* The socket breaks after each byte of a busy conversation; what was unacked comes back. */
static void a_connection_may_be_lost_at_any_byte(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 0);
    lv_peer_open(peer);
    declare_queue(peer, "q");
    say_message(peer, "", "q", "x");
    for (size_t size = 0; size < 1000; size++) {
        struct lv_peer lost;
        lv_peer_init(&lost, &scene.world, (uint32_t)(size % 3));
        lv_peer_say_hello(&lost);
        SAY_PLAIN(&lost, 1, CHANNEL_OPEN);
        SAY(&lost, 1, QUEUE_DECLARE, queue_declare, .exclusive = true);
        SAY(&lost, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
        SAY(&lost, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
        SAY(&lost, 1, CHANNEL_CLOSE, channel_close, .reply_code = 200);
        SAY_PLAIN(&lost, 2, CHANNEL_OPEN);
        SAY(&lost, 2, BASIC_PUBLISH, basic_publish, .routing_key = lv_text("none"));
        if (size < lost.said_size)
            lost.said_size = size;
        lv_peer_push(&lost, SIZE_MAX);
        if (size % 2 == 0)
            lv_world_settle(&scene.world);
        lv_peer_fini(&lost);
    }
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=1 consumer_count=0\n");
    scene_end(&scene);
}

static void a_command_may_be_pending_when_the_connection_is_lost(void **state)
{
    (void)state;
    static const char *const queues[] = {"a", "b", "c", "d", "e", "f", "g"};
    struct scene scene;

    lv_world_init(&scene.world, 3);
    for (size_t i = 0; i < LV_COUNT(queues); i++) {
        lv_peer_init(&scene.peer, &scene.world, 1);
        lv_peer_open(&scene.peer);
        declare_queue(&scene.peer, queues[i]);
        SAY(&scene.peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text(queues[i]));
        lv_peer_push(&scene.peer, SIZE_MAX);
        lv_peer_fini(&scene.peer);
    }
    lv_world_fini(&scene.world);
}

static void a_farewell_is_sent_after_the_core_has_let_go(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 1);
    lv_peer_open(peer);
    for (int i = 0; i < 6; i++)
        SAY(peer, 1, QUEUE_DECLARE, queue_declare, .exclusive = true, .no_wait = true);
    assert_hears(peer, "");
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = false);
    SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK); /* not yet: it is heard after the farewell only */
    lv_peer_push(peer, SIZE_MAX);
    assert_true(lv_session_is_paused(peer->session));
    assert_int_equal(lv_session_out(peer->session)->size, 0);
    assert_hears(peer, "0 connection.close reply_code=540 reply_text=\"NOT_IMPLEMENTED - "
                       "active=false\" class_id=20 method_id=20\nclosed\n");
    scene_end(&scene);
}

static void running_out_of_memory_anywhere_ends_one_connection(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 30; n++) {
        struct scene scene;
        struct lv_peer victim;
        scene_begin(&scene);
        lv_peer_init(&victim, &scene.world, 0);
        lv_peer_say_hello(&victim);
        SAY_PLAIN(&victim, 1, CHANNEL_OPEN);
        SAY_PLAIN(&victim, 9, CHANNEL_OPEN);
        SAY(&victim, 9, CHANNEL_FLOW, channel_flow, .active = false);
        lv_alloc_fail_after(n, false);
        lv_peer_push(&victim, SIZE_MAX);
        lv_alloc_fail_after(0, false);
        lv_world_settle(&scene.world);
        SAY(&scene.peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
        assert_hears(&scene.peer, "1 channel.flow-ok active=1\n");
        lv_peer_fini(&victim);
        scene_end(&scene);
    }
}

static void every_limit_has_a_reason(void **state)
{
    (void)state;
    size_t count = 0;

    for (const struct lv_bound *bound = lv_session_bounds; bound->name != NULL; bound++) {
        assert_true(bound->value > 0);
        assert_true(strlen(bound->unit) > 0 && strlen(bound->what) > 0);
        assert_true(strlen(bound->reason) > 0);
        count++;
    }
    assert_true(count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_filled_with_heartbeats),
        cmocka_unit_test(two_silent_intervals_end_the_connection),
        cmocka_unit_test(any_byte_is_a_sign_of_life),
        cmocka_unit_test(without_heartbeats_silence_may_last),
        cmocka_unit_test(a_blocked_publisher_is_not_expected_to_be_heard),
        cmocka_unit_test(a_peer_that_reads_is_alive_although_it_is_not_heard),
        cmocka_unit_test(an_alarm_blocks_who_publishes_and_nobody_else),
        cmocka_unit_test(an_alarm_that_ends_before_anyone_publishes_is_not_told),
        cmocka_unit_test(stopping_tells_the_client_why),
        cmocka_unit_test(stopping_gives_up_a_handshake),
        cmocka_unit_test(stopping_after_a_long_silence_still_waits_for_the_answer),
        cmocka_unit_test(exclusive_queues_end_with_their_connection),
        cmocka_unit_test(a_connection_may_be_lost_at_any_byte),
        cmocka_unit_test(a_command_may_be_pending_when_the_connection_is_lost),
        cmocka_unit_test(a_farewell_is_sent_after_the_core_has_let_go),
        cmocka_unit_test(running_out_of_memory_anywhere_ends_one_connection),
        cmocka_unit_test(every_limit_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
