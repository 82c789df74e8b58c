/* exactness.h: whether an estimate must be exact now, or is a lower bound.
 *
 * Some objects are loose: they sit in slots of a larger class. When compaction empties such a slab, it may put them into tighter
 * ones, and so gain more than the slots that were counted. No public figure tells which slabs have such objects, so this is
 * read from the internal counters. */
#ifndef SNUG_TEST_EXACTNESS_H
#define SNUG_TEST_EXACTNESS_H

#include "mem/types.h"

/* No class that compaction could gain a page from has loose objects. */
static inline bool estimate_is_exact(const snug_pools *pools) {
	for (uint32_t i = 0; i < pools->classes.active_count; i++) {
		const struct size_class *class = pools->classes.active[i];
		uint64_t holes = (uint64_t) class->slabs * class->slots - class->used_slots + class->magazine_count;
		if (holes >= class->slots && class->loose_objects > 0) {
			return false;
		}
	}
	return true;
}

#endif
