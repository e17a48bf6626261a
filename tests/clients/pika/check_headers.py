"""Headers exchanges: all, any and their forms that count x- headers, and how values compare."""

import struct

import client
import codec
import scratch
import wire
from codec import Typed
from harness import check, unique

HEADERS_FLAG = 0x2000


class Exchange:
    """A headers exchange with one queue, on a raw connection, since types matter here."""

    def __init__(self, **arguments):
        self.connection = wire.connect_with_channel()
        self.name = scratch.exchange_name()
        self.queue = wire.exclusive_queue(self.connection)
        self.connection.call(1, "exchange.declare", exchange=self.name, type="headers")
        self.bind(**arguments)

    def bind(self, **arguments):
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.connection.call(
            1, "queue.bind", queue=self.queue, exchange=self.name, arguments=arguments
        )

    def passes(self, headers=None, routing_key=""):
        """Whether a message with these headers is routed; None means no header table at all."""
        options = {}
        if headers is not None:
            options = {"flags": HEADERS_FLAG, "properties": codec.table(headers)}
        self.connection.publish(1, self.name, routing_key, b"x", **options)
        self.connection.method(1, "basic.get", queue=self.queue, no_ack=True)
        first = self.connection.read().name == "basic.get-ok"
        if first:
            self.connection.method(1, "basic.get", queue=self.queue, no_ack=True)
            self.connection.expect("basic.get-empty", 1)
        return first

    def refuses(self, value):
        connection = self.connection
        connection.method(
            1, "queue.bind", queue=self.queue, exchange=self.name, arguments={"x-match": value}
        )
        return connection.expect_channel_error(1, 406).text


@check
def all_needs_every_one():
    exchange = Exchange(x_match="all", a="1", b="2")
    assert exchange.passes({"a": "1", "b": "2"})
    assert exchange.passes({"b": "2", "c": "3", "a": "1"})
    assert not exchange.passes({"a": "1"})
    assert not exchange.passes({"a": "1", "b": "3"})
    assert not exchange.passes({"a": "2", "b": "1"})
    assert not exchange.passes({})
    assert not exchange.passes()


@check
def all_is_the_default():
    exchange = Exchange(a="1", b="2")
    assert exchange.passes({"a": "1", "b": "2"})
    assert not exchange.passes({"a": "1"})


@check
def any_needs_one():
    exchange = Exchange(x_match="any", a="1", b="2")
    assert exchange.passes({"a": "1"})
    assert exchange.passes({"a": "0", "b": "2"})
    assert exchange.passes({"a": "1", "b": "2"})
    assert not exchange.passes({"a": "2", "b": "1"})
    assert not exchange.passes({"c": "1"})
    assert not exchange.passes()


@check
def all_of_nothing_is_everything():
    exchange = Exchange()
    assert exchange.passes({"a": 1})
    assert exchange.passes({})
    assert exchange.passes()


@check
def any_of_nothing_is_nothing():
    exchange = Exchange(x_match="any")
    assert not exchange.passes({"a": 1})
    assert not exchange.passes()


@check
def x_arguments_do_not_count():
    exchange = Exchange(x_match="all", a="1", x_b="2")
    assert exchange.passes({"a": "1"})
    assert exchange.passes({"a": "1", "x-b": "other"})
    exchange = Exchange(x_match="any", a="1", x_b="2")
    assert not exchange.passes({"x-b": "2"})


@check
def any_of_x_arguments_alone_is_nothing():
    exchange = Exchange(x_match="any", x_b="2")
    assert not exchange.passes({"x-b": "2"})


@check
def x_arguments_count_with_x():
    exchange = Exchange(x_match="all-with-x", a="1", x_b="2")
    assert exchange.passes({"a": "1", "x-b": "2"})
    assert not exchange.passes({"a": "1"})
    assert not exchange.passes({"a": "1", "x-b": "3"})
    exchange = Exchange(x_match="any-with-x", a="1", x_b="2")
    assert exchange.passes({"x-b": "2"})
    assert exchange.passes({"a": "1"})
    assert not exchange.passes({"a": "2", "x-b": "1"})


@check
def void_argument_needs_presence():
    exchange = Exchange(a=None)
    for value in ("", "x", 0, None, False, {}, []):
        assert exchange.passes({"a": value}), value
    assert not exchange.passes({"b": "x"})
    assert not exchange.passes()


@check
def void_header_is_no_value():
    exchange = Exchange(a="")
    assert not exchange.passes({"a": None})
    assert exchange.passes({"a": ""})


@check
def integers_compare_across_their_widths():
    five = [
        Typed("b", b"\5"), Typed("B", b"\5"), Typed("s", b"\0\5"), Typed("u", b"\0\5"),
        Typed("I", b"\0\0\0\5"), Typed("i", b"\0\0\0\5"), Typed("l", bytes(7) + b"\5"),
        Typed("L", bytes(7) + b"\5"),
    ]  # fmt: skip
    for bound in five:
        exchange = Exchange(a=bound)
        for sent in five:
            assert exchange.passes({"a": sent}), (bound.octet, sent.octet)
        assert not exchange.passes({"a": 6})


@check
def signs_are_kept():
    exchange = Exchange(a=-1)
    assert exchange.passes({"a": Typed("b", b"\xff")})
    assert exchange.passes({"a": Typed("s", b"\xff\xff")})
    assert exchange.passes({"a": Typed("l", b"\xff" * 8)})
    assert not exchange.passes({"a": Typed("B", b"\xff")})
    assert not exchange.passes({"a": Typed("i", b"\xff" * 4)})


@check
def strings_and_numbers_differ():
    exchange = Exchange(a="1")
    assert not exchange.passes({"a": 1})
    assert not exchange.passes({"a": True})
    assert Exchange(a=1).passes({"a": 1})
    assert not Exchange(a=1).passes({"a": "1"})
    assert not Exchange(a=1).passes({"a": True})


@check
def strings_compare_byte_by_byte():
    exchange = Exchange(a="Straße")
    assert exchange.passes({"a": "Straße"})
    assert not exchange.passes({"a": "strasse"})
    assert not exchange.passes({"a": "Straße "})


@check
def names_compare_byte_by_byte():
    exchange = Exchange(Key="1")
    assert exchange.passes({"Key": "1"})
    assert not exchange.passes({"key": "1"})


@check
def booleans_compare():
    exchange = Exchange(a=True)
    assert exchange.passes({"a": True})
    assert not exchange.passes({"a": False})


@check
def floats_compare():
    exchange = Exchange(a=1.5)
    assert exchange.passes({"a": 1.5})
    assert exchange.passes({"a": Typed("f", struct.pack(">f", 1.5))})
    assert not exchange.passes({"a": 1.25})


@check
def nested_values_compare_as_a_whole():
    exchange = Exchange(a={"b": [1, "two", {"c": True}]})
    assert exchange.passes({"a": {"b": [1, "two", {"c": True}]}})
    assert not exchange.passes({"a": {"b": [1, "two", {"c": False}]}})
    assert not exchange.passes({"a": {"b": [1, "two"]}})
    assert not exchange.passes({"a": [1]})


@check
def routing_key_does_not_matter():
    exchange = Exchange(a="1")
    assert exchange.passes({"a": "1"}, routing_key="some.key")


@check
def other_match_is_refused():
    text = Exchange(a="1").refuses("some")
    assert "PRECONDITION_FAILED - Invalid x-match field value" in text and "some" in text, text


@check
def match_of_another_type_is_refused():
    text = Exchange(a="1").refuses(1)
    assert "PRECONDITION_FAILED - Invalid x-match field type" in text, text


@check
def several_matching_bindings_give_one_copy():
    exchange = Exchange(a="1")
    exchange.bind(b="2")
    exchange.bind(x_match="any", a="1", b="2")
    assert exchange.passes({"a": "1", "b": "2"})


@check
def unbinding_takes_one_of_them():
    exchange = Exchange(a="1")
    exchange.bind(b="2")
    exchange.connection.call(
        1, "queue.unbind", queue=exchange.queue, exchange=exchange.name, arguments={"a": "1"}
    )
    assert not exchange.passes({"a": "1"})
    assert exchange.passes({"b": "2"})


@check
def unbinding_finds_an_integer_of_another_width():
    exchange = Exchange(a=Typed("b", b"\5"))
    exchange.connection.call(
        1, "queue.unbind", queue=exchange.queue, exchange=exchange.name,
        arguments={"a": Typed("b", b"\5")},
    )  # fmt: skip
    assert not exchange.passes({"a": 5})


@check
def predeclared_headers_exchanges_route():
    chan = client.channel()
    mark = unique("mark")
    for name in ("amq.headers", "amq.match"):
        queue = client.exclusive_queue(chan)
        chan.queue_bind(queue, name, arguments={"mark": mark})
        properties = client.pika.BasicProperties(headers={"mark": mark})
        chan.basic_publish(name, "", b"x", properties)
        assert client.drain(chan, queue) == [b"x"], name


@check
def five_hundred_bindings_find_theirs():
    exchange = Exchange(n=0)
    for number in range(1, 500):
        exchange.bind(n=number)
    assert exchange.passes({"n": 499})
    assert exchange.passes({"n": 0})
    assert not exchange.passes({"n": 500})
