"""The results as tables, Markdown and SVG."""

import html

COLOURS = ["#1f6feb", "#0a7d4f", "#8a94a3", "#c2611f", "#8250df", "#b08800", "#d1477f", "#57606a", "#116d7a"]


def share(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def mib(count):
    return f"{count / (1 << 20):.1f}"


def latency(quantiles):
    if not quantiles or not quantiles.get("gets"):
        return "-"
    return " / ".join(str(quantiles[name]) for name in ("p50", "p99", "max"))


HEAD = ["target", "fresh", "worst", "end", "mean", "recovered after", "RSS peak, end (MiB)", "refused", "get quiet, us: p50 / p99 / max",
        "while it recovers"]


def row(name, outcome):
    if "failed" in outcome:
        return [name, "FAILED: " + outcome["failed"]] + [""] * (len(HEAD) - 2)
    recovered = "never" if outcome["to_recover_s"] is None else f"{outcome['to_recover_s']:.2f} s"
    return [name, share(outcome["fresh"]), share(outcome["worst"]), share(outcome["end"]), share(outcome["mean"]), recovered,
            f"{mib(outcome['rss_peak'])}, {mib(outcome['rss_end'])}", str(outcome["refused"]), latency(outcome.get("latency_quiet_us")),
            latency(outcome.get("latency_recovery_us"))]


def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows]) + "\n"


def text_table(head, rows):
    widths = [max(len(cells[i]) for cells in [head, *rows] if not cells[1].startswith("FAILED") or i == 0) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in [head, *rows])


def score_card(results, targets):
    """Mean density of each scenario, and the mean of these; what failed counts as 0."""
    rows = []
    for target in targets:
        means = [outcomes[target].get("mean", 0.0) for outcomes in results.values()]
        refused = sum(outcomes[target].get("refused", 0) for outcomes in results.values())
        never = sum(outcomes[target].get("to_recover_s", None) is None for outcomes in results.values())
        rows.append([target, *[share(mean) for mean in means], share(sum(means) / len(means)), str(never), str(refused)])
    return ["target", *results, "mean", "not recovered", "refused"], rows


def legend(number, count, colour, name, left, room, y):
    """A target's box and name; all of them side by side, and the last one still within the drawing."""
    x = left + number * min(100, room / count)
    return f'<rect x="{x:.0f}" y="{y}" width="11" height="11" fill="{colour}"/><text x="{x + 15:.0f}" y="{y + 10}">{html.escape(name)}</text>'


def plot(title, outcomes, limit_mb):
    """Resident memory, drawn, and payload, dotted, over time; one colour a target."""
    outcomes = {name: outcome for name, outcome in outcomes.items() if "rows" in outcome}
    width, height, left, right, top, bottom = 760, 300, 48, 10, 26, 52
    end = max((outcome["rows"][-1][0] for outcome in outcomes.values()), default=1)
    most = max([limit_mb << 20] + [outcome["rss_peak"] for outcome in outcomes.values()]) * 1.04
    x = lambda seconds: left + (width - left - right) * seconds / end
    y = lambda count: height - bottom - (height - top - bottom) * count / most
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
             f"<title>{html.escape(title)}</title>", f'<rect width="{width}" height="{height}" fill="#fff"/>',
             f'<text x="{left}" y="16">{html.escape(title)}: resident memory (line) and keys and values in it (dotted), MiB over seconds</text>']
    for k in range(5):
        value = most * k / 4
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#ddd"/>'
                     f'<text x="{left - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value / (1 << 20):.0f}</text>')
        parts.append(f'<text x="{x(end * k / 4):.1f}" y="{height - bottom + 15}" text-anchor="middle">{end * k / 4:.0f}</text>')
    for at, (name, outcome) in enumerate(outcomes.items()):
        colour = COLOURS[at % len(COLOURS)]
        rows = outcome["rows"][:: max(1, len(outcome["rows"]) // 300)] + outcome["rows"][-1:]
        for column, style in ((1, 'stroke-width="1.6"'), (2, 'stroke-dasharray="2 3"')):
            points = " ".join(f"{x(each[0]):.1f},{y(each[column]):.1f}" for each in rows)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" {style}/>')
        parts.append(legend(at, len(outcomes), colour, name, left, width - left - right, height - 22))
    return "\n".join(parts + ["</svg>\n"])
