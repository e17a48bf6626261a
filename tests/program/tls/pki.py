"""Certificates of every kind, made with openssl, and brokers that use them."""

import contextlib
import os
import shutil
import ssl
import subprocess
import tempfile

import harness
import pika
import pika.exceptions
import scene

CONFIG = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
private_key = %(name)s.key
certificate = %(name)s.pem
unique_subject = no
default_days = 30
[any]
organizationName = optional
commonName = supplied
"""


class Pki:
    """A directory with an authority `ca`, a server `server` for localhost, and more on demand."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="leveret-pki-")
        harness.cleanup(shutil.rmtree, self.directory, True)
        self.authority("ca")
        self.issue("server", "server", "DNS:localhost,IP:127.0.0.1")

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *arguments):
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.directory, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def key(self, name):
        self.openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", f"{name}.key")

    def authority(self, name):
        self.key(name)
        self.openssl("req", "-x509", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "30",
                     "-out", f"{name}.pem")  # fmt: skip
        self.write(f"{name}.cnf", CONFIG % {"name": name})
        self.write("index.txt", "")

    def issue(self, name, usage, alternatives="", subject=None, authority="ca", expired=False):
        """NAME.pem and NAME.key; `usage` is server or client."""
        self.key(name)
        extensions = f"extendedKeyUsage = {usage}Auth\nkeyUsage = digitalSignature\n"
        if alternatives:
            extensions += f"subjectAltName = {alternatives}\n"
        self.write("extensions", extensions)
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", subject or f"/CN={name}",
                     "-out", f"{name}.csr")  # fmt: skip
        dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] if expired else []
        self.openssl("ca", "-batch", "-notext", "-config", f"{authority}.cnf", "-in",
                     f"{name}.csr", "-extfile", "extensions", "-out", f"{name}.pem", *dates)

    def settings(self, **more):
        """Options of `leveret serve`: a server's files, and any ssl_options besides."""
        options = {"certfile": self.path("server.pem"), "keyfile": self.path("server.key"),
                   "cacertfile": self.path("ca.pem"), **more}  # fmt: skip
        words = []
        for name, value in options.items():
            words += ["--set", f"ssl_options.{name.replace('__', '.')}={value}"]
        return words

    def start(self, *arguments, listen=("127.0.0.1:0",), **more):
        """A broker with a port for TLS beside the plain one."""
        return scene.start("--tls-listen", "127.0.0.1:0", *self.settings(**more), *arguments,
                           listen=listen)  # fmt: skip

    def context(self, certificate=None, authority="ca"):
        """What Python's ssl needs to believe the broker, and perhaps to be believed."""
        context = ssl.create_default_context(cafile=self.path(f"{authority}.pem"))
        if certificate:
            context.load_cert_chain(self.path(f"{certificate}.pem"),
                                    self.path(f"{certificate}.key"))  # fmt: skip
        return context

    def url(self, broker, **more):
        """For the program's own commands."""
        query = "&".join(f"{name}={value}" for name, value in
                         {"cacertfile": self.path("ca.pem"), **more}.items())  # fmt: skip
        return f"amqps://guest:guest@localhost:{broker.tls_port}?{query}"

    def verifies(self):
        """The options of a broker that asks for certificates."""
        return {"verify": "verify_peer", "fail_if_no_peer_cert": "true"}


def connect(broker, context, external=False, name="localhost"):
    """pika over TLS."""
    credentials = pika.credentials.ExternalCredentials() if external else (
        pika.PlainCredentials("guest", "guest"))  # fmt: skip
    connection = pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", broker.tls_port, credentials=credentials, heartbeat=0,
        ssl_options=pika.SSLOptions(context, name)))  # fmt: skip
    harness.cleanup(_close, connection)
    return connection


def _close(connection):
    """Also one whose broker has stopped, or that the check has broken."""
    with contextlib.suppress(pika.exceptions.AMQPError, OSError):
        connection.close()


def passes_messages(connection, sizes=(0, 1, 100, 16384, 100_000, 3_000_000), count=3):
    """Bodies of every size there and back."""
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True).method.queue
    bodies = [bytes((i * 7 + size) & 255 for i in range(min(size, 256))) * (size // 256) +
              b"z" * (size % 256) for size in sizes for _ in range(count)]  # fmt: skip
    for body in bodies:
        channel.basic_publish("", queue, body)
    for body in bodies:
        method, _, got = channel.basic_get(queue, auto_ack=True)
        assert method is not None and got == body, (len(got or b""), len(body))


def s_client(broker, *arguments, text="", seconds=10):
    """openssl's own client: exit status and all it says."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{broker.tls_port}", *arguments],
        input=text, capture_output=True, text=True, timeout=seconds, check=False, errors="replace",
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def refused(function, *errors):
    """The error by which it ended."""
    try:
        function()
    except errors as error:
        return error
    raise AssertionError("it was let in")
