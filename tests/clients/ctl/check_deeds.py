"""What is done to queues and connections, and how a broker says that it is well."""

import json
import re

import ctl
import harness
import wire
from check_access import expect, new_vhost
from harness import check
from scratch import queue_name


def filled(count, **declared):
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name, **declared)
    for _ in range(count):
        client.publish(1, "", name, b"x")
    harness.eventually(
        lambda: ctl.row("name", name, "list_queues", "name", "messages")["messages"] == count,
        f"{count} messages in the queue",
    )
    return client, name


def names():
    return ctl.lines("list_queues", "name")


@check
def a_queue_is_purged():
    _, name = filled(3)
    expect(0, f"Purging queue '{name}' in vhost '/' ...\n", "", "purge_queue", name)
    assert ctl.row("name", name, "list_queues", "name", "messages")["messages"] == 0
    gone = harness.unique("queue")
    said = f"Purging queue '{gone}' in vhost '/' ...\n"
    expect(69, said, "Error:\nnot_found\n", "purge_queue", gone)


@check
def a_queue_is_deleted_with_what_is_in_it():
    _, name = filled(2)
    expect(
        0,
        f"Deleting queue '{name}' on vhost '/' ...\n"
        "Queue was successfully deleted with 2 ready messages\n", "",
        "delete_queue", name,
    )  # fmt: skip
    assert name not in names()
    said = f"Deleting queue '{name}' on vhost '/' ...\n"
    expect(64, said, "Error:\nQueue not found\n", "delete_queue", name)


@check
def a_queue_is_deleted_only_when_empty_or_unused():
    client, name = filled(1)
    expect(
        64, f"Deleting queue '{name}' on vhost '/' if queue is empty ...\n",
        "Error:\nQueue is not empty\n", "delete_queue", name, "--if-empty",
    )  # fmt: skip
    client.call(1, "basic.consume", queue=name)
    client.expect("basic.deliver", 1)
    expect(
        64, f"Deleting queue '{name}' on vhost '/' if queue is unused ...\n",
        "Error:\nQueue is in use\n", "delete_queue", name, "-u",
    )  # fmt: skip
    assert name in names()
    client.call(1, "channel.close", code=200, text="", class_id=0, method_id=0)
    harness.eventually(
        lambda: ctl.row("name", name, "list_queues", "name", "messages_ready")["messages_ready"]
        == 1,
        "the message is back",
    )
    status, _, wrong = ctl.run("delete_queue", name, "--if-unused")
    assert status == 0, wrong


def pid_of(client):
    """As tables show it: in JSON RabbitMQ has others, by numbers of rabbitmqctl's own."""
    host, port = client.socket.getsockname()[:2]
    name = f"{host}:{port} -> {host}:{harness.PORT}"
    rows = (line.split("\t") for line in ctl.lines("list_connections", "name", "pid"))
    return dict(rows)[name]


@check
def a_connection_is_closed_with_a_reason():
    client = wire.connect_with_channel()
    pid = pid_of(client)
    expect(
        0, f"Closing connection {pid}, reason: go away...\n", "",
        "close_connection", pid, "go away",
    )  # fmt: skip
    client.expect_connection_error(320, text="CONNECTION_FORCED - go away")
    expect(
        69, "Closing connection nonsense, reason: why...\n",
        'Error:\nError:\n{:invalid_pid_syntax, "nonsense"}\n', "close_connection", "nonsense", "why",
    )  # fmt: skip


@check
def the_connections_of_a_virtual_host_are_closed():
    vhost = new_vhost()
    ctl.output("set_permissions", "-p", vhost, harness.USER, ".*", ".*", ".*")
    here = wire.connect_with_channel()
    there = [wire.connect(vhost=vhost) for _ in range(2)]
    harness.eventually(
        lambda: [row["vhost"] for row in ctl.rows("list_connections", "vhost")].count(vhost) == 2,
        "two connections in the virtual host",
    )
    expect(
        0, f"Closing all connections in vhost {vhost}, reason: over...\nClosed 2 connections\n", "",
        "close_all_connections", "-p", vhost, "over",
    )  # fmt: skip
    for client in there:
        client.expect_connection_error(320, text="CONNECTION_FORCED - over")
    harness.eventually(
        lambda: vhost not in [row["vhost"] for row in ctl.rows("list_connections", "vhost")],
        "the connections are gone",
    )
    here.call(1, "queue.declare", queue=queue_name())
    expect(
        0, f"Closing 5 connections in vhost {vhost}, reason: over...\nClosed 0 connections\n", "",
        "close_all_connections", "-p", vhost, "--limit", "5", "over",
    )  # fmt: skip


def diagnose(*arguments):
    return ctl.run(*arguments, program="rabbitmq-diagnostics")


@check
def a_broker_that_is_well_says_so():
    node = ctl.NODE
    for command, banner, said in (
        ("check_running", f"Checking if RabbitMQ is running on node {node} ...",
         f"RabbitMQ on node {node} is fully booted and running"),
        ("is_running", f"Asking node {node} for its status ...",
         f"RabbitMQ on node {node} is fully booted and running"),
        ("check_local_alarms", f"Asking node {node} to report any local resource alarms ...",
         f"Node {node} reported no local alarms"),
        ("check_alarms", f"Asking node {node} to report any local resource alarms ...",
         f"Node {node} reported no alarms, local or clusterwide"),
        ("alarms", f"Asking node {node} to report any known resource alarms ...",
         f"Node {node} reported no alarms, local or clusterwide"),
        ("check_virtual_hosts", f"Checking if all vhosts are running on node {node} ...",
         f"Node {node} reported all vhosts as running"),
    ):  # fmt: skip
        assert diagnose(command) == (0, f"{banner}\n{said}\n", ""), command
        assert diagnose(command, "-q") == (0, f"{said}\n", ""), command


@check
def answers_come_as_json():
    node = ctl.NODE
    running = f"RabbitMQ on node {node} is fully booted and running"
    for command, said in (
        ("ping", {"message": "Ping succeeded"}),
        ("check_running", {"message": running}),
        ("is_running", {"message": running, "result": True}),
        ("check_local_alarms", {"result": "ok"}),
        ("alarms", {"alarms": [], "node": node, "result": "ok"}),
        ("check_virtual_hosts", {"result": "ok"}),
    ):
        status, out, wrong = diagnose(command, "--formatter", "json")
        assert (status, wrong) == (0, ""), (command, status, wrong)
        assert json.loads(out) == said, (command, out)


@check
def ping_and_startup_succeed():
    status, said, wrong = diagnose("ping")
    assert (status, wrong) == (0, ""), (status, wrong)
    assert said.startswith(f"Will ping {ctl.NODE}. ") and said.endswith("\nPing succeeded\n"), said
    assert ctl.run("await_startup") == (0, "", "")


@check
def ports_and_protocols_are_found():
    node, port = ctl.NODE, str(harness.PORT)
    assert diagnose("check_port_listener", port) == (
        0,
        f"Asking node {node} if there's an active listener on port {port} ...\n"
        f"A listener for port {port} is running on node {node}.\n", "",
    )  # fmt: skip
    assert diagnose("check_protocol_listener", "amqp")[:2] == (
        0,
        f"Asking node {node} if there's an active listener for protocol amqp ...\n"
        f"A listener for protocol amqp is running on node {node}.\n",
    )
    status, said, wrong = diagnose("check_port_listener", "1")
    assert status == 69, (status, said)
    assert wrong.startswith(f"No listener for port 1 is active on node {node}. Found"), wrong
    status, said, wrong = diagnose("check_protocol_listener", "semaphore")
    assert status == 69, (status, said)
    assert wrong.startswith(f"Error:\nNo listener for protocol semaphore is active on node {node}.")


@check
def listeners_can_be_connected_to():
    status, said, wrong = diagnose("check_port_connectivity", "-q")
    assert (status, wrong) == (0, ""), (status, wrong)
    found = re.fullmatch(
        rf"Successfully connected to ports ([\d, ]+) on node {re.escape(ctl.NODE)}\.\n", said
    )
    assert found and str(harness.PORT) in found.group(1).split(", "), said
    status, said, wrong = diagnose("listeners", "-q")
    line = rf"^Interface: \S+, port: {harness.PORT}, protocol: amqp, purpose: AMQP 0-9-1"
    assert status == 0 and re.search(line, said, re.MULTILINE), said


@check
def plugins_that_are_not_there_are_not_enabled():
    node = ctl.NODE
    status, said, wrong = ctl.run("is_enabled", "no_such_plugin", program="rabbitmq-plugins")
    assert (status, said) == (
        69, f"Asking node {node} if plugin no_such_plugin is enabled...\n",
    ), said  # fmt: skip
    assert wrong.startswith(f"Error:\nPlugin no_such_plugin is not enabled on node {node}."), wrong
    found = ctl.run("enable", "no_such_plugin", program="rabbitmq-plugins")
    assert found == (
        70, f"Enabling plugins on node {node}:\nno_such_plugin\n",
        "Error:\n{:plugins_not_found, [:no_such_plugin]}\n",
    ), found  # fmt: skip
    status, said, wrong = ctl.run("list", "nothing_like_it", program="rabbitmq-plugins")
    assert (status, said, wrong) == (
        0,
        'Listing plugins with pattern "nothing_like_it" ...\n'
        " Configured: E = explicitly enabled; e = implicitly enabled\n"
        f" | Status: * = running on {node}\n |/\n", "",
    ), said  # fmt: skip
