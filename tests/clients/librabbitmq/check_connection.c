/* Logging in, tuning, heartbeats, closing; channels and their errors. */
#define _GNU_SOURCE /* POLLRDHUP */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <amqp_tcp_socket.h>

#include "harness.h"
#include "session.h"

CHECK(login_opens_a_connection)
{
    amqp_connection_state_t conn = session_open();

    amqp_rpc_reply_t reply = amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    expect_int(amqp_destroy_connection(conn), AMQP_STATUS_OK);
}

/* The value of this key, which must be there and of this kind. */
static const amqp_field_value_t *value_of(const amqp_table_t *table, const char *key, int kind)
{
    for (int i = 0; i < table->num_entries; i++)
        if (session_text_is(table->entries[i].key, key)) {
            expect_int(table->entries[i].value.kind, kind);
            return &table->entries[i].value;
        }
    fail("no '%s' in the table", key);
}

CHECK(server_is_the_product_that_clients_expect)
{
    amqp_connection_state_t conn = session_open();
    const amqp_table_t *properties = amqp_get_server_properties(conn);
    const amqp_field_value_t *product = value_of(properties, "product", AMQP_FIELD_KIND_UTF8);
    const amqp_field_value_t *capabilities =
        value_of(properties, "capabilities", AMQP_FIELD_KIND_TABLE);

    expect(session_text_is(product->value.bytes, "RabbitMQ"));
    expect(
        value_of(&capabilities->value.table, "basic.nack", AMQP_FIELD_KIND_BOOLEAN)->value.boolean);
}

CHECK(login_with_properties_of_ones_own_works)
{
    amqp_connection_state_t conn = session_socket();
    amqp_table_entry_t entries[] = {
        {.key = amqp_cstring_bytes("connection_name"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("a name")}},
        {.key = amqp_cstring_bytes("number"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -1}},
        {.key = amqp_cstring_bytes("flag"),
         .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
    };
    amqp_table_t table = {.num_entries = 3, .entries = entries};
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        conn, "/", 0, 131072, 0, &table, AMQP_SASL_METHOD_PLAIN, peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    session_channel(conn, 1);
}

CHECK(wrong_password_is_refused)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply =
        amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, peer()->user, "wrong");

    /* librabbitmq announces authentication_failure_close, so it is told. */
    expect_int(reply.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
    expect_int(reply.reply.id, AMQP_CONNECTION_CLOSE_METHOD);
    const amqp_connection_close_t *close = reply.reply.decoded;
    expect_int(close->reply_code, 403);
}

CHECK(mechanism_that_is_not_offered_is_refused)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply =
        amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_EXTERNAL, peer()->user);

    expect(reply.reply_type != AMQP_RESPONSE_NORMAL);
}

CHECK(unknown_vhost_is_not_allowed)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply = amqp_login(conn, unique_absent(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                                        peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
    expect_int(reply.reply.id, AMQP_CONNECTION_CLOSE_METHOD);
    const amqp_connection_close_t *close = reply.reply.decoded;
    expect_int(close->reply_code, 530);
}

CHECK(smaller_bounds_of_the_client_are_kept)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply = amqp_login(conn, "/", 10, 16384, 30, AMQP_SASL_METHOD_PLAIN,
                                        peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    expect_int(amqp_get_channel_max(conn), 10);
    expect_int(amqp_get_frame_max(conn), 16384);
    expect_int(amqp_get_heartbeat(conn), 30);
}

CHECK(larger_bounds_of_the_client_become_the_servers)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply = amqp_login(conn, "/", 0, 1 << 20, 0, AMQP_SASL_METHOD_PLAIN,
                                        peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    expect_int(amqp_get_channel_max(conn), 2047);
    expect_int(amqp_get_frame_max(conn), 131072);
}

CHECK(small_frames_carry_a_large_body_both_ways)
{
    amqp_connection_state_t conn = session_socket();
    char body[100001];
    struct message message;

    amqp_rpc_reply_t reply =
        amqp_login(conn, "/", 0, 8192, 0, AMQP_SASL_METHOD_PLAIN, peer()->user, peer()->password);
    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    session_channel(conn, 1);
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    amqp_bytes_t queue = session_queue(conn, 1);
    session_publish(conn, 1, "", queue, body);
    expect(session_get(conn, 1, queue, true, &message));
    expect(session_body_is(&message, body));
}

/* Serves the connection, and with it its heartbeats, for this many seconds. */
static void serve(amqp_connection_state_t conn, int seconds)
{
    time_t end = time(NULL) + seconds;
    amqp_frame_t frame;

    while (time(NULL) < end) {
        struct timeval timeout = {.tv_usec = 300000};
        expect_int(amqp_simple_wait_frame_noblock(conn, &frame, &timeout), AMQP_STATUS_TIMEOUT);
    }
}

CHECK(heartbeats_keep_an_idle_connection)
{
    amqp_connection_state_t conn = session_open_with_heartbeat(1);

    serve(conn, 5); /* librabbitmq itself gives up when the broker is silent for two intervals */
    session_queue(conn, 1);
}

CHECK(silent_client_is_dropped)
{
    amqp_connection_state_t conn = session_open_with_heartbeat(1);

    struct pollfd end = {.fd = amqp_get_sockfd(conn), .events = POLLRDHUP};

    expect_int(poll(&end, 1, 10000), 1);
    amqp_queue_declare(conn, 1, amqp_empty_bytes, 0, 0, 1, 0, amqp_empty_table);
    expect_int(amqp_get_rpc_reply(conn).reply_type, AMQP_RESPONSE_LIBRARY_EXCEPTION);
}

CHECK(loss_of_the_connection_deletes_its_exclusive_queue)
{
    amqp_connection_state_t conn = session_open(), other = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    bool is_gone = false;

    session_drop(conn);
    while (!is_gone) { /* locked for a moment, then not found */
        amqp_queue_declare(other, 1, queue, 1, 0, 0, 0, amqp_empty_table);
        const amqp_channel_close_t *close = amqp_get_rpc_reply(other).reply.decoded;
        is_gone = close->reply_code == 404;
        session_must_be_refused(other, 1, close->reply_code, NULL);
        session_channel(other, 1);
    }
}

CHECK(channels_open_and_close_again_and_again)
{
    amqp_connection_state_t conn = session_open();

    for (int turn = 0; turn < 3; turn++) {
        for (amqp_channel_t channel = 2; channel < 100; channel++)
            session_channel(conn, channel);
        for (amqp_channel_t channel = 2; channel < 100; channel++)
            expect_int(amqp_channel_close(conn, channel, AMQP_REPLY_SUCCESS).reply_type,
                       AMQP_RESPONSE_NORMAL);
    }
}

CHECK(error_stays_on_its_channel)
{
    amqp_connection_state_t conn = session_open();
    char text[300];

    session_channel(conn, 2);
    snprintf(text, sizeof(text), "NOT_FOUND - no queue '%s' in vhost '/'", unique_absent());
    amqp_queue_declare(conn, 2, amqp_cstring_bytes(unique_absent()), 1, 0, 0, 0, amqp_empty_table);
    session_must_be_refused(conn, 2, 404, text);
    session_queue(conn, 1);
    session_channel(conn, 2);
    session_queue(conn, 2);
}

CHECK(unopened_channel_is_an_error_of_the_connection)
{
    amqp_connection_state_t conn = session_open();
    amqp_basic_qos_t qos = {0};

    expect_int(amqp_send_method(conn, 7, AMQP_BASIC_QOS_METHOD, &qos), 0);
    session_wait_closed(conn, 504, "CHANNEL_ERROR - expected 'channel.open'");
}

CHECK(second_open_is_an_error_of_the_connection)
{
    amqp_connection_state_t conn = session_open();
    amqp_channel_open_t open = {0};

    expect_int(amqp_send_method(conn, 1, AMQP_CHANNEL_OPEN_METHOD, &open), 0);
    session_wait_closed(conn, 504, "CHANNEL_ERROR - second 'channel.open' seen");
}

CHECK(fifty_connections_work_at_once)
{
    amqp_connection_state_t conns[50];
    amqp_bytes_t queues[50];
    struct message message;

    for (int i = 0; i < 50; i++) {
        conns[i] = session_open();
        queues[i] = session_queue(conns[i], 1);
    }
    for (int i = 0; i < 50; i++)
        session_publish(conns[i], 1, "", queues[i], "own");
    for (int i = 0; i < 50; i++) {
        expect(session_get(conns[i], 1, queues[i], true, &message));
        expect_int(amqp_connection_close(conns[i], AMQP_REPLY_SUCCESS).reply_type,
                   AMQP_RESPONSE_NORMAL);
    }
}
