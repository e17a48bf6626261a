"""Definitions that either broker has written are imported by both."""

import base64
import hashlib
import json
import pathlib

import ctl
import harness
from check_access import new_user, new_vhost
from harness import check

DATA = pathlib.Path(__file__).resolve().parent.parent.parent / "data" / "definitions"


def exported():
    return json.loads(ctl.output("export_definitions", "-"))


def imported(definitions):
    status, said, wrong = ctl.run("import_definitions", said_to=json.dumps(definitions))
    assert status == 0, (status, said, wrong)
    assert said.startswith("Importing definitions in JSON from standard input ...\n"), said
    return wrong


def of_vhost(definitions, section, vhost):
    return sorted((one for one in definitions[section] if one["vhost"] == vhost), key=json.dumps)


QUEUES = [
    {
        "name": "q", "durable": True, "auto_delete": False, "type": "classic",
        "arguments": {
            "x-big": 9007199254740993, "x-f": 1.5, "x-l": [1, "a", {"b": True}], "x-n": -3,
        },
    },
    {
        "name": "passing", "durable": False, "auto_delete": False, "type": "classic",
        "arguments": {},
    },
]  # fmt: skip
EXCHANGES = [
    {
        "name": "e", "type": "topic", "durable": True, "auto_delete": False,
        "arguments": {"alternate-exchange": "amq.fanout"},
    },
    {"name": "f", "type": "headers", "durable": True, "auto_delete": False, "arguments": {}},
]  # fmt: skip
BINDINGS = [
    {
        "source": "e", "destination": "q", "destination_type": "queue", "routing_key": "a.*",
        "arguments": {"x": 1},
    },
    {
        "source": "e", "destination": "f", "destination_type": "exchange", "routing_key": "",
        "arguments": {},
    },
]  # fmt: skip


def within(vhost, objects):
    return [{**one, "vhost": vhost} for one in objects]


@check
def what_was_imported_is_exported_again():
    vhost = new_vhost()
    imported(
        {
            "queues": within(vhost, QUEUES), "exchanges": within(vhost, EXCHANGES),
            "bindings": within(vhost, BINDINGS),
        }
    )  # fmt: skip
    harness.eventually(lambda: len(of_vhost(exported(), "bindings", vhost)) == 2, "two bindings")
    there = exported()
    for section, objects in (("queues", QUEUES), ("bindings", BINDINGS)):
        assert of_vhost(there, section, vhost) == sorted(
            ({key: one[key] for key in sorted(one)} for one in within(vhost, objects)),
            key=json.dumps,
        ), there[section]
    for one in of_vhost(there, "exchanges", vhost):
        one.pop("internal", None)  # of which RabbitMQ says nothing: it exports none of them
        assert one in within(vhost, EXCHANGES), one


def hash_of(password):
    salt = bytes((1, 2, 3, 4))
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


@check
def users_keep_their_hashes_tags_and_limits():
    name = harness.unique("user")
    harness.cleanup(ctl.run, "delete_user", name)
    user = {
        "name": name, "tags": ["monitoring", "two"], "limits": {"max-channels": 7},
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "password_hash": hash_of("secret"),
    }  # fmt: skip
    imported({"users": [user]})
    assert user in exported()["users"]
    assert ctl.run("authenticate_user", name, "secret")[0] == 0
    assert ctl.run("authenticate_user", name, "Secret")[0] == 65


@check
def a_clear_password_is_hashed():
    name = harness.unique("user")
    harness.cleanup(ctl.run, "delete_user", name)
    imported({"users": [{"name": name, "password": "clear", "tags": "administrator,x"}]})
    assert {"user": name, "tags": ["administrator", "x"]} in ctl.rows("list_users")
    assert ctl.run("authenticate_user", name, "clear")[0] == 0


@check
def permissions_and_limits_are_exported():
    name, vhost = new_user(), new_vhost("--description", "words")
    ctl.output("set_permissions", "-p", vhost, name, "c", "w", "r")
    ctl.output("set_topic_permissions", "-p", vhost, name, "amq.topic", "w", "r")
    ctl.output("set_vhost_limits", "-p", vhost, '{"max-queues":3}')
    there = exported()
    assert of_vhost(there, "permissions", vhost) == [
        {"configure": "c", "read": "r", "user": name, "vhost": vhost, "write": "w"}
    ]
    assert of_vhost(there, "topic_permissions", vhost) == [
        {"exchange": "amq.topic", "read": "r", "user": name, "vhost": vhost, "write": "w"}
    ]
    assert of_vhost(there, "parameters", vhost) == [
        {
            "component": "vhost-limits", "name": "limits", "value": {"max-queues": 3},
            "vhost": vhost,
        }
    ]  # fmt: skip
    mine = [one for one in there["vhosts"] if one["name"] == vhost]
    mine[0]["metadata"]["tags"] = mine[0]["metadata"]["tags"] or []  # which may be ""
    assert mine == [
        {
            "limits": [["max-queues", 3]], "name": vhost,
            "metadata": {"description": "words", "tags": []},
        }
    ], mine  # fmt: skip


def forget(definitions):
    for vhost in definitions["vhosts"]:
        if vhost["name"] != "/":
            harness.cleanup(ctl.run, "delete_vhost", vhost["name"])
    for user in definitions["users"]:
        if user["name"] != "guest":
            harness.cleanup(ctl.run, "delete_user", user["name"])


@check
def a_file_of_rabbitmq_is_imported():
    text = (DATA / "rabbitmq-3.10.json").read_text()
    definitions = json.loads(text)
    forget(definitions)
    wrong = imported(definitions)
    if ctl.IS_LEVERET:
        assert "Warning: policies[0] is left out: this broker has nothing like 'p1'\n" in wrong, wrong
        assert "Warning: global_parameters[0] is left out" in wrong, wrong
    for vhost in {one["vhost"] for one in definitions["queues"]}:
        wanted = [one["name"] for one in definitions["queues"] if one["vhost"] == vhost]
        there = ctl.lines("list_queues", "-p", vhost, "name")[1:]
        assert sorted(there) == sorted(wanted), there
        bound = [one for one in definitions["bindings"] if one["vhost"] == vhost]
        shown = ctl.rows("list_bindings", "-p", vhost, "source_name")
        assert sum(row["source_name"] != "" for row in shown) == len(bound), shown
    assert ctl.run("authenticate_user", "imported-from-rabbitmq", "secret")[0] == 0


@check
def a_file_of_leveret_is_imported():
    definitions = json.loads((DATA / "leveret.json").read_text())
    forget(definitions)
    imported(definitions)
    vhost = "imported-from-leveret"
    assert sorted(ctl.lines("list_queues", "-p", vhost, "name")[1:]) == ["one", "two"]
    assert len(ctl.rows("list_bindings", "-p", vhost, "source_name")) == 2 + len(
        of_vhost(definitions, "bindings", vhost)
    )
    assert {"user": "imported-from-leveret", "tags": ["monitoring"]} in ctl.rows("list_users")
