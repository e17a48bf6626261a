"""Connecting with kombu and py-amqp, and what happens when a connection is lost."""

import contextlib
import socket
import time

import amqp
import kombu
from kombu.pools import connections

import link
import scratch
from harness import check, unique


def dead_port():
    """A port that was bound a moment ago and where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@check
def kombu_connects_by_url():
    connection = link.kombu_connection()
    connection.connect()
    assert connection.connected


@check
def server_names_itself_as_rabbitmq_with_a_version():
    properties = link.amqp_connection().server_properties
    assert properties["product"] == "RabbitMQ", properties
    assert int(properties["version"].split(".")[0]) >= 3, properties


@check
def kombu_takes_qos_to_be_per_consumer():
    connection = link.kombu_connection()
    channel = connection.default_channel
    assert connection.transport.qos_semantics_matches_spec(channel.connection) is False


@check
def amqplain_logs_in():
    link.amqp_channel(login_method="AMQPLAIN")


@check
def plain_logs_in():
    link.amqp_channel(login_method="PLAIN")


@check
def wrong_password_is_refused_with_403():
    with link.refused(403):
        link.amqp_connection(password="wrong")


@check
def kombu_does_not_try_a_wrong_password_again():
    connection, failures = link.kombu_connection(link.url(password="wrong")), []
    with link.refused(403):
        connection.ensure_connection(errback=lambda *error: failures.append(error), max_retries=3)
    assert not failures, failures


@check
def unknown_vhost_is_refused_with_530():
    name = unique("vhost")
    with link.refused(530, f"NOT_ALLOWED - vhost {name} not found"):
        link.amqp_connection(virtual_host=name)


@check
def failover_passes_over_a_dead_port():
    connection = link.kombu_connection([link.url(port=dead_port()), link.url()])
    connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
    assert connection.connected


@check
def clones_are_connections_of_their_own():
    one = link.kombu_connection()
    two = one.clone()
    one.connect()
    two.connect()
    one.close()
    assert two.connected
    two.default_channel.queue_declare("", exclusive=True)
    two.close()


@check
def many_channels_on_one_connection_work():
    connection = link.amqp_connection()
    channels = [connection.channel() for _ in range(200)]
    assert len({channel.channel_id for channel in channels}) == 200
    queue = link.exclusive_queue(channels[0])
    for channel in channels:
        link.publish(channel, queue, str(channel.channel_id))
    assert len(link.Inbox(channels[7], queue, no_ack=True).wait(200).messages) == 200


@check
def closed_channel_number_is_used_again():
    connection = link.amqp_connection()
    for _ in range(50):
        channel = connection.channel(1)
        link.exclusive_queue(channel)
        channel.close()


@check
def channel_closes_from_a_with_block():
    connection = link.kombu_connection()
    with connection.channel() as channel:
        queue = link.exclusive_queue(channel)
        assert link.depth(channel, queue) == 0


@check
def ensure_publishes_again_after_the_connection_was_lost():
    connection, name = link.kombu_connection(), scratch.queue_name()
    queue = kombu.Queue(name, durable=True)
    queue(connection.default_channel).declare()
    producer = kombu.Producer(connection.default_channel)
    producer.publish({"n": 1}, routing_key=name, retry=True)
    link.expect_depth(connection.default_channel, name, 1)  # unconfirmed, the loss may take it too
    link.drop(connection.connection)
    policy = {"max_retries": 5, "interval_start": 0, "interval_step": 0.1}
    for number in range(2, 8):  # the first write after a loss may still seem to succeed
        producer.publish({"n": number}, routing_key=name, retry=True, retry_policy=policy)
    box = link.Mailbox(link.kombu_connection().default_channel, queue)
    while {"n": 7} not in box.payloads:
        box.wait(len(box.payloads) + 1)
    assert box.payloads[0] == {"n": 1} and len(box.payloads) >= 6, box.payloads


@check
def autoretry_runs_the_function_on_a_new_connection():
    connection, name = link.kombu_connection(), scratch.queue_name()
    calls = []

    def declare(channel=None):
        calls.append(channel)
        if len(calls) == 1:
            link.drop(channel.connection)
        return channel.queue_declare(name, durable=True, exclusive=False, auto_delete=False)

    again = connection.autoretry(declare, max_retries=3, interval_start=0, interval_step=0)
    declared = again()
    assert declared[0].queue == name and len(calls) == 2, (declared, calls)


@check
def reading_from_a_lost_connection_raises():
    connection = link.amqp_connection()
    link.drop(connection)
    try:
        connection.drain_events(timeout=5)
    except connection.connection_errors:
        return
    raise AssertionError("the loss went unnoticed")


@check
def drain_times_out_when_nothing_comes():
    connection = link.amqp_connection()
    with contextlib.suppress(socket.timeout):
        connection.drain_events(timeout=0.05)
        raise AssertionError("something came")


@check(seconds=30)
def heartbeats_keep_an_idle_connection():
    connection = link.amqp_connection(heartbeat=1)
    assert connection.heartbeat == 1
    channel = connection.channel()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        with contextlib.suppress(socket.timeout):
            connection.drain_events(timeout=0.25)
        connection.heartbeat_tick(rate=2)
    assert connection.bytes_recv > 0
    link.exclusive_queue(channel)


@check(seconds=30)
def broker_drops_a_peer_that_falls_silent():
    connection = link.amqp_connection(heartbeat=1)
    try:
        while True:  # drains heartbeats and never sends one
            connection.drain_events(timeout=15)
    except connection.connection_errors as error:
        assert not isinstance(error, socket.timeout), "still there after 15 s"


@check
def server_offers_its_usual_limits():
    connection = link.amqp_connection(heartbeat=0)
    assert (connection.frame_max, connection.channel_max) == (131072, 2047), (
        connection.frame_max,
        connection.channel_max,
    )
    assert connection.server_heartbeat == 60, connection.server_heartbeat


@check
def pool_hands_out_connections_that_work():
    pool = connections[link.kombu_connection()]
    with pool.acquire(block=True) as one, pool.acquire(block=True) as two:
        assert one is not two
        for connection in (one, two):
            connection.default_channel.queue_declare("", exclusive=True)
    pool.force_close_all()


@check
def connection_error_leaves_other_connections_alone():
    good, bad = link.amqp_channel(), link.amqp_channel()
    queue = link.exclusive_queue(good)
    with link.refused(530):
        other = link.exclusive_queue(bad)
        bad.basic_consume(other, consumer_tag="t")
        bad.basic_consume(other, consumer_tag="t")
    link.publish(good, queue, "still here")
    assert link.get(good, queue) == "still here"


@check
def channel_error_leaves_the_connection_usable():
    connection = link.amqp_connection()
    channel = connection.channel()
    with link.refused(404):
        channel.queue_declare(unique("absent"), passive=True)
    link.exclusive_queue(connection.channel())


@check
def errors_are_classes_by_code():
    classes = {404: amqp.NotFound, 406: amqp.PreconditionFailed, 405: amqp.ResourceLocked}
    name, owner, other = scratch.queue_name(), link.amqp_channel(), link.amqp_connection()
    owner.queue_declare(name, exclusive=True, auto_delete=False)
    durable = scratch.queue_name()
    owner.queue_declare(durable, durable=True, auto_delete=False)
    attempts = {
        404: lambda channel: channel.queue_declare(unique("absent"), passive=True),
        405: lambda channel: channel.queue_declare(name, passive=True),
        406: lambda channel: channel.queue_declare(durable, durable=False, auto_delete=False),
    }
    for code, attempt in attempts.items():
        try:
            attempt(other.channel())
        except classes[code] as error:
            assert error.reply_code == code
        else:
            raise AssertionError(f"{code} was expected")
