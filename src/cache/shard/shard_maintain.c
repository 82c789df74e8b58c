/* cache/shard/shard_maintain.c: what is done beside serving, a slice at a time: the index's size,
 * what has expired, a lower limit, memory that nothing uses.
 *
 *     slice    one group of the index | some places of the sweep | one step towards the limit, or,
 *              below it, of giving back (shard_spare.h)
 *
 * A LOWER LIMIT is reached by evicting until what is left would fit, while a defragmentation gains
 * pages, which the heap gives back at once (mem/arena/limit.h). First pages are gained, and only
 * when there are none items go, four a slice. If what lies free would do, and only the OS does not
 * take it, nothing goes. Where nothing may be evicted the limit is approached by packing alone,
 * size classes merged too, once for each limit; what that leaves above it stays, and shrinks as
 * items are deleted or expire. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_spare.h"
#include "cache/shard/shard_sweep.h"

#include <snug/defragment.h>

#define LIMIT_EVICTIONS 4u /* in a slice */
#define SECOND_NS UINT64_C(1000000000)

snug_error snug_shard_set_limit(snug_shard *shard, size_t limit_bytes) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	snug_error error = snug_heap_set_limit(shard->heap, limit_bytes);
	if (error) return error;
	rank_set_limit(&shard->rank, limit_bytes);
	shard_limit_changed(shard);
	shard_keep_for_pins(shard);
	shard->has_merged = false;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ a lower limit ---------- */

/* A step of a defragmentation that gains pages and gives back what is free. False: nothing more to
 * gain that way. */
static bool gain_pages(snug_shard *shard) {
	bool done = false;
	if (!shard->gains_pages) {
		snug_defragment_options options = snug_defragment_options_default();
		options.retain_bytes = 0;
		options.merge_classes = shard->options.no_eviction;
		shard->gains_pages = snug_defragment_begin(shard->heap, &options) == SNUG_OK;
		if (!shard->gains_pages) return false; /* somebody else's is under way, and gains as well */
	}
	if (snug_defragment_step(shard->heap, &done) != SNUG_OK) done = true;
	if (!done) return true;
	snug_report report;
	shard->gains_pages = false;
	shard->has_merged = shard->options.no_eviction;
	if (snug_defragment_end(shard->heap, &report) != SNUG_OK) return false;
	return report.reclaimed_bytes + report.returned_bytes > 0;
}

/* Without eviction it is not begun for nothing. */
static bool may_gain_pages(const snug_shard *shard, const snug_stats *stats) {
	if (!shard->options.no_eviction || shard->gains_pages || !shard->has_merged) return true;
	return stats->free_page_bytes + stats->total.reclaimable_bytes > 0;
}

/* What lies free would do: only the OS does not take it back. */
static bool is_enough_free(const snug_stats *stats) {
	SNUG_ASSERT(stats->limit_bytes >= stats->limit_goal_bytes);
	return stats->free_page_bytes >= stats->limit_bytes - stats->limit_goal_bytes;
}

static bool approach_limit(snug_shard *shard) {
	snug_stats stats;
	bool over = snug_stats_get(shard->heap, &stats) == SNUG_OK &&
				stats.limit_bytes > stats.limit_goal_bytes;
	if (!over) {
		if (!shard->gains_pages) return false;
		snug_report report;
		shard->gains_pages = false;
		return snug_defragment_end(shard->heap, &report) == SNUG_OK;
	}
	shard_spare_end(shard);
	if (may_gain_pages(shard, &stats) && gain_pages(shard)) return true;
	if (shard->options.no_eviction || is_enough_free(&stats)) return false;
	for (uint32_t evicted = 0; evicted < LIMIT_EVICTIONS; evicted++)
		if (shard_evict_one(shard) == 0) return false; /* all is pinned */
	(void)shard_index_step(shard);
	return true;
}

/* ------------------------------------------------------------------ a slice ---------------- */

bool snug_shard_maintain(snug_shard *shard) {
	if (shard == NULL) return false;
	shard_tick(shard);
	bool more = shard_index_step(shard);
	more |= shard_sweep(shard);
	more |= shard_shrink_ghosts(shard);
	more |= approach_limit(shard) || shard_spare_step(shard);
	return more;
}

uint64_t snug_shard_rest_ns(const snug_shard *shard) {
	if (shard == NULL) return UINT64_MAX;
	uint64_t sweep_s = shard_sweep_rest_s(shard);
	uint64_t sweep_ns = sweep_s < UINT64_MAX / SECOND_NS ? sweep_s * SECOND_NS : UINT64_MAX;
	return smaller(sweep_ns, shard_spare_rest_ns(shard));
}
