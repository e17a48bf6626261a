<?php
/* Topic and headers exchanges, bindings between exchanges and alternates with php-amqplib. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;

/* An exclusive queue that is bound with each of the keys. */
function bound(AMQPChannel $channel, string $exchange, array $keys, array $arguments = []): string
{
    $queue = exclusive_queue($channel);
    foreach ($keys as $key) {
        $channel->queue_bind($queue, $exchange, $key, false, table($arguments));
    }
    return $queue;
}

check('topic_routes_by_words', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'topic');
    $keys = ['a', 'a.b', 'a.b.c', 'b.a', ''];
    $expected = [
        'a.*' => ['a.b'], 'a.#' => ['a', 'a.b', 'a.b.c'], '#' => $keys, '*' => ['a'],
        '#.a' => ['a', 'b.a'], '*.*.c' => ['a.b.c'], '#.b.#' => ['a.b', 'a.b.c', 'b.a'],
    ];
    $queues = [];
    foreach (array_keys($expected) as $pattern) {
        $queues[$pattern] = bound($channel, $exchange, [$pattern]);
    }
    foreach ($keys as $key) {
        publish($channel, $exchange, $key);
    }
    foreach ($expected as $pattern => $bodies) {
        expect_same([$pattern, $bodies], [$pattern, drain($channel, $queues[$pattern])]);
    }
});

check('several_matching_patterns_give_one_copy', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'topic');
    $queue = bound($channel, $exchange, ['#', 'a.#', '*.b', 'a.b']);
    publish($channel, $exchange, 'a.b');
    expect_same(['a.b'], drain($channel, $queue));
});

check('unbound_pattern_matches_no_more', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'topic');
    $queue = bound($channel, $exchange, ['a.*', 'b.*']);
    $channel->queue_unbind($queue, $exchange, 'a.*');
    publish($channel, $exchange, 'a.x');
    publish($channel, $exchange, 'b.x');
    expect_same(['b.x'], drain($channel, $queue));
});

check('headers_all_needs_each_of_them', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'headers');
    $queue = bound($channel, $exchange, [''], ['x-match' => 'all', 'kind' => 'job', 'size' => 3]);
    publish($channel, $exchange, 'both', ['kind' => 'job', 'size' => 3, 'more' => true]);
    publish($channel, $exchange, 'one', ['kind' => 'job']);
    publish($channel, $exchange, 'unlike', ['kind' => 'job', 'size' => '3']);
    publish($channel, $exchange, 'none');
    expect_same(['both'], drain($channel, $queue));
});

check('headers_any_needs_one_of_them', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'headers');
    $queue = bound($channel, $exchange, [''], ['x-match' => 'any', 'kind' => 'job', 'size' => 3]);
    publish($channel, $exchange, 'one', ['kind' => 'job', 'size' => 4]);
    publish($channel, $exchange, 'none', ['kind' => 'task']);
    expect_same(['one'], drain($channel, $queue));
});

check('headers_without_a_value_need_presence', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'headers');
    $queue = bound($channel, $exchange, [''], ['kind' => null]);
    publish($channel, $exchange, 'there', ['kind' => 'any']);
    publish($channel, $exchange, 'not', ['sort' => 'any']);
    expect_same(['there'], drain($channel, $queue));
});

check('exchange_feeds_another', function (): void {
    $channel = channel();
    $source = exchange($channel, 'direct');
    $target = exchange($channel, 'fanout');
    $channel->exchange_bind($target, $source, 'k');
    $queue = bound($channel, $target, ['']);
    publish($channel, $source, 'k');
    publish($channel, $source, 'other');
    expect_same(['k'], drain($channel, $queue));
    $channel->exchange_unbind($target, $source, 'k');
    publish($channel, $source, 'k');
    expect_same([], drain($channel, $queue));
});

check('circle_of_exchanges_gives_one_copy', function (): void {
    $channel = channel();
    $circle = array_map(fn () => exchange($channel, 'fanout'), range(1, 4));
    foreach ($circle as $number => $source) {
        $channel->exchange_bind($circle[($number + 1) % 4], $source);
    }
    $queue = exclusive_queue($channel);
    foreach ($circle as $exchange) {
        $channel->queue_bind($queue, $exchange);
    }
    publish($channel, $circle[2], 'x');
    expect_same(['x'], drain($channel, $queue));
});

check('absent_exchange_cannot_be_bound', function (): void {
    $channel = channel();
    $target = exchange($channel, 'fanout');
    $name = Harness::unique('absent');
    $text = "NOT_FOUND - no exchange '$name' in vhost '/'";
    expect_refused(404, fn () => $channel->exchange_bind($target, $name, 'k'), $text);
});

check('alternate_exchange_takes_the_rest', function (): void {
    $channel = channel();
    $spare = exchange($channel, 'fanout');
    $rest = bound($channel, $spare, ['']);
    $main = exchange($channel, 'direct', ['alternate-exchange' => $spare]);
    $known = bound($channel, $main, ['known']);
    publish($channel, $main, 'known');
    publish($channel, $main, 'unknown');
    expect_same([['known'], ['unknown']], [drain($channel, $known), drain($channel, $rest)]);
});

check('another_alternate_is_refused', function (): void {
    $channel = channel();
    $name = exchange($channel, 'direct', ['alternate-exchange' => 'one']);
    $again = fn (string $other) => $channel->exchange_declare(
        $name, 'direct', false, true, false, false, false, table(['alternate-exchange' => $other])
    );
    $again('one');
    expect_refused(406, fn () => $again('two'), "inequivalent arg 'alternate-exchange'");
});

check('internal_exchange_is_fed_by_others_only', function (): void {
    $channel = channel();
    $inner = exchange($channel, 'fanout', [], true);
    $source = exchange($channel, 'fanout');
    $channel->exchange_bind($inner, $source);
    $queue = bound($channel, $inner, ['']);
    publish($channel, $source, 'x');
    expect_same(['x'], drain($channel, $queue));
    publish($channel, $inner, 'x');
    $text = "ACCESS_REFUSED - cannot publish to internal exchange '$inner' in vhost '/'";
    expect_refused(403, fn () => round_trip($channel), $text);
});

check('copies_go_to_further_queues', function (): void {
    $channel = channel();
    [$to, $cc, $bcc] = array_map(fn () => exclusive_queue($channel), range(1, 3));
    publish($channel, '', $to, ['CC' => [$cc], 'BCC' => [$bcc]]);
    foreach ([$to, $cc, $bcc] as $queue) {
        $headers = $channel->basic_get($queue, true)->get('application_headers');
        expect_same(['CC' => [$cc]], $headers->getNativeData());
    }
});
