#!/usr/bin/env python3
"""Tests of the snug-replay program from outside: every workload in small, its JSON, its options, its pictures.

    test_snug_replay.py PROGRAM SOURCE_ROOT

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.dom.minidom

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import RUN_HANG_S

PROGRAM = sys.argv[1]
ROOT = pathlib.Path(sys.argv[2])
SEED = "11"

FIELDS = """workload allocator live_bytes limit_bytes utilisation_min utilisation_end failed_allocations integrity_errors
    pair_ns moves_per_alloc bytes_moved_per_byte_allocated step_ns reclaimed_bytes metadata_bytes rss_bytes seed""".split()

ADVERSARIAL = "checkerboard pinned-1% all-pinned half-full mixed-256B-12MB one-object size-flip demo".split()


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=RUN_HANG_S, check=False)
    told = "\n".join(line[:1000] for line in (done.stdout + done.stderr).splitlines() if '"status":"done"' not in line)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{told}"
    return done


def replay(*arguments, status=0):
    done = run("--seed", SEED, "--quiet", "--json", *arguments, status=status)
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_fine(results):
    for result in results:
        assert result["status"] == "done", result
        assert result["integrity_errors"] == 0 and result["broken_laws"] == 0, result
        assert result["verified_bytes"] > 0, result
        for field in FIELDS:
            assert field in result, f"no {field} in {result}"


def test_every_paper_and_meta_workload():
    results = replay("--workload", "all", "--live", "2M", "--factor", "1", "--check", "--allocator", "snug,glibc")
    assert len(results) == 26, len(results)
    assert_fine(results)


def test_what_cannot_be_written_is_no_success():
    with open("/dev/full", "w") as full:
        for words in (["--help"], ["--list"], ["--workload", "checkerboard", "--live", "1M", "--factor", "1", "--quiet", "--allocator", "snug"]):
            done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=RUN_HANG_S)
            assert done.returncode == 1 and done.stderr.endswith("snug-replay: standard output: No space left on device\n"), (words, done)


def test_every_adversarial_workload():
    results = replay("--workload", ",".join(ADVERSARIAL), "--live", "4M", "--check", "--allocator", "snug,glibc")
    assert len(results) == 2 * len(ADVERSARIAL)
    assert_fine(results)


def test_objects_named_by_handle():
    results = replay("--workload", "W3,W8,pinned-1%,demo", "--live", "2M", "--names", "handle", "--check")
    assert_fine(results)
    assert all(result["names"] == "handle" for result in results)


def test_clients_and_workers():
    for workers, clients in ((1, 1), (2, 3), (8, 16)):
        threads = ("--workers", str(workers), "--clients", str(clients))
        results = replay("--workload", "W2,W8,size-flip,demo", "--live", "4M", "--factor", "1", "--check", *threads)
        assert_fine(results)
        for result in results:
            assert result["operations"] > 100 and result["operations_per_second"] > 0, result
            assert result["operation_ns"]["count"] == result["operations"], result
            assert result["allocations"] - result["failed_allocations"] - result["frees"] == result["objects"], result
            assert result["defragmentations_beside"] > 0, result


def test_workers_refuse_what_they_cannot_do():
    for arguments in (("--fill",), ("--workers", "65"), ("--clients", "0"), ("--allocator", "glibc"), ("--live", "256K")):
        run("--workload", "W1", "--live", "2M", "--workers", "2", *arguments, status=2)
    (result,) = replay("--workload", "pinned-1%", "--live", "2M", "--workers", "2", status=1)
    assert "pin" in result["problem"], result


def test_heap_always_full():
    (result,) = replay("--workload", "meta:kvcache", "--live", "4M", "--fill", "--factor", "2", "--check")
    assert_fine([result])
    assert result["limit_bytes"] == 4 << 20
    assert result["failed_allocations"] > 0
    assert 0.5 < result["utilisation_min"] <= result["demand_min"]


def test_highest_use_is_found():
    (result,) = replay("--workload", "W2", "--live", "4M", "--use", "max", "--factor", "1")
    assert_fine([result])
    assert result["failed_allocations"] == 0
    assert 0.6 < result["use"] < 1


def test_compaction_moves_objects():
    (result,) = replay("--workload", "W2", "--live", "8M", "--use", "0.95")
    assert result["moves_per_alloc"] > 0.01, result["moves_per_alloc"]
    assert result["reclaimed_bytes"] > 0
    assert result["failed_allocations"] == 0


def test_defragmentation_gains_what_was_estimated():
    (result,) = replay("--workload", "demo", "--live", "8M", "--use", "0.5", "--no-compaction")
    assert result["defragment_reclaimed_bytes"] == result["defragment_estimated_bytes"] > 0
    assert result["defragment_moved_objects"] > 0
    assert result["step_ns"]["count"] > 0


def test_same_seed_same_moves():
    first, second = (replay("--workload", "W4,meta:flip", "--live", "2M", "--factor", "2") for _ in range(2))
    for one, other in zip(first, second):
        for field in ("moves", "allocations", "frees", "live_bytes", "failed_allocations", "utilisation_end"):
            assert one[field] == other[field], field
    other_seed = run("--seed", "12", "--quiet", "--json", "--workload", "W4", "--live", "2M", "--factor", "2")
    assert json.loads(other_seed.stdout)["moves"] != first[0]["moves"]


def test_shipped_sizes_are_the_built_in_ones():
    for name in ("kvcache", "graph"):
        path = ROOT / "data" / f"cachebench-{name}-sizes.csv"
        (built_in,) = replay("--workload", f"meta:{name}", "--live", "1M", "--factor", "1")
        (from_file,) = replay("--sizes", str(path), "--live", "1M", "--factor", "1")
        assert built_in["allocated_bytes"] == from_file["allocated_bytes"]
        assert built_in["moves"] == from_file["moves"]


def test_traces():
    path = ROOT / "data" / "cloudphysics-first-2000.csv"
    results = replay("--trace", str(path), "--live", "4M", "--check", "--allocator", "snug,glibc")
    assert_fine(results)
    assert results[0]["allocations"] == results[1]["allocations"] > 1000
    fifo = replay("--trace", str(path), "--live", "4M", "--evict", "fifo")
    assert_fine(fifo)
    with tempfile.TemporaryDirectory() as directory:
        trace = pathlib.Path(directory) / "trace.csv"
        trace.write_text("op,key,size\nset,a,100\nget,a\nget,b,50\nset,a,3\ndelete,b\nalloc,c,4000\nfree,c\n")
        (result,) = replay("--trace", str(trace), "--live", "1M")
        assert result["allocations"] == 4 and result["frees"] == 3 and result["objects"] == 1, result
        assert result["live_bytes"] == 8
        trace.write_text("set,a,100\nfly,b,5\n")
        (result,) = replay("--trace", str(trace), "--live", "1M", status=1)
        assert result["status"] == "broken" and "trace.csv:2: unknown operation" in result["problem"], result


def cached(*arguments):
    """Cells by (policy, limit)."""
    return {(cell["policy"], cell["limit"]): cell for cell in replay("--cache", *arguments)}


def assert_right(cell):
    assert cell["integrity_errors"] == 0 and cell["refused"] == 0, cell
    assert cell["verified_bytes"] > 0, cell


def test_cache_misses_what_its_simulation_does():
    """When the simulation is charged for an object what the cache needs for it."""
    for load, bound in {"meta:kvcache": 0.01, "zipf:0.9": 0.02}.items():
        arguments = (load, "--requests", "100000", "--limit", "1M,2M", "--overhead", "18", "--policy", "shard,snug")
        cells = cached(*arguments)
        for limit in ("1M", "2M"):
            shard, snug = cells["shard", limit], cells["snug", limit]
            assert_right(shard)
            assert shard["items"] > 100 and shard["item_bytes"] < shard["limit_bytes"], shard
            assert abs(shard["miss_ratio_objects"] - snug["miss_ratio_objects"]) < bound, (shard, snug)
        again = cached(*arguments[:-1], "shard")
        for field in ("miss_ratio_objects", "miss_ratio_bytes", "evictions", "items", "item_bytes", "moved_bytes"):
            assert again["shard", "1M"][field] == cells["shard", "1M"][field], field


def test_every_policy_is_simulated():
    cells = cached("zipf:1.0", "--requests", "50000", "--limit", "10%")
    policies = "shard shard-bytes snug snug-bytes lru fifo s3fifo sieve arc tinylfu gdsf lhd hyperbolic min min-sized".split()
    assert [policy for policy, _ in cells] == policies
    misses = {policy: cells[policy, "10%"]["miss_ratio_objects"] for policy in policies}
    for policy in policies[2:]:
        assert policy == "fifo" or misses[policy] < misses["fifo"] - 0.01, misses
        assert misses["min"] <= misses[policy] + 0.02, misses  # the overhead of ghosts aside, nobody is below


def test_large_newcomers_displace_little():
    """Heavy tails: who looks at what a newcomer takes for what it gives misses fewest. Without that look the cache is 0.05 behind."""
    for load, limit in (("tail:0.8", "20%"), ("drift-tail:0.9", "20%"), ("cdn:0.8", "20%")):
        cells = cached(load, "--requests", "200000", "--limit", limit, "--overhead", "18", "--policy", "snug,snug-bytes,lru,tinylfu,lhd,gdsf")
        objects = {policy: cells[policy, limit]["miss_ratio_objects"] for policy, _ in cells}
        for policy in ("lru", "tinylfu", "lhd", "gdsf"):
            assert objects["snug"] < objects[policy] + 0.003, (load, objects)
        missed = {policy: cells[policy, limit]["miss_ratio_bytes"] for policy, _ in cells}
        for policy in ("lru", "tinylfu", "lhd", "gdsf"):
            assert missed["snug-bytes"] < missed[policy] + 0.003, (load, missed)


def test_loads_of_sizes_are_played():
    for load in ("block:0.8", "change:0.9", "tail:1.0"):
        cells = cached(load, "--requests", "60000", "--limit", "2M", "--policy", "shard,min-sized,lru")
        assert_right(cells["shard", "2M"])
        assert cells["min-sized", "2M"]["miss_ratio_objects"] < cells["shard", "2M"]["miss_ratio_objects"] < cells["lru", "2M"]["miss_ratio_objects"] + 0.02, cells


def test_eviction_for_bytes_misses_fewer_bytes():
    for load, limit in (("meta:kvcache", "4M"), ("twitter:cluster53", "16M")):
        cells = cached(load, "--requests", "500000", "--limit", limit, "--overhead", "18", "--policy", "shard,shard-bytes,snug-bytes,lru,s3fifo")
        missed = {policy: cells[policy, limit]["miss_ratio_bytes"] for policy, _ in cells}
        for policy in ("shard", "lru", "s3fifo"):
            assert missed["shard-bytes"] < missed[policy], (load, missed)
        assert abs(missed["shard-bytes"] - missed["snug-bytes"]) < 0.03, (load, missed)
        assert cells["shard", limit]["miss_ratio_objects"] < cells["shard-bytes", limit]["miss_ratio_objects"], load


def assert_by_readers(cells, limits):
    """What many readers miss is what one thread does; the cache counts hits as they do. In smaller caches chance decides more."""
    for limit in limits:
        shard, cache = cells["shard", limit], cells["cache", limit]
        assert_right(cache)
        assert cache["hits"] == cache["told_hits"] and cache["requests_per_second"] > 0, cache
        assert abs(cache["miss_ratio_objects"] - shard["miss_ratio_objects"]) < 0.002, (cache, shard)


def test_many_readers_miss_what_one_does():
    for load, limits in {"zipf:0.9": "2M", "meta:kvcache": "2M,4M", "twitter:cluster7": "2M"}.items():
        arguments = (load, "--requests", "100000", "--limit", limits, "--policy", "shard,cache")
        for readers in ("1", "16"):
            cells = cached(*arguments, "--readers", readers)
            assert_by_readers(cells, limits.split(","))
            assert all(cells["cache", limit]["readers"] == int(readers) for limit in limits.split(","))


def test_readers_of_several_workers():
    cells = cached("zipf:0.9", "--requests", "50000", "--limit", "500K,8M", "--readers", "3", "--workers", "2")
    policies = [policy for policy, limit in cells if limit == "8M"]
    assert policies[:4] == ["shard", "shard-bytes", "cache", "cache-bytes"], policies
    for policy in ("cache", "cache-bytes"):
        assert cells[policy, "500K"]["miss_ratio_objects"] is None, cells
        assert_right(cells[policy, "8M"])
        assert cells[policy, "8M"]["evictions"] == 0 and cells[policy, "8M"]["workers"] == 2, cells
        assert cells[policy, "8M"]["miss_ratio_objects"] == cells["shard", "8M"]["miss_ratio_objects"], cells


def test_readers_keep_a_key_in_order():
    """One key is stored, read and deleted again and again, among others."""
    with tempfile.TemporaryDirectory() as directory:
        trace = pathlib.Path(directory) / "trace.csv"
        lines = []
        for number in range(3000):
            lines += [f"get,a,{100 + number}", f"get,b{number % 7},50", f"get,a,{100 + number}", "delete,a"]
        trace.write_text("\n".join(lines) + "\n")
        cells = cached("trace", "--trace", str(trace), "--limit", "4M", "--policy", "cache", "--readers", "4")
        cell = cells["cache", "4M"]
        assert_right(cell)
        assert cell["hits"] == 3000 + 3000 - 7, cell


def test_cache_under_a_trace():
    with tempfile.TemporaryDirectory() as directory:
        trace = pathlib.Path(directory) / "trace.csv"
        lines = ["get,a,100", "get,a,100", "set,a,5000", "get,a,5000", "delete,a", "get,a,7", "get,b,0", "get,b,0"]
        trace.write_text("op,key,size\n" + "\n".join(lines) + "\n")
        arguments = ("trace", "--trace", str(trace), "--limit", "1M,100K", "--policy", "shard,lru")
        cells = cached(*arguments)
        for policy in ("shard", "lru"):
            assert cells[policy, "1M"]["miss_ratio_objects"] == 0.5, cells
        assert cells["shard", "1M"]["verified_bytes"] == 5100, cells
        assert cells["shard", "1M"]["items"] == 2 and cells["shard", "1M"]["integrity_errors"] == 0, cells
        assert cells["shard", "100K"]["miss_ratio_objects"] is None, cells
        assert cells["lru", "100K"]["miss_ratio_objects"] == 0.5, cells


def test_json_names_any_file():
    """A file's name is bytes: a quote, a tab, and what is no UTF-8."""
    with tempfile.TemporaryDirectory() as directory:
        trace = os.path.join(os.fsencode(directory), b'a"b\t\xff.csv')
        with open(trace, "w") as file:
            file.write("set,a,100\nget,a\n")
        for cell in replay("--cache", "trace", "--trace", trace, "--limit", "1M", "--policy", "lru"):
            assert cell["cache"] == 'trace:a"b\t\ufffd.csv', cell
        with open(trace, "w") as file:
            file.write("fly,a,100\n")
        (result,) = replay("--trace", trace, "--live", "1M", status=1)
        assert 'a"b\t\ufffd.csv:1: unknown operation' in result["problem"], result


def test_cache_takes_small_items_after_large_ones():
    """Twelve times as many items as before need twelve times the index, in a cache that is full."""
    with tempfile.TemporaryDirectory() as directory:
        trace = pathlib.Path(directory) / "trace.csv"
        large = [f"get,a{number},1500" for number in range(3000)]
        small = [f"get,b{number},100" for number in range(20000)]
        trace.write_text("\n".join(large + small + small + large) + "\n")
        cells = cached("trace", "--trace", str(trace), "--limit", "1M,4M", "--policy", "shard")
        for cell in cells.values():
            assert cell["integrity_errors"] == 0 and cell["refused"] == 0, cell
            assert cell["item_bytes"] / cell["limit_bytes"] > 0.65, cell


def test_sizes_files_are_checked():
    bad = {"": "must be 1", "100,0.5\n": "must be 1", "100,0.5\n90,1\n": "ascend", "100,1.5\n": "ascend", "x\n": "expected"}
    with tempfile.TemporaryDirectory() as directory:
        sizes = pathlib.Path(directory) / "sizes.csv"
        for text, complaint in bad.items():
            sizes.write_text(text)
            done = run("--sizes", str(sizes), status=2)
            assert complaint in done.stderr, (text, done.stderr)


def test_bad_options_are_refused():
    bad = [
        ["--bogus"], ["stray"], [], ["--live"], ["--workload", "W9"], ["--workload", ""], ["--workload", "W1", "--live", "0"],
        ["--workload", "W1", "--live", "12Q"], ["--workload", "W1", "--live", "-5"], ["--workload", "W1", "--use", "0"],
        ["--workload", "W1", "--use", "1.5"], ["--workload", "W1", "--use", "often"], ["--workload", "W1", "--page", "5000"],
        ["--workload", "W1", "--allocator", "dlmalloc"], ["--workload", "W1", "--allocator", ""], ["--json=1"],
        ["--workload", "W1", "--names", "pointer"], ["--workload", "W1", "--factor", "0"], ["--workload", "W1", "--seed", "x"],
        ["--workload", "W1", "--time-every", "0"], ["--cache", "zipf:1.0", "--readers", "65"],
        ["--cache", "zipf:1.0", "--readers", "2", "--workers", "65"], ["--cache", "zipf:1.0", "--policy", "cache"], ["--work"], ["--w", "W1"], ["-q"], ["--trace", "/nonexistent.csv"], ["--sizes", "/nonexistent.csv"],
    ]  # fmt: skip
    for arguments in bad:
        done = run(*arguments, status=2)
        assert done.stderr.startswith("snug-replay: "), (arguments, done.stderr)
        assert done.stdout == "", (arguments, done.stdout)


def test_smallest_heap():
    (result,) = replay("--workload", "W1", "--live", "256K", "--use", "0.7", "--factor", "1", "--check")
    assert_fine([result])


def test_help_list_version_and_manual_page():
    text = run("--help").stdout
    listed = run("--list").stdout
    manual = run("--man").stdout
    for option in ("--workload", "--live", "--use", "--allocator", "--seed", "--json", "--plot", "--map", "--trace"):
        assert option in text and option[2:] in manual
    for name in ["W1", "W8", "meta:flip", "twitter:cluster7", "jemalloc", *ADVERSARIAL]:
        assert name in listed
    assert run("--version").stdout.startswith("snug-replay ")


def test_table_for_people():
    text = run("--seed", SEED, "--workload", "W2", "--live", "2M", "--factor", "1", "--defragment").stdout
    for word in ("seed 11", "W2", "snug", "0 errors", "estimate", "report", "reclaimed"):
        assert word in text, (word, text)


def test_pictures():
    with tempfile.TemporaryDirectory() as directory:
        plot, picture = pathlib.Path(directory) / "plot.svg", pathlib.Path(directory) / "map.svg"
        replay("--workload", "demo,W2", "--live", "4M", "--use", "0.5", "--allocator", "snug,glibc", "--no-compaction",
               "--plot", str(plot), "--map", str(picture))  # fmt: skip
        for path, words in ((plot, ("limit", "live payload", "glibc")), (picture, ("Before", "After", "reclaimed"))):
            assert path.stat().st_size < 200_000, path.stat().st_size
            text = path.read_text()
            xml.dom.minidom.parseString(text)
            for word in words:
                assert word in text, (path, word)


def test_demo():
    text = run("--demo", "--live", "8M").stdout
    for word in ("Fill and flip", "estimate", "Memory, after", "glibc", "failed allocations", "no error"):
        assert word in text, (word, text)


sys.exit(run_tests(globals()))
