#include "session/amqp091/scene.h"

static void a_transaction_in_one_write(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    SAY_PLAIN(peer, 1, TX_SELECT);
    SAY_PLAIN(peer, 1, TX_SELECT);
    say_message(peer, "", "q", "1");
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    SAY_PLAIN(peer, 1, TX_COMMIT);
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    SAY(peer, 1, BASIC_ACK, basic_ack, .delivery_tag = 1);
    SAY_PLAIN(peer, 1, TX_ROLLBACK);
    SAY(peer, 1, BASIC_NACK, basic_nack, .delivery_tag = 1, .requeue = true);
    SAY_PLAIN(peer, 1, TX_COMMIT);
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    assert_hears(peer, "1 tx.select-ok\n1 tx.select-ok\n1 basic.get-empty\n1 tx.commit-ok\n"
                       "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=1 properties=2\n1 body 1\n"
                       "1 tx.rollback-ok\n1 tx.commit-ok\n"
                       "1 basic.get-ok delivery_tag=2 redelivered=1 exchange=\"\" "
                       "routing_key=\"q\" message_count=0\n1 header body=1 properties=2\n"
                       "1 body 1\n");
    scene_end(&scene);
}

static void the_modes_exclude_each_other(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    SAY_PLAIN(peer, 1, TX_SELECT);
    assert_hears(peer, "1 confirm.select-ok\n"
                       "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - cannot "
                       "switch from confirm to tx mode\" class_id=90 method_id=10\n");
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    SAY_PLAIN(peer, 2, TX_SELECT);
    SAY_PLAIN(peer, 2, CONFIRM_SELECT);
    assert_hears(peer, "2 channel.open-ok\n2 tx.select-ok\n"
                       "2 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - cannot "
                       "switch from tx to confirm mode\" class_id=85 method_id=10\n");
    scene_end(&scene);
}

static void returns_come_before_commit_ok(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY_PLAIN(peer, 1, TX_SELECT);
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){
            .exchange = "", .key = "none", .body = lv_text("b"), .mandatory = true});
    assert_hears(peer, "1 tx.select-ok\n");
    SAY_PLAIN(peer, 1, TX_COMMIT);
    assert_hears(peer, "1 basic.return reply_code=312 reply_text=\"NO_ROUTE\" exchange=\"\" "
                       "routing_key=\"none\"\n1 header body=1 properties=2\n1 body b\n"
                       "1 tx.commit-ok\n");
    say_message(peer, "none", "", "x");
    assert_hears(peer, "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no exchange 'none' "
                       "in vhost '/'\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* What is said behind a commit waits for it. */
static void a_commit_over_several_shards_pauses_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    char name[8];

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 1);
    lv_peer_open(peer);
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "q%u", i);
        SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .no_wait = true);
    }
    SAY_PLAIN(peer, 1, TX_SELECT);
    assert_hears(peer, "1 tx.select-ok\n");
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "q%u", i);
        say_message(peer, "", name, "m");
    }
    SAY_PLAIN(peer, 1, TX_COMMIT);
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q0"));
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q5"));
    lv_peer_push(peer, SIZE_MAX);
    assert_true(lv_session_is_paused(peer->session));
    assert_hears(peer, "1 tx.commit-ok\n1 queue.purge-ok message_count=1\n"
                       "1 queue.purge-ok message_count=1\n");
    scene_end(&scene);
}

static void recover_requeues_and_is_answered_unless_async(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_message(peer, "", "q", "1");
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    lv_world_settle(&scene.world);
    (void)lv_peer_trace(peer);
    SAY(peer, 1, BASIC_RECOVER, basic_recover, .requeue = true);
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    assert_hears(peer, "1 basic.recover-ok\n1 basic.get-ok delivery_tag=2 redelivered=1 "
                       "exchange=\"\" routing_key=\"q\" message_count=0\n"
                       "1 header body=1 properties=2\n1 body 1\n");
    SAY(peer, 1, BASIC_RECOVER_ASYNC, basic_recover_async, .requeue = true);
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.purge-ok message_count=1\n");
    scene_end(&scene);
}

static void access_is_granted_to_whoever_asks(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY(&scene.peer, 1, ACCESS_REQUEST, access_request, .realm = lv_text("/data"), .write = true);
    assert_hears(&scene.peer, "1 access.request-ok ticket=1\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_in_one_write),
        cmocka_unit_test(the_modes_exclude_each_other),
        cmocka_unit_test(returns_come_before_commit_ok),
        cmocka_unit_test(a_commit_over_several_shards_pauses_the_connection),
        cmocka_unit_test(recover_requeues_and_is_answered_unless_async),
        cmocka_unit_test(access_is_granted_to_whoever_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
