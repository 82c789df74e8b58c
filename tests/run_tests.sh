#!/usr/bin/env bash
# Builds and runs the tests of the given build directories and counts their cases. The last line is "N passed, N failed", and ", N skipped"
# if some were.
#
#     tests/run_tests.sh BUILD_DIRECTORY...        TIMEOUT_MULTIPLIER=4 for builds with sanitizers
#                                                  SUITE=long for the long suite instead of all others
#                                                  SUITES="unit laws" for these alone
#
# A case is what cmocka calls a test; scripts print the same lines. A case that was announced and did not end well has failed,
# and so a program that crashes or hangs fails all cases it had left; one that ends badly without a failed case counts as one. A program
# that lacks something on this machine says "[  SKIPPED ] why" and ends with 77.
set -uo pipefail
export CMOCKA_MESSAGE_OUTPUT=STDOUT

# Reads meson's testlog.txt, prints "passed failed skipped".
count_cases() {
	awk '
		function close_program() {
			if (!open) return
			bad = planned - ok - skipped
			if (bad < 0) bad = 0
			if (planned == 0 && good_end) ok = 1
			if (bad == 0 && !good_end && !left_out) bad = 1
			if (left_out && skipped == 0) skipped = 1
			passed += ok; failed += bad; all_skipped += skipped
			open = 0
		}
		/^=+ [0-9]+\/[0-9]+ =+$/ { close_program(); open = 1; planned = ok = skipped = good_end = left_out = 0; part = "head"; next }
		/^-+ stdout -+$/ { part = "stdout"; next }
		/^-+ stderr -+$/ { part = "stderr"; next }
		part == "head" && /^result: +exit status 0$/ { good_end = 1 }
		part == "head" && /^result: +exit status 77$/ { left_out = 1 }
		part != "stdout" { next }
		/^\[==========\] Running [0-9]+ test\(s\)/ { planned += $3 }
		/^\[       OK \] / { ok++ }
		/^\[  SKIPPED \] / { skipped++ }
		END { close_program(); print passed + 0, failed + 0, all_skipped + 0 }
	' "$1"
}

# Of the tests that begin first, some wait for a second to go by while others work.
processes=$(($(nproc) * 2))

read -ra suites <<<"${SUITES:-}"
passed=0
failed=0
skipped=0
for build in "$@"; do
	echo "== $build"
	if ! ninja -C "$build" all meson-test-prereq; then
		echo "$build does not build"
		failed=$((failed + 1))
		continue
	fi
	rm -f "$build/meson-logs/testlog.txt"
	meson test -C "$build" --no-rebuild --print-errorlogs --num-processes "$processes" --timeout-multiplier "${TIMEOUT_MULTIPLIER:-1}" \
		${SUITE:+--setup "$SUITE" --suite "$SUITE"} ${suites[@]+"${suites[@]/#/--suite=}"}
	status=$?
	read -r here_passed here_failed here_skipped < <(count_cases "$build/meson-logs/testlog.txt")
	[[ $status -eq 0 || $here_failed -gt 0 ]] || here_failed=1
	passed=$((passed + here_passed))
	failed=$((failed + here_failed))
	skipped=$((skipped + here_skipped))
done
summary="$passed passed, $failed failed"
[[ $skipped -eq 0 ]] || summary+=", $skipped skipped"
echo "$summary"
[[ $failed -eq 0 && $passed -gt 0 ]]
