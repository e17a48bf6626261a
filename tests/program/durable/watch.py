"""What becomes of the files in a directory, told as it happens (inotify(7))."""

import ctypes
import os
import select
import struct
import time

CREATED, RENAMED = 0x100, 0x80  # IN_CREATE, IN_MOVED_TO
HEAD = struct.Struct("iIII")
LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """From its making on nothing is missed."""

    def __init__(self, directory):
        self.directory = directory
        self.events = []
        self.fd = LIBC.inotify_init1(os.O_CLOEXEC)
        mask = CREATED | RENAMED
        if self.fd < 0 or LIBC.inotify_add_watch(self.fd, os.fsencode(directory), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def close(self):
        os.close(self.fd)

    def next(self, end):
        """What happened, and the name of the file."""
        while not self.events:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], "nothing happens"
            self.take(os.read(self.fd, 65536))
        return self.events.pop(0)

    def take(self, raw):
        while raw:
            _, mask, _, size = HEAD.unpack_from(raw)
            name = raw[HEAD.size : HEAD.size + size].rstrip(b"\0").decode()
            self.events.append((mask, name))
            raw = raw[HEAD.size + size :]

    def await_merge(self, moment, seconds=30):
        """Until a merged segment is begun (CREATED), or has taken its last source's name
        (RENAMED). One that is not merged has a name that is new."""
        begun, end = None, time.monotonic() + seconds
        while True:
            what, name = self.next(end)
            stem = name.removesuffix(".tmp")
            if what == CREATED and name != stem:
                begun = stem if os.path.exists(os.path.join(self.directory, stem)) else None
            if begun is not None and what == moment and stem == begun:
                return
