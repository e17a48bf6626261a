"""Names for queues and exchanges that are deleted when the check ends, however it ends."""

import harness
import wire

_queues = []
_exchanges = []


def _delete_all():
    """One deletion per channel: what is locked or gone by now must not keep the others."""
    connection = wire.connect()
    doomed = [("queue.delete", {"queue": name}) for name in _queues]
    doomed += [("exchange.delete", {"exchange": name}) for name in _exchanges]
    for number, (method, values) in enumerate(doomed, start=1):
        connection.call(number, "channel.open")
        connection.method(number, method, **values)
        connection.read()
    connection.close()


def _register(names, kind):
    if not _queues and not _exchanges:
        harness.cleanup(_delete_all)
    names.append(harness.unique(kind))
    return names[-1]


def queue_name():
    return _register(_queues, "queue")


def exchange_name():
    return _register(_exchanges, "exchange")
