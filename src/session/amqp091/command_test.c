#include "session/amqp091/scene.h"

static void topology_methods_are_answered(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, EXCHANGE_DECLARE, exchange_declare, .exchange = lv_text("x"),
        .type = lv_text("fanout"));
    assert_hears(peer, "1 exchange.declare-ok\n");
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n");
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("q"), .exchange = lv_text("x"));
    assert_hears(peer, "1 queue.bind-ok\n");
    say_message(peer, "x", "", "one");
    say_message(peer, "x", "", "two");
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true);
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=2 consumer_count=0\n");
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.purge-ok message_count=2\n");
    SAY(peer, 1, QUEUE_UNBIND, queue_unbind, .queue = lv_text("q"), .exchange = lv_text("x"));
    assert_hears(peer, "1 queue.unbind-ok\n");
    SAY(peer, 1, EXCHANGE_DELETE, exchange_delete, .exchange = lv_text("x"), .if_unused = true);
    assert_hears(peer, "1 exchange.delete-ok\n");
    say_message(peer, "", "q", "three");
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.delete-ok message_count=1\n");
    scene_end(&scene);
}

static void no_wait_is_met_with_silence(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, EXCHANGE_DECLARE, exchange_declare, .exchange = lv_text("x"),
        .type = lv_text("direct"), .no_wait = true);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .no_wait = true);
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("q"), .exchange = lv_text("x"),
        .routing_key = lv_text("k"), .no_wait = true);
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"), .consumer_tag = lv_text("c"),
        .no_wait = true);
    SAY(peer, 1, CONFIRM_SELECT, confirm_select, .no_wait = true);
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("c"), .no_wait = true);
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"), .no_wait = true);
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"), .no_wait = true);
    SAY(peer, 1, EXCHANGE_DELETE, exchange_delete, .exchange = lv_text("x"), .no_wait = true);
    assert_hears(peer, "");
    /* an error is told all the same */
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .passive = true,
        .no_wait = true);
    assert_hears(peer, "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no queue 'q' in "
                       "vhost '/'\" class_id=50 method_id=10\n");
    scene_end(&scene);
}

static void line_ends_are_taken_out_of_names(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("a\r\nb\n"));
    SAY(peer, 1, EXCHANGE_DECLARE, exchange_declare, .exchange = lv_text("\nx"),
        .type = lv_text("fanout"));
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("a\nb"), .exchange = lv_text("x\r"));
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("\rab"));
    SAY(peer, 1, EXCHANGE_DELETE, exchange_delete, .exchange = lv_text("x\n"));
    assert_hears(peer, "1 queue.declare-ok queue=\"ab\" message_count=0 consumer_count=0\n"
                       "1 exchange.declare-ok\n1 queue.bind-ok\n"
                       "1 queue.delete-ok message_count=0\n1 exchange.delete-ok\n");
    scene_end(&scene);
}

static void the_last_queue_declared_may_stay_unnamed(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    say_message(peer, "", "q", "x");
    SAY(peer, 1, BASIC_GET, basic_get, .no_ack = true);
    SAY_PLAIN(peer, 1, BASIC_GET);
    assert_hears(peer, "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n"
                       "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=1 properties=2\n1 body x\n"
                       "1 basic.get-empty\n");
    scene_end(&scene);
}

static void consumers_get_named_and_cancelled(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    const char *heard;

    scene_begin(&scene);
    declare_queue(peer, "q");
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
    lv_world_settle(&scene.world);
    heard = lv_peer_trace(peer);
    assert_starts_with(heard, "1 basic.consume-ok consumer_tag=\"amq.ctag-");
    assert_int_equal(strlen(heard), strlen("1 basic.consume-ok consumer_tag=\"\"\n") + 31);
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"), .consumer_tag = lv_text("c"));
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("c"));
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("who?"));
    assert_hears(peer, "1 basic.consume-ok consumer_tag=\"c\"\n"
                       "1 basic.cancel-ok consumer_tag=\"c\"\n"
                       "1 basic.cancel-ok consumer_tag=\"who?\"\n");
    scene_end(&scene);
}

static void consumers_per_channel_are_limited(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    char tag[16];

    scene_begin(&scene);
    declare_queue(peer, "q");
    scene.peer.shard->world->limits.out_full = UINT32_MAX;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(tag, sizeof tag, "%u", i);
        SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"),
            .consumer_tag = lv_text(tag), .no_wait = true);
    }
    assert_hears(peer, "");
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("q"));
    assert_hears(peer, "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - reached "
                       "maximum (10000) of consumers per channel\" class_id=60 method_id=20\n");
    scene_end(&scene);
}

static void qos_flow_and_confirm_are_answered(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, BASIC_QOS, basic_qos, .prefetch_count = 1);
    SAY(peer, 1, BASIC_QOS, basic_qos, .prefetch_count = 10, .global = true);
    SAY(peer, 1, CHANNEL_FLOW, channel_flow, .active = true);
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    SAY_PLAIN(peer, 1, CONFIRM_SELECT);
    assert_hears(peer, "1 basic.qos-ok\n1 basic.qos-ok\n1 channel.flow-ok active=1\n"
                       "1 confirm.select-ok\n1 confirm.select-ok\n");
    scene_end(&scene);
}

static void prefetch_limits_what_is_delivered(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    SAY(peer, 1, BASIC_QOS, basic_qos, .prefetch_count = 1);
    assert_hears(peer, "1 basic.qos-ok\n");
    consume(peer, "q", false);
    say_message(peer, "", "q", "1");
    say_message(peer, "", "q", "2");
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"\" "
                       "routing_key=\"q\"\n1 header body=1 properties=2\n1 body 1\n");
    SAY(peer, 1, BASIC_ACK, basic_ack, .delivery_tag = 1);
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=2 exchange=\"\" "
                       "routing_key=\"q\"\n1 header body=1 properties=2\n1 body 2\n");
    SAY(peer, 1, BASIC_REJECT, basic_reject, .delivery_tag = 2, .requeue = true);
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=3 redelivered=1 "
                       "exchange=\"\" routing_key=\"q\"\n1 header body=1 properties=2\n1 body 2\n");
    SAY(peer, 1, BASIC_NACK, basic_nack, .delivery_tag = 3, .multiple = true);
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.delete-ok message_count=0\n"
                       "1 basic.cancel consumer_tag=\"c\" no_wait=1\n");
    scene_end(&scene);
}

static void settling_all_succeeds_even_if_there_is_nothing(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin(&scene);
    SAY(&scene.peer, 1, BASIC_ACK, basic_ack, .multiple = true);
    SAY(&scene.peer, 1, BASIC_NACK, basic_nack, .multiple = true, .requeue = true);
    assert_hears(&scene.peer, "");
    scene_end(&scene);
}

static void only_clients_that_asked_for_it_hear_of_cancelled_consumers(void **state)
{
    (void)state;
    static const char response[] = "\0guest\0guest";
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    lv_peer_say(peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
    SAY(peer, 0, CONNECTION_START_OK, connection_start_ok, .mechanism = lv_text("PLAIN"),
        .response = lv_bytes(response, sizeof response - 1));
    SAY(peer, 0, CONNECTION_TUNE_OK, connection_tune_ok, .channel_max = 1, .frame_max = 4096);
    SAY(peer, 0, CONNECTION_OPEN, connection_open, .virtual_host = lv_text("/"));
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    lv_world_settle(&scene.world);
    (void)lv_peer_trace(peer);
    consume(peer, "q", false);
    SAY(peer, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("c"));
    assert_hears(peer, "1 queue.delete-ok message_count=0\n1 basic.cancel-ok consumer_tag=\"c\"\n");
    scene_end(&scene);
}

/* Every client method that has a reply, against queues on other shards: the answers come later, in
 * the order of the questions, and nothing overtakes them. */
static void answers_from_other_shards_come_in_order(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    char name[8], line[128], want[1024] = "";

    lv_world_init(&scene.world, 3);
    lv_peer_init(peer, &scene.world, 2);
    lv_peer_open(peer);
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "q%u", i);
        SAY(peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name));
        SAY(peer, 1, BASIC_QOS, basic_qos, .prefetch_count = 1);
        SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text(name));
        snprintf(line, sizeof line,
                 "1 queue.declare-ok queue=\"%s\" message_count=0 consumer_count=0\n"
                 "1 basic.qos-ok\n1 basic.get-empty\n",
                 name);
        size_t size = strlen(want);
        snprintf(want + size, sizeof want - size, "%s", line);
    }
    lv_peer_push(peer, SIZE_MAX);
    assert_true(lv_session_is_paused(peer->session));
    assert_hears(peer, want);
    assert_false(lv_session_is_paused(peer->session));
    scene_end(&scene);
}

struct error_case {
    const char *name; /* of the test's line, when it fails */
    struct lv_amqp091_method method;
    const char *heard;
};

static const char properties_of_x[] = {4, 'x', '-', 't', 't', 't'}; /* a value is missing */

/* Each on a fresh connection with a queue "q", which has a consumer "c". */
static void errors_have_rabbitmqs_codes_and_texts(void **state)
{
    (void)state;
#define CASE(id_, member, ...)                                                                     \
    {                                                                                              \
        .id = LV_AMQP091_##id_, .member = { __VA_ARGS__ }                                          \
    }
#define NONE(id_)                                                                                  \
    {                                                                                              \
        .id = LV_AMQP091_##id_                                                                     \
    }
#define CONNECTION(code, text, ids)                                                                \
    "0 connection.close reply_code=" code " reply_text=\"" text "\" " ids "\n"
#define CHANNEL(code, text, ids)                                                                   \
    "1 channel.close reply_code=" code " reply_text=\"" text "\" " ids "\n"
#define NAME lv_text
    const struct error_case cases[] = {
        {"exchange not found",
         CASE(QUEUE_BIND, queue_bind, .queue = NAME("q"), .exchange = NAME("none")),
         CHANNEL("404", "NOT_FOUND - no exchange 'none' in vhost '/'", "class_id=50 method_id=20")},
        {"queue not found", CASE(BASIC_GET, basic_get, .queue = NAME("none")),
         CHANNEL("404", "NOT_FOUND - no queue 'none' in vhost '/'", "class_id=60 method_id=70")},
        {"reserved name", CASE(QUEUE_DECLARE, queue_declare, .queue = NAME("amq.x")),
         CHANNEL("403", "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'",
                 "class_id=50 method_id=10")},
        {"default exchange", CASE(EXCHANGE_DELETE, exchange_delete, .exchange = NAME("")),
         CHANNEL("403", "ACCESS_REFUSED - operation not permitted on the default exchange",
                 "class_id=40 method_id=20")},
        {"other property", CASE(QUEUE_DECLARE, queue_declare, .queue = NAME("q"), .durable = true),
         CHANNEL("406",
                 "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': "
                 "received 'true' but current is 'false'",
                 "class_id=50 method_id=10")},
        {"exclusive consumer",
         CASE(BASIC_CONSUME, basic_consume, .queue = NAME("q"), .exclusive = true),
         CHANNEL("403", "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
                 "class_id=60 method_id=20")},
        {"in use", CASE(QUEUE_DELETE, queue_delete, .queue = NAME("q"), .if_unused = true),
         CHANNEL("406", "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",
                 "class_id=50 method_id=40")},
        {"unknown tag", CASE(BASIC_ACK, basic_ack, .delivery_tag = 7),
         CHANNEL("406", "PRECONDITION_FAILED - unknown delivery tag 7",
                 "class_id=60 method_id=80")},
        {"tag 0", CASE(BASIC_REJECT, basic_reject, .requeue = true),
         CHANNEL("406", "PRECONDITION_FAILED - unknown delivery tag 0",
                 "class_id=60 method_id=90")},
        {"nack", CASE(BASIC_NACK, basic_nack, .delivery_tag = 1),
         CHANNEL("406", "PRECONDITION_FAILED - unknown delivery tag 1",
                 "class_id=60 method_id=120")},
        {"tag in use",
         CASE(BASIC_CONSUME, basic_consume, .queue = NAME("q"), .consumer_tag = NAME("c")),
         CONNECTION("530", "NOT_ALLOWED - attempt to reuse consumer tag 'c'",
                    "class_id=60 method_id=20")},
        {"prefetch size", CASE(BASIC_QOS, basic_qos, .prefetch_size = 9),
         CONNECTION("540", "NOT_IMPLEMENTED - prefetch_size!=0 (9)", "class_id=60 method_id=10")},
        {"flow", CASE(CHANNEL_FLOW, channel_flow, .active = false),
         CONNECTION("540", "NOT_IMPLEMENTED - active=false", "class_id=20 method_id=20")},
        {"immediate", CASE(BASIC_PUBLISH, basic_publish, .immediate = true),
         CONNECTION("540", "NOT_IMPLEMENTED - immediate=true", "class_id=60 method_id=40")},
        {"table",
         CASE(QUEUE_DECLARE, queue_declare, .queue = NAME("t"),
              .arguments = {(const uint8_t *)properties_of_x, sizeof properties_of_x}),
         CONNECTION("501",
                    "FRAME_ERROR - cannot decode <<4,120,45,116,116,116>>: it ends too early",
                    "class_id=50 method_id=10")},
        {"second open", NONE(CHANNEL_OPEN),
         CONNECTION("504", "CHANNEL_ERROR - second 'channel.open' seen",
                    "class_id=20 method_id=10")},
        {"tx.commit", NONE(TX_COMMIT),
         CHANNEL("406", "PRECONDITION_FAILED - channel is not transactional",
                 "class_id=90 method_id=20")},
        {"tx.rollback", NONE(TX_ROLLBACK),
         CHANNEL("406", "PRECONDITION_FAILED - channel is not transactional",
                 "class_id=90 method_id=30")},
        {"recover", NONE(BASIC_RECOVER),
         CONNECTION("540", "NOT_IMPLEMENTED - requeue=false", "class_id=60 method_id=110")},
        {"recover-async", NONE(BASIC_RECOVER_ASYNC),
         CONNECTION("540", "NOT_IMPLEMENTED - requeue=false", "class_id=60 method_id=100")},
        {"a server's method", NONE(QUEUE_DECLARE_OK),
         CONNECTION("503", "COMMAND_INVALID - unimplemented method", "class_id=50 method_id=11")},
        {"close-ok unasked", NONE(CHANNEL_CLOSE_OK),
         CONNECTION("503", "COMMAND_INVALID - unimplemented method", "class_id=20 method_id=41")},
        {"a connection's method", NONE(CONNECTION_OPEN),
         CONNECTION("503", "COMMAND_INVALID - unimplemented method", "class_id=10 method_id=40")},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        scene_begin(&scene);
        declare_queue(&scene.peer, "q");
        consume(&scene.peer, "q", false);
        lv_peer_say_method(&scene.peer, 1, &cases[i].method);
        lv_world_settle(&scene.world);
        const char *heard = lv_peer_trace(&scene.peer);
        if (strcmp(heard, cases[i].heard) != 0)
            print_error("%s\n", cases[i].name);
        assert_string_equal(heard, cases[i].heard);
        scene_end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topology_methods_are_answered),
        cmocka_unit_test(no_wait_is_met_with_silence),
        cmocka_unit_test(line_ends_are_taken_out_of_names),
        cmocka_unit_test(the_last_queue_declared_may_stay_unnamed),
        cmocka_unit_test(consumers_get_named_and_cancelled),
        cmocka_unit_test(consumers_per_channel_are_limited),
        cmocka_unit_test(qos_flow_and_confirm_are_answered),
        cmocka_unit_test(prefetch_limits_what_is_delivered),
        cmocka_unit_test(settling_all_succeeds_even_if_there_is_nothing),
        cmocka_unit_test(only_clients_that_asked_for_it_hear_of_cancelled_consumers),
        cmocka_unit_test(answers_from_other_shards_come_in_order),
        cmocka_unit_test(errors_have_rabbitmqs_codes_and_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
