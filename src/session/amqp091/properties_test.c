#include "session/amqp091/properties.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/table.h"
#include "session/amqp091/scene.h"

/* Raw properties: a content type, headers in these bytes, persistent, a user-id. */
static struct lv_bytes around(const char *entries, size_t size)
{
    static uint8_t raw[512];
    uint8_t *p = lv_put16(raw, LV_AMQP091_PROPERTY_CONTENT_TYPE | LV_AMQP091_PROPERTY_HEADERS |
                                   LV_AMQP091_PROPERTY_DELIVERY_MODE | LV_AMQP091_PROPERTY_USER_ID);

    p = lv_put_bytes(lv_put8(p, 4), lv_text("text"));
    p = lv_put_bytes(lv_put32(p, (uint32_t)size), lv_bytes(entries, size));
    p = lv_put_bytes(lv_put8(lv_put8(p, 2), 5), lv_text("guest"));
    return lv_bytes(raw, (size_t)(p - raw));
}

/* Raw properties with nothing but headers. */
static struct lv_bytes only(const char *entries, size_t size)
{
    static uint8_t raw[512];
    uint8_t *p = lv_put32(lv_put16(raw, LV_AMQP091_PROPERTY_HEADERS), (uint32_t)size);

    p = lv_put_bytes(p, lv_bytes(entries, size));
    return lv_bytes(raw, (size_t)(p - raw));
}

/* As on the wire: name, type, value. An array's elements have no names. */
#define NUMBER(name, octet) "\1" name "I\0\0\0" octet
#define CC_OF_A             "\2CCA\0\0\0\6S\0\0\0\1a"
#define BCC_OF_B            "\3BCCA\0\0\0\6S\0\0\0\1b"
#define CC_A_STRING         "\2CCS\0\0\0\1a"
#define BYTES(text)         text, sizeof(text) - 1

static void keys_are_found_by_their_names_alone(void **state)
{
    (void)state;
    assert_true(lv_session_has_extra_keys(around(BYTES(CC_OF_A))));
    assert_true(lv_session_has_extra_keys(around(BYTES(NUMBER("n", "\7") BCC_OF_B))));
    assert_true(lv_session_has_extra_keys(only(BYTES(CC_A_STRING)))); /* the core judges it */
    assert_false(lv_session_has_extra_keys(around(BYTES(""))));
    assert_false(lv_session_has_extra_keys(around(BYTES(NUMBER("C", "\7")))));
    assert_false(lv_session_has_extra_keys(around(BYTES("\2ccI\0\0\0\1\3BCcI\0\0\0\1"))));
    assert_false(lv_session_has_extra_keys(only(BYTES("\1nS\0\0\0\4\2CCA")))); /* in a value */
    assert_false(lv_session_has_extra_keys(lv_bytes("\x10\0\2", 3)));
}

static void headers_are_decoded_when_they_are_there(void **state)
{
    (void)state;
    struct lv_message message = {.properties = around(BYTES(NUMBER("n", "\7") CC_OF_A))};
    const struct lv_table *headers = NULL;
    struct lv_arena arena;

    lv_arena_init(&arena, 4096);
    assert_int_equal(lv_session_properties.headers(&message, &arena, &headers), 0);
    assert_int_equal(headers->count, 2);
    assert_int_equal(lv_table_get(headers, "n")->integer, 7);
    assert_int_equal(lv_table_get(headers, "CC")->type, LV_TYPE_ARRAY);
    message.properties = lv_bytes("\0\0", 2);
    assert_int_equal(lv_session_properties.headers(&message, &arena, &headers), 0);
    assert_null(headers);
    lv_arena_fini(&arena);
    lv_arena_init(&arena, 8);
    message.properties = around(BYTES(CC_OF_A));
    assert_int_equal(lv_session_properties.headers(&message, &arena, &headers), -LV_E_NOMEM);
    lv_arena_fini(&arena);
}

static void one_header_is_taken_out_and_all_else_stays(void **state)
{
    (void)state;
    uint8_t expected[512];
    struct lv_message message = {.format = LV_MESSAGE_AMQP091};
    struct lv_bytes left;
    struct lv_arena arena;

    lv_arena_init(&arena, 4096);
    left = around(BYTES(NUMBER("n", "\7") CC_OF_A));
    memcpy(expected, left.data, left.size);
    size_t size = left.size;
    message.properties = around(BYTES(BCC_OF_B NUMBER("n", "\7") BCC_OF_B CC_OF_A));
    assert_int_equal(lv_session_properties.without_header(&message, "BCC", &arena, &left), 0);
    assert_int_equal(left.size, size);
    assert_memory_equal(left.data, expected, size);
    message.properties = only(BYTES(BCC_OF_B)); /* an empty table is left */
    assert_int_equal(lv_session_properties.without_header(&message, "BCC", &arena, &left), 0);
    assert_int_equal(left.size, 6);
    assert_memory_equal(left.data, "\x20\0\0\0\0\0", 6);
    message.properties = lv_bytes("\0\0", 2);
    assert_int_equal(lv_session_properties.without_header(&message, "BCC", &arena, &left), 0);
    assert_ptr_equal(left.data, message.properties.data);
    lv_arena_fini(&arena);
    lv_arena_init(&arena, 8);
    message.properties = around(BYTES(BCC_OF_B));
    assert_int_equal(lv_session_properties.without_header(&message, "BCC", &arena, &left),
                     -LV_E_NOMEM);
    lv_arena_fini(&arena);
}

/* ---- on the wire ---- */

static void publish(struct lv_peer *peer, const char *exchange, const char *key,
                    struct lv_bytes properties)
{
    lv_peer_say_publish(peer, 1,
                        &(struct lv_peer_publish){.exchange = exchange,
                                                  .key = key,
                                                  .properties = properties,
                                                  .body = lv_text("m"),
                                                  .mandatory = true});
}

static void exchanges_are_bound_and_unbound(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "q");
    consume(peer, "q", true);
    SAY(peer, 1, EXCHANGE_DECLARE, exchange_declare, .exchange = lv_text("x"),
        .type = lv_text("topic"));
    SAY(peer, 1, EXCHANGE_BIND, exchange_bind, .destination = lv_text("amq.fanout"),
        .source = lv_text("x\n"), .routing_key = lv_text("a.#"));
    SAY(peer, 1, EXCHANGE_BIND, exchange_bind, .destination = lv_text("amq.fanout"),
        .source = lv_text("x"), .routing_key = lv_text("b"), .no_wait = true);
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("q"), .exchange = lv_text("amq.fanout"));
    assert_hears(peer, "1 exchange.declare-ok\n1 exchange.bind-ok\n1 queue.bind-ok\n");
    publish(peer, "x", "a.b", lv_bytes(NULL, 0));
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"x\" "
                       "routing_key=\"a.b\"\n1 header body=1 properties=2\n1 body m\n");
    SAY(peer, 1, EXCHANGE_UNBIND, exchange_unbind, .destination = lv_text("amq.fanout"),
        .source = lv_text("x"), .routing_key = lv_text("a.#"));
    assert_hears(peer, "1 exchange.unbind-ok\n");
    publish(peer, "x", "a.b", lv_bytes(NULL, 0));
    assert_hears(peer, "1 basic.return reply_code=312 reply_text=\"NO_ROUTE\" exchange=\"x\" "
                       "routing_key=\"a.b\"\n1 header body=1 properties=2\n1 body m\n");
    SAY(peer, 1, EXCHANGE_BIND, exchange_bind, .destination = lv_text("nosuch"),
        .source = lv_text("x"), .no_wait = true);
    assert_hears(peer, "1 channel.close reply_code=404 reply_text=\"NOT_FOUND - no exchange "
                       "'nosuch' in vhost '/'\" class_id=40 method_id=30\n");
    scene_end(&scene);
}

static void headers_and_keys_route_and_bcc_stays_inside(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin(&scene);
    declare_queue(peer, "b");
    consume(peer, "b", true);
    publish(peer, "", "nobody", only(BYTES(CC_OF_A BCC_OF_B))); /* 6 + 14 + 15 bytes, less 15 */
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=1 exchange=\"\" "
                       "routing_key=\"nobody\"\n1 header body=1 properties=20\n1 body m\n");
    SAY(peer, 1, QUEUE_BIND, queue_bind, .queue = lv_text("b"), .exchange = lv_text("amq.headers"),
        .arguments = lv_bytes("\1nl\0\0\0\0\0\0\0\7", 11)); /* 64 bits; the message has 32 */
    assert_hears(peer, "1 queue.bind-ok\n");
    publish(peer, "amq.headers", "", only(BYTES(NUMBER("n", "\7"))));
    assert_hears(peer, "1 basic.deliver consumer_tag=\"c\" delivery_tag=2 "
                       "exchange=\"amq.headers\" routing_key=\"\"\n"
                       "1 header body=1 properties=13\n1 body m\n");
    publish(peer, "", "b", only(BYTES(CC_A_STRING)));
    assert_hears(peer, "1 channel.close reply_code=406 reply_text=\"PRECONDITION_FAILED - invalid "
                       "message: {unacceptable_type_in_header,\\x22CC\\x22,longstr}\" class_id=60 "
                       "method_id=40\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_their_names_alone),
        cmocka_unit_test(headers_are_decoded_when_they_are_there),
        cmocka_unit_test(one_header_is_taken_out_and_all_else_stays),
        cmocka_unit_test(exchanges_are_bound_and_unbound),
        cmocka_unit_test(headers_and_keys_route_and_bcc_stays_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
