#!/usr/bin/env bash
# Builds the image of Dockerfile upon a bare Debian 12 that debootstrap makes, so no registry is needed, and runs it as podman does for anybody:
# without capabilities, and with a root that is not written to. As root.
#
#     tests/packaging/image.sh        MIRROR, CHROOT: see bare_debian.sh
#
# Skipped, in words, where podman is not there or no container starts. All that it makes lies in a directory of its own, which goes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() {
	echo "skipped: the image was not built: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}
[[ $EUID -eq 0 ]] || skip "this test needs root"
for tool in podman debootstrap; do
	PATH=$PATH:/usr/sbin command -v $tool >/dev/null || skip "there is no $tool"
done

. tests/packaging/bare_debian.sh
# The one driver that asks nothing of the file system; runc where it is there, because crun refuses cgroups of two versions at once.
engine=(podman --root "$work/images" --runroot "$work/run" --storage-driver vfs --cgroup-manager cgroupfs)
if command -v runc >/dev/null; then engine+=(--runtime runc); fi
# Limits that are named are not raised: a sandbox may forbid that. The port is the kernel's choice, on the machine's own network.
run=("${engine[@]}" run --network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --cap-drop all --security-opt no-new-privileges)
finish() {
	"${engine[@]}" rm --all --force >/dev/null 2>&1 || true
	umount -R "$work/images/vfs" 2>/dev/null || true
	umount "$work/memory" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap finish EXIT
# Runs $2.. until it succeeds; $1 says what is waited for.
wait_for() {
	local what=$1
	shift
	for _ in $(seq 300); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	fail "$what"
}
log_of() { "${engine[@]}" logs "$1" 2>&1; }
port_of() { log_of "$1" | sed -n 's/.*0\.0\.0\.0:\([0-9]*\).*/\1/p' | head -1; }
has_port() { [[ -n $(port_of "$1") ]]; }

base=${CHROOT:-$work/base}
[[ -n ${CHROOT:-} ]] || bare_debian "$base"
tar -C "$base" --one-file-system -cf - . | "${engine[@]}" import - localhost/snug-check-base >/dev/null 2>"$work/import.log" || { cat "$work/import.log"; fail "import"; }
"${run[@]}" --rm localhost/snug-check-base true >"$work/probe.log" 2>&1 || skip "no container starts here: $(tail -1 "$work/probe.log")"

# chroot: the steps of a build are processes of root in a directory, which any sandbox with a root can do, and have the machine's network.
"${engine[@]}" build --isolation chroot --build-arg BASE=localhost/snug-check-base -t localhost/snug-check . >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; fail "build"; }
ok "is built"

"${engine[@]}" run --rm --network none --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --entrypoint /bin/sh localhost/snug-check -c \
	'! command -v gcc && ! command -v meson && ! test -e /source && test "$(id -u)" = 11211 && ! test -w /usr/bin/snugd && ! test -w /etc/snugd.conf' >"$work/look.log" 2>&1 ||
	{ cat "$work/look.log"; fail "a compiler, the source or a right too much is in it"; }
ok "has no compiler and no source; its user is not root and can change neither program nor config"

server=$("${run[@]}" --detach localhost/snug-check -p -1 -m 128)
wait_for "start: $(log_of "$server")" has_port "$server"
pid=$("${engine[@]}" inspect --format '{{.State.Pid}}' "$server")
[[ $(awk '/^Uid:/ {print $2, $3, $4}' "/proc/$pid/status") == "11211 11211 11211" ]] || fail "snugd runs as another user than 11211"
[[ $(awk '/^CapEff:/ {print $2}' "/proc/$pid/status") == 0000000000000000 ]] || fail "snugd has capabilities"
ok "runs as the user 11211, without capabilities"
exec 3<>"/dev/tcp/127.0.0.1/$(port_of "$server")"
printf 'set k 0 0 5\r\nhello\r\nget k\r\nsnug defrag\r\nquit\r\n' >&3
answer=$(timeout 60 cat <&3 | tr -d '\r' | tr '\n' ' ')
[[ $answer == "STORED VALUE k 0 5 hello END CLIENT_ERROR"* ]] || fail "set, get, and a command that the operator's socket alone takes: $answer"
ok "serves; what only operators may is refused on the port"
"${engine[@]}" exec "$server" snugctl defrag >"$work/defrag" 2>&1 || { cat "$work/defrag"; fail "snugctl defrag"; }
"${engine[@]}" exec "$server" snugctl doctor >"$work/doctor" 2>&1 || [[ $? -eq 4 ]] || { cat "$work/doctor"; fail "snugctl doctor"; }
ok "snugctl in the container reaches it"
"${engine[@]}" stop --time 60 "$server" >/dev/null
[[ $("${engine[@]}" inspect --format '{{.State.ExitCode}}' "$server") == 0 ]] || { log_of "$server"; fail "its status at the end"; }
ok "ends in order when it is stopped, with status 0"

memory=$work/memory
mkdir "$memory"
mount -t tmpfs -o size=256m,mode=0755 tmpfs "$memory"
chown 11211:11211 "$memory"
kept=("${run[@]}" --detach --read-only --volume "$memory:/memory" localhost/snug-check -p -1 -e /memory/file)
first=$("${kept[@]}")
wait_for "start with a memory file: $(log_of "$first")" has_port "$first"
exec 3<>"/dev/tcp/127.0.0.1/$(port_of "$first")"
printf 'set kept 0 0 4\r\nmine\r\nquit\r\n' >&3
[[ $(timeout 60 cat <&3 | tr -d '\r') == STORED ]] || fail "a set with a memory file"
"${engine[@]}" stop --time 60 "$first" >/dev/null
second=$("${kept[@]}")
wait_for "second start with a memory file: $(log_of "$second")" has_port "$second"
exec 3<>"/dev/tcp/127.0.0.1/$(port_of "$second")"
printf 'get kept\r\nquit\r\n' >&3
[[ $(timeout 60 cat <&3 | tr -d '\r' | tr '\n' ' ') == "VALUE kept 0 4 mine END " ]] || { log_of "$second"; fail "the item is gone with the container"; }
"${engine[@]}" exec "$second" snugctl stats >/dev/null || fail "snugctl beside a root that is not written to"
ok "a container with a read-only root keeps its items for the next one, in a tmpfs"
"${engine[@]}" stop --time 60 "$second" >/dev/null

size=$("${engine[@]}" image inspect --format '{{.Size}}' localhost/snug-check)
of_base=$("${engine[@]}" image inspect --format '{{.Size}}' localhost/snug-check-base)
echo "the image has $((size >> 20)) MiB, of which Debian's base is $((of_base >> 20)) MiB"
echo "$passed passed, 0 failed"
