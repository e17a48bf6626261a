"""Exclusive queues whose owner's connection has died: whoever comes back finds them free at once."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

import harness
import scene
import wire
from harness import check

CLONE_NEWNET = 0x40000000
LOCKED = (
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{}' in vhost '/'. It could "
    "be originally declared on another connection or the exclusive property value does not match "
    "that of the original declaration."
)


def connect(name=None):
    """A connection with channel 1 that calls itself so."""
    one = wire.Wire()
    one.start()
    properties = {"capabilities": wire.CAPABILITIES}
    if name is not None:
        properties["connection_name"] = name
    one.method(
        0, "connection.start-ok", properties=properties, mechanism="PLAIN",
        response=f"\0{harness.USER}\0{harness.PASSWORD}", locale="en_US",
    )  # fmt: skip
    one.tune()
    one.call(0, "connection.open", vhost="/")
    one.call(1, "channel.open")
    return one


def declare(one, queue="mine"):
    return one.call(1, "queue.declare", queue=queue, exclusive=True)


def expect_locked(one, queue="mine"):
    one.method(1, "queue.declare", queue=queue, exclusive=True)
    one.expect_channel_error(1, 405, text=LOCKED.format(queue))


def owner_to_be_killed(name):
    """A process that declares the queue and then does nothing; its pid, once the queue is there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        declare(connect(name))
        os.write(writer, b"!")
        signal.pause()
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    os.close(reader)
    return pid


@check
def living_owner_keeps_its_queue():
    scene.start("--shards", "3")
    owners = [connect() for _ in range(4)]
    for i, owner in enumerate(owners):
        declare(owner, f"q{i}")
    for i in range(4):
        began = time.monotonic()
        expect_locked(connect(), f"q{i}")
        assert time.monotonic() - began < 1, "a living peer acknowledges at once"
    for i, owner in enumerate(owners):
        declare(owner, f"q{i}")


def kill_and_come_back(shards):
    scene.start("--shards", shards)
    for _ in range(30):
        pid = owner_to_be_killed("worker")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        back = connect("worker")
        declare(back)
        back.close()


@check
def queue_of_a_killed_process_is_free_at_once():
    kill_and_come_back("1")


@check
def queue_of_a_killed_process_is_free_at_once_on_whichever_shard():
    kill_and_come_back("3")


@check
def owner_that_left_while_it_was_blocked_is_found_dead():
    one = scene.start("--set", "vm_memory_high_watermark.absolute=8MiB", "--shards", "1")
    filler = connect()
    filler.call(1, "queue.declare", queue="full")
    owner = connect()
    declare(owner)
    for _ in range(12):
        filler.publish(1, "", "full", bytes(1 << 20))
    filler.expect("connection.blocked", 0)
    owner.publish(1, "", "full", b"x")
    owner.expect("connection.blocked", 0)
    owner.socket.close()  # the broker doesn't read it, so it doesn't see the end
    back = connect()
    began = time.monotonic()
    declare(back)
    assert time.monotonic() - began < 2
    assert "its exclusive queue is wanted" in one.log(), one.log()


class Network:
    """A machine of its own behind a cable that can be pulled: a network namespace."""

    def __init__(self):
        self.name = f"leveret{os.getpid()}"
        self.ends = (f"lva{os.getpid()}"[:15], f"lvb{os.getpid()}"[:15])
        octet = os.getpid() % 250 + 1
        self.here, self.there = f"10.213.{octet}.1", f"10.213.{octet}.2"
        self.ip("netns", "add", self.name)
        harness.cleanup(lambda: self.ip("netns", "del", self.name))
        self.ip("link", "add", self.ends[0], "type", "veth", "peer", "name", self.ends[1])
        self.ip("link", "set", self.ends[1], "netns", self.name)
        self.ip("addr", "add", f"{self.here}/24", "dev", self.ends[0])
        self.ip("link", "set", self.ends[0], "up")
        self.ip("-n", self.name, "addr", "add", f"{self.there}/24", "dev", self.ends[1])
        self.plug()

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def plug(self):
        self.ip("-n", self.name, "link", "set", self.ends[1], "up")

    def pull(self):
        self.ip("-n", self.name, "link", "set", self.ends[1], "down")

    def enter(self, function):
        """What the function gives when it is called on that machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net") as home, open(f"/run/netns/{self.name}") as away:
            assert libc.setns(away.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                return function()
            finally:
                assert libc.setns(home.fileno(), CLONE_NEWNET) == 0


def network():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        harness.skip("a network namespace needs root and ip")
    try:
        return Network()
    except subprocess.CalledProcessError as error:
        harness.skip(f"no network namespaces here: {error.stderr.decode().strip()}")


def start_for(net):
    one = scene.start("--set", "loopback_users=none", listen=(f"{net.here}:0",))
    harness.HOST = net.here
    return one


@check
def owner_behind_a_pulled_cable_is_found_dead_by_its_namesake():
    net = network()
    one = start_for(net)
    owner = net.enter(lambda: connect("worker"))
    declare(owner)
    net.pull()
    back = connect("worker")  # from another address, by the same name
    began = time.monotonic()
    declare(back)
    assert 1 < time.monotonic() - began < 5, "as long as an answer may take"
    assert "its exclusive queue is wanted" in one.log(), one.log()


@check
def stranger_waits_for_the_heartbeat_of_an_owner_behind_a_pulled_cable():
    net = network()
    start_for(net)
    owner = net.enter(lambda: connect("worker"))
    declare(owner)
    net.pull()
    began = time.monotonic()
    expect_locked(connect("somebody else"))
    assert time.monotonic() - began < 1


@check
def machine_that_came_back_without_its_connections_is_believed():
    """Its kernel answers with a reset to what the broker sends the connection of before."""
    net = network()
    start_for(net)
    owner = net.enter(lambda: connect("worker"))
    declare(owner)
    net.pull()
    owner.socket.close()  # the end is not heard by anybody
    net.plug()
    back = net.enter(lambda: connect("worker"))
    began = time.monotonic()
    declare(back)
    assert time.monotonic() - began < 5
