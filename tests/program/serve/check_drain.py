"""`leveret ctl drain`: clients finish what they have, then it stops."""

import subprocess
import time

import broker
import harness
import pika
import scene
import wire
from harness import check

TEXT = "CONNECTION_FORCED - broker forced connection closure with reason 'drain'"


class Drain:
    """The command, while it waits for the broker's end."""

    def __init__(self, one, *arguments):
        self.process = subprocess.Popen(
            [broker.PROGRAM, "ctl", "--data-dir", one.data_dir, "drain", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        harness.cleanup(self.process.kill)
        self.one = one
        harness.eventually(lambda: "server.draining" in one.log(), "it drains")

    def ends_well(self, seconds=15):
        said, wrong = self.process.communicate(timeout=seconds)
        assert (self.process.returncode, wrong) == (0, ""), (self.process.returncode, said, wrong)
        assert self.one.wait() == 0, self.one.log()
        return said


def consumer(queue, prefetch=0, **options):
    """A client with a delivery for each of so many messages."""
    client = wire.connect_with_channel()
    client.call(1, "queue.declare", queue=queue, durable=True)
    client.call(1, "basic.qos", prefetch_count=prefetch)
    client.call(1, "basic.consume", queue=queue, tag="c", **options)
    return client


def drains_a_worker(*arguments):
    one = scene.start(*arguments)
    idle = consumer("idle")
    workers = []
    for number in range(4):
        worker = consumer(f"jobs{number}", prefetch=1)
        for body in (b"first", b"second"):
            worker.publish(1, "", f"jobs{number}", body, flags=1 << 12, properties=b"\2")
        assert worker.expect("basic.deliver", 1).body == b"first"
        workers.append(worker)
    drain = Drain(one)
    idle.expect_connection_error(320, text=TEXT)
    for worker in workers:
        # Finishing may mean to publish the result; it is kept, and the next job is not given out.
        worker.publish(1, "", "results", b"done")
        worker.call(1, "queue.declare", queue="results", durable=True)
        worker.method(1, "basic.ack", delivery_tag=1)
        worker.expect_connection_error(320, text=TEXT)
    assert "Draining node" in drain.ends_well()
    one.start()
    harness.PORT = one.port
    client = wire.connect_with_channel()
    for number in range(4):
        left = client.call(1, "queue.declare", queue=f"jobs{number}", durable=True)
        assert left.message_count == 1, left
        client.method(1, "basic.get", queue=f"jobs{number}", no_ack=True)
        got = client.expect("basic.get-ok", 1)
        assert (got.body, got.redelivered) == (b"second", False), got
    one.stop()


@check
def workers_finish_their_jobs_and_get_no_others():
    drains_a_worker()


@check
def workers_of_other_shards_do_so_too():
    drains_a_worker("--shards", "3")


@check
def a_worker_of_pika_finishes():
    one = scene.start()
    done = []

    def work(channel, method, _properties, body):
        drain.append(Drain(one))
        channel.basic_publish("", "results", body.upper(), pika.BasicProperties(delivery_mode=2))
        channel.basic_ack(method.delivery_tag)
        done.append(body)

    drain = []
    parameters = pika.ConnectionParameters("127.0.0.1", one.port, heartbeat=0)
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("jobs", durable=True)
    channel.queue_declare("results", durable=True)
    channel.basic_qos(prefetch_count=1)
    for _ in range(3):
        channel.basic_publish("", "jobs", b"work", pika.BasicProperties(delivery_mode=2))
    channel.basic_consume("jobs", work)
    try:
        channel.start_consuming()
        raise AssertionError("it was not told to go")
    except pika.exceptions.ConnectionClosedByBroker as error:
        assert error.reply_code == 320, error
    assert done == [b"work"], done
    drain[0].ends_well()
    one.start()
    harness.PORT = one.port
    client = wire.connect_with_channel()
    assert client.call(1, "queue.declare", queue="jobs", durable=True).message_count == 2
    assert client.call(1, "queue.declare", queue="results", durable=True).message_count == 1
    one.stop()


@check
def nobody_new_comes_in_meanwhile():
    one = scene.start()
    worker = consumer("jobs")
    worker.publish(1, "", "jobs", b"job")
    worker.expect("basic.deliver", 1)
    drain = Drain(one)

    def is_closed():
        try:
            wire.Wire()
            return False
        except ConnectionRefusedError:
            return True

    harness.eventually(is_closed, "the listener is closed")
    worker.method(1, "basic.ack", delivery_tag=1)
    worker.expect_connection_error(320, text=TEXT)
    drain.ends_well()


@check
def a_publisher_gets_its_confirms_before_it_is_sent_away():
    one = scene.start("--shards", "3")
    worker = consumer("jobs")  # holds the broker
    worker.publish(1, "", "jobs", b"job")
    worker.expect("basic.deliver", 1)
    publisher = wire.connect_with_channel()
    publisher.call(1, "queue.declare", queue="kept", durable=True)
    publisher.call(1, "confirm.select")
    drain, confirmed = None, 0
    for number in range(1000):
        publisher.publish(1, "", "kept", b"x" * 100, flags=1 << 12, properties=b"\2")
        if number == 500:
            drain = Drain(one)
    while (method := publisher.read()).name == "basic.ack":
        confirmed = method.delivery_tag
    assert (method.name, method.code, method.text) == ("connection.close", 320, TEXT), method
    assert 500 <= confirmed <= 1000, confirmed
    publisher.method(0, "connection.close-ok")
    publisher.expect_end()
    worker.method(1, "basic.ack", delivery_tag=1)
    drain.ends_well()
    one.start()
    harness.PORT = one.port
    client = wire.connect_with_channel()
    kept = client.call(1, "queue.declare", queue="kept", durable=True).message_count
    assert kept == confirmed, (kept, confirmed)
    one.stop()


@check
def who_does_not_finish_in_time_is_cut_off():
    one = scene.start()
    worker = consumer("jobs")
    worker.publish(1, "", "jobs", b"job", flags=1 << 12, properties=b"\2")
    worker.expect("basic.deliver", 1)
    began = time.monotonic()
    drain = Drain(one, "--timeout", "1")
    close = worker.expect("connection.close", 0)
    assert close.code == 320 and "shutdown" in close.text, close
    assert time.monotonic() - began >= 0.9
    worker.method(0, "connection.close-ok")
    drain.ends_well()
    assert "server.drained" in one.log() and "connections=1" in one.log(), one.log()
    one.start()
    harness.PORT = one.port
    client = wire.connect_with_channel()
    client.method(1, "basic.get", queue="jobs", no_ack=True)
    assert client.expect("basic.get-ok", 1).redelivered  # it was out: not lost
    one.stop()


@check
def a_signal_ends_a_drain_at_once():
    one = scene.start()
    worker = consumer("jobs")
    worker.publish(1, "", "jobs", b"job")
    worker.expect("basic.deliver", 1)
    drain = Drain(one)
    one.tell()
    worker.expect_connection_error(320)
    drain.ends_well()


@check
def a_broker_without_clients_drains_at_once():
    one = scene.start("--shards", "3")
    began = time.monotonic()
    assert Drain(one, "--quiet").ends_well() == ""
    assert time.monotonic() - began < 5


@check
def a_second_drain_says_how_long_it_may_take():
    one = scene.start()
    worker = consumer("jobs")
    worker.publish(1, "", "jobs", b"job")
    worker.expect("basic.deliver", 1)
    first = Drain(one, "--timeout", "1000")
    second = Drain(one, "--timeout", "0")
    worker.expect_connection_error(320)
    second.ends_well()
    first.ends_well()


@check
def operators_are_answered_meanwhile():
    one = scene.start()
    worker = consumer("jobs")
    worker.publish(1, "", "jobs", b"job")
    worker.expect("basic.deliver", 1)
    drain = Drain(one)
    status, said, wrong = broker.run("ctl", "--data-dir", one.data_dir, "-q", "list_connections")
    assert status == 0 and "guest" in said, (status, said, wrong)
    worker.method(1, "basic.ack", delivery_tag=1)
    worker.expect_connection_error(320, text=TEXT)
    drain.ends_well()
