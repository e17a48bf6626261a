#!/bin/sh
# cover.sh BUILD - runs the tests in a tree built for coverage and reports lines per room. Fails
# under 85 % of lines overall and under 95 % in codec and session.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# = 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
build=$1
ninja -C "$build" || exit 1
find "$build" -name '*.gcda' -delete
/usr/bin/python3 tools/test.py --build "$build" || exit 1
report() { # report NAME MINIMUM FILTER...
	echo "== $1, at least $2 %"
	minimum=$2
	shift 2
	gcovr --root . --object-directory "$build" --exclude '.*_test\.c' --exclude-throw-branches \
		--fail-under-line "$minimum" "$@"
}
status=0
report 'codec and session' 95 --filter src/codec/ --filter src/session/ || status=1
report 'everything' 85 --filter src/ || status=1
exit $status
