"""What examples/introduction promises, seen from outside: what its scripts print and leave behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

import client
import harness
import scratch
from harness import check, cleanup

EXAMPLES = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "examples", "introduction"
)


class Place:
    """A directory with the credentials in it, from where scripts are run."""

    def __init__(self, credentials=f"{harness.USER}\n{harness.PASSWORD}\n"):
        self.directory = tempfile.mkdtemp()
        cleanup(shutil.rmtree, self.directory)
        self.environment = {
            **os.environ,
            "AMQP_URL": f"amqp://{harness.HOST}:{harness.PORT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if credentials is not None:
            with open(os.path.join(self.directory, ".amqp-credentials"), "w") as file:
                file.write(credentials)

    def command(self, script, *arguments):
        return {
            "args": [sys.executable, os.path.join(EXAMPLES, script), *map(str, arguments)],
            "cwd": self.directory, "env": self.environment, "text": True,
        }  # fmt: skip

    def run(self, script, *arguments):
        """To its end; exit status and standard output, with standard error after it."""
        done = subprocess.run(
            **self.command(script, *arguments), capture_output=True, timeout=15, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def produce(self, *arguments):
        status, output = self.run("producer.py", *arguments)
        assert status == 0, output
        return output.splitlines()


class Consumer:
    """A consumer.py that runs until it is told to stop."""

    def __init__(self, place, kind, name, *arguments):
        self.name = name
        self.process = subprocess.Popen(
            **place.command("consumer.py", kind, "--name", name, *arguments),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        cleanup(self.process.stdout.close)
        cleanup(self.process.wait)
        cleanup(self.process.kill)
        assert self.line() in ("waiting for jobs", "listening")

    def line(self):
        """The next line that it prints, without its name."""
        line = self.process.stdout.readline().rstrip("\n")
        assert line.startswith(f"{self.name}: "), f"{self.name} says {line!r}"
        return line[len(self.name) + 2 :]

    def jobs(self, count):
        """The numbers of the next jobs that it takes, each finished before the next."""
        numbers = []
        for _ in range(count):
            took, finished = self.line(), self.line()
            assert took.startswith("took job ") and finished.startswith("finished job ")
            assert took.split()[1:] == finished.split()[1:], (took, finished)
            numbers.append(int(took.split()[2]))
        return numbers

    def stop(self):
        """Ends it politely; what it had still printed."""
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stdout.read().splitlines()
        assert self.process.wait() == 0, rest
        return [line[len(self.name) + 2 :] for line in rest]


def job(number):
    return f"job {number} {'heavy' if number % 2 else 'light'}"


@check
def example_credentials_can_be_used_as_they_are():
    with open(os.path.join(EXAMPLES, "amqp-credentials.example")) as file:
        lines = file.read()
    assert lines == "guest\nguest\n"
    Place(credentials=lines).produce("jobs", 1, "--queue", scratch.queue_name())


@check
def missing_credentials_are_explained():
    status, output = Place(credentials=None).run("producer.py", "jobs", 1)
    assert status == 1
    assert ".amqp-credentials" in output and "amqp-credentials.example" in output, output


@check
def credentials_of_one_line_are_explained():
    status, output = Place(credentials="guest\n").run("consumer.py", "jobs")
    assert (status, "two lines" in output) == (1, True), output


@check
def wrong_password_is_explained():
    status, output = Place(credentials=f"{harness.USER}\nwrong\n").run("producer.py", "jobs", 1)
    assert (status, "refused user and password" in output) == (1, True), output


@check
def absent_broker_is_explained():
    place = Place()
    place.environment["AMQP_URL"] = "amqp://127.0.0.1:1"
    status, output = place.run("producer.py", "jobs", 1)
    assert (status, "No broker at 127.0.0.1:1" in output) == (1, True), output


@check
def producer_declares_a_durable_queue_and_persistent_jobs():
    queue = scratch.queue_name()
    output = Place().produce("jobs", 3, "--queue", queue)
    assert output == [f"confirmed: {job(number)}" for number in (1, 2, 3)]
    chan = client.channel()
    chan.queue_declare(queue, durable=True)  # refused if it were not durable
    for number in (1, 2, 3):
        _, properties, body = chan.basic_get(queue, auto_ack=True)
        assert (body.decode(), properties.delivery_mode) == (job(number), 2)


@check
def producer_learns_of_an_unroutable_job():
    queue, key = scratch.queue_name(), harness.unique("absent")
    status, output = Place().run("producer.py", "jobs", 1, "--queue", queue, "--key", key)
    assert status == 1
    assert output.splitlines() == [
        "returned: job 1 heavy (312 NO_ROUTE)",
        f"1 of 1 jobs went nowhere: no queue is named '{key}'",
    ], output
    assert client.drain(client.channel(), queue) == []


@check
def one_worker_does_all_jobs_in_order_and_acks_them():
    place, queue = Place(), scratch.queue_name()
    place.produce("jobs", 6, "--queue", queue)
    worker = Consumer(place, "jobs", "anna", "--queue", queue, "--heavy", 0, "--light", 0)
    assert worker.jobs(6) == [1, 2, 3, 4, 5, 6]
    assert worker.stop() == []
    chan = client.channel()
    client.expect_depth(chan, queue, 0)
    assert client.consumers(chan, queue) == 0


def with_a_stuck_worker(light_jobs, *options):
    """A worker that is frozen in job 1, one that is free, and light jobs 2, 3, ... for both."""
    place, queue, chan = Place(), scratch.queue_name(), client.channel()
    options = ("--queue", queue, "--heavy", 2, "--light", 0, *options)
    stuck = Consumer(place, "jobs", "stuck", *options)
    place.produce("jobs", 1, "--queue", queue)
    assert stuck.line() == "took job 1 heavy"
    stuck.process.send_signal(signal.SIGSTOP)
    free = Consumer(place, "jobs", "free", *options)
    for number in range(2, light_jobs + 2):
        client.publish(chan, queue, b"job %d light" % number, properties=client.PERSISTENT)
    return stuck, free, lambda: client.expect_depth(chan, queue, 0)


def thaw(stuck):
    stuck.process.send_signal(signal.SIGCONT)
    assert stuck.line() == "finished job 1 heavy"


@check
def stuck_worker_collects_no_backlog():
    stuck, free, expect_empty_queue = with_a_stuck_worker(9)
    assert free.jobs(9) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    expect_empty_queue()
    thaw(stuck)
    assert (stuck.stop(), free.stop()) == ([], [])


@check
def stuck_worker_without_a_limit_collects_a_backlog():
    stuck, free, expect_empty_queue = with_a_stuck_worker(10, "--prefetch", 0)
    theirs = free.jobs(5)  # every other one, and no more although it is idle
    expect_empty_queue()
    thaw(stuck)
    assert sorted(stuck.jobs(5) + theirs) == list(range(2, 12))
    assert (stuck.stop(), free.stop()) == ([], [])


@check
def heavy_jobs_are_shared_by_two_workers():
    place, queue = Place(), scratch.queue_name()
    reader, writer = os.pipe()
    for name in ("anna", "bert"):
        worker = subprocess.Popen(
            **place.command("consumer.py", "jobs", "--name", name, "--queue", queue, "--heavy", 0.5),
            stdout=writer,
        )  # fmt: skip
        cleanup(worker.wait)
        cleanup(worker.kill)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert all("waiting" in lines.readline() for _ in range(2))
        place.produce("jobs", 10, "--queue", queue)
        done = {"anna": [], "bert": []}
        while sum(map(len, done.values())) < 10:
            name, what, _, number, _ = lines.readline().replace(":", "").split()
            if what == "finished":
                done[name].append(int(number))
    assert sorted(done["anna"] + done["bert"]) == list(range(1, 11)), done
    for numbers in done.values():
        assert numbers == sorted(numbers), done
        assert any(number % 2 for number in numbers), f"one worker did all heavy jobs: {done}"


@check
def job_of_a_killed_worker_goes_to_another():
    place, queue = Place(), scratch.queue_name()
    victim = Consumer(place, "jobs", "victim", "--queue", queue, "--heavy", 600)
    place.produce("jobs", 2, "--queue", queue)
    assert victim.line() == "took job 1 heavy"
    heir = Consumer(place, "jobs", "heir", "--queue", queue, "--heavy", 0, "--light", 0)
    assert heir.jobs(1) == [2]
    victim.process.kill()
    assert heir.line() == "took again job 1 heavy"
    assert heir.line() == "finished job 1 heavy"
    assert heir.stop() == []


@check
def news_reach_every_subscriber_in_order():
    place, exchange = Place(), scratch.exchange_name()
    names = ("clara", "dora", "emil")
    subscribers = [Consumer(place, "news", name, "--exchange", exchange) for name in names]
    output = place.produce("news", "--exchange", exchange, "one", "two", "three")
    assert output == ["confirmed: one", "confirmed: two", "confirmed: three"]
    for subscriber in subscribers:
        assert [subscriber.line() for _ in range(3)] == ["heard one", "heard two", "heard three"]
        assert subscriber.stop() == []


@check
def news_to_nobody_are_noticed():
    exchange = scratch.exchange_name()
    status, output = Place().run("producer.py", "news", "--exchange", exchange, "hello?")
    assert status == 1
    assert output.splitlines() == [
        "returned: hello? (312 NO_ROUTE)",
        f"nobody listens to '{exchange}'",
    ], output


@check
def subscriber_hears_only_what_comes_after_it():
    place, exchange = Place(), scratch.exchange_name()
    first = Consumer(place, "news", "first", "--exchange", exchange)
    place.produce("news", "--exchange", exchange, "early")
    second = Consumer(place, "news", "second", "--exchange", exchange)
    place.produce("news", "--exchange", exchange, "late")
    assert [first.line(), first.line()] == ["heard early", "heard late"]
    assert second.line() == "heard late"
    assert (first.stop(), second.stop()) == ([], [])


@check
def subscriber_that_left_leaves_nothing_behind():
    place, exchange = Place(), scratch.exchange_name()
    subscriber = Consumer(place, "news", "brief", "--exchange", exchange, "--count", 1)
    place.produce("news", "--exchange", exchange, "once")
    assert subscriber.line() == "heard once"
    assert subscriber.process.wait() == 0
    assert place.run("producer.py", "news", "--exchange", exchange, "again")[0] == 1
