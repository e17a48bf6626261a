"""Client certificates: which are believed, and the users that they stand for."""

import ssl

import harness
import pika.exceptions
import pki
from harness import check

LOST = (ssl.SSLError, pika.exceptions.AMQPError, OSError)


def start(keys, login_from="common_name", **more):
    return keys.start("--set", f"ssl_cert_login_from={login_from}",
                      **{"verify": "verify_peer", **more})  # fmt: skip


def log_has(one, *words):
    harness.eventually(lambda: all(word in one.log() for word in words), f"{words}: {one.log()}")


@check
def a_certificate_may_be_required():
    keys = pki.Pki()
    keys.issue("app", "client")
    one = keys.start(**keys.verifies())
    pki.refused(lambda: pki.connect(one, keys.context()), *LOST)
    log_has(one, "event=tls.refused", "the client has no certificate")
    pki.passes_messages(pki.connect(one, keys.context("app")))


@check
def one_that_has_expired_is_refused():
    keys = pki.Pki()
    keys.issue("old", "client", expired=True)
    one = start(keys)
    pki.refused(lambda: pki.connect(one, keys.context("old")), *LOST)
    log_has(one, "CN=old is refused", "expired")


@check
def one_of_a_stranger_is_refused():
    keys = pki.Pki()
    keys.authority("other")
    keys.issue("spy", "client", authority="other")
    one = start(keys)
    pki.refused(lambda: pki.connect(one, keys.context("spy")), *LOST)
    log_has(one, "CN=spy is refused")


@check
def a_servers_certificate_is_none_for_a_client():
    keys = pki.Pki()
    one = start(keys)
    pki.refused(lambda: pki.connect(one, keys.context("server")), *LOST)
    log_has(one, "CN=server is refused", "purpose")


@check
def clients_refuse_a_broker_by_another_name():
    keys = pki.Pki()
    one = keys.start()
    error = pki.refused(lambda: pki.connect(one, keys.context(), name="elsewhere"), ssl.SSLError)
    assert "match" in str(error), error
    pki.passes_messages(pki.connect(one, keys.context()), sizes=(1,))


@check
def the_common_name_is_a_user():
    keys = pki.Pki()
    keys.issue("app", "client", subject="/CN=guest")
    one = start(keys)
    pki.passes_messages(pki.connect(one, keys.context("app"), external=True))


@check
def the_distinguished_name_is_a_user():
    keys = pki.Pki()
    keys.issue("app", "client", subject="/O=Example/CN=guest")
    one = start(keys, "distinguished_name")
    pki.refused(lambda: pki.connect(one, keys.context("app"), external=True), *LOST)
    log_has(one, "event=login.refused", "CN=guest,O=Example")


@check
def an_alternative_name_is_a_user():
    keys = pki.Pki()
    keys.issue("app", "client", alternatives="DNS:nobody,DNS:guest")
    one = keys.start("--set", "ssl_cert_login_from=subject_alternative_name", "--set",
                     "ssl_cert_login_san_index=1", verify="verify_peer")  # fmt: skip
    pki.passes_messages(pki.connect(one, keys.context("app"), external=True), sizes=(1,))


@check
def without_a_certificate_external_is_not_offered():
    keys = pki.Pki()
    one = start(keys)
    pki.refused(lambda: pki.connect(one, keys.context(), external=True), *LOST)
    pki.passes_messages(pki.connect(one, keys.context()), sizes=(1,))  # a password will do


@check
def a_user_who_is_not_there_is_refused():
    keys = pki.Pki()
    keys.issue("nobody", "client")
    one = start(keys)
    pki.refused(lambda: pki.connect(one, keys.context("nobody"), external=True), *LOST)
    log_has(one, "event=login.refused", "nobody")
