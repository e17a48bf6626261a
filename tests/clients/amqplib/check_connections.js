'use strict';
// Connecting with amqplib, its errors, and its recovery from a lost connection.
const assert = require('node:assert/strict');
const net = require('node:net');
const amqp = require('amqplib');
const harness = require('./harness');

const { HOST, PORT, USER, PASSWORD, Inbox, checksOf, event, eventually, unique } = harness;

const check = checksOf(__filename);

/* A way to the broker that can be cut, as a failing network does. */
class Path {
  async open() {
    this.pairs = [];
    this.server = net.createServer((near) => {
      const far = net.connect(PORT, HOST);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.pipe(far).pipe(near);
      near.on('close', () => far.destroy());
      this.pairs.push(near);
    });
    this.server.listen(0, '127.0.0.1');
    await event(this.server, 'listening');
    return this.server.address().port;
  }

  cut() {
    for (const socket of this.pairs.splice(0)) socket.destroy();
  }

  close() {
    this.server.close();
    this.cut();
  }
}

/* A recovering connection over a path; `setup` makes what it needs each time. */
async function recovering(t, setup) {
  const way = new Path();
  const port = await way.open();
  const recovery = { initialDelay: 10, maxDelay: 50, setup };
  const connection = await t.connect({ port }, { recovery });
  t.connections.push({ close: async () => way.close() });
  return { connection, way };
}

check('it_connects_by_url', async () => {
  const connection = await amqp.connect(`amqp://${USER}:${PASSWORD}@${HOST}:${PORT}/%2F`);
  await connection.close();
});

check('server_says_who_it_is', async (t) => {
  const { serverProperties } = (await t.connect()).connection;
  assert.equal(serverProperties.product, 'RabbitMQ');
  assert.match(serverProperties.version, /^\d+\.\d+\.\d+/);
  for (const name of ['publisher_confirms', 'basic.nack', 'consumer_cancel_notify']) {
    assert.equal(serverProperties.capabilities[name], true, name);
  }
});

check('wrong_password_is_refused', async (t) => {
  await assert.rejects(t.connect({ password: 'wrong' }), /403 \(ACCESS-REFUSED\)/);
});

check('unknown_vhost_is_refused', async (t) => {
  await assert.rejects(t.connect({ vhost: unique('vhost') }), /got <ConnectionClose channel:0>/);
});

check('amqplain_is_accepted', async (t) => {
  await t.connect({}, { credentials: amqp.credentials.amqplain(USER, PASSWORD) });
});

check('small_frames_are_agreed_upon', async (t) => {
  const channel = await t.channel(await t.connect({ frameMax: 8192 }));
  const queue = await t.exclusiveQueue(channel);
  const body = Buffer.alloc(100_000, 7);
  channel.sendToQueue(queue, body);
  await t.expectDepth(channel, queue, 1);
  assert.deepEqual((await channel.get(queue, { noAck: true })).content, body);
});

check('channel_max_is_kept', async (t) => {
  const connection = await t.connect({ channelMax: 3 });
  for (let number = 0; number < 3; number++) await connection.createChannel();
  await assert.rejects(connection.createChannel(), /No channels left/);
});

check('two_hundred_channels_work', async (t) => {
  const connection = await t.connect();
  const channels = await Promise.all(Array.from({ length: 200 }, () => t.channel(connection)));
  const queue = await t.exclusiveQueue(channels[0]);
  channels.forEach((channel, number) => channel.sendToQueue(queue, Buffer.from(`${number}`)));
  const inbox = await Inbox.open(channels[100], queue, { noAck: true });
  await inbox.wait(200);
  assert.deepEqual(new Set(inbox.bodies).size, 200);
});

check('channel_numbers_are_used_again', async (t) => {
  const connection = await t.connect({ channelMax: 2 });
  for (let round = 0; round < 30; round++) {
    const channel = await connection.createChannel();
    await t.exclusiveQueue(channel);
    await channel.close();
  }
});

check('close_is_answered', async (t) => {
  const connection = await t.connect();
  const closed = event(connection, 'close');
  await connection.close();
  await closed;
});

check('heartbeats_keep_an_idle_connection', async (t) => {
  const connection = await t.connect({ heartbeat: 1 });
  assert.equal(connection.connection.heartbeat, 1);
  let lost = false;
  connection.on('close', () => {
    lost = true;
  });
  const end = Date.now() + 4000;
  await eventually(() => Date.now() > end, 'four seconds have passed');
  assert.equal(lost, false);
  await t.exclusiveQueue(await t.channel(connection));
});

check('absent_queue_closes_the_channel_only', async (t) => {
  const connection = await t.connect();
  const channel = await t.channel(connection);
  const name = unique('absent');
  const error = await channel.checkQueue(name).catch((reason) => reason);
  assert.equal(error.code, 404);
  assert.match(error.message, new RegExp(`NOT_FOUND - no queue '${name}' in vhost '/'`));
  await t.exclusiveQueue(await t.channel(connection));
});

check('absent_exchange_is_not_found', async (t) => {
  const channel = await t.channel();
  await assert.rejects(channel.checkExchange(unique('absent')), { code: 404 });
});

check('publishing_to_an_absent_exchange_is_told_to_the_channel', async (t) => {
  const channel = await t.channel();
  const told = event(channel, 'error');
  const name = unique('absent');
  channel.publish(name, 'k', Buffer.from('x'));
  const [error] = await told;
  assert.equal(error.code, 404);
  assert.match(error.message, new RegExp(`no exchange '${name}' in vhost '/'`));
});

check('other_properties_are_a_failed_precondition', async (t) => {
  const channel = await t.channel();
  const queue = t.queueName();
  await channel.assertQueue(queue, { durable: true });
  const error = await channel.assertQueue(queue, { durable: false }).catch((reason) => reason);
  assert.equal(error.code, 406);
  assert.match(error.message, /inequivalent arg 'durable'.*received 'false' but current is 'true'/);
});

check('exclusive_queue_is_locked_for_others', async (t) => {
  const queue = await t.exclusiveQueue(await t.channel());
  await assert.rejects((await t.channel()).checkQueue(queue), { code: 405 });
});

check('reserved_names_are_refused', async (t) => {
  await assert.rejects((await t.channel()).assertQueue('amq.mine'), { code: 403 });
  await assert.rejects((await t.channel()).assertExchange('amq.mine', 'direct'), { code: 403 });
});

check('default_exchange_cannot_be_bound', async (t) => {
  const channel = await t.channel();
  const queue = await t.exclusiveQueue(channel);
  await assert.rejects(channel.bindQueue(queue, '', 'k'), { code: 403 });
});

check('unknown_tag_closes_the_channel', async (t) => {
  const channel = await t.channel();
  const told = event(channel, 'error');
  channel.ack({ fields: { deliveryTag: 77 } });
  const [error] = await told;
  assert.equal(error.code, 406);
  assert.match(error.message, /unknown delivery tag 77/);
});

check('consumer_tag_twice_closes_the_connection', async (t) => {
  const connection = await t.connect();
  const told = event(connection, 'error');
  const channel = await t.channel(connection);
  const queue = await t.exclusiveQueue(channel);
  await channel.consume(queue, () => {}, { consumerTag: 'same' });
  channel.consume(queue, () => {}, { consumerTag: 'same' }).catch(() => {});
  const [error] = await told;
  assert.equal(error.code, 530);
  assert.match(error.message, /attempt to reuse consumer tag 'same'/);
});

check('lost_connection_is_told', async (t) => {
  const way = new Path();
  const connection = await t.connect({ port: await way.open() });
  const closed = event(connection, 'close');
  way.close();
  await closed;
});

check('consumers_recover_by_their_setup', async (t) => {
  const queue = t.queueName();
  const bodies = [];
  let waiting = () => {};
  const { connection, way } = await recovering(t, async (model) => {
    const channel = await model.createChannel();
    await channel.assertQueue(queue);
    const take = (message) => {
      bodies.push(message.content.toString());
      waiting();
    };
    await channel.consume(queue, take, { noAck: true });
  });
  const until = async (count) => {
    while (bodies.length < count) {
      await new Promise((resolve) => {
        waiting = resolve;
      });
    }
  };
  const publisher = await t.channel();
  publisher.sendToQueue(queue, Buffer.from('before'));
  await until(1);
  const again = event(connection, 'connect');
  way.cut();
  await again;
  publisher.sendToQueue(queue, Buffer.from('after'));
  await until(2);
  assert.deepEqual(bodies, ['before', 'after']);
});

check('unacked_message_comes_again_after_recovery', async (t) => {
  const queue = t.queueName();
  const seen = [];
  let waiting = () => {};
  const { way } = await recovering(t, async (model) => {
    const channel = await model.createChannel();
    await channel.assertQueue(queue);
    await channel.consume(queue, (message) => {
      seen.push(message.fields.redelivered);
      waiting();
    });
  });
  const arrival = () =>
    new Promise((resolve) => {
      waiting = resolve;
    });
  const first = arrival();
  (await t.channel()).sendToQueue(queue, Buffer.from('x'));
  await first;
  const second = arrival();
  way.cut();
  await second;
  assert.deepEqual(seen, [false, true]);
});
