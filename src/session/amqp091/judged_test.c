#include "session/amqp091/scene.h"

#include "codec/amqp091/content.h"

/* One short string as a property: flags, then its length and bytes. */
struct property {
    uint8_t raw[2 + 1 + 255];
};

static struct lv_bytes property(struct property *memory, enum lv_amqp091_property flag,
                                const char *text)
{
    uint8_t *p = lv_put16(memory->raw, (uint16_t)flag);

    p = lv_put_bytes(lv_put8(p, (uint8_t)strlen(text)), lv_text(text));
    return lv_bytes(memory->raw, (size_t)(p - memory->raw));
}

static void say_with(struct lv_peer *peer, const char *exchange, const char *key,
                     struct lv_bytes properties)
{
    lv_peer_say_publish(
        peer, 1,
        &(struct lv_peer_publish){
            .exchange = exchange, .key = key, .properties = properties, .body = lv_text("b")});
}

static void a_user_speaks_in_his_own_name_only(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct property memory;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_with(peer, "", "q", property(&memory, LV_AMQP091_PROPERTY_USER_ID, "guest"));
    SAY(peer, 1, QUEUE_PURGE, queue_purge, .queue = lv_text("q"));
    assert_hears(peer, "1 queue.purge-ok message_count=1\n");
    say_with(peer, "", "q", property(&memory, LV_AMQP091_PROPERTY_USER_ID, "mallory"));
    assert_hears(peer, "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - user_id "
                       "property set to 'mallory' but authenticated user was 'guest'\" "
                       "class_id=60 method_id=40\n");
    scene_end(&scene);
}

static void the_exchange_is_looked_at_before_the_properties(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct property memory;

    scene_begin(&scene);
    say_with(peer, "none", "q", property(&memory, LV_AMQP091_PROPERTY_USER_ID, "mallory"));
    assert_hears(peer, "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no exchange 'none' "
                       "in vhost '/'\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* Writes down the reply text of the error that the channel is closed with. */
static void take_error(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct lv_amqp091_method method;

    assert_int_equal(frame->type, LV_AMQP091_FRAME_METHOD);
    assert_int_equal(lv_amqp091_method_decode(frame->payload, &method, NULL), 0);
    if (method.id == LV_AMQP091_CHANNEL_CLOSE)
        snprintf(peer->ctx, 256, "%.*s", LV_FMT(method.channel_close.reply_text));
}

struct expiration_case {
    const char *value, *complaint; /* NULL: none */
};

/* The complaints are what RabbitMQ 3.10.8 says. */
static void an_expiration_is_a_number_that_is_not_too_large(void **state)
{
    (void)state;
    static const struct expiration_case cases[] = {
        {"0", NULL},
        {"-0", NULL},
        {"+5", NULL},
        {"007", NULL},
        {"315360000000", NULL},
        {"000000000315360000000", NULL},
        {"", "no_integer"},
        {"-", "no_integer"},
        {"+", "no_integer"},
        {"--5", "no_integer"},
        {"+-5", "no_integer"},
        {"abc", "no_integer"},
        {"  5", "no_integer"},
        {"12x", "{leftover_string,\"x\"}"},
        {"5 ", "{leftover_string,\" \"}"},
        {"1.5", "{leftover_string,\".5\"}"},
        {"1e3", "{leftover_string,\"e3\"}"},
        {"-5abc", "{leftover_string,\"abc\"}"},
        {"+5x", "{leftover_string,\"x\"}"},
        {"1\xc3\xa9", "{leftover_string,\"\xc3\xa9\"}"},
        {"1\xe2\x82\xac", "{leftover_string,[226,130,172]}"},
        {"1'\"\\\n\x01", "{leftover_string,[39,34,92,10,1]}"},
        {"1'\"\\", "{leftover_string,\"'\\\"\\\\\"}"},
        {"1\v\f\b\x1b\r", "{leftover_string,\"\\v\\f\\b\\e\\r\"}"},
        {"1\x7f", "{leftover_string,[127]}"},
        {"-1", "{value_negative,-1}"},
        {"-007", "{value_negative,-7}"},
        {"315360000001", "{value_too_large,315360000001}"},
        {"18446744073709551617", "{value_too_large,18446744073709551617}"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        struct lv_peer *peer = &scene.peer;
        struct property memory;
        char error[256] = "", want[256] = "";

        scene_begin(&scene);
        declare_queue(peer, "q");
        peer->on_frame = take_error;
        peer->ctx = error;
        say_with(peer, "", "q", property(&memory, LV_AMQP091_PROPERTY_EXPIRATION, cases[i].value));
        lv_world_settle(&scene.world);
        if (cases[i].complaint != NULL)
            snprintf(want, sizeof want, "PRECONDITION_FAILED - invalid expiration '%s': %s",
                     cases[i].value, cases[i].complaint);
        assert_string_equal(error, want);
        scene_end(&scene);
    }
}

/* Each case has the faults of those below it too. The headers are CC=1. */
static void of_a_messages_faults_the_first_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *exchange, *reply_to, *expiration, *headers, *error;
    } cases[] = {
        {"none", "amq.rabbitmq.reply-to", "x", "00000005 02'CC' 'b' 01",
         "NOT_FOUND - no exchange 'none' in vhost '/'"},
        {"", "amq.rabbitmq.reply-to", "x", "00000005 02'CC' 'b' 01",
         "PRECONDITION_FAILED - fast reply consumer does not exist"},
        {"", "me", "x", "00000005 02'CC' 'b' 01",
         "PRECONDITION_FAILED - invalid expiration 'x': no_integer"},
        {"", "me", "1", "00000005 02'CC' 'b' 01",
         "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",byte}"},
        {"", "me", "1", "00000000",
         "PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        struct lv_peer *peer = &scene.peer;
        char error[256] = "", text[256];

        scene_begin(&scene);
        peer->on_frame = take_error;
        peer->ctx = error;
        /* headers, reply-to, expiration, user-id */
        snprintf(text, sizeof text, "2310 %s %02zx'%s' %02zx'%s' 03'bob'", cases[i].headers,
                 strlen(cases[i].reply_to), cases[i].reply_to, strlen(cases[i].expiration),
                 cases[i].expiration);
        say_with(peer, cases[i].exchange, "q", golden(text));
        lv_world_settle(&scene.world);
        assert_string_equal(error, cases[i].error);
        scene_end(&scene);
    }
}

static void an_answer_wanted_directly_needs_a_consumer(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct property memory;

    scene_begin(&scene);
    say_with(peer, "", "q",
             property(&memory, LV_AMQP091_PROPERTY_REPLY_TO, "amq.rabbitmq.reply-to"));
    assert_hears(peer, "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - fast "
                       "reply consumer does not exist\" class_id=60 method_id=40\n");
    scene_end(&scene);
}

/* Writes down the reply-to of the message that the responder gets. */
static void take_reply_to(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct lv_amqp091_content content;
    struct lv_bytes value;
    char *name = peer->ctx;

    if (frame->type != LV_AMQP091_FRAME_HEADER)
        return;
    assert_int_equal(lv_amqp091_content_decode(frame->payload, &content, NULL), 0);
    assert_true(lv_amqp091_property_find(content.properties, LV_AMQP091_PROPERTY_REPLY_TO, &value));
    snprintf(name, 256, "%.*s", LV_FMT(value));
    assert_true(
        lv_amqp091_property_find(content.properties, LV_AMQP091_PROPERTY_CORRELATION_ID, &value));
    assert_true(lv_bytes_equal(value, lv_text("7")));
    assert_true(lv_amqp091_property_find(content.properties, LV_AMQP091_PROPERTY_APP_ID, &value));
    assert_true(lv_bytes_equal(value, lv_text("app")));
}

/* Requester on shard 0, responder on the last, the queue wherever it is. */
static void ask_and_answer(uint32_t shard_count)
{
    struct scene scene;
    struct lv_peer *peer = &scene.peer, responder;
    char name[256] = "", want[512];

    lv_world_init(&scene.world, shard_count);
    lv_peer_init(peer, &scene.world, 0);
    lv_peer_open(peer);
    lv_peer_init(&responder, &scene.world, shard_count - 1);
    lv_peer_open(&responder);
    declare_queue(&responder, "requests");
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("amq.rabbitmq.reply-to"),
        .consumer_tag = lv_text("r"), .no_ack = true);
    /* correlation-id, reply-to, app-id */
    say_with(peer, "", "requests", golden("0608 01 '7' 15 'amq.rabbitmq.reply-to' 03 'app'"));
    assert_hears(peer, "1 basic.consume-ok consumer_tag=\"r\"\n");
    responder.on_frame = take_reply_to;
    responder.ctx = name;
    SAY(&responder, 1, BASIC_GET, basic_get, .queue = lv_text("requests"), .no_ack = true);
    lv_world_settle(&scene.world);
    responder.on_frame = NULL;
    assert_starts_with(name, "amq.rabbitmq.reply-to.");
    assert_in_range(strlen(name), 22 + 32, 64);
    SAY(&responder, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .passive = true);
    say_message(&responder, "", name, "answer");
    snprintf(want, sizeof want,
             "1 queue.declare-ok queue=\"%s\" message_count=0 consumer_count=1\n", name);
    assert_hears(&responder, want);
    snprintf(want, sizeof want,
             "1 basic.deliver consumer_tag=\"r\" delivery_tag=1 exchange=\"\" routing_key=\"%s\"\n"
             "1 header body=6 properties=2\n1 body answer\n",
             name);
    assert_hears(peer, want);
    SAY(peer, 1, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text("r"));
    assert_hears(peer, "1 basic.cancel-ok consumer_tag=\"r\"\n");
    SAY(&responder, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .passive = true);
    snprintf(want, sizeof want,
             "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no queue '%s' in vhost "
             "'/'\" class_id=50 method_id=10\n",
             name);
    assert_hears(&responder, want);
    lv_peer_fini(&responder);
    scene_end(&scene);
}

static void answers_go_to_the_channel_that_asked(void **state)
{
    (void)state;
    ask_and_answer(1);
    ask_and_answer(3);
}

static void other_reply_tos_are_the_clients_own_business(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;
    struct property memory;

    scene_begin(&scene);
    declare_queue(peer, "q");
    say_with(peer, "", "q", property(&memory, LV_AMQP091_PROPERTY_REPLY_TO, "mine"));
    SAY(peer, 1, BASIC_GET, basic_get, .queue = lv_text("q"), .no_ack = true);
    assert_hears(peer, "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"q\" "
                       "message_count=0\n1 header body=1 properties=7\n1 body b\n");
    scene_end(&scene);
}

static void reply_consumers_have_errors_of_their_own(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    SAY(peer, 1, BASIC_CONSUME, basic_consume, .queue = lv_text("amq.rabbitmq.reply-to"));
    assert_hears(peer, "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - reply "
                       "consumer cannot acknowledge\" class_id=60 method_id=20\n");
    for (uint16_t channel = 2; channel <= 2; channel++) {
        SAY_PLAIN(peer, channel, CHANNEL_OPEN);
        for (int i = 0; i < 2; i++)
            SAY(peer, channel, BASIC_CONSUME, basic_consume,
                .queue = lv_text("amq.rabbitmq.reply-to"), .no_ack = true, .no_wait = true);
    }
    assert_hears(peer, "2 channel.open-ok\n"
                       "2 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - reply "
                       "consumer already set\" class_id=60 method_id=20\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_speaks_in_his_own_name_only),
        cmocka_unit_test(the_exchange_is_looked_at_before_the_properties),
        cmocka_unit_test(an_expiration_is_a_number_that_is_not_too_large),
        cmocka_unit_test(of_a_messages_faults_the_first_is_told),
        cmocka_unit_test(an_answer_wanted_directly_needs_a_consumer),
        cmocka_unit_test(answers_go_to_the_channel_that_asked),
        cmocka_unit_test(other_reply_tos_are_the_clients_own_business),
        cmocka_unit_test(reply_consumers_have_errors_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
