"""AMQP 0-9-1 bytes for checks that must see or send exactly what a client library would hide.

Written from the protocol alone and sharing nothing with the broker, so that the two can disagree.
"""

import struct

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
BASIC = 60

# name class id arguments; an indented line goes on with the one before; consecutive bits share
# an octet.
_METHODS_TEXT = """
connection.start 10 10 octet:major octet:minor table:properties longstr:mechanisms longstr:locales
connection.start-ok 10 11 table:properties shortstr:mechanism longstr:response shortstr:locale
connection.secure 10 20 longstr:challenge
connection.secure-ok 10 21 longstr:response
connection.tune 10 30 short:channel_max long:frame_max short:heartbeat
connection.tune-ok 10 31 short:channel_max long:frame_max short:heartbeat
connection.open 10 40 shortstr:vhost shortstr:reserved1 bit:reserved2
connection.open-ok 10 41 shortstr:reserved1
connection.close 10 50 short:code shortstr:text short:class_id short:method_id
connection.close-ok 10 51
connection.blocked 10 60 shortstr:reason
connection.unblocked 10 61
connection.update-secret 10 70 longstr:secret shortstr:reason
connection.update-secret-ok 10 71
channel.open 20 10 shortstr:reserved1
channel.open-ok 20 11 longstr:reserved1
channel.flow 20 20 bit:active
channel.flow-ok 20 21 bit:active
channel.close 20 40 short:code shortstr:text short:class_id short:method_id
channel.close-ok 20 41
access.request 30 10 shortstr:realm bit:exclusive bit:passive bit:active bit:write bit:read
access.request-ok 30 11 short:ticket
exchange.declare 40 10 short:t shortstr:exchange shortstr:type bit:passive bit:durable
    bit:auto_delete bit:internal bit:nowait table:arguments
exchange.declare-ok 40 11
exchange.delete 40 20 short:t shortstr:exchange bit:if_unused bit:nowait
exchange.delete-ok 40 21
exchange.bind 40 30 short:t shortstr:destination shortstr:source shortstr:routing_key bit:nowait
    table:arguments
exchange.bind-ok 40 31
exchange.unbind 40 40 short:t shortstr:destination shortstr:source shortstr:routing_key bit:nowait
    table:arguments
exchange.unbind-ok 40 51
queue.declare 50 10 short:t shortstr:queue bit:passive bit:durable bit:exclusive bit:auto_delete
    bit:nowait table:arguments
queue.declare-ok 50 11 shortstr:queue long:message_count long:consumer_count
queue.bind 50 20 short:t shortstr:queue shortstr:exchange shortstr:routing_key bit:nowait
    table:arguments
queue.bind-ok 50 21
queue.purge 50 30 short:t shortstr:queue bit:nowait
queue.purge-ok 50 31 long:message_count
queue.delete 50 40 short:t shortstr:queue bit:if_unused bit:if_empty bit:nowait
queue.delete-ok 50 41 long:message_count
queue.unbind 50 50 short:t shortstr:queue shortstr:exchange shortstr:routing_key table:arguments
queue.unbind-ok 50 51
basic.qos 60 10 long:prefetch_size short:prefetch_count bit:is_global
basic.qos-ok 60 11
basic.consume 60 20 short:t shortstr:queue shortstr:tag bit:no_local bit:no_ack bit:exclusive
    bit:nowait table:arguments
basic.consume-ok 60 21 shortstr:tag
basic.cancel 60 30 shortstr:tag bit:nowait
basic.cancel-ok 60 31 shortstr:tag
basic.publish 60 40 short:t shortstr:exchange shortstr:routing_key bit:mandatory bit:immediate
basic.return 60 50 short:code shortstr:text shortstr:exchange shortstr:routing_key
basic.deliver 60 60 shortstr:tag longlong:delivery_tag bit:redelivered shortstr:exchange
    shortstr:routing_key
basic.get 60 70 short:t shortstr:queue bit:no_ack
basic.get-ok 60 71 longlong:delivery_tag bit:redelivered shortstr:exchange shortstr:routing_key
    long:message_count
basic.get-empty 60 72 shortstr:reserved1
basic.ack 60 80 longlong:delivery_tag bit:multiple
basic.reject 60 90 longlong:delivery_tag bit:requeue
basic.recover-async 60 100 bit:requeue
basic.recover 60 110 bit:requeue
basic.recover-ok 60 111
basic.nack 60 120 longlong:delivery_tag bit:multiple bit:requeue
confirm.select 85 10 bit:nowait
confirm.select-ok 85 11
tx.select 90 10
tx.select-ok 90 11
tx.commit 90 20
tx.commit-ok 90 21
tx.rollback 90 30
tx.rollback-ok 90 31
"""

_INTEGERS = {"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q"}
_FIELD_FORMATS = {
    "b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q",
    "f": ">f", "d": ">d", "T": ">Q",
}  # fmt: skip


def _parse_methods():
    by_name, by_id = {}, {}
    for line in _METHODS_TEXT.replace("\n    ", " ").split("\n"):
        if not line:
            continue
        name, class_id, method_id, *arguments = line.split()
        fields = [tuple(argument.split(":")) for argument in arguments]
        by_name[name] = (int(class_id), int(method_id), fields)
        by_id[int(class_id), int(method_id)] = (name, fields)
    return by_name, by_id


METHODS, _METHODS_BY_ID = _parse_methods()


class Typed:
    """A table value whose type octet the check chooses, with its bytes as they go on the wire."""

    def __init__(self, octet, raw):
        self.octet = octet.encode()
        self.raw = raw


def as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def shortstr(text):
    raw = as_bytes(text)
    return bytes([len(raw)]) + raw


def longstr(text):
    raw = as_bytes(text)
    return struct.pack(">I", len(raw)) + raw


def field_value(value):
    """Type octet and value, the type chosen by Python's type unless it is Typed."""
    if isinstance(value, Typed):
        return value.octet + value.raw
    if value is None:
        return b"V"
    if isinstance(value, bool):
        return b"t" + bytes([value])
    if isinstance(value, int):
        small = -(2**31) <= value < 2**31
        return b"I" + struct.pack(">i", value) if small else b"l" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"d" + struct.pack(">d", value)
    if isinstance(value, dict):
        return b"F" + table(value)
    if isinstance(value, list):
        return b"A" + longstr(b"".join(field_value(item) for item in value))
    return b"S" + longstr(value)


def table(entries):
    """A field table; bytes are taken to be its entries already."""
    if isinstance(entries, bytes):
        return longstr(entries)
    return longstr(b"".join(shortstr(key) + field_value(value) for key, value in entries.items()))


def encode_method(name, **values):
    """A method's payload. What is not given is zero, false or empty."""
    class_id, method_id, fields = METHODS[name]
    unknown = set(values) - {field for _, field in fields}
    assert not unknown, f"{name} has no {unknown}"
    out = bytearray(struct.pack(">HH", class_id, method_id))
    bits_used = 0
    for kind, field in fields:
        value = values.get(field)
        if kind == "bit":
            if bits_used % 8 == 0:
                out.append(0)
            out[-1] |= bool(value) << (bits_used % 8)
            bits_used += 1
            continue
        bits_used = 0
        if kind == "shortstr":
            out += shortstr(value or "")
        elif kind == "longstr":
            out += longstr(value or "")
        elif kind == "table":
            out += table(value or {})
        else:
            out += struct.pack(_INTEGERS[kind], value or 0)
    return bytes(out)


def frame(kind, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


def content_header(size, flags=0, properties=b"", class_id=BASIC, weight=0):
    return struct.pack(">HHQH", class_id, weight, size, flags) + properties


class Reader:
    """Takes values off the front of a payload."""

    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def take(self, size):
        piece = self.raw[self.at : self.at + size]
        assert len(piece) == size, "payload is shorter than it says"
        self.at += size
        return piece

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def shortstr(self):
        return self.take(self.number(">B")).decode("utf-8", "surrogateescape")

    def longstr(self):
        return self.take(self.number(">I"))

    def table(self):
        inner = Reader(self.longstr())
        entries = {}
        while inner.at < len(inner.raw):
            key = inner.shortstr()
            entries[key] = inner.field_value()
        return entries

    def field_value(self):
        octet = self.take(1).decode("latin-1")
        if octet in _FIELD_FORMATS:
            return self.number(_FIELD_FORMATS[octet])
        if octet == "t":
            return self.number(">B") != 0
        if octet == "F":
            return self.table()
        if octet == "V":
            return None
        if octet == "D":
            return self.take(5)
        if octet == "A":
            inner, items = Reader(self.longstr()), []
            while inner.at < len(inner.raw):
                items.append(inner.field_value())
            return items
        assert octet in "Sx", f"unknown field type {octet!r}"
        return self.longstr()


def canonical(raw):
    """A field table's entries by name, types kept, the first of those that share a name.

    RabbitMQ 4 may send a table sorted that was not sorted when it came, which 3.10 never does.
    """
    inner, entries = Reader(Reader(raw).longstr()), {}
    while inner.at < len(inner.raw):
        key = inner.shortstr()
        octet, start = inner.raw[inner.at : inner.at + 1], inner.at + 1
        inner.field_value()
        value = inner.raw[start : inner.at]
        entries.setdefault(key, (octet, canonical(value) if octet == b"F" else value))
    return sorted(entries.items())


class Method:
    """A method as it arrived; its arguments are attributes.

    One that carries content gets `flags` and `properties`, raw, and `body` when they are complete.
    """

    def __init__(self, channel, name, values):
        self.channel = channel
        self.name = name
        self.values = values

    def __getattr__(self, field):
        try:
            return self.values[field]
        except KeyError:
            raise AttributeError(f"{self.name} has no {field}") from None

    def __repr__(self):
        return f"{self.name} on channel {self.channel} {self.values}"


def decode_method(channel, payload):
    reader = Reader(payload)
    ids = reader.number(">H"), reader.number(">H")
    assert ids in _METHODS_BY_ID, f"unknown method {ids}"
    name, fields = _METHODS_BY_ID[ids]
    values, bits_used, octet = {}, 0, 0
    for kind, field in fields:
        if kind == "bit":
            if bits_used % 8 == 0:
                octet = reader.number(">B")
            values[field] = bool(octet >> (bits_used % 8) & 1)
            bits_used += 1
            continue
        bits_used = 0
        values[field] = (
            reader.number(_INTEGERS[kind]) if kind in _INTEGERS else getattr(reader, kind)()
        )
    assert reader.at == len(payload), f"{name} has {len(payload) - reader.at} bytes too many"
    return Method(channel, name, values)
