#!/usr/bin/env python3
"""Puts known faults back, one at a time, and says how many seeds find each, and the first of them: `make simulate-faults SEEDS=n`.

It works on a copy of the tree. A fault is a few lines of src/ in the words of today. Where they are not found any more, this says so and fails:
whoever changes those lines says here what the fault looks like now. With --pin the first finding of each fault is written to pinned.txt, which
make test runs first."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree_copy import ROOT, Broken, build, copy_tree, misfits

PINNED = ROOT / "tests/simulate/pinned.txt"
CONNECTION = "src/server/connection/"

# name -> what it is, and edits: file, what is there, what is there with the fault
FAULTS = {
    "window-came": (
        "the window of a value comes after its reader's reset: given back twice",
        [
            (
                CONNECTION + "connection_return.c",
                "	case RECORD_OUTPUT:\n",
                "	case RECORD_OUTPUT:\n		if (record->connection->is_closing) {\n			record->owner = RECORD_LEAVING;\n			record_end(record);\n			break;\n		}\n",
            )
        ],
    ),
    "errors-are-left": (
        "what OpenSSL has left in its queue of errors is taken for another session's",
        [
            (
                "src/server/tls/tls_session.c",
                "	if (library->ERR_peek_last_error() != 0) library->ERR_clear_error();",
                "	(void)library;",
            )
        ],
    ),
    "refused-reservation": (
        "a reservation's record is given back twice after a reset",
        [
            (
                CONNECTION + "connection_sink.c",
                "	if (connection->is_closing) return;",
                "	if (connection->is_closing) {\n		record->owner = RECORD_LEAVING;\n		record_end(record);\n		return;\n	}",
            )
        ],
    ),
    "line-end-in-packets": (
        "behind a value of a binary answer that waits for others there is a line's end",
        [
            (
                CONNECTION + "connection_answers.c",
                "	record_append(record, value, value_bytes);\n	record_append(record, tail.text, tail.length);\n",
                "	record_append(record, value, value_bytes);\n	record_append(record, VALUE_END, VALUE_END_BYTES);\n",
            ),
            (
                CONNECTION + "connection_answers.c",
                "	size_t whole = head_bytes + value_bytes + tail.length;\n",
                "	size_t whole = head_bytes + value_bytes + VALUE_END_BYTES;\n",
            ),
        ],
    ),
    "quiet-is-loud": (
        "a quiet binary store is answered",
        [
            (
                "src/server/protocol/answer_binary.c",
                "	if (reply->is_quiet) return 0;\n	if (operation->kind == OPERATION_ARITHMETIC)",
                "	if (reply->is_quiet && operation->kind != OPERATION_STORE) return 0;\n	if (operation->kind == OPERATION_ARITHMETIC)",
            )
        ],
    ),
    "long-meta-line": (
        "a meta line has no bound, and is kept in a record",
        [
            ("src/server/protocol/command.h", "#define LINE_BYTES_MAX 2048u", "#define LINE_BYTES_MAX 30000u"),
            ("src/server/protocol/command.h", "	uint8_t opaque_bytes;", "	uint8_t opaque_bytes;\n	uint32_t kept_bytes;\n	const char *kept;"),
            ("src/server/protocol/command.c", "	command->reply.opaque_bytes = 0;", "	command->reply.opaque_bytes = 0;\n	command->reply.kept_bytes = 0;"),
            (
                "src/server/protocol/command_meta.c",
                "		note_flag(&command->reply, line->word[i]);\n	}",
                "		note_flag(&command->reply, line->word[i]);\n		command->reply.kept = line->word[first].bytes;\n"
                "		command->reply.kept_bytes = (uint32_t)(line->word[i].bytes + line->word[i].length - line->word[first].bytes);\n	}",
            ),
            (
                CONNECTION + "connection_answers.c",
                "	at += reply->opaque_bytes;",
                "	at += reply->opaque_bytes;\n	if (reply->kept_bytes > 0) memcpy(at, reply->kept, reply->kept_bytes);\n	at += reply->kept_bytes;",
            ),
        ],
    ),
    "answer-overtakes": (
        "an answer overtakes one that is away",
        [(CONNECTION + "connection_answers.c", "	if (LIKELY(connection->first_answer == NULL))\n		say_now", "	if (connection->records < 1000)\n		say_now")],
    ),
    "stays-paused": (
        "a connection stays paused when what came late was the last held back",
        [(CONNECTION + "connection_input.c", "if (UNLIKELY(connection->input_bytes > 0 || connection->is_paused)) pause", "if (connection->input_bytes > 0) pause")],
    ),
    "lease-is-kept": (
        "a lease is not given back",
        [(CONNECTION + "connection_output.c", "	record_pass(record, RECORD_OUTPUT, RECORD_HELD);\n	record_end", "	record_pass(record, RECORD_OUTPUT, RECORD_HELD);\n	record->request.operation.lease.ref = 0;\n	record_end")],
    ),
    "output-freed-early": (
        "output is freed before its socket is closed",
        [(CONNECTION + "connection_marks.c", "	io_close(turn_of(connection)->io, &connection->stream);", "	output_drop(connection);\n	io_close(turn_of(connection)->io, &connection->stream);")],
    ),
    "flush-leaves-out": (
        "`flush_all` leaves out a worker",
        [("src/server/errand/errand.c", "static void flush_visit(struct errand *errand, struct server_worker *worker) {\n", "static void flush_visit(struct errand *errand, struct server_worker *worker) {\n	if (worker->index == 1) return;\n")],
    ),
    "late-flush-leaves-out": (
        "`flush_all` with a delay leaves out a worker",
        [("src/server/errand/errand.c", "static void flush_visit(struct errand *errand, struct server_worker *worker) {\n", "static void flush_visit(struct errand *errand, struct server_worker *worker) {\n	if (worker->index == 1 && ((struct flush *)(void *)errand)->delay_s > 0) return;\n")],
    ),
    "read-overtakes": (
        "a worker reads another's item while the same connection's request for it is away",
        [(CONNECTION + "connection_read.c", "	if (connection_is_away(connection, operation->key.hash)) return false;\n", "")],
    ),
    "expired-read": (
        "a worker answers another's item that has expired",
        [(CONNECTION + "connection_read.c", "	return copy->head.expires_at_s == 0 ||", "	return copy->head.expires_at_s <= UINT32_MAX ||")],
    ),
    "wall-clock": (
        "items expire by the clock on the wall",
        [("src/server/server.c", "	return worker->clock_s;", "	return worker->wall_s;")],
    ),
    "limit-is-far": (
        "a lower limit is not approached",
        [("src/cache/shard/shard_maintain.c", "	more |= approach_limit(shard) ||", "	more |= approach_limit != approach_limit ||")],
    ),
    "limit-leaves-out": (
        "a new limit leaves out a worker",
        [("src/server/errand/errand_memory.c", "&& !memory->error) set_limit(", "&& !memory->error && worker->index != 1) set_limit(")],
    ),
    "keeps-nothing": (
        "-M evicts",
        [("src/server/server.c", "	options.no_eviction = settings->no_eviction;", "	options.no_eviction = false;")],
    ),
}


def try_fault(tree, edits, first, count):
    """How many seeds failed, of how many, the first that did, and what it said; None: it could not be tried."""
    with Broken(tree, edits) as broken:
        if not broken.fits or not build(tree, "tests/simulate/simulate"):
            return None
        said = subprocess.run([tree / "build/tests/simulate/simulate", "--plain", str(first), str(count)], cwd=tree, capture_output=True, text=True, errors="replace")
    failed = [int(seed) for seed in re.findall(r"^seed (\d+) failed", said.stdout, re.M)]
    ran = re.search(r"^(\d+) seeds from", said.stdout, re.M)
    why = re.findall(r"^seed \d+ failed: (.*)$", said.stdout, re.M)
    return failed, int(ran.group(1)) if ran else 0, why


def pin(found):
    """Found: name -> seed. Lines of other faults, and of what was found otherwise, stay."""
    seeds = {}
    lines = []
    for line in PINNED.read_text().splitlines():
        match = re.fullmatch(r"(\d+) # (.+)", line)
        if match:
            seeds.setdefault(int(match.group(1)), set()).update(set(match.group(2).split(", ")) - set(found))
        else:
            lines.append(line)
    for name, seed in found.items():
        seeds.setdefault(seed, set()).add(name)
    lines += [f"{seed} # {', '.join(sorted(names))}" for seed, names in sorted(seeds.items()) if names]
    PINNED.write_text("\n".join(lines) + "\n")


def look():
    """Whether each fault still fits the source; builds nothing."""
    lines = misfits((name, edits) for name, (_, edits) in FAULTS.items())
    print("\n".join(lines))
    return 1 if lines else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--look", action="store_true", help="only whether the faults fit the source")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--tree", help="the copy, which is kept; else a temporary one")
    parser.add_argument("names", nargs="*", help="of faults; all")
    options = parser.parse_args()
    if options.look:
        return look()
    passed, pins = True, {}
    with tempfile.TemporaryDirectory(prefix="snug-faults-") as directory:
        tree = pathlib.Path(options.tree or directory)
        tree.mkdir(exist_ok=True)
        copy_tree(tree)
        for name in options.names or FAULTS:
            what, edits = FAULTS[name]
            found = try_fault(tree, edits, options.first, options.seeds)
            if found is None or not found[0]:
                print(f"FAILED  {name}: {'not tried' if found is None else f'not found by {found[1]} seeds'}", flush=True)
                passed = False
                continue
            failed, ran, why = found
            pins[name] = failed[0]
            print(f"| {what} | {len(failed)} of {ran} | {failed[0]} | {why[0][:100] if why else ''} |", flush=True)
    if options.pin:
        pin(pins)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
