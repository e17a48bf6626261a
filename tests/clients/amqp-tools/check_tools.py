"""amqp-publish, amqp-consume, amqp-get, amqp-declare-queue and amqp-delete-queue at work."""

import os
import subprocess
import tempfile

import client
import harness
import scratch
from harness import check, cleanup, eventually, unique


def connection_options(password=harness.PASSWORD):
    return [
        f"--server={harness.HOST}", f"--port={harness.PORT}", f"--username={harness.USER}",
        f"--password={password}",
    ]  # fmt: skip


def tool(name, *arguments, stdin=b"", options=None):
    """Runs one of the programs to its end."""
    command = [f"amqp-{name}", *(options or connection_options()), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=15, check=False)


def ran(name, *arguments, stdin=b"", options=None):
    """Its standard output; it must succeed."""
    done = tool(name, *arguments, stdin=stdin, options=options)
    assert done.returncode == 0, done
    return done.stdout


def failed(name, *arguments, says="", options=None):
    done = tool(name, *arguments, options=options)
    assert done.returncode != 0, done
    assert says in done.stderr.decode(), done
    return done


def started(*command):
    """A program that goes on; killed when the check ends, if it still runs."""
    process = subprocess.Popen(
        [command[0], *connection_options(), *command[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    cleanup(process.wait)
    cleanup(process.kill)
    return process


def durable_queue():
    queue = scratch.queue_name()
    ran("declare-queue", "-d", "-q", queue)
    return queue


@check
def declare_prints_the_name_of_the_queue():
    queue = scratch.queue_name()
    assert ran("declare-queue", "-d", "-q", queue) == f"{queue}\n".encode()
    assert client.exists(queue)


@check
def declare_without_a_name_prints_the_one_the_broker_gave():
    queue = ran("declare-queue", "-d", "-q", "").decode().strip()
    assert queue.startswith("amq.gen-"), queue
    ran("delete-queue", "-q", queue)


@check
def declare_twice_alike_succeeds():
    queue = durable_queue()
    ran("declare-queue", "-d", "-q", queue)


@check
def declare_of_another_durability_fails_and_says_why():
    queue = durable_queue()
    text = f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '/'"
    failed("declare-queue", "-q", queue, says=text)


@check
def declare_of_a_reserved_name_fails_and_says_why():
    text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"
    failed("declare-queue", "-d", "-q", "amq.mine", says=text)


@check
def publish_from_the_command_line_and_get():
    queue = durable_queue()
    ran("publish", "-r", queue, "-b", "hello world")
    assert ran("get", "-q", queue) == b"hello world"


@check
def publish_from_standard_input_and_get():
    queue = durable_queue()
    body = bytes(range(256)) * 1000
    ran("publish", "-r", queue, stdin=body)
    assert ran("get", "-q", queue) == body


@check
def publish_of_several_mebibytes_and_get():
    queue = durable_queue()
    body = b"0123456789abcdef" * (3 << 16)
    ran("publish", "-r", queue, stdin=body)
    assert ran("get", "-q", queue) == body


@check
def publish_of_nothing_and_get():
    queue = durable_queue()
    ran("publish", "-r", queue)
    assert ran("get", "-q", queue) == b""
    assert tool("get", "-q", queue).returncode == 2


@check
def publish_line_by_line_makes_a_message_of_each():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\nthree\n")
    client.expect_depth(client.channel(), queue, 3)
    assert [ran("get", "-q", queue) for _ in range(3)] == [b"one\n", b"two\n", b"three\n"]


@check
def publish_passes_properties_and_headers():
    queue = durable_queue()
    ran(
        "publish", "-r", queue, "-p", "-C", "application/json", "-E", "utf-8", "-t", "answers",
        "-H", "colour: green", "-H", "size: large", "-b", "{}",
    )  # fmt: skip
    chan = client.channel()
    client.expect_depth(chan, queue, 1)
    _, properties, body = chan.basic_get(queue, auto_ack=True)
    assert body == b"{}"
    assert properties.content_type == "application/json"
    assert properties.content_encoding == "utf-8"
    assert properties.reply_to == "answers"
    assert properties.delivery_mode == 2
    assert properties.headers == {"colour": "green", "size": "large"}, properties.headers


@check
def publish_to_an_exchange_reaches_its_queues():
    chan, exchange = client.channel(), scratch.exchange_name()
    chan.exchange_declare(exchange, "fanout")
    queues = [durable_queue(), durable_queue()]
    for queue in queues:
        chan.queue_bind(queue, exchange)
    ran("publish", "-e", exchange, "-r", "", "-b", "to all")
    assert [ran("get", "-q", queue) for queue in queues] == [b"to all", b"to all"]


@check
def publish_to_nowhere_succeeds():
    ran("publish", "-r", unique("absent"), "-b", "lost")


@check
def get_from_an_empty_queue_exits_with_2():
    done = tool("get", "-q", durable_queue())
    assert (done.returncode, done.stdout) == (2, b""), done


@check
def get_takes_one_message_and_acks_it():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\n")
    client.expect_depth(client.channel(), queue, 2)
    assert ran("get", "-q", queue) == b"one\n"
    client.expect_depth(client.channel(), queue, 1)


@check
def get_from_an_absent_queue_fails_and_says_why():
    queue = unique("absent")
    failed("get", "-q", queue, says=f"NOT_FOUND - no queue '{queue}' in vhost '/'")


@check
def delete_says_how_many_messages_went():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\nthree\n")
    client.expect_depth(client.channel(), queue, 3)
    assert ran("delete-queue", "-q", queue).strip() == b"3"
    assert not client.exists(queue)


@check
def delete_if_empty_fails_when_it_is_not():
    queue = durable_queue()
    ran("publish", "-r", queue, "-b", "x")
    client.expect_depth(client.channel(), queue, 1)
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    failed("delete-queue", "-e", "-q", queue, says=text)
    assert client.exists(queue)


@check
def delete_if_unused_fails_when_it_is_used():
    queue, chan = durable_queue(), client.channel()
    chan.basic_consume(queue, lambda *_: None)
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"
    failed("delete-queue", "--if-unused", "-q", queue, says=text)


@check
def delete_of_an_absent_queue_succeeds():
    assert ran("delete-queue", "-q", unique("absent")).strip() == b"0"


@check
def consume_runs_the_command_for_each_message():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\nthree\n")
    assert ran("consume", "-q", queue, "-c", "3", "cat") == b"one\ntwo\nthree\n"
    client.expect_depth(client.channel(), queue, 0)


@check
def consume_acks_what_the_command_did():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\n")
    client.expect_depth(client.channel(), queue, 2)
    assert ran("consume", "-q", queue, "-p", "1", "-c", "1", "cat") == b"one\n"
    client.expect_depth(client.channel(), queue, 1)


@check
def consume_without_acks_empties_the_queue():
    queue = durable_queue()
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\n")
    assert ran("consume", "-A", "-q", queue, "-c", "2", "cat") == b"one\ntwo\n"
    client.expect_depth(client.channel(), queue, 0)


@check
def consume_waits_for_messages_that_come_later():
    queue, chan = durable_queue(), client.channel()
    process = started("amqp-consume", "-q", queue, "-c", "2", "cat")
    eventually(lambda: client.consumers(chan, queue) == 1, "consumer is there")
    ran("publish", "-r", queue, "-b", "later ")
    ran("publish", "-r", queue, "-b", "still later")
    output, errors = process.communicate(timeout=15)
    assert (process.returncode, output) == (0, b"later still later"), errors


@check
def consume_with_a_queue_of_its_own_gets_what_is_published_to_an_exchange():
    chan, exchange = client.channel(), scratch.exchange_name()
    chan.exchange_declare(exchange, "direct")
    process = started(
        "amqp-consume", "--exclusive", "-e", exchange, "-r", "key", "-c", "1", "cat"
    )  # fmt: skip
    # Its queue has no name that we know: publish until the binding is there.
    chan.confirm_delivery()

    def published():
        try:
            chan.basic_publish(exchange, "key", b"found", mandatory=True)
            return True
        except client.pika.exceptions.UnroutableError:
            return False

    eventually(published, "queue is bound")
    assert process.communicate(timeout=15)[0] == b"found"


@check
def two_consumers_share_a_queue():
    queue, chan = durable_queue(), client.channel()
    processes = [started("amqp-consume", "-q", queue, "-c", "5", "cat") for _ in range(2)]
    eventually(lambda: client.consumers(chan, queue) == 2, "consumers are there")
    ran("publish", "-l", "-r", queue, stdin=b"".join(b"%d\n" % number for number in range(10)))
    outputs = [process.communicate(timeout=15)[0].split() for process in processes]
    assert sorted(outputs[0] + outputs[1]) == [b"%d" % number for number in range(10)]


@check
def consume_that_is_killed_gives_its_messages_back():
    queue, chan = durable_queue(), client.channel()
    process = started("amqp-consume", "-q", queue, "-p", "10", "sleep", "60")
    ran("publish", "-l", "-r", queue, stdin=b"one\ntwo\n")
    eventually(lambda: client.consumers(chan, queue) == 1, "consumer is there")
    client.expect_depth(chan, queue, 0)
    process.kill()
    client.expect_depth(chan, queue, 2)
    assert client.drain(chan, queue) == [b"one\n", b"two\n"]


@check
def wrong_password_fails_and_says_so():
    failed(
        "get", "-q", "any", options=connection_options(password="wrong"),
        says="ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN",
    )  # fmt: skip


@check
def unknown_vhost_fails_and_says_so():
    vhost = unique("vhost")
    failed("get", "-q", "any", "--vhost", vhost, says=f"NOT_ALLOWED - vhost {vhost} not found")


@check
def url_leads_to_the_broker():
    queue = durable_queue()
    url = f"amqp://{harness.USER}:{harness.PASSWORD}@{harness.HOST}:{harness.PORT}/%2f"
    ran("publish", "-r", queue, "-b", "by url", options=["--url", url])
    assert ran("get", "-q", queue, options=["--url", url]) == b"by url"


@check
def credentials_from_a_file_work():
    queue = durable_queue()
    with tempfile.NamedTemporaryFile("w", suffix=".credentials", delete=False) as file:
        file.write(f"username:{harness.USER}\npassword:{harness.PASSWORD}\n")
    cleanup(os.unlink, file.name)
    options = [f"--server={harness.HOST}", f"--port={harness.PORT}", f"--authfile={file.name}"]
    ran("publish", "-r", queue, "-b", "by file", options=options)
    assert ran("get", "-q", queue, options=options) == b"by file"


@check
def heartbeats_keep_a_waiting_consumer():
    queue, chan = durable_queue(), client.channel()
    process = started("amqp-consume", "--heartbeat=1", "-q", queue, "-c", "1", "cat")
    chan.connection.sleep(4)  # longer than the consumer is kept without heartbeats
    ran("publish", "-r", queue, "-b", "after the wait")
    assert process.communicate(timeout=15)[0] == b"after the wait"
