/* Exchanges, queues and bindings. */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "session.h"

static void declare_exchange(amqp_connection_state_t conn, const char *name, const char *type,
                             bool durable, bool auto_delete, bool internal)
{
    amqp_exchange_declare(conn, 1, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, durable,
                          auto_delete, internal, amqp_empty_table);
}

static void find_exchange(amqp_connection_state_t conn, const char *name)
{
    amqp_exchange_declare(conn, 1, amqp_cstring_bytes(name), amqp_cstring_bytes("direct"), 1, 0, 0,
                          0, amqp_empty_table);
}

static const char *new_exchange(amqp_connection_state_t conn, const char *type)
{
    const char *name = unique_exchange();

    declare_exchange(conn, name, type, false, false, false);
    session_must(conn);
    return name;
}

static void bind_queue(amqp_connection_state_t conn, amqp_bytes_t queue, const char *exchange,
                       const char *key)
{
    amqp_queue_bind(conn, 1, queue, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key),
                    amqp_empty_table);
}

static void expect_messages(amqp_connection_state_t conn, amqp_bytes_t queue, int count)
{
    struct message message;

    for (int i = 0; i < count; i++)
        expect(session_get(conn, 1, queue, true, &message));
    expect(!session_get(conn, 1, queue, true, &message));
}

CHECK(predeclared_exchanges_are_there)
{
    amqp_connection_state_t conn = session_open();
    const char *names[] = {"amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        find_exchange(conn, names[i]);
        session_must(conn);
    }
}

CHECK(exchange_may_be_declared_twice_alike)
{
    amqp_connection_state_t conn = session_open();
    const char *name = new_exchange(conn, "fanout");

    declare_exchange(conn, name, "fanout", false, false, false);
    session_must(conn);
}

CHECK(exchange_of_another_type_is_refused)
{
    amqp_connection_state_t conn = session_open();
    const char *name = new_exchange(conn, "fanout");
    char text[300];

    snprintf(text, sizeof(text),
             "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '%s' in vhost '/': "
             "received 'direct' but current is 'fanout'",
             name);
    declare_exchange(conn, name, "direct", false, false, false);
    session_must_be_refused(conn, 1, 406, text);
}

CHECK(absent_exchange_is_not_found)
{
    amqp_connection_state_t conn = session_open();
    char text[300];

    snprintf(text, sizeof(text), "NOT_FOUND - no exchange '%s' in vhost '/'", unique_absent());
    find_exchange(conn, unique_absent());
    session_must_be_refused(conn, 1, 404, text);
}

CHECK(reserved_exchange_name_is_refused)
{
    amqp_connection_state_t conn = session_open();

    declare_exchange(conn, "amq.mine", "direct", false, false, false);
    session_must_be_refused(
        conn, 1, 403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'");
}

CHECK(deleted_exchange_is_gone)
{
    amqp_connection_state_t conn = session_open();
    const char *name = new_exchange(conn, "direct");

    amqp_exchange_delete(conn, 1, amqp_cstring_bytes(name), 0);
    session_must(conn);
    find_exchange(conn, name);
    session_must_be_refused(conn, 1, 404, NULL);
}

CHECK(exchange_in_use_is_not_deleted_if_unused)
{
    amqp_connection_state_t conn = session_open();
    const char *name = new_exchange(conn, "fanout");
    char text[300];

    snprintf(text, sizeof(text), "PRECONDITION_FAILED - exchange '%s' in vhost '/' in use", name);
    bind_queue(conn, session_queue(conn, 1), name, "");
    session_must(conn);
    amqp_exchange_delete(conn, 1, amqp_cstring_bytes(name), 1);
    session_must_be_refused(conn, 1, 406, text);
}

CHECK(auto_delete_exchange_goes_with_its_last_binding)
{
    amqp_connection_state_t conn = session_open();
    const char *name = unique_exchange();
    amqp_bytes_t queue = session_queue(conn, 1);

    declare_exchange(conn, name, "fanout", false, true, false);
    session_must(conn);
    bind_queue(conn, queue, name, "");
    session_must(conn);
    amqp_queue_unbind(conn, 1, queue, amqp_cstring_bytes(name), amqp_empty_bytes, amqp_empty_table);
    session_must(conn);
    find_exchange(conn, name);
    session_must_be_refused(conn, 1, 404, NULL);
}

CHECK(internal_exchange_takes_no_publish)
{
    amqp_connection_state_t conn = session_open();
    const char *name = unique_exchange();
    char text[300];

    snprintf(text, sizeof(text),
             "ACCESS_REFUSED - cannot publish to internal exchange '%s' in vhost '/'", name);
    declare_exchange(conn, name, "fanout", false, false, true);
    session_must(conn);
    session_publish(conn, 1, name, amqp_empty_bytes, "x");
    session_wait_refused(conn, 1, 403, text);
}

CHECK(server_named_queue_has_the_usual_prefix)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t one = session_queue(conn, 1), two = session_queue(conn, 1);

    expect(one.len == 30 && memcmp(one.bytes, "amq.gen-", 8) == 0);
    expect(one.len != two.len || memcmp(one.bytes, two.bytes, one.len) != 0);
}

CHECK(queue_counts_ready_messages_and_consumers)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    session_fill(conn, queue, 5);
    session_expect_depth(conn, queue, 5);
    session_channel(conn, 2);
    amqp_basic_qos(conn, 2, 0, 2, 0);
    session_must(conn);
    session_consume(conn, 2, queue, "c", false);
    session_wait(conn);
    session_wait(conn);
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(conn, 1, queue, 1, 0, 0, 0, amqp_empty_table);
    session_must(conn);
    expect_int(ok->message_count, 3);
    expect_int(ok->consumer_count, 1);
}

CHECK(queue_of_another_durability_is_refused)
{
    amqp_connection_state_t conn = session_open();
    const char *name = unique_queue();
    char text[300];

    snprintf(text, sizeof(text),
             "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '/': "
             "received 'false' but current is 'true'",
             name);
    session_declare(conn, name);
    session_declare(conn, name);
    amqp_queue_declare(conn, 1, amqp_cstring_bytes(name), 0, 0, 0, 0, amqp_empty_table);
    session_must_be_refused(conn, 1, 406, text);
}

CHECK(exclusive_queue_is_locked_for_others)
{
    amqp_connection_state_t conn = session_open(), other = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);

    amqp_queue_declare(other, 1, queue, 1, 0, 0, 0, amqp_empty_table);
    session_must_be_refused(other, 1, 405, NULL);
    session_channel(other, 1);
    amqp_basic_consume(other, 1, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    session_must_be_refused(other, 1, 405, NULL);
    session_channel(other, 1);
    amqp_queue_delete(other, 1, queue, 0, 0);
    session_must_be_refused(other, 1, 405, NULL);
    expect_messages(conn, queue, 0);
}

CHECK(auto_delete_queue_goes_with_its_last_consumer)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = amqp_cstring_bytes(unique_queue());
    bool is_there = true;

    amqp_queue_declare(conn, 1, queue, 0, 0, 0, 1, amqp_empty_table);
    session_must(conn);
    session_consume(conn, 1, queue, "c", true);
    amqp_basic_cancel(conn, 1, amqp_cstring_bytes("c"));
    session_must(conn);
    while (is_there) {
        amqp_queue_declare(conn, 1, queue, 1, 0, 0, 0, amqp_empty_table);
        is_there = amqp_get_rpc_reply(conn).reply_type == AMQP_RESPONSE_NORMAL;
    }
    session_must_be_refused(conn, 1, 404, NULL);
}

CHECK(purge_and_delete_count_what_they_remove)
{
    amqp_connection_state_t conn = session_open();
    amqp_bytes_t queue = session_queue(conn, 1);
    struct message message;

    session_fill(conn, queue, 5);
    expect(session_get(conn, 1, queue, false, &message));
    const amqp_queue_purge_ok_t *purged = amqp_queue_purge(conn, 1, queue);
    session_must(conn);
    expect_int(purged->message_count, 4);
    session_fill(conn, queue, 3);
    const amqp_queue_delete_ok_t *deleted = amqp_queue_delete(conn, 1, queue, 0, 0);
    session_must(conn);
    expect_int(deleted->message_count, 3);
}

CHECK(deleting_an_absent_queue_succeeds)
{
    amqp_connection_state_t conn = session_open();
    const amqp_queue_delete_ok_t *ok =
        amqp_queue_delete(conn, 1, amqp_cstring_bytes(unique_absent()), 0, 0);

    session_must(conn);
    expect_int(ok->message_count, 0);
}

CHECK(queue_in_use_or_not_empty_is_kept)
{
    amqp_connection_state_t conn = session_open();
    const char *name = unique_queue();
    amqp_bytes_t queue = amqp_cstring_bytes(name);
    char text[300];

    session_declare(conn, name);
    session_fill(conn, queue, 1);
    amqp_queue_delete(conn, 1, queue, 0, 1);
    snprintf(text, sizeof(text), "PRECONDITION_FAILED - queue '%s' in vhost '/' not empty", name);
    session_must_be_refused(conn, 1, 406, text);
    session_channel(conn, 1);
    session_channel(conn, 2);
    session_consume(conn, 2, queue, "c", true);
    session_wait(conn);
    amqp_queue_delete(conn, 1, queue, 1, 0);
    snprintf(text, sizeof(text), "PRECONDITION_FAILED - queue '%s' in vhost '/' in use", name);
    session_must_be_refused(conn, 1, 406, text);
}

CHECK(direct_exchange_routes_by_key)
{
    amqp_connection_state_t conn = session_open();
    const char *exchange = new_exchange(conn, "direct");
    amqp_bytes_t one = session_queue(conn, 1), two = session_queue(conn, 1);

    bind_queue(conn, one, exchange, "one");
    bind_queue(conn, two, exchange, "two");
    bind_queue(conn, one, exchange, "both");
    bind_queue(conn, two, exchange, "both");
    session_publish(conn, 1, exchange, amqp_cstring_bytes("one"), "x");
    session_publish(conn, 1, exchange, amqp_cstring_bytes("both"), "x");
    session_publish(conn, 1, exchange, amqp_cstring_bytes("neither"), "x");
    expect_messages(conn, one, 2);
    expect_messages(conn, two, 1);
}

CHECK(fanout_exchange_reaches_twenty_queues)
{
    amqp_connection_state_t conn = session_open();
    const char *exchange = new_exchange(conn, "fanout");
    amqp_bytes_t queues[20];

    for (int i = 0; i < 20; i++) {
        queues[i] = session_queue(conn, 1);
        bind_queue(conn, queues[i], exchange, "");
        session_must(conn);
    }
    for (int i = 0; i < 10; i++)
        session_publish(conn, 1, exchange, amqp_cstring_bytes("any"), "x");
    for (int i = 0; i < 20; i++)
        expect_messages(conn, queues[i], 10);
}

CHECK(binding_twice_gives_one_copy)
{
    amqp_connection_state_t conn = session_open();
    const char *exchange = new_exchange(conn, "direct");
    amqp_bytes_t queue = session_queue(conn, 1);

    bind_queue(conn, queue, exchange, "key");
    bind_queue(conn, queue, exchange, "key");
    session_publish(conn, 1, exchange, amqp_cstring_bytes("key"), "x");
    expect_messages(conn, queue, 1);
}

CHECK(unbound_queue_gets_nothing_and_unbinding_twice_is_fine)
{
    amqp_connection_state_t conn = session_open();
    const char *exchange = new_exchange(conn, "direct");
    amqp_bytes_t queue = session_queue(conn, 1), key = amqp_cstring_bytes("key");

    bind_queue(conn, queue, exchange, "key");
    for (int i = 0; i < 2; i++) {
        amqp_queue_unbind(conn, 1, queue, amqp_cstring_bytes(exchange), key, amqp_empty_table);
        session_must(conn);
    }
    session_publish(conn, 1, exchange, key, "x");
    expect_messages(conn, queue, 0);
}

CHECK(binding_to_an_absent_exchange_is_not_found)
{
    amqp_connection_state_t conn = session_open();

    bind_queue(conn, session_queue(conn, 1), unique_absent(), "key");
    session_must_be_refused(conn, 1, 404, NULL);
}
