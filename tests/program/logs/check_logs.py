"""Where the log goes, what its lines are, and that nobody waits for it."""

import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import broker
import harness
import scene
import wire
from harness import check

MANUAL = pathlib.Path(__file__).resolve().parents[3] / "docs" / "manual.md"
BLOCK = re.compile(r"<!-- logs: (\w+) -->\n```\w*\n(.*?)```", re.DOTALL)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
PLAIN = re.compile(TIME + r" level=(debug|info|warning|error) event=([a-z_.]+)( \S+=.*)?")
SECONDS = 10


def start(*arguments, **options):
    """A broker for whose settings LOGS is a directory of its own."""
    directory = tempfile.mkdtemp(prefix="leveret-logs-")
    harness.cleanup(shutil.rmtree, directory)
    one = scene.start(*(word.replace("LOGS", directory) for word in arguments), **options)
    one.logs = pathlib.Path(directory)
    return one


def file_of(one, name="leveret.log"):
    one.log()  # waits until all is written
    return (one.logs / name).read_text(encoding="utf-8")


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def try_to_log_in(password):
    connection = wire.Wire()
    connection.start()
    connection.method(
        0, "connection.start-ok", mechanism="PLAIN", response=b"\0guest\0" + password,
        locale="en_US",
    )  # fmt: skip
    return connection


@check
def a_line_for_people_has_time_level_event_and_fields():
    one = scene.start()
    one.stop()
    lines = one.log().splitlines()
    assert len(lines) == 2, lines
    for line in lines:
        assert PLAIN.fullmatch(line), line
    assert [PLAIN.fullmatch(line)[2] for line in lines] == ["server.ready", "server.stopping"]
    assert f"pid={one.pid}" in lines[0] and f'addresses="127.0.0.1:{one.port}"' in lines[0], lines


@check
def in_json_each_line_is_an_object():
    one = scene.start("--set", "log.console.formatter=json")
    one.stop()
    events = objects(one.log())
    for event in events:
        assert list(event)[:3] == ["time", "level", "event"], event
        assert re.fullmatch(TIME, event["time"]), event
    assert [event["event"] for event in events] == ["server.ready", "server.stopping"], events
    assert events[0]["pid"] == one.pid and events[0]["shards"] == 1, events


@check
def a_failed_login_is_logged_with_peer_and_reason():
    one = start("--set", "log.dir=LOGS", "--set", "log.file.formatter=json")
    connection = try_to_log_in(b"open-sesame")
    harness.eventually(lambda: "login" in file_of(one), "the refusal is in the log", SECONDS)
    port = connection.socket.getsockname()[1]
    (event,) = [event for event in objects(file_of(one)) if event["level"] == "warning"]
    assert event["peer"] == f"127.0.0.1:{port}", event
    assert "guest" in event["why"] and "sesame" not in json.dumps(event), event


@check
def the_file_is_instead_of_the_console_or_beside_it():
    one = start("--set", "log.file=my.log", "--set", "log.dir=LOGS", "--set", "log.console=false")
    one.stop()
    assert one.log() == "", one.log()
    assert "event=server.ready" in file_of(one, "my.log")
    two = start("--set", "log.dir=LOGS/deeper", "--set", "log.console.level=error",
                "--set", "log.file.level=debug")  # fmt: skip
    wire.connect_with_channel().close()
    two.stop()
    assert two.log() == "", two.log()
    assert "event=connection.accepted" in file_of(two, "deeper/leveret.log")


@check
def the_console_may_be_standard_output():
    one = scene.start("--set", "log.console.stdio=stdout")
    one.tell()
    rest = one.process.stdout.read()
    assert one.wait() == 0 and one.log() == "", one.log()
    assert "event=server.stopping" in rest, rest


@check
def after_a_rename_and_sighup_a_new_file_is_begun():
    one = start("--set", "log.dir=LOGS")
    connection = wire.connect_with_channel()
    file_of(one)
    os.rename(one.logs / "leveret.log", one.logs / "leveret.log.1")
    one.tell(signal.SIGHUP)
    harness.eventually((one.logs / "leveret.log").exists, "there is a new file", SECONDS)
    harness.eventually(lambda: "server.reloaded" in file_of(one), "it is written to", SECONDS)
    assert "server.ready" in file_of(one, "leveret.log.1")
    assert "server.reloaded" not in file_of(one, "leveret.log.1")
    connection.close()
    one.stop()
    assert "server.stopping" in file_of(one)


@check
def a_file_that_can_not_be_opened_again_is_written_on():
    one = start("--set", "log.dir=LOGS")
    file_of(one)
    os.rename(one.logs / "leveret.log", one.logs / "old")
    os.mkdir(one.logs / "leveret.log")
    one.tell(signal.SIGHUP)
    harness.eventually(lambda: "log.not_reopened" in file_of(one, "old"), "it is said", SECONDS)
    one.stop()
    assert "server.stopping" in file_of(one, "old")
    assert "Is a directory" in file_of(one, "old")


@check
def a_full_disk_stops_only_the_log():
    one = scene.start("--set", "log.file=/dev/full", "--set", "log.file.level=debug",
                      "--set", "log.console.level=warning")  # fmt: skip
    for _ in range(20):
        wire.connect_with_channel().close()
    one.stop()
    (line,) = one.log().splitlines()
    assert 'event=log.failed target="file" why="No space left on device"' in line, line


@check
def a_console_that_nobody_reads_stops_nothing():
    """Neither the broker's work nor its end; a pipe of one page is soon full."""
    reader, writer = os.pipe()
    harness.cleanup(os.close, reader)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    one = scene.start("--set", "log.level=debug", prefix=("bash", "-c", f'exec "$@" 2>&{writer}', "sh"),
                      pass_fds=(writer,))  # fmt: skip
    os.close(writer)
    for _ in range(1500):
        wire.Wire().socket.close()
    wire.connect_with_channel().close()
    began = time.monotonic()
    one.tell()
    assert one.wait() == 0
    assert time.monotonic() - began < 8, time.monotonic() - began


@check
def places_that_can_not_be_written_are_refused():
    for setting, status, hint in (
        ("log.file=/no/such/place", 1, "can't write the log /no/such/place: No such file"),
        ("log.file=alone.log", 2, "log.file = alone.log is in no directory: set log.dir"),
        ("log.dir=/dev/null/x", 1, "can't make the directory /dev/null/x"),
        ("log.level=loud", 2, "log.level is debug, info, notice"),
        ("log.console.formatter=xml", 2, "plaintext or json"),
        ("log.file.rotation.size=5", 2, "send SIGHUP, as logrotate does"),
    ):
        done = broker.run("serve", "--data-dir", "/dev/null/none", "--set", setting)
        assert done[0] == status and hint in done[2], (setting, done)


@check
def why_it_could_not_start_is_in_the_file():
    one = start("--set", "log.dir=LOGS")
    status, _, said = broker.run("serve", "--data-dir", one.data_dir, "--listen", "127.0.0.1:0",
                                 "--set", f"log.dir={one.logs}", "--set", "log.file=second")  # fmt: skip
    assert status == 1 and said.startswith("leveret serve: ") and said.count("\n") == 1, said
    text = file_of(one, "second")
    assert "level=error event=server.failed why=" in text and one.data_dir in text, text


@check
def the_manuals_lines_are_what_is_written():
    blocks = dict(BLOCK.findall(MANUAL.read_text(encoding="utf-8")))
    one = start("--set", "log.dir=LOGS", "--set", "log.console.formatter=json",
                *shlex.split(blocks["settings"].replace("/var/log/leveret", "LOGS")))  # fmt: skip
    one.tell(signal.SIGHUP)
    harness.eventually(lambda: "server.reloaded" in one.log(), "SIGHUP is logged", SECONDS)
    wanted = [shape(line) for line in blocks["lines"].splitlines()]
    for text in (one.log(), file_of(one)):
        there = [shape(line) for line in text.splitlines()]
        found = [line for line in there if line in wanted]
        assert found, (there, wanted)


def shape(line):
    """The line without what differs from run to run."""
    return re.sub(r"\d+(\.\d+)*|/[\w/.-]+", "0", re.sub(TIME, "TIME", line))


@check
def the_example_for_logrotate_is_one():
    if not os.path.exists("/usr/sbin/logrotate"):
        print("skip logs.the_example_for_logrotate_is_one logrotate is not installed", flush=True)
        return
    blocks = dict(BLOCK.findall(MANUAL.read_text(encoding="utf-8")))
    one = start("--set", "log.dir=LOGS")
    config = one.logs / "rotate.conf"
    text = blocks["logrotate"].replace("/var/log/leveret", str(one.logs))
    config.write_text(text.replace("systemctl reload leveret", f"kill -HUP {one.pid}"))
    config.chmod(0o644)
    file_of(one)
    subprocess.run(
        ["/usr/sbin/logrotate", "--force", "--state", one.logs / "state", config],
        check=True, timeout=15,
    )  # fmt: skip
    harness.eventually(lambda: "server.reloaded" in file_of(one), "the new file is used", SECONDS)
    assert list(one.logs.glob("leveret.log.1*")), list(one.logs.iterdir())
