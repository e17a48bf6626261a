"""How both scripts find the broker and log in."""

import os
import sys

import pika

CREDENTIALS = ".amqp-credentials"


def credentials():
    """User and password, the two lines of a file that is not for the repository."""
    try:
        with open(CREDENTIALS, encoding="utf-8") as file:
            user, password = file.read().splitlines()[:2]
    except FileNotFoundError:
        sys.exit(f"No file {CREDENTIALS} here: copy amqp-credentials.example and edit it.")
    except ValueError:
        sys.exit(f"{CREDENTIALS} wants two lines: user and password.")
    return pika.PlainCredentials(user, password)


def connect():
    """An open connection to AMQP_URL, which needs no password in it."""
    url = os.environ.get("AMQP_URL", "amqp://localhost:5672")
    parameters = pika.URLParameters(url)
    parameters.credentials = credentials()
    try:
        return pika.BlockingConnection(parameters)
    except pika.exceptions.ProbableAuthenticationError:
        sys.exit(f"The broker at {parameters.host} refused user and password of {CREDENTIALS}.")
    except pika.exceptions.AMQPConnectionError as error:
        sys.exit(f"No broker at {parameters.host}:{parameters.port}: {error or 'refused'}")
