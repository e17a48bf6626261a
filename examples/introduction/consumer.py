#!/usr/bin/python3
"""Works on jobs that are shared with other workers, or listens to news.

    consumer.py jobs --name anna    takes a job, works, acks, takes the next
    consumer.py news --name bert    prints whatever is published from now on
"""

import argparse
import signal
import sys

import broker


class Worker:
    """Takes jobs from a queue that any number of workers share."""

    def __init__(self, channel, options):
        self.channel = channel
        self.options = options
        self.done = 0

    def start(self):
        self.channel.queue_declare(self.options.queue, durable=True)
        # One job at a time: the broker gives the next one only after the ack of the last, and
        # until then to whoever is free. Without it, a slow worker would be dealt its share of the
        # jobs at once and sit on them while another has nothing to do.
        self.channel.basic_qos(prefetch_count=self.options.prefetch)
        self.channel.basic_consume(self.options.queue, self.work)
        print(f"{self.options.name}: waiting for jobs", flush=True)

    def work(self, channel, method, _properties, body):
        job = body.decode()
        again = " again" if method.redelivered else ""
        print(f"{self.options.name}: took{again} {job}", flush=True)
        seconds = self.options.heavy if job.endswith("heavy") else self.options.light
        channel.connection.sleep(seconds)  # unlike time.sleep() this goes on with heartbeats
        # Only now may the broker forget the job. If this worker dies before, another one gets it.
        channel.basic_ack(method.delivery_tag)
        print(f"{self.options.name}: finished {job}", flush=True)
        self.done += 1
        if self.done == self.options.count:
            channel.stop_consuming()


class Subscriber:
    """Hears what is published while it listens, beside all other subscribers."""

    def __init__(self, channel, options):
        self.channel = channel
        self.options = options
        self.heard = 0

    def start(self):
        self.channel.exchange_declare(self.options.exchange, "fanout")
        # A queue of its own, named by the broker and gone with the connection.
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, self.options.exchange)
        self.channel.basic_consume(queue, self.hear, auto_ack=True)
        print(f"{self.options.name}: listening", flush=True)

    def hear(self, channel, _method, _properties, body):
        print(f"{self.options.name}: heard {body.decode()}", flush=True)
        self.heard += 1
        if self.heard == self.options.count:
            channel.stop_consuming()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="me", help="printed before each line (%(default)s)")
    common.add_argument("--count", type=int, help="stop after so many messages")
    kinds = parser.add_subparsers(required=True)
    jobs = kinds.add_parser("jobs", parents=[common], help="share jobs with other workers")
    jobs.add_argument("--queue", default="jobs", help="the queue of the jobs (%(default)s)")
    jobs.add_argument("--heavy", type=float, default=2, help="seconds a heavy job takes")
    jobs.add_argument("--light", type=float, default=0.1, help="seconds a light job takes")
    jobs.add_argument("--prefetch", type=int, default=1, help="jobs at a time; 0 is no limit")
    jobs.set_defaults(role=Worker)
    news = kinds.add_parser("news", parents=[common], help="hear what everybody hears")
    news.add_argument("--exchange", default="news", help="the fanout exchange (%(default)s)")
    news.set_defaults(role=Subscriber)
    return parser.parse_args()


def interrupt(_signal, _frame):
    raise KeyboardInterrupt


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, interrupt)
    connection = broker.connect()
    channel = connection.channel()
    options.role(channel, options).start()
    try:
        channel.start_consuming()
    except KeyboardInterrupt:
        pass
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
