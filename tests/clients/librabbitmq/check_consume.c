/* Consuming, getting, settling and prefetch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "session.h"

/* The number that session_fill() gave to the message. */
static int number(const struct message *message)
{
    char text[16] = "";

    expect(message->body.len < sizeof(text));
    memcpy(text, message->body.bytes, message->body.len);
    return atoi(text);
}

static void expect_rest(amqp_connection_state_t conn, amqp_bytes_t queue, const int *numbers,
                        int count)
{
    struct message message;

    for (int i = 0; i < count; i++) {
        expect(session_get(conn, 1, queue, true, &message));
        expect_int(number(&message), numbers[i]);
    }
    expect(!session_get(conn, 1, queue, true, &message));
}

static void set_prefetch(amqp_connection_state_t conn, uint16_t count, bool is_global)
{
    amqp_basic_qos(conn, 1, 0, count, is_global);
    session_must(conn);
}

CHECK(messages_come_in_order)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_fill(conn, queue, 100);
    session_consume(conn, 1, queue, "c", true);
    for (int i = 0; i < 100; i++) {
        struct message message = session_wait(conn);
        expect_int(number(&message), i);
        expect_int(message.delivery_tag, i + 1);
        expect(!message.redelivered);
        expect(session_text_is(message.tag, "c"));
    }
}

CHECK(consumers_take_turns)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    int seen[3] = {0};

    session_consume(conn, 1, queue, "0", true);
    session_consume(conn, 1, queue, "1", true);
    session_consume(conn, 1, queue, "2", true);
    session_fill(conn, queue, 30);
    for (int i = 0; i < 30; i++) {
        struct message message = session_wait(conn);
        seen[((const char *)message.tag.bytes)[0] - '0']++;
    }
    expect(seen[0] == 10 && seen[1] == 10 && seen[2] == 10);
}

CHECK(consumer_without_a_tag_is_given_one)
{
    amqp_connection_state_t conn = session_open();
    const amqp_basic_consume_ok_t *ok = amqp_basic_consume(
        conn, 1, session_queue(conn, 1), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);

    session_must(conn);
    expect(ok->consumer_tag.len > 9 && memcmp(ok->consumer_tag.bytes, "amq.ctag-", 9) == 0);
}

CHECK(consumer_tag_twice_is_not_allowed)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_consume(conn, 1, queue, "twice", true);
    amqp_basic_consume(conn, 1, queue, amqp_cstring_bytes("twice"), 0, 1, 0, amqp_empty_table);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(conn);
    expect_int(reply.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
    expect_int(reply.reply.id, AMQP_CONNECTION_CLOSE_METHOD);
    const amqp_connection_close_t *close = reply.reply.decoded;
    expect_int(close->reply_code, 530);
}

CHECK(consuming_an_absent_queue_is_not_found)
{
    amqp_connection_state_t conn = session_open();

    amqp_basic_consume(conn, 1, amqp_cstring_bytes(unique_absent()), amqp_empty_bytes, 0, 1, 0,
                       amqp_empty_table);
    session_must_be_refused(conn, 1, 404, NULL);
}

CHECK(exclusive_consumer_keeps_others_away)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    char text[300];

    snprintf(text, sizeof(text), "ACCESS_REFUSED - queue '%.*s' in vhost '/' in exclusive use",
             (int)queue.len, (const char *)queue.bytes);
    session_channel(conn, 2);
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, 1, 1, amqp_empty_table);
    session_must(conn);
    amqp_basic_consume(conn, 2, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    session_must_be_refused(conn, 2, 403, text);
}

CHECK(cancelled_consumer_gets_nothing_more)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_consume(conn, 1, queue, "c", true);
    session_fill(conn, queue, 1);
    session_wait(conn);
    const amqp_basic_cancel_ok_t *ok = amqp_basic_cancel(conn, 1, amqp_cstring_bytes("c"));
    session_must(conn);
    expect(session_text_is(ok->consumer_tag, "c"));
    session_fill(conn, queue, 1);
    session_expect_depth(conn, queue, 1);
}

/* librabbitmq does not say by itself that it wants to hear of cancelled consumers. */
static amqp_connection_state_t open_with_cancel_notify(void)
{
    amqp_connection_state_t conn = session_socket();
    amqp_table_entry_t capability = {
        .key = amqp_cstring_bytes("consumer_cancel_notify"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
    };
    amqp_table_entry_t capabilities = {
        .key = amqp_cstring_bytes("capabilities"),
        .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, &capability}},
    };
    amqp_table_t properties = {.num_entries = 1, .entries = &capabilities};
    amqp_rpc_reply_t reply =
        amqp_login_with_properties(conn, "/", 0, 131072, 0, &properties, AMQP_SASL_METHOD_PLAIN,
                                   peer()->user, peer()->password);

    expect_int(reply.reply_type, AMQP_RESPONSE_NORMAL);
    session_channel(conn, 1);
    return conn;
}

CHECK(deleting_the_queue_cancels_its_consumer)
{
    amqp_connection_state_t conn = open_with_cancel_notify(), other = session_open();
    const char *queue = unique_queue();

    session_declare(other, queue);
    session_consume(conn, 1, amqp_cstring_bytes(queue), "c", true);
    amqp_queue_delete(other, 1, amqp_cstring_bytes(queue), 0, 0);
    session_must(other);
    const amqp_basic_cancel_t *cancel = session_wait_method(conn, AMQP_BASIC_CANCEL_METHOD);
    expect(session_text_is(cancel->consumer_tag, "c"));
}

CHECK(client_that_did_not_ask_is_not_told_of_a_cancel)
{
    amqp_connection_state_t conn = session_open(), other = session_open();
    const char *queue = unique_queue();

    session_declare(other, queue);
    session_consume(conn, 1, amqp_cstring_bytes(queue), "c", true);
    amqp_queue_delete(other, 1, amqp_cstring_bytes(queue), 0, 0);
    session_must(other);
    expect(session_is_quiet(conn));
    session_queue(conn, 1);
}

CHECK(get_from_an_empty_queue_says_so)
{
    amqp_connection_state_t conn = session_open();
    struct message message;

    expect(!session_get(conn, 1, session_queue(conn, 1), true, &message));
}

CHECK(get_counts_what_is_left)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 3);
    for (int left = 2; left >= 0; left--) {
        expect(session_get(conn, 1, queue, true, &message));
        expect_int(message.left, left);
        expect_int(message.routing_key.len, queue.len);
        expect(memcmp(message.routing_key.bytes, queue.bytes, queue.len) == 0);
    }
}

CHECK(ack_multiple_settles_all_up_to_its_tag)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 5);
    for (int i = 0; i < 5; i++)
        expect(session_get(conn, 1, queue, false, &message));
    expect_int(amqp_basic_ack(conn, 1, 3, 1), AMQP_STATUS_OK);
    expect_int(amqp_basic_nack(conn, 1, 0, 1, 1), AMQP_STATUS_OK);
    expect_rest(conn, queue, (const int[]){3, 4}, 2);
}

CHECK(unknown_tag_closes_the_channel)
{
    amqp_connection_state_t conn = session_open();

    expect_int(amqp_basic_ack(conn, 1, 1, 0), AMQP_STATUS_OK);
    session_wait_refused(conn, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

CHECK(ack_twice_closes_the_channel)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 1);
    expect(session_get(conn, 1, queue, false, &message));
    amqp_basic_ack(conn, 1, 1, 0);
    amqp_basic_ack(conn, 1, 1, 0);
    session_wait_refused(conn, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

CHECK(reject_without_requeue_drops)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 2);
    expect(session_get(conn, 1, queue, false, &message));
    amqp_basic_reject(conn, 1, message.delivery_tag, 0);
    expect_rest(conn, queue, (const int[]){1}, 1);
}

CHECK(reject_with_requeue_goes_back_to_the_head_marked)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 2);
    expect(session_get(conn, 1, queue, false, &message));
    amqp_basic_reject(conn, 1, message.delivery_tag, 1);
    expect(session_get(conn, 1, queue, false, &message));
    expect_int(number(&message), 0);
    expect(message.redelivered);
}

CHECK(nacked_messages_go_back_to_their_places)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 8);
    for (int i = 0; i < 6; i++)
        expect(session_get(conn, 1, queue, false, &message));
    amqp_basic_nack(conn, 1, 5, 0, 1);
    amqp_basic_nack(conn, 1, 2, 0, 1);
    amqp_basic_nack(conn, 1, 4, 0, 1);
    expect_rest(conn, queue, (const int[]){1, 3, 4, 6, 7}, 5);
}

CHECK(closing_the_channel_requeues_in_order)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_channel(conn, 2);
    session_fill(conn, queue, 5);
    session_consume(conn, 2, queue, "c", false);
    for (int i = 0; i < 5; i++)
        session_wait(conn);
    amqp_basic_ack(conn, 2, 2, 0);
    expect_int(amqp_channel_close(conn, 2, AMQP_REPLY_SUCCESS).reply_type, AMQP_RESPONSE_NORMAL);
    expect_rest(conn, queue, (const int[]){0, 2, 3, 4}, 4);
}

CHECK(loss_of_the_connection_requeues_in_order)
{
    amqp_connection_state_t conn = session_open(), other = session_open();
    const char *name = unique_queue();
    amqp_bytes_t queue = amqp_cstring_bytes(name);

    session_declare(conn, name);
    session_fill(conn, queue, 4);
    session_consume(other, 1, queue, "c", false);
    for (int i = 0; i < 4; i++)
        session_wait(other);
    session_drop(other);
    session_expect_depth(conn, queue, 4);
    expect_rest(conn, queue, (const int[]){0, 1, 2, 3}, 4);
}

CHECK(automatic_acks_leave_nothing_behind)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_fill(conn, queue, 10);
    session_consume(conn, 1, queue, "c", true);
    for (int i = 0; i < 10; i++)
        session_wait(conn);
    amqp_channel_close(conn, 1, AMQP_REPLY_SUCCESS);
    session_channel(conn, 1);
    expect_rest(conn, queue, NULL, 0);
}

CHECK(prefetch_count_is_exact)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_fill(conn, queue, 10);
    set_prefetch(conn, 3, false);
    session_consume(conn, 1, queue, "c", false);
    for (int i = 0; i < 3; i++)
        session_wait(conn);
    expect(session_is_quiet(conn));
    amqp_basic_ack(conn, 1, 2, 1);
    session_wait(conn);
    session_wait(conn);
    expect(session_is_quiet(conn));
}

CHECK(prefetch_of_the_channel_is_shared)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_fill(conn, queue, 10);
    set_prefetch(conn, 4, true);
    session_consume(conn, 1, queue, "one", false);
    session_consume(conn, 1, queue, "two", false);
    for (int i = 0; i < 4; i++)
        session_wait(conn);
    expect(session_is_quiet(conn));
}

CHECK(slow_consumer_does_not_collect_a_backlog)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    uint64_t held = 0;

    set_prefetch(conn, 1, false);
    session_consume(conn, 1, queue, "slow", false);
    session_consume(conn, 1, queue, "quick", false);
    session_fill(conn, queue, 20);
    for (int i = 0; i < 20; i++) {
        struct message message = session_wait(conn);
        if (session_text_is(message.tag, "quick"))
            amqp_basic_ack(conn, 1, message.delivery_tag, 0);
        else {
            expect_int(held, 0);
            held = message.delivery_tag;
        }
    }
    expect(held != 0);
}

CHECK(prefetch_size_is_not_implemented)
{
    amqp_connection_state_t conn = session_open();
    amqp_basic_qos_t qos = {.prefetch_size = 1};

    expect_int(amqp_send_method(conn, 1, AMQP_BASIC_QOS_METHOD, &qos), 0);
    session_wait_closed(conn, 540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)");
}
