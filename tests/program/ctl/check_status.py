"""status, stop, and what is said when there is nobody to ask."""

import os
import signal
import subprocess
import tempfile
import time

import broker
import desk
import scene
import wire
from harness import check


@check
def status_says_what_the_broker_is_and_has():
    one = scene.start("--shards", "3", "--set", "vm_memory_high_watermark.absolute=100MB")
    client = wire.connect_with_channel()
    client.call(1, "queue.declare", queue="q")
    client.call(1, "confirm.select")
    client.publish(1, "", "q", b"x")
    client.expect("basic.ack", 1)
    client.call(1, "basic.consume", queue="q")
    client.expect("basic.deliver", 1)
    shown = desk.status(one)
    assert shown["product_name"] == "Leveret", shown
    assert shown["pid"] == one.pid and shown["shards"] == 3, shown
    assert shown["data_directory"] == one.data_dir, shown
    assert shown["vm_memory_high_watermark_limit"] == 100_000_000, shown
    assert shown["alarms"] == [] and shown["memory"]["total"]["rss"] > 1 << 20, shown
    assert 0 < shown["file_descriptors"]["total_used"] < 100, shown
    assert shown["totals"] == {
        "virtual_host_count": 1, "connection_count": 1, "channel_count": 1, "consumer_count": 1,
        "exchange_count": 7, "queue_count": 1, "messages_ready": 0, "messages_unacknowledged": 1,
    }, shown  # fmt: skip
    assert shown["listeners"] == [
        {"interface": "127.0.0.1", "port": one.port, "protocol": "amqp", "purpose": "AMQP 0-9-1"}
    ], shown  # fmt: skip


@check
def status_for_people_has_titles():
    one = scene.start()
    coloured = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    said = broker.run("ctl", "--data-dir", one.data_dir, "status", "--unit", "mb", env=coloured)[1]
    lines = said.splitlines()
    assert lines[0].startswith("Status of node leveret@"), said
    for title in ("Runtime", "Data directory", "Alarms", "Memory", "File Descriptors", "Totals",
                  "Listeners"):  # fmt: skip
        assert f"\033[1m{title}\033[0m" in lines, said
    for line in (f"OS PID: {one.pid}", f"Node data directory: {one.data_dir}", "(none)",
                 "Connection count: 0", "Queue count: 0",
                 f"Interface: 127.0.0.1, port: {one.port}, protocol: amqp, purpose: AMQP 0-9-1"):  # fmt: skip
        assert line in lines, (line, said)
    plain = broker.run(
        "ctl", "--data-dir", one.data_dir, "status", "-q", env={**os.environ, "NO_COLOR": "1"}
    )[1]
    assert "\033" not in plain and plain.startswith("Runtime\n"), plain


@check
def an_alarm_is_shown():
    one = scene.start("--set", "vm_memory_high_watermark.absolute=2MB")
    client = wire.connect_with_channel(capabilities=wire.CAPABILITIES)
    client.call(1, "queue.declare", queue="full")
    for _ in range(4):
        client.publish(1, "", "full", bytes(1 << 20))
    client.expect("connection.blocked", 0)
    assert desk.status(one)["alarms"] == ["memory"]
    assert "blocked" in desk.output(one, "list_connections", "-q", "state").splitlines()


@check
def stop_waits_until_the_process_is_gone():
    for shards in ("1", "3"):
        one = scene.start("--shards", shards)
        client = wire.connect_with_channel()
        said = desk.output(one, "stop")
        assert said.startswith("Stopping and halting node leveret@"), said
        assert one.process.poll() == 0, one.log()
        client.expect_connection_error(320)
        assert not os.path.exists(desk.path(one))
        assert not os.path.exists(os.path.join(one.data_dir, "leveret.pid"))


@check
def stopping_what_does_not_run_is_said_unless_it_does_not_matter():
    one = scene.start()
    one.stop()
    status, said, wrong = desk.run(one, "stop")
    assert (status, said) == (69, ""), (status, said)
    assert f"nobody listens on {desk.path(one)}" in wrong and "--data-dir" in wrong, wrong
    assert desk.run(one, "stop", "--idempotent") == (0, "", "")
    assert desk.run(one, "list_queues")[0] == 69
    assert desk.run(one, "status")[0] == 69


@check
def a_directory_that_is_not_there_has_no_broker():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "nowhere")
        status, _, wrong = broker.run("ctl", "--data-dir", path, "status")
    assert status == 69 and "nobody listens on" in wrong, (status, wrong)


@check
def the_socket_is_gone_however_the_broker_is_told_to_end():
    one = scene.start()
    assert os.path.exists(desk.path(one))
    one.stop()
    assert not os.path.exists(desk.path(one))


@check
def a_socket_left_behind_by_a_killed_broker_is_replaced():
    one = scene.start()
    one.tell(signal.SIGKILL)
    one.wait()
    assert os.path.exists(desk.path(one))
    assert desk.run(one, "status")[0] == 69
    two = scene.start("--data-dir", one.data_dir)
    shown = desk.status(one)
    assert shown["pid"] == two.pid, shown


@check
def a_second_broker_does_not_take_the_first_ones_socket():
    one = scene.start()
    status, _, _ = broker.run(
        "serve", "--data-dir", one.data_dir, "--listen", "127.0.0.1:0"
    )
    assert status == 1
    assert desk.status(one)["pid"] == one.pid


@check
def output_that_cannot_be_written_is_a_failure():
    one = scene.start()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [broker.PROGRAM, "ctl", "--data-dir", one.data_dir, "status"], stdout=full, check=False,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 74, done


@check
def a_broker_that_does_not_answer_is_given_up():
    one = scene.start()
    one.tell(signal.SIGSTOP)
    began = time.monotonic()
    status, said, wrong = desk.run(one, "list_queues", "-q", "-t", "1")
    one.tell(signal.SIGCONT)
    assert (status, said) == (75, ""), (status, said, wrong)
    assert wrong.startswith("Error: operation list_queues on node leveret@"), wrong
    assert wrong.endswith(" timed out. Timeout value used: 1000\n"), wrong
    assert 0.9 < time.monotonic() - began < 10


@check
def the_version_needs_no_broker():
    assert broker.run("ctl", "version")[:2] == (0, broker.run("--version")[1].split()[1] + "\n")
