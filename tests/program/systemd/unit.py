"""The unit that comes with the program, and what of it can be had without systemd: its filters of
system calls, address families and writable code, as a filter of the kernel (seccomp(2))."""

import ctypes
import os
import pathlib
import re
import shutil
import struct
import subprocess

UNIT = pathlib.Path(__file__).resolve().parents[3] / "packaging" / "leveret.service.in"
LIBC = ctypes.CDLL(None, use_errno=True)
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06  # BPF: what an instruction does
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
NO_SUCH_FAMILY = 97  # EAFNOSUPPORT
NUMBER, FIRST_ARGUMENT, THIRD_ARGUMENT = 0, 16, 32  # of struct seccomp_data
WRITABLE, EXECUTABLE = 2, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


def has_analyzer():
    return shutil.which("systemd-analyze") is not None


def settings(name):
    """The values of all lines of this name."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.M)


def write(path, program):
    """The unit as it is installed."""
    text = UNIT.read_text(encoding="utf-8")
    text = text.replace("@bindir@/leveret", str(program))
    path.write_text(text.replace("@options@", ""), "utf-8")


def _sets():
    """systemd's names for groups of calls, with what is in each. What follows them are comments."""
    text = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    found, name = {}, None
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            found[name] = []
        elif line.startswith(" ") and not word.startswith("#"):
            found[name].append(word)
    return found


def _members(sets, name):
    if not name.startswith("@"):
        return {name}
    return {call for member in sets[name] for call in _members(sets, member)}


def _numbers():
    """This machine's numbers of the calls."""
    text = subprocess.run(
        ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\b", text)}


def allowed_calls():
    """By name: what SystemCallFilter= leaves."""
    sets = _sets()
    calls = set(_members(sets, "@default"))
    for value in settings("SystemCallFilter"):
        for word in value.lstrip("~").split():
            members = _members(sets, word)
            calls = calls - members if value.startswith("~") else calls | members
    # Root's SQLite gives its files to the database's owner. The unit's user is not root.
    return calls | ({"fchown"} if os.geteuid() == 0 else set())


def _step(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _argument_rule(number, place, test):
    """For one call the verdict of `test` over an argument; behind it the number is loaded again."""
    body = _step(LOAD, place) + test
    return _step(EQUAL, number, 0, len(body) // 8 + 1) + body + _step(LOAD, NUMBER)


def make_filter():
    """The program for the kernel. A call that the unit does not allow ends the process, so that it
    is seen; a family is refused as the unit refuses it, since libc asks for what it can do without."""
    numbers = _numbers()
    no_code = _step(AND, EXECUTABLE) + _step(EQUAL, EXECUTABLE, 0, 1) + _step(RETURN, KILL)
    both = WRITABLE | EXECUTABLE
    not_both = _step(AND, both) + _step(EQUAL, both, 0, 1) + _step(RETURN, KILL)
    families = b""
    known = [FAMILIES[word] for word in settings("RestrictAddressFamilies")[0].split()]
    for at, family in enumerate(known):
        families += _step(EQUAL, family, len(known) - at)
    families += _step(RETURN, REFUSE | NO_SUCH_FAMILY)
    program = _step(LOAD, NUMBER)
    program += _argument_rule(numbers["mmap"], THIRD_ARGUMENT, not_both)
    program += _argument_rule(numbers["mprotect"], THIRD_ARGUMENT, no_code)
    program += _argument_rule(numbers["socket"], FIRST_ARGUMENT, families)
    for name in sorted(allowed_calls() & numbers.keys()):
        program += _step(EQUAL, numbers[name], 0, 1) + _step(RETURN, ALLOW)
    return program + _step(RETURN, KILL)


def confine(program):
    """This process and its children live under the filter from now on; for preexec_fn."""
    code = ctypes.create_string_buffer(program)
    header = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    for call in (
        (SET_NO_NEW_PRIVS, one, none, none, none),
        (SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), header, none, none),
    ):
        if LIBC.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
