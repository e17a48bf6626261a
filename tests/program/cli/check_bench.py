"""The load generator finds no fault where there is none, and finds faults where there are some."""

import json
import os
import signal
import subprocess

from harness import check, cleanup, unique
from shell import PATIENCE, PROGRAM, URL, delete, leveret, refused


def bench(*arguments, code=0, url=URL):
    out, _ = leveret("bench", "--json", "--prefix", unique("b")[:40], *arguments, code=code, url=url)
    return json.loads(out)


def assert_complete(result, published, copies=1):
    assert result["good"], result
    assert result["published"] == published, result
    assert result["delivered"] == published * copies, result
    for fault in ("lost", "duplicated", "reordered", "misrouted", "foreign", "refused"):
        assert result[fault] == 0, result


@check
def a_small_run_is_complete():
    result = bench("--messages", "20000")
    assert_complete(result, 20000)
    assert result["latency_p50_us"] > 0, result


@check
def confirms_and_acks_are_counted():
    result = bench("-n", "5000", "--size", "1024", "--confirm", "100", "--prefetch", "50",
                   "--ack-every", "10", "--persistent", "--durable")  # fmt: skip
    assert_complete(result, 5000)
    assert result["confirmed"] == 5000 and result["confirm_p50_us"] > 0, result


@check
def every_message_may_be_acked_by_itself():
    assert_complete(
        bench("-n", "3000", "--ack-every", "1", "--ack-single", "--prefetch", "20"), 3000
    )


@check
def bodies_may_be_larger_than_a_frame():
    assert_complete(bench("-n", "40", "--size", "300000"), 40)


@check
def producers_consumers_and_queues_may_be_many():
    assert_complete(bench("-n", "10000", "-p", "5", "-c", "6", "-q", "3"), 10000)


@check
def the_relay_writes_what_is_persistent():
    url, process = relay_and_process("--log", ".")
    load = ("-n", "500", "--confirm", "1", "--size", "1024")

    def written():
        with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
            return int(dict(line.split(": ") for line in file.read().splitlines())["wchar"])

    before = written()
    assert_complete(bench(*load, url=url), 500)
    transient = written()
    assert transient - before < 1024, (before, transient)
    assert_complete(bench(*load, "--persistent", url=url), 500)
    assert written() - transient >= 500 * 1024, (transient, written())


@check
def a_backlog_is_drained_and_checked():
    name = unique("b")[:40]
    cleanup(delete, f"{name}-0")
    fill = bench("-n", "3000", "--publish-only", "--keep", "--durable", "--persistent",
                 "--prefix", name, "--confirm", "100")  # fmt: skip
    assert fill["good"], fill
    result = bench("--drain", "-n", "3000", "--prefix", name, "--ack-every", "1", "--ack-single")
    assert result["good"] and result["whole"] and result["delivered"] == 3000, result
    assert result["left"] == 0 and result["first_delivery_s"] > 0, result


@check
def held_messages_go_back_and_are_drained():
    name = unique("b")[:40]
    cleanup(delete, f"{name}-0")
    result = bench("-n", "3000", "--ack-every", "1", "--ack-single", "--hold", "100", "--keep",
                   "--prefix", name)  # fmt: skip
    assert result["good"] and result["left"] == 30, result
    result = bench("--drain", "--prefix", name, "--ack-every", "1", "--ack-single")
    assert result["good"] and not result["whole"] and result["redelivered"] == 30, result


@check
def a_drain_of_less_than_was_meant_is_no_run():
    name = unique("b")[:40]
    cleanup(delete, f"{name}-0")
    bench("-n", "10", "--publish-only", "--keep", "--prefix", name)
    _, errors = leveret("bench", "--drain", "-n", "11", "--prefix", name, code=1)
    assert "10 messages wait there, not 11" in errors, errors


@check
def a_sync_of_the_disk_is_measured():
    out, _ = leveret("bench", "fsync", "--json", "--dir", ".", "--duration", "0.1")
    result = json.loads(out)
    assert result["good"] and 0 < result["fsync_p50_us"] <= result["fsync_p99_us"], result
    _, errors = leveret("bench", "fsync", "--dir", "/no/such/place", code=1)
    assert "/no/such/place" in errors, errors


@check
def a_fanout_reaches_all_queues():
    assert_complete(bench("-n", "3000", "-x", "fanout", "-q", "4", "-c", "4"), 3000, copies=4)


@check
def a_direct_exchange_routes_by_key():
    result = bench("-n", "3000", "-x", "direct", "-q", "4", "-c", "4", "--bindings", "40")
    assert_complete(result, 3000)


@check
def a_rate_is_kept():
    result = bench("--rate", "500", "--duration", "1", "--warmup", "0.2")
    assert result["good"] and 400 < result["published_per_s"] < 600, result


@check
def publishing_alone_waits_until_the_broker_has_read_it():
    result = bench("-n", "2000", "--publish-only")
    assert result["good"] and result["published"] == 2000 and result["delivered"] == 0, result


@check
def connections_come_and_go():
    result = bench("--churn", "2", "--duration", "0.5", "--warmup", "0.1")
    assert result["good"] and result["cycles"] > 0 and result["lost"] == 0, result


@check
def channels_queues_and_bindings_come_and_go():
    for kind in ("channel", "queue", "binding"):
        result = bench("--churn", "2", "--cycle", kind, "--duration", "0.3", "--warmup", "0")
        assert result["good"] and result["cycle"] == kind, result
        assert result["cycles"] > 0 and result["lost"] == 0, result


@check
def a_run_ends_when_its_time_is_up():
    name = unique("b")[:40]
    arguments = ("bench", "--prefix", name, "--rate", "100", "--duration", "60", "--limit", "0.5")
    _, said = leveret(*arguments, code=1)
    assert "not over after 0.5 s" in said and "it still publishes" in said, said
    delete(f"{name}-0")


@check
def a_broker_that_stands_still_does_not_hold_a_run_up():
    url, process = relay_and_process()
    process.send_signal(signal.SIGSTOP)
    _, said = leveret("bench", "-n", "100", "--limit", "1", url=url, code=1)
    assert "it still declares and connects" in said, said


@check
def idle_connections_are_weighed():
    pid = os.environ.get("LEVERET_PID", str(os.getpid()))
    result = bench("--idle", "20", "--duration", "0.1", "--pid", pid)
    assert result["good"] and result["connections"] == 20, result
    assert "bytes_per_connection" in result, result


@check
def processor_time_of_a_process_is_measured():
    result = bench("-n", "2000", "--pid", str(os.getpid()))
    assert result["broker_resident_peak"] > 0 and "messages_per_broker_cpu_s" in result, result
    refused("bench", "-n", "1", "--pid", "999999999", "--prefix", unique("b")[:40],
            word="999999999")  # fmt: skip


@check
def people_get_a_list():
    out, _ = leveret("bench", "-n", "100", "--prefix", unique("b")[:40])
    assert b"messages per bench cpu s" in out and b"good                         yes" in out, out


@check
def contradictions_are_usage_errors():
    refused("bench", "--ack-single", word="--ack-every")
    refused("bench", "--prefetch", "10", word="--ack-every")
    refused("bench", "--prefetch", "10", "--ack-every", "20", word="--prefetch")
    refused("bench", "-x", "headers", word="topic")
    refused("bench", "--size", "8", word="16")
    refused("bench", "-x", "fanout", "-q", "2", word="--consumers")
    refused("bench", "--pid", "x", word="process")
    refused("bench", "--cycle", "queue", word="--churn")
    refused("bench", "--churn", "1", "--cycle", "exchange", word="binding")


def relay_and_process(*arguments):
    """The URL of a relay that has just started, and its process."""
    process = subprocess.Popen(
        [PROGRAM, "bench", "relay", "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE, text=True,
    )
    cleanup(process.wait)
    cleanup(process.kill)
    line = process.stdout.readline()
    assert line.startswith("ready"), line
    return f"amqp://{line.split()[-1]}/", process


def relay():
    return relay_and_process()[0]


@check
def the_relay_passes_everything_on():
    url = relay()
    assert_complete(bench("-n", "20000", url=url), 20000)
    assert_complete(bench("-n", "200", "--size", "200000", "--confirm", "10", url=url), 200)
    assert_complete(bench("-n", "2000", "-x", "fanout", "-q", "3", "-c", "3", url=url), 2000, 3)
    assert_complete(bench("-n", "2000", "-x", "topic", "--bindings", "50", url=url), 2000)
    assert_complete(bench("-n", "2000", "-p", "3", "-q", "3", "-c", "3", url=url), 2000)


@check(seconds=40)
def losses_are_found():
    # The relay keeps nothing: what is published while nobody consumes is lost.
    url = relay()
    name = unique("lossy")[:40]
    result = bench("-n", "1000", "--publish-only", "--keep", url=url)
    assert result["good"], result
    out = subprocess.run(
        [PROGRAM, "bench", "--json", "--prefix", name, "--churn", "1", "--duration", "0.3",
         "--warmup", "0"],
        capture_output=True, timeout=PATIENCE, check=False,
        env={**os.environ, "LEVERET_URL": url},
    )  # fmt: skip
    lost = json.loads(out.stdout)
    assert out.returncode == 1 and not lost["good"], lost
    assert lost["lost"] == lost["cycles"] > 0, lost
