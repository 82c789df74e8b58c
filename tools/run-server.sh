#!/usr/bin/env bash
# run-server.sh: what `make run` does: says how to talk to the server, then becomes the server, so that signals are its own.
#
#     tools/run-server.sh BUILD_DIRECTORY [options of snugd]        PORT=number, HTTP_PORT=number: other ports than 11211 and 8211
set -euo pipefail
build=${1:-build}
[[ $# -eq 0 ]] || shift

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A terminal's Ctrl-C reaches us and make alike. A SIGINT that a script sends to make alone does not: make then waits for us without a word,
# but stops catching the signal, and that can be seen (bit 2 of SigCgt). $1: make. $2: whom to tell.
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
catches_interrupt() { (((0x$(status_of "$1" SigCgt) & 2) != 0)); }
pass_on_interrupt() {
	local self=$BASHPID
	while [[ $(status_of "$self" PPid) == "$2" ]]; do
		catches_interrupt "$1" || kill -INT "$2"
		sleep 0.5
	done
}

port=${PORT:-11211}
if [[ -z ${PORT:-} ]]; then
	until is_free "$port"; do port=$((20000 + RANDOM % 10000)); done
fi

http_port=${HTTP_PORT:-8211}
if [[ -z ${HTTP_PORT:-} ]]; then
	until is_free "$http_port"; do http_port=$((20000 + RANDOM % 10000)); done
fi

commands='set greeting 0 0 5\r\nhello\r\nget greeting\r\nquit\r\n'
cat <<EOF
Talk to it from another terminal:

    printf '$commands' | nc 127.0.0.1 $port

or, where there is no nc:

    bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; printf "$commands" >&3; cat <&3'

Dashboard: http://127.0.0.1:$http_port/    metrics for Prometheus: http://127.0.0.1:$http_port/metrics

It holds 64 MiB unless told otherwise: make run RUN_OPTIONS='-m 1024'. All options: $build/snugd --help
Ctrl-C stops it.

EOF
if catches_interrupt $PPID 2>/dev/null; then pass_on_interrupt $PPID $$ >/dev/null 2>&1 & fi
exec "$build/snugd" -v -p "$port" --http "127.0.0.1:$http_port" "$@"
