"""From what was watched to figures: pure functions.

density      payload / resident memory
fresh        the density at the first mark, before anything was broken
worst        the lowest at a later mark
end          at the last mark
mean         over the time from the first mark on, each moment weighing the same
to_recover_s time from the begin of the recovery until the density is back at 0.95 of the fresh one; None: not within the time
"""


def density(row):
    return row[2] / row[1]


def mean_density(rows, since):
    """By time; rows (seconds, resident, payload) in order of time."""
    rows = [row for row in rows if row[0] >= since]
    if len(rows) < 2:
        return density(rows[0]) if rows else 0.0
    area = sum(density(a) * (b[0] - a[0]) for a, b in zip(rows, rows[1:]))
    return area / (rows[-1][0] - rows[0][0])


def time_to_recover(rows, since, until, wanted):
    for row in rows:
        if since <= row[0] <= until and density(row) >= wanted:
            return row[0] - since
    return None


def card(rows, marks, result, refused):
    fresh = marks[0]["density"]
    recovered = time_to_recover(rows, result["recovery_from_s"], result["recovery_to_s"], 0.95 * fresh)
    return {
        "fresh": fresh,
        "worst": min(mark["density"] for mark in marks[1:]),
        "end": marks[-1]["density"],
        "mean": round(mean_density(rows, marks[0]["s"]), 4),
        "to_recover_s": None if recovered is None else round(recovered, 3),
        "rss_peak": max(row[1] for row in rows),
        "rss_end": rows[-1][1],
        "refused": refused,
        **result,
    }
