"""Old messages in long company: what is settled gives its room back, what is left stays right."""

import os
import random
import socket

import client
import wire
from harness import check, eventually
from keeping import IS_LONG, Store, durable_queue
from load import Producer, drain
from watch import CREATED, RENAMED, Watch

MIB = 1 << 20
COUNT = 400_000 if IS_LONG else 40_000
SIZE = 4000
ROUNDS = 100 if IS_LONG else 6
EVERY = 1000
DEBUG = ("--set", "log.level=debug")


def sizes(store, prefix=""):
    """Of the files in the data directory whose names begin so."""
    found = {}
    for entry in os.scandir(store.broker.data_dir):
        try:
            if entry.is_file() and entry.name.startswith(prefix):
                found[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            pass  # removed meanwhile
    return found


def segments_size(store):
    return sum(sizes(store, "seg-").values())


class Holder:
    """Gets all there is of a queue and settles any of it later."""

    def __init__(self, queue):
        self.wire = wire.connect_with_channel()
        self.wire.socket.settimeout(60)
        self.tags = {}
        self.flags = {}
        self.wire.method(1, "basic.consume", queue=queue)
        self.wire.expect("basic.consume-ok", 1)

    def get(self, count):
        last = -1
        while len(self.tags) < count:
            method = self.wire.read()
            number = int(method.body.split()[0])
            assert method.body[-1:] == b"x" and len(method.body) == SIZE - 8 + len(b"%d " % number)
            assert number > last, f"{number} behind {last}"
            last = number
            self.tags[number] = method.delivery_tag
            self.flags[number] = method.redelivered

    def get_all(self, wanted, acked):
        """Until the queue has no more; those that were acknowledged may be among them."""
        missing = set(wanted)
        last = -1
        while missing:
            method = self.wire.read()
            number = int(method.body.split()[0])
            assert number > last, f"{number} behind {last}"
            assert number in wanted or (number in acked and method.redelivered), number
            last = number
            missing.discard(number)
            self.tags[number] = method.delivery_tag

    def ack(self, numbers):
        for number in numbers:
            self.wire.method(1, "basic.ack", delivery_tag=self.tags.pop(number))
        self.wire.method(1, "basic.qos", prefetch_count=0)
        self.wire.expect("basic.qos-ok", 1)


def publish(queues, count, first=0):
    producer = Producer(queues, first, 1000, SIZE)
    producer.start()
    producer.wait_confirmed(count, 300)
    producer.stop()
    published = producer.sent
    eventually(lambda: len(producer.confirmed) == published, "the confirms", 60)
    producer.wire.socket.shutdown(socket.SHUT_RDWR)
    producer.join_all()
    return published


def fill(store, queue):
    """A backlog of which every thousandth message is left, with who holds those."""
    durable_queue(client.channel(), queue)
    published = publish([queue], COUNT)
    assert segments_size(store) > COUNT * SIZE / 2, sizes(store)
    left = list(range(0, published, EVERY))
    holder = Holder(queue)
    holder.get(published)
    others = [number for number in range(published) if number % EVERY != 0]
    random.Random(1).shuffle(others)
    holder.ack(others)
    return left, holder


def expect_room(store, left):
    """The segments shrink to what is left, the whole to about the log's window."""
    eventually(
        lambda: segments_size(store) < 2 * len(left) * SIZE + MIB, "the segments' room", 30
    )
    eventually(lambda: sum(sizes(store).values()) < 160 * MIB, "the room of the log", 30)


def expect_left(queue, left, redelivered=True):
    holder = Holder(queue)
    holder.get(len(left))
    assert sorted(holder.tags) == left
    assert all(flag == redelivered for flag in holder.flags.values()), holder.flags
    holder.ack(left)
    holder.wire.close()


def room_comes_back(shards, ending):
    store = Store(shards, ending, *DEBUG)
    left, holder = fill(store, "q")
    expect_room(store, left)
    assert "event=store.merged " in store.broker.log()
    if ending == "close":
        holder.wire.close()
    else:
        store.again()
    expect_left("q", left)
    eventually(lambda: segments_size(store) == 0, "the segments' end", 30)
    store.broker.stop()


SECONDS = 1200 if IS_LONG else 120


@check(seconds=SECONDS)
def an_old_message_keeps_no_others_room():
    room_comes_back(1, "close")


@check(seconds=SECONDS)
def what_was_merged_survives_the_process():
    room_comes_back(1, "kill")


@check(seconds=SECONDS)
def what_was_merged_on_one_of_three_shards_survives():
    room_comes_back(3, "kill")


@check(seconds=SECONDS)
def what_was_merged_is_there_after_a_stop():
    room_comes_back(1, "stop")


class NextMerge:
    """The first one that begins after this was made."""

    def __init__(self, store):
        self.watch = Watch(store.broker.data_dir)
        self.store = store
        self.before = self.count()

    def count(self):
        return self.store.broker.log().count("event=store.merged ")

    def await_begin(self):
        self.watch.await_merge(CREATED)

    def await_file(self):
        self.watch.await_merge(RENAMED)

    def await_end(self):
        eventually(lambda: self.count() > self.before, "the merge's end", 30)


def kill_around_merges(shards, seed):
    """Each round leaves some of two queues' messages and is killed when their merging begins, when
    its file is there, or when it is over. What was not acknowledged is there, in order; what was
    may come again."""
    draw = random.Random(seed)
    enough = 15_000 * (1 if shards == 1 else 2)  # for every queue's shard to spill
    store = Store(shards, "kill", *DEBUG)
    queues = ["q0", "q1"]
    for queue in queues:
        durable_queue(client.channel(), queue)
    wanted, acked, published = {queue: set() for queue in queues}, set(), 0
    for turn in range(ROUNDS):
        count = publish(queues, draw.randrange(enough, enough + 10_000), published)
        for number in range(published, published + count):
            wanted[queues[number % 2]].add(number)
        published += count
        holders = [Holder(queue) for queue in queues]
        for holder, queue in zip(holders, queues):
            holder.get_all(wanted[queue], acked)
        merge = NextMerge(store)
        for holder, queue in zip(holders, queues):
            settled = [number for number in sorted(holder.tags) if draw.randrange(200) != 0]
            draw.shuffle(settled)
            acked.update(settled)
            wanted[queue].difference_update(settled)
            holder.ack(settled)
        (merge.await_begin, merge.await_file, merge.await_end)[turn % 3]()
        store.again()
        merge.watch.close()
    seen = {}
    drain(queues, seen)
    left = wanted["q0"] | wanted["q1"]
    assert left <= seen.keys(), f"lost: {sorted(left - seen.keys())[:10]}"
    assert seen.keys() <= left | acked, f"strange: {sorted(seen.keys() - left - acked)[:10]}"
    eventually(lambda: segments_size(store) == 0, "the segments' end", 30)
    store.broker.stop()


@check(seconds=SECONDS)
def killing_around_merges_loses_nothing():
    kill_around_merges(1, 1)


@check(seconds=SECONDS)
def killing_three_shards_around_merges_loses_nothing():
    kill_around_merges(3, 2)
