#!/usr/bin/env bash
# Installs the packages that `make deb` built in two bare Debians 12 as those do who build on the library: in one a C++ compiler, to compile and run all
# examples; in the other Python alone. As root.
#
#     tests/packaging/wrappers.sh DIRECTORY_OF_PACKAGES      MIRROR, CHROOT: see bare_debian.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/bare_debian.sh"

packages=$(realpath "$1")
trap 'rm -rf --one-file-system "$work"' EXIT
install_in() { inside "$1" sh -c "apt-get update && apt-get install -y --no-install-recommends $2" >"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "install $2"; }; }

# ---- C++ and C --------------------------------------------------------------------------------------------------------

root=$work/cpp
bare_debian "$root"
mkdir "$root/packages"
cp "$packages"/libsnug0_*.deb "$packages"/libsnug-dev_*.deb "$root/packages/"
install_in "$root" "/packages/*.deb g++ pkg-config"
ok "libsnug-dev and g++ are installed"
# Examples are compressed where they are long: who reads them there unpacks them.
compile='set -e; cd /tmp; gunzip -kf /usr/share/doc/libsnug-dev/examples/*.gz 2>/dev/null || true
for source in /usr/share/doc/libsnug-dev/examples/*.cc; do g++ -std=c++17 -Wall -Wextra -Werror "$source" $(pkg-config --cflags --libs snug) -pthread -o "$(basename "$source" .cc)"; done
for source in /usr/share/doc/libsnug-dev/examples/*.c; do gcc -std=c17 -Wall -Wextra -Werror "$source" $(pkg-config --cflags --libs snug) -pthread -o "$(basename "$source" .c)"; done
for program in example_*; do ./$program >$program.out || { echo "$program: $?"; exit 1; }; done; ls example_*.out'
inside "$root" sh -c "$compile" >"$work/cpp.log" 2>&1 || { cat "$work/cpp.log"; fail "an example does not compile, or ends with a mistake"; }
grep -q example_threads "$work/cpp.log" || fail "the example in C++ is not among the package's"
ok "the examples in C and C++ compile without a warning, and run: $(wc -l <"$work/cpp.log")"
printf '#include <cstdio>\n#include <snug/snug.hpp>\nint main() { auto heap = snug::heap::create(4 << 20); std::puts(heap ? "made" : "refused"); return heap ? 0 : 1; }\n' >"$root/tmp/heap.cc"
inside "$root" sh -c 'cd /tmp && g++ -std=c++17 heap.cc $(pkg-config --cflags --libs --static snug) -static -o heap && ./heap' >"$work/static.log" 2>&1 || { cat "$work/static.log"; fail "a static program"; }
ok "a static program in C++"
rm -rf --one-file-system "$root"

# ---- Python -----------------------------------------------------------------------------------------------------------

root=$work/python
bare_debian "$root"
mkdir "$root/packages"
cp "$packages"/libsnug0_*.deb "$packages"/python3-snug_*.deb "$root/packages/"
inside "$root" apt-get update >"$work/apt.log" 2>&1
tree_of "$root" >"$work/before"
install_in "$root" "/packages/*.deb"
ok "python3-snug is installed, with all that it needs"
inside "$root" /usr/bin/python3 /usr/share/doc/python3-snug/examples/example_pages.py >"$work/python.log" 2>&1 || { cat "$work/python.log"; fail "the example in Python"; }
inside "$root" /usr/bin/python3 -c '
import snug
with snug.Heap(limit_bytes=4 << 20) as heap:
    handles = [heap.alloc(b"x" * 100) for _ in range(1000)]
    for handle in handles[::2]:
        heap.free(handle)
    heap.defragment()
    assert heap.read(handles[1]) == b"x" * 100
print(snug.version())' >"$work/python.log" 2>&1 || { cat "$work/python.log"; fail "a heap in Python"; }
ok "its example runs, and a heap: version $(tail -1 "$work/python.log")"
inside "$root" sh -c 'apt-get purge --auto-remove -y python3-snug libsnug0' >"$work/apt.log" 2>&1 || { tail "$work/apt.log"; fail "purge"; }
tree_of "$root" >"$work/after"
diff "$work/before" "$work/after" || fail "something is left, or gone too"
ok "is removed without a trace"
echo "$passed passed, 0 failed"
