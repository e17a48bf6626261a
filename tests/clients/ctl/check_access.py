"""Users, virtual hosts, permissions and limits: commands, their words and what lists show of them."""

import re

import ctl
import harness
from harness import check

DONE = (
    "Done. Don't forget to grant the user permissions to some virtual hosts! "
    "See 'rabbitmqctl help set_permissions' to learn more.\n"
)
# What the real one's own log says in between.
LOGGED = re.compile(r"\n?\d\d:\d\d:\d\d\.\d+ \[warning\][^\n]*\n")


def expect(status, said, wrong, *arguments):
    found, out, err = ctl.run(*arguments)
    assert (found, out, LOGGED.sub("", err)) == (status, said, wrong), (found, out, err)


def tabbed(names):
    return "\t".join(names.split())


def new_user(password="secret"):
    name = harness.unique("user")
    ctl.output("add_user", name, password)
    harness.cleanup(ctl.run, "delete_user", name)
    return name


def new_vhost(*options):
    name = harness.unique("vhost")
    ctl.output("add_vhost", name, *options)
    harness.cleanup(ctl.run, "delete_vhost", name)
    return name


@check
def a_user_is_added_once():
    name = harness.unique("user")
    harness.cleanup(ctl.run, "delete_user", name)
    expect(0, f'Adding user "{name}" ...\n{DONE}', "", "add_user", name, "secret")
    expect(
        70, f'Adding user "{name}" ...\n', f'Error:\nUser "{name}" already exists\n',
        "add_user", name, "other",
    )  # fmt: skip
    assert {"user": name, "tags": []} in ctl.rows("list_users")
    assert f"{name}\t[]" in ctl.lines("list_users")
    expect(0, f'Deleting user "{name}" ...\n', "", "delete_user", name)
    assert name not in [row["user"] for row in ctl.rows("list_users")]


@check
def tags_are_replaced():
    name = new_user()
    expect(
        0, f'Setting tags for user "{name}" to [monitoring, two] ...\n', "",
        "set_user_tags", name, "monitoring", "two",
    )  # fmt: skip
    assert f"{name}\t[monitoring, two]" in ctl.lines("list_users")
    assert {"user": name, "tags": ["monitoring", "two"]} in ctl.rows("list_users")
    expect(0, f'Setting tags for user "{name}" to [] ...\n', "", "set_user_tags", name)
    assert f"{name}\t[]" in ctl.lines("list_users")


@check
def passwords_are_checked_changed_and_cleared():
    name = new_user("one")
    asked = f'Authenticating user "{name}" ...\n'
    refusal = (
        f'Error:\nError: failed to authenticate user "{name}"\n'
        f"user '{name}' - invalid credentials\n"
    )
    expect(0, f"{asked}Success\n", "", "authenticate_user", name, "one")
    expect(65, asked, refusal, "authenticate_user", name, "two")
    expect(0, f'Changing password for user "{name}" ...\n', "", "change_password", name, "two")
    expect(0, f"{asked}Success\n", "", "authenticate_user", name, "two")
    expect(0, f'Clearing password for user "{name}" ...\n', "", "clear_password", name)
    expect(65, asked, refusal, "authenticate_user", name, "two")


@check
def users_who_are_not_there_are_told_of():
    name = harness.unique("nobody")
    quoted, plain = f'Error:\nUser "{name}" does not exist\n', f"Error:\nUser {name} does not exist\n"
    term = f'Error:\n{{:no_such_user, "{name}"}}\n'
    expect(67, f'Deleting user "{name}" ...\n', quoted, "delete_user", name)
    expect(
        67, f'Setting tags for user "{name}" to [x] ...\n', quoted, "set_user_tags", name, "x"
    )
    expect(67, f'Changing password for user "{name}" ...\n', quoted, "change_password", name, "x")
    expect(69, f'Clearing password for user "{name}" ...\n', term, "clear_password", name)
    expect(
        67, f'Setting permissions for user "{name}" in vhost "/" ...\n', plain,
        "set_permissions", name, "a", "b", "c",
    )  # fmt: skip
    expect(
        67, f'Clearing permissions for user "{name}" in vhost "/" ...\n', plain,
        "clear_permissions", name,
    )  # fmt: skip
    expect(
        67, f'Clearing topic permissions for user "{name}" in vhost "/" ...\n', plain,
        "clear_topic_permissions", name,
    )  # fmt: skip
    expect(
        69, f'Listing permissions for user "{name}" ...\n', term, "list_user_permissions", name
    )
    expect(
        69, f'Listing topic permissions for user "{name}" ...\n', term,
        "list_user_topic_permissions", name,
    )  # fmt: skip
    expect(
        69, f'Clearing all limits for user "{name}" ...\n', term, "clear_user_limits", name, "all"
    )


@check
def permissions_are_set_listed_and_cleared():
    name, vhost = new_user(), new_vhost()
    where = f'for user "{name}" in vhost "{vhost}" ...\n'
    expect(
        0, f"Setting permissions {where}", "", "set_permissions", "-p", vhost, name, "^a", "b.*", ""
    )
    assert ctl.lines("list_permissions", "-p", vhost) == [
        tabbed("user configure write read"), f"{name}\t^a\tb.*\t",
    ]  # fmt: skip
    assert ctl.rows("list_permissions", "-p", vhost) == [
        {"user": name, "configure": "^a", "write": "b.*", "read": ""}
    ]
    assert ctl.lines("list_user_permissions", name) == [
        tabbed("vhost configure write read"), f"{vhost}\t^a\tb.*\t",
    ]  # fmt: skip
    expect(0, f"Clearing permissions {where}", "", "clear_permissions", "-p", vhost, name)
    expect(0, f"Clearing permissions {where}", "", "clear_permissions", "-p", vhost, name)
    expect(
        0, f'Listing permissions for vhost "{vhost}" ...\n\n', "", "list_permissions", "-p", vhost
    )
    assert ctl.output("list_permissions", "-p", vhost, "--formatter", "json") == "[]\n"


@check
def a_pattern_that_does_not_compile_is_refused():
    name = new_user()
    status, said, wrong = ctl.run("set_permissions", name, "(", "", "")
    assert (status, said) == (69, f'Setting permissions for user "{name}" in vhost "/" ...\n')
    assert LOGGED.sub("", wrong).startswith("Error:\n"), wrong
    assert name not in [row["user"] for row in ctl.rows("list_permissions")]


@check
def virtual_hosts_that_are_not_there_are_told_of():
    name, vhost = new_user(), harness.unique("nowhere")
    missing, bare = f"Error:\nVirtual host {vhost} does not exist\n", f"Virtual host '{vhost}' does not exist\n"
    expect(
        69, f'Setting permissions for user "{name}" in vhost "{vhost}" ...\n', missing,
        "set_permissions", "-p", vhost, name, "a", "b", "c",
    )  # fmt: skip
    expect(
        69, f'Clearing permissions for user "{name}" in vhost "{vhost}" ...\n', missing,
        "clear_permissions", "-p", vhost, name,
    )  # fmt: skip
    expect(
        65, f'Listing permissions for vhost "{vhost}" ...\n', bare, "list_permissions", "-p", vhost
    )
    expect(65, f'Deleting vhost "{vhost}" ...\n', bare, "delete_vhost", vhost)
    expect(
        65, f'Setting vhost limits to "{{}}" for vhost "{vhost}" ...\n', bare,
        "set_vhost_limits", "-p", vhost, "{}",
    )  # fmt: skip
    expect(
        65, f'Listing limits for vhost "{vhost}" ...\n', bare, "list_vhost_limits", "-p", vhost
    )


@check
def topic_permissions_are_set_listed_and_cleared():
    name, vhost = new_user(), new_vhost()
    expect(
        0,
        f'Setting topic permissions on "amq.topic" for user "{name}" in vhost "{vhost}" ...\n', "",
        "set_topic_permissions", "-p", vhost, name, "amq.topic", "^x", "y",
    )  # fmt: skip
    ctl.output("set_topic_permissions", "-p", vhost, name, "another", "", ".*")
    said = ctl.lines("list_topic_permissions", "-p", vhost)
    assert said[0] == tabbed("user exchange write read"), said
    assert sorted(said[1:]) == [f"{name}\tamq.topic\t^x\ty", f"{name}\tanother\t\t.*"], said
    assert sorted(ctl.lines("list_user_topic_permissions", name)) == [
        f"{vhost}\tamq.topic\t^x\ty", f"{vhost}\tanother\t\t.*",
    ]  # fmt: skip
    expect(
        0,
        f'Clearing topic permissions on "another" for user "{name}" in vhost "{vhost}" ...\n', "",
        "clear_topic_permissions", "-p", vhost, name, "another",
    )  # fmt: skip
    assert ctl.rows("list_topic_permissions", "-p", vhost) == [
        {"user": name, "exchange": "amq.topic", "write": "^x", "read": "y"}
    ]
    ctl.output("clear_topic_permissions", "-p", vhost, name)
    expect(
        0, f'Listing topic permissions for vhost "{vhost}" ...\n\n', "",
        "list_topic_permissions", "-p", vhost,
    )  # fmt: skip


@check
def virtual_hosts_are_added_listed_and_deleted():
    vhost = harness.unique("vhost")
    harness.cleanup(ctl.run, "delete_vhost", vhost)
    added = f'Adding vhost "{vhost}" ...\n'
    expect(0, added, "", "add_vhost", vhost, "--description", "a thing", "--tags", "one,two")
    expect(0, added, "", "add_vhost", vhost)
    assert vhost in ctl.lines("list_vhosts")[1:]
    assert ctl.row("name", vhost, "list_vhosts", "name", "tracing", "description") == {
        "name": vhost, "tracing": False, "description": "a thing",
    }  # fmt: skip
    expect(0, f'Deleting vhost "{vhost}" ...\n', "", "delete_vhost", vhost)
    assert vhost not in ctl.lines("list_vhosts")


@check
def limits_of_virtual_hosts_are_replaced():
    vhost = new_vhost()
    both = '{"max-connections":5,"max-queues":7}'
    expect(
        0, f'Setting vhost limits to "{both}" for vhost "{vhost}" ...\n', "",
        "set_vhost_limits", "-p", vhost, both,
    )  # fmt: skip
    asked = f'Listing limits for vhost "{vhost}" ...\n'
    expect(0, f"{asked}{both}\n", "", "list_vhost_limits", "-p", vhost)
    assert f"{vhost}\t{both}" in ctl.lines("list_vhost_limits", "--global")
    assert {"vhost": vhost, "limits": both} in ctl.rows("list_vhost_limits", "--global")
    ctl.output("set_vhost_limits", "-p", vhost, '{"max-queues":1}')
    expect(0, f'{asked}{{"max-queues":1}}\n', "", "list_vhost_limits", "-p", vhost)
    expect(0, f'Clearing vhost "{vhost}" limits ...\n', "", "clear_vhost_limits", "-p", vhost)
    expect(0, f"{asked}\n", "", "list_vhost_limits", "-p", vhost)


@check
def limits_of_users_are_set_one_by_one():
    name = new_user()
    asked = f'Listing limits for user "{name}" ...\n'
    one = '{"max-connections":5}'
    expect(0, f"{asked}{{}}\n", "", "list_user_limits", "--user", name)
    expect(
        0, f'Setting user limits to "{one}" for user "{name}" ...\n', "",
        "set_user_limits", name, one,
    )  # fmt: skip
    ctl.output("set_user_limits", name, '{"max-channels":7}')
    both = '{"max-channels":7,"max-connections":5}'
    expect(0, f"{asked}{both}\n", "", "list_user_limits", "--user", name)
    assert f"{name}\t{both}" in ctl.lines("list_user_limits", "--global")
    expect(
        0, f'Clearing "max-channels" limit for user "{name}" ...\n', "",
        "clear_user_limits", name, "max-channels",
    )  # fmt: skip
    expect(0, f"{asked}{one}\n", "", "list_user_limits", "--user", name)
    ctl.output("clear_user_limits", name, "all")
    expect(0, f"{asked}{{}}\n", "", "list_user_limits", "--user", name)


@check
def limits_that_are_none_are_refused():
    name, vhost = new_user(), new_vhost()
    for given, why in (
        ("garbage", "JSON decoding error. Reason: badarg"),
        ('{"bogus":5}', 'Validation failed\n\nUnrecognised terms [{<<"bogus">>,5}] in limits\n'),
        (
            '{"max-queues":"x"}',
            'Validation failed\n\nmax-queues should be a number, actually was <<"x">>\n',
        ),
    ):
        expect(
            69, f'Setting vhost limits to "{given}" for vhost "{vhost}" ...\n', f"Error:\n{why}\n",
            "set_vhost_limits", "-p", vhost, given,
        )  # fmt: skip
    for given, why in (
        ("garbage", "JSON decoding error. Reason: badarg"),
        ('{"bogus":5}', 'Unrecognised terms [{<<"bogus">>,5}] in user-limits'),
        ('{"max-channels":"x"}', 'max-channels should be a number, actually was <<"x">>'),
    ):
        expect(
            69, f'Setting user limits to "{given}" for user "{name}" ...\n', f"Error:\n{why}\n",
            "set_user_limits", name, given,
        )  # fmt: skip


@check
def arguments_are_counted():
    for command, least, most in (
        ("add_user", 1, 2), ("delete_user", 1, 1), ("change_password", 1, 2),
        ("clear_password", 1, 1), ("authenticate_user", 1, 2), ("add_vhost", 1, 1),
        ("delete_vhost", 1, 1), ("set_permissions", 4, 4), ("clear_permissions", 1, 1),
        ("set_topic_permissions", 4, 4), ("clear_topic_permissions", 1, 2),
        ("set_vhost_limits", 1, 1), ("clear_vhost_limits", 0, 0), ("set_user_limits", 2, 2),
        ("clear_user_limits", 2, 2), ("close_connection", 2, 2), ("close_all_connections", 1, 1),
        ("close_all_user_connections", 2, 2), ("purge_queue", 1, 1), ("delete_queue", 1, 1),
        ("list_users", 0, 0), ("list_permissions", 0, 0), ("list_user_permissions", 1, 1),
    ):  # fmt: skip
        for count, word in ((least - 1, "not enough"), (most + 1, "too many")):
            if count < 0:
                continue
            given = [f"a{i}" for i in range(count)]
            status, said, wrong = ctl.run(command, *given)
            assert (status, said) == (64, ""), (command, status, said)
            head = [f"Error (argument validation): {word} arguments.", "Arguments given:"]
            assert wrong.splitlines()[:2] == head, (command, wrong)
            assert "\nUsage\n\nrabbitmqctl [--node <node>]" in wrong, wrong


@check
def passwords_come_from_standard_input_when_not_given():
    name = harness.unique("user")
    harness.cleanup(ctl.run, "delete_user", name)
    said = f'Adding user "{name}" ...\nPassword: \n'
    found = ctl.run("add_user", name, said_to="")
    assert found == (65, said, "Error:\nPassword is not provided via argument or stdin\n"), found
    found = ctl.run("add_user", name, said_to="typed\n")
    assert found == (0, said + DONE, ""), found
    found = ctl.run("authenticate_user", name, said_to="typed")
    assert found == (0, f'Authenticating user "{name}" ...\nPassword: \nSuccess\n', ""), found


@check
def quiet_commands_say_nothing_but_the_answer():
    name = harness.unique("user")
    harness.cleanup(ctl.run, "delete_user", name)
    for arguments, said in (
        (("add_user", name, "p"), ""), (("set_permissions", name, "", "", ""), ""),
        (("authenticate_user", name, "p"), "Success\n"), (("delete_user", name), ""),
    ):  # fmt: skip
        assert ctl.output("-q", *arguments) == said, arguments
