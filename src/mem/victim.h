/* mem/victim.h: which slab to empty next. Policy alone: tables in, an index out, nothing touched.
 *
 * The class whose emptiest slab is emptiest gives a page for the fewest copied bytes; at equal emptiness the one with the fewest
 * slots, as each move costs something too. Within the class the slab with the fewest live slots. Any slab without pins may be the
 * victim of a class that has at least one slab's worth of holes: the others' holes then hold all that lives in it, and each
 * victim costs at most one page of copying (cf. Bendersky and Petrank, "Space overhead bounds for dynamic memory
 * management with partial compaction", POPL 2011, for what such bounded moving can reach). */
#ifndef SNUG_MEM_VICTIM_H
#define SNUG_MEM_VICTIM_H

#include <stdint.h>

#define VICTIM_NONE UINT32_MAX

struct class_candidate {
	uint32_t slots;    /* of a slab */
	uint32_t emptiest; /* list of its emptiest slab: 0 (nearly empty) .. 16 (full) */
	uint64_t holes;    /* in all its slabs */
	uint64_t unpinned_slabs;
};

/* Slabs that compaction frees in a class: what its live slots need less what it has, pinned slabs keeping their place. */
uint64_t victim_count(uint32_t slots, uint64_t unpinned_slabs, uint64_t unpinned_live, uint64_t pinned_holes);

/* True if `a` is a better class to take the next victim from than `b`; a class without a gain is never better. */
int victim_class_is_better(const struct class_candidate *a, const struct class_candidate *b);

/* Index of the smallest count; VICTIM_NONE for an empty table. */
uint32_t victim_choose_slab(const uint32_t *live_slots, uint32_t count);

#endif
