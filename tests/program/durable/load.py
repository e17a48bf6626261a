"""Clients that publish and consume as fast as they can until their broker is gone, and remember."""

import threading

import wire

PERSISTENT = {"flags": 0x1000, "properties": b"\2"}


class Client(threading.Thread):
    """A thread with a connection. What went wrong in it is for the check to read."""

    def __init__(self):
        super().__init__(daemon=True)
        self.wire = wire.connect_with_channel()
        self.wire.socket.settimeout(60)
        self.blocked = threading.Event()
        self.unblocked = threading.Event()
        self.failure = None

    def run(self):
        try:
            while True:
                self.hear(self.wire.read())
        except (wire.Closed, OSError):
            pass
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error
        self.ended()

    def hear(self, method):
        if method.name == "connection.blocked":
            self.reason = method.reason
            self.blocked.set()
        elif method.name == "connection.unblocked":
            self.unblocked.set()
        elif method.name == "connection.close":
            self.wire.method(0, "connection.close-ok")
        else:
            raise AssertionError(f"heard {method}")

    def ended(self):
        pass


class Producer(Client):
    """Numbers its messages, in turn to several queues; at most `window` are not confirmed."""

    def __init__(self, queues, first=0, window=500, size=40):
        super().__init__()
        self.queues = queues
        self.window = window
        self.size = size
        self.first = first  # number of the message with publish tag 1
        self.sent = 0
        self.settled = 0
        self.confirmed = set()
        self.refused = set()
        self.changed = threading.Condition()
        self.is_over = False
        self.wire.call(1, "confirm.select")
        self.writer = threading.Thread(target=self.write, daemon=True)

    def start(self):
        super().start()
        self.writer.start()

    def body(self, number):
        return b"%d " % number + b"x" * (self.size - 8)

    def write(self):
        try:
            while not self.is_over:
                with self.changed:
                    self.changed.wait_for(lambda: self.is_over or self.room() > 0)
                    count = self.room()
                for _ in range(count):
                    number = self.first + self.sent
                    self.sent += 1
                    queue = self.queues[number % len(self.queues)]
                    self.wire.publish(1, "", queue, self.body(number), **PERSISTENT)
        except (wire.Closed, OSError):
            pass

    def room(self):
        return self.window - (self.sent - self.settled)

    def hear(self, method):
        if method.name not in ("basic.ack", "basic.nack"):
            super().hear(method)
            return
        tags = range(
            self.settled + 1 if method.multiple else method.delivery_tag, method.delivery_tag + 1
        )
        assert tags, f"{method} after {self.settled}"
        found = self.confirmed if method.name == "basic.ack" else self.refused
        with self.changed:
            found.update(self.first + tag - 1 for tag in tags)
            self.settled = len(self.confirmed) + len(self.refused)
            self.changed.notify_all()

    def ended(self):
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def stop(self):
        """No more is published."""
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        self.writer.join(30)

    def wait_confirmed(self, count, seconds=30):
        with self.changed:
            self.changed.wait_for(lambda: self.is_over or len(self.confirmed) >= count, seconds)
            assert len(self.confirmed) >= count, f"{len(self.confirmed)} of {count} confirmed"

    def join_all(self):
        self.join(30)
        self.writer.join(30)
        assert not self.is_alive() and not self.writer.is_alive(), "a client hangs"
        assert self.failure is None, self.failure


class Consumer(Client):
    """Acknowledges every message and notes each delivery of it, with its redelivered flag."""

    def __init__(self, queues, seen):
        super().__init__()
        self.seen = seen  # number -> flags, oldest first
        self.wire.method(1, "basic.qos", prefetch_count=50)
        self.wire.expect("basic.qos-ok", 1)
        self.queues = queues

    def start(self):
        for queue in self.queues:
            self.wire.method(1, "basic.consume", queue=queue)
        super().start()

    def hear(self, method):
        if method.name == "basic.consume-ok":
            return
        if method.name != "basic.deliver":
            super().hear(method)
            return
        self.seen.setdefault(int(method.body.split()[0]), []).append(method.redelivered)
        self.wire.method(1, "basic.ack", delivery_tag=method.delivery_tag)


def drain(queues, seen):
    """What is left, in order; noted like deliveries."""
    one = wire.connect_with_channel()
    for queue in queues:
        last = -1
        while True:
            one.method(1, "basic.get", queue=queue)
            method = one.read()
            if method.name == "basic.get-empty":
                break
            number = int(method.body.split()[0])
            assert number > last, f"{queue}: {number} behind {last}"
            last = number
            seen.setdefault(number, []).append(method.redelivered)
            one.method(1, "basic.ack", delivery_tag=method.delivery_tag)
    one.close()
