"""`leveret store check` and `dump`: sound directories, and damaged ones."""

import hashlib
import os
import pathlib
import signal
import struct
import subprocess
import tempfile

import broker
import harness
import place
from harness import check


def fingerprints(directory):
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(directory.iterdir())
        if path.is_file() and not path.name.endswith("-shm")  # SQLite's memory, no data
    }


@check
def what_a_broker_has_confirmed_is_in_its_directory_while_it_runs():
    one = place.start()
    place.publish(one, "first", "second\nline")
    lines, _ = place.store("check", one.data_dir)
    assert all(line.get("ok", True) for line in lines), lines
    assert lines[-1]["damaged"] == 0 and lines[-1]["files"] >= 1, lines
    found, said = place.bodies(one.data_dir)
    assert found == ["first", "second\nline"], found
    assert said == "", said
    one.stop()


@check
def looking_changes_nothing():
    directory = place.filled("one", "two")
    before = fingerprints(directory)
    place.store("check", directory)
    place.store("dump", directory)
    assert fingerprints(directory) == before


@check
def a_log_that_was_closed_says_so():
    one = place.start()
    place.publish(one, "x")
    logs = [line for line in place.store("check", one.data_dir)[0] if "shard" in line]
    assert [line["closed"] for line in logs] == [False], logs
    one.stop()
    logs = [line for line in place.store("check", one.data_dir)[0] if "shard" in line]
    assert [line["closed"] for line in logs] == [True], logs


@check
def every_shard_has_its_log():
    one = place.start("--shards", "3")
    for number in range(12):
        place.publish(one, f"body {number}", queue=f"queue {number}")
    one.stop()
    shards = [line["shard"] for line in place.store("check", one.data_dir)[0] if "shard" in line]
    assert shards[0] == 0 and len(shards) > 1, shards
    found, _ = place.bodies(one.data_dir)
    assert sorted(found) == sorted(f"body {number}" for number in range(12)), found


@check
def lines_of_text_are_lines():
    one = place.start()
    place.publish(one, "a\nb", queue='odd "name"\t')
    status, printed, said = broker.run("store", "dump", one.data_dir)
    assert status == 0, said
    lines = [line for line in printed.splitlines() if line.startswith("log-")]
    assert len(lines) == 5, printed
    assert lines[0] == 'log-00-00000001:4136 vhost.put vhost="/"', lines
    assert lines[1].endswith(' user.put user="guest" tags="administrator"'), lines
    assert ' permission.put vhost="/" user="guest" arguments={"configure":".*",' in lines[2], lines
    assert ' queue.declare vhost="/" name="odd ' in lines[3], lines
    assert ' message to=' in lines[4] and " persistent " in lines[4], lines
    assert lines[4].endswith("body_size=3"), lines
    status, printed, _ = broker.run("store", "check", one.data_dir)
    assert status == 0
    assert printed.splitlines()[-1].startswith("all files="), printed
    one.stop()


@check
def a_body_that_is_no_text_is_whole_too():
    one = place.start()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\xff\x00\xfe")
        file.flush()
        place.publish(one, queue="bytes", more=("--file", file.name))
    found, _ = place.bodies(one.data_dir)
    assert found == [{"base64": "/wD+"}], found
    one.stop()


@check
def one_flipped_bit_costs_one_block_and_is_told():
    directory = place.filled("one", "two", "three", "four")
    path = place.log(directory)
    offset, size = place.blocks(path)[2]  # behind the first user and the queue
    place.flip(path, offset + size - 2)
    [found] = place.damages(path)
    assert (found["file"], found["offset"], found["size"]) == (path.name, offset, size), found
    assert f"{path.name} is damaged at offset {offset}" in found["problem"], found
    left, said = place.bodies(directory, 1)
    assert len(left) == 3 and set(left) < {"one", "two", "three", "four"}, left
    assert f"{path.name} is damaged at offset {offset}" in said, said


@check
def a_wiped_range_is_told():
    directory = place.filled("one", "two", "three", "four")
    path = place.log(directory)
    offset, size = place.blocks(path)[1]
    after = place.blocks(path)[3][0]
    place.write(path, offset + 8, bytes(after - offset - 16))
    [found] = place.damages(path)
    assert (found["offset"], found["size"]) == (offset, after - offset), found
    left, _ = place.bodies(directory, 1)
    assert left and left[-1] == "four", left


@check
def what_a_crash_tore_off_is_no_damage():
    directory = place.filled("one", "two", "three")
    path = place.log(directory)
    offset, size = place.blocks(path)[-1]
    place.write(path, offset + size // 2, bytes(size))
    lines, _ = place.store("check", directory)
    [log] = [line for line in lines if "shard" in line]
    assert log["cut_off_bytes"] == size, lines
    left, said = place.bodies(directory)
    assert "one" in left and "three" not in left, left
    assert said == "", said


@check
def a_file_that_became_shorter_is_told():
    directory = place.filled("one", "two", "three")
    path = place.log(directory)
    offset, _ = place.blocks(path)[1]
    place.truncate(path, offset + 10)
    [found] = place.damages(path)
    assert (found["file"], found["offset"]) == (path.name, offset), found
    assert f"{offset + 10} bytes instead of 16777216" in found["problem"], found


def filled_with_segments(count=50):
    """So much that the oldest of it has left the log; numbered bodies of 900,000 bytes."""
    one = place.start()
    with tempfile.NamedTemporaryFile() as file:
        for number in range(count):
            file.seek(0)
            file.write(b"%6d" % number + b"y" * 899_994)
            file.flush()
            place.publish(one, queue="large", more=("--file", file.name))
    directory = pathlib.Path(one.data_dir)
    harness.eventually(lambda: list(directory.glob("seg-00-????????????????")), "a segment")
    one.stop()
    return directory


@check(seconds=60)
def segments_are_looked_at_too():
    directory = filled_with_segments()
    lines, _ = place.store("check", directory)
    segments = [line for line in lines if line.get("file", "").startswith("seg-")]
    assert sum(line["messages"] for line in segments) > 10, lines
    left, said = place.bodies(directory)
    assert {int(body[:6]) for body in left} == set(range(50)), [body[:6] for body in left]
    assert said == "", said
    path = directory / segments[0]["file"]
    place.flip(path, 1_000_000)
    [found] = place.damages(path)
    assert found["file"] == path.name and path.name in found["problem"], found
    left, said = place.bodies(directory, 1)
    assert len({int(body[:6]) for body in left}) == 49, [body[:6] for body in left]
    assert path.name in said, said
    place.truncate(path, 5_000_000)
    [found] = place.damages(path)
    assert found["file"] == path.name, found


@check
def a_damaged_head_is_told():
    directory = place.filled("one", "two")
    path = place.log(directory)
    place.flip(path, 33)
    [found] = place.damages(path)
    assert found["file"] == path.name, found
    assert "its head's check fails" in found["problem"], found
    left, said = place.bodies(directory, 1)
    assert left == [] and path.name in said, (left, said)


@check
def an_unknown_version_is_told_with_what_to_do():
    directory = place.filled("one")
    path = place.log(directory)
    place.write(path, 8, struct.pack("<I", 9))
    place.write(path, 40, bytes(8))  # a later version may have its check elsewhere
    [found] = place.damages(path)
    assert "version 9" in found["problem"], found
    assert "use the Leveret that wrote it" in found["problem"], found


@check
def a_lost_head_is_told_when_there_was_something_behind_it():
    directory = place.filled("one", "two")
    path = place.log(directory)
    place.write(path, 0, bytes(place.HEAD_SIZE))
    [found] = place.damages(path)
    assert f"{path.name} is damaged at offset 0" in found["problem"], found


@check
def a_first_file_that_is_empty_or_missing_is_told():
    one = place.start()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"y" * 1_900_000)
        file.flush()
        for _ in range(11):  # into the second file
            place.publish(one, queue="large", more=("--file", file.name))
    one.process.kill()
    one.process.wait()
    path = place.log(pathlib.Path(one.data_dir))
    assert place.log(path.parent, 2).exists()
    place.write(path, 0, bytes(16 << 20))
    [found] = place.damages(path)
    assert f"{path.name} is damaged at offset 0" in found["problem"], found
    path.unlink()
    [found] = place.damages(path)
    assert f"{path.name} is damaged at offset 0" in found["problem"], found


@check
def the_last_block_of_a_log_that_was_closed_is_missed():
    one = place.start()
    place.publish(one, "x")
    one.stop()
    path = place.log(pathlib.Path(one.data_dir))
    offset, size = place.blocks(path)[-1]
    place.write(path, offset, bytes(size))
    [found] = place.damages(path)
    assert f"{path.name} is damaged at offset {offset}" in found["problem"], found


@check
def a_damaged_checkpoint_is_told():
    directory = place.filled("one")
    path = directory / "checkpoint-00"
    for slot in (0, 4096):
        place.flip(path, slot + 20)
    [found] = place.damages(path)
    assert f"{path.name} is damaged" in found["problem"], found
    path.unlink()
    [found] = place.damages(path)
    assert f"{path.name} can't be read: it is not there" in found["problem"], found


@check
def what_sqlite_finds_in_the_metadata_is_told():
    one = place.start()
    place.publish(one, "x")
    one.stop()
    path = pathlib.Path(one.data_dir) / "metadata.sqlite"
    place.write(path, 36, struct.pack(">I", 5))  # free pages that there are not: no row needs them
    [found] = place.damages(path)
    assert "metadata.sqlite" in found["problem"] and "reelist" in found["problem"], found


@check
def files_made_ready_are_no_damage():
    directory = place.filled("one")
    path = place.log(directory, 2)
    path.write_bytes(bytes(1 << 20))
    lines, _ = place.store("check", directory)
    [unused] = [line for line in lines if line.get("unused")]
    assert unused["file"] == path.name, lines


def under_way(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    harness.cleanup(process.wait)
    harness.cleanup(process.send_signal, signal.SIGKILL)
    return process


@check(seconds=60)
def a_broker_may_write_as_fast_as_it_can_meanwhile():
    one = place.start("--shards", "2")
    url = f"amqp://guest:guest@127.0.0.1:{one.port}/"
    load = under_way(
        broker.PROGRAM, "bench", "--url", url, "--persistent", "--durable", "--confirm", "100",
        "--size", "1000", "--queues", "4", "--producers", "4", "--consumers", "4",
        "--duration", "30", "--limit", "50", "--quiet",
    )  # fmt: skip
    harness.eventually(lambda: place.log(pathlib.Path(one.data_dir)).exists(), "a log file")
    for _ in range(25):
        lines, _ = place.store("check", one.data_dir)
        assert lines[-1]["damaged"] == 0, lines
        assert load.poll() is None, load.stderr.read()
    records = sum(line["records"] for line in lines if "shard" in line)
    assert records > 1000, lines


@check
def wrong_words_are_refused_with_what_would_be_right():
    status, _, said = broker.run("store", "verify", "/tmp")
    assert status == 2 and "check and dump" in said, said
    status, _, said = broker.run("store", "check")
    assert status == 2, said
    status, _, said = broker.run("store", "check", "/nowhere/at/all")
    assert status == 1 and "/nowhere/at/all" in said, said
    with tempfile.TemporaryDirectory() as directory:
        status, _, said = broker.run("store", "check", directory)
        assert status == 1 and "holds nothing of a broker's" in said, said
        assert os.listdir(directory) == []


@check
def an_output_that_is_full_is_an_error():
    directory = place.filled("one")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [broker.PROGRAM, "store", "dump", str(directory)], stdout=full,
            stderr=subprocess.PIPE, timeout=broker.SECONDS, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done
    assert b"cannot be written" in done.stderr, done.stderr
