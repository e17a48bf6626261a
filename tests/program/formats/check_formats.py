"""Directories of each format that was kept, and such as are of no format that is known."""

import ctypes
import glob
import json
import os
import re
import shutil
import sqlite3
import struct
import tarfile
import tempfile

import broker
import estate
import harness
from harness import check

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
KEPT = sorted(glob.glob(os.path.join(ROOT, "tests", "data", "format-*.tar.xz")))


def versions():
    """What this tree's program writes."""
    found = {}
    for name, path, pattern in (
        ("log", "src/store/format.h", r"#define LV_FORMAT_VERSION (\d+)u"),
        ("metadata", "src/store/metadata.c", r"PRAGMA user_version = (\d+);"),
    ):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            found[name] = int(re.search(pattern, file.read())[1])
    return found


def unpacked(path):
    """The archive in a directory of its own, and what it says of itself."""
    directory = tempfile.mkdtemp(prefix="leveret-format-")
    harness.cleanup(shutil.rmtree, directory)
    with tarfile.open(path) as archive:
        archive.extractall(directory)
    with open(os.path.join(directory, "expected.json"), encoding="utf-8") as file:
        return directory, json.load(file)


def refused(directory):
    """It does not start; what it says."""
    status, out, said = broker.run("serve", "--data-dir", directory, "--listen", "127.0.0.1:0")
    assert status == 1 and "ready" not in out, (status, out, said)
    return said


def opens(path, name):
    directory, then = unpacked(path)
    data = os.path.join(directory, name)
    if then["versions"] == versions():
        status, out, said = broker.run("store", "check", data)
        assert status == 0, out + said
        estate.expect(data, then[name]).stop()
        return
    said = refused(data)
    assert data in said or "metadata.sqlite" in said or "log-" in said, said
    assert "version" in said, said


def register(path, name):
    def one():
        opens(path, name)

    stem = os.path.basename(path).removesuffix(".tar.xz")
    one.__name__ = f"{stem}_of_a_broker_that_was_{name}"
    one.__module__ = __name__
    check(one, seconds=120)


for kept in KEPT:
    for way in ("stopped", "killed"):
        register(kept, way)


@check
def the_present_format_is_among_them():
    """A format that changes gets an archive of its own: tools/keep_format.py says how."""
    assert any(unpacked(path)[1]["versions"] == versions() for path in KEPT), versions()


def xxh3(data):
    try:
        library = ctypes.CDLL("libxxhash.so.0")
    except OSError as error:
        harness.skip(f"no library for the checks of heads: {error}")
    library.XXH3_64bits.restype = ctypes.c_uint64
    return library.XXH3_64bits(ctypes.c_char_p(data), ctypes.c_size_t(len(data)))


def of_version_99(head, check_at):
    """The same head, as a later version would write it: magic, version and check lie where they
    are in every version."""
    head = head[:8] + struct.pack("<I", 99) + head[12:check_at]
    return head + struct.pack("<Q", xxh3(head))


def change(path, check_at, places=(0,)):
    with open(path, "r+b") as file:
        for place in places:
            file.seek(place)
            head = file.read(check_at + 8)
            if not head.startswith(b"LV"):
                continue
            assert head[check_at:] == struct.pack("<Q", xxh3(head[:check_at])), path
            file.seek(place)
            file.write(of_version_99(head, check_at))


def is_refused_by_name(pattern, change_it):
    directory, _ = unpacked(KEPT[-1])
    data = os.path.join(directory, "stopped")
    path = sorted(glob.glob(os.path.join(data, pattern)))[-1]
    change_it(path)
    said = refused(data)
    assert os.path.basename(path) in said and "99" in said, said
    assert "version" in said, said
    status, out, said = broker.run("store", "check", data)
    assert status == 1 and os.path.basename(path) in out + said, (status, out, said)


@check
def a_log_of_an_unknown_version_is_refused():
    is_refused_by_name("log-*", lambda path: change(path, 40))


@check
def a_segment_of_an_unknown_version_is_refused():
    is_refused_by_name("seg-*", lambda path: change(path, 48))


@check
def a_checkpoint_of_an_unknown_version_is_refused():
    is_refused_by_name("checkpoint-*", lambda path: change(path, 56, (0, 4096)))


@check
def metadata_of_an_unknown_layout_is_refused():
    def change_it(path):
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 99")
        database.commit()
        database.close()

    is_refused_by_name("metadata.sqlite", change_it)
