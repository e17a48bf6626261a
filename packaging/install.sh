#!/bin/sh
# install.sh install|uninstall PROGRAM - what `make install` and `make uninstall` do with the program
# that was built, and all that belongs to it. The environment says where to:
#
#   DESTDIR         put before every path, for packages
#   prefix          /usr/local
#   sysconfdir      /etc; below the prefix when that is neither /usr nor /usr/local
#   RABBITMQ_NAMES  not empty: links rabbitmqctl, rabbitmq-diagnostics and rabbitmq-plugins as well.
#                   They are RabbitMQ's own names, so its package must not be there.
#
# Settings that somebody has changed are neither replaced nor removed, and data never is.
set -eu

[ $# = 2 ] || { echo 'usage: install.sh install|uninstall PROGRAM' >&2; exit 2; }
here=$(dirname "$0")
program=$2
prefix=${prefix:-/usr/local}
case $prefix in
/usr | /usr/local) sysconfdir=${sysconfdir:-/etc} ;;
/*) sysconfdir=${sysconfdir:-$prefix/etc} ;;
*)
	echo "install.sh: prefix is a path from the root on, not '$prefix'" >&2
	exit 2
	;;
esac
to=${DESTDIR:-}
config=$sysconfdir/leveret/leveret.conf
completions=$prefix/share/bash-completion/completions
links='rabbitmqctl rabbitmq-diagnostics rabbitmq-plugins'
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT

# What is read from standard input is going to be installed there.
stage() {
	mkdir -p "$staged$(dirname "$1")"
	cat >"$staged$1"
	[ -s "$staged$1" ] || { echo "install.sh: nothing was made for $1" >&2; exit 1; }
}

commands() { "$program" --help | sed -n 's/^  leveret \([a-z]*\) .*/\1/p'; }

# Everything but the program, the links and the settings.
stage_all() {
	man=$prefix/share/man
	doc=$prefix/share/doc/leveret
	"$program" docs man leveret | stage "$man/man1/leveret.1"
	"$program" docs man leveret.conf | stage "$man/man5/leveret.conf.5"
	for command in $(commands); do
		"$program" docs man "$command" | stage "$man/man1/leveret-$command.1"
	done
	"$program" completion bash | stage "$completions/leveret"
	"$program" completion zsh | stage "$prefix/share/zsh/site-functions/_leveret"
	"$program" completion fish | stage "$prefix/share/fish/vendor_completions.d/leveret.fish"
	# Without the option it reads /etc/leveret/leveret.conf, and what is beside it in conf.d.
	if [ "$sysconfdir" = /etc ]; then options=''; else options=" --config $config"; fi
	sed "s,@bindir@,$prefix/bin,; s,@options@,$options," "$here/leveret.service.in" |
		stage "$prefix/lib/systemd/system/leveret.service"
	stage "$prefix/lib/sysusers.d/leveret.conf" <"$here/leveret.sysusers"
	stage "$doc/LICENSE" <"$here/../LICENSE"
	"$program" docs example | stage "$doc/leveret.conf"
}

staged_files() { (cd "$staged" && find . -type f | sed 's/^\.//'); }

is_ours() { [ "$(readlink "$to$1" || true)" = leveret ]; }

install_links() {
	for link in $links; do
		for path in "$prefix/bin/$link" "$completions/$link"; do
			is_ours "$path" || [ ! -e "$to$path" ] || {
				echo "install.sh: $to$path is there, and is not Leveret's" >&2
				exit 1
			}
		done
	done
	for link in $links; do
		ln -sfn leveret "$to$prefix/bin/$link"
		ln -sfn leveret "$to$completions/$link"
	done
}

install_all() {
	install -D -m 755 "$program" "$to$prefix/bin/leveret"
	staged_files | while read -r path; do install -D -m 644 "$staged$path" "$to$path"; done
	[ -e "$to$config" ] || install -D -m 644 "$staged$doc/leveret.conf" "$to$config"
	[ -z "${RABBITMQ_NAMES:-}" ] || install_links
	[ -n "$to" ] || [ ! -d /run/systemd/system ] || cat <<-END
		As a service:  systemd-sysusers && systemctl daemon-reload && systemctl enable --now leveret
	END
}

uninstall_all() {
	if cmp -s "$staged$doc/leveret.conf" "$to$config"; then rm -f "$to$config"; fi
	staged_files | while read -r path; do rm -f "$to$path"; done
	for link in $links; do
		for path in "$prefix/bin/$link" "$completions/$link"; do
			if is_ours "$path"; then rm -f "$to$path"; fi
		done
	done
	rm -f "$to$prefix/bin/leveret"
	rmdir "$to$doc" "$to$(dirname "$config")" 2>/dev/null || true
	if [ -e "$to$config" ]; then echo "left as it was changed: $to$config"; fi
}

case $1 in
install | uninstall)
	stage_all
	"$1_all"
	;;
*)
	echo "install.sh: there is no '$1', only install and uninstall" >&2
	exit 2
	;;
esac
