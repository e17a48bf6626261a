"""User ids that are checked, new secrets, and what the broker says it can do."""

import codec
import harness
import wire
from harness import check

USER_ID_FLAG = 0x0010


def publish_as(user):
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    properties = codec.shortstr(user)
    connection.publish(1, "", queue, b"x", flags=USER_ID_FLAG, properties=properties)
    return connection, queue


def refused(user):
    return (
        f"PRECONDITION_FAILED - user_id property set to '{user}' but authenticated user was "
        f"'{harness.USER}'"
    )


@check
def own_user_id_is_carried():
    connection, queue = publish_as(harness.USER)
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    message = connection.expect("basic.get-ok", 1)
    assert message.properties == codec.shortstr(harness.USER)


@check
def anothers_user_id_is_refused():
    connection, _ = publish_as("somebody")
    connection.expect_channel_error(1, 406, refused("somebody"))


@check
def empty_user_id_is_anothers():
    connection, _ = publish_as("")
    connection.expect_channel_error(1, 406, refused(""))


@check
def case_of_a_user_id_counts():
    other = harness.USER.swapcase()
    connection, _ = publish_as(other)
    connection.expect_channel_error(1, 406, refused(other))


@check
def message_without_a_user_id_gets_none():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"x")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).flags == 0


@check
def secret_may_be_renewed():
    connection = wire.connect()
    connection.call(0, "connection.update-secret", secret=harness.PASSWORD, reason="as planned")
    connection.call(1, "channel.open")


@check
def secret_may_be_renewed_while_messages_flow():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.call(1, "basic.consume", queue=queue, tag="t", no_ack=True)
    for number in range(10):
        connection.call(0, "connection.update-secret", secret=harness.PASSWORD, reason="again")
        connection.publish(1, "", queue, b"%d" % number)
        assert connection.expect("basic.deliver", 1).body == b"%d" % number


@check
def secret_is_renewed_on_channel_zero_only():
    connection = wire.connect_with_channel()
    connection.method(1, "connection.update-secret", secret="x", reason="misplaced")
    connection.expect_refusal(503, 504, 505, 540, 541)


@check
def every_capability_is_announced():
    start = wire.Wire().start()
    capabilities = start.properties["capabilities"]
    for name in (
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
        "connection.blocked", "consumer_priorities", "authentication_failure_close",
        "per_consumer_qos", "direct_reply_to",
    ):  # fmt: skip
        assert capabilities.get(name) is True, (name, capabilities)


@check
def access_is_granted_to_whoever_asks():
    connection = wire.connect_with_channel()
    assert connection.call(1, "access.request", realm="/data", active=True).ticket == 1
