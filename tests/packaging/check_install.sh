#!/usr/bin/env bash
# Installs a build below a directory and uses it from there as others do: pkg-config, a static program, CMake, Meson; then removes it.
#
#     tests/packaging/check_install.sh BUILD_DIRECTORY
set -euo pipefail

build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
ok() {
	echo "[       OK ] $1"
	passed=$((passed + 1))
}
fail() {
	echo "[  FAILED  ] $1" >&2
	[[ ! -s $work/log ]] || tail -n 30 "$work/log" >&2
	exit 1
}
quietly() { "$@" >"$work/log" 2>&1; }

root=$work/root
install_it() { quietly meson install --quiet --no-rebuild -C "$build" --destdir "$root" || fail "install"; }
install_it
prefix=$root$(meson introspect --buildoptions "$build" | python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
library=$(dirname "$(find "$root" -name libsnug.so)")
export PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
program=$source/examples/example_cache.c
ok "installs below a directory"

quietly cc "$program" -o "$work/shared" $(pkg-config --cflags --libs snug) || fail "pkg-config"
quietly env LD_LIBRARY_PATH="$library" "$work/shared" || fail "a program with the shared library"
ok "pkg-config: the shared library"
quietly cc -static "$program" -o "$work/static" $(pkg-config --static --cflags --libs snug) || fail "pkg-config --static"
quietly "$work/static" || fail "a static program"
if ldd "$work/static" >/dev/null 2>&1; then fail "a static program that is not"; fi
ok "pkg-config --static: a program that needs no library at all"

mkdir "$work/cmake"
cp "$program" "$work/cmake/program.c"
cp "$program" "$work/cmake/program.cpp"
write_cmake() {
	cat >"$work/cmake/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.16)
		project(user C CXX)
		find_package(snug $1 REQUIRED)
		add_executable(shared program.c)
		target_link_libraries(shared snug::snug)
		add_executable(shared-cpp program.cpp)
		target_link_libraries(shared-cpp snug::snug)
		add_executable(static program.c)
		target_link_libraries(static snug::static)
	END
}
cmake_it() { quietly cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix"; }
write_cmake 0.1
cmake_it || fail "find_package"
quietly cmake --build "$work/cmake/build" || fail "targets of find_package"
for name in shared shared-cpp static; do quietly "$work/cmake/build/$name" || fail "CMake's program $name"; done
ldd "$work/cmake/build/shared" | grep -q "$library/libsnug.so.0" || fail "CMake: not the installed library"
if ldd "$work/cmake/build/static" | grep -q libsnug; then fail "CMake: snug::static is shared"; fi
ok "CMake: snug::snug and snug::static, in C and in C++"
for version in 0.2 0.1.99 1; do
	write_cmake $version
	if cmake_it; then fail "CMake takes $version"; fi
	grep -q 'not accepted' "$work/log" || fail "CMake says nothing of the version"
done
ok "CMake: another version is refused"
mv "$library/libsnug.a" "$work/"
write_cmake 0.1
if cmake_it; then fail "CMake takes a package without a library"; fi
tr -s ' \n' ' ' <"$work/log" | grep -q 'libsnug.a is missing' || fail "CMake does not say what is missing"
mv "$work/libsnug.a" "$library/"
ok "CMake: what is missing is named"

# As a subproject, with a warning that the project itself does not pass.
mkdir -p "$work/meson/subprojects"
ln -s "$source" "$work/meson/subprojects/snug"
cp "$program" "$work/meson/program.c"
printf '[wrap-git]\ndirectory = snug\nurl = https://example.org/snug.git\nrevision = head\n[provide]\ndependency_names = snug\n' >"$work/meson/subprojects/snug.wrap"
cat >"$work/meson/meson.build" <<-'END'
	project('user', 'c')
	program = executable('program', 'program.c', dependencies: dependency('snug'))
	test('program', program)
END
quietly env -u PKG_CONFIG_PATH -u PKG_CONFIG_SYSROOT_DIR CFLAGS=-Wpadded meson setup --wrap-mode=forcefallback "$work/meson" "$work/meson/build" || fail "a subproject of Meson"
quietly ninja -C "$work/meson/build" || fail "warnings are errors for others"
grep -q 'warning:' "$work/log" || fail "the warning is none"
quietly meson test --no-rebuild -C "$work/meson/build" || fail "the program of a Meson project"
[[ ! -e $work/meson/build/subprojects/snug/snugd ]] || fail "a subproject builds programs"
ok "Meson: dependency('snug') from a subproject; its warnings are no errors"

config=$(find "$root" -name snugd.conf -path '*/etc/*')
unit=$(find "$root" -name snugd.service)
at=${prefix#"$root"}
grep -q "^ExecStart=$at/bin/snugd --config ${config#"$root"} " "$unit" || fail "the unit names other files"
grep -q "^ExecStartPre=$at/bin/snugd --config ${config#"$root"} " "$unit" || fail "the unit checks another config"
quietly "$prefix/bin/snugd" --config "$config" --check-config || fail "the config"
for file in share/bash-completion/completions/snugd.bash share/zsh/site-functions/_snugctl share/snugd/snugd.socket share/man/man1/snugd.1; do
	[[ -s $prefix/$file ]] || fail "$file is missing"
done
ok "the unit, its config, completion"

echo '# mine' >>"$config"
install_it
tail -n 1 "$config" | grep -q '# mine' || fail "an install writes over a config"
"$source/packaging/uninstall.sh" "$build" >"$work/log" || fail "uninstall"
grep -q "$config was changed" "$work/log" || fail "uninstall does not name the config that stays"
left=$(find "$root" ! -type d)
[[ $left == "$config" ]] || fail "uninstall leaves: $left"
[[ ! -e $prefix/include/snug ]] || fail "uninstall leaves a folder"
rm "$config"
install_it
"$source/packaging/uninstall.sh" "$build" >"$work/log" || fail "uninstall"
[[ -z $(find "$root" ! -type d) ]] || fail "uninstall leaves: $(find "$root" ! -type d)"
ok "uninstall removes all of it, but a config that was changed"
if "$source/packaging/uninstall.sh" "$build" 2>"$work/log"; then fail "uninstall of nothing"; fi
ok "uninstall says when there is nothing"
echo "$passed passed, 0 failed"
