#!/bin/sh
# check.sh [CHECK...] - what a program can judge about the source, one line per check, and at the
# end `N passed, M failed`. Without names every check runs:
#   gcc clang      everything compiles without a warning
#   layers         each #include is allowed by tools/layers.txt; the checker itself is checked
#   headers        each header compiles alone, with both compilers
#   symbols        what leaves a library starts with lv_; only base/alloc.c calls malloc and free
#   format         clang-format has nothing to change
#   size           files of at most 1000 lines, lines of at most 100 columns
#   cppcheck tidy  static analysis (.clang-tidy says which checks)
#   house          house rules as Coccinelle patches (tools/cocci), each caught on its own sample
#   spelling shell python
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=/usr/bin:/bin:$PATH
jobs=$(nproc)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# What is judged: the files in git and those that are about to be. The checkout may belong to somebody
# else than who runs this, a build machine for instance.
files() {
	git -c safe.directory='*' ls-files --cached --others --exclude-standard -- "$@" |
		while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}

# Of these, what goes into the program. Tests and what only they use may count allocations by themselves.
sources() { files 'src/*.c' | grep -v -E '(_test|/harness|/lives|/testing|/image_[a-z]*)\.c$'; }

quietly() { "$@" >"$work/quiet" 2>&1 || { tail -n 60 "$work/quiet"; return 1; }; }

# A build directory of its own per compiler, kept between runs.
compile() {
	[ -f "$1/build.ninja" ] || CC=$2 quietly meson setup "$1" -Dwerror=true -Dtests=enabled || return 1
	quietly ninja -C "$1"
}
check_gcc() { compile build-gcc gcc; }
check_clang() { compile build-clang clang; }

check_layers() { tools/layers.py --self-test && tools/layers.py; }

# One header, one compiler, and nothing before it but what the build puts before everything.
compile_header() {
	printf '#include "%s"\n' "${1#src/}" >"$work/alone.c"
	for compiler in gcc clang; do
		"$compiler" -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
			-Isrc -Ibuild-gcc/src -include src/base/banned.h "$work/alone.c" || return 1
	done
}
check_headers() {
	compile build-gcc gcc || return 1
	bad=0
	for header in $(files 'src/*.h'); do compile_header "$header" || bad=1; done
	return $bad
}

# `nm -A` on an archive prints archive:object:address type symbol.
check_symbols() {
	compile build-gcc gcc || return 1
	find build-gcc/src -name 'lib*.a' -exec nm -A {} + >"$work/nm" 2>/dev/null
	awk '$2 ~ /^[TDBRCVW]$/ && $3 !~ /^(lv_|LLVMFuzzer|main$)/ {
			print $1 " exports " $3 ", which lacks lv_"; bad = 1
		}
		NF >= 3 && $(NF - 1) == "U" && $1 !~ /(libbase\.a.*[\/:]alloc|harness|lives|testing|image_[a-z]*)\.c\.o:/ &&
		$NF ~ /^(malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|getline|getdelim|open_memstream|aligned_alloc|posix_memalign)$/ {
			print $1 " calls " $NF ", which goes around base/alloc.h"; bad = 1
		}
		END { exit bad }' "$work/nm"
}

check_format() { files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror; }

# shellcheck disable=SC2016 # awk's own $
check_size() {
	files '*.c' '*.h' | xargs -r awk '
		FNR == 1001 { print FILENAME ": more than 1000 lines"; bad = 1 }
		{ width = $0; gsub(/[\200-\277]/, "", width) } # count characters, not bytes
		length(width) > 100 { print FILENAME ":" FNR ": more than 100 columns"; bad = 1 }
		END { exit bad }'
}

check_cppcheck() {
	sources >"$work/sources"
	[ -s "$work/sources" ] || return 0
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --suppressions-list=tools/cppcheck.txt -j "$jobs" -D_GNU_SOURCE \
		-D__linux__ -D__GNUC__=12 -D__x86_64__ -Isrc -Ibuild-gcc/src --file-list="$work/sources"
}

# clang-tidy reads the commands of the clang build; tests are judged by the compilers alone.
check_tidy() {
	compile build-clang clang || return 1 # generated headers have to be there
	sources |
		xargs -r -P "$jobs" -n 4 clang-tidy -p build-clang --quiet >"$work/tidy" 2>"$work/tidy.err"
	status=$?
	cat "$work/tidy"
	if [ $status != 0 ]; then grep -v 'warnings\? generated' "$work/tidy.err"; fi
	return $status
}

check_house() {
	bad=0
	sources >"$work/house"
	for rule in tools/cocci/*.cocci; do
		name=$(basename "$rule" .cocci)
		[ -n "$(spatch --very-quiet --sp-file "$rule" "tools/cocci/samples/$name.c" 2>/dev/null)" ] ||
			{ echo "$name does not catch its own sample"; bad=1; }
		if [ "$name" = alloc ]; then grep -v '^src/base/alloc\.c$' "$work/house"; else cat "$work/house"; fi |
			xargs -r -P "$jobs" -n 24 spatch --very-quiet --sp-file "$rule" >"$work/found" 2>/dev/null
		if [ -s "$work/found" ]; then
			sed -n 's/^\/\/ *//p' "$rule"
			cat "$work/found"
			bad=1
		fi
	done
	return $bad
}

check_spelling() {
	files | grep -v -e '^tests/fuzz/corpus/' -e '^LICENSE$' -e '\.png$' |
		xargs -r codespell --ignore-words=tools/spelling.txt --quiet-level=2
}

check_shell() {
	files | while read -r f; do
		if head -n 1 "$f" | grep -aqE '^#!/bin/(ba)?sh|^#!/usr/bin/env (ba)?sh'; then echo "$f"; fi
	done | xargs -r shellcheck
}

# Compiled in memory: a syntax error is found and nothing is written.
check_python() {
	files | while read -r f; do
		if [ "${f%.py}" != "$f" ] || head -n 1 "$f" | grep -aq '^#!.*python'; then echo "$f"; fi
	done | xargs -r /usr/bin/python3 -W error -c '
import sys
for name in sys.argv[1:]:
    compile(open(name, encoding="utf-8").read(), name, "exec")'
}

all='gcc clang layers headers symbols format size cppcheck tidy house spelling shell python'
[ -n "$(files '*.c')" ] || { echo 'check.sh: git lists no source files here' >&2; exit 1; }
passed=0 failed=''
# shellcheck disable=SC2086 # one word per check
[ $# -gt 0 ] || set -- $all
for name; do
	case " $all " in
	*" $name "*) ;;
	*)
		echo "check.sh: no check '$name' (there are: $all)" >&2
		exit 2
		;;
	esac
	began=$(date +%s)
	if ("check_$name") >"$work/output" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name ($(($(date +%s) - began)) s)"
	else
		failed="$failed $name"
		head -n 200 "$work/output"
		echo "not ok $name ($(($(date +%s) - began)) s)"
	fi
done
[ -z "$failed" ] || echo "failed:$failed"
# shellcheck disable=SC2086 # one word per failure
set -- $failed
echo "$passed passed, $# failed"
[ $# = 0 ]
