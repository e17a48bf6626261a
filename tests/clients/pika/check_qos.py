"""Prefetch limits: per consumer, per channel, and when a change of them counts."""

import client
import scratch
import wire
from harness import check


def filled(count):
    """A channel and a queue with this many messages."""
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    client.publish(chan, queue, *[b"%d" % number for number in range(count)])
    return chan, queue


def in_flight(chan, queue, inboxes):
    """Deliveries that are out once nothing more comes; the counts per inbox."""
    client.depth(chan, queue)
    inboxes[0].settle()
    return [len(inbox.messages) for inbox in inboxes]


@check
def prefetch_count_is_exact():
    for limit in (1, 2, 7, 50):
        chan, queue = filled(60)
        chan.basic_qos(prefetch_count=limit)
        inbox = client.Inbox(chan, queue).wait(limit)
        assert in_flight(chan, queue, [inbox]) == [limit]
        client.expect_depth(chan, queue, 60 - limit)


@check
def each_ack_lets_one_more_in():
    chan, queue = filled(10)
    chan.basic_qos(prefetch_count=3)
    inbox = client.Inbox(chan, queue).wait(3)
    for tag in range(1, 8):
        chan.basic_ack(tag)
        inbox.wait(tag + 3)
        client.expect_depth(chan, queue, 7 - tag)
    assert inbox.bodies == [b"%d" % number for number in range(10)]


@check
def ack_multiple_lets_as_many_in():
    chan, queue = filled(20)
    chan.basic_qos(prefetch_count=5)
    inbox = client.Inbox(chan, queue).wait(5)
    chan.basic_ack(4, multiple=True)
    inbox.wait(9)
    assert in_flight(chan, queue, [inbox]) == [9]


@check
def reject_makes_room_too():
    chan, queue = filled(5)
    chan.basic_qos(prefetch_count=1)
    inbox = client.Inbox(chan, queue).wait(1)
    chan.basic_reject(1, requeue=False)
    chan.basic_nack(inbox.wait(2).tags[-1], requeue=False)
    assert inbox.wait(3).bodies == [b"0", b"1", b"2"]
    assert in_flight(chan, queue, [inbox]) == [3]


@check
def requeued_message_is_delivered_again_within_the_limit():
    chan, queue = filled(3)
    chan.basic_qos(prefetch_count=1)
    inbox = client.Inbox(chan, queue).wait(1)
    chan.basic_nack(1, requeue=True)
    assert inbox.wait(2).bodies == [b"0", b"0"]
    assert in_flight(chan, queue, [inbox]) == [2]


@check
def limit_is_for_each_consumer_by_itself():
    chan, queue = filled(20)
    chan.basic_qos(prefetch_count=3)
    inboxes = [client.Inbox(chan, queue) for _ in range(3)]
    for inbox in inboxes:
        inbox.wait(3)
    assert in_flight(chan, queue, inboxes) == [3, 3, 3]
    client.expect_depth(chan, queue, 11)


@check
def change_is_for_new_consumers_only():
    chan, queue = filled(30)
    chan.basic_qos(prefetch_count=2)
    old = client.Inbox(chan, queue).wait(2)
    chan.basic_qos(prefetch_count=5)
    assert in_flight(chan, queue, [old]) == [2]
    new = client.Inbox(chan, queue).wait(5)
    assert in_flight(chan, queue, [old, new]) == [2, 5]
    chan.basic_ack(0, multiple=True)
    old.wait(4)
    new.wait(10)
    assert in_flight(chan, queue, [old, new]) == [4, 10]


@check
def zero_is_no_limit():
    chan, queue = filled(500)
    chan.basic_qos(prefetch_count=1)
    chan.basic_qos(prefetch_count=0)
    client.Inbox(chan, queue).wait(500)


@check
def no_limit_without_qos():
    chan, queue = filled(500)
    client.Inbox(chan, queue).wait(500)


@check
def largest_limit_works():
    chan, queue = filled(100)
    chan.basic_qos(prefetch_count=65535)
    client.Inbox(chan, queue).wait(100)


@check
def automatic_acks_know_no_limit():
    chan, queue = filled(200)
    chan.basic_qos(prefetch_count=1)
    client.Inbox(chan, queue, auto_ack=True).wait(200)


@check
def get_is_not_counted_in_the_limit_of_a_consumer():
    chan, queue = filled(10)
    for _ in range(4):
        chan.basic_get(queue)
    chan.basic_qos(prefetch_count=2)
    inbox = client.Inbox(chan, queue).wait(2)
    chan.basic_get(queue)
    assert in_flight(chan, queue, [inbox]) == [2]


@check
def limit_of_one_channel_is_not_that_of_another():
    chan, queue = filled(50)
    other = chan.connection.channel()
    chan.basic_qos(prefetch_count=1)
    mine = client.Inbox(chan, queue).wait(1)
    client.Inbox(other, queue).wait(49)
    assert in_flight(chan, queue, [mine]) == [1]


@check
def full_consumer_is_passed_over():
    chan, queue = filled(0)
    chan.basic_qos(prefetch_count=1)
    slow, quick = client.Inbox(chan, queue), client.Inbox(chan, queue)
    client.publish(chan, queue, *[b"%d" % number for number in range(10)])
    slow.wait(1)
    for count in range(1, 10):
        chan.basic_ack(quick.wait(count).tags[-1])
    assert in_flight(chan, queue, [slow, quick]) == [1, 9]


@check
def full_consumer_of_another_connection_is_passed_over():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    other = client.channel()
    for one in (chan, other):
        one.basic_qos(prefetch_count=1)
    slow, quick = client.Inbox(other, queue), client.Inbox(chan, queue)
    client.publish(chan, queue, *[b"%d" % number for number in range(10)])
    slow.wait(1)
    for count in range(1, 10):
        chan.basic_ack(quick.wait(count).tags[-1])
    assert len(slow.settle().messages) == 1


@check
def shared_limit_holds_for_the_channel_as_a_whole():
    chan, queue = filled(30)
    chan.basic_qos(prefetch_count=5, global_qos=True)
    inboxes = [client.Inbox(chan, queue) for _ in range(3)]
    while sum(len(inbox.messages) for inbox in inboxes) < 5:
        chan.connection.process_data_events(time_limit=None)
    assert sum(in_flight(chan, queue, inboxes)) == 5
    chan.basic_ack(0, multiple=True)
    while sum(len(inbox.messages) for inbox in inboxes) < 10:
        chan.connection.process_data_events(time_limit=None)
    assert sum(in_flight(chan, queue, inboxes)) == 10


@check
def shared_limit_holds_across_queues():
    chan, queue = filled(10)
    second = client.exclusive_queue(chan)
    client.publish(chan, second, *[b"x"] * 10)
    chan.basic_qos(prefetch_count=4, global_qos=True)
    inboxes = [client.Inbox(chan, queue), client.Inbox(chan, second)]
    while sum(len(inbox.messages) for inbox in inboxes) < 4:
        chan.connection.process_data_events(time_limit=None)
    assert sum(in_flight(chan, queue, inboxes)) == 4
    assert client.depth(chan, queue) + client.depth(chan, second) == 16


@check
def raised_shared_limit_counts_at_once():
    chan, queue = filled(20)
    chan.basic_qos(prefetch_count=2, global_qos=True)
    inbox = client.Inbox(chan, queue).wait(2)
    assert in_flight(chan, queue, [inbox]) == [2]
    chan.basic_qos(prefetch_count=6, global_qos=True)
    assert in_flight(chan, queue, [inbox.wait(6)]) == [6]
    chan.basic_qos(prefetch_count=0, global_qos=True)
    inbox.wait(20)


@check
def both_limits_hold_together():
    chan, queue = filled(20)
    chan.basic_qos(prefetch_count=2)
    chan.basic_qos(prefetch_count=3, global_qos=True)
    inboxes = [client.Inbox(chan, queue), client.Inbox(chan, queue)]
    while sum(len(inbox.messages) for inbox in inboxes) < 3:
        chan.connection.process_data_events(time_limit=None)
    counts = in_flight(chan, queue, inboxes)
    assert sum(counts) == 3 and max(counts) == 2, counts


@check
def prefetch_size_is_not_implemented():
    connection = wire.connect_with_channel()
    connection.method(1, "basic.qos", prefetch_size=1)
    connection.expect_connection_error(540, text="NOT_IMPLEMENTED - prefetch_size!=0 (1)")


@check
def cancelled_consumers_deliveries_give_their_room_to_nobody_else():
    chan, queue = filled(10)
    chan.basic_qos(prefetch_count=2)
    first = client.Inbox(chan, queue).wait(2)
    chan.basic_cancel(first.tag)
    second = client.Inbox(chan, queue).wait(2)
    assert in_flight(chan, queue, [second]) == [2]
    chan.basic_ack(2, multiple=True)  # those of the cancelled one
    assert in_flight(chan, queue, [second]) == [2]
