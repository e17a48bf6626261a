"""What the service manager hears."""

import os
import signal
import subprocess
import time

import broker
import harness
import manager
import scene
import wire
from harness import check

PERIOD = 0.4  # seconds, of the watchdogs here; the broker pings twice in it


def start(boss, *arguments, **environment):
    return scene.start(*arguments, env=boss.environment(**environment))


def watchdog(seconds=PERIOD):
    return {"WATCHDOG_USEC": str(int(seconds * 1e6))}


def is_ready_when_it_answers(boss):
    one = start(boss)
    message = boss.hear()
    assert message["READY"] == "1", message
    assert message["MAINPID"] == str(one.pid), message
    assert f"127.0.0.1:{one.port}" in message["STATUS"], message
    scene.speaks()
    assert boss.hear(0) is None
    one.stop()


@check
def ready_is_said_to_a_socket_with_a_path():
    is_ready_when_it_answers(manager.Manager())


@check
def ready_is_said_to_an_abstract_socket():
    is_ready_when_it_answers(manager.Manager(abstract=True))


@check
def who_hears_ready_can_connect_at_once():
    """Nothing else tells here that it listens: the first line on standard output is not read."""
    boss = manager.Manager()
    for _ in range(5):
        first = broker.Broker()
        first.end()
        one = Unread(boss, first.port)
        harness.cleanup(one.end)
        assert boss.hear()["READY"] == "1"
        harness.PORT = one.port
        scene.speaks()


class Unread(broker.Broker):
    """A broker whose standard output nobody waits for."""

    def __init__(self, boss, port):
        self.port = port
        super().__init__(listen=(f"127.0.0.1:{port}",), env=boss.environment())

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                **self.options,
            )  # fmt: skip
        self.pid = self.process.pid


@check
def a_broker_that_cannot_start_is_never_ready():
    boss = manager.Manager()
    one = scene.start()
    status, _, said = broker.run(
        "serve", "--data-dir", os.path.join(one.directory, "other"), "--listen",
        f"127.0.0.1:{one.port}", env=boss.environment(),
    )  # fmt: skip
    assert status == 1, (status, said)
    assert boss.hear(0) is None


@check
def stopping_is_said_before_the_clients_are_gone():
    boss = manager.Manager()
    one = start(boss)
    assert boss.hear()["READY"] == "1"
    mute = wire.connect_with_channel()
    one.tell()
    assert boss.hear()["STOPPING"] == "1"
    assert one.process.poll() is None
    assert mute.expect("connection.close", 0).code == 320
    mute.method(0, "connection.close-ok")
    assert one.wait() == 0


@check
def a_hangup_reloads_and_is_ready_again():
    boss = manager.Manager()
    one = start(boss)
    assert boss.hear()["READY"] == "1"
    client = wire.connect_with_channel()
    for _ in range(3):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        one.tell(signal.SIGHUP)
        message = boss.hear()
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert message["RELOADING"] == "1", message
        assert before <= int(message["MONOTONIC_USEC"]) <= now, (before, message, now)
        assert boss.hear() == {"READY": "1"}
    client.call(1, "queue.declare", queue="still-there")
    one.stop()


@check
def a_hangup_without_a_manager_is_no_end():
    one = scene.start()
    one.tell(signal.SIGHUP)
    harness.eventually(lambda: "server.reloaded" in one.log(), "the reload is in the log")
    scene.speaks()
    one.stop()


def pings(boss, seconds):
    """When pings came within so many seconds."""
    boss.drop_all()
    came, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        message = boss.hear(left)
        if message is not None:
            assert message == {"WATCHDOG": "1"}, message
            came.append(time.monotonic())
    return came


def pings_in_time(*arguments):
    boss = manager.Manager()
    start(boss, *arguments, **watchdog(2))
    assert boss.hear()["READY"] == "1"
    came = pings(boss, 5)
    assert len(came) >= 4, came
    # It is a machine with other work that this runs on; the manager would wait for two.
    assert all(b - a < 2 for a, b in zip(came, came[1:])), came


@check
def one_shard_pings_twice_in_the_watchdogs_time():
    pings_in_time("--shards", "1")


@check
def three_shards_ping_twice_in_the_watchdogs_time():
    pings_in_time("--shards", "3")


@check
def without_a_watchdog_there_are_no_pings():
    boss = manager.Manager()
    start(boss)
    assert boss.hear()["READY"] == "1"
    assert boss.hear(1.5) is None


@check
def a_watchdog_for_another_process_gets_no_pings():
    boss = manager.Manager()
    start(boss, WATCHDOG_PID="1", **watchdog())
    assert boss.hear()["READY"] == "1"
    assert boss.hear(1.5) is None


def stuck_shard_stops_the_pings(number):
    boss = manager.Manager()
    one = start(boss, "--shards", "3", **watchdog())
    assert boss.hear()["READY"] == "1"
    boss.hear_until("WATCHDOG")
    (tid,) = manager.threads(one.pid, f"shard {number}")
    with manager.Held(tid):
        # One may be under way: asked before, or answered.
        assert len(pings(boss, 4 * PERIOD)) <= 1
        assert boss.hear(4 * PERIOD) is None
        assert f"shard.stuck shard={number}" in one.log(), one.log()
        assert one.log().count("shard.stuck") == 1, one.log()
    boss.hear_until("WATCHDOG")
    assert len(pings(boss, 6 * PERIOD)) >= 2
    one.stop()


@check
def a_stuck_shard_stops_the_pings_until_it_goes_on():
    stuck_shard_stops_the_pings(2)


@check
def so_does_the_shard_that_listens():
    stuck_shard_stops_the_pings(0)


@check
def a_manager_that_does_not_listen_keeps_nobody_from_starting():
    environment = {**os.environ, "NOTIFY_SOCKET": "/nonexistent/notify"}
    one = scene.start(env=environment)
    assert "service.unheard" in one.log() and "/nonexistent/notify" in one.log(), one.log()
    scene.speaks()
    one.stop()


@check
def a_manager_that_makes_no_sense_is_named_and_ignored():
    boss = manager.Manager()
    one = scene.start(env=boss.environment(WATCHDOG_USEC="soon"))
    assert 'WATCHDOG_USEC is no time in microseconds: \\"soon\\"' in one.log(), one.log()
    assert boss.hear(0.5) is None
    one.stop()
