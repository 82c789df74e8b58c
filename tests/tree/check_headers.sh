#!/usr/bin/env bash
# Each public header compiles alone, without a warning, in one language.
#
#     check_headers.sh INCLUDE_DIRECTORY c|c++ STANDARD COMPILER...
set -uo pipefail
include=$1
language=$2
standard=$3
shift 3
. "$(dirname "$0")/cases.sh"

# Included twice, because a header must allow that.
compiles_alone() {
	local header=$1
	shift
	printf '#include <snug/%s>\n#include <snug/%s>\n' "$header" "$header" |
		"$@" -x "$language" -std="$standard" -I "$include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -
}

headers=("$include"/snug/*.h)
begin_cases ${#headers[@]}
for header in "${headers[@]}"; do
	name=$(basename "$header")
	run_case "${name%.h}_h_compiles_alone_as_$standard" compiles_alone "$name" "$@"
done
end_cases
