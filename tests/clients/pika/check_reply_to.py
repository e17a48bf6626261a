"""Direct reply-to: answers that need no queue."""

import codec
import scratch
import wire
from harness import check, unique

REPLY_TO = "amq.rabbitmq.reply-to"
REPLY_TO_FLAG = 0x0200
CORRELATION_FLAG = 0x0400


def caller(tag="replies"):
    """A raw connection whose channel 1 waits for replies."""
    connection = wire.connect_with_channel()
    connection.call(1, "basic.consume", queue=REPLY_TO, tag=tag, no_ack=True)
    return connection


def server():
    """A raw connection and its queue of calls."""
    connection = wire.connect_with_channel()
    name = scratch.queue_name()
    connection.call(1, "queue.declare", queue=name, durable=True)
    connection.call(1, "basic.consume", queue=name, tag="calls", no_ack=True)
    return connection, name


def call(connection, queue, body=b"call", channel=1, **options):
    properties = codec.shortstr(REPLY_TO)
    connection.publish(
        channel, "", queue, body, flags=REPLY_TO_FLAG, properties=properties, **options
    )


def address(message):
    """The reply-to of a message that carries nothing else."""
    assert message.flags == REPLY_TO_FLAG, message.flags
    return codec.Reader(message.properties).shortstr()


def taken(connection):
    """The next call's body and where its answer goes."""
    message = connection.expect("basic.deliver", 1)
    return message.body, address(message)


@check
def answer_comes_back_without_a_queue():
    client, (worker, queue) = caller(), server()
    call(client, queue, b"question")
    body, reply_to = taken(worker)
    assert body == b"question" and reply_to.startswith(REPLY_TO + "."), reply_to
    worker.publish(1, "", reply_to, b"answer")
    reply = client.expect("basic.deliver", 1)
    assert (reply.tag, reply.body) == ("replies", b"answer")
    assert (reply.exchange, reply.redelivered) == ("", False)
    assert reply.delivery_tag == 1


@check
def properties_of_an_answer_arrive():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    properties = codec.shortstr("call 1")
    worker.publish(1, "", reply_to, b"x", flags=CORRELATION_FLAG, properties=properties)
    reply = client.expect("basic.deliver", 1)
    assert (reply.flags, reply.properties) == (CORRELATION_FLAG, properties)


@check
def several_answers_to_one_call_arrive_in_order():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    for number in range(50):
        worker.publish(1, "", reply_to, b"%d" % number)
    replies = [client.expect("basic.deliver", 1) for _ in range(50)]
    assert [reply.body for reply in replies] == [b"%d" % number for number in range(50)]


@check
def thousand_calls_get_their_answers():
    client, (worker, queue) = caller(), server()
    for number in range(1000):
        call(client, queue, b"%d" % number)
    for _ in range(1000):
        body, reply_to = taken(worker)
        worker.publish(1, "", reply_to, body)
    bodies = [client.expect("basic.deliver", 1).body for _ in range(1000)]
    assert bodies == [b"%d" % number for number in range(1000)]


@check
def answer_of_a_mebibyte_arrives():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    body = bytes(range(256)) * 4096
    worker.publish(1, "", reply_to, body)
    assert client.expect("basic.deliver", 1).body == body


@check
def channels_of_one_connection_get_their_own_answers():
    client, (worker, queue) = caller("one"), server()
    client.call(2, "channel.open")
    client.call(2, "basic.consume", queue=REPLY_TO, tag="two", no_ack=True)
    for channel in (1, 2):
        call(client, queue, b"%d" % channel, channel)
        body, reply_to = taken(worker)
        worker.publish(1, "", reply_to, body)
        reply = client.expect("basic.deliver", channel)
        assert (reply.tag, reply.body) == ({1: "one", 2: "two"}[channel], b"%d" % channel)


@check
def worker_may_answer_from_another_connection():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    other = wire.connect_with_channel()
    other.publish(1, "", reply_to, b"x")
    assert client.expect("basic.deliver", 1).body == b"x"


@check
def caller_may_answer_itself():
    client = caller()
    queue = wire.exclusive_queue(client)
    call(client, queue)
    client.method(1, "basic.get", queue=queue, no_ack=True)
    reply_to = address(client.expect("basic.get-ok", 1))
    client.publish(1, "", reply_to, b"x")
    assert client.expect("basic.deliver", 1).tag == "replies"


@check
def other_reply_to_is_left_alone():
    connection = caller()
    queue, properties = wire.exclusive_queue(connection), codec.shortstr("some.queue")
    connection.publish(1, "", queue, b"x", flags=REPLY_TO_FLAG, properties=properties)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert address(connection.expect("basic.get-ok", 1)) == "some.queue"


@check
def calling_without_a_consumer_is_refused():
    connection = wire.connect_with_channel()
    call(connection, "anywhere")
    text = "PRECONDITION_FAILED - fast reply consumer does not exist"
    connection.expect_channel_error(1, 406, text)


@check
def calling_on_another_channel_than_the_consumers_is_refused():
    connection = caller()
    connection.call(2, "channel.open")
    call(connection, "anywhere", channel=2)
    text = "PRECONDITION_FAILED - fast reply consumer does not exist"
    connection.expect_channel_error(2, 406, text)


@check
def consumer_that_would_ack_is_refused():
    connection = wire.connect_with_channel()
    connection.method(1, "basic.consume", queue=REPLY_TO, tag="t")
    text = "PRECONDITION_FAILED - reply consumer cannot acknowledge"
    connection.expect_channel_error(1, 406, text)


@check
def second_consumer_of_a_channel_is_refused():
    connection = caller()
    connection.method(1, "basic.consume", queue=REPLY_TO, tag="other", no_ack=True)
    text = "PRECONDITION_FAILED - reply consumer already set"
    connection.expect_channel_error(1, 406, text)


@check
def cancelled_consumer_may_be_followed_by_another():
    client, (worker, queue) = caller("one"), server()
    client.call(1, "basic.cancel", tag="one")
    client.call(1, "basic.consume", queue=REPLY_TO, tag="two", no_ack=True)
    call(client, queue)
    _, reply_to = taken(worker)
    worker.publish(1, "", reply_to, b"x")
    assert client.expect("basic.deliver", 1).tag == "two"


@check
def answer_to_a_cancelled_consumer_is_dropped():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    client.call(1, "basic.cancel", tag="replies")
    worker.publish(1, "", reply_to, b"late")
    worker.call(1, "basic.qos")
    client.call(1, "basic.qos")


@check
def calling_after_the_cancel_is_refused():
    client = caller()
    client.call(1, "basic.cancel", tag="replies")
    call(client, "anywhere")
    text = "PRECONDITION_FAILED - fast reply consumer does not exist"
    client.expect_channel_error(1, 406, text)


@check
def consumer_without_a_tag_gets_one():
    connection = wire.connect_with_channel()
    tag = connection.call(1, "basic.consume", queue=REPLY_TO, no_ack=True).tag
    assert tag.startswith("amq.ctag-"), tag


@check
def consume_without_waiting_sends_no_answer():
    client, (worker, queue) = wire.connect_with_channel(), server()
    client.method(1, "basic.consume", queue=REPLY_TO, tag="t", no_ack=True, nowait=True)
    call(client, queue)
    _, reply_to = taken(worker)
    worker.publish(1, "", reply_to, b"x")
    assert client.expect("basic.deliver", 1).tag == "t"


@check
def address_is_there_while_the_caller_is():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    declared = worker.call(1, "queue.declare", queue=reply_to, passive=True)
    assert (declared.queue, declared.message_count, declared.consumer_count) == (reply_to, 0, 1)
    worker.call(1, "queue.declare", queue=reply_to)
    client.close()
    worker.method(1, "queue.declare", queue=reply_to, passive=True)
    worker.expect_channel_error(1, 404)


@check
def pseudo_queue_itself_can_be_declared():
    declared = caller().call(1, "queue.declare", queue=REPLY_TO, passive=True)
    assert declared.message_count == 0


@check
def answer_to_a_caller_that_is_gone_is_dropped():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    client.close()
    worker.call(1, "confirm.select")
    worker.publish(1, "", reply_to, b"late")
    assert worker.expect("basic.ack", 1).delivery_tag == 1


@check
def mandatory_answer_arrives():
    client, (worker, queue) = caller(), server()
    call(client, queue)
    _, reply_to = taken(worker)
    worker.call(1, "confirm.select")
    worker.publish(1, "", reply_to, b"x", mandatory=True)
    answer = worker.read()
    if answer.name == "basic.return":  # before 4.2, although it arrives
        answer = worker.read()
    assert (answer.name, answer.delivery_tag) == ("basic.ack", 1), answer
    assert client.expect("basic.deliver", 1).body == b"x"


@check
def address_that_never_was_is_dropped():
    worker = wire.connect_with_channel()
    worker.call(1, "confirm.select")
    worker.publish(1, "", f"{REPLY_TO}.{unique('nobody')}", b"x")
    assert worker.expect("basic.ack", 1).delivery_tag == 1


@check
def call_may_go_through_an_exchange():
    client, (worker, queue) = caller(), server()
    key = unique("key")
    worker.call(1, "queue.bind", queue=queue, exchange="amq.direct", routing_key=key)
    client.publish(
        1, "amq.direct", key, b"x", flags=REPLY_TO_FLAG, properties=codec.shortstr(REPLY_TO)
    )
    _, reply_to = taken(worker)
    worker.publish(1, "", reply_to, b"y")
    assert client.expect("basic.deliver", 1).body == b"y"


@check
def call_that_is_handed_out_again_keeps_its_address():
    client, worker = caller(), wire.connect_with_channel()
    queue = wire.exclusive_queue(worker)
    shared = wire.connect_with_channel()
    name = scratch.queue_name()
    shared.call(1, "queue.declare", queue=name, durable=True)
    assert queue
    call(client, name)
    shared.expect_depth(1, name, 1)
    shared.method(1, "basic.get", queue=name)
    first = shared.expect("basic.get-ok", 1)
    shared.method(1, "basic.reject", delivery_tag=first.delivery_tag, requeue=True)
    shared.expect_depth(1, name, 1)
    shared.method(1, "basic.get", queue=name, no_ack=True)
    second = shared.expect("basic.get-ok", 1)
    assert address(first) == address(second)
    shared.publish(1, "", address(second), b"x")
    assert client.expect("basic.deliver", 1).body == b"x"
