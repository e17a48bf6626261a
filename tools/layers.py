#!/usr/bin/python3
"""Checks every #include under src/ against tools/layers.txt.

  tools/layers.py [--table FILE] [SOURCE_ROOT]    prints FILE:LINE: what is wrong; status 1 if any
  tools/layers.py --self-test                     shows that each kind of violation is caught
"""

import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
IMPURE = {'unistd.h', 'fcntl.h', 'poll.h', 'pthread.h', 'threads.h', 'time.h', 'signal.h',
          'netdb.h', 'sys/socket.h', 'sys/epoll.h', 'sys/uio.h', 'sys/mman.h', 'sys/time.h',
          'sys/stat.h', 'sys/eventfd.h', 'sys/timerfd.h', 'netinet/in.h', 'netinet/tcp.h'}
# Made by the build at the top of the include path; it holds the version and nothing else.
FREE = {'lv_version.h'}
# Reads headers to forbid what they declare.
FORBIDDER = 'base/banned.h'


class Layer:
    def __init__(self, pure, allowed):
        self.pure = pure
        self.allowed = allowed


def read_table(text):
    """{folder: Layer} from the lines of layers.txt."""
    layers = {}
    for line in text.splitlines():
        line = line.split('#')[0].strip()
        if not line:
            continue
        folder, _, allowed = line.partition(':')
        folder = folder.strip()
        layers[folder.rstrip('!')] = Layer(folder.endswith('!'), set(allowed.split()))
    return layers


def layer_of(layers, path):
    """The longest entry of the table that `path` (relative to the source root) is or is in."""
    parts = path.rsplit('.', 1)[0].split('/')
    for length in range(len(parts), 0, -1):
        folder = '/'.join(parts[:length])
        if folder in layers:
            return folder
    return None


def may_include(layers, folder, header):
    allowed = layers[folder].allowed | {folder}
    return any(header == entry or header.startswith(entry + '/') for entry in allowed)


def wrongs_of(layers, path, text):
    """(line number, sentence) for each #include of one file that breaks the table."""
    folder = layer_of(layers, path)
    if folder is None:
        yield 1, 'this folder is not in the table'
        return
    is_test = path.endswith('_test.c')
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        own, header = match[1] == '"', match[2]
        if own and header not in FREE:
            if '/' not in header:
                yield number, f'"{header}" lacks its folder'
            elif not may_include(layers, folder, header):
                yield number, f'{folder} may not include "{header}"'
        elif (not own and layers[folder].pure and not is_test and path != FORBIDDER
              and header in IMPURE):
            yield number, f'{folder} is pure and may not include <{header}>'


def check(layers, root):
    wrongs = []
    for path in sorted(root.rglob('*.[ch]')):
        name = path.relative_to(root).as_posix()
        for number, sentence in wrongs_of(layers, name, path.read_text()):
            wrongs.append(f'{name}:{number}: {sentence}')
    return wrongs


def self_test():
    table = ('base! :\nstore! : base\nstore/file : base store\nbroker! : base store/store.h\n'
             'broker/deep : base\nio : base')
    layers = read_table(table)
    cases = [ # (path, text, number of wrongs)
        ('broker/a.c', '#include "broker/a.h"\n#include "base/list.h"\n#include <stdio.h>', 0),
        ('broker/a.c', '#include "store/store.h"', 0),
        ('broker/a.c', '#include "store/log.h"', 1),
        ('broker/a.c', '# include "io/reactor.h"', 1),
        ('broker/a.c', '#include <unistd.h>\n#include <time.h>', 2),
        ('broker/a_test.c', '#include <pthread.h>', 0),
        ('broker/a_test.c', '#include "io/reactor.h"', 1),
        ('broker/deep/a.c', '#include "store/store.h"\n#include <time.h>', 1),
        ('base/a.h', '#include "broker/a.h"', 1),
        ('store/file.c', '#include <fcntl.h>\n#include "store/file.h"\n#include "base/a.h"', 0),
        ('store/file.h', '#include "io/a.h"', 1),
        ('store/files.c', '#include <fcntl.h>', 1),
        ('io/a.c', '#include <unistd.h>\n#include "lv_version.h"', 0),
        ('io/a.c', '#include "a.h"', 1),
        ('basement/a.c', '', 1),
    ]
    bad = 0
    for path, text, expected in cases:
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, path)
            file.parent.mkdir(parents=True)
            file.write_text(text)
            found = check(layers, pathlib.Path(directory))
        if len(found) != expected:
            print(f'{path} with {text!r}: {expected} expected, found {found}')
            bad += 1
    return bad


def main(args):
    if args == ['--self-test']:
        return 1 if self_test() else 0
    table = HERE / 'layers.txt'
    if args[:1] == ['--table']:
        table, args = pathlib.Path(args[1]), args[2:]
    root = pathlib.Path(args[0]) if args else HERE.parent / 'src'
    wrongs = check(read_table(table.read_text()), root)
    print('\n'.join(wrongs), end='\n' if wrongs else '')
    return 1 if wrongs else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
