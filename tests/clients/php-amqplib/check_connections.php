<?php
/* Connecting with php-amqplib, its errors, and lost connections. */

declare(strict_types=1);

use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;
use PhpAmqpLib\Connection\AMQPSocketConnection;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Exception\AMQPTimeoutException;

check('stream_connects', function (): void {
    $connection = connect();
    expect($connection->isConnected());
    $connection->close();
    expect(!$connection->isConnected());
});

check('socket_connects', function (): void {
    $connection = closing(new AMQPSocketConnection(HOST, PORT, USER, PASSWORD));
    exclusive_queue($connection->channel());
});

check('lazy_connection_connects_when_it_is_used', function (): void {
    $config = new AMQPConnectionConfig();
    $config->setHost(HOST);
    $config->setPort((int) PORT);
    $config->setUser(USER);
    $config->setPassword(PASSWORD);
    $config->setIsLazy(true);
    $config->setConnectionName('lazy');
    $connection = closing(AMQPConnectionFactory::create($config));
    expect(!$connection->isConnected());
    exclusive_queue($connection->channel());
    expect($connection->isConnected());
});

check('hosts_are_tried_in_turn', function (): void {
    $probe = stream_socket_server('tcp://127.0.0.1:0');
    $dead = explode(':', stream_socket_get_name($probe, false))[1];
    fclose($probe);
    $host = ['host' => HOST, 'port' => PORT, 'user' => USER, 'password' => PASSWORD];
    $host += ['vhost' => '/'];
    $hosts = [['port' => $dead] + $host, $host];
    $connection = closing(AMQPStreamConnection::create_connection($hosts, []));
    expect($connection->isConnected());
});

check('server_says_who_it_is', function (): void {
    $properties = connect()->getServerProperties();
    expect_same('RabbitMQ', $properties['product'][1]);
    expect(preg_match('/^\d+\.\d+\.\d+/', $properties['version'][1]) === 1, 'version');
    foreach (['publisher_confirms', 'basic.nack', 'consumer_cancel_notify'] as $name) {
        expect((bool) $properties['capabilities'][1][$name][1], $name);
    }
});

check('plain_is_accepted', fn () => exclusive_queue(channel(login_method: 'PLAIN')));

check('amqplain_is_accepted', fn () => exclusive_queue(channel(login_method: 'AMQPLAIN')));

check('wrong_password_is_refused', function (): void {
    expect_refused(403, fn () => connect(password: 'wrong'), 'ACCESS_REFUSED');
});

check('unknown_vhost_is_refused', function (): void {
    $name = Harness::unique('vhost');
    expect_refused(530, fn () => connect(vhost: $name), "vhost $name not found");
});

check('hundred_channels_work', function (): void {
    $connection = connect();
    $channels = array_map(fn () => $connection->channel(), range(1, 100));
    $queue = exclusive_queue($channels[0]);
    foreach ($channels as $channel) {
        send($channel, $queue, (string) $channel->getChannelId());
    }
    $seen = (new Inbox($channels[42], $queue, true))->wait(100)->bodies();
    expect_same(100, count(array_unique($seen)));
});

check('channel_numbers_are_used_again', function (): void {
    $connection = connect();
    for ($round = 0; $round < 50; $round++) {
        $channel = $connection->channel(1);
        exclusive_queue($channel);
        $channel->close();
    }
});

check('channel_closes_and_the_connection_goes_on', function (): void {
    $connection = connect();
    $channel = $connection->channel();
    $channel->close();
    expect(!$channel->is_open());
    exclusive_queue($connection->channel());
});

check('absent_queue_closes_the_channel_only', function (): void {
    $connection = connect();
    $name = Harness::unique('absent');
    $channel = $connection->channel();
    $text = "NOT_FOUND - no queue '$name' in vhost '/'";
    expect_refused(404, fn () => $channel->queue_declare($name, true), $text);
    exclusive_queue($connection->channel());
});

check('absent_exchange_is_not_found', function (): void {
    $name = Harness::unique('absent');
    $text = "NOT_FOUND - no exchange '$name' in vhost '/'";
    expect_refused(404, fn () => channel()->exchange_declare($name, 'direct', true), $text);
});

check('publishing_to_an_absent_exchange_closes_the_channel', function (): void {
    $channel = channel();
    expect_refused(404, function () use ($channel): void {
        publish($channel, Harness::unique('absent'), 'k');
        round_trip($channel);
    }, 'NOT_FOUND - no exchange');
});

check('other_properties_are_a_failed_precondition', function (): void {
    $channel = channel();
    $queue = durable_queue($channel);
    $text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '$queue' in vhost '/': "
        . "received 'false' but current is 'true'";
    $again = fn () => $channel->queue_declare($queue, false, false, false, false);
    expect_refused(406, $again, $text);
});

check('exclusive_queue_is_locked_for_others', function (): void {
    $channel = channel();
    $queue = exclusive_queue($channel);
    expect_refused(405, fn () => channel()->queue_declare($queue, true), 'RESOURCE_LOCKED');
    expect_same(0, depth($channel, $queue));
});

check('reserved_names_are_refused', function (): void {
    $text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'";
    expect_refused(403, fn () => channel()->queue_declare('amq.mine'), $text);
});

check('errors_of_a_channel_have_their_method', function (): void {
    try {
        channel()->queue_declare(Harness::unique('absent'), true);
    } catch (AMQPProtocolChannelException $error) {
        expect_same([404, [50, 10]], [$error->amqp_reply_code, $error->amqp_method_sig]);
        return;
    }
    throw new RuntimeException('no error');
});

check('unknown_tag_is_refused', function (): void {
    $channel = channel();
    $channel->basic_ack(7);
    $text = 'PRECONDITION_FAILED - unknown delivery tag 7';
    expect_refused(406, fn () => round_trip($channel), $text);
});

check('prefetch_by_size_is_not_implemented', function (): void {
    $text = 'NOT_IMPLEMENTED - prefetch_size!=0 (1)';
    expect_refused(540, fn () => channel()->basic_qos(1, 0, false), $text);
});

check('heartbeats_keep_an_idle_connection', function (): void {
    $connection = connect(heartbeat: 1, read_write_timeout: 3);
    $channel = $connection->channel();
    $inbox = new Inbox($channel, exclusive_queue($channel));
    $end = microtime(true) + 4;
    while (microtime(true) < $end) {
        $inbox->settle(0.3);
        $connection->checkHeartBeat();
    }
    expect($connection->isConnected());
    exclusive_queue($channel);
});

check('waiting_times_out_when_nothing_comes', function (): void {
    [$channel, $queue] = ready();
    new Inbox($channel, $queue);
    try {
        $channel->wait(null, false, 0.05);
    } catch (AMQPTimeoutException) {
        exclusive_queue($channel);
        return;
    }
    throw new RuntimeException('something came');
});

check('lost_connection_is_an_error', function (): void {
    [$channel, $queue] = ready();
    $connection = $channel->getConnection();
    new Inbox($channel, $queue);
    drop($connection);
    try {
        $channel->wait(null, false, 10);
    } catch (AMQPConnectionClosedException) {
        expect(!$connection->isConnected());
        return;
    }
    throw new RuntimeException('the loss went unnoticed');
});

check('reconnect_makes_a_lost_connection_usable', function (): void {
    $connection = connect();
    $queue = durable_queue($connection->channel());
    send($connection->channel(), $queue, 'before');
    expect_depth($connection->channel(), $queue, 1);
    drop($connection);
    $connection->reconnect();
    expect($connection->isConnected());
    expect_same(['before'], drain($connection->channel(), $queue));
});

check('unacked_message_comes_again_after_reconnecting', function (): void {
    $connection = connect();
    $channel = $connection->channel();
    $queue = durable_queue($channel);
    send($channel, $queue, 'x');
    (new Inbox($channel, $queue))->wait(1);
    drop($connection);
    $connection->reconnect();
    $inbox = (new Inbox($connection->channel(), $queue))->wait(1);
    expect($inbox->messages[0]->isRedelivered());
});

check('ended_connection_leaves_others_alone', function (): void {
    [$channel, $queue] = ready();
    expect_refused(540, fn () => channel()->basic_qos(1, 0, false));
    send($channel, $queue, 'still here');
    expect_same(['still here'], drain($channel, $queue));
});
