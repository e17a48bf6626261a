# Transactions, recovery, consumer priorities, direct replies and user ids with bunny.

REPLY_TO = 'amq.rabbitmq.reply-to'

check 'commit_publishes' do
  connection = connect
  ch = connection.create_channel
  queue = connection.create_channel.temporary_queue
  ch.tx_select
  expect ch.using_tx?
  2.times { |n| ch.default_exchange.publish(n.to_s, routing_key: queue.name) }
  expect_equal 0, queue.message_count
  ch.tx_commit
  expect_equal %w[0 1], drain(queue)
end

check 'rollback_forgets' do
  connection = connect
  ch = connection.create_channel
  queue = connection.create_channel.temporary_queue
  ch.tx_select
  ch.default_exchange.publish('no', routing_key: queue.name)
  ch.tx_rollback
  ch.tx_commit
  expect_equal [], drain(queue)
end

check 'rolled_back_ack_counts_for_nothing' do
  connection = connect
  queue = connection.create_channel.temporary_queue
  queue.publish('x')
  ch = connection.create_channel
  ch.tx_select
  info, = ch.basic_get(queue.name, manual_ack: true)
  ch.ack(info.delivery_tag)
  ch.tx_rollback
  ch.close
  expect_depth(queue, 1)
end

check 'confirms_exclude_transactions' do
  ch = channel
  ch.confirm_select
  text = 'PRECONDITION_FAILED - cannot switch from confirm to tx mode'
  expect_raise(Bunny::PreconditionFailed, text) { ch.tx_select }
end

check 'transactions_exclude_confirms' do
  ch = channel
  ch.tx_select
  text = 'PRECONDITION_FAILED - cannot switch from tx to confirm mode'
  expect_raise(Bunny::PreconditionFailed, text) { ch.confirm_select }
end

check 'recover_hands_messages_out_again' do
  ch = channel
  queue = ch.temporary_queue
  2.times { |n| queue.publish(n.to_s) }
  inbox = Inbox.new(queue, manual_ack: true).wait(2)
  ch.recover
  inbox.wait(4)
  expect_equal %w[0 1 0 1], inbox.bodies
  expect_equal [false, false, true, true], (inbox.messages.map { |info,| info.redelivered? })
end

check 'higher_priority_is_served_first' do
  ch = channel
  queue = ch.temporary_queue
  low = Inbox.new(queue)
  high = Inbox.new(queue, arguments: { 'x-priority' => 10 })
  20.times { |n| queue.publish(n.to_s) }
  high.wait(20)
  expect_equal 0, low.waiting
end

check 'lower_priority_works_while_the_higher_is_busy' do
  connection = connect
  queue = connection.create_channel.temporary_queue
  inboxes = [5, 1].map do |priority|
    ch = connection.create_channel
    ch.prefetch(1)
    arrived = Thread::Queue.new
    arguments = { 'x-priority' => priority }
    ch.basic_consume(queue.name, '', false, false, arguments) { |*, body| arrived << body }
    arrived
  end
  2.times { |n| queue.publish(n.to_s) }
  expect_equal %w[0 1], inboxes.map(&:pop)
end

check 'priority_of_another_type_is_refused' do
  ch = channel
  queue = ch.temporary_queue
  expect_raise(Bunny::PreconditionFailed) do
    ch.basic_consume(queue.name, '', true, false, 'x-priority' => 'high')
  end
end

check 'direct_reply_finds_the_caller' do
  server = channel
  calls = server.queue(queue_name, durable: true)
  client = channel
  answers = Thread::Queue.new
  client.basic_consume(REPLY_TO, 'replies', true) { |*message| answers << message }
  client.default_exchange.publish(
    '21', routing_key: calls.name, reply_to: REPLY_TO, correlation_id: '1'
  )
  properties = body = nil
  eventually('the call came') { (_, properties, body = calls.pop) && body }
  expect properties.reply_to.start_with?("#{REPLY_TO}."), properties.reply_to
  server.default_exchange.publish(
    (body.to_i * 2).to_s,
    routing_key: properties.reply_to, correlation_id: properties.correlation_id
  )
  info, properties, body = answers.pop
  expect_equal %w[replies 1 42], [info.consumer_tag, properties.correlation_id, body]
end

check 'direct_reply_address_can_be_tested' do
  connection = connect
  calls = connection.create_channel.temporary_queue
  client = connection.create_channel
  client.basic_consume(REPLY_TO, 'replies', true) { nil }
  client.default_exchange.publish('x', routing_key: calls.name, reply_to: REPLY_TO)
  properties = body = nil
  eventually('the call came') { (_, properties, body = calls.pop) && body }
  address = properties.reply_to
  expect connection.queue_exists?(address), 'while the caller is there'
  client.close
  expect !connection.queue_exists?(address), 'when the caller is gone'
end

check 'direct_replies_are_not_acked' do
  text = 'PRECONDITION_FAILED - reply consumer cannot acknowledge'
  ch = channel
  expect_raise(Bunny::PreconditionFailed, text) { ch.basic_consume(REPLY_TO, 't', false) { nil } }
end

check 'direct_reply_has_one_consumer_per_channel' do
  text = 'PRECONDITION_FAILED - reply consumer already set'
  ch = channel
  ch.basic_consume(REPLY_TO, 'one', true) { nil }
  expect_raise(Bunny::PreconditionFailed, text) { ch.basic_consume(REPLY_TO, 'two', true) { nil } }
end

check 'user_id_of_ones_own_is_carried' do
  queue = channel.temporary_queue
  queue.publish('x', user_id: Harness::USER)
  expect_equal Harness::USER, queue.pop[1].user_id
end

check 'user_id_of_another_is_refused' do
  ch = channel
  ch.temporary_queue.publish('x', user_id: 'somebody')
  eventually('channel closed') { ch.closed? }
end

check 'flow_may_be_asked_for' do
  ch = channel
  ch.flow(true)
  ch.temporary_queue
end

check 'secret_may_be_renewed' do
  connection = connect
  connection.update_secret(Harness::PASSWORD, 'as planned')
  connection.create_channel.temporary_queue
end
