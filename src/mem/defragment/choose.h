/* mem/defragment/choose.h: which slab to empty next, and how many pages that gains. The policy
 * itself is pure: tables in, an index out, nothing touched.
 *
 * The class whose emptiest slab is emptiest gives a page for the fewest copied bytes; at equal
 * emptiness the one with the fewest slots, as each move costs something too. Within the class the
 * slab with the fewest live slots. Any slab without pins may be the victim of a class that has at
 * least one slab's worth of holes: the others' holes then hold all that lives in it, and each
 * victim costs at most one page of copying.
 *
 *   class of 6 slots a slab, 8 holes:   [xxxxxx] [xxxx..] [xxx...] [xxx...]
 *                                                                   victim: its 3 go into 5 holes
 *
 * That moving is bounded by what it gains is the point. A log cleaner that takes segments in turn
 * copies many times what it frees when memory is nearly full; for what bounded moving can reach see
 * Bendersky and Petrank, "Space overhead bounds for dynamic memory management with partial
 * compaction", POPL 2011.
 *
 * Choosing victims by region, so that regions become free by themselves, was rejected: to empty a
 * region of slabs that are four fifths full copies four bytes for each that it gains. Regions are
 * emptied afterwards, if memory is to go back to the OS (drain.h). */
#ifndef SNUG_MEM_CHOOSE_H
#define SNUG_MEM_CHOOSE_H

#include "mem/types.h"

#define ALL_POOLS ((1u << SNUG_POOL_COUNT) - 1)
#define VICTIM_NONE UINT32_MAX

/* How much larger the slots may be that an evacuation moves objects into. */
enum merge {
	MERGE_NONE,  /* not at all */
	MERGE_CLOSE, /* 1/8, if that wastes less than a quarter of the page that it gains */
	MERGE_ANY    /* the last resort: any */
};

struct class_candidate {
	uint32_t slots;    /* of a slab */
	uint32_t emptiest; /* list of its emptiest slab: 0 (nearly empty) .. 16 (full) */
	uint64_t holes;    /* in all its slabs */
	uint64_t unpinned_slabs;
};

/* Slabs that compaction frees in a class: those without pins, less what they must hold besides what
 * the pinned ones can. `pinned_slots`: all slots of those, live or not. */
uint64_t victim_count(uint32_t slots, uint64_t unpinned_slabs, uint64_t live,
					  uint64_t pinned_slots);

/* True if `a` is a better class to take the next victim from than `b`; a class without a gain is
 * never better. */
int victim_class_is_better(const struct class_candidate *a, const struct class_candidate *b);

/* Index of the smallest count; VICTIM_NONE for an empty table. */
uint32_t victim_choose_slab(const uint32_t *live_slots, uint32_t count);

/* ------------------------------------------------------------------ in a heap ------ */

/* Free slots of the class, those in its magazine included. */
uint64_t class_holes(const struct size_class *class);

/* Slabs of this class that compaction would free now, by counting alone; and without regard to
 * pins. */
uint64_t class_reclaimable(const struct size_class *class);
uint64_t class_reclaimable_unpinned(const struct size_class *class);

/* Where the class's emptiest slab without pins is: 0 (nearly empty) .. 16 (full, or there is none). */
uint32_t class_emptiest_list(const struct size_class *class);

/* Makes the most promising slab the victim; false if no page can be gained. May give pages back
 * without any move. */
bool victim_pick(snug_heap *heap, uint32_t pool_mask);

/* The same in two, for who looks at the clock in between: the class, NULL if none can gain a page;
 * and its emptiest slab. false: the class's counts promise holes that no slab of it has, which only
 * memory that was overwritten can bring about. Who goes on picking then would do so for ever. */
struct size_class *victim_pick_class(const snug_heap *heap, uint32_t pool_mask);
bool victim_pick_slab(snug_heap *heap, struct size_class *class);

/* As victim_pick, but the slab's objects may go to the holes of larger classes as well. The least
 * wasteful one is chosen. */
bool victim_pick_merge(snug_heap *heap, uint32_t pool_mask, enum merge merge);

/* The same in parts. The search looks at `most` classes a call; false: it has seen all. What it has
 * found may have changed since it was seen; it is looked at again before it becomes the victim.
 * False: there is none, and too often it had changed. */
void merge_search_begin(const snug_heap *heap, struct merge_search *search, enum merge merge);
bool merge_search_some(const snug_heap *heap, struct merge_search *search, uint32_t pool_mask,
					   uint32_t most);
bool merge_search_end(snug_heap *heap, struct merge_search *search);

/* The next larger class that objects of `class` may be merged into, after `*id`; NULL at the
 * end. */
struct size_class *merge_class(const snug_heap *heap, const struct size_class *class, uint16_t *id,
							   enum merge merge);

#endif
