#!/usr/bin/env python3
"""Derives the small histograms of value sizes in data/ and tools/replay/workloads/sizes_meta.c from CacheBench's sizes.json files.

    derive_sizes.py DIRECTORY      where DIRECTORY holds kvcache_reg/sizes.json and graph_cache_leader_fbobj/sizes.json,
                                   as in facebook/CacheLib under cachelib/cachebench/test_configs/
    derive_sizes.py FILE.json      prints one file's histogram, to be read with snug-replay --sizes

A source file has thousands of sizes, 32 bytes apart, each with a weight: that many values of at most this size, and above
the size before. A row here gathers the sizes up to `upper_bytes`: every 32 bytes up to 511, then four rows to a power of
two. `cumulative` is the share of all values that are no larger. A size is drawn inside a row evenly on a logarithmic scale.
"""

import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALLEST_BYTES = 8
WORKLOADS = {"kvcache": "kvcache_reg", "graph": "graph_cache_leader_fbobj"}


def upper_edges(largest):
    edges = list(range(31, 512, 32))
    step = 1
    while edges[-1] < largest:
        edges.append(min(round(512 * 2 ** (step / 4)) - 1, largest))
        step += 1
    return edges


def derive(path):
    source = json.loads(path.read_text())
    weights = list(zip(source["valSizeRange"], source["valSizeRangeProbability"]))
    total = sum(weight for _, weight in weights)
    source_mean = sum(size * weight for size, weight in weights) / total
    rows, gathered, mean, lower = [], 0, 0.0, SMALLEST_BYTES
    for upper in upper_edges(weights[-1][0]):
        share = sum(weight for size, weight in weights if size <= upper) - gathered
        gathered += share
        rows.append((upper, gathered / total))
        mean += share / total * (upper - lower) / math.log(upper / lower)
        lower = upper
    return rows, source_mean, mean


def text_of(name, rows, source_mean, mean):
    lines = [
        f"# Value sizes of Meta's {name} workload: upper_bytes,cumulative (log-interpolated inside a row).",
        "# Source: facebook/CacheLib, CacheBench test_configs (sizes.json), Apache-2.0. Changed: thousands of sizes gathered",
        f"# in {len(rows)} rows by tools/replay/workloads/derive_sizes.py. Mean of the source {source_mean:.1f} bytes, of these rows {mean:.1f}.",
    ]
    return "\n".join(lines + [f"{upper},{cumulative:.9f}" for upper, cumulative in rows]) + "\n"


def c_table(name, rows):
    body = ""
    line = "\t"
    for upper, cumulative in rows:
        cell = f"{{{upper}, {cumulative:.9f}}}, "
        if len(line) + 3 + len(cell) > 120:
            body += line.rstrip() + "\n"
            line = "\t"
        line += cell
    return f"static const struct size_row {name}_rows[] = {{\n{body}{line.rstrip()}\n}};\n"


C_HEAD = """\
/* sizes_meta.c: value sizes of two production caches, as Meta published them; written by derive_sizes.py, not by hand.
 *
 * Source: facebook/CacheLib, CacheBench test_configs kvcache_reg and graph_cache_leader_fbobj (sizes.json), Apache-2.0.
 * Changed: thousands of sizes, 32 bytes apart, gathered in some fifty rows. A row is {upper size in bytes, share of all
 * values that are no larger}; inside a row sizes are even on a logarithmic scale. */
#include "workloads/sizes.h"

/* clang-format off */
"""

C_TAIL = """\
/* clang-format on */

const struct sizes sizes_meta_kvcache = {
	.kind = SIZES_HISTOGRAM, .rows = kvcache_rows, .row_count = sizeof kvcache_rows / sizeof kvcache_rows[0]};
const struct sizes sizes_meta_graph = {
	.kind = SIZES_HISTOGRAM, .rows = graph_rows, .row_count = sizeof graph_rows / sizeof graph_rows[0]};
"""


def main():
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else None
    if source is None or not source.exists():
        sys.exit(__doc__)
    if source.is_file():
        sys.stdout.write(text_of(source.parent.name, *derive(source)))
        return
    tables = []
    for name, directory in WORKLOADS.items():
        rows, source_mean, mean = derive(source / directory / "sizes.json")
        (ROOT / "data" / f"cachebench-{name}-sizes.csv").write_text(text_of(name, rows, source_mean, mean))
        tables.append(c_table(name, rows))
    (ROOT / "tools" / "replay" / "sizes_meta.c").write_text(C_HEAD + "\n".join(tables) + C_TAIL)


main()
