"""A broker under test: a process of the program, what it says, and how it ends."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PROGRAM = os.environ.get("LEVERET_BIN", "leveret")
SECONDS = 15


def is_sanitized():
    """Whether the program was built with a sanitizer, which takes memory and threads of its own."""
    with open(PROGRAM, "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def run(*arguments, **options):
    """A command to its end: exit status, standard output, standard error."""
    done = subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False,
        stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


class Broker:
    """`leveret serve` in a directory of its own, on a port that the kernel chose."""

    def __init__(self, *arguments, listen=("127.0.0.1:0",), prefix=(), **options):
        self.directory = tempfile.mkdtemp(prefix="leveret-serve-")
        self.log_path = os.path.join(self.directory, "log")
        self.command = [*prefix, PROGRAM, "serve", "--data-dir", self.data_dir]
        for address in listen:
            self.command += ["--listen", address]
        self.command += arguments
        self.options = options
        self.start()

    def start(self):
        """Also again, when it has ended; the directory is the same, the port another one."""
        with open(self.log_path, "ab") as log:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, text=True, **self.options,
            )  # fmt: skip
        self.pid = self.process.pid
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready"):
                break
        else:
            raise AssertionError(f"ended with {self.process.wait()}: {self.lines} {self.log()}")
        self.ready_seconds = time.monotonic() - self.began
        self.ports = [int(port) for port in re.findall(r"amqp://\S+:(\d+)", self.lines[-1])]
        self.tls_ports = [int(port) for port in re.findall(r"amqps://\S+:(\d+)", self.lines[-1])]
        self.port = (self.ports + self.tls_ports)[0]
        self.tls_port = self.tls_ports[0] if self.tls_ports else None

    @property
    def data_dir(self):
        return os.path.join(self.directory, "data")

    def log(self):
        """What it has said until now, which a thread of its own writes: it has when it sleeps."""
        while any(state not in ("S", "Z") for state in self.log_states()):
            time.sleep(0.001)
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def log_states(self):
        """What its threads that write the log do: S is asleep."""
        for path in glob.glob(f"/proc/{self.pid}/task/*/stat"):
            try:
                with open(path, encoding="utf-8") as file:
                    name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
            except OSError:  # it has ended meanwhile
                continue
            if name.startswith("log "):
                yield rest.split()[0]

    def resident_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def tell(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=SECONDS):
        return self.process.wait(seconds)

    def stop(self):
        """As an operator does; it has to end well."""
        self.tell()
        status = self.wait()
        assert status == 0, f"ended with {status}: {self.log()}"

    def kill(self):
        """As nobody should: what it has not written is gone."""
        self.process.kill()
        self.process.wait()

    def end(self):
        """Whatever happened before."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)
