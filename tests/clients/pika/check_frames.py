"""Frames and methods that no client library would send, and a neighbour that must not notice."""

import random
import struct

import codec
import wire
from codec import BODY, HEADER, HEARTBEAT, METHOD, content_header, encode_method, longstr
from harness import check
from neighbour import undisturbed

UNEXPECTED = "UNEXPECTED_FRAME - "
WANTS_METHOD = UNEXPECTED + "expected method frame, got non method frame instead"
WANTS_HEADER = (
    UNEXPECTED + "expected content header for class 60, got non content header frame instead"
)
WANTS_BODY = UNEXPECTED + "expected content body, got non content body frame instead"
MALFORMED = "FRAME_ERROR - Malformed UTF-8 in shortstr"
PUBLISH = encode_method("basic.publish", routing_key="nowhere")


def fails(send, *codes, text=None):
    """What `send` sends is a connection error with one of these codes."""
    with undisturbed():
        connection = wire.connect_with_channel()
        send(connection)
        close = connection.expect("connection.close", 0)
        assert close.code in codes, f"expected {codes}, got {close}"
        assert text is None or close.text == text, f"expected {text!r}, got {close.text!r}"
        connection.method(0, "connection.close-ok")
        connection.expect_end()


def is_refused(send, *codes):
    """As `fails`, where the broker may also just drop the socket."""
    with undisturbed():
        connection = wire.connect_with_channel()
        send(connection)
        connection.expect_refusal(*codes)


def frame_fails(kind, channel, payload, *codes, text=None):
    fails(lambda connection: connection.frame(kind, channel, payload), *codes, text=text)


def content_fails(*frames, codes, text=None):
    """A basic.publish followed by these (kind, payload) frames on channel 1."""

    def send(connection):
        connection.frame(METHOD, 1, PUBLISH)
        for kind, payload in frames:
            connection.frame(kind, 1, payload)

    fails(send, *codes, text=text)


def method_fails(channel, name, *codes, text=None, **values):
    frame_fails(METHOD, channel, encode_method(name, **values), *codes, text=text)


@check
def frame_that_is_too_large():
    fails(
        lambda connection: connection.frame(METHOD, 1, b"x" * 140_000), 501,
        text="FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,140000,131064}",
    )  # fmt: skip


@check
def frame_that_is_too_large_by_a_byte():
    # The payload may be as long as frame_max: 8 bytes of tolerance, for clients that count so.
    def send(connection):
        connection.frame(METHOD, 1, PUBLISH)
        connection.frame(HEADER, 1, content_header(200_000))
        connection.frame(BODY, 1, b"x" * 131_073)

    fails(send, 501)


@check
def frame_of_exactly_the_limit_is_fine():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x" * 131_064 * 2, piece=131_064)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"x" * 131_064 * 2


@check
def frame_that_promises_four_gigabytes():
    fails(lambda connection: connection.send(struct.pack(">BHI", METHOD, 1, 2**32 - 1)), 501)


@check
def frame_with_a_wrong_end():
    payload = encode_method("basic.qos")
    fails(
        lambda connection: connection.frame(METHOD, 1, payload, end=0), 501,
        text="FRAME_ERROR - type 1, all octets = <<0,60,0,10,0,0,0,0,0,0,0>>: "
        "{invalid_frame_end_marker,0}",
    )  # fmt: skip


@check
def body_frame_with_a_wrong_end():
    def send(connection):
        connection.frame(METHOD, 1, PUBLISH)
        connection.frame(HEADER, 1, content_header(10))
        connection.frame(BODY, 1, b"0123456789", end=0xCF)

    fails(send, 501)


@check
def frame_of_an_unknown_type():
    for kind in (0, 4, 7, 9, 255):
        frame_fails(kind, 1, b"", 501)


@check
def heartbeat_on_a_channel():
    frame_fails(HEARTBEAT, 1, b"", 505)


@check
def heartbeat_with_a_payload():
    frame_fails(HEARTBEAT, 0, b"xx", 501)


@check
def header_without_a_method():
    frame_fails(HEADER, 1, content_header(0), 505, text=WANTS_METHOD)


@check
def body_without_a_method():
    frame_fails(BODY, 1, b"x", 505, text=WANTS_METHOD)


@check
def contents_on_channel_zero():
    frame_fails(HEADER, 0, content_header(0), 505)
    frame_fails(BODY, 0, b"x", 505)


@check
def contents_on_an_unopened_channel():
    frame_fails(HEADER, 5, content_header(0), 504, 505)
    frame_fails(BODY, 5, b"x", 504, 505)


@check
def method_where_a_header_belongs():
    content_fails((METHOD, encode_method("basic.qos")), codes=[505], text=WANTS_HEADER)


@check
def body_where_a_header_belongs():
    content_fails((BODY, b"x"), codes=[505], text=WANTS_HEADER)


@check
def method_where_a_body_belongs():
    content_fails(
        (HEADER, content_header(5)), (METHOD, encode_method("basic.qos")),
        codes=[505], text=WANTS_BODY,
    )  # fmt: skip


@check
def header_where_a_body_belongs():
    content_fails(
        (HEADER, content_header(5)), (HEADER, content_header(5)), codes=[505], text=WANTS_BODY
    )


@check
def method_in_the_middle_of_a_body():
    content_fails(
        (HEADER, content_header(10)), (BODY, b"12345"), (METHOD, encode_method("basic.qos")),
        codes=[505], text=WANTS_BODY,
    )  # fmt: skip


@check
def header_of_another_class():
    content_fails(
        (HEADER, content_header(5, class_id=50)), codes=[505],
        text=UNEXPECTED + "expected content header for class 60, got one for class 50 instead",
    )  # fmt: skip


@check
def header_with_a_weight():
    content_fails((HEADER, content_header(0, weight=1)), codes=[501, 505])


@check
def header_that_is_cut_short():
    content_fails((HEADER, content_header(0)[:9]), codes=[501])


@check
def header_whose_properties_are_cut_short():
    content_fails((HEADER, content_header(0, 0x8000, b"\x20abc")), codes=[501, 502, 541])


@check
def header_with_bytes_after_its_properties():
    content_fails((HEADER, content_header(0, 0x8000, b"\x01abc")), codes=[501, 502, 541])


@check
def header_that_promises_too_much_takes_no_memory():
    # Refused at once, or when the frames that follow do not fit what was announced.
    for size in (2**63, 2**64 - 1, 513 << 20):

        def send(connection, size=size):
            connection.frame(METHOD, 1, PUBLISH)
            connection.frame(HEADER, 1, content_header(size))
            connection.method(1, "basic.qos")

        is_refused(send, 501, 505)


@check
def body_longer_than_announced_is_not_passed_on():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    with undisturbed():
        connection.frame(METHOD, 1, encode_method("basic.publish", routing_key=queue))
        connection.frame(HEADER, 1, content_header(5))
        connection.frame(BODY, 1, b"12345678")
        connection.method(1, "basic.get", queue=queue, no_ack=True)
        # Until 4.0 RabbitMQ does not see it here, but at the frame that follows.
        close = connection.expect("connection.close", 0)
    assert close.code in (501, 505), close


@check
def basic_method_on_channel_zero():
    method_fails(
        0, "basic.qos", 503, 504,
        text="CHANNEL_ERROR - unexpected method in connection state running",
    )  # fmt: skip


@check
def connection_method_on_a_channel():
    method_fails(
        1, "connection.open", 503, text="COMMAND_INVALID - unimplemented method", vhost="/"
    )


@check
def connection_open_twice():
    method_fails(
        0, "connection.open", 504, vhost="/",
        text="CHANNEL_ERROR - unexpected method in connection state running",
    )  # fmt: skip


@check
def tune_ok_once_more():
    method_fails(0, "connection.tune-ok", 504, channel_max=1, frame_max=8192)


@check
def answers_that_only_a_broker_gives():
    text = "COMMAND_INVALID - unimplemented method"
    for name in ("queue.declare-ok", "basic.consume-ok", "channel.open-ok", "basic.qos-ok"):
        method_fails(1, name, 503, text=text)


@check
def close_ok_that_nobody_asked_for():
    method_fails(1, "channel.close-ok", 503, text="COMMAND_INVALID - unimplemented method")


@check
def class_that_does_not_exist():
    is_refused(lambda c: c.frame(METHOD, 1, struct.pack(">HH", 77, 1)), 501, 503, 540)


@check
def method_that_does_not_exist():
    for channel, class_id in ((1, 20), (1, 40), (1, 50), (1, 60), (0, 10)):
        payload = struct.pack(">HH", class_id, 99)
        is_refused(lambda c, ch=channel, p=payload: c.frame(METHOD, ch, p), 501, 503, 504, 540)


@check
def method_without_its_ids():
    for payload in (b"", b"\0", b"\0\x3c\0"):
        frame_fails(METHOD, 1, payload, 501)


@check
def method_that_is_cut_short():
    for name, values in (
        ("queue.declare", {"queue": "abc"}),
        ("basic.qos", {}),
        ("basic.ack", {"delivery_tag": 1}),
        ("basic.publish", {"routing_key": "abc"}),
    ):
        whole = encode_method(name, **values)
        for cut in range(1, min(4, len(whole) - 4) + 1):
            is_refused(lambda c, p=whole[:-cut]: c.frame(METHOD, 1, p), 501, 502)


@check
def method_with_bytes_after_its_end():
    frame_fails(METHOD, 1, encode_method("basic.qos") + b"zz", 501, 502)


def arguments_are_refused(entries):
    is_refused(
        lambda c: c.method(1, "queue.declare", exclusive=True, arguments=entries), 501, 502
    )


@check
def table_with_an_unknown_type():
    arguments_are_refused(b"\1aZ\0")


@check
def table_that_is_cut_short():
    for entries in (b"\1aS\0\0\0\5ab", b"\1aI\0\0\0", b"\5ab", b"\1a", b"\1aF\0\0\0\7\1bt\1"):
        arguments_are_refused(entries)


@check
def table_longer_than_its_method():
    payload = bytearray(encode_method("queue.declare", exclusive=True))
    payload[-4:] = struct.pack(">I", 1000)
    is_refused(lambda c: c.frame(METHOD, 1, bytes(payload)), 501, 502)


@check
def table_nested_beyond_all_reason_harms_nobody():
    entries = b"\1aV"
    for _ in range(5000):
        entries = b"\1aF" + longstr(entries)
    with undisturbed():
        connection = wire.connect_with_channel()
        connection.method(1, "queue.declare", exclusive=True, arguments=entries)
        answer = connection.read()
        assert answer.name in ("queue.declare-ok", "connection.close"), answer
        assert answer.name == "queue.declare-ok" or answer.code in (501, 502), answer


@check
def array_nested_beyond_all_reason_harms_nobody():
    value = b"V"
    for _ in range(5000):
        value = b"A" + longstr(value)
    with undisturbed():
        connection = wire.connect_with_channel()
        connection.publish(1, "", "nowhere", b"", flags=0x2000, properties=longstr(b"\1a" + value))
        connection.method(1, "basic.qos")
        answer = connection.read()
        assert answer.name in ("basic.qos-ok", "connection.close"), answer


@check
def queue_name_that_is_not_utf_8():
    for name in (b"\xff\xfe", b"abc\xc3", b"\xc3(", b"\x80abc"):
        method_fails(1, "queue.declare", 501, text=MALFORMED, queue=name, exclusive=True)


@check
def exchange_name_that_is_not_utf_8():
    method_fails(1, "exchange.declare", 501, text=MALFORMED, exchange=b"\xff\xfe", type="direct")


@check
def consumer_tag_that_is_not_utf_8():
    method_fails(1, "basic.consume", 501, text=MALFORMED, queue="q", tag=b"\xff\xfe")


@check
def binding_key_that_is_not_utf_8():
    method_fails(
        1, "queue.bind", 501, text=MALFORMED,
        queue="q", exchange="amq.direct", routing_key=b"\xff\xfe",
    )  # fmt: skip


@check
def random_bytes_disturb_nobody():
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    with undisturbed():
        for _ in range(30):
            connection = wire.connect_with_channel()
            try:
                connection.send(chance.randbytes(chance.randrange(1, 2000)))
            except wire.Closed:
                pass
            connection.socket.close()


@check
def random_payloads_in_good_frames_disturb_nobody():
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    with undisturbed():
        for _ in range(60):
            connection = wire.connect_with_channel()
            class_id = chance.choice((10, 20, 40, 50, 60, 85))
            payload = struct.pack(">HH", class_id, 10 * chance.randrange(1, 13))
            payload += chance.randbytes(chance.randrange(0, 60))
            connection.frame(METHOD, chance.choice((0, 1)), payload)
            connection.socket.close()


@check
def every_prefix_of_a_conversation_may_be_the_last_of_it():
    parts = [
        codec.frame(METHOD, 1, encode_method("queue.declare", exclusive=True)),
        codec.frame(METHOD, 1, encode_method("basic.publish", routing_key="nowhere")),
        codec.frame(HEADER, 1, content_header(20)),
        codec.frame(BODY, 1, b"0123456789"),
        codec.frame(BODY, 1, b"0123456789"),
    ]
    whole = b"".join(parts)
    with undisturbed():
        for cut in range(1, len(whole), 3):
            connection = wire.connect_with_channel()
            connection.send(whole[:cut])
            connection.socket.close()
