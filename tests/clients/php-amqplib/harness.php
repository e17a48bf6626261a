<?php
/*
 * Runs checks, each in a process of its own, and reports them one per line: `ok NAME`,
 * `not ok NAME reason`, and at the end `N passed, M failed`.
 *
 * A check is a function; it passes unless it throws, dies or takes too long.
 */

declare(strict_types=1);

const CLEANUP_SECONDS = 10;

/* An Error and no Exception, so that no handler of the client's can swallow it. */
class TimedOut extends Error
{
}

final class Harness
{
    private static array $checks = [];
    private static array $cleanups = [];
    private static string $run = '';

    public static function setting(string $name, string $default): string
    {
        $value = getenv($name);
        return $value === false ? $default : $value;
    }

    public static function add(string $name, Closure $body): void
    {
        $file = debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 2)[1]['file'];
        $group = str_replace('check_', '', basename($file, '.php'));
        self::$checks[] = ['name' => "$group.$name", 'body' => $body];
    }

    public static function cleanup(Closure $function): void
    {
        self::$cleanups[] = $function;
    }

    public static function unique(string $kind): string
    {
        return 'check.' . self::$run . ".$kind." . bin2hex(random_bytes(4));
    }

    /* Calls the function under an alarm; the reason it failed, or ''. */
    private static function attempt(Closure $function, int $seconds): string
    {
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, function (): void {
            throw new TimedOut('timed out');
        });
        pcntl_alarm($seconds);
        try {
            $function();
            return '';
        } catch (Throwable $error) {
            if (getenv('LEVERET_CHECK_TRACE')) {
                fwrite(STDERR, "$error\n");
            }
            return self::reason($error);
        } finally {
            pcntl_alarm(0);
        }
    }

    private static function reason(Throwable $error): string
    {
        $thrown = ['file' => $error->getFile(), 'line' => $error->getLine()];
        $places = [$thrown, ...$error->getTrace()];
        $place = '';
        foreach ($places as $entry) {
            if ($place === '' && str_starts_with(basename($entry['file'] ?? ''), 'check_')) {
                $place = basename($entry['file']) . ':' . $entry['line'];
            }
        }
        $text = preg_replace('/\s+/', ' ', $error::class . ': ' . $error->getMessage());
        return substr($text, 0, 600) . " ($place)";
    }

    private static function runChild(Closure $body, $pipe, int $seconds): never
    {
        $reason = self::attempt($body, $seconds);
        foreach (array_reverse(self::$cleanups) as $function) {
            $wrong = self::attempt($function, CLEANUP_SECONDS);
            $reason = $reason === '' && $wrong !== '' ? "cleanup: $wrong" : $reason;
        }
        fwrite($pipe, $reason === '' ? 'passed' : $reason);
        fclose($pipe);
        posix_kill(posix_getpid(), SIGKILL); // no destructor may say anything more to the broker
        exit;
    }

    private static function start(array $check, int $seconds): array
    {
        $pipes = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, STREAM_IPPROTO_IP);
        $pid = pcntl_fork();
        if ($pid === 0) {
            fclose($pipes[0]);
            self::runChild($check['body'], $pipes[1], $seconds);
        }
        fclose($pipes[1]);
        $deadline = microtime(true) + $seconds + 2 * CLEANUP_SECONDS;
        return $check + ['pid' => $pid, 'pipe' => $pipes[0], 'said' => '', 'deadline' => $deadline];
    }

    /* Prints the line of a check whose pipe was closed; true if it passed. */
    private static function finish(array $check): bool
    {
        fclose($check['pipe']);
        pcntl_waitpid($check['pid'], $status);
        $passed = $check['said'] === 'passed';
        $reason = $check['said'] === '' ? 'it died' : $check['said'];
        echo $passed ? "ok {$check['name']}\n" : "not ok {$check['name']} $reason\n";
        return $passed;
    }

    /* Takes what the running checks say; gives the keys of those that have ended. */
    private static function listen(array &$running): array
    {
        $ready = array_map(fn ($check) => $check['pipe'], $running);
        $none = null;
        $ended = [];
        stream_select($ready, $none, $none, 1);
        foreach (array_keys($ready) as $key) {
            $piece = fread($running[$key]['pipe'], 4096);
            $running[$key]['said'] .= $piece;
            if ($piece === '' && feof($running[$key]['pipe'])) {
                $ended[] = $key;
            }
        }
        foreach ($running as $check) {
            if ($check['deadline'] < microtime(true)) {
                posix_kill($check['pid'], SIGKILL);
            }
        }
        return $ended;
    }

    public static function run(string $directory, array $parts): int
    {
        self::$run = bin2hex(random_bytes(4));
        foreach (glob("$directory/check_*.php") as $path) {
            require $path;
        }
        $chosen = fn ($check) => $parts === []
            || array_filter($parts, fn ($part) => str_contains($check['name'], $part)) !== [];
        $waiting = array_values(array_filter(self::$checks, $chosen));
        $seconds = (int) self::setting('LEVERET_CHECK_SECONDS', '20');
        $jobs = (int) self::setting('LEVERET_CHECK_JOBS', '8');
        $running = [];
        $count = [true => 0, false => 0];
        while ($waiting !== [] || $running !== []) {
            while ($waiting !== [] && count($running) < $jobs) {
                $running[] = self::start(array_shift($waiting), $seconds);
            }
            foreach (self::listen($running) as $key) {
                $count[self::finish($running[$key])]++;
                unset($running[$key]);
            }
        }
        echo "{$count[true]} passed, {$count[false]} failed\n";
        return $count[false] === 0 && $count[true] > 0 ? 0 : 1;
    }
}

function check(string $name, Closure $body): void
{
    Harness::add($name, $body);
}

function expect(bool $condition, string $what = 'the expectation'): void
{
    if (!$condition) {
        throw new RuntimeException("$what does not hold");
    }
}

function expect_same(mixed $expected, mixed $actual): void
{
    if ($expected !== $actual) {
        throw new RuntimeException(json_encode($actual) . ' is not ' . json_encode($expected));
    }
}

/* Waits for a fact that no event announces to this client. */
function eventually(string $what, Closure $condition): void
{
    $end = microtime(true) + 10;
    while (!$condition()) {
        expect(microtime(true) < $end, $what);
        usleep(20000);
    }
}
