#!/usr/bin/env python3
"""snugd beside memcached, Redis and Valkey on one machine: density, memory at rest, processor time, evicting mixes, sizes that shift, holes. Made in
pieces of some minutes. What a piece has measured is kept in STATE, so a run that ends is gone on with by the same command; the page is written after
each piece, and says what is missing.

    peers.py [--memcached PATH]... [--redis PATH]... [--limit MB] [--turns N] [--only TEXT] [--pieces N] [--seconds N] [--list] [--state DIRECTORY] [--out FILE]

snugd, memcached and redis-server as the machine has them are always among the servers. --memcached and --redis bring one more each, built beside: of a
Redis or Valkey that was built with its own jemalloc active defragmentation is on, as eager as it can be set.
"""

import argparse
import datetime
import os
import platform
import shutil
import sys
import time

import measures  # first: it says where kept and target are
import kept
import page
from measures import target


def words():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--memcached", action="append", default=[], metavar="PATH", help="one more, built beside")
    parser.add_argument("--redis", action="append", default=[], metavar="PATH", help="one more Redis or Valkey, with its own jemalloc")
    parser.add_argument("--limit", type=int, default=512, help="MB that each server is given; default: %(default)s")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--turns", type=int, default=3, help="with another seed each; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="of bench-servers; default: %(default)s")
    parser.add_argument("--draws", type=int, default=4000000, help="requests of an evicting mix; default: %(default)s")
    parser.add_argument("--rest", type=int, default=5, help="seconds until memory at rest is read; default: %(default)s")
    parser.add_argument("--only", default="", metavar="TEXT", help="pieces in whose name this is")
    parser.add_argument("--pieces", type=int, default=0, help="so many and no more; default: all")
    parser.add_argument("--seconds", type=float, default=0, help="begins no other piece after so many; default: no end")
    parser.add_argument("--list", action="store_true", help="which pieces there are, and which are done")
    parser.add_argument("--state", default="build/peers", metavar="DIRECTORY")
    parser.add_argument("--note", action="append", default=[], metavar="TEXT", help="stands at the head of the page, such as where a server was built from")
    parser.add_argument("--out", default="docs/results/peers.md", metavar="FILE")
    return parser


def short_version(version):
    """"Redis server v=7.0.15 sha=.." -> "7.0.15"; "memcached 1.6.45" -> "1.6.45"."""
    return next((word.removeprefix("v=").strip("()") for word in version.split() if word.removeprefix("v=")[:1].isdigit()), version)


def servers(options, notes):
    """Those that are there; notes say which are not."""
    found = [measures.Server("snugd", os.path.join(options.build, "snugd"), "snugd")]
    for name, kind, paths in (("memcached", "memcached", [shutil.which("memcached"), *options.memcached]), ("redis", "redis", [shutil.which("redis-server"), *options.redis])):
        for path in filter(None, paths):
            server = measures.Server(name, path, kind)
            if path in options.redis + options.memcached:
                name_of = "valkey" if "valkey" in os.path.basename(path) else name
                server.name = f"{name_of} {short_version(server.version())}"
                server.is_active = kind == "redis" and can_defragment(server, notes)
                server.name += " with active defragmentation" if server.is_active else ""
            found.append(server)
    return found


def can_defragment(server, notes):
    active = measures.Server(server.name, server.program, "redis", is_active=True)
    try:
        with active.target().run(64):
            return True
    except RuntimeError as error:
        notes.append(f"{server.name} has no active defragmentation: {error}")
        return False


def processor_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def write(options, bench, state, notes):
    names = [name for name, _ in measures.pieces(bench, options.turns)]
    done = {name: rows for name in names if (rows := state.rows(name)) is not None}
    command = " ".join(["bench/peers/peers.py", "--limit", str(options.limit), "--seed", str(options.seed), "--turns", str(options.turns), "--rounds", str(options.rounds),
                        "--draws", str(options.draws)] + ["--memcached PATH"] * len(options.memcached) + ["--redis PATH"] * len(options.redis))
    where = [f"{datetime.date.today()}, {processor_name()}, {os.cpu_count()} processors, Linux {platform.release()}; {target.code()}",
             "; ".join(f"{server.name}: {server.version()}" if server.kind == "redis" else server.version() for server in bench.servers),
             f"`{command}`; one worker each unless said otherwise"]
    where += [f"{server.name}: `{server.command().replace(target.program(server.program), os.path.basename(server.program), 1)}`" for server in bench.servers]
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    with open(options.out, "w") as out:
        out.write(page.text(bench, done, names, where, notes))


def main():
    options = words().parse_args()
    target.end_in_order()
    notes = list(options.note)
    if not options.redis:
        notes.append("Redis or Valkey with active defragmentation is not among them: it needs its own jemalloc, which a package does not have, and no `--redis PATH` was given.")
    bench = measures.Bench(servers(options, notes), options.limit, options.seed, options.build, options.rounds, options.draws, options.rest,
                           lambda line: print(line, file=sys.stderr, flush=True))
    notes.append("Segcache is not among them.")
    settings = {"limit": options.limit, "seed": options.seed, "rounds": options.rounds, "draws": options.draws, "rest": options.rest, "servers": [server.name for server in bench.servers]}
    state = kept.State(options.state, settings)
    wanted = [(name, measure) for name, measure in measures.pieces(bench, options.turns) if options.only in name]
    if options.list:
        for name, _ in wanted:
            print(f"{'done' if state.rows(name) is not None else '    '} {name}")
        return 0
    to_do = [(name, measure) for name, measure in wanted if state.rows(name) is None]
    began = time.monotonic()
    for name, measure in to_do[: options.pieces or len(to_do)]:
        if options.seconds and time.monotonic() - began > options.seconds:
            break
        bench.say(f"-- {name}")
        state.keep(name, list(measure(bench)))
        write(options, bench, state, notes)
    write(options, bench, state, notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
