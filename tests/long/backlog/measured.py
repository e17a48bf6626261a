"""A broker whose memory is watched, and `leveret bench` runs against it."""

import json
import os
import re
import subprocess

from broker import PROGRAM, Broker, is_sanitized

OLD = 10_000
PATIENCE = 120  # seconds in which nothing moves
LIMIT = 12 * 3600
CTL_SECONDS = 120


def bench_command(broker, *arguments):
    return [PROGRAM, "bench", "--json", "--quiet", "--url", f"amqp://127.0.0.1:{broker.port}",
            "--pid", str(broker.pid), "--patience", str(PATIENCE), "--limit", str(LIMIT),
            *map(str, arguments)]  # fmt: skip


def spawn(command):
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """The result of a run, however it went."""
    out, errors = process.communicate(timeout=LIMIT)
    assert out.strip(), f"leveret bench: {errors.strip()[-300:] or process.returncode}"
    result = json.loads(out)
    assert "error" not in result, result
    return result


class Measured(Broker):
    """Within `with`. `peak` is the most memory that it ever had resident, in MiB."""

    def __init__(self, name):
        self.name, self.peak = name, 0
        self.is_plain = not is_sanitized()
        super().__init__()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.sample()
        self.say(f"{self.peak:.0f} MiB resident at most")
        try:
            if kind is None:
                self.stop()
        finally:
            if kind is not None:
                print(self.log()[-2000:], flush=True)
            self.end()

    def say(self, text):
        print(f"  {self.name}: {text}", flush=True)

    def sample(self):
        """Before and after each run, as `leveret bench` begins the peak anew."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            found = re.search(r"VmHWM:\s+(\d+)", file.read())
        assert found, "the broker has ended"
        self.peak = max(self.peak, int(found[1]) / 1024)

    def bench(self, *arguments):
        self.sample()
        result = finish(spawn(bench_command(self, *arguments)))
        assert self.process.poll() is None, f"the broker ended with {self.process.returncode}"
        self.sample()
        return result

    def kill_and_restart(self):
        self.sample()
        self.kill()
        self.process.stdout.close()
        self.start()

    def ctl(self, *arguments):
        """The lines of an answer."""
        done = subprocess.run(
            [PROGRAM, "ctl", "--quiet", "--data-dir", self.data_dir, *arguments],
            capture_output=True, text=True, timeout=CTL_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def stop(self):
        self.tell()
        status = self.wait(CTL_SECONDS)
        assert status == 0, f"ended with {status}: {self.log()}"


assert os.access(PROGRAM, os.X_OK), f"{PROGRAM} is no program"
