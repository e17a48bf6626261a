"""The users of the matrix, and an operator who makes them.

A user for every set of permissions and every tag: his name says what he may do, so that a check can
tell what a method has to answer him.
"""

import base64
import hashlib
import json
import os
import secrets
import tempfile

import ctl

# What a pattern may let through: nothing, the one half of the names, the other, all.
PATTERNS = {"n": "", "1": "^one", "2": "^two", "a": ".*"}
TAGS = ("none", "management", "policymaker", "monitoring", "administrator")
PASSWORD = "a password of the matrix"


def hash_of(password):
    """RabbitMQ's: the salt, then SHA-256 of salt and password (rabbit_password_hashing_sha256)."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class User:
    """`sets` are three letters of PATTERNS: for configure, write and read."""

    def __init__(self, prefix, sets, tag):
        self.sets = sets
        self.tag = tag
        self.name = f"{prefix}.{sets}.{tag}"

    def may(self, permission, name):
        """Does the pattern let the name through?"""
        allowed = self.sets["cwr".index(permission)]
        start = {"n": None, "1": "one", "2": "two", "a": ""}[allowed]
        return start is not None and name.startswith(start)


def users(prefix):
    """Configure is all or nothing, since no method asks for it of two things."""
    return [
        User(prefix, configure + write + read, tag)
        for configure in "na"
        for write in PATTERNS
        for read in PATTERNS
        for tag in TAGS
    ]


class Names:
    """What is made before the checks and removed after them."""

    def __init__(self):
        self.vhost = os.environ.get("LEVERET_CHECK_VHOST") or f"check.{secrets.token_hex(4)}"
        self.users = users(self.vhost)

    def definitions(self):
        secret = hash_of(PASSWORD)
        return {
            "vhosts": [{"name": self.vhost}],
            "users": [
                {
                    "name": user.name,
                    "password_hash": secret,
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "" if user.tag == "none" else user.tag,
                }
                for user in self.users
            ],
            "permissions": [
                {
                    "user": user.name,
                    "vhost": self.vhost,
                    "configure": PATTERNS[user.sets[0]],
                    "write": PATTERNS[user.sets[1]],
                    "read": PATTERNS[user.sets[2]],
                }
                for user in self.users
            ],
        }

    def make(self):
        load(self.definitions())

    def remove(self):
        run("delete_vhost", self.vhost)
        for user in self.users:
            if ctl.IS_LEVERET:  # beside RabbitMQ this would take minutes, and nobody minds them
                run("delete_user", user.name)


def run(*arguments):
    """Must succeed."""
    status, said, wrong = ctl.run("-q", *arguments)
    assert status == 0, (arguments, said, wrong)


def load(definitions):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(definitions, file)
        file.flush()
        os.chmod(file.name, 0o644)
        run("import_definitions", file.name)
