"""The manual's examples of `leveret ctl`, word for word."""

import os
import pathlib
import re
import subprocess

import broker
import scene
from harness import check

MANUAL = pathlib.Path(__file__).resolve().parents[3] / "docs" / "manual.md"
BLOCK = r"<!-- ctl: %s -->\n```console\n(.*?)```"


def follow(example):
    one = scene.start()
    os.symlink(os.path.abspath(broker.PROGRAM), os.path.join(one.directory, "leveret"))
    environment = {
        **os.environ, "NO_COLOR": "1", "STATE_DIRECTORY": one.data_dir,
        "PATH": one.directory + ":" + os.environ["PATH"],
        "LEVERET_URL": f"amqp://127.0.0.1:{one.port}",
    }  # fmt: skip
    text = re.search(BLOCK % example, MANUAL.read_text(encoding="utf-8"), re.DOTALL)[1]
    steps = re.split(r"^\$ ", text, flags=re.M)[1:]
    assert len(steps) >= 5, steps
    for step in steps:
        command, wanted = step.split("\n", 1)
        done = subprocess.run(
            ["bash", "-c", command], env=environment, stdout=subprocess.PIPE, timeout=15,
            stderr=subprocess.STDOUT, text=True, check=False, cwd=one.directory,
        )  # fmt: skip
        assert done.stdout == wanted, (command, done.stdout, wanted)
    assert one.process.poll() == 0


@check
def the_tour_prints_what_the_manual_says():
    follow("tour")


@check
def definitions_are_as_the_manual_says():
    follow("definitions")
