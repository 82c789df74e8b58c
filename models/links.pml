/* links.pml: an item in two pieces, its head and a fragment behind it (src/mem/slab/fragment.h), as the owner moves, changes and removes
 * them (src/mem/defragment/relink.h, src/cache/shard/shard_store.c), and the reader of src/cache/shard/shard_read.c, who follows from the
 * entry to the head to the fragment. Versions, and the two machines: versions.pml.
 *
 * The entry and the item's bytes are under the group's version. The index is not told when a fragment moves: so the link in the head is
 * under the heap's own version for links. A head and its link are one slot, a fragment another; both have two places. What is let go of
 * is filled with another key's at once, and its link may then name anything.
 *
 * Both pieces that are read must be of one state, of this key, and the state one that was there during the read. */
#ifndef CHANGES
#define CHANGES 2
#endif

#define GROUP 0              /* versions */
#define LINKS 1
#define ENTRY 2              /* 0: none; 1, 2: the head */
#define HEAD(place) (2 + (place))
#define LINK(place) (4 + (place)) /* 1, 2: the fragment */
#define FRAGMENT(place) (6 + (place))
#define DONE 9
#define ADDRESSES 10
#define OTHERS 100           /* bytes of another key's items are above */

byte begun;

#include "versions.pml"

/* ------------------------------------------------------------------ the owner */

inline fill_fragment(place) { STORE(FRAGMENT(place), OTHERS) }

inline fill_head(place, any) {
	if
	:: any = 1
	:: any = 2
	fi;
	STORE(HEAD(place), OTHERS);
	STORE(LINK(place), any)
}

inline write_item(number) {
	STORE(FRAGMENT(fragment), number);
	STORE(HEAD(head), number);
	STORE(LINK(head), fragment)
}

inline link_entry(place) {
#ifndef NO_BRACKET_OF_ENTRY
	begin_change(GROUP, group_version);
#endif
	STORE(ENTRY, place);
#ifndef NO_BRACKET_OF_ENTRY
	end_change(GROUP, group_version)
#endif
}

/* fragment_relink. The copy is there before the link names it, and what was copied stays until then. */
inline move_fragment() {
#ifdef OLD_FRAGMENT_GOES_FIRST
	fill_fragment(fragment);
#endif
#ifndef COPIED_AFTER_LINK
	STORE(FRAGMENT(3 - fragment), number);
#endif
#ifndef NO_BRACKET_OF_LINK
	begin_change(LINKS, links_version);
#endif
	STORE(LINK(head), 3 - fragment);
#ifndef NO_BRACKET_OF_LINK
	end_change(LINKS, links_version);
#endif
#ifdef COPIED_AFTER_LINK
	STORE(FRAGMENT(3 - fragment), number);
#endif
	fill_fragment(fragment);
	fragment = 3 - fragment
}

active proctype owner() {
	byte group_version, links_version, number = 1, head = 1, fragment = 1, changes, any;
	begun = 1;
	write_item(1);
	link_entry(1);
	tell_done(1);
	do
	:: changes == CHANGES -> break
	:: changes < CHANGES && head > 0 -> /* the fragment is moved: the state stays */
		changes++;
		move_fragment()
	:: changes < CHANGES && head > 0 -> /* the head is moved, with its link */
		changes++;
		STORE(HEAD(3 - head), number);
		STORE(LINK(3 - head), fragment);
		link_entry(3 - head);
		fill_head(head, any);
		head = 3 - head
	:: changes < CHANGES && head > 0 -> /* in place */
		atomic { changes++; number++; begun = number }
		begin_change(GROUP, group_version);
		STORE(HEAD(head), number);
		STORE(FRAGMENT(fragment), number);
		end_change(GROUP, group_version);
		tell_done(number)
	:: changes < CHANGES && head > 0 -> /* stored anew, elsewhere */
		atomic { changes++; number++; begun = number }
		head = 3 - head;
		fragment = 3 - fragment;
		write_item(number);
		link_entry(head);
		fill_head(3 - head, any);
		fill_fragment(3 - fragment);
		tell_done(number)
	:: changes < CHANGES && head > 0 -> /* removed; that absent is absent is reads.pml's */
		atomic { changes = CHANGES; number++; begun = number }
		link_entry(0);
		fill_head(head, any);
		fill_fragment(fragment);
		head = 0;
		tell_done(number)
	od
}

/* ------------------------------------------------------------------ the reader */

active proctype reader() {
	byte lowest, group_first, group_second, links_first, links_second, entry, head, link, fragment;
	bool has_group, has_links, has_entry, has_head, has_link, has_fragment,
		has_group_again, has_links_again;
	lowest = memory_of[DONE]; /* acquire */
	do
	:: !has_group -> group_first = memory_of[GROUP]; has_group = true
	:: (has_group || FIRST_MAY_BE_LATE) && !has_entry -> entry = memory_of[ENTRY]; has_entry = true
#ifdef LINKS_VERSION_BEHIND_LINK
	:: has_link && !has_links -> links_first = memory_of[LINKS]; has_links = true
	:: has_entry && entry > 0 && !has_link -> link = memory_of[LINK(entry)]; has_link = true
#else
	:: has_entry && !has_links -> links_first = memory_of[LINKS]; has_links = true
	:: has_entry && entry > 0 && (has_links || FIRST_MAY_BE_LATE) && !has_link -> link = memory_of[LINK(entry)]; has_link = true
#endif
	:: has_entry && entry > 0 && !has_head -> head = memory_of[HEAD(entry)]; has_head = true
	:: has_link && link > 0 && !has_fragment -> fragment = memory_of[FRAGMENT(link)]; has_fragment = true
	:: has_group && SECOND_MAY_BE_EARLY && !has_group_again -> group_second = memory_of[GROUP]; has_group_again = true
	:: has_links && SECOND_MAY_BE_EARLY && !has_links_again -> links_second = memory_of[LINKS]; has_links_again = true
	:: has_entry && has_group && entry == 0 -> goto done
	:: has_link && link == 0 -> goto done /* that is no item's */
	:: has_group && has_links && has_head && has_fragment -> break
	od;
	if
	:: !has_group_again -> group_second = memory_of[GROUP]
	:: else
	fi;
	if
	:: !has_links_again -> links_second = memory_of[LINKS]
	:: else
	fi;
#ifdef NO_RECHECK_OF_GROUP
	group_second = group_first;
#endif
#ifdef NO_RECHECK_OF_LINKS
	links_second = links_first;
#endif
	if
	:: group_first != group_second || group_first % 2 == 1 -> goto done
#ifdef ODD_LINKS_ARE_GOOD
	:: links_first != links_second -> goto done
#else
	:: links_first != links_second || links_first % 2 == 1 -> goto done
#endif
	:: else
	fi;
	assert(head == fragment);
	assert(head < OTHERS && head >= lowest && head <= begun);
done:
	skip
}
