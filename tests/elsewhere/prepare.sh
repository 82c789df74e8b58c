#!/usr/bin/env bash
# Prepares a build for a machine that is not this one: what snug's tests link, compiled for it, and the file that tells Meson about it.
#
#     tests/elsewhere/prepare.sh DIRECTORY musl|arm64       MIRROR=address of Debian's archive
#
# DIRECTORY becomes
#     machine.txt          for meson setup: --native-file with musl, --cross-file with arm64
#     include lib          cmocka, from Debian's source, and the header of xxHash, which is the same for all machines
#     kernel               with musl, whose packages have no headers of Linux: links to this machine's
# Nothing is installed, and nothing of it needs root. io_uring, HTTP and C++ need libraries that are not there: they are left out.
set -euo pipefail
mkdir -p "$1"
directory=$(realpath "$1")
kind=$2
mirror=${MIRROR:-http://deb.debian.org/debian}
case $kind in
musl) compiler=musl-gcc ;;
arm64) compiler=aarch64-linux-gnu-gcc ;;
*)
	echo "prepare: no such kind: $kind" >&2
	exit 2
	;;
esac

# With lists and a cache of their own, so that neither the system's list of sources nor its rights matter.
fetch_source() {
	local apt=$directory/apt
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "deb-src $mirror $VERSION_CODENAME main") >"$apt/sources.list"
	local options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$apt/state" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=)
	apt-get "${options[@]}" update
	(cd "$apt" && apt-get "${options[@]}" source --download-only "$1")
	tar -C "$directory" -xf "$apt/$1"_*.orig.tar.*z
	rm -rf "$apt"
}

make_cmocka() {
	local source header
	fetch_source cmocka >"$directory/fetch.log" 2>&1 || {
		cat "$directory/fetch.log" >&2
		return 1
	}
	source=$(echo "$directory"/cmocka-*)
	for header in INTTYPES_H MALLOC_H SIGNAL_H STRINGS_H STRSIGNAL STRUCT_TIMESPEC CLOCK_REALTIME SIGLONGJMP GCC_THREAD_LOCAL_STORAGE; do
		echo "#define HAVE_$header 1"
	done >"$source/config.h"
	cp "$source"/include/*.h "$directory/include/"
	"$compiler" -O2 -g -fPIC -D_GNU_SOURCE -DHAVE_CONFIG_H -I"$source" -I"$source/include" -c "$source/src/cmocka.c" -o "$source/cmocka.o"
	ar rcs "$directory/lib/libcmocka.a" "$source/cmocka.o"
	rm -rf "$source"
}

# name, version, libraries
tell_pkg_config() {
	cat >"$directory/lib/pkgconfig/$1.pc" <<-END
		prefix=\${pcfiledir}/../..
		Name: $1
		Description: of tests/elsewhere
		Version: $2
		Cflags: -isystem \${prefix}/include
		Libs: $3
	END
}

tell_meson() {
	echo "[binaries]"
	echo "c = '$compiler'"
	echo "pkgconfig = 'pkg-config'"
	if [[ $kind == musl ]]; then
		echo "cpp = 'false'"
		echo "[built-in options]"
		echo "c_args = ['-isystem', '$directory/kernel']"
	else
		printf "%s = 'aarch64-linux-gnu-%s'\n" ar ar strip strip objcopy objcopy
		echo "exe_wrapper = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu']"
		printf '%s\n' "[host_machine]" "system = 'linux'" "cpu_family = 'aarch64'" "cpu = 'aarch64'" "endian = 'little'"
	fi
	echo "[properties]"
	echo "pkg_config_libdir = '$directory/lib/pkgconfig'"
}

mkdir -p "$directory/include" "$directory/lib/pkgconfig"
make_cmocka
tell_pkg_config cmocka 1.1.5 '-L${prefix}/lib -lcmocka'
cp "$(pkg-config --variable=includedir libxxhash)/xxhash.h" "$directory/include/"
tell_pkg_config libxxhash "$(pkg-config --modversion libxxhash)" ''
if [[ $kind == musl ]]; then
	mkdir -p "$directory/kernel"
	ln -sfn /usr/include/linux "$directory/kernel/linux"
	ln -sfn /usr/include/asm-generic "$directory/kernel/asm-generic"
	ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$directory/kernel/asm"
fi
tell_meson >"$directory/machine.txt"
