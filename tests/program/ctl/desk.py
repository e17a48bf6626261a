"""`leveret ctl` for one broker, and a bare connection to its control socket."""

import json
import os
import socket

import broker


def run(one, *arguments, **options):
    return broker.run("ctl", "--data-dir", one.data_dir, *arguments, **options)


def output(one, *arguments):
    status, said, wrong = run(one, *arguments)
    assert (status, wrong) == (0, ""), (status, said, wrong)
    return said


def rows(one, *arguments):
    return json.loads(output(one, "--formatter", "json", *arguments))


def status(one):
    return json.loads(output(one, "status", "--formatter", "json"))


def path(one):
    return os.path.join(one.data_dir, "control")


class Guest:
    """Asks by hand, and reads when it is told to."""

    def __init__(self, one, request=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path(one))
        self.socket.settimeout(15)
        if request is not None:
            self.ask(request)

    def ask(self, request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")

    def read(self):
        """All lines until the end."""
        text = b""
        while piece := self.socket.recv(1 << 16):
            text += piece
        return [json.loads(line) for line in text.splitlines()]

    def is_cut_off(self):
        """Whether the other end has closed without a word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self):
        self.socket.close()


def queues(columns=("name", "messages"), vhost="/"):
    return {"command": "list_queues", "vhost": vhost, "columns": list(columns)}
