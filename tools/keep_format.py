#!/usr/bin/python3
"""Keeps data directories as the program writes them now: tests/data/format-N.tar.xz.

  tools/keep_format.py PROGRAM [--name format-N]

To be run before a release whose format differs from the last one's, and until then whenever the
format changes; the archives of released formats stay as they are. tests/program/formats unpacks
each and looks whether the program of today finds in it what was put there.

An archive has the directory of a broker that was stopped in good order (`stopped`, one shard), that
of one that was killed (`killed`, three shards), and `expected.json`: the versions of the format,
how to start a broker on each, and all that it has to find.
"""

import argparse
import io
import json
import lzma
import os
import pathlib
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
for folder in ('clients/lib', 'program/serve', 'program/ctl', 'program/formats'):
    sys.path.insert(0, str(ROOT / 'tests' / folder))
sys.dont_write_bytecode = True

# A process that runs needs them, a directory that is kept does not: they are made anew.
LEFT_OUT = ('leveret.pid', 'control', 'spare-', 'used-')


def keep(name, arguments, is_clean):
    """A broker's directory, {name: bytes}, and what a later one has to find there."""
    import broker
    import estate
    import harness

    one = broker.Broker(*arguments)
    harness.cleanup(one.end)
    harness.PORT = one.port
    messages = estate.fill(one, is_clean)
    lists = estate.lists(one)
    if is_clean:
        one.stop()
    else:
        one.kill()
    files = {}
    for path in sorted(pathlib.Path(one.data_dir).iterdir()):
        if not path.name.startswith(LEFT_OUT):
            files[f'{name}/{path.name}'] = path.read_bytes()
    return files, {'arguments': arguments, 'messages': messages, 'lists': lists}


def pack(path, files):
    """The same bytes for the same files, whoever packs them and when."""
    with lzma.open(path, 'wb', preset=9 | lzma.PRESET_EXTREME) as packed:
        with tarfile.open(fileobj=packed, mode='w', format=tarfile.USTAR_FORMAT) as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                entry.mode = 0o600
                archive.addfile(entry, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('program', help='the leveret whose format is kept')
    parser.add_argument('--name', help='else format- and the version of the log')
    args = parser.parse_args()
    os.environ['LEVERET_BIN'] = os.path.abspath(args.program)
    import check_formats
    import harness

    versions = check_formats.versions()
    files, expected = {}, {'versions': versions}
    for name, arguments, is_clean in (('stopped', ['--shards', '1'], True),
                                      ('killed', ['--shards', '3'], False)):
        more, expected[name] = keep(name, arguments, is_clean)
        files.update(more)
    text = json.dumps(expected, ensure_ascii=False, indent=1) + '\n'
    path = ROOT / 'tests/data' / f'{args.name or "format-%d" % versions["log"]}.tar.xz'
    pack(path, {'expected.json': text.encode(), **files})
    harness._cleanups.close()
    print(f'{path.relative_to(ROOT)}: {path.stat().st_size} bytes, {len(files)} files')


if __name__ == '__main__':
    main()
