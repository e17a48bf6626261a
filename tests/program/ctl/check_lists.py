"""Long lists, and lists of what changes while it is listed."""

import collections
import subprocess
import threading

import broker
import desk
import scene
import wire
from harness import check

SHARDS = ("1", "3")


def declare(client, names, **options):
    for name in names:
        client.method(1, "queue.declare", queue=name, **options)
    for _ in names:
        client.expect("queue.declare-ok", 1)


def delete(client, names):
    for name in names:
        client.method(1, "queue.delete", queue=name)
    for _ in names:
        client.expect("queue.delete-ok", 1)


@check(seconds=60)
def ten_thousand_queues_are_listed_while_publishing_goes_on():
    for shards in SHARDS:
        one = scene.start("--shards", shards)
        client = wire.connect_with_channel()
        names = [f"q{number:05}" for number in range(10_000)]
        declare(client, names)
        client.call(1, "confirm.select")
        listing = subprocess.Popen(
            [broker.PROGRAM, "ctl", "--data-dir", one.data_dir, "-s", "list_queues", "name"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = []
        reader = threading.Thread(target=lambda: said.extend(listing.stdout.read().splitlines()))
        reader.start()
        for name in names[:2000]:
            client.publish(1, "", name, b"x")
        reader.join()
        assert listing.wait() == 0
        assert sorted(said) == names, len(said)
        confirmed = 0
        while confirmed < 2000:
            confirmed = max(confirmed, client.expect("basic.ack", 1).delivery_tag)
        counts = collections.Counter(
            row["messages"] for row in desk.rows(one, "list_queues", "name", "messages")
        )
        assert counts == {1: 2000, 0: 8000}, counts
        assert len(desk.rows(one, "list_bindings")) == 10_000
        one.stop()


@check(seconds=60)
def what_stays_is_listed_once_while_others_come_and_go():
    one = scene.start("--shards", "3")
    client, other = wire.connect_with_channel(), wire.connect_with_channel()
    stay = [f"stay{number:04}" for number in range(1500)]
    come = [f"come{number:04}" for number in range(3000)]
    declare(client, stay)
    done = threading.Event()

    def churn():
        while not done.is_set():
            declare(other, come)
            delete(other, come)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(5):
            answer = desk.Guest(one, desk.queues(("name",))).read()
            assert answer.pop() == {"ok": True}
            counts = collections.Counter(name for (name,) in answer)
            assert all(counts[name] == 1 for name in stay), counts
            assert max(counts.values()) == 1, counts.most_common(3)
    finally:
        done.set()
        thread.join()
    one.stop()


@check(seconds=60)
def all_channels_and_consumers_of_many_connections_are_listed():
    for shards in SHARDS:
        one = scene.start("--shards", shards)
        first = wire.connect_with_channel()
        declare(first, ["a", "b"])
        clients = [first]
        for number in range(40):
            client = wire.connect_with_channel()
            for channel in range(2, 2 + number % 7):
                client.call(channel, "channel.open")
                client.call(channel, "basic.consume", queue="ab"[channel % 2])
            clients.append(client)
        for number in range(1500):
            first.method(1, "basic.consume", queue="a", tag=f"t{number}")
        for _ in range(1500):
            first.expect("basic.consume-ok", 1)
        channels = sum(number % 7 for number in range(40)) + 41
        shown = desk.rows(one, "list_channels", "connection", "number", "consumer_count")
        assert len(shown) == channels, (len(shown), channels)
        assert len({(row["connection"], row["number"]) for row in shown}) == channels
        consumers = desk.rows(one, "list_consumers", "channel_pid", "consumer_tag", "queue_name")
        assert len(consumers) == channels - 41 + 1500, len(consumers)
        assert sum(row["consumer_count"] for row in shown) == len(consumers)
        assert len({(row["channel_pid"], row["consumer_tag"]) for row in consumers}) == len(consumers)
        connections = desk.rows(one, "list_connections", "pid", "channels")
        assert len(connections) == 41
        assert sum(row["channels"] for row in connections) == channels
        one.stop()


@check(seconds=60)
def bindings_of_one_queue_are_all_listed():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    declare(client, ["q"])
    keys = [f"key.{number}" for number in range(5000)]
    for key in keys:
        client.method(1, "queue.bind", queue="q", exchange="amq.topic", routing_key=key)
    for _ in keys:
        client.expect("queue.bind-ok", 1)
    shown = [row["routing_key"] for row in desk.rows(one, "list_bindings", "routing_key")]
    assert sorted(shown) == sorted([*keys, "q"]), len(shown)
    one.stop()


@check
def short_lists_come_in_order():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    names = [f"q{number:03}" for number in range(900)]
    declare(client, names[::-1])
    assert desk.output(one, "-s", "list_queues", "name").splitlines() == names
    exchanges = desk.output(one, "-s", "list_exchanges", "name").splitlines()
    assert exchanges == sorted(exchanges), exchanges


@check
def names_that_would_break_a_row_are_shown_with_octal_digits():
    one = scene.start()
    client = wire.connect_with_channel()
    declare(client, ["a\tb\033[31m", "täst"])
    said = desk.output(one, "-s", "list_queues", "name").splitlines()
    assert said == ["a\\011b\\033[31m", "täst"], said
    assert ["a\tb\033[31m"] in [list(row.values()) for row in desk.rows(one, "list_queues", "name")]


@check
def queues_of_all_shards_are_listed_with_their_own_counts():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    names = [f"q{number:02}" for number in range(30)]
    declare(client, names)
    client.call(1, "confirm.select")
    for number, name in enumerate(names):
        for _ in range(number):
            client.publish(1, "", name, b"x")
    total = sum(range(30))
    confirmed = 0
    while confirmed < total:
        confirmed = max(confirmed, client.expect("basic.ack", 1).delivery_tag)
    said = desk.output(one, "-s", "list_queues").splitlines()
    assert said == [f"{name}\t{number}" for number, name in enumerate(names)], said
    assert desk.status(one)["totals"]["messages_ready"] == total
