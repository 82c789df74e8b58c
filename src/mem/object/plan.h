/* mem/object/plan.h: in how many pieces an object that is stored in fragments lies, and in which
 * classes.
 *
 *   24,000 bytes on 16 KiB pages:   [ 16372 | t ] [ 5449 | t ] [ 2036 | t ] [ 143 | t ]
 *                                     whole         tails: filled slots, then one that is not
 *
 * A plan is a pure function of the size: which classes are active does not matter. The search for it
 * takes some 850 instructions. What it comes to is one byte, so a heap that can spare the room keeps
 * one for each size up to a page; then it is searched for once, and read with some 80. */
#ifndef SNUG_MEM_PLAN_H
#define SNUG_MEM_PLAN_H

#include "mem/types.h"

/* How many bytes go into which classes: `whole` full pages, then the tails. */
struct chain_plan {
	uint64_t whole;
	uint32_t tails;
	uint16_t tail_id[TAIL_FRAGMENTS_MAX];
	uint32_t tail_bytes[TAIL_FRAGMENTS_MAX];
	uint64_t slot_bytes; /* of all */
};

void chain_plan_make(const snug_heap *heap, size_t size, struct chain_plan *plan);

/* Whether fragments are better than one slot of class `id`, the smallest that holds the object;
 * only then is the plan theirs. CLASS_NONE: no slot does. */
bool chain_plan_beats_slot(const snug_heap *heap, size_t size, uint16_t id,
						   struct chain_plan *plan);

/* One slot for the whole tail: looser, but one page is enough for it where several tails may need
 * one each. */
void chain_plan_simplify(const snug_heap *heap, struct chain_plan *plan);

/* Whether what is kept for objects of so many bytes, less than a whole fragment, is what would be
 * made; nothing may be kept. For walkers. */
bool chain_plan_is_sound(const snug_heap *heap, size_t size);

static inline uint32_t whole_fragment_bytes(const snug_heap *heap) {
	return heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
}

#endif
