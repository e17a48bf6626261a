"""Exchanges, queues and bindings after a restart."""

import client
import pika
from keeping import bodies, confirming, durable_queue, every_way


@every_way
def durable_things_are_there_and_others_are_not(store):
    chan = client.channel()
    for kind in ("direct", "fanout", "topic", "headers"):
        chan.exchange_declare(f"d.{kind}", kind, durable=True)
        chan.exchange_declare(f"t.{kind}", kind, durable=False)
    durable_queue(chan, "durable")
    durable_queue(chan, "own", exclusive=True)
    chan.queue_declare("transient")
    chan.queue_declare("", exclusive=True)
    durable_queue(chan, "auto", auto_delete=True)
    store.again()
    for kind in ("direct", "fanout", "topic", "headers"):
        assert client.exchange_exists(f"d.{kind}"), kind
        assert not client.exchange_exists(f"t.{kind}"), kind
    assert client.exists("durable")
    assert client.exists("auto")
    assert not client.exists("own")
    assert not client.exists("transient")
    chan = client.channel()
    chan.exchange_declare("d.topic", "topic", durable=True)
    durable_queue(chan, "durable")
    with client.refused(406):
        chan.exchange_declare("d.topic", "fanout", durable=True)


@every_way
def messages_take_the_ways_that_were_bound(store):
    chan = client.channel()
    for name in ("by.key", "by.words", "by.headers", "all", "linked", "caught"):
        durable_queue(chan, name)
    chan.exchange_declare("keys", "direct", durable=True)
    chan.exchange_declare("words", "topic", durable=True)
    chan.exchange_declare("headers", "headers", durable=True)
    chan.exchange_declare("every", "fanout", durable=True)
    chan.exchange_declare("behind", "fanout", durable=True)
    chan.exchange_declare(
        "strict", "direct", durable=True, arguments={"alternate-exchange": "every"}
    )
    chan.queue_bind("by.key", "keys", "k")
    chan.queue_bind("by.words", "words", "a.*.#")
    chan.queue_bind("by.headers", "headers", "", {"x-match": "all", "size": 3})
    chan.queue_bind("all", "every")
    chan.exchange_bind("behind", "keys", "k")
    chan.queue_bind("linked", "behind")
    chan.queue_bind("caught", "every")
    chan.queue_bind("by.key", "keys", "undone")
    chan.queue_unbind("by.key", "keys", "undone")
    store.again()
    chan = confirming()
    chan.basic_publish("keys", "k", b"1")
    chan.basic_publish("keys", "undone", b"nowhere")
    chan.basic_publish("words", "a.b.c", b"2")
    chan.basic_publish("words", "b.a", b"nowhere")
    chan.basic_publish("headers", "", b"3", pika.BasicProperties(headers={"size": 3}))
    chan.basic_publish("strict", "unbound", b"4")
    assert bodies(chan, "by.key") == [b"1"]
    assert bodies(chan, "linked") == [b"1"]
    assert bodies(chan, "by.words") == [b"2"]
    assert bodies(chan, "by.headers") == [b"3"]
    assert bodies(chan, "all") == [b"4"]
    assert bodies(chan, "caught") == [b"4"]


@every_way
def what_was_deleted_stays_deleted(store):
    chan = confirming()
    chan.exchange_declare("e", "fanout", durable=True)
    durable_queue(chan, "gone")
    durable_queue(chan, "kept")
    chan.queue_bind("gone", "e")
    chan.queue_bind("kept", "e")
    chan.basic_publish("e", "", b"1", client.PERSISTENT)
    chan.queue_delete("gone")
    chan.exchange_declare("f", "fanout", durable=True)
    chan.exchange_delete("f")
    store.again()
    assert not client.exists("gone")
    assert not client.exchange_exists("f")
    chan = confirming()
    durable_queue(chan, "gone")  # a namesake, and empty
    chan.basic_publish("e", "", b"2", client.PERSISTENT)
    assert bodies(chan, "gone") == []
    assert bodies(chan, "kept") == [b"1", b"2"]


@every_way
def it_survives_again_and_again(store):
    for number in range(1, 5):
        chan = confirming()
        durable_queue(chan, f"q{number}")
        for earlier in range(1, number + 1):
            chan.basic_publish("", f"q{earlier}", b"%d" % number, client.PERSISTENT)
        store.again()
    chan = client.channel()
    for number in range(1, 5):
        assert bodies(chan, f"q{number}") == [b"%d" % n for n in range(number, 5)]
