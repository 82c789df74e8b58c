/* cache/shard/shard_evict.c: which item goes.
 *
 *     index    | bucket | bucket | bucket | bucket | ...
 *                 ^ hand: goes on by seven entries an eviction, around and around
 *     each entry   seen (census), settled (age), scored, offered to the candidates
 *     newcomers    each is scored once more, when sixteen others have come, and offered
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
 * none. */
#include "base/bits.h"
#include "cache/shard/shard_find.h"
#include "cache/shard/shard_state.h"
#include "mem/object/chain.h"
#include "mem/object/pins.h"
#include "mem/slab/slab.h"
#include "work/key_hash.h"

#define HAND_ENTRIES 7u /* that the hand passes for each eviction */

/* The bytes that evicting it would free, without a look at the item itself unless it has several
 * fragments. Hits of bytes for each byte that is kept are hits: an item's size is nothing to
 * them. */
static inline uint32_t cost_of(const snug_shard *shard, snug_ref ref) {
	const struct snug_heap *heap = shard->heap;
	if (shard->options.evict_for == SNUG_EVICT_FOR_BYTES) return 1;
	uint64_t offset = ref & OFFSET_MASK;
	if (UNLIKELY(!snug_ref_is_contiguous(ref))) return (uint32_t)chain_size_near(heap, offset);
	return class_of_page(heap, page_of(&heap->arena, offset))->stride;
}

/* ------------------------------------------------------------------ the hand --------------- */

static inline bool is_pinned(const snug_shard *shard, snug_ref ref) {
	return UNLIKELY(shard->heap->pins.count > 0) && pin_count(shard->heap, ref & OFFSET_MASK) > 0;
}

/* What is pinned takes nobody's place among the candidates. */
static inline __attribute__((always_inline)) void offer(snug_shard *shard, const uint64_t *at,
														uint64_t entry, float value) {
	snug_ref ref = entry_ref(entry);
	if (is_pinned(shard, ref)) return;
	struct candidate candidate = {.place = (uint64_t)(uintptr_t)at, .entry = entry};
	candidates_offer(&shard->candidates, candidate, value / (float)cost_of(shard, ref));
}

/* The hand passes an entry. Tells whether it is one. */
static inline __attribute__((always_inline)) bool see(snug_shard *shard, uint64_t *at) {
	uint64_t entry = *at;
	if (entry == 0) return false;
	SNUG_ASSERT(entry_ref(entry) != 0);
	rank_meta meta = (rank_meta)entry_meta(entry), settled = meta;
	float value = rank_pass(&shard->rank, &settled);
	if (UNLIKELY(settled != meta)) entry_set(at, entry = entry_with_meta(entry, settled));
	offer(shard, at, entry, value);
	return true;
}

/* What a chain takes stands in its first trailer, a miss of the cache for each, unless that fills a
 * page: where many items are chains, those of a bucket are fetched together. */
static void fetch_sizes(const snug_shard *shard, const struct bucket *bucket) {
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		snug_ref ref = entry_ref(bucket->entry[slot]);
		if (ref != 0 && !snug_ref_is_contiguous(ref) &&
			!chain_size_is_near(shard->heap, ref & OFFSET_MASK))
			__builtin_prefetch(fragment_trailer_at(shard->heap, ref & OFFSET_MASK));
	}
}

static bool has_many_chains(const snug_shard *shard) {
	return shard->heap->chains > shard->linked / 4 &&
		   shard->options.evict_for != SNUG_EVICT_FOR_BYTES;
}

static uint32_t see_bucket(snug_shard *shard, struct bucket *bucket) {
	uint32_t seen = 0;
	if (UNLIKELY(has_many_chains(shard))) fetch_sizes(shard, bucket);
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
	index_prefetch(&shard->index, shard->hand);
	if (number + 1 < GROUP_BUCKETS) return seen;
	struct bucket *spill = &group_of(bucket, number)->spill;
	for (; spill != NULL; spill = spill_after(&shard->index, spill))
		seen += see_bucket(shard, spill);
	return seen;
}

/* It is no part of the census, which looks at all alike. What has the same tag may be another item,
 * which is offered, then. Those that were spilled to other buckets are looked for as well: if they
 * were not, a tenth of the newcomers would stay as long as before, and crowd the groups where they
 * are (measured: 0.02 of the misses of a cache of a MiB). */
void shard_follow_newcomer(snug_shard *shard, uint64_t hash) {
	uint64_t oldest = newcomers_add(&shard->newcomers, hash);
	uint64_t next = index_place(&shard->index, newcomers_oldest(&shard->newcomers));
	__builtin_prefetch(index_bucket(&shard->index, next));
	if (oldest == 0) return;
	struct probe probe = index_probe(&shard->index, oldest);
	if (!probe_next(&probe)) return;
	uint64_t entry = *probe.entry;
	offer(shard, probe.entry, entry, rank_score(&shard->rank, (rank_meta)entry_meta(entry), 1));
}

/* ------------------------------------------------------------------ the victim ------------- */

/* The entry at an address that is still the same; false: it is not, or must stay. */
static bool is_evictable(const snug_shard *shard, const struct candidate *candidate) {
	const uint64_t *at = (const uint64_t *)(uintptr_t)candidate->place;
	snug_ref ref = entry_ref(candidate->entry);
	return *at == candidate->entry && ref != shard->watched && !is_pinned(shard, ref);
}

/* What looking for its key would have found. */
static struct probe probe_at(const snug_shard *shard, uint64_t *at, uint64_t hash) {
	struct probe probe = {.index = &shard->index};
	probe.entry = at;
	uint64_t place = index_place(&shard->index, hash);
	probe.home = index_bucket(&shard->index, place);
	probe.group = (uint32_t)(place / GROUP_BUCKETS);
	probe.home_number = place % GROUP_BUCKETS;
	probe.bucket = (struct bucket *)((uintptr_t)at & ~(uintptr_t)63);
	SNUG_ASSERT((size_t)(at - probe.bucket->entry) < BUCKET_ENTRIES);
	return probe;
}

/* What the candidates have that may go: up to `count`, their items on the way into the processor's
 * cache. */
static uint32_t take_victims(snug_shard *shard, struct candidate *victims, uint32_t count) {
	uint32_t taken = 0;
	while (taken < count && candidates_take(&shard->candidates, &victims[taken])) {
		if (!is_evictable(shard, &victims[taken])) continue;
		__builtin_prefetch(snug_ref_at(shard->heap, entry_ref(victims[taken].entry)));
		taken++;
	}
	return taken;
}

/* How many were found. What was flushed makes room as well, and costs nobody anything: if the hand
 * meets some there is no victim. */
static uint32_t find_victims(snug_shard *shard, struct candidate *victims, uint32_t count) {
	const struct index *index = &shard->index;
	uint64_t places = (uint64_t)(index->from > index->to ? index->from : index->to) * GROUP_BUCKETS;
	uint64_t flushed_bytes = shard->flushed_bytes;
	uint32_t found = 0;
	if (index->count == 0) return 0;
	/* Once around at most, and one more: all may be pinned. */
	for (uint64_t left = places + 1; left > 0 && found == 0;) {
		for (uint32_t seen = 0; seen < HAND_ENTRIES * count && left > 0; left--) {
			seen += pass_bucket(shard, places);
			if (UNLIKELY(shard->flushed_bytes != flushed_bytes)) return 0;
		}
		found = take_victims(shard, victims, count);
	}
	return found;
}

static void offer_again(snug_shard *shard, const struct candidate *candidate) {
	float value = rank_score(&shard->rank, (rank_meta)entry_meta(candidate->entry), 1);
	offer(shard, (const uint64_t *)(uintptr_t)candidate->place, candidate->entry, value);
}

/* To who wants to see what is evicted. */
static void show(struct snug_shard *shard, const struct candidate *victim,
				 const struct item_head *head, uint64_t hash) {
	const void *item = snug_ref_at(shard->heap, entry_ref(victim->entry));
	struct walked walked = {.key = {item_key(item, head), head->key_bytes, hash},
							.head = *head,
							.ref = entry_ref(victim->entry),
							.idle_s =
								shard_idle_s(shard, hash, (rank_meta)entry_meta(victim->entry))};
	shard->evicted(shard->evicted_context, &walked);
}

/* The bytes that went. */
static uint64_t evict(snug_shard *shard, const struct candidate *victim) {
	uint64_t flushed_bytes = shard->flushed_bytes;
	const void *item = snug_ref_at(shard->heap, entry_ref(victim->entry));
	struct item_head head = item_read(item);
	SNUG_ASSERT(head.key_bytes <= SNUG_KEY_BYTES_MAX && entry_ref(victim->entry) != shard->watched);
	uint64_t hash = key_hash(item_key(item, &head), head.key_bytes);
	ghosts_prefetch(&shard->ghosts, hash);
	struct probe probe = probe_at(shard, (uint64_t *)(uintptr_t)victim->place, hash);
	/* Its bucket was passed before the flush, or has spilled it and is still to be passed. */
	if (UNLIKELY(index_is_flushed(&shard->index, probe.home))) {
		index_settle(&shard->index, probe.home, probe.home_number);
		return shard->flushed_bytes - flushed_bytes;
	}
	bool is_expired = shard_is_expired(shard, &head);
	if (UNLIKELY(shard->evicted != NULL) && !is_expired) show(shard, victim, &head, hash);
	shard_drop(shard, &probe, &head, is_expired ? DROP_EXPIRED : DROP_EVICTED);
	if (!is_expired)
		ghosts_remember(&shard->ghosts, hash, rank_class((rank_meta)entry_meta(victim->entry)));
	return item_bytes(&head);
}

uint64_t shard_evict_one(snug_shard *shard) {
	return shard_evict_some(shard, 1, 1);
}

/* What was chosen before others went may have been moved by that, and what is not needed after a
 * large one is a candidate again. */
uint64_t shard_evict_some(snug_shard *shard, uint32_t count, uint64_t bytes) {
	struct candidate victims[SHARD_EVICTED_AT_ONCE];
	uint64_t flushed_bytes = shard->flushed_bytes;
	SNUG_ASSERT(count > 0 && count <= SHARD_EVICTED_AT_ONCE);
	uint32_t found = find_victims(shard, victims, count);
	uint64_t gained_bytes = shard->flushed_bytes - flushed_bytes;
	for (uint32_t i = 0; i < found; i++) {
		if (!is_evictable(shard, &victims[i])) continue;
		if (gained_bytes < bytes)
			gained_bytes += evict(shard, &victims[i]);
		else
			offer_again(shard, &victims[i]);
	}
	return gained_bytes;
}
