"""Where settings come from, what goes over what, and what is said about those that are wrong."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import broker
import harness
import scene
import wire
from harness import check

MANUAL = pathlib.Path(__file__).resolve().parents[3] / "docs" / "manual.md"
BLOCK = re.compile(r"<!-- config: (\w+) -->\n```\w*\n(.*?)```", re.DOTALL)
SCHEMAS = pathlib.Path("/usr/lib/rabbitmq")


def place(**files):
    """A directory of its own with these files in it."""
    name = tempfile.mkdtemp(prefix="leveret-config-")
    harness.cleanup(shutil.rmtree, name)
    for file, text in files.items():
        path = pathlib.Path(name) / (file + ".conf")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return pathlib.Path(name)


def clean(**more):
    """The environment without what other brokers left in it."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")},
        **more,
    }


def examine(*words, **environment):
    return broker.run("serve", "--check-config", *words, env=clean(**environment))


def assert_wrong(*hints, words=(), **environment):
    status, out, said = examine(*words, **environment)
    assert (status, out) == (2, ""), (status, out, said)
    for hint in hints:
        assert hint in said, (hint, said)
    return said


def tuned():
    connection = wire.Wire()
    connection.start()
    connection.log_in()
    tune = connection.expect("connection.tune", 0)
    return tune.heartbeat, tune.channel_max, tune.frame_max


@check
def a_good_file_is_ok_and_starts_nothing():
    at = place(a="heartbeat = 30\n")
    status, out, said = examine("--config", at / "a.conf", "--data-dir", at / "data")
    assert (status, said) == (0, ""), said
    assert out == f"read: {at}/a.conf\nok\n", out
    assert not (at / "data").exists()


@check
def everything_that_is_wrong_is_said_at_once_with_its_line():
    path = place(a="heartbeat = often\n\nchanel_max = 5\nmqtt.vhost = /\nnonsense\n") / "a.conf"
    said = assert_wrong(
        f"{path}:1: heartbeat is a whole number from 0 to 65535 (s), not \"often\"",
        f'{path}:3: there is no setting "chanel_max"; did you mean "channel_max"?',
        f"{path}:4: mqtt.vhost is not supported: there is no MQTT",
        f"{path}:5: a line is `name = value`",
        words=("--config", path),
    )
    assert len(said.splitlines()) == 4, said
    status, _, again = broker.run("serve", "--config", path, env=clean())
    assert (status, again) == (2, said), again


@check
def what_is_ignored_is_said_by_the_check_and_in_the_log():
    path = place(a="collect_statistics_interval = 5000\n") / "a.conf"
    status, out, _ = examine("--config", path)
    assert status == 0 and f"note: {path}:1: collect_statistics_interval is ignored: " in out, out
    one = scene.start("--config", path)
    assert "config.note" in one.log() and "collect_statistics_interval" in one.log(), one.log()


@check
def options_go_over_the_environment_and_that_over_files():
    path = place(a="heartbeat = 11\nchannel_max = 11\nframe_max = 11000\n"
                   "default_user = of-file\ndefault_pass = of-file\n"
                   "listeners.tcp.default = 127.0.0.1:1\n") / "a.conf"  # fmt: skip
    scene.start(
        "--config", path, "--set", "channel_max=33",
        env=clean(RABBITMQ_DEFAULT_USER="guest", RABBITMQ_DEFAULT_PASS="guest",
                  RABBITMQ_NODE_PORT="2"),
    )  # fmt: skip
    assert tuned() == (11, 33, 11000), tuned()


@check
def files_are_those_of_the_environment_when_no_option_names_one():
    at = place(main="heartbeat = 11\nchannel_max = 11\n")
    (at / "more").mkdir()
    (at / "more" / "20.conf").write_text("channel_max = 22\n")
    (at / "more" / "10.conf").write_text("channel_max = 21\nframe_max = 10000\n")
    names = {"RABBITMQ_CONFIG_FILE": f"{at}/main", "RABBITMQ_CONFIG_FILES": f"{at}/more"}
    one = scene.start(env=clean(**names))
    assert tuned() == (11, 22, 10000), tuned()
    one.stop()
    status, out, _ = examine(**names)
    assert status == 0 and out.count("read: ") == 3, out
    status, out, _ = examine("--config", "/dev/null", **names)
    assert status == 0 and out == "read: /dev/null\nok\n", out


@check
def the_environment_of_rabbitmqs_image_sets_user_and_port():
    with wire.socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = scene.start(
        listen=(),
        env=clean(RABBITMQ_NODE_PORT=str(port), RABBITMQ_DEFAULT_USER="app",
                  RABBITMQ_DEFAULT_PASS="s3cret"),
    )  # fmt: skip
    assert one.ports == [port] and "[::]" in one.lines[-1], one.lines
    harness.USER, harness.PASSWORD = "app", "s3cret"
    done = subprocess.run(
        [broker.PROGRAM, "publish", "--declare", "q", "x", "--url",
         f"amqp://app:s3cret@127.0.0.1:{port}"], timeout=15, check=False,
    )  # fmt: skip
    assert done.returncode == 0


@check
def variables_that_can_not_be_obeyed_are_refused_and_others_are_not_looked_at():
    assert_wrong("RABBITMQ_DEFAULT_PASS_FILE is not read", words=("--config", "/dev/null"),
                 RABBITMQ_DEFAULT_PASS_FILE="/run/secrets/x")  # fmt: skip
    assert_wrong("RABBITMQ_NODE_PORT: ", words=("--config", "/dev/null"),
                 RABBITMQ_NODE_PORT="tcp://10.0.0.1:5672")  # fmt: skip
    status, _, said = examine("--config", "/dev/null", RABBITMQ_SERVICE_HOST="10.0.0.1",
                              RABBITMQ_PORT="tcp://10.0.0.1:5672")  # fmt: skip
    assert (status, said) == (0, "")


@check
def what_is_no_file_in_that_format_is_refused_with_its_name():
    at = place(
        long="a = " + "x" * (1 << 20), line="x" * 1000000 + "\n", zero=b"heartbeat = 1\0\n",
        quote="default_pass = 'open\n", classic="[{rabbit, [{heartbeat, 1}]}].\n",
        wide="heartbeat = 1\n".encode("utf-16"),
    )  # fmt: skip
    for name, hint in (
        ("long", "is longer than 1048576 bytes"), ("line", ":1: a line is `name = value`"),
        ("zero", ":1: byte 14 of the line is 0x00"), ("quote", "begins with ' and does not end so"),
        ("classic", "classic format"), ("wide", ":1: byte "),
    ):  # fmt: skip
        said = assert_wrong(str(at / name), hint, words=("--config", at / f"{name}.conf"))
        assert len(said) < 500, len(said)
    assert_wrong(f"can't read {at}: Is a directory", words=("--config", at))
    assert_wrong("No such file or directory", words=("--config", at / "none.conf"))


@check
def a_file_that_may_not_be_read_is_refused():
    path = place(a="heartbeat = 1\n") / "a.conf"
    path.chmod(0)
    other = {}
    if os.geteuid() == 0:  # whom no mode keeps out
        path.parent.chmod(0o755)
        other = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            broker.run("--version", **other)
        except OSError as error:
            print(f"skip config.a_file_that_may_not_be_read_is_refused {error}", flush=True)
            return
    status, _, said = broker.run("serve", "--check-config", "--config", path, env=clean(), **other)
    assert status == 2 and f"can't read {path}: Permission denied" in said, said


@check
def a_long_file_is_read_in_milliseconds():
    text = "".join(f"loopback_users.user-{number} = false\n" for number in range(1900))
    path = place(a=text) / "a.conf"
    began = time.monotonic()
    status, out, _ = examine("--config", path)
    took = time.monotonic() - began
    print(f"1900 lines took {took * 1000:.1f} ms with the program's start", flush=True)
    assert status == 0 and out.endswith("ok\n"), out
    assert took < 2, took


@check
def every_key_of_debians_rabbitmq_is_judged():
    keys = sorted(
        {
            re.sub(r"\$\w+", "x", key)
            for schema in SCHEMAS.glob("lib/*/plugins/*/priv/schema/*.schema")
            for key in re.findall(r'\{mapping,\s*"([^"]+)"', schema.read_text(encoding="utf-8"))
        }
    )
    if not keys:
        print(f"skip config.every_key_of_debians_rabbitmq_is_judged nothing in {SCHEMAS}", flush=True)
        return
    for begin in range(0, len(keys), 50):
        some = keys[begin : begin + 50]
        path = place(a="".join(f"{key} = 1\n" for key in some)) / "a.conf"
        _, out, said = examine("--config", path)
        assert "there is no setting" not in said, said
        assert "more" not in (out + said).splitlines()[-1].split(), said
    print(f"{len(keys)} keys", flush=True)


@check
def the_manuals_example_is_what_the_manual_says():
    blocks = dict(BLOCK.findall(MANUAL.read_text(encoding="utf-8")))
    at = place(leveret=blocks["file"])
    link = at / "leveret"
    link.symlink_to(os.path.abspath(broker.PROGRAM))
    for step in re.split(r"^\$ ", blocks["check"], flags=re.M)[1:]:
        command, wanted = step.split("\n", 1)
        done = subprocess.run(
            ["bash", "-c", command], cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean(PATH=f"{at}:{os.environ['PATH']}"), text=True, timeout=15, check=False,
        )  # fmt: skip
        assert done.stdout == wanted, (command, done.stdout, wanted)
