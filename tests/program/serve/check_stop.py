"""How it ends."""

import os
import re
import signal
import time

import codec
import harness
import scene
import wire
from harness import check

SHUTDOWN = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"


def stops_clients(number, *arguments):
    one = scene.start(*arguments)
    clients = [wire.connect_with_channel() for _ in range(5)]
    one.tell(number)
    for client in clients:
        client.expect_connection_error(320, text=SHUTDOWN)
    status = one.wait()
    assert status == 0, (status, one.log())
    assert not os.path.exists(os.path.join(one.data_dir, "leveret.pid"))
    events = re.findall(r"event=(\S+)", one.log())
    assert events == ["server.ready", "server.stopping"], events  # and none for each client


@check
def sigterm_tells_every_client_and_ends_with_0():
    stops_clients(signal.SIGTERM)


@check
def sigint_does_the_same():
    stops_clients(signal.SIGINT)


@check
def all_shards_stop():
    stops_clients(signal.SIGTERM, "--shards", "3")


@check
def unacked_and_queued_messages_do_not_keep_it():
    one = scene.start("--shards", "3")
    for number in range(6):
        client = wire.connect_with_channel()
        for name in ("q0", "q1"):
            client.call(1, "queue.declare", queue=name)
        client.call(1, "basic.consume", queue=f"q{(number + 1) % 2}")
        client.publish(1, "", f"q{number % 2}", b"x" * 1000)
    one.tell()
    assert one.wait() == 0, one.log()


@check
def strangers_in_the_handshake_are_cut_off():
    one = scene.start()
    silent, begun = wire.Wire(), wire.Wire()
    begun.start()
    one.tell()
    assert one.wait() == 0, one.log()
    silent.expect_end()
    begun.expect_end()


@check
def a_client_that_never_answers_holds_it_up_for_seconds_only():
    one = scene.start()
    mute = wire.connect_with_channel()
    began = time.monotonic()
    one.tell()
    assert mute.expect("connection.close", 0).code == 320
    status = one.wait()
    assert status == 0, (status, one.log())
    assert time.monotonic() - began < 8


@check
def a_second_signal_ends_it_at_once():
    one = scene.start()
    mute = wire.connect_with_channel()
    one.tell()
    mute.expect("connection.close", 0)
    one.tell()
    assert one.wait(2) == 1


@check
def nobody_new_comes_in_while_it_stops():
    one = scene.start()
    mute = wire.connect_with_channel()
    one.tell()
    mute.expect("connection.close", 0)
    harness.eventually(lambda: not answers(), "the listener is closed")
    mute.method(0, "connection.close-ok")
    assert one.wait() == 0


def answers():
    try:
        wire.Wire().start()
        return True
    except (OSError, wire.Closed):
        return False


@check
def it_stops_in_the_middle_of_a_flood():
    one = scene.start()
    client = wire.connect_with_channel()
    client.call(1, "queue.declare", queue="flood")
    one_message = codec.frame(
        codec.METHOD, 1,
        codec.encode_method("basic.publish", exchange="", routing_key="flood"),
    ) + codec.frame(codec.HEADER, 1, codec.content_header(5, 0, b"")) + codec.frame(
        codec.BODY, 1, b"hello"
    )  # fmt: skip
    one.tell()
    try:
        for _ in range(200):
            client.send(one_message * 200)
    except wire.Closed:
        pass
    assert one.wait() == 0, one.log()
