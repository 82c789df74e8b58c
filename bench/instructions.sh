#!/bin/sh
# instructions.sh [BUILD_DIR [OUTPUT]]: counts instructions with callgrind and writes the table to docs/instruction-counts.md.
# OUTPUT -: standard output. Needs valgrind and the mallocs' libraries; a malloc that is not installed is left out.
#
# instructions.sh --check [BUILD_DIR]: counts snug's own again and compares them with the table's last part. Ends with 1 if one is more than
# 2 % above what is kept, and tells of those that are as much below; with 77 if the library was built by another compiler, or with another -O:
# two of them differ by more than that. What else might differ is held still: the C library's copies are those for any processor of x86-64.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
kept_file=$source_dir/docs/instruction-counts.md
checks=false
if [ "${1:-}" = --check ]; then
	checks=true
	shift
fi
build_dir=${1:-$source_dir/build}
output=${2:-$kept_file}
program=$build_dir/bench/bench-instructions
cache_program=$build_dir/bench/bench-cache-instructions
work_dir=$(mktemp -d)
trap 'rm -rf "$work_dir"' EXIT
tolerance=0.02
any_processor=glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-ERMS,-FSRM,-SSSE3

command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 1; }
for needed in "$program" "$program-called" "$cache_program"; do
	[ -x "$needed" ] || { echo "instructions.sh: there is no $needed; make bench builds it" >&2; exit 1; }
done

# count FUNCTION PRELOAD ARGUMENTS...: instructions inside FUNCTION, and what the program printed, in $work_dir.
count() {
	counted=$1
	preload=$2
	shift 2
	GLIBC_TUNABLES=$any_processor LD_PRELOAD=$preload valgrind --tool=callgrind --callgrind-out-file="$work_dir/out" --collect-atstart=no \
		--toggle-collect="$counted" "$program" "$@" >"$work_dir/printed" 2>"$work_dir/log" || echo "$program $*" >>"$work_dir/failed"
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

# one OPERATION PRELOAD SUBJECT TURN SIZES: instructions of an allocation or a free, without the loop's own.
one() {
	if [ "$3" = called ]; then
		program=$program-called one "$1" "$2" ref "$4" "$5"
		return
	fi
	subtract "$(per "$1" "counted_$1" "$2" pairs "$3" "$4" "$5")" "$(per "$1" "counted_$1" '' pairs none "$4" "$5")"
}

# pair_cells PRELOAD SUBJECT TURN SIZES
pair_cells() {
	allocation=$(one allocations "$@")
	release=$(one frees "$@")
	awk -v a="$allocation" -v f="$release" 'BEGIN { printf " %.0f | %.0f | %.0f |", a, f, a + f }'
}

# pair_row NAME PRELOAD SUBJECT
pair_row() {
	if [ "$3" = batch ]; then
		echo "| $1 | | | |$(pair_cells "$2" "$3" 64 100)$(pair_cells "$2" "$3" 256 100)"
	else
		echo "| $1 |$(pair_cells "$2" "$3" 16 100)$(pair_cells "$2" "$3" 64 100)$(pair_cells "$2" "$3" 256 100)"
	fi
}

# mixed_row NAME PRELOAD SUBJECT
mixed_row() {
	echo "| $1 |$(pair_cells "$2" "$3" 16 kvcache)$(pair_cells "$2" "$3" 16 mix)"
}

# malloc_row ROW NAME LIBRARY
malloc_row() {
	if ldconfig -p | grep -q "$3 "; then
		"$1" "$2" "$3" malloc
	fi
}

move_row() {
	echo "| $2 | $(per moves counted_moves '' moves snug "$1") | $(per moves counted_copies '' moves none "$1") |"
}

in_cache() {
	program=$cache_program per "$1" "counted_$1" '' "$1"
}

# What is kept and compared; a name says what is run.
kept_names() {
	for way in ref called handle; do
		for sizes in 100 kvcache mix; do
			echo "allocations-$way-16-$sizes"
			echo "frees-$way-16-$sizes"
		done
		echo "allocations-$way-256-100"
		echo "frees-$way-256-100"
	done
	for bytes in 100 1024 4096; do echo "moves-$bytes"; done
	echo asks-stats
	for operation in hits misses replacements evictions mixed large; do echo "cache-$operation"; done
}

# kept_count NAME
kept_count() {
	rest=${1#*-}
	case $1 in
	allocations-* | frees-*)
		sizes=${rest##*-}
		way=${rest%%-*}
		turn=${rest#*-}
		one "${1%%-*}" '' "$way" "${turn%-*}" "$sizes"
		;;
	moves-*) per moves counted_moves '' moves snug "$rest" ;;
	asks-*) per asks counted_asks '' asks "$rest" ;;
	cache-*) in_cache "$rest" ;;
	esac
}

kept_lines() {
	kept_names | while read -r name; do echo "    $name $(kept_count "$name")"; done
}

version() {
	dpkg-query -W -f '${Package} ${Version}' "$1" 2>/dev/null || true
}

# With what was asked of it: a build with -O3 counts a tenth less.
compiler_line() {
	compiler=$(strings -a "$build_dir"/src/libsnug.so.*.*.* 2>/dev/null | grep -m1 -E '^(GCC: |clang version|Debian clang)' || echo unknown)
	echo "$compiler, $(grep -m1 -oE -e ' -O[0-3sg]+ ' "$build_dir/compile_commands.json" | head -1 | tr -d ' ')"
}

# Compares what is kept with what is counted now.
check() {
	kept_compiler=$(sed -n 's/.*compiled by: \(.*\)\. Counted with.*/\1/p' "$kept_file")
	if [ "$kept_compiler" != "$(compiler_line)" ]; then
		echo "not compared: the counts that are kept are of $kept_compiler, these would be of $(compiler_line)"
		exit 77
	fi
	failed=0
	for name in $(kept_names); do
		kept=$(sed -n "s/^    $name //p" "$kept_file")
		counted=$(kept_count "$name")
		verdict=$(awk -v kept="$kept" -v counted="$counted" -v tolerance="$tolerance" 'BEGIN {
			if (kept == "" || counted == "") print "not kept"
			else if (counted > kept * (1 + tolerance) + 0.5) print "MORE"
			else if (counted < kept * (1 - tolerance) - 0.5) print "less: write the table anew"
			else print "as kept"
		}')
		printf '%-32s kept %9s counted %9s %s\n' "$name" "$kept" "$counted" "$verdict"
		case $verdict in MORE | "not kept") failed=1 ;; esac
	done
	all_counted
	exit "$failed"
}

# What failed counted as nothing, so it is no count.
all_counted() {
	[ ! -s "$work_dir/failed" ] && return
	echo "instructions.sh: these failed, so nothing is written or compared:" >&2
	cat "$work_dir/failed" >&2
	exit 1
}

# The commit that was counted: the one before the table's own.
revision() {
	git -C "$source_dir" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown
}

if $checks; then check; fi

{
	cat <<TEXT
# Instructions per operation

Written by \`bench/instructions.sh\`: do not edit. Counted by callgrind, so the figures do not depend on what else the machine
does, but on the compiler; the C library's copies are those that any processor of x86-64 can do. They say how long a path is,
not how long it takes: a cache miss is one instruction. Run the script again with each change to a hot path and quote both figures.

Library at commit $(revision), compiled by: $(compiler_line). Counted with $(valgrind --version).
Mallocs: $(version libc6), $(version libjemalloc2), $(version libmimalloc2.0), $(version libtcmalloc-minimal4).

## Allocation and free

Objects of 100 bytes, 1024 live, in a heap with a limit of 256 MiB. In each turn 16, 64 or 256 random ones are freed, then as many
allocated. Turns of 16 are what magazines and thread caches are made for; in turns of 256 they are emptied and filled again and
again. The loop's own instructions are taken off; the jump through the procedure linkage table is counted for all that are calls. By reference snug's are
inline (include/snug/heap_short.h); "called" is the same in a program that is compiled with SNUG_NO_INLINE.

| | turns of 16: alloc | free | pair | of 64: alloc | free | pair | of 256: alloc | free | pair |
|---|---|---|---|---|---|---|---|---|---|
TEXT
	pair_row "snug, by reference" '' ref
	pair_row "snug, by reference, called" '' called
	pair_row "snug, by reference, batches of 64" '' batch
	pair_row "snug, by handle" '' handle
	pair_row "glibc" '' malloc
	malloc_row pair_row jemalloc libjemalloc.so.2
	malloc_row pair_row mimalloc libmimalloc.so.2
	malloc_row pair_row tcmalloc libtcmalloc_minimal.so.4
	cat <<TEXT

The same in turns of 16, of other sizes. kvcache: those of Meta's key-value cache, up to 16 KiB. The mix: as many of each power of two from 16
bytes to 16 KiB, any size between two alike. What one slot would hold loosely is stored in two or three, by a plan that is
searched for once and kept: of so many sizes, a fourth of what an allocation of the mix takes is plans that are searched for.

| | kvcache: alloc | free | pair | the mix: alloc | free | pair |
|---|---|---|---|---|---|---|
TEXT
	mixed_row "snug, by reference" '' ref
	mixed_row "snug, by reference, called" '' called
	mixed_row "snug, by handle" '' handle
	mixed_row "glibc" '' malloc
	malloc_row mixed_row jemalloc libjemalloc.so.2
	malloc_row mixed_row mimalloc libmimalloc.so.2
	malloc_row mixed_row tcmalloc libtcmalloc_minimal.so.4
	cat <<TEXT

## Moves

A heap of 8 MiB, thinned to half at random, then one whole defragmentation in steps of 4 KiB, divided by its moves: choosing
victims, finding holes, copying and telling the owner, whose update of its table is included. Beside it memcpy alone.
Objects of 10 KiB have no tight slot in this heap's pages and move as fragments.

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
| snug_shard_key | $(in_cache keys) |
| snug_shard_get, found | $(in_cache hits) |
| snug_shard_get, not found | $(in_cache misses) |
| snug_shard_set over a value of the same size | $(in_cache replacements) |
| snug_shard_set of a new key, evicting | $(in_cache evictions) |
| the same, mixed sizes | $(in_cache mixed) |
| the same, 1 MiB into small items | $(in_cache large) |

## What is kept

\`bench/instructions.sh --check\` counts these again, and says which have become more than 2 % dearer (\`make check-instructions\`).

$(kept_lines)
TEXT
} >"$work_dir/table"
all_counted
if [ "$output" = - ]; then
	cat "$work_dir/table"
else
	cat "$work_dir/table" >"$output"
fi
