"""Publishing: bodies of all sizes, properties byte by byte, returns."""

import struct

import pika

import client
import codec
import harness
import scratch
import wire
from codec import Typed, longstr, shortstr, table
from harness import check, unique

HEADERS_FLAG = 0x2000
EVERY_FIELD_TYPE = {
    "bool true": Typed("t", b"\1"),
    "bool false": Typed("t", b"\0"),
    "signed 8": Typed("b", b"\x80"),
    "unsigned 8": Typed("B", b"\xff"),
    "signed 16": Typed("s", struct.pack(">h", -32768)),
    "unsigned 16": Typed("u", struct.pack(">H", 65535)),
    "signed 32": Typed("I", struct.pack(">i", -(2**31))),
    "unsigned 32": Typed("i", struct.pack(">I", 2**32 - 1)),
    "signed 64": Typed("l", struct.pack(">q", -(2**63))),
    "float": Typed("f", struct.pack(">f", 1.5)),
    "double": Typed("d", struct.pack(">d", -2.25e300)),
    "decimal": Typed("D", b"\2" + struct.pack(">I", 31415)),
    "string": Typed("S", longstr("text ž")),
    "empty string": Typed("S", longstr("")),
    "bytes": Typed("x", longstr(bytes(range(256)))),
    "array": [1, "two", None, [True, {"three": 3}]],
    "empty array": [],
    "table": {"in": {"out": {"deep": Typed("B", b"\7")}}},
    "empty table": {},
    "timestamp": Typed("T", struct.pack(">Q", 1700000000)),
    "void": None,
}


def sent_and_back(body=b"", flags=0, properties=b"", piece=100_000):
    """The message as it comes back after a publish of these bytes."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, body, flags=flags, properties=properties, piece=piece)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    return connection.expect("basic.get-ok", 1)


def same_properties(flags, properties):
    message = sent_and_back(b"body", flags, properties)
    assert message.flags == flags, hex(message.flags)
    assert message.properties == properties, message.properties
    assert message.body == b"body"


def same_headers(flags, seen, sent):
    assert flags == HEADERS_FLAG, hex(flags)
    assert seen == sent or codec.canonical(seen) == codec.canonical(sent), seen


def headers_come_back(raw):
    message = sent_and_back(b"body", HEADERS_FLAG, raw)
    same_headers(message.flags, message.properties, raw)
    assert message.body == b"body"


@check
def empty_body_arrives():
    assert sent_and_back(b"").body == b""


@check
def empty_body_is_sent_without_a_body_frame():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"")
    connection.frames_seen.clear()
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    connection.expect("basic.get-ok", 1)
    connection.call(1, "basic.qos")
    kinds = [kind for kind, _, _ in connection.frames_seen]
    assert kinds == [codec.METHOD, codec.HEADER, codec.METHOD], kinds


@check
def body_of_every_byte_value_arrives():
    body = bytes(range(256)) * 4
    assert sent_and_back(body).body == body


@check
def bodies_around_the_frame_size_arrive():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    inbox = client.Inbox(chan, queue, auto_ack=True)
    whole = 131072 - 8
    sizes = [1, 2, 4095, 4096, 4097, whole - 1, whole, whole + 1, 2 * whole, 2 * whole + 1]
    for number, size in enumerate(sizes):
        client.publish(chan, queue, bytes([number]) * size)
    inbox.wait(len(sizes))
    assert inbox.bodies == [bytes([number]) * size for number, size in enumerate(sizes)]


@check
def body_of_one_mebibyte_arrives():
    body = bytes(range(251)) * 4178
    assert sent_and_back(body[: 1 << 20]).body == body[: 1 << 20]


@check
def bodies_of_eight_mebibytes_arrive():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    bodies = [bytes([number]) * (8 << 20) for number in range(3)]
    client.publish(chan, queue, *bodies)
    assert client.Inbox(chan, queue, auto_ack=True).wait(3).bodies == bodies


@check
def body_in_frames_of_one_byte_arrives():
    body = bytes(range(256)) * 8
    assert sent_and_back(body, piece=1).body == body


@check
def body_in_uneven_frames_arrives():
    body = bytes(range(256)) * 300
    assert sent_and_back(body, piece=7919).body == body


@check
def body_is_sent_in_the_fewest_frames():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x" * 300_000, piece=1000)
    connection.frames_seen.clear()
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    connection.expect("basic.get-ok", 1)
    sizes = [size for kind, _, size in connection.frames_seen if kind == codec.BODY]
    assert sizes == [131064, 131064, 300_000 - 2 * 131064], sizes


@check
def message_without_properties_comes_back_without():
    same_properties(0, b"")


@check
def every_property_comes_back_byte_by_byte():
    same_properties(
        0xFFFC,
        shortstr("text/plain")
        + shortstr("utf-8")
        + table({"header": "value"})
        + bytes([2])
        + bytes([7])
        + shortstr("correlation")
        + shortstr("answers")
        + shortstr("60000")
        + shortstr("id 1")
        + struct.pack(">Q", 1700000000)
        + shortstr("kind")
        + shortstr(harness.USER)
        + shortstr("check")
        + shortstr("cluster"),
    )


@check
def every_single_property_comes_back():
    values = {
        0x8000: shortstr("c" * 255), 0x4000: shortstr(""), 0x2000: table({}), 0x1000: b"\1",
        0x0800: b"\0", 0x0400: shortstr("ž"), 0x0200: shortstr("r"), 0x0100: shortstr("3600000"),
        0x0080: shortstr("m"), 0x0040: struct.pack(">Q", 0), 0x0020: shortstr("t"),
        0x0010: shortstr(harness.USER), 0x0008: shortstr("a"), 0x0004: shortstr("cl"),
    }  # fmt: skip
    for flags, raw in values.items():
        same_properties(flags, raw)


@check
def headers_of_every_type_come_back():
    headers_come_back(table(EVERY_FIELD_TYPE))


@check
def headers_with_double_keys_come_back():
    entries = b"".join(
        shortstr(key) + codec.field_value(value)
        for key, value in (("z", 1), ("a", "two"), ("z", 3.0), ("", None), ("a", "two"))
    )
    headers_come_back(table(entries))


@check
def headers_of_a_hundred_kilobytes_come_back():
    headers = {f"header {number}": "v" * 80 for number in range(1000)}
    headers_come_back(table(headers))


@check
def headers_nested_ten_deep_come_back():
    nested = {"leaf": 1}
    for _ in range(10):
        nested = {"inner": nested, "list": [nested]} if len(str(nested)) < 500 else {"in": nested}
    headers_come_back(table(nested))


@check
def pika_properties_come_back_equal():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    sent = pika.BasicProperties(
        content_type="application/json", content_encoding="gzip", delivery_mode=2, priority=3,
        correlation_id="c", reply_to="r", expiration="100000", message_id="m", timestamp=1234567890,
        type="t", user_id=harness.USER, app_id="a", cluster_id="cl",
        headers={"text": "žluťoučký", "number": -5, "big": 2**40, "flag": True, "none": None,
                 "list": [1, "a", {"b": 2}], "table": {"nested": {"deep": "yes"}}},
    )  # fmt: skip
    client.publish(chan, queue, b"", properties=sent)
    _, got, _ = chan.basic_get(queue, auto_ack=True)
    assert got == sent, got


@check
def transient_and_persistent_messages_share_a_queue_in_order():
    chan, queue = client.channel(), scratch.queue_name()
    chan.queue_declare(queue, durable=True)
    for number in range(50):
        mode = 1 + number % 2
        client.publish(
            chan, queue, b"%d" % number, properties=pika.BasicProperties(delivery_mode=mode)
        )
    for number in range(50):
        _, properties, body = chan.basic_get(queue, auto_ack=True)
        assert (body, properties.delivery_mode) == (b"%d" % number, 1 + number % 2)


@check
def persistent_message_to_a_transient_queue_arrives():
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    client.publish(chan, queue, b"x", properties=client.PERSISTENT)
    _, properties, body = chan.basic_get(queue, auto_ack=True)
    assert (body, properties.delivery_mode) == (b"x", 2)


@check
def delivery_says_exchange_and_key_of_the_publish():
    chan, exchange = client.channel(), scratch.exchange_name()
    chan.exchange_declare(exchange, "fanout")
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, exchange, "bound by")
    chan.basic_publish(exchange, "published by", b"")
    method, _, _ = chan.basic_get(queue, auto_ack=True)
    assert (method.exchange, method.routing_key) == (exchange, "published by")


@check
def mandatory_message_without_a_queue_is_returned_whole():
    connection, key = wire.connect_with_channel(), unique("absent")
    headers, body = table(EVERY_FIELD_TYPE), b"nobody wants me" * 20_000
    connection.publish(1, "", key, body, flags=HEADERS_FLAG, properties=headers, mandatory=True)
    back = connection.expect("basic.return", 1)
    assert (back.code, back.text) == (312, "NO_ROUTE")
    assert (back.exchange, back.routing_key) == ("", key)
    same_headers(back.flags, back.properties, headers)
    assert back.body == body


@check
def mandatory_message_to_an_unbound_exchange_is_returned():
    connection, key = wire.connect_with_channel(), unique("key")
    connection.publish(1, "amq.direct", key, b"x", mandatory=True)
    back = connection.expect("basic.return", 1)
    assert (back.exchange, back.routing_key, back.body) == ("amq.direct", key, b"x")


@check
def mandatory_message_with_a_queue_is_not_returned():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x", mandatory=True)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"x"


@check
def returns_come_in_the_order_of_the_publishes():
    connection, key = wire.connect_with_channel(), unique("absent")
    for number in range(200):
        connection.publish(1, "", key, b"%d" % number, mandatory=True)
    for number in range(200):
        assert connection.expect("basic.return", 1).body == b"%d" % number


@check
def message_without_a_queue_is_dropped_in_silence():
    connection = wire.connect_with_channel()
    connection.publish(1, "", unique("absent"), b"x" * 100_000)
    connection.call(1, "basic.qos")


@check
def immediate_is_not_implemented():
    connection = wire.connect_with_channel()
    connection.publish(1, "", "key", b"", immediate=True)
    connection.expect_connection_error(540, text="NOT_IMPLEMENTED - immediate=true")


EXPIRATIONS = {
    "": "no_integer",
    "abc": "no_integer",
    "  5": "no_integer",
    "+-5": "no_integer",
    "12x": '{leftover_string,"x"}',
    "5 ": '{leftover_string," "}',
    "1.5": '{leftover_string,".5"}',
    "-5x\\\r": '{leftover_string,"x\\\\\\r"}',
    "1\x01": "{leftover_string,[1]}",
    "-1": "{value_negative,-1}",
    "-007": "{value_negative,-7}",
    "315360000001": "{value_too_large,315360000001}",
}


@check
def expiration_is_a_number_of_milliseconds():
    connection = client.connect()
    for value, reason in EXPIRATIONS.items():
        text = f"PRECONDITION_FAILED - invalid expiration '{value}': {reason}"
        with client.refused(406, text):
            chan = connection.channel()
            properties = pika.BasicProperties(expiration=value)
            client.publish(chan, unique("absent"), b"", properties=properties)
            client.round_trip(chan)


@check
def expiration_comes_back():
    """As it was written; RabbitMQ 4 writes the number anew."""
    chan = client.channel()
    queue = client.exclusive_queue(chan)
    for value in ("+86400000", "000086400000", "315360000000"):
        client.publish(chan, queue, b"", properties=pika.BasicProperties(expiration=value))
        _, properties, _ = chan.basic_get(queue, auto_ack=True)
        assert properties.expiration in (value, str(int(value))), properties


@check
def expiration_is_judged_behind_the_exchange():
    chan, name = client.channel(), unique("absent")
    with client.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        chan.basic_publish(name, "", b"", pika.BasicProperties(expiration="x"))
        client.round_trip(chan)


@check
def of_several_faults_one_that_comes_first_is_told():
    """reply-to before all others; RabbitMQ 3.10 looks at the user before the expiration."""
    connection = client.connect()
    faults = {"expiration": "x", "user_id": "somebody else", "headers": {"CC": "no array"}}
    for reply_to, begins in (
        ("amq.rabbitmq.reply-to", ("fast reply consumer",)),
        (None, ("invalid expiration", "user_id property")),
    ):
        chan = connection.channel()
        try:
            chan.basic_publish("", "", b"", pika.BasicProperties(reply_to=reply_to, **faults))
            client.round_trip(chan)
            raise AssertionError("nothing was refused")
        except pika.exceptions.ChannelClosedByBroker as error:
            assert error.reply_code == 406, error
            reason = error.reply_text.removeprefix("PRECONDITION_FAILED - ")
            assert reason.startswith(begins), error


@check
def many_small_messages_arrive_in_order():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.call(1, "basic.consume", queue=queue, no_ack=True)
    method = codec.frame(codec.METHOD, 1, codec.encode_method("basic.publish", routing_key=queue))
    header = codec.frame(codec.HEADER, 1, codec.content_header(4))
    for turn in range(20):
        numbers = range(turn * 1000, turn * 1000 + 1000)
        connection.send(
            b"".join(
                method + header + codec.frame(codec.BODY, 1, struct.pack(">I", number))
                for number in numbers
            )
        )
        for number in numbers:
            body = connection.expect("basic.deliver", 1).body
            assert body == struct.pack(">I", number)


@check
def publisher_may_leave_at_once_after_its_last_message():
    observer, queue = client.channel(), scratch.queue_name()
    observer.queue_declare(queue, durable=True)
    for number in range(20):
        publisher = wire.connect_with_channel()
        publisher.publish(1, "", queue, b"%d" % number)
        publisher.close()
    assert sorted(client.drain(observer, queue)) == sorted(b"%d" % n for n in range(20))
