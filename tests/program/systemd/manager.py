"""A service manager's end of sd_notify(3)'s protocol, and a way to hold one thread of a service."""

import ctypes
import os
import secrets
import socket
import tempfile
import time

import harness

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # waitpid() is for a thread


class Manager:
    """Listens on a socket of its own, by a path or by an abstract name."""

    def __init__(self, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if abstract:
            self.name = "@leveret-" + secrets.token_hex(8)
            self.socket.bind("\0" + self.name[1:])
        else:
            directory = tempfile.mkdtemp(prefix="leveret-manager-")
            self.name = os.path.join(directory, "notify")
            self.socket.bind(self.name)
            harness.cleanup(os.rmdir, directory)
            harness.cleanup(os.unlink, self.name)
        harness.cleanup(self.socket.close)

    def environment(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": self.name, **more}

    def hear(self, seconds=15):
        """The next message, as its lines in a dictionary; None when none comes in time."""
        self.socket.settimeout(seconds)
        try:
            text = self.socket.recv(4096).decode()
        except (TimeoutError, BlockingIOError):
            return None
        assert "\n\n" not in text and not text.endswith("\n"), text
        return dict(line.split("=", 1) for line in text.split("\n"))

    def hear_until(self, name, seconds=15):
        """The first message that has this line; others, pings for instance, go by."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.hear(left)
            if message is not None and name in message:
                return message
        raise AssertionError(f"no {name} within {seconds} s")

    def drop_all(self):
        """What has come up to now."""
        while self.hear(0) is not None:
            pass


def threads(pid, name):
    """Of a process, those of this name."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as file:
            if file.read().strip() == name:
                found.append(int(tid))
    return found


def _ptrace(request, tid):
    if LIBC.ptrace(request, tid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


class Held:
    """A thread that does not run meanwhile; the others of its process do."""

    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        _ptrace(SEIZE, self.tid)
        _ptrace(INTERRUPT, self.tid)
        assert os.waitpid(self.tid, WALL)[0] == self.tid
        return self

    def __exit__(self, *_):
        _ptrace(DETACH, self.tid)
