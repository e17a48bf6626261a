"""What happens until the line `ready`, and what is said when it does not come."""

import os
import pathlib
import shutil
import socket
import tempfile
import time

import broker
import harness
import scene
import wire
from harness import check

ROOT = pathlib.Path(__file__).resolve().parents[3]


@check
def ready_says_where_it_listens_when_the_kernel_chose_the_port():
    one = scene.start()
    assert one.lines[-1] == f"ready amqp://127.0.0.1:{one.port}", one.lines
    assert one.port != 0
    scene.speaks()
    one.stop()


@check
def the_first_lines_say_what_an_operator_needs():
    one = scene.start()
    text = "\n".join(one.lines)
    assert one.data_dir in text, text
    assert "outlive a restart" in text, text
    assert "guest" in text and "from this machine only" in text, text
    assert "leveret publish" in text, text


@check
def it_listens_on_every_address_it_was_given():
    one = scene.start(listen=("127.0.0.1:0", "127.0.0.2:0", "[::1]:0"))
    assert len(one.ports) == 3, one.lines
    for host, port in zip(("127.0.0.1", "127.0.0.2", "::1"), one.ports):
        harness.PORT = port
        scene.speaks(host)


@check
def a_port_alone_means_all_addresses():
    one = scene.start(listen=("0",))
    scene.speaks("127.0.0.1")
    scene.speaks("127.0.0.3")
    assert "[::]" in one.lines[-1], one.lines


@check
def it_accepts_soon_after_exec_and_is_small():
    one = scene.start()
    wire.connect_with_channel().close()
    resident = one.resident_kib()
    print(f"ready after {one.ready_seconds * 1000:.1f} ms, {resident} KiB resident", flush=True)
    assert one.ready_seconds < 1, one.ready_seconds  # 20 ms are the aim on a quiet machine
    assert resident < 10 * 1024 or broker.is_sanitized(), resident


def count_shards(pid):
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/comm")
    return sum(name.read_text(encoding="utf-8").startswith("shard ") for name in threads)


@check
def one_shard_or_three_all_serve():
    one = scene.start("--shards", "3")
    harness.eventually(lambda: count_shards(one.pid) == 3, "three threads have named themselves")
    for _ in range(6):
        wire.connect_with_channel().close()
    one.stop()


@check
def a_taken_port_is_named_with_its_holder():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, said = broker.run(
            "serve", "--data-dir", f"/tmp/leveret-serve-{os.getpid()}", "--listen",
            f"127.0.0.1:{port}",
        )  # fmt: skip
    shutil.rmtree(f"/tmp/leveret-serve-{os.getpid()}")
    assert status == 1, (status, said)
    assert f"127.0.0.1:{port}: the port is taken by" in said, said
    assert f"(process {os.getpid()})" in said, said


@check
def a_second_broker_in_one_directory_is_refused_by_name():
    one = scene.start()
    status, _, said = broker.run("serve", "--data-dir", one.data_dir, "--listen", "127.0.0.1:0")
    assert status == 1, (status, said)
    assert f"(process {one.pid})" in said and one.data_dir in said, said
    scene.speaks()


@check
def a_directory_is_free_again_after_kill():
    one = scene.start()
    one.process.kill()
    one.process.wait()
    status, out, said = broker.run("serve", "--data-dir", one.data_dir, "--listen", "nonsense")
    assert status == 2, (status, out, said)
    two = broker.subprocess.Popen(
        [broker.PROGRAM, "serve", "--data-dir", one.data_dir, "--listen", "127.0.0.1:0"],
        stdout=broker.subprocess.PIPE, text=True,
    )  # fmt: skip
    harness.cleanup(two.wait)
    harness.cleanup(two.terminate)
    assert any(line.startswith("ready") for line in two.stdout)


def assert_usage(words, *hints):
    status, out, said = broker.run(*words)
    assert status == 2, (words, status, out, said)
    assert out == "", out
    for hint in hints:
        assert hint in said, (words, said)


@check
def bad_options_end_with_2_and_say_what_would_be_right():
    assert_usage(["serve", "--shrads", "3"], "--shrads", "did you mean --shards?")
    assert_usage(["serve", "--shards", "65"], "from 0 to 64", '"65"')
    assert_usage(["serve", "--listen", "localhost"], "HOST:PORT", "127.0.0.1:5672")
    assert_usage(["serve", "--listen"], "--listen needs a value")
    assert_usage(["serve", "--set", "hartbeat=1"], 'did you mean "heartbeat"?')
    assert_usage(["serve", "--set", "heartbeat"], "NAME=VALUE")
    assert_usage(["serve", "--set", "frame_max=5"], "from 8192")
    assert_usage(["serve", "extra"], '"extra" is one argument too many')
    assert_usage(["serve", "--config", "/no/such/file"], "/no/such/file")


@check
def an_unknown_command_gets_the_nearest_one():
    assert_usage(["srve"], "did you mean `leveret serve`?")
    assert_usage(["zzzzzzzz"], "there is no command `zzzzzzzz`")
    assert_usage(["docs", "settngs"], "settings, limits, example and man")


@check
def without_a_command_it_says_what_it_can_do():
    for words in ([], ["--help"], ["help"]):
        status, out, said = broker.run(*words)
        assert (status, said) == (0, ""), (words, status, said)
        assert "leveret serve" in out and "run the broker" in out, out


@check
def help_and_version_work_everywhere():
    for words in ([], ["serve"], ["docs"]):
        status, out, _ = broker.run(*words, "--version")
        assert status == 0 and out.startswith("leveret "), (words, out)
        status, out, _ = broker.run(*words, "--help")
        assert status == 0 and "leveret" in out, (words, out)
    assert "vm_memory_high_watermark = 0.6" in broker.run("serve", "--help")[1]


@check
def the_pages_in_docs_are_those_that_the_program_prints():
    for page in ("settings", "limits"):
        status, out, said = broker.run("docs", page)
        assert (status, said) == (0, ""), said
        there = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        assert there == out, f"docs/{page}.md is out of date: leveret docs {page} > docs/{page}.md"


def config_file(text):
    handle, path = tempfile.mkstemp(prefix="leveret-config-", text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    harness.cleanup(os.unlink, path)
    return path


@check
def a_file_in_rabbitmqs_format_is_read_and_the_command_line_goes_over_it():
    path = config_file(
        "# as for RabbitMQ\n"
        "listeners.tcp.default = 127.0.0.1:1\n"
        "heartbeat = 17\nchannel_max = 99 # few\nproduct_version = '3.13.0'\n"
    )
    one = scene.start("--config", path, "--set", "channel_max=100")
    assert len(one.ports) == 1, one.lines
    connection = wire.Wire()
    start = connection.start()
    assert start.properties["version"] == b"3.13.0", start
    connection.log_in()
    tune = connection.expect("connection.tune", 0)
    assert (tune.heartbeat, tune.channel_max) == (17, 100), tune


@check
def what_is_wrong_in_a_file_is_named_with_its_line():
    path = config_file("heartbeat = 17\n\nchanel_max = 5\n")
    assert_usage(["serve", "--config", path], f"{path}:3:", 'did you mean "channel_max"?')
    path = config_file("heartbeat = often\n")
    assert_usage(["serve", "--config", path], f"{path}:1:", "from 0 to 65535")


@check
def a_silent_connection_is_cut_off_after_the_handshakes_time():
    scene.start("--set", "handshake_timeout=200")
    began = time.monotonic()
    wire.Wire().expect_end(seconds=5)
    assert time.monotonic() - began >= 0.19
