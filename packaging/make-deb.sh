#!/usr/bin/env bash
# What `make deb` does: builds Debian's packages from the tree as it is, in build-deb/, where they stay.
#
#     packaging/make-deb.sh [DIRECTORY]
set -euo pipefail

directory=${1:-build-deb}
rm -rf "$directory"
mkdir -p "$directory/snug"
# Not what builds have left.
tar --exclude='./build*' --exclude=./.git -cf - . | tar -xf - -C "$directory/snug"
cp -r packaging/debian "$directory/snug/debian"
cd "$directory/snug"
if ! dpkg-buildpackage --build=binary --unsigned-changes --unsigned-source >../build.log 2>&1; then
	tail -n 40 ../build.log >&2
	echo "make deb: failed; all of it is in $directory/build.log" >&2
	exit 1
fi
cd ..
rm -rf snug
ls -1 *.deb
