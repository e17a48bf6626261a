"""Every method of AMQP 0-9-1, asked by users with every set of permissions and every tag.

A method needs permissions for some resources, asked for in an order: the first that is missing is
what the peer is told. A method that needs none is for everybody.
"""

import os
import re

import harness
import operator_of
import pika
from harness import check

VHOST = os.environ["LEVERET_CHECK_VHOST"]
USERS = operator_of.users(VHOST)
WORDS = {"c": "configure", "w": "write", "r": "read"}


def connect(name, password=operator_of.PASSWORD, vhost=VHOST):
    connection = pika.BlockingConnection(
        pika.ConnectionParameters(
            harness.HOST, harness.PORT, vhost, pika.PlainCredentials(name, password)
        )
    )
    harness.cleanup(close, connection)
    return connection


def close(connection):
    if connection.is_open:
        connection.close()


def owner():
    """A channel that may do everything."""
    return connect(f"{VHOST}.aaa.none").channel()


def refusal(user, needs):
    """What RabbitMQ says when one of them is missing, or None."""
    for permissions, kind, name in needs:
        if any(user.may(permission, name) for permission in permissions):
            continue
        return (
            f"{WORDS[permissions[0]]} access to {kind} '{name}' in vhost '{VHOST}' "
            f"refused for user '{user.name}'"
        )
    return None


def verdict(run, channel):
    """What the broker says against it, or None."""
    try:
        run(channel)
        return None
    except pika.exceptions.ChannelClosedByBroker as closed:
        return closed.reply_code, closed.reply_text


def same(heard, expected):
    """RabbitMQ before 4 leaves the permission's name out."""
    if heard is None or expected is None:
        return heard == expected
    without = re.sub("^(configure|write|read) ", "", expected)
    return heard in (
        (403, f"ACCESS_REFUSED - {expected}"),
        (403, f"ACCESS_REFUSED - {without}"),
    )


def judge(run, *needs, otherwise=None, lenient=False):
    """Every user hears what he has to. `otherwise` is what is heard by who may; `lenient` allows
    what RabbitMQ before 4 does: not to ask at all."""
    wrong = []
    for user in USERS:
        connection = connect(user.name)
        expected = refusal(user, needs)
        heard = verdict(run, connection.channel())
        fine = same(heard, expected) if expected else heard == otherwise
        if not fine and not (lenient and heard == otherwise):
            wrong.append((user.sets, user.tag, heard, expected))
        close(connection)
    assert not wrong, (len(wrong), wrong[:3])


def synchronously(run):
    """For methods without an answer: whatever comes of it is here before that of another one."""

    def both(channel):
        run(channel)
        channel.basic_qos(prefetch_count=1)

    return both


def queue(kind="one"):
    name = f"{kind}.{harness.unique('queue')}"
    owner().queue_declare(name)
    return name


def exchange(kind="one", of="direct"):
    name = f"{kind}.{harness.unique('exchange')}"
    owner().exchange_declare(name, of)
    return name


@check
def queue_declare_needs_configure():
    name = queue()
    judge(lambda channel: channel.queue_declare(name), ("c", "queue", name))


@check
def queue_declare_of_a_new_queue_needs_configure():
    judge(
        lambda channel: channel.queue_declare("one.new", exclusive=True),
        ("c", "queue", "one.new"),
    )


@check
def queue_declare_passively_needs_any_permission():
    name = queue()
    judge(
        lambda channel: channel.queue_declare(name, passive=True),
        ("cwr", "queue", name),
        lenient=True,
    )


@check
def queue_declare_with_dead_lettering_needs_read_there_and_write_beyond():
    def run(channel):
        try:
            channel.queue_declare(
                "one.dead", exclusive=True, arguments={"x-dead-letter-exchange": "two.dlx"}
            )
        except pika.exceptions.ConnectionClosedByBroker as closed:
            assert closed.reply_code == 540, closed  # who may gets to know that it is not there yet

    judge(
        run,
        ("c", "queue", "one.dead"),
        ("r", "queue", "one.dead"),
        ("w", "exchange", "two.dlx"),
    )


@check
def queue_delete_needs_configure():
    judge(lambda channel: channel.queue_delete("one.none"), ("c", "queue", "one.none"))


@check
def queue_purge_needs_read():
    name = queue()
    judge(lambda channel: channel.queue_purge(name), ("r", "queue", name))


@check
def queue_bind_needs_write_of_the_queue_and_read_of_the_exchange():
    name, source = queue("one"), exchange("two")
    judge(
        lambda channel: channel.queue_bind(name, source, "k"),
        ("w", "queue", name),
        ("r", "exchange", source),
    )


@check
def queue_unbind_needs_write_of_the_queue_and_read_of_the_exchange():
    name, source = queue("two"), exchange("one")
    judge(
        lambda channel: channel.queue_unbind(name, source, "k"),
        ("w", "queue", name),
        ("r", "exchange", source),
    )


@check
def exchange_declare_needs_configure():
    name = exchange()
    judge(lambda channel: channel.exchange_declare(name, "direct"), ("c", "exchange", name))


@check
def exchange_declare_passively_needs_any_permission():
    name = exchange()
    judge(
        lambda channel: channel.exchange_declare(name, passive=True),
        ("cwr", "exchange", name),
        lenient=True,
    )


@check
def exchange_declare_with_an_alternate_needs_read_there_and_write_beyond():
    def run(channel):
        name = "one.with"
        channel.exchange_declare(name, "direct", arguments={"alternate-exchange": "two.alternate"})
        channel.exchange_delete(name)

    judge(
        run,
        ("c", "exchange", "one.with"),
        ("r", "exchange", "one.with"),
        ("w", "exchange", "two.alternate"),
    )


@check
def exchange_delete_needs_configure():
    judge(lambda channel: channel.exchange_delete("one.none"), ("c", "exchange", "one.none"))


@check
def exchange_bind_needs_write_of_the_destination_and_read_of_the_source():
    destination, source = exchange("one"), exchange("two")
    judge(
        lambda channel: channel.exchange_bind(destination, source, "k"),
        ("w", "exchange", destination),
        ("r", "exchange", source),
    )


@check
def exchange_unbind_needs_write_of_the_destination_and_read_of_the_source():
    destination, source = exchange("two"), exchange("one")
    judge(
        lambda channel: channel.exchange_unbind(destination, source, "k"),
        ("w", "exchange", destination),
        ("r", "exchange", source),
    )


@check
def basic_publish_needs_write_of_the_exchange():
    name = exchange("two")
    judge(
        synchronously(lambda channel: channel.basic_publish(name, "k", b"")),
        ("w", "exchange", name),
    )


@check
def basic_publish_to_the_default_exchange_needs_write_of_amq_default():
    judge(
        synchronously(lambda channel: channel.basic_publish("", "none", b"")),
        ("w", "exchange", "amq.default"),
    )


@check
def basic_publish_under_tx_needs_write_of_the_exchange():
    def run(channel):
        channel.tx_select()
        channel.basic_publish("one.none", "k", b"")
        channel.basic_qos(prefetch_count=1)

    # Who may write there is told that there is no such exchange.
    judge(
        run,
        ("w", "exchange", "one.none"),
        otherwise=(404, f"NOT_FOUND - no exchange 'one.none' in vhost '{VHOST}'"),
    )


@check
def basic_get_needs_read():
    name = queue("two")
    judge(lambda channel: channel.basic_get(name, auto_ack=True), ("r", "queue", name))


@check
def basic_consume_needs_read():
    name = queue()
    judge(
        lambda channel: channel.basic_consume(name, lambda *delivery: None, auto_ack=True),
        ("r", "queue", name),
    )


@check
def what_names_nothing_needs_no_permission():
    def run(channel):
        channel.basic_qos(prefetch_count=3)
        channel.basic_recover(requeue=True)
        channel.confirm_delivery()
        channel.basic_cancel("no such consumer")
        channel.flow(True)
        other = channel.connection.channel()
        other.tx_select()
        other.tx_commit()
        other.tx_rollback()
        other.close()

    judge(run)


@check
def direct_answers_need_no_permission_to_be_read():
    judge(
        lambda channel: channel.basic_consume(
            "amq.rabbitmq.reply-to", lambda *delivery: None, auto_ack=True
        )
    )


@check
def who_may_not_is_not_told_what_there_is():
    judge(
        lambda channel: channel.basic_get("one.none"),
        ("r", "queue", "one.none"),
        otherwise=(404, f"NOT_FOUND - no queue 'one.none' in vhost '{VHOST}'"),
    )


@check
def a_name_that_the_broker_makes_is_judged_as_it_is():
    name = f"{VHOST}.gen"
    operator_of.load(
        {
            "users": [
                {
                    "name": name,
                    "password_hash": operator_of.hash_of("x"),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                }
            ],
            "permissions": [
                {"user": name, "vhost": VHOST, "configure": "^amq\\.gen-", "write": "", "read": ""}
            ],
        }
    )
    harness.cleanup(operator_of.run, "delete_user", name)
    channel = connect(name, "x").channel()
    made = channel.queue_declare("", exclusive=True).method.queue
    assert made.startswith("amq.gen-"), made
    heard = verdict(lambda c: c.queue_declare("amq-gen"), channel)
    assert heard is not None and heard[0] == 403, heard
