#!/usr/bin/python3
"""Publishes jobs for workers to share, or news for every subscriber.

    producer.py jobs 10               ten jobs; odd ones are heavy, even ones light
    producer.py jobs 1 --key nobody   a job that no queue gets, and how one learns of it
    producer.py news 'hello all'      one message for everybody who listens now
"""

import argparse
import sys

import pika

import broker

# 2 asks the broker to keep the message on disk, as a durable queue is.
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="text/plain")


def publish(channel, exchange, key, text):
    """True once the broker has taken charge of the message; false when no queue got it.

    With confirms on, basic_publish() waits for the broker's answer. `mandatory` makes the broker
    send back what it cannot route instead of dropping it.
    """
    try:
        channel.basic_publish(exchange, key, text.encode(), PERSISTENT, mandatory=True)
    except pika.exceptions.UnroutableError as error:
        returned = error.messages[0].method
        print(f"returned: {text} ({returned.reply_code} {returned.reply_text})", flush=True)
        return False
    print(f"confirmed: {text}", flush=True)
    return True


def publish_jobs(channel, options):
    channel.queue_declare(options.queue, durable=True)
    key = options.queue if options.key is None else options.key
    jobs = (f"job {n} {'heavy' if n % 2 else 'light'}" for n in range(1, options.count + 1))
    lost = [job for job in jobs if not publish(channel, "", key, job)]
    if lost:
        print(f"{len(lost)} of {options.count} jobs went nowhere: no queue is named {key!r}")
    return not lost


def publish_news(channel, options):
    channel.exchange_declare(options.exchange, "fanout")
    unheard = [text for text in options.text if not publish(channel, options.exchange, "", text)]
    if unheard:
        print(f"nobody listens to {options.exchange!r}")
    return not unheard


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(required=True)
    jobs = kinds.add_parser("jobs", help="publish jobs for workers to share")
    jobs.add_argument("count", type=int, help="how many")
    jobs.add_argument("--queue", default="jobs", help="the queue to declare (%(default)s)")
    jobs.add_argument("--key", help="routing key, if not the name of the queue")
    jobs.set_defaults(publish=publish_jobs)
    news = kinds.add_parser("news", help="publish to every subscriber")
    news.add_argument("text", nargs="+", help="one message each")
    news.add_argument("--exchange", default="news", help="the fanout exchange (%(default)s)")
    news.set_defaults(publish=publish_news)
    return parser.parse_args()


def main():
    options = parse_arguments()
    connection = broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    everything_arrived = options.publish(channel, options)
    connection.close()
    return 0 if everything_arrived else 1


if __name__ == "__main__":
    sys.exit(main())
