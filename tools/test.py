#!/usr/bin/python3
"""Runs every test and ends with one line: N passed, M failed.

  tools/test.py --build DIR [--program FILE] [--only KIND,...] [--peer rabbitmq] [--long] [SUITE...]

Kinds, in the order in which they run:
  unit, sim, crash, corpus
                      tests that meson knows, by their suite; each cmocka test counts as one
  program             tests/program/*/run, with the program in LEVERET_BIN; they start what they need
  clients             tests/clients/*/run against a broker that is started here, with one shard
                      and with three, or, with --peer rabbitmq, against Debian's RabbitMQ and,
                      if LEVERET_TRIXIE names a tree of Debian trixie, against that one's too
                      (tools/rabbitmq.sh says what belongs in it)
  long                tests/long/*/run, like those of `program`; what they do with --long takes hours

A `run` prints `ok NAME` or `not ok NAME reason` for each check (`skip NAME reason` for one that
cannot be made here) and ends with `N passed, N failed`. Saying less than that is a failure too.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MESON_KINDS = ('unit', 'sim', 'crash', 'corpus')
KINDS = MESON_KINDS + ('program', 'clients', 'long')
SHARDS = (1, 3)
READY_SECONDS = 30
STOP_SECONDS = 30
TALLY = re.compile(r'^(\d+) passed, (\d+) failed$')


class Results:
    """What was found so far; failures and skips are said again at the end."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def fail(self, name, reason=''):
        text = f'{name}: {reason}' if reason else name
        print(f'  not ok {text}', flush=True)
        self.failures.append(text)

    def finish(self):
        for text in self.skips:
            print(f'skipped {text}')
        for text in self.failures:
            print(f'failed {text}')
        print(f'{self.passed} passed, {len(self.failures)} failed', flush=True)
        return 1 if self.failures or not self.passed else 0


def headline(name, passed, failed, began):
    print(f'{name}: {passed} passed, {failed} failed ({time.monotonic() - began:.1f} s)', flush=True)


def last_lines(path, count=25):
    lines = pathlib.Path(path).read_text(errors='replace').splitlines()[-count:]
    for line in lines:
        print(f'  | {line}')


# Tests that meson knows

def short_name(record):
    return record['name'].removeprefix('leveret:')


def count_tap(results, record):
    """One test program that speaks TAP: its tests one by one, and that it came to its end."""
    name, output = short_name(record), record.get('stdout', '')
    passed, failed, planned = 0, 0, None
    for line in output.splitlines():
        plan = re.match(r'1\.\.(\d+)', line)
        check = re.match(r'(not )?ok \d+ *-? *(.*)', line)
        if plan:
            planned = int(plan[1])
        elif check and re.search(r'# *SKIP', check[2], re.I):
            results.skips.append(f'{name}: {check[2]}')
            planned = None if planned is None else planned - 1
        elif check and check[1]:
            failed += 1
            results.fail(f'{name}: {check[2]}')
        elif check:
            passed += 1
    results.passed += passed
    # Meson takes cmocka's `not ok N # SKIP` for a failure; the exit status knows better.
    bad = record['result'] not in ('OK', 'EXPECTEDFAIL', 'SKIP') and not (
        record['result'] == 'FAIL' and record.get('returncode') == 0)
    if failed == 0 and bad:
        results.fail(name, f'{record["result"]}, exit {record.get("returncode")}')
    elif planned is not None and planned != passed + failed:
        results.fail(name, f'{passed + failed} of {planned} tests ran')
    if bad:
        for line in (output + record.get('stderr', '')).splitlines()[-40:]:
            print(f'  | {line}')


def count_plain(results, record):
    name = short_name(record)
    if record['result'] == 'SKIP':
        results.skips.append(name)
    elif record['result'] in ('OK', 'EXPECTEDFAIL'):
        results.passed += 1
    else:
        results.fail(name, f'{record["result"]}, exit {record.get("returncode")}')
        for line in (record.get('stdout', '') + record.get('stderr', '')).splitlines()[-40:]:
            print(f'  | {line}')


def run_meson(results, build, kind, env, patience):
    began, before = time.monotonic(), (results.passed, len(results.failures))
    listed = subprocess.run(['meson', 'test', '-C', build, '--list', '--suite', kind],
                            capture_output=True, text=True, check=False)
    if listed.returncode != 0 or not listed.stdout.strip():
        print(f'{kind}: no tests', flush=True)
        return
    log = build / 'meson-logs' / f'testlog-{kind}.json'
    log.unlink(missing_ok=True)
    run = subprocess.run(['meson', 'test', '-C', build, '--suite', kind, '--logbase',
                          f'testlog-{kind}', '--quiet', '--timeout-multiplier', str(patience)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
                         check=False)
    if not log.exists():
        print(run.stdout[-3000:])
        results.fail(kind, 'meson could not build or run these tests')
        return
    for line in log.read_text().splitlines():
        record = json.loads(line)
        if re.search(r'^(not )?ok \d', record.get('stdout', ''), re.M):
            count_tap(results, record)
        else:
            count_plain(results, record)
    headline(kind, results.passed - before[0], len(results.failures) - before[1], began)


# Suites of checks that talk to a broker

def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Leveret:
    """A broker of ours, in a directory of its own, on a port that was free a moment ago."""

    def __init__(self, program, shards):
        self.name = f'shards={shards}'
        self.directory = tempfile.mkdtemp(prefix='leveret-test-')
        self.port = free_port()
        self.log = os.path.join(self.directory, 'log')
        self.ready = threading.Event()
        self.errors = open(self.log, 'ab')
        self.process = subprocess.Popen(
            [program, 'serve', '--data-dir', os.path.join(self.directory, 'data'),
             '--listen', f'127.0.0.1:{self.port}', '--shards', str(shards)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.errors.write(line)
            self.errors.flush()
            if line.startswith(b'ready'):
                self.ready.set()

    def wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready.wait(0.2):
            if self.process.poll() is not None:
                return f'the broker ended with {self.process.returncode} before it was ready'
            if time.monotonic() > deadline:
                return f'no line `ready` within {READY_SECONDS} s'
        return None

    def stop(self):
        """Ends the broker as an operator does. What is wrong with how it ended, or None."""
        wrong = None
        if self.process.poll() is not None:
            wrong = f'the broker ended by itself with {self.process.returncode}'
        else:
            self.process.terminate()
            try:
                status = self.process.wait(STOP_SECONDS)
                wrong = f'the broker ended with {status}' if status else None
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                wrong = f'the broker did not stop within {STOP_SECONDS} s'
        self.reader.join(5)
        self.errors.close()
        return wrong

    def forget(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Rabbit:
    """Debian's rabbitmq-server, or that of another Debian's tree, started by hand on loopback."""

    def __init__(self, tree=''):
        self.name = 'rabbitmq trixie' if tree else 'rabbitmq'
        self.directory = tempfile.mkdtemp(prefix='leveret-peer-')
        self.log = os.path.join(self.directory, 'stdout')
        self.pid = self.port = None
        self.started = subprocess.run([ROOT / 'tools/rabbitmq.sh', 'start', self.directory, tree],
                                      stdout=subprocess.PIPE, text=True, check=False)

    def wait_ready(self):
        if self.started.returncode != 0:
            return 'rabbitmq-server did not start'
        self.pid, self.port = (int(word) for word in self.started.stdout.split())
        return None

    def stop(self):
        stopped = subprocess.run([ROOT / 'tools/rabbitmq.sh', 'stop', self.directory], check=False)
        return 'rabbitmq-server did not stop' if stopped.returncode else None

    def forget(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def run_suite(results, name, script, env, logs, timeout):
    """One `run`: counts what it says, and distrusts one that says nothing or ends badly."""
    began, log = time.monotonic(), logs / (re.sub(r'[^\w=.-]', '-', name) + '.log')
    with open(log, 'wb') as output:
        process = subprocess.Popen([script], cwd=script.parent, env=env, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = f'no end within {timeout} s'
        try: # the group is this suite's own: whatever it left behind ends here
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    passed, failed, tally = 0, 0, None
    before = len(results.failures)
    for line in log.read_text(errors='replace').splitlines():
        words = line.split(None, 2)
        if line.startswith('ok '):
            passed += 1
        elif line.startswith('not ok '):
            failed += 1
            results.fail(f'{name}: {line[7:]}')
        elif line.startswith('skip '):
            results.skips.append(f'{name}: {" ".join(words[1:])}')
        elif TALLY.match(line):
            tally = tuple(int(count) for count in TALLY.match(line).groups())
    results.passed += passed
    if status != 0 and failed == 0:
        results.fail(name, f'ended with {status}')
    elif tally != (passed, failed):
        results.fail(name, f'its tally says {tally}, its lines say {(passed, failed)}')
    headline(name, passed, len(results.failures) - before, began)
    if len(results.failures) > before and failed == 0: # it could not say itself what went wrong
        last_lines(log)


def run_clients(results, script, make_broker, env, logs, timeout):
    """One client suite against one fresh broker, which has to survive it and to stop cleanly."""
    broker = make_broker()
    name = f'clients/{script.parent.name} {broker.name}'
    wrong = broker.wait_ready()
    if wrong is None:
        run_suite(results, name, script, dict(
            env, LEVERET_HOST='127.0.0.1', LEVERET_PORT=str(broker.port),
            LEVERET_URL=f'amqp://guest:guest@127.0.0.1:{broker.port}/',
            LEVERET_PID=str(broker.pid)), logs, timeout)
        wrong = broker.stop()
    else:
        broker.stop()
    if wrong is None:
        results.passed += 1
    else:
        results.fail(f'{name}: the broker lives through it and stops when told', wrong)
    if os.path.exists(broker.log):
        shutil.copy(broker.log, logs / f'{script.parent.name}-{broker.name}.broker.log')
        if wrong:
            print('  the broker said:')
            last_lines(broker.log)
    broker.forget()


def broker_makers(peer, program):
    """What each client suite runs against, one after another."""
    if not peer:
        return [lambda count=count: Leveret(program, count) for count in SHARDS]
    trees = [''] + [tree for tree in [os.environ.get('LEVERET_TRIXIE')] if tree]
    return [lambda tree=tree: Rabbit(tree) for tree in trees]


def suite_scripts(kind, names):
    scripts = sorted((ROOT / 'tests' / kind).glob('*/run'))
    return [script for script in scripts if not names or script.parent.name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    parser.add_argument('--program', type=pathlib.Path, help='what is tested [DIR/leveret]')
    parser.add_argument('--only', help='kinds, separated by commas: ' + ' '.join(KINDS))
    parser.add_argument('--peer', choices=['rabbitmq'], help='test the client suites on a peer')
    parser.add_argument('--long', action='store_true', help='the sizes that take hours')
    parser.add_argument('suite', nargs='*', help='only these suites that are a `run`')
    args = parser.parse_args()
    build = args.build.resolve()
    program = args.program.resolve() if args.program else build / 'leveret'
    logs = build / 'test-logs'
    logs.mkdir(parents=True, exist_ok=True)
    kinds = args.only.split(',') if args.only else ('clients',) if args.peer else KINDS
    if args.suite and not args.only and not args.peer:
        kinds = ('program', 'clients', 'long')
    # It cuts print() in two, and the lines of two writers to one pipe mix.
    os.environ.pop('PYTHONUNBUFFERED', None)
    # Debian's Python packages belong to Debian's interpreter; a version manager may hide it.
    env = dict(os.environ, PATH='/usr/bin:/bin:' + os.environ.get('PATH', ''),
               LEVERET_BIN=str(program), LEVERET_BUILD=str(build),
               LEVERET_BROKER=args.peer or 'leveret',
               LEVERET_TEST_SIZE='long' if args.long else 'short', PYTHONDONTWRITEBYTECODE='1',
               ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', 'abort_on_error=0:detect_leaks=1'),
               UBSAN_OPTIONS=os.environ.get('UBSAN_OPTIONS', 'print_stacktrace=1'))
    os.environ.update(env)
    timeout = 24 * 3600 if args.long else 600
    patience = 0 if args.long else 10 # times 30 s; 0: no timeouts
    results = Results()
    for kind in kinds:
        if kind in MESON_KINDS:
            run_meson(results, build, kind, env, patience)
        elif kind in ('program', 'long'):
            for script in suite_scripts(kind, args.suite):
                run_suite(results, f'{kind}/{script.parent.name}', script, env, logs, timeout)
        elif kind == 'clients':
            for script in suite_scripts(kind, args.suite):
                for make_broker in broker_makers(args.peer, program):
                    run_clients(results, script, make_broker, env, logs, timeout)
        else:
            parser.error(f'no kind {kind} (there are {" ".join(KINDS)})')
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
