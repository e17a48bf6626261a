"""What happens when memory or descriptors run out, and who may come in."""

import resource
import select
import socket
import threading
import time

import broker
import harness
import scene
import wire
from harness import check, eventually


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            harness.skip(f"a machine without a network: {error}")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        harness.skip("a machine without a network")
    return address


@check
def guest_comes_from_this_machine_only_and_the_log_says_so():
    address = own_address()
    one = scene.start(listen=(f"{address}:0",))
    harness.HOST = address
    stranger = wire.Wire()
    stranger.start()
    stranger.log_in()
    close = stranger.expect("connection.close", 0)
    assert close.code == 403 and "localhost" not in close.text, close
    eventually(lambda: "can only connect via localhost (loopback_users)" in one.log(), "a reason")


@check
def without_loopback_users_guest_comes_from_everywhere():
    address = own_address()
    scene.start("--set", "loopback_users=none", listen=(f"{address}:0",))
    harness.HOST = address
    wire.connect_with_channel().close()


@check
def the_user_is_the_one_of_the_settings():
    one = scene.start("--set", "default_user=app", "--set", "default_pass=s3cret")
    assert "app" in "\n".join(one.lines) and "s3cret" not in "\n".join(one.lines), one.lines
    harness.USER, harness.PASSWORD = "app", "s3cret"
    wire.connect_with_channel().close()
    stranger = wire.Wire()
    stranger.start()
    stranger.log_in(password="wrong")
    assert stranger.expect("connection.close", 0).code == 403
    assert "s3cret" not in one.log() and "wrong" not in one.log().replace("is wrong", ""), one.log()


@check
def a_client_full_of_mistakes_does_not_fill_the_log():
    one = scene.start("--shards", "1")
    client = wire.connect_with_channel()
    for _ in range(300):
        client.method(1, "queue.declare", queue="nothing like it", passive=True)
        client.expect_channel_error(1, 404)
        client.call(1, "channel.open")
    client.close()
    assert one.log().count("event=channel.error") == 50, one.log()
    one.stop()
    assert 'event=log.suppressed like="channel.error" lines=250' in one.log(), one.log()


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))


@check
def without_descriptors_it_pauses_accepting_and_goes_on_later():
    one = scene.start(preexec_fn=few_files)
    early = wire.connect_with_channel()
    early.call(1, "queue.declare", queue="q")
    crowd = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(120)]
    eventually(lambda: "listener.paused" in one.log(), "it says that it pauses")
    early.publish(1, "", "q", b"still served")
    assert early.call(1, "queue.declare", queue="q").queue == "q"
    for connection in crowd:
        connection.close()
    wire.connect_with_channel().close()
    eventually(lambda: "listener.resumed" in one.log(), "it says that it goes on")
    assert one.log().count("listener.paused") == 1, one.log()
    one.stop()


@check
def the_limit_of_files_is_raised_by_itself():
    def low():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 256))

    one = scene.start(preexec_fn=low)
    crowd = [wire.connect_with_channel() for _ in range(100)]
    assert len(crowd) == 100 and "listener.paused" not in one.log()


# Each has so little that it stays in memory; more in one queue would go to the disk instead.
BACKLOGS = [f"backlog{number}" for number in range(40)]


class Publisher(threading.Thread):
    """Publishes as fast as the broker takes it; what the broker says is for the check to read."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sent = 0
        self.stopping = False
        self.wire = wire.connect_with_channel()
        for queue in BACKLOGS:
            self.wire.call(1, "queue.declare", queue=queue)
        self.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.start()

    def run(self):
        while not self.stopping:
            self.wire.publish(1, "", BACKLOGS[self.sent % len(BACKLOGS)], b"x" * 10_000)
            self.sent += 1

    def has_news(self):
        return bool(select.select([self.wire.socket], [], [], 0)[0])

    def stop(self):
        self.stopping = True
        self.join(20)
        assert not self.is_alive(), "it is blocked"


def is_delivery(method):
    """False: the answer to a consume, between deliveries of others."""
    assert method.name in ("basic.deliver", "basic.consume-ok"), method
    assert method.name != "basic.deliver" or method.body == b"x" * 10_000
    return method.name == "basic.deliver"


def count_held(reader):
    declared = [reader.call(1, "queue.declare", queue=queue, passive=True) for queue in BACKLOGS]
    return sum(one.message_count for one in declared)


def count_all():
    """Also what was on its way from one shard to another when the alarm came. New connections go to
    all shards in turn, so one of three is where the publisher is: its questions come to every queue
    behind the messages from there."""
    for reader in [wire.connect_with_channel() for _ in range(3)]:
        held = count_held(reader)
    return held


def alarm_comes_and_goes(*arguments):
    one = scene.start("--set", "vm_memory_high_watermark.absolute=32MB", *arguments)
    reader = wire.connect_with_channel()  # before the alarm, and it never publishes
    publisher = Publisher()
    assert publisher.wire.expect("connection.blocked", 0).reason == "low on memory"
    assert "memory.alarm " in one.log(), one.log()
    held = count_all()
    assert 20_000_000 < held * 10_000 < 64_000_000, held
    time.sleep(0.2)  # it stays so, which no event tells
    assert not publisher.has_news()
    assert count_held(reader) == held
    assert one.resident_kib() < 100 * 1024 or broker.is_sanitized(), one.resident_kib()
    for queue in BACKLOGS:
        reader.method(1, "basic.consume", queue=queue, no_ack=True)
    taken = 0
    while taken < held + 1000 or not publisher.has_news():
        taken += is_delivery(reader.read())
    publisher.wire.expect("connection.unblocked", 0)
    publisher.stopping = True
    while publisher.is_alive() or taken < publisher.sent:
        taken += is_delivery(reader.read())
    assert "memory.alarm_ended" in one.log(), one.log()


@check
def memory_alarm_blocks_publishers_and_ends_when_consumers_have_drained():
    alarm_comes_and_goes()


@check
def memory_alarm_reaches_every_shard():
    alarm_comes_and_goes("--shards", "3")


@check
def who_comes_during_the_alarm_is_blocked_once_it_publishes():
    scene.start("--set", "vm_memory_high_watermark.absolute=32MB")
    publisher = Publisher()
    publisher.wire.expect("connection.blocked", 0)
    late = wire.connect_with_channel()
    late.call(1, "queue.declare", queue="other")
    late.publish(1, "", "other", b"too late")
    assert late.expect("connection.blocked", 0).reason == "low on memory"
    publisher.stopping = True
    purger = wire.connect_with_channel()
    for queue in BACKLOGS:
        purger.call(1, "queue.purge", queue=queue)
    late.expect("connection.unblocked", 0)
    publisher.wire.expect("connection.unblocked", 0)
    publisher.stop()


@check
def memory_of_a_drained_backlog_goes_back_to_the_system():
    one = scene.start()
    writer = wire.connect_with_channel()
    writer.call(1, "queue.declare", queue="backlog")
    for _ in range(60):
        for _ in range(100):
            writer.publish(1, "", "backlog", b"x" * 10_000)
        writer.call(1, "queue.declare", queue="backlog")  # all before it has been taken
    full = one.resident_kib()
    assert full > 50 * 1024, full
    writer.call(1, "queue.purge", queue="backlog")
    if not broker.is_sanitized():  # a sanitizer's allocator keeps what was freed
        eventually(lambda: one.resident_kib() < 24 * 1024, f"small again after {full} KiB")
