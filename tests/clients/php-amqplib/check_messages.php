<?php
/* Work queues, publish and subscribe, acks, confirms, returns and cancels with php-amqplib. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Exception\AMQPBasicCancelException;
use PhpAmqpLib\Message\AMQPMessage;

function confirming(): AMQPChannel
{
    $channel = channel();
    $channel->confirm_select();
    return $channel;
}

check('message_goes_through_a_queue', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'hello');
    expect_same(['hello'], drain($channel, $queue));
});

check('empty_queue_gives_nothing', function (): void {
    [$channel, $queue] = ready();
    expect_same(null, $channel->basic_get($queue));
});

check('consumer_gets_messages_in_order', function (): void {
    [$channel, $queue] = ready();
    $bodies = array_map('strval', range(1, 200));
    $inbox = new Inbox($channel, $queue, true);
    send($channel, $queue, ...$bodies);
    expect_same($bodies, $inbox->wait(200)->bodies());
});

check('properties_come_back', function (): void {
    [$channel, $queue] = ready();
    $sent = [
        'content_type' => 'text/x', 'content_encoding' => 'utf-8', 'delivery_mode' => 2,
        'priority' => 4, 'correlation_id' => 'c', 'reply_to' => 'r', 'expiration' => '60000',
        'message_id' => 'm', 'type' => 't', 'app_id' => 'a', 'cluster_id' => 'k',
    ];
    $channel->basic_publish(new AMQPMessage('x', $sent + ['timestamp' => 1700000000]), '', $queue);
    $message = $channel->basic_get($queue, true);
    foreach ($sent as $name => $value) {
        expect_same($value, $message->get($name));
    }
    expect_same('1700000000', (string) $message->get('timestamp'));
});

check('headers_come_back', function (): void {
    [$channel, $queue] = ready();
    $headers = [
        'text' => 'ž', 'number' => 3, 'large' => 2 ** 40, 'yes' => true,
        'no' => false, 'nothing' => null, 'list' => [1, 'two', [3]],
        'table' => ['deep' => ['er' => 1]],
    ];
    $properties = ['application_headers' => table($headers)];
    $channel->basic_publish(new AMQPMessage('x', $properties), '', $queue);
    $seen = $channel->basic_get($queue, true)->get('application_headers')->getNativeData();
    ksort($headers); // RabbitMQ 4 sorts them
    ksort($seen);
    expect_same(json_encode($headers), json_encode($seen));
});

check('large_body_comes_back', function (): void {
    [$channel, $queue] = ready();
    $body = random_bytes(2_000_000);
    send($channel, $queue, $body);
    expect((new Inbox($channel, $queue, true))->wait(1)->bodies()[0] === $body);
});

check('empty_body_comes_back', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, '', '');
    expect_same(['', ''], drain($channel, $queue));
});

check('batch_arrives_whole_and_in_order', function (): void {
    [$channel, $queue] = ready();
    for ($number = 0; $number < 50; $number++) {
        $channel->batch_basic_publish(new AMQPMessage("$number"), '', $queue);
    }
    $channel->publish_batch();
    expect_same(array_map('strval', range(0, 49)), drain($channel, $queue));
});

check('workers_share_a_queue', function (): void {
    $boss = channel();
    $queue = durable_queue($boss);
    $inboxes = [];
    foreach (range(1, 3) as $ignored) {
        $channel = channel();
        $channel->basic_qos(0, 2, false);
        $inboxes[] = new Inbox($channel, $queue);
    }
    send($boss, $queue, ...array_map('strval', range(1, 6)));
    $seen = array_merge(...array_map(fn ($inbox) => $inbox->wait(2)->bodies(), $inboxes));
    sort($seen);
    expect_same(['1', '2', '3', '4', '5', '6'], $seen);
    foreach ($inboxes as $inbox) {
        array_map(fn ($message) => $message->ack(), $inbox->messages);
    }
    expect_depth($boss, $queue, 0);
});

check('consume_loop_works_through_the_queue', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'a', 'b', 'quit');
    $seen = [];
    $work = function (AMQPMessage $message) use (&$seen): void {
        $seen[] = $message->getBody();
        $message->ack();
        if ($message->getBody() === 'quit') {
            $message->getChannel()->basic_cancel($message->getConsumerTag());
        }
    };
    $channel->basic_consume($queue, '', false, false, false, false, $work);
    while ($channel->is_consuming()) {
        $channel->wait();
    }
    expect_same(['a', 'b', 'quit'], $seen);
    expect_same(0, depth($channel, $queue));
});

check('prefetch_holds_messages_back', function (): void {
    [$channel, $queue] = ready();
    $channel->basic_qos(0, 2, false);
    send($channel, $queue, 'a', 'b', 'c', 'd');
    $inbox = (new Inbox($channel, $queue))->wait(2);
    expect_depth($channel, $queue, 2);
    $inbox->messages[0]->ack();
    expect_same(['a', 'b', 'c'], $inbox->wait(3)->bodies());
    expect_depth($channel, $queue, 1);
});

check('requeued_message_comes_again', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'x');
    $channel->basic_get($queue)->nack(true);
    $again = $channel->basic_get($queue);
    expect_same(['x', true], [$again->getBody(), $again->isRedelivered()]);
});

check('dropped_messages_are_gone', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'a', 'b');
    $channel->basic_get($queue)->reject(false);
    $channel->basic_get($queue)->nack();
    expect_same([], drain($channel, $queue));
});

check('several_messages_are_settled_at_once', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'a', 'b', 'c', 'd');
    $tags = array_map(fn () => $channel->basic_get($queue)->getDeliveryTag(), range(1, 4));
    $channel->basic_ack($tags[1], true);
    $channel->basic_nack($tags[3], true, true);
    expect_same(['c', 'd'], drain($channel, $queue));
});

check('unacked_messages_return_when_the_channel_closes', function (): void {
    [$channel, $queue] = ready();
    $other = $channel->getConnection()->channel();
    send($channel, $queue, 'x');
    (new Inbox($other, $queue))->wait(1);
    $other->close();
    expect_depth($channel, $queue, 1);
    expect($channel->basic_get($queue, true)->isRedelivered());
});

check('unacked_messages_return_when_the_connection_is_lost', function (): void {
    $channel = channel();
    $queue = durable_queue($channel);
    send($channel, $queue, 'x');
    $other = channel();
    (new Inbox($other, $queue))->wait(1);
    drop($other->getConnection());
    expect_depth($channel, $queue, 1);
});

check('remaining_messages_are_counted', function (): void {
    $channel = confirming();
    $queue = exclusive_queue($channel);
    send($channel, $queue, 'a', 'b', 'c');
    $channel->wait_for_pending_acks(10);
    expect_same(2, $channel->basic_get($queue, true)->getMessageCount());
});

check('fanout_reaches_every_queue', function (): void {
    $channel = channel();
    $exchange = exchange($channel, 'fanout');
    $inboxes = array_map(function () use ($channel, $exchange): Inbox {
        $queue = exclusive_queue($channel);
        $channel->queue_bind($queue, $exchange);
        return new Inbox($channel, $queue, true);
    }, range(1, 4));
    foreach (['a', 'b'] as $key) {
        publish($channel, $exchange, $key);
    }
    foreach ($inboxes as $inbox) {
        expect_same(['a', 'b'], $inbox->wait(2)->bodies());
    }
});

check('direct_routes_by_key', function (): void {
    [$channel, $one] = ready();
    $both = exclusive_queue($channel);
    $exchange = exchange($channel, 'direct');
    $channel->queue_bind($one, $exchange, 'one');
    $channel->queue_bind($both, $exchange, 'one');
    $channel->queue_bind($both, $exchange, 'two');
    foreach (['one', 'two', 'three'] as $key) {
        publish($channel, $exchange, $key);
    }
    expect_same([['one'], ['one', 'two']], [drain($channel, $one), drain($channel, $both)]);
});

check('unbinding_ends_the_flow', function (): void {
    [$channel, $queue] = ready();
    $exchange = exchange($channel, 'direct');
    $channel->queue_bind($queue, $exchange, 'k');
    publish($channel, $exchange, 'k');
    $channel->queue_unbind($queue, $exchange, 'k');
    publish($channel, $exchange, 'k');
    expect_same(['k'], drain($channel, $queue));
});

check('confirms_come_for_all_messages', function (): void {
    $channel = confirming();
    $queue = exclusive_queue($channel);
    $confirmed = [];
    $channel->set_ack_handler(function (AMQPMessage $message) use (&$confirmed): void {
        $confirmed[] = $message->getBody();
    });
    $channel->set_nack_handler(fn () => throw new RuntimeException('a message was nacked'));
    $bodies = array_map('strval', range(1, 100));
    send($channel, $queue, ...$bodies);
    $channel->wait_for_pending_acks(10);
    sort($confirmed, SORT_NUMERIC);
    expect_same($bodies, $confirmed);
    expect_same(100, depth($channel, $queue));
});

check('unroutable_message_is_confirmed', function (): void {
    $channel = confirming();
    send($channel, Harness::unique('absent'), 'x');
    $channel->wait_for_pending_acks(10);
});

check('unroutable_mandatory_message_is_returned_before_its_confirm', function (): void {
    $channel = confirming();
    $order = [];
    $channel->set_return_listener(function (...$arguments) use (&$order): void {
        $order[] = array_slice($arguments, 0, 4);
        $order[] = $arguments[4]->getBody();
    });
    $channel->set_ack_handler(function () use (&$order): void {
        $order[] = 'ack';
    });
    $key = Harness::unique('absent');
    $channel->basic_publish(new AMQPMessage('home'), '', $key, true);
    $channel->wait_for_pending_acks_returns(10);
    expect_same([[312, 'NO_ROUTE', '', $key], 'home', 'ack'], $order);
});

check('routable_mandatory_message_is_not_returned', function (): void {
    $channel = confirming();
    $queue = exclusive_queue($channel);
    $channel->set_return_listener(fn () => throw new RuntimeException('it came back'));
    $channel->basic_publish(new AMQPMessage('x'), '', $queue, true);
    $channel->wait_for_pending_acks_returns(10);
    expect_same(1, depth($channel, $queue));
});

check('immediate_is_not_implemented', function (): void {
    [$channel, $queue] = ready();
    expect_refused(540, function () use ($channel, $queue): void {
        $channel->basic_publish(new AMQPMessage('x'), '', $queue, false, true);
        round_trip($channel);
    }, 'NOT_IMPLEMENTED - immediate=true');
});

check('deleted_queue_cancels_its_consumer', function (): void {
    $channel = channel();
    $queue = durable_queue($channel);
    $inbox = new Inbox($channel, $queue, true, 'mine');
    channel()->queue_delete($queue);
    try {
        $inbox->wait(1);
    } catch (AMQPBasicCancelException $cancel) {
        expect_same('mine', $cancel->consumerTag);
        return;
    }
    throw new RuntimeException('it was not told');
});

check('cancelled_consumer_gets_no_more', function (): void {
    [$channel, $queue] = ready();
    $inbox = new Inbox($channel, $queue, true);
    send($channel, $queue, 'one');
    $inbox->wait(1);
    $channel->basic_cancel($inbox->tag);
    send($channel, $queue, 'two');
    expect_same(['two'], drain($channel, $queue));
});

check('exclusive_consumer_keeps_others_away', function (): void {
    [$channel, $queue] = ready();
    new Inbox($channel, $queue, true, '', true);
    $other = $channel->getConnection()->channel();
    $text = "ACCESS_REFUSED - queue '$queue' in vhost '/' in exclusive use";
    expect_refused(403, fn () => new Inbox($other, $queue), $text);
});

check('declare_counts_messages_and_consumers', function (): void {
    $channel = confirming();
    $queue = durable_queue($channel);
    send($channel, $queue, 'a', 'b');
    $channel->wait_for_pending_acks(10);
    expect_same([$queue, 2, 0], $channel->queue_declare($queue, true));
});

check('purge_and_delete_count_messages', function (): void {
    $channel = confirming();
    $queue = exclusive_queue($channel);
    send($channel, $queue, 'a', 'b', 'c');
    $channel->wait_for_pending_acks(10);
    expect_same(3, $channel->queue_purge($queue));
    send($channel, $queue, 'd');
    $channel->wait_for_pending_acks(10);
    expect_same(1, $channel->queue_delete($queue));
});

check('delete_of_a_queue_with_messages_is_refused', function (): void {
    $channel = confirming();
    $queue = exclusive_queue($channel);
    send($channel, $queue, 'x');
    $channel->wait_for_pending_acks(10);
    $text = "PRECONDITION_FAILED - queue '$queue' in vhost '/' not empty";
    expect_refused(406, fn () => $channel->queue_delete($queue, false, true), $text);
});

check('delete_of_a_queue_in_use_is_refused', function (): void {
    [$channel, $queue] = ready();
    new Inbox($channel, $queue);
    $text = "PRECONDITION_FAILED - queue '$queue' in vhost '/' in use";
    expect_refused(406, fn () => $channel->queue_delete($queue, true), $text);
});

check('call_is_answered_through_a_queue_of_the_callers_own', function (): void {
    $server = channel();
    $calls = durable_queue($server);
    [$client, $replies] = ready();
    $call = new AMQPMessage('21', ['reply_to' => $replies, 'correlation_id' => 'c']);
    $client->basic_publish($call, '', $calls);
    $request = (new Inbox($server, $calls))->wait(1)->messages[0];
    $id = $request->get('correlation_id');
    $answer = new AMQPMessage((string) (2 * (int) $request->getBody()), ['correlation_id' => $id]);
    $server->basic_publish($answer, '', $request->get('reply_to'));
    $reply = (new Inbox($client, $replies))->wait(1)->messages[0];
    expect_same(['42', 'c'], [$reply->getBody(), $reply->get('correlation_id')]);
});

check('nowait_declarations_take_effect', function (): void {
    $channel = channel();
    $queue = queue_name();
    $exchange = delete_later('exchange_delete', Harness::unique('exchange'));
    $channel->queue_declare($queue, false, true, false, false, true);
    $channel->exchange_declare($exchange, 'fanout', false, true, false, false, true);
    $channel->queue_bind($queue, $exchange, '', true);
    publish($channel, $exchange, 'x');
    expect_same(['x'], drain($channel, $queue));
    $channel->queue_purge($queue, true);
    $channel->queue_delete($queue, false, false, true);
    $channel->exchange_delete($exchange, false, true);
    expect_refused(404, fn () => $channel->queue_declare($queue, true));
});
