#!/usr/bin/env python3
"""Whether memory comes back by itself. Items expire or are deleted; then nobody asks for anything, and for a minute it is watched how much memory the
server's process holds and how much processor time it takes. There are no gets meanwhile, so that the processor time is what giving back costs.

The promise that is looked at: resident memory falls to the keys and values that are left / 0.85 and 8 MiB, within 30 seconds, and no item is evicted."""

import argparse
import bisect
import json
import os
import sys

import report
import scenarios
import suite
import target
import wire

SCENARIOS = ["ttl-cliff", "checkerboard", "held"]
TARGETS = "snugd,memcached,redis,jemalloc"
SHARE, BESIDE_BYTES, WITHIN_S = 0.85, 8 << 20, 30
HEAD = ["target", "full, MiB", "after", "10 s later", "30 s", "end", "promise", "kept after", "processor time", "in the first 10 s", "left, MiB", "found at the end"]


def promise_bytes(payload):
    return payload / SHARE + BESIDE_BYTES


def at(rows, seconds):
    """What was seen last by then."""
    return rows[max(0, bisect.bisect_right(rows, seconds, key=lambda row: row[0]) - 1)]


class Quiet(scenarios.Stage):
    """Nobody asks for a value before the minute is over; then each one is asked for."""

    def __init__(self, run, seed, seconds):
        super().__init__(run, seed, seconds, gets_a_second=0)
        self.left = self.found = 0

    def measure(self, sample_size=0):
        self.memory.payload = sum(scenarios.KEY_BYTES + herd.size(name) for herd in self.herds for name in herd.live)
        return self.memory.payload

    def recover(self):
        super().recover()
        self.left, self.found = self.measure(), super().measure(sys.maxsize)


def figures(rows, full, begin_s, seconds, left, found):
    """From what was watched: rows (seconds, resident bytes, payload bytes, processor seconds), from which moment on, for how long, the bytes of keys and
    values that were left then and those that were found in the end."""
    end_s = begin_s + seconds
    kept = next((row[0] - begin_s for row in rows if begin_s <= row[0] <= end_s and row[1] <= promise_bytes(left)), None)
    first = at(rows, begin_s)
    return {
        "begin_s": begin_s,
        "full": full,
        "after": first[1],
        "after_10_s": at(rows, min(end_s, begin_s + 10))[1],
        "after_30_s": at(rows, min(end_s, begin_s + WITHIN_S))[1],
        "end": at(rows, end_s)[1],
        "promise": promise_bytes(left),
        "kept_after_s": kept,
        "processor_s": at(rows, end_s)[3] - first[3],
        "processor_10_s": at(rows, min(end_s, begin_s + 10))[3] - first[3],
        "left": left,
        "found": found / left if left else 1.0,
    }


def row(name, outcome):
    if "failed" in outcome:
        return [name, "FAILED: " + outcome["failed"]] + [""] * (len(HEAD) - 2)
    kept = "never" if outcome["kept_after_s"] is None else f"{outcome['kept_after_s']:.1f} s"
    sizes = [report.mib(outcome[each]) for each in ("full", "after", "after_10_s", "after_30_s", "end", "promise")]
    return [name, *sizes, kept, f"{outcome['processor_s']:.2f} s", f"{outcome['processor_10_s']:.2f} s", report.mib(outcome["left"]), f"{outcome['found']:.3f}"]


def play(each, scenario, options):
    try:
        with each.run(options.limit) as run:
            stage = Quiet(run, options.seed, options.seconds)
            stage.memory.start()
            try:
                scenarios.SCENARIOS[scenario](stage)
            finally:
                stage.memory.end()
            rows = stage.memory.rows
            return {**figures(rows, stage.marks[0]["rss"], stage.broken_s, options.seconds, stage.left, stage.found), "rows": rows}
    except (scenarios.Wrong, wire.Closed, RuntimeError, OSError) as error:
        return {"failed": str(error) or type(error).__name__}


# ---- the plot ----------------------------------------------------------------------------------------------------------

LEFT, RIGHT, WIDTH = 48, 10, 760
MEMORY, PROCESSOR = (26, 270), (306, 396)  # top and bottom of the two panels
BEFORE_S = 3


def panel(name, most, unit, bounds, seconds):
    """Its lines and what they are, and the place of a value in it."""
    top, bottom = bounds
    y = lambda value: bottom - (bottom - top) * value / most
    parts = [f'<text x="{LEFT}" y="{top - 10}">{name}</text>']
    for k in range(5):
        value = most * k / 4
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value / unit:.{0 if most >= 8 * unit else 2}f}</text>')
    for second in range(0, int(seconds) + 1, 10):
        parts.append(f'<text x="{x_of(second, seconds):.1f}" y="{bottom + 14}" text-anchor="middle">{second}</text>')
    return parts, y


def x_of(second, seconds):
    return LEFT + (WIDTH - LEFT - RIGHT) * (second + BEFORE_S) / (seconds + BEFORE_S)


def plot(scenario, outcomes, seconds):
    """Resident memory from a moment before until a minute after, and below it the processor time that was used since; one colour a target."""
    outcomes = {name: outcome for name, outcome in outcomes.items() if "rows" in outcome}
    since = {name: [(row[0] - outcome["begin_s"], row[1], row[3] - at(outcome["rows"], outcome["begin_s"])[3]) for row in outcome["rows"]
                    if -BEFORE_S <= row[0] - outcome["begin_s"] <= seconds] for name, outcome in outcomes.items()}
    most_bytes = max((row[1] for rows in since.values() for row in rows), default=1) * 1.04
    most_s = max([0.1, *(row[2] for rows in since.values() for row in rows)]) * 1.04
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 440" font-family="sans-serif" font-size="11">',
             f"<title>{scenario}</title>", f'<rect width="{WIDTH}" height="440" fill="#fff"/>']
    lines, memory_y = panel(f"{scenario}: resident memory, MiB, over seconds; dotted: what is promised", most_bytes, 1 << 20, MEMORY, seconds)
    parts += lines
    lines, processor_y = panel("processor time since then, s", most_s, 1, PROCESSOR, seconds)
    parts += lines
    promise = max((outcome["promise"] for outcome in outcomes.values()), default=0)
    parts.append(f'<path d="M{x_of(0, seconds):.1f} {memory_y(promise):.1f}H{WIDTH - RIGHT}" stroke="#000" stroke-dasharray="2 3"/>')
    for number, (name, rows) in enumerate(since.items()):
        colour = report.COLOURS[number % len(report.COLOURS)]
        rows = rows[:: max(1, len(rows) // 300)] + rows[-1:]
        for column, y, shown in ((1, memory_y, rows), (2, processor_y, [row for row in rows if row[0] >= 0])):
            points = " ".join(f"{x_of(each[0], seconds):.1f},{y(each[column]):.1f}" for each in shown)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(report.legend(number, len(since), colour, name, LEFT, WIDTH - LEFT - RIGHT, 420))
    return "\n".join(parts + ["</svg>\n"])


# ---- the page ----------------------------------------------------------------------------------------------------------


def write_page(results, names, options):
    parts = ["# Memory comes back by itself\n", *suite.where(),
             f"- `bench/defrag-suite/comes_back.py --limit {options.limit} --seconds {options.seconds:g} --seed {options.seed} --targets {','.join(names)}`\n",
             __doc__.split("\n\n")[0].replace("\n", " ") + "\n",
             f"**Promise**: the keys and values that are left / {SHARE} and {BESIDE_BYTES >> 20} MiB, within {WITHIN_S} s; *kept after* is when resident memory was "
             "that low. *processor time* is that of the whole process, until the end and in the first 10 s. *left* are the bytes of keys and values that neither "
             "expired nor were deleted; *found at the end* is the share of them that gets still find when the time is over: what is less than 1 was evicted.\n",
             "[When and how much snugd gives back](../operations.md#memory-comes-back-by-itself); "
             "[the scenarios, and how to run them on your server](../../bench/defrag-suite/README.md).\n"]
    for scenario, outcomes in results.items():
        about = " ".join(scenarios.SCENARIOS[scenario].__doc__.split())
        with open(os.path.join(options.out, f"comes-back-{scenario}.svg"), "w") as out:
            out.write(plot(scenario, outcomes, options.seconds))
        parts += [f"## {scenario}\n", about + "\n", report.markdown_table(HEAD, [row(*item) for item in outcomes.items()]),
                  f"![Resident memory and processor time over a minute: {scenario}](comes-back-{scenario}.svg)\n"]
    with open(os.path.join(options.out, "comes-back.md"), "w") as out:
        out.write("\n".join(parts))


def words():
    parser = argparse.ArgumentParser(description=__doc__, epilog="Known targets: " + ", ".join(target.KNOWN))
    parser.add_argument("--targets", default=TARGETS, help="with commas between; default: %(default)s")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="default: %(default)s")
    parser.add_argument("--limit", type=int, default=256, help="memory that each server is given, MB; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=60, help="for which each is watched; default: %(default)s")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--build", default="build", help="where snugd and malloc-cache were built; default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="all figures, - for standard output")
    parser.add_argument("--out", metavar="DIRECTORY", help="writes comes-back.md and a plot for each scenario there")
    return parser


def main():
    target.end_in_order()
    parser = words()
    options = parser.parse_args()
    names, wanted = options.targets.split(","), options.scenarios.split(",")
    for word, known in [*((name, target.KNOWN) for name in names), *((scenario, SCENARIOS) for scenario in wanted)]:
        if word not in known:
            parser.error(f"{word} is not one of {', '.join(known)}")
    out = sys.stderr if options.json == "-" else sys.stdout
    results = {}
    for scenario in wanted:
        results[scenario] = {name: play(target.known(name, options.build), scenario, options) for name in names}
        print(f"\n{scenario}\n" + report.text_table(HEAD, [row(*item) for item in results[scenario].items()]), file=out, flush=True)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        write_page(results, names, options)
    if options.json:
        with sys.stdout if options.json == "-" else open(options.json, "w") as file:
            json.dump({"limit_mb": options.limit, "seconds": options.seconds, "seed": options.seed, "scenarios": results}, file)
    return 1 if any("failed" in outcome for outcomes in results.values() for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
