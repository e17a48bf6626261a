"""Brokers that end with their check, and clients of theirs."""

import broker
import harness
import wire


def start(*arguments, **options):
    """A broker; the clients of tests/clients/lib talk to it from now on."""
    one = broker.Broker(*arguments, **options)
    harness.cleanup(one.end)
    harness.PORT = one.port
    return one


def speaks(host="127.0.0.1"):
    """Whether a stranger is answered by connection.start."""
    before, harness.HOST = harness.HOST, host
    try:
        wire.Wire().start()
    finally:
        harness.HOST = before
