"""A broker that is restarted often: every run begins a log file."""

import collections
import os

import client
import harness
from keeping import Store, bodies, confirming, durable_queue, every_way, numbers

ROUNDS = 9
# A few of earlier runs, the one that is written, and one that is about to go.
FILES_MAX = 4 + 2


def most_files(store):
    """Log files that are in use, of the shard that has most."""
    names = os.listdir(store.broker.data_dir)
    count = collections.Counter(name[:6] for name in names if name.startswith("log-"))
    return max(count.values(), default=0)


def tidied(store, files_max):
    harness.eventually(lambda: most_files(store) <= files_max, f"at most {files_max} log files")


@every_way
def restarts_leave_few_log_files_and_all_messages(store):
    """Each run has a message that stays, one that goes and one that is out when it ends."""
    wanted = []
    for number in numbers(1, ROUNDS):
        chan = confirming()
        for queue in ("stays", "goes", "out"):
            durable_queue(chan, queue)
            chan.basic_publish("", queue, number, client.PERSISTENT)
        assert bodies(chan, "goes")[-1] == number  # after a crash the last ones may come again
        chan.basic_get("out")
        wanted.append(number)
        store.again()
    tidied(store, FILES_MAX)
    store.again()
    chan = client.channel()
    assert bodies(chan, "stays") == wanted
    assert bodies(chan, "out") == wanted
    if store.ending == "kill":
        return  # acknowledgements may be lost with the broker
    assert bodies(chan, "goes") == []
    store.again()
    chan = client.channel()
    assert bodies(chan, "stays") == bodies(chan, "out") == []


@harness.check(seconds=60)
def restarts_of_an_idle_broker_leave_two_log_files():
    store = Store(1, "stop")
    for _ in range(ROUNDS):
        store.again()
    tidied(store, 2)


@harness.check(seconds=60)
def nobody_has_to_come_for_old_log_files_to_go():
    """What was needed in them is acknowledged in the last run but one."""
    store = Store(1, "stop")
    chan = confirming()
    durable_queue(chan, "q")
    for number in numbers(1, 3):
        chan = confirming()
        chan.basic_publish("", "q", number, client.PERSISTENT)
        store.again()
    assert most_files(store) >= 3
    assert bodies(client.channel(), "q") == numbers(1, 3)
    store.again()
    tidied(store, 2)
