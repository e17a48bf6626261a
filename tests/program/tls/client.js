'use strict';
// Publishes over TLS with a client certificate, waits for the confirm and takes the message back.
const fs = require('node:fs');
const amqp = require('amqplib');

async function main() {
  const connection = await amqp.connect(`amqps://guest:guest@localhost:${process.env.TLS_PORT}`, {
    ca: [fs.readFileSync(process.env.CA)],
    cert: fs.readFileSync(process.env.CERT),
    key: fs.readFileSync(process.env.KEY),
  });
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.alloc(300000, 'x'));
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  console.log(`ok ${message.content.length}`);
  await connection.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
