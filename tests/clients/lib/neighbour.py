"""A second connection that must not notice what is done to the broker on the first."""

import contextlib

import wire


def _pass_one_message(connection, queue, body):
    connection.publish(1, "", queue, body)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == body


@contextlib.contextmanager
def undisturbed():
    """Both before and after the block a message goes through the neighbour's own queue."""
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    _pass_one_message(connection, queue, b"before")
    yield
    _pass_one_message(connection, queue, b"after")
    connection.close()
