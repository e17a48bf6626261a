'use strict';
// Work queues, publish and subscribe, acks, confirms, returns and cancels with amqplib.
const assert = require('node:assert/strict');
const { Inbox, checksOf, event, eventually, unique } = require('./harness');

const check = checksOf(__filename);

/* A channel on a connection of its own, and an exclusive queue. */
async function ready(t) {
  const channel = await t.channel();
  return [channel, await t.exclusiveQueue(channel)];
}

function send(channel, queue, ...bodies) {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(`${body}`));
}

check('message_goes_through_a_queue', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'hello');
  assert.deepEqual(await t.drain(channel, queue), ['hello']);
});

check('empty_queue_gives_false', async (t) => {
  const [channel, queue] = await ready(t);
  assert.equal(await channel.get(queue), false);
});

check('consumer_gets_messages_in_order', async (t) => {
  const [channel, queue] = await ready(t);
  const bodies = Array.from({ length: 300 }, (_, number) => `${number}`);
  const inbox = await Inbox.open(channel, queue, { noAck: true });
  send(channel, queue, ...bodies);
  await inbox.wait(300);
  assert.deepEqual(inbox.bodies, bodies);
});

check('properties_come_back', async (t) => {
  const [channel, queue] = await ready(t);
  const sent = {
    contentType: 'text/x', contentEncoding: 'utf-8', priority: 5, correlationId: 'c',
    replyTo: 'r', expiration: '60000', messageId: 'm', timestamp: 1700000000, type: 't',
    appId: 'a',
  };
  channel.sendToQueue(queue, Buffer.from('x'), { ...sent, persistent: true });
  const { properties } = await channel.get(queue, { noAck: true });
  for (const [name, value] of Object.entries(sent)) assert.equal(properties[name], value, name);
  assert.equal(properties.deliveryMode, 2);
});

check('headers_come_back', async (t) => {
  const [channel, queue] = await ready(t);
  const headers = {
    text: 'ž漢', small: 1, negative: -129, word: 40000, large: 2 ** 40, float: 0.25, yes: true,
    no: false, nothing: null, list: [1, 'two', [true]], table: { deep: { deeper: 'x' } },
    bytes: Buffer.from([0, 255]), time: { '!': 'timestamp', value: 1600000000 },
  };
  channel.sendToQueue(queue, Buffer.from('x'), { headers });
  const seen = (await channel.get(queue, { noAck: true })).properties.headers;
  assert.deepEqual(seen, headers);
});

check('large_body_comes_back', async (t) => {
  const [channel, queue] = await ready(t);
  const body = Buffer.alloc(3_000_000, 'leveret');
  channel.sendToQueue(queue, body);
  const inbox = await Inbox.open(channel, queue, { noAck: true });
  await inbox.wait(1);
  assert.ok(inbox.messages[0].content.equals(body));
});

check('empty_body_comes_back', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, '', '');
  assert.deepEqual(await t.drain(channel, queue), ['', '']);
});

check('workers_share_a_queue', async (t) => {
  const boss = await t.channel();
  const queue = t.queueName();
  await boss.assertQueue(queue);
  const counts = [0, 0, 0];
  for (const number of counts.keys()) {
    const channel = await t.channel();
    await channel.prefetch(1);
    await channel.consume(queue, (message) => {
      counts[number]++;
      channel.ack(message);
    });
  }
  send(boss, queue, ...Array(60).keys());
  await eventually(() => counts.reduce((sum, count) => sum + count) === 60, 'all are done');
  assert.ok(counts.every((count) => count > 0), `${counts}`);
  await t.expectDepth(boss, queue, 0);
});

check('prefetch_holds_messages_back', async (t) => {
  const [channel, queue] = await ready(t);
  await channel.prefetch(3);
  send(channel, queue, ...Array(10).keys());
  const inbox = await Inbox.open(channel, queue);
  await inbox.wait(3);
  await t.expectDepth(channel, queue, 7);
  channel.ack(inbox.messages[1], true);
  await inbox.wait(5);
  await t.expectDepth(channel, queue, 5);
  assert.equal(inbox.messages.length, 5);
});

check('prefetch_is_per_consumer', async (t) => {
  const [channel, queue] = await ready(t);
  await channel.prefetch(1);
  const one = await Inbox.open(channel, queue);
  const two = await Inbox.open(channel, queue);
  send(channel, queue, 'a', 'b', 'c');
  await one.wait(1);
  await two.wait(1);
  await t.expectDepth(channel, queue, 1);
});

check('requeued_message_comes_again', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'x');
  const message = await channel.get(queue);
  assert.equal(message.fields.redelivered, false);
  channel.nack(message);
  const again = await channel.get(queue);
  assert.equal(again.fields.redelivered, true);
  channel.ack(again);
});

check('dropped_messages_are_gone', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'a', 'b');
  channel.reject(await channel.get(queue), false);
  channel.nack(await channel.get(queue), false, false);
  assert.deepEqual(await t.drain(channel, queue), []);
});

check('all_messages_are_nacked_at_once', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'a', 'b', 'c');
  for (let number = 0; number < 3; number++) await channel.get(queue);
  channel.nackAll(true);
  assert.deepEqual(await t.drain(channel, queue), ['a', 'b', 'c']);
});

check('all_messages_are_acked_at_once', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'a', 'b', 'c');
  for (let number = 0; number < 3; number++) await channel.get(queue);
  channel.ackAll();
  channel.ackAll(); // none is left, which is no error
  assert.deepEqual(await t.drain(channel, queue), []);
});

check('unacked_messages_return_when_the_channel_closes', async (t) => {
  const connection = await t.connect();
  const channel = await t.channel(connection);
  const queue = await t.exclusiveQueue(channel);
  send(channel, queue, 'a', 'b');
  const other = await t.channel(connection);
  await (await Inbox.open(other, queue)).wait(2);
  await other.close();
  await t.expectDepth(channel, queue, 2);
  assert.deepEqual(await t.drain(channel, queue), ['a', 'b']);
});

check('remaining_messages_are_counted', async (t) => {
  const [channel, queue] = await ready(t);
  send(channel, queue, 'a', 'b', 'c');
  await t.expectDepth(channel, queue, 3);
  assert.equal((await channel.get(queue, { noAck: true })).fields.messageCount, 2);
});

check('fanout_reaches_every_queue', async (t) => {
  const channel = await t.channel();
  const { exchange } = await channel.assertExchange(t.exchangeName(), 'fanout');
  const inboxes = [];
  for (let number = 0; number < 4; number++) {
    const queue = await t.exclusiveQueue(channel);
    await channel.bindQueue(queue, exchange, '');
    inboxes.push(await Inbox.open(channel, queue, { noAck: true }));
  }
  for (const body of ['a', 'b', 'c']) channel.publish(exchange, '', Buffer.from(body));
  for (const inbox of inboxes) assert.deepEqual((await inbox.wait(3)).bodies, ['a', 'b', 'c']);
});

check('direct_routes_by_key', async (t) => {
  const [channel, one] = await ready(t);
  const both = await t.exclusiveQueue(channel);
  const { exchange } = await channel.assertExchange(t.exchangeName(), 'direct');
  await channel.bindQueue(one, exchange, 'one');
  await channel.bindQueue(both, exchange, 'one');
  await channel.bindQueue(both, exchange, 'two');
  for (const key of ['one', 'two', 'three']) channel.publish(exchange, key, Buffer.from(key));
  assert.deepEqual(await t.drain(channel, one), ['one']);
  assert.deepEqual(await t.drain(channel, both), ['one', 'two']);
});

check('unbinding_ends_the_flow', async (t) => {
  const [channel, queue] = await ready(t);
  const { exchange } = await channel.assertExchange(t.exchangeName(), 'direct');
  await channel.bindQueue(queue, exchange, 'k');
  channel.publish(exchange, 'k', Buffer.from('one'));
  await channel.unbindQueue(queue, exchange, 'k');
  channel.publish(exchange, 'k', Buffer.from('two'));
  assert.deepEqual(await t.drain(channel, queue), ['one']);
});

check('confirms_come_for_all_messages', async (t) => {
  const channel = await t.confirmChannel();
  const queue = await t.exclusiveQueue(channel);
  for (const number of Array(100).keys()) channel.sendToQueue(queue, Buffer.from(`${number}`));
  await channel.waitForConfirms();
  assert.equal((await channel.checkQueue(queue)).messageCount, 100);
});

check('confirm_calls_back', async (t) => {
  const channel = await t.confirmChannel();
  const queue = await t.exclusiveQueue(channel);
  const confirm = () =>
    new Promise((resolve) => {
      channel.sendToQueue(queue, Buffer.from('x'), {}, resolve);
    });
  assert.deepEqual(await Promise.all([confirm(), confirm(), confirm()]), [null, null, null]);
});

check('unroutable_message_is_confirmed', async (t) => {
  const channel = await t.confirmChannel();
  channel.sendToQueue(unique('absent'), Buffer.from('x'));
  await channel.waitForConfirms();
});

check('unroutable_mandatory_message_is_returned_before_its_confirm', async (t) => {
  const channel = await t.confirmChannel();
  const order = [];
  const key = unique('absent');
  channel.on('return', (message) => order.push(message));
  channel.sendToQueue(key, Buffer.from('home'), { mandatory: true, messageId: 'm' }, () => {
    order.push('confirm');
  });
  await channel.waitForConfirms();
  assert.equal(order.length, 2);
  const [returned] = order;
  assert.equal(returned.content.toString(), 'home');
  assert.equal(returned.properties.messageId, 'm');
  const { replyCode, replyText, exchange, routingKey } = returned.fields;
  assert.deepEqual([replyCode, replyText, exchange, routingKey], [312, 'NO_ROUTE', '', key]);
});

check('unconfirmed_messages_fail_with_their_channel', async (t) => {
  const channel = await t.confirmChannel();
  const failed = new Promise((resolve) => {
    channel.publish(unique('absent'), 'k', Buffer.from('x'), {}, resolve);
  });
  assert.ok((await failed) instanceof Error);
});

check('deleted_queue_cancels_its_consumer', async (t) => {
  const channel = await t.channel();
  const queue = t.queueName();
  await channel.assertQueue(queue);
  const inbox = await Inbox.open(channel, queue);
  await (await t.channel()).deleteQueue(queue);
  await inbox.wait(1);
  assert.equal(inbox.messages[0], null);
});

check('cancelled_consumer_gets_no_more', async (t) => {
  const [channel, queue] = await ready(t);
  const inbox = await Inbox.open(channel, queue, { noAck: true });
  send(channel, queue, 'one');
  await inbox.wait(1);
  await channel.cancel(inbox.tag);
  send(channel, queue, 'two');
  assert.deepEqual(await t.drain(channel, queue), ['two']);
  assert.deepEqual(inbox.bodies, ['one']);
});

check('consumer_tags_are_generated_or_chosen', async (t) => {
  const [channel, queue] = await ready(t);
  assert.match((await Inbox.open(channel, queue)).tag, /^amq\.ctag-.+/);
  assert.equal((await Inbox.open(channel, queue, { consumerTag: 'mine' })).tag, 'mine');
});

check('exclusive_consumer_keeps_others_away', async (t) => {
  const [channel, queue] = await ready(t);
  await channel.consume(queue, () => {}, { exclusive: true });
  await assert.rejects(channel.consume(queue, () => {}), { code: 403 });
});

check('declare_counts_messages_and_consumers', async (t) => {
  const channel = await t.confirmChannel();
  const queue = t.queueName();
  await channel.assertQueue(queue);
  send(channel, queue, 'a', 'b');
  await channel.waitForConfirms();
  assert.deepEqual(await channel.assertQueue(queue), { queue, messageCount: 2, consumerCount: 0 });
});

check('purge_and_delete_count_messages', async (t) => {
  const channel = await t.confirmChannel();
  const queue = await t.exclusiveQueue(channel);
  send(channel, queue, 'a', 'b', 'c');
  await channel.waitForConfirms();
  assert.deepEqual(await channel.purgeQueue(queue), { messageCount: 3 });
  send(channel, queue, 'd');
  await channel.waitForConfirms();
  assert.deepEqual(await channel.deleteQueue(queue), { messageCount: 1 });
});

check('conditions_of_deletion_are_kept', async (t) => {
  const connection = await t.connect();
  const channel = await t.confirmChannel(connection);
  const queue = await t.exclusiveQueue(channel);
  send(channel, queue, 'x');
  await channel.waitForConfirms();
  await assert.rejects(channel.deleteQueue(queue, { ifEmpty: true }), { code: 406 });
  const other = await t.channel(connection);
  await other.consume(queue, () => {});
  await assert.rejects(other.deleteQueue(queue, { ifUnused: true }), { code: 406 });
});

check('deleting_what_is_absent_succeeds', async (t) => {
  const channel = await t.channel();
  assert.deepEqual(await channel.deleteQueue(unique('absent')), { messageCount: 0 });
  await channel.deleteExchange(unique('absent'));
});

check('auto_delete_queue_goes_with_its_last_consumer', async (t) => {
  const connection = await t.connect();
  const channel = await t.channel(connection);
  const queue = t.queueName();
  await channel.assertQueue(queue, { autoDelete: true });
  await channel.cancel((await Inbox.open(channel, queue)).tag);
  const isGone = async () => {
    const other = await t.channel(connection);
    return other.checkQueue(queue).then(
      () => false,
      (error) => error.code === 404,
    );
  };
  await eventually(isGone, 'queue gone');
});

check('call_is_answered_through_a_queue_of_the_callers_own', async (t) => {
  const server = await t.channel();
  const calls = t.queueName();
  await server.assertQueue(calls);
  await server.consume(calls, (message) => {
    const answer = Buffer.from(`${2 * Number(message.content)}`);
    const { replyTo, correlationId } = message.properties;
    server.sendToQueue(replyTo, answer, { correlationId });
    server.ack(message);
  });
  const [client, replies] = await ready(t);
  const inbox = await Inbox.open(client, replies, { noAck: true });
  client.sendToQueue(calls, Buffer.from('21'), { replyTo: replies, correlationId: 'c' });
  await inbox.wait(1);
  assert.deepEqual(inbox.bodies, ['42']);
  assert.equal(inbox.messages[0].properties.correlationId, 'c');
});

check('full_write_buffer_drains', async (t) => {
  const [channel, queue] = await ready(t);
  const body = Buffer.alloc(100);
  let sent = 0;
  let full = false;
  while (sent < 5000) {
    sent++;
    if (!channel.sendToQueue(queue, body)) {
      full = true;
      await event(channel, 'drain');
    }
  }
  assert.ok(full, 'the buffer was never full');
  await t.expectDepth(channel, queue, sent);
});
