# Runs checks, each in a process of its own, and reports them one per line: `ok NAME`,
# `not ok NAME reason`, and at the end `N passed, M failed`.
#
# A check is a block; it passes unless it raises. Bunny works in threads, which a check that hangs
# or dies would leave behind: its process takes them along.

require 'bunny'
require 'securerandom'
require 'timeout'

module Harness
  HOST = ENV.fetch('LEVERET_HOST', '127.0.0.1')
  PORT = ENV.fetch('LEVERET_PORT', '5672').to_i
  USER = ENV.fetch('LEVERET_USER', 'guest')
  PASSWORD = ENV.fetch('LEVERET_PASS', 'guest')
  SECONDS = ENV.fetch('LEVERET_CHECK_SECONDS', '20').to_f
  JOBS = ENV.fetch('LEVERET_CHECK_JOBS', '8').to_i
  CLEANUP_SECONDS = 10
  RUN = SecureRandom.hex(4)

  # Not a StandardError, so that no handler of the client's can swallow it.
  class TimedOut < Exception; end # rubocop:disable Lint/InheritException

  Check = Struct.new(:name, :body, :pid, :pipe, :deadline, :said)

  CHECKS = []
  CLEANUPS = []

  def self.unique(kind)
    "check.#{RUN}.#{kind}.#{SecureRandom.hex(4)}"
  end

  # Runs the block under a deadline; the reason it failed, or nil.
  def self.attempt(seconds, &block)
    Timeout.timeout(seconds, TimedOut, &block)
    nil
  rescue StandardError, TimedOut => e
    warn(e.full_message) if ENV['LEVERET_CHECK_TRACE']
    place = (e.backtrace || []).grep(/check_\w+\.rb/).first.to_s[/check_\w+\.rb:\d+/]
    text = e.is_a?(TimedOut) ? 'timed out' : "#{e.class}: #{e.message}"
    "#{text.split.join(' ')[0, 600]} (#{place})"
  end

  def self.run_child(check, pipe)
    reason = attempt(SECONDS, &check.body)
    cleaning = attempt(CLEANUP_SECONDS) { CLEANUPS.reverse_each(&:call) }
    reason ||= cleaning && "cleanup: #{cleaning}"
    pipe.write(reason.to_s)
    pipe.close
    exit!(reason.nil?)
  end

  def self.start(check)
    reader, writer = IO.pipe
    check.pid = fork do
      reader.close
      run_child(check, writer)
    end
    writer.close
    check.pipe = reader
    check.said = +''
    check.deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + SECONDS + CLEANUP_SECONDS + 5
  end

  def self.finish(check)
    check.pipe.close
    _, status = Process.wait2(check.pid)
    check.said = "killed by signal #{status.termsig}" if check.said.empty? && status.signaled?
    puts(status.success? ? "ok #{check.name}" : "not ok #{check.name} #{check.said}")
    status.success?
  end

  # Takes what the running checks say; gives those that have ended.
  def self.listen(running)
    ready, = IO.select(running.map(&:pipe), nil, nil, 1)
    ended = running.select do |check|
      next unless ready&.include?(check.pipe)

      check.said << check.pipe.readpartial(4096)
      false
    rescue EOFError
      true
    end
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    (running - ended).each { |c| Process.kill(:KILL, c.pid) if c.deadline < now }
    ended
  end

  def self.run(directory, parts)
    $stdout.sync = true
    Dir[File.join(directory, 'check_*.rb')].sort.each { |path| require path }
    waiting = CHECKS.select { |c| parts.empty? || parts.any? { |part| c.name.include?(part) } }
    running = []
    passed = failed = 0
    until waiting.empty? && running.empty?
      running << waiting.shift.tap { |c| start(c) } while running.size < JOBS && waiting.any?
      listen(running).each do |check|
        running.delete(check)
        finish(check) ? passed += 1 : failed += 1
      end
    end
    puts "#{passed} passed, #{failed} failed"
    failed.zero? && passed.positive? ? 0 : 1
  end
end

# Registers a check under the name of its file.
def check(name, &body)
  group = File.basename(caller_locations(1, 1).first.path, '.rb').delete_prefix('check_')
  Harness::CHECKS << Harness::Check.new("#{group}.#{name}", body)
end

# Calls the block when the check ends, last registered first, whatever became of the check.
def cleanup(&block)
  Harness::CLEANUPS << block
end

def expect(condition, what = 'expectation')
  raise "#{what} does not hold" unless condition
end

def expect_equal(expected, actual)
  raise "#{actual.inspect} is not #{expected.inspect}" unless expected == actual
end

# Waits for a fact that no event announces to this client.
def eventually(what)
  limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 10
  until yield
    raise "still not so: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

    sleep 0.02
  end
end

# The block raises this error; gives it.
def expect_raise(error_class, text = nil)
  yield
rescue error_class => e
  expect_equal(text, e.channel_close.reply_text) if text
  e
else
  raise "no #{error_class} was raised"
end
