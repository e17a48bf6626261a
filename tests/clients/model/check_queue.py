"""One queue and a random script, step by step beside the model.

Several channels on several connections publish, get, consume, settle, cancel and close. The next
step waits for all that the one before brings about, so nothing is under way when it begins: then
every delivery has one right body, tag and `redelivered`, and every count one right value.
"""

import os
import random

import harness
import model
import scratch
import wire

CONNECTIONS = 3
CHANNELS = 2
DEPTH = 60  # above this nothing is published
SIZES = (0, 1, 16, 100, 4096, 4097, 20_000, 140_000)  # bytes of padding
PERSISTENT = (0x1000, b"\2")
TRANSIENT = (0, b"")


class Seat(model.Channel):
    """A channel, as the script sees it."""

    def __init__(self, link, number):
        super().__init__()
        self.link = link
        self.number = number
        self.published = 0
        self.unconfirmed = set()
        self.deliveries = []
        self.cancels = []

    def open(self):
        self.call("channel.open")
        self.call("confirm.select")

    def call(self, name, **values):
        """The reply; what comes before it is noted."""
        self.link.wire.method(self.number, name, **values)
        return self.link.wait_for(self, name + "-ok")

    def method(self, name, **values):
        self.link.wire.method(self.number, name, **values)

    def note(self, method):
        """Takes what may come at any time; false when it is something else."""
        if method.name == "basic.deliver":
            self.deliveries.append(method)
        elif method.name == "basic.cancel":
            self.cancels.append(method.tag)
        elif method.name == "basic.ack":
            done = {
                tag
                for tag in self.unconfirmed
                if tag == method.delivery_tag or (method.multiple and tag < method.delivery_tag)
            }
            assert done, f"a confirm of nothing: {method}"
            self.unconfirmed -= done
        else:
            return False
        return True


class Link:
    """A connection with its channels."""

    def __init__(self):
        self.wire = wire.connect()
        self.seats = [Seat(self, number) for number in range(1, CHANNELS + 1)]
        for seat in self.seats:
            seat.open()

    def read(self):
        """Takes one method; gives it when it is nobody's news."""
        method = self.wire.read()
        assert 1 <= method.channel <= CHANNELS, f"on no channel of ours: {method}"
        return None if self.seats[method.channel - 1].note(method) else method

    def wait_for(self, seat, *names):
        while True:
            method = self.read()
            if method is not None:
                assert method.channel == seat.number and method.name in names, (
                    f"expected {' or '.join(names)} on channel {seat.number}, got {method}"
                )
                return method

    def wait_until(self, condition):
        while not condition():
            method = self.read()
            assert method is None, f"nobody asked for {method}"


class Script:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.links = [Link() for _ in range(CONNECTIONS)]
        self.number = 0  # of the last message
        self.consumers = 0  # so many there were
        self.did = "nothing"
        self._declare(self._seat())

    def _seat(self):
        return self.random.choice(self.random.choice(self.links).seats)

    def _declare(self, seat):
        """By a new name: RabbitMQ takes what is settled of a queue that is gone to be of the one
        that has its name."""
        self.queue, self.name = model.Queue(), scratch.queue_name()
        declared = seat.call("queue.declare", queue=self.name, durable=True)
        assert (declared.message_count, declared.consumer_count) == (0, 0), declared

    # ---- the steps; each gives the channel that acted

    def publish(self, seat):
        if len(self.queue.ready) > DEPTH:
            return seat
        for _ in range(self.random.choice((1, 1, 2, 3, 10))):
            self.number += 1
            body = b"%d " % self.number + b"x" * self.random.choice(SIZES)
            flags, properties = self.random.choice((TRANSIENT, PERSISTENT))
            seat.published += 1
            seat.unconfirmed.add(seat.published)
            seat.link.wire.publish(
                seat.number, "", self.name, body, flags=flags, properties=properties
            )
            self.queue.publish(body)
        self.did = f"publish up to {self.number}"
        seat.link.wait_until(lambda: not seat.unconfirmed)
        return seat

    def get(self, seat):
        no_ack = self.random.random() < 0.4
        self.did = f"get no_ack={no_ack}"
        expected = self.queue.get(seat, no_ack)
        seat.method("basic.get", queue=self.name, no_ack=no_ack)
        got = seat.link.wait_for(seat, "basic.get-ok", "basic.get-empty")
        if expected is None:
            assert got.name == "basic.get-empty", got
        else:
            assert got.name == "basic.get-ok", f"{got}, but there is {expected[2][:20]}"
            self._same(got, expected)
            assert got.message_count == len(self.queue.ready), got
        return seat

    def settle(self, seat):
        if not seat.unacked:
            return seat
        name = self.random.choice(("basic.ack", "basic.ack", "basic.nack", "basic.reject"))
        multiple = name != "basic.reject" and self.random.random() < 0.3
        requeue = name != "basic.ack" and self.random.random() < 0.7
        held = self.random.choice(seat.unacked)
        tag, chosen = held.tag, [held]
        if multiple:
            tag = self.random.choice((0, held.tag, held.tag))
            chosen = [one for one in seat.unacked if tag == 0 or one.tag <= tag]
        values = {"delivery_tag": tag}
        if name != "basic.reject":
            values["multiple"] = multiple
        if name != "basic.ack":
            values["requeue"] = requeue
        if requeue:
            self._step_aside(chosen)
        self.did = f"{name} {values}"
        model.settle(seat, chosen, requeue)
        seat.method(name, **values)
        return seat

    def _step_aside(self, chosen):
        """RabbitMQ takes back what several consumers held in one go for each of them; who consumes
        may get some of it in between. So nobody does."""
        if len({held.consumer for held in chosen}) > 1 and self.queue.consumer is not None:
            self.after(self.cancel(None))

    def consume(self, seat):
        if self.queue.consumer is not None:
            return self.cancel(seat)
        prefetch = self.random.choice((0, 1, 1, 2, 5))
        no_ack = self.random.random() < 0.2
        self.consumers += 1
        tag = f"c{self.consumers}"
        self.did = f"consume {tag} prefetch={prefetch} no_ack={no_ack}"
        self.queue.consumer = model.Consumer(seat, tag, prefetch, no_ack)
        seat.call("basic.qos", prefetch_count=prefetch)
        seat.call("basic.consume", queue=self.name, tag=tag, no_ack=no_ack)
        return seat

    def cancel(self, seat):
        consumer = self.queue.consumer
        if consumer is None:
            return seat
        self.did = f"cancel {consumer.tag}"
        self.queue.consumer = None
        consumer.channel.call("basic.cancel", tag=consumer.tag)
        return consumer.channel

    def recover(self, seat):
        self._step_aside(seat.unacked)
        self.did = "recover"
        model.settle(seat, list(seat.unacked), requeue=True)
        seat.call("basic.recover", requeue=True)
        return seat

    def purge(self, seat):
        self.did = "purge"
        count = len(self.queue.ready)
        self.queue.ready.clear()
        purged = seat.call("queue.purge", queue=self.name)
        assert purged.message_count == count, f"{purged}, but {count} were ready"
        return seat

    def delete(self, seat):
        """And declare anew; what is held of the old one goes nowhere."""
        self.did = "delete"
        old = self.queue
        deleted = seat.call("queue.delete", queue=self.name)
        assert deleted.message_count == len(old.ready), f"{deleted}, {len(old.ready)} were ready"
        if old.consumer is not None:
            theirs = old.consumer.channel
            theirs.link.wait_until(lambda: theirs.cancels)
            assert theirs.cancels.pop() == old.consumer.tag
            old.consumer = None
        self._declare(seat)
        return seat

    def settle_unknown(self, seat):
        """An error that closes the channel, which is opened again."""
        tag = seat.last_tag + 1
        self.did = f"ack unknown {tag}"
        seat.method("basic.ack", delivery_tag=tag)
        close = seat.link.wait_for(seat, "channel.close")
        text = f"PRECONDITION_FAILED - unknown delivery tag {tag}"
        assert (close.code, close.text) == (406, text), close
        seat.method("channel.close-ok")
        return self._reopen(seat)

    def close_channel(self, seat):
        self.did = "close channel"
        seat.call("channel.close", code=200)
        return self._reopen(seat)

    def _reopen(self, seat):
        self._forget(seat)
        fresh = Seat(seat.link, seat.number)
        seat.link.seats[seat.number - 1] = fresh
        fresh.open()
        return fresh

    def _forget(self, seat):
        """Nothing may have come that was not looked at."""
        if self.queue.consumer is not None and self.queue.consumer.channel is seat:
            self.queue.consumer = None
        model.close(seat)
        assert not seat.deliveries, seat.deliveries

    def close_connection(self, seat):
        """Its channels end in any order. A consumer that would take in between what one of them
        gives back is cancelled first, since then nobody could say what it gets."""
        link, consumer = seat.link, self.queue.consumer
        if consumer is not None and (consumer.no_ack or consumer.channel.link is not link):
            self.after(self.cancel(seat))
        politely = self.random.random() < 0.5
        self.did = "close connection" if politely else "drop connection"
        if politely:
            link.wire.close()
        link.wire.socket.close()
        for one in link.seats:
            self._forget(one)
        self.links[self.links.index(link)] = Link()
        return self._seat()

    # ---- what must hold behind each of them

    def _same(self, method, expected):
        tag, redelivered, body = expected
        seen = (method.delivery_tag, bool(method.redelivered), method.body)
        assert seen == expected, (
            f"tag, redelivered, body: {seen[:2]} {seen[2][:20]} ({len(seen[2])} bytes), expected "
            f"{(tag, redelivered)} {body[:20]} ({len(body)} bytes)"
        )
        assert (method.exchange, method.routing_key) == ("", self.name), method

    def after(self, seat):
        """All that the step brings about is here when the deliveries and the counts are."""
        consumer = self.queue.consumer
        expected = self.queue.deliver()
        if consumer is not None:
            self._expect_deliveries(consumer, expected)
        self._expect_counts(seat, int(consumer is not None))
        for link in self.links:
            for one in link.seats:
                assert not one.deliveries and not one.cancels, (one.deliveries, one.cancels)

    def _expect_deliveries(self, consumer, expected):
        came = consumer.channel.deliveries
        try:
            consumer.channel.link.wait_until(lambda: len(came) >= len(expected))
        except TimeoutError:
            raise AssertionError(f"{len(came)} deliveries, expected {len(expected)}") from None
        for method, one in zip(came, expected):
            self._same(method, one)
            assert method.tag == consumer.tag, method
        del came[: len(expected)]

    def _expect_counts(self, seat, consumers):
        """RabbitMQ's queue answers this question before those that came earlier."""
        expected = (len(self.queue.ready), consumers)

        def is_so():
            declared = seat.call("queue.declare", queue=self.name, passive=True)
            return (declared.message_count, declared.consumer_count) == expected

        harness.eventually(is_so, f"messages and consumers are {expected}")

    STEPS = (
        (30, publish),
        (15, get),
        (35, settle),
        (8, consume),
        (4, cancel),
        (3, recover),
        (3, close_channel),
        (2, close_connection),
        (1, settle_unknown),
        (1, purge),
        (1, delete),
    )

    def step(self):
        weights, steps = zip(*self.STEPS)
        (step,) = self.random.choices(steps, weights)
        self.after(step(self, self._seat()))


def follow(seed, steps):
    script = Script(seed)
    for number in range(1, steps + 1):
        try:
            script.step()
        except (Exception, harness.TimedOut) as error:
            reason = str(error) or type(error).__name__
            raise AssertionError(f"step {number}, {script.did}: {reason}") from error
        if os.environ.get("LEVERET_CHECK_TRACE"):
            print(f"  {seed}.{number} {script.did}", flush=True)


def add(seed, steps):
    """A check for this seed."""

    def one():
        follow(seed, steps)

    one.__name__ = f"keeps_to_the_model_for_{steps}_steps_of_seed_{seed}"
    harness.check(one, seconds=20 + steps / 5)
