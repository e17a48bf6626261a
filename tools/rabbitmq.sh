#!/bin/sh
# rabbitmq.sh start DIR [TREE]  start Debian's rabbitmq-server by hand; prints `PID PORT` once it
#                               accepts
# rabbitmq.sh stop DIR          end what was started there
#
# The node has its own name, cookie, data, logs, port mapper and ports, all on loopback and below
# DIR, so that it neither meets nor disturbs a system service, which is never started or stopped.
#
# With TREE, the root of another Debian in which rabbitmq-server is installed and /proc and /dev are
# mounted, the node runs chrooted there, which only root may do. For trixie and its RabbitMQ 4.0:
#   debootstrap --variant=minbase trixie TREE
#   mount -t proc proc TREE/proc && mount --rbind /dev TREE/dev
#   chroot TREE apt-get install -y --no-install-recommends rabbitmq-server
# The node keeps its files in TREE/var/tmp until it is stopped.
set -eu

usage() {
	sed -n '2,4s/^# //p' "$0" >&2
	exit 2
}
case $# in 2 | 3) ;; *) usage ;; esac
mkdir -p "$2"
dir=$(cd "$2" && pwd)

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# Ends the process named in a pid file: kindly, then after a minute not.
end() {
	alive "$1" || return 0
	pid=$(cat "$1")
	kill -TERM "$pid"
	waited=0
	while kill -0 "$pid" 2>/dev/null; do
		[ $waited -lt 600 ] || { kill -KILL "$pid"; break; }
		sleep 0.1
		waited=$((waited + 1))
	done
	rm -f "$1"
}

free_ports() {
	/usr/bin/python3 -c '
import socket
held = [socket.socket() for _ in range(3)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))'
}

# Everything in one process session whose leader is known, so that it can be found and ended again.
detached() {
	pidfile=$1
	shift
	# shellcheck disable=SC2016 # the inner shell expands
	setsid sh -c 'echo $$ >"$0"; exec "$@"' "$pidfile" "$@" </dev/null >>"$dir/stdout" 2>&1 &
}

stop() {
	end "$dir/beam.pid"
	end "$dir/leader.pid"
	end "$dir/epmd.pid"
	if [ -s "$dir/node" ]; then rm -rf "$(cat "$dir/node")" "$dir/node"; fi
}

# Where the node keeps its files: $node as this script sees it, $inside as the node does.
place() {
	node=$dir
	if [ -n "$tree" ]; then
		if [ ! -e "$tree/proc/self" ] || [ ! -c "$tree/dev/null" ]; then
			echo "rabbitmq.sh: /proc and /dev are not mounted in $tree" >&2
			exit 1
		fi
		node=$(mktemp -d "$tree/var/tmp/leveret-peer.XXXXXX")
		echo "$node" >"$dir/node"
	fi
	inside=${node#"$tree"}
}

start() {
	tree=${1%/}
	server=$(find "$tree/usr/lib/rabbitmq/lib" -path '*/sbin/rabbitmq-server' 2>/dev/null | tail -n 1)
	if [ -z "$server" ] || [ ! -x "$tree/usr/bin/epmd" ]; then
		echo "rabbitmq.sh: rabbitmq-server is not installed (${tree:-tools/install.sh peers})" >&2
		exit 1
	fi
	place
	# shellcheck disable=SC2046 # three words
	set -- $(free_ports)
	port=$1 mapper=$2 distribution=$3
	mkdir -p "$node/home" "$node/log"
	printf 'listeners.tcp.1 = 127.0.0.1:%s\nlog.file.level = warning\n' "$port" >"$node/rabbitmq.conf"
	echo '[].' >"$node/enabled_plugins"
	: >"$dir/stdout"
	export HOME="$inside/home" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$mapper"
	export RABBITMQ_NODENAME="peer$port@localhost" RABBITMQ_DIST_PORT="$distribution"
	export RABBITMQ_MNESIA_BASE="$inside/mnesia" RABBITMQ_LOG_BASE="$inside/log"
	export RABBITMQ_CONFIG_FILE="$inside/rabbitmq" RABBITMQ_CONF_ENV_FILE=/dev/null
	export RABBITMQ_ENABLED_PLUGINS_FILE="$inside/enabled_plugins"
	export RABBITMQ_PID_FILE="$inside/rabbit.pid"
	export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
	detached "$dir/epmd.pid" ${tree:+chroot "$tree"} /usr/bin/epmd -address 127.0.0.1 -port "$mapper"
	detached "$dir/leader.pid" ${tree:+chroot "$tree"} "${server#"$tree"}"
	waited=0
	until grep -q 'completed with [0-9]* plugins' "$dir/stdout"; do
		if [ $waited -ge 1200 ] || { [ $waited -ge 20 ] && ! alive "$dir/leader.pid"; }; then
			cat "$dir/stdout" >&2
			stop
			exit 1
		fi
		sleep 0.1
		waited=$((waited + 1))
	done
	# The node writes the number of the process that does the work into a file of its own.
	cp "$node/rabbit.pid" "$dir/beam.pid"
	echo "$(cat "$dir/beam.pid") $port"
}

case $1 in
start) start "${3-}" ;;
stop) stop ;;
*) usage ;;
esac
