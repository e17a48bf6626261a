"""Open connections: closing, heartbeats, loss, many at once."""

import socket
import time

import client
import codec
import scratch
import wire
from harness import check, eventually
from neighbour import undisturbed


@check
def close_is_answered():
    wire.connect().close()
    wire.connect_with_channel().close()


@check
def close_deletes_exclusive_queues_before_it_is_answered():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.close()
    assert not client.exists(queue)


@check
def loss_of_the_socket_deletes_exclusive_queues():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.socket.close()
    eventually(lambda: not client.exists(queue), "exclusive queue gone")


@check
def loss_of_the_socket_requeues_what_was_unacked():
    observer, queue = client.channel(), scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    client.publish(observer, queue, b"one", b"two")
    client.expect_depth(observer, queue, 2)
    connection = wire.connect_with_channel()
    connection.method(1, "basic.get", queue=queue)
    connection.expect("basic.get-ok", 1)
    client.expect_depth(observer, queue, 1)
    connection.socket.close()
    eventually(lambda: client.depth(observer, queue) == 2, "message requeued")
    method, _, body = observer.basic_get(queue, auto_ack=True)
    assert (body, method.redelivered) == (b"one", True)


@check
def loss_of_the_socket_ends_its_consumers():
    observer, queue = client.channel(), scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel()
    connection.call(1, "basic.consume", queue=queue)
    assert client.consumers(observer, queue) == 1
    connection.socket.close()
    eventually(lambda: client.consumers(observer, queue) == 0, "consumer gone")


@check
def reset_in_the_middle_of_a_body_leaves_no_message():
    observer = client.channel()
    queue = scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel()
    connection.frame(
        codec.METHOD, 1, codec.encode_method("basic.publish", routing_key=queue)
    )
    connection.frame(codec.HEADER, 1, codec.content_header(1000))
    connection.frame(codec.BODY, 1, b"half" * 125)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.socket.close()
    client.publish(observer, queue, b"whole")
    assert client.drain(observer, queue) == [b"whole"]


@check
def broker_sends_heartbeats_at_the_interval_of_the_client():
    connection = wire.connect(heartbeat=1)
    begin = time.monotonic()
    for _ in range(3):
        connection.socket.sendall(codec.frame(codec.HEARTBEAT, 0, b""))
        assert connection.read_frame() == (codec.HEARTBEAT, 0, b"")
    assert time.monotonic() - begin < 5


@check
def broker_sends_no_heartbeat_when_the_client_wants_none():
    connection = wire.connect_with_channel(heartbeat=0)
    connection.frames_seen.clear()
    time.sleep(2.5)  # that nothing comes is what is checked
    connection.call(1, "basic.qos")
    assert [kind for kind, _, _ in connection.frames_seen] == [codec.METHOD]


@check
def silent_client_is_dropped_after_two_to_three_intervals():
    connection = wire.connect(heartbeat=1)
    begin = time.monotonic()
    try:
        while time.monotonic() - begin < 10:
            assert connection.read_frame()[0] == codec.HEARTBEAT
    except wire.Closed:
        pass
    silent = time.monotonic() - begin
    assert 1.5 < silent < 6, f"dropped after {silent:.1f} s"


@check
def silent_client_without_heartbeats_is_kept():
    connection = wire.connect_with_channel(heartbeat=0)
    time.sleep(4)  # that nothing happens is what is checked
    connection.call(1, "basic.qos")


@check
def heartbeats_alone_keep_a_connection():
    connection = wire.connect_with_channel(heartbeat=1)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        connection.frame(codec.HEARTBEAT, 0, b"")
        time.sleep(0.4)  # nothing but this
    connection.call(1, "basic.qos")


@check
def any_traffic_counts_as_a_heartbeat():
    connection = wire.connect_with_channel(heartbeat=1)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        connection.call(1, "basic.qos")
        time.sleep(0.4)  # less than an interval without traffic
    connection.call(1, "basic.qos")


@check
def part_of_a_frame_counts_as_traffic():
    connection = wire.connect_with_channel(heartbeat=1)
    payload = codec.frame(codec.METHOD, 1, codec.encode_method("basic.qos"))
    for at in range(len(payload)):
        connection.socket.sendall(payload[at : at + 1])
        time.sleep(0.25)  # the frame as a whole takes longer than two intervals
    connection.expect("basic.qos-ok", 1)


@check
def pika_with_a_heartbeat_of_a_second_lives_on():
    chan = client.channel(heartbeat=1)
    chan.connection.sleep(4)  # pika itself gives up on a broker that is silent so long
    chan.queue_declare("", exclusive=True)


@check
def hundred_connections_work_at_once():
    connections = [wire.connect_with_channel() for _ in range(100)]
    queues = [wire.exclusive_queue(connection) for connection in connections]
    for number, connection in enumerate(connections):
        target = queues[(number + 1) % len(queues)]
        connection.publish(1, "", target, str(number).encode())
    for number, connection in enumerate(connections):
        connection.call(1, "basic.consume", queue=queues[number], no_ack=True)
        assert connection.expect("basic.deliver", 1).body == str((number - 1) % 100).encode()
    for connection in connections:
        connection.close()


@check
def fifty_connections_one_after_another_work():
    for _ in range(50):
        connection = wire.connect_with_channel()
        queue = wire.exclusive_queue(connection)
        connection.publish(1, "", queue, b"x")
        connection.close()


@check
def socket_that_says_nothing_disturbs_nobody():
    with undisturbed():
        idle = [wire.Wire() for _ in range(20)]
        for one in idle:
            one.socket.close()


@check
def handshake_that_stops_is_dropped_in_time():
    with undisturbed():
        connection = wire.Wire()
        connection.start()
        begin = time.monotonic()
        connection.expect_end(seconds=18)
        waited = time.monotonic() - begin
        assert 8 < waited < 15, f"dropped after {waited:.1f} s"


@check
def handshake_of_half_a_header_is_dropped_in_time():
    connection = wire.Wire()
    connection.send(b"AMQP")
    begin = time.monotonic()
    connection.expect_end(seconds=18)
    waited = time.monotonic() - begin
    assert 8 < waited < 15, f"dropped after {waited:.1f} s"


@check
def half_closed_socket_ends_the_connection():
    observer = client.channel()
    queue = scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel()
    connection.call(1, "basic.consume", queue=queue)
    connection.socket.shutdown(socket.SHUT_WR)
    eventually(lambda: client.consumers(observer, queue) == 0, "consumer gone")


@check
def close_with_replies_still_unread_is_answered_last():
    connection = wire.connect_with_channel()
    for _ in range(50):
        connection.method(1, "basic.qos")
    connection.method(0, "connection.close", code=200)
    for _ in range(50):
        connection.expect("basic.qos-ok", 1)
    connection.expect("connection.close-ok", 0)


@check
def nothing_is_obeyed_after_a_connection_error():
    observer = client.channel()
    queue = scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    connection = wire.connect_with_channel()
    connection.frame(codec.HEARTBEAT, 0, b"", end=0)
    connection.publish(1, "", queue, b"too late")
    connection.expect_refusal(501)
    client.expect_depth(observer, queue, 0)
