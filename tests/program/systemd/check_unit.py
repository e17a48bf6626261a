"""The unit file, as far as it can be looked at without a systemd that runs."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

import broker
import harness
import scene
import unit
import wire
from harness import check

# Of 100; systemd-analyze calls up to 20 "OK" and none better than that.
EXPOSURE_MAX = 15
# The content header's flag of delivery-mode, and its value.
PERSISTENT = {"flags": 1 << 12, "properties": b"\2"}


def analyze(*words):
    """What systemd-analyze says of the unit, installed somewhere."""
    directory = tempfile.mkdtemp(prefix="leveret-unit-")
    path = pathlib.Path(directory, "leveret.service")
    unit.write(path, os.path.abspath(broker.PROGRAM))
    harness.cleanup(os.rmdir, directory)
    harness.cleanup(path.unlink)
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words, path], capture_output=True, text=True,
        timeout=15, check=False,
    )  # fmt: skip


def started(program, *arguments):
    """A broker that lives under the unit's filters."""
    return scene.start(*arguments, preexec_fn=lambda: unit.confine(program))


if unit.has_analyzer():

    @check
    def systemd_finds_nothing_wrong_with_it():
        done = analyze("verify", "--man=no")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done

    @check
    def little_is_left_that_it_may_do():
        done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}")
        assert done.returncode == 0, done.stdout[-500:] + done.stderr

    @check
    def a_broker_does_nothing_that_the_unit_forbids():
        if broker.is_sanitized():
            print("skip unit.filters a sanitizer makes calls of its own", flush=True)
            return
        program = unit.make_filter()
        one = started(program, "--shards", "3")
        for number in range(6):
            client = wire.connect_with_channel()
            client.call(1, "confirm.select")
            client.call(1, "queue.declare", queue=f"q{number}", durable=True)
            client.publish(1, "", f"q{number}", b"x" * 100000, **PERSISTENT)
            assert client.expect("basic.ack", 1) is not None
        status, said, wrong = broker.run("ctl", "--data-dir", one.data_dir, "status")
        assert status == 0, (said, wrong)
        one.tell(signal.SIGHUP)
        harness.eventually(lambda: "server.reloaded" in one.log(), "the reload is in the log")
        one.stop()
        one.start()
        harness.PORT = one.port
        assert "messages=6" in one.log(), one.log()
        client = wire.connect_with_channel()
        client.call(1, "queue.delete", queue="q0")
        one.stop()

    @check
    def what_the_unit_forbids_ends_a_process_here():
        """Or the check above would see nothing."""
        program = unit.make_filter()
        for call in ("os.nice(1)", "__import__('mmap').mmap(-1, 4096, prot=6)"):
            done = subprocess.run(
                ["/usr/bin/python3", "-c", f"import os; {call}"], check=False,
                preexec_fn=lambda: unit.confine(program), stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == -signal.SIGSYS, (call, done.returncode)

else:
    print("skip unit.systemd there is no systemd-analyze here", flush=True)


@check
def what_it_starts_is_what_the_program_knows():
    """The command line of ExecStart, with a port and a directory of this check."""
    (line,) = unit.settings("ExecStart")
    directory = tempfile.mkdtemp(prefix="leveret-unit-")
    config = pathlib.Path(directory, "leveret.conf")
    config.write_text("listeners.tcp = 127.0.0.1:0\n", encoding="utf-8")
    harness.cleanup(os.rmdir, directory)
    harness.cleanup(config.unlink)
    words = line.replace("@bindir@/leveret", broker.PROGRAM)
    words = words.replace("@options@", f" --config {config}").split()
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.Popen(
            words, env={**os.environ, "STATE_DIRECTORY": state}, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        harness.cleanup(done.kill)
        for said in done.stdout:
            if said.startswith("ready"):
                break
        assert re.match(r"ready amqp://127\.0\.0\.1:\d+$", said.strip()), said
        assert os.path.exists(os.path.join(state, "metadata.sqlite"))
        done.terminate()
        assert done.wait(15) == 0
        done.stdout.close()


@check
def a_wrong_setting_is_no_reason_to_start_again():
    """Restart= leaves out the exit code of wrong settings, and it is that one."""
    (code,) = unit.settings("RestartPreventExitStatus")
    status, _, wrong = broker.run("serve", "--set", "no.such.setting=1")
    assert (status, code) == (2, "2"), (status, wrong)
