'use strict';
/*
 * Runs checks, several at a time, and reports them one per line: `ok NAME`, `not ok NAME reason`,
 * and at the end `N passed, M failed`.
 *
 * A check is an asynchronous function of a Scene, which makes connections and names for it and
 * takes them away after it; it passes unless it throws or takes too long.
 */
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const amqp = require('amqplib');

const HOST = process.env.LEVERET_HOST || '127.0.0.1';
const PORT = Number(process.env.LEVERET_PORT || 5672);
const USER = process.env.LEVERET_USER || 'guest';
const PASSWORD = process.env.LEVERET_PASS || 'guest';
const MILLISECONDS = 1000 * Number(process.env.LEVERET_CHECK_SECONDS || 20);
const JOBS = Number(process.env.LEVERET_CHECK_JOBS || 8);
const RUN = crypto.randomBytes(4).toString('hex');

const checks = [];

function unique(kind) {
  return `check.${RUN}.${kind}.${crypto.randomBytes(4).toString('hex')}`;
}

/* Fails after a while; the timer keeps the process alive, which a lost promise would not. */
async function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/* The first emission of an event, as the array of what came with it. */
function event(emitter, name) {
  return new Promise((resolve) => {
    emitter.once(name, (...values) => resolve(values));
  });
}

/* Waits for a fact that no event announces to this client. */
async function eventually(condition, what) {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`still not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/* Collects what a consumer gets; null stands for the broker's cancelling it. */
class Inbox {
  constructor(channel, queue, options) {
    this.messages = [];
    this.waiting = () => {};
    this.channel = channel;
    this.consuming = channel.consume(
      queue,
      (message) => {
        this.messages.push(message);
        this.waiting();
      },
      options,
    );
  }

  static async open(channel, queue, options) {
    const inbox = new Inbox(channel, queue, options);
    inbox.tag = (await inbox.consuming).consumerTag;
    return inbox;
  }

  /* Until this many came in all. */
  async wait(count) {
    while (this.messages.length < count) {
      await new Promise((resolve) => {
        this.waiting = resolve;
      });
    }
    return this;
  }

  get bodies() {
    return this.messages.map((message) => message.content.toString());
  }
}

class Scene {
  constructor() {
    this.connections = [];
    this.doomed = [];
  }

  settings(changes = {}) {
    return {
      protocol: 'amqp', hostname: HOST, port: PORT, username: USER, password: PASSWORD,
      vhost: '/', heartbeat: 0, ...changes,
    };
  }

  /* What goes wrong with it comes back from the call that caused it, or is listened for. */
  async connect(changes = {}, options = {}) {
    const connection = await amqp.connect(this.settings(changes), options);
    connection.on('error', () => {});
    this.connections.push(connection);
    return connection;
  }

  async channel(connection) {
    const channel = await (connection || (await this.connect())).createChannel();
    channel.on('error', () => {});
    return channel;
  }

  async confirmChannel(connection) {
    const channel = await (connection || (await this.connect())).createConfirmChannel();
    channel.on('error', () => {});
    return channel;
  }

  async exclusiveQueue(channel, options = {}) {
    return (await channel.assertQueue('', { exclusive: true, ...options })).queue;
  }

  queueName() {
    this.doomed.push(['deleteQueue', unique('queue')]);
    return this.doomed.at(-1)[1];
  }

  exchangeName() {
    this.doomed.push(['deleteExchange', unique('exchange')]);
    return this.doomed.at(-1)[1];
  }

  /* All ready bodies, in order. */
  async drain(channel, queue) {
    const bodies = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) return bodies;
      bodies.push(message.content.toString());
    }
  }

  /* Waits for this many ready messages: a broker may count before it has queued what it took. */
  async expectDepth(channel, queue, count) {
    const isSo = async () => (await channel.checkQueue(queue)).messageCount === count;
    await eventually(isSo, `${count} messages in the queue`);
  }

  async end() {
    for (const connection of this.connections) {
      await connection.close().catch(() => {}); // a check may have broken it on purpose
    }
    if (this.doomed.length === 0) return;
    const connection = await amqp.connect(this.settings());
    connection.on('error', () => {});
    for (const [method, name] of this.doomed) {
      const channel = await connection.createChannel();
      channel.on('error', () => {});
      await channel[method](name).catch(() => {}); // what is locked must not keep the others
    }
    await connection.close();
  }
}

/* Registers a check under the name of its file. */
function register(file, name, body) {
  const group = path.basename(file, '.js').replace('check_', '');
  checks.push({ name: `${group}.${name}`, body });
}

/* The check function of a file. */
function checksOf(file) {
  return (name, body) => register(file, name, body);
}

function reasonOf(error) {
  const place = /check_\w+\.js:\d+/.exec(error.stack || '');
  const text = `${error.name}: ${error.message}`.replace(/\s+/g, ' ').slice(0, 600);
  return `${text} (${place ? place[0] : ''})`;
}

async function attempt(check) {
  const scene = new Scene();
  let reason = null;
  try {
    await within(MILLISECONDS, check.body(scene), 'the check');
  } catch (error) {
    if (process.env.LEVERET_CHECK_TRACE) console.error(error);
    reason = reasonOf(error);
  }
  try {
    await within(MILLISECONDS, scene.end(), 'its cleanup');
  } catch (error) {
    reason = reason || `cleanup: ${reasonOf(error)}`;
  }
  console.log(reason === null ? `ok ${check.name}` : `not ok ${check.name} ${reason}`);
  return reason === null;
}

async function run(directory, parts) {
  for (const file of fs.readdirSync(directory).sort()) {
    if (/^check_.*\.js$/.test(file)) require(path.join(directory, file));
  }
  const waiting = checks.filter(
    ({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)),
  );
  const results = [];
  const worker = async () => {
    while (waiting.length > 0) results.push(await attempt(waiting.shift()));
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
  const failed = results.filter((passed) => !passed).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return failed === 0 && results.length > 0 ? 0 : 1;
}

module.exports = { HOST, PORT, USER, PASSWORD, Inbox, checksOf, event, eventually, run, unique };
