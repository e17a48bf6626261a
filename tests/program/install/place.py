"""Installations into directories that go with their check."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import broker
import harness

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Place:
    """A DESTDIR."""

    def __init__(self, **settings):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="leveret-install-"))
        harness.cleanup(shutil.rmtree, self.path)
        self.settings = {"prefix": "/usr", **settings}

    def make(self, what, status=0, **more):
        """`make install` does this when the program is built."""
        environment = {**os.environ, "DESTDIR": str(self.path), **self.settings, **more}
        done = subprocess.run(
            [ROOT / "packaging" / "install.sh", what, os.path.abspath(broker.PROGRAM)],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def __truediv__(self, path):
        return self.path / path.lstrip("/")

    def files(self):
        """What is there besides directories, by its path without DESTDIR."""
        return {
            "/" + str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }


def commands():
    """The program's commands, as its help lists them."""
    status, said, _ = broker.run("--help")
    assert status == 0
    names = [line.split()[1] for line in said.splitlines() if line.startswith("  leveret ")]
    assert "serve" in names and "ctl" in names, names
    return names
