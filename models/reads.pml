/* reads.pml: versions (versions.pml), the changes of src/cache/index/index.c and shard_store.c, and the reader of
 * src/cache/shard/shard_read.c, who takes no lock.
 *
 * Two stories:
 *     (none)     one key. The owner stores it anew, in place, removes it, moves it; what is let go of is filled with another key's item
 *                at once. An item is two words: both must be of one state, and of this key
 *     GEOMETRY   one key, in an index that grows: its group is taken off the index, put in at its new place, and removed at last
 *
 * States are numbered. A read that begins when number `done` is known to be done finds a state from there on that was begun
 * when it ends; it finds nothing only if there was a moment without. */
#ifndef CHANGES
#define CHANGES 3
#endif
#define STATES (CHANGES + 2)

#ifdef GEOMETRY
#define SIZE_VERSION 0
#define CURSOR 1             /* 1: the group has moved */
#define MOVING 2
#define VERSION(place) (3 + (place)) /* of the old group, and of the new one */
#define ENTRY(place) (5 + (place))
#define DONE 7
#define ADDRESSES 8
#else
#define THE_VERSION 0
#define THE_ENTRY 1          /* 0: none; 1, 2: the slot */
#define WORD(slot, at) (2 * (slot) + (at))
#define DONE 6
#define ADDRESSES 7
#endif
#define OTHERS 100           /* words of another key's items are above */

byte begun;
bool there[STATES];          /* by number: whether there is something in that state */

#include "versions.pml"

inline judge_absent() {
	byte_at = lowest;
	seen_absent = false;
	do
	:: byte_at > begun -> break
	:: else -> seen_absent = seen_absent || !there[byte_at]; byte_at++
	od;
	assert(seen_absent)
}

#ifndef GEOMETRY
/* ================================================================== a key and its item */

active proctype owner() {
	byte version, number, slot = 1, changes;
	number = 1;
	there[1] = true;
	begun = 1;
	STORE(WORD(1, 0), 1);
	STORE(WORD(1, 1), 1);
	begin_change(THE_VERSION, version);
	STORE(THE_ENTRY, 1);
	end_change(THE_VERSION, version);
	tell_done(1);
	do
	:: changes == CHANGES -> break
	:: changes < CHANGES && slot > 0 -> /* in place */
		atomic { changes++; number++; there[number] = true; begun = number }
#ifndef NO_BRACKET_IN_PLACE
		begin_change(THE_VERSION, version);
#endif
		STORE(WORD(slot, 0), number);
		STORE(WORD(slot, 1), number);
#ifndef NO_BRACKET_IN_PLACE
		end_change(THE_VERSION, version);
#endif
		tell_done(number)
	:: changes < CHANGES && slot > 0 -> /* anew, or moved: the entry names the other slot */
		atomic { changes++; number++; there[number] = true; begun = number }
#ifndef ITEM_AFTER_ENTRY
		STORE(WORD(3 - slot, 0), number);
		STORE(WORD(3 - slot, 1), number);
#endif
#ifdef MEMORY_GOES_FIRST
		STORE(WORD(slot, 0), OTHERS);
		STORE(WORD(slot, 1), OTHERS);
#endif
#ifndef NO_BRACKET_OF_ENTRY
		begin_change(THE_VERSION, version);
#endif
		STORE(THE_ENTRY, 3 - slot);
#ifndef NO_BRACKET_OF_ENTRY
		end_change(THE_VERSION, version);
#endif
#ifdef ITEM_AFTER_ENTRY
		STORE(WORD(3 - slot, 0), number);
		STORE(WORD(3 - slot, 1), number);
#endif
		STORE(WORD(slot, 0), OTHERS);
		STORE(WORD(slot, 1), OTHERS);
		slot = 3 - slot;
		tell_done(number)
	:: changes < CHANGES && slot > 0 -> /* removed */
		atomic { changes++; number++; begun = number }
		begin_change(THE_VERSION, version);
		STORE(THE_ENTRY, 0);
		end_change(THE_VERSION, version);
		STORE(WORD(slot, 0), OTHERS);
		STORE(WORD(slot, 1), OTHERS);
		slot = 0;
		tell_done(number)
	:: changes < CHANGES && slot == 0 -> /* stored where nothing was: its memory may be anybody's */
		atomic { changes++; number++; there[number] = true; begun = number }
		if
		:: slot = 1
		:: slot = 2
		fi;
		STORE(WORD(slot, 0), number);
		STORE(WORD(slot, 1), number);
		begin_change(THE_VERSION, version);
		STORE(THE_ENTRY, slot);
		end_change(THE_VERSION, version);
		tell_done(number)
	od
}

active proctype reader() {
	byte lowest, first, second, entry, word[2], byte_at;
	bool has_first, has_second, has_entry, has_word[2], seen_absent;
	lowest = memory_of[DONE]; /* acquire */
	do
	:: !has_first -> first = memory_of[THE_VERSION]; has_first = true
	:: (has_first || FIRST_MAY_BE_LATE) && !has_entry -> entry = memory_of[THE_ENTRY]; has_entry = true
	:: has_entry && entry > 0 && !has_word[0] -> word[0] = memory_of[WORD(entry, 0)]; has_word[0] = true
	:: has_entry && entry > 0 && !has_word[1] -> word[1] = memory_of[WORD(entry, 1)]; has_word[1] = true
	:: has_first && SECOND_MAY_BE_EARLY && !has_second -> second = memory_of[THE_VERSION]; has_second = true
	:: has_first && has_entry && (entry == 0 || (has_word[0] && has_word[1])) -> break
	od;
	if
	:: !has_second -> second = memory_of[THE_VERSION]
	:: else
	fi;
#ifdef ODD_IS_GOOD
	if
	:: first != second -> goto done
#else
	if
	:: first != second || first % 2 == 1 -> goto done
#endif
	:: else
	fi;
	if
	:: entry == 0 -> judge_absent()
	:: else ->
		assert(word[0] == word[1]);
		assert(word[0] < OTHERS && word[0] >= lowest && word[0] <= begun && there[word[0]])
	fi;
done:
	skip
}

#else
/* ================================================================== a key and the index's size */

active proctype owner() {
	byte size_version, version[2];
	there[1] = true;
	begun = 1;
	begin_change(VERSION(0), version[0]);
	STORE(ENTRY(0), 1);
	end_change(VERSION(0), version[0]);
	tell_done(1);
	/* begin_moving */
	begin_change(SIZE_VERSION, size_version);
#ifndef NO_MOVING
	STORE(MOVING, 1);
#endif
	STORE(CURSOR, 1);
	end_change(SIZE_VERSION, size_version);
#ifndef NO_BRACKET_OF_GROUP
	begin_change(VERSION(0), version[0]);
#endif
	STORE(ENTRY(0), 0);
#ifndef NO_BRACKET_OF_GROUP
	end_change(VERSION(0), version[0]);
#endif
	/* put_bucket */
#ifdef MOVING_ENDS_EARLY
	begin_change(SIZE_VERSION, size_version);
	STORE(MOVING, 0);
	end_change(SIZE_VERSION, size_version);
#endif
	begin_change(VERSION(1), version[1]);
	STORE(ENTRY(1), 1);
	end_change(VERSION(1), version[1]);
	/* end_moving */
	begin_change(SIZE_VERSION, size_version);
	STORE(MOVING, 0);
	end_change(SIZE_VERSION, size_version);
	/* and removed */
	begun = 2;
	begin_change(VERSION(1), version[1]);
	STORE(ENTRY(1), 0);
	end_change(VERSION(1), version[1]);
	tell_done(2)
}

active proctype reader() {
	byte lowest, size_first, size_second, first, second, place, entry, moving, byte_at;
	bool has_place, has_moving, seen_absent;
	lowest = memory_of[DONE]; /* acquire */
	size_first = memory_of[SIZE_VERSION]; /* acquire */
	do
	:: !has_place -> place = memory_of[CURSOR]; has_place = true
	:: !has_moving -> moving = memory_of[MOVING]; has_moving = true
	:: has_place && has_moving -> break
	od;
#ifdef VERSION_BEHIND_RECHECK
	size_second = memory_of[SIZE_VERSION];
	first = memory_of[VERSION(place)]; /* acquire */
#elif defined(TSO) || !defined(NO_READER_FENCE)
	first = memory_of[VERSION(place)]; /* acquire */
	size_second = memory_of[SIZE_VERSION]; /* behind a fence */
#else
	if
	:: size_second = memory_of[SIZE_VERSION]; first = memory_of[VERSION(place)]
	:: first = memory_of[VERSION(place)]; size_second = memory_of[SIZE_VERSION]
	fi;
#endif
#ifdef NO_RECHECK
	size_second = size_first;
#endif
	if
	:: moving == 1 || size_first % 2 == 1 || size_first != size_second || first % 2 == 1 -> goto done
	:: else
	fi;
	entry = memory_of[ENTRY(place)];
	second = memory_of[VERSION(place)]; /* behind a fence */
	if
	:: first != second -> goto done
	:: else
	fi;
	if
	:: entry == 0 -> judge_absent()
	:: else -> assert(lowest <= 1)
	fi;
done:
	skip
}
#endif
