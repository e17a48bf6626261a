"""Transactions: what counts when, and what does not mix with them."""

import client
import scratch
import wire
from harness import check, unique


def ready():
    """A transactional channel, a plain one beside it, and a queue."""
    connection = client.connect()
    other = connection.channel()
    chan = connection.channel()
    chan.tx_select()
    return chan, other, client.exclusive_queue(other)


def transactional():
    """A raw connection whose channel 1 is transactional, and a queue."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.call(1, "tx.select")
    return connection, queue


@check
def published_messages_wait_for_the_commit():
    chan, other, queue = ready()
    client.publish(chan, queue, b"a", b"b", b"c")
    client.round_trip(chan)
    assert client.depth(other, queue) == 0
    chan.tx_commit()
    assert client.depth(other, queue) == 3
    assert client.drain(other, queue) == [b"a", b"b", b"c"]


@check
def rollback_forgets_what_was_published():
    chan, other, queue = ready()
    client.publish(chan, queue, b"a")
    chan.tx_rollback()
    client.publish(chan, queue, b"b")
    chan.tx_commit()
    assert client.drain(other, queue) == [b"b"]


@check
def transactions_follow_one_another():
    chan, other, queue = ready()
    for number in range(10):
        client.publish(chan, queue, b"%d" % number)
        if number % 2:
            chan.tx_rollback()
        else:
            chan.tx_commit()
    assert client.drain(other, queue) == [b"0", b"2", b"4", b"6", b"8"]


@check
def commit_of_nothing_succeeds():
    chan, _, _ = ready()
    chan.tx_commit()
    chan.tx_rollback()
    chan.tx_commit()


@check
def select_twice_is_fine_and_keeps_what_is_pending():
    chan, other, queue = ready()
    client.publish(chan, queue, b"a")
    chan.tx_select()
    chan.tx_commit()
    assert client.drain(other, queue) == [b"a"]


@check
def acks_count_from_the_commit_on():
    chan, other, queue = ready()
    client.publish(other, queue, b"a", b"b")
    client.expect_depth(other, queue, 2)
    chan.basic_ack(chan.basic_get(queue)[0].delivery_tag)
    chan.tx_commit()
    chan.basic_ack(chan.basic_get(queue)[0].delivery_tag)
    chan.close()
    client.expect_depth(other, queue, 1)
    assert client.drain(other, queue) == [b"b"]


@check
def rolled_back_ack_can_be_made_again():
    chan, other, queue = ready()
    client.publish(other, queue, b"a")
    client.expect_depth(other, queue, 1)
    tag = chan.basic_get(queue)[0].delivery_tag
    chan.basic_ack(tag)
    chan.tx_rollback()
    chan.basic_ack(tag)
    chan.tx_commit()
    chan.close()
    client.round_trip(other)
    assert client.depth(other, queue) == 0


@check
def rollback_delivers_nothing_again():
    chan, other, queue = ready()
    client.publish(other, queue, b"a")
    client.expect_depth(other, queue, 1)
    assert chan.basic_get(queue)[2] == b"a"
    chan.tx_rollback()
    assert chan.basic_get(queue)[0] is None


@check
def rejects_count_from_the_commit_on():
    chan, other, queue = ready()
    client.publish(other, queue, b"drop", b"requeue")
    client.expect_depth(other, queue, 2)
    tags = [chan.basic_get(queue)[0].delivery_tag for _ in range(2)]
    chan.basic_reject(tags[0], requeue=False)
    chan.basic_nack(tags[1], requeue=True)
    client.round_trip(chan)
    assert client.depth(other, queue) == 0
    chan.tx_commit()
    client.expect_depth(other, queue, 1)
    assert client.drain(other, queue) == [b"requeue"]


@check
def acking_twice_in_a_transaction_is_refused():
    connection, queue = transactional()
    connection.publish(1, "", queue, b"x")
    connection.call(1, "tx.commit")
    connection.method(1, "basic.get", queue=queue)
    tag = connection.expect("basic.get-ok", 1).delivery_tag
    connection.method(1, "basic.ack", delivery_tag=tag)
    connection.method(1, "basic.ack", delivery_tag=tag)
    text = f"PRECONDITION_FAILED - unknown delivery tag {tag}"
    connection.expect_channel_error(1, 406, text)


@check
def closing_the_channel_forgets_the_transaction():
    chan, other, queue = ready()
    client.publish(chan, queue, b"a")
    chan.close()
    assert client.depth(other, queue) == 0


@check
def channel_that_is_opened_again_has_no_transaction():
    connection, queue = transactional()
    connection.call(1, "channel.close", code=200)
    connection.call(1, "channel.open")
    connection.publish(1, "", queue, b"x")
    connection.expect_depth(1, queue, 1)


@check
def commit_and_rollback_need_a_select():
    connection = client.connect()
    text = "PRECONDITION_FAILED - channel is not transactional"
    with client.refused(406, text):
        connection.channel().tx_commit()
    with client.refused(406, text):
        connection.channel().tx_rollback()


@check
def confirms_cannot_follow_a_transaction():
    chan, _, _ = ready()
    with client.refused(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"):
        chan.confirm_delivery()


@check
def transaction_cannot_follow_confirms():
    chan = client.channel()
    chan.confirm_delivery()
    with client.refused(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode"):
        chan.tx_select()


@check
def returns_come_at_the_commit_and_before_its_answer():
    connection, _ = transactional()
    key = unique("absent")
    connection.publish(1, "", key, b"one", mandatory=True)
    connection.publish(1, "", key, b"two", mandatory=True)
    connection.call(1, "basic.qos")  # nothing came before this answer
    connection.method(1, "tx.commit")
    assert connection.expect("basic.return", 1).body == b"one"
    assert connection.expect("basic.return", 1).body == b"two"
    connection.expect("tx.commit-ok", 1)


@check
def rolled_back_message_is_not_returned():
    connection, _ = transactional()
    connection.publish(1, "", unique("absent"), b"x", mandatory=True)
    connection.call(1, "tx.rollback")
    connection.call(1, "tx.commit")


@check
def absent_exchange_closes_the_channel_at_the_publish():
    connection, _ = transactional()
    name = unique("absent")
    connection.publish(1, name, "k", b"x")
    connection.expect_channel_error(1, 404, f"NOT_FOUND - no exchange '{name}' in vhost '/'")


@check
def error_forgets_what_was_published_before_it():
    connection, queue = transactional()
    connection.publish(1, "", queue, b"x")
    connection.publish(1, unique("absent"), "k", b"x")
    connection.expect_channel_error(1, 404)
    connection.call(1, "channel.open")
    connection.expect_depth(1, queue, 0)


@check
def other_methods_are_not_part_of_the_transaction():
    chan, other, _ = ready()
    name = scratch.queue_name()
    chan.queue_declare(name, durable=True)
    chan.tx_rollback()
    assert client.depth(other, name) == 0


@check
def transaction_over_several_queues_reaches_all():
    chan, other, queue = ready()
    queues = [queue] + [client.exclusive_queue(other) for _ in range(4)]
    for name in queues:
        client.publish(chan, name, name.encode())
    chan.tx_commit()
    for name in queues:
        assert client.drain(other, name) == [name.encode()]


@check
def large_transaction_commits():
    chan, other, queue = ready()
    bodies = [b"%d" % number for number in range(5000)]
    client.publish(chan, queue, *bodies)
    chan.tx_commit()
    assert client.depth(other, queue) == 5000
    assert client.Inbox(other, queue, auto_ack=True).wait(5000).bodies == bodies


@check
def queue_that_is_gone_at_the_commit_takes_nothing_else_along():
    chan, other, queue = ready()
    left = client.exclusive_queue(other)
    client.publish(chan, queue, b"x")
    client.publish(chan, left, b"x")
    other.queue_delete(queue)
    try:
        chan.tx_commit()
    except client.ChannelClosedByBroker as error:  # RabbitMQ, when the queue just went
        assert error.reply_text == "PRECONDITION_FAILED - partial tx completion", error
    client.expect_depth(other, left, 1)


@check
def consumer_may_work_in_transactions():
    chan, other, queue = ready()
    target = client.exclusive_queue(other)
    client.publish(other, queue, *[b"%d" % number for number in range(10)])
    inbox = client.Inbox(chan, queue)
    for number in range(10):
        method, _, body = inbox.wait(number + 1).messages[number]
        client.publish(chan, target, body)
        chan.basic_ack(method.delivery_tag)
        chan.tx_commit()
    assert client.drain(other, target) == [b"%d" % number for number in range(10)]
    chan.close()
    client.expect_depth(other, queue, 0)
