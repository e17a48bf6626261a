"""Consumers: sharing a queue, tags, exclusiveness, cancelling from both sides."""

import client
import codec
import scratch
import wire
from harness import check, unique
from neighbour import undisturbed


def exclusive():
    """A channel on a connection of its own, and a queue."""
    chan = client.channel()
    return chan, client.exclusive_queue(chan)


def consuming(count=1, **options):
    """A raw connection with this many consumers c1.. of one queue on channel 1."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    for number in range(1, count + 1):
        connection.call(1, "basic.consume", queue=queue, tag=f"c{number}", **options)
    return connection, queue


@check
def waiting_messages_come_in_order():
    chan, queue = exclusive()
    bodies = [b"%d" % number for number in range(100)]
    client.publish(chan, queue, *bodies)
    assert client.Inbox(chan, queue, auto_ack=True).wait(100).bodies == bodies


@check
def new_messages_come_in_order():
    chan, queue = exclusive()
    inbox = client.Inbox(chan, queue, auto_ack=True)
    bodies = [b"%d" % number for number in range(100)]
    client.publish(chan, queue, *bodies)
    assert inbox.wait(100).bodies == bodies


@check
def consume_ok_comes_before_the_first_message():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"waiting")
    connection.method(1, "basic.consume", queue=queue, tag="c")
    assert connection.expect("basic.consume-ok", 1).tag == "c"
    assert connection.expect("basic.deliver", 1).tag == "c"


@check
def delivery_tags_count_from_one():
    chan, queue = exclusive()
    client.publish(chan, queue, *[b"x"] * 10)
    assert client.Inbox(chan, queue).wait(10).tags == list(range(1, 11))


@check
def delivery_tags_are_shared_by_consumers_and_get():
    chan, queue = exclusive()
    other = client.exclusive_queue(chan)
    client.publish(chan, other, b"for get")
    inbox = client.Inbox(chan, queue)
    client.publish(chan, queue, b"one")
    inbox.wait(1)
    assert chan.basic_get(other)[0].delivery_tag == 2
    client.publish(chan, queue, b"two")
    assert inbox.wait(2).tags == [1, 3]


@check
def consumers_of_a_queue_take_turns():
    connection, queue = consuming(4, no_ack=True)
    for number in range(40):
        connection.publish(1, "", queue, b"%d" % number)
    tags = [connection.expect("basic.deliver", 1).tag for _ in range(40)]
    assert {tag: tags.count(tag) for tag in tags} == {f"c{n}": 10 for n in range(1, 5)}, tags


@check
def consumers_on_other_connections_take_turns():
    publisher, queue = client.channel(), scratch.queue_name()
    publisher.queue_declare(queue, durable=True)
    inboxes = [client.Inbox(client.channel(), queue, auto_ack=True) for _ in range(3)]
    client.publish(publisher, queue, *[b"%d" % number for number in range(30)])
    for inbox in inboxes:
        inbox.wait(10)
    for inbox in inboxes:
        assert len(inbox.settle().messages) == 10
        numbers = [int(body) for body in inbox.bodies]
        assert numbers == sorted(numbers)


@check
def consumer_that_joins_later_gets_its_share():
    connection, queue = consuming(1, no_ack=True)
    connection.publish(1, "", queue, b"x")
    assert connection.expect("basic.deliver", 1).tag == "c1"
    connection.call(1, "basic.consume", queue=queue, tag="c2", no_ack=True)
    for _ in range(10):
        connection.publish(1, "", queue, b"x")
    tags = [connection.expect("basic.deliver", 1).tag for _ in range(10)]
    assert (tags.count("c1"), tags.count("c2")) == (5, 5), tags


@check
def each_queue_serves_its_own_consumer():
    connection = wire.connect_with_channel()
    queues = [wire.exclusive_queue(connection) for _ in range(5)]
    for number, queue in enumerate(queues):
        connection.call(1, "basic.consume", queue=queue, tag=f"tag {number}", no_ack=True)
    for number in (3, 0, 4, 1, 2):
        connection.publish(1, "", queues[number], b"%d" % number)
        message = connection.expect("basic.deliver", 1)
        assert (message.tag, message.body) == (f"tag {number}", b"%d" % number)


@check
def generated_tags_differ_and_have_the_usual_prefix():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    tags = {connection.call(1, "basic.consume", queue=queue).tag for _ in range(20)}
    assert len(tags) == 20
    assert all(tag.startswith("amq.ctag-") for tag in tags), tags


@check
def tag_of_255_bytes_beyond_ascii_works():
    connection = wire.connect_with_channel()
    queue, tag = wire.exclusive_queue(connection), "ž" * 127 + "x"
    assert connection.call(1, "basic.consume", queue=queue, tag=tag).tag == tag
    connection.publish(1, "", queue, b"x")
    assert connection.expect("basic.deliver", 1).tag == tag
    assert connection.call(1, "basic.cancel", tag=tag).tag == tag


@check
def tag_twice_on_a_channel_is_not_allowed():
    with undisturbed():
        connection, queue = consuming(1)
        connection.method(1, "basic.consume", queue=queue, tag="c1")
        connection.expect_connection_error(
            530, text="NOT_ALLOWED - attempt to reuse consumer tag 'c1'"
        )


@check
def same_tag_on_another_channel_is_fine():
    connection, queue = consuming(1)
    connection.call(2, "channel.open")
    assert connection.call(2, "basic.consume", queue=queue, tag="c1").tag == "c1"


@check
def tag_may_be_used_again_after_cancel():
    connection, queue = consuming(1)
    connection.call(1, "basic.cancel", tag="c1")
    connection.call(1, "basic.consume", queue=queue, tag="c1")


@check
def consuming_an_absent_queue_is_not_found():
    chan, name = client.channel(), unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        chan.basic_consume(name, lambda *_: None)


@check
def consume_without_waiting_sends_no_answer():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.method(1, "basic.consume", queue=queue, tag="c", nowait=True)
    connection.publish(1, "", queue, b"x")
    assert connection.expect("basic.deliver", 1).tag == "c"


@check
def cancel_is_answered_and_nothing_comes_after_it():
    connection, queue = consuming(1, no_ack=True)
    connection.publish(1, "", queue, b"one")
    connection.expect("basic.deliver", 1)
    assert connection.call(1, "basic.cancel", tag="c1").tag == "c1"
    connection.publish(1, "", queue, b"two")
    connection.expect_depth(1, queue, 1)


@check
def cancel_without_waiting_sends_no_answer():
    connection, queue = consuming(1)
    connection.method(1, "basic.cancel", tag="c1", nowait=True)
    assert connection.call(1, "queue.declare", queue=queue, passive=True).consumer_count == 0


@check
def cancel_of_an_unknown_tag_is_answered():
    connection = wire.connect_with_channel()
    assert connection.call(1, "basic.cancel", tag="unknown").tag == "unknown"


@check
def cancel_leaves_delivered_messages_unacked():
    connection, queue = consuming(1)
    for _ in range(3):
        connection.publish(1, "", queue, b"x")
    for _ in range(3):
        connection.expect("basic.deliver", 1)
    connection.call(1, "basic.cancel", tag="c1")
    connection.expect_depth(1, queue, 0)
    connection.method(1, "basic.ack", delivery_tag=2, multiple=True)
    connection.method(1, "basic.reject", delivery_tag=3, requeue=True)
    connection.expect_depth(1, queue, 1)


@check
def cancelled_consumers_share_goes_to_the_others():
    connection, queue = consuming(2, no_ack=True)
    connection.call(1, "basic.cancel", tag="c1")
    for _ in range(10):
        connection.publish(1, "", queue, b"x")
    assert {connection.expect("basic.deliver", 1).tag for _ in range(10)} == {"c2"}


@check
def deleting_the_queue_cancels_its_consumers():
    connection, queue = consuming(2)
    connection.call(2, "channel.open")
    connection.method(2, "queue.delete", queue=queue)
    seen = [connection.read() for _ in range(3)]
    cancels = {method.tag for method in seen if method.name == "basic.cancel"}
    assert cancels == {"c1", "c2"}, seen
    assert [method.name for method in seen].count("queue.delete-ok") == 1


@check
def deleting_the_queue_cancels_consumers_of_other_connections():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    inbox = client.Inbox(client.channel(), queue)
    chan.queue_delete(queue)
    while not inbox.cancelled:
        inbox.chan.connection.process_data_events(time_limit=None)


@check
def client_without_the_capability_is_not_told_of_a_cancel():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel(capabilities={})
    connection.call(1, "basic.consume", queue=queue)
    chan.queue_delete(queue)
    chan.queue_declare(queue, durable=True)  # its answer follows whatever the delete has caused
    connection.call(1, "basic.qos")
    connection.call(1, "queue.declare", queue=queue, passive=True)


@check
def consumer_is_gone_from_a_queue_that_came_back():
    connection, queue = wire.connect_with_channel(), scratch.queue_name()
    connection.call(1, "queue.declare", queue=queue, durable=True)
    connection.call(1, "basic.consume", queue=queue, tag="c")
    connection.method(1, "queue.delete", queue=queue, nowait=True)
    assert connection.expect("basic.cancel", 1).tag == "c"
    again = connection.call(1, "queue.declare", queue=queue, durable=True)
    assert again.consumer_count == 0
    connection.publish(1, "", queue, b"for nobody yet")
    connection.expect_depth(1, queue, 1)
    connection.call(1, "basic.consume", queue=queue, tag="c")
    assert connection.expect("basic.deliver", 1).body == b"for nobody yet"


@check
def exclusive_consumer_keeps_others_away():
    chan, queue = exclusive()
    chan.basic_consume(queue, lambda *_: None, exclusive=True)
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with client.refused(403, text):
        chan.connection.channel().basic_consume(queue, lambda *_: None)


@check
def exclusive_consumer_is_refused_when_others_are_there():
    chan, queue = exclusive()
    chan.basic_consume(queue, lambda *_: None)
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with client.refused(403, text):
        chan.connection.channel().basic_consume(queue, lambda *_: None, exclusive=True)


@check
def exclusive_consumer_makes_room_when_it_is_cancelled():
    chan, queue = exclusive()
    chan.basic_cancel(chan.basic_consume(queue, lambda *_: None, exclusive=True))
    chan.connection.channel().basic_consume(queue, lambda *_: None)


@check
def exclusive_consumer_makes_room_when_its_connection_ends():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    other = client.channel()
    other.basic_consume(queue, lambda *_: None, exclusive=True)
    other.connection.close()
    chan.basic_consume(queue, lambda *_: None, exclusive=True)


@check
def automatic_acks_leave_nothing_to_requeue():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    client.publish(chan, queue, *[b"x"] * 50)
    other = client.channel()
    client.Inbox(other, queue, auto_ack=True).wait(50)
    other.connection.close()
    client.expect_depth(chan, queue, 0)


@check
def automatic_acks_are_not_to_be_acked():
    connection, queue = consuming(1, no_ack=True)
    connection.publish(1, "", queue, b"x")
    connection.expect("basic.deliver", 1)
    connection.method(1, "basic.ack", delivery_tag=1)
    connection.expect_channel_error(1, 406, "PRECONDITION_FAILED - unknown delivery tag 1")


@check
def no_local_is_ignored():
    connection, queue = consuming(1, no_local=True)
    connection.publish(1, "", queue, b"own")
    assert connection.expect("basic.deliver", 1).body == b"own"


@check
def one_channel_may_consume_and_publish_at_once():
    connection, queue = consuming(1)
    for number in range(500):
        connection.publish(1, "", queue, b"%d" % number)
        message = connection.expect("basic.deliver", 1)
        assert (message.body, message.delivery_tag) == (b"%d" % number, number + 1)
        connection.method(1, "basic.ack", delivery_tag=number + 1)
    connection.expect_depth(1, queue, 0)


@check
def large_messages_to_several_consumers_do_not_mix():
    connection = wire.connect()
    for number in range(1, 6):
        connection.call(number, "channel.open")
    queue = wire.exclusive_queue(connection)
    for number in range(1, 6):
        connection.call(number, "basic.consume", queue=queue, tag=str(number), no_ack=True)
    for number in range(25):
        connection.publish(1, "", queue, bytes([number]) * 300_000)
    seen = [connection.expect("basic.deliver") for _ in range(25)]
    assert sorted(message.body[0] for message in seen) == list(range(25))
    assert all(message.body == message.body[:1] * 300_000 for message in seen)


@check
def client_that_closes_while_messages_flow_gets_close_ok():
    connection, queue = consuming(1, no_ack=True)
    for _ in range(200):
        connection.publish(1, "", queue, b"x" * 1000)
    connection.method(0, "connection.close", code=200)
    while connection.read().name != "connection.close-ok":
        pass


@check
def heartbeat_between_the_frames_of_a_content_is_fine():
    connection, queue = consuming(1, no_ack=True)
    beat = codec.frame(codec.HEARTBEAT, 0, b"")
    publish = codec.encode_method("basic.publish", routing_key=queue)
    connection.frame(codec.METHOD, 1, publish)
    connection.send(beat)
    connection.frame(codec.HEADER, 1, codec.content_header(4))
    connection.send(beat)
    connection.frame(codec.BODY, 1, b"body")
    assert connection.expect("basic.deliver", 1).body == b"body"
