"""Consumer priorities: the higher is served first while it can take more."""

import client
import scratch
import wire
from codec import Typed
from harness import check


def consuming(*priorities, **options):
    """A raw connection whose consumers are named by their priorities, and their queue."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    prefetch = options.pop("prefetch", 0)
    connection.call(1, "basic.qos", prefetch_count=prefetch)
    for number, priority in enumerate(priorities):
        arguments = {} if priority is None else {"x-priority": priority}
        connection.call(
            1, "basic.consume", queue=queue, tag=f"{number}:{priority}", arguments=arguments,
            **options,
        )  # fmt: skip
    return connection, queue


def served(connection, queue, count):
    """The tags that this many messages go to, one after another."""
    tags = []
    for number in range(count):
        connection.publish(1, "", queue, b"%d" % number)
        tags.append(connection.expect("basic.deliver", 1).tag)
    return tags


@check
def highest_takes_all_while_it_can():
    connection, queue = consuming(1, 10, 5, no_ack=True)
    assert served(connection, queue, 10) == ["1:10"] * 10


@check
def without_a_priority_it_is_zero():
    connection, queue = consuming(None, -1, no_ack=True)
    assert served(connection, queue, 5) == ["0:None"] * 5
    connection, queue = consuming(None, 1, no_ack=True)
    assert served(connection, queue, 5) == ["1:1"] * 5
    connection, queue = consuming(None, 0, no_ack=True)
    assert sorted(served(connection, queue, 10)) == ["0:None"] * 5 + ["1:0"] * 5


@check
def negative_priorities_wait_behind():
    connection, queue = consuming(-10, -1, -5, no_ack=True)
    assert served(connection, queue, 5) == ["1:-1"] * 5


@check
def equals_take_turns():
    connection, queue = consuming(7, 3, 7, no_ack=True)
    tags = served(connection, queue, 10)
    assert tags.count("0:7") == tags.count("2:7") == 5, tags


@check
def full_consumer_lets_the_next_one_work():
    connection, queue = consuming(10, 5, 1, prefetch=2)
    assert served(connection, queue, 6) == ["0:10"] * 2 + ["1:5"] * 2 + ["2:1"] * 2


@check
def ack_puts_the_highest_first_again():
    connection, queue = consuming(10, 1, prefetch=1)
    assert served(connection, queue, 2) == ["0:10", "1:1"]
    connection.method(1, "basic.ack", delivery_tag=2)
    connection.method(1, "basic.ack", delivery_tag=1)
    connection.call(1, "basic.qos")
    connection.expect_depth(1, queue, 0)
    assert served(connection, queue, 1) == ["0:10"]


@check
def backlog_goes_to_the_highest_with_room():
    connection, queue = consuming(10, 1, prefetch=1)
    for number in range(4):
        connection.publish(1, "", queue, b"%d" % number)
    first = [connection.expect("basic.deliver", 1) for _ in range(2)]
    assert [message.tag for message in first] == ["0:10", "1:1"]
    connection.method(1, "basic.ack", delivery_tag=first[0].delivery_tag)
    assert connection.expect("basic.deliver", 1).tag == "0:10"
    connection.method(1, "basic.ack", delivery_tag=first[1].delivery_tag)
    assert connection.expect("basic.deliver", 1).tag == "1:1"


@check
def cancelled_consumer_leaves_its_place_to_the_next():
    connection, queue = consuming(10, 1, no_ack=True)
    connection.call(1, "basic.cancel", tag="0:10")
    assert served(connection, queue, 3) == ["1:1"] * 3


@check
def late_comer_of_higher_priority_is_served_from_then_on():
    connection, queue = consuming(1, no_ack=True)
    assert served(connection, queue, 2) == ["0:1"] * 2
    connection.call(
        1, "basic.consume", queue=queue, tag="late", no_ack=True, arguments={"x-priority": 2}
    )
    assert served(connection, queue, 3) == ["late"] * 3


@check
def priorities_hold_across_connections():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    low = client.Inbox(client.channel(), queue, auto_ack=True, arguments={"x-priority": -1})
    high = client.Inbox(client.channel(), queue, auto_ack=True, arguments={"x-priority": 1})
    client.publish(chan, queue, *[b"%d" % number for number in range(50)])
    assert len(high.wait(50).messages) == 50
    assert low.settle().messages == []


@check
def lost_connection_of_the_highest_hands_over():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    low = client.Inbox(client.channel(), queue, auto_ack=True, arguments={"x-priority": -1})
    high = wire.connect_with_channel()
    high.call(1, "basic.consume", queue=queue, arguments={"x-priority": 1})
    client.publish(chan, queue, b"a", b"b")
    for _ in range(2):
        high.expect("basic.deliver", 1)
    high.socket.close()
    assert low.wait(2).bodies == [b"a", b"b"]
    assert all(method.redelivered for method, _, _ in low.messages)


@check
def integers_of_every_width_are_priorities():
    widths = [
        Typed("b", b"\7"), Typed("B", b"\7"), Typed("s", b"\0\7"), Typed("u", b"\0\7"),
        Typed("I", b"\0\0\0\7"), Typed("i", b"\0\0\0\7"), Typed("l", bytes(7) + b"\7"),
    ]  # fmt: skip
    for value in widths:
        connection, queue = consuming(6, no_ack=True)
        connection.call(
            1, "basic.consume", queue=queue, tag="seven", no_ack=True,
            arguments={"x-priority": value},
        )  # fmt: skip
        assert served(connection, queue, 1) == ["seven"], value.octet


@check
def priority_that_is_no_integer_is_refused():
    for value, kind in (("high", "longstr"), (1.5, "double"), (True, "bool"), (None, "void")):
        connection = wire.connect_with_channel()
        queue = wire.exclusive_queue(connection)
        connection.method(1, "basic.consume", queue=queue, arguments={"x-priority": value})
        text = (
            f"PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/': "
            f'"expected integer, got {kind}"'
        )
        connection.expect_channel_error(1, 406, text)


@check
def other_consumer_arguments_are_accepted():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    arguments = {"x-cancel-on-ha-failover": True, "x-note": {"a": [1]}}
    connection.call(1, "basic.consume", queue=queue, arguments=arguments)
