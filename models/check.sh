#!/usr/bin/env bash
# Checks the models with spin: each good variant must hold, each broken one must fail. The last line is "N passed, N failed".
#
#     models/check.sh [MODEL]...        channel, ticket, stop, reads, links; none: all
#     SNUG_MODELS=long models/check.sh  with the larger bounds too (minutes, and some GiB)
#
# A model is a C program that spin writes and gcc compiles; it visits every state that the bounds allow. It must finish: a search that
# was cut short counts as failed.
set -uo pipefail
models=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0

# Prints "holds", "fails: what", or "unfinished".
verify() {
	local model=$1 directory found
	shift
	directory=$(mktemp -d)
	if ! (cd "$directory" && spin -a "$@" "$models/$model.pml" && gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c) \
		>"$directory/log" 2>&1; then
		cat "$directory/log" >&2
		echo unfinished
	else
		(cd "$directory" && ./pan -m1000000) >"$directory/result" 2>&1
		found=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$directory/result")
		if [[ -n $found ]]; then
			echo "fails: $found"
		elif grep -q 'errors: 0' "$directory/result" && ! grep -qE 'max search depth too small|out of memory|Search not completed' "$directory/result"; then
			echo "holds, $(awk '/states, stored/ { print $1 }' "$directory/result") states"
		else
			echo unfinished
		fi
	fi
	rm -rf "$directory"
}

# expect holds|fails MODEL MACRO...
expect() {
	local expected=$1 model=$2 answer
	shift 2
	[[ " $wanted " == *" $model "* ]] || return 0
	answer=$(verify "$model" "${@/#/-D}")
	if [[ $answer == "$expected"* ]]; then
		passed=$((passed + 1))
		echo "ok      $model $* ($answer)"
	else
		failed=$((failed + 1))
		echo "FAILED  $model $*: expected that it $expected, but: $answer"
	fi
}

wanted=${*:-channel ticket stop reads links}

expect holds channel
expect holds channel ANSWERS
expect holds channel CLOSE MESSAGES=1
expect holds channel CLOSE BY_RECEIVER
expect holds channel UNCLAIM
expect holds channel UNCLAIM ROOM=2
expect holds channel EDGES
expect holds channel EDGES ANSWERS
expect holds channel EDGES CLOSE BY_RECEIVER
expect holds channel EDGES UNCLAIM
expect holds channel ROOM=2 MESSAGES=3 SENDERS=1
expect holds channel CLOSE ROOM=2 MESSAGES=3 SENDERS=1
expect fails channel NO_SENDER_FENCE
expect fails channel NO_RECEIVER_FENCE
expect fails channel NO_SECOND_LOOK
expect fails channel WAKE_FIRST
expect fails channel NO_ROOM_FENCE
expect fails channel NO_WAITER_FENCE
expect fails channel ANNOUNCED_BEFORE_COUNT
expect fails channel NO_LAP
expect fails channel HEAD_FIRST
expect fails channel RELEASED_FIRST
expect fails channel UNCLAIM UNCLAIM_TELLS_NOBODY
expect fails channel UNCLAIM ROLLS_BACK_BLINDLY ROOM=2
expect fails channel UNCLAIM VOID_TELLS_NOBODY ROOM=2
expect fails channel DETACH_TELLS_NOBODY
expect fails channel OVER_AFTER_LOOK
expect fails channel ANSWERS LEAVE_FIRST
expect fails channel EDGES EDGES_BEFORE_ARE_LOST
expect fails channel CLOSE CLOSE_FORGETS_INSIDE
expect fails channel CLOSE BY_RECEIVER CLOSE_WAKES_NO_SENDER
expect fails channel CLOSE CLOSE_TELLS_NOBODY
expect fails channel CLOSE OVER_BY_INSIDE

expect holds ticket REQUESTS=1
expect holds ticket SUBMITTERS=1 REQUESTS=3
expect fails ticket DONE_BEFORE_RESULT
expect fails ticket COMPLETE_WAKES_NOBODY
expect fails ticket TAKE_IN_TWO_STEPS
expect fails ticket NO_GENERATION
expect fails ticket HAND_OVER_AFTER_SEND
expect fails ticket TIME_OUT_FREES_THE_SLOT
expect fails ticket CANCEL_IGNORES_GENERATION
expect fails ticket CANCEL_COMPLETES_TWICE

expect holds stop
expect fails stop ANSWERS_TOO_SMALL
expect fails stop STOP_FORGETS_JOB
expect fails stop STOP_DROPS_INBOX
expect fails stop STOP_BEFORE_CLOSE_ENDS
expect fails stop CLIENT_LEAVES_EARLY
expect fails stop RELEASE_AT_STOP
expect fails stop DESTROY_IGNORES_CLIENTS

expect holds reads TSO
expect holds reads WEAK
expect holds reads TSO GEOMETRY
expect holds reads WEAK GEOMETRY
# On x86-64 the order is there without fences; the compiler must keep it too.
expect holds reads TSO NO_OWNER_FENCE NO_READER_FENCE NO_ACQUIRE NO_RELEASE_OF_EVEN CHANGES=2
expect fails reads WEAK NO_OWNER_FENCE
expect fails reads WEAK NO_READER_FENCE
expect fails reads WEAK NO_ACQUIRE
expect fails reads WEAK NO_RELEASE_OF_EVEN
expect fails reads TSO NO_BRACKET_IN_PLACE
expect fails reads TSO NO_BRACKET_OF_ENTRY
expect fails reads TSO MEMORY_GOES_FIRST
expect fails reads TSO ITEM_AFTER_ENTRY
expect fails reads TSO ODD_IS_GOOD
expect fails reads TSO GEOMETRY NO_MOVING
expect fails reads TSO GEOMETRY MOVING_ENDS_EARLY
expect fails reads TSO GEOMETRY NO_BRACKET_OF_GROUP
expect fails reads TSO GEOMETRY NO_RECHECK
expect fails reads TSO GEOMETRY VERSION_BEHIND_RECHECK
expect fails reads WEAK GEOMETRY NO_OWNER_FENCE
expect fails reads WEAK GEOMETRY NO_READER_FENCE
expect fails reads WEAK GEOMETRY NO_RELEASE_OF_EVEN

expect holds links TSO
expect holds links WEAK
# A link is one store, and on x86-64 what it named is let go of after the version is even: so an odd one does no harm.
expect holds links TSO ODD_LINKS_ARE_GOOD
expect fails links WEAK ODD_LINKS_ARE_GOOD
expect fails links WEAK NO_OWNER_FENCE
expect fails links WEAK NO_READER_FENCE
expect fails links WEAK NO_ACQUIRE
expect fails links WEAK NO_RELEASE_OF_EVEN
expect fails links TSO NO_BRACKET_OF_LINK
expect fails links TSO NO_BRACKET_OF_ENTRY
expect fails links TSO OLD_FRAGMENT_GOES_FIRST
expect fails links TSO COPIED_AFTER_LINK
expect fails links TSO LINKS_VERSION_BEHIND_LINK
expect fails links TSO NO_RECHECK_OF_GROUP
expect fails links TSO NO_RECHECK_OF_LINKS

if [[ ${SNUG_MODELS:-} == long ]]; then
	expect holds reads TSO CHANGES=4
	expect holds reads WEAK CHANGES=4
	expect holds links TSO CHANGES=3
	expect holds links WEAK CHANGES=3
	expect holds channel CLOSE
	expect holds channel SENDERS=3 MESSAGES=1
	expect holds channel CLOSE SENDERS=3 MESSAGES=1
	expect holds ticket SUBMITTERS=2 REQUESTS=2
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
