"""How commands are written and what is said of mistakes."""

import ctl
import wire
from harness import check
from scratch import queue_name


def expect_mistake(first_line, *arguments):
    status, said, wrong = ctl.run(*arguments)
    assert status == 64, (status, said, wrong)
    assert said == "", said
    given = "\t" + " ".join(arguments)
    assert wrong.splitlines()[: len(first_line) + 2] == [*first_line, "Arguments given:", given], wrong
    assert "\nUsage\n\nrabbitmqctl [--node <node>]" in wrong, wrong


@check
def unknown_columns_are_named_in_order():
    for command in ("list_queues", "list_exchanges", "list_bindings", "list_connections",
                    "list_channels", "list_consumers"):  # fmt: skip
        expect_mistake(
            ["Error (argument validation): Info key(s) bogus,zero are not supported"],
            command, "zero", "bogus",
        )  # fmt: skip


@check
def known_columns_beside_unknown_ones_do_not_help():
    expect_mistake(
        ["Error (argument validation): Info key(s) Name are not supported"],
        "list_queues", "name", "Name",
    )  # fmt: skip


@check
def unknown_options_are_named():
    head = "Error (argument validation): Invalid options for this command:"
    expect_mistake([head, "--bogus : "], "list_queues", "--bogus")
    expect_mistake([head, "-x : "], "list_queues", "-x")
    expect_mistake([head, "-t : 5.5"], "list_queues", "-t", "5.5")
    expect_mistake([head, "--timeout : x"], "list_queues", "--timeout", "x")
    expect_mistake([head, "-p : "], "list_queues", "-p")
    expect_mistake([head, "--online : "], "list_exchanges", "--online")
    expect_mistake([head, "--no-table-headers : "], "status", "--no-table-headers")
    expect_mistake([head, "--no-table-headers : false"], "list_queues", "--no-table-headers=false")


@check
def too_many_arguments_are_a_mistake():
    expect_mistake(["Error (argument validation): too many arguments."], "status", "x", "y")


@check
def a_command_that_is_nearly_right_is_suggested():
    status, said, wrong = ctl.run("list_queuez")
    assert (status, said) == (64, ""), (status, said)
    assert wrong == "\nCommand 'list_queuez' not found. \nDid you mean 'list_queues'? \n\n", wrong


@check
def an_unknown_command_is_a_mistake():
    status, said, wrong = ctl.run("nothing_like_it_at_all")
    assert (status, said) == (64, ""), (status, said)
    assert "Command 'nothing_like_it_at_all' not found." in wrong, wrong


@check
def no_command_prints_the_commands_and_fails():
    status, said, wrong = ctl.run()
    assert (status, said) == (64, ""), (status, said)
    assert "list_queues" in wrong and "Usage" in wrong, wrong


@check
def help_is_asked_for_in_three_ways():
    texts = {ctl.output("help", "list_queues"), ctl.output("list_queues", "--help"),
             ctl.output("list_queues", "-?")}  # fmt: skip
    assert len(texts) == 1
    assert "messages_unacknowledged" in texts.pop()
    assert "list_queues" in ctl.output("--help")


def declared():
    client = wire.connect_with_channel()
    name = queue_name()
    client.call(1, "queue.declare", queue=name)
    return name


@check
def banner_header_and_rows_can_be_left_out_one_by_one():
    name = declared()
    banner = ["Timeout: 60.0 seconds ...", "Listing queues for vhost / ..."]
    full = ctl.output("list_queues").splitlines()
    assert full[:3] == [*banner, "name\tmessages"], full
    assert f"{name}\t0" in full, full
    quiet = ctl.output("list_queues", "-q").splitlines()
    assert quiet[0] == "name\tmessages" and f"{name}\t0" in quiet, quiet
    silent = ctl.output("list_queues", "--silent", "name").splitlines()
    assert "name" not in silent and name in silent, silent
    bare = ctl.output("list_queues", "--no-table-headers", "name").splitlines()
    assert bare[:2] == banner and "name" not in bare and name in bare, bare


@check
def each_list_has_its_banner():
    declared()
    for command, banner in (
        ("list_exchanges", "Listing exchanges for vhost / ..."),
        ("list_bindings", "Listing bindings for vhost /..."),
        ("list_connections", "Listing connections ..."),
        ("list_channels", "Listing channels ..."),
        ("list_consumers", "Listing consumers in vhost / ..."),
    ):
        assert ctl.output(command).splitlines()[0] == banner


@check
def options_may_stand_anywhere_and_be_short_or_long():
    name = declared()
    for arguments in (
        ("-q", "-p", "/", "list_queues", "name"),
        ("list_queues", "name", "--vhost", "/", "--quiet"),
        ("--vhost=/", "list_queues", "--quiet", "name"),
        ("list_queues", "-q", "-t", "30", "--local", "--online", "name"),
    ):
        said = ctl.output(*arguments).splitlines()
        assert said[0] == "name" and name in said, said


@check
def columns_may_be_joined_by_commas_and_come_once():
    name = declared()
    assert f"0\t{name}" in ctl.lines("list_queues", "messages,name", "name", "messages")


@check
def a_vhost_that_is_not_there_has_nothing():
    assert ctl.output("-q", "list_queues", "-p", "nowhere") == ""
    assert ctl.output("list_consumers", "-p", "nowhere") == (
        "Listing consumers in vhost nowhere ...\n"
    )
    assert ctl.output("list_exchanges", "-p", "nowhere", "--formatter", "json") == "[\n]\n"
    assert ctl.output("list_exchanges", "-p", "nowhere", "--formatter", "csv") == ""


@check
def offline_queues_are_none():
    declared()
    assert ctl.output("-q", "list_queues", "--offline") == ""


@check
def json_is_one_object_for_each_row():
    name = declared()
    said = ctl.output("list_queues", "--formatter", "json", "name", "durable", "messages")
    first, *middle, last = said.splitlines()
    assert (first, last) == ("[", "]"), said
    assert f'{{"name":"{name}","durable":false,"messages":0}}' in [
        line.lstrip(",") for line in middle
    ], said


@check
def csv_quotes_everything():
    name = declared()
    said = ctl.output("list_queues", "--formatter", "csv", "name", "durable").splitlines()
    assert said[0] == '"name","durable"' and f'"{name}","false"' in said, said


@check
def pretty_tables_have_a_frame():
    name = declared()
    said = ctl.output("-q", "list_queues", "--formatter", "pretty_table", "name", "messages")
    bar = "\033(0x\033(B"
    cells = [
        [cell.strip() for cell in line.split(bar)[1:-1]]
        for line in said.splitlines() if bar in line
    ]  # fmt: skip
    assert cells[0] == ["name", "messages"], said
    assert [name, "0"] in cells, said
    assert said.startswith("\033(0lqqq") and said.endswith("j\033(B\n"), said
