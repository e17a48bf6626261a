'use strict';
// Recovery, consumer priorities, direct replies, user ids and new secrets with amqplib.
const assert = require('node:assert/strict');
const { PASSWORD, USER, Inbox, checksOf, event, unique } = require('./harness');

const check = checksOf(__filename);
const REPLY_TO = 'amq.rabbitmq.reply-to';

function send(channel, queue, ...bodies) {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
}

check('recover_hands_messages_out_again', async (t) => {
  const channel = await t.channel();
  const queue = await t.exclusiveQueue(channel);
  send(channel, queue, 'a', 'b');
  const inbox = await Inbox.open(channel, queue);
  await inbox.wait(2);
  await channel.recover();
  await inbox.wait(4);
  assert.deepEqual(inbox.bodies, ['a', 'b', 'a', 'b']);
  const flags = inbox.messages.map((message) => message.fields.redelivered);
  assert.deepEqual(flags, [false, false, true, true]);
});

check('higher_priority_is_served_first', async (t) => {
  const channel = await t.channel();
  const queue = await t.exclusiveQueue(channel);
  const low = await Inbox.open(channel, queue, { noAck: true });
  const high = await Inbox.open(channel, queue, { noAck: true, priority: 10 });
  send(channel, queue, 'a', 'b', 'c', 'd');
  await high.wait(4);
  assert.deepEqual([low.bodies, high.bodies], [[], ['a', 'b', 'c', 'd']]);
});

check('lower_priority_works_while_the_higher_is_busy', async (t) => {
  const channel = await t.channel();
  const queue = await t.exclusiveQueue(channel);
  await channel.prefetch(1);
  const high = await Inbox.open(channel, queue, { priority: 10 });
  const low = await Inbox.open(channel, queue, { priority: 1 });
  send(channel, queue, 'a', 'b', 'c');
  await low.wait(1);
  channel.ack((await high.wait(1)).messages[0]);
  await high.wait(2);
  assert.deepEqual([high.bodies, low.bodies], [['a', 'c'], ['b']]);
});

check('direct_reply_finds_the_caller', async (t) => {
  const server = await t.channel();
  const calls = t.queueName();
  await server.assertQueue(calls);
  await server.consume(calls, (message) => {
    const { replyTo, correlationId } = message.properties;
    assert.ok(replyTo.startsWith(`${REPLY_TO}.`), replyTo);
    server.sendToQueue(replyTo, Buffer.from(`${2 * Number(message.content)}`), { correlationId });
    server.ack(message);
  });
  const client = await t.channel();
  const inbox = await Inbox.open(client, REPLY_TO, { noAck: true });
  for (const number of ['1', '2', '3']) {
    client.sendToQueue(calls, Buffer.from(number), { replyTo: REPLY_TO, correlationId: number });
  }
  await inbox.wait(3);
  assert.deepEqual(inbox.bodies, ['2', '4', '6']);
  const ids = inbox.messages.map((message) => message.properties.correlationId);
  assert.deepEqual(ids, ['1', '2', '3']);
});

check('direct_reply_without_a_consumer_is_refused', async (t) => {
  const channel = await t.channel();
  const told = event(channel, 'error');
  channel.sendToQueue(unique('absent'), Buffer.from('x'), { replyTo: REPLY_TO });
  const [error] = await told;
  assert.equal(error.code, 406);
  assert.match(error.message, /fast reply consumer does not exist/);
});

check('direct_replies_are_not_acked', async (t) => {
  const channel = await t.channel();
  await assert.rejects(channel.consume(REPLY_TO, () => {}), { code: 406 });
});

check('direct_reply_has_one_consumer_per_channel', async (t) => {
  const channel = await t.channel();
  await channel.consume(REPLY_TO, () => {}, { noAck: true });
  await assert.rejects(channel.consume(REPLY_TO, () => {}, { noAck: true }), { code: 406 });
});

check('direct_reply_consumer_may_be_cancelled_and_come_again', async (t) => {
  const channel = await t.channel();
  await channel.cancel((await Inbox.open(channel, REPLY_TO, { noAck: true })).tag);
  await Inbox.open(channel, REPLY_TO, { noAck: true });
});

check('user_id_has_to_be_ones_own', async (t) => {
  const channel = await t.channel();
  const queue = await t.exclusiveQueue(channel);
  channel.sendToQueue(queue, Buffer.from('x'), { userId: USER });
  assert.equal((await channel.get(queue, { noAck: true })).properties.userId, USER);
  const told = event(channel, 'error');
  channel.sendToQueue(queue, Buffer.from('x'), { userId: 'somebody' });
  const [error] = await told;
  assert.equal(error.code, 406);
  assert.match(error.message, /user_id property set to 'somebody' but authenticated user was/);
});

check('secret_may_be_renewed', async (t) => {
  const connection = await t.connect();
  const told = event(connection, 'update-secret-ok');
  await connection.updateSecret(Buffer.from(PASSWORD), 'as planned');
  await told;
  await t.exclusiveQueue(await t.channel(connection));
});

check('all_capabilities_are_announced', async (t) => {
  const { capabilities } = (await t.connect()).connection.serverProperties;
  for (const name of [
    'publisher_confirms', 'exchange_exchange_bindings', 'basic.nack', 'connection.blocked',
    'consumer_cancel_notify', 'consumer_priorities', 'authentication_failure_close',
    'per_consumer_qos', 'direct_reply_to',
  ]) {
    assert.equal(capabilities[name], true, name);
  }
});
