#!/usr/bin/env python3
"""Derives tools/replay/caches/popularity_meta.c from CacheBench's pop.json files.

    derive_popularity.py DIRECTORY      where DIRECTORY holds kvcache_reg/pop.json and graph_cache_leader_fbobj/pop.json,
                                        as in facebook/CacheLib under cachelib/cachebench/test_configs/

A source file has hundreds of groups of keys: how many keys, and how many requests they got together. Here the groups are sorted by
requests per key and neighbours gathered, some eight rows to a power of ten of keys.
"""

import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKLOADS = {"kvcache": "kvcache_reg", "graph": "graph_cache_leader_fbobj"}
ROWS_PER_DECADE = 8

HEAD = """\
/* popularity_meta.c: popularity of the keys of two production caches, as Meta published it; written by derive_popularity.py, not by hand.
 *
 * Source: facebook/CacheLib, CacheBench test_configs kvcache_reg and graph_cache_leader_fbobj (pop.json), Apache-2.0.
 * Changed: hundreds of groups of keys gathered in some fifty rows. A row is {share of the keys that are at least so popular, requests
 * to one of them}, hottest first. */
#include "caches/popularity.h"

/* clang-format off */
"""


def derive(path):
    source = json.loads(path.read_text())
    groups = sorted(zip(source["popularityWeights"], source["popularityBuckets"]), key=lambda group: -group[0] / group[1])
    keys = sum(count for _, count in groups)
    rows, gathered, row_weight, row_keys = [], 0, 0, 0
    for weight, count in groups:
        row_weight += weight
        row_keys += count
        before = math.floor(ROWS_PER_DECADE * math.log10(max(gathered, 1)))
        if math.floor(ROWS_PER_DECADE * math.log10(gathered + row_keys)) > before or gathered + row_keys == keys:
            gathered += row_keys
            rows.append((gathered / keys, row_weight / row_keys))
            row_weight = row_keys = 0
    return rows


def table(name, rows):
    body, line = "", "\t"
    for share, requests in rows:
        cell = f"{{{share:.9f}, {requests:.2f}}}, "
        if len(line) + 3 + len(cell) > 120:
            body += line.rstrip() + "\n"
            line = "\t"
        line += cell
    return f"static const struct popularity_row {name}_rows[] = {{\n{body}{line.rstrip()}\n}};\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tables = [table(name, derive(pathlib.Path(sys.argv[1]) / directory / "pop.json")) for name, directory in WORKLOADS.items()]
    tail = "/* clang-format on */\n"
    for name in WORKLOADS:
        tail += (
            f"\nconst struct popularity_rows popularity_meta_{name} = {{\n"
            f"\t.rows = {name}_rows, .count = sizeof {name}_rows / sizeof {name}_rows[0]}};"
        )
    (ROOT / "tools" / "replay" / "popularity_meta.c").write_text(HEAD + "\n".join(tables) + tail + "\n")


main()
