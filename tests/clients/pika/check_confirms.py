"""Publisher confirms: what is counted, when they come, and what comes before them."""

import pika
from pika.exceptions import UnroutableError

import client
import scratch
import wire
from harness import check, unique


def confirming():
    """A connection whose channel 1 is in confirm mode, and a queue."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.call(1, "confirm.select")
    return connection, queue


def read_confirms(connection, count):
    """Reads acks until all of 1..count are confirmed, each once."""
    confirmed, highest = set(), 0
    while len(confirmed) < count:
        ack = connection.expect("basic.ack", 1)
        tag = ack.delivery_tag
        tags = set(range(1, tag + 1)) - confirmed if ack.multiple else {tag}
        assert tags and not tags & confirmed, f"{tag} confirmed twice"
        confirmed |= tags
        highest = max(highest, tag)
    assert (confirmed, highest) == (set(range(1, count + 1)), count)


@check
def select_may_be_repeated():
    connection, queue = confirming()
    connection.call(1, "confirm.select")
    connection.publish(1, "", queue, b"x")
    read_confirms(connection, 1)


@check
def select_without_waiting_sends_no_answer():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.method(1, "confirm.select", nowait=True)
    connection.publish(1, "", queue, b"x")
    read_confirms(connection, 1)


@check
def each_publish_is_confirmed():
    connection, queue = confirming()
    for tag in range(1, 21):
        connection.publish(1, "", queue, b"x")
        ack = connection.expect("basic.ack", 1)
        assert ack.delivery_tag == tag


@check
def numbering_starts_with_the_first_publish_after_select():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    for _ in range(5):
        connection.publish(1, "", queue, b"before")
    connection.call(1, "confirm.select")
    connection.publish(1, "", queue, b"after")
    assert connection.expect("basic.ack", 1).delivery_tag == 1


@check
def numbering_starts_again_on_a_reopened_channel():
    connection, queue = confirming()
    connection.publish(1, "", queue, b"x")
    read_confirms(connection, 1)
    connection.call(1, "channel.close", code=200)
    connection.call(1, "channel.open")
    connection.call(1, "confirm.select")
    connection.publish(1, "", queue, b"x")
    assert connection.expect("basic.ack", 1).delivery_tag == 1


@check
def channels_count_on_their_own():
    connection, queue = confirming()
    connection.call(2, "channel.open")
    connection.call(2, "confirm.select")
    for _ in range(3):
        connection.publish(1, "", queue, b"x")
    read_confirms(connection, 3)
    connection.publish(2, "", queue, b"x")
    assert connection.expect("basic.ack", 2).delivery_tag == 1


@check
def channel_without_select_gets_no_confirms():
    connection, queue = confirming()
    connection.call(2, "channel.open")
    connection.publish(2, "", queue, b"x")
    connection.call(2, "basic.qos")
    connection.publish(1, "", queue, b"x")
    read_confirms(connection, 1)


@check
def ten_thousand_in_flight_are_all_confirmed_once():
    connection, queue = confirming()
    for _ in range(100):
        for _ in range(100):
            connection.publish(1, "", queue, b"in flight")
    read_confirms(connection, 10_000)
    connection.expect_depth(1, queue, 10_000)


@check
def persistent_messages_on_a_durable_queue_are_confirmed():
    connection, queue = wire.connect_with_channel(), scratch.queue_name()
    connection.call(1, "queue.declare", queue=queue, durable=True)
    connection.call(1, "confirm.select")
    for _ in range(500):
        connection.publish(1, "", queue, b"x" * 100, flags=0x1000, properties=b"\2")
    read_confirms(connection, 500)


@check
def confirmed_message_is_there_for_another_connection():
    observer, queue = client.channel(), scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    publisher = client.channel()
    publisher.confirm_delivery()
    for number in range(50):
        publisher.basic_publish("", queue, b"%d" % number)
        assert client.get(observer, queue) == b"%d" % number


@check
def dropped_message_is_confirmed():
    connection, _ = confirming()
    connection.publish(1, "", unique("absent"), b"x")
    assert connection.expect("basic.ack", 1).delivery_tag == 1


@check
def return_comes_before_its_confirm():
    connection, _ = confirming()
    connection.publish(1, "", unique("absent"), b"back", mandatory=True)
    assert connection.expect("basic.return", 1).body == b"back"
    assert connection.expect("basic.ack", 1).delivery_tag == 1


@check
def returns_among_routed_messages_come_before_their_confirms():
    connection, queue = confirming()
    absent = unique("absent")
    for number in range(1, 301):
        target = absent if number % 3 == 0 else queue
        connection.publish(1, "", target, b"%d" % number, mandatory=True)
    returned, confirmed = set(), set()
    while len(confirmed) < 300:
        method = connection.read()
        if method.name == "basic.return":
            returned.add(int(method.body))
            continue
        assert method.name == "basic.ack", method
        tag = method.delivery_tag
        confirmed |= set(range(1, tag + 1)) if method.multiple else {tag}
        unreturned = {number for number in confirmed if number % 3 == 0} - returned
        assert not unreturned, f"{unreturned} confirmed before their return"
    assert returned == set(range(3, 301, 3))


@check
def fanout_is_confirmed_once():
    connection, queue = confirming()
    exchange = scratch.exchange_name()
    connection.call(1, "exchange.declare", exchange=exchange, type="fanout")
    for target in [queue] + [wire.exclusive_queue(connection) for _ in range(9)]:
        connection.call(1, "queue.bind", queue=target, exchange=exchange)
    for _ in range(100):
        connection.publish(1, exchange, "", b"x")
    read_confirms(connection, 100)
    connection.expect_depth(1, queue, 100)


@check
def consumed_messages_are_confirmed_too():
    connection, queue = confirming()
    connection.call(2, "channel.open")
    connection.call(2, "basic.consume", queue=queue, no_ack=True)
    for _ in range(100):
        connection.publish(1, "", queue, b"x")
    confirmed, delivered = set(), 0
    while len(confirmed) < 100 or delivered < 100:
        method = connection.read()
        if method.name == "basic.deliver":
            delivered += 1
            continue
        tag = method.delivery_tag
        confirmed |= set(range(1, tag + 1)) if method.multiple else {tag}
    assert (confirmed, delivered) == (set(range(1, 101)), 100)


@check
def messages_of_a_queue_that_is_deleted_are_confirmed():
    connection, queue = confirming()
    for _ in range(1000):
        connection.publish(1, "", queue, b"x")
    connection.method(1, "queue.delete", queue=queue, nowait=True)
    for _ in range(1000):
        connection.publish(1, "", queue, b"x")
    read_confirms(connection, 2000)


@check
def publish_to_an_absent_exchange_closes_the_confirming_channel():
    connection, _ = confirming()
    name = unique("absent")
    connection.publish(1, name, "key", b"x")
    connection.expect_channel_error(1, 404, f"NOT_FOUND - no exchange '{name}' in vhost '/'")


@check
def pika_learns_of_an_unroutable_message():
    chan = client.channel()
    chan.confirm_delivery()
    try:
        chan.basic_publish("", unique("absent"), b"nowhere", client.PERSISTENT, mandatory=True)
    except UnroutableError as error:
        assert [message.body for message in error.messages] == [b"nowhere"]
        assert error.messages[0].method.reply_text == "NO_ROUTE"
    else:
        raise AssertionError("nothing was returned")


@check
def pika_goes_on_after_an_unroutable_message():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    chan.confirm_delivery()
    unroutable = 0
    for number in range(20):
        try:
            target = queue if number % 2 else unique("absent")
            chan.basic_publish("", target, b"%d" % number, mandatory=True)
        except UnroutableError:
            unroutable += 1
    assert unroutable == 10
    assert client.drain(chan, queue) == [b"%d" % number for number in range(1, 20, 2)]


@check
def asynchronous_pika_gets_five_thousand_confirms():
    events = client.Events()
    confirmed, declared = set(), []

    def on_confirm(frame):
        method = frame.method
        assert isinstance(method, pika.spec.Basic.Ack), method
        first = 1 if method.multiple else method.delivery_tag
        confirmed.update(range(first, method.delivery_tag + 1))
        events.wake()

    def on_declared(frame):
        declared.append(frame.method.queue)
        events.wake()

    events.chan.queue_declare("", exclusive=True, callback=on_declared)
    events.wait(lambda: declared)
    events.chan.confirm_delivery(on_confirm, callback=events.wake)
    for _ in range(5000):
        events.chan.basic_publish("", declared[0], b"x")
    events.wait(lambda: len(confirmed) == 5000)
