"""Alternate exchanges, and carbon copies: further ways to a queue."""

import client
import scratch
import wire
from harness import check, unique


def exchange_of(chan, kind="direct", alternate=None):
    name = scratch.exchange_name()
    arguments = {"alternate-exchange": alternate} if alternate else None
    chan.exchange_declare(name, kind, arguments=arguments)
    return name


def bound(chan, exchange, key=""):
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, exchange, key)
    return queue


def publish(chan, exchange, *keys):
    for key in keys:
        chan.basic_publish(exchange, key, key.encode())


@check
def alternate_takes_what_finds_no_queue():
    chan = client.channel()
    spare = exchange_of(chan, "fanout")
    main = exchange_of(chan, alternate=spare)
    known, rest = bound(chan, main, "known"), bound(chan, spare)
    publish(chan, main, "known", "unknown")
    assert (client.drain(chan, known), client.drain(chan, rest)) == ([b"known"], [b"unknown"])


@check
def alternates_follow_one_another():
    chan = client.channel()
    last = exchange_of(chan, "fanout")
    middle = exchange_of(chan, alternate=last)
    main = exchange_of(chan, alternate=middle)
    some, rest = bound(chan, middle, "some"), bound(chan, last)
    publish(chan, main, "some", "other")
    assert (client.drain(chan, some), client.drain(chan, rest)) == ([b"some"], [b"other"])


@check
def circle_of_alternates_ends():
    chan = client.channel()
    one, two = scratch.exchange_name(), scratch.exchange_name()
    chan.exchange_declare(one, "direct", arguments={"alternate-exchange": two})
    chan.exchange_declare(two, "direct", arguments={"alternate-exchange": one})
    queue = bound(chan, two, "k")
    publish(chan, one, "nowhere", "k")
    publish(chan, two, "nowhere")
    assert client.drain(chan, queue) == [b"k"]


@check
def own_alternate_ends():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, "direct", arguments={"alternate-exchange": name})
    publish(chan, name, "nowhere")
    client.round_trip(chan)


@check
def absent_alternate_is_no_error():
    chan = client.channel()
    chan.confirm_delivery()
    publish(chan, exchange_of(chan, alternate=unique("absent")), "nowhere")


@check
def alternate_may_be_declared_later():
    chan, spare = client.channel(), scratch.exchange_name()
    main = exchange_of(chan, alternate=spare)
    chan.exchange_declare(spare, "fanout")
    rest = bound(chan, spare)
    publish(chan, main, "k")
    assert client.drain(chan, rest) == [b"k"]


@check
def default_exchange_is_an_alternate_without_bindings():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, "fanout", arguments={"alternate-exchange": ""})
    queue = client.exclusive_queue(chan)
    publish(chan, name, queue)
    assert client.drain(chan, queue) == []


@check
def message_that_the_alternate_routes_is_not_returned():
    connection = wire.connect_with_channel()
    main, spare = scratch.exchange_name(), scratch.exchange_name()
    arguments = {"alternate-exchange": spare}
    connection.call(1, "exchange.declare", exchange=main, type="direct", arguments=arguments)
    connection.call(1, "exchange.declare", exchange=spare, type="direct")
    queue = wire.exclusive_queue(connection)
    connection.call(1, "queue.bind", queue=queue, exchange=spare, routing_key="k")
    connection.publish(1, main, "k", b"routed", mandatory=True)
    connection.publish(1, main, "l", b"lost", mandatory=True)
    returned = connection.expect("basic.return", 1)
    assert (returned.body, returned.exchange, returned.routing_key) == (b"lost", main, "l")
    connection.expect_depth(1, queue, 1)


@check
def alternate_of_a_target_takes_what_the_target_cannot_route():
    chan = client.channel()
    spare = exchange_of(chan, "fanout")
    target = exchange_of(chan, alternate=spare)
    source = exchange_of(chan, "fanout")
    chan.exchange_bind(target, source)
    rest = bound(chan, spare)
    publish(chan, source, "k")
    assert client.drain(chan, rest) == [b"k"]


@check
def alternate_that_is_also_bound_gives_one_copy():
    chan = client.channel()
    spare = exchange_of(chan, "fanout")
    main = exchange_of(chan, "fanout", alternate=spare)
    chan.exchange_bind(spare, main)
    queue = bound(chan, spare)
    publish(chan, main, "k")
    assert client.drain(chan, queue) == [b"k"]


@check
def delivery_names_the_exchange_that_was_published_to():
    chan = client.channel()
    spare = exchange_of(chan, "fanout")
    main = exchange_of(chan, alternate=spare)
    queue = bound(chan, spare)
    publish(chan, main, "k")
    method = chan.basic_get(queue, True)[0]
    assert (method.exchange, method.routing_key) == (main, "k")


@check
def same_alternate_again_is_fine_and_another_is_not():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, "direct", arguments={"alternate-exchange": "one"})
    chan.exchange_declare(name, "direct", arguments={"alternate-exchange": "one"})
    text = (
        f"PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{name}' in "
        "vhost '/': received 'two' but current is 'one'"
    )
    with client.refused(406, text):
        chan.exchange_declare(name, "direct", arguments={"alternate-exchange": "two"})


@check
def alternate_that_is_missing_on_one_side_is_refused():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, "direct", arguments={"alternate-exchange": "one"})
    text = (
        f"PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{name}' in "
        "vhost '/': received none but current is the value 'one' of type 'longstr'"
    )
    with client.refused(406, text):
        chan.exchange_declare(name, "direct")


@check
def alternate_of_another_type_is_refused():
    chan, name = client.channel(), scratch.exchange_name()
    with client.refused(406):
        chan.exchange_declare(name, "direct", arguments={"alternate-exchange": 1})


def copies(chan, key, cc=None, bcc=None, exchange="", mandatory=False):
    headers = {name: value for name, value in (("CC", cc), ("BCC", bcc)) if value is not None}
    properties = client.pika.BasicProperties(headers=headers)
    chan.basic_publish(exchange, key, b"x", properties, mandatory)


@check
def cc_and_bcc_reach_further_queues():
    chan = client.channel()
    to, *others = [client.exclusive_queue(chan) for _ in range(5)]
    copies(chan, to, cc=others[:2], bcc=others[2:])
    for queue in (to, *others):
        assert client.drain(chan, queue) == [b"x"]


@check
def cc_is_seen_and_bcc_is_not():
    chan = client.channel()
    to, cc, bcc = (client.exclusive_queue(chan) for _ in range(3))
    copies(chan, to, cc=[cc], bcc=[bcc])
    for queue in (to, cc, bcc):
        assert chan.basic_get(queue, True)[1].headers == {"CC": [cc]}


@check
def bcc_alone_leaves_no_trace():
    chan = client.channel()
    to, bcc = client.exclusive_queue(chan), client.exclusive_queue(chan)
    properties = client.pika.BasicProperties(
        content_type="t/x", headers={"a": 1, "BCC": [bcc], "z": 2}, message_id="m"
    )
    chan.basic_publish("", to, b"x", properties)
    for queue in (to, bcc):
        seen = chan.basic_get(queue, True)[1]
        assert seen.headers == {"a": 1, "z": 2}
        assert (seen.content_type, seen.message_id) == ("t/x", "m")


@check
def routing_key_of_a_copy_is_that_of_the_publish():
    chan = client.channel()
    to, cc = client.exclusive_queue(chan), client.exclusive_queue(chan)
    copies(chan, to, cc=[cc])
    assert chan.basic_get(cc, True)[0].routing_key == to


@check
def queue_named_several_times_gets_one_copy():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    copies(chan, queue, cc=[queue, queue], bcc=[queue])
    assert client.drain(chan, queue) == [b"x"]


@check
def copies_work_for_direct_and_topic_exchanges():
    chan = client.channel()
    for kind, pattern in (("direct", "b.c"), ("topic", "b.*")):
        exchange = exchange_of(chan, kind)
        queue = bound(chan, exchange, pattern)
        copies(chan, "a", cc=["b.c"], exchange=exchange)
        assert client.drain(chan, queue) == [b"x"], kind


@check
def message_that_a_copy_routes_is_not_returned():
    chan = client.channel()
    chan.confirm_delivery()
    queue = client.exclusive_queue(chan)
    copies(chan, unique("absent"), cc=[queue], mandatory=True)
    assert client.drain(chan, queue) == [b"x"]


@check
def copies_that_find_no_queue_are_dropped():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    copies(chan, queue, cc=[unique("absent")])
    assert client.drain(chan, queue) == [b"x"]


@check
def copies_of_another_type_are_refused():
    for name in ("CC", "BCC"):
        chan = client.channel()
        text = (
            f'PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,"{name}",'
            "longstr}"
        )
        with client.refused(406, text):
            properties = client.pika.BasicProperties(headers={name: "queue"})
            chan.basic_publish("", "queue", b"x", properties)
            client.round_trip(chan)


@check
def lower_case_names_are_plain_headers():
    chan = client.channel()
    to, cc = client.exclusive_queue(chan), client.exclusive_queue(chan)
    properties = client.pika.BasicProperties(headers={"cc": [cc], "Bcc": "text"})
    chan.basic_publish("", to, b"x", properties)
    assert client.drain(chan, cc) == []
    assert chan.basic_get(to, True)[1].headers == {"cc": [cc], "Bcc": "text"}
