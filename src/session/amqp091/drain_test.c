#include "session/amqp091/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WHY "broker forced connection closure with reason 'drain'"
#define CLOSE                                                                                      \
    "0 connection.close reply_code=320 reply_text=\"CONNECTION_FORCED - " WHY                      \
    "\" class_id=0 method_id=0\n"

/* What the server does in each of its turns. */
static void drain(struct scene *scene)
{
    lv_broker_rest(scene->world.shards[0].broker);
    for (struct lv_peer *peer = scene->world.peers; peer != NULL; peer = peer->next) {
        if (peer->session != NULL)
            lv_session_drain(peer->session, WHY);
    }
    lv_world_settle(&scene->world);
}

/* A consumer of the queue q that has got a message and not answered yet. */
static void begin_with_delivery(struct scene *scene)
{
    scene_begin(scene);
    declare_queue(&scene->peer, "q");
    consume(&scene->peer, "q", false);
    say_message(&scene->peer, "", "q", "x");
    lv_world_settle(&scene->world);
    assert_non_null(strstr(lv_peer_trace(&scene->peer), "basic.deliver"));
}

static void who_has_nothing_is_told_to_go(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    drain(&scene);
    assert_hears(&scene.peer, CLOSE);
    drain(&scene); /* once is enough */
    assert_hears(&scene.peer, "");
    SAY_PLAIN(&scene.peer, 0, CONNECTION_CLOSE_OK);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void a_handshake_is_given_up(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    lv_peer_say(&scene.peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
    lv_world_settle(&scene.world);
    (void)lv_peer_trace(&scene.peer);
    drain(&scene);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void who_holds_a_delivery_may_finish_it_and_publish_what_came_of_it(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    begin_with_delivery(&scene);
    drain(&scene);
    assert_hears(peer, "");
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    say_message(peer, "", "q", "result");
    assert_hears(peer, "1 confirm.select-ok\n1 basic.ack delivery_tag=1\n");
    drain(&scene);
    assert_hears(peer, ""); /* the result is not delivered either */
    SAY(peer, 1, BASIC_ACK, basic_ack, .delivery_tag = 1);
    lv_world_settle(&scene.world);
    drain(&scene);
    assert_hears(peer, CLOSE);
    scene_end(&scene);
}

static void what_is_put_back_is_not_delivered_again(void **state)
{
    (void)state;
    struct scene scene;

    begin_with_delivery(&scene);
    drain(&scene);
    SAY(&scene.peer, 1, BASIC_NACK, basic_nack, .delivery_tag = 1, .requeue = true);
    assert_hears(&scene.peer, "");
    drain(&scene);
    assert_hears(&scene.peer, CLOSE);
    scene_end(&scene);
}

static void nothing_new_is_given_to_who_holds_something(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    begin_with_delivery(&scene);
    drain(&scene);
    say_message(peer, "", "q", "y");
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    assert_hears(peer, "1 basic.get-empty\n");
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=1 consumer_count=1\n");
    scene_end(&scene);
}

static void a_consumer_that_only_waits_gets_nothing_any_more(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer idle;

    begin_with_delivery(&scene);
    lv_peer_init(&idle, &scene.world, 0);
    lv_peer_open(&idle);
    consume(&idle, "q", true);
    drain(&scene);
    assert_hears(&idle, CLOSE);
    say_message(&scene.peer, "", "q", "y");
    assert_hears(&idle, "");
    lv_peer_fini(&idle);
    scene_end(&scene);
}

/* Nothing that it says is heard any more, so it has nothing unconfirmed for ever. */
static void a_publisher_is_read_no_more_and_goes(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    say_message(peer, "", "q", "x");
    assert_hears(peer, "1 confirm.select-ok\n1 basic.ack delivery_tag=1\n");
    drain(&scene);
    say_message(peer, "", "q", "too late");
    assert_hears(peer, CLOSE);
    scene_end(&scene);
}

static void an_ack_in_a_transaction_counts_with_its_commit(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    begin_with_delivery(&scene);
    SAY_PLAIN(peer, 1, TX_SELECT);
    assert_hears(peer, "1 tx.select-ok\n");
    drain(&scene);
    SAY(peer, 1, BASIC_ACK, basic_ack, .delivery_tag = 1);
    assert_hears(peer, "");
    drain(&scene);
    assert_hears(peer, "");
    SAY_PLAIN(peer, 1, TX_COMMIT);
    assert_hears(peer, "1 tx.commit-ok\n");
    drain(&scene);
    assert_hears(peer, CLOSE);
    scene_end(&scene);
}

static void who_is_silent_meanwhile_is_held_by_its_heartbeat(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.world.limits.heartbeat_s = 10;
    lv_peer_open(&scene.peer);
    declare_queue(&scene.peer, "q");
    consume(&scene.peer, "q", false);
    say_message(&scene.peer, "", "q", "x");
    lv_world_settle(&scene.world);
    drain(&scene);
    lv_world_wait_ms(&scene.world, 100000);
    assert_null(scene.peer.session);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_nothing_is_told_to_go),
        cmocka_unit_test(a_handshake_is_given_up),
        cmocka_unit_test(who_holds_a_delivery_may_finish_it_and_publish_what_came_of_it),
        cmocka_unit_test(what_is_put_back_is_not_delivered_again),
        cmocka_unit_test(nothing_new_is_given_to_who_holds_something),
        cmocka_unit_test(a_consumer_that_only_waits_gets_nothing_any_more),
        cmocka_unit_test(a_publisher_is_read_no_more_and_goes),
        cmocka_unit_test(an_ack_in_a_transaction_counts_with_its_commit),
        cmocka_unit_test(who_is_silent_meanwhile_is_held_by_its_heartbeat),
    };

    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
