"""Who comes in and who does not; how long the answer takes, and that nobody else waits for it."""

import pathlib
import select
import time

import pika
from pika.exceptions import ProbableAuthenticationError

import client
import codec
import harness
import scene
import wire
from harness import check, eventually

REFUSED = (
    "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
    "For details see the broker logfile."
)
# As src/auth/throttle.h has it.
FREE, FIRST_SECONDS = 10, 0.125


def asked(user=None, password=None, **options):
    """A connection that has just sent its login."""
    connection = wire.Wire()
    connection.start()
    connection.log_in(user, password, **options)
    return connection


def answer(connection):
    """The text of the refusal, or None: welcome."""
    method = connection.read()
    if method.name == "connection.tune":
        return None
    assert (method.name, method.code) == ("connection.close", 403), method
    return method.text


def guess(count, prefix="wrong"):
    """So many wrong passwords at once, that is, connections that wait for an answer."""
    return [asked(password=f"{prefix} {number}") for number in range(count)]


def has_answer(connection, seconds=0):
    return bool(select.select([connection.socket], [], [], seconds)[0])


def use_up_what_is_free():
    for connection in guess(FREE, "free"):
        assert answer(connection) == REFUSED


@check
def the_right_password_comes_in_again_and_again():
    scene.start()
    for _ in range(3):
        client.channel().queue_declare("", exclusive=True)


@check
def whatever_is_wrong_sounds_the_same_to_the_client_and_not_in_the_log():
    one = scene.start()
    reasons = {
        ("guest", "wrong"): "the password of user 'guest' is wrong",
        ("guest", "guest "): "the password of user 'guest' is wrong",
        ("mallory", "guest"): "there is no user 'mallory'",
        ("guest", ""): "user 'guest' gave an empty password",
    }
    for login, reason in reasons.items():
        try:
            pika.BlockingConnection(client.parameters(login=login))
        except ProbableAuthenticationError as error:
            assert REFUSED in str(error), error
        else:
            raise AssertionError(f"{login} came in")
        eventually(lambda: f'why="{reason}"' in one.log(), reason)
    assert one.log().count("event=login.refused") == len(reasons), one.log()


@check
def a_client_that_cannot_hear_it_is_met_with_silence():
    one = scene.start()
    connection = asked(password="wrong", capabilities={})
    connection.expect_end()
    assert "the password of user 'guest' is wrong" in one.log()


@check
def a_password_with_a_nul_byte_is_another_one():
    scene.start()
    connection = asked(
        mechanism="AMQPLAIN",
        response=codec.table({"LOGIN": "guest", "PASSWORD": "guest\0"})[4:],
    )
    assert answer(connection).startswith("ACCESS_REFUSED")


@check
def a_long_password_is_only_wrong():
    scene.start()
    assert answer(asked(password="g" * 4000)) == REFUSED
    assert answer(asked(password="guest")) is None


@check
def checks_of_passwords_hold_up_no_other_connection():
    scene.start("--shards", "1")
    busy = wire.connect_with_channel()
    assert answer(asked()) is None  # from now on this password is known
    waiting = guess(FREE)
    rounds = logins = 0
    while not has_answer(waiting[-1]):
        busy.call(1, "basic.qos", prefetch_count=1)
        rounds += 1
        if rounds % 10 == 0:
            assert answer(asked()) is None
            logins += 1
    print(f"{rounds} round trips and {logins} logins during {FREE} checks", flush=True)
    assert rounds >= 10 * FREE, rounds
    assert logins >= FREE, logins
    for connection in waiting:
        assert answer(connection) == REFUSED


@check
def many_connections_with_one_password_take_one_check():
    scene.start("--shards", "1")
    began = time.monotonic()
    connections = [asked() for _ in range(300)]
    for connection in connections:
        assert answer(connection) is None
    seconds = time.monotonic() - began
    print(f"300 logins with a new password in {seconds * 1000:.0f} ms", flush=True)
    # One by one their checks would take longer than a client's patience.
    assert seconds < 5, seconds


@check
def many_connections_with_one_wrong_password_are_one_guess():
    one = scene.start("--shards", "1")
    for connection in [asked(password="old") for _ in range(100)]:
        assert answer(connection) == REFUSED
    for connection in guess(FREE - 1):
        assert answer(connection) == REFUSED
    assert "too many wrong passwords" not in one.log(), one.log()


@check
def a_right_password_is_answered_before_wrong_ones_that_came_sooner():
    scene.start("--shards", "1")
    use_up_what_is_free()
    late = guess(5)[-1]  # in two seconds
    assert answer(asked()) is None
    assert not has_answer(late)
    assert answer(late) == REFUSED


@check
def the_answer_to_one_who_guesses_takes_twice_as_long_each_time():
    scene.start("--shards", "1")
    use_up_what_is_free()
    wanted = FIRST_SECONDS
    for number in range(4):
        began = time.monotonic()
        assert answer(asked(password=f"late {number}")) == REFUSED
        seconds = time.monotonic() - began
        assert seconds >= wanted, f"answered after {seconds} s instead of {wanted}"
        wanted *= 2


@check
def guessing_in_parallel_is_cut_off_and_others_come_in():
    one = scene.start("--shards", "1")
    assert answer(asked()) is None
    connections = guess(200)
    assert answer(asked()) is None  # right lately, so not affected
    eventually(
        lambda: one.log().count("too many wrong passwords have come from this address") > 0,
        "a reason",
    )
    for connection in connections:
        assert answer(connection) == REFUSED


@check
def the_handshake_is_timed_while_a_password_waits():
    one = scene.start("--shards", "1", "--set", "handshake_timeout=3000")
    use_up_what_is_free()
    connections = guess(6)  # the last of which would be answered after four seconds
    connections[-1].expect_end()
    eventually(lambda: "event=handshake.timeout" in one.log(), "a reason")
    one.stop()


@check
def the_broker_ends_well_while_passwords_wait():
    one = scene.start("--shards", "3")
    use_up_what_is_free()
    guess(30)
    one.stop()


@check
def three_shards_let_in_whom_one_lets_in():
    scene.start("--shards", "3")
    for number in range(12):
        assert answer(asked()) is None
        assert answer(asked(user=f"nobody {number % 2}")) == REFUSED


@check
def no_password_is_written_anywhere():
    one = scene.start("--set", "default_user=app", "--set", "default_pass=s3cret-of-app")
    harness.USER, harness.PASSWORD = "app", "s3cret-of-app"
    client.channel().queue_declare("q", durable=True)
    assert answer(asked(password="s3cret-of-nobody")) == REFUSED
    one.stop()
    files = [path for path in pathlib.Path(one.directory).rglob("*") if path.is_file()]
    assert any(path.name == "metadata.sqlite" for path in files), files
    for path in files:
        assert b"s3cret" not in path.read_bytes(), path


@check
def memory_that_checks_took_is_given_back():
    one = scene.start("--shards", "1")
    assert answer(asked()) is None
    before = one.resident_kib()
    for number in range(5):
        assert answer(asked(password=f"wrong {number}")) == REFUSED
    eventually(lambda: one.resident_kib() < before + 4096, "16 MiB are free again")
