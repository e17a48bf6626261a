# Publishes over TLS with a client certificate, waits for the confirm and takes the message back.

require 'bunny'

connection = Bunny.new(
  host: 'localhost', port: ENV.fetch('TLS_PORT').to_i, user: 'guest', password: 'guest', tls: true,
  tls_cert: ENV.fetch('CERT'), tls_key: ENV.fetch('KEY'),
  tls_ca_certificates: [ENV.fetch('CA')], verify_peer: true, heartbeat: 0
)
connection.start
channel = connection.create_channel
channel.confirm_select
queue = channel.queue('', exclusive: true)
queue.publish('x' * 300_000)
raise 'not confirmed' unless channel.wait_for_confirms

_, _, body = queue.pop
puts "ok #{body.bytesize}"
connection.close
