"""Bad input before a connection is open: headers, frames out of turn, sizes, cuts."""

import struct

import codec
import harness
import wire
from codec import BODY, HEADER, HEARTBEAT, METHOD, content_header, encode_method
from harness import check
from neighbour import undisturbed

# RabbitMQ offers 0-9-1 up to 3.x and 1.0 with SASL from 4.x; both tell a client what to try.
OFFERS = (b"AMQP\0\0\x09\x01", b"AMQP\x03\x01\0\0")


def header_is_refused(header):
    with undisturbed():
        connection = wire.Wire()
        connection.send(header)
        assert connection.receive(8) in OFFERS
        connection.expect_end()


def started():
    connection = wire.Wire()
    connection.start()
    return connection


def tuning():
    """A connection that has logged in and not answered tune."""
    connection = started()
    connection.log_in()
    connection.expect("connection.tune", 0)
    return connection


def tuned():
    """A connection that has everything but open behind it."""
    connection = started()
    connection.log_in()
    connection.tune()
    return connection


@check
def header_of_amqp_0_10():
    header_is_refused(b"AMQP\x01\x01\x00\x0a")


@check
def header_of_an_unknown_amqp():
    header_is_refused(b"AMQP\x05\x05\x05\x05")


@check
def header_of_http():
    header_is_refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[:8])


@check
def header_of_tls():
    header_is_refused(bytes.fromhex("1603010200010001"))


@check
def header_of_zeros():
    header_is_refused(bytes(8))


@check
def client_that_leaves_after_each_byte_of_the_header():
    with undisturbed():
        for cut in range(9):
            connection = wire.Wire()
            connection.send(codec.PROTOCOL_HEADER[:cut])
            connection.socket.close()


@check
def client_that_leaves_at_each_step():
    with undisturbed():
        for step in (started, tuning, tuned):
            step().socket.close()


@check
def start_ok_that_stops_halfway():
    method = codec.frame(
        METHOD, 0,
        encode_method("connection.start-ok", mechanism="PLAIN", response="\0guest\0guest"),
    )  # fmt: skip
    with undisturbed():
        for cut in range(1, len(method), 5):
            connection = started()
            connection.send(method[:cut])
            connection.socket.close()


def refused_at(state, kind, channel, payload):
    with undisturbed():
        connection = state()
        connection.frame(kind, channel, payload)
        connection.expect_refusal(501, 502, 503, 504, 505)


@check
def tune_ok_before_login():
    payload = encode_method("connection.tune-ok", channel_max=2047, frame_max=131072)
    refused_at(started, METHOD, 0, payload)


@check
def open_before_login():
    refused_at(started, METHOD, 0, encode_method("connection.open", vhost="/"))


@check
def open_before_tune_ok():
    refused_at(tuning, METHOD, 0, encode_method("connection.open", vhost="/"))


@check
def start_ok_twice():
    payload = encode_method("connection.start-ok", mechanism="PLAIN", response="\0guest\0guest")
    refused_at(tuning, METHOD, 0, payload)


@check
def channel_open_before_login():
    refused_at(started, METHOD, 1, encode_method("channel.open"))


@check
def channel_open_before_connection_open():
    refused_at(tuned, METHOD, 1, encode_method("channel.open"))


@check
def content_before_connection_open():
    refused_at(started, HEADER, 0, content_header(1))
    refused_at(tuned, BODY, 1, b"x")


@check
def unknown_frame_before_login():
    refused_at(started, 77, 0, b"")


@check
def frame_with_a_wrong_end_before_login():
    with undisturbed():
        connection = started()
        connection.frame(HEARTBEAT, 0, b"", end=0)
        connection.expect_refusal(501)


@check
def frame_larger_than_a_handshake_needs():
    with undisturbed():
        connection = started()
        connection.send(struct.pack(">BHI", METHOD, 0, 100_000))
        connection.expect_refusal(501)


@check
def start_ok_with_a_table_that_is_cut_short():
    payload = encode_method("connection.start-ok", properties=b"\1aS\0\0\0\x7fabc")
    refused_at(started, METHOD, 0, payload)


@check
def close_before_open_is_answered():
    connection = tuned()
    connection.method(0, "connection.close", code=200)
    answer = connection.read()
    assert answer.name == "connection.close-ok" or answer.code == 504, answer


@check
def many_bad_clients_at_once_disturb_nobody():
    with undisturbed():
        bad = [wire.Wire() for _ in range(60)]
        for number, connection in enumerate(bad):
            connection.send((b"nonsense", b"AMQP", b"AMQP\0\0\x09\x01garbage in a row")[number % 3])
        for connection in bad:
            connection.socket.close()


@check
def second_login_attempt_takes_a_new_connection():
    connection = started()
    connection.log_in(password="wrong")
    connection.expect_refusal(403)
    again = started()
    again.log_in(user=harness.USER, password=harness.PASSWORD)
    again.expect("connection.tune", 0)
