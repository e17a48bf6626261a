"""pika, made brief: connections that close with the check, and errors as the check expects them."""

import contextlib
import logging

import pika
from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker

import harness

logging.getLogger("pika").setLevel(logging.CRITICAL)

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def parameters(**options):
    options.setdefault("heartbeat", 0)
    user, password = options.pop("login", (harness.USER, harness.PASSWORD))
    return pika.ConnectionParameters(
        host=harness.HOST,
        port=harness.PORT,
        credentials=pika.PlainCredentials(user, password),
        **options,
    )


def _close(connection):
    with contextlib.suppress(AMQPError):
        connection.close()


def connect(**options):
    connection = pika.BlockingConnection(parameters(**options))
    harness.cleanup(_close, connection)
    return connection


def channel(**options):
    """A channel on a connection of its own."""
    return connect(**options).channel()


def exclusive_queue(chan, **options):
    return chan.queue_declare("", exclusive=True, **options).method.queue


def depth(chan, queue):
    """Ready messages."""
    return chan.queue_declare(queue, passive=True).method.message_count


def expect_depth(chan, queue, count):
    """Waits for this many ready messages: a broker may count before it has queued what it took."""
    harness.eventually(lambda: depth(chan, queue) == count, f"{count} messages in the queue")


def consumers(chan, queue):
    return chan.queue_declare(queue, passive=True).method.consumer_count


def _found(declare):
    """Asked on a connection of its own, since the answer no closes the channel."""
    connection = pika.BlockingConnection(parameters())
    try:
        declare(connection.channel())
        return True
    except ChannelClosedByBroker as error:
        assert error.reply_code in (404, 405), error
        return error.reply_code == 405  # another connection's own, so it is there
    finally:
        connection.close()


def exists(queue):
    return _found(lambda chan: chan.queue_declare(queue, passive=True))


def exchange_exists(exchange):
    return _found(lambda chan: chan.exchange_declare(exchange, passive=True))


def publish(chan, queue, *bodies, properties=None):
    """Through the default exchange."""
    for body in bodies:
        chan.basic_publish("", queue, body, properties)


def get(chan, queue, auto_ack=True):
    """The body at the head of the queue, or None."""
    return chan.basic_get(queue, auto_ack)[2]


def drain(chan, queue):
    """All ready bodies, in order."""
    return list(iter(lambda: get(chan, queue), None))


@contextlib.contextmanager
def refused(code, text=None):
    """The block gets its channel closed with this error."""
    try:
        yield
    except ChannelClosedByBroker as error:
        assert error.reply_code == code, error
        assert text is None or error.reply_text == text, f"{error.reply_text!r} is not {text!r}"
    else:
        raise AssertionError(f"nothing was refused, {code} was expected")


def round_trip(chan):
    """Raises what the broker has to say of anything that was sent before on this channel."""
    chan.basic_qos(prefetch_count=0)


class Inbox:
    """Collects what a consumer gets."""

    def __init__(self, chan, queue, **options):
        self.chan = chan
        self.messages = []
        self.cancelled = False
        chan.add_on_cancel_callback(self._on_cancel)
        self.tag = chan.basic_consume(queue, self._on_message, **options)

    def _on_message(self, _chan, method, properties, body):
        self.messages.append((method, properties, body))

    def _on_cancel(self, _method):
        self.cancelled = True

    @property
    def bodies(self):
        return [body for _, _, body in self.messages]

    @property
    def tags(self):
        return [method.delivery_tag for method, _, _ in self.messages]

    def wait(self, count):
        """Until this many came in all."""
        while len(self.messages) < count:
            self.chan.connection.process_data_events(time_limit=None)
        return self

    def settle(self, seconds=0.2):
        """Takes in what still comes, for checks that nothing more does."""
        self.chan.connection.process_data_events(time_limit=seconds)
        return self


class Events:
    """An asynchronous pika connection with one channel, driven by waiting for conditions."""

    def __init__(self, **options):
        self.failure = None
        self.ready = False
        self.chan = None
        self.connection = SelectConnection(
            parameters(**options),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_failure,
            on_close_callback=self._on_failure,
        )
        self.wait(lambda: self.ready)

    def _on_open(self, connection):
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, chan):
        self.chan = chan
        self.ready = True
        self.wake()

    def _on_failure(self, _connection, error):
        self.failure = error
        self.wake()

    def wake(self, *_):
        """Callbacks call this when a condition may have come true."""
        self.connection.ioloop.stop()

    def wait(self, condition):
        while not condition():
            assert self.failure is None, self.failure
            self.connection.ioloop.start()
