#!/usr/bin/env bash
# Runs snugd as the unit of its package under a systemd of its own: a bare Debian 12, booted as a container without the host's network. As root.
#
#     tests/packaging/systemd.sh DIRECTORY_OF_PACKAGES      MIRROR, CHROOT: see bare_debian.sh; a CHROOT has systemd in it
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/bare_debian.sh"

packages=$(realpath "$1")
root=$work/root
container=
client=
finish() {
	if [[ -n $client ]]; then pkill -P "$client" || true; fi
	if [[ -n $container ]]; then
		kill "$container" 2>/dev/null || true
		wait "$container" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$work"
}
trap finish EXIT
# With what the container's log has of it.
fail() {
	echo "[  FAILED  ] $1" >&2
	[[ -z ${leader:-} ]] || booted journalctl --no-pager -n 40 >&2 || true
	exit 1
}
# In the container, beside its systemd.
booted() { nsenter -t "$leader" -m -u -i -n -p -r -w -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
until_true() {
	for _ in $(seq 150); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.2
	done
	return 1
}
property() { booted systemctl show snugd -p "$1" --value; }
is_active() { [[ $(property ActiveState) == active ]]; }
journal_has() { booted journalctl -u snugd --no-pager -o cat | grep -- "$1" >/dev/null; }
exchange() { booted timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; printf "$1" >&3; cat <&3' - "$1" | tr -d '\r' | tr '\n' ' '; }

bare_debian "$root" --include=systemd,systemd-sysv
mkdir -p "$root/packages"
cp "$packages"/snugd_*.deb "$packages"/libsnug0_*.deb "$root/packages/"
inside "$root" sh -c 'apt-get update && apt-get install -y --no-install-recommends /packages/*.deb' >"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "install"; }

systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network --console=pipe --machine=snug-check-$$ >"$work/boot.log" 2>&1 </dev/null &
container=$!
first_child() { leader=$(pgrep -P "$container" -x systemd); }
until_true first_child || { cat "$work/boot.log"; fail "boot"; }
until_true is_active || { cat "$work/boot.log"; fail "the unit does not start"; }
until_true journal_has "listening on" || fail "it does not listen"
ok "starts at boot: $(booted journalctl -u snugd --no-pager -o cat | grep -m1 -o 'listening on.*')"

process=$(property MainPID)
status=$(booted cat "/proc/$process/status")
grep -q '^Uid:[[:space:]]0' <<<"$status" && fail "it runs as root"
grep -q '^CapEff:[[:space:]]*0*$' <<<"$status" || fail "it has capabilities"
grep -q '^NoNewPrivs:[[:space:]]*1$' <<<"$status" || fail "it may gain privileges"
grep -q '^Seccomp:[[:space:]]*2$' <<<"$status" || fail "its system calls are not filtered"
ok "as a user without rights, its system calls filtered"

answer=$(exchange 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n')
[[ $answer == "STORED VALUE k 0 5 hello END " ]] || fail "set and get: $answer"
booted snugctl defrag >"$work/defrag" 2>&1 || { cat "$work/defrag"; fail "snugctl defrag"; }
ok "serves, and defragments"

booted systemctl restart snugd || fail "restart"
until_true is_active || fail "it is not there again"
[[ $(property MainPID) != "$process" ]] || fail "restart started no other"
answer=$(exchange 'get k\r\nquit\r\n')
[[ $answer == "VALUE k 0 5 hello END " ]] || fail "the item is gone after a restart: $answer"
process=$(property MainPID)
ok "keeps its items over a restart"

# By a client beside the container's own programs, in its network.
load() { nsenter -t "$leader" -n -- python3 "$(dirname "$0")/restart_load.py" "$@"; }
# restart_under_load ITEMS: what a client saw of it, in $seen.
restart_under_load() {
	rm -f "$work/over"
	load load 127.0.0.1:11211 "$1" "$work/over" >"$work/seen" &
	client=$!
	until_true grep -q begun "$work/seen" || fail "the client does not begin"
	sleep 1
	booted systemctl restart snugd || fail "restart under load"
	until_true is_active || fail "it is not there again after a restart under load"
	sleep 1
	touch "$work/over"
	wait "$client" || fail "restart under load: $(cat "$work/seen")"
	client=
	seen=$(tail -n 1 "$work/seen")
	[[ $(property MainPID) != "$process" ]] || fail "restart under load started no other"
	process=$(property MainPID)
	local found
	found=$(load count 127.0.0.1:11211 "$1")
	[[ $found == "$1" ]] || fail "of $1 items $found are there after a restart under load"
}
items=200000
load fill 127.0.0.1:11211 $items || fail "the items are not stored"
restart_under_load $items
ok "keeps $items items of $items over a restart under load: $seen"

cp "$(dirname "$0")/../../packaging/snugd.socket" "$root/etc/systemd/system/"
booted systemctl daemon-reload
booted systemctl stop snugd
booted systemctl start snugd.socket || fail "snugd.socket does not start"
booted systemctl start snugd || fail "the unit does not start with its socket"
until_true is_active || fail "it is not there with its socket"
load fill 127.0.0.1:11211 $items || fail "the items are not stored, with snugd.socket"
restart_under_load $items
[[ $seen == *"refused 0 times" ]] || fail "a client was refused though systemd holds the port: $seen"
ok "with snugd.socket, nobody is refused: $seen"
booted systemctl stop snugd.socket snugd
rm "$root/etc/systemd/system/snugd.socket"
booted systemctl daemon-reload
booted systemctl start snugd || fail "start"
process=$(property MainPID)

sed -i 's/^idle-timeout = .*/idle-timeout = 77/' "$root/etc/snugd.conf"
booted systemctl reload snugd || fail "reload"
until_true journal_has 'reload: idle-timeout: 77' || fail "reload did nothing"
[[ $(property MainPID) == "$process" ]] || fail "reload started another"
ok "reloads"

booted bash -c "kill -KILL $process"
came_back() { is_active && [[ $(property MainPID) != "$process" && $(exchange 'version\r\nquit\r\n') == VERSION* ]]; }
until_true came_back || fail "it does not come back"
ok "comes back after kill -9"

cp "$root/etc/snugd.conf" "$work/good.conf"
sed -i 's/^memory-limit = .*/memory-limit = much/' "$root/etc/snugd.conf"
booted systemctl restart snugd 2>/dev/null && fail "it starts with a mistake in its config"
until_true journal_has 'snugd.conf:[0-9]*: memory-limit' || fail "the mistake is not named"
cp "$work/good.conf" "$root/etc/snugd.conf"
booted systemctl reset-failed snugd
booted systemctl restart snugd || fail "restart"
ok "refuses a config with a mistake, and names it"

process=$(property MainPID)
booted systemctl stop snugd
[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || fail "its end: $(property Result) $(property ExecMainStatus)"
booted test -e "/proc/$process" && fail "it is still there"
booted test -e /run/snugd && fail "its directory is still there"
ok "stops, and leaves nothing"
echo "$passed passed, 0 failed"
