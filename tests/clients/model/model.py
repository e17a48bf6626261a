"""What one queue does, as naively as it can be said: a list in order, and who holds what."""


class Message:
    """A message for all its life in the queue; `place` is its turn, which it never loses."""

    def __init__(self, place, body):
        self.place = place
        self.body = body
        self.redelivered = False


class Held:
    """A delivery that is not settled. `queue` is the life of the queue that it came from."""

    def __init__(self, tag, message, queue, consumer):
        self.tag = tag
        self.message = message
        self.queue = queue
        self.consumer = consumer  # None: it was got


class Channel:
    def __init__(self):
        self.last_tag = 0
        self.unacked = []

    def next_tag(self):
        self.last_tag += 1
        return self.last_tag


class Consumer:
    def __init__(self, channel, tag, prefetch, no_ack):
        self.channel = channel
        self.tag = tag
        self.prefetch = prefetch  # 0: no limit
        self.no_ack = no_ack

    def wants_more(self):
        if self.no_ack or self.prefetch == 0:
            return True
        return sum(held.consumer is self for held in self.channel.unacked) < self.prefetch


class Queue:
    """One life of the queue, with one consumer at most, so that it is known who gets what."""

    def __init__(self):
        self.ready = []
        self.last_place = 0
        self.consumer = None

    def publish(self, body):
        self.last_place += 1
        self.ready.append(Message(self.last_place, body))

    def _take(self, channel, no_ack, consumer):
        message = self.ready.pop(0)
        tag = channel.next_tag()
        if not no_ack:
            channel.unacked.append(Held(tag, message, self, consumer))
        return tag, message.redelivered, message.body

    def get(self, channel, no_ack):
        """Tag, redelivered and body of what basic.get gives; None when it is empty."""
        return self._take(channel, no_ack, None) if self.ready else None

    def deliver(self):
        """What the consumer gets now."""
        consumer, gets = self.consumer, []
        while consumer is not None and self.ready and consumer.wants_more():
            gets.append(self._take(consumer.channel, consumer.no_ack, consumer))
        return gets

    def put_back(self, message):
        message.redelivered = True
        self.ready.append(message)
        self.ready.sort(key=lambda one: one.place)


def settle(channel, chosen, requeue):
    """These deliveries are done with, or go back to the queue if that is still there."""
    for held in chosen:
        channel.unacked.remove(held)
        if requeue:
            held.queue.put_back(held.message)


def close(channel):
    """Its consumer goes first, so that it does not get back what it gives back."""
    for held in channel.unacked:
        consumer = held.queue.consumer
        if consumer is not None and consumer.channel is channel:
            held.queue.consumer = None
    settle(channel, list(channel.unacked), requeue=True)
