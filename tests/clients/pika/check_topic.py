"""Topic exchanges: words, wildcards, many bindings."""

import random

import client
import scratch
import wire
from harness import check, unique

WORDS = ["", "a", "b", "c"]


def matches(pattern, key):
    """The rule as the specification words it, slowly: * one word, # any number of words."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(matches(pattern[1:], key[skip:]) for skip in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and matches(pattern[1:], key[1:])


def words(key):
    return key.split(".") if key else []


def topic(chan):
    name = scratch.exchange_name()
    chan.exchange_declare(name, "topic")
    return name


def bound(chan, exchange, *patterns):
    queue = client.exclusive_queue(chan)
    for pattern in patterns:
        chan.queue_bind(queue, exchange, pattern)
    return queue


def publish(chan, exchange, *keys):
    for key in keys:
        chan.basic_publish(exchange, key, key.encode())


def routed(pattern, *keys):
    """Which of the keys the pattern lets through."""
    chan = client.channel()
    exchange = topic(chan)
    queue = bound(chan, exchange, pattern)
    publish(chan, exchange, *keys)
    return [body.decode() for body in client.drain(chan, queue)]


@check
def plain_key_matches_itself_only():
    assert routed("a.b", "a.b", "a", "b", "a.b.c", "a.B", "a.b.", ".a.b", "a..b") == ["a.b"]


@check
def star_is_exactly_one_word():
    assert routed("a.*", "a.b", "a", "a.b.c", "a.", "b.a") == ["a.b", "a."]


@check
def star_alone_is_any_one_word_but_not_none():
    assert routed("*", "a", "", "a.b", "*", ".") == ["a", "*"]


@check
def hash_is_any_number_of_words():
    assert routed("a.#", "a", "a.b", "a.b.c", "b", "", "ab") == ["a", "a.b", "a.b.c"]


@check
def hash_alone_takes_everything():
    keys = ["", "a", "a.b", ".", "..", "#", "*"]
    assert routed("#", *keys) == keys


@check
def hash_in_the_middle_may_be_nothing():
    assert routed("a.#.b", "a.b", "a.c.b", "a.c.d.b", "a", "b", "a.b.c") == [
        "a.b", "a.c.b", "a.c.d.b",
    ]  # fmt: skip


@check
def two_hashes_find_a_word_anywhere():
    assert routed("#.b.#", "b", "a.b", "b.a", "a.b.c", "a.c", "") == ["b", "a.b", "b.a", "a.b.c"]


@check
def star_and_hash_together_need_a_word():
    assert routed("*.#", "", "a", "a.b") == ["a", "a.b"]
    assert routed("#.*", "", "a", "a.b") == ["a", "a.b"]


@check
def empty_pattern_matches_the_empty_key():
    assert routed("", "", "a", ".") == [""]


@check
def empty_words_are_words():
    assert routed("a.*.b", "a..b", "a.b", "a.x.b") == ["a..b", "a.x.b"]
    assert routed("a..b", "a..b", "a.b") == ["a..b"]
    assert routed("*.*", ".", "a.", ".a", "a", "") == [".", "a.", ".a"]


@check
def wildcards_within_words_are_plain_characters():
    assert routed("a*.b#", "a*.b#", "ax.bx", "a.b") == ["a*.b#"]


@check
def wildcards_in_keys_are_plain_characters():
    assert routed("a.b", "a.*", "a.#", "#", "a.b") == ["a.b"]


@check
def several_matching_bindings_give_one_copy():
    chan = client.channel()
    exchange = topic(chan)
    queue = bound(chan, exchange, "#", "a.#", "a.*", "*.b", "a.b", "#.b", "#.a.#")
    publish(chan, exchange, "a.b")
    assert client.drain(chan, queue) == [b"a.b"]


@check
def every_queue_gets_its_own_copy():
    chan = client.channel()
    exchange = topic(chan)
    queues = [bound(chan, exchange, pattern) for pattern in ("a.*", "a.*", "#", "b.*")]
    publish(chan, exchange, "a.x")
    assert [len(client.drain(chan, queue)) for queue in queues] == [1, 1, 1, 0]


@check
def unbinding_one_pattern_leaves_the_others():
    chan = client.channel()
    exchange = topic(chan)
    queue = bound(chan, exchange, "a.#", "a.*", "b")
    chan.queue_unbind(queue, exchange, "a.#")
    publish(chan, exchange, "a.x", "a.x.y", "b")
    assert client.drain(chan, queue) == [b"a.x", b"b"]
    chan.queue_unbind(queue, exchange, "a.*")
    publish(chan, exchange, "a.x", "b")
    assert client.drain(chan, queue) == [b"b"]


@check
def deleted_queue_leaves_the_other_of_the_same_pattern():
    chan = client.channel()
    exchange = topic(chan)
    gone, left = bound(chan, exchange, "a.#"), bound(chan, exchange, "a.#")
    chan.queue_delete(gone)
    publish(chan, exchange, "a.x")
    assert client.drain(chan, left) == [b"a.x"]


@check
def arguments_make_another_binding_of_the_same_pattern():
    chan = client.channel()
    exchange = topic(chan)
    queue = client.exclusive_queue(chan)
    chan.queue_bind(queue, exchange, "a.*")
    chan.queue_bind(queue, exchange, "a.*", arguments={"note": 1})
    chan.queue_unbind(queue, exchange, "a.*")
    publish(chan, exchange, "a.x")
    assert client.drain(chan, queue) == [b"a.x"]


@check
def predeclared_topic_exchange_routes():
    chan = client.channel()
    prefix = unique("key")
    queue = bound(chan, "amq.topic", prefix + ".#")
    publish(chan, "amq.topic", prefix + ".a.b")
    assert len(client.drain(chan, queue)) == 1


@check
def auto_delete_topic_exchange_goes_with_its_last_pattern():
    chan, name = client.channel(), scratch.exchange_name()
    chan.exchange_declare(name, "topic", auto_delete=True)
    queue = bound(chan, name, "a.*", "b.*")
    chan.queue_unbind(queue, name, "a.*")
    assert client.exchange_exists(name)
    chan.queue_unbind(queue, name, "b.*")
    assert not client.exchange_exists(name)


@check
def pattern_of_127_stars_matches_as_many_words():
    many = ".".join("*" * 127)
    assert routed(many, ".".join("a" * 127), ".".join("a" * 126), ".".join("a" * 128)) == [
        ".".join("a" * 127)
    ]


@check
def key_that_could_match_in_very_many_ways_is_routed_in_time():
    # 4.3.5 takes at most two hashes per pattern, so two are what a client may count on.
    assert routed("#.a.#", ".".join("a" * 128)) == [".".join("a" * 128)]
    assert routed("#.x.#", ".".join("a" * 128)) == []


@check(seconds=60)
def random_patterns_and_keys_are_routed_by_the_rule():
    connection, rng = wire.connect_with_channel(), random.Random(7)
    exchange = scratch.exchange_name()
    connection.call(1, "exchange.declare", exchange=exchange, type="topic")
    patterns = {}
    while len(patterns) < 60:
        pattern = ".".join(rng.choice(WORDS + ["*", "#"]) for _ in range(rng.randint(1, 4)))
        if pattern.split(".").count("#") <= 2 and pattern not in patterns:
            patterns[pattern] = wire.exclusive_queue(connection)
            connection.call(
                1, "queue.bind", queue=patterns[pattern], exchange=exchange, routing_key=pattern
            )
    keys = [".".join(rng.choice(WORDS) for _ in range(rng.randint(1, 4))) for _ in range(100)]
    for key in keys:
        connection.publish(1, exchange, key, key.encode())
    for pattern, queue in patterns.items():
        expected = [key.encode() for key in keys if matches(words(pattern), words(key))]
        seen = []
        while True:
            connection.method(1, "basic.get", queue=queue, no_ack=True)
            answer = connection.read()
            if answer.name == "basic.get-empty":
                break
            seen.append(answer.body)
        assert seen == expected, (pattern, seen, expected)


@check(seconds=60)
def two_thousand_patterns_come_and_go():
    chan = client.channel()
    exchange = topic(chan)
    queue = client.exclusive_queue(chan)
    patterns = [f"a.{number}.*" for number in range(1000)]
    patterns += [f"#.{number}" for number in range(1000)]
    for pattern in patterns:
        chan.queue_bind(queue, exchange, pattern)
    publish(chan, exchange, "a.7.x", "a.7", "b.b.999", "a.1000.x", "a.999.999")
    assert client.drain(chan, queue) == [b"a.7.x", b"a.7", b"b.b.999", b"a.999.999"]
    for pattern in patterns:
        if pattern != "a.7.*":
            chan.queue_unbind(queue, exchange, pattern)
    publish(chan, exchange, "a.7.x", "a.7", "b.b.999", "a.8.x")
    assert client.drain(chan, queue) == [b"a.7.x"]
