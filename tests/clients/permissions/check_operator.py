"""What operators change while clients are there, and what clients hear of it."""

import os
import secrets

import harness
import operator_of
import pika
from check_matrix import connect, verdict
from harness import check

PASSWORD = "a password of the matrix"


def scene(write=".*", read=".*", configure=".*", topics=()):
    """A vhost and a user of its own: their names."""
    vhost, user = f"check.{secrets.token_hex(4)}", f"check.{secrets.token_hex(4)}"
    operator_of.load(
        {
            "vhosts": [{"name": vhost}],
            "users": [
                {
                    "name": user,
                    "password_hash": operator_of.hash_of(PASSWORD),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                }
            ],
            "permissions": [
                {
                    "user": user,
                    "vhost": vhost,
                    "configure": configure,
                    "write": write,
                    "read": read,
                }
            ],
            "topic_permissions": [
                {"user": user, "vhost": vhost, "exchange": exchange, "write": w, "read": r}
                for exchange, w, r in topics
            ],
        }
    )
    if operator_of.ctl.IS_LEVERET:  # RabbitMQ's tool takes longer than a check has for this
        harness.cleanup(operator_of.ctl.run, "delete_user", user)
        harness.cleanup(operator_of.ctl.run, "delete_vhost", vhost)
    return vhost, user


def opening(vhost, user):
    """Why the connection is not opened."""
    try:
        connect(user, PASSWORD, vhost)
    except pika.exceptions.ProbableAccessDeniedError as error:
        return str(error)
    except pika.exceptions.ConnectionClosedByBroker as error:
        return str(error)
    raise AssertionError("it was opened")


def end(connection):
    """How the broker ends it."""
    try:
        while True:
            connection.process_data_events(1)
    except pika.exceptions.ConnectionClosedByBroker as closed:
        return closed.reply_code, closed.reply_text


@check
def topics_are_guarded_by_their_routing_keys():
    vhost, user = scene(
        topics=[("amq.topic", "^w\\.{username}\\.", "^r\\.{vhost}$"), ("amq.direct", "", "")]
    )
    refused = f"in exchange 'amq.topic' in vhost '{vhost}' refused for user '{user}'"
    connection = connect(user, PASSWORD, vhost)

    def publish(exchange, key):
        def run(channel):
            channel.basic_publish(exchange, key, b"")
            channel.basic_qos(prefetch_count=1)

        return verdict(run, connection.channel())

    def bind(key):
        return verdict(
            lambda channel: channel.queue_bind("q", "amq.topic", key), connection.channel()
        )

    def pass_on(key):
        return verdict(
            lambda channel: channel.exchange_bind("amq.fanout", "amq.topic", key),
            connection.channel(),
        )

    connection.channel().queue_declare("q")
    assert publish("amq.topic", f"w.{user}.x") is None
    assert publish("amq.direct", "anything") is None  # no topic exchange
    heard = publish("amq.topic", "w.somebody.x")
    assert heard[0] == 403 and heard[1].endswith(f"access to topic 'w.somebody.x' {refused}"), heard
    assert bind(f"r.{vhost}") is None
    heard = bind("#")
    assert heard[0] == 403 and heard[1].endswith(f"access to topic '#' {refused}"), heard
    assert pass_on(f"r.{vhost}") is None
    heard = pass_on("x")
    assert heard[0] == 403 and heard[1].endswith(f"access to topic 'x' {refused}"), heard


@check
def a_change_holds_for_channels_that_are_open():
    vhost, user = scene()
    connection = connect(user, PASSWORD, vhost)
    channel = connection.channel()
    channel.queue_declare("q")
    channel.confirm_delivery()
    channel.basic_publish("", "q", b"one")
    operator_of.run("set_permissions", "-p", vhost, user, ".*", "^no$", ".*")

    # RabbitMQ's channels remember what they have asked for a while; another channel has not.
    def publish(other):
        other.basic_publish("", "q", b"two")
        other.basic_qos(prefetch_count=1)

    heard = verdict(publish, connection.channel())
    assert heard is not None, heard
    assert heard[0] == 403, heard
    assert heard[1].endswith(
        f"access to exchange 'amq.default' in vhost '{vhost}' refused for user '{user}'"
    ), heard
    operator_of.run("clear_permissions", "-p", vhost, user)
    heard = verdict(lambda other: other.basic_get("q"), connection.channel())
    assert heard[0] == 403, heard
    assert f"access to vhost '{vhost}' refused for user '{user}'" in opening(vhost, user)


@check
def an_unknown_vhost_is_not_found():
    vhost, user = scene()
    assert f"NOT_ALLOWED - vhost {vhost}.no not found" in opening(f"{vhost}.no", user)


@check
def the_users_connections_end_with_the_user():
    vhost, user = scene()
    connection = connect(user, PASSWORD, vhost)
    connection.channel().queue_declare("q", exclusive=True)
    operator_of.run("delete_user", user)
    assert end(connection) == (320, f"CONNECTION_FORCED - user '{user}' is deleted")


@check
def the_vhosts_connections_end_with_the_vhost():
    vhost, user = scene()
    connection = connect(user, PASSWORD, vhost)
    channel = connection.channel()
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "amq.topic", "#")
    channel.basic_publish("", "q", b"m", pika.BasicProperties(delivery_mode=2))
    operator_of.run("delete_vhost", vhost)
    assert end(connection) == (320, f"CONNECTION_FORCED - vhost '{vhost}' is deleted")
    assert f"vhost {vhost} not found" in opening(vhost, user)
    operator_of.run("add_vhost", vhost)
    operator_of.run("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
    heard = verdict(
        lambda other: other.queue_declare("q", passive=True),
        connect(user, PASSWORD, vhost).channel(),
    )
    assert heard == (404, f"NOT_FOUND - no queue 'q' in vhost '{vhost}'"), heard


@check
def connections_and_channels_of_a_user_are_limited():
    vhost, user = scene()
    operator_of.run("set_user_limits", user, '{"max-connections": 2, "max-channels": 3}')
    first, second = connect(user, PASSWORD, vhost), connect(user, PASSWORD, vhost)
    harness.eventually(lambda: refused(vhost, user), "the limit of connections is reached")
    assert (
        f"connection refused for user '{user}': user connection limit (2) is reached"
        in opening(vhost, user)
    )
    first.channel(), first.channel(), second.channel()
    try:
        second.channel()
        raise AssertionError("a fourth channel was opened")
    except pika.exceptions.ConnectionClosedByBroker as closed:
        assert closed.reply_code == 530, closed
        assert closed.reply_text == (
            f"NOT_ALLOWED - number of channels opened for user '{user}' has reached the maximum "
            "allowed user limit of (3)"
        ), closed
    operator_of.run("clear_user_limits", user, "all")
    connect(user, PASSWORD, vhost), connect(user, PASSWORD, vhost)


def refused(vhost, user):
    try:
        connect(user, PASSWORD, vhost).close()
        return False
    except (pika.exceptions.ProbableAccessDeniedError, pika.exceptions.ConnectionClosedByBroker):
        return True


@check
def connections_and_queues_of_a_vhost_are_limited():
    vhost, user = scene()
    operator_of.run("set_vhost_limits", "-p", vhost, '{"max-connections": 1, "max-queues": 1}')
    connection = connect(user, PASSWORD, vhost)
    harness.eventually(lambda: refused(vhost, user), "the limit of connections is reached")
    assert (
        f"access to vhost '{vhost}' refused for user '{user}': connection limit (1) is reached"
        in opening(vhost, user)
    )
    channel = connection.channel()
    channel.queue_declare("one")
    channel.queue_declare("one")
    heard = verdict(lambda other: other.queue_declare("two"), channel)
    assert heard == (
        406,
        f"PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost '{vhost}' (1) is "
        "reached",
    ), heard
    operator_of.run("clear_vhost_limits", "-p", vhost)
    connection.channel().queue_declare("two")
