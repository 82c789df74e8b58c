#!/usr/bin/env python3
"""The figures of README.md, and its two charts, from the result pages.

    docs/images/figures.py            prints the sentences and rows that README.md must have
    docs/images/figures.py --draw     writes density.svg and comes-back.svg beside this file
    docs/images/figures.py --check    compares README.md and both charts with the result pages; the test "figures"

A range is over all machines and all runs of the result pages, so the worst is in it. A figure of README.md that no result page has is an error, too.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS, SERVERS, BACK, SUITE, EVICTION = ("docs/results/README.md", "docs/benchmarks.md", "docs/results/comes-back.md", "docs/results/defrag-suite.md",
                                         "docs/results/eviction.md")
PEERS_AT_512 = "docs/results/peers.md"


# ---- reading result pages ----------------------------------------------------------------------------------------------


def text_of(path):
    with open(os.path.join(ROOT, path)) as page:
        return page.read()


def tables(path, head):
    """All tables of a page whose head row begins so: lists of rows, each a dictionary by column, in the order of the page."""
    found = []
    lines = text_of(path).splitlines()
    for at, line in enumerate(lines):
        if not line.startswith(f"| {head} |"):
            continue
        names = [cell.strip() for cell in line.strip("|").split("|")]
        rows = []
        for row in lines[at + 2 :]:
            if not row.startswith("|"):
                break
            rows.append(dict(zip(names, (cell.strip() for cell in row.strip("|").split("|")))))
        found.append(rows)
    if not found:
        raise SystemExit(f"{path}: no table begins with the column '{head}'")
    return found


def numbers(cell):
    """Median and range of a cell, without what was refused."""
    return [float(number) for number in re.findall(r"[0-9]+\.[0-9]+", cell)]


def first_number(cell):
    return float(re.search(r"[0-9.]+", cell).group())


# ---- what the pages say ------------------------------------------------------------------------------------------------


def density():
    """Keys and values / resident memory: [(sizes, snugd, memcached, Redis)] of one machine."""
    return [(row["keys and values"], float(row["snugd"]), float(row["memcached"]), float(row["redis"]))
            for row in tables(PEERS, "keys and values")[0]]


def density_of_the_other_machine():
    rows = tables(SERVERS, "key + value, filled to 1.5 times 512 MB")[0]
    return [(row["key + value, filled to 1.5 times 512 MB"], float(row["snugd"]), float(row["memcached"])) for row in rows]


def tables_at_512(head):
    """The same of the page that `make bench-peers` writes; none where it was not run, or that part of it."""
    if not os.path.exists(os.path.join(ROOT, PEERS_AT_512)) or f"\n| {head} |" not in text_of(PEERS_AT_512):
        return []
    return tables(PEERS_AT_512, head)[0]


WHOLE_MIB = "40 B + 1 MiB"


def beside_at_512(kind, of_whole_mib=False):
    """How many times as much snugd keeps as those servers whose name begins so, the least and the most of each cell: of values of 1 MiB, or of all others."""
    found = []
    for row in tables_at_512("keys and values"):
        if (row["keys and values"] == WHOLE_MIB) != of_whole_mib:
            continue
        own, others = numbers(row["snugd"]), [numbers(cell) for name, cell in row.items() if name.startswith(kind)]
        found += [ratio for other in others if own and other for ratio in (min(own) / max(other), max(own) / min(other))]
    return found


LOADS = ("one at a time", "pipelines of 16", "gets of 24 keys")


def processor_time():
    """Server's processor time / memcached's: {load: (beside 1.6.18, beside 1.6.45, beside 1.6.18 while defragmented)}, a list of ratios each."""
    found = {load: ([], [], []) for load in LOADS}
    plain, two, churn = tables(SERVERS, "load")[:3]
    for row in plain:
        found[row["load"]][0].append(float(row["ratio"]))
    for row in two:
        found[row["load"]][0].append(float(row["beside 1.6.18: s, ratio"].split(", ")[2]))
        found[row["load"]][1].append(float(row["beside 1.6.45: s, ratio"].split(", ")[2]))
    for row in churn:
        found[row["load"]][2].append(float(row["ratio of processor time"]))
    names = {"no pipelining": LOADS[0], "pipeline 16": LOADS[1], "multiget 24": LOADS[2]}
    for options, block in re.findall(r"`bench-servers ([^`]*)`\n\n```\n(.*?)```", text_of(PEERS), re.S):
        for shape, ratio in re.findall(r"^(no pipelining|pipeline 16|multiget 24)\s+snugd\s+[0-9.]+\s+([0-9.]+)", block, re.M):
            found[names[shape]][2 if "--churn" in options else 0].append(float(ratio))
    for row in tables_at_512("shape"):
        if row["shape"] in names and row["workers"] in ("1", "2"):
            found[names[row["shape"]]][0 if row["beside"] == "memcached" else 1].append(first_number(row["ratio"]))
    for before in re.findall(r"with one worker\.\s+With two workers it was (0\.[0-9]+)", text_of(SERVERS)):
        found[LOADS[1]][1].append(float(before))
    return found


def hit_ratios():
    """Gets that hit: [(popularity and limit, snugd, memcached, Redis)] of each page."""
    limits = ("64 MB", "512 MB")
    return [(f"{re.sub(r'Zipf 1(?!.[0-9])', 'Zipf 1.0', row['popularity'])}, {limit}", *(numbers(row[name])[0] for name in ("snugd", "memcached", "redis")))
            for limit, rows in zip(limits, (tables(PEERS, "popularity")[0], tables_at_512("popularity"))) for row in rows]


def new_after_a_shift():
    """How much of what a server held was of the newest phase when small items came back: {server: one of each page}."""
    found = {}
    for row in tables(PEERS, "server")[0]:
        found[row["server"]] = [float(re.search(r"\((.*)\)", row["then 30 + 100 B again"]).group(1))]
    for row in tables_at_512("server | 30 + 100 B"):
        found.setdefault(row["server"], []).append(float(row["then 30 + 100 B again"].split(", ")[1].split(" ")[0]))
    return found


def comes_back():
    return {row["target"]: {name: first_number(row[name]) for name in ("full, MiB", "end", "left, MiB", "processor time")}
            for row in tables(BACK, "target")[0]}


def curves():
    """Resident memory of each target in the chart of the result page: {target: [(seconds, MiB)]}. The chart is the only place that has every sample."""
    drawing = text_of("docs/results/comes-back-ttl-cliff.svg")
    lines = re.findall(r'<polyline points="([^"]*)"', drawing)
    names = re.findall(r'<rect [^>]*/><text [^>]*>([a-z]+)</text>', drawing)
    places = {int(seconds): float(x) for x, seconds in re.findall(r'<text x="([0-9.]+)" y="284" text-anchor="middle">([0-9]+)<', drawing)}
    floor = float(re.search(r'<path d="M48 ([0-9.]+)H750"', drawing).group(1))
    known = comes_back()
    raw = [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines[::2]]
    tallest = names.index("memcached")
    scale = known["memcached"]["end"] / (floor - raw[tallest][-1][1])  # the table has its end to 0.1 MiB
    pixels_a_second = (places[60] - places[0]) / 60
    return {name: [((x - places[0]) / pixels_a_second, (floor - y) * scale) for x, y in line] for name, line in zip(names, raw)}


SUITE_NAMES = {"snugd-asked": "snugd, asked to defragment", "snugd": "snugd, left alone", "memcached": "memcached", "redis": "Redis without active defragmentation",
               "valkey-active-defrag": "Valkey with active defragmentation",
               "malloc": "a plain cache on glibc's malloc", "jemalloc": "the same on jemalloc"}


def suite():
    return {row["target"]: row for row in tables(SUITE, "target")[0]}


def slowest_p99_ms():
    """Of gets while it recovers, the worst of the scenarios, by target."""
    worst = {}
    for rows in tables(SUITE, "target")[1:]:
        for row in rows:
            p99_us = float(row["while it recovers"].split("/")[1])
            worst[row["target"]] = max(worst.get(row["target"], 0), p99_us / 1000)
    return worst


# ---- what README.md says of it -----------------------------------------------------------------------------------------


def span(numbers, digits=2):
    low, high = (f"{number:.{digits}f}" for number in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def percent(number):
    return f"{100 * number:.0f} %"


def sentences():
    """The sentences and rows with figures, as README.md must have them."""
    here, there = density(), density_of_the_other_machine()
    beside_memcached = [row[1] / row[2] for row in here + there] + beside_at_512("memcached")
    beside_redis = [row[1] / row[3] for row in here] + beside_at_512("redis")
    back, mean = comes_back(), suite()
    kept = new_after_a_shift()
    cells = re.search(r"Of ([0-9]+) cells the cache: [0-9]+ better than all seven, ([0-9]+) more than 0\.003 worse.*?\+([0-9.]+) at worst", text_of(EVICTION))
    yield f"**snugd is a drop-in memcached that keeps {span(beside_memcached, 1)} times as much in the same memory, and gives back what it does not use.**"
    columns = list(zip(*[row[1:] for row in here]))
    shares = ", ".join(f"{name} {100 * min(column):.0f} to {percent(max(column))}" for name, column in zip(("snugd", "memcached", "Redis"), columns))
    yield f"![Keys and values as a share of resident memory: {shares}]"
    yield (f"![Resident memory over a minute: snugd falls from {back['snugd']['full, MiB']:.0f} to {back['snugd']['end']:.0f} MiB, "
           f"memcached stays at {back['memcached']['end']:.0f}]")
    yield f"Beside Redis it is {span(beside_redis, 1)} times as much."
    if whole := beside_at_512("memcached", of_whole_mib=True):
        yield f"Of values of 1 MiB it keeps {span(whole, 2)} times as much as memcached."
    yield (f"In the minute after two thirds of the items expire, snugd falls from {back['snugd']['full, MiB']:.0f} to {back['snugd']['end']:.0f} MiB, "
           f"for {back['snugd']['processor time']} s of processor time.")
    yield f"Redis keeps {percent(back['redis']['end'] / back['redis']['full, MiB'])} of what it held, memcached all of it."
    for load, (old, new, churn) in processor_time().items():
        yield f"| {load} | {span(old)} | {span(new)} | {span(churn)} |"
    p99_ms = slowest_p99_ms()
    for target, name in SUITE_NAMES.items():
        values = [float(mean[target][column]) for column in mean[target] if column not in ("target", "mean", "not recovered", "refused")]
        yield f"| {name} | {percent(float(mean[target]['mean']))} | {percent(min(values))} | {percent(max(values))} | {p99_ms[target]:.1f} ms |"
    for load, *of_servers in hit_ratios():
        yield f"| {load} | {' | '.join(percent(hit) for hit in of_servers)} |"
    yield f"In {cells.group(2)} of {cells.group(1)} cells it misses at least 0.3 points more than the best of seven published policies; the worst is {100 * float(cells.group(3)):.1f} points."
    yield (f"When small items came back after large ones, and nobody read, {percents(kept['snugd'])} of what snugd held was new; "
           f"of what memcached held it was {percents(kept['memcached'])}.")


def percents(numbers):
    low, high = (f"{100 * number:.0f}" for number in (min(numbers), max(numbers)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def figures_without_source(readme, known):
    """Lines of README.md with a measured figure that none of the sentences has: a decimal, a percentage, MiB. Code and the link texts do not count."""
    strange, in_code = [], False
    for number, line in enumerate(readme.splitlines(), 1):
        if line.startswith("```"):
            in_code = not in_code
        for sentence in known:
            line = line.replace(sentence, "")
        bare = re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)
        if not in_code and not line.startswith("    ") and re.search(r"(?<![\w.])[0-9]+\.[0-9]+(?![\w.]*[0-9])(?! or newer)|[0-9] (%|MiB)", bare):
            strange.append(f"README.md:{number}: a figure that no result page has: {bare.strip()}")
    return strange


# ---- charts ------------------------------------------------------------------------------------------------------------

STYLE = """<style>
text{font:14px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#59636e}
.h{font-size:16px;font-weight:600;fill:#1f2328}.e{text-anchor:end}.m{text-anchor:middle}.v{font-size:12px}
.g{stroke:#8b949e;stroke-opacity:.3;fill:none}.line{fill:none;stroke-width:2.2}
.f0{fill:#1f6feb}.f1{fill:#8a94a3}.f2{fill:#c2611f}.f3{fill:#0a7d4f}.s0{stroke:#1f6feb}.s1{stroke:#8a94a3}.s2{stroke:#c2611f}.s3{stroke:#0a7d4f}
@media (prefers-color-scheme:dark){text{fill:#9198a1}.h{fill:#f0f6fc}.f0{fill:#58a6ff}.f2{fill:#e8894a}.f3{fill:#3fb950}.s0{stroke:#58a6ff}.s2{stroke:#e8894a}.s3{stroke:#3fb950}}
</style>"""
WIDTH = 540


def svg(height, title, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
                      f"<title>{title}</title>", STYLE, *parts, "</svg>"]) + "\n"


def label(x, y, text, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{text}</text>'


LEGEND_X = (0, 82, 246)
SIZES = {"20 + 50 B": "50 B", "30 + 100 B": "100 B", "30 + 230 B": "230 B", "40 B + 1-2 KiB": "1-2 KiB", "40 B + Meta's kvcache sizes": "Meta's sizes"}


def draw_density():
    floor, tall, left = 240, 160, 58
    title = "Keys and values as a share of resident memory"
    parts = [label(10, 22, title, "h")]
    for i, name in enumerate(("snugd", "memcached 1.6.18", "Redis 7.0")):
        parts += [f'<rect class="f{i}" x="{10 + LEGEND_X[i]}" y="37" width="12" height="12"/>', label(27 + LEGEND_X[i], 48, name)]
    for share in (0, 25, 50, 75, 100):
        y = floor - tall * share / 100
        parts += [f'<path class="g" d="M{left} {y:.1f}H{WIDTH - 10}"/>', label(left - 6, y + 5, f"{share} %", "e")]
    for at, (sizes, *values) in enumerate(density()):
        x = left + 6 + at * 94
        for i, value in enumerate(values):
            high = tall * value
            parts += [f'<rect class="f{i}" x="{x + i * 28}" y="{floor - high:.1f}" width="26" height="{high:.1f}"/>',
                      label(x + i * 28 + 13, floor - high - 4, f"{100 * value:.0f}", "m v")]
        parts.append(label(x + 41, floor + 19, SIZES[sizes], "m"))
    return svg(272, title, parts)


def draw_comes_back():
    top, floor, left, right = 58, 250, 50, WIDTH - 130
    title = "Resident memory, MiB: two thirds of the items expire"
    end, most = 60, 225
    x = lambda seconds: left + (right - left) * (seconds + 3) / (end + 3)
    y = lambda mib: floor - (floor - top) * mib / most
    parts = [label(10, 22, title, "h")]
    for mib in (0, 50, 100, 150, 200):
        parts += [f'<path class="g" d="M{left} {y(mib):.1f}H{right}"/>', label(left - 6, y(mib) + 5, mib, "e")]
    for seconds in (0, 15, 30, 45, 60):
        parts.append(label(x(seconds), floor + 19, f"{seconds} s", "m"))
    parts += [f'<path class="g" d="M{x(0):.1f} {top - 12}V{floor}"/>', label(x(0) + 5, top - 8, "they expire")]
    left_mib = comes_back()["snugd"]["left, MiB"]
    parts += [f'<path class="g" style="stroke-opacity:1" stroke-dasharray="3 4" d="M{left} {y(left_mib):.1f}H{right}"/>',
              label(right - 4, y(left_mib) + 17, "keys and values that are left", "e")]
    names = {"snugd": "snugd", "memcached": "memcached", "redis": "Redis", "jemalloc": "on jemalloc"}
    lines = curves()
    places, lowest = {}, 0
    for name in sorted(lines, key=lambda name: y(lines[name][-1][1])):  # labels do not cover each other
        places[name] = lowest = max(lowest, y(lines[name][-1][1]) + 2)
        lowest += 16
    for colour, (name, points) in enumerate(lines.items()):
        spread = points[:: max(1, len(points) // 150)] + points[-1:]
        joined = " ".join(f"{x(max(seconds, -3)):.1f},{y(mib):.1f}" for seconds, mib in spread)
        parts += [f'<polyline class="line s{colour}" points="{joined}"/>', label(right + 6, places[name], f"{names[name]} {points[-1][1]:.0f}")]
    return svg(280, title, parts)


CHARTS = {"density.svg": draw_density, "comes-back.svg": draw_comes_back}


def main():
    known = list(sentences())
    if sys.argv[1:] == ["--draw"]:
        for name, draw in CHARTS.items():
            with open(os.path.join(HERE, name), "w") as out:
                out.write(draw())
        return 0
    if sys.argv[1:] != ["--check"]:
        print("\n".join(known))
        return 0
    readme = text_of("README.md")
    wrong = [f"README.md: not there: {sentence}" for sentence in known if sentence not in readme] + figures_without_source(readme, known)
    wrong += [f"docs/images/{name}: is not what figures.py --draw draws" for name, draw in CHARTS.items() if text_of(f"docs/images/{name}") != draw()]
    print("\n".join(wrong or [f"{len(known)} sentences and {len(CHARTS)} charts are as the result pages say"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
