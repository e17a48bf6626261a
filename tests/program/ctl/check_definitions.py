"""Definitions go out and come in: all of a file or nothing, also at the start."""

import json
import os
import pathlib
import subprocess

import broker
import desk
import scene
import wire
from harness import check

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "definitions"


def imported(one, definitions, *options):
    """Exit status, output, errors."""
    text = definitions if isinstance(definitions, str) else json.dumps(definitions)
    done = subprocess.run(
        [broker.PROGRAM, "ctl", "-d", one.data_dir, "import_definitions", "-", *options],
        input=text, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def exported(one):
    return desk.output(one, "export_definitions", "-")


def queue(name, **changes):
    return {"name": name, "vhost": "/", "durable": True, "auto_delete": False, **changes}


@check
def the_same_state_is_the_same_bytes_whatever_brought_it_about():
    first, second = scene.start(), scene.start("--shards", "3")
    ours = json.loads((DATA / "leveret.json").read_text())
    for one, sections in ((first, list(ours)), (second, list(reversed(ours)))):
        turned = {
            name: list(reversed(ours[name])) if isinstance(ours[name], list) else ours[name]
            for name in sections
        }
        assert imported(one, turned)[0] == 0
        broker.run("ctl", "-d", one.data_dir, "clear_password", "guest")
    assert exported(first) == exported(second)


@check
def our_own_file_comes_back_byte_for_byte():
    text = (DATA / "leveret.json").read_text()
    one = scene.start("--set", f"load_definitions={DATA / 'leveret.json'}")
    assert exported(one) == text
    status, said, wrong = imported(one, text, "--plan")
    assert (status, wrong) == (0, ""), (status, said, wrong)
    assert "An import makes 0 changes." in said, said
    one.kill()
    one.start()
    assert exported(one) == text
    path = os.path.join(one.directory, "there.json")
    assert desk.output(one, "-q", "export_definitions", path) == ""
    assert pathlib.Path(path).read_text() == text
    assert os.stat(path).st_mode & 0o777 == 0o600


@check
def transient_and_exclusive_things_are_as_rabbitmq_has_them():
    one = scene.start()
    client = wire.connect_with_channel()
    client.call(1, "queue.declare", queue="transient")
    client.call(1, "queue.declare", queue="mine", exclusive=True)
    client.call(1, "queue.bind", queue="mine", exchange="amq.direct", routing_key="k")
    there = json.loads(exported(one))
    assert [one["name"] for one in there["queues"]] == ["transient"], there["queues"]
    assert there["bindings"] == []
    assert there["exchanges"] == []
    status, _, wrong = imported(one, {"queues": [queue("mine")]})
    assert status == 65, status
    assert wrong == "Error:\nqueues[0]: queue 'mine' in vhost '/' is there and exclusive to a connection\n"


@check
def a_file_with_one_mistake_changes_nothing():
    one = scene.start()
    before = exported(one)
    good = {"vhosts": [{"name": "new"}], "queues": [queue("one"), queue("two")]}
    for section, wrong, sentence in (
        ("queues", queue("three", durable=7), "queues[2].durable is a number: it has to be true or false"),
        ("queues", queue("three", arguments={"x-max-length": 5}),
         "queues[2]: argument 'x-max-length', which this broker doesn't have"),
        ("queues", queue("q" * 256), "queues[2].name has 256 bytes: at most 255 are allowed"),
        ("queues", queue("three", vhost="nowhere"),
         "queues[2]: queue 'three' in vhost 'nowhere': there is no vhost 'nowhere', neither in the broker nor in the file"),
        ("exchanges", {**queue("amq.topic"), "type": "direct"},
         "exchanges[0]: inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': received 'direct' but current is 'topic'"),
        ("users", {"name": "u", "password_hash": "AAAA", "hashing_algorithm": "rot13"}, "users[0].password_hash: "),
        ("permissions", {"user": "guest", "vhost": "/", "configure": "(", "write": "", "read": ""},
         "permissions[0].configure: "),
        ("permissions", {"user": "who", "vhost": "/", "configure": "", "write": "", "read": ""},
         "permissions[0]: permissions of user 'who' in vhost '/': there is no user 'who', neither in the broker nor in the file"),
        ("bindings", {"source": "amq.topic", "vhost": "/", "destination": "none", "destination_type": "queue",
                      "routing_key": ""}, "bindings[0]: binding from exchange 'amq.topic' to queue 'none'"),
    ):  # fmt: skip
        definitions = {**good, section: [*good.get(section, []), wrong]}
        status, _, said = imported(one, definitions)
        assert status == 65, (sentence, status, said)
        assert said.startswith(f"Error:\n{sentence}"), (sentence, said)
        assert exported(one) == before, sentence
    for text in ("", "{", "nonsense", '{"queues":[],"queues":[]}', "[]"):
        status, _, said = imported(one, text)
        assert status == 65 and said.startswith("Error:\n"), (text, status, said)
    assert exported(one) == before


@check
def ten_thousand_queues_come_in_while_publishing_goes_on():
    one = scene.start("--shards", "3")
    client = wire.connect_with_channel()
    client.call(1, "queue.declare", queue="busy")
    client.call(1, "confirm.select")
    queues = [queue(f"q{i}") for i in range(10000)]
    bindings = [
        {"source": "amq.topic", "vhost": "/", "destination": one["name"],
         "destination_type": "queue", "routing_key": one["name"]}
        for one in queues
    ]  # fmt: skip
    text = json.dumps({"queues": queues, "bindings": bindings})
    process = subprocess.Popen(
        [broker.PROGRAM, "ctl", "-d", one.data_dir, "import_definitions"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdin.write(text)
    process.stdin.close()
    published = 0
    while process.poll() is None:
        client.publish(1, "", "busy", b"x")
        client.expect("basic.ack", 1)
        published += 1
    assert process.returncode == 0 and "Imported: 20000 changes." in process.stdout.read()
    assert published > 10, published
    assert len(desk.rows(one, "list_queues", "name")) == 10001
    one.kill()
    one.start()
    assert len(desk.rows(one, "list_queues", "name")) == 10000
    assert len(json.loads(exported(one))["bindings"]) == 10000


@check
def a_start_with_a_wrong_file_fails_with_a_sentence():
    directory = scene.start().directory
    path = os.path.join(directory, "wrong.json")
    pathlib.Path(path).write_text('{"queues": 5}')
    for given, sentence in (
        (path, f"load_definitions: {path}: queues is a number: it has to be a list"),
        ("/nowhere", "load_definitions: /nowhere can't be read: No such file or directory"),
        (directory, f"load_definitions: {directory} can't be read: it is no file"),
    ):
        data = os.path.join(directory, "other")
        status, said, wrong = broker.run(
            "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--set", f"load_definitions={given}"
        )
        assert status == 1, (status, said, wrong)
        assert sentence in wrong, wrong
        assert "ready" not in said, said


@check
def definitions_at_the_start_say_who_there_is():
    path = str(DATA / "rabbitmq-3.10.json")
    one = scene.start("--set", f"load_definitions={path}")
    there = [row["user"] for row in desk.rows(one, "list_users")]
    assert "imported-from-rabbitmq" in there, there
    assert "event=definitions.left_out" in one.log(), one.log()
    assert "policies[0] is left out" in one.log(), one.log()
