"""The program's own commands over TLS, and the certificates that it makes."""

import json
import os
import re
import shlex
import stat
import subprocess
import tempfile

import broker
import harness
import pki
import scene
from harness import check

HERE = os.path.dirname(os.path.abspath(__file__))


def fails(*arguments, words):
    status, _, text = broker.run(*arguments)
    assert status != 0, arguments
    assert all(word in text for word in words), (words, text)


@check
def messages_go_there_and_back():
    keys = pki.Pki()
    one = keys.start()
    url = keys.url(one)
    body = os.urandom(2_000_000)
    path = keys.path("body")
    with open(path, "wb") as file:
        file.write(body)
    assert broker.run("publish", "--url", url, "--declare", "q", "--file", path)[0] == 0
    got = subprocess.run([broker.PROGRAM, "get", "--url", url, "--raw", "q"],
                         capture_output=True, check=True, timeout=20).stdout  # fmt: skip
    assert got == body
    lines = "".join(f"line {i}\n" for i in range(5000))
    subprocess.run([broker.PROGRAM, "publish", "--url", url, "q"], input=lines, text=True,
                   check=True, timeout=20)  # fmt: skip
    status, text, _ = broker.run("consume", "--url", url, "q", "--count", "5000")
    assert status == 0 and text == lines


@check
def whom_a_client_does_not_know_it_does_not_believe():
    keys = pki.Pki()
    one = keys.start()
    keys.authority("other")
    fails("get", "q", "--url", keys.url(one, cacertfile=keys.path("other.pem")),
          words=("is refused", "cacertfile"))  # fmt: skip
    fails("get", "q", "--url", f"amqps://localhost:{one.tls_port}", words=("is refused",))
    fails("get", "q", "--url", keys.url(one, server_name_indication="elsewhere"),
          words=("CN=server", "elsewhere"))  # fmt: skip
    fails("get", "q", "--url", keys.url(one, cacertfile="/nowhere.pem"), words=("/nowhere.pem",))
    status, _, text = broker.run("publish", "--declare", "q", "x", "--url",
                                 keys.url(one, cacertfile=keys.path("other.pem"),
                                          verify="verify_none"))  # fmt: skip
    assert status == 0, text


@check
def the_wrong_port_is_said_to_be_one():
    keys = pki.Pki()
    one = keys.start()
    url = keys.url(one).replace(str(one.tls_port), str(one.port))
    fails("get", "q", "--url", url, words=("without TLS",))


@check
def a_load_over_tls_arrives_whole():
    keys = pki.Pki()
    for shards in ("1", "3"):
        one = keys.start("--shards", shards)
        for count, *more in (
            ("3000", "--size", "100", "--ack-every", "50"), ("400", "--size", "70000"),
            ("3000", "--size", "500", "--confirm", "500", "--persistent", "--durable"),
        ):  # fmt: skip
            status, text, error = broker.run(
                "bench", "--url", keys.url(one), "--json", "--quiet", "--warmup", "0.1",
                "--messages", count, "--producers", "2", "--consumers", "2", *more)  # fmt: skip
            assert status == 0 and json.loads(text)["good"], (text, error)
        status, text, error = broker.run("bench", "--url", keys.url(one), "--json", "--quiet",
                                         "--churn", "3", "--duration", "1", "--warmup", "0.1")
        assert status == 0 and json.loads(text)["good"], (text, error)
        one.stop()


def make(directory, *arguments):
    status, text, error = broker.run("cert", "--dir", directory, *arguments)
    assert status == 0, error
    return text


@check
def what_cert_makes_and_prints_works_as_it_is():
    directory = tempfile.mkdtemp(prefix="leveret-cert-")
    harness.cleanup(broker.shutil.rmtree, directory, True)
    text = make(os.path.join(directory, "certs"))
    for name in os.listdir(os.path.join(directory, "certs")):
        mode = os.stat(os.path.join(directory, "certs", name)).st_mode
        assert stat.S_IMODE(mode) == 0o600, (name, oct(mode))
    config = os.path.join(directory, "tls.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.replace("127.0.0.1:5671", "127.0.0.1:0"))
    one = scene.start("--config", config)
    calls = [line.lstrip("# ") for line in text.splitlines() if "leveret publish" in line or
             "leveret get" in line]  # fmt: skip
    assert len(calls) == 2, text
    for call in calls:
        words = shlex.split(call.replace(":5671", f":{one.tls_port}"))
        status, said, error = broker.run(*words[1:])
        assert status == 0, (call, error)
    assert said == "Hello, world\n", said
    one.stop()


@check
def cert_overwrites_nothing():
    directory = tempfile.mkdtemp(prefix="leveret-cert-")
    harness.cleanup(broker.shutil.rmtree, directory, True)
    with open(os.path.join(directory, "server_key.pem"), "w", encoding="utf-8") as file:
        file.write("mine")
    fails("cert", "--dir", directory, words=("server_key.pem", "not overwritten"))
    assert os.listdir(directory) == ["server_key.pem"], "not a part of it, either"
    fails("cert", "--dir", directory + "/x", "--host", "two words", words=("two words",))
    fails("cert", "--dir", "/proc/nowhere", words=("/proc/nowhere",))


@check
def a_certificate_is_for_the_hosts_that_were_named():
    directory = tempfile.mkdtemp(prefix="leveret-cert-")
    harness.cleanup(broker.shutil.rmtree, directory, True)
    text = make(directory, "--host", "mq.example", "--host", "10.1.2.3", "--client", "app")
    assert "amqps://guest:guest@mq.example:5671" in text, text
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-text", "-in", os.path.join(directory,
         "server_certificate.pem")], capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert re.search(r"DNS:mq\.example, IP Address:10\.1\.2\.3", shown), shown
    assert "TLS Web Server Authentication" in shown, shown


@check
def the_manuals_first_try_works_as_it_is_written():
    with open(os.path.join(HERE, "..", "..", "..", "docs", "manual.md"), encoding="utf-8") as file:
        tour = re.search(r"<!-- tls: first try -->\n```console\n(.*?)```", file.read(), re.S)[1]
    directory = tempfile.mkdtemp(prefix="leveret-tour-")
    harness.cleanup(broker.shutil.rmtree, directory, True)
    os.symlink(os.path.abspath(broker.PROGRAM), os.path.join(directory, "leveret"))
    path = directory + ":" + os.environ["PATH"]
    commands = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", tour, re.M)
    assert [command.split()[1] for command, _ in commands] == ["cert", "serve", "publish", "get"]
    port = "5671"
    for command, expected in commands:
        if command.startswith("leveret serve"):
            config = os.path.join(directory, "leveret.conf")
            with open(config, encoding="utf-8") as file:
                text = file.read()
            with open(config, "w", encoding="utf-8") as file:
                file.write(text.replace("127.0.0.1:5671", "127.0.0.1:0"))
            port = str(scene.start("--config", config).tls_port)
            continue
        done = subprocess.run(
            command.replace(":5671", ":" + port), shell=True, cwd=directory, text=True,
            capture_output=True, timeout=20, check=False, env=dict(os.environ, PATH=path),
        )  # fmt: skip
        assert done.returncode == 0 and done.stdout == expected, (command, done)
