"""A socket that speaks AMQP 0-9-1 one frame at a time, for checks below a client library."""

import socket
import struct

import codec
import harness
from codec import BODY, HEADER, HEARTBEAT, METHOD

_WITH_CONTENT = ("basic.deliver", "basic.return", "basic.get-ok")
CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}


class Closed(Exception):
    """The broker closed the socket, or reset it."""


class Wire:
    """One connection. Everything read goes through `read`, which also assembles contents."""

    def __init__(self):
        self.socket = socket.create_connection((harness.HOST, harness.PORT), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.partial = {}  # channel -> [method, size, body] whose content is still arriving
        self.frames_seen = []  # (kind, channel, payload size) of every frame that came
        harness.cleanup(self.socket.close)

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except (ConnectionError, BrokenPipeError) as error:
            raise Closed(str(error)) from None

    def frame(self, kind, channel, payload, end=codec.FRAME_END):
        self.send(codec.frame(kind, channel, payload, end))

    def method(self, channel, name, **values):
        self.frame(METHOD, channel, codec.encode_method(name, **values))

    def call(self, channel, name, **values):
        """Sends a request and gives its reply, which must be the next thing on that channel."""
        self.method(channel, name, **values)
        return self.expect(name + "-ok", channel)

    def publish(self, channel, exchange, routing_key, body=b"", **options):
        """Options: flags and properties (raw), mandatory, immediate, piece (body frame size)."""
        piece = options.pop("piece", 100_000)
        flags, properties = options.pop("flags", 0), options.pop("properties", b"")
        method = codec.encode_method(
            "basic.publish", exchange=exchange, routing_key=routing_key, **options
        )
        out = [
            codec.frame(METHOD, channel, method),
            codec.frame(HEADER, channel, codec.content_header(len(body), flags, properties)),
        ]
        for at in range(0, len(body), piece):
            out.append(codec.frame(BODY, channel, body[at : at + piece]))
        self.send(b"".join(out))

    def receive(self, size):
        """Exactly size bytes."""
        pieces = []
        while size > 0:
            try:
                piece = self.socket.recv(min(size, 1 << 20))
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not piece:
                raise Closed("end of stream")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read_frame(self):
        kind, channel, size = struct.unpack(">BHI", self.receive(7))
        payload = self.receive(size)
        assert self.receive(1)[0] == codec.FRAME_END, "frame without its end"
        self.frames_seen.append((kind, channel, size))
        return kind, channel, payload

    def read(self):
        """The next method that is complete with its content; heartbeats are passed over."""
        while True:
            kind, channel, payload = self.read_frame()
            if kind == HEARTBEAT:
                continue
            if kind == METHOD:
                assert channel not in self.partial, "method frame within a content"
                method = codec.decode_method(channel, payload)
                if method.name not in _WITH_CONTENT:
                    return method
                self.partial[channel] = [method, None, b""]
                continue
            whole = self._content(kind, channel, payload)
            if whole is not None:
                return whole

    def _content(self, kind, channel, payload):
        """Adds a header or body frame to its method; gives the method when that was the last."""
        state = self.partial[channel]
        if kind == HEADER:
            assert state[1] is None, "second content header"
            class_id, weight, size, flags = struct.unpack(">HHQH", payload[:14])
            assert (class_id, weight) == (codec.BASIC, 0), "strange content header"
            state[1] = size
            state[0].flags, state[0].properties = flags, payload[14:]
        else:
            assert kind == BODY and state[1] is not None, "body before header"
            state[2] += payload
        if len(state[2]) < state[1]:
            return None
        assert len(state[2]) == state[1], "body longer than announced"
        del self.partial[channel]
        state[0].body = state[2]
        return state[0]

    def expect(self, name, channel=None):
        method = self.read()
        assert method.name == name, f"expected {name}, got {method}"
        assert channel in (None, method.channel), f"expected channel {channel}, got {method}"
        return method

    def expect_end(self, seconds=15):
        """The broker closes the socket and sends nothing before it."""
        self.socket.settimeout(seconds)
        try:
            rest = self.socket.recv(4096)
        except ConnectionError:
            return
        assert rest == b"", f"expected the end of the stream, got {rest[:60]!r}"

    def expect_channel_error(self, channel, code, text=None):
        """The channel is closed with this error; says close-ok, so that it is free again."""
        close = self.expect("channel.close", channel)
        assert close.code == code, f"expected {code}, got {close}"
        assert text is None or close.text == text, f"expected {text!r}, got {close.text!r}"
        self.method(channel, "channel.close-ok")
        return close

    def expect_connection_error(self, *codes, text=None):
        """The connection is closed with one of these errors, and then the socket."""
        close = self.expect("connection.close", 0)
        assert close.code in codes, f"expected {codes}, got {close}"
        assert text is None or close.text == text, f"expected {text!r}, got {close.text!r}"
        self.method(0, "connection.close-ok")
        self.expect_end()
        return close

    def expect_refusal(self, *codes):
        """As expect_connection_error, or the socket just ends, where the reference allows it."""
        try:
            close = self.read()
        except Closed:
            return None
        assert close.name == "connection.close", f"expected connection.close, got {close}"
        assert close.code in codes, f"expected {codes}, got {close}"
        return close

    def start(self):
        self.send(codec.PROTOCOL_HEADER)
        return self.expect("connection.start", 0)

    def log_in(self, user=None, password=None, capabilities=None, mechanism="PLAIN", response=None):
        """start-ok; the answer is for the caller to read."""
        if response is None:
            response = f"\0{user or harness.USER}\0{password or harness.PASSWORD}"
        properties = {"product": "check"}
        properties["capabilities"] = CAPABILITIES if capabilities is None else capabilities
        self.method(
            0, "connection.start-ok", properties=properties, mechanism=mechanism,
            response=response, locale="en_US",
        )  # fmt: skip

    def tune(self, **changes):
        """Reads tune and answers it with the broker's own values but for the changes."""
        offer = self.expect("connection.tune", 0)
        values = {**offer.values, "heartbeat": 0, **changes}
        self.method(0, "connection.tune-ok", **values)
        return offer

    def expect_depth(self, channel, queue, count):
        """Waits for this many ready messages: a broker may count before it has queued them."""

        def is_so():
            declared = self.call(channel, "queue.declare", queue=queue, passive=True)
            return declared.message_count == count

        harness.eventually(is_so, f"{count} messages in the queue")

    def close(self):
        self.call(0, "connection.close", code=200, text="done")


def connect(vhost="/", capabilities=None, **tuning):
    """A connection that is open."""
    wire = Wire()
    wire.start()
    wire.log_in(capabilities=capabilities)
    wire.tune(**tuning)
    wire.call(0, "connection.open", vhost=vhost)
    return wire


def connect_with_channel(**options):
    """A connection that is open, and its channel 1."""
    wire = connect(**options)
    wire.call(1, "channel.open")
    return wire


def exclusive_queue(wire, channel=1):
    return wire.call(channel, "queue.declare", exclusive=True).queue
