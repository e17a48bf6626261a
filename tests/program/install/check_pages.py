"""The manual pages and the example of settings: all of what the program knows, and well-formed."""

import os
import re
import shutil
import subprocess

import broker
import harness
import place
import scene
from harness import check


def page(name):
    status, said, wrong = broker.run("docs", "man", name)
    assert (status, wrong) == (0, ""), (name, status, wrong)
    return said


def pages():
    return ["leveret", "leveret.conf", *place.commands()]


def rendered(text):
    """As a reader sees it, without bold and underlined letters."""
    done = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-P-c", "-rLL=200n"], input=text, text=True,
        capture_output=True, timeout=15, check=False, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return re.sub(".\b", "", done.stdout)


if shutil.which("groff"):

    @check
    def no_page_has_anything_that_groff_warns_of():
        for name in pages():
            assert "NAME" in rendered(page(name)), name

    @check
    def a_commands_page_has_every_option_of_its_help():
        for name in place.commands():
            if name == "ctl":
                continue  # its help is rabbitmqctl's
            status, help_text, _ = broker.run(name, "--help")
            assert status == 0
            options = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.M))
            text = rendered(page(name))
            listed = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", text, re.M))
            assert options <= listed, (name, options - listed)

    @check
    def the_settings_page_has_every_setting():
        text = rendered(page("leveret.conf"))
        _, settings, _ = broker.run("docs", "settings")
        ours, _ = settings.split("## Keys of RabbitMQ that are no settings here")
        names = re.findall(r"^\| `([^`]+)`", ours, re.M)
        assert len(names) > 10, names
        for name in names:
            assert re.search(rf"^ +{re.escape(name)}\b", text, re.M), name

    @check
    def hyphens_and_dots_come_out_as_they_went_in():
        text = rendered(page("bench"))
        assert "leveret bench --rate 10000 --size 1024" in text
        assert "PREFIX-0, PREFIX-1, … are deleted" in text
        assert "LEVERET BENCH RELAY" in text.upper()

else:
    print("skip pages.groff there is no groff here", flush=True)

if shutil.which("man"):

    @check
    def man_shows_every_page_without_a_warning():
        there = place.Place()
        there.make("install")
        for path in sorted(there.path.rglob("man/man?/*")):
            done = subprocess.run(
                ["man", "--warnings", "-l", path], capture_output=True, text=True, timeout=15,
                env={**os.environ, "MANWIDTH": "100"}, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), (path, done.stderr)
            assert path.stem.upper() in done.stdout, path

else:
    print("skip pages.man there is no man here", flush=True)


@check
def the_overview_names_every_command():
    text = page("leveret")
    for name in place.commands():
        assert f"leveret\\-{name} (1)" in text, name


@check
def ctls_page_has_every_command_and_column():
    text = page("ctl")
    _, listed, _ = broker.run("ctl", "--help", env={**os.environ, "NO_COLOR": "1"})
    names = re.findall(r"^   (\w+) ", listed, re.M)
    assert len(names) > 8, names
    for name in names:
        assert f"\n\\fB{name}\\fR" in text, name
    assert "messages_unacknowledged" in text


@check
def a_page_that_is_not_there_is_named():
    status, said, wrong = broker.run("docs", "man", "nothing")
    assert (status, said) == (2, "") and '"nothing"' in wrong, (status, wrong)
    status, _, wrong = broker.run("docs", "limits", "more")
    assert status == 2 and '"more"' in wrong, (status, wrong)


@check
def every_setting_of_the_example_can_be_made_to_hold():
    """With its default: so the example says no setting that is not there, and none that is wrong."""
    _, text, _ = broker.run("docs", "example")
    lines = [line[2:] for line in text.splitlines() if re.match("# [^#]", line)]
    assert len(lines) > 10, lines
    assert not [line for line in text.splitlines() if len(line) > 100]
    kept = [line for line in lines if not re.match("listeners.tcp|data_dir", line)]
    assert len(kept) == len(lines) - 2, lines
    first = broker.Broker()
    harness.cleanup(first.end)
    path = os.path.join(first.directory, "leveret.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(kept) + "\n")
    one = scene.start("--config", path)
    one.stop()
