'use strict';
// Topic and headers exchanges, bindings between exchanges and alternate exchanges with amqplib.
const assert = require('node:assert/strict');
const { checksOf, event, unique } = require('./harness');

const check = checksOf(__filename);

async function exchangeOf(t, channel, type, options) {
  return (await channel.assertExchange(t.exchangeName(), type, options)).exchange;
}

/* An exclusive queue that is bound with each of the keys. */
async function bound(t, channel, exchange, keys, argumentsOfBinding) {
  const queue = await t.exclusiveQueue(channel);
  for (const key of keys) await channel.bindQueue(queue, exchange, key, argumentsOfBinding);
  return queue;
}

/* Publishes each key as a body. */
function publish(channel, exchange, keys, headers) {
  for (const key of keys) channel.publish(exchange, key, Buffer.from(key), { headers });
}

check('topic_routes_by_words', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'topic');
  const keys = ['a', 'a.b', 'a.b.c', 'b.a', '', 'a..c'];
  const expected = {
    'a.*': ['a.b'], 'a.#': ['a', 'a.b', 'a.b.c', 'a..c'], '#': keys, '*': ['a'],
    '#.a': ['a', 'b.a'], 'a.*.c': ['a.b.c', 'a..c'], 'a.b': ['a.b'], '*.#': keys.filter(Boolean),
    '#.#': keys,
  };
  const queues = {};
  for (const pattern of Object.keys(expected)) {
    queues[pattern] = await bound(t, channel, exchange, [pattern]);
  }
  publish(channel, exchange, keys);
  for (const [pattern, bodies] of Object.entries(expected)) {
    assert.deepEqual(await t.drain(channel, queues[pattern]), bodies, pattern);
  }
});

check('several_matching_patterns_give_one_copy', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'topic');
  const queue = await bound(t, channel, exchange, ['#', 'a.#', '*.b', 'a.b']);
  publish(channel, exchange, ['a.b']);
  assert.deepEqual(await t.drain(channel, queue), ['a.b']);
});

check('unbound_pattern_matches_no_more', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'topic');
  const queue = await bound(t, channel, exchange, ['a.*', 'b.*']);
  await channel.unbindQueue(queue, exchange, 'a.*');
  publish(channel, exchange, ['a.x', 'b.x']);
  assert.deepEqual(await t.drain(channel, queue), ['b.x']);
});

check('thousand_patterns_are_told_apart', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'topic');
  const keys = Array.from({ length: 1000 }, (_, number) => `tenant.${number}.*`);
  const queue = await t.exclusiveQueue(channel);
  await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
  publish(channel, exchange, ['tenant.7.x', 'tenant.999.y', 'tenant.1000.z', 'tenant.7']);
  assert.deepEqual(await t.drain(channel, queue), ['tenant.7.x', 'tenant.999.y']);
});

check('headers_all_needs_each_of_them', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'headers');
  const match = { 'x-match': 'all', kind: 'job', size: 3 };
  const queue = await bound(t, channel, exchange, [''], match);
  publish(channel, exchange, ['both'], { kind: 'job', size: 3, more: true });
  publish(channel, exchange, ['one'], { kind: 'job' });
  publish(channel, exchange, ['unlike'], { kind: 'job', size: '3' });
  assert.deepEqual(await t.drain(channel, queue), ['both']);
});

check('headers_any_needs_one_of_them', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'headers');
  const match = { 'x-match': 'any', kind: 'job', size: 3 };
  const queue = await bound(t, channel, exchange, [''], match);
  publish(channel, exchange, ['one'], { kind: 'job', size: 4 });
  publish(channel, exchange, ['none'], { kind: 'task' });
  assert.deepEqual(await t.drain(channel, queue), ['one']);
});

check('headers_all_without_any_match_everything', async (t) => {
  const channel = await t.channel();
  const exchange = await exchangeOf(t, channel, 'headers');
  const all = await bound(t, channel, exchange, ['']);
  const any = await bound(t, channel, exchange, [''], { 'x-match': 'any' });
  publish(channel, exchange, ['x'], { kind: 'job' });
  assert.deepEqual(await t.drain(channel, all), ['x']);
  assert.deepEqual(await t.drain(channel, any), []);
});

check('exchange_feeds_another', async (t) => {
  const channel = await t.channel();
  const source = await exchangeOf(t, channel, 'direct');
  const target = await exchangeOf(t, channel, 'fanout');
  await channel.bindExchange(target, source, 'k');
  const queue = await bound(t, channel, target, ['']);
  publish(channel, source, ['k', 'other']);
  assert.deepEqual(await t.drain(channel, queue), ['k']);
  await channel.unbindExchange(target, source, 'k');
  publish(channel, source, ['k']);
  assert.deepEqual(await t.drain(channel, queue), []);
});

check('two_paths_and_a_circle_give_one_copy', async (t) => {
  const channel = await t.channel();
  const [source, left, right] = [
    await exchangeOf(t, channel, 'fanout'),
    await exchangeOf(t, channel, 'fanout'),
    await exchangeOf(t, channel, 'fanout'),
  ];
  const queue = await t.exclusiveQueue(channel);
  for (const middle of [left, right]) {
    await channel.bindExchange(middle, source, '');
    await channel.bindExchange(source, middle, '');
    await channel.bindQueue(queue, middle, '');
  }
  publish(channel, source, ['x']);
  assert.deepEqual(await t.drain(channel, queue), ['x']);
});

check('absent_exchange_cannot_be_bound', async (t) => {
  const channel = await t.channel();
  const target = await exchangeOf(t, channel, 'fanout');
  await assert.rejects(channel.bindExchange(target, unique('absent'), 'k'), { code: 404 });
});

check('default_exchange_takes_no_part_in_bindings', async (t) => {
  const connection = await t.connect();
  const channel = await t.channel(connection);
  const exchange = await exchangeOf(t, channel, 'fanout');
  await assert.rejects(channel.bindExchange('', exchange, 'k'), { code: 403 });
  const other = await t.channel(connection);
  await assert.rejects(other.bindExchange(exchange, '', 'k'), { code: 403 });
});

check('alternate_exchange_takes_the_rest', async (t) => {
  const channel = await t.channel();
  const spare = await exchangeOf(t, channel, 'fanout');
  const rest = await bound(t, channel, spare, ['']);
  const main = await exchangeOf(t, channel, 'direct', { alternateExchange: spare });
  const known = await bound(t, channel, main, ['known']);
  publish(channel, main, ['known', 'unknown']);
  assert.deepEqual(await t.drain(channel, known), ['known']);
  assert.deepEqual(await t.drain(channel, rest), ['unknown']);
});

check('message_that_no_alternate_routes_is_returned', async (t) => {
  const channel = await t.channel();
  const spare = await exchangeOf(t, channel, 'fanout');
  const main = await exchangeOf(t, channel, 'direct', { alternateExchange: spare });
  const told = event(channel, 'return');
  channel.publish(main, 'unknown', Buffer.from('x'), { mandatory: true });
  const [returned] = await told;
  assert.deepEqual([returned.fields.exchange, returned.fields.replyCode], [main, 312]);
});

check('internal_exchange_is_not_for_publishers', async (t) => {
  const channel = await t.channel();
  const inner = await exchangeOf(t, channel, 'fanout', { internal: true });
  const source = await exchangeOf(t, channel, 'fanout');
  await channel.bindExchange(inner, source, '');
  const queue = await bound(t, channel, inner, ['']);
  publish(channel, source, ['x']);
  assert.deepEqual(await t.drain(channel, queue), ['x']);
  const told = event(channel, 'error');
  publish(channel, inner, ['y']);
  assert.equal((await told)[0].code, 403);
});

check('copies_go_to_further_queues', async (t) => {
  const channel = await t.channel();
  const [to, cc, bcc] = [
    await t.exclusiveQueue(channel),
    await t.exclusiveQueue(channel),
    await t.exclusiveQueue(channel),
  ];
  channel.sendToQueue(to, Buffer.from('x'), { CC: [cc], BCC: [bcc] });
  for (const queue of [to, cc, bcc]) {
    const { headers } = (await channel.get(queue, { noAck: true })).properties;
    assert.deepEqual({ ...headers }, { CC: [cc] });
  }
});
