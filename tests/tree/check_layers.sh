#!/usr/bin/env bash
# The layering law: base < os < mem < work < cache < server < http < snugd; nothing includes upward. And: the public headers need only each other
# and the C library, programs and examples use only the public headers, numbers are read in one place, and each file name occurs once in the tree.
#
#     check_layers.sh SOURCE_ROOT
#
# Each rule prints what breaks it. The last case shows that they can fail, on a small tree that breaks all of them.
set -uo pipefail
root=$1
. "$(dirname "$0")/cases.sh"

# "file:line:included" for each quoted include, or each <snug/...> one, of the C files below the given directories.
quoted_includes() {
	find "$@" -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} + 2>/dev/null |
		sed -E 's/^([^:]+:[0-9]+):.*"([^"]*)".*/\1:\2/'
}

prints_nothing() {
	local found
	found=$("$@")
	[[ -z $found ]] && return 0
	printf '%s\n' "$found"
	return 1
}

upward_includes() {
	quoted_includes "$1/src" | awk -F: -v prefix="$1/src/" '
		BEGIN { count = split("base os mem work cache server http snugd", names, " "); for (i = 1; i <= count; i++) height[names[i]] = i }
		{
			split(substr($1, length(prefix) + 1), from, "/")
			split($3, to, "/")
			if (!(from[1] in height)) print $1 ":" $2 ": a directory that is no layer"
			else if (!(to[1] in height)) print $1 ":" $2 ": \"" $3 "\" does not name its layer"
			else if (height[to[1]] > height[from[1]]) print $1 ":" $2 ": " from[1] " includes " to[1]
		}'
}

# The same between the rooms of a folder: FOLDER INCLUDE_PREFIX ROOM..., the lowest first, the map, a header beside them, in its place
# among them. The other files beside them use all rooms.
upward_includes_between() {
	local folder=$1 include=$2
	shift 2
	quoted_includes "$folder" 2>/dev/null | awk -F: -v folder="$folder/" -v include="$include" -v rooms="$* top" '
		function room(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : path in height ? path : "top" }
		BEGIN { count = split(rooms, names, " "); for (i = 1; i <= count; i++) height[names[i]] = i }
		{
			from = room(substr($1, length(folder) + 1))
			included = substr($3, length(include) + 1)
			to = room(included)
			if (!(from in height)) print $1 ":" $2 ": a directory that is no room"
			else if (index($3, include) != 1 || !(to in height) || system("test -e \"" folder included "\"") != 0) next
			else if (height[to] > height[from]) print $1 ":" $2 ": " from " includes " to
		}'
}

upward_includes_of_rooms() {
	upward_includes_between "$1/src/mem" mem/ types.h gate.h arena slab defragment object check
	upward_includes_between "$1/src/work" work/ key_hash.h channel policy worker coordinator
	upward_includes_between "$1/src/cache" cache/ index rank shard operation client
	upward_includes_between "$1/src/server" server/ protocol io settings auth buffers tls process watch server.h figures visit inspect doctor errand operator connection
}

upward_includes_of_replay() {
	upward_includes_between "$1/tools/replay" "" replay.h ledger options workloads policies allocators runs jobs report caches
}

private_includes_of_public_headers() {
	quoted_includes "$1/include"
	grep -rnE '#[[:space:]]*include[[:space:]]*<' "$1/include" |
		grep -vE '<(snug/[a-z_]+|stdbool|stddef|stdint)\.h>' |
		grep -vE '^[^:]*\.hpp:[0-9]+:#include <[a-z_]+>$' # C++'s own
}

# A quoted include is a neighbour of the file or lies in a room of its program; the library's own begin with a layer. What is pure and shared may be included: the
# cache's eviction, which one program simulates by the cache's own (policy_snug.c), and base/*_text.h. Those say how a thing is written (numbers,
# strings of JSON): snugd and its tools must agree on it, and two copies would come apart.
private_includes_of_programs() {
	for directory in tools examples; do
		[[ ! -d $1/$directory ]] || quoted_includes "$1/$directory" | awk -F: '$3 ~ /^(base|os|mem|work|cache|server|http|snugd)\// && $1 !~ /\/policy_snug\.c$/ && $3 !~ /^base\/[a-z]+_text\.h$/'
	done
}

# base/number_text.h reads numbers; C's own functions take blanks, signs and overflow for numbers. tools/common/units.c reads reals.
numbers_read_elsewhere() {
	grep -rnE '\b(strto(l|ll|ul|ull|imax|umax|f|d|ld)|ato[ilf]l?|s?scanf|fscanf)\(' --include='*.[ch]' "$1/src" "$1/tools" |
		grep -v '/tools/common/units\.c:'
}

repeated_file_names() {
	(cd "$1" && find . -path './.*' -prune -o -path './build*' -prune -o -type f -print) |
		sed 's|.*/||' | grep -E '\.(c|h|cc|sh|py|awk)$' | sort | uniq -d
}

finds_what_is_wrong() {
	local bad rule
	bad=$(mktemp -d)
	mkdir -p "$bad"/{include/snug,src/base,src/mem,src/server/io,src/server/connection,tools/replay/runs,tools/replay/jobs}
	touch "$bad"/{src/server/connection/above.h,tools/replay/jobs/jobs.h}
	echo '#include "server/connection/above.h"' >"$bad/src/server/io/deep.c"
	echo '#include "mem/up.h"' >"$bad/src/base/low.c"
	echo '#include <snug/heap.h>' >"$bad/src/mem/up.h"
	echo '#include <sys/mman.h>' >"$bad/include/snug/heap.h"
	echo '#include "mem/up.h"' >"$bad/tools/low.c"
	echo 'int number = atoi(text);' >"$bad/src/base/number.c"
	echo '#include "jobs/jobs.h"' >"$bad/tools/replay/runs/run.c"
	local all_found=0
	for rule in upward_includes upward_includes_of_rooms upward_includes_of_replay private_includes_of_public_headers private_includes_of_programs numbers_read_elsewhere repeated_file_names; do
		if [[ $("$rule" "$bad" | wc -l) -ne 1 ]]; then
			echo "$rule does not find the one mistake:"
			"$rule" "$bad"
			all_found=1
		fi
	done
	rm -rf "$bad"
	return $all_found
}

begin_cases 8
run_case layers_include_downward_only prints_nothing upward_includes "$root"
run_case rooms_include_downward_only prints_nothing upward_includes_of_rooms "$root"
run_case rooms_of_snug_replay_include_downward_only prints_nothing upward_includes_of_replay "$root"
run_case public_headers_stand_alone prints_nothing private_includes_of_public_headers "$root"
run_case programs_use_the_public_headers_only prints_nothing private_includes_of_programs "$root"
run_case numbers_are_read_in_one_place prints_nothing numbers_read_elsewhere "$root"
run_case file_names_are_unique prints_nothing repeated_file_names "$root"
run_case the_rules_can_fail finds_what_is_wrong
end_cases
