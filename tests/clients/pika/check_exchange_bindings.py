"""Bindings between exchanges: chains, circles, one copy per queue, and what ends them."""

import client
import scratch
import wire
from harness import check, eventually, unique

DEFAULT_REFUSED = "ACCESS_REFUSED - operation not permitted on the default exchange"


def exchange_of(chan, kind="fanout", **options):
    name = scratch.exchange_name()
    chan.exchange_declare(name, kind, **options)
    return name


def bound(chan, exchange, key=""):
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, exchange, key)
    return queue


@check
def bound_exchange_passes_on_what_its_key_lets_through():
    chan = client.channel()
    source, target = exchange_of(chan, "direct"), exchange_of(chan)
    chan.exchange_bind(target, source, "k")
    queue = bound(chan, target)
    for key in ("k", "l"):
        chan.basic_publish(source, key, key.encode())
    assert client.drain(chan, queue) == [b"k"]


@check
def first_key_is_used_on_all_the_way():
    chan = client.channel()
    source, middle, last = (exchange_of(chan, kind) for kind in ("fanout", "topic", "direct"))
    chan.exchange_bind(middle, source, "ignored")
    chan.exchange_bind(last, middle, "*.x")
    queue = bound(chan, last, "a.x")
    for key in ("a.x", "b.x", "a.y"):
        chan.basic_publish(source, key, key.encode())
    assert client.drain(chan, queue) == [b"a.x"]


@check
def delivery_names_the_exchange_that_was_published_to():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_bind(target, source)
    queue = bound(chan, target)
    chan.basic_publish(source, "key", b"x")
    method = chan.basic_get(queue, True)[0]
    assert (method.exchange, method.routing_key) == (source, "key")


@check
def queue_on_two_paths_gets_one_copy():
    chan = client.channel()
    source, left, right = (exchange_of(chan) for _ in range(3))
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, source)
    for middle in (left, right):
        chan.exchange_bind(middle, source)
        chan.queue_bind(queue, middle)
    chan.basic_publish(source, "", b"x")
    assert client.drain(chan, queue) == [b"x"]


@check
def circle_ends():
    chan = client.channel()
    circle = [exchange_of(chan) for _ in range(5)]
    queues = [bound(chan, name) for name in circle]
    for number, name in enumerate(circle):
        chan.exchange_bind(circle[number - 1], name)
    chan.basic_publish(circle[3], "", b"x")
    assert [client.drain(chan, queue) for queue in queues] == [[b"x"]] * 5


@check
def exchange_bound_to_itself_passes_one_copy():
    chan = client.channel()
    name = exchange_of(chan)
    chan.exchange_bind(name, name)
    queue = bound(chan, name)
    chan.basic_publish(name, "", b"x")
    assert client.drain(chan, queue) == [b"x"]


@check
def chain_of_fifty_passes_on():
    chan = client.channel()
    chain = [exchange_of(chan) for _ in range(50)]
    for source, target in zip(chain, chain[1:]):
        chan.exchange_bind(target, source)
    queue = bound(chan, chain[-1])
    chan.basic_publish(chain[0], "", b"x")
    assert client.drain(chan, queue) == [b"x"]


@check
def wide_graph_gives_each_queue_one_copy():
    chan = client.channel()
    source, last = exchange_of(chan), exchange_of(chan)
    middles = [exchange_of(chan) for _ in range(20)]
    for middle in middles:
        chan.exchange_bind(middle, source)
        chan.exchange_bind(last, middle)
    queues = [bound(chan, last) for _ in range(10)]
    chan.basic_publish(source, "", b"x")
    assert [client.drain(chan, queue) for queue in queues] == [[b"x"]] * 10


@check
def binding_twice_is_one_binding():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_bind(target, source, "k")
    chan.exchange_bind(target, source, "k")
    queue = bound(chan, target)
    chan.exchange_unbind(target, source, "k")
    chan.basic_publish(source, "k", b"x")
    assert client.drain(chan, queue) == []


@check
def unbinding_ends_it():
    chan = client.channel()
    source, target = exchange_of(chan, "direct"), exchange_of(chan)
    for key in ("one", "two"):
        chan.exchange_bind(target, source, key)
    queue = bound(chan, target)
    chan.exchange_unbind(target, source, "one")
    for key in ("one", "two"):
        chan.basic_publish(source, key, key.encode())
    assert client.drain(chan, queue) == [b"two"]


@check
def unbinding_what_is_not_bound_succeeds():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_unbind(target, source, "k")


@check
def bind_and_unbind_are_answered_in_their_own_words():
    connection = wire.connect_with_channel()
    source, target = scratch.exchange_name(), scratch.exchange_name()
    for name in (source, target):
        connection.call(1, "exchange.declare", exchange=name, type="fanout")
    connection.call(1, "exchange.bind", destination=target, source=source)
    connection.call(1, "exchange.unbind", destination=target, source=source)


@check
def bind_and_unbind_without_waiting_send_no_answer():
    connection = wire.connect_with_channel()
    source, target = scratch.exchange_name(), scratch.exchange_name()
    for name in (source, target):
        connection.call(1, "exchange.declare", exchange=name, type="fanout")
    queue = wire.exclusive_queue(connection)
    connection.call(1, "queue.bind", queue=queue, exchange=target)
    connection.method(1, "exchange.bind", destination=target, source=source, nowait=True)
    connection.publish(1, source, "", b"one")
    connection.method(1, "exchange.unbind", destination=target, source=source, nowait=True)
    connection.publish(1, source, "", b"two")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"one"
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    connection.expect("basic.get-empty", 1)


@check
def absent_exchanges_are_not_found():
    connection = client.connect()
    name, there = unique("absent"), exchange_of(connection.channel())
    text = f"NOT_FOUND - no exchange '{name}' in vhost '/'"
    with client.refused(404, text):
        connection.channel().exchange_bind(there, name)
    with client.refused(404, text):
        connection.channel().exchange_bind(name, there)
    source = unique("absent")
    with client.refused(404, f"NOT_FOUND - no exchange '{source}' in vhost '/'"):
        connection.channel().exchange_bind(name, source)


@check
def unbinding_absent_exchanges_succeeds():
    chan = client.channel()
    there, absent = exchange_of(chan), unique("absent")
    for destination, source in ((there, absent), (absent, there), (absent, absent)):
        chan.exchange_unbind(destination, source)


@check
def default_exchange_is_neither_source_nor_destination():
    connection = client.connect()
    there = exchange_of(connection.channel())
    for destination, source in (("", there), (there, "")):
        with client.refused(403, DEFAULT_REFUSED):
            connection.channel().exchange_bind(destination, source, "k")
        with client.refused(403, DEFAULT_REFUSED):
            connection.channel().exchange_unbind(destination, source, "k")


@check
def deleting_the_destination_ends_it():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_bind(target, source)
    chan.exchange_delete(target)
    chan.exchange_declare(target, "fanout")
    queue = bound(chan, target)
    chan.basic_publish(source, "", b"x")
    assert client.drain(chan, queue) == []


@check
def deleting_the_source_ends_it():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_bind(target, source)
    chan.exchange_delete(source)
    chan.exchange_declare(source, "fanout")
    queue = bound(chan, target)
    chan.basic_publish(source, "", b"x")
    assert client.drain(chan, queue) == []


@check
def source_is_in_use_and_destination_is_not():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    chan.exchange_bind(target, source)
    text = f"PRECONDITION_FAILED - exchange '{source}' in vhost '/' in use"
    with client.refused(406, text):
        chan.exchange_delete(source, if_unused=True)
    client.channel().exchange_delete(target, if_unused=True)


@check
def auto_delete_source_goes_when_its_destination_does():
    chan = client.channel()
    source, target = exchange_of(chan, auto_delete=True), exchange_of(chan)
    chan.exchange_bind(target, source)
    assert client.exchange_exists(source)
    chan.exchange_delete(target)
    eventually(lambda: not client.exchange_exists(source), "source gone")


@check
def auto_delete_source_goes_with_its_unbinding():
    chan = client.channel()
    source, target = exchange_of(chan, auto_delete=True), exchange_of(chan)
    chan.exchange_bind(target, source)
    chan.exchange_unbind(target, source)
    assert not client.exchange_exists(source)


@check
def auto_delete_exchange_stays_as_a_mere_destination():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan, auto_delete=True)
    chan.exchange_bind(target, source)
    chan.exchange_unbind(target, source)
    assert client.exchange_exists(target)


@check
def chain_of_auto_delete_exchanges_falls_as_one():
    chan = client.channel()
    chain = [exchange_of(chan, auto_delete=True) for _ in range(4)]
    for source, target in zip(chain, chain[1:]):
        chan.exchange_bind(target, source)
    queue = bound(chan, chain[-1])
    chan.queue_delete(queue)
    eventually(lambda: not any(map(client.exchange_exists, chain)), "all of them gone")


@check
def internal_exchange_is_fed_by_others_only():
    chan = client.channel()
    inner, source = exchange_of(chan, internal=True), exchange_of(chan)
    chan.exchange_bind(inner, source)
    queue = bound(chan, inner)
    chan.basic_publish(source, "", b"x")
    assert client.drain(chan, queue) == [b"x"]
    text = f"ACCESS_REFUSED - cannot publish to internal exchange '{inner}' in vhost '/'"
    with client.refused(403, text):
        chan.basic_publish(inner, "", b"x")
        client.round_trip(chan)


@check
def mandatory_message_that_ends_in_no_queue_is_returned():
    connection = wire.connect_with_channel()
    source, target = scratch.exchange_name(), scratch.exchange_name()
    for name in (source, target):
        connection.call(1, "exchange.declare", exchange=name, type="fanout")
    connection.call(1, "exchange.bind", destination=target, source=source)
    connection.publish(1, source, "k", b"x", mandatory=True)
    returned = connection.expect("basic.return", 1)
    assert (returned.code, returned.exchange, returned.routing_key) == (312, source, "k")


@check
def headers_decide_between_exchanges_too():
    chan = client.channel()
    source, target = exchange_of(chan, "headers"), exchange_of(chan)
    chan.exchange_bind(target, source, arguments={"kind": "job"})
    queue = bound(chan, target)
    for kind in ("job", "task"):
        properties = client.pika.BasicProperties(headers={"kind": kind})
        chan.basic_publish(source, "", kind.encode(), properties)
    assert client.drain(chan, queue) == [b"job"]


@check
def publishes_and_bindings_of_one_channel_keep_their_order():
    chan = client.channel()
    source, target = exchange_of(chan), exchange_of(chan)
    queue = bound(chan, target)
    for _ in range(100):
        chan.exchange_bind(target, source)
        chan.basic_publish(source, "", b"in")
        chan.exchange_unbind(target, source)
        chan.basic_publish(source, "", b"out")
    assert client.drain(chan, queue) == [b"in"] * 100
