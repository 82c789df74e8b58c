#!/usr/bin/env bash
# The libraries show what the public headers declare: each of it, and nothing else.
#
#     check_exports.sh SHARED_LIBRARY STATIC_LIBRARY INCLUDE_DIRECTORY COMPILER...
set -uo pipefail
shared=$1
static=$2
include=$3
shift 3
. "$(dirname "$0")/cases.sh"

# Functions that the preprocessed headers declare but do not define: "name(" before a ";". A type before "(*" is none.
declared() {
	echo '#include <snug/snug.h>' | "$@" -std=c17 -E -P -I "$include" - | tr '\n' ' ' | sed 's/[;{}]/&\n/g' |
		grep -v typedef | grep -E '\)[[:space:]]*(__attribute__.*)?;[[:space:]]*$' | grep -oE '\bsnug_[a-z0-9_]+[[:space:]]*\([^*]' |
		sed 's/[[:space:]]*(.*//' | sort -u
}

names_of() { awk 'NF == 3 && $2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u; }
exported_by_shared() { nm --dynamic --defined-only "$shared" | names_of | grep -vxE "_init|_fini"; } # of musl's crti.o
exported_by_static() { nm --extern-only --defined-only "$static" | names_of; }

same_as_declared() {
	local list=$1 difference
	shift
	difference=$(diff <(declared "$@") <("$list") | sed -n 's/^</declared, not exported:/p; s/^>/exported, not declared:/p')
	[[ -z $difference ]] && return 0
	printf '%s\n' "$difference"
	return 1
}

# Each in a node of src/libsnug.map, and the library is called as the programs that were linked with it ask.
has_versions() {
	local without
	without=$(nm --dynamic --defined-only "$shared" | awk 'NF == 3 && $2 != "A" && $3 !~ /@@SNUG_0\.[0-9]+$/ { print $3 }')
	[[ -z $without ]] || { printf 'without a version:\n%s\n' "$without" && return 1; }
	readelf --dynamic "$shared" | grep -q 'SONAME.*\[libsnug\.so\.0\]'
}

declares_something() { [[ $(declared "$@" | wc -l) -gt 20 ]]; }

begin_cases 4
run_case declarations_are_found declares_something "$@"
run_case shared_library_shows_the_declared same_as_declared exported_by_shared "$@"
run_case each_has_a_version has_versions
run_case static_library_shows_the_declared same_as_declared exported_by_static "$@"
end_cases
