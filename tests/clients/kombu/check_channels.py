"""Transactions, recovery, consumer priorities and direct replies with py-amqp and kombu."""

import kombu

import link
import scratch
from harness import check, unique

REPLY_TO = "amq.rabbitmq.reply-to"


def ready():
    """A py-amqp channel and an exclusive queue."""
    channel = link.amqp_channel()
    return channel, link.exclusive_queue(channel)


@check
def committed_messages_appear_together():
    channel, queue = ready()
    other = channel.connection.channel()
    channel.tx_select()
    link.publish(channel, queue, "a", "b")
    assert link.depth(other, queue) == 0
    channel.tx_commit()
    assert link.drain(other, queue) == ["a", "b"]


@check
def rolled_back_messages_never_appear():
    channel, queue = ready()
    channel.tx_select()
    link.publish(channel, queue, "a")
    channel.tx_rollback()
    link.publish(channel, queue, "b")
    channel.tx_commit()
    assert link.drain(channel.connection.channel(), queue) == ["b"]


@check
def rolled_back_ack_leaves_the_message_unacked():
    channel, queue = ready()
    link.publish(channel, queue, "a")
    other = channel.connection.channel()
    other.tx_select()
    message = other.basic_get(queue)
    other.basic_ack(message.delivery_tag)
    other.tx_rollback()
    other.close()
    link.expect_depth(channel, queue, 1)


@check
def committed_ack_is_final():
    channel, queue = ready()
    link.publish(channel, queue, "a")
    other = channel.connection.channel()
    other.tx_select()
    other.basic_ack(other.basic_get(queue).delivery_tag)
    other.tx_commit()
    other.close()
    assert link.depth(channel, queue) == 0


@check
def commit_without_select_is_refused():
    channel = link.amqp_channel()
    with link.refused(406, "PRECONDITION_FAILED - channel is not transactional"):
        channel.tx_commit()


@check
def confirms_and_transactions_exclude_each_other():
    channel = link.amqp_channel()
    channel.tx_select()
    with link.refused(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"):
        channel.confirm_select()


@check
def recover_hands_unacked_messages_out_again():
    channel, queue = ready()
    link.publish(channel, queue, "a", "b")
    inbox = link.Inbox(channel, queue).wait(2)
    channel.basic_recover(requeue=True)
    inbox.wait(4)
    again = inbox.messages[2:]
    assert [message.body for message in again] == ["a", "b"]
    assert all(message.delivery_info["redelivered"] for message in again)


@check
def kombu_consumer_recovers():
    channel = link.kombu_connection().default_channel
    name = link.exclusive_queue(channel)
    link.publish(channel, name, "a", content_type="text/plain", content_encoding="utf-8")
    queue = kombu.Queue(name, exclusive=True, durable=False, no_declare=True)
    box = link.Mailbox(channel, queue, ack=False).wait(1)
    box.consumer.recover(requeue=True)
    assert box.wait(2).payloads == ["a", "a"]


@check
def recover_without_requeue_is_not_implemented():
    channel = link.amqp_channel()
    with link.refused(540, "NOT_IMPLEMENTED - requeue=false"):
        channel.basic_recover(requeue=False)
        link.round_trip(channel)


@check
def consumer_of_higher_priority_is_served_first():
    channel, queue = ready()
    low = link.Inbox(channel, queue, no_ack=True, arguments={"x-priority": -1})
    high = link.Inbox(channel, queue, no_ack=True, arguments={"x-priority": 10})
    middle = link.Inbox(channel, queue, no_ack=True)
    link.publish(channel, queue, *"abcdef")
    assert high.wait(6).bodies == list("abcdef")
    assert (low.settle().bodies, middle.bodies) == ([], [])


@check
def busy_consumer_of_higher_priority_lets_the_next_one_work():
    channel, queue = ready()
    channel.basic_qos(0, 2, False)
    high = link.Inbox(channel, queue, arguments={"x-priority": 10})
    low = link.Inbox(channel, queue, arguments={"x-priority": 1})
    link.publish(channel, queue, *"abcd")
    high.wait(2)
    low.wait(2)
    assert (high.bodies, low.bodies) == (["a", "b"], ["c", "d"])


@check
def kombu_consumer_takes_a_priority():
    channel = link.kombu_connection().default_channel
    name = scratch.queue_name()
    plain = kombu.Queue(name, durable=True)
    first = kombu.Queue(name, durable=True, consumer_arguments={"x-priority": 5})
    one, two = link.Mailbox(channel, plain), link.Mailbox(channel, first)
    for number in range(4):
        kombu.Producer(channel).publish(number, routing_key=name)
    assert two.wait(4).payloads == [0, 1, 2, 3]
    assert one.payloads == []


@check
def direct_reply_comes_back_to_the_caller():
    server, calls = ready()
    client = link.amqp_channel()
    replies = link.Inbox(client, REPLY_TO, no_ack=True)
    link.publish(client, calls, "question", reply_to=REPLY_TO, correlation_id="1")
    call = None
    while call is None:
        call = server.basic_get(calls, no_ack=True)
    address = call.properties["reply_to"]
    assert address.startswith(REPLY_TO + "."), address
    link.publish(server, address, "answer", correlation_id=call.properties["correlation_id"])
    answer = replies.wait(1).messages[0]
    assert (answer.body, answer.properties["correlation_id"]) == ("answer", "1")


@check
def kombu_calls_by_direct_reply():
    server = link.kombu_connection()
    name = scratch.queue_name()
    calls = link.Mailbox(server.default_channel, kombu.Queue(name, durable=True))
    channel = link.kombu_connection().default_channel
    replies = link.Mailbox(channel, kombu.Queue(REPLY_TO, no_ack=True), no_ack=True, ack=False)
    kombu.Producer(channel).publish({"n": 20}, routing_key=name, reply_to=REPLY_TO)
    call = calls.wait(1).messages[0]
    kombu.Producer(server.default_channel).publish(
        call.payload["n"] + 1, routing_key=call.properties["reply_to"]
    )
    assert replies.wait(1).payloads == [21]


@check
def direct_reply_without_a_consumer_is_refused():
    channel, queue = ready()
    link.publish(channel, queue, "x", reply_to=REPLY_TO)
    with link.refused(406, "PRECONDITION_FAILED - fast reply consumer does not exist"):
        link.round_trip(channel)


@check
def own_user_id_passes_and_anothers_does_not():
    channel, queue = ready()
    link.publish(channel, queue, "x", user_id=link.harness.USER)
    assert channel.basic_get(queue, no_ack=True).properties["user_id"] == link.harness.USER
    link.publish(channel, queue, "x", user_id="somebody")
    text = (
        "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was "
        f"'{link.harness.USER}'"
    )
    with link.refused(406, text):
        link.round_trip(channel)


@check
def flow_on_is_answered():
    channel = link.amqp_channel()
    channel.flow(True)
    link.exclusive_queue(channel)


@check
def reply_to_a_caller_that_never_was_is_dropped():
    channel = link.amqp_channel(confirm_publish=True)
    link.publish(channel, REPLY_TO + "." + unique("nobody"), "x")
@check
def server_announces_its_capabilities():
    capabilities = link.amqp_connection().server_properties["capabilities"]
    for name in (
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "connection.blocked",
        "consumer_cancel_notify", "consumer_priorities", "authentication_failure_close",
        "per_consumer_qos", "direct_reply_to",
    ):  # fmt: skip
        assert capabilities[name] is True, (name, capabilities)


