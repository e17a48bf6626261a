# Connecting with bunny, its errors, and its recovery from a lost connection.

require 'socket'

# A connection that recovers, and where it says that it has.
def recovering
  recovered = Thread::Queue.new
  connection = connect(
    automatically_recover: true, network_recovery_interval: 0.05,
    recovery_completed: -> { recovered << true }
  )
  [connection, recovered]
end

check 'it_connects' do
  connection = connect
  expect connection.open?
  expect_equal 'RabbitMQ', connection.server_properties['product']
end

check 'it_connects_by_uri' do
  uri = "amqp://#{Harness::USER}:#{Harness::PASSWORD}@#{Harness::HOST}:#{Harness::PORT}"
  connection = Bunny.new(uri, logger: Logger.new(File::NULL)).start
  expect connection.open?
  connection.close
  expect connection.closed?
end

check 'version_is_one_that_clients_can_parse' do
  version = connect.server_properties['version']
  expect version.match?(/\A\d+\.\d+\.\d+/), version
end

check 'usual_limits_are_offered' do
  connection = connect(frame_max: 0, heartbeat: :server)
  expect_equal [131_072, 60], [connection.frame_max, connection.heartbeat]
end

check 'smaller_limits_are_accepted' do
  connection = connect(frame_max: 8192, channel_max: 5)
  ch = connection.create_channel
  queue = ch.temporary_queue
  body = 'x' * 100_000
  queue.publish(body)
  expect_equal [body], drain(queue)
end

check 'wrong_password_is_an_authentication_failure' do
  error = expect_raise(Bunny::AuthenticationFailureError) { connect(password: 'wrong') }
  expect_equal Harness::USER, error.username
end

check 'unknown_vhost_is_not_allowed' do
  error = expect_raise(Bunny::NotAllowedError) { connect(vhost: Harness.unique('vhost')) }
  expect error.message.include?('NOT_ALLOWED - vhost'), error.message
end

check 'hosts_are_tried_in_turn' do
  probe = TCPServer.new('127.0.0.1', 0)
  dead = probe.addr[1]
  probe.close
  addresses = ["127.0.0.1:#{dead}", "#{Harness::HOST}:#{Harness::PORT}"]
  connection = Bunny.new(
    addresses: addresses, hosts_shuffle_strategy: :itself.to_proc, logger: Logger.new(File::NULL),
    user: Harness::USER, password: Harness::PASSWORD
  ).start
  expect connection.open?
  connection.close
end

check 'two_hundred_channels_work' do
  connection = connect
  channels = Array.new(200) { connection.create_channel }
  queue = channels.first.temporary_queue
  channels.each { |ch| ch.default_exchange.publish(ch.id.to_s, routing_key: queue.name) }
  inbox = Inbox.new(queue).wait(200)
  expect_equal channels.map { |ch| ch.id.to_s }.sort, inbox.bodies.sort
end

check 'closed_channel_makes_room' do
  connection = connect(channel_max: 4)
  20.times do
    channels = Array.new(3) { connection.create_channel }
    channels.each(&:close)
  end
end

check 'with_channel_closes_it' do
  connection = connect
  seen = nil
  connection.with_channel do |ch|
    seen = ch
    ch.temporary_queue
  end
  expect seen.closed?
end

check 'existence_of_queues_and_exchanges_can_be_asked' do
  connection = connect
  ch = connection.create_channel
  queue = ch.temporary_queue
  exchange = ch.fanout(exchange_name)
  expect connection.queue_exists?(queue.name)
  expect connection.exchange_exists?(exchange.name)
  expect !connection.queue_exists?(Harness.unique('absent'))
  expect !connection.exchange_exists?(Harness.unique('absent'))
end

check 'heartbeats_keep_an_idle_connection' do
  connection = connect(heartbeat: 1)
  expect_equal 1, connection.heartbeat
  inbox = Inbox.new(connection.create_channel.queue(queue_name, durable: true))
  later = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 4
  eventually('four seconds have passed') { Process.clock_gettime(Process::CLOCK_MONOTONIC) > later }
  expect connection.open?
  connect.create_channel.default_exchange.publish('x', routing_key: inbox.consumer.queue_name)
  inbox.wait(1)
end

check 'channel_error_leaves_the_connection_usable' do
  connection = connect
  expect_raise(Bunny::NotFound) do
    connection.create_channel.queue(Harness.unique('absent'), passive: true)
  end
  connection.create_channel.temporary_queue
end

check 'absent_queue_is_not_found' do
  name = Harness.unique('absent')
  expect_raise(Bunny::NotFound, "NOT_FOUND - no queue '#{name}' in vhost '/'") do
    channel.queue(name, passive: true)
  end
end

check 'other_properties_are_a_failed_precondition' do
  name = queue_name
  channel.queue(name, durable: true)
  text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '#{name}' in vhost '/': " \
         "received 'false' but current is 'true'"
  expect_raise(Bunny::PreconditionFailed, text) { channel.queue(name, durable: false) }
end

check 'exclusive_queue_is_locked_for_others' do
  queue = channel.queue(Harness.unique('queue'), exclusive: true)
  expect_raise(Bunny::ResourceLocked) { channel.queue(queue.name, exclusive: true) }
end

check 'reserved_names_are_refused' do
  text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"
  expect_raise(Bunny::AccessRefused, text) { channel.queue('amq.mine') }
end

check 'unknown_tag_closes_the_channel_and_its_handler_is_told' do
  ch = channel
  told = Thread::Queue.new
  ch.on_error { |_, close| told << close }
  ch.basic_ack(82, false)
  close = told.pop
  expect_equal 406, close.reply_code
  expect_equal 'PRECONDITION_FAILED - unknown delivery tag 82', close.reply_text
end

check 'consumer_tag_twice_closes_the_connection' do
  connection = connect(recover_from_connection_close: false)
  ch = connection.create_channel
  queue = ch.temporary_queue
  ch.basic_consume(queue.name, 'same')
  error = expect_raise(Bunny::NotAllowedError) do
    ch.basic_consume(queue.name, 'same')
    loop { sleep 1 } # the caller may be told a moment later
  end
  expect error.message.include?("attempt to reuse consumer tag 'same'"), error.message
end

check 'lost_connection_is_noticed' do
  told = Thread::Queue.new
  handler = Object.new
  handler.define_singleton_method(:raise) do |error|
    told << error
    Thread.exit # the reader would tell it a second time
  end
  connection = connect(session_error_handler: handler)
  drop(connection)
  expect told.pop.is_a?(Bunny::NetworkFailure)
  connection.transport.close # so that nobody tries to say goodbye
end

check 'consumer_recovers_with_its_connection' do
  connection, recovered = recovering
  queue = connection.create_channel.queue(queue_name, durable: true)
  inbox = Inbox.new(queue)
  queue.publish('before')
  inbox.wait(1)
  drop(connection)
  recovered.pop
  channel.default_exchange.publish('after', routing_key: queue.name)
  expect_equal %w[before after], inbox.wait(2).bodies
end

check 'server_named_queue_and_its_bindings_recover' do
  connection, recovered = recovering
  ch = connection.create_channel
  exchange = ch.fanout(exchange_name)
  queue = ch.queue('', exclusive: true).bind(exchange)
  name = queue.name
  inbox = Inbox.new(queue)
  drop(connection)
  recovered.pop
  expect queue.name != name, 'a new name'
  publisher = channel
  publisher.fanout(exchange.name).publish('after')
  expect_equal ['after'], inbox.wait(1).bodies
end

check 'unacked_messages_come_again_after_recovery' do
  connection, recovered = recovering
  queue = connection.create_channel.queue(queue_name, durable: true)
  queue.publish('x')
  inbox = Inbox.new(queue, manual_ack: true).wait(1)
  drop(connection)
  recovered.pop
  inbox.wait(2)
  expect_equal [false, true], (inbox.messages.map { |info,| info.redelivered? })
end

check 'confirms_work_after_recovery' do
  connection, recovered = recovering
  ch = connection.create_channel
  ch.confirm_select
  queue = ch.queue(queue_name, durable: true)
  queue.publish('one')
  expect ch.wait_for_confirms
  drop(connection)
  recovered.pop
  queue.publish('two')
  expect ch.wait_for_confirms
  expect_equal %w[one two], drain(queue)
end
