"""What happens in each scenario, and what has to be so in the end."""

import glob
import os
import time

import codec
import harness
import wire
from measured import OLD, Measured, bench_command, finish, spawn

RESIDENT_MIB = 150
LARGE_MESSAGES = 10_000_000  # from here on a rate is steady enough to be judged
LARGE_QUEUES = 10_000  # from here on what a broker needs by itself does not count
RESTART_SECONDS = 2
RATE_KEPT = 0.8
OPERATIONS_PER_S = 5_000
BINDINGS = 3
LOG_FILES = 6  # a shard's: the window and what is being written
BYTES_PER_QUEUE = 1536 + BINDINGS * 200
CHUNK = 1000

LOAD = ("--size", "100", "--persistent", "--durable", "--confirm", "10000")
ACKED = ("--ack-every", "100", "--prefetch", "1000")
SINGLE = ("--ack-every", "1", "--ack-single")


def check(wrong, condition, text):
    """Everything is measured before a scenario fails."""
    if not condition:
        wrong.append(text)


def judge(wrong):
    assert not wrong, "; ".join(wrong)


def check_resident(wrong, broker):
    if broker.is_plain:
        check(wrong, broker.peak <= RESIDENT_MIB, f"{broker.peak:.0f} MiB resident")


def say_tenths(broker, what, result):
    """Prints how the rate changed over a run; gives what is left of it, or None."""
    if not result.get("last_tenth_per_s"):
        broker.say(f"{what}: over too soon for rates")
        return None
    first, last = result["first_tenth_per_s"], result["last_tenth_per_s"]
    busy = [result[f"{which}_tenth_per_broker_cpu_s"] for which in ("first", "last")]
    broker.say(
        f"{what}: {first:,.0f}/s in the first tenth, {last:,.0f}/s in the last one "
        f"({last / max(first, 1):.2f}); per broker-CPU-second {busy[0]:,.0f} and {busy[1]:,.0f} "
        f"({busy[1] / max(busy[0], 1):.2f}); {result['broker_resident_peak'] >> 20} MiB at most"
    )
    return last / first


def check_tenths(wrong, broker, what, result):
    """In a large run a rate has to be kept."""
    kept = say_tenths(broker, what, result)
    is_large = max(result["published"], result["delivered"]) >= LARGE_MESSAGES
    if broker.is_plain and is_large:
        check(wrong, kept and kept >= RATE_KEPT, f"{what}: {kept} of its rate is left")


def check_drained(wrong, what, result, count, redelivered):
    """All are there once, in order, said to be what they are; and nothing is left."""
    check(wrong, result["good"], f"{what}: {result}")
    check(wrong, result["delivered"] == count, f"{what}: {result['delivered']} of {count} came")
    check(wrong, result["left"] == 0, f"{what}: {result['left']} are left after the last ack")
    check(
        wrong,
        result["redelivered"] == redelivered,
        f"{what}: {result['redelivered']} were redelivered, not {redelivered}",
    )


def backlog(options):
    """First delivery counts from the start of the process, as a user waits from then on."""
    count, wrong = options.messages, []
    with Measured("backlog") as broker:
        result = broker.bench(*LOAD, "--messages", count, "--publish-only", "--keep")
        check(wrong, result["good"] and result["confirmed"] == count, f"publishing: {result}")
        check_tenths(wrong, broker, "publish", result)
        broker.kill_and_restart()
        drained = broker.bench("--drain", "--messages", count, *ACKED)
        seconds = broker.ready_seconds + drained["first_delivery_s"]
        broker.say(f"first delivery {seconds:.2f} s after the restart began")
        check_tenths(wrong, broker, "drain", drained)
        # After a crash nobody knows any more what had been delivered, so all are marked.
        check_drained(wrong, "drain", drained, count, count)
        check(wrong, drained["whole"], "not every number from the first to the last came")
        check_resident(wrong, broker)
        if broker.is_plain:
            check(wrong, seconds < RESTART_SECONDS, f"first delivery after {seconds:.2f} s")
    judge(wrong)


def held(options):
    """Every so many-th message stays unacked, so that holes are all over the queue's past."""
    every = max(options.stream // OLD, 2)
    count, wrong = options.stream // every, []
    with Measured("held") as broker:
        result = broker.bench(
            *LOAD, *SINGLE, "--messages", options.stream, "--hold", every, "--keep"
        )
        check(wrong, result["good"], f"stream: {result}")
        check(wrong, result["left"] == count, f"{result['left']} of {count} went back")
        say_tenths(broker, "stream", result)
        check_drained(wrong, "drain", broker.bench("--drain", *SINGLE), count, count)
        check_resident(wrong, broker)
    judge(wrong)


def alternate(options):
    """Every second message stays: what is gone is said again for each log file that is given up, and
    that must not fill more than is given up."""
    total, wrong = options.stream // 3, []
    count = total // 2
    with Measured("alternate") as broker:
        result = broker.bench(*LOAD, *SINGLE, "--messages", total, "--hold", 2, "--keep")
        check(wrong, result["good"], f"stream: {result}")
        check(wrong, result["left"] == count, f"{result['left']} of {count} went back")
        say_tenths(broker, "stream", result)
        logs = len(glob.glob(os.path.join(broker.data_dir, "log-*")))
        broker.say(f"{logs} log files")
        check(wrong, logs <= LOG_FILES, f"{logs} log files are needed")
        broker.kill_and_restart()
        broker.say(f"ready {broker.ready_seconds:.2f} s after the restart")
        check_drained(wrong, "drain", broker.bench("--drain", *SINGLE), count, count)
        if broker.is_plain:
            check(wrong, broker.ready_seconds < RESTART_SECONDS,
                  f"ready after {broker.ready_seconds:.2f} s")  # fmt: skip
    judge(wrong)


def beside_a_stream(options, name, old_options, redelivered):
    """A second client that publishes its messages one by one for as long as the stream takes."""
    wrong = []
    with Measured(name) as broker:
        sample = broker.bench(*LOAD, *ACKED, "--messages", max(options.stream // 20, 1))
        seconds = options.stream / sample["delivered_per_s"]
        rate = OLD / (1.2 * seconds)
        command = ("--size", "100", "--messages", OLD, "--rate", f"{rate:.3f}", "--keep",
                   "--prefix", "old", "--durable", *old_options)  # fmt: skip
        old = spawn(bench_command(broker, *command))
        try:
            result = broker.bench(*LOAD, *ACKED, "--messages", options.stream)
            check(wrong, old.poll() is None, "the old messages were there before the stream ended")
            fill = finish(old)
        finally:
            if old.poll() is None:
                old.kill()
        broker.sample()
        check(wrong, result["good"], f"stream: {result}")
        check(wrong, fill["good"] and fill["published"] == OLD, f"old messages: {fill}")
        say_tenths(broker, "stream", result)
        drained = broker.bench("--drain", *SINGLE, "--messages", OLD, "--prefix", "old")
        check_drained(wrong, "drain", drained, OLD, redelivered)
        check(wrong, drained["whole"], "not every number from the first to the last came")
        check_resident(wrong, broker)
    judge(wrong)


def unacked(options):
    beside_a_stream(options, "unacked", ("--persistent", *SINGLE, "--hold", "1"), OLD)


def transient(options):
    beside_a_stream(options, "transient", ("--publish-only",), 0)


def method(name, **values):
    return codec.frame(codec.METHOD, 1, codec.encode_method(name, **values))


def declarations(first, count):
    """The frames of so many queues, for whose answers nobody waits."""
    frames = []
    for number in range(first, first + count):
        queue = f"queue.{number}"
        frames.append(method("queue.declare", queue=queue, durable=True, nowait=True))
        frames += [
            method("queue.bind", queue=queue, exchange="amq.topic",
                   routing_key=f"key.{number}.{binding}", nowait=True)
            for binding in range(BINDINGS)
        ]  # fmt: skip
    return b"".join(frames)


def declare_all(count):
    """Seconds until one more durable queue is said to be on the disk, and so all before it are."""
    chunks = [
        declarations(first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)
    ]  # encoded before: the client's time is not what counts
    peer = wire.connect_with_channel()
    peer.socket.settimeout(600)
    began = time.monotonic()
    for chunk in chunks:
        peer.send(chunk)
    peer.call(1, "queue.declare", queue="the last one", durable=True)
    seconds = time.monotonic() - began
    peer.close()
    return seconds


def check_topology(wrong, broker, count):
    """Nothing but what was declared, and the default exchange's bindings."""
    queues = broker.ctl("list_queues", "name", "--no-table-headers")
    names = {f"queue.{number}" for number in range(count)} | {"the last one"}
    check(wrong, set(queues) == names, f"{len(queues)} queues instead of {count + 1}")
    bindings = broker.ctl("list_bindings", "source_name", "routing_key", "--no-table-headers")
    keys = {line.split("\t")[1] for line in bindings if line.startswith("amq.topic\t")}
    expected = {f"key.{number}.{which}" for number in range(count) for which in range(BINDINGS)}
    check(wrong, keys == expected, f"{len(keys)} bindings instead of {len(expected)}")


def queues(options):
    count, wrong = options.queues, []
    with Measured("queues") as broker:
        harness.PORT = broker.port
        before = broker.resident_kib() * 1024
        seconds = declare_all(count)
        operations = count * (1 + BINDINGS) / seconds
        each = (broker.resident_kib() * 1024 - before) / count
        broker.say(f"{operations:,.0f} operations/s, {each:,.0f} bytes resident per queue")
        broker.kill_and_restart()
        after = (broker.resident_kib() * 1024 - before) / count
        broker.say(
            f"ready {broker.ready_seconds:.2f} s after the restart, "
            f"{after:,.0f} bytes resident per queue then"
        )
        check_topology(wrong, broker, count)
        if broker.is_plain:
            check(wrong, operations >= OPERATIONS_PER_S, f"{operations:.0f} operations/s")
            check(wrong, broker.ready_seconds < RESTART_SECONDS,
                  f"ready after {broker.ready_seconds:.2f} s")  # fmt: skip
        if broker.is_plain and count >= LARGE_QUEUES:
            check(wrong, each <= BYTES_PER_QUEUE, f"{each:.0f} bytes resident per queue")
    judge(wrong)


ALL = {
    "backlog": backlog,
    "held": held,
    "alternate": alternate,
    "unacked": unacked,
    "transient": transient,
    "queues": queues,
}
