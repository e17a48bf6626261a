"""kill -9 under load, again and again: what was confirmed is there, what comes twice says so."""

import random

import client
from harness import check
from keeping import IS_LONG, Store, durable_queue
from load import Consumer, Producer, drain

ROUNDS = 200 if IS_LONG else 6
QUEUES = ["q0", "q1", "q2", "q3"]


def verify(confirmed, published, seen):
    lost = sorted(confirmed - seen.keys())
    assert not lost, f"{len(lost)} confirmed messages are lost, {lost[:5]} …"
    strange = sorted(number for number in seen if not 0 <= number < published)
    assert not strange, f"nobody published {strange[:5]}"
    twice = [number for number, flags in seen.items() if not all(flags[1:])]
    assert not twice, f"{len(twice)} came again as if new: {[(n, seen[n]) for n in twice[:5]]}"


def kill_again_and_again(shards, seed, *settings):
    draw = random.Random(seed)
    store = Store(shards, "kill", *settings)
    chan = client.channel()
    for queue in QUEUES:
        durable_queue(chan, queue)
    confirmed, seen, published = set(), {}, 0
    for _ in range(ROUNDS):
        size = draw.choice((20, 40, 3000, 30000))
        producer = Producer(QUEUES, published, draw.choice((1, 50, 1000)), size)
        consumer = Consumer(QUEUES[: draw.randrange(len(QUEUES) + 1)], seen)
        producer.start()
        consumer.start()
        producer.wait_confirmed(draw.randrange(1, 2000) if producer.window > 1 else 50)
        store.broker.kill()
        producer.join_all()
        consumer.join(30)
        assert consumer.failure is None, consumer.failure
        confirmed |= producer.confirmed
        published += producer.sent
        store.resume()
    drain(QUEUES, seen)
    verify(confirmed, published, seen)
    store.broker.stop()


SECONDS = 3600 if IS_LONG else 120


@check(seconds=SECONDS)
def one_shard_loses_nothing_that_it_confirmed():
    kill_again_and_again(1, 1)


@check(seconds=SECONDS)
def three_shards_lose_nothing_that_they_confirmed():
    kill_again_and_again(3, 2)


@check(seconds=SECONDS)
def what_the_system_has_survives_the_process():
    kill_again_and_again(1, 3, "--set", "durability=os")
