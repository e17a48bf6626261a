"""Runs checks, each in a process of its own, and reports them one per line.

A check is a function marked with @check; it passes unless it raises. A process per check keeps a
hung or crashed one from taking the suite along and lets slow ones (a broker waits seconds before
it drops a bad login) overlap. Output and exit status are what every suite of clients promises:
`ok NAME`, `not ok NAME reason`, `skip NAME reason`, and a last line `N passed, M failed`.
"""

import contextlib
import glob
import importlib
import os
import secrets
import selectors
import signal
import socket
import sys
import time
import traceback

HOST = os.environ.get("LEVERET_HOST", "127.0.0.1")
PORT = int(os.environ.get("LEVERET_PORT", "5672"))
USER = os.environ.get("LEVERET_USER", "guest")
PASSWORD = os.environ.get("LEVERET_PASS", "guest")

SECONDS = float(os.environ.get("LEVERET_CHECK_SECONDS", "20"))
JOBS = int(os.environ.get("LEVERET_CHECK_JOBS", "8"))
CLEANUP_SECONDS = 10

PASSED, FAILED, SKIPPED = 0, 1, 2  # exit statuses of a check's process

_RUN = secrets.token_hex(4)
_checks = []
_cleanups = contextlib.ExitStack()


class TimedOut(BaseException):
    """Not an Exception, so that no client library's handler can swallow it."""


class Skipped(BaseException):
    """The check can't be made on this machine."""


class Check:
    """One check and, while it runs, its process."""

    def __init__(self, function, seconds):
        module = function.__module__.replace("check_", "")
        self.name = f"{module}.{function.__name__}"
        self.function = function
        self.seconds = seconds
        self.pid = self.pipe = self.deadline = None
        self.said = b""


def check(function=None, *, seconds=SECONDS):
    """Registers a check; `seconds` is for the few that need more than the usual time."""
    if function is None:
        return lambda f: check(f, seconds=seconds)
    _checks.append(Check(function, seconds))
    return function


def unique(kind):
    """A name nobody else uses: neither another check nor another run on the same broker."""
    return f"check.{_RUN}.{kind}.{secrets.token_hex(4)}"


def skip(reason):
    """Ends the check: it can't be made here, and the results say why."""
    raise Skipped(reason)


def cleanup(function, *args):
    """Calls function when the check ends, last registered first, whatever became of the check."""
    _cleanups.callback(function, *args)


def eventually(condition, what="condition", seconds=10):
    """Waits for a fact that no event announces to this client, such as another one's loss."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not so after {seconds} s: {what}"
        time.sleep(0.02)


def _on_alarm(_signal, _frame):
    raise TimedOut()


def _reason(error):
    """The error and the innermost line of the check itself, on one line."""
    if isinstance(error, TimedOut):
        text = "timed out"
    else:
        text = f"{type(error).__name__}: {error}"
    places = traceback.extract_tb(error.__traceback__)
    ours = [entry for entry in places if "check_" in os.path.basename(entry.filename)] or places
    place = f" ({os.path.basename(ours[-1].filename)}:{ours[-1].lineno})" if ours else ""
    return " ".join(text.split())[:600] + place


def _attempt(function, seconds):
    """Calls function under an alarm; how it did not pass and the reason, or None."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        function()
        return None
    except Skipped as skipped:
        return SKIPPED, str(skipped)
    except (Exception, TimedOut) as error:  # a check may fail in any way at all
        if os.environ.get("LEVERET_CHECK_TRACE"):
            traceback.print_exc()
        return FAILED, _reason(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _run_child(one, pipe):
    status, reason = _attempt(one.function, one.seconds) or (PASSED, "")
    cleaning = _attempt(_cleanups.close, CLEANUP_SECONDS)
    if status != FAILED and cleaning is not None:
        status, reason = FAILED, f"cleanup: {cleaning[1]}"
    os.write(pipe, reason.encode())
    os._exit(status)


def _start(one):
    reader, writer = os.pipe()
    sys.stdout.flush()
    one.pid = os.fork()
    if one.pid == 0:
        os.close(reader)
        _run_child(one, writer)
    os.close(writer)
    one.pipe = reader
    # The child ends itself; this is for one that is stuck where no signal reaches it.
    one.deadline = time.monotonic() + one.seconds + CLEANUP_SECONDS + 5


def _finish(one):
    """Reaps a check whose pipe closed and prints its line; its exit status."""
    os.close(one.pipe)
    _, status = os.waitpid(one.pid, 0)
    reason = one.said.decode(errors="replace")
    if os.WIFSIGNALED(status):
        reason = reason or f"killed by signal {os.WTERMSIG(status)}"
    status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else FAILED
    word = {PASSED: "ok", SKIPPED: "skip"}.get(status, "not ok")
    print(f"{word} {one.name} {reason}".rstrip(), flush=True)
    return status


def _run_all(checks):
    """Yields the exit status of each check as it ends, JOBS of them at a time."""
    waiting = list(reversed(checks))
    running = selectors.DefaultSelector()
    while waiting or running.get_map():
        while waiting and len(running.get_map()) < JOBS:
            one = waiting.pop()
            _start(one)
            running.register(one.pipe, selectors.EVENT_READ, one)
        for key, _ in running.select(timeout=1):
            piece = os.read(key.fd, 4096)
            key.data.said += piece
            if not piece:
                running.unregister(key.fd)
                yield _finish(key.data)
        now = time.monotonic()
        for key in list(running.get_map().values()):
            if key.data.deadline < now:
                os.kill(key.data.pid, signal.SIGKILL)
                key.data.said = b"stuck, killed"
                key.data.deadline = now + 60


def run(directory, arguments):
    """Runs the checks in check_*.py there whose name contains one of the arguments, or all of
    them; gives the exit status."""
    sys.path.insert(0, directory)
    for path in sorted(glob.glob(os.path.join(directory, "check_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])
    chosen = [
        one for one in _checks if not arguments or any(part in one.name for part in arguments)
    ]
    try:
        socket.create_connection((HOST, PORT), timeout=SECONDS).close()
    except OSError as error:
        print(f"not ok connect nobody answers at {HOST}:{PORT}: {error}")
        print("0 passed, 1 failed")
        return 1
    results = list(_run_all(chosen))
    passed, failed = results.count(PASSED), len(results) - results.count(PASSED)
    failed -= results.count(SKIPPED)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
