/* mem/object/room.h: a slot for whoever needs one, and what an allocation does when there is no
 * room.
 *
 * In this order, each tried only when the one before found nothing:
 *
 *   1. a hole in the fullest slab of the class
 *   2. a new page
 *   3. the victim back, if it is of this class
 *   4. compaction of one page (mem/defragment/evacuate.h)
 *   5. a hole in a class at most 1/32 larger ("borrowed")
 *   6. the emptiest slab of a class merged into larger classes
 *
 * Borrowing comes after compaction: before it, borrowed slots filled up in size shifts and then
 * nothing but waste was left. Borrowing up to 1/8 cost 0.2 % of payload (docs/design/0001). Without
 * compaction, 4 and 6 are: all magazines back, and the empty slabs that classes keep for
 * themselves.
 *
 * COST. 1 and 2 are O(1). 4 copies at most a page for the page that it gains; 6 copies at most a
 * slab. In a heap of 256 MiB that is always full an allocation makes 0.07 moves and copies 0.11
 * bytes for each byte allocated (docs/benchmarks.md, "A full heap"). */
#ifndef SNUG_MEM_ROOM_H
#define SNUG_MEM_ROOM_H

#include "mem/slab/magazine.h"

snug_error slot_alloc_slow(snug_heap *heap, uint16_t id, bool may_compact, uint64_t *offset,
						   struct size_class **out);

/* Pages that can be taken now. Where the OS has just refused memory, only those that are committed
 * already. */
uint64_t room_pages(const snug_heap *heap, bool os_refused);

/* Makes sure that there are so many, by compacting and merging; false if it can't. */
bool room_make(snug_heap *heap, uint64_t pages, bool os_refused);

/* One paced step, if pacing is asked for and memory is low; for each page that is about to be
 * taken. */
void room_pace(snug_heap *heap);

/* A slot for `payload_bytes` of an object or fragment of class `id`. NO_MEMORY, OS_MEMORY. */
static inline snug_error slot_alloc(snug_heap *heap, uint16_t id, uint32_t payload_bytes,
									bool may_compact, uint64_t *offset, struct size_class **out) {
	struct size_class *class = heap->classes.entry[id].serving;
	if (LIKELY(class != NULL && class->magazine_count > 0)) {
		*offset = class->magazine[--class->magazine_count];
	} else {
		snug_error error = slot_alloc_slow(heap, id, may_compact, offset, &class);
		if (UNLIKELY(error)) return error;
	}
	slot_hand_out(heap, class, id, payload_bytes, *offset);
	class_review_if_due(heap, class);
	*out = class;
	return SNUG_OK;
}

#endif
