"""Queues: declaring, finding, deleting, purging, and what their flags mean."""

import client
import scratch
import wire
from harness import check, eventually, unique

LOCKED = (
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{}' in vhost '/'. It could "
    "be originally declared on another connection or the exclusive property value does not match "
    "that of the original declaration."
)


def locked(name):
    """The text as it goes on the wire, where 3.10 cuts a long one at 252 bytes and adds dots."""
    return LOCKED.format(name)


def declared(**options):
    """A channel and a queue just declared on it."""
    chan, name = client.channel(), scratch.queue_name()
    chan.queue_declare(name, **options)
    return chan, name


def inequivalent(name, field, received, current):
    return (
        f"PRECONDITION_FAILED - inequivalent arg '{field}' for queue '{name}' in vhost '/': "
        f"received '{received}' but current is '{current}'"
    )


@check
def server_gives_names_that_differ():
    chan = client.channel()
    names = {client.exclusive_queue(chan) for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("amq.gen-") and len(name) == 30 for name in names), names


@check
def declare_says_the_name_and_counts_nothing():
    chan, name = client.channel(), scratch.queue_name()
    method = chan.queue_declare(name, durable=True).method
    assert (method.queue, method.message_count, method.consumer_count) == (name, 0, 0)


@check
def declaring_twice_alike_is_fine():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"kept")
    chan.queue_declare(name, durable=True)
    assert client.drain(chan, name) == [b"kept"]


@check
def declare_counts_ready_messages_only():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"one", b"two", b"three")
    client.expect_depth(chan, name, 3)
    method, _, _ = chan.basic_get(name)
    client.expect_depth(chan, name, 2)
    chan.basic_nack(method.delivery_tag, requeue=True)
    client.expect_depth(chan, name, 3)


@check
def declare_counts_consumers():
    chan, name = declared(durable=True)
    tags = [chan.basic_consume(name, lambda *_: None) for _ in range(3)]
    assert client.consumers(chan, name) == 3
    chan.basic_cancel(tags[0])
    assert client.consumers(chan, name) == 2


@check
def passive_declare_finds_what_is_there_whatever_its_properties():
    chan, name = declared(durable=True)
    chan.queue_declare(name, passive=True, durable=False, auto_delete=True)


@check
def passive_declare_of_an_absent_queue_is_not_found():
    name = unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        client.channel().queue_declare(name, passive=True)


@check
def another_durability_is_refused():
    chan, name = declared(durable=True)
    with client.refused(406, inequivalent(name, "durable", "false", "true")):
        chan.queue_declare(name)


@check
def another_auto_delete_is_refused():
    chan, name = declared(durable=True)
    with client.refused(406, inequivalent(name, "auto_delete", "true", "false")):
        chan.queue_declare(name, durable=True, auto_delete=True)


@check
def durability_is_compared_before_auto_delete():
    chan, name = declared(durable=True)
    with client.refused(406, inequivalent(name, "durable", "false", "true")):
        chan.queue_declare(name, auto_delete=True)


@check
def unknown_arguments_are_accepted_and_not_compared():
    chan, name = declared(durable=True, arguments={"x-note": "one"})
    chan.queue_declare(name, durable=True, arguments={"x-note": 2, "x-other": [True]})


@check
def refused_declare_leaves_the_queue_as_it_was():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"kept")
    with client.refused(406):
        chan.queue_declare(name)
    assert client.drain(client.channel(), name) == [b"kept"]


@check
def durable_queue_outlives_its_connection():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"kept")
    chan.connection.close()
    assert client.drain(client.channel(), name) == [b"kept"]


@check
def reserved_prefix_is_refused():
    text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"
    with client.refused(403, text):
        client.channel().queue_declare("amq.mine", durable=True)


@check
def own_exclusive_queue_may_be_declared_again():
    chan, name = declared(exclusive=True)
    chan.queue_declare(name, exclusive=True)


@check
def server_named_queue_is_found_passively():
    chan = client.channel()
    name = client.exclusive_queue(chan)
    assert chan.queue_declare(name, passive=True).method.queue == name


def refused_to_others(use):
    """An exclusive queue does not let another connection do this."""
    name = scratch.queue_name()
    client.channel().queue_declare(name, exclusive=True)
    with client.refused(405, locked(name)):
        use(client.channel(), name)


@check
def exclusive_queue_is_locked_for_declare():
    refused_to_others(lambda chan, name: chan.queue_declare(name, exclusive=True))


@check
def exclusive_queue_is_locked_for_declare_without_the_flag():
    refused_to_others(lambda chan, name: chan.queue_declare(name))


@check
def exclusive_queue_is_locked_for_passive_declare():
    refused_to_others(lambda chan, name: chan.queue_declare(name, passive=True))


@check
def exclusive_queue_is_locked_for_consume():
    refused_to_others(lambda chan, name: chan.basic_consume(name, lambda *_: None))


@check
def exclusive_queue_is_locked_for_get():
    refused_to_others(lambda chan, name: chan.basic_get(name))


@check
def exclusive_queue_is_locked_for_purge():
    refused_to_others(lambda chan, name: chan.queue_purge(name))


@check
def exclusive_queue_is_locked_for_delete():
    refused_to_others(lambda chan, name: chan.queue_delete(name))


@check
def exclusive_queue_is_locked_for_bind():
    refused_to_others(lambda chan, name: chan.queue_bind(name, "amq.direct", "key"))


@check
def exclusive_queue_takes_messages_of_others():
    chan = client.channel()
    name = client.exclusive_queue(chan)
    client.publish(client.channel(), name, b"from outside")
    assert client.Inbox(chan, name, auto_ack=True).wait(1).bodies == [b"from outside"]


@check
def exclusive_queue_refuses_its_owner_another_exclusive_flag():
    chan, name = declared(exclusive=True)
    with client.refused(405, locked(name)):
        chan.queue_declare(name)


@check
def shared_queue_cannot_be_declared_exclusive_later():
    chan, name = declared(durable=True)
    with client.refused(405, locked(name)):
        chan.queue_declare(name, durable=True, exclusive=True)


@check
def exclusive_queue_serves_all_channels_of_its_connection():
    chan = client.channel()
    name = client.exclusive_queue(chan)
    other = chan.connection.channel()
    client.publish(other, name, b"x")
    assert client.drain(other, name) == [b"x"]


@check
def name_of_an_exclusive_queue_is_free_after_its_connection():
    name = scratch.queue_name()
    for _ in range(3):
        chan = client.channel()
        assert chan.queue_declare(name, exclusive=True).method.message_count == 0
        chan.connection.close()


@check
def auto_delete_queue_waits_for_a_first_consumer():
    chan, name = declared(auto_delete=True)
    client.publish(chan, name, b"x")
    assert client.get(chan, name) == b"x"
    assert client.exists(name)


@check
def auto_delete_queue_goes_with_its_last_consumer():
    chan, name = declared(auto_delete=True)
    tags = [chan.basic_consume(name, lambda *_: None) for _ in range(2)]
    chan.basic_cancel(tags[0])
    assert client.exists(name)
    chan.basic_cancel(tags[1])
    eventually(lambda: not client.exists(name), "queue gone")


@check
def auto_delete_queue_goes_with_the_channel_of_its_consumer():
    chan, name = declared(auto_delete=True)
    other = chan.connection.channel()
    other.basic_consume(name, lambda *_: None)
    other.close()
    eventually(lambda: not client.exists(name), "queue gone")


@check
def auto_delete_queue_goes_with_the_connection_of_its_consumer():
    _, name = declared(auto_delete=True)
    consumer = wire.connect_with_channel()
    consumer.call(1, "basic.consume", queue=name)
    consumer.socket.close()
    eventually(lambda: not client.exists(name), "queue gone")


@check
def delete_says_how_many_ready_messages_went():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"one", b"two", b"three")
    chan.basic_get(name)
    assert chan.queue_delete(name).method.message_count == 2
    assert not client.exists(name)


@check
def delete_of_an_absent_queue_succeeds():
    assert client.channel().queue_delete(unique("absent")).method.message_count == 0


@check
def delete_if_unused_is_refused_with_a_consumer():
    chan, name = declared(durable=True)
    tag = chan.connection.channel().basic_consume(name, lambda *_: None)
    with client.refused(406, f"PRECONDITION_FAILED - queue '{name}' in vhost '/' in use"):
        chan.queue_delete(name, if_unused=True)
    assert tag and client.exists(name)


@check
def delete_if_unused_succeeds_with_messages():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"x")
    assert chan.queue_delete(name, if_unused=True).method.message_count == 1


@check
def delete_if_empty_is_refused_with_messages():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"x")
    with client.refused(406, f"PRECONDITION_FAILED - queue '{name}' in vhost '/' not empty"):
        chan.queue_delete(name, if_empty=True)
    assert client.exists(name)


@check
def delete_if_empty_succeeds_when_empty():
    chan, name = declared(durable=True)
    chan.queue_delete(name, if_empty=True)
    assert not client.exists(name)


@check
def deleted_queue_comes_back_empty_and_unbound():
    chan, name = declared(durable=True)
    key = unique("key")
    chan.queue_bind(name, "amq.direct", key)
    client.publish(chan, name, b"old")
    chan.queue_delete(name)
    chan.queue_declare(name, durable=True)
    chan.basic_publish("amq.direct", key, b"unrouted")
    assert client.drain(chan, name) == []


@check
def purge_removes_ready_messages_and_counts_them():
    chan, name = declared(durable=True)
    client.publish(chan, name, *[b"x"] * 5)
    chan.basic_get(name)
    assert chan.queue_purge(name).method.message_count == 4
    client.expect_depth(chan, name, 0)
    assert chan.queue_purge(name).method.message_count == 0


@check
def purge_leaves_unacked_messages():
    chan, name = declared(durable=True)
    client.publish(chan, name, b"held", b"purged")
    method, _, _ = chan.basic_get(name)
    chan.queue_purge(name)
    chan.basic_nack(method.delivery_tag, requeue=True)
    assert client.drain(chan, name) == [b"held"]


@check
def purge_of_an_absent_queue_is_not_found():
    name = unique("absent")
    with client.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        client.channel().queue_purge(name)


@check
def empty_name_means_the_last_queue_declared_on_the_channel():
    connection = wire.connect_with_channel()
    wire.exclusive_queue(connection)
    last = wire.exclusive_queue(connection)
    connection.publish(1, "", last, b"one")
    connection.publish(1, "", last, b"two")
    connection.method(1, "basic.get", no_ack=True)
    assert connection.expect("basic.get-ok", 1).routing_key == last
    assert connection.call(1, "queue.purge").message_count == 1
    connection.call(1, "basic.consume", tag="c", no_ack=True)
    connection.publish(1, "", last, b"three")
    assert connection.expect("basic.deliver", 1).body == b"three"
    connection.call(1, "queue.delete")
    assert connection.expect("basic.cancel", 1).tag == "c"


@check
def empty_name_and_key_bind_by_the_name_of_the_last_queue():
    connection = wire.connect_with_channel()
    queue = wire.exclusive_queue(connection)
    connection.call(1, "queue.bind", exchange="amq.direct")
    connection.publish(1, "amq.direct", queue, b"by name")
    connection.method(1, "basic.get", no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"by name"
    connection.call(1, "queue.unbind", exchange="amq.direct")
    connection.publish(1, "amq.direct", queue, b"unrouted")
    connection.method(1, "basic.get", no_ack=True)
    connection.expect("basic.get-empty", 1)


@check
def empty_name_with_a_key_binds_by_that_key():
    connection, key = wire.connect_with_channel(), unique("key")
    wire.exclusive_queue(connection)
    connection.call(1, "queue.bind", exchange="amq.direct", routing_key=key)
    connection.publish(1, "amq.direct", key, b"by key")
    connection.method(1, "basic.get", no_ack=True)
    assert connection.expect("basic.get-ok", 1).body == b"by key"


@check
def empty_name_without_a_queue_before_is_not_found():
    for method in ("basic.get", "basic.consume", "queue.purge", "queue.delete"):
        connection = wire.connect_with_channel()
        connection.method(1, method)
        connection.expect_channel_error(1, 404, "NOT_FOUND - no previously declared queue")
        connection.socket.close()


@check
def name_of_255_bytes_works():
    chan, name = client.channel(), scratch.queue_name().ljust(255, "n")
    chan.queue_declare(name, exclusive=True)
    client.publish(chan, name, b"x")
    assert client.drain(chan, name) == [b"x"]


@check
def name_beyond_ascii_works():
    chan, name = client.channel(), unique("хвост 🐇 ž")
    assert chan.queue_declare(name, exclusive=True).method.queue == name
    client.publish(chan, name, b"x")
    assert client.drain(chan, name) == [b"x"]


@check
def names_differ_by_case():
    chan, name = client.channel(), unique("Queue")
    chan.queue_declare(name, exclusive=True)
    chan.queue_declare(name.upper(), exclusive=True)
    client.publish(chan, name, b"x")
    assert client.drain(chan, name.upper()) == []


@check
def line_ends_in_a_name_are_removed():
    connection, name = wire.connect_with_channel(), unique("queue")
    written = name[:10] + "\r\n" + name[10:] + "\n"
    assert connection.call(1, "queue.declare", queue=written, exclusive=True).queue == name
    connection.call(1, "queue.declare", queue=name, passive=True)


@check
def declare_purge_and_delete_without_waiting_send_no_answer():
    connection, name = wire.connect_with_channel(), scratch.queue_name()
    connection.method(1, "queue.declare", queue=name, durable=True, nowait=True)
    connection.publish(1, "", name, b"x")
    connection.method(1, "queue.purge", queue=name, nowait=True)
    connection.expect_depth(1, name, 0)
    connection.method(1, "queue.delete", queue=name, nowait=True)
    connection.method(1, "queue.declare", queue=name, passive=True)
    connection.expect_channel_error(1, 404)


@check
def thousand_queues_on_one_channel_work():
    connection = wire.connect_with_channel()
    for _ in range(1000):
        connection.method(1, "queue.declare", exclusive=True)
    names = [connection.expect("queue.declare-ok", 1).queue for _ in range(1000)]
    for number, name in enumerate(names):
        connection.publish(1, "", name, b"%d" % number)
    for number in (0, 499, 999):
        connection.method(1, "basic.get", queue=names[number], no_ack=True)
        assert connection.expect("basic.get-ok", 1).body == b"%d" % number


@check
def unknown_type_of_queue_is_refused():
    chan, name = client.channel(), scratch.queue_name()
    text = (
        f"PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '{name}' in vhost '/': "
        "\"unsupported queue type 'odd'\""
    )
    with client.refused(406, text):
        chan.queue_declare(name, durable=True, arguments={"x-queue-type": "odd"})


@check
def queue_type_that_is_no_string_is_refused():
    name = unique("absent")
    text = (
        f"PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '{name}' in vhost '/': "
        "{unacceptable_type,signedint}"
    )
    with client.refused(406, text):
        client.channel().queue_declare(name, arguments={"x-queue-type": 5})
