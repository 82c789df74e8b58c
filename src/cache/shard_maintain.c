/* cache/shard_maintain.c: what is done beside serving, a slice at a time: the index's size, what has expired, a lower limit.
 *
 * The sweep walks the index, one place a slice: without a pause while there are flushed items, and now and then for expired ones, once the earliest
 * expiry of all has passed. For those it reads the items, which look-ups do anyway for the popular ones. A lower limit is reached by evicting until
 * what is left would fit, while a defragmentation gains pages, which the heap gives back at once (mem/arena/limit.h). Where nothing may be evicted it is
 * approached by packing alone, size classes merged too; what that leaves above it stays, and shrinks as items are deleted or expire. */
#include "base/bits.h"
#include "cache/shard_state.h"

#include <snug/defragment.h>

#define LIMIT_EVICTIONS 4u /* in a slice */
#define SWEEP_PAUSE_S 60u  /* from one round to the next */
#define DEAD_PLACES 1024u  /* that a store without eviction looks at for what is dead */

snug_error snug_shard_set_limit(snug_shard *shard, size_t limit_bytes) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	snug_error error = snug_heap_set_limit(shard->heap, limit_bytes);
	if (error) return error;
	rank_set_limit(&shard->rank, limit_bytes);
	shard_keep_for_pins(shard);
	shard->has_merged = false;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ sweep ------------------ */

static bool is_flushed_left(const snug_shard *shard) {
	return shard->linked > shard->live.items;
}

static bool drop_if_expired(void *context, uint64_t entry) {
	snug_shard *shard = context;
	snug_ref ref = entry_ref(entry);
	struct item_head head = item_read(snug_ref_at(shard->heap, ref));
	if (shard_is_expired(shard, &head) && ref != shard->watched) {
		shard_let_go(shard, ref, &head, DROP_EXPIRED);
		return true;
	}
	if (head.expires_at_s != 0 && head.expires_at_s < shard->round_earliest_s)
		shard->round_earliest_s = head.expires_at_s;
	return false;
}

static void sweep_place(snug_shard *shard, uint64_t place) {
	uint32_t number = place % GROUP_BUCKETS;
	struct bucket *home = index_bucket(&shard->index, place);
	index_settle(&shard->index, home, number);
	if (shard->expiring == 0) return;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (home->entry[slot] != 0) __builtin_prefetch(snug_ref_at(shard->heap, entry_ref(home->entry[slot])));
	index_filter(&shard->index, home, number, drop_if_expired, shard);
}

/* One place. False: that was the last one of a round. */
static bool sweep(snug_shard *shard) {
	if (shard->sweep_hand == 0) shard->round_earliest_s = UINT32_MAX;
	uint64_t end = index_bucket_end(&shard->index, shard->sweep_hand);
	sweep_place(shard, index_place(&shard->index, shard->sweep_hand));
	shard->sweep_hand = end;
	if (end != 0) return true;
	shard->sweep_round_s = shard_now_s(shard);
	shard->earliest_s = shard->round_earliest_s;
	return false;
}

/* While there is something left of earlier flushes a bucket is swept for each: so each bucket is long before epochs repeat. */
void snug_shard_flush(snug_shard *shard, int64_t at_s) {
	if (shard == NULL) return;
	if (at_s > (int64_t)shard_now_s(shard)) {
		shard_tick(shard); /* an earlier one whose time has come while nobody asked */
		shard->flush_at_s = at_s == SNUG_FLUSH_NEVER ? 0 : at_s;
		return;
	}
	shard->flush_at_s = 0;
	if (shard->live.items == 0) return; /* all there is has been flushed before */
	if (is_flushed_left(shard)) (void)sweep(shard);
	index_flush(&shard->index);
	shard->live = shard->check.live = (struct tally){0};
}

/* What expires is swept when something has, but not too often: a look-up does not find it anyway. */
static bool sweep_is_due(const snug_shard *shard) {
	if (is_flushed_left(shard)) return true;
	if (shard->expiring == 0) return false;
	uint32_t now_s = shard_now_s(shard);
	bool has_paused = now_s < shard->sweep_round_s || now_s - shard->sweep_round_s >= SWEEP_PAUSE_S; /* set back, too */
	return shard->sweep_hand != 0 || (shard->earliest_s <= now_s && has_paused);
}

uint64_t shard_remove_dead(snug_shard *shard) {
	uint64_t linked = shard->linked, live_bytes = shard->live.bytes, flushed_bytes = shard->flushed_bytes;
	for (uint32_t places = 0; places < DEAD_PLACES && shard->linked == linked; places++) {
		if (!is_flushed_left(shard) && shard->earliest_s > shard_now_s(shard)) break;
		(void)sweep(shard);
	}
	return live_bytes - shard->live.bytes + shard->flushed_bytes - flushed_bytes;
}

/* ------------------------------------------------------------------ a lower limit ---------- */

/* A step of a defragmentation that gains pages and gives back what is free. False: nothing more to gain that way. */
static bool gain_pages(snug_shard *shard) {
	bool done = false;
	if (!shard->gains_pages) {
		snug_defragment_options options = SNUG_DEFRAGMENT_DEFAULTS;
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
	return stats->free_page_bytes >= stats->limit_bytes - stats->limit_goal_bytes;
}

static bool approach_limit(snug_shard *shard) {
	snug_stats stats;
	bool over = snug_stats_get(shard->heap, &stats) == SNUG_OK && stats.limit_bytes > stats.limit_goal_bytes;
	if (!over) {
		if (!shard->gains_pages) return false;
		snug_report report;
		shard->gains_pages = false;
		return snug_defragment_end(shard->heap, &report) == SNUG_OK;
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
	return shard != NULL && (shard->expiring > 0 || is_flushed_left(shard) || shard->flush_at_s != 0);
}

bool snug_shard_maintain(snug_shard *shard) {
	if (shard == NULL) return false;
	shard_tick(shard);
	bool more = shard_index_step(shard);
	if (sweep_is_due(shard)) more |= sweep(shard);
	more |= approach_limit(shard);
	return more;
}
