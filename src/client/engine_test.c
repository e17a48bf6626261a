#include "client/engine.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define FRAME_MAX 4096u
#define BODY_MAX  100000u

/* A text that tests compare with what they expect. */
struct trace {
    char text[8192];
    size_t used;
};

/* Bytes that a broker sends. */
struct script {
    uint8_t data[262144];
    size_t size;
};

struct fixture {
    struct lv_chunk_pool pool;
    struct lv_engine *engine;
    struct trace events; /* what the engine told */
    struct trace sent;   /* what it wrote, decoded */
    struct script script;
    uint64_t now;
};

static void LV_PRINTF(2, 3) note(struct trace *trace, const char *fmt, ...)
{
    size_t room = sizeof trace->text - trace->used;
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(trace->text + trace->used, room, fmt, args);
    va_end(args);
    assert_true(size >= 0 && (size_t)size < room);
    trace->used += (size_t)size;
}

static void note_method(struct trace *trace, const struct lv_amqp091_method *method)
{
    char line[512];

    lv_amqp091_method_print(method, line, sizeof line);
    note(trace, " %s", line);
}

static void note_event(void *ctx, const struct lv_engine_event *event)
{
    static const char *const names[] = {"opened",    "replied",        "delivered", "got",
                                        "returned",  "confirmed",      "cancelled", "blocked",
                                        "unblocked", "channel-closed", "closed"};
    struct fixture *f = ctx;

    note(&f->events, "%s", names[event->kind]);
    if (event->channel != 0)
        note(&f->events, "[%u]", event->channel);
    if (event->kind == LV_ENGINE_CONFIRMED)
        note(&f->events, " %s%d-%d", event->refused ? "refused " : "", (int)event->first,
             (int)event->last);
    if (event->kind == LV_ENGINE_CLOSED || event->kind == LV_ENGINE_CHANNEL_CLOSED)
        note(&f->events, " %s %u '%s'", event->error == 0 ? "-" : lv_error_name(event->error),
             event->reply_code, event->text);
    else if (event->method != NULL)
        note_method(&f->events, event->method);
    if (event->message != NULL) {
        struct lv_bytes body = event->message->body;

        note_method(&f->events, &event->message->method);
        note(&f->events, " properties=%d", (int)event->message->properties.size);
        note(&f->events, " body=%d'%.*s'", (int)body.size, body.size <= 16 ? (int)body.size : 4,
             (const char *)body.data);
    }
    note(&f->events, "\n");
}

/* Takes the engine's output and notes its frames. */
static void note_sent(struct fixture *f)
{
    static uint8_t data[262144];
    struct lv_bytes pieces[64];
    size_t size = 0, at = 0, count;

    count = lv_out_gather(lv_engine_out(f->engine), pieces, LV_COUNT(pieces));
    for (size_t i = 0; i < count; i++) {
        assert_true(size + pieces[i].size <= sizeof data);
        memcpy(data + size, pieces[i].data, pieces[i].size);
        size += pieces[i].size;
    }
    assert_int_equal(size, lv_engine_out(f->engine)->size);
    lv_out_consume(lv_engine_out(f->engine), size);
    if (size >= 8 && memcmp(data, "AMQP", 4) == 0) {
        note(&f->sent, "AMQP %u %u %u %u\n", data[4], data[5], data[6], data[7]);
        at = 8;
    }
    while (at < size) {
        struct lv_amqp091_frame frame;
        struct lv_amqp091_method method;
        int used = lv_amqp091_frame_decode(lv_bytes(data + at, size - at), 0, &frame, NULL);

        assert_true(used > 0);
        at += (size_t)used;
        note(&f->sent, "%u", frame.channel);
        if (frame.type == LV_AMQP091_FRAME_METHOD) {
            assert_int_equal(lv_amqp091_method_decode(frame.payload, &method, NULL), 0);
            note_method(&f->sent, &method);
        } else {
            note(&f->sent, " type %u size %d", frame.type, (int)frame.payload.size);
        }
        note(&f->sent, "\n");
    }
}

/* The broker's side of the script. */
static void say(struct fixture *f, uint16_t channel, const struct lv_amqp091_method *method)
{
    struct script *script = &f->script;
    uint8_t *p = script->data + script->size;

    assert_true(script->size + lv_amqp091_frame_method_size(method) <= sizeof script->data);
    script->size += (size_t)(lv_amqp091_frame_encode_method(method, channel, p) - p);
}

static void say_id(struct fixture *f, uint16_t channel, uint32_t id)
{
    const struct lv_amqp091_method method = {.id = id};

    say(f, channel, &method);
}

static void say_frame(struct fixture *f, uint8_t type, uint16_t channel, struct lv_bytes payload)
{
    struct script *script = &f->script;
    uint8_t *p = script->data + script->size;

    assert_true(script->size + payload.size + 8 <= sizeof script->data);
    p = lv_amqp091_frame_head_encode(p, type, channel, payload.size);
    p = lv_put8(lv_put_bytes(p, payload), LV_AMQP091_FRAME_END);
    script->size = (size_t)(p - script->data);
}

static void say_header(struct fixture *f, uint16_t channel, uint64_t body_size)
{
    static const uint8_t persistent[] = {0x10, 0x00, 2};
    const struct lv_amqp091_content content = {body_size, lv_bytes(persistent, sizeof persistent)};
    uint8_t payload[64];
    uint8_t *end = lv_amqp091_content_encode(&content, payload);

    say_frame(f, LV_AMQP091_FRAME_HEADER, channel, lv_bytes(payload, (size_t)(end - payload)));
}

static void say_delivery(struct fixture *f, uint16_t channel, uint64_t tag)
{
    const struct lv_amqp091_method deliver = {.id = LV_AMQP091_BASIC_DELIVER,
                                              .basic_deliver = {.consumer_tag = lv_text("c"),
                                                                .delivery_tag = tag,
                                                                .exchange = lv_text("x"),
                                                                .routing_key = lv_text("key")}};

    say(f, channel, &deliver);
}

/* Lets the engine take the script in pieces of `step` bytes, as a driver would. */
static void hear_in_steps(struct fixture *f, size_t step)
{
    size_t used = 0, come = 0;

    while (come < f->script.size) {
        come = come + step < f->script.size ? come + step : f->script.size;
        used += lv_engine_input(f->engine, lv_bytes(f->script.data + used, come - used), f->now);
        assert_true(used <= come);
    }
    f->script.size = 0;
    note_sent(f);
}

static void hear(struct fixture *f)
{
    hear_in_steps(f, sizeof f->script.data);
}

static void say_start(struct fixture *f)
{
    static const uint8_t properties[] = "\x07productS\0\0\0\x06Rabbit\x07versionS\0\0\0\x03"
                                        "4.1";
    const struct lv_amqp091_method start = {
        .id = LV_AMQP091_CONNECTION_START,
        .connection_start = {.version_major = 0,
                             .version_minor = 9,
                             .server_properties = lv_bytes(properties, sizeof properties - 1),
                             .mechanisms = lv_text("AMQPLAIN PLAIN"),
                             .locales = lv_text("en_US")}};

    say(f, 0, &start);
}

static void say_tune(struct fixture *f)
{
    const struct lv_amqp091_method tune = {
        .id = LV_AMQP091_CONNECTION_TUNE,
        .connection_tune = {.channel_max = 10, .frame_max = FRAME_MAX, .heartbeat = 60}};

    say(f, 0, &tune);
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    lv_chunk_pool_init(&f->pool);
    f->now = 5 * LV_NS_PER_S;
    f->engine = lv_engine_new(&(struct lv_engine_config){.user = "guest",
                                                         .password = "secret",
                                                         .vhost = "/",
                                                         .name = "test",
                                                         .version = "0",
                                                         .heartbeat_s = 10,
                                                         .frame_max = 131072,
                                                         .body_max = BODY_MAX,
                                                         .event = note_event,
                                                         .event_ctx = f,
                                                         .pool = &f->pool},
                              f->now);
    assert_non_null(f->engine);
}

static void teardown(struct fixture *f)
{
    lv_engine_free(f->engine);
    assert_int_equal(f->pool.used_count, 0);
    lv_chunk_pool_fini(&f->pool);
}

/* A fixture whose engine has an open channel 1; the traces are empty. */
static void setup_open(struct fixture *f)
{
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};

    setup(f);
    say_start(f);
    say_tune(f);
    say_id(f, 0, LV_AMQP091_CONNECTION_OPEN_OK);
    hear(f);
    assert_int_equal(lv_engine_call(f->engine, 1, &open, NULL), 0);
    say_id(f, 1, LV_AMQP091_CHANNEL_OPEN_OK);
    hear(f);
    assert_string_equal(f->events.text, "opened\nreplied[1] channel.open-ok\n");
    memset(&f->events, 0, sizeof f->events);
    memset(&f->sent, 0, sizeof f->sent);
}

static int call(struct fixture *f, uint32_t id)
{
    const struct lv_amqp091_method method = {.id = id};

    return lv_engine_call(f->engine, 1, &method, NULL);
}

static int publish(struct fixture *f, struct lv_bytes body, uint64_t *ret_tag)
{
    const struct lv_amqp091_basic_publish to = {.exchange = lv_text("x"),
                                                .routing_key = lv_text("key")};
    const struct lv_engine_content content = {lv_bytes("\0\0", 2), body};

    return lv_engine_publish(f->engine, 1, &to, &content, ret_tag, NULL);
}

static void the_handshake_leads_to_an_open_connection(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    say_start(&f);
    hear(&f);
    assert_string_equal(lv_engine_server(f.engine), "Rabbit 4.1");
    assert_non_null(strstr(f.sent.text, "AMQP 0 0 9 1\n0 connection.start-ok "));
    assert_non_null(strstr(f.sent.text, "mechanism=\"PLAIN\""));
    assert_null(strstr(f.sent.text, "secret"));
    memset(&f.sent, 0, sizeof f.sent);
    say_tune(&f);
    hear(&f);
    assert_string_equal(f.sent.text,
                        "0 connection.tune-ok channel_max=10 frame_max=4096 heartbeat=10\n"
                        "0 connection.open virtual_host=\"/\"\n");
    assert_string_equal(f.events.text, "");
    say_id(&f, 0, LV_AMQP091_CONNECTION_OPEN_OK);
    hear(&f);
    assert_string_equal(f.events.text, "opened\n");
    assert_int_equal(lv_engine_frame_max(f.engine), FRAME_MAX);
    teardown(&f);
}

/* All that a broker may say after the handshake. */
static void say_much(struct fixture *f)
{
    static uint8_t body[9000];
    const struct lv_amqp091_method blocked = {
        .id = LV_AMQP091_CONNECTION_BLOCKED,
        .connection_blocked = {.reason = lv_text("low on memory")}};
    const struct lv_amqp091_method declared = {
        .id = LV_AMQP091_QUEUE_DECLARE_OK,
        .queue_declare_ok = {.queue = lv_text("q"), .message_count = 3, .consumer_count = 1}};

    memset(body, 'b', sizeof body);
    say(f, 1, &declared);
    say_frame(f, LV_AMQP091_FRAME_HEARTBEAT, 0, lv_bytes(NULL, 0));
    say_delivery(f, 1, 1);
    say_header(f, 1, 0);
    say_delivery(f, 1, 2);
    say_header(f, 1, 5);
    say_frame(f, LV_AMQP091_FRAME_BODY, 1, lv_text("hello"));
    say_delivery(f, 1, 3);
    say_header(f, 1, sizeof body);
    say_frame(f, LV_AMQP091_FRAME_BODY, 1, lv_bytes(body, 4088));
    say(f, 0, &blocked);
    say_frame(f, LV_AMQP091_FRAME_BODY, 1, lv_bytes(body, 4088));
    say_frame(f, LV_AMQP091_FRAME_BODY, 1, lv_bytes(body, sizeof body - 2 * 4088));
    say_id(f, 0, LV_AMQP091_CONNECTION_UNBLOCKED);
    say_id(f, 1, LV_AMQP091_CHANNEL_CLOSE_OK);
}

static const char much[] =
    "replied[1] queue.declare-ok queue=\"q\" message_count=3 consumer_count=1\n"
    "delivered[1] basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"x\" "
    "routing_key=\"key\" properties=3 body=0''\n"
    "delivered[1] basic.deliver consumer_tag=\"c\" delivery_tag=2 exchange=\"x\" "
    "routing_key=\"key\" properties=3 body=5'hello'\n"
    "blocked connection.blocked reason=\"low on memory\"\n"
    "delivered[1] basic.deliver consumer_tag=\"c\" delivery_tag=3 exchange=\"x\" "
    "routing_key=\"key\" properties=3 body=9000'bbbb'\n"
    "unblocked connection.unblocked\n"
    "replied[1] channel.close-ok\n";

static void a_split_at_any_byte_changes_nothing(void **state)
{
    (void)state;
    for (size_t step = 1; step < 300; step += step < 40 ? 1 : 37) {
        struct fixture f;

        setup_open(&f);
        assert_int_equal(call(&f, LV_AMQP091_QUEUE_DECLARE), 0);
        assert_int_equal(call(&f, LV_AMQP091_CHANNEL_CLOSE), 0);
        say_much(&f);
        hear_in_steps(&f, step);
        assert_string_equal(f.events.text, much);
        assert_false(lv_engine_is_closed(f.engine));
        assert_false(lv_engine_is_blocked(f.engine));
        teardown(&f);
    }
}

static void the_handshake_may_come_byte_by_byte(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    say_start(&f);
    say_tune(&f);
    say_id(&f, 0, LV_AMQP091_CONNECTION_OPEN_OK);
    hear_in_steps(&f, 1);
    assert_string_equal(f.events.text, "opened\n");
    teardown(&f);
}

static void answers_belong_to_the_oldest_call(void **state)
{
    struct fixture f;

    (void)state;
    setup_open(&f);
    assert_int_equal(call(&f, LV_AMQP091_QUEUE_PURGE), 0);
    assert_int_equal(call(&f, LV_AMQP091_BASIC_GET), 0);
    assert_int_equal(call(&f, LV_AMQP091_BASIC_QOS), 0);
    say_id(&f, 1, LV_AMQP091_QUEUE_PURGE_OK);
    say_id(&f, 1, LV_AMQP091_BASIC_GET_EMPTY);
    hear(&f);
    say_id(&f, 1, LV_AMQP091_QUEUE_PURGE_OK);
    hear(&f);
    assert_non_null(strstr(f.events.text, "replied[1] queue.purge-ok message_count=0\n"
                                          "replied[1] basic.get-empty\n"
                                          "closed COMMAND_INVALID 0 'queue.purge-ok came"));
    assert_non_null(strstr(f.sent.text, "0 connection.close reply_code=503"));
    teardown(&f);
}

static void a_message_can_be_fetched(void **state)
{
    const struct lv_amqp091_method got = {.id = LV_AMQP091_BASIC_GET_OK,
                                          .basic_get_ok = {.delivery_tag = 1}};
    struct fixture f;

    (void)state;
    setup_open(&f);
    assert_int_equal(call(&f, LV_AMQP091_BASIC_GET), 0);
    say(&f, 1, &got);
    say_header(&f, 1, 1);
    say_frame(&f, LV_AMQP091_FRAME_BODY, 1, lv_text("m"));
    hear(&f);
    assert_non_null(strstr(f.events.text, "got[1] basic.get-ok delivery_tag=1"));
    assert_non_null(strstr(f.events.text, "body=1'm'\n"));
    teardown(&f);
}

static void publishes_are_cut_into_frames_and_confirmed(void **state)
{
    static const uint8_t body[10000];
    const struct lv_amqp091_method ack = {.id = LV_AMQP091_BASIC_ACK,
                                          .basic_ack = {.delivery_tag = 2, .multiple = true}};
    const struct lv_amqp091_method nack = {.id = LV_AMQP091_BASIC_NACK,
                                           .basic_nack = {.delivery_tag = 3}};
    struct fixture f;
    uint64_t tag = 42;

    (void)state;
    setup_open(&f);
    assert_int_equal(publish(&f, lv_text("early"), &tag), 0);
    assert_int_equal(tag, 0); /* not in confirm mode yet */
    assert_int_equal(call(&f, LV_AMQP091_CONFIRM_SELECT), 0);
    say_id(&f, 1, LV_AMQP091_CONFIRM_SELECT_OK);
    hear(&f);
    memset(&f.sent, 0, sizeof f.sent);
    assert_int_equal(publish(&f, lv_bytes(NULL, 0), &tag), 0);
    assert_int_equal(tag, 1);
    assert_int_equal(publish(&f, lv_bytes(body, sizeof body), &tag), 0);
    assert_int_equal(publish(&f, lv_text("third"), &tag), 0);
    assert_int_equal(tag, 3);
    assert_int_equal(lv_engine_unconfirmed(f.engine, 1), 3);
    say(&f, 1, &ack);
    say(&f, 1, &nack);
    hear(&f);
    assert_string_equal(f.sent.text, "1 basic.publish exchange=\"x\" routing_key=\"key\"\n"
                                     "1 type 2 size 14\n"
                                     "1 basic.publish exchange=\"x\" routing_key=\"key\"\n"
                                     "1 type 2 size 14\n1 type 3 size 4088\n"
                                     "1 type 3 size 4088\n1 type 3 size 1824\n"
                                     "1 basic.publish exchange=\"x\" routing_key=\"key\"\n"
                                     "1 type 2 size 14\n1 type 3 size 5\n");
    assert_non_null(strstr(f.events.text, "confirmed[1] 1-2\nconfirmed[1] refused 3-3\n"));
    assert_int_equal(lv_engine_unconfirmed(f.engine, 1), 0);
    say(&f, 1, &nack);
    hear(&f);
    assert_non_null(strstr(f.events.text, "closed COMMAND_INVALID 0 'publish 3 was confirmed"));
    teardown(&f);
}

static void a_message_may_come_back(void **state)
{
    const struct lv_amqp091_method returned = {.id = LV_AMQP091_BASIC_RETURN,
                                               .basic_return = {.reply_code = 312,
                                                                .reply_text = lv_text("NO_ROUTE"),
                                                                .exchange = lv_text("x"),
                                                                .routing_key = lv_text("nowhere")}};
    struct fixture f;

    (void)state;
    setup_open(&f);
    say(&f, 1, &returned);
    say_header(&f, 1, 2);
    say_frame(&f, LV_AMQP091_FRAME_BODY, 1, lv_text("re"));
    hear(&f);
    assert_string_equal(f.events.text,
                        "returned[1] basic.return reply_code=312 reply_text=\"NO_ROUTE\" "
                        "exchange=\"x\" routing_key=\"nowhere\" properties=3 body=2're'\n");
    teardown(&f);
}

static void the_broker_may_close_a_channel(void **state)
{
    const struct lv_amqp091_method close = {
        .id = LV_AMQP091_CHANNEL_CLOSE,
        .channel_close = {.reply_code = 404,
                          .reply_text = lv_text("NOT_FOUND - no queue 'q' in vhost '/'")}};
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    struct fixture f;
    uint64_t tag;

    (void)state;
    setup_open(&f);
    assert_int_equal(call(&f, LV_AMQP091_QUEUE_PURGE), 0);
    say(&f, 1, &close);
    say_delivery(&f, 1, 1); /* late, and passed over with its content */
    say_header(&f, 1, 0);
    hear(&f);
    assert_string_equal(f.events.text, "channel-closed[1] NOT_FOUND 404 "
                                       "'NOT_FOUND - no queue 'q' in vhost '/''\n");
    assert_non_null(strstr(f.sent.text, "1 channel.close-ok\n"));
    assert_int_equal(call(&f, LV_AMQP091_QUEUE_PURGE), -LV_E_CHANNEL);
    assert_int_equal(publish(&f, lv_text("m"), &tag), -LV_E_CHANNEL);
    /* the number can be used again */
    assert_int_equal(lv_engine_call(f.engine, 1, &open, NULL), 0);
    say_id(&f, 1, LV_AMQP091_CHANNEL_OPEN_OK);
    hear(&f);
    assert_int_equal(call(&f, LV_AMQP091_QUEUE_PURGE), 0);
    teardown(&f);
}

static void the_broker_may_close_the_connection(void **state)
{
    const struct lv_amqp091_method close = {
        .id = LV_AMQP091_CONNECTION_CLOSE,
        .connection_close = {.reply_code = 530, .reply_text = lv_text("NOT_ALLOWED - no vhost")}};
    struct fixture f;

    (void)state;
    setup(&f);
    say_start(&f);
    say_tune(&f);
    say(&f, 0, &close);
    say_id(&f, 0, LV_AMQP091_CONNECTION_OPEN_OK); /* nobody listens any more */
    hear(&f);
    assert_string_equal(f.events.text, "closed NOT_ALLOWED 530 'NOT_ALLOWED - no vhost'\n");
    assert_non_null(strstr(f.sent.text, "0 connection.close-ok\n"));
    assert_int_equal(call(&f, LV_AMQP091_CHANNEL_OPEN), -LV_E_CLOSED);
    teardown(&f);
}

static void closing_waits_for_the_answer(void **state)
{
    const struct lv_amqp091_method close = {.id = LV_AMQP091_CONNECTION_CLOSE,
                                            .connection_close = {.reply_code = 200}};
    struct fixture f;

    (void)state;
    setup_open(&f);
    assert_int_equal(lv_engine_call(f.engine, 0, &close, NULL), 0);
    assert_int_equal(lv_engine_call(f.engine, 0, &close, NULL), -LV_E_CLOSED);
    assert_false(lv_engine_is_closed(f.engine));
    say_id(&f, 0, LV_AMQP091_CONNECTION_CLOSE_OK);
    hear(&f);
    assert_string_equal(f.events.text, "closed - 0 'closed'\n");
    assert_true(lv_engine_is_closed(f.engine));
    teardown(&f);
}

static void a_cancelled_consumer_is_told(void **state)
{
    const struct lv_amqp091_method cancel = {
        .id = LV_AMQP091_BASIC_CANCEL,
        .basic_cancel = {.consumer_tag = lv_text("c"), .no_wait = true}};
    struct fixture f;

    (void)state;
    setup_open(&f);
    say(&f, 1, &cancel);
    hear(&f);
    assert_string_equal(f.events.text, "cancelled[1] basic.cancel consumer_tag=\"c\" no_wait=1\n");
    teardown(&f);
}

static void another_protocol_is_named(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    memcpy(f.script.data, "AMQP\3\1\0\0", 8);
    f.script.size = 8;
    hear_in_steps(&f, 1);
    assert_non_null(strstr(f.events.text, "closed NOT_IMPLEMENTED 0"));
    assert_non_null(strstr(f.events.text, "AMQP 3 1 0 0"));
    teardown(&f);
}

static void a_broker_without_plain_is_left(void **state)
{
    const struct lv_amqp091_method start = {
        .id = LV_AMQP091_CONNECTION_START,
        .connection_start = {.version_minor = 9, .mechanisms = lv_text("EXTERNAL PLAINER")}};
    struct fixture f;

    (void)state;
    setup(&f);
    say(&f, 0, &start);
    hear(&f);
    assert_non_null(strstr(f.events.text, "closed ACCESS_REFUSED 0"));
    assert_non_null(strstr(f.events.text, "PLAIN"));
    teardown(&f);
}

static void a_connection_that_ends_during_login_was_refused(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    say_start(&f);
    hear(&f);
    lv_engine_lost(f.engine, "end of stream");
    lv_engine_lost(f.engine, "again");
    assert_non_null(strstr(f.events.text, "closed ACCESS_REFUSED 0"));
    assert_null(strstr(f.events.text, "again"));
    teardown(&f);
    setup_open(&f);
    lv_engine_lost(f.engine, "end of stream");
    assert_string_equal(f.events.text, "closed CLOSED 0 'end of stream'\n");
    teardown(&f);
}

/* Frames that a broker must not send; each ends the connection with an error of ours. */
static void what_breaks_the_protocol_ends_the_connection(void **state)
{
    static const struct {
        const char *hex; /* of the frame, without its end */
        size_t size;
        const char *expected;
    } bads[] = {
        {"\x02\0\x01\0\0\0\x0e"
         "\0\x3c\0\0\0\0\0\0\0\0\0\x01\0\0\xce",
         22, "UNEXPECTED_FRAME"},
        {"\x03\0\x01\0\0\0\x01x\xce", 9, "UNEXPECTED_FRAME"},
        {"\x01\0\x01\0\0\0\x04\0\x3c\0\x15\xce", 12, "BAD"},
        {"\x01\0\x01\0\0\0\x04\0\x63\0\x01\xce", 12, "COMMAND_INVALID"},
        {"\x05\0\x01\0\0\0\0\xce", 8, "FRAME_ERROR"},
        {"\x08\0\0\0\0\0\0\xcf", 8, "FRAME_ERROR"},
        {"\x01\0\x01\0\x10\0\0\0", 8, "FRAME_ERROR"},
        {"\x01\0\0\0\0\0\x04\0\x0a\0\x29\xce", 12, "BAD"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(bads); i++) {
        struct fixture f;

        setup_open(&f);
        memcpy(f.script.data, bads[i].hex, bads[i].size);
        f.script.size = bads[i].size;
        hear(&f);
        assert_true(lv_engine_is_closed(f.engine));
        assert_int_equal(strncmp(f.events.text, "closed ", 7), 0);
        if (strcmp(bads[i].expected, "BAD") != 0)
            assert_non_null(strstr(f.events.text, bads[i].expected));
        assert_non_null(strstr(f.sent.text, "0 connection.close reply_code=50"));
        teardown(&f);
    }
}

static void bodies_are_bounded(void **state)
{
    struct fixture f;

    (void)state;
    setup_open(&f);
    say_delivery(&f, 1, 1);
    say_header(&f, 1, BODY_MAX + 1);
    hear(&f);
    assert_non_null(strstr(f.events.text, "closed CONTENT_TOO_LARGE"));
    teardown(&f);
    setup_open(&f);
    say_delivery(&f, 1, 1);
    say_header(&f, 1, 3);
    say_frame(&f, LV_AMQP091_FRAME_BODY, 1, lv_text("long"));
    hear(&f);
    assert_non_null(strstr(f.events.text, "closed FRAME_ERROR"));
    teardown(&f);
}

static void heartbeats_are_sent_in_silence_and_missed(void **state)
{
    struct fixture f;
    uint64_t tag, interval = 10 * LV_NS_PER_S;

    (void)state;
    setup_open(&f);
    assert_int_equal(lv_engine_next(f.engine), f.now + interval / 2);
    lv_engine_tick(f.engine, f.now + interval / 2); /* the handshake was output too */
    lv_engine_tick(f.engine, f.now + interval);
    note_sent(&f);
    assert_string_equal(f.sent.text, "0 type 8 size 0\n");
    assert_int_equal(publish(&f, lv_text("m"), &tag), 0);
    lv_engine_tick(f.engine, f.now + interval + interval / 2);
    assert_null(strstr(f.sent.text + 16, "type 8"));
    assert_false(lv_engine_is_closed(f.engine));
    lv_engine_tick(f.engine, f.now + 2 * interval);
    assert_non_null(strstr(f.events.text, "closed TIMEOUT"));
    assert_int_equal(lv_engine_next(f.engine), LV_NEVER);
    teardown(&f);
}

static void calls_have_limits(void **state)
{
    static const uint8_t arguments[FRAME_MAX];
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    const struct lv_amqp091_method large = {
        .id = LV_AMQP091_QUEUE_DECLARE,
        .queue_declare = {.arguments = lv_bytes(arguments, sizeof arguments)}};
    struct lv_diag diag = {.text = ""};
    struct fixture f;

    (void)state;
    setup_open(&f);
    assert_int_equal(lv_engine_call(f.engine, 11, &open, &diag), -LV_E_CHANNEL);
    assert_non_null(strstr(diag.text, "limit of 10"));
    assert_int_equal(lv_engine_call(f.engine, 1, &open, NULL), -LV_E_CHANNEL);
    assert_int_equal(lv_engine_call(f.engine, 1, &large, NULL), -LV_E_RESOURCE);
    for (unsigned i = 0; i < LV_ENGINE_AWAITED_MAX; i++)
        assert_int_equal(call(&f, LV_AMQP091_BASIC_QOS), 0);
    assert_int_equal(call(&f, LV_AMQP091_BASIC_QOS), -LV_E_RESOURCE);
    assert_int_equal(call(&f, LV_AMQP091_BASIC_ACK), 0); /* has no answer */
    teardown(&f);
}

/* Every allocation on the way may fail: the connection ends, nothing leaks, nothing crashes. */
static void lack_of_memory_ends_the_connection_at_worst(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 20; nth++) {
        struct fixture f;
        static const uint8_t body[40000];
        uint64_t tag;
        int rc;

        setup_open(&f);
        rc = call(&f, LV_AMQP091_CONFIRM_SELECT);
        assert_int_equal(rc, 0);
        say_id(&f, 1, LV_AMQP091_CONFIRM_SELECT_OK);
        say_delivery(&f, 1, 1);
        say_header(&f, 1, 8000);
        say_frame(&f, LV_AMQP091_FRAME_BODY, 1, lv_bytes(body, 4000));
        say_frame(&f, LV_AMQP091_FRAME_BODY, 1, lv_bytes(body, 4000));
        lv_alloc_fail_after(nth, 1);
        hear(&f);
        rc = publish(&f, lv_bytes(body, sizeof body), &tag);
        lv_alloc_fail_after(0, 0);
        if (rc == 0)
            assert_false(lv_engine_is_closed(f.engine));
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_leads_to_an_open_connection),
        cmocka_unit_test(the_handshake_may_come_byte_by_byte),
        cmocka_unit_test(a_split_at_any_byte_changes_nothing),
        cmocka_unit_test(answers_belong_to_the_oldest_call),
        cmocka_unit_test(a_message_can_be_fetched),
        cmocka_unit_test(publishes_are_cut_into_frames_and_confirmed),
        cmocka_unit_test(a_message_may_come_back),
        cmocka_unit_test(the_broker_may_close_a_channel),
        cmocka_unit_test(the_broker_may_close_the_connection),
        cmocka_unit_test(closing_waits_for_the_answer),
        cmocka_unit_test(a_cancelled_consumer_is_told),
        cmocka_unit_test(another_protocol_is_named),
        cmocka_unit_test(a_broker_without_plain_is_left),
        cmocka_unit_test(a_connection_that_ends_during_login_was_refused),
        cmocka_unit_test(what_breaks_the_protocol_ends_the_connection),
        cmocka_unit_test(bodies_are_bounded),
        cmocka_unit_test(heartbeats_are_sent_in_silence_and_missed),
        cmocka_unit_test(calls_have_limits),
        cmocka_unit_test(lack_of_memory_ends_the_connection_at_worst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
