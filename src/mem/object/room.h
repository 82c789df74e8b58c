/* mem/object/room.h: a slot for whoever needs one, and what is done when there is no room.
 *
 * In this order, each tried only when the one before found nothing:
 *
 *   1. a hole in the fullest slab of the class, or  attempt
 *      an empty slot of one of its hosts
 *   2. a new page                                   attempt
 *   3. the victim back, if it is of this class      attempt
 *   4. compaction of one page                       by_compacting (mem/defragment/evacuate.h)
 *   5. a hole in a class at most 1/32 larger        by_borrowing
 *   6. the emptiest slab of a class merged          by_merging: into classes at most 1/8 larger
 *      into larger classes
 *   7. what tables no longer need                   by_trimming (mem/slab/tables.h)
 *
 *   and as the last resort (laws B1 and B2), unless the owner would rather be refused:
 *
 *   8. a hole in a class at most 1/8, or as much    by_taking_loose
 *      as two trailers, larger
 *   9. pieces, in whatever holes there are          the caller: mem/object/pieces.h
 *   and for what can't be cut, or could be and found too few:
 *  10. a hole in any larger class                   by_taking_any
 *  11. a slab merged into any larger classes        by_merging_any
 *
 * Borrowing comes after compaction: before it, borrowed slots filled up in size shifts and then
 * nothing but waste was left. Borrowing up to 1/8 cost 0.2 % of payload (docs/design/0001). Without
 * compaction, 4 is: all magazines back, and the empty slabs that classes keep for themselves; 6 and
 * 11 are nothing.
 *
 * 1 to 7 are what a need of slots goes through; one of a table or of a charge goes through those
 * that gain a page: 4, 6, 7, 11. An owner that has something to evict sets no_last_resort: the
 * pieces of what it keeps for need of room cost it more than what it evicts.
 *
 * COST. 1 and 2 are O(1). 4 copies at most a page for the page that it gains; 6 copies at most a
 * slab. In a heap of 256 MiB that is always full an allocation makes 0.07 moves and copies 0.11
 * bytes for each byte allocated (docs/benchmarks.md, "A full heap"). */
#ifndef SNUG_MEM_ROOM_H
#define SNUG_MEM_ROOM_H

#include "mem/slab/magazine.h"

enum effort {
	ROOM_AT_HAND, /* holes and pages that are there, 1 to 3 and 5: nothing moves */
	ROOM_LAST,    /* and the last resort, as far as nothing moves for it */
	ROOM_MADE     /* all ways */
};

/* What somebody needs. Larger structs begin with it. */
struct need {
	/* Tries with what is there. NO_MEMORY and OS_MEMORY: there is too little, and nothing was
	 * taken. */
	snug_error (*attempt)(snug_heap *heap, struct need *need);
	/* Takes a hole that is at most 1 / parts larger, any for 0; NULL: what is needed is no slot */
	bool (*take_larger)(snug_heap *heap, struct need *need, uint32_t parts);
	enum effort effort;
	bool can_be_cut; /* the caller stores it in pieces if no slot is found */
	bool os_refused; /* memory, to an attempt: pages that are cold can't be had */
	bool trimmed;    /* tables were, for it */
	bool trims_all;  /* an entry that is prepared may go, too */
	uint64_t pages;  /* without so many there is no point in an attempt */
	/* a limit on its way down leaves so many free pages, and at least `pages` */
	uint64_t pages_kept;
	uint64_t pages_most; /* with so many at hand another one would not help */
};

/* Tries, makes room, tries again. The attempt's own errors; NO_MEMORY, OS_MEMORY: all ways are
 * exhausted. */
snug_error room_find(snug_heap *heap, struct need *need);

/* For an attempt that took several things and had to give them back: the next one makes sense with
 * one page more than there is now. Without it, gaining back what the attempt itself left behind
 * would count as progress for ever. */
void room_raise(const snug_heap *heap, struct need *need, snug_error error);

/* Pages that the need can have now. */
uint64_t room_pages(const snug_heap *heap, const struct need *need);

snug_error slot_alloc_slow(snug_heap *heap, uint16_t id, enum effort effort, bool can_be_cut,
						   uint64_t *offset, struct size_class **out);

/* One paced step, if pacing is asked for and memory is low; for each page that is about to be
 * taken. */
void room_pace(snug_heap *heap);

/* A slot for `payload_bytes` of an object or fragment of class `id`. NO_MEMORY, OS_MEMORY. */
static inline snug_error slot_alloc(snug_heap *heap, uint16_t id, uint32_t payload_bytes,
									enum effort effort, bool can_be_cut, uint64_t *offset,
									struct size_class **out) {
	struct size_class *class = heap->classes.entry[id].serving;
	if (LIKELY(class->magazine_count > 0)) {
		*offset = class->magazine[--class->magazine_count];
	} else {
		snug_error error = slot_alloc_slow(heap, id, effort, can_be_cut, offset, &class);
		if (UNLIKELY(error)) return error;
	}
	slot_hand_out(heap, class, id, payload_bytes, *offset);
	class_review_if_due(heap, class);
	*out = class;
	return SNUG_OK;
}

#endif
