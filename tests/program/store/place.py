"""A directory that a broker has stored something in, and ways to look at it and to damage it."""

import json
import os
import pathlib
import struct

import broker
import harness

HEAD_SIZE = 4096
BLOCK = struct.Struct("<QQQQII")  # hash, lsn, previous, synced, size, count


def start(*arguments):
    one = broker.Broker(*arguments)
    harness.cleanup(one.end)
    return one


def publish(one, *bodies, queue="jobs", more=()):
    """One confirmed batch; what was published before is then known to be on the disk."""
    url = f"amqp://guest:guest@127.0.0.1:{one.port}/"
    arguments = ("publish", "--url", url, "--declare", "--persistent", *more, queue, *bodies)
    status, _, said = broker.run(*arguments)
    assert status == 0, said


def filled(*bodies):
    """The directory of a broker that was killed after these, each by itself."""
    one = start()
    for body in bodies:
        publish(one, body)
    one.process.kill()
    one.process.wait()
    return pathlib.Path(one.data_dir)


def store(word, directory, status=0):
    """The objects that the command prints, and what it says besides."""
    done, printed, said = broker.run("store", word, "--json", str(directory))
    assert done == status, (done, printed, said)
    return [json.loads(line) for line in printed.splitlines()], said


def damages(path):
    """What `store check` finds wrong with the file. When much of a log is gone it may also say that
    the metadata knows of more than the log has."""
    lines, _ = store("check", path.parent, 1)
    return [line for line in lines if line.get("ok") is False and line["file"] == path.name]


def bodies(directory, status=0):
    """Of all messages that can be read, and what is said besides."""
    lines, said = store("dump", directory, status)
    return [line["body"] for line in lines if line["kind"] == "message"], said


def log(directory, number=1, shard=0):
    return directory / f"log-{shard:02x}-{number:08x}"


def blocks(path):
    """(offset, size) of each block up to the first gap."""
    data = path.read_bytes()
    at = HEAD_SIZE
    found = []
    while at + BLOCK.size <= len(data):
        _, lsn, _, _, size, _ = BLOCK.unpack_from(data, at)
        if lsn == 0:
            break
        found.append((at, size))
        at += size
    return found


def write(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path, offset):
    byte = path.read_bytes()[offset]
    write(path, offset, bytes([byte ^ 0x10]))


def truncate(path, size):
    os.truncate(path, size)
