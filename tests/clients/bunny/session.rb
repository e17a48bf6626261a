# Bunny, made brief: connections that close with the check, and names that are deleted after it.

require 'logger'

DOOMED = { queue_delete: [], exchange_delete: [] }

def connect(**options)
  settings = {
    host: Harness::HOST, port: Harness::PORT, user: Harness::USER, password: Harness::PASSWORD,
    heartbeat: 0, automatically_recover: false, logger: Logger.new(File::NULL)
  }
  connection = Bunny.new(settings.merge(options))
  cleanup do
    connection.close if connection.open?
  rescue StandardError
    nil # a check may have broken it on purpose
  end
  connection.start
end

def channel(**options)
  connect(**options).create_channel
end

# On a channel each: what is locked or gone by now must not keep the others.
def delete_all
  connection = connect
  DOOMED.each do |method, names|
    names.each do |name|
      connection.create_channel.public_send(method, name)
    rescue Bunny::ChannelLevelException
      nil
    end
  end
  connection.close
end

def doomed_name(method, kind)
  cleanup { delete_all } if DOOMED.values.all?(&:empty?)
  DOOMED[method] << Harness.unique(kind)
  DOOMED[method].last
end

def queue_name
  doomed_name(:queue_delete, 'queue')
end

def exchange_name
  doomed_name(:exchange_delete, 'exchange')
end

# All ready bodies, in order.
def drain(queue)
  bodies = []
  while (body = queue.pop[2])
    bodies << body
  end
  bodies
end

# Waits for this many ready messages: a broker may count before it has queued what it took.
def expect_depth(queue, count)
  eventually("#{count} messages in the queue") { queue.message_count == count }
end

# Collects what a consumer gets.
class Inbox
  attr_reader :messages, :consumer

  def initialize(queue, **options)
    @messages = []
    @arrivals = Thread::Queue.new
    @consumer = queue.subscribe(**options) { |*message| @arrivals << message }
  end

  # Until this many came in all.
  def wait(count)
    @messages << @arrivals.pop while @messages.size < count
    self
  end

  def waiting
    @arrivals.size
  end

  def bodies
    @messages.map(&:last)
  end

  def tags
    @messages.map { |info,| info.delivery_tag }
  end
end

# Takes the socket away, as a failing network does.
def drop(connection)
  connection.transport.socket.shutdown
end
