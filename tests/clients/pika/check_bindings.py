"""Bindings of queues to exchanges."""

import client
import scratch
from harness import check, unique

DEFAULT_REFUSED = "ACCESS_REFUSED - operation not permitted on the default exchange"


def direct():
    """A channel, a direct exchange and an exclusive queue."""
    chan, exchange = client.channel(), scratch.exchange_name()
    chan.exchange_declare(exchange, "direct")
    return chan, exchange, client.exclusive_queue(chan)


@check
def same_binding_twice_is_one():
    chan, exchange, queue = direct()
    for _ in range(3):
        chan.queue_bind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"once")
    assert client.drain(chan, queue) == [b"once"]
    chan.queue_unbind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"never")
    assert client.drain(chan, queue) == []


@check
def several_bindings_that_match_give_one_copy():
    chan, exchange = client.channel(), scratch.exchange_name()
    chan.exchange_declare(exchange, "fanout")
    queue = client.exclusive_queue(chan)
    for key in ("one", "two", "three"):
        chan.queue_bind(queue, exchange, key)
    chan.basic_publish(exchange, "one", b"once")
    assert client.drain(chan, queue) == [b"once"]


@check
def arguments_are_part_of_a_binding():
    chan, exchange, queue = direct()
    chan.queue_bind(queue, exchange, "key", arguments={"x-note": "one"})
    chan.queue_bind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"once")
    chan.queue_unbind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"still")
    chan.queue_unbind(queue, exchange, "key", arguments={"x-note": "one"})
    chan.basic_publish(exchange, "key", b"no more")
    assert client.drain(chan, queue) == [b"once", b"still"]


@check
def one_queue_may_have_many_keys():
    chan, exchange, queue = direct()
    keys = [f"key {number}" for number in range(100)]
    for key in keys:
        chan.queue_bind(queue, exchange, key)
    for key in keys:
        chan.basic_publish(exchange, key, key.encode())
    assert client.drain(chan, queue) == [key.encode() for key in keys]


@check
def unbinding_takes_only_its_own_key():
    chan, exchange, queue = direct()
    chan.queue_bind(queue, exchange, "stays")
    chan.queue_bind(queue, exchange, "goes")
    chan.queue_unbind(queue, exchange, "goes")
    chan.basic_publish(exchange, "goes", b"lost")
    chan.basic_publish(exchange, "stays", b"kept")
    assert client.drain(chan, queue) == [b"kept"]


@check
def unbinding_takes_only_its_own_queue():
    chan, exchange, queue = direct()
    other = client.exclusive_queue(chan)
    chan.queue_bind(queue, exchange, "key")
    chan.queue_bind(other, exchange, "key")
    chan.queue_unbind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"x")
    assert (client.drain(chan, queue), client.drain(chan, other)) == ([], [b"x"])


@check
def unbinding_what_was_never_bound_succeeds():
    chan, exchange, queue = direct()
    chan.queue_unbind(queue, exchange, "never")


@check
def binding_again_after_unbinding_works():
    chan, exchange, queue = direct()
    for _ in range(3):
        chan.queue_bind(queue, exchange, "key")
        chan.queue_unbind(queue, exchange, "key")
    chan.queue_bind(queue, exchange, "key")
    chan.basic_publish(exchange, "key", b"x")
    assert client.drain(chan, queue) == [b"x"]


@check
def binding_an_absent_queue_is_not_found():
    chan, name = client.channel(), unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        chan.queue_bind(name, "amq.direct", "key")


@check
def binding_to_an_absent_exchange_is_not_found():
    chan, name = client.channel(), unique("absent")
    queue = client.exclusive_queue(chan)
    with client.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        chan.queue_bind(queue, name, "key")


@check
def an_absent_exchange_is_told_before_an_absent_queue():
    connection, queue, exchange = client.connect(), unique("absent"), unique("absent")
    with client.refused(404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'"):
        connection.channel().queue_bind(queue, exchange, "key")
    with client.refused(403, DEFAULT_REFUSED):
        connection.channel().queue_bind(queue, "", "key")
    with client.refused(404, "NOT_FOUND - no previously declared queue"):
        connection.channel().queue_bind("", "", "key")


@check
def unbinding_what_is_absent_succeeds():
    chan, absent = client.channel(), unique("absent")
    chan.queue_unbind(absent, "amq.direct", "key")
    chan.queue_unbind(absent, absent, "key")
    chan.queue_unbind(client.exclusive_queue(chan), absent, "key")
    chan.queue_unbind("", absent, "key")
    with client.refused(403, DEFAULT_REFUSED):
        chan.queue_unbind(absent, "", "key")
    with client.refused(404, "NOT_FOUND - no previously declared queue"):
        client.channel().queue_unbind("", "amq.direct", "key")


@check
def binding_with_an_empty_key_matches_the_empty_key():
    chan, exchange, queue = direct()
    chan.queue_bind(queue, exchange, "")
    chan.basic_publish(exchange, "", b"empty")
    chan.basic_publish(exchange, queue, b"named")
    assert client.drain(chan, queue) == [b"empty"]


@check
def binding_with_a_key_of_255_bytes_works():
    chan, exchange, queue = direct()
    key = "k" * 254
    chan.queue_bind(queue, exchange, key + "a")
    chan.basic_publish(exchange, key + "b", b"wrong")
    chan.basic_publish(exchange, key + "a", b"right")
    assert client.drain(chan, queue) == [b"right"]


@check
def deleting_a_queue_removes_its_bindings():
    chan, exchange, queue = direct()
    chan.queue_bind(queue, exchange, "key")
    chan.queue_delete(queue)
    chan.exchange_delete(exchange, if_unused=True)
    assert not client.exchange_exists(exchange)


@check
def loss_of_an_exclusive_queue_removes_its_bindings():
    chan, exchange, _ = direct()
    other = client.channel()
    other.queue_bind(client.exclusive_queue(other), exchange, "key")
    other.connection.close()
    chan.exchange_delete(exchange, if_unused=True)
    assert not client.exchange_exists(exchange)


@check
def binding_made_on_one_connection_routes_for_another():
    chan, exchange, queue = direct()
    chan.queue_bind(queue, exchange, "key")
    other = client.channel()
    other.basic_publish(exchange, "key", b"from outside")
    assert client.Inbox(chan, queue, auto_ack=True).wait(1).bodies == [b"from outside"]


@check
def binding_takes_effect_for_the_next_publish():
    chan, exchange, queue = direct()
    for number in range(100):
        chan.queue_bind(queue, exchange, str(number))
        chan.basic_publish(exchange, str(number), b"in")
        chan.queue_unbind(queue, exchange, str(number))
        chan.basic_publish(exchange, str(number), b"out")
    assert client.drain(chan, queue) == [b"in"] * 100


@check
def queue_bound_to_several_exchanges_gets_from_each():
    chan, exchange, queue = direct()
    fanout = scratch.exchange_name()
    chan.exchange_declare(fanout, "fanout")
    chan.queue_bind(queue, exchange, "key")
    chan.queue_bind(queue, fanout)
    chan.basic_publish(exchange, "key", b"direct")
    chan.basic_publish(fanout, "key", b"fanout")
    client.publish(chan, queue, b"default")
    assert client.drain(chan, queue) == [b"direct", b"fanout", b"default"]
