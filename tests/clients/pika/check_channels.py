"""Channels: opening, closing, errors that stay on one of them, many on one connection."""

import client
import codec
import scratch
import wire
from harness import check, unique
from neighbour import undisturbed


def fail(connection, channel):
    """Sends what gets a channel closed with 404."""
    connection.method(channel, "queue.declare", queue=unique("absent"), passive=True)


@check
def opening_and_closing_is_answered():
    connection = wire.connect()
    connection.call(1, "channel.open")
    connection.call(1, "channel.close", code=200)


@check
def number_can_be_used_again_after_close():
    connection = wire.connect()
    for _ in range(3):
        connection.call(1, "channel.open")
        connection.call(1, "basic.qos")
        connection.call(1, "channel.close", code=200)


@check
def number_can_be_used_again_after_an_error():
    connection = wire.connect_with_channel()
    fail(connection, 1)
    connection.expect_channel_error(1, 404)
    connection.call(1, "channel.open")
    connection.call(1, "basic.qos")


@check
def numbers_may_come_in_any_order():
    connection = wire.connect()
    for number in (2047, 7, 1000, 1):
        connection.call(number, "channel.open")
    for number in (1, 2047, 7, 1000):
        connection.call(number, "basic.qos")


@check
def error_stays_on_its_channel():
    connection = wire.connect_with_channel()
    connection.call(2, "channel.open")
    queue = wire.exclusive_queue(connection, channel=2)
    fail(connection, 1)
    connection.expect_channel_error(1, 404)
    connection.publish(2, "", queue, b"still here")
    connection.method(2, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 2).body == b"still here"


@check
def error_names_the_method_that_failed():
    connection = wire.connect_with_channel()
    fail(connection, 1)
    close = connection.expect_channel_error(1, 404)
    assert (close.class_id, close.method_id) == (50, 10)


@check
def error_says_what_was_not_found():
    connection, name = wire.connect_with_channel(), unique("absent")
    connection.method(1, "queue.declare", queue=name, passive=True)
    connection.expect_channel_error(1, 404, f"NOT_FOUND - no queue '{name}' in vhost '/'")


@check
def error_text_of_a_long_name_fits_its_255_bytes():
    connection, name = wire.connect_with_channel(), unique("absent").ljust(255, "n")
    connection.method(1, "queue.declare", queue=name, passive=True)
    close = connection.expect_channel_error(1, 404)
    assert close.text.startswith("NOT_FOUND - no queue 'check."), close.text
    assert 250 <= len(close.text) <= 255, len(close.text)


@check
def pika_channel_error_leaves_the_connection_usable():
    connection = client.connect()
    name = unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        connection.channel().queue_declare(name, passive=True)
    connection.channel().queue_declare("", exclusive=True)


@check
def frames_after_an_error_are_discarded_until_close_ok():
    connection = wire.connect_with_channel()
    connection.call(2, "channel.open")
    queue = wire.exclusive_queue(connection, channel=2)
    fail(connection, 1)
    connection.publish(1, "", queue, b"into the void")
    connection.method(1, "basic.qos")
    connection.expect_channel_error(1, 404)
    connection.expect_depth(2, queue, 0)


@check
def content_that_crosses_an_error_is_discarded_to_its_end():
    connection = wire.connect_with_channel()
    fail(connection, 1)
    connection.frame(codec.METHOD, 1, codec.encode_method("basic.publish", routing_key="x"))
    connection.frame(codec.HEADER, 1, codec.content_header(10))
    connection.frame(codec.BODY, 1, b"12345")
    assert connection.expect("channel.close", 1).code == 404
    connection.frame(codec.BODY, 1, b"67890")
    connection.method(1, "channel.close-ok")
    connection.call(1, "channel.open")
    connection.call(1, "basic.qos")


@check
def close_that_crosses_an_error_is_answered():
    connection = wire.connect_with_channel()
    fail(connection, 1)
    connection.method(1, "channel.close", code=200)
    connection.expect("channel.close", 1)
    connection.expect("channel.close-ok", 1)
    connection.method(1, "channel.close-ok")
    connection.call(2, "channel.open")
    connection.call(2, "basic.qos")


@check
def error_requeues_what_the_channel_had_unacked():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"kept")
    connection.method(1, "basic.get", queue=queue)
    connection.expect("basic.get-ok", 1)
    fail(connection, 1)
    connection.expect_channel_error(1, 404)
    connection.call(1, "channel.open")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    again = connection.expect("basic.get-ok", 1)
    assert (again.body, again.redelivered) == (b"kept", True)


@check
def close_requeues_what_the_channel_had_unacked():
    connection = client.connect()
    first, second = connection.channel(), connection.channel()
    queue = client.exclusive_queue(first)
    client.publish(first, queue, b"one", b"two", b"three")
    client.Inbox(first, queue).wait(3)
    first.close()
    client.expect_depth(second, queue, 3)
    assert client.drain(second, queue) == [b"one", b"two", b"three"]


@check
def close_ends_the_consumers_of_the_channel():
    connection = client.connect()
    first, second = connection.channel(), connection.channel()
    queue = client.exclusive_queue(first)
    client.Inbox(first, queue)
    assert client.consumers(second, queue) == 1
    first.close()
    assert client.consumers(second, queue) == 0


@check
def close_leaves_exclusive_queues_of_the_connection():
    connection = client.connect()
    first, second = connection.channel(), connection.channel()
    queue = client.exclusive_queue(first)
    first.close()
    client.expect_depth(second, queue, 0)


@check
def delivery_tags_start_at_one_on_a_reopened_channel():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    for _ in range(2):
        connection.publish(1, "", queue, b"x")
        connection.method(1, "basic.get", queue=queue, no_ack=True)
        assert connection.expect("basic.get-ok", 1).delivery_tag == 1
        connection.call(1, "channel.close", code=200)
        connection.call(1, "channel.open")


@check
def second_open_is_a_channel_error_of_the_connection():
    with undisturbed():
        connection = wire.connect_with_channel()
        connection.method(1, "channel.open")
        connection.expect_connection_error(
            504, text="CHANNEL_ERROR - second 'channel.open' seen"
        )


@check
def method_on_an_unopened_channel_is_a_channel_error_of_the_connection():
    with undisturbed():
        connection = wire.connect()
        connection.method(5, "basic.qos")
        connection.expect_connection_error(504, text="CHANNEL_ERROR - expected 'channel.open'")


@check
def method_on_a_closed_channel_is_a_channel_error_of_the_connection():
    connection = wire.connect_with_channel()
    connection.call(1, "channel.close", code=200)
    connection.method(1, "basic.qos")
    connection.expect_connection_error(504, text="CHANNEL_ERROR - expected 'channel.open'")


@check
def flow_that_is_on_is_answered():
    connection = wire.connect_with_channel()
    assert connection.call(1, "channel.flow", active=True).active is True


@check
def flow_that_is_off_is_not_implemented():
    connection = wire.connect_with_channel()
    connection.method(1, "channel.flow", active=False)
    connection.expect_connection_error(540, text="NOT_IMPLEMENTED - active=false")


@check
def two_hundred_channels_work_on_one_connection():
    connection = client.connect()
    channels = [connection.channel() for _ in range(200)]
    queues = [client.exclusive_queue(chan) for chan in channels]
    for number, chan in enumerate(channels):
        client.publish(chan, queues[-1 - number], b"%d" % number)
    for number, chan in enumerate(channels):
        inbox = client.Inbox(chan, queues[number], auto_ack=True).wait(1)
        assert inbox.bodies == [b"%d" % (199 - number)]
    for chan in channels[::2]:
        chan.close()
    assert client.depth(channels[1], queues[0]) == 0


@check
def contents_of_channels_may_interleave_frame_by_frame():
    connection = wire.connect()
    numbers = range(1, 21)
    bodies = {number: bytes([number]) * (number * 37) for number in numbers}
    for number in numbers:
        connection.call(number, "channel.open")
    queues = {number: wire.exclusive_queue(connection, number) for number in numbers}
    for number in numbers:
        publish = codec.encode_method("basic.publish", routing_key=queues[number])
        connection.frame(codec.METHOD, number, publish)
    for number in reversed(numbers):
        connection.frame(codec.HEADER, number, codec.content_header(len(bodies[number])))
    for at in range(0, 740, 50):
        for number in numbers:
            if bodies[number][at:]:
                connection.frame(codec.BODY, number, bodies[number][at : at + 50])
    for number in numbers:
        connection.method(number, "basic.get", queue=queues[number], no_ack=True)
        assert connection.expect("basic.get-ok", number).body == bodies[number]


@check
def publishes_to_one_queue_from_many_channels_all_arrive_in_their_channels_order():
    connection = wire.connect()
    for number in range(1, 11):
        connection.call(number, "channel.open")
    queue = wire.exclusive_queue(connection)
    for turn in range(100):
        for number in range(1, 11):
            connection.publish(number, "", queue, b"%d:%d" % (number, turn))
    for number in range(2, 11):  # each channel has handed over what came before
        connection.call(number, "channel.close", code=200)
    connection.call(1, "basic.consume", queue=queue, no_ack=True)
    seen = {number: [] for number in range(1, 11)}
    for _ in range(1000):
        number, turn = connection.expect("basic.deliver", 1).body.split(b":")
        seen[int(number)].append(int(turn))
    assert all(turns == list(range(100)) for turns in seen.values())


@check
def unacked_deliveries_of_two_channels_are_apart():
    connection = client.connect()
    first, second = connection.channel(), connection.channel()
    queue = client.exclusive_queue(first)
    client.publish(first, queue, b"one")
    tag = first.basic_get(queue)[0].delivery_tag
    with client.refused(406, f"PRECONDITION_FAILED - unknown delivery tag {tag}"):
        second.basic_ack(tag)
        client.round_trip(second)
    first.basic_ack(tag)
    client.round_trip(first)


@check
def channel_of_a_lost_neighbour_leaves_shared_queue_whole():
    queue = scratch.queue_name()
    chan = client.channel()
    chan.queue_declare(queue, durable=True)
    other = client.channel()
    client.publish(other, queue, b"one")
    other.connection.close()
    client.publish(chan, queue, b"two")
    assert client.drain(chan, queue) == [b"one", b"two"]
