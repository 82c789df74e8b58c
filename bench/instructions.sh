#!/bin/sh
# instructions.sh [BUILD_DIR [OUTPUT]]: counts instructions with callgrind and writes the table to docs/instruction-counts.md.
# OUTPUT -: standard output. Needs valgrind and the mallocs' libraries; a malloc that is not installed is left out.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${1:-$source_dir/build}
output=${2:-$source_dir/docs/instruction-counts.md}
program=$build_dir/bench/bench-instructions
cache_program=$build_dir/bench/bench-cache-instructions
work_dir=$(mktemp -d)
trap 'rm -rf "$work_dir"' EXIT

command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 1; }

# count FUNCTION PRELOAD ARGUMENTS...: instructions inside FUNCTION, and what the program printed, in $work_dir.
count() {
	counted=$1
	preload=$2
	shift 2
	LD_PRELOAD=$preload valgrind --tool=callgrind --callgrind-out-file="$work_dir/out" --collect-atstart=no \
		--toggle-collect="$counted" "$program" "$@" >"$work_dir/printed" 2>"$work_dir/log"
	sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work_dir/log"
}

# per OPERATION FUNCTION PRELOAD ARGUMENTS...: instructions an operation, with one decimal.
per() {
	operation=$1
	shift
	collected=$(count "$@")
	awk -v operation="$operation" -v collected="$collected" '$1 == operation { printf "%.1f", collected / $2 }' \
		"$work_dir/printed"
}

subtract() {
	awk -v whole="$1" -v part="$2" 'BEGIN { printf "%.1f", whole - part }'
}

# pair_cells PRELOAD SUBJECT TURN
pair_cells() {
	allocation=$(subtract "$(per allocations counted_allocations "$1" pairs "$2" "$3")" \
		"$(per allocations counted_allocations '' pairs none "$3")")
	release=$(subtract "$(per frees counted_frees "$1" pairs "$2" "$3")" "$(per frees counted_frees '' pairs none "$3")")
	awk -v a="$allocation" -v f="$release" 'BEGIN { printf " %.0f | %.0f | %.0f |", a, f, a + f }'
}

# pair_row NAME PRELOAD SUBJECT
pair_row() {
	if [ "$3" = batch ]; then
		echo "| $1 | | | |$(pair_cells "$2" "$3" 64)$(pair_cells "$2" "$3" 256)"
	else
		echo "| $1 |$(pair_cells "$2" "$3" 16)$(pair_cells "$2" "$3" 64)$(pair_cells "$2" "$3" 256)"
	fi
}

# malloc_row NAME LIBRARY
malloc_row() {
	if ldconfig -p | grep -q "$2 "; then
		pair_row "$1" "$2" malloc
	fi
}

move_row() {
	move=$(per moves counted_moves '' moves snug "$1")
	copy=$(per moves counted_copies '' moves none "$1")
	echo "| $2 | $move | $copy |"
}

version() {
	dpkg-query -W -f '${Package} ${Version}' "$1" 2>/dev/null || true
}

compiler_line() {
	strings -a "$build_dir"/src/libsnug.so.*.*.* 2>/dev/null | grep -m1 -E '^(GCC: |clang version|Debian clang)' || echo unknown
}

# The commit that was counted: the one before the table's own.
revision() {
	git -C "$source_dir" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown
}

{
	cat <<TEXT
# Instructions per operation

Written by \`bench/instructions.sh\`: do not edit. Counted by callgrind, so the figures do not depend on what else the machine
does, but on the compiler and, for copies, on the vector instructions that valgrind offers. They say how long a path is, not
how long it takes: a cache miss is one instruction. Run the script again with each change to a hot path and quote both figures.

Library at commit $(revision), compiled by: $(compiler_line). Counted with $(valgrind --version).
Mallocs: $(version libc6), $(version libjemalloc2), $(version libmimalloc2.0), $(version libtcmalloc-minimal4).

## Allocation and free

Objects of 100 bytes, 1024 live, in a heap with a limit of 256 MiB. In each turn 16, 64 or 256 random ones are freed, then as many
allocated. Turns of 16 are what magazines and thread caches are made for; in turns of 256 they are emptied and filled again and
again. The loop's own instructions are taken off; the jump through the procedure linkage table is counted for all.

| | turns of 16: alloc | free | pair | of 64: alloc | free | pair | of 256: alloc | free | pair |
|---|---|---|---|---|---|---|---|---|---|
TEXT
	pair_row "snug, by reference" '' ref
	pair_row "snug, by reference, batches of 64" '' batch
	pair_row "snug, by handle" '' handle
	pair_row "glibc" '' malloc
	malloc_row jemalloc libjemalloc.so.2
	malloc_row mimalloc libmimalloc.so.2
	malloc_row tcmalloc libtcmalloc_minimal.so.4
	cat <<TEXT

## Moves

A heap of 8 MiB, thinned to half at random, then one whole defragmentation in steps of 4 KiB, divided by its moves: choosing
victims, finding holes, copying and telling the owner, whose update of its table is included. Beside it memcpy alone.
Objects of 10 KiB have no tight slot in this heap's pages and move as fragments. The C library copies them with one string
instruction, which is counted once for each byte.

| object | move | memcpy |
|---|---|---|
TEXT
	move_row 100 "100 B"
	move_row 200 "200 B"
	move_row 1024 "1 KiB"
	move_row 4096 "4 KiB"
	move_row 10240 "10 KiB"
	cat <<TEXT

## Asking

A heap of 8 MiB of Meta's sizes that was thinned and compacted.

| call | instructions |
|---|---|
| snug_stats_get | $(per asks counted_asks '' asks stats) |
| snug_defragment with nothing to gain | $(per asks counted_asks '' asks nothing) |

## A cache's shard

Keys of 30 bytes, values of 230. A key is hashed once for all calls; the shard's part of a get ends with the item found, before its value is
read. The last three store new keys in a full shard, so the eviction of older items is in them, and what compaction and index cost on
average: values of 230 bytes in 4 MiB; of 20 to 2,000 in 16 MiB; and of 1 MiB in 64 MiB of items of 260 bytes, each of which takes the place of some 4,000.

| call | instructions |
|---|---|
| snug_shard_key | $(program=$cache_program per keys counted_keys '' keys) |
| snug_shard_get, found | $(program=$cache_program per hits counted_hits '' hits) |
| snug_shard_get, not found | $(program=$cache_program per misses counted_misses '' misses) |
| snug_shard_set over a value of the same size | $(program=$cache_program per replacements counted_replacements '' replacements) |
| snug_shard_set of a new key, evicting | $(program=$cache_program per evictions counted_evictions '' evictions) |
| the same, mixed sizes | $(program=$cache_program per mixed counted_mixed '' mixed) |
| the same, 1 MiB into small items | $(program=$cache_program per large counted_large '' large) |
TEXT
} >"$work_dir/table"
if [ "$output" = - ]; then
	cat "$work_dir/table"
else
	cat "$work_dir/table" >"$output"
fi
