"""Work queues, publish and subscribe, acks, confirms and returns with kombu and py-amqp."""

import datetime
import socket

import amqp
import kombu
from kombu.mixins import ConsumerMixin, ConsumerProducerMixin
from kombu.pools import producers

import link
import scratch
from harness import check, unique


def queue_of(channel, **options):
    """A declared kombu queue; not exclusive, which kombu takes to mean auto-delete as well."""
    queue = kombu.Queue(scratch.queue_name(), durable=True, **options)
    bound = queue(channel)
    bound.declare()
    return bound


def ready():
    """A kombu connection, its default channel and a queue."""
    connection = link.kombu_connection()
    channel = connection.default_channel
    return connection, channel, queue_of(channel)


@check
def simple_queue_puts_and_gets():
    connection = link.kombu_connection()
    with connection.SimpleQueue(scratch.queue_name()) as queue:
        for number in range(10):
            queue.put({"n": number})
        assert queue.qsize() >= 0
        for number in range(10):
            message = queue.get(timeout=10)
            assert message.payload == {"n": number}
            message.ack()


@check
def simple_queue_says_empty():
    connection = link.kombu_connection()
    with connection.SimpleQueue(scratch.queue_name()) as queue:
        with link.raises(queue.Empty):
            queue.get(block=False)
        with link.raises(queue.Empty):
            queue.get(timeout=0.1)


@check
def simple_buffer_puts_and_gets():
    connection = link.kombu_connection()
    with connection.SimpleBuffer(scratch.queue_name()) as buffer:
        buffer.put("one")
        assert buffer.get(timeout=10).payload == "one"


@check
def json_comes_back_as_it_was():
    _, channel, queue = ready()
    value = {"text": "žluť 漢字", "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
    kombu.Producer(channel).publish(value, routing_key=queue.name)
    assert link.Mailbox(channel, queue).wait(1).payloads == [value]


@check
def compressed_json_comes_back_as_it_was():
    _, channel, queue = ready()
    value = {"text": "again " * 5000}
    kombu.Producer(channel).publish(value, routing_key=queue.name, compression="zlib")
    box = link.Mailbox(channel, queue).wait(1)
    assert box.payloads == [value]
    assert box.messages[0].headers["compression"] == "application/x-gzip"


@check
def properties_and_headers_come_back():
    _, channel, queue = ready()
    headers = {"string": "s", "number": 7, "large": 2**40, "true": True, "table": {"k": [1, "b"]}}
    properties = {
        "correlation_id": "c-1", "reply_to": "r", "message_id": "m", "type": "t", "app_id": "a",
        "priority": 3, "expiration": 3600, "timestamp": 1700000000,
    }  # fmt: skip
    kombu.Producer(channel).publish("x", routing_key=queue.name, headers=headers, **properties)
    message = link.Mailbox(channel, queue).wait(1).messages[0]
    assert message.headers == headers, message.headers
    seen = message.properties
    assert seen["expiration"] == "3600000", seen
    assert seen["delivery_mode"] == 2, seen
    for name in set(properties) - {"expiration", "timestamp"}:
        assert seen[name] == properties[name], (name, seen)


@check
def header_types_of_py_amqp_come_back():
    channel = link.amqp_channel()
    queue = link.exclusive_queue(channel)
    when = datetime.datetime(2020, 2, 29, 12, 30, 15)
    headers = {"when": when, "none": None, "double": -0.5, "empty": {}}
    link.publish(channel, queue, "x", application_headers=headers)
    seen = channel.basic_get(queue, no_ack=True).properties["application_headers"]
    assert seen == headers, seen


@check
def large_body_comes_back():
    channel = link.amqp_channel()
    queue = link.exclusive_queue(channel)
    body = bytes(range(256)) * 8192
    link.publish(channel, queue, body)
    message = link.Inbox(channel, queue, no_ack=True).wait(1).messages[0]
    assert message.body == body


@check
def empty_body_comes_back():
    channel = link.amqp_channel()
    queue = link.exclusive_queue(channel)
    link.publish(channel, queue, "", "")
    assert link.drain(channel, queue) == ["", ""]


@check
def workers_share_a_queue_and_ack():
    name = scratch.queue_name()
    queue = kombu.Queue(name, durable=True)
    boss = link.kombu_connection().default_channel
    queue(boss).declare()
    workers = []
    for _ in range(3):
        channel = link.kombu_connection().default_channel
        workers.append(link.Mailbox(channel, queue, prefetch_count=1))
    producer = kombu.Producer(boss)
    for number in range(30):
        producer.publish(number, routing_key=name)
    seen = []
    while len(seen) < 30:
        for worker in workers:
            try:
                worker.connection.drain_events(timeout=0.01)
            except socket.timeout:
                pass
        seen = [payload for worker in workers for payload in worker.payloads]
    assert sorted(seen) == list(range(30))
    assert all(worker.payloads for worker in workers), "a worker got nothing"
    link.expect_depth(boss, name, 0)


@check
def unacked_messages_return_when_the_worker_dies():
    name = scratch.queue_name()
    queue = kombu.Queue(name, durable=True)
    boss = link.kombu_connection().default_channel
    queue(boss).declare()
    kombu.Producer(boss).publish("job", routing_key=name)
    worker = link.kombu_connection()
    box = link.Mailbox(worker.default_channel, queue, ack=False).wait(1)
    assert box.messages[0].delivery_info["redelivered"] is False
    link.drop(worker.connection)
    again = link.Mailbox(boss, queue).wait(1)
    assert again.messages[0].delivery_info["redelivered"] is True


@check
def requeued_message_comes_again():
    _, channel, queue = ready()
    kombu.Producer(channel).publish("x", routing_key=queue.name)
    box = link.Mailbox(channel, queue, ack=False).wait(1)
    box.messages[0].requeue()
    box.wait(2)
    assert box.messages[1].delivery_info["redelivered"] is True
    box.messages[1].ack()


@check
def rejected_message_is_gone():
    _, channel, queue = ready()
    kombu.Producer(channel).publish("x", routing_key=queue.name)
    box = link.Mailbox(channel, queue, ack=False).wait(1)
    box.messages[0].reject()
    box.consumer.cancel()
    link.expect_depth(channel, queue.name, 0)


@check
def prefetch_count_limits_what_is_under_way():
    _, channel, queue = ready()
    producer = kombu.Producer(channel)
    for number in range(5):
        producer.publish(number, routing_key=queue.name)
    box = link.Mailbox(channel, queue, ack=False, prefetch_count=2).wait(2)
    link.expect_depth(channel, queue.name, 3)
    box.messages[0].ack()
    assert box.wait(3).payloads == [0, 1, 2]
    link.expect_depth(channel, queue.name, 2)


@check
def flow_of_a_kombu_consumer_is_its_prefetch():
    _, channel, queue = ready()
    box = link.Mailbox(channel, queue, ack=False, prefetch_count=1)
    box.consumer.qos(prefetch_count=3)
    box.consumer.cancel()
    box.consumer.consume()
    for number in range(4):
        kombu.Producer(channel).publish(number, routing_key=queue.name)
    assert box.wait(3).payloads == [0, 1, 2]
    link.expect_depth(channel, queue.name, 1)


@check
def fanout_reaches_every_subscriber():
    connection = link.kombu_connection()
    exchange = kombu.Exchange(scratch.exchange_name(), type="fanout")
    boxes = []
    for _ in range(3):
        subscriber = link.kombu_connection().default_channel
        boxes.append(
            link.Mailbox(subscriber, kombu.Queue("", exchange, exclusive=True, durable=False))
        )
    producer = kombu.Producer(connection.default_channel, exchange)
    for number in range(5):
        producer.publish(number)
    for box in boxes:
        assert box.wait(5).payloads == list(range(5))


@check
def direct_exchange_routes_by_key():
    _, channel, _ = ready()
    exchange = kombu.Exchange(scratch.exchange_name(), type="direct", durable=False)
    errors = queue_of(channel, exchange=exchange, routing_key="error")
    both = queue_of(
        channel, bindings=[kombu.binding(exchange, "error"), kombu.binding(exchange, "info")]
    )
    producer = kombu.Producer(channel, exchange)
    for key in ("error", "info", "debug"):
        producer.publish(key, routing_key=key)
    assert link.drain(channel, errors.name) == ["error"]
    assert link.drain(channel, both.name) == ["error", "info"]


@check
def unbound_queue_gets_no_more():
    _, channel, _ = ready()
    exchange = kombu.Exchange(scratch.exchange_name(), type="direct", durable=False)
    queue = queue_of(channel, exchange=exchange, routing_key="k")
    producer = kombu.Producer(channel, exchange)
    producer.publish("one", routing_key="k")
    queue.unbind_from(exchange, "k")
    producer.publish("two", routing_key="k")
    assert link.drain(channel, queue.name) == ["one"]


@check
def producer_declares_what_it_needs():
    connection, name = link.kombu_connection(), scratch.queue_name()
    exchange = kombu.Exchange(scratch.exchange_name(), type="direct")
    queue = kombu.Queue(name, exchange, routing_key="k")
    producer = kombu.Producer(connection.default_channel)
    producer.publish("x", exchange=exchange, routing_key="k", declare=[exchange, queue])
    assert link.Mailbox(connection.default_channel, queue).wait(1).payloads == ["x"]


@check
def pooled_producers_publish():
    connection, name = link.kombu_connection(), scratch.queue_name()
    channel = connection.default_channel
    channel.queue_declare(name, durable=True, auto_delete=False)
    for number in range(20):
        with producers[connection].acquire(block=True) as producer:
            producer.publish(number, routing_key=name)
    link.expect_depth(channel, name, 20)
    producers[connection].force_close_all()


@check
def confirmed_publish_is_in_the_queue():
    channel = link.amqp_channel(confirm_publish=True)
    queue = link.exclusive_queue(channel)
    for number in range(20):
        link.publish(channel, queue, str(number))
    assert link.depth(channel, queue) == 20


@check
def kombu_confirms_by_transport_option():
    connection = link.kombu_connection(transport_options={"confirm_publish": True})
    channel = connection.default_channel
    queue = queue_of(channel)
    kombu.Producer(channel).publish("x", routing_key=queue.name)
    assert link.depth(channel, queue.name) == 1


@check
def confirmed_publish_to_nowhere_is_confirmed():
    link.publish(link.amqp_channel(confirm_publish=True), unique("absent"), "x")


@check
def confirmed_publish_to_an_absent_exchange_raises_404():
    with link.refused(404):
        link.publish(link.amqp_channel(confirm_publish=True), "k", "x", exchange=unique("absent"))


@check
def unroutable_message_is_returned():
    channel, key = link.amqp_channel(), unique("absent")
    returned = []
    channel.events["basic_return"].add(lambda *arguments: returned.append(arguments))
    channel.basic_publish(amqp.Message("home again"), "", key, mandatory=True)
    while not returned:
        channel.connection.drain_events()
    error, exchange, routing_key, message = returned[0]
    assert (error.reply_code, error.reply_text) == (312, "NO_ROUTE"), error
    assert (exchange, routing_key, message.body) == ("", key, "home again")


@check
def return_comes_before_its_confirm():
    channel = link.amqp_channel(confirm_publish=True)
    order = []
    channel.events["basic_return"].add(lambda *_: order.append("return"))
    channel.events["basic_ack"].add(lambda *_: order.append("ack"))
    channel.basic_publish(amqp.Message("x"), "", unique("absent"), mandatory=True)
    assert order == ["return", "ack"], order


@check
def kombu_producer_is_told_of_returns():
    connection, returned = link.kombu_connection(), []
    channel = connection.default_channel
    producer = kombu.Producer(channel, on_return=lambda *arguments: returned.append(arguments))
    producer.publish("x", routing_key=unique("absent"), mandatory=True)
    while not returned:
        connection.drain_events()
    assert returned[0][0].reply_code == 312


@check
def confirmed_publish_to_a_gone_channel_raises():
    channel = link.amqp_channel(confirm_publish=True)
    link.drop(channel.connection)
    with link.raises(channel.connection.connection_errors):
        for _ in range(3):
            link.publish(channel, "anywhere", "x")


@check
def deleted_queue_cancels_its_consumer():
    channel, name = link.amqp_channel(), scratch.queue_name()
    channel.queue_declare(name, durable=True, auto_delete=False)
    cancelled = []
    channel.basic_consume(name, consumer_tag="mine", on_cancel=cancelled.append)
    link.amqp_channel().queue_delete(name)
    while not cancelled:
        channel.connection.drain_events()
    assert cancelled == ["mine"]


@check
def deleted_queue_raises_where_nobody_listens():
    channel, name = link.amqp_channel(), scratch.queue_name()
    channel.queue_declare(name, durable=True, auto_delete=False)
    channel.basic_consume(name)
    link.amqp_channel().queue_delete(name)
    with link.raises(amqp.ConsumerCancelled):
        while True:
            channel.connection.drain_events()


@check
def purge_and_delete_count_messages():
    channel = link.amqp_channel(confirm_publish=True)
    queue = link.exclusive_queue(channel)
    link.publish(channel, queue, *"abc")
    assert channel.queue_purge(queue) == 3
    link.publish(channel, queue, *"de")
    assert channel.queue_delete(queue) == 2


@check
def delete_of_a_queue_in_use_is_refused():
    channel = link.amqp_channel()
    queue = link.exclusive_queue(channel)
    channel.basic_consume(queue)
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"
    with link.refused(406, text):
        channel.queue_delete(queue, if_unused=True)


@check
def delete_of_a_queue_with_messages_is_refused():
    channel = link.amqp_channel(confirm_publish=True)
    queue = link.exclusive_queue(channel)
    link.publish(channel, queue, "x")
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    with link.refused(406, text):
        channel.queue_delete(queue, if_empty=True)


@check
def ack_of_an_unknown_tag_is_refused():
    channel = link.amqp_channel()
    channel.basic_ack(99)
    with link.refused(406, "PRECONDITION_FAILED - unknown delivery tag 99"):
        link.round_trip(channel)


@check
def consumer_mixin_works_through_a_queue():
    connection = link.kombu_connection()
    queue = kombu.Queue(scratch.queue_name(), durable=True)
    queue(connection.default_channel).declare()
    for number in range(10):
        kombu.Producer(connection.default_channel).publish(number, routing_key=queue.name)

    class Worker(ConsumerMixin):
        def __init__(self):
            self.connection = connection
            self.seen = []

        def get_consumers(self, Consumer, _channel):  # the mixin's own spelling
            return [Consumer([queue], callbacks=[self.on_task], accept=["json"])]

        def on_task(self, body, message):
            self.seen.append(body)
            message.ack()
            self.should_stop = len(self.seen) == 10

    worker = Worker()
    worker.run()
    assert worker.seen == list(range(10))


@check
def rpc_with_a_reply_queue_of_its_own():
    calls = kombu.Queue(scratch.queue_name(), durable=True)
    server, client = link.kombu_connection(), link.kombu_connection()
    calls(server.default_channel).declare()

    class Server(ConsumerProducerMixin):
        def __init__(self):
            self.connection = server

        def get_consumers(self, Consumer, _channel):  # the mixin's own spelling
            return [Consumer([calls], on_message=self.on_request, accept=["json"])]

        def on_request(self, message):
            self.producer.publish(
                message.payload * 2,
                routing_key=message.properties["reply_to"],
                correlation_id=message.properties["correlation_id"],
            )
            message.ack()
            self.should_stop = True

    channel = client.default_channel
    replies = queue_of(channel)
    box = link.Mailbox(channel, replies)
    kombu.Producer(channel).publish(
        21, routing_key=calls.name, reply_to=replies.name, correlation_id="call-1"
    )
    Server().run()
    message = box.wait(1).messages[0]
    assert (message.payload, message.properties["correlation_id"]) == (42, "call-1")


@check
def auto_delete_queue_goes_with_its_consumer():
    channel, name = link.amqp_channel(), scratch.queue_name()
    channel.queue_declare(name, auto_delete=True)
    channel.basic_cancel(channel.basic_consume(name))
    with link.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        while True:  # the broker deletes it a little after cancel-ok at the latest
            channel.queue_declare(name, passive=True)


@check
def nowait_declarations_take_effect():
    channel, name = link.amqp_channel(), scratch.queue_name()
    exchange = scratch.exchange_name()
    channel.queue_declare(name, durable=True, auto_delete=False, nowait=True)
    channel.exchange_declare(exchange, "fanout", durable=True, auto_delete=False, nowait=True)
    channel.queue_bind(name, exchange, nowait=True)
    link.publish(channel, "", "x", exchange=exchange)
    assert link.get(channel, name) == "x"
    channel.queue_purge(name, nowait=True)
    channel.queue_delete(name, nowait=True)
    channel.exchange_delete(exchange, nowait=True)
    with link.refused(404):
        channel.queue_declare(name, passive=True)
