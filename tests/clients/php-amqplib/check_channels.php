<?php
/* Transactions, recovery, consumer priorities, direct replies and user ids with php-amqplib. */

declare(strict_types=1);

use PhpAmqpLib\Message\AMQPMessage;

const REPLY_TO = 'amq.rabbitmq.reply-to';

check('commit_publishes', function (): void {
    [$channel, $queue] = ready();
    $other = $channel->getConnection()->channel();
    $channel->tx_select();
    send($channel, $queue, 'a', 'b');
    expect_same(0, depth($other, $queue));
    $channel->tx_commit();
    expect_same(['a', 'b'], drain($other, $queue));
});

check('rollback_forgets', function (): void {
    [$channel, $queue] = ready();
    $channel->tx_select();
    send($channel, $queue, 'a');
    $channel->tx_rollback();
    $channel->tx_commit();
    expect_same([], drain($channel->getConnection()->channel(), $queue));
});

check('ack_counts_from_the_commit_on', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'a', 'b');
    $other = $channel->getConnection()->channel();
    $other->tx_select();
    $other->basic_get($queue)->ack();
    $other->tx_commit();
    $other->basic_get($queue)->ack();
    $other->close();
    expect_depth($channel, $queue, 1);
    expect_same(['b'], drain($channel, $queue));
});

check('commit_without_select_is_refused', function (): void {
    $text = 'PRECONDITION_FAILED - channel is not transactional';
    expect_refused(406, fn () => channel()->tx_commit(), $text);
});

check('transactions_and_confirms_exclude_each_other', function (): void {
    $channel = channel();
    $channel->tx_select();
    $text = 'PRECONDITION_FAILED - cannot switch from tx to confirm mode';
    expect_refused(406, fn () => $channel->confirm_select(), $text);
    $channel = channel();
    $channel->confirm_select();
    $text = 'PRECONDITION_FAILED - cannot switch from confirm to tx mode';
    expect_refused(406, fn () => $channel->tx_select(), $text);
});

check('recover_hands_messages_out_again', function (): void {
    [$channel, $queue] = ready();
    send($channel, $queue, 'a', 'b');
    $inbox = (new Inbox($channel, $queue))->wait(2);
    $channel->basic_recover(true);
    expect_same(['a', 'b', 'a', 'b'], $inbox->wait(4)->bodies());
    expect($inbox->messages[2]->isRedelivered() && $inbox->messages[3]->isRedelivered());
});

check('recover_without_requeue_is_not_implemented', function (): void {
    $text = 'NOT_IMPLEMENTED - requeue=false';
    expect_refused(540, fn () => channel()->basic_recover(false), $text);
});

check('higher_priority_is_served_first', function (): void {
    [$channel, $queue] = ready();
    $low = new Inbox($channel, $queue, true);
    $high = new Inbox($channel, $queue, true, arguments: ['x-priority' => 10]);
    send($channel, $queue, 'a', 'b', 'c', 'd');
    expect_same(['a', 'b', 'c', 'd'], $high->wait(4)->bodies());
    expect_same([], $low->settle()->bodies());
});

check('lower_priority_works_while_the_higher_is_busy', function (): void {
    [$channel, $queue] = ready();
    $channel->basic_qos(0, 1, false);
    $high = new Inbox($channel, $queue, arguments: ['x-priority' => 10]);
    $low = new Inbox($channel, $queue, arguments: ['x-priority' => -5]);
    send($channel, $queue, 'a', 'b', 'c');
    $high->wait(1);
    $low->wait(1);
    $high->messages[0]->ack();
    $high->wait(2);
    expect_same([['a', 'c'], ['b']], [$high->bodies(), $low->bodies()]);
});

check('direct_reply_finds_the_caller', function (): void {
    $server = channel();
    $calls = durable_queue($server);
    $client = channel();
    $inbox = new Inbox($client, REPLY_TO, true);
    $call = new AMQPMessage('21', ['reply_to' => REPLY_TO, 'correlation_id' => 'c']);
    $client->basic_publish($call, '', $calls);
    $request = (new Inbox($server, $calls, true))->wait(1)->messages[0];
    $address = $request->get('reply_to');
    expect(str_starts_with($address, REPLY_TO . '.'), $address);
    $answer = new AMQPMessage('42', ['correlation_id' => $request->get('correlation_id')]);
    $server->basic_publish($answer, '', $address);
    $reply = $inbox->wait(1)->messages[0];
    expect_same(['42', 'c'], [$reply->getBody(), $reply->get('correlation_id')]);
    expect_same('', $reply->getExchange());
});

check('direct_replies_come_to_the_channel_that_asked', function (): void {
    [$server, $calls] = ready();
    $clients = [channel(), channel()];
    $inboxes = array_map(fn ($client) => new Inbox($client, REPLY_TO, true), $clients);
    foreach ($clients as $number => $client) {
        $call = new AMQPMessage("$number", ['reply_to' => REPLY_TO]);
        $queue = durable_queue($client);
        $client->basic_publish($call, '', $queue);
        $request = (new Inbox($server, $queue, true))->wait(1)->messages[0];
        send($server, $request->get('reply_to'), 'for ' . $request->getBody());
    }
    expect_same(['for 0'], $inboxes[0]->wait(1)->bodies());
    expect_same(['for 1'], $inboxes[1]->wait(1)->bodies());
});

check('direct_reply_without_a_consumer_is_refused', function (): void {
    [$channel, $queue] = ready();
    $channel->basic_publish(new AMQPMessage('x', ['reply_to' => REPLY_TO]), '', $queue);
    $text = 'PRECONDITION_FAILED - fast reply consumer does not exist';
    expect_refused(406, fn () => round_trip($channel), $text);
});

check('direct_replies_are_not_acked', function (): void {
    $text = 'PRECONDITION_FAILED - reply consumer cannot acknowledge';
    expect_refused(406, fn () => new Inbox(channel(), REPLY_TO, false), $text);
});

check('user_id_has_to_be_ones_own', function (): void {
    [$channel, $queue] = ready();
    $channel->basic_publish(new AMQPMessage('x', ['user_id' => USER]), '', $queue);
    expect_same(USER, $channel->basic_get($queue, true)->get('user_id'));
    $channel->basic_publish(new AMQPMessage('x', ['user_id' => 'somebody']), '', $queue);
    $text = "user_id property set to 'somebody' but authenticated user was '" . USER . "'";
    expect_refused(406, fn () => round_trip($channel), $text);
});

check('flow_on_is_answered', function (): void {
    $channel = channel();
    $channel->flow(true);
    exclusive_queue($channel);
});
