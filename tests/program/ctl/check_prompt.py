"""Passwords that are asked for on a terminal, which doesn't show them."""

import os
import pty
import select
import signal
import subprocess
import termios
import time

import broker
import scene
from harness import check, eventually


class Terminal:
    """`leveret ctl` on a terminal of its own."""

    def __init__(self, one, *arguments):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [broker.PROGRAM, "ctl", "--data-dir", one.data_dir, *arguments], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True, close_fds=True,
        )  # fmt: skip
        self.slave = slave
        self.said = ""

    def until(self, text, seconds=15):
        end = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < end, (text, self.said)
            if select.select([self.master], [], [], 0.2)[0]:
                self.said += os.read(self.master, 4096).decode().replace("\r\n", "\n")

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        status = self.process.wait(15)
        while select.select([self.master], [], [], 0.2)[0]:
            self.said += os.read(self.master, 4096).decode().replace("\r\n", "\n")
        return status


def run(one, *arguments):
    return broker.run("ctl", "--data-dir", one.data_dir, *arguments)


@check
def a_password_is_asked_for_and_not_shown():
    one = scene.start()
    terminal = Terminal(one, "add_user", "alice")
    terminal.until("Password: ")
    eventually(lambda: not terminal.echoes(), "the terminal hides what is typed")
    terminal.type("se cret\n")
    assert terminal.end() == 0, terminal.said
    assert "cret" not in terminal.said, terminal.said
    assert terminal.said.startswith('Adding user "alice" ...\nPassword: \nDone.'), terminal.said
    assert terminal.echoes()
    assert run(one, "authenticate_user", "alice", "se cret")[0] == 0


@check
def who_interrupts_the_question_has_the_terminal_back():
    one = scene.start()
    terminal = Terminal(one, "change_password", "guest")
    terminal.until("Password: ")
    eventually(lambda: not terminal.echoes(), "the terminal hides what is typed")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == -signal.SIGINT, terminal.said
    assert terminal.echoes()
    assert run(one, "authenticate_user", "guest", "guest")[0] == 0


@check
def a_password_in_the_command_line_is_not_asked_for():
    one = scene.start()
    terminal = Terminal(one, "add_user", "alice", "secret")
    assert terminal.end() == 0, terminal.said
    assert "Password" not in terminal.said, terminal.said


@check
def a_password_that_begins_with_a_dash_comes_behind_two():
    one = scene.start()
    assert run(one, "add_user", "--", "alice", "--secret")[0] == 0
    assert run(one, "authenticate_user", "--", "alice", "--secret")[0] == 0


@check
def hashes_need_no_broker_and_fit_definitions():
    one = scene.start()
    done = subprocess.run(
        [broker.PROGRAM, "ctl", "-q", "hash_password"], input="typed\n", capture_output=True,
        text=True, check=True, timeout=15,
    )  # fmt: skip
    text = done.stdout.removeprefix("Password: \n").strip()
    definitions = f'{{"users":[{{"name":"alice","password_hash":"{text}","tags":[]}}]}}'
    done = subprocess.run(
        [broker.PROGRAM, "ctl", "-d", one.data_dir, "-q", "import_definitions"], input=definitions,
        capture_output=True, text=True, check=False, timeout=15,
    )  # fmt: skip
    assert done.returncode == 0, done
    assert run(one, "authenticate_user", "alice", "typed")[0] == 0


@check
def by_its_own_name_a_wrong_command_line_is_2():
    one = scene.start()
    for arguments in (("add_user",), ("list_queuez",), ("list_queues", "color"), ()):
        status, said, wrong = run(one, *arguments)
        assert (status, said) == (2, ""), (arguments, status, said)
        assert wrong != "", arguments
