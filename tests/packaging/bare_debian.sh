# What the tests of packages share, to be sourced: a directory to work in, and a bare Debian 12 below it.
#
#     MIRROR=address of Debian's archive; CHROOT=a bare Debian 12, kept, of which copies are taken; else debootstrap makes one
mirror=${MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
passed=0

ok() {
	echo "[       OK ] $1"
	passed=$((passed + 1))
}
fail() {
	echo "[  FAILED  ] $1" >&2
	exit 1
}

# bare_debian DIRECTORY [WORD FOR DEBOOTSTRAP]
bare_debian() {
	if [[ -n ${CHROOT:-} ]]; then
		cp -a "$CHROOT" "$1"
		return
	fi
	PATH=$PATH:/usr/sbin debootstrap --variant=minbase "${@:2}" bookworm "$1" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; fail "debootstrap"; }
}
# inside DIRECTORY COMMAND..: as root, with what Debian's packages expect of an environment.
inside() { chroot "$1" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"; }
# Names of all that packages could leave, and their dependencies, which go with them; caches and logs of apt and dpkg are theirs.
tree_of() {
	(cd "$1" && find . -xdev \( -path ./proc -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./tmp -o -path ./packages \) -prune -o -print | sort)
}
