"""Which files and settings are taken, and what is said about the others."""

import os
import re

import broker
import harness
import pki
import scene
import wire
from harness import check

NAMES = {"certfile": "server.pem", "keyfile": "server.key"}


def serve(keys, **more):
    """`leveret serve` that is expected not to start: exit status and what it says."""
    directory = keys.path("data")
    status, _, text = broker.run("serve", "--data-dir", directory, "--listen", "127.0.0.1:0",
                                 "--tls-listen", "127.0.0.1:0", *keys.settings(**more))  # fmt: skip
    return status, text


@check
def ready_names_both_ports():
    keys = pki.Pki()
    one = keys.start()
    assert re.fullmatch(r"ready amqp://127\.0\.0\.1:\d+ amqps://127\.0\.0\.1:\d+", one.lines[-1])
    scene.speaks()
    pki.passes_messages(pki.connect(one, keys.context()))
    one.stop()


@check
def lists_tell_who_uses_tls():
    keys = pki.Pki()
    one = keys.start()
    pki.connect(one, keys.context())
    harness.PORT = one.port
    wire.connect_with_channel()
    ctl = ("ctl", "--data-dir", one.data_dir, "--silent")
    _, text, _ = broker.run(*ctl, "list_connections", "port", "ssl")
    assert sorted(text.split("\n")[:2]) == sorted(
        [f"{one.port}\tfalse", f"{one.tls_port}\ttrue"]), text  # fmt: skip
    _, text, _ = broker.run(*ctl, "status")
    assert f"port: {one.tls_port}, protocol: amqp/ssl, purpose: AMQP 0-9-1 over TLS" in text, text
    assert f"port: {one.port}, protocol: amqp, purpose: AMQP 0-9-1\n" in text, text


@check
def checking_a_configuration_reads_the_files():
    keys = pki.Pki()
    command = ("serve", "--check-config", "--tls-listen", "5671")
    status, text, error = broker.run(*command, *keys.settings())
    assert status == 0 and text.endswith("ok\n"), error
    status, _, error = broker.run(*command, *keys.settings(keyfile=keys.path("ca.key")))
    assert status == 2 and "does not fit" in error, error


@check
def plain_connections_can_be_turned_off():
    keys = pki.Pki()
    one = keys.start("--set", "listeners.tcp=none", listen=())
    assert not one.ports, one.lines
    pki.passes_messages(pki.connect(one, keys.context()))
    one.stop()


@check
def one_shard_or_three_all_serve():
    keys = pki.Pki()
    one = keys.start("--shards", "3")
    for _ in range(7):
        pki.passes_messages(pki.connect(one, keys.context()), sizes=(0, 5000, 200_000))
    one.stop()


@check
def a_certificate_is_needed():
    status, _, text = broker.run("serve", "--listen", "127.0.0.1:0", "--tls-listen",
                                 "127.0.0.1:0", "--data-dir", "/tmp/never")  # fmt: skip
    assert status == 1, (status, text)
    assert "ssl_options.certfile" in text and "leveret cert" in text, text


@check
def a_file_that_is_missing_or_something_else_is_named():
    keys = pki.Pki()
    keys.write("empty.pem", "")
    for name, file, words in (
        ("certfile", "nothing.pem", "No such file"), ("keyfile", "nothing.key", "No such file"),
        ("cacertfile", "nothing.pem", "No such file"), ("certfile", "empty.pem", "no certificate"),
        ("keyfile", "server.pem", "no key"), ("cacertfile", "server.key", "no certificate"),
    ):  # fmt: skip
        status, text = serve(keys, **{name: keys.path(file)})
        assert status == 1 and keys.path(file) in text and words in text, (name, file, text)


@check
def a_key_of_another_certificate_is_refused():
    keys = pki.Pki()
    status, text = serve(keys, keyfile=keys.path("ca.key"))
    assert status == 1 and "does not fit" in text and "ca.key" in text, text


@check
def an_expired_certificate_is_refused_with_its_date():
    keys = pki.Pki()
    keys.issue("old", "server", "DNS:localhost", expired=True)
    status, text = serve(keys, certfile=keys.path("old.pem"), keyfile=keys.path("old.key"))
    assert status == 1 and "has expired on 2020-01-02" in text and "old.pem" in text, text


@check
def settings_that_contradict_each_other_are_refused():
    keys = pki.Pki()
    for more, words in (
        ({"verify": "verify_peer", "cacertfile": ""}, "cacertfile"),
        ({"fail_if_no_peer_cert": "true"}, "verify_peer"),
        ({"versions__1": "tlsv1.1"}, "tlsv1.3 and tlsv1.2"),
        ({"ciphers__1": "ROT13"}, "ROT13"),
    ):
        status, text = serve(keys, **more)
        assert status == 1 and words in text, (more, status, text)


@check
def an_encrypted_key_needs_its_password():
    keys = pki.Pki()
    keys.openssl("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:sesame", "-out",
                 "locked.key")  # fmt: skip
    status, text = serve(keys, keyfile=keys.path("locked.key"))
    assert status == 1 and "no password" in text, text
    one = keys.start(keyfile=keys.path("locked.key"), password="sesame")
    pki.passes_messages(pki.connect(one, keys.context()), sizes=(1,))


@check
def the_host_that_is_asked_for_chooses_the_certificate():
    keys = pki.Pki()
    keys.issue("shop", "server", "DNS:shop.example")
    one = keys.start(sni__1=f"{keys.path('shop.pem')},{keys.path('shop.key')}")
    for name in ("shop.example", "localhost"):  # Python looks at the certificate's name
        pki.passes_messages(pki.connect(one, keys.context(), name=name), sizes=(1,))
    _, text = pki.s_client(one, "-noservername")
    assert "CN = server" in text, text


@check
def versions_are_what_the_settings_say():
    keys = pki.Pki()
    both = keys.start()
    for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        _, text = pki.s_client(both, flag, "-CAfile", keys.path("ca.pem"))
        assert f"New, {version}" in text and "Verify return code: 0" in text, text
    status, text = pki.s_client(both, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert status != 0 and "protocol version" in text, text
    harness.eventually(lambda: "no common version of TLS" in both.log(), both.log())
    newest = keys.start(versions__1="tlsv1.3")
    status, text = pki.s_client(newest, "-tls1_2")
    assert status != 0, text
    assert "New, TLSv1.3" in pki.s_client(newest)[1]


@check
def ciphers_are_what_the_settings_say():
    keys = pki.Pki()
    one = keys.start(ciphers__1="ECDHE-ECDSA-CHACHA20-POLY1305",
                     ciphers__2="ECDHE-ECDSA-AES256-GCM-SHA384",
                     honor_cipher_order="true")  # fmt: skip
    _, text = pki.s_client(one)
    assert "New, TLSv1.2, Cipher is ECDHE-ECDSA-CHACHA20-POLY1305" in text, text


@check
def sessions_are_resumed():
    keys = pki.Pki()
    one = keys.start(**keys.verifies())
    keys.issue("app", "client")
    files = ["-cert", keys.path("app.pem"), "-key", keys.path("app.key")]
    for flag in ("-tls1_2", "-tls1_3"):
        # The tickets of 1.3 come behind the handshake; a wrong header makes the broker close.
        _, text = pki.s_client(one, flag, *files, "-sess_out", keys.path("session"), "-ign_eof",
                               text="NOTAMQP!")  # fmt: skip
        assert "New, TLSv1" in text and os.path.exists(keys.path("session")), text
        _, text = pki.s_client(one, flag, *files, "-sess_in", keys.path("session"))
        assert "Reused, TLSv1" in text, text
