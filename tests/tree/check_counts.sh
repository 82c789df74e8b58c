#!/usr/bin/env bash
# The last line of tests/run_tests.sh counts what ran: tried on small projects whose tests pass, fail, crash, say nothing or are skipped.
#
#     check_counts.sh SOURCE_ROOT
set -uo pipefail
root=$1
. "$(dirname "$0")/cases.sh"
unset SUITE
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# program NAME LINE...: a test that runs these lines
program() {
	local name=$1
	shift
	mkdir -p "$directory/source"
	printf '%s\n' '#!/bin/sh' "$@" >"$directory/source/$name.sh"
	chmod +x "$directory/source/$name.sh"
}
announce='echo "[==========] Running 2 test(s)."'
ok='echo "[       OK ] a"'
skip='echo "[  SKIPPED ] there is none"'

program passes "$announce" "$ok" "$ok"
program fails "$announce" "$ok" 'exit 1'
program crashes "$announce" "$ok" 'kill -SEGV $$'
program silent true
program silent_failure false
program partly "$announce" "$ok" "$skip"
program skipped 'echo "[==========] Running 1 test(s)."' "$skip" 'exit 77'
program silently_skipped 'exit 77'

# tells PROGRAM... LAST_LINE STATUS: what run_tests.sh says of a project with these tests
tells() {
	local wanted=${*: -2:1} status=${*: -1} name told got
	{
		echo "project('counts')"
		for name in "${@:1:$#-2}"; do echo "test('$name', find_program('$name.sh'))"; done
	} >"$directory/source/meson.build"
	rm -rf "$directory/build"
	meson setup "$directory/build" "$directory/source" >/dev/null || return 1
	told=$("$root/tests/run_tests.sh" "$directory/build")
	got=$?
	[[ $(tail -n 1 <<<"$told") == "$wanted" && $got -eq $status ]] && return
	printf '%s\nit ended with %s\n' "$told" "$got" | sed 's/^/    /'
	return 1
}

begin_cases 3
run_case what_is_skipped_is_not_failed tells passes silent partly skipped silently_skipped '4 passed, 0 failed, 3 skipped' 0
run_case what_is_skipped_hides_no_failure tells fails crashes silent_failure skipped '2 passed, 3 failed, 1 skipped' 1
run_case skipped_alone_is_not_enough tells skipped '0 passed, 0 failed, 1 skipped' 1
end_cases
