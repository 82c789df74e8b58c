/* cache/shard/shard_evict.c: room for an item. The heap compacts by itself; what it lacks beyond
 * that is made by evicting.
 *
 *     index    | bucket | bucket | bucket | bucket | ...
 *                 ^ hand: goes on by seven entries an eviction, around and around
 *     each entry   seen (census), settled (age), scored, offered to the candidates
 *     candidates   the sixteen worst that were seen -> the worst that is unchanged is the victim
 *
 * The hand goes in the order of the index, that is of hashes, and so in no order of anything else.
 * It reads no item: what an item is worth is in its entry, what it costs is its slot, by the page's
 * descriptor. So an eviction touches some lines of index and one item, the victim; it has no list
 * to keep and costs an item no byte. Eviction is over all sizes: compaction makes the room of
 * whatever size is wanted.
 *
 * WHAT IS NOT EVICTED: what is pinned, and `watched`. A flushed bucket that the hand meets gives
 * its bytes first: that costs nobody anything. After one time around without a victim there is
 * none.
 *
 * ROOM FOR AN ITEM is asked for, and if there is none, as many bytes are evicted as are wanted, and
 * it is asked again: a large item takes the place of many small ones, whose holes become pages only
 * together. What could not fit if all items went is refused before any goes (law K9). What is
 * charged makes room in the same way.
 *
 * Where nothing may be evicted, what is dead is removed instead.
 *
 * WHERE THE OS TAKES NO MEMORY BACK, evicting makes free pages that only items can use. So nothing
 * is evicted for what is charged, and for an item no more than it needs. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_sweep.h"
#include "mem/arena/arena.h"
#include "mem/object/chain.h"
#include "mem/object/pins.h"
#include "mem/slab/slab.h"
#include "work/key_hash.h"

#define HAND_ENTRIES 7u /* that the hand passes for each eviction */
/* with which an item surely finds room: a fragment for each tail, and one */
#define SPARE_PAGES 6u

/* The bytes that evicting it would free, without a look at the item itself unless it has several
 * fragments. Hits of bytes for each byte that is kept are hits: an item's size is nothing to
 * them. */
static uint32_t cost_of(const snug_shard *shard, snug_ref ref) {
	const struct snug_heap *heap = shard->heap;
	if (shard->options.evict_for == SNUG_EVICT_FOR_BYTES) return 1;
	uint64_t offset = ref & OFFSET_MASK;
	if (!snug_ref_is_contiguous(ref)) return (uint32_t)chain_size(heap, offset);
	return class_of_page(heap, page_of(&heap->arena, offset))->stride;
}

/* ------------------------------------------------------------------ the hand --------------- */

/* The hand passes an entry. Tells whether it is one. */
static bool see(snug_shard *shard, uint64_t *at) {
	uint64_t entry = *at;
	if (entry == 0) return false;
	SNUG_ASSERT(entry_ref(entry) != 0);
	rank_meta meta = (rank_meta)entry_meta(entry), settled = rank_settle(&shard->rank, meta);
	rank_see(&shard->rank, settled);
	if (UNLIKELY(settled != meta)) *at = entry = entry_with_meta(entry, settled);
	struct candidate candidate = {.place = (uint64_t)(uintptr_t)at, .entry = entry};
	candidate.score = rank_score(&shard->rank, settled, cost_of(shard, entry_ref(entry)));
	candidates_offer(&shard->candidates, candidate);
	return true;
}

static uint32_t see_bucket(snug_shard *shard, struct bucket *bucket) {
	uint32_t seen = 0;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) seen += see(shard, &bucket->entry[slot]);
	return seen;
}

/* The next bucket in the order of the index; with the last one of a group, what the group has
 * spilled. */
static uint32_t pass_bucket(snug_shard *shard, uint64_t places) {
	uint64_t place = index_place(&shard->index, shard->hand);
	struct bucket *bucket = index_bucket(&shard->index, place);
	uint32_t number = place % GROUP_BUCKETS;
	SNUG_ASSERT(places >= GROUP_BUCKETS);
	if (UNLIKELY(index_is_flushed(&shard->index, bucket)))
		index_settle(&shard->index, bucket, number);
	uint32_t seen = see_bucket(shard, bucket);
	shard->hand += UINT64_MAX / places;
	if (number + 1 < GROUP_BUCKETS) return seen;
	struct bucket *spill = &group_of(bucket, number)->spill;
	for (; spill != NULL; spill = spill_after(&shard->index, spill))
		seen += see_bucket(shard, spill);
	return seen;
}

/* ------------------------------------------------------------------ the victim ------------- */

/* The entry at an address that is still the same; false: it is not, or must stay. */
static bool is_evictable(const snug_shard *shard, const struct candidate *candidate) {
	const uint64_t *at = (const uint64_t *)(uintptr_t)candidate->place;
	snug_ref ref = entry_ref(candidate->entry);
	if (*at != candidate->entry || ref == shard->watched) return false;
	return LIKELY(shard->heap->pins.count == 0) ||
		   pin_count(&shard->heap->pins, ref & OFFSET_MASK) == 0;
}

/* What looking for its key would have found. */
static struct probe probe_at(const snug_shard *shard, uint64_t *at, uint64_t hash) {
	struct probe probe = {.index = &shard->index};
	probe.entry = at;
	uint64_t place = index_place(&shard->index, hash);
	probe.home = index_bucket(&shard->index, place);
	probe.home_number = place % GROUP_BUCKETS;
	probe.bucket = (struct bucket *)((uintptr_t)at & ~(uintptr_t)63);
	SNUG_ASSERT((size_t)(at - probe.bucket->entry) < BUCKET_ENTRIES);
	return probe;
}

enum found { FOUND_NOTHING, FOUND_FLUSHED, FOUND_VICTIM };

/* What was flushed makes room as well, and costs nobody anything: then there is no victim. */
static enum found find_victim(snug_shard *shard, struct candidate *victim) {
	const struct index *index = &shard->index;
	uint64_t places = (uint64_t)(index->from > index->to ? index->from : index->to) * GROUP_BUCKETS;
	uint64_t flushed_bytes = shard->flushed_bytes;
	if (index->count == 0) return FOUND_NOTHING;
	/* Once around at most, and one more: all may be pinned. */
	for (uint64_t left = places + 1; left > 0;) {
		for (uint32_t seen = 0; seen < HAND_ENTRIES && left > 0; left--) {
			seen += pass_bucket(shard, places);
			if (UNLIKELY(shard->flushed_bytes != flushed_bytes)) return FOUND_FLUSHED;
		}
		while (candidates_take(&shard->candidates, victim))
			if (is_evictable(shard, victim)) return FOUND_VICTIM;
	}
	return FOUND_NOTHING;
}

uint64_t shard_evict_one(snug_shard *shard) {
	struct candidate victim;
	uint64_t flushed_bytes = shard->flushed_bytes;
	switch (find_victim(shard, &victim)) {
	case FOUND_NOTHING:
		return 0;
	case FOUND_FLUSHED:
		return shard->flushed_bytes - flushed_bytes;
	case FOUND_VICTIM:
		break;
	}
	const void *item = snug_ref_at(shard->heap, entry_ref(victim.entry));
	struct item_head head = item_read(item);
	SNUG_ASSERT(head.key_bytes <= SNUG_KEY_BYTES_MAX && entry_ref(victim.entry) != shard->watched);
	uint64_t hash = key_hash(item_key(item, &head), head.key_bytes);
	struct probe probe = probe_at(shard, (uint64_t *)(uintptr_t)victim.place, hash);
	/* Its bucket was passed before the flush, or has spilled it and is still to be passed. */
	if (UNLIKELY(index_is_flushed(&shard->index, probe.home))) {
		index_settle(&shard->index, probe.home, probe.home_number);
		return shard->flushed_bytes - flushed_bytes;
	}
	if (shard_is_expired(shard, &head)) {
		shard_drop(shard, &probe, &head, DROP_EXPIRED);
	} else {
		ghosts_remember(&shard->ghosts, hash, rank_class((rank_meta)entry_meta(victim.entry)));
		shard_drop(shard, &probe, &head, DROP_EVICTED);
	}
	return item_bytes(&head);
}

/* ------------------------------------------------------------------ room ------------------- */

uint64_t shard_make_room(snug_shard *shard) {
	return shard->options.no_eviction ? shard_remove_dead(shard) : shard_evict_one(shard);
}

bool shard_can_never_fit(const snug_shard *shard, size_t bytes) {
	uint64_t limit_bytes = shard->heap->arena.limit_goal_bytes,
			 other_bytes = shard->heap->arena.charged_bytes;
	return other_bytes > limit_bytes || bytes > limit_bytes - other_bytes;
}

/* Whether evicting can mend an error. Where the OS gives or takes no memory it can as long as free
 * pages are what is missing; with those at hand it is a table that cannot grow, and no item's room
 * helps. */
static bool eviction_helps(const snug_shard *shard, snug_error error, size_t bytes) {
	if (error != SNUG_ERROR_OS_MEMORY) return error == SNUG_ERROR_NO_MEMORY;
	const struct arena *arena = &shard->heap->arena;
	return arena_free_pages(arena) < (bytes >> arena->page_shift) + SPARE_PAGES;
}

/* Head and key must lie in one extent; fragments are larger than that, but it is not theirs to
 * promise. */
static snug_error require_whole_head(snug_shard *shard, size_t bytes, snug_ref ref,
									 size_t head_bytes) {
	snug_extent extent;
	size_t count = 1;
	if (snug_ref_is_contiguous(ref)) return SNUG_OK;
	snug_error error = snug_ref_view(shard->heap, ref, bytes, 0, head_bytes, &extent, &count);
	if (!error) return SNUG_OK;
	snug_error freed = snug_ref_free(shard->heap, ref, bytes);
	SNUG_ASSERT(!freed);
	(void)freed;
	return error;
}

static snug_error alloc_any(snug_shard *shard, size_t bytes, bool contiguous, bool evicts,
							snug_ref *out) {
	snug_alloc_options options = {.contiguous = contiguous};
	for (;;) {
		snug_error error = contiguous ? snug_ref_alloc_with(shard->heap, bytes, &options, out)
									  : snug_ref_alloc(shard->heap, bytes, out);
		if (!evicts || !eviction_helps(shard, error, bytes)) return error;
		if (shard_can_never_fit(shard, bytes)) return error;
		for (uint64_t evicted_bytes = 0; evicted_bytes < bytes;) {
			uint64_t gained_bytes = shard_make_room(shard);
			if (gained_bytes == 0) return error;
			evicted_bytes += gained_bytes;
		}
	}
}

snug_error shard_alloc(snug_shard *shard, size_t bytes, size_t head_bytes, bool evicts,
					   snug_ref *out) {
	snug_ref ref;
	SNUG_ASSERT(head_bytes > 0 && head_bytes <= bytes);
	snug_error error = alloc_any(shard, bytes, false, evicts, &ref);
	if (error) return error;
	error = require_whole_head(shard, bytes, ref, head_bytes);
	if (error == SNUG_ERROR_TOO_MANY_EXTENTS) error = alloc_any(shard, bytes, true, evicts, &ref);
	SNUG_ASSERT(error || ref != shard->watched);
	if (!error) *out = ref;
	return error;
}

static void grow_ghosts(snug_shard *shard) {
	char *end = (char *)shard->ghosts.table + ghosts_bytes(&shard->ghosts);
	if (snug_shard_charge(shard, GHOST_GRAIN_BYTES) != SNUG_OK) return;
	if (shard->os->commit(shard->os->context, end, GHOST_GRAIN_BYTES))
		ghosts_grow(&shard->ghosts);
	else
		snug_shard_discharge(shard, GHOST_GRAIN_BYTES);
}

/* False: the OS does not take it back. */
static bool shrink_ghosts(snug_shard *shard) {
	char *end = (char *)shard->ghosts.table + ghosts_bytes(&shard->ghosts);
	if (!shard->os->decommit(shard->os->context, end - GHOST_GRAIN_BYTES, GHOST_GRAIN_BYTES))
		return false;
	ghosts_shrink(&shard->ghosts);
	snug_shard_discharge(shard, GHOST_GRAIN_BYTES);
	return true;
}

static enum ghosts_fit fit_of_ghosts(const snug_shard *shard) {
	return ghosts_fit(&shard->ghosts, shard->rank.tick_bytes * RANK_TICKS_PER_TURNOVER,
					  shard->linked);
}

void shard_fit_ghosts(snug_shard *shard) {
	if (shard->options.no_eviction) return; /* nothing will be remembered */
	enum ghosts_fit fit = fit_of_ghosts(shard);
	if (UNLIKELY(fit == GHOSTS_GROW))
		grow_ghosts(shard);
	else if (UNLIKELY(fit == GHOSTS_SHRINK))
		(void)shrink_ghosts(shard);
}

/* What the OS did not take back it is not asked for again, until the table is another size. */
bool shard_shrink_ghosts(snug_shard *shard) {
	size_t bytes = ghosts_bytes(&shard->ghosts);
	if (bytes == shard->ghosts_refused_bytes || fit_of_ghosts(shard) != GHOSTS_SHRINK) return false;
	if (shrink_ghosts(shard)) return true;
	shard->ghosts_refused_bytes = bytes;
	return false;
}

uint64_t snug_shard_evict(snug_shard *shard, uint64_t bytes) {
	uint64_t evicted_bytes = 0;
	if (shard == NULL || shard->options.no_eviction) return 0;
	while (evicted_bytes < bytes) {
		uint64_t gained_bytes = shard_evict_one(shard);
		if (gained_bytes == 0) break;
		uint64_t flushed_bytes = shard->flushed_bytes;
		(void)shard_index_step(shard);
		evicted_bytes += gained_bytes + (shard->flushed_bytes - flushed_bytes);
	}
	return evicted_bytes;
}

/* ------------------------------------------------------------------ the caller's memory ---- */

snug_error snug_shard_charge(snug_shard *shard, size_t bytes) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	snug_error error = snug_heap_charge(shard->heap, bytes);
	if (error == SNUG_ERROR_NO_MEMORY && shard_can_never_fit(shard, bytes)) return error;
	while (error == SNUG_ERROR_NO_MEMORY) {
		for (uint64_t evicted_bytes = 0; evicted_bytes < bytes;) {
			uint64_t gained_bytes = shard_make_room(shard);
			if (gained_bytes == 0) return error;
			evicted_bytes += gained_bytes;
		}
		error = snug_heap_charge(shard->heap, bytes);
	}
	return error;
}

void snug_shard_discharge(snug_shard *shard, size_t bytes) {
	if (shard == NULL) return;
	snug_error error = snug_heap_discharge(shard->heap, bytes);
	SNUG_ASSERT(!error);
	(void)error;
}
