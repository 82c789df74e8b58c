#!/usr/bin/env bash
# The documents tell the truth where a machine can see it: their links lead to files, the README's example compiles, and what the Makefile runs by its
# name can be run.
#
#     check_docs.sh SOURCE_ROOT COMPILER...
set -uo pipefail
root=$1
shift
. "$(dirname "$0")/cases.sh"

documents() { find "$root" -path "$root/.*" -prune -o -path "$root/build*" -prune -o -name '*.md' -print; }

links_lead_to_files() {
	local document target broken=0
	while read -r document; do
		while read -r target; do
			[[ -e $(dirname "$document")/$target ]] && continue
			echo "${document#"$root"/}: no file $target"
			broken=1
		done < <(grep -oE '\]\([^)#:]+\)' "$document" | sed 's/^](//; s/)$//')
	done < <(documents)
	return $broken
}

# The first C block of the README, as the body of a main.
example_compiles() {
	local body
	body=$(awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$root/README.md")
	[[ $body == *snug_heap_create* ]] || return 1
	printf '#include <stdio.h>\n%s\nint main(void) {\n%s\nreturn 0;\n}\n' "$(grep '^#' <<<"$body")" "$(grep -v '^#' <<<"$body")" |
		"$@" -std=c17 -Wall -Wextra -Werror -I "$root/include" -x c -fsyntax-only -
}

scripts_of_the_makefile_can_be_run() {
	local script found=0 wrong=0
	while read -r script; do
		found=1
		[[ -x $root/$script ]] && continue
		echo "Makefile: $script is no program"
		wrong=1
	done < <(grep -oP '^\t@\K(?!build)[a-z][^ $]*/[^ $]*' "$root/Makefile" | sort -u)
	return $((wrong || !found))
}

begin_cases 3
run_case links_lead_to_files links_lead_to_files
run_case the_example_of_the_readme_compiles example_compiles "$@"
run_case scripts_of_the_makefile_can_be_run scripts_of_the_makefile_can_be_run
end_cases
