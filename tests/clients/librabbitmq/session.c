#include "session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <amqp_tcp_socket.h>

#include "harness.h"

static const struct timeval patience = {.tv_sec = 15};

amqp_connection_state_t session_socket(void)
{
    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(conn);

    assert(socket != NULL);
    if (amqp_socket_open(socket, peer()->host, peer()->port) != AMQP_STATUS_OK)
        fail("nobody answers at %s:%d", peer()->host, peer()->port);
    return conn;
}

void session_channel(amqp_connection_state_t conn, amqp_channel_t channel)
{
    expect(amqp_channel_open(conn, channel) != NULL);
}

amqp_connection_state_t session_open_with_heartbeat(int seconds)
{
    amqp_connection_state_t conn = session_socket();
    amqp_rpc_reply_t reply = amqp_login(conn, "/", 0, 131072, seconds, AMQP_SASL_METHOD_PLAIN,
                                        peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    session_channel(conn, 1);
    return conn;
}

amqp_connection_state_t session_open(void)
{
    return session_open_with_heartbeat(0);
}

void session_drop(amqp_connection_state_t conn)
{
    int fd = amqp_get_sockfd(conn);

    expect(fd >= 0);
    shutdown(fd, SHUT_RDWR);
    amqp_destroy_connection(conn);
}

/* One line of what a reply says went wrong. */
static const char *describe(amqp_rpc_reply_t reply)
{
    static char text[400];

    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = reply.reply.decoded;
        snprintf(text, sizeof(text), "channel closed: %u %.*s", close->reply_code,
                 (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = reply.reply.decoded;
        snprintf(text, sizeof(text), "connection closed: %u %.*s", close->reply_code,
                 (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    } else {
        snprintf(text, sizeof(text), "%s", amqp_error_string2(reply.library_error));
    }
    return text;
}

void session_must(amqp_connection_state_t conn)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(conn);

    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail("%s", describe(reply));
}

static void expect_text(amqp_bytes_t got, const char *wanted)
{
    if (wanted != NULL && !session_text_is(got, wanted))
        fail("text is '%.*s', not '%s'", (int)got.len, (const char *)got.bytes, wanted);
}

static void answer_channel_close(amqp_connection_state_t conn, amqp_channel_t channel,
                                 const amqp_channel_close_t *close, int code, const char *text)
{
    amqp_channel_close_ok_t ok = {0};

    expect_int(close->reply_code, code);
    expect_text(close->reply_text, text);
    expect_int(amqp_send_method(conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok), 0);
}

void session_must_be_refused(amqp_connection_state_t conn, amqp_channel_t channel, int code,
                             const char *text)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(conn);

    expect_int(reply.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
    if (reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        fail("%s", describe(reply));
    answer_channel_close(conn, channel, reply.reply.decoded, code, text);
}

void *session_wait_method(amqp_connection_state_t conn, amqp_method_number_t id)
{
    amqp_frame_t frame;
    struct timeval timeout = patience;

    expect_int(amqp_simple_wait_frame_noblock(conn, &frame, &timeout), AMQP_STATUS_OK);
    expect_int(frame.frame_type, AMQP_FRAME_METHOD);
    if (frame.payload.method.id != id)
        fail("got %s, not %s", amqp_method_name(frame.payload.method.id), amqp_method_name(id));
    return frame.payload.method.decoded;
}

void session_wait_refused(amqp_connection_state_t conn, amqp_channel_t channel, int code,
                          const char *text)
{
    answer_channel_close(conn, channel, session_wait_method(conn, AMQP_CHANNEL_CLOSE_METHOD), code,
                         text);
}

void session_wait_closed(amqp_connection_state_t conn, int code, const char *text)
{
    const amqp_connection_close_t *close = session_wait_method(conn, AMQP_CONNECTION_CLOSE_METHOD);

    expect_int(close->reply_code, code);
    expect_text(close->reply_text, text);
}

amqp_bytes_t session_queue(amqp_connection_state_t conn, amqp_channel_t channel)
{
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(conn, channel, amqp_empty_bytes, 0, 0, 1, 0, amqp_empty_table);

    session_must(conn);
    return amqp_bytes_malloc_dup(ok->queue);
}

void session_declare(amqp_connection_state_t conn, const char *queue)
{
    amqp_queue_declare(conn, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0, amqp_empty_table);
    session_must(conn);
}

void session_publish(amqp_connection_state_t conn, amqp_channel_t channel, const char *exchange,
                     amqp_bytes_t key, const char *body)
{
    expect_int(amqp_basic_publish(conn, channel, amqp_cstring_bytes(exchange), key, 0, 0, NULL,
                                  amqp_cstring_bytes(body)),
               AMQP_STATUS_OK);
}

void session_fill(amqp_connection_state_t conn, amqp_bytes_t queue, int count)
{
    char body[16];

    for (int i = 0; i < count; i++) {
        snprintf(body, sizeof(body), "%d", i);
        session_publish(conn, 1, "", queue, body);
    }
}

void session_consume(amqp_connection_state_t conn, amqp_channel_t channel, amqp_bytes_t queue,
                     const char *tag, bool no_ack)
{
    amqp_basic_consume(conn, channel, queue, amqp_cstring_bytes(tag), 0, no_ack, 0,
                       amqp_empty_table);
    session_must(conn);
}

struct message session_wait(amqp_connection_state_t conn)
{
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply = amqp_consume_message(conn, &envelope, &patience, 0);

    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail("no delivery: %s", describe(reply));
    return (struct message){
        .body = envelope.message.body,
        .properties = envelope.message.properties,
        .exchange = envelope.exchange,
        .routing_key = envelope.routing_key,
        .tag = envelope.consumer_tag,
        .delivery_tag = envelope.delivery_tag,
        .redelivered = envelope.redelivered,
    };
}

bool session_is_quiet(amqp_connection_state_t conn)
{
    amqp_envelope_t envelope;
    struct timeval while_ = {.tv_usec = 200000};
    amqp_rpc_reply_t reply = amqp_consume_message(conn, &envelope, &while_, 0);

    return reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
           reply.library_error == AMQP_STATUS_TIMEOUT;
}

bool session_get(amqp_connection_state_t conn, amqp_channel_t channel, amqp_bytes_t queue,
                 bool no_ack, struct message *ret_message)
{
    amqp_message_t content;
    amqp_rpc_reply_t reply = amqp_basic_get(conn, channel, queue, no_ack);

    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail("get: %s", describe(reply));
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
        return false;
    const amqp_basic_get_ok_t *ok = reply.reply.decoded;
    *ret_message = (struct message){
        .exchange = amqp_bytes_malloc_dup(ok->exchange),
        .routing_key = amqp_bytes_malloc_dup(ok->routing_key),
        .delivery_tag = ok->delivery_tag,
        .left = ok->message_count,
        .redelivered = ok->redelivered,
    };
    reply = amqp_read_message(conn, channel, &content, 0);
    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    ret_message->body = content.body;
    ret_message->properties = content.properties;
    return true;
}

struct message session_wait_return(amqp_connection_state_t conn)
{
    amqp_message_t content;
    const amqp_basic_return_t *back = session_wait_method(conn, AMQP_BASIC_RETURN_METHOD);
    struct message message = {
        .exchange = amqp_bytes_malloc_dup(back->exchange),
        .routing_key = amqp_bytes_malloc_dup(back->routing_key),
    };

    expect_int(back->reply_code, 312);
    expect(session_text_is(back->reply_text, "NO_ROUTE"));
    amqp_rpc_reply_t reply = amqp_read_message(conn, 1, &content, 0);
    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    message.body = content.body;
    message.properties = content.properties;
    return message;
}

void session_expect_depth(amqp_connection_state_t conn, amqp_bytes_t queue, unsigned count)
{
    /* A broker may count before it has queued what it took, so ask again; the check's alarm is
     * the limit. */
    for (;;) {
        const amqp_queue_declare_ok_t *ok =
            amqp_queue_declare(conn, 1, queue, 1, 0, 0, 0, amqp_empty_table);
        session_must(conn);
        if (ok->message_count == count)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

bool session_text_is(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

bool session_body_is(const struct message *message, const char *body)
{
    return session_text_is(message->body, body);
}

void session_delete_queue(const char *queue)
{
    amqp_connection_state_t conn = session_open();

    amqp_queue_delete(conn, 1, amqp_cstring_bytes(queue), 0, 0);
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}

void session_delete_exchange(const char *exchange)
{
    amqp_connection_state_t conn = session_open();

    amqp_exchange_delete(conn, 1, amqp_cstring_bytes(exchange), 0);
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}
