#!/usr/bin/env bash
# Runs snugd as the unit of its package under a systemd of its own: a bare Debian 12, booted as a container without the host's network. As root.
#
#     tests/packaging/systemd.sh DIRECTORY_OF_PACKAGES      MIRROR=address of Debian's archive; CHROOT=a bare Debian 12 with systemd, kept; else one is made
set -euo pipefail

packages=$(realpath "$1")
mirror=${MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
root=$work/root
container=
finish() {
	if [[ -n $container ]]; then
		kill "$container" 2>/dev/null || true
		wait "$container" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$work"
}
trap finish EXIT
passed=0
ok() {
	echo "[       OK ] $1"
	passed=$((passed + 1))
}
fail() {
	echo "[  FAILED  ] $1" >&2
	[[ -z ${leader:-} ]] || inside journalctl --no-pager -n 40 >&2 || true
	exit 1
}
# In the container, beside its systemd.
inside() { nsenter -t "$leader" -m -u -i -n -p -r -w -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
until_true() {
	for _ in $(seq 150); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.2
	done
	return 1
}
property() { inside systemctl show snugd -p "$1" --value; }
is_active() { [[ $(property ActiveState) == active ]]; }
journal_has() { inside journalctl -u snugd --no-pager -o cat | grep -q -- "$1"; }
exchange() { inside timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; printf "$1" >&3; cat <&3' - "$1" | tr -d '\r' | tr '\n' ' '; }

if [[ -n ${CHROOT:-} ]]; then
	cp -a "$CHROOT" "$root"
else
	debootstrap --variant=minbase --include=systemd,systemd-sysv bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; fail "debootstrap"; }
fi
mkdir -p "$root/packages"
cp "$packages"/snugd_*.deb "$packages"/libsnug0_*.deb "$root/packages/"
chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	sh -c 'apt-get update && apt-get install -y --no-install-recommends /packages/*.deb' >"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "install"; }

systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network --console=pipe --machine=snug-check-$$ >"$work/boot.log" 2>&1 </dev/null &
container=$!
first_child() { leader=$(pgrep -P "$container" -x systemd); }
until_true first_child || { cat "$work/boot.log"; fail "boot"; }
until_true is_active || { cat "$work/boot.log"; fail "the unit does not start"; }
until_true journal_has "listening on" || fail "it does not listen"
ok "starts at boot: $(inside journalctl -u snugd --no-pager -o cat | grep -m1 -o 'listening on.*')"

process=$(property MainPID)
status=$(inside cat "/proc/$process/status")
grep -q '^Uid:[[:space:]]0' <<<"$status" && fail "it runs as root"
grep -q '^CapEff:[[:space:]]*0*$' <<<"$status" || fail "it has capabilities"
grep -q '^NoNewPrivs:[[:space:]]*1$' <<<"$status" || fail "it may gain privileges"
grep -q '^Seccomp:[[:space:]]*2$' <<<"$status" || fail "its system calls are not filtered"
ok "as a user without rights, its system calls filtered"

answer=$(exchange 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n')
[[ $answer == "STORED VALUE k 0 5 hello END " ]] || fail "set and get: $answer"
inside snugctl defrag >"$work/defrag" 2>&1 || { cat "$work/defrag"; fail "snugctl defrag"; }
ok "serves, and defragments"

inside systemctl restart snugd || fail "restart"
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
	local client=$!
	until_true grep -q begun "$work/seen" || fail "the client does not begin"
	sleep 1
	inside systemctl restart snugd || fail "restart under load"
	until_true is_active || fail "it is not there again after a restart under load"
	sleep 1
	touch "$work/over"
	wait "$client" || fail "restart under load: $(cat "$work/seen")"
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
inside systemctl daemon-reload
inside systemctl stop snugd
inside systemctl start snugd.socket || fail "snugd.socket does not start"
inside systemctl start snugd || fail "the unit does not start with its socket"
until_true is_active || fail "it is not there with its socket"
load fill 127.0.0.1:11211 $items || fail "the items are not stored, with snugd.socket"
restart_under_load $items
[[ $seen == *"refused 0 times" ]] || fail "a client was refused though systemd holds the port: $seen"
ok "with snugd.socket, nobody is refused: $seen"
inside systemctl stop snugd.socket snugd
rm "$root/etc/systemd/system/snugd.socket"
inside systemctl daemon-reload
inside systemctl start snugd || fail "start"
process=$(property MainPID)

sed -i 's/^idle-timeout = .*/idle-timeout = 77/' "$root/etc/snugd.conf"
inside systemctl reload snugd || fail "reload"
until_true journal_has 'reload: idle-timeout: 77' || fail "reload did nothing"
[[ $(property MainPID) == "$process" ]] || fail "reload started another"
ok "reloads"

inside bash -c "kill -KILL $process"
came_back() { is_active && [[ $(property MainPID) != "$process" && $(exchange 'version\r\nquit\r\n') == VERSION* ]]; }
until_true came_back || fail "it does not come back"
ok "comes back after kill -9"

cp "$root/etc/snugd.conf" "$work/good.conf"
sed -i 's/^memory-limit = .*/memory-limit = much/' "$root/etc/snugd.conf"
inside systemctl restart snugd 2>/dev/null && fail "it starts with a mistake in its config"
until_true journal_has 'snugd.conf:[0-9]*: memory-limit' || fail "the mistake is not named"
cp "$work/good.conf" "$root/etc/snugd.conf"
inside systemctl reset-failed snugd
inside systemctl restart snugd || fail "restart"
ok "refuses a config with a mistake, and names it"

process=$(property MainPID)
inside systemctl stop snugd
[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || fail "its end: $(property Result) $(property ExecMainStatus)"
inside test -e "/proc/$process" && fail "it is still there"
inside test -e /run/snugd && fail "its directory is still there"
ok "stops, and leaves nothing"
echo "$passed passed, 0 failed"
