"""basic.recover: what was not acked is handed out again."""

import client
import wire
from harness import check


def filled(*bodies):
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    client.publish(chan, queue, *bodies)
    client.expect_depth(chan, queue, len(bodies))
    return chan, queue


@check
def unacked_messages_go_back_to_the_queue_in_order_and_marked():
    chan, queue = filled(b"a", b"b", b"c")
    for _ in range(2):
        chan.basic_get(queue)
    chan.basic_recover(requeue=True)
    client.expect_depth(chan, queue, 3)
    seen = [chan.basic_get(queue, True) for _ in range(3)]
    assert [body for _, _, body in seen] == [b"a", b"b", b"c"]
    assert [method.redelivered for method, _, _ in seen] == [True, True, False]


@check
def consumer_gets_its_messages_again():
    chan, queue = filled(b"a", b"b")
    inbox = client.Inbox(chan, queue).wait(2)
    chan.basic_recover(requeue=True)
    inbox.wait(4)
    assert inbox.bodies == [b"a", b"b", b"a", b"b"]
    assert inbox.tags == [1, 2, 3, 4]


@check
def acked_messages_do_not_come_again():
    chan, queue = filled(b"a", b"b")
    inbox = client.Inbox(chan, queue).wait(2)
    chan.basic_ack(inbox.tags[0])
    chan.basic_recover(requeue=True)
    assert inbox.wait(3).bodies == [b"a", b"b", b"b"]
    assert len(inbox.settle().messages) == 3


@check
def old_tags_are_unknown_afterwards():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x")
    connection.method(1, "basic.get", queue=queue)
    tag = connection.expect("basic.get-ok", 1).delivery_tag
    connection.call(1, "basic.recover", requeue=True)
    connection.method(1, "basic.ack", delivery_tag=tag)
    text = f"PRECONDITION_FAILED - unknown delivery tag {tag}"
    connection.expect_channel_error(1, 406, text)


@check
def only_the_channels_own_messages_come_again():
    chan, queue = filled(b"a", b"b")
    other = chan.connection.channel()
    assert chan.basic_get(queue)[2] == b"a"
    assert other.basic_get(queue)[2] == b"b"
    other.basic_recover(requeue=True)
    client.expect_depth(chan, queue, 1)
    assert client.drain(chan, queue) == [b"b"]


@check
def another_consumer_may_get_them():
    chan, queue = filled(b"a")
    chan.basic_get(queue)
    other = chan.connection.channel()
    inbox = client.Inbox(other, queue)
    chan.basic_recover(requeue=True)
    assert inbox.wait(1).bodies == [b"a"]


@check
def recover_of_nothing_is_answered():
    connection = wire.connect_with_channel()
    connection.call(1, "basic.recover", requeue=True)


@check
def recover_makes_room_in_the_prefetch():
    chan, queue = filled(b"a", b"b", b"c")
    chan.basic_qos(prefetch_count=2)
    inbox = client.Inbox(chan, queue).wait(2)
    chan.basic_recover(requeue=True)
    assert inbox.wait(4).bodies == [b"a", b"b", b"a", b"b"]
    client.expect_depth(chan, queue, 1)


@check
def messages_of_several_queues_go_back_to_theirs():
    chan = client.channel()
    queues = [client.exclusive_queue(chan) for _ in range(3)]
    for queue in queues:
        client.publish(chan, queue, queue.encode())
        client.expect_depth(chan, queue, 1)
        chan.basic_get(queue)
    chan.basic_recover(requeue=True)
    for queue in queues:
        client.expect_depth(chan, queue, 1)
        assert client.drain(chan, queue) == [queue.encode()]


@check
def recover_without_requeue_is_not_implemented():
    connection = wire.connect_with_channel()
    connection.method(1, "basic.recover", requeue=False)
    connection.expect_connection_error(540, text="NOT_IMPLEMENTED - requeue=false")


@check
def asynchronous_form_has_no_answer():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x")
    connection.method(1, "basic.get", queue=queue)
    connection.expect("basic.get-ok", 1)
    connection.method(1, "basic.recover-async", requeue=True)
    connection.expect_depth(1, queue, 1)
    connection.method(1, "basic.get", queue=queue)
    assert connection.expect("basic.get-ok", 1).redelivered


@check
def asynchronous_form_without_requeue_is_not_implemented():
    connection = wire.connect_with_channel()
    connection.method(1, "basic.recover-async", requeue=False)
    connection.expect_connection_error(540, text="NOT_IMPLEMENTED - requeue=false")
