/* work/policy/goals.h: what an emergency can have from a heap, by its figures. All of it is bytes
 * that go back to the OS, so whole units of them (a page; 2 MiB with huge pages). Pure functions.
 *
 *     free      is free and resident: costs nothing
 *     compact   and what moving objects is certain to free
 *     merge     and what merging size classes may free besides: at most
 *     evict     and what evicting all there is would free: all but slabs with pinned objects
 *
 * Each contains those before it. The first two are exact, the third is an upper bound, because what
 * merging gives is only known when it is tried; the last counts each pinned slab as a whole unit
 * that stays. */
#ifndef SNUG_WORK_GOALS_H
#define SNUG_WORK_GOALS_H

#include "base/assert.h"
#include "base/bits.h"

#include <snug/stats.h>

static inline uint64_t goal_whole_units(const snug_stats *stats, uint64_t bytes) {
	return stats->return_unit_bytes == 0 ? 0 : bytes - bytes % stats->return_unit_bytes;
}

static inline uint64_t goal_free_bytes(const snug_stats *stats) {
	return goal_whole_units(stats, stats->free_page_bytes);
}

static inline uint64_t goal_compact_bytes(const snug_stats *stats) {
	return goal_whole_units(stats, stats->free_page_bytes + stats->total.reclaimable_bytes);
}

static inline uint64_t goal_merge_bytes(const snug_stats *stats) {
	return goal_whole_units(stats, stats->free_page_bytes + stats->total.hole_bytes);
}

/* Each pinned slab may keep a whole unit. */
static inline uint64_t goal_evict_bytes(const snug_stats *stats) {
	uint64_t whole_bytes =
		goal_whole_units(stats, stats->free_page_bytes + stats->total.slab_bytes);
	uint64_t kept_bytes = stats->total.pinned_slabs * stats->return_unit_bytes;
	SNUG_ASSERT(stats->total.pinned_slabs <= stats->total.slabs);
	return whole_bytes - smaller(kept_bytes, whole_bytes);
}

#endif
