"""Topic and headers exchanges, bindings between exchanges and alternate exchanges with kombu."""

import amqp
import kombu

import link
import scratch
import wire
from harness import check, unique


def exchange_of(channel, kind, **options):
    exchange = kombu.Exchange(scratch.exchange_name(), type=kind, durable=True, **options)(channel)
    exchange.declare()
    return exchange


def exchange_of_plain(channel, kind, arguments):
    """As exchange_of, with py-amqp alone."""
    name = scratch.exchange_name()
    channel.exchange_declare(name, kind, durable=True, auto_delete=False, arguments=arguments)
    return name


def queue_of(channel, exchange, *keys, arguments=None):
    """The name of an exclusive queue that is bound with each of the keys."""
    name = link.exclusive_queue(channel)
    for key in keys:
        channel.queue_bind(name, exchange.name, key, arguments=arguments)
    return name


def publish(channel, exchange, key, **options):
    """Publishes the key itself."""
    link.publish(channel, key, key, exchange=exchange.name, **options)


@check
def topic_routes_by_words():
    channel = link.kombu_connection().default_channel
    logs = exchange_of(channel, "topic")
    patterns = {"*.error": {"disk.error"}, "disk.#": {"disk", "disk.error", "disk.a.b"}}
    patterns["#"] = {"disk", "disk.error", "disk.a.b", "net.info"}
    queues = {pattern: queue_of(channel, logs, pattern) for pattern in patterns}
    for key in patterns["#"]:
        publish(channel, logs, key)
    for pattern, expected in patterns.items():
        seen = link.drain(channel, queues[pattern])
        assert (set(seen), len(seen)) == (expected, len(expected)), (pattern, seen)


@check
def topic_with_several_matching_bindings_gives_one_copy():
    channel = link.kombu_connection().default_channel
    logs = exchange_of(channel, "topic")
    queue = queue_of(channel, logs, "#", "a.*", "*.b", "a.b")
    publish(channel, logs, "a.b")
    assert link.drain(channel, queue) == ["a.b"]


@check
def events_of_workers_reach_a_monitor_by_their_kind():
    connection = link.kombu_connection()
    exchange = kombu.Exchange(scratch.exchange_name(), type="topic")
    monitor = link.kombu_connection().default_channel
    queue = kombu.Queue("", exchange, routing_key="task.#", exclusive=True, durable=False)
    box = link.Mailbox(monitor, queue)
    producer = kombu.Producer(connection.default_channel, exchange)
    for kind in ("worker.online", "task.sent", "worker.heartbeat", "task.succeeded"):
        producer.publish({"type": kind}, routing_key=kind)
    assert [event["type"] for event in box.wait(2).payloads] == ["task.sent", "task.succeeded"]


@check
def unbound_topic_pattern_matches_no_more():
    channel = link.kombu_connection().default_channel
    logs = exchange_of(channel, "topic")
    queue = queue_of(channel, logs, "a.*", "b.#")
    channel.queue_unbind(queue, logs.name, "a.*")
    for key in ("a.x", "b.x"):
        publish(channel, logs, key)
    assert link.drain(channel, queue) == ["b.x"]


@check
def headers_all_needs_every_header():
    channel = link.kombu_connection().default_channel
    exchange = exchange_of(channel, "headers")
    arguments = {"x-match": "all", "format": "pdf", "pages": 3}
    queue = queue_of(channel, exchange, "", arguments=arguments)
    publish(channel, exchange, "both", application_headers={"format": "pdf", "pages": 3, "z": 1})
    publish(channel, exchange, "one", application_headers={"format": "pdf"})
    publish(channel, exchange, "other", application_headers={"format": "pdf", "pages": "3"})
    assert link.drain(channel, queue) == ["both"]


@check
def headers_any_needs_one_header():
    channel = link.kombu_connection().default_channel
    exchange = exchange_of(channel, "headers")
    arguments = {"x-match": "any", "format": "pdf", "pages": 3}
    queue = queue_of(channel, exchange, "", arguments=arguments)
    publish(channel, exchange, "one", application_headers={"format": "pdf", "pages": 4})
    publish(channel, exchange, "none", application_headers={"format": "txt"})
    publish(channel, exchange, "bare")
    assert link.drain(channel, queue) == ["one"]


@check
def exchange_bound_to_an_exchange_passes_messages_on():
    channel = link.kombu_connection().default_channel
    source, target = exchange_of(channel, "topic"), exchange_of(channel, "fanout")
    target.bind_to(source.name, "a.#")
    queue = queue_of(channel, target, "")
    publish(channel, source, "a.b")
    publish(channel, source, "b.b")
    assert link.drain(channel, queue) == ["a.b"]
    target.unbind_from(source.name, "a.#")
    publish(channel, source, "a.b")
    assert link.drain(channel, queue) == []


@check
def two_paths_between_exchanges_give_one_copy():
    channel = link.kombu_connection().default_channel
    source, left, right = (exchange_of(channel, "fanout") for _ in range(3))
    queue = link.exclusive_queue(channel)
    for middle in (left, right):
        middle.bind_to(source.name)
        channel.queue_bind(queue, middle.name)
    publish(channel, source, "x")
    assert link.drain(channel, queue) == ["x"]


@check
def circle_of_exchanges_gives_one_copy():
    channel = link.kombu_connection().default_channel
    one, two = exchange_of(channel, "fanout"), exchange_of(channel, "fanout")
    one.bind_to(two.name)
    two.bind_to(one.name)
    queue = queue_of(channel, two, "")
    publish(channel, one, "x")
    assert link.drain(channel, queue) == ["x"]


@check
def binding_to_an_absent_exchange_is_not_found():
    channel, name = link.kombu_connection().default_channel, unique("absent")
    exchange = exchange_of(channel, "fanout")
    with link.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        exchange.bind_to(name)


@check
def alternate_exchange_takes_what_has_no_route():
    channel = link.kombu_connection().default_channel
    spare = exchange_of(channel, "fanout")
    queue = queue_of(channel, spare, "")
    main = exchange_of(channel, "direct", arguments={"alternate-exchange": spare.name})
    known = queue_of(channel, main, "known")
    for key in ("known", "unknown"):
        publish(channel, main, key)
    assert link.drain(channel, known) == ["known"]
    assert link.drain(channel, queue) == ["unknown"]


@check
def message_that_an_alternate_routes_is_not_returned():
    channel = link.amqp_channel(confirm_publish=True)
    spare = exchange_of_plain(channel, "fanout", {})
    main = exchange_of_plain(channel, "direct", {"alternate-exchange": spare})
    queue, returned = link.exclusive_queue(channel), []
    channel.queue_bind(queue, spare)
    channel.events["basic_return"].add(lambda *_: returned.append(1))
    channel.basic_publish(amqp.Message("x"), main, "unknown", mandatory=True)
    assert (link.drain(channel, queue), returned) == (["x"], [])


@check
def internal_exchange_is_fed_by_others_only():
    channel = link.amqp_channel()
    source, inner = exchange_of_plain(channel, "fanout", {}), scratch.exchange_name()
    # py-amqp cannot say internal: the wire can.
    raw = wire.connect_with_channel()
    raw.call(1, "exchange.declare", exchange=inner, type="fanout", internal=True)
    channel.exchange_bind(inner, source)
    queue = link.exclusive_queue(channel)
    channel.queue_bind(queue, inner)
    link.publish(channel, "", "x", exchange=source)
    assert link.drain(channel, queue) == ["x"]
    text = f"ACCESS_REFUSED - cannot publish to internal exchange '{inner}' in vhost '/'"
    with link.refused(403, text):
        link.publish(channel, "", "x", exchange=inner)
        link.round_trip(channel)


@check
def carbon_copies_reach_further_queues():
    channel = link.amqp_channel(confirm_publish=True)
    to, cc, bcc = (link.exclusive_queue(channel) for _ in range(3))
    link.publish(channel, to, "x", application_headers={"CC": [cc], "BCC": [bcc]})
    for queue in (to, cc, bcc):
        headers = channel.basic_get(queue, no_ack=True).properties["application_headers"]
        assert headers == {"CC": [cc]}, (queue, headers)
