"""Messages after a restart."""

import datetime
import hashlib

import client
import pika
from harness import check
from keeping import Store, bodies, confirming, durable_queue, every_way, got, numbers


@every_way
def confirmed_messages_are_there_in_order_and_transient_ones_are_not(store):
    chan = confirming()
    durable_queue(chan, "q")
    chan.queue_declare("transient")
    for number, body in enumerate(numbers(1, 300)):
        chan.basic_publish("", "q", body, client.PERSISTENT if number % 3 else None)
        chan.basic_publish("", "transient", body, client.PERSISTENT)
    store.again()
    expected = [body for number, body in enumerate(numbers(1, 300)) if number % 3]
    assert bodies(client.channel(), "q") == expected
    assert not client.exists("transient")


@every_way
def acknowledged_messages_do_not_come_back(store):
    chan = confirming()
    durable_queue(chan, "q")
    for body in numbers(1, 100):
        chan.basic_publish("", "q", body, client.PERSISTENT)
    for _ in range(50):  # all but every other one
        method, _, _ = chan.basic_get("q")
        chan.basic_ack(method.delivery_tag)
        chan.basic_get("q")
    # What is confirmed later stands behind the acknowledgements in the log.
    chan.basic_publish("", "q", b"last", client.PERSISTENT)
    store.again()
    left = [b"%d" % number for number in range(2, 101, 2)]
    found = got(client.channel(), "q")
    assert [body for body, _ in found] == left + [b"last"], found
    assert all(again for _, again in found[:-1]), "they had been delivered"


@every_way
def rejected_and_purged_messages_are_gone(store):
    chan = confirming()
    durable_queue(chan, "q")
    durable_queue(chan, "purged")
    for body in numbers(1, 10):
        chan.basic_publish("", "q", body, client.PERSISTENT)
        chan.basic_publish("", "purged", body, client.PERSISTENT)
    inbox = client.Inbox(chan, "q").wait(10)
    chan.basic_nack(inbox.tags[4], multiple=True, requeue=False)
    chan.basic_nack(inbox.tags[7], requeue=True)
    chan.queue_purge("purged")
    chan.basic_publish("", "purged", b"new", client.PERSISTENT)
    chan.basic_publish("", "q", b"new", client.PERSISTENT)
    store.again()
    chan = client.channel()
    assert bodies(chan, "q") == numbers(6, 10) + [b"new"]
    assert bodies(chan, "purged") == [b"new"]


@check
def after_a_stop_in_good_order_only_what_was_delivered_is_marked():
    for shards in (1, 3):
        store = Store(shards, "stop")
        chan = confirming()
        durable_queue(chan, "q")
        for body in numbers(1, 20):
            chan.basic_publish("", "q", body, client.PERSISTENT)
        chan.basic_qos(prefetch_count=5)
        client.Inbox(chan, "q").wait(5)
        store.again()
        assert got(client.channel(), "q") == [
            (body, number < 5) for number, body in enumerate(numbers(1, 20))
        ]


@every_way
def nothing_comes_twice_without_being_marked(store):
    chan = confirming()
    durable_queue(chan, "q")
    for body in numbers(1, 20):
        chan.basic_publish("", "q", body, client.PERSISTENT)
    inbox = client.Inbox(chan, "q").wait(10)
    seen = set(inbox.bodies)
    store.again()
    for body, again in got(client.channel(), "q"):
        assert again or body not in seen, body


@every_way
def properties_and_headers_are_as_they_were(store):
    chan = confirming()
    durable_queue(chan, "q")
    sent = pika.BasicProperties(
        content_type="text/plain", content_encoding="utf-8", delivery_mode=2, priority=7,
        correlation_id="c", reply_to="r", expiration="60000", message_id="m",
        timestamp=1_700_000_000, type="t", user_id="guest", app_id="a",
        headers={
            "text": "ü", "number": -5, "large": 2**40, "yes": True, "none": None,
            "list": [1, "two", {"three": 3}], "bytes": b"\0\xff",
            "when": datetime.datetime(2020, 1, 2, 3, 4, 5),
        },
    )  # fmt: skip
    chan.basic_publish("", "q", b"\0binary\xff", sent)
    _, before, _ = chan.basic_get("q")
    store.again()
    method, after, body = client.channel().basic_get("q")
    assert body == b"\0binary\xff"
    assert method.routing_key == "q" and method.exchange == ""
    assert vars(after) == vars(before), (vars(after), vars(before))


def large(size):
    block = hashlib.sha256(b"%d" % size).digest() * 1024
    return (block * (size // len(block) + 1))[:size]


@check(seconds=90)
def bodies_of_all_sizes_are_whole():
    mib = 1 << 20
    sizes = [0, 1, mib - 200, mib, mib + 1, 5 * mib, 17 * mib, 100, 20 * mib, 16 * mib, 3]
    for shards, ending in ((1, "kill"), (3, "stop")):
        store = Store(shards, ending, "--set", "max_message_size=32MiB")
        chan = confirming()
        durable_queue(chan, "q")
        for size in sizes:
            chan.basic_publish("", "q", large(size), client.PERSISTENT)
        store.again()
        chan = client.channel()
        for size in sizes:
            _, _, body = chan.basic_get("q", auto_ack=True)
            assert body is not None, f"{size} bytes are not there"
            assert body == large(size), (size, len(body))
        store.broker.end()


@every_way
def a_message_in_several_queues_leaves_each_by_itself(store):
    chan = confirming()
    chan.exchange_declare("e", "fanout", durable=True)
    for name in ("a", "b", "c"):
        durable_queue(chan, name)
        chan.queue_bind(name, "e")
    chan.queue_declare("transient")
    chan.queue_bind("transient", "e")
    for body in numbers(1, 20):
        chan.basic_publish("e", "", body, client.PERSISTENT)
    assert bodies(chan, "transient") == numbers(1, 20)
    assert bodies(chan, "b") == numbers(1, 20)
    chan.basic_publish("e", "", b"last", client.PERSISTENT)
    store.again()
    chan = client.channel()
    assert bodies(chan, "a") == numbers(1, 20) + [b"last"]
    assert bodies(chan, "b") == [b"last"]
    assert bodies(chan, "c") == numbers(1, 20) + [b"last"]


@every_way
def what_was_committed_is_there_and_nothing_else(store):
    chan = client.channel()
    durable_queue(chan, "a")
    durable_queue(chan, "b")
    chan.tx_select()
    for body in numbers(1, 10):
        chan.basic_publish("", "a", body, client.PERSISTENT)
        chan.basic_publish("", "b", body, client.PERSISTENT)
    chan.tx_commit()
    chan.basic_publish("", "a", b"taken back", client.PERSISTENT)
    chan.tx_rollback()
    method, _, _ = chan.basic_get("a")
    chan.basic_ack(method.delivery_tag)
    chan.basic_publish("", "b", b"last", client.PERSISTENT)
    chan.basic_publish("", "a", b"last", client.PERSISTENT)
    chan.tx_commit()
    chan.basic_publish("", "a", b"never committed", client.PERSISTENT)
    store.again()
    chan = client.channel()
    assert bodies(chan, "a") == numbers(2, 10) + [b"last"]
    assert bodies(chan, "b") == numbers(1, 10) + [b"last"]


@check(seconds=60)
def a_confirm_of_the_operating_systems_survives_kill():
    for shards in (1, 3):
        store = Store(shards, "kill", "--set", "durability=os")
        assert any("durability = os" in line for line in store.broker.lines), store.broker.lines
        chan = confirming()
        durable_queue(chan, "q")
        for body in numbers(1, 1000):
            chan.basic_publish("", "q", body, client.PERSISTENT)
        store.again()
        assert bodies(client.channel(), "q") == numbers(1, 1000)


@check(seconds=60)
def a_publisher_goes_on_though_a_consumer_takes_nothing_more():
    """One that consumers don't keep up with waits for them, but not for one that is stuck."""
    Store(1, "stop")
    chan = client.channel()
    durable_queue(chan, "q")
    chan.basic_qos(prefetch_count=1)
    stuck = client.Inbox(chan, "q")
    publisher = client.channel()
    for _ in range(400):  # 25 MiB
        publisher.basic_publish("", "q", bytes(65536), client.PERSISTENT)
    client.round_trip(publisher)
    client.expect_depth(client.channel(), "q", 399)
    assert len(stuck.wait(1).tags) == 1
