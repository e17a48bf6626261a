"""Peers that do not speak TLS, stop in the middle of it, or go on for ever."""

import os
import random
import socket
import ssl
import subprocess
import time

import harness
import pki
import wire
from harness import check

HEADER = b"AMQP\x00\x00\x09\x01"


def dial(port):
    plain = socket.create_connection(("127.0.0.1", port), 15)
    harness.cleanup(plain.close)
    return plain


def rest(plain):
    """All that comes until the end, however the peer brings it about."""
    data = b""
    try:
        while piece := plain.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def still_serves(one, keys):
    pki.passes_messages(pki.connect(one, keys.context()), sizes=(1, 20_000))


@check
def what_is_not_tls_is_told_in_the_log():
    keys = pki.Pki()
    one = keys.start()
    noise = random.Random(7).randbytes(100_000)
    for said, words in ((HEADER, "this is AMQP without TLS"),
                        (b"GET / HTTP/1.1\r\n\r\n", "this is HTTP without TLS"),
                        (b"\x80" + noise, "not TLS")):  # fmt: skip
        plain = dial(one.tls_port)
        try:
            plain.sendall(said)
        except ConnectionError:
            pass  # it has seen enough
        assert b"AMQP" not in rest(plain)
        harness.eventually(lambda: words in one.log(), f"{words}: {one.log()}")
    still_serves(one, keys)
    one.stop()


@check
def tls_on_the_plain_port_is_told_in_the_log():
    keys = pki.Pki()
    one = keys.start()
    try:
        keys.context().wrap_socket(dial(one.port), server_hostname="localhost")
        raise AssertionError("a handshake on the plain port")
    except (ssl.SSLError, OSError):
        pass
    harness.eventually(lambda: "this looks like TLS" in one.log(), one.log())


@check
def every_kind_of_noise_is_survived():
    keys = pki.Pki()
    one = keys.start()
    chance = random.Random(11)
    for i in range(200):
        plain = dial(one.tls_port)
        record = bytes([0x16, 3, chance.choice((1, 3, 4))]) if i % 2 else b""
        size = chance.randrange(1, 3000)
        try:
            plain.sendall(record + chance.randbytes(size))
            if i % 3 == 0:
                plain.shutdown(socket.SHUT_WR)
                rest(plain)
        except ConnectionError:
            pass
        plain.close()
    still_serves(one, keys)
    one.stop()


@check
def a_handshake_that_stops_half_way_is_ended():
    keys = pki.Pki()
    one = keys.start("--set", "handshake_timeout=700")
    plain = [dial(one.tls_port) for _ in range(20)]
    plain[0].sendall(b"\x16\x03\x01")
    began = time.monotonic()
    for each in plain:
        assert rest(each) == b""
    assert 0.5 < time.monotonic() - began < 10
    harness.eventually(lambda: "longer than handshake_timeout" in one.log(), one.log())
    one.stop()


@check(seconds=60)
def more_of_them_than_are_let_in_hold_others_up_only_for_a_while():
    keys = pki.Pki()
    one = keys.start("--set", "handshake_timeout=1500")
    for _ in range(1100):
        dial(one.tls_port)
    harness.eventually(lambda: "event=listener.paused" in one.log(), one.log())
    assert "TLS handshakes are under way" in one.log(), one.log()
    harness.PORT = one.port
    wire.connect_with_channel().close()  # the plain port is not held up at all
    still_serves(one, keys)
    one.stop()


@check
def a_session_that_never_begins_is_ended():
    keys = pki.Pki()
    one = keys.start("--set", "handshake_timeout=500")
    tls = keys.context().wrap_socket(dial(one.tls_port), server_hostname="localhost")
    tls.sendall(HEADER[:3])
    began = time.monotonic()
    try:
        assert tls.recv(100) == b""
    except ssl.SSLError as error:
        raise AssertionError("it ends without close_notify") from error
    assert time.monotonic() - began < 10


@check
def bytes_may_come_one_by_one():
    keys = pki.Pki()
    one = keys.start()
    plain = dial(one.tls_port)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = keys.context().wrap_bio(inside, outside, server_hostname="localhost")

    def step(function, *arguments):
        while True:
            try:
                result = function(*arguments)
                for byte in outside.read():
                    plain.sendall(bytes([byte]))
                return result
            except ssl.SSLWantReadError:
                for byte in outside.read():
                    plain.sendall(bytes([byte]))
                data = plain.recv(1)
                assert data, "the broker has gone"
                inside.write(data)

    step(tls.do_handshake)
    step(tls.write, HEADER)
    assert step(tls.read, 7)[:3] == b"\x01\x00\x00"  # a method on channel 0: connection.start


@check
def an_end_without_close_notify_is_one():
    keys = pki.Pki()
    one = keys.start()
    connection = pki.connect(one, keys.context())
    channel = connection.channel()
    queue = channel.queue_declare(harness.unique("q"), auto_delete=True).method.queue
    channel.basic_publish("", queue, b"left")
    other = pki.connect(one, keys.context()).channel()
    other.basic_qos(prefetch_count=1)
    taken = pki.connect(one, keys.context())
    taken_channel = taken.channel()
    method = None
    while method is None:
        method, _, _ = taken_channel.basic_get(queue)
    taken._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    harness.eventually(
        lambda: other.queue_declare(queue, passive=True).method.message_count == 1, "it came back")


@check
def what_was_sent_before_the_end_counts():
    keys = pki.Pki()
    one = keys.start()
    queue = harness.unique("q")
    channel = pki.connect(one, keys.context()).channel()
    channel.queue_declare(queue, auto_delete=True)
    before = 0
    for i in range(5):
        connection = pki.connect(one, keys.context())
        sender = connection.channel()
        for _ in range(200):
            sender.basic_publish("", queue, b"x" * 500)
        connection.close()
        before += 200
        assert channel.queue_declare(queue, passive=True).method.message_count == before, i


@check
def renegotiation_is_refused():
    keys = pki.Pki()
    one = keys.start()
    _, text = pki.s_client(one, "-tls1_2", text="R\n", seconds=20)
    assert "RENEGOTIATING" in text, text
    assert "no renegotiation" in text or "handshake failure" in text, text
    still_serves(one, keys)


@check
def new_keys_in_the_middle_change_nothing():
    keys = pki.Pki()
    one = keys.start()
    client = subprocess.Popen(
        ["openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{one.tls_port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    harness.cleanup(client.wait)
    harness.cleanup(client.kill)
    said = b""

    def hears(word, count):
        nonlocal said
        while said.count(word) < count:
            piece = os.read(client.stdout.fileno(), 65536)
            assert piece, said
            said += piece

    hears(b"Verify return code", 1)
    for i in range(1, 6):  # K asks the broker for a new key of its own as well
        client.stdin.write(b"K\n")
        client.stdin.flush()
        hears(b"KEYUPDATE", i)
    client.stdin.write(HEADER)
    client.stdin.flush()
    hears(b"cluster_name", 1)  # of connection.start


@check
def a_reader_that_stops_reading_holds_nobody_up():
    keys = pki.Pki()
    one = keys.start()
    queue = harness.unique("q")
    stuck = pki.connect(one, keys.context()).channel()
    stuck.queue_declare(queue, auto_delete=False)
    other = pki.connect(one, keys.context()).channel()
    for _ in range(60):
        other.basic_publish("", queue, b"y" * 100_000)
    stuck.basic_consume(queue, lambda *_: None, auto_ack=False)  # and reads nothing from now on
    still_serves(one, keys)
    got = 0
    for method, _, body in stuck.consume(queue, inactivity_timeout=1):
        if method is None:
            break
        assert body == b"y" * 100_000
        got += 1
        if got == 10:
            break
    one.stop()
