"""Exchanges: the predeclared ones, declaring and deleting, routing by direct and fanout."""

import client
import scratch
import wire
from harness import check, eventually, unique

PREDECLARED = {
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.topic": "topic",
    "amq.headers": "headers",
    "amq.match": "headers",
}
DEFAULT_REFUSED = "ACCESS_REFUSED - operation not permitted on the default exchange"


def declared(kind="direct", **options):
    """A channel and an exchange just declared on it."""
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, kind, **options)
    return chan, name


def inequivalent(name, field, received, current):
    return (
        f"PRECONDITION_FAILED - inequivalent arg '{field}' for exchange '{name}' in vhost '/': "
        f"received '{received}' but current is '{current}'"
    )


@check
def predeclared_exchanges_are_there():
    chan = client.channel()
    for name in PREDECLARED:
        chan.exchange_declare(name, passive=True)


@check
def predeclared_exchanges_may_be_declared_again_as_they_are():
    chan = client.channel()
    for name, kind in PREDECLARED.items():
        chan.exchange_declare(name, kind, durable=True)


@check
def predeclared_exchange_of_another_type_is_refused():
    with client.refused(406, inequivalent("amq.direct", "type", "fanout", "direct")):
        client.channel().exchange_declare("amq.direct", "fanout", durable=True)


@check
def exchange_of_the_brokers_own_kind_cannot_be_deleted():
    for name in ("amq.fanout", "amq.absent"):
        text = f"ACCESS_REFUSED - deletion of system exchange '{name}' in vhost '/' not allowed"
        with client.refused(403, text):
            client.channel().exchange_delete(name)


@check
def declaring_twice_alike_is_fine():
    chan, name = declared("fanout", durable=True)
    chan.exchange_declare(name, "fanout", durable=True)


@check
def passive_declare_finds_what_is_there_whatever_its_properties():
    chan, name = declared("fanout", durable=True)
    chan.exchange_declare(name, "direct", passive=True)


@check
def passive_declare_of_an_absent_exchange_is_not_found():
    name = unique("absent")
    with client.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        client.channel().exchange_declare(name, passive=True)


@check
def another_type_is_refused():
    chan, name = declared("fanout")
    with client.refused(406, inequivalent(name, "type", "direct", "fanout")):
        chan.exchange_declare(name, "direct")


@check
def another_durability_is_refused():
    chan, name = declared("direct", durable=True)
    with client.refused(406, inequivalent(name, "durable", "false", "true")):
        chan.exchange_declare(name, "direct")


@check
def another_auto_delete_is_refused():
    chan, name = declared("direct")
    with client.refused(406, inequivalent(name, "auto_delete", "true", "false")):
        chan.exchange_declare(name, "direct", auto_delete=True)


@check
def another_internal_is_refused():
    chan, name = declared("direct")
    with client.refused(406, inequivalent(name, "internal", "true", "false")):
        chan.exchange_declare(name, "direct", internal=True)


@check
def type_is_compared_before_durability():
    chan, name = declared("fanout", durable=True)
    with client.refused(406, inequivalent(name, "type", "direct", "fanout")):
        chan.exchange_declare(name, "direct")


@check
def unknown_arguments_are_accepted_and_not_compared():
    chan, name = declared("direct", arguments={"x-note": "one"})
    chan.exchange_declare(name, "direct", arguments={"x-note": 2, "x-other": True})


@check
def unknown_type_is_refused():
    connection = wire.connect_with_channel()
    connection.method(1, "exchange.declare", exchange=unique("exchange"), type="x-unheard-of")
    close = connection.read()
    assert (close.name, close.code) in (("connection.close", 503), ("channel.close", 406)), close
    assert close.text.endswith(" - unknown exchange type 'x-unheard-of'"), close.text
    connection = wire.connect_with_channel()
    connection.method(1, "exchange.declare", exchange=unique("absent"), type="")
    close = connection.read()
    assert close.text.endswith(" exchange type ''"), close


@check
def reserved_prefix_is_refused():
    text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"
    with client.refused(403, text):
        client.channel().exchange_declare("amq.mine", "direct")


@check
def reserved_prefix_is_just_not_found_when_passive():
    with client.refused(404, "NOT_FOUND - no exchange 'amq.mine' in vhost '/'"):
        client.channel().exchange_declare("amq.mine", passive=True)


@check
def default_exchange_cannot_be_declared():
    with client.refused(403, DEFAULT_REFUSED):
        client.channel().exchange_declare("", "direct", durable=True)


@check
def default_exchange_cannot_be_deleted():
    with client.refused(403, DEFAULT_REFUSED):
        client.channel().exchange_delete("")


@check
def default_exchange_cannot_be_bound():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    with client.refused(403, DEFAULT_REFUSED):
        chan.queue_bind(queue, "", "key")


@check
def default_exchange_cannot_be_unbound():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    with client.refused(403, DEFAULT_REFUSED):
        chan.queue_unbind(queue, "", queue)


@check
def default_exchange_routes_by_queue_name():
    chan = client.channel()
    queue, other = client.exclusive_queue(chan), client.exclusive_queue(chan)
    client.publish(chan, queue, b"for one")
    assert client.drain(chan, queue) == [b"for one"]
    assert client.drain(chan, other) == []


@check
def deleting_removes_the_exchange():
    chan, name = declared()
    chan.exchange_delete(name)
    assert not client.exchange_exists(name)


@check
def deleting_an_absent_exchange_succeeds():
    client.channel().exchange_delete(unique("absent"))


@check
def deleting_if_unused_is_refused_while_bound():
    chan, name = declared("fanout")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name)
    text = f"PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use"
    with client.refused(406, text):
        chan.exchange_delete(name, if_unused=True)
    assert client.exchange_exists(name)


@check
def deleting_if_unused_succeeds_without_bindings():
    chan, name = declared("fanout")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name)
    chan.queue_unbind(queue, name)
    chan.exchange_delete(name, if_unused=True)
    assert not client.exchange_exists(name)


@check
def deleting_a_bound_exchange_takes_its_bindings_along():
    chan, name = declared("fanout")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name)
    chan.exchange_delete(name)
    chan.exchange_declare(name, "fanout")
    chan.basic_publish(name, "", b"to nobody")
    assert client.drain(chan, queue) == []


@check
def name_is_free_for_another_type_after_deletion():
    chan, name = declared("fanout")
    chan.exchange_delete(name)
    chan.exchange_declare(name, "direct", durable=True)


@check
def publishing_to_an_absent_exchange_closes_the_channel():
    chan, name = client.channel(), unique("absent")
    with client.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        chan.basic_publish(name, "key", b"body")
        client.round_trip(chan)


@check
def publishing_to_an_internal_exchange_is_refused():
    chan, name = declared("fanout", internal=True)
    text = f"ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'"
    with client.refused(403, text):
        chan.basic_publish(name, "key", b"body")
        client.round_trip(chan)


@check
def auto_delete_exchange_waits_for_a_first_binding():
    _, name = declared("fanout", auto_delete=True)
    assert client.exchange_exists(name)


@check
def auto_delete_exchange_goes_with_its_last_binding():
    chan, name = declared("fanout", auto_delete=True)
    one, two = client.exclusive_queue(chan), client.exclusive_queue(chan)
    chan.queue_bind(one, name)
    chan.queue_bind(two, name)
    chan.queue_unbind(one, name)
    assert client.exchange_exists(name)
    chan.queue_unbind(two, name)
    assert not client.exchange_exists(name)


@check
def auto_delete_exchange_goes_with_the_last_bound_queue():
    chan, name = declared("direct", auto_delete=True)
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name, "a")
    chan.queue_bind(queue, name, "b")
    chan.queue_delete(queue)
    eventually(lambda: not client.exchange_exists(name), "exchange gone")


@check
def exchange_outlives_the_connection_that_declared_it():
    chan, name = declared("direct")
    chan.connection.close()
    assert client.exchange_exists(name)


@check
def direct_exchange_compares_keys_byte_by_byte():
    chan, name = declared("direct")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name, "Key")
    for key in ("key", "KEY", "Key ", "Ke", "", "*", "#"):
        chan.basic_publish(name, key, b"wrong")
    chan.basic_publish(name, "Key", b"right")
    assert client.drain(chan, queue) == [b"right"]


@check
def direct_exchange_gives_a_copy_to_each_queue_of_the_key():
    chan, name = declared("direct")
    queues = [client.exclusive_queue(chan) for _ in range(3)]
    for queue in queues:
        chan.queue_bind(queue, name, "shared")
    chan.queue_bind(queues[0], name, "own")
    chan.basic_publish(name, "shared", b"all")
    chan.basic_publish(name, "own", b"first")
    got = [client.drain(chan, queue) for queue in queues]
    assert got == [[b"all", b"first"], [b"all"], [b"all"]], got


@check
def fanout_exchange_ignores_keys():
    chan, name = declared("fanout")
    one, two = client.exclusive_queue(chan), client.exclusive_queue(chan)
    chan.queue_bind(one, name, "some key")
    chan.queue_bind(two, name)
    chan.basic_publish(name, "another key", b"x")
    assert (client.drain(chan, one), client.drain(chan, two)) == ([b"x"], [b"x"])


@check
def fanout_to_twenty_queues_keeps_every_message_and_its_order():
    chan, name = declared("fanout")
    queues = [client.exclusive_queue(chan) for _ in range(20)]
    for queue in queues:
        chan.queue_bind(queue, name)
    bodies = [b"%d" % number for number in range(200)]
    for body in bodies:
        chan.basic_publish(name, "", body)
    for queue in queues:
        inbox = client.Inbox(chan, queue, auto_ack=True).wait(len(bodies))
        assert inbox.bodies == bodies


@check
def fanout_without_queues_drops_the_message():
    chan, name = declared("fanout")
    chan.basic_publish(name, "", b"to nobody")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, name)
    assert client.drain(chan, queue) == []


@check
def predeclared_direct_and_fanout_route():
    chan = client.channel()
    queue, key = client.exclusive_queue(chan), unique("key")
    chan.queue_bind(queue, "amq.direct", key)
    chan.basic_publish("amq.direct", key, b"direct")
    chan.queue_unbind(queue, "amq.direct", key)
    chan.queue_bind(queue, "amq.fanout")
    chan.basic_publish("amq.fanout", key, b"fanout")
    assert {b"direct", b"fanout"} <= set(client.drain(chan, queue))


@check
def declare_and_delete_without_waiting_send_no_answer():
    connection, name = wire.connect_with_channel(), scratch.exchange_name()
    connection.method(1, "exchange.declare", exchange=name, type="fanout", nowait=True)
    connection.call(1, "exchange.declare", exchange=name, type="fanout")
    connection.method(1, "exchange.delete", exchange=name, nowait=True)
    connection.method(1, "exchange.declare", exchange=name, passive=True)
    connection.expect_channel_error(1, 404)


@check
def line_ends_in_a_name_are_removed():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name[:10] + "\r\n" + name[10:], "direct")
    chan.exchange_declare(name, passive=True)
