"""Get, ack, reject, nack, and where a message goes when it comes back."""

import client
import scratch
import wire
from harness import check, unique


def filled(count=0):
    """A channel and a queue with the messages 0, 1, 2, ..."""
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    client.publish(chan, queue, *[b"%d" % number for number in range(count)])
    return chan, queue


def numbers(bodies):
    return [int(body) for body in bodies]


def unknown_tag(tag):
    return f"PRECONDITION_FAILED - unknown delivery tag {tag}"


@check
def get_from_an_empty_queue_says_empty():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.method(1, "basic.get", queue=queue)
    connection.expect("basic.get-empty", 1)


@check
def get_counts_what_is_left():
    chan, queue = filled(3)
    counts = [chan.basic_get(queue)[0].message_count for _ in range(3)]
    assert counts == [2, 1, 0]
    assert chan.basic_get(queue) == (None, None, None)


@check
def get_with_automatic_ack_removes_the_message():
    chan, queue = filled(2)
    assert client.get(chan, queue, auto_ack=True) == b"0"
    with client.refused(406, unknown_tag(1)):
        chan.basic_ack(1)
        client.round_trip(chan)


@check
def get_of_an_absent_queue_is_not_found():
    chan, name = client.channel(), unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        chan.basic_get(name)


@check
def fresh_message_is_not_marked_redelivered():
    chan, queue = filled(1)
    assert chan.basic_get(queue)[0].redelivered is False


@check
def ack_removes_the_message_for_good():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    client.publish(chan, queue, b"one", b"two")
    client.expect_depth(chan, queue, 2)
    other = client.channel()
    other.basic_ack(other.basic_get(queue)[0].delivery_tag)
    other.connection.close()
    assert client.drain(chan, queue) == [b"two"]


@check
def ack_multiple_takes_all_up_to_its_tag():
    chan, queue = filled(5)
    client.Inbox(chan, queue).wait(5)
    chan.basic_ack(3, multiple=True)
    chan.basic_nack(0, multiple=True, requeue=True)
    other = chan.connection.channel()
    chan.close()
    assert numbers(client.drain(other, queue)) == [3, 4]


@check
def ack_single_leaves_the_tags_below():
    chan, queue = filled(3)
    inbox = client.Inbox(chan, queue).wait(3)
    chan.basic_ack(2)
    other = chan.connection.channel()
    chan.close()
    assert inbox.tags == [1, 2, 3]
    assert numbers(client.drain(other, queue)) == [0, 2]


@check
def acks_may_come_in_any_order():
    chan, queue = filled(100)
    client.Inbox(chan, queue).wait(100)
    for tag in list(range(2, 101, 2)) + list(range(99, 0, -2)):
        chan.basic_ack(tag)
    other = chan.connection.channel()
    chan.close()
    assert client.drain(other, queue) == []


@check
def ack_of_everything_by_tag_zero():
    chan, queue = filled(4)
    client.Inbox(chan, queue).wait(4)
    chan.basic_ack(0, multiple=True)
    other = chan.connection.channel()
    chan.close()
    assert client.drain(other, queue) == []


@check
def ack_of_everything_when_there_is_nothing_succeeds():
    chan, _ = filled()
    chan.basic_ack(0, multiple=True)
    client.round_trip(chan)


@check
def ack_of_tag_zero_alone_is_unknown():
    chan, queue = filled(1)
    chan.basic_get(queue)
    with client.refused(406, unknown_tag(0)):
        chan.basic_ack(0)
        client.round_trip(chan)


@check
def ack_of_an_unknown_tag_closes_the_channel():
    chan, _ = filled()
    with client.refused(406, unknown_tag(7)):
        chan.basic_ack(7)
        client.round_trip(chan)


@check
def ack_multiple_of_an_unknown_tag_closes_the_channel():
    chan, queue = filled(1)
    chan.basic_get(queue)
    with client.refused(406, unknown_tag(2)):
        chan.basic_ack(2, multiple=True)
        client.round_trip(chan)


@check
def ack_twice_closes_the_channel():
    chan, queue = filled(2)
    client.Inbox(chan, queue).wait(2)
    with client.refused(406, unknown_tag(1)):
        chan.basic_ack(1)
        chan.basic_ack(1)
        client.round_trip(chan)


@check
def ack_after_a_multiple_that_covered_it_closes_the_channel():
    chan, queue = filled(3)
    client.Inbox(chan, queue).wait(3)
    chan.basic_ack(2, multiple=True)
    with client.refused(406, unknown_tag(1)):
        chan.basic_ack(1)
        client.round_trip(chan)


@check
def reject_and_nack_of_an_unknown_tag_close_the_channel():
    for settle in ("basic_reject", "basic_nack"):
        chan, _ = filled()
        with client.refused(406, unknown_tag(1)):
            getattr(chan, settle)(1)
            client.round_trip(chan)


@check
def ack_of_the_largest_tag_closes_the_channel():
    connection = wire.connect_with_channel()
    connection.method(1, "basic.ack", delivery_tag=2**63 - 1)
    connection.expect_channel_error(1, 406, unknown_tag(2**63 - 1))


@check
def reject_without_requeue_drops_the_message():
    chan, queue = filled(2)
    chan.basic_reject(chan.basic_get(queue)[0].delivery_tag, requeue=False)
    assert numbers(client.drain(chan, queue)) == [1]


@check
def reject_with_requeue_brings_it_back_marked():
    chan, queue = filled(2)
    chan.basic_reject(chan.basic_get(queue)[0].delivery_tag, requeue=True)
    method, _, body = chan.basic_get(queue)
    assert (body, method.redelivered, method.delivery_tag) == (b"0", True, 2)
    method, _, body = chan.basic_get(queue)
    assert (body, method.redelivered) == (b"1", False)


@check
def nack_multiple_without_requeue_drops_them():
    chan, queue = filled(5)
    client.Inbox(chan, queue).wait(5)
    chan.basic_nack(3, multiple=True, requeue=False)
    other = chan.connection.channel()
    chan.close()
    assert numbers(client.drain(other, queue)) == [3, 4]


@check
def nack_of_everything_by_tag_zero_requeues_all_in_order():
    chan, queue = filled(10)
    for _ in range(10):
        chan.basic_get(queue)
    chan.basic_nack(0, multiple=True, requeue=True)
    assert numbers(client.drain(chan, queue)) == list(range(10))


@check
def requeued_messages_go_back_to_their_places():
    chan, queue = filled(10)
    tags = [chan.basic_get(queue)[0].delivery_tag for _ in range(6)]
    for tag in (tags[4], tags[1], tags[3]):
        chan.basic_reject(tag, requeue=True)
    assert numbers(client.drain(chan, queue)) == [1, 3, 4, 6, 7, 8, 9]


@check
def requeued_messages_keep_their_order_whatever_the_order_of_the_nacks():
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        chan, queue = filled(8)
        tags = [chan.basic_get(queue)[0].delivery_tag for _ in range(5)]
        for place in order:
            chan.basic_nack(tags[place], requeue=True)
        assert numbers(client.drain(chan, queue)) == list(range(8))


@check
def requeued_messages_of_two_channels_go_back_to_their_places():
    chan, queue = filled(8)
    other = chan.connection.channel()
    mine, theirs = [], []
    for _ in range(3):
        mine.append(chan.basic_get(queue)[0].delivery_tag)
        theirs.append(other.basic_get(queue)[0].delivery_tag)
    other.close()
    client.round_trip(chan)
    chan.basic_nack(0, multiple=True, requeue=True)
    assert (len(mine), len(theirs)) == (3, 3)
    assert numbers(client.drain(chan, queue)) == list(range(8))


@check
def requeue_at_channel_close_keeps_order_and_marks():
    chan, queue = filled(20)
    other = chan.connection.channel()
    client.Inbox(chan, queue).wait(20)
    for tag in (3, 4, 11):
        chan.basic_ack(tag)
    chan.close()
    kept = [number for number in range(20) if number not in (2, 3, 10)]
    inbox = client.Inbox(other, queue).wait(len(kept))
    assert numbers(inbox.bodies) == kept
    assert all(method.redelivered for method, _, _ in inbox.messages)


@check
def requeued_message_goes_to_a_waiting_consumer():
    chan, queue = filled()
    first, second = chan.connection.channel(), chan.connection.channel()
    inbox = client.Inbox(first, queue)
    client.publish(chan, queue, b"again")
    inbox.wait(1)
    other = client.Inbox(second, queue)
    first.close()
    method, _, body = other.wait(1).messages[0]
    assert (body, method.redelivered) == (b"again", True)


@check
def rejected_message_comes_back_to_the_only_consumer():
    chan, queue = filled(1)
    inbox = client.Inbox(chan, queue)
    for turn in range(1, 11):
        inbox.wait(turn)
        chan.basic_reject(turn, requeue=True)
    inbox.wait(11)
    assert inbox.tags == list(range(1, 12))
    assert [method.redelivered for method, _, _ in inbox.messages] == [False] + [True] * 10


@check
def redelivered_mark_is_seen_by_every_later_reader():
    chan, queue = filled(1)
    for _ in range(3):
        method, _, _ = chan.basic_get(queue)
        chan.basic_nack(method.delivery_tag, requeue=True)
    client.expect_depth(chan, queue, 1)
    assert chan.connection.channel().basic_get(queue)[0].redelivered is True


@check
def requeued_message_comes_back_whole():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    body = bytes(range(256)) * 1000
    connection.publish(1, "", queue, body, flags=0x8000, properties=b"\x01t")
    connection.method(1, "basic.get", queue=queue)
    connection.expect("basic.get-ok", 1)
    connection.method(1, "basic.nack", delivery_tag=1, requeue=True)
    connection.method(1, "basic.get", queue=queue)
    again = connection.expect("basic.get-ok", 1)
    assert (again.body, again.flags, again.properties) == (body, 0x8000, b"\x01t")
    assert (again.exchange, again.routing_key, again.redelivered) == ("", queue, True)


@check
def unacked_messages_are_not_given_twice():
    chan, queue = filled(5)
    other = chan.connection.channel()
    held = [client.get(chan, queue, auto_ack=False) for _ in range(3)]
    assert numbers(held) == [0, 1, 2]
    assert numbers(client.drain(other, queue)) == [3, 4]


@check
def settling_after_the_queue_is_gone_is_fine():
    chan, queue = filled(3)
    for _ in range(3):
        chan.basic_get(queue)
    chan.queue_delete(queue)
    chan.basic_ack(1)
    chan.basic_nack(2, requeue=True)
    chan.basic_reject(3, requeue=False)
    client.round_trip(chan)


@check
def ten_thousand_acks_one_by_one_work():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    for _ in range(10_000):
        connection.publish(1, "", queue, b"x")
    connection.call(1, "basic.consume", queue=queue)
    for tag in range(1, 10_001):
        assert connection.expect("basic.deliver", 1).delivery_tag == tag
        connection.method(1, "basic.ack", delivery_tag=tag)
    connection.call(1, "channel.close", code=200)
    connection.call(1, "channel.open")
    connection.expect_depth(1, queue, 0)
