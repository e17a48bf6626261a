/* Publishing: bodies, properties, returns and confirms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "session.h"

static void publish_bytes(amqp_connection_state_t conn, amqp_bytes_t queue, size_t size, int fill)
{
    amqp_bytes_t body = amqp_bytes_malloc(size);

    memset(body.bytes, fill, size);
    expect_int(amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, NULL, body),
               AMQP_STATUS_OK);
    amqp_bytes_free(body);
}

static void expect_bytes(const struct message *message, size_t size, int fill)
{
    const unsigned char *bytes = message->body.bytes;

    expect_int(message->body.len, size);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != fill)
            fail("byte %zu is %d, not %d", i, bytes[i], fill);
}

CHECK(bodies_of_many_sizes_arrive_whole)
{
    const size_t sizes[] = {0,      1,      4095,   4096,    4097,           131063,
                            131064, 131065, 262128, 1000000, (size_t)5 << 20};
    const int count = sizeof(sizes) / sizeof(sizes[0]);
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_consume(conn, 1, queue, "c", true);
    for (int i = 0; i < count; i++) {
        publish_bytes(conn, queue, sizes[i], i);
        struct message message = session_wait(conn);
        expect_bytes(&message, sizes[i], i);
    }
}

CHECK(body_of_every_byte_value_arrives)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1), body = amqp_bytes_malloc(256);
    struct message message;

    for (int i = 0; i < 256; i++)
        ((unsigned char *)body.bytes)[i] = (unsigned char)i;
    amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, NULL, body);
    expect(session_get(conn, 1, queue, true, &message));
    expect(message.body.len == 256 && memcmp(message.body.bytes, body.bytes, 256) == 0);
}

static amqp_basic_properties_t all_properties(void)
{
    return (amqp_basic_properties_t){
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                  AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                  AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                  AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_USER_ID_FLAG |
                  AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_CLUSTER_ID_FLAG,
        .content_type = amqp_cstring_bytes("text/plain"),
        .content_encoding = amqp_cstring_bytes("identity"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .priority = 9,
        .correlation_id = amqp_cstring_bytes("correlation"),
        .reply_to = amqp_cstring_bytes("reply"),
        .expiration = amqp_cstring_bytes("3600000"),
        .message_id = amqp_cstring_bytes("message"),
        .timestamp = 1700000000,
        .type = amqp_cstring_bytes("type"),
        .user_id = amqp_cstring_bytes(peer()->user),
        .app_id = amqp_cstring_bytes("app"),
        .cluster_id = amqp_cstring_bytes("cluster"),
    };
}

static bool same(amqp_bytes_t one, amqp_bytes_t two)
{
    return one.len == two.len && memcmp(one.bytes, two.bytes, one.len) == 0;
}

CHECK(every_property_comes_back)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    amqp_basic_properties_t sent = all_properties();
    struct message message;

    amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, &sent, amqp_cstring_bytes("x"));
    expect(session_get(conn, 1, queue, true, &message));
    const amqp_basic_properties_t *got = &message.properties;
    expect_int(got->_flags, sent._flags);
    expect(same(got->content_type, sent.content_type));
    expect(same(got->content_encoding, sent.content_encoding));
    expect_int(got->delivery_mode, sent.delivery_mode);
    expect_int(got->priority, sent.priority);
    expect(same(got->correlation_id, sent.correlation_id));
    expect(same(got->reply_to, sent.reply_to));
    expect(same(got->expiration, sent.expiration));
    expect(same(got->message_id, sent.message_id));
    expect_int(got->timestamp, sent.timestamp);
    expect(same(got->type, sent.type));
    expect(same(got->user_id, sent.user_id));
    expect(same(got->app_id, sent.app_id));
    expect(same(got->cluster_id, sent.cluster_id));
}

CHECK(message_without_properties_has_none)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_publish(conn, 1, "", queue, "x");
    expect(session_get(conn, 1, queue, true, &message));
    expect_int(message.properties._flags, 0);
}

/* One entry of each type that librabbitmq writes and the broker has to know. */
static amqp_table_t headers_of_every_type(void)
{
    static char key[] = "k", text[] = "text", bytes[] = {0, 1, 2};
    static amqp_table_entry_t inner[] = {
        {.key = {.len = 1, .bytes = key}, .value = {.kind = AMQP_FIELD_KIND_VOID}}};
    static amqp_field_value_t items[] = {
        {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -7},
        {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
    };
    static amqp_table_entry_t entries[] = {
        {.value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        {.value = {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -8}},
        {.value = {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 200}},
        {.value = {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -300}},
        {.value = {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 60000}},
        {.value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -70000}},
        {.value = {.kind = AMQP_FIELD_KIND_U32, .value.u32 = 4000000000u}},
        {.value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = -5000000000}},
        {.value = {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 1.5f}},
        {.value = {.kind = AMQP_FIELD_KIND_F64, .value.f64 = -2.25}},
        {.value = {.kind = AMQP_FIELD_KIND_DECIMAL, .value.decimal = {2, 31415}}},
        {.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = {4, text}}},
        {.value = {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = {3, bytes}}},
        {.value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {2, items}}},
        {.value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, inner}}},
        {.value = {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1700000000}},
        {.value = {.kind = AMQP_FIELD_KIND_VOID}},
    };
    static char keys[] = "abcdefghijklmnopq";

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        entries[i].key = (amqp_bytes_t){.len = 1, .bytes = &keys[i]};
    return (amqp_table_t){.num_entries = sizeof(entries) / sizeof(entries[0]), .entries = entries};
}

/* Encoding both is the shortest way to compare two tables to the last bit. */
static amqp_bytes_t encoded(amqp_table_t table)
{
    amqp_bytes_t bytes = amqp_bytes_malloc(4096);
    size_t used = 0;

    expect_int(amqp_encode_table(bytes, &table, &used), AMQP_STATUS_OK);
    bytes.len = used;
    return bytes;
}

CHECK(headers_of_every_type_come_back)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    amqp_basic_properties_t sent = {
        ._flags = AMQP_BASIC_HEADERS_FLAG,
        .headers = headers_of_every_type(),
    };
    struct message message;

    amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, &sent, amqp_cstring_bytes("x"));
    expect(session_get(conn, 1, queue, true, &message));
    expect_int(message.properties._flags, AMQP_BASIC_HEADERS_FLAG);
    expect_int(message.properties.headers.num_entries, sent.headers.num_entries);
    expect(same(encoded(message.properties.headers), encoded(sent.headers)));
}

CHECK(mandatory_message_without_a_queue_is_returned)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t key = amqp_cstring_bytes(unique_absent());

    amqp_basic_publish(conn, 1, amqp_empty_bytes, key, 1, 0, NULL, amqp_cstring_bytes("back"));
    struct message back = session_wait_return(conn);
    expect(session_body_is(&back, "back"));
    expect(same(back.routing_key, key));
    expect_int(back.exchange.len, 0);
}

CHECK(immediate_is_not_implemented)
{
    amqp_connection_state_t conn = session_open();

    amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes("key"), 0, 1, NULL,
                       amqp_cstring_bytes("x"));
    session_wait_closed(conn, 540, "NOT_IMPLEMENTED - immediate=true");
}

CHECK(publish_to_an_absent_exchange_closes_the_channel)
{
    amqp_connection_state_t conn = session_open();
    char text[300];

    snprintf(text, sizeof(text), "NOT_FOUND - no exchange '%s' in vhost '/'", unique_absent());
    session_publish(conn, 1, unique_absent(), amqp_empty_bytes, "x");
    session_wait_refused(conn, 1, 404, text);
    session_channel(conn, 1);
    session_queue(conn, 1);
}

static amqp_connection_state_t open_confirming(void)
{
    amqp_connection_state_t conn = session_open();

    expect(amqp_confirm_select(conn, 1) != NULL);
    return conn;
}

CHECK(each_publish_is_confirmed_in_turn)
{
    amqp_connection_state_t conn = open_confirming();
    amqp_bytes_t queue = session_queue(conn, 1);

    for (uint64_t tag = 1; tag <= 100; tag++) {
        session_publish(conn, 1, "", queue, "x");
        const amqp_basic_ack_t *ack = session_wait_method(conn, AMQP_BASIC_ACK_METHOD);
        expect_int(ack->delivery_tag, tag);
    }
}

CHECK(five_thousand_in_flight_are_confirmed_once_each)
{
    enum { COUNT = 5000 };
    amqp_connection_state_t conn = open_confirming();
    amqp_bytes_t queue = session_queue(conn, 1);
    bool *is_confirmed = calloc(COUNT + 1, sizeof(*is_confirmed));
    int left = COUNT;

    expect(is_confirmed != NULL);
    session_fill(conn, queue, COUNT);
    while (left > 0) {
        const amqp_basic_ack_t *ack = session_wait_method(conn, AMQP_BASIC_ACK_METHOD);
        expect(ack->delivery_tag >= 1 && ack->delivery_tag <= COUNT);
        expect(!is_confirmed[ack->delivery_tag]);
        for (uint64_t tag = ack->multiple ? 1 : ack->delivery_tag; tag <= ack->delivery_tag;
             tag++) {
            left -= is_confirmed[tag] ? 0 : 1;
            is_confirmed[tag] = true;
        }
    }
    free(is_confirmed);
    session_expect_depth(conn, queue, COUNT);
}

CHECK(return_comes_before_its_confirm)
{
    amqp_connection_state_t conn = open_confirming();
    amqp_bytes_t key = amqp_cstring_bytes(unique_absent());

    for (uint64_t tag = 1; tag <= 20; tag++) {
        amqp_basic_publish(conn, 1, amqp_empty_bytes, key, 1, 0, NULL, amqp_cstring_bytes("x"));
        session_wait_return(conn);
        const amqp_basic_ack_t *ack = session_wait_method(conn, AMQP_BASIC_ACK_METHOD);
        expect_int(ack->delivery_tag, tag);
    }
}

CHECK(persistent_message_on_a_durable_queue_is_confirmed)
{
    amqp_connection_state_t conn = open_confirming();
    const char *queue = unique_queue();
    amqp_basic_properties_t persistent = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };

    session_declare(conn, queue);
    amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 1, 0, &persistent,
                       amqp_cstring_bytes("x"));
    const amqp_basic_ack_t *ack = session_wait_method(conn, AMQP_BASIC_ACK_METHOD);
    expect_int(ack->delivery_tag, 1);
}
