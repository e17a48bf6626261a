# Topic and headers exchanges, bindings between exchanges and alternate exchanges with bunny.

def publish_keys(exchange, *keys)
  keys.each { |key| exchange.publish(key, routing_key: key) }
end

check 'topic_routes_by_words' do
  ch = channel
  exchange = ch.topic(exchange_name)
  keys = ['a', 'a.b', 'a.b.c', 'b', 'b.a', '', 'a..c']
  {
    'a.*' => ['a.b'], 'a.#' => ['a', 'a.b', 'a.b.c', 'a..c'], '#' => keys, '*' => %w[a b],
    '#.a' => ['a', 'b.a'], 'a.*.c' => ['a.b.c', 'a..c'], 'a.b' => ['a.b']
  }.map do |pattern, expected|
    [ch.temporary_queue.bind(exchange, routing_key: pattern), pattern, expected]
  end.tap { publish_keys(exchange, *keys) }.each do |queue, pattern, expected|
    seen = drain(queue)
    expect seen == expected, "#{pattern} gives #{expected}, it gave #{seen}, which"
  end
end

check 'several_matching_patterns_give_one_copy' do
  ch = channel
  exchange = ch.topic(exchange_name)
  queue = ch.temporary_queue
  %w[# a.# *.b a.b].each { |pattern| queue.bind(exchange, routing_key: pattern) }
  publish_keys(exchange, 'a.b')
  expect_equal ['a.b'], drain(queue)
end

check 'topic_bindings_recover_with_the_connection' do
  recovered = Thread::Queue.new
  connection = connect(
    automatically_recover: true, network_recovery_interval: 0.05,
    recovery_completed: -> { recovered << true }
  )
  ch = connection.create_channel
  exchange = ch.topic(exchange_name, durable: true)
  inbox = Inbox.new(ch.temporary_queue.bind(exchange, routing_key: 'a.#'))
  drop(connection)
  recovered.pop
  publish_keys(channel.topic(exchange.name, durable: true), 'b.c', 'a.b')
  expect_equal ['a.b'], inbox.wait(1).bodies
end

check 'headers_all_needs_each_of_them' do
  ch = channel
  exchange = ch.headers(exchange_name)
  arguments = { 'x-match' => 'all', 'os' => 'linux', 'cores' => 8 }
  queue = ch.temporary_queue.bind(exchange, arguments: arguments)
  exchange.publish('both', headers: { 'os' => 'linux', 'cores' => 8, 'more' => true })
  exchange.publish('one', headers: { 'os' => 'linux' })
  exchange.publish('unlike', headers: { 'os' => 'linux', 'cores' => '8' })
  expect_equal %w[both], drain(queue)
end

check 'headers_any_needs_one_of_them' do
  ch = channel
  exchange = ch.headers(exchange_name)
  arguments = { 'x-match' => 'any', 'os' => 'linux', 'cores' => 8 }
  queue = ch.temporary_queue.bind(exchange, arguments: arguments)
  exchange.publish('one', headers: { 'os' => 'linux', 'cores' => 4 })
  exchange.publish('none', headers: { 'os' => 'osx' })
  expect_equal %w[one], drain(queue)
end

check 'bad_match_is_refused' do
  ch = channel
  exchange = ch.headers(exchange_name)
  queue = ch.temporary_queue
  expect_raise(Bunny::PreconditionFailed) do
    queue.bind(exchange, arguments: { 'x-match' => 'some' })
  end
end

check 'exchange_feeds_another' do
  ch = channel
  source = ch.topic(exchange_name)
  target = ch.fanout(exchange_name)
  target.bind(source, routing_key: 'a.#')
  queue = ch.temporary_queue.bind(target)
  publish_keys(source, 'a.b', 'b.b')
  expect_equal ['a.b'], drain(queue)
  target.unbind(source, routing_key: 'a.#')
  publish_keys(source, 'a.b')
  expect_equal [], drain(queue)
end

check 'chain_of_exchanges_passes_on_the_first_key' do
  ch = channel
  chain = Array.new(5) { ch.fanout(exchange_name) }
  chain.each_cons(2) { |source, target| target.bind(source) }
  last = ch.topic(exchange_name)
  last.bind(chain.last)
  queue = ch.temporary_queue.bind(last, routing_key: 'the.#')
  publish_keys(chain.first, 'the.key', 'another.key')
  expect_equal ['the.key'], drain(queue)
end

check 'deleted_source_takes_its_bindings_along' do
  ch = channel
  source = ch.fanout(exchange_name)
  target = ch.fanout(exchange_name)
  target.bind(source)
  queue = ch.temporary_queue.bind(target)
  source.delete
  publish_keys(ch.fanout(source.name), 'k')
  expect_equal [], drain(queue)
end

check 'alternate_exchange_takes_the_rest' do
  ch = channel
  spare = ch.fanout(exchange_name)
  rest = ch.temporary_queue.bind(spare)
  exchange = ch.direct(exchange_name, arguments: { 'alternate-exchange' => spare.name })
  known = ch.temporary_queue.bind(exchange, routing_key: 'known')
  publish_keys(exchange, 'known', 'unknown')
  expect_equal [%w[known], %w[unknown]], [drain(known), drain(rest)]
end

check 'alternate_that_is_missing_is_no_error' do
  ch = channel
  ch.confirm_select
  arguments = { 'alternate-exchange' => Harness.unique('absent') }
  publish_keys(ch.direct(exchange_name, arguments: arguments), 'unknown')
  expect ch.wait_for_confirms
end

check 'internal_exchange_is_not_for_publishers' do
  connection = connect
  ch = connection.create_channel
  inner = ch.fanout(exchange_name, internal: true)
  source = ch.fanout(exchange_name)
  inner.bind(source)
  queue = ch.temporary_queue.bind(inner)
  publish_keys(source, 'through')
  expect_equal ['through'], drain(queue)
  publish_keys(inner, 'directly')
  eventually('channel closed') { ch.closed? }
end

check 'copies_go_to_further_queues' do
  ch = channel
  to, cc, bcc = Array.new(3) { ch.temporary_queue }
  headers = { 'CC' => [cc.name], 'BCC' => [bcc.name] }
  ch.default_exchange.publish('x', routing_key: to.name, headers: headers)
  [to, cc, bcc].each { |queue| expect_equal({ 'CC' => [cc.name] }, queue.pop[1].headers) }
end
