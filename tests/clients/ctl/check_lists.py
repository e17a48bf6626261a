"""What the lists show of what clients have done."""

import ctl
import harness
import wire
from harness import check
from scratch import queue_name

TYPED = {
    "x-foo": 7, "s": 'a"b\t\n\\c', "n": -5, "t": {"a": True, "b": [1, "x"]},
}  # fmt: skip
SHOWN = '[{"x-foo",7},{"s","a\\"b\\t\\n\\\\c"},{"n",-5},{"t",[{"a",true},{"b",[1,"x"]}]}]'


def name_of(client):
    host, port = client.socket.getsockname()[:2]
    return f"{host}:{port} -> {host}:{harness.PORT}"


def channel_of(client, number, *columns):
    return ctl.row("name", f"{name_of(client)} ({number})", "list_channels", "name", *columns)


@check
def queues_show_what_they_were_declared_with():
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name, exclusive=True, arguments=TYPED)
    wanted = ("name", "durable", "auto_delete", "exclusive", "arguments", "policy", "state", "type")
    line = "\t".join([name, "false", "false", "true", SHOWN, "", "running", "classic"])
    assert line in ctl.lines("list_queues", *wanted)


@check
def queues_show_their_messages_and_consumers():
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name)
    client.call(1, "basic.qos", prefetch_count=2)
    for _ in range(5):
        client.publish(1, "", name, b"x")
    client.call(1, "basic.consume", queue=name)
    for _ in range(2):
        client.expect("basic.deliver", 1)

    def is_so():
        one = ctl.row("name", name, "list_queues", "name", "messages", "messages_ready",
                      "messages_unacknowledged", "consumers")  # fmt: skip
        return list(one.values())[1:] == [5, 3, 2, 1]

    harness.eventually(is_so, "five messages, two of them delivered")


@check
def an_exclusive_queue_names_its_owner():
    client = wire.connect_with_channel()
    mine, other = queue_name(), queue_name()
    client.call(1, "queue.declare", queue=mine, exclusive=True)
    client.call(1, "queue.declare", queue=other)
    owner = ctl.row("name", name_of(client), "list_connections", "name", "pid")["pid"]
    columns = ("list_queues", "name", "owner_pid", "exclusive")
    assert owner != ""
    assert ctl.row("name", mine, *columns)["owner_pid"] == owner
    assert ctl.row("name", other, *columns)["owner_pid"] == ""


@check
def exchanges_show_what_they_were_declared_with():
    client = wire.connect_with_channel()
    name = harness.unique("exchange")
    client.call(
        1, "exchange.declare", exchange=name, type="headers", auto_delete=True, internal=True,
        arguments={"alternate-exchange": "amq.fanout"},
    )  # fmt: skip
    columns = ("name", "type", "durable", "auto_delete", "internal", "arguments", "policy")
    line = "\t".join([name, "headers", "false", "true", "true",
                      '[{"alternate-exchange","amq.fanout"}]', ""])  # fmt: skip
    assert line in ctl.lines("list_exchanges", *columns)
    client.call(1, "exchange.delete", exchange=name)
    assert line not in ctl.lines("list_exchanges", *columns)


@check
def the_usual_exchanges_are_there():
    said = ctl.lines("list_exchanges", "type", "name", "durable", "internal")
    for name, kind in (
        ("", "direct"), ("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic"),
        ("amq.headers", "headers"), ("amq.match", "headers"),
    ):  # fmt: skip
        assert f"{kind}\t{name}\ttrue\tfalse" in said, said
    assert "topic\tamq.rabbitmq.trace\ttrue\ttrue" in said, said


@check
def bindings_show_both_ends():
    client = wire.connect_with_channel()
    queue, source, middle = queue_name(), harness.unique("source"), harness.unique("middle")
    client.call(1, "queue.declare", queue=queue)
    client.call(1, "exchange.declare", exchange=source, type="topic", auto_delete=True)
    client.call(1, "exchange.declare", exchange=middle, type="headers", auto_delete=True)
    client.call(1, "exchange.bind", destination=middle, source=source, routing_key="#")
    client.call(
        1, "queue.bind", queue=queue, exchange=middle, routing_key="k",
        arguments={"num": 7, "x-match": "any"},
    )  # fmt: skip
    said = ctl.lines("list_bindings")
    assert said[0] == (
        "source_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments"
    )
    for line in (
        f"\texchange\t{queue}\tqueue\t{queue}\t[]",
        f"{source}\texchange\t{middle}\texchange\t#\t[]",
        f'{middle}\texchange\t{queue}\tqueue\tk\t[{{"num",7}},{{"x-match","any"}}]',
    ):
        assert line in said, said


@check
def connections_show_who_is_there():
    client = wire.connect_with_channel(channel_max=100, frame_max=8192, heartbeat=30)
    columns = ("name", "user", "vhost", "state", "channels", "protocol", "auth_mechanism", "ssl",
               "timeout", "frame_max", "channel_max", "host", "port", "peer_host", "peer_port")  # fmt: skip
    host, port = client.socket.getsockname()[:2]
    line = "\t".join([
        name_of(client), harness.USER, "/", "running", "1", "{0,9,1}", "PLAIN", "false", "30",
        "8192", "100", host, str(harness.PORT), host, str(port),
    ])  # fmt: skip
    assert line in ctl.lines("list_connections", *columns), ctl.lines("list_connections", *columns)
    usual = ctl.lines("list_connections")
    assert usual[0] == "user\tpeer_host\tpeer_port\tstate"
    assert f"{harness.USER}\t{host}\t{port}\trunning" in usual, usual


@check
def a_connection_is_known_by_its_properties():
    client = wire.connect_with_channel()
    shown = ctl.row("name", name_of(client), "list_connections", "name", "client_properties")
    assert ["capabilities", "table"] in [one[:2] for one in shown["client_properties"]], shown


@check
def addresses_are_numbers_in_json():
    client = wire.connect_with_channel()
    shown = ctl.row("name", name_of(client), "list_connections", "name", "peer_host", "protocol")
    assert shown["peer_host"] == [127, 0, 0, 1], shown
    assert shown["protocol"] == [0, 9, 1], shown


@check
def channels_show_their_modes_and_counts():
    client = wire.connect_with_channel()
    queue = queue_name()
    client.call(1, "queue.declare", queue=queue)
    client.call(1, "confirm.select")
    for _ in range(3):
        client.publish(1, "", queue, b"x")
        client.expect("basic.ack", 1)
    client.call(2, "channel.open")
    client.call(2, "tx.select")
    client.call(2, "basic.qos", prefetch_count=7, is_global=True)
    client.call(3, "channel.open")
    client.call(3, "basic.qos", prefetch_count=2)
    client.call(3, "basic.consume", queue=queue)
    columns = ("number", "user", "vhost", "transactional", "confirm", "consumer_count",
               "messages_unacknowledged", "prefetch_count", "global_prefetch_count",
               "messages_unconfirmed")  # fmt: skip
    start = [harness.USER, "/"]

    def is_so():
        shown = [list(channel_of(client, number, *columns).values())[1:] for number in (1, 2, 3)]
        return shown == [
            [1, *start, False, True, 0, 0, 0, 0, 0],
            [2, *start, True, False, 0, 0, 0, 7, 0],
            [3, *start, False, False, 1, 2, 2, 0, 0],
        ]

    harness.eventually(is_so, "three channels with what they did")


@check
def a_transaction_shows_what_waits_for_its_commit():
    client = wire.connect_with_channel()
    queue = queue_name()
    client.call(1, "queue.declare", queue=queue)
    client.publish(1, "", queue, b"a")
    client.call(1, "tx.select")
    client.call(1, "basic.get", queue=queue)
    for _ in range(3):
        client.publish(1, "", queue, b"x")
    client.method(1, "basic.ack", delivery_tag=1)
    columns = ("messages_uncommitted", "acks_uncommitted", "messages_unacknowledged")

    def shown():
        return list(channel_of(client, 1, *columns).values())[1:]

    harness.eventually(lambda: shown() == [3, 1, 0], "three publishes and an ack")
    client.call(1, "tx.commit")
    harness.eventually(lambda: shown() == [0, 0, 0], "nothing")


@check
def consumers_show_their_queue_and_channel():
    client = wire.connect_with_channel()
    mine, other = queue_name(), queue_name()
    client.call(1, "queue.declare", queue=mine)
    client.call(1, "queue.declare", queue=other)
    client.call(1, "basic.qos", prefetch_count=5)
    client.call(1, "basic.consume", queue=mine, tag="one", arguments={"x-priority": 3})
    client.call(2, "channel.open")
    client.call(2, "basic.consume", queue=other, tag="two", no_ack=True)
    pids = [channel_of(client, number, "pid")["pid"] for number in (1, 2)]
    columns = ("list_consumers", "queue_name", "channel_pid", "consumer_tag", "ack_required",
               "prefetch_count", "active", "arguments")  # fmt: skip
    one = ctl.row("queue_name", mine, *columns)
    two = ctl.row("queue_name", other, *columns)
    assert list(one.values())[1:] == [
        pids[0], "one", True, 5, True, [["x-priority", "signedint", 3]],
    ], one  # fmt: skip
    assert list(two.values())[1:] == [pids[1], "two", False, 0, True, []], two
    client.call(1, "basic.cancel", tag="one")
    assert mine not in [one["queue_name"] for one in ctl.rows(*columns)]


@check
def consumers_columns_keep_an_order_of_their_own():
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name)
    client.call(1, "basic.consume", queue=name, tag="c")
    said = ctl.lines("list_consumers", "arguments", "activity_status", "consumer_tag", "queue_name")
    assert said[0] == "queue_name\tconsumer_tag\tactivity_status\targuments", said
    assert f"{name}\tc\tup\t[]" in said, said


@check
def what_is_gone_is_not_shown():
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name)
    assert name in ctl.lines("list_queues", "name")
    client.call(1, "queue.delete", queue=name)
    assert name not in ctl.lines("list_queues", "name")
    shown = name_of(client)
    client.close()
    client.socket.close()

    def is_gone():
        return shown not in ctl.lines("list_connections", "name")

    harness.eventually(is_gone, "the connection has ended")
