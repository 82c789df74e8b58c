#!/usr/bin/env bash
# Installs the packages that `make deb` built in a bare Debian 12, runs snugd there, and removes them again without a trace. As root.
#
#     tests/packaging/smoke.sh DIRECTORY_OF_PACKAGES        MIRROR, CHROOT: see bare_debian.sh
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/bare_debian.sh"

packages=$(realpath "$1")
server=
finish() {
	if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
	umount "$work/root/proc" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap finish EXIT
root=$work/root
bare_debian "$root"
mount -t proc proc "$root/proc" 2>/dev/null || true
mkdir "$root/packages"
cp "$packages"/*.deb "$root/packages/"
rm -f "$root"/packages/*dbgsym*
inside "$root" apt-get update >"$work/apt.log" 2>&1
tree_of "$root" >"$work/before"

inside "$root" sh -c 'apt-get install -y --no-install-recommends /packages/*.deb' >>"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "install"; }
ok "installs"
for file in usr/bin/snugd usr/bin/snugctl etc/snugd.conf lib/systemd/system/snugd.service usr/share/man/man1/snugd.1.gz usr/share/man/man1/snugctl.1.gz usr/share/man/man3/libsnug.3.gz usr/include/snug/heap.h \
	usr/share/bash-completion/completions/snugd.bash usr/share/zsh/vendor-completions/_snugctl usr/share/snugd/snugd.socket usr/share/doc/libsnug-dev/examples/example_cache.c usr/share/doc/libsnug-dev/examples/example_pages.py; do
	[[ -e $root/$file ]] || fail "$file is missing"
done
inside "$root" snugd --config /etc/snugd.conf --check-config >/dev/null || fail "the config as installed"
[[ -n $(find "$root/usr/lib" -name snugConfig.cmake) ]] || fail "CMake's package is missing"
ok "has its files; the config is fine"

mkdir -p "$root/run/snugd"
chroot "$root" /usr/bin/snugd --config /etc/snugd.conf -p -1 -u root 2>"$work/log" &
server=$!
for _ in $(seq 100); do
	port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log" | head -1)
	[[ -z $port ]] || break
	sleep 0.1
done
[[ -n $port ]] || { cat "$work/log"; fail "start"; }
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n' >&3
answer=$(timeout 10 cat <&3 | tr -d '\r' | tr '\n' ' ')
[[ $answer == "STORED VALUE k 0 5 hello END " ]] || fail "set and get: $answer"
ok "serves"
inside "$root" snugctl defrag >"$work/defrag" 2>&1 || { cat "$work/defrag"; fail "snugctl defrag"; }
ok "snugctl defrag"
kill -HUP "$server"
sleep 0.3
grep -q 'reload: done' "$work/log" || fail "reload"
ok "reloads"
kill -TERM "$server"
wait "$server" || fail "its status at the end"
server=
ok "ends"

inside "$root" sh -c 'apt-get purge --auto-remove -y snugd python3-snug libsnug-dev libsnug0' >>"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "purge"; }
rmdir "$root/run/snugd"
tree_of "$root" >"$work/after"
diff "$work/before" "$work/after" || fail "something is left, or gone too"
ok "is removed without a trace"
echo "$passed passed, 0 failed"
