#!/usr/bin/env bash
# Each public header compiles alone, without a warning, in one language; and not for a machine of 32 bits, where it says why.
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
	printf '#include <snug/%s>\n#include <snug/%s>\nextern int something;\n' "$header" "$header" |
		"$@" -x "$language" -std="$standard" -I "$include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -
}

# In words, before anything else that 32 bits break.
refuses_32_bits() {
	local header=$1 said
	shift
	said=$(printf '#include <snug/%s>\n' "$header" | "$@" -m32 -x "$language" -std="$standard" -I "$include" -fsyntax-only - 2>&1) && return 1
	[[ $(grep -m 1 'error:' <<<"$said") == *"snug needs a machine of 64 bits"* ]] && return 0
	echo "$said"
	return 1
}

# Which calls a program that allocates and frees by reference makes, when it is compiled with these flags.
calls_of() {
	printf '#include <snug/heap.h>\n%s\n%s\n' 'snug_error use(snug_heap *heap, snug_ref *ref);' \
		'snug_error use(snug_heap *heap, snug_ref *ref) { snug_error e = snug_ref_alloc(heap, 100, ref); return e ? e : snug_ref_free(heap, *ref, 100); }' |
		"$@" -x "$language" -std="$standard" -I "$include" -S -o - - | grep -oE '\bsnug_ref_(alloc|free)\w*' | sort -u | tr '\n' ' '
}

# Inline is what most of them do; all else is a call that never comes back to the inline one.
is_inline_where_it_should() {
	[[ $(calls_of "$@" -O2) == "snug_ref_alloc_called snug_ref_free_called " ]] &&
		[[ $(calls_of "$@" -O2 -DSNUG_NO_INLINE) == "snug_ref_alloc snug_ref_free " ]] &&
		[[ $(calls_of "$@" -O0) == "snug_ref_alloc snug_ref_free " ]]
}

headers=("$include"/snug/*.h)
[[ $language == c ]] || headers+=("$include"/snug/*.hpp)
can_32_bits=0
if "$@" -m32 -x "$language" -fsyntax-only - </dev/null 2>/dev/null; then can_32_bits=1; fi
begin_cases $((${#headers[@]} * (1 + can_32_bits) + 1))
for header in "${headers[@]}"; do
	name=$(basename "$header")
	case_name=${name//[.+]/_}
	run_case "${case_name}_compiles_alone_as_$standard" compiles_alone "$name" "$@"
	[[ $can_32_bits -eq 0 ]] || run_case "${case_name}_refuses_32_bits" refuses_32_bits "$name" "$@"
done
run_case "short_calls_are_inline_as_$standard" is_inline_where_it_should "$@"
end_cases
