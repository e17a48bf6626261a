"""rabbitmqctl, whichever it is: the real one beside RabbitMQ, the program by that name beside Leveret.

Which broker is meant follows from the process LEVERET_PID: its environment names RabbitMQ's node, its
command line Leveret's data directory.
"""

import glob
import json
import os
import pathlib
import socket
import subprocess

SECONDS = 60


def _words(name):
    path = pathlib.Path("/proc") / os.environ["LEVERET_PID"] / name
    return path.read_bytes().decode().split("\0")


IS_LEVERET = any(word.endswith("leveret") for word in _words("cmdline")[:1])


def _leveret():
    words = _words("cmdline")
    process = f"/proc/{os.environ['LEVERET_PID']}"
    directory = os.path.join(process, "cwd", words[words.index("--data-dir") + 1])
    return f"{process}/exe", {"STATE_DIRECTORY": directory}


def _rabbitmq(program):
    wanted = ("HOME", "ERL_EPMD_PORT", "ERL_EPMD_ADDRESS", "RABBITMQ_NODENAME",
              "RABBITMQ_CONF_ENV_FILE", "RABBITMQ_ENABLED_PLUGINS_FILE")  # fmt: skip
    pairs = (word.split("=", 1) for word in _words("environ") if "=" in word)
    programs = glob.glob(f"/usr/lib/rabbitmq/lib/*/sbin/{program}")
    return programs[0], {name: value for name, value in pairs if name in wanted}


def _node():
    if IS_LEVERET:
        return f"leveret@{socket.gethostname()}"
    return _rabbitmq("rabbitmqctl")[1]["RABBITMQ_NODENAME"]


NODE = _node()


def run(*arguments, program="rabbitmqctl", said_to=""):
    """Exit status, standard output, standard error. Bold is left out."""
    executable, names = _leveret() if IS_LEVERET else _rabbitmq(program)
    done = subprocess.run(
        [program, *arguments], executable=executable, env={**os.environ, **names}, check=False,
        input=said_to.encode(), capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    texts = [
        text.decode().replace("\033[1m", "").replace("\033[0m", "")
        for text in (done.stdout, done.stderr)
    ]
    return done.returncode, *texts


def output(*arguments):
    status, said, wrong = run(*arguments)
    assert status == 0, (status, said, wrong)
    assert wrong == "", wrong
    return said


def lines(*arguments):
    """The lines of a list for programs: the header first."""
    return output("-q", *arguments).splitlines()


def rows(*arguments):
    """A list as dictionaries."""
    return json.loads(output("--formatter", "json", *arguments))


def row(key, value, *arguments):
    """The one row that has this."""
    found = [one for one in rows(*arguments) if one[key] == value]
    assert len(found) == 1, found
    return found[0]
