"""Round trips: what is published comes out again, byte for byte."""

import json
import os
import signal
import subprocess
import tempfile

from harness import check, cleanup, eventually, unique
from shell import PATIENCE, PROGRAM, delete, depth, environment, leveret, queue, start


@check
def one_message_goes_in_and_comes_out():
    name = queue()
    leveret("publish", name, "Hello, world")
    assert leveret("get", name)[0] == b"Hello, world\n"


@check
def arguments_lines_and_files_become_messages_in_their_order():
    name = queue("one", "two", "")
    leveret("publish", name, "three", "four")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"first line\nsecond line\n")
        file.flush()
        leveret("publish", name, "--file", file.name, "-f", file.name)
    out, _ = leveret("get", name, "--all", "--null")
    assert out.split(b"\0") == [
        b"one", b"two", b"", b"three", b"four",
        b"first line\nsecond line\n", b"first line\nsecond line\n", b"",
    ], out  # fmt: skip


@check
def the_last_line_needs_no_end():
    name = queue()
    leveret("publish", name, stdin=b"one\ntwo")
    assert leveret("get", name, "-a")[0] == b"one\ntwo\n"


@check
def nothing_on_standard_input_is_no_message():
    name = queue()
    leveret("publish", name)
    assert depth(name)[0] == 0


@check
def bodies_may_be_any_bytes():
    name = queue()
    body = bytes(range(256)) * 3 + b"\0\n\xff"
    leveret("publish", name, "--whole", stdin=body)
    assert leveret("get", name, "--raw")[0] == body


@check
def a_whole_body_may_be_empty():
    name = queue()
    leveret("publish", name, "--whole")
    assert depth(name)[0] == 1
    assert leveret("get", name, "--raw")[0] == b""


@check
def bodies_larger_than_a_frame_come_whole():
    name = queue()
    body = os.urandom(3_000_001)
    leveret("publish", name, "--whole", stdin=body)
    assert leveret("get", name, "--raw")[0] == body


@check
def zero_bytes_can_separate_bodies():
    name = queue()
    bodies = [b"a\nb", b"", b"c"]
    leveret("publish", name, "--null", stdin=b"\0".join(bodies) + b"\0")
    assert depth(name)[0] == 3
    out, _ = leveret("consume", name, "--count", "3", "--null")
    assert out == b"a\nb\0\0c\0", out


@check
def many_messages_keep_their_order():
    name = queue()
    lines = b"".join(b"%d\n" % i for i in range(20000))
    leveret("publish", name, stdin=lines)
    assert leveret("consume", name, "--count", "20000")[0] == lines


@check
def count_and_repeat_bound_what_is_published():
    name = queue()
    leveret("publish", name, "--repeat", "3", "x", "y")
    leveret("publish", name, "--count", "2", stdin=b"1\n2\n3\n")
    assert leveret("get", name, "-a")[0] == b"x\nx\nx\ny\ny\ny\n1\n2\n"


@check
def properties_and_headers_arrive():
    name = queue()
    leveret(
        "publish", name, "--persistent", "--content-type", "text/plain", "--content-encoding",
        "identity", "--priority", "7", "--correlation-id", "c-1", "--reply-to", "answers",
        "--expiration", "60000", "--message-id", "m-1", "--timestamp", "1700000000", "--type",
        "greeting", "--user-id", "guest", "--app-id", "check", "-H", "word=a \"quoted\" one", "-H",
        "number:int=-5", "-H", "yes:bool=true", "-H", "half:float=0.5", "-H", "when:time=17",
        "-H", "nothing:void=", "-H", "a:b:str=c=d", "body",
    )  # fmt: skip
    message = json.loads(leveret("get", name, "--json")[0])
    assert message == {
        "exchange": "", "routing_key": name, "redelivered": False, "body": "body",
        "properties": {
            "content_type": "text/plain", "content_encoding": "identity", "delivery_mode": 2,
            "priority": 7, "correlation_id": "c-1", "reply_to": "answers", "expiration": "60000",
            "message_id": "m-1", "timestamp": 1700000000, "type": "greeting", "user_id": "guest",
            "app_id": "check",
            "headers": {"word": 'a "quoted" one', "number": -5, "yes": True, "half": 0.5,
                        "when": 17, "nothing": None, "a:b": "c=d"},
        },
    }, message  # fmt: skip


@check
def json_has_what_is_not_text_in_base64():
    name = queue()
    for body in (b"\xff", b"\xff\0", b"\xff\0\x10"):
        leveret("publish", name, "--whole", stdin=body)
    leveret("publish", name, "--whole", stdin='tab\t"quote" \\ ünï\n'.encode())
    lines = leveret("consume", name, "--count", "4", "--json")[0].splitlines()
    messages = [json.loads(line) for line in lines]
    assert [m.get("body_base64") for m in messages] == ["/w==", "/wA=", "/wAQ", None], messages
    assert messages[3]["body"] == 'tab\t"quote" \\ ünï\n', messages


@check
def requeued_messages_stay():
    name = queue("one", "two")
    assert leveret("get", name, "--all", "--requeue")[0] == b"one\ntwo\n"
    eventually(lambda: depth(name)[0] == 2)
    message = json.loads(leveret("get", name, "--json")[0])
    assert message["redelivered"] and message["body"] == "one", message


@check
def messages_beyond_the_count_stay():
    name = queue(*[str(i) for i in range(50)])
    assert leveret("consume", name, "--count", "3")[0] == b"0\n1\n2\n"
    eventually(lambda: depth(name)[0] == 47)
    assert leveret("get", name)[0] == b"3\n"


@check
def a_closed_pipe_ends_consuming_and_loses_nothing_unprinted():
    name = queue(*["x" * 1000 for i in range(500)])
    consumer = start("consume", name)
    assert consumer.stdout.readline() == b"x" * 1000 + b"\n"
    consumer.stdout.close()
    assert consumer.wait(PATIENCE) == 0
    eventually(lambda: depth(name)[1] == 0)
    left = depth(name)[0]
    assert 300 <= left <= 500, left  # what was printed may be acknowledged, but nothing else


@check
def signals_end_consuming_cleanly():
    for number in (signal.SIGINT, signal.SIGTERM):
        name = queue("one")
        consumer = start("consume", name)
        assert consumer.stdout.readline() == b"one\n"
        consumer.send_signal(number)
        out, said = consumer.communicate(timeout=PATIENCE)
        assert consumer.returncode == 0, said
        assert depth(name)[0] == 0  # it was printed, so it was acknowledged


@check
def a_stopped_publisher_says_what_is_not_confirmed():
    name = queue()
    publisher = start("publish", name)
    publisher.stdin.write(b"one\n")
    publisher.stdin.flush()
    eventually(lambda: depth(name)[0] == 1, "a line is published before the next one comes")
    publisher.send_signal(signal.SIGINT)
    _, said = publisher.communicate(timeout=PATIENCE)
    assert publisher.returncode == 1 and b"stopped" in said, said


@check
def messages_are_printed_as_they_come():
    name = queue()
    consumer = start("consume", name, "--count", "2")
    leveret("publish", name, "first")
    assert consumer.stdout.readline() == b"first\n"
    leveret("publish", name, "second")
    assert consumer.communicate(timeout=PATIENCE)[0] == b"second\n"
    assert consumer.returncode == 0


@check
def two_workers_share_the_work():
    name = queue()
    workers = [start("consume", name, "--prefetch", "1", "--count", "5") for _ in range(2)]
    eventually(lambda: depth(name)[1] == 2)
    leveret("publish", name, stdin=b"".join(b"%d\n" % i for i in range(10)))
    shares = [worker.communicate(timeout=PATIENCE)[0].split() for worker in workers]
    assert sorted(map(int, shares[0] + shares[1])) == list(range(10)), shares


@check
def every_subscriber_gets_what_is_published_to_an_exchange():
    exchange = unique("news")
    cleanup(lambda: _delete_exchange(exchange))
    subscribers = [
        start("consume", "-x", exchange, "--exchange-type", "fanout", "--count", "2")
        for _ in range(3)
    ]
    outs = []
    # Listening begins at nobody's word, so the news is told again until all have heard enough.
    eventually(lambda: _tell_until_all_end(exchange, subscribers, outs), seconds=PATIENCE)
    assert outs == [b"news\nnews\n"] * 3, outs


def _tell_until_all_end(exchange, subscribers, outs):
    _publish(exchange, "", "news")
    if any(subscriber.poll() is None for subscriber in subscribers):
        return False
    outs.extend(subscriber.stdout.read() for subscriber in subscribers)
    return True


def _delete_exchange(name):
    import client

    connection = client.connect()
    connection.channel().exchange_delete(name)
    connection.close()


@check
def a_binding_key_selects():
    exchange = unique("direct")
    cleanup(lambda: _delete_exchange(exchange))
    red = start("consume", "-x", exchange, "--exchange-type", "direct", "-k", "red", "--json",
                "--count", "1")  # fmt: skip
    eventually(lambda: _publish(exchange, "red", "red"))
    message = json.loads(red.communicate(timeout=PATIENCE)[0])
    assert message["routing_key"] == "red" and message["exchange"] == exchange, message
    assert not _publish(exchange, "blue", "blue")


def _publish(exchange, key, body):
    """True when the message reached a queue."""
    done = subprocess.run(
        [PROGRAM, "publish", "-x", exchange, "-k", key, "--mandatory", body],
        capture_output=True, check=False, timeout=PATIENCE, env=environment(),
    )  # fmt: skip
    return done.returncode == 0


@check
def a_deleted_queue_ends_its_consumer():
    name = queue("one")
    consumer = start("consume", name)
    assert consumer.stdout.readline() == b"one\n"
    delete(name)
    _, said = consumer.communicate(timeout=PATIENCE)
    assert consumer.returncode == 1 and b"deleted" in said, said


@check
def without_acks_nothing_is_kept():
    name = queue("one", "two")
    assert leveret("get", name, "--no-ack", "--all")[0] == b"one\ntwo\n"
    assert depth(name)[0] == 0
    leveret("publish", "--no-confirm", name, "three")
    consumer = start("consume", name, "--no-ack")
    assert consumer.stdout.readline() == b"three\n"
    consumer.kill()
    consumer.wait()
    eventually(lambda: depth(name) == (0, 0))
