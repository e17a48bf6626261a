"""Clients in other languages: each publishes, waits for the confirm and takes it back."""

import os
import subprocess

import harness
import pki
from harness import check

HERE = os.path.dirname(os.path.abspath(__file__))
AMQPLIB = os.path.join(HERE, "..", "..", "clients", "amqplib", "node_modules")


def run(one, keys, *command, **more):
    environment = dict(
        os.environ, TLS_PORT=str(one.tls_port), CA=keys.path("ca.pem"),
        CERT=keys.path("app.pem"), KEY=keys.path("app.key"), **more)  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False,
                          env=environment, cwd=HERE)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "ok 300000", done.stdout


def talks(*command, **more):
    keys = pki.Pki()
    keys.issue("app", "client", subject="/CN=guest")
    for shards in ("1", "3"):
        one = keys.start("--shards", shards, **keys.verifies())
        run(one, keys, *command, **more)
        one.stop()


@check
def bunny_talks_tls():
    talks("ruby", "client.rb")


@check
def php_amqplib_talks_tls():
    talks("php", "client.php")


def amqplib_talks_tls():
    talks("node", "client.js", NODE_PATH=AMQPLIB)


if os.path.isdir(AMQPLIB):
    check(amqplib_talks_tls)
else:
    print("skip others.amqplib_talks_tls npm could not fetch amqplib", flush=True)


@check
def librabbitmqs_tools_talk_tls():
    keys = pki.Pki()
    one = keys.start()
    queue = harness.unique("q")
    tools = [f"--url=amqps://guest:guest@localhost:{one.tls_port}", "--ssl",
             f"--cacert={keys.path('ca.pem')}"]  # fmt: skip
    for command in (["amqp-declare-queue", *tools, "-q", queue],
                    ["amqp-publish", *tools, "-r", queue, "-b", "hello"],
                    ["amqp-get", *tools, "-q", queue]):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "hello", done.stdout
