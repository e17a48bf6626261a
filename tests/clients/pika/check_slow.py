"""Clients that are slow to write or never read, beside others that must get on."""

import socket
import time

import client
import codec
import scratch
import wire
from harness import check, eventually
from neighbour import undisturbed


def never_reading(queue):
    """A consumer without limit whose socket takes little and is never read."""
    connection = wire.connect_with_channel()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.call(1, "basic.consume", queue=queue, no_ack=True)
    return connection


@check
def consumer_that_never_reads_holds_up_nobody():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    lazy = never_reading(queue)
    quick = client.exclusive_queue(chan)
    inbox = client.Inbox(chan, quick, auto_ack=True)
    for number in range(200):
        client.publish(chan, queue, b"x" * 100_000)
        client.publish(chan, quick, b"%d" % number)
    inbox.wait(200)
    assert inbox.bodies == [b"%d" % number for number in range(200)]
    lazy.socket.close()


@check
def consumer_that_never_reads_shares_with_one_that_does():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    lazy = wire.connect_with_channel()
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.call(1, "basic.qos", prefetch_count=5)
    lazy.method(1, "basic.consume", queue=queue, tag="lazy")
    lazy.expect("basic.consume-ok", 1)
    inbox = client.Inbox(chan, queue, auto_ack=True)
    client.publish(chan, queue, *[b"x" * 50_000] * 100)
    inbox.wait(95)
    lazy.socket.close()
    inbox.wait(100)


@check
def client_that_never_reads_its_replies_disturbs_nobody():
    with undisturbed():
        connection = wire.connect_with_channel()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.settimeout(0.5)
        ask = codec.frame(codec.METHOD, 1, codec.encode_method("basic.qos")) * 1000
        try:
            for _ in range(400):
                connection.socket.sendall(ask)
        except TimeoutError:
            pass  # the broker has stopped reading, which is as it should be
        other = wire.connect_with_channel()
        other.call(1, "basic.qos")
        connection.socket.close()


@check
def messages_of_a_consumer_that_never_read_come_back():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.call(1, "basic.consume", queue=queue)
    client.publish(chan, queue, *[b"x" * 100_000] * 50)
    eventually(lambda: client.depth(chan, queue) < 50, "deliveries under way")
    connection.socket.close()
    client.expect_depth(chan, queue, 50)


@check
def publisher_that_sends_byte_by_byte_gets_its_message_through():
    with undisturbed():
        connection = wire.connect_with_channel()
        queue = wire.exclusive_queue(connection)
        whole = (
            codec.frame(codec.METHOD, 1, codec.encode_method("basic.publish", routing_key=queue))
            + codec.frame(codec.HEADER, 1, codec.content_header(100, 0x2000, codec.table({"a": 1})))
            + codec.frame(codec.BODY, 1, b"x" * 60)
            + codec.frame(codec.BODY, 1, b"y" * 40)
        )
        for at in range(len(whole)):
            connection.socket.sendall(whole[at : at + 1])
            time.sleep(0.001)  # so that most of them are a read of their own
        connection.method(1, "basic.get", queue=queue, no_ack=True)
        message = connection.expect("basic.get-ok", 1)
        assert (message.body, message.properties) == (b"x" * 60 + b"y" * 40, codec.table({"a": 1}))


@check
def publisher_that_pauses_in_a_body_holds_up_nobody():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    slow = wire.connect_with_channel()
    slow.frame(codec.METHOD, 1, codec.encode_method("basic.publish", routing_key=queue))
    slow.frame(codec.HEADER, 1, codec.content_header(20))
    slow.frame(codec.BODY, 1, b"0123456789")
    client.publish(chan, queue, b"overtaker")
    assert client.get(chan, queue) == b"overtaker"
    slow.frame(codec.BODY, 1, b"0123456789")
    slow.close()
    assert client.get(chan, queue) == b"01234567890123456789"


@check
def publisher_that_pauses_on_one_channel_goes_on_with_another():
    connection = wire.connect_with_channel()
    connection.call(2, "channel.open")
    queue = wire.exclusive_queue(connection)
    connection.frame(codec.METHOD, 1, codec.encode_method("basic.publish", routing_key=queue))
    connection.frame(codec.HEADER, 1, codec.content_header(4))
    connection.publish(2, "", queue, b"first")
    connection.method(2, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 2).body == b"first"
    connection.frame(codec.BODY, 1, b"late")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"late"


@check
def reader_of_a_trickle_gets_everything():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    body = bytes(range(256)) * 40
    connection.publish(1, "", queue, body)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    trickle = bytearray()
    while body not in trickle:
        trickle += connection.socket.recv(7)
