/* mem/victim.c: see mem/victim.h. */
#include "mem/victim.h"

uint64_t victim_count(uint32_t slots, uint64_t unpinned_slabs, uint64_t unpinned_live, uint64_t pinned_holes) {
	if (unpinned_live <= pinned_holes) return unpinned_slabs;
	uint64_t needed = (unpinned_live - pinned_holes + slots - 1) / slots;
	return unpinned_slabs > needed ? unpinned_slabs - needed : 0;
}

static int has_gain(const struct class_candidate *candidate) {
	return candidate->unpinned_slabs > 0 && candidate->holes >= candidate->slots;
}

int victim_class_is_better(const struct class_candidate *a, const struct class_candidate *b) {
	if (!has_gain(a)) return 0;
	if (!has_gain(b)) return 1;
	if (a->emptiest != b->emptiest) return a->emptiest < b->emptiest;
	return a->slots < b->slots;
}

uint32_t victim_choose_slab(const uint32_t *live_slots, uint32_t count) {
	uint32_t best = VICTIM_NONE;
	for (uint32_t index = 0; index < count; index++) {
		if (best == VICTIM_NONE || live_slots[index] < live_slots[best]) best = index;
	}
	return best;
}
