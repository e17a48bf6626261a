<?php
/* Publishes over TLS with a client certificate, waits for the confirm and takes the message back. */

declare(strict_types=1);

require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPSSLConnection;
use PhpAmqpLib\Message\AMQPMessage;

$connection = new AMQPSSLConnection('localhost', (int) getenv('TLS_PORT'), 'guest', 'guest', '/', [
    'cafile' => getenv('CA'),
    'local_cert' => getenv('CERT'),
    'local_pk' => getenv('KEY'),
    'verify_peer' => true,
    'verify_peer_name' => true,
]);
$channel = $connection->channel();
$channel->confirm_select();
[$queue] = $channel->queue_declare('', false, false, true);
$channel->basic_publish(new AMQPMessage(str_repeat('x', 300000)), '', $queue);
$channel->wait_for_pending_acks(10);
echo 'ok ', strlen($channel->basic_get($queue, true)->body), "\n";
$connection->close();
