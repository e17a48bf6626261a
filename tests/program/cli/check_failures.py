"""What goes wrong is said in a sentence, and in the exit code."""

import socket

from harness import HOST, PORT, check, unique
from shell import PROGRAM, URL, delete, leveret, queue, refused


@check
def help_has_every_option_and_examples():
    for command in ("publish", "consume", "get", "bench"):
        out, _ = leveret(command, "--help")
        assert b"--url" in out and b"--help" in out, out
        assert f"  leveret {command} ".encode() in out, out


@check
def wrong_options_are_usage_errors():
    refused("publish", word="queue")
    refused("publish", "--exchang", "x", "y", word="--exchange")
    refused("publish", "q", "--priority", "256", "x", word="255")
    refused("publish", "q", "--expiration", "soon", "x", word="milliseconds")
    refused("publish", "q", "-H", "novalue", "x", word="NAME=VALUE")
    refused("publish", "q", "-H", "n:int=x", "y", word="int")
    refused("publish", "q", "-H", "n:integer=1", "y", word="type")
    refused("publish", "q" * 256, "x", word="255")
    refused("publish", "q", "--app-id", "a" * 256, "x", word="255")
    refused("publish", "--declare", "-x", "e", "y", word="--declare")
    refused("publish", "q", "--null", "--whole", word="--whole")
    refused("publish", "q", "x", "--file", "y", word="files")
    refused("consume", word="queue")
    refused("consume", "q", "-x", "e", word="queue")
    refused("consume", "q", "--no-ack", "--count", "1", word="lose")
    refused("consume", "q", "--ack", "--no-ack", word="--ack")
    refused("consume", "q", "--json", "--raw", word="--raw")
    refused("consume", "q", "--prefetch", "65536", word="65535")
    refused("get", word="argument")
    refused("get", "q", "--no-ack", "--requeue", word="--requeue")
    refused("get", "q", "extra", word="extra")


@check
def a_wrong_url_is_a_usage_error():
    refused("get", "q", url="http://localhost", word="amqp://")
    refused("get", "q", "--url", "amqp://h:0", word="port")
    refused("get", "q", "--url", "amqp://h/a/b", word="%2F")


@check
def a_port_without_a_broker_is_named():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = held.getsockname()[1]
        refused("get", "q", "-u", f"amqp://127.0.0.1:{port}", code=1, word=f"127.0.0.1:{port}")


@check
def an_unknown_host_is_named():
    refused("get", "q", "-u", "amqp://no-such-host.invalid", code=1, word="no-such-host.invalid")


@check
def a_server_of_another_protocol_is_recognised():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        import subprocess

        client = subprocess.Popen(
            [PROGRAM, "get", "q", "-u", f"amqp://127.0.0.1:{port}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        peer, _ = listener.accept()
        assert peer.recv(8) == b"AMQP\0\0\x09\x01"
        peer.sendall(b"AMQP\x03\x01\0\0")
        peer.close()
        _, said = client.communicate(timeout=15)
        assert client.returncode == 1 and b"0-9-1" in said, said


@check
def a_wrong_password_is_said_without_showing_it():
    url = f"amqp://guest:s3cret@{HOST}:{PORT}/"
    out, said = leveret("get", "q", url=url, code=1)
    assert "login" in said and "guest" in said and "s3cret" not in said, said


@check
def an_unknown_vhost_is_named():
    refused("get", "q", url=f"{URL}no-such-vhost", code=1, word="no-such-vhost")


@check
def a_queue_that_is_not_there_is_named():
    name = unique("absent")
    for command in (("get", name), ("consume", name)):
        refused(*command, code=1, word=f"NOT_FOUND - no queue '{name}' in vhost '/'")


@check
def an_exchange_that_is_not_there_is_named():
    name = unique("absent")
    for extra in ((), ("--no-confirm",)):
        refused("publish", "-x", name, "body", *extra, code=1, word=f"no exchange '{name}'")


@check
def an_unroutable_mandatory_message_is_a_failure():
    name = unique("absent")
    refused("publish", name, "--mandatory", "body", code=1, word=f"routing key '{name}'")
    refused("publish", name, "-m", "--no-confirm", "x", "y", code=1, word="2 of 2")
    leveret("publish", name, "body")  # without --mandatory that is no failure


@check
def other_properties_of_the_queue_are_an_error():
    import client

    name = unique("transient")
    connection = client.connect()
    connection.channel().queue_declare(name)
    refused("publish", "--declare", name, "body", code=1, word="inequivalent arg 'durable'")
    connection.close()
    delete(name)


@check
def an_empty_queue_is_a_failure_of_get():
    refused("get", queue(), code=1, word="is empty")
    out, said = leveret("get", queue(), "--quiet", code=1)
    assert (out, said) == (b"", "")


@check
def consuming_gives_up_after_the_timeout():
    name = queue("one")
    out, said = leveret("consume", name, "--count", "2", "--timeout", "0.3", code=1)
    assert out == b"one\n" and "1 of 2" in said and "0.3" in said, said
    leveret("consume", name, "--timeout", "0.3")  # without --count that is the end, no failure


@check
def a_file_that_cannot_be_read_is_named():
    name = queue()
    refused("publish", name, "--file", "/nonexistent/file", code=1, word="/nonexistent/file")
    refused("publish", name, "--file", "/", code=1, word="directory")


@check
def a_full_disk_is_a_failure_and_keeps_the_message():
    import os
    import subprocess

    from shell import depth, environment

    name = queue("kept")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "get", name], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), timeout=15, check=False)  # fmt: skip
    assert done.returncode == 1 and b"written" in done.stderr, done.stderr
    from harness import eventually

    eventually(lambda: depth(name)[0] == 1)
    assert os.path.exists("/dev/full")
