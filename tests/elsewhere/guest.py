#!/usr/bin/env python3
"""Runs a command under Debian's own kernel, played by qemu: for what this machine's kernel does not have, such as the module tls.

    guest.py [--count] DIRECTORY COMMAND [ARGUMENT..]

DIRECTORY keeps the kernel, which is taken from Debian's package; nothing is installed. The guest sees this machine's files as they are and writes into memory
that ends with it; it has one processor and no network. SNUG_GUEST tells the command that the system is its own. Ends with the command's status. --count: its clock goes on by a nanosecond with each instruction, so
processor time there is a number of instructions; copies of the kernel are counted eight bytes at a time.

Time in the guest is no machine's.
"""

import argparse
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

PACKAGE = "linux-image-amd64"
FILES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
TLS = ("cryptd", "ctr", "gcm", "ghash_generic", "ghash_clmulni_intel", "aesni_intel", "tls")
MEMORY_MIB = 1024


def fetched_kernel(directory):
    """Debian's package, unpacked: its vmlinuz and its modules, by their names."""
    tree = os.path.join(directory, "kernel")
    if not os.path.isdir(tree):
        says = subprocess.run(["apt-cache", "depends", PACKAGE], check=True, capture_output=True, text=True).stdout
        package = re.search(r"Depends: (linux-image-\S+)", says)[1]
        with tempfile.TemporaryDirectory(dir=directory) as fresh:
            subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", package], check=True, cwd=fresh, stdout=subprocess.DEVNULL)
            subprocess.run(["dpkg", "-x", *glob.glob(fresh + "/*.deb"), fresh + "/tree"], check=True)
            os.rename(fresh + "/tree", tree)
    modules = {os.path.basename(path)[: -len(".ko")].replace("-", "_"): path for path in glob.glob(tree + "/lib/modules/**/*.ko", recursive=True)}
    return glob.glob(tree + "/boot/vmlinuz-*")[0], modules


def in_order(modules, names):
    """Paths of these modules, each behind those that it needs."""
    paths = []
    for name in names:
        with open(modules[name], "rb") as file:
            needed = re.search(rb"\0depends=([^\0]*)\0", file.read())[1].decode()
        above = in_order(modules, [word.replace("-", "_") for word in needed.split(",") if word])
        paths += [path for path in (*above, modules[name]) if path not in paths]
    return paths


def first_program(modules, command):
    """What the guest begins with, a script of busybox."""
    load = [f"insmod /modules/{os.path.basename(path)}" for path in modules]
    inside = f"cd {shlex.quote(os.getcwd())} && {shlex.join(command)}"
    return "\n".join(
        ["#!/bin/busybox sh", "/bin/busybox --install -s /bin", "mount -t proc none /proc", *load,
         "mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host", "mount -t tmpfs none /memory", "mkdir /memory/up /memory/work",
         "mount -t overlay -o lowerdir=/host,upperdir=/memory/up,workdir=/memory/work none /root",
         "mount -t proc none /root/proc", "mount -t sysfs none /root/sys", "mount -t devtmpfs none /root/dev", "mkdir -p /root/dev/shm",
         "mount -t tmpfs none /root/dev/shm", "ip link set lo up",
         "export SNUG_GUEST=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8",
         f"chroot /root /bin/bash -c {shlex.quote(inside)}", 'echo "guest: status $?"', "poweroff -f", ""])


def made_archive(directory, modules, command):
    with tempfile.TemporaryDirectory(dir=directory) as tree:
        for name in ("bin", "proc", "modules", "host", "memory", "root"):
            os.mkdir(f"{tree}/{name}")
        shutil.copy("/bin/busybox", tree + "/bin/busybox")
        for path in modules:
            shutil.copy(path, tree + "/modules/")
        with open(tree + "/init", "w", encoding="utf-8") as file:
            file.write(first_program(modules, command))
        os.chmod(tree + "/init", 0o755)
        names = subprocess.run(["find", ".", "-print0"], check=True, cwd=tree, capture_output=True).stdout
        return subprocess.run(["cpio", "-0", "-o", "-H", "newc", "--quiet"], check=True, cwd=tree, input=names, capture_output=True).stdout


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("directory")
    words.add_argument("--count", action="store_true")
    words.add_argument("command", nargs=argparse.REMAINDER)
    words = words.parse_args()
    os.makedirs(words.directory, exist_ok=True)
    vmlinuz, modules = fetched_kernel(words.directory)
    processor = ["-cpu", "max,-erms,-fsrm", "-icount", "shift=0,sleep=off"] if words.count else ["-cpu", "max"]
    with tempfile.NamedTemporaryFile(dir=words.directory) as archive:
        archive.write(made_archive(words.directory, in_order(modules, FILES + TLS), words.command))
        archive.flush()
        guest = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", *processor, "-smp", "1", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
             "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap", "-kernel", vmlinuz, "-initrd", archive.name,
             "-append", "console=ttyS0 quiet panic=-1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        status = 1
        try:
            for line in guest.stdout:
                told = re.match(r"guest: status (\d+)", line)
                if told:
                    status = int(told[1])
                else:
                    print(line.rstrip("\r\n"), flush=True)
            guest.wait()
        finally:
            guest.kill()
    return status


if __name__ == "__main__":
    sys.exit(main())
