"""New certificates for a broker that runs."""

import os
import signal
import threading

import harness
import pki
from harness import check

MESSAGES = 3000


def served(one):
    """The name in the certificate that a new connection gets."""
    _, text = pki.s_client(one)
    return next(line for line in text.splitlines() if line.startswith("subject="))


def replace(keys, name):
    """As certbot does: another file takes the name."""
    for kind in ("pem", "key"):
        os.replace(keys.path(f"{name}.{kind}"), keys.path(f"server.{kind}"))


def reload(one, event):
    before = one.log().count(event)
    one.tell(signal.SIGHUP)
    harness.eventually(lambda: one.log().count(event) > before, f"{event}: {one.log()}")


@check
def new_connections_get_the_new_certificate():
    keys = pki.Pki()
    one = keys.start()
    assert "CN = server" in served(one)
    keys.issue("renewed", "server", "DNS:localhost")
    replace(keys, "renewed")
    reload(one, "event=tls.reloaded")
    assert "CN = renewed" in served(one)
    one.stop()


@check
def a_bad_new_file_leaves_the_old_one_in_use():
    keys = pki.Pki()
    one = keys.start()
    keys.issue("old", "server", "DNS:localhost", expired=True)
    replace(keys, "old")
    reload(one, "event=tls.not_reloaded")
    assert "has expired on 2020-01-02" in one.log() and "stays in use" in one.log(), one.log()
    assert "CN = server" in served(one)
    keys.write("server.pem", "nonsense")
    reload(one, "event=tls.not_reloaded")
    assert "CN = server" in served(one)
    one.stop()


def produce(one, keys, queue, failures):
    try:
        channel = pki.connect(one, keys.context()).channel()
        channel.confirm_delivery()
        for i in range(MESSAGES):
            channel.basic_publish("", queue, str(i).encode())
    except Exception as error:  # whatever it is, the check fails by it
        failures.append(error)


@check(seconds=120)
def no_connection_and_no_message_is_lost():
    keys = pki.Pki()
    one = keys.start("--shards", "3")
    channel = pki.connect(one, keys.context()).channel()
    queue = channel.queue_declare("", exclusive=False, auto_delete=True).method.queue
    channel.basic_qos(prefetch_count=100)
    failures, got = [], []
    producer = threading.Thread(target=produce, args=(one, keys, queue, failures))
    producer.start()
    for method, _, body in channel.consume(queue, inactivity_timeout=30):
        assert method is not None, (len(got), failures)
        got.append(int(body))
        channel.basic_ack(method.delivery_tag)
        if len(got) % (MESSAGES // 5) == 0:
            keys.issue(f"number{len(got)}", "server", "DNS:localhost")
            replace(keys, f"number{len(got)}")
            reload(one, "event=tls.reloaded")
        if len(got) == MESSAGES:
            break
    producer.join()
    assert not failures, failures
    assert got == list(range(MESSAGES)), "out of order, lost or twice"
    assert f"CN = number{MESSAGES}" in served(one)
    channel.connection.close()
    one.stop()
