"""Runs `leveret` and looks at what it prints and how it ends."""

import os
import subprocess

import harness

PROGRAM = os.path.abspath(os.environ["LEVERET_BIN"])
URL = f"amqp://{harness.USER}:{harness.PASSWORD}@{harness.HOST}:{harness.PORT}/"
PATIENCE = 15


def environment(url=URL):
    return {**os.environ, "LEVERET_URL": url}


def leveret(*arguments, stdin=b"", code=0, url=URL):
    """Runs the program to its end; gives (stdout, stderr). Asserts the exit code."""
    done = subprocess.run(
        [PROGRAM, *arguments], input=stdin, capture_output=True, timeout=PATIENCE,
        env=environment(url), check=False,
    )  # fmt: skip
    said = done.stderr.decode(errors="replace")
    assert done.returncode == code, f"{arguments}: ended with {done.returncode}: {said}"
    return done.stdout, said


def start(*arguments, **options):
    """Starts the program; it is ended with the check at the latest."""
    process = subprocess.Popen(
        [PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(), **options,
    )  # fmt: skip
    harness.cleanup(process.wait)
    harness.cleanup(process.kill)
    return process


def queue(*messages):
    """The name of a new durable queue with these messages, one per line of text."""
    name = harness.unique("cli")
    leveret("publish", "--declare", name, stdin="".join(m + "\n" for m in messages).encode())
    harness.cleanup(delete, name)
    return name


def delete(name):
    import client  # pika: only what the program has no command for

    connection = client.connect()
    connection.channel().queue_delete(name)
    connection.close()


def depth(name):
    """Messages that are ready in the queue, and its consumers."""
    import client

    connection = client.connect()
    ok = connection.channel().queue_declare(name, passive=True).method
    connection.close()
    return ok.message_count, ok.consumer_count


def refused(*arguments, word, url=URL, code=2):
    """The program says on stderr what was wrong: `word` is part of it."""
    out, said = leveret(*arguments, code=code, url=url)
    assert out == b"", out
    assert word in said, f"no {word!r} in {said!r}"
    assert said.startswith("leveret "), said
