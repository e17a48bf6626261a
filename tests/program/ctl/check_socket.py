"""The control socket itself: who may ask, what is bounded, and that nobody has to wait for a reader."""

import os
import select
import shutil
import socket
import stat
import subprocess
import tempfile

import broker
import desk
import harness
import scene
import wire
from harness import check

NOBODY = 65534
SETPRIV = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(10)
try:
    s.sendall(b'{"command":"status"}\\n')
    print(len(s.recv(1 << 16)))
except ConnectionError:
    print(0)
"""


def declare(client, count, name="q{}"):
    for number in range(count):
        client.method(1, "queue.declare", queue=name.format(number))
    for _ in range(count):
        client.expect("queue.declare-ok", 1)


def as_nobody(*command):
    assert shutil.which("setpriv"), "setpriv is part of util-linux"
    return subprocess.run(
        [*SETPRIV, *command], capture_output=True, text=True, timeout=20, check=False, cwd="/",
    )  # fmt: skip


def open_to_all(one):
    """The way to the socket, which is otherwise closed by the directories' own modes."""
    os.chmod(one.directory, 0o755)
    os.chmod(one.data_dir, 0o755)


@check
def the_socket_is_its_owners_alone():
    one = scene.start()
    mode = os.stat(desk.path(one)).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode)


def need_root():
    if os.geteuid() != 0:
        harness.skip("it needs root to become somebody else")


@check
def others_are_told_whose_it_is():
    need_root()
    one = scene.start()
    open_to_all(one)
    program = os.path.join(one.directory, "leveret")  # where nobody can reach it
    shutil.copy(broker.PROGRAM, program)
    done = as_nobody(program, "ctl", "--data-dir", one.data_dir, "status")
    assert (done.returncode, done.stdout) == (69, ""), done
    assert "is for the user that the broker runs as, and for root" in done.stderr, done


@check
def others_get_no_answer_even_if_the_mode_lets_them_in():
    need_root()
    one = scene.start()
    open_to_all(one)
    os.chmod(desk.path(one), 0o666)
    done = as_nobody("/usr/bin/python3", "-c", ASK, desk.path(one))
    assert (done.returncode, done.stdout) == (0, "0\n"), done
    assert "control.refused" in one.log(), one.log()


@check
def root_may_ask_a_broker_of_another_user():
    need_root()
    home = tempfile.mkdtemp(prefix="leveret-ctl-")
    harness.cleanup(shutil.rmtree, home)
    os.chmod(home, 0o755)
    data = os.path.join(home, "data")
    os.mkdir(data, 0o700)
    os.chown(data, NOBODY, NOBODY)
    broker.PROGRAM = shutil.copy(broker.PROGRAM, os.path.join(home, "leveret"))
    one = scene.start("--data-dir", data, prefix=SETPRIV)
    assert os.stat(os.path.join(data, "control")).st_uid == NOBODY
    status, said, _ = broker.run("ctl", "--data-dir", data, "-q", "list_exchanges", "name")
    assert status == 0 and "amq.topic" in said, (status, said)
    done = as_nobody(broker.PROGRAM, "ctl", "--data-dir", data, "stop")
    assert done.returncode == 0 and one.process.poll() == 0, done


@check
def mistakes_are_answered_and_end_the_connection():
    one = scene.start()
    for request, error in (
        ({}, 'the request has no "command"'),
        ({"command": "dance"}, "no such command: dance"),
        ({"command": "list_queues"}, '"columns" is no list of 1 to 32 names'),
        ({"command": "list_queues", "columns": []}, '"columns" is no list of 1 to 32 names'),
        (desk.queues(("name", "nose")), "list_queues has no such column: nose"),
        (desk.queues(("name", 7)), "list_queues has no such column: not a string"),
        (desk.queues(vhost=7), '"vhost" is no name'),
        (desk.queues(vhost="v" * 256), '"vhost" is no name'),
        ([], 'the request has no "command"'),
    ):
        answer = desk.Guest(one, request).read()
        assert len(answer) == 1 and not answer[0]["ok"], request
        assert answer[0]["error"] == error, request
    guest = desk.Guest(one)
    guest.socket.sendall(b"list_queues\n")
    (answer,) = guest.read()
    assert not answer["ok"] and answer["error"].startswith("the request is no JSON"), answer


@check
def a_request_may_come_byte_by_byte():
    one = scene.start()
    guest = desk.Guest(one)
    for byte in b'{"command":"list_exchanges","columns":["name"]}\n':
        guest.socket.sendall(bytes([byte]))
    answer = guest.read()
    assert ["amq.topic"] in answer and answer[-1] == {"ok": True}, answer


@check
def a_request_without_an_end_is_refused():
    one = scene.start()
    guest = desk.Guest(one)
    guest.socket.sendall(b"x" * 8192)
    assert guest.read() == [
        {"ok": False, "code": "SYNTAX_ERROR", "error": "the request is too long"}
    ]


@check
def more_guests_than_there_is_room_for_are_turned_away():
    one = scene.start()
    guests = [desk.Guest(one) for _ in range(32)]
    late = desk.Guest(one)
    assert late.is_cut_off()
    assert desk.run(one, "list_queues")[0] == 69
    guests[0].close()

    def has_room():
        return desk.run(one, "list_queues")[0] == 0

    harness.eventually(has_room, "the one that left has made room")
    assert one.log().count("control.refused") >= 2, one.log()


@check
def a_reader_that_does_not_read_costs_one_slice_and_stops_nobody():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    name = "a-rather-long-name-for-a-queue-so-that-the-answer-is-long-" * 3 + "{}"
    declare(client, 10_000, name)
    client.call(1, "confirm.select")
    before = one.resident_kib()
    slow = [desk.Guest(one, desk.queues(("name", "name", "name", "pid"))) for _ in range(10)]
    for guest in slow:
        select.select([guest.socket], [], [], 15)
    for number in range(100):
        client.publish(1, "", name.format(number), b"x")
    client.expect("basic.ack", 1)
    assert len(desk.rows(one, "list_queues", "name")) == 10_000
    grown = one.resident_kib() - before
    assert grown < 30 * 1024 or broker.is_sanitized(), grown  # the answers are 60 MB
    for guest in slow:
        answer = guest.read()
        assert answer[-1] == {"ok": True} and len(answer) == 10_001, (len(answer), answer[-1])
    one.stop()


@check
def readers_that_go_in_the_middle_leave_nothing_behind():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    declare(client, 3000, "q" * 200 + "{}")
    files = desk.status(one)["file_descriptors"]["total_used"]
    for number in range(100):
        guest = desk.Guest(one, desk.queues(("name", "pid", "memory")))
        if number % 2:
            guest.socket.recv(100)
        guest.close()

    def is_so():
        # A spare log file that was being made at first is closed by now.
        return desk.status(one)["file_descriptors"]["total_used"] <= files

    harness.eventually(is_so, "all descriptors are closed")
    one.stop()


@check
def stopping_does_not_wait_for_readers():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    declare(client, 5000, "q" * 200 + "{}")
    guests = [desk.Guest(one, desk.queues()) for _ in range(5)]
    asking = desk.Guest(one)
    one.stop()
    for guest in guests:
        try:
            guest.read()
        except (ConnectionError, ValueError):
            pass  # cut off in the middle of a line
    assert asking.is_cut_off()


@check
def who_hangs_up_before_asking_is_forgotten():
    one = scene.start()
    for _ in range(200):
        desk.Guest(one).close()
    half = desk.Guest(one)
    half.socket.sendall(b'{"command":')
    half.socket.shutdown(socket.SHUT_WR)
    assert half.is_cut_off()
    assert desk.status(one)["pid"] == one.pid
