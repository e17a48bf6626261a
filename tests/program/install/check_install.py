"""`make install` and `make uninstall`."""

import os
import subprocess

import place
from harness import check

NAMES = ["rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins"]


def expected(prefix="/usr", etc="/etc"):
    share = prefix + "/share"
    return {
        f"{prefix}/bin/leveret",
        f"{etc}/leveret/leveret.conf",
        f"{prefix}/lib/systemd/system/leveret.service",
        f"{prefix}/lib/sysusers.d/leveret.conf",
        f"{share}/bash-completion/completions/leveret",
        f"{share}/zsh/site-functions/_leveret",
        f"{share}/fish/vendor_completions.d/leveret.fish",
        f"{share}/doc/leveret/LICENSE",
        f"{share}/doc/leveret/leveret.conf",
        f"{share}/man/man1/leveret.1",
        f"{share}/man/man5/leveret.conf.5",
        *(f"{share}/man/man1/leveret-{name}.1" for name in place.commands()),
    }


@check
def all_that_belongs_to_it_is_installed_and_nothing_else():
    there = place.Place()
    there.make("install")
    assert there.files() == expected(), there.files() ^ expected()
    assert os.access(there / "/usr/bin/leveret", os.X_OK)
    done = subprocess.run([there / "/usr/bin/leveret", "--version"], timeout=15, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith(b"leveret "), done


@check
def uninstalling_leaves_nothing_behind():
    there = place.Place()
    there.make("install", RABBITMQ_NAMES="1")
    there.make("uninstall")
    assert there.files() == set()
    for path in ("/etc/leveret", "/usr/share/doc/leveret"):
        assert not (there / path).exists(), path
    there.make("uninstall")  # a second time there is nothing to do


@check
def the_default_is_usr_local_with_its_settings_in_etc():
    there = place.Place(prefix="")
    there.make("install")
    assert there.files() == expected("/usr/local"), there.files() ^ expected("/usr/local")
    unit = (there / "/usr/local/lib/systemd/system/leveret.service").read_text()
    assert "\nExecStart=/usr/local/bin/leveret serve\n" in unit
    assert "@" not in unit.replace("@system-service", "").replace("@privileged @resources", "")


@check
def another_prefix_has_everything_below_it():
    there = place.Place(prefix="/opt/leveret")
    there.make("install")
    assert there.files() == expected("/opt/leveret", "/opt/leveret/etc")
    unit = (there / "/opt/leveret/lib/systemd/system/leveret.service").read_text()
    assert "/opt/leveret/bin/leveret serve --config /opt/leveret/etc/leveret/leveret.conf" in unit
    there.make("uninstall")
    assert there.files() == set()


@check
def a_prefix_that_is_no_path_from_the_root_is_refused():
    there = place.Place(prefix="somewhere")
    assert "'somewhere'" in there.make("install", status=2)
    assert there.files() == set()


@check
def settings_that_were_changed_are_kept():
    there = place.Place()
    there.make("install")
    config = there / "/etc/leveret/leveret.conf"
    config.write_text("heartbeat = 30\n")
    there.make("install")
    assert config.read_text() == "heartbeat = 30\n"
    assert "heartbeat = 60" in (there / "/usr/share/doc/leveret/leveret.conf").read_text()
    assert str(config) in there.make("uninstall")
    assert there.files() == {"/etc/leveret/leveret.conf"}
    assert config.read_text() == "heartbeat = 30\n"


@check
def data_is_never_removed():
    there = place.Place()
    data = there / "/var/lib/leveret"
    data.mkdir(parents=True)
    (data / "metadata.sqlite").write_text("data")
    there.make("install")
    there.make("uninstall")
    assert there.files() == {"/var/lib/leveret/metadata.sqlite"}


@check
def rabbitmqs_names_are_taken_only_when_asked_for():
    there = place.Place()
    there.make("install", RABBITMQ_NAMES="1")
    completions = "/usr/share/bash-completion/completions/"
    links = {f"/usr/bin/{name}" for name in NAMES} | {completions + name for name in NAMES}
    assert there.files() == expected() | links, there.files() ^ (expected() | links)
    for path in links:
        assert os.readlink(there / path) == "leveret", path
    done = subprocess.run([there / "/usr/bin/rabbitmqctl", "version"], timeout=15, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done


@check
def rabbitmqs_own_tools_are_not_replaced_and_not_removed():
    there = place.Place()
    tool = there / "/usr/bin/rabbitmqctl"
    tool.parent.mkdir(parents=True)
    tool.write_text("RabbitMQ's")
    assert str(tool) in there.make("install", status=1, RABBITMQ_NAMES="1")
    assert tool.read_text() == "RabbitMQ's"
    there.make("uninstall")
    assert there.files() == {"/usr/bin/rabbitmqctl"}
    assert tool.read_text() == "RabbitMQ's"


@check
def a_word_that_it_does_not_know_is_refused():
    there = place.Place()
    assert "'deinstall'" in there.make("deinstall", status=2)
