"""A data directory with something of everything in it, and what has to be found in it later.

What is said here is what tools/keep_format.py writes today. A directory that was written earlier
comes with what it was told then, so this may change.
"""

import base64
import os

import pika

import broker
import client
import desk
import harness
import wire
from harness import eventually

MIB = 1 << 20
LISTS = {
    "list_exchanges": ("name", "type", "durable", "auto_delete", "internal", "arguments"),
    "list_queues": ("name", "durable", "auto_delete", "arguments"),
    "list_bindings": ("source_name", "source_kind", "destination_name", "destination_kind",
                      "routing_key", "arguments"),
}  # fmt: skip


def topology(chan):
    chan.exchange_declare("orders", "direct", durable=True)
    chan.exchange_declare("news", "fanout", durable=True)
    chan.exchange_declare("lost", "fanout", durable=True, internal=True)
    chan.exchange_declare(
        "sensors", "topic", durable=True, arguments={"alternate-exchange": "lost"}
    )
    chan.exchange_declare("match", "headers", durable=True, auto_delete=True)
    for queue in ("old", "jobs", "empty", "größe", "large", "filler"):
        chan.queue_declare(queue, durable=True)
    chan.queue_declare("typed", durable=True, arguments={"note": "kept", "number": -7})
    chan.queue_bind("jobs", "orders", "eu")
    chan.queue_bind("old", "orders", "")
    chan.queue_bind("größe", "news")
    chan.queue_bind("typed", "sensors", "a.*.#")
    chan.queue_bind("jobs", "match", "", {"x-match": "all", "kind": "x", "size": 3})
    chan.exchange_bind("news", "orders", "all")
    chan.exchange_declare("gone", "fanout", durable=True)
    chan.exchange_delete("gone")


def message(body, redelivered, **properties):
    """As it is kept in expected.json."""
    one = {"body": base64.b64encode(body).decode(), "redelivered": redelivered}
    return {**one, **properties}


def publish(chan, queue, body, **properties):
    chan.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))


def spill(one, chan):
    """So much comes behind what is there that it goes to segments; nothing of that stays."""
    for _ in range(50):
        publish(chan, "filler", b"f" * MIB)
    eventually(
        lambda: any(name.startswith("seg-") for name in os.listdir(one.data_dir)), "a segment", 60
    )
    chan.queue_purge("filler")


def fill(one, is_clean):
    """Messages; what of them a later broker has to have: {queue: [message]}. The connection that
    has some of them is left open."""
    chan = client.channel()
    chan.confirm_delivery()
    topology(chan)
    headers = {"tries": 3, "name": "größe", "nested": {"a": [1, "x", True]}}
    for number in range(20):
        publish(chan, "old", b"old %d" % number, headers=headers, content_type="text/plain")
    publish(chan, "größe", bytes(range(256)), message_id="all bytes")
    publish(chan, "typed", b"")
    spill(one, chan)
    for number in range(30):
        publish(chan, "jobs", b"job %d" % number, priority=number % 10)
    publish(chan, "large", b"y" * (16 * MIB))  # has a log file of its own
    chan.basic_publish("", "jobs", b"transient")
    consumer = wire.connect_with_channel()
    for queue, count, settled in (("old", 20, range(3, 20, 2)), ("jobs", 12, range(10))):
        take(consumer, queue, count, settled)
    for queue in ("old", "jobs"):  # once it is confirmed, the acknowledgements are on disk, too
        publish(chan, queue, b"the last one")
    last = message(b"the last one", not is_clean)
    return {
        "old": [
            message(b"old %d" % number, True, content_type="text/plain", headers=headers)
            for number in range(20)
            if number not in range(3, 20, 2)
        ]
        + [last],
        "größe": [message(bytes(range(256)), not is_clean, message_id="all bytes")],
        "typed": [message(b"", not is_clean)],
        "jobs": [
            message(b"job %d" % number, number < 12 or not is_clean, priority=number % 10)
            for number in range(10, 30)
        ]
        + [last],
        "large": [{"fill": "y", "size": 16 * MIB, "redelivered": not is_clean}],
        "empty": [],
        "filler": [],
    }


def take(consumer, queue, count, settled):
    """The first `count`, of which some are acknowledged."""
    tags = []
    for _ in range(count):
        consumer.method(1, "basic.get", queue=queue)
        tags.append(consumer.expect("basic.get-ok", 1).delivery_tag)
    for number in settled:
        consumer.method(1, "basic.ack", delivery_tag=tags[number])
    consumer.call(1, "basic.qos")


def lists(one):
    """Everything durable that the broker lists, sorted."""
    return {
        command: sorted(desk.rows(one, command, *columns), key=repr)
        for command, columns in LISTS.items()
    }


def found(chan, queue):
    """All messages in the queue, as expected.json has them; they stay unacknowledged."""
    messages = []
    while True:
        method, properties, body = chan.basic_get(queue)
        if method is None:
            return messages
        if len(body) > MIB and body == body[:1] * len(body):
            one = {"fill": body[:1].decode(), "size": len(body)}
            messages.append({**one, "redelivered": method.redelivered})
        else:
            messages.append(message(body, method.redelivered, **told(properties)))


def told(properties):
    names = ("content_type", "headers", "message_id", "priority")
    return {name: value for name in names if (value := getattr(properties, name)) is not None}


class Moved(broker.Broker):
    """A broker on a directory of somebody else's making."""

    def __init__(self, directory, *arguments):
        self.moved = directory
        super().__init__(*arguments)

    @property
    def data_dir(self):
        return self.moved


def expect(directory, told_then):
    """A broker on this directory has what was told; gives the broker."""
    one = Moved(directory, *told_then["arguments"])
    harness.cleanup(one.end)
    harness.PORT = one.port
    now = lists(one)
    assert now == told_then["lists"], f"{now} is not {told_then['lists']}"
    chan = client.channel()
    for queue, messages in told_then["messages"].items():
        now = found(chan, queue)
        assert now == messages, f"{queue}: {now} is not {messages}"
    return one
