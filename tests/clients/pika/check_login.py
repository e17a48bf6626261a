"""From the protocol header to an open connection."""

import time

import pika
from pika.exceptions import ProbableAccessDeniedError, ProbableAuthenticationError

import client
import codec
import harness
import wire
from harness import check

LOGIN_REFUSED = (
    "ACCESS_REFUSED - Login was refused using authentication mechanism {}. "
    "For details see the broker logfile."
)


def amqplain(user, password):
    """The entries of a table, without the length that a table has elsewhere."""
    return codec.table({"LOGIN": user, "PASSWORD": password})[4:]


@check
def plain_login_opens_a_connection():
    connection = client.connect()
    assert connection.is_open


@check
def amqplain_login_opens_a_connection():
    connection = wire.Wire()
    connection.start()
    connection.log_in(
        mechanism="AMQPLAIN", response=amqplain(harness.USER, harness.PASSWORD)
    )
    connection.tune()
    connection.call(0, "connection.open", vhost="/")
    connection.call(1, "channel.open")


@check
def start_offers_plain_amqplain_and_english():
    start = wire.Wire().start()
    assert (start.major, start.minor) == (0, 9)
    assert {b"PLAIN", b"AMQPLAIN"} <= set(start.mechanisms.split())
    assert b"en_US" in start.locales.split()


@check
def start_names_product_and_version_that_clients_branch_on():
    properties = wire.Wire().start().properties
    assert properties["product"] == b"RabbitMQ"
    assert int(properties["version"].split(b".")[0]) >= 3
    assert properties["platform"] and properties["information"] and properties["cluster_name"]


@check
def start_announces_the_capabilities_that_clients_ask_for():
    capabilities = wire.Wire().start().properties["capabilities"]
    for name in (
        "publisher_confirms", "basic.nack", "connection.blocked", "consumer_cancel_notify",
        "authentication_failure_close", "per_consumer_qos",
    ):  # fmt: skip
        assert capabilities[name] is True, name


@check
def version_0_9_header_is_taken_for_0_9_1():
    connection = wire.Wire()
    connection.send(b"AMQP\x01\x01\x00\x09")
    connection.expect("connection.start", 0)


@check
def tune_offers_the_usual_bounds():
    connection = wire.Wire()
    connection.start()
    connection.log_in()
    offer = connection.tune()
    assert (offer.channel_max, offer.frame_max, offer.heartbeat) == (2047, 131072, 60)


@check
def wrong_password_is_told_to_a_client_that_can_hear_it():
    connection = wire.Wire()
    connection.start()
    connection.log_in(password="wrong")
    close = connection.expect("connection.close", 0)
    assert (close.code, close.class_id, close.method_id) == (403, 0, 0)
    assert close.text == LOGIN_REFUSED.format("PLAIN")


@check
def wrong_password_raises_in_pika():
    try:
        client.connect(login=(harness.USER, "wrong"))
    except ProbableAuthenticationError as error:
        assert LOGIN_REFUSED.format("PLAIN") in str(error), error
    else:
        raise AssertionError("logged in with a wrong password")


@check
def wrong_amqplain_password_names_the_mechanism():
    connection = wire.Wire()
    connection.start()
    connection.log_in(mechanism="AMQPLAIN", response=amqplain(harness.USER, "wrong"))
    close = connection.expect("connection.close", 0)
    assert (close.code, close.text) == (403, LOGIN_REFUSED.format("AMQPLAIN"))


@check
def wrong_password_without_the_capability_ends_the_socket_in_silence():
    connection = wire.Wire()
    connection.start()
    connection.log_in(password="wrong", capabilities={})
    connection.expect_end()


@check
def unknown_user_is_refused_as_a_wrong_password_is():
    connection = wire.Wire()
    connection.start()
    connection.log_in(user=harness.unique("user"))
    close = connection.expect("connection.close", 0)
    assert (close.code, close.text) == (403, LOGIN_REFUSED.format("PLAIN"))


@check
def blank_password_is_refused():
    connection = wire.Wire()
    connection.start()
    connection.log_in(response=f"\0{harness.USER}\0")
    assert connection.expect("connection.close", 0).code == 403


@check
def plain_with_an_authorization_id_is_refused():
    connection = wire.Wire()
    connection.start()
    connection.log_in(response=f"other\0{harness.USER}\0{harness.PASSWORD}")
    connection.expect_refusal(403, 501, 502)


@check
def plain_without_separators_is_refused():
    connection = wire.Wire()
    connection.start()
    connection.log_in(response="no separators")
    connection.expect_refusal(403, 501, 502)


@check
def amqplain_without_a_password_is_refused():
    connection = wire.Wire()
    connection.start()
    connection.log_in(mechanism="AMQPLAIN", response=codec.table({"LOGIN": harness.USER})[4:])
    connection.expect_refusal(403, 501, 502)


@check
def amqplain_with_a_truncated_table_is_refused():
    connection = wire.Wire()
    connection.start()
    response = amqplain(harness.USER, harness.PASSWORD)[:-3]
    connection.log_in(mechanism="AMQPLAIN", response=response)
    connection.expect_refusal(403, 501, 502)


@check
def mechanism_that_was_not_offered_is_refused():
    connection = wire.Wire()
    connection.start()
    connection.log_in(mechanism="X-UNHEARD-OF", response="whatever")
    connection.expect_refusal(503)


@check
def unknown_vhost_is_not_allowed():
    vhost = harness.unique("vhost")
    connection = wire.Wire()
    connection.start()
    connection.log_in()
    connection.tune()
    connection.method(0, "connection.open", vhost=vhost)
    close = connection.expect_connection_error(530, text=f"NOT_ALLOWED - vhost {vhost} not found")
    assert (close.class_id, close.method_id) == (10, 40)


@check
def unknown_vhost_raises_in_pika():
    try:
        client.connect(virtual_host=harness.unique("vhost"))
    except ProbableAccessDeniedError as error:
        assert "(530)" in str(error), error
    else:
        raise AssertionError("opened an unknown vhost")


def refused_tuning(**changes):
    connection = wire.Wire()
    connection.start()
    connection.log_in()
    connection.tune(**changes)
    connection.method(0, "connection.open", vhost="/")
    connection.expect_refusal(530)


@check
def frame_max_above_the_offer_is_refused():
    refused_tuning(frame_max=131073)


@check
def frame_max_below_the_minimum_is_refused():
    refused_tuning(frame_max=4095)


@check
def frame_max_of_no_limit_is_refused():
    refused_tuning(frame_max=0)


@check
def channel_max_above_the_offer_is_refused():
    refused_tuning(channel_max=2048)


@check
def channel_max_of_no_limit_is_refused():
    refused_tuning(channel_max=0)


@check
def smaller_frame_max_cuts_what_the_broker_sends():
    connection = wire.connect_with_channel(frame_max=8192)
    queue = wire.exclusive_queue(connection)
    body = bytes(range(256)) * 100
    connection.publish(1, "", queue, body, piece=8184)
    connection.frames_seen.clear()
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == body
    sizes = [size for kind, _, size in connection.frames_seen if kind == codec.BODY]
    assert sizes == [8184, 8184, 8184, 25600 - 3 * 8184], sizes


@check
def frame_above_a_smaller_frame_max_is_a_frame_error():
    connection = wire.connect_with_channel(frame_max=8192)
    connection.publish(1, "", "nowhere", b"x" * 20000, piece=20000)
    connection.expect_refusal(501)


@check
def channels_beyond_a_smaller_channel_max_are_not_allowed():
    connection = wire.connect(channel_max=2)
    connection.call(1, "channel.open")
    connection.call(2, "channel.open")
    connection.method(3, "channel.open")
    connection.expect_connection_error(
        530,
        text="NOT_ALLOWED - number of channels opened (2) has reached "
        "the negotiated channel_max (2)",
    )


@check
def client_properties_of_any_shape_are_accepted():
    connection = wire.Wire()
    connection.start()
    connection.method(
        0, "connection.start-ok", mechanism="PLAIN", locale="en_US",
        response=f"\0{harness.USER}\0{harness.PASSWORD}",
        properties={
            "connection_name": "check", "number": 1, "list": [1, "two", [3.0], {"four": None}],
            "capabilities": {"something new": True, "not a bool": "yes"}, "long": "x" * 2000,
        },
    )  # fmt: skip
    connection.tune()
    connection.call(0, "connection.open", vhost="/")


@check
def handshake_byte_by_byte_works():
    connection = wire.Wire()

    def slowly(raw):
        for at in range(len(raw)):
            connection.socket.sendall(raw[at : at + 1])
            time.sleep(0.0005)  # so that most of them are a read of their own

    connection.send, original = slowly, connection.send
    connection.start()
    connection.log_in()
    connection.tune()
    connection.call(0, "connection.open", vhost="/")
    connection.call(1, "channel.open")
    queue = wire.exclusive_queue(connection)
    connection.publish(1, "", queue, b"slow but sure")
    connection.method(1, "basic.get", queue=queue, no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"slow but sure"
    connection.send = original
    connection.close()


@check
def pika_connection_from_a_url_works():
    url = f"amqp://{harness.USER}:{harness.PASSWORD}@{harness.HOST}:{harness.PORT}/%2F"
    connection = pika.BlockingConnection(pika.URLParameters(url))
    assert connection.channel().is_open
    connection.close()
