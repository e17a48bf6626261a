#!/bin/sh
# install.sh GROUP... - install what the named groups miss: Debian packages, and for `test` the
# one client that Debian lacks, from npm into the tree.
#
#   build   what `make build` needs          clang   a second compiler, sanitizers, libFuzzer
#   test    what `make test` needs besides   cover   coverage reports
#   check   what `make check` needs besides  hooks   git hooks
#   peers   RabbitMQ, to compare with
#
# Says what it installs and asks nothing. When nothing is missing it calls neither apt nor npm.
# Installing starts no service and takes no port: policy-rc.d forbids starting for the time of the
# install, and a service that the install brought along is left disabled. What was there before,
# a policy-rc.d of the machine's owner included, stays as it was.
set -eu

packages() {
	case $1 in
	build) echo build-essential meson ninja-build pkg-config libjemalloc-dev libsqlite3-dev libpcre2-dev libxxhash-dev libjansson-dev libssl-dev libcrypt-dev python3 ;;
	test)
		echo libcmocka-dev openssl librabbitmq-dev amqp-tools python3-pika python3-kombu python3-amqp \
			ruby ruby-bunny php-cli php-amqplib php-bcmath php-mbstring man-db zsh
		command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm
		;;
	check) echo git clang clang-format clang-tidy cppcheck codespell shellcheck coccinelle ;;
	peers) echo rabbitmq-server ;;
	clang) echo clang libclang-rt-14-dev ;;
	cover) echo gcovr ;;
	hooks) echo pre-commit ;;
	*)
		echo "install.sh: no group '$1' (build test check peers clang cover hooks)" >&2
		exit 2
		;;
	esac
}

# The packages among the arguments that are not installed.
missing() {
	for package; do
		case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) echo "$package" ;;
		esac
	done
}

# Everything that makes a service start at boot, one link per line.
enabled_services() {
	find /etc/systemd/system /etc/rc?.d \( -path '*.wants/*' -o -path '*.requires/*' -o \
		-path '/etc/rc?.d/S*' \) -type l 2>/dev/null | LC_ALL=C sort
}

policy=/usr/sbin/policy-rc.d
kept=$policy.before-leveret
mark='leveret install.sh'

restore_policy() {
	if grep -qs "$mark" "$policy"; then rm -f "$policy"; fi
	if [ -e "$kept" ] || [ -L "$kept" ]; then mv -f "$kept" "$policy"; fi
}

forbid_starting() {
	restore_policy # an earlier run that was killed may have left its own
	if [ -e "$policy" ] || [ -L "$policy" ]; then mv -f "$policy" "$kept"; fi
	printf '#!/bin/sh\n# %s: nothing starts while packages are installed\nexit 101\n' \
		"$mark" >"$policy"
	chmod 755 "$policy"
}

# Takes back what the install enabled; what was enabled before ($1) is the owner's business.
disable_new() {
	enabled_services | LC_ALL=C comm -13 "$1" - | while read -r link; do
		name=${link##*/}
		case $link in
		/etc/rc?.d/*) update-rc.d "${name#S[0-9][0-9]}" disable >/dev/null 2>&1 || true ;;
		*) deb-systemd-helper disable "$name" >/dev/null 2>&1 || true ;;
		esac
		rm -f "$link" # for links that those two did not make and do not know
		echo "left disabled: ${name#S[0-9][0-9]}"
	done | LC_ALL=C sort -u
}

install_as_root() {
	before=$(mktemp)
	trap 'restore_policy; rm -f "$before"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	enabled_services >"$before"
	forbid_starting
	export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true NEEDRESTART_SUSPEND=1
	apt_get() { apt-get -q -o DPkg::Lock::Timeout=900 "$@" </dev/null; }
	apt_get update || echo 'install.sh: package lists were not refreshed; using those at hand' >&2
	status=0
	apt_get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" || status=$?
	disable_new "$before"
	return $status
}

if [ "${1-}" = --as-root ]; then
	shift
	install_as_root "$@"
	exit
fi

install_packages() {
	# shellcheck disable=SC2086 # words are packages
	absent=$(missing $1 | sort -u | tr '\n' ' ')
	[ -n "$absent" ] || return 0
	echo "Installing what is missing: $absent"
	# shellcheck disable=SC2086
	if [ "$(id -u)" = 0 ]; then
		sh "$0" --as-root $absent
	elif command -v sudo >/dev/null; then
		sudo sh "$0" --as-root $absent
	else
		echo "install.sh: not root and no sudo. As root: apt-get install $absent" >&2
		return 1
	fi
}

# npm leaves a lock file of its own behind; it is as new as what it installed.
install_modules() {
	modules=$(dirname "$0")/../tests/clients/amqplib
	done=$modules/node_modules/.package-lock.json
	[ -z "$(find "$done" -newer "$modules/package-lock.json" 2>/dev/null)" ] || return 0
	echo 'Installing what is missing: amqplib, by npm'
	# Without a way to the registry everything else can still be tested; the suite says that it is not.
	(cd "$modules" && npm ci --no-audit --no-fund --loglevel=error) ||
		echo 'install.sh: npm could not fetch amqplib; its suite will be skipped' >&2
}

[ $# -gt 0 ] || { echo 'usage: tools/install.sh GROUP...' >&2; exit 2; }
wanted='' modules=''
for group; do
	wanted="$wanted $(packages "$group")" || exit 2
	[ "$group" != test ] || modules=yes
done
if command -v dpkg-query >/dev/null; then
	install_packages "$wanted"
else
	echo "This is no Debian: no package is installed. Needed are, by their Debian names:$wanted"
	command -v npm >/dev/null || exit 0
fi
[ -z "$modules" ] || install_modules
