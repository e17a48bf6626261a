<?php
/* php-amqplib, made brief: connections that close with the check, errors by their code. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AbstractConnection;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

define('HOST', Harness::setting('LEVERET_HOST', '127.0.0.1'));
define('PORT', Harness::setting('LEVERET_PORT', '5672'));
define('USER', Harness::setting('LEVERET_USER', 'guest'));
define('PASSWORD', Harness::setting('LEVERET_PASS', 'guest'));

/* Options are the named arguments of AMQPStreamConnection. */
function connect(mixed ...$options): AbstractConnection
{
    $options += ['host' => HOST, 'port' => PORT, 'user' => USER, 'password' => PASSWORD];
    $options += ['read_write_timeout' => 30, 'connection_timeout' => 15, 'heartbeat' => 0];
    return closing(new AMQPStreamConnection(...$options));
}

/* The connection is closed when the check ends. */
function closing(AbstractConnection $connection): AbstractConnection
{
    Harness::cleanup(function () use ($connection): void {
        try {
            $connection->close();
        } catch (AMQPExceptionInterface) {
            // a check may have broken it on purpose
        }
    });
    return $connection;
}

function channel(mixed ...$options): AMQPChannel
{
    return connect(...$options)->channel();
}

function exclusive_queue(AMQPChannel $channel): string
{
    return $channel->queue_declare('', false, false, true, false)[0];
}

/* On a channel each: what is locked or gone by now must not keep the others. */
function delete_later(string $method, string $name): string
{
    Harness::cleanup(function () use ($method, $name): void {
        $connection = new AMQPStreamConnection(HOST, PORT, USER, PASSWORD);
        try {
            $connection->channel()->$method($name);
        } catch (AMQPExceptionInterface) {
            // locked by a connection that dies with this check
        }
        $connection->close();
    });
    return $name;
}

function queue_name(): string
{
    return delete_later('queue_delete', Harness::unique('queue'));
}

/* The name of a durable queue that is there. */
function durable_queue(AMQPChannel $channel): string
{
    return $channel->queue_declare(queue_name(), false, true, false, false)[0];
}

/* The name of a durable exchange that is there. */
function exchange(
    AMQPChannel $channel,
    string $type,
    array $arguments = [],
    bool $internal = false,
): string {
    $name = delete_later('exchange_delete', Harness::unique('exchange'));
    $options = [false, true, false, $internal, false, table($arguments)];
    $channel->exchange_declare($name, $type, ...$options);
    return $name;
}

function table(array $entries): PhpAmqpLib\Wire\AMQPTable
{
    return new PhpAmqpLib\Wire\AMQPTable($entries);
}

/* A channel on a connection of its own, and an exclusive queue. */
function ready(): array
{
    $channel = channel();
    return [$channel, exclusive_queue($channel)];
}

function send(AMQPChannel $channel, string $queue, string ...$bodies): void
{
    foreach ($bodies as $body) {
        $channel->basic_publish(new AMQPMessage($body), '', $queue);
    }
}

function publish(AMQPChannel $channel, string $exchange, string $key, array $headers = []): void
{
    $properties = $headers === [] ? [] : ['application_headers' => table($headers)];
    $channel->basic_publish(new AMQPMessage($key, $properties), $exchange, $key);
}

/* All ready bodies, in order. */
function drain(AMQPChannel $channel, string $queue): array
{
    $bodies = [];
    while (($message = $channel->basic_get($queue, true)) !== null) {
        $bodies[] = $message->getBody();
    }
    return $bodies;
}

function depth(AMQPChannel $channel, string $queue): int
{
    return $channel->queue_declare($queue, true)[1];
}

/* Waits for this many ready messages: a broker may count before it has queued what it took. */
function expect_depth(AMQPChannel $channel, string $queue, int $count): void
{
    eventually("$count messages in the queue", fn () => depth($channel, $queue) === $count);
}

/* The function gets an error of this code, and of this text if one is given. */
function expect_refused(int $code, Closure $function, string $text = ''): void
{
    try {
        $function();
    } catch (AMQPExceptionInterface $error) {
        $said = $error->getCode() . ' ' . $error->getMessage();
        expect($error->getCode() === $code, "$code for $said");
        expect($text === '' || str_contains($error->getMessage(), $text), "$text for $said");
        return;
    }
    throw new RuntimeException("nothing was refused, $code was expected");
}

/* Throws what the broker has to say of anything that was sent before on this channel. */
function round_trip(AMQPChannel $channel): void
{
    $channel->basic_qos(0, 0, false);
}

/* Takes the socket away, as a failing network does. */
function drop(AbstractConnection $connection): void
{
    stream_socket_shutdown($connection->getIO()->getSocket(), STREAM_SHUT_RDWR);
}

/* Collects what a consumer gets. */
final class Inbox
{
    public array $messages = [];
    public string $tag;

    public function __construct(
        private AMQPChannel $channel,
        string $queue,
        bool $no_ack = false,
        string $tag = '',
        bool $exclusive = false,
        array $arguments = [],
    ) {
        $take = function (AMQPMessage $message): void {
            $this->messages[] = $message;
        };
        $this->tag = $channel->basic_consume(
            $queue, $tag, false, $no_ack, $exclusive, false, $take, null, table($arguments)
        );
    }

    /* Until this many came in all. */
    public function wait(int $count): self
    {
        while (count($this->messages) < $count) {
            $this->channel->wait();
        }
        return $this;
    }

    /* Takes in what still comes, for checks that nothing more does. */
    public function settle(float $seconds = 0.2): self
    {
        try {
            while (true) {
                $this->channel->wait(null, false, $seconds);
            }
        } catch (AMQPTimeoutException) {
            return $this;
        }
    }

    public function bodies(): array
    {
        return array_map(fn ($message) => $message->getBody(), $this->messages);
    }
}
