"""The page of what was measured: a table for each kind of piece; a cell is the median over the turns, with the range behind it where there are several."""

import statistics

from measures import MIXES, SHAPES, WORKERS, WORKLOADS


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def cell(values, form):
    """The median, and what it lies between."""
    if not values:
        return "-"
    low, middle, high = (form(each) for each in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def share(value):
    return f"{value:.3f}"


def mib(value):
    return f"{value / (1 << 20):.1f}"


def of(rows, figure, **names):
    return [row[figure] for row in rows if all(row[name] == value for name, value in names.items())]


def by_server(rows, servers, column, names, figure, form, refusals=False):
    """A row for each of the names that was measured, a column for each server."""
    lines = []
    for name in names:
        if not of(rows, figure, **{column: name}):
            continue
        line = [name]
        for server in servers:
            text = cell(of(rows, figure, server=server, **{column: name}), form)
            refused = sum(of(rows, "refused", server=server, **{column: name})) if refusals else 0
            line.append(text + (f", {refused} refused" if refused else ""))
        lines.append(line)
    return lines


def density(rows, servers, bench):
    names = [each[0] for each in WORKLOADS]
    head = lambda first: [first, *servers]
    return (f"Stored half again as much as the limit of {bench.limit} MB, each item with client flags and an expiry (Redis and Valkey have no flags).\n"
            "Keys and values that are there / resident memory of the process, at the end of the stores:\n\n"
            + table(head("keys and values"), by_server(rows, servers, "workload", names, "density", share, refusals=True))
            + f"\nThe same when nothing was asked for {bench.rest_s} s:\n\n"
            + table(head("keys and values, at rest"), by_server(rows, servers, "workload", names, "at rest", share))
            + "\nItems that are there:\n\n"
            + table(head("items of"), by_server(rows, servers, "workload", names, "items", lambda n: f"{n:,.0f}"))
            + "\nProcessor time of the server for a store, us, pipelines of 500 by one client:\n\n"
            + table(head("a store of"), by_server(rows, servers, "workload", names, "processor_us", lambda us: f"{us:.2f}")))


def rest(rows, servers, bench):
    lines = [[server] + [f"{mib(of(rows, 'empty_bytes', server=server, workers=w)[0])} + {mib(of(rows, 'crowded_bytes', server=server, workers=w)[0] - of(rows, 'empty_bytes', server=server, workers=w)[0])}"
                         for w in WORKERS] for server in servers if of(rows, "empty_bytes", server=server)]
    return ("Resident memory of a server that holds nothing, MiB; and what 1,000 connections add that have asked once. "
            "Of Redis and Valkey workers are `--io-threads`.\n\n" + table(["server", *(f"{w} workers" for w in WORKERS)], lines))


def mix(rows, servers, bench):
    names = [each[0] for each in MIXES]
    return (f"Get, and store what was missed: {bench.draws:,} requests, the second half counted; keys four times as many as fit {bench.limit} MB, Meta's sizes.\n"
            "With a third of sets those are stored whatever is there.\n\n"
            + table(["popularity", *servers], by_server(rows, servers, "mix", names, "hit_ratio", share))
            + "\nProcessor time of the server for a request, us:\n\n"
            + table(["a request of", *servers], by_server(rows, servers, "mix", names, "processor_us", lambda us: f"{us:.2f}")))


def shift(rows, servers, bench):
    lines = [[server, *(f"{cell(of(rows, g, server=server), share)}, {cell(of(rows, g + '_new', server=server), share)}" for g in "abc"),
              sum(of(rows, "refused", server=server))] for server in servers]
    return ("Each phase stores half again as much as the limit, and nobody reads. All keys and values that are there / resident memory, and how much of them is of that phase.\n\n"
            + table(["server", "30 + 100 B", "then 40 B + 1-2 KiB", "then 30 + 100 B again", "refused"], lines))


def holes(rows, servers, bench):
    lines = []
    for server in servers:
        mine = [row for row in rows if row["server"] == server]
        if not mine:
            continue
        done = mine[0]["done"]
        lines.append([server, cell([r["before_bytes"] for r in mine], mib), done or "nothing", cell([r["after_bytes"] for r in mine], mib),
                      cell([r["density"] for r in mine], share), cell([r["took_ms"] for r in mine], lambda ms: f"{ms:.0f} ms") if done else "",
                      " ".join(map(str, mine[0]["quiet_us"])), " ".join(map(str, mine[0]["busy_us"])) if done else ""])
    head = ["server", "resident after the deletions, MiB", "what the operator can do", "resident after it, MiB", "payload / resident", "took",
            "get, us: p50 p99 p99.9", "the same meanwhile"]
    return ("Values of 60 to 600 bytes filling 0.6 of the limit; three quarters of them, at random, deleted. Gets one at a time by a client in Python, beside.\n\n" + table(head, lines))


def processor(rows, servers, bench):
    lines = []
    for shape in SHAPES:
        for workers in WORKERS:
            for peer in dict.fromkeys(row["peer"] for row in rows):
                own, other = (next((r for r in rows if r["shape"] == shape and r["workers"] == workers and r["peer"] == peer and r["server"] == name), None)
                              for name in ("snugd", "memcached"))
                if own:
                    lines.append([shape, workers, peer, f"{own['cpu_s_per_million']:.2f}", f"{other['cpu_s_per_million']:.2f}",
                                  f"{own['cpu_ratio']:.2f} ({own['cpu_ratio_low']:.2f} to {own['cpu_ratio_high']:.2f})",
                                  f"{own['p99_us']:.0f}, {other['p99_us']:.0f}", f"{own['p999_us']:.0f}, {other['p999_us']:.0f}"])
    return ("Processor time of the server, user and system, for a million requests, by bench-servers: 50 connections of one client thread, keys of 30 bytes, values of 230; "
            "the ratio is the median of the turns', with their range.\n\n"
            + table(["shape", "workers", "beside", "snugd, s", "it, s", "ratio", "p99 us, both", "p99.9 us, both"], lines))


SECTIONS = [("density", "Density", density), ("rest", "A server that holds nothing", rest), ("processor", "Processor time", processor),
            ("mix", "Evicting mixes", mix), ("shift", "Sizes that shift", shift), ("holes", "Holes", holes)]


def not_measured(names, done):
    """In few words: whole turns, what no server has, and what some have not."""
    turn_of = lambda name: int(name.split("/")[-2]) if name.split("/")[-2].isdigit() else 0
    turns = sorted({turn_of(name) for name in names})
    absent = [turn for turn in turns if not any(turn_of(name) == turn for name in done)]
    said, groups = [f"turn {turn + 1}" for turn in absent], {}
    for name in names:
        if turn_of(name) not in absent:
            groups.setdefault(name.rpartition("/")[0], []).append(name)
    for group, members in groups.items():
        lacking = [name.rpartition("/")[2] for name in members if name not in done]
        if lacking:
            said.append(group if len(lacking) == len(members) else f"{group} of {' and '.join(lacking)}")
    return said


def text(bench, done, names, where, notes):
    """done: {name of the piece: its rows}; names: of all pieces that there are."""
    parts = ["# snugd beside memcached, Redis and Valkey\n\nWritten by `make results`; run it to get your own. Ratios travel between machines, times do not.\n\n"]
    parts += [f"- {line}\n" for line in where + notes]
    missing = not_measured(names, done)
    if missing:
        parts.append(f"- Not measured: {'; '.join(missing)}\n")
    for kind, title, write in SECTIONS:
        rows = [row for name, rows in done.items() if name.split("/")[0] == kind for row in rows]
        if rows:
            turns = len({name.split("/")[-2] for name in done if name.startswith(kind + "/")}) if kind not in ("rest", "processor") else 1
            parts.append(f"\n## {title}\n\n{write(rows, [server.name for server in bench.servers], bench)}")
            if turns > 1:
                parts.append(f"\nMedians of up to {turns} turns with other seeds, the range in brackets.\n")
    return "".join(parts)
