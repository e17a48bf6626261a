#!/usr/bin/python3
"""Measures Leveret beside RabbitMQ and the thinnest relay, in one run.

  tools/bench.py [--build DIR] [--dir DIR] [--quick] [--runs N] [--seconds S] [--best]
                 [--only ROW,...] [--list]

Every row is measured in turn on each broker, again and again, and the median counts; ratios are
medians of the ratios within one round, so that a slow minute of the machine hits all alike.
Beside a median ratio stands the one of both brokers' best rounds. Where the relay's own figures
lie a quarter apart the machine is noisy; such a row has at least five rounds, and the best ones
count (with --best: of every row). The brokers that wait are stopped (SIGSTOP) meanwhile. All of
them are started here, on loopback, on free ports and in a directory that is removed afterwards
(below DIR, which has to be on a disk); RabbitMQ is Debian's, if it is installed. Every run has an
end: what is not over in time is recorded as failed, with what it waited for.
Processor time is that of the broker's process, so the load generator beside it does not count.
Results go to DIR/bench: results.jsonl (every run) and table.md. Exit code 1: something was lost, or
a broker did not work; missed aims are shown but are no failure, as machines differ.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY_SECONDS = 60
PATIENCE = 30    # a run in which nothing moves for so long has failed
WINDING_UP = 90  # beyond warm-up and duration; after it a run is ended, whatever it waits for
BEST_OF = 5
NOISY = 1.25     # the relay's best round over its worst one, from which on it is noisy
CONNECTING = 60  # for declaring thousands of bindings
ACKS = ['--prefetch', '1000']


class Row:
    """One line of the table: what is run, which figure counts and what it should be."""

    def __init__(self, name, title, args, figure='messages_per_broker_cpu_s', rabbit=None,
                 relay=None, most=None, least=None, seconds=None, fresh=False,
                 peers=('leveret', 'rabbitmq', 'relay'), rabbit_args=(), follows=None,
                 share=None, sync=None, third=None, tls=False, dearer=None):
        self.name, self.title, self.args, self.figure = name, title, args, figure
        self.rabbit, self.relay = rabbit, relay  # at least so many times the peer's figure
        self.most, self.least = most, least      # at most, at least so much, whatever the peers do
        self.fresh = fresh                       # on a broker that has done nothing before
        self.seconds, self.peers = seconds, peers
        self.rabbit_args = rabbit_args           # for RabbitMQ only
        # A row that is run right after this one on the same broker; without args of its own it
        # is another figure of the same run.
        self.follows = follows
        self.share = share  # at least such a part of Leveret's figure in the row that it follows
        self.sync = sync    # {'p50': n}: a latency of at most n times the disk's own median
        self.third = third  # which of p50 and p99 have to be a third of RabbitMQ's
        self.tls = tls
        self.dearer = dearer  # ns per message above the row that it follows, at most

    def is_latency(self):
        return self.figure in ('latency', 'confirm')

    def more_is_better(self):
        return not self.is_latency() and self.figure != 'bytes_per_connection'

    def aims(self):
        words = []
        if self.rabbit:
            words.append(f'≥ {self.rabbit:g} × RabbitMQ')
        if self.relay:
            words.append(f'≥ {self.relay:g} of the relay')
        if self.most:
            words.append(f'≤ {self.most:,}')
        if self.least:
            words.append(f'≥ {short(self.least)}')
        if self.share:
            words.append(f'≥ {self.share:.2g} of the row above')
        if self.dearer:
            words.append(f'≤ {self.dearer} ns more than the row above')
        for name, times in (self.sync or {}).items():
            words.append(f'{name} ≤ {times} × fdatasync')
        if self.third == 'p99':
            words.append("p50 < RabbitMQ's, p99 ≤ ⅓ of it")
        elif self.third:
            words.append("p50 and p99 ≤ ⅓ of RabbitMQ's")
        return ', '.join(words)


TEN = ['--queues', '10', '--consumers', '10']
DURABLE = ['--persistent', '--durable']
SYNC = 'a sync of the disk'

ROWS = [
    Row('16', '16 B, transient, auto-ack', ['--size', '16'], rabbit=50, relay=0.2),
    Row('1k', '1 KiB, transient, auto-ack', ['--size', '1024'], rabbit=25, relay=0.45),
    Row('64k', '64 KiB, transient, auto-ack', ['--size', '65536'], rabbit=2, relay=0.6),
    Row('100', '100 B, transient, auto-ack', ['--size', '100']),
    Row('100-tls', 'the same over TLS', ['--size', '100'], follows='100', tls=True, dearer=120,
        peers=('leveret',)),
    Row('1k-confirm', '1 KiB, confirm window 1,000, acks',
        ['--size', '1024', '--confirm', '1000', '--ack-every', '100', *ACKS], rabbit=25),
    Row('1k-ack-single', 'the same, every message acked by itself',
        ['--size', '1024', '--confirm', '1000', '--ack-every', '1', '--ack-single', *ACKS]),
    Row('fanout', 'fanout to 10 queues, 16 B (deliveries)',
        ['--size', '16', '--exchange', 'fanout', *TEN], least=6e6),
    Row('topic-1k', 'topic, 1,000 bindings, 10 queues, 16 B (deliveries)',
        ['--size', '16', '--exchange', 'topic', '--bindings', '1000', *TEN], least=1.5e6),
    Row('topic-10k', 'topic, 10,000 bindings, 10 queues, 16 B (deliveries)',
        ['--size', '16', '--exchange', 'topic', '--bindings', '10000', *TEN], least=1.5e6),
    # The user has a yescrypt password, which is remembered from the warm-up on.
    Row('churn', 'connect, publish, close (cycles)', ['--churn', '2', '--durable'],
        figure='cycles_per_broker_cpu_s', relay=0.75),
    Row('churn-channels', 'open a channel, publish, close it (cycles)',
        ['--churn', '2', '--cycle', 'channel'], figure='cycles_per_broker_cpu_s'),
    # The relay has neither: what is deleted or unbound there was hardly there.
    Row('churn-queues', 'declare a queue, publish to it, delete it (cycles)',
        ['--churn', '2', '--cycle', 'queue'], figure='cycles_per_broker_cpu_s',
        peers=('leveret', 'rabbitmq')),
    Row('churn-bindings', 'bind a queue, publish, unbind it (cycles)',
        ['--churn', '2', '--cycle', 'binding'], figure='cycles_per_broker_cpu_s',
        peers=('leveret', 'rabbitmq')),
    Row('latency', '10,000 msg/s, 1 KiB transient: p50 / p99',
        ['--size', '1024', '--rate', '10000'], figure='latency', third='p99'),
    Row('100-durable', '100 B, persistent, confirm window 10,000, every message acked by itself',
        ['--size', '100', '--confirm', '10000', '--ack-every', '1', '--ack-single', *ACKS,
         *DURABLE], least=1e9 / 450),
    Row('1k-durable', '1 KiB, persistent, confirm window 1,000, acks',
        ['--size', '1024', '--confirm', '1000', '--ack-every', '100', *ACKS, *DURABLE], rabbit=30),
    Row('1k-quorum', "the same, RabbitMQ's with a quorum queue",
        ['--size', '1024', '--confirm', '1000', '--ack-every', '100', *ACKS, *DURABLE], rabbit=30,
        peers=('leveret', 'rabbitmq'), rabbit_args=['--queue-type', 'quorum']),
    Row('publish-1k', 'publish only, 1 KiB persistent, confirm window 1,000',
        ['--size', '1024', '--confirm', '1000', '--publish-only', '--keep', *DURABLE]),
    Row('drain-1k', 'then drained with acks', ['--drain', '--ack-every', '100', *ACKS],
        follows='publish-1k', peers=('leveret', 'rabbitmq')),
    Row('queue-1', 'publish only, 100 B persistent, confirm window 10,000 (confirmed/s)',
        ['--size', '100', '--confirm', '10000', '--exchange', 'direct', '--publish-only',
         *DURABLE], figure='confirmed_per_s'),
    Row('queues-1k', 'the same to 1,000 durable queues in turn (confirmed/s)',
        ['--size', '100', '--confirm', '10000', '--exchange', 'direct', '--queues', '1000',
         '--publish-only', *DURABLE], figure='confirmed_per_s', follows='queue-1', share=1 / 3),
    Row('confirm-1', 'confirm latency, 100 B persistent, window 1: p50 / p99',
        ['--size', '100', '--confirm', '1', '--publish-only', *DURABLE], figure='confirm',
        sync={'p50': 2}, peers=('leveret', 'rabbitmq', 'relay', SYNC)),
    Row('confirm-1k', 'confirm latency, 100 B persistent, window 1,000: p50 / p99',
        ['--size', '100', '--confirm', '1000', '--publish-only', *DURABLE], figure='confirm',
        sync={'p99': 10}, peers=('leveret', 'rabbitmq', 'relay', SYNC)),
    # With acks: what RabbitMQ has delivered to a consumer that sends none, it confirms unwritten.
    Row('latency-durable', '10,000 msg/s, 1 KiB persistent, confirms, acks, delivery: p50 / p99',
        ['--size', '1024', '--rate', '10000', '--confirm', '10000', '--ack-every', '100', *ACKS,
         *DURABLE], figure='latency', third='both'),
    Row('latency-confirm', 'the same, confirm: p50 / p99', None, figure='confirm',
        follows='latency-durable', third='both'),
    Row('idle', '1,000 idle connections with a consumer (bytes each)', ['--idle', '1000'],
        figure='bytes_per_connection', most=3072, seconds=1, fresh=True,
        peers=('leveret', 'rabbitmq')),
]


class Disk:
    """No broker: a sync of 4 KiB of zeros that are there already, which no promise can undercut."""

    name = title = SYNC

    def __init__(self, directory):
        self.directory = directory

    def send(self, number):
        pass

    def stop(self):
        pass

    def measure(self, program, row, options):
        command = [program, 'bench', 'fsync', '--dir', str(self.directory), '--json',
                   '--duration', str(row.seconds or options.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=READY_SECONDS + options.seconds)
        if done.returncode != 0:
            return {'good': False, 'error': done.stderr.strip()[-300:]}
        result = json.loads(done.stdout)
        return {'confirm_p50_us': result['fsync_p50_us'],
                'confirm_p99_us': result['fsync_p99_us'], **result}


class Broker:
    """A process to be measured, with its address. Stopped and continued by its pid only."""

    def __init__(self, name, title):
        self.name, self.title = name, title
        self.pid = self.port = self.tls_port = None
        self.authority = None # who vouches for its TLS
        self.process = self.command = self.log = None

    def spawn(self, command, log):
        """Starts a program of ours that says `ready …:PORT`."""
        self.command, self.log = command, log
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=log, text=True)
        self.pid = self.process.pid
        too_late = threading.Timer(READY_SECONDS, self.process.kill)
        too_late.start()
        for line in self.process.stdout:
            if line.startswith('ready'):
                too_late.cancel()
                ports = [int(port) for port in re.findall(r':(\d+)/?(?=\s|$)', line)]
                self.port, self.tls_port = ports[0], ports[-1]
                return
        too_late.cancel()
        sys.exit(f'bench: {command[0]} {command[1]} ended before it was ready')

    def renew(self):
        """A new process in place of one that holds memory from earlier runs."""
        if self.command:
            self.stop()
            self.spawn(self.command, self.log)

    def send(self, number):
        if self.pid is None:
            return
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it has died: the run that finds it gone says so

    def stop(self):
        if self.process is None:
            return
        self.send(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Rabbit(Broker):
    def __init__(self, directory):
        super().__init__('rabbitmq', 'RabbitMQ')
        self.directory = directory

    def start(self):
        started = subprocess.run([ROOT / 'tools/rabbitmq.sh', 'start', self.directory],
                                 stdout=subprocess.PIPE, text=True, check=False)
        if started.returncode != 0:
            sys.exit('bench: rabbitmq-server did not start')
        self.pid, self.port = (int(word) for word in started.stdout.split())

    def stop(self):
        self.send(signal.SIGCONT)
        if self.directory.exists():
            subprocess.run([ROOT / 'tools/rabbitmq.sh', 'stop', self.directory], check=False)


def start_brokers(program, directory, brokers):
    """Leveret, RabbitMQ where it is installed, and the relay; each is in the list before it starts."""
    log = open(directory / 'log', 'ab')
    leveret = Broker('leveret', 'Leveret')
    leveret.authority = directory / 'certs/ca_certificate.pem'
    brokers.append(leveret)
    config = subprocess.run([program, 'cert', '--dir', str(directory / 'certs')],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    (directory / 'leveret.conf').write_text(config)
    leveret.spawn([program, 'serve', '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:0',
                   '--config', str(directory / 'leveret.conf'), '--data-dir',
                   str(directory / 'data')], log)
    if shutil.which('rabbitmq-server') or pathlib.Path('/usr/lib/rabbitmq').exists():
        rabbit = Rabbit(directory / 'rabbitmq')
        brokers.append(rabbit)
        rabbit.start()
    else:
        print('RabbitMQ is not installed: its column stays empty (tools/install.sh peers)')
    relay = Broker('relay', 'relay')
    brokers.append(relay)
    (directory / 'relay').mkdir()
    relay.spawn([program, 'bench', 'relay', '--listen', '127.0.0.1:0', '--log',
                 str(directory / 'relay')], log)
    brokers.append(Disk(directory))


def measure(program, broker, row, options):
    seconds = row.seconds or options.seconds
    warmup = min(1, seconds / 2)
    limit = CONNECTING + warmup + seconds + WINDING_UP
    url = f'amqp://127.0.0.1:{broker.port}'
    if row.tls:
        url = f'amqps://127.0.0.1:{broker.tls_port}?cacertfile={broker.authority}'
    command = [program, 'bench', '--url', url, '--pid', str(broker.pid), '--json', '--quiet',
               '--warmup', str(warmup), '--duration', str(seconds),
               '--patience', str(PATIENCE), '--limit', str(limit), *row.args,
               *(row.rabbit_args if broker.name == 'rabbitmq' else ())]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=limit + 10)
        result = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {'good': False, 'error': f'leveret bench did not end within {limit + 10:g} s'}
    except ValueError:
        return {'good': False, 'error': done.stderr.strip()[-300:] or 'no result'}
    # The relay has no queues: what it is not told to deliver is gone, as it should be.
    if broker.name == 'relay' and row.name.startswith('churn'):
        result['good'] = 'error' not in result
    return result


def figure_of(row, result):
    """The number that counts, or for latencies a pair; None when the run was no good."""
    if not result.get('good'):
        return None
    if row.is_latency():
        return result[f'{row.figure}_p50_us'], result[f'{row.figure}_p99_us']
    return result.get(row.figure)


def is_noisy(row, figures):
    """Did the machine disturb even the relay, which does the same in every round?"""
    values = [v[-1] if row.is_latency() else v for v in figures.get('relay', []) if v]
    return len(values) > 1 and max(values) >= NOISY * min(values)


def more_rounds(row, figures, done, options):
    return done < options.runs or (
        done < BEST_OF and not options.quick and (options.best or is_noisy(row, figures)))


def groups_of(rows):
    """Rows that stand by themselves, each with those that follow it."""
    return [[row] + [other for other in rows if other.follows == row.name]
            for row in rows if row.follows is None]


def run_group(program, broker, group, options):
    """(row, result) of a row and of those that follow it, which want what it has left behind."""
    result = None
    for row in group:
        if broker.name not in row.peers:
            continue
        if broker.name == SYNC:
            result = broker.measure(program, row, options)
        elif row.args is not None:
            result = measure(program, broker, row, options)
        yield row, result


def run_rows(program, brokers, options, record):
    """{row: {broker: [figure of each round]}}"""
    figures = {row.name: {broker.name: [] for broker in brokers if broker.name in row.peers}
               for row in options.rows}
    for group in groups_of(options.rows):
        first, number = group[0], -1
        while more_rounds(first, figures[first.name], number := number + 1, options):
            for broker in (b for b in brokers if b.name in first.peers):
                if first.fresh:
                    broker.renew()
                for other in brokers:
                    other.send(signal.SIGCONT if other is broker else signal.SIGSTOP)
                time.sleep(0.1)
                for row, result in run_group(program, broker, group, options):
                    record.write(json.dumps({'row': row.name, 'broker_name': broker.name,
                                             'round': number, **result}) + '\n')
                    record.flush()
                    figure = figure_of(row, result)
                    figures[row.name][broker.name].append(figure)
                    shown = show(row, figure) if figure else 'FAILED: ' + str(
                        result.get('error') or {k: result[k] for k in (
                            'lost', 'duplicated', 'reordered', 'misrouted') if result.get(k)})
                    print(f'  {row.name} {broker.title} {number + 1}/{options.runs}: {shown}',
                          flush=True)
    return figures


def short(value):
    """1.23 M, 45.6 k, 789"""
    if value >= 1e6:
        return f'{value / 1e6:.3g} M'
    if value >= 1e4:
        return f'{value / 1e3:.3g} k'
    return f'{value:,.0f}'


def show(row, figure):
    if figure is None:
        return '–'
    if row.is_latency():
        return ' / '.join(f'{v:.0f} µs' if v < 1000 else f'{v / 1000:.{1 if v < 1e4 else 0}f} ms' for v in figure)
    return short(figure)


def median_of(row, values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    if row.is_latency():
        return tuple(statistics.median(v[i] for v in values) for i in range(2))
    return statistics.median(values)


def best_of(row, values, highest):
    values = [value for value in values if value is not None]
    if not values:
        return None
    if row.is_latency():
        return min(values, key=lambda pair: pair[1])  # both of one round, the one with the best p99
    return max(values) if highest else min(values)


def ratios_of(row, figures, peer):
    """Leveret's figure over the peer's, round by round."""
    ratios = []
    for ours, theirs in zip(figures['leveret'], figures.get(peer, [])):
        if ours is None or theirs is None:
            continue
        if row.is_latency():
            ratios.append((ours[0] / theirs[0], ours[1] / theirs[1]))
        elif theirs:
            ratios.append(ours / theirs)
    return ratios


def show_ratio(row, ratio):
    if ratio is None:
        return '–'
    if row.is_latency():
        return ' / '.join(f'{r:.2f}' for r in ratio)
    return f'{ratio:.0f}' if ratio >= 10 else f'{ratio:.2g}'


def best_ratio(row, figures, peer):
    """Of both brokers' best rounds: noise takes from either, and a bad round of the peer's must
    not make Leveret look good."""
    highest = row.more_is_better()
    ours = best_of(row, figures['leveret'], highest)
    theirs = best_of(row, figures.get(peer, []), highest)
    if not ours or not theirs:
        return None
    if row.is_latency():
        return ours[0] / theirs[0], ours[1] / theirs[1]
    return ours / theirs


def show_ratios(row, figures, peer):
    """The median, and that of the best rounds where it differs."""
    median = show_ratio(row, median_of(row, ratios_of(row, figures, peer)))
    best = show_ratio(row, best_ratio(row, figures, peer))
    return median if best == median else f'{median} (best {best})'


def share_of(row, all_figures, best):
    """Leveret's figure as a part of the one in the row before it."""
    mine, whole = (all_figures[name]['leveret'] for name in (row.name, row.follows))
    if best:
        mine, whole = ([best_of(row, values, True)] for values in (mine, whole))
    shares = [one / all_of_it for one, all_of_it in zip(mine, whole) if one and all_of_it]
    return statistics.median(shares) if shares else None


def dearer_of(row, all_figures, best):
    """Nanoseconds per message that Leveret takes more than in the row before it."""
    mine, less = (all_figures[name]['leveret'] for name in (row.name, row.follows))
    if best:
        mine, less = ([best_of(row, values, True)] for values in (mine, less))
    more = [1e9 / one - 1e9 / other for one, other in zip(mine, less) if one and other]
    return statistics.median(more) if more else None


def syncs_of(row, figures, best):
    """Leveret's latencies in medians of the disk's own sync, measured in the same round."""
    ours, disk = (figures.get(name, []) for name in ('leveret', SYNC))
    if best:
        ours, disk = ([best_of(row, values, False)] for values in (ours, disk))
    pairs = [(us, sync[0]) for us, sync in zip(ours, disk) if us and sync]
    if not pairs:
        return None
    return {name: statistics.median(us[i] / sync for us, sync in pairs)
            for i, name in enumerate(('p50', 'p99'))}


def verdict(row, all_figures, best):
    """yes, no, or nothing where there is no aim or no peer to compare with. With `best` the best
    rounds count and not the median."""
    figures = all_figures[row.name]
    if best:
        ours = best_of(row, figures['leveret'], row.more_is_better())
        rabbit, relay = (best_ratio(row, figures, peer) for peer in ('rabbitmq', 'relay'))
    else:
        ours = median_of(row, figures['leveret'])
        rabbit, relay = (median_of(row, ratios_of(row, figures, peer))
                         for peer in ('rabbitmq', 'relay'))
    if ours is None:
        return 'no'
    checks = []
    if row.rabbit and rabbit is not None:
        checks.append(rabbit >= row.rabbit)
    if row.relay and relay is not None:
        checks.append(relay >= row.relay)
    if row.most:
        checks.append(ours <= row.most)
    if row.least:
        checks.append(ours >= row.least)
    if row.third and rabbit is not None:
        checks.append((rabbit[0] < 1 if row.third == 'p99' else rabbit[0] <= 1 / 3) and
                      rabbit[1] <= 1 / 3)
    if row.share and share_of(row, all_figures, best) is not None:
        checks.append(share_of(row, all_figures, best) >= row.share)
    if row.dearer and (more := dearer_of(row, all_figures, best)) is not None:
        checks.append(more <= row.dearer)
    for name, times in (row.sync or {}).items():
        if found := syncs_of(row, figures, best):
            checks.append(found[name] <= times)
    if not checks:
        return ''
    return ('yes' if all(checks) else 'no') + (' (best)' if best else '')


def against(row, all_figures, best):
    """What an aim that is no peer's comes to: behind the aim, in brackets."""
    if row.share and (share := share_of(row, all_figures, best)) is not None:
        return f' (here {share:.2g})'
    if row.dearer and (more := dearer_of(row, all_figures, best)) is not None:
        return f' (here {more:.0f})'
    figures = all_figures[row.name]
    if row.sync and (found := syncs_of(row, figures, best)):
        disk = median_of(row, figures[SYNC])
        return f' ({show(row, disk)}; here {", ".join(f"{found[k]:.2g} ×" for k in row.sync)})'
    return ''


def table(rows, all_figures, always_best):
    lines = ['| messages per broker-CPU-second | RabbitMQ | relay | Leveret | × RabbitMQ | of the '
             'relay | aim | met |', '|---|--:|--:|--:|--:|--:|---|---|']
    for row in rows:
        figures = all_figures[row.name]
        cells = [show(row, median_of(row, figures.get(peer, [])))
                 for peer in ('rabbitmq', 'relay', 'leveret')]
        cells += [show_ratios(row, figures, peer) for peer in ('rabbitmq', 'relay')]
        best = always_best or is_noisy(row, figures)
        lines.append('| ' + ' | '.join([row.title, *cells, row.aims() + against(
            row, all_figures, best), verdict(row, all_figures, best)]) + ' |')
    return '\n'.join(lines)


def aligned(text):
    """The same table with columns of equal width, for a terminal."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines()]
    del rows[1]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(cell.ljust(width) if i in (0, 6) else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths)))
                     for row in rows)


def record_table(path, text):
    """Replaces what stands between the two comments of a page."""
    begin, end = '<!-- table -->\n', '<!-- end of table -->'
    before, rest = path.read_text().split(begin, 1)
    path.write_text(before + begin + text + end + rest.split(end, 1)[1])


def machine():
    model = platform.machine()
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            model = line.split(':', 1)[1].strip()
            break
    rabbit = subprocess.run(['dpkg-query', '-W', '-f=${Version}', 'rabbitmq-server'],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=False).stdout or 'not installed'
    return f'{os.cpu_count()} × {model}, Linux {platform.release()}, rabbitmq-server {rabbit}'


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    parser.add_argument('--dir', type=pathlib.Path,
                        help='brokers keep their files below DIR [the build directory]')
    parser.add_argument('--quick', action='store_true', help='one short round: does it work?')
    parser.add_argument('--runs', type=int, help='rounds [3]')
    parser.add_argument('--seconds', type=float, help='measured in each run [4]')
    parser.add_argument('--best', action='store_true',
                        help=f'the best of {BEST_OF} rounds counts, not their median')
    parser.add_argument('--only', help='rows, separated by commas')
    parser.add_argument('--record', type=pathlib.Path, metavar='FILE',
                        help='put the table into FILE, between its comments `table` and `end of table`')
    parser.add_argument('--list', action='store_true', help='name the rows and end')
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 4)
    wanted = options.only.split(',') if options.only else [row.name for row in ROWS]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        parser.error(f'no row {", ".join(unknown)} (there are {" ".join(r.name for r in ROWS)})')
    wanted += [row.follows for row in ROWS if row.name in wanted and row.follows]
    options.rows = [row for row in ROWS if row.name in wanted]
    return options


def make_directory(below):
    """A place for brokers to keep their files, in which a sync is one."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='work-', dir=below))
    kind = subprocess.run(['stat', '-f', '-c', '%T', directory], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    if kind in ('tmpfs', 'ramfs'):
        directory.rmdir()
        sys.exit(f'bench: {below} is in memory, where every disk is fast: say --dir DIR')
    return directory


def main():
    options = parse()
    if options.list:
        for row in ROWS:
            run = f'leveret bench {" ".join(row.args)}' if row.args else f'as {row.follows}'
            after = f' (after {row.follows})' if row.args and row.follows else ''
            print(f'{row.name:15} {row.title}: {run}{after}')
        return 0
    program = str(options.build.resolve() / 'leveret')
    output = options.build.resolve() / 'bench'
    output.mkdir(parents=True, exist_ok=True)
    directory = make_directory(options.dir or output)
    brokers, all_figures = [], {}
    # Told to end, it still ends the brokers, some of which are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('bench: terminated'))
    try:
        start_brokers(program, directory, brokers)
        print(machine(), flush=True)
        with open(output / 'results.jsonl', 'w') as record:
            all_figures = run_rows(program, brokers, options, record)
    finally:
        for broker in brokers:
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    text = table(options.rows, all_figures, options.best)
    command = f'make bench{" QUICK=1" if options.quick else ""}'
    (output / 'table.md').write_text(
        f'{text}\n\n{machine()}; {options.runs} rounds of {options.seconds:g} s; `{command}`.\n')
    if options.record:
        record_table(options.record, (output / 'table.md').read_text())
    print('\n' + aligned(text) + f'\n\n{output}/results.jsonl, {output}/table.md')
    failed = any(figure is None for figures in all_figures.values()
                 for values in figures.values() for figure in values)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
