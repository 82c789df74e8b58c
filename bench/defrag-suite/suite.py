#!/usr/bin/env python3
"""Fragments a cache server's memory in the ways that hurt, and measures what it makes of it. See README.md beside this file."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys

import kept
import report
import scenarios
import score
import target
import wire


def words():
    parser = argparse.ArgumentParser(description=__doc__, epilog="Known targets: " + ", ".join(target.KNOWN))
    parser.add_argument("--targets", help="of the known ones, with commas between; default: snugd,snugd-asked,memcached if no server is given")
    parser.add_argument("--server", nargs=2, action="append", default=[], metavar=("NAME", "COMMAND"),
                        help="a server to start; {port} and {limit} (MB) in the command are filled in")
    parser.add_argument("--redis", action="append", default=[], metavar="PATH", help="a Redis or Valkey with its own jemalloc, which defragments: NAME-active-defrag")
    parser.add_argument("--running", nargs=3, action="append", default=[], metavar=("NAME", "HOST:PORT", "PID"),
                        help="a server that runs on this machine; it is emptied before each scenario")
    parser.add_argument("--protocol", nargs=2, action="append", default=[], metavar=("NAME", "PROTOCOL"), help="memcached (default) or redis")
    parser.add_argument("--setup", nargs=2, action="append", default=[], metavar=("NAME", "LINE"), help="sent once the server answers")
    parser.add_argument("--defrag", nargs=2, action="append", default=[], metavar=("NAME", "LINE"), help="what asks the server to defragment")
    parser.add_argument("--scenarios", default=",".join(scenarios.SCENARIOS), help="default: all of them: %(default)s")
    parser.add_argument("--limit", type=int, default=128, help="memory that each server is given, MB; default: %(default)s")
    parser.add_argument("--recover", type=float, default=10, help="seconds that a server has to recover; default: %(default)s")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--build", default="build", help="where snugd and malloc-cache were built; default: %(default)s")
    parser.add_argument("--state", metavar="DIRECTORY", help="keeps there what is done, each scenario on each target: the same command goes on where a run ended")
    parser.add_argument("--json", metavar="FILE", help="all figures, - for standard output")
    parser.add_argument("--out", metavar="DIRECTORY", help="writes defrag-suite.md and a plot for each scenario there")
    return parser


def chosen_targets(options, parser):
    """Those that were asked for. Ends the program with an error for what it does not know."""
    names = options.targets.split(",") if options.targets else []
    if not names and not options.server and not options.running:
        names = ["snugd", "snugd-asked", "memcached"]
    found = []
    for name in names:
        if name not in target.KNOWN:
            parser.error(f"no such target: {name}; known are {', '.join(target.KNOWN)}")
        found.append(target.known(name, options.build))
    found += [target.active_redis(path) for path in options.redis]
    found += [target.Target(name, command) for name, command in options.server]
    for name, address, pid in options.running:
        host, _, port = address.rpartition(":")
        if not port.isdigit() or not pid.isdigit():
            parser.error(f"--running {name}: wants HOST:PORT and the number of the process")
        found.append(target.Target(name, host=host, port=int(port), pid=int(pid)))
    by_name = {each.name: each for each in found}
    for option in ("protocol", "setup", "defrag"):
        for name, text in getattr(options, option):
            if name not in by_name:
                parser.error(f"--{option} {name}: no such server is given")
            if option == "protocol" and text not in wire.PROTOCOLS:
                parser.error(f"--protocol {name}: {' or '.join(wire.PROTOCOLS)}")
            setattr(by_name[name], option, (*by_name[name].setup, text) if option == "setup" else text)
    return found


def play(each, scenario, options):
    """One scenario on one target: its outcome, with the reason in "failed" if it did not get through."""
    try:
        with each.run(options.limit) as run:
            stage = scenarios.Stage(run, options.seed, options.recover)
            stage.memory.start()
            try:
                scenarios.SCENARIOS[scenario](stage)
            finally:
                stage.memory.end()
            outcome = score.card(stage.memory.rows, stage.marks, stage.result, stage.refused)
            return {**outcome, "marks": stage.marks, "rows": stage.memory.rows}
    except (scenarios.Wrong, wire.Closed, RuntimeError, OSError) as error:
        return {"failed": str(error) or type(error).__name__}


def kept_or_played(each, scenario, options):
    """play(), unless a run before has done it with the same settings and the same program; what failed is not kept."""
    if not options.state:
        return play(each, scenario, options)
    program = shutil.which(shlex.split(each.command)[0]) if each.command else None
    with open(program or os.devnull, "rb") as file:
        settings = [options.limit, options.recover, options.seed, each.command, each.environment, each.setup, each.defrag, hashlib.file_digest(file, "sha256").hexdigest()]
    state = kept.State(options.state, json.loads(json.dumps(settings)))
    outcome = state.rows(f"{scenario} {each.name}")
    if outcome is None:
        outcome = json.loads(json.dumps(play(each, scenario, options)))
        if "failed" not in outcome:
            state.keep(f"{scenario} {each.name}", outcome)
    return outcome


def where():
    """On what it ran, as lines of Markdown."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return [f"- {datetime.date.today()}, {cpu}, {os.cpu_count()} processors, Linux {platform.release()}; {target.code()}"]


def given(options, names):
    """The targets as they were asked for, with no path of this machine in it."""
    known = [name for name in names if name in target.KNOWN]
    words = f" --targets {','.join(known)}" if known else ""
    words += " --redis PATH" * len(options.redis)
    for name, command in options.server:
        program, _, arguments = command.partition(" ")
        words += f" --server {name} {shlex.quote(os.path.basename(program) + ' ' + arguments)}"
    for option in ("protocol", "setup", "defrag"):
        words += "".join(f" --{option} {name} {shlex.quote(text)}" for name, text in getattr(options, option))
    return words


def write_markdown(results, names, options):
    os.makedirs(options.out, exist_ok=True)
    missing = [] if options.redis else ["- Redis or Valkey with active defragmentation is not among them: it needs its own jemalloc, which a package does not have, and no `--redis PATH` was given."]
    parts = ["# The defragmentation suite\n", *where(), *missing,
             f"- `bench/defrag-suite/suite.py --limit {options.limit} --recover {options.recover:g} --seed {options.seed}{given(options, names)}`\n",
             "What the columns mean, and how to run it on your server: [bench/defrag-suite](../../bench/defrag-suite/README.md).\n",
             "## Score card\n", "Mean of payload / resident memory over each scenario; higher is better.\n",
             report.markdown_table(*report.score_card(results, names))]
    for scenario, outcomes in results.items():
        about = " ".join(scenarios.SCENARIOS[scenario].__doc__.split())
        with open(os.path.join(options.out, f"defrag-{scenario}.svg"), "w") as out:
            out.write(report.plot(scenario, outcomes, options.limit))
        parts += [f"## {scenario}\n", about + "\n", report.markdown_table(report.HEAD, [report.row(*item) for item in outcomes.items()]),
                  f"![Resident memory over time: {scenario}](defrag-{scenario}.svg)\n"]
    with open(os.path.join(options.out, "defrag-suite.md"), "w") as out:
        out.write("\n".join(parts))


def main():
    target.end_in_order()
    parser = words()
    options = parser.parse_args()
    targets = chosen_targets(options, parser)
    wanted = options.scenarios.split(",")
    for scenario in wanted:
        if scenario not in scenarios.SCENARIOS:
            parser.error(f"no such scenario: {scenario}; there are {', '.join(scenarios.SCENARIOS)}")
    out = sys.stderr if options.json == "-" else sys.stdout
    results, names = {}, [each.name for each in targets]
    for scenario in wanted:
        results[scenario] = {each.name: kept_or_played(each, scenario, options) for each in targets}
        print(f"\n{scenario}\n" + report.text_table(report.HEAD, [report.row(*item) for item in results[scenario].items()]), file=out, flush=True)
    print("\nscore card: mean of payload / resident memory\n" + report.text_table(*report.score_card(results, names)), file=out)
    if options.out:
        write_markdown(results, names, options)
    if options.json:
        with sys.stdout if options.json == "-" else open(options.json, "w") as file:
            json.dump({"limit_mb": options.limit, "recover_s": options.recover, "seed": options.seed, "scenarios": results}, file)
    return 1 if any("failed" in outcome for outcomes in results.values() for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
