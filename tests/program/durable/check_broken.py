"""Files that somebody else has changed, and a log that can't be written."""

import contextlib
import glob
import os
import sqlite3

import broker
import client
import harness
from harness import check
from keeping import Store, bodies, confirming, durable_queue, numbers
from load import Producer, drain


def logs(store):
    return sorted(glob.glob(os.path.join(store.broker.data_dir, "log-*")))


def change(path, offset, new):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(new)


def filled(shards=1, count=100, ending="kill"):
    """A broker that has ended with this many confirmed messages in its queue q."""
    store = Store(shards, ending)
    chan = confirming()
    durable_queue(chan, "q")
    for body in numbers(1, count):
        chan.basic_publish("", "q", body, client.PERSISTENT)
    if ending == "kill":
        store.broker.kill()
    else:
        store.broker.stop()
    return store


def refused_start(store):
    """It does not start; what it says."""
    status, out, said = broker.run(
        "serve", "--data-dir", store.broker.data_dir, "--listen", "127.0.0.1:0"
    )
    assert status == 1, (status, out, said)
    assert "ready" not in out, out
    return said


def ends_with_nacks(shards):
    """The next log file is gone when its turn comes: an error like any other of the disk."""
    store = Store(shards, "kill")
    queues = [f"q{number}" for number in range(4)]
    chan = client.channel()
    for queue in queues:
        durable_queue(chan, queue)
    producer = Producer(queues, window=200, size=50_000)
    producer.start()
    producer.wait_confirmed(50)
    spares = os.path.join(store.broker.data_dir, "spare-*")
    # One is made as soon as the last is used, so it has to be met in between.
    while store.broker.process.poll() is None and not producer.is_over:
        for spare in glob.glob(spares):
            try:
                os.unlink(spare)
            except FileNotFoundError:
                pass
    assert store.broker.wait(30) == 1, store.broker.log()
    producer.join_all()
    assert producer.refused, "nothing was refused"
    assert not producer.confirmed & producer.refused
    assert max(producer.confirmed) < max(producer.refused), "confirms come before, not after"
    log = store.broker.log()
    assert log.count("event=disk.failed ") == 1, log
    assert "the log can't be written any more" in log, log
    store.resume()
    seen = {}
    drain(queues, seen)
    lost = producer.confirmed - seen.keys()
    assert not lost, f"{len(lost)} are lost"


@check(seconds=90)
def a_log_that_cannot_be_written_refuses_what_is_open_and_ends_the_broker():
    ends_with_nacks(1)


@check(seconds=90)
def with_three_shards_publishers_of_all_hear_of_it():
    ends_with_nacks(3)


@check
def a_second_process_is_refused_and_disturbs_nothing():
    store = Store(1, "kill")
    chan = confirming()
    durable_queue(chan, "q")
    chan.basic_publish("", "q", b"before", client.PERSISTENT)
    said = refused_start(store)
    assert f"(process {store.broker.pid})" in said and store.broker.data_dir in said, said
    chan.basic_publish("", "q", b"after", client.PERSISTENT)
    store.again()
    assert bodies(client.channel(), "q") == [b"before", b"after"]


@check
def a_directory_of_an_unknown_version_is_refused_with_what_to_do():
    store = filled()
    path = os.path.join(store.broker.data_dir, "metadata.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA user_version = 99")
        database.commit()
        said = refused_start(store)
        assert "99" in said and "metadata.sqlite" in said, said
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
    store.resume()
    assert bodies(client.channel(), "q") == numbers(1, 100)


@check
def damage_before_the_end_is_named_and_nothing_is_dropped_silently():
    store = filled()
    path = logs(store)[-1]
    with open(path, "rb") as file:
        whole = file.read()
    middle = whole.index(b"50", 4096)
    change(path, middle, b"XX")
    said = refused_start(store)
    assert os.path.basename(path) in said and "offset" in said, said
    change(path, middle, whole[middle : middle + 2])
    store.resume()  # it had not touched what was there
    assert bodies(client.channel(), "q") == numbers(1, 100)


def moved(store, name):
    """The refusal without the file, which is then put back."""
    path = os.path.join(store.broker.data_dir, name)
    os.rename(path, path + ".away")
    said = refused_start(store)
    os.rename(path + ".away", path)
    return said


@check
def a_start_without_a_file_of_the_log_is_refused_by_its_name():
    store = filled(3)
    assert "log-00 ends at LSN 0" in moved(store, "log-00-00000001")
    assert "checkpoint-00 is missing" in moved(store, "checkpoint-00")
    store.resume()
    store.broker.stop()  # from here on it is known what the logs had
    names = [os.path.basename(path) for path in logs(store)]
    assert len(names) >= 3, names
    for name in names:  # of a later one it is the file before it that ends too soon
        said = moved(store, name)
        assert name[:6] in said and "is damaged at offset" in said, said
    store.resume()
    assert bodies(client.channel(), "q") == numbers(1, 100)


@check
def a_closed_log_that_lost_its_last_bytes_is_refused():
    store = filled(1, 100, "stop")
    path = logs(store)[0]
    with open(path, "rb") as file:
        end = len(file.read().rstrip(b"\0"))
    change(path, end - 1, b"\0")
    said = refused_start(store)
    assert f"{os.path.basename(path)} is damaged at offset" in said, said


@check
def half_a_write_at_the_end_is_cut_off():
    store = filled()
    path = logs(store)[-1]
    with open(path, "rb") as file:
        whole = file.read()
    end = len(whole.rstrip(b"\0")) + 8 & ~7
    change(path, end, os.urandom(1000))
    store.resume()
    harness.eventually(lambda: "event=store.recovered" in store.broker.log(), "it says so")
    assert 'stopped="not cleanly"' in store.broker.log(), store.broker.log()
    assert bodies(client.channel(), "q") == numbers(1, 100)


@check
def one_line_says_what_was_recovered():
    store = filled(3, 100, "stop")
    store.resume()
    line = [line for line in store.broker.log().splitlines() if "event=store.recovered" in line]
    assert len(line) == 1, line
    assert "queues=1" in line[0] and "messages=100" in line[0] and 'stopped="cleanly"' in line[0]
