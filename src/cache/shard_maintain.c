/* cache/shard_maintain.c: what is done beside serving, a slice at a time: the index's size, what has expired, a lower limit.
 *
 * The sweep for expired and flushed items walks the index, one place a slice, as long as there are items that may be dead; it reads the
 * items, which look-ups do anyway for the popular ones. A lower limit is reached by evicting until what is left would fit, while a
 * defragmentation gains pages, which the pools give back at once (mem/limit.h). Where nothing may be evicted it is approached by packing alone,
 * size classes merged too; what that leaves above it stays, and shrinks as items are deleted or expire. */
#include "base/bits.h"
#include "cache/shard_state.h"

#include <snug/defragment.h>

#define LIMIT_EVICTIONS 4u /* in a slice */
#define SWEEP_PAUSE_S 60u  /* from one round to the next */

snug_error snug_shard_set_limit(snug_shard *shard, size_t limit_bytes) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	snug_error error = snug_pools_set_limit(shard->pools, limit_bytes);
	if (error) return error;
	rank_set_limit(&shard->rank, limit_bytes);
	shard->has_merged = false;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ sweep ------------------ */

static bool may_be_dead(const snug_shard *shard) {
	return shard->expiring > 0 || shard->linked > shard->generation_items[shard->generation];
}

static bool drop_if_dead(snug_shard *shard, struct bucket *home, uint32_t home_number, struct bucket *bucket,
						 uint32_t slot) {
	uint64_t entry = bucket->entry[slot];
	if (entry == 0 || entry_ref(entry) == shard->watched) return false;
	struct item_head head = item_read(snug_ref_at(shard->pools, entry_ref(entry)));
	if (!shard_is_dead(shard, &head)) return false;
	struct probe probe = {.index = &shard->index,
						  .home = home,
						  .bucket = bucket,
						  .entry = &bucket->entry[slot],
						  .home_number = (uint8_t)home_number};
	shard_drop(shard, &probe, &head, DROP_DEAD);
	return true;
}

/* One of the bucket's spilled items that is dead; false: there is none. */
static bool sweep_spilled(snug_shard *shard, struct bucket *home, uint32_t number) {
	struct bucket *spill = &group_of(home, number)->spill;
	for (; spill != NULL; spill = spill_after(&shard->index, spill))
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
			if (spill_home(spill, slot) == number && drop_if_dead(shard, home, number, spill, slot)) return true;
	return false;
}

/* The slot that was emptied may be filled from the spill bucket at once: so it is looked at again. */
static void sweep_place(snug_shard *shard, uint64_t place) {
	uint32_t number = place % GROUP_BUCKETS;
	struct bucket *home = index_bucket(&shard->index, place);
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (home->entry[slot] != 0) __builtin_prefetch(snug_ref_at(shard->pools, entry_ref(home->entry[slot])));
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		while (drop_if_dead(shard, home, number, home, slot)) continue;
	while (home->word > 0 && sweep_spilled(shard, home, number)) continue;
}

/* One place; at the end of a round it pauses until something changes: see sweep_hand. */
static bool sweep(snug_shard *shard) {
	if (!may_be_dead(shard)) return false;
	const struct index *index = &shard->index;
	uint64_t places = (uint64_t)(index->from > index->to ? index->from : index->to) * GROUP_BUCKETS;
	uint64_t before = shard->sweep_hand;
	sweep_place(shard, index_place(index, shard->sweep_hand));
	shard->sweep_hand += UINT64_MAX / places;
	if (shard->sweep_hand >= before) return true;
	/* Once around: what was flushed is gone. What expires later is for the next round, a while from now. */
	shard->sweep_round_s = shard_now_s(shard);
	return false;
}

void snug_shard_flush(snug_shard *shard, int64_t at_s) {
	if (shard == NULL) return;
	if (at_s > (int64_t)shard_now_s(shard)) {
		shard_tick(shard); /* an earlier one whose time has come while nobody asked */
		shard->flush_at_s = at_s;
		return;
	}
	shard->flush_at_s = 0;
	if (shard->generation_items[shard->generation] == 0) return; /* all there is has been flushed before */
	uint32_t next = (shard->generation + 1) % GENERATIONS;
	/* What was flushed three times ago must be gone before its number is used again: usually it is. */
	while (shard->generation_items[next] > 0) (void)sweep(shard);
	shard->generation = next;
}

static bool sweep_is_due(const snug_shard *shard) {
	return shard->sweep_hand != 0 || shard->sweep_round_s + SWEEP_PAUSE_S <= shard_now_s(shard) ||
		   shard->linked > shard->generation_items[shard->generation];
}

/* ------------------------------------------------------------------ a lower limit ---------- */

/* A step of a defragmentation that gains pages and gives back what is free. False: nothing more to gain that way. */
static bool gain_pages(snug_shard *shard) {
	bool done = false;
	if (!shard->gains_pages) {
		snug_defragment_options options = SNUG_DEFRAGMENT_DEFAULTS;
		options.retain_bytes = 0;
		options.merge_classes = shard->options.no_eviction;
		shard->gains_pages = snug_defragment_begin(shard->pools, &options) == SNUG_OK;
		if (!shard->gains_pages) return false; /* somebody else's is under way, and gains as well */
	}
	if (snug_defragment_step(shard->pools, &done) != SNUG_OK) done = true;
	if (!done) return true;
	snug_report report;
	shard->gains_pages = false;
	shard->has_merged = shard->options.no_eviction;
	if (snug_defragment_end(shard->pools, &report) != SNUG_OK) return false;
	return report.reclaimed_bytes + report.returned_bytes > 0;
}

/* Without eviction it is not begun for nothing. */
static bool may_gain_pages(const snug_shard *shard, const snug_stats *stats) {
	if (!shard->options.no_eviction || shard->gains_pages || !shard->has_merged) return true;
	return stats->free_page_bytes + stats->total.reclaimable_bytes > 0;
}

/* What lies free would do: only the OS does not take it back. */
static bool is_enough_free(const snug_stats *stats) {
	return stats->free_page_bytes >= stats->limit_bytes - stats->limit_goal_bytes;
}

static bool approach_limit(snug_shard *shard) {
	snug_stats stats;
	bool over = snug_stats_get(shard->pools, &stats) == SNUG_OK && stats.limit_bytes > stats.limit_goal_bytes;
	if (!over) {
		if (!shard->gains_pages) return false;
		snug_report report;
		shard->gains_pages = false;
		return snug_defragment_end(shard->pools, &report) == SNUG_OK;
	}
	if (may_gain_pages(shard, &stats) && gain_pages(shard)) return true;
	if (shard->options.no_eviction || is_enough_free(&stats)) return false;
	for (uint32_t evicted = 0; evicted < LIMIT_EVICTIONS; evicted++)
		if (shard_evict_one(shard) == 0) return false; /* all is pinned */
	(void)shard_index_step(shard);
	return true;
}

/* ------------------------------------------------------------------ a slice ---------------- */

bool snug_shard_may_expire(const snug_shard *shard) {
	return shard != NULL && (may_be_dead(shard) || shard->flush_at_s != 0);
}

bool snug_shard_maintain(snug_shard *shard) {
	if (shard == NULL) return false;
	shard_tick(shard);
	bool more = shard_index_step(shard);
	if (sweep_is_due(shard)) more |= sweep(shard);
	more |= approach_limit(shard);
	return more;
}
