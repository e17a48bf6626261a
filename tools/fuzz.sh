#!/bin/sh
# fuzz.sh BUILD TIME [TARGET...] - libFuzzer over the fuzz targets, TIME (90s, 10m, 2h) for each.
#
# New inputs collect in BUILD/corpus/TARGET and crashes in BUILD/crashes; the corpus in tests/fuzz is
# read and not written. To keep what a run found:
#   BUILD/tests/fuzz/fuzz_TARGET -merge=1 tests/fuzz/corpus/TARGET BUILD/corpus/TARGET
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
build=$1
case $2 in
*h) seconds=$((${2%h} * 3600)) ;;
*m) seconds=$((${2%m} * 60)) ;;
*) seconds=${2%s} ;;
esac
shift 2
ninja -C "$build" fuzzers || exit 1
if [ $# = 0 ]; then
	for program in "$build"/tests/fuzz/fuzz_*; do
		[ ! -f "$program" ] || set -- "$@" "${program##*/fuzz_}"
	done
fi
mkdir -p "$build/crashes"
passed=0 failed=0
for target; do
	mkdir -p "$build/corpus/$target"
	echo "== $target, $seconds s"
	if "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 \
		-print_final_stats=1 -artifact_prefix="$build/crashes/$target-" \
		"$build/corpus/$target" "tests/fuzz/corpus/$target"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
