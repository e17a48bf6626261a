"""A disk without room: nothing that was confirmed is lost, and it ends by itself."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import tempfile

import broker
import client
import harness
import scene
from harness import check, eventually
from keeping import Store, durable_queue
from load import Consumer, Producer, drain

MIB = 1 << 20


class Limited:
    """A broker whose files may not grow beyond a size: the kernel says so like a full disk."""

    def __init__(self, shards):
        self.store = Store(shards, "stop")

    def limit(self, size):
        limits = (size, resource.RLIM_INFINITY)
        resource.prlimit(self.store.broker.pid, resource.RLIMIT_FSIZE, limits)

    def free(self):
        self.limit(resource.RLIM_INFINITY)

    def fill(self):
        self.limit(4 * MIB)  # less than the log's next file needs


def mount(size):
    """A small file system."""
    if os.geteuid() != 0:
        harness.skip("mounting a file system needs root")
    directory = tempfile.mkdtemp(prefix="leveret-small-")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        os.rmdir(directory)
        harness.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    harness.cleanup(lambda: os.rmdir(directory))
    harness.cleanup(lambda: subprocess.run(["umount", directory], check=True))
    return directory


class Small:
    """A broker on a file system of its own."""

    def __init__(self, shards, directory, limit):
        self.directory = directory
        self.filler = os.path.join(directory, "filler")
        self.store = Store(
            shards, "stop", "--data-dir", os.path.join(directory, "data"),
            "--set", f"disk_free_limit.absolute={limit}",
        )  # fmt: skip

    def fill(self):
        """Nothing is left, also of what the broker gives back: that was to be written, too."""
        with open(self.filler, "wb", buffering=0) as file:
            while "event=disk.alarm " not in self.store.broker.log():
                with contextlib.suppress(OSError):
                    file.write(bytes(65536))

    def free(self):
        os.unlink(self.filler)


def alarmed(one):
    """Waits for the alarm; gives a client that has been told, as it published after that."""
    eventually(lambda: one.log().count("event=disk.alarm ") == 1, "the alarm", 30)
    late = Producer(["late"], window=1)
    late.start()
    assert late.blocked.wait(30), "connection.blocked does not come"
    return late


def full_and_room_again(one, ending):
    """One log line at the beginning, one at the end, and all that was confirmed."""
    store = one.store
    store.ending = ending
    queues = ["q0", "q1", "q2"]
    chan = client.channel()
    for queue in queues:
        durable_queue(chan, queue)
    chan.queue_declare("transient")
    seen = {}
    producer = Producer(queues, window=300, size=20_000)
    producer.start()
    producer.wait_confirmed(100)
    one.fill()
    late = alarmed(store.broker)
    assert late.reason == "low on disk", late.reason
    eventually(lambda: producer.room() == 0, "what found no room is not confirmed")
    consumer = Consumer(queues[:1], seen)  # consuming goes on
    consumer.start()
    eventually(lambda: len(seen) > 20, "a consumer gets messages")
    chan.queue_delete("transient")  # and deleting
    one.free()
    assert late.unblocked.wait(30), f"connection.unblocked does not come: {store.broker.log()}"
    late.stop()
    eventually(
        lambda: store.broker.log().count("event=disk.alarm_ended ") == 1, "it says that it ended"
    )
    producer.wait_confirmed(producer.sent)
    producer.stop()
    store.broker.kill() if ending == "kill" else store.broker.stop()
    producer.join_all()
    store.resume()
    drain(queues, seen)
    lost = producer.confirmed - seen.keys()
    assert not lost, f"{len(lost)} are lost, {sorted(lost)[:5]} …"


@check(seconds=90)
def files_that_may_not_grow_block_publishers_until_they_may():
    full_and_room_again(Limited(1), "kill")


@check(seconds=90)
def the_same_with_three_shards():
    full_and_room_again(Limited(3), "stop")


@check(seconds=90)
def a_full_file_system_blocks_publishers_until_there_is_room():
    full_and_room_again(Small(1, mount("200m"), "1MB"), "kill")


@check(seconds=90)
def little_room_blocks_publishers_before_it_is_full():
    directory = mount("200m")
    one = Small(1, directory, "100MB")
    store = one.store
    durable_queue(client.channel(), "q")
    filler = os.path.join(directory, "filler")
    producer = Producer(["q"], window=10)
    producer.start()
    producer.wait_confirmed(100)
    with open(filler, "wb") as file:
        file.write(bytes(110 * MIB))
    alarmed(store.broker)
    assert producer.blocked.wait(30), "connection.blocked does not come"
    assert "publishers are blocked; consumers go on" in store.broker.log(), store.broker.log()
    durable_queue(client.channel(), "other")  # for which there is room
    os.unlink(filler)
    assert producer.unblocked.wait(30)
    more = producer.sent + 100
    producer.wait_confirmed(more)
    producer.stop()
    store.broker.stop()
    assert store.broker.log().count("event=disk.alarm_ended ") == 1, store.broker.log()


@check(seconds=60)
def memory_and_disk_at_once_are_both_named():
    directory = mount("200m")
    one = scene.start(
        "--data-dir", os.path.join(directory, "data"), "--set", "disk_free_limit.absolute=1GB",
        "--set", "vm_memory_high_watermark.absolute=1",
    )  # fmt: skip
    eventually(lambda: "event=memory.alarm " in one.log(), "an alarm for the least connection")
    assert alarmed(one).reason == "low on memory & disk"
    status, out, said = broker.run(
        "ctl", "--data-dir", os.path.join(directory, "data"), "status", "--formatter", "json"
    )
    assert status == 0, said
    status = json.loads(out)
    assert status["alarms"] == ["memory", "disk"], out
    assert status["disk_free"] < status["disk_free_limit"] == 10**9, out


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@check(seconds=60)
def a_crowd_of_clients_leaves_the_log_its_descriptors():
    store = Store(1, "kill", preexec_fn=few_files)
    durable_queue(client.channel(), "q")
    producer = Producer(["q"], window=50, size=100_000)
    crowd = [socket.create_connection(("127.0.0.1", store.broker.port)) for _ in range(80)]
    eventually(lambda: "listener.paused" in store.broker.log(), "no more are taken")
    producer.start()
    producer.wait_confirmed(1000)  # several files, and segments of what is old
    producer.stop()
    for one in crowd:
        one.close()
    seen = {}
    drain(["q"], seen)
    assert not producer.confirmed - seen.keys()


@check(seconds=60)
def it_stops_while_the_disk_is_full():
    one = Limited(1)
    durable_queue(client.channel(), "q")
    producer = Producer(["q"], window=300, size=20_000)
    producer.start()
    producer.wait_confirmed(100)
    one.fill()
    alarmed(one.store.broker)
    eventually(lambda: producer.room() == 0, "what found no room is not confirmed")
    one.store.broker.tell()
    status = one.store.broker.wait(30)
    assert status == 0, (status, one.store.broker.log())
    producer.join_all()
    one.store.resume()
    seen = {}
    drain(["q"], seen)
    lost = producer.confirmed - seen.keys()
    assert not lost, f"{len(lost)} are lost"
