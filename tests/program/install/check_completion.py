"""Completion, asked of the shells themselves."""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import time

import broker
import harness
import place
from harness import check


def script(shell):
    """The file that the shell reads."""
    status, text, wrong = broker.run("completion", shell)
    assert (status, wrong) == (0, ""), (status, wrong)
    directory = tempfile.mkdtemp(prefix="leveret-completion-")
    harness.cleanup(shutil.rmtree, directory)
    # zsh runs the file of this name as the function.
    path = os.path.join(directory, "_leveret" if shell == "zsh" else "leveret")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Terminal:
    """A shell that somebody types into. It has no settings but ours."""

    def __init__(self, *command, setup):
        self.directory = tempfile.mkdtemp(prefix="leveret-typed-")
        harness.cleanup(shutil.rmtree, self.directory)
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(self.directory)
            environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": self.directory}
            os.execvpe(command[0], command, environment)
        harness.cleanup(os.waitpid, pid, 0)
        harness.cleanup(os.close, self.fd)
        harness.cleanup(os.kill, pid, 9)
        self.said = ""
        # The quotes keep the echo of the line from looking like its output.
        self.type(f"{setup}; echo set''tled\n")
        self.await_text("settled")

    def type(self, text):
        self.said = ""
        os.write(self.fd, text.encode())

    def await_text(self, pattern, seconds=10):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.said):
            left = end - time.monotonic()
            ready, _, _ = select.select([self.fd], [], [], max(left, 0))
            assert ready, f"no {pattern} in {self.said!r}"
            # Without the steps back that the shell's line editor makes.
            self.said += os.read(self.fd, 4096).decode(errors="replace").replace("\b", "")
        return self.said


# ---- bash ----


def bash(line, program="leveret", path=None):
    """What bash offers at the end of the line; = is a word of its own, as it is to bash."""
    words = [program, *re.findall(r"=|[^\s=]+", line)] + ([""] if line.endswith((" ", "=")) else [])
    if line == "":
        words.append("")
    text = f"""
        source {shlex.quote(path or script("bash"))}
        COMP_WORDS=({" ".join(shlex.quote(word) for word in words)})
        COMP_CWORD={len(words) - 1}
        _leveret
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", text], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [word for word in done.stdout.splitlines() if word]


@check
def bash_knows_the_program():
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script('bash')}; complete -p leveret"],
        capture_output=True, text=True, timeout=15, check=False,
    )  # fmt: skip
    assert done.stdout == "complete -F _leveret leveret\n", done


@check
def bash_completes_what_is_typed_at_a_terminal():
    shell = Terminal("bash", "--norc", "-i", setup=f"source {script('bash')}")
    shell.type("leveret publ\t--decl\t")
    shell.await_text(r"leveret publish --declare ")


@check
def bash_offers_every_command():
    assert bash("") == place.commands()
    assert bash("st") == ["store"]
    assert bash("--v") == ["--version"]


@check
def bash_offers_every_option_of_every_command():
    path = script("bash")
    for name in place.commands():
        if name == "ctl":
            continue
        _, text, _ = broker.run(name, "--help")
        wanted = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", text, re.M))
        assert wanted <= set(bash(f"{name} -", path=path)), name


@check
def bash_offers_the_options_of_a_sub_command_only():
    assert bash("bench relay --l") == ["--listen", "--log"], bash("bench relay --l")
    assert "--producers" not in bash("bench relay --")
    assert "--producers" in bash("bench --")


@check
def bash_offers_words_once_and_then_directories():
    assert bash("store ") == ["check", "dump"]
    assert bash("store check /us") == ["/usr"]
    assert bash("completion z") == ["zsh"]
    assert bash("serve ") == []


@check
def bash_offers_what_an_option_wants():
    assert bash("serve --data-dir /us") == ["/usr"]
    assert bash("serve --data-dir=/us") == ["/usr"]
    assert bash("serve --config /etc/hostn") == ["/etc/hostname"]
    assert bash("serve --shards ") == []
    assert bash("serve --set heart") == ["heartbeat="]
    assert bash("serve --shards 3 --data-dir /tmp --conf") == ["--config"]


@check
def bash_takes_a_value_for_no_command():
    """The word behind an option that takes a value is not looked at."""
    assert bash("ctl --data-dir status list_que") == ["list_queues"]


@check
def bash_offers_rabbitmqctls_commands_and_columns():
    assert bash("ctl list_q") == ["list_queues"]
    assert bash("ctl list_queues messages_") == ["messages_ready", "messages_unacknowledged"]
    assert "name" in bash("ctl list_queues messages ")
    assert bash("ctl list_queues --vh") == ["--vhost"]
    assert bash("ctl status ") == []


@check
def a_link_by_rabbitmqs_name_is_ctl():
    there = place.Place()
    there.make("install", RABBITMQ_NAMES="1")
    path = there / "/usr/share/bash-completion/completions/rabbitmqctl"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {path}; complete -p rabbitmqctl"],
        capture_output=True, text=True, timeout=15, check=False,
    )  # fmt: skip
    assert done.stdout == "complete -F _leveret rabbitmqctl\n", done
    assert bash("list_exch", program="/usr/sbin/rabbitmqctl") == ["list_exchanges"]


@check
def bashs_script_is_sound():
    if shutil.which("shellcheck") is None:
        print("skip completion.shellcheck there is no shellcheck here", flush=True)
        return
    done = subprocess.run(
        ["shellcheck", "-s", "bash", script("bash")], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# ---- zsh ----

if shutil.which("zsh"):

    def zsh():
        """A terminal whose completion has been begun as a user's own is."""
        path = script("zsh")
        return Terminal(
            "zsh", "-f", "-i",
            setup=f"fpath=({os.path.dirname(path)} $fpath); autoload -Uz compinit; compinit -u; "
            "PS1='> '; unsetopt zle_bracketed_paste 2>/dev/null; LISTMAX=1000",
        )  # fmt: skip

    @check
    def zsh_completes_commands_options_and_words():
        shell = zsh()
        shell.type("leveret publ\t--decl\t")
        shell.await_text(r"publish\s+--declare")
        shell.type("\x15leveret store ch\t")
        shell.await_text(r"store check")

    @check
    def zsh_says_what_options_are_for():
        shell = zsh()
        shell.type("leveret get --re\t\t")
        shell.await_text(r"--requeue")
        shell.type("\x15leveret serve --d\t")
        shell.await_text(r"--data-dir")
        shell.type("\x15leveret publish --content-\t")
        shell.await_text(r"--content-type\s+-- ")

    @check
    def zsh_completes_sub_commands_and_columns():
        shell = zsh()
        shell.type("leveret bench relay --lis\t")
        shell.await_text(r"--listen")
        shell.type("\x15leveret ctl list_que\tmessages_re\t")
        shell.await_text(r"list_queues\s+messages_ready")

    @check
    def zsh_can_source_it_too():
        path = script("zsh")
        shell = Terminal(
            "zsh", "-f", "-i",
            setup=f"autoload -Uz compinit; compinit -u; source {path}; PS1='> '",
        )  # fmt: skip
        shell.type("leveret publ\t")
        shell.await_text(r"publish ")

else:
    print("skip completion.zsh there is no zsh here", flush=True)

# ---- fish ----

if shutil.which("fish"):

    def fish(*lines):
        """What fish offers at the end of each line."""
        with tempfile.TemporaryDirectory() as home:
            text = f"source {script('fish')}\n" + "".join(
                f"complete -C {shlex.quote('leveret ' + line)}; echo .\n" for line in lines
            )
            done = subprocess.run(
                ["fish", "--no-config", "-c", text], capture_output=True, text=True, timeout=15,
                check=False, env={**os.environ, "HOME": home},
            )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        parts = done.stdout.split(".\n")
        return [[row.split("\t")[0] for row in part.splitlines()] for part in parts[:-1]]

    @check
    def fish_completes_commands_options_and_words():
        commands, publish, words, columns, relay = fish(
            "", "publish --decl", "store ", "ctl list_queues messages_", "bench relay --lis"
        )
        assert set(place.commands()) == set(commands), commands
        assert publish == ["--declare"], publish
        assert {"check", "dump"} <= set(words), words
        assert {"messages_ready", "messages_unacknowledged"} <= set(columns), columns
        assert relay == ["--listen"], relay

else:
    print("skip completion.fish there is no fish here", flush=True)


@check
def a_shell_that_it_does_not_know_is_named():
    status, said, wrong = broker.run("completion", "csh")
    assert (status, said) == (2, "") and '"csh"' in wrong, (status, wrong)
