"""As many, as large, as deep and as finely chopped as the protocol allows, and one more."""

import client
import codec
import scratch
import wire
from codec import BODY, HEADER, METHOD
from harness import check, unique
from neighbour import undisturbed

CHANNELS = 2047
MESSAGE = 16 * 1024 * 1024  # 4.x takes no more by default; 3.10 takes eight times that
FRAME_MAX = 131072
HEADERS_FLAG = 0x2000


def method(name, **values):
    return codec.frame(METHOD, 1, codec.encode_method(name, **values))


def content(exchange, routing_key, *pieces):
    """The frames of a publish whose body comes in these pieces."""
    start = method("basic.publish", exchange=exchange, routing_key=routing_key)
    header = codec.frame(HEADER, 1, codec.content_header(sum(map(len, pieces))))
    return start + header + b"".join(codec.frame(BODY, 1, piece) for piece in pieces)


def talk(connection, queue, exchange, send):
    """One of everything on an open channel, said at once by `send`, with all its answers."""
    send(
        method("queue.declare", queue=queue, exclusive=True)
        + method("exchange.declare", exchange=exchange, type="direct", arguments={"x-n": [1, "a"]})
        + method("queue.bind", queue=queue, exchange=exchange, routing_key="k")
        + content(exchange, "k", b"in ", b"two pieces")
        + method("basic.consume", queue=queue, tag="c", arguments={"x-note": {"deep": True}})
        + codec.frame(codec.HEARTBEAT, 0, b"")
        + content("", queue)
    )
    for name in ("queue.declare-ok", "exchange.declare-ok", "queue.bind-ok", "basic.consume-ok"):
        connection.expect(name, 1)
    messages = [connection.expect("basic.deliver", 1) for _ in range(2)]
    assert [message.body for message in messages] == [b"in two pieces", b""]
    send(
        method("basic.ack", delivery_tag=messages[1].delivery_tag, multiple=True)
        + method("queue.unbind", queue=queue, exchange=exchange, routing_key="k")
        + method("basic.get", queue=queue)
        + method("exchange.delete", exchange=exchange)
        + method("basic.cancel", tag="c")
    )
    # A broker may ask the queue first before it says cancel-ok, and go on meanwhile.
    answers = sorted(connection.read().name for _ in range(4))
    expected = ["basic.cancel-ok", "basic.get-empty", "exchange.delete-ok", "queue.unbind-ok"]
    assert answers == expected, answers
    send(method("queue.delete", queue=queue))
    connection.expect("queue.delete-ok", 1)


@check
def whole_conversation_byte_by_byte_works():
    connection = wire.Wire()
    whole, queue, exchange = connection.send, scratch.queue_name(), scratch.exchange_name()

    def chop(raw):
        for byte in raw:
            whole(bytes([byte]))

    connection.send = chop
    connection.start()
    connection.log_in()
    connection.tune()
    connection.call(0, "connection.open", vhost="/")
    connection.call(1, "channel.open")
    talk(connection, queue, exchange, chop)
    connection.call(1, "channel.close", code=200)
    connection.close()


@check(seconds=120)
def conversation_cut_in_two_at_every_byte_works():
    connection, place = wire.connect_with_channel(), 0
    queue, exchange = unique("queue"), unique("exchange")  # which the talk itself deletes
    longest = 0

    def cut(raw):
        nonlocal longest
        longest = max(longest, len(raw))
        connection.send(raw[:place])
        connection.send(raw[place:])

    while place <= longest:
        talk(connection, f"{queue}.{place}", f"{exchange}.{place}", cut)
        place += 1
    assert place > 300


@check(seconds=60)
def all_2047_channels_work_at_once():
    connection = wire.connect()
    for number in range(1, CHANNELS + 1):
        connection.method(number, "channel.open")
    opened = {connection.expect("channel.open-ok").channel for _ in range(CHANNELS)}
    assert opened == set(range(1, CHANNELS + 1))
    queue = wire.exclusive_queue(connection)
    for number in range(1, CHANNELS + 1):
        connection.publish(number, "", queue, b"%d" % number)
    connection.call(CHANNELS, "basic.consume", queue=queue, no_ack=True)
    seen = {connection.expect("basic.deliver", CHANNELS).body for _ in range(CHANNELS)}
    assert len(seen) == CHANNELS
    connection.close()


@check(seconds=60)
def one_channel_more_than_agreed_is_not_allowed():
    with undisturbed():
        connection = wire.connect(channel_max=10)
        for number in range(1, 11):
            connection.call(number, "channel.open")
        connection.method(11, "channel.open")
        connection.expect_connection_error(530)


@check(seconds=60)
def message_of_the_largest_size_arrives():
    chan = client.channel()
    queue, body = client.exclusive_queue(chan), bytes(MESSAGE)
    inbox = client.Inbox(chan, queue, auto_ack=True)
    client.publish(chan, queue, body)
    assert inbox.wait(1).bodies == [body]


@check(seconds=60)
def message_of_one_byte_more_arrives_or_is_refused_by_its_size():
    with undisturbed():
        connection = wire.connect_with_channel()
        queue = wire.exclusive_queue(connection)
        connection.publish(1, "", queue, bytes(MESSAGE + 1))
        connection.method(1, "basic.get", queue=queue, no_ack=True)
        answer = connection.read()
        if answer.name == "basic.get-ok":
            assert len(answer.body) == MESSAGE + 1
            return
        assert (answer.name, answer.code) == ("channel.close", 406), answer
        text = f"PRECONDITION_FAILED - message size {MESSAGE + 1} is larger than"
        assert answer.text.startswith(text) and answer.text.endswith(f"max size {MESSAGE}"), answer


@check
def header_frame_as_large_as_a_frame_may_be_comes_back():
    # 8 octets of frame, 14 of header, 4 of table length, 1 + 1 + 1 + 4 around the value
    value = "v" * (FRAME_MAX - 8 - 14 - 4 - 7)
    connection = wire.connect_with_channel()
    queue, properties = wire.exclusive_queue(connection), codec.table({"k": value})
    assert 14 + len(properties) == FRAME_MAX - 8
    connection.publish(1, "", queue, b"x", flags=HEADERS_FLAG, properties=properties)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).properties == properties


@check
def headers_nested_sixty_deep_come_back():
    entries = {}
    for number in range(58):
        entries = {"a": [[number]], "t": entries}
    connection = wire.connect_with_channel()
    queue, properties = wire.exclusive_queue(connection), codec.table(entries)
    connection.publish(1, "", queue, b"x", flags=HEADERS_FLAG, properties=properties)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).properties == properties


@check
def arguments_nested_sixty_deep_are_taken():
    entries = []
    for number in range(29):
        entries = [{"t": entries, "n": number}]
    connection, name = wire.connect_with_channel(), scratch.queue_name()
    arguments = {"x-note": entries}
    for _ in range(2):
        connection.call(1, "queue.declare", queue=name, durable=True, arguments=arguments)
    connection.call(1, "queue.bind", queue=name, exchange="amq.direct", routing_key=name,
                    arguments=arguments)  # fmt: skip
    connection.call(1, "queue.unbind", queue=name, exchange="amq.direct", routing_key=name,
                    arguments=arguments)  # fmt: skip


@check
def bind_without_waiting_sends_no_answer():
    connection, queue = wire.connect_with_channel(), scratch.queue_name()
    connection.call(1, "queue.declare", queue=queue, durable=True)
    connection.method(1, "queue.bind", queue=queue, exchange="amq.fanout", nowait=True)
    connection.publish(1, "amq.fanout", "", b"x")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"x"


@check
def failing_without_waiting_closes_the_channel_all_the_same():
    connection = wire.connect()
    requests = [
        ("queue.declare", {"queue": "amq.mine"}, 403),
        ("exchange.declare", {"exchange": "amq.mine", "type": "direct"}, 403),
        ("queue.bind", {"queue": "check.absent", "exchange": "amq.direct"}, 404),
        ("queue.purge", {"queue": "check.absent"}, 404),
        ("basic.consume", {"queue": "check.absent", "tag": "t"}, 404),
    ]
    for number, (name, values, code) in enumerate(requests, start=1):
        connection.call(number, "channel.open")
        connection.method(number, name, nowait=True, **values)
        connection.expect_channel_error(number, code)
