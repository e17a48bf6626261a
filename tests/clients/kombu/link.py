"""kombu and py-amqp, made brief: connections that close with the check, errors by their code."""

import contextlib
import logging
import socket

import amqp
import kombu

import harness

logging.getLogger("kombu").setLevel(logging.CRITICAL)
logging.getLogger("amqp").setLevel(logging.CRITICAL)


def url(user=harness.USER, password=harness.PASSWORD, vhost="%2F", port=harness.PORT):
    return f"amqp://{user}:{password}@{harness.HOST}:{port}/{vhost}"


def _close(connection):
    with contextlib.suppress(Exception):  # a check may have broken it on purpose
        connection.close()


def kombu_connection(*urls, **options):
    connection = kombu.Connection(*(urls or (url(),)), transport="pyamqp", **options)
    harness.cleanup(_close, connection)
    return connection


def amqp_connection(**options):
    """py-amqp's own connection, open."""
    options = {"userid": harness.USER, "password": harness.PASSWORD, **options}
    connection = amqp.Connection(f"{harness.HOST}:{harness.PORT}", **options)
    harness.cleanup(_close, connection)
    connection.connect()
    return connection


def amqp_channel(**options):
    return amqp_connection(**options).channel()


def exclusive_queue(channel, **options):
    return channel.queue_declare("", exclusive=True, **options).queue


def publish(channel, queue, *bodies, exchange="", **properties):
    """The second argument is the routing key where an exchange is given."""
    for body in bodies:
        channel.basic_publish(amqp.Message(body, **properties), exchange, queue)


def get(channel, queue):
    """The body at the head of the queue, or None."""
    message = channel.basic_get(queue, no_ack=True)
    return None if message is None else message.body


def drain(channel, queue):
    return list(iter(lambda: get(channel, queue), None))


def depth(channel, queue):
    return channel.queue_declare(queue, passive=True).message_count


def expect_depth(channel, queue, count):
    """Waits for this many ready messages: a broker may count before it has queued what it took."""
    harness.eventually(lambda: depth(channel, queue) == count, f"{count} messages in the queue")


def round_trip(channel):
    """Raises what the broker has to say of anything that was sent before on this channel."""
    channel.basic_qos(0, 0, False)


def drop(connection):
    """Takes the socket away from a py-amqp connection, as a failing network does."""
    connection.transport.sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def refused(code, text=None):
    """The block gets an error of this code from the broker."""
    try:
        yield
    except amqp.AMQPError as error:
        assert error.reply_code == code, error
        assert text is None or error.reply_text == text, f"{error.reply_text!r} is not {text!r}"
    else:
        raise AssertionError(f"nothing was refused, {code} was expected")


@contextlib.contextmanager
def raises(*errors):
    """The block ends with one of these errors."""
    expected = ()
    for group in errors:  # a library gives some as a tuple already
        expected += group if isinstance(group, tuple) else (group,)
    try:
        yield
    except expected:
        return
    raise AssertionError(f"none of {expected} was raised")


class Inbox:
    """Collects what a py-amqp consumer gets."""

    def __init__(self, channel, queue, **options):
        self.channel = channel
        self.messages = []
        self.tag = channel.basic_consume(queue, callback=self.messages.append, **options)

    @property
    def bodies(self):
        return [message.body for message in self.messages]

    def wait(self, count):
        while len(self.messages) < count:
            self.channel.connection.drain_events()
        return self

    def settle(self, seconds=0.2):
        """Takes in what still comes, for checks that nothing more does."""
        with contextlib.suppress(socket.timeout):
            while True:
                self.channel.connection.drain_events(timeout=seconds)
        return self


class Mailbox:
    """Collects the payloads that a kombu consumer gets, and acks them unless told otherwise."""

    def __init__(self, channel, *queues, ack=True, **options):
        self.payloads = []
        self.messages = []
        self.ack = ack
        self.connection = channel.connection.client
        options.setdefault("accept", ["json", "text/plain"])
        self.consumer = kombu.Consumer(
            channel, list(queues), callbacks=[self._on_message], **options
        )
        self.consumer.consume()

    def _on_message(self, payload, message):
        self.payloads.append(payload)
        self.messages.append(message)
        if self.ack:
            message.ack()

    def wait(self, count):
        while len(self.messages) < count:
            self.connection.drain_events()
        return self
