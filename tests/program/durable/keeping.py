"""Brokers that end, well or badly, and begin again over the same directory."""

import os

import client
import harness
import scene

IS_LONG = os.environ.get("LEVERET_TEST_SIZE") == "long"


class Store:
    """A broker; `again` ends it in the way that the check is about and starts it anew."""

    def __init__(self, shards, ending, *arguments, **options):
        self.ending = ending
        self.broker = scene.start("--shards", str(shards), *arguments, **options)

    def again(self):
        if self.ending == "kill":
            self.broker.kill()
        else:
            self.broker.stop()
        self.resume()

    def resume(self):
        """It has ended."""
        self.broker.process.stdout.close()
        self.broker.start()
        harness.PORT = self.broker.port


def every_way(function):
    """Four checks: with one shard and three, stopped in good order and killed."""
    for shards in (1, 3):
        for ending in ("stop", "kill"):

            def way(shards=shards, ending=ending):
                function(Store(shards, ending))

            way.__name__ = f"{function.__name__}.{ending}.{shards}"
            way.__module__ = function.__module__
            harness.check(way, seconds=60)
    return function


def confirming():
    """A channel on which publishing waits for the confirm."""
    chan = client.channel()
    chan.confirm_delivery()
    return chan


def durable_queue(chan, name, **options):
    return chan.queue_declare(name, durable=True, **options).method.queue


def got(chan, queue):
    """All there is: bodies with their redelivered flags. Acknowledged."""
    found = []
    while True:
        method, _, body = chan.basic_get(queue)
        if method is None:
            return found
        chan.basic_ack(method.delivery_tag)
        found.append((body, method.redelivered))


def bodies(chan, queue):
    return [body for body, _ in got(chan, queue)]


def numbers(first, last):
    """b"1", b"2", …"""
    return [b"%d" % number for number in range(first, last + 1)]
