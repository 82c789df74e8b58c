/* cache/shard_evict.c: room for an item. The pools compact by themselves; what they lack beyond that is made by evicting. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard_state.h"
#include "mem/chain.h"
#include "mem/pins.h"
#include "mem/slab.h"

#define HAND_CANDIDATES 12u /* that an eviction chooses from */

/* The bytes that evicting it would free, without a look at the item itself unless it has several fragments. */
static uint32_t slot_bytes_of(const snug_shard *shard, snug_ref ref) {
	const struct snug_pools *pools = shard->pools;
	uint64_t offset = ref & OFFSET_MASK;
	if (!snug_ref_is_contiguous(ref)) return (uint32_t)chain_size(pools, offset);
	return class_of_page(pools, page_of(&pools->arena, offset))->stride;
}

struct candidate {
	struct probe probe;
	float value;
	bool found;
};

/* An entry against the best so far; `home` is its bucket. Tells whether it is one at all. */
static bool consider(snug_shard *shard, struct bucket *home, uint32_t home_number, struct bucket *bucket, uint32_t slot,
					 struct candidate *best) {
	uint64_t entry = bucket->entry[slot];
	snug_ref ref = entry_ref(entry);
	if (entry == 0 || ref == shard->watched) return false;
	rank_meta meta = (rank_meta)entry_meta(entry), settled = rank_settle(&shard->rank, meta);
	rank_see(&shard->rank, settled);
	if (UNLIKELY(settled != meta)) bucket->entry[slot] = entry_with_meta(entry, settled);
	float value = rank_score(&shard->rank, settled, slot_bytes_of(shard, ref));
	if (best->found && best->value <= value) return true;
	if (UNLIKELY(shard->pools->pins.count > 0) && pin_count(&shard->pools->pins, ref & OFFSET_MASK) > 0) return false;
	best->found = true;
	best->value = value;
	best->probe = (struct probe){.index = &shard->index,
								 .home = home,
								 .bucket = bucket,
								 .entry = &bucket->entry[slot],
								 .home_number = (uint8_t)home_number};
	return true;
}

/* The bucket at a place, and if it has spilled something, what its group has. Tells how many there were. */
static uint32_t consider_place(snug_shard *shard, uint64_t place, struct candidate *best) {
	uint32_t number = place % GROUP_BUCKETS;
	struct bucket *home = index_bucket(&shard->index, place);
	struct group *group = group_of(home, number);
	uint32_t candidates = 0;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		candidates += consider(shard, home, number, home, slot, best);
	if (home->word == 0) return candidates;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		uint32_t other = spill_home(&group->spill, slot);
		candidates += consider(shard, &group->bucket[other], other, &group->spill, slot, best);
	}
	return candidates;
}

/* The hand goes on over the places in order until it has seen enough, once around at most: all may be pinned. */
static bool find_victim(snug_shard *shard, struct candidate *best) {
	const struct index *index = &shard->index;
	uint64_t places = (uint64_t)(index->from > index->to ? index->from : index->to) * GROUP_BUCKETS;
	uint64_t stride = UINT64_MAX / places;
	uint32_t candidates = 0;
	for (uint64_t left = index->count > 0 ? places + 1 : 0; left > 0 && candidates < HAND_CANDIDATES; left--) {
		candidates += consider_place(shard, index_place(index, shard->hand), best);
		shard->hand += stride;
	}
	return best->found;
}

uint32_t shard_evict_one(snug_shard *shard) {
	struct candidate best = {.found = false};
	if (!find_victim(shard, &best)) return 0;
	struct item_head head = item_read(snug_ref_at(shard->pools, entry_ref(*best.probe.entry)));
	shard_drop(shard, &best.probe, &head, shard_is_dead(shard, &head) ? DROP_DEAD : DROP_EVICTED);
	return item_bytes(&head);
}

/* Head and key must lie in one extent; fragments are larger than that, but it is not theirs to promise. */
static snug_error require_whole_head(snug_shard *shard, size_t bytes, snug_ref ref, size_t head_bytes) {
	snug_extent extent;
	size_t count = 1;
	if (snug_ref_is_contiguous(ref)) return SNUG_OK;
	snug_error error = snug_ref_view(shard->pools, ref, bytes, 0, head_bytes, &extent, &count);
	if (!error) return SNUG_OK;
	snug_error freed = snug_ref_free(shard->pools, ref, bytes);
	SNUG_ASSERT(!freed);
	(void)freed;
	return error;
}

static snug_error alloc_any(snug_shard *shard, size_t bytes, bool contiguous, snug_ref *out) {
	snug_alloc_options options = {.contiguous = contiguous};
	for (;;) {
		snug_error error = contiguous ? snug_ref_alloc_with(shard->pools, bytes, &options, out)
									  : snug_ref_alloc(shard->pools, bytes, out);
		if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) return error;
		if (shard->options.no_eviction) return error;
		/* As many bytes as are wanted, before asking again: a large item takes the place of many small ones. */
		for (size_t evicted_bytes = 0; evicted_bytes < bytes;) {
			uint32_t gained_bytes = shard_evict_one(shard);
			if (gained_bytes == 0) return error;
			evicted_bytes += gained_bytes;
		}
	}
}

snug_error shard_alloc(snug_shard *shard, size_t bytes, size_t head_bytes, snug_ref *out) {
	snug_ref ref;
	snug_error error = alloc_any(shard, bytes, false, &ref);
	if (error) return error;
	error = require_whole_head(shard, bytes, ref, head_bytes);
	if (error == SNUG_ERROR_TOO_MANY_EXTENTS) error = alloc_any(shard, bytes, true, &ref);
	if (!error) *out = ref;
	return error;
}

uint64_t snug_shard_evict(snug_shard *shard, uint64_t bytes) {
	uint64_t evicted_bytes = 0;
	if (shard == NULL) return 0;
	while (evicted_bytes < bytes) {
		uint32_t gained_bytes = shard_evict_one(shard);
		if (gained_bytes == 0) break;
		evicted_bytes += gained_bytes;
		shard_index_step(shard);
	}
	return evicted_bytes;
}
