# Work queues, publish and subscribe, acks, confirms, returns and cancels with bunny.

def confirming
  channel.tap(&:confirm_select)
end

check 'message_goes_through_a_queue' do
  queue = channel.temporary_queue
  queue.publish('hello')
  _, _, body = queue.pop
  expect_equal 'hello', body
end

check 'empty_queue_gives_nothing' do
  expect_equal [nil, nil, nil], channel.temporary_queue.pop
end

check 'consumer_gets_messages_in_order' do
  queue = channel.temporary_queue
  bodies = (0...200).map(&:to_s)
  inbox = Inbox.new(queue)
  bodies.each { |body| queue.publish(body) }
  expect_equal bodies, inbox.wait(200).bodies
end

check 'properties_come_back' do
  queue = channel.temporary_queue
  sent = {
    content_type: 'text/x', content_encoding: 'utf-8', priority: 4, correlation_id: 'c',
    reply_to: 'r', expiration: '60000', message_id: 'm', type: 't', app_id: 'a'
  }
  queue.publish('x', persistent: true, timestamp: 1_700_000_000, **sent)
  _, properties, = queue.pop
  sent.each { |key, value| expect_equal value, properties[key] }
  expect_equal 2, properties.delivery_mode
  expect_equal 1_700_000_000, properties.timestamp.to_i
end

check 'headers_come_back' do
  queue = channel.temporary_queue
  headers = {
    'string' => 'ž'.b, 'number' => 3, 'large' => 2**40, 'float' => 1.5, 'yes' => true,
    'no' => false, 'nothing' => nil, 'list' => [1, 'two', [3]],
    'table' => { 'deep' => { 'er' => 1 } }
  }
  queue.publish('x', headers: headers)
  expect_equal headers, queue.pop[1].headers
end

check 'timestamps_in_headers_come_back' do
  queue = channel.temporary_queue
  queue.publish('x', headers: { 'at' => Time.at(1_600_000_000) })
  expect_equal 1_600_000_000, queue.pop[1].headers['at'].to_i
end

check 'large_body_comes_back' do
  queue = channel.temporary_queue
  body = Random.bytes(3_000_000)
  queue.publish(body)
  expect_equal body, Inbox.new(queue).wait(1).bodies.first.b
end

check 'body_of_no_bytes_comes_back' do
  queue = channel.temporary_queue
  queue.publish('')
  expect_equal [''], Inbox.new(queue).wait(1).bodies
end

check 'workers_share_a_queue' do
  name = queue_name
  boss = channel
  queue = boss.queue(name, durable: true)
  inboxes = Array.new(3) do
    ch = channel
    ch.prefetch(1)
    own = ch.queue(name, durable: true)
    seen = Thread::Queue.new
    own.subscribe(manual_ack: true) do |info, _, body|
      seen << body
      ch.ack(info.delivery_tag)
    end
    seen
  end
  60.times { |n| queue.publish(n.to_s, persistent: true) }
  eventually('all are done') { inboxes.sum(&:size) == 60 }
  expect inboxes.none?(&:empty?), 'everybody works'
  expect_depth(queue, 0)
end

check 'prefetch_holds_messages_back' do
  ch = channel
  ch.prefetch(3)
  queue = ch.temporary_queue
  10.times { |n| queue.publish(n.to_s) }
  inbox = Inbox.new(queue, manual_ack: true).wait(3)
  expect_depth(queue, 7)
  ch.ack(inbox.tags[1], true)
  inbox.wait(5)
  expect_depth(queue, 5)
  expect_equal 0, inbox.waiting
end

check 'requeued_message_comes_again' do
  ch = channel
  queue = ch.temporary_queue
  queue.publish('x')
  info, = queue.pop(manual_ack: true)
  ch.reject(info.delivery_tag, true)
  again, _, body = queue.pop
  expect_equal ['x', true], [body, again.redelivered?]
end

check 'rejected_message_is_gone' do
  ch = channel
  queue = ch.temporary_queue
  queue.publish('x')
  ch.reject(queue.pop(manual_ack: true)[0].delivery_tag)
  expect_equal [], drain(queue)
end

check 'several_messages_are_nacked_at_once' do
  ch = channel
  queue = ch.temporary_queue
  3.times { |n| queue.publish(n.to_s) }
  tags = Array.new(3) { queue.pop(manual_ack: true)[0].delivery_tag }
  ch.nack(tags[1], true, true)
  expect_equal %w[0 1], drain(queue)
  ch.nack(tags[2], false, false)
  expect_equal [], drain(queue)
end

check 'messages_return_to_their_place' do
  ch = channel
  queue = ch.temporary_queue
  4.times { |n| queue.publish(n.to_s) }
  tags = Array.new(3) { queue.pop(manual_ack: true)[0].delivery_tag }
  [2, 0, 1].each { |n| ch.reject(tags[n], true) }
  expect_equal %w[0 1 2 3], drain(queue)
end

check 'unacked_messages_return_when_the_channel_closes' do
  connection = connect
  queue = connection.create_channel.temporary_queue
  other = connection.create_channel
  queue.publish('x')
  arrived = Thread::Queue.new
  other.basic_consume(queue.name) { |*message| arrived << message }
  arrived.pop
  other.close
  expect_depth(queue, 1)
  expect queue.pop[0].redelivered?
end

check 'fanout_reaches_every_queue' do
  ch = channel
  exchange = ch.fanout(exchange_name)
  inboxes = Array.new(4) { Inbox.new(ch.temporary_queue.bind(exchange)) }
  3.times { |n| exchange.publish(n.to_s) }
  inboxes.each { |inbox| expect_equal %w[0 1 2], inbox.wait(3).bodies }
end

check 'direct_routes_by_key' do
  ch = channel
  exchange = ch.direct(exchange_name)
  one = ch.temporary_queue.bind(exchange, routing_key: 'one')
  both = ch.temporary_queue.bind(exchange, routing_key: 'one').bind(exchange, routing_key: 'two')
  %w[one two three].each { |key| exchange.publish(key, routing_key: key) }
  expect_equal [%w[one], %w[one two]], [drain(one), drain(both)]
end

check 'unbinding_ends_the_flow' do
  ch = channel
  exchange = ch.direct(exchange_name)
  queue = ch.temporary_queue.bind(exchange, routing_key: 'k')
  exchange.publish('one', routing_key: 'k')
  queue.unbind(exchange, routing_key: 'k')
  exchange.publish('two', routing_key: 'k')
  expect_equal %w[one], drain(queue)
end

check 'predeclared_exchanges_route' do
  ch = channel
  queue = ch.temporary_queue
  key = Harness.unique('key')
  queue.bind('amq.direct', routing_key: key)
  ch.direct('amq.direct', durable: true).publish('x', routing_key: key)
  expect_equal %w[x], drain(queue)
end

check 'durable_exchange_may_be_declared_twice' do
  name = exchange_name
  channel.direct(name, durable: true)
  channel.direct(name, durable: true)
end

check 'exchange_of_another_type_is_refused' do
  name = exchange_name
  channel.direct(name)
  expect_raise(Bunny::PreconditionFailed) { channel.fanout(name) }
end

check 'auto_delete_exchange_goes_with_its_last_queue' do
  connection = connect
  ch = connection.create_channel
  exchange = ch.fanout(exchange_name, auto_delete: true)
  queue = ch.temporary_queue.bind(exchange)
  queue.unbind(exchange)
  expect !connection.exchange_exists?(exchange.name)
end

check 'auto_delete_queue_goes_with_its_last_consumer' do
  connection = connect
  ch = connection.create_channel
  queue = ch.queue(queue_name, auto_delete: true)
  Inbox.new(queue).consumer.cancel
  eventually('queue gone') { !connection.queue_exists?(queue.name) }
end

check 'confirms_come_for_all_messages' do
  ch = confirming
  queue = ch.temporary_queue
  100.times { |n| queue.publish(n.to_s, persistent: true) }
  expect ch.wait_for_confirms
  expect_equal 100, queue.message_count
  expect_equal [], ch.nacked_set.to_a
end

check 'confirm_callback_is_told_of_tags' do
  told = Thread::Queue.new
  ch = channel
  ch.confirm_select(->(tag, multiple, nack) { told << [tag, multiple, nack] })
  queue = ch.temporary_queue
  5.times { queue.publish('x') }
  ch.wait_for_confirms
  last, _, nack = nil
  last, _, nack = told.pop until last == 5
  expect_equal false, nack
end

check 'unroutable_message_is_confirmed' do
  ch = confirming
  ch.default_exchange.publish('x', routing_key: Harness.unique('absent'))
  expect ch.wait_for_confirms
end

check 'unroutable_mandatory_message_is_returned' do
  ch = channel
  returned = Thread::Queue.new
  exchange = ch.default_exchange
  exchange.on_return { |info, properties, body| returned << [info, properties, body] }
  key = Harness.unique('absent')
  exchange.publish('home', routing_key: key, mandatory: true, message_id: 'm')
  info, properties, body = returned.pop
  expect_equal [312, 'NO_ROUTE'], [info.reply_code, info.reply_text]
  expect_equal ['', key], [info.exchange, info.routing_key]
  expect_equal %w[m home], [properties.message_id, body]
end

check 'routable_mandatory_message_is_not_returned' do
  ch = confirming
  returned = 0
  queue = ch.temporary_queue
  ch.default_exchange.on_return { returned += 1 }
  ch.default_exchange.publish('x', routing_key: queue.name, mandatory: true)
  ch.wait_for_confirms
  expect_equal [0, 1], [returned, queue.message_count]
end

check 'publishing_to_an_absent_exchange_closes_the_channel' do
  connection = connect
  ch = connection.create_channel
  ch.basic_publish('x', Harness.unique('absent'), 'k')
  eventually('channel closed') { ch.closed? }
  expect connection.open?
end

check 'deleted_queue_cancels_its_consumer' do
  queue = channel.queue(queue_name, durable: true)
  cancelled = Thread::Queue.new
  told = ->(cancel) { cancelled << cancel.consumer_tag }
  queue.subscribe(on_cancellation: told, consumer_tag: 'mine') { nil }
  channel.queue_delete(queue.name)
  expect_equal 'mine', cancelled.pop
end

check 'cancelled_consumer_gets_no_more' do
  queue = channel.queue(queue_name, durable: true)
  inbox = Inbox.new(queue)
  queue.publish('one')
  inbox.wait(1)
  inbox.consumer.cancel
  queue.publish('two')
  expect_depth(queue, 1)
  expect_equal 0, queue.consumer_count
end

check 'exclusive_consumer_keeps_others_away' do
  queue = channel.queue(queue_name, durable: true)
  Inbox.new(queue, exclusive: true)
  other = channel
  expect_raise(Bunny::AccessRefused) { other.basic_consume(queue.name, 't') }
end

check 'status_counts_messages_and_consumers' do
  ch = confirming
  queue = ch.queue(queue_name, durable: true)
  2.times { queue.publish('x') }
  ch.wait_for_confirms
  expect_equal({ message_count: 2, consumer_count: 0 }, queue.status)
end

check 'purge_empties_the_queue' do
  ch = confirming
  queue = ch.temporary_queue
  5.times { queue.publish('x') }
  ch.wait_for_confirms
  queue.purge
  expect_equal 0, queue.message_count
end

check 'delete_if_empty_is_refused_for_a_full_queue' do
  ch = confirming
  queue = ch.temporary_queue
  queue.publish('x')
  ch.wait_for_confirms
  text = "PRECONDITION_FAILED - queue '#{queue.name}' in vhost '/' not empty"
  expect_raise(Bunny::PreconditionFailed, text) { queue.delete(if_empty: true) }
end

check 'delete_if_unused_is_refused_for_a_queue_in_use' do
  queue = channel.temporary_queue
  Inbox.new(queue)
  expect_raise(Bunny::PreconditionFailed) { queue.delete(if_unused: true) }
end

check 'call_is_answered_through_a_queue_of_the_callers_own' do
  server = channel
  calls = server.queue(queue_name, durable: true)
  calls.subscribe do |_, properties, body|
    server.default_exchange.publish(
      (body.to_i * 2).to_s,
      routing_key: properties.reply_to, correlation_id: properties.correlation_id
    )
  end
  client = channel
  replies = client.temporary_queue
  inbox = Inbox.new(replies)
  client.default_exchange.publish(
    '21', routing_key: calls.name, reply_to: replies.name, correlation_id: 'c1'
  )
  _, properties, body = inbox.wait(1).messages.first
  expect_equal %w[42 c1], [body, properties.correlation_id]
end

check 'many_publishing_threads_with_a_channel_each_lose_nothing' do
  connection = connect
  queue = connection.create_channel.temporary_queue
  Array.new(8) do
    Thread.new do
      ch = connection.create_channel
      ch.confirm_select
      100.times { |n| ch.default_exchange.publish(n.to_s, routing_key: queue.name) }
      ch.wait_for_confirms
    end
  end.each(&:join)
  expect_equal 800, queue.message_count
end
