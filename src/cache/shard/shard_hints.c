/* cache/shard/shard_hints.c: posting and taking hints: shard_hints.h says what they are for. */
#include "cache/shard/shard_hints.h"

#include "base/bits.h"
#include "cache/shard/shard_state.h"

/* Marsaglia's xorshift. */
static inline uint64_t draw(struct hint_lots *lots) {
	SNUG_ASSERT(lots->state != 0);
	lots->state ^= lots->state << 13;
	lots->state ^= lots->state >> 7;
	lots->state ^= lots->state << 17;
	return lots->state >> 20;
}

#define CLAIM_TRIES 3u

struct hint *hint_claim(snug_shard *shard, uint32_t worker, struct hint_lots *lots) {
	uint64_t lot = draw(lots);
	for (uint32_t try = 0; try < CLAIM_TRIES; try++, lot >>= 6) {
		struct hint *hint = &shard->hints.board[lot % HINTS];
		uint32_t none = 0;
		if (atomic_load_explicit(&hint->weight, memory_order_relaxed) == 0 &&
			atomic_compare_exchange_strong_explicit(&hint->weight, &none, HINT_CLAIMED,
													memory_order_acquire, memory_order_relaxed))
			return hint;
	}
	if (lots->skipped[worker] < UINT16_MAX) lots->skipped[worker]++;
	return NULL;
}

void hint_post(snug_shard *shard, struct hint *hint, uint32_t worker, struct hint_lots *lots,
			   const struct hint_use *use) {
	_Atomic bool *is_posted = &shard->hints.is_posted;
	uint32_t weight = lots->skipped[worker] + 1u;
	SNUG_ASSERT(hint >= shard->hints.board && hint < shard->hints.board + HINTS);
	SNUG_ASSERT(weight < HINT_FIRST);
	atomic_store_explicit(&hint->hash, use->hash, memory_order_relaxed);
	atomic_store_explicit(&hint->used_s, use->used_s, memory_order_relaxed);
	/* Whoever sees it sees the others; and it is there before the look at is_posted, which is why the
	 * order is total: the owner takes that back before he looks at the board. */
	atomic_exchange_explicit(&hint->weight, use->is_first ? weight | HINT_FIRST : weight,
							 memory_order_seq_cst);
	if (!atomic_load_explicit(is_posted, memory_order_seq_cst))
		atomic_store_explicit(is_posted, true, memory_order_seq_cst);
	lots->skipped[worker] = 0;
}

/* ------------------------------------------------------------------ the owner -------------- */

struct use {
	uint64_t hash;
	uint32_t used_s;
	uint32_t weight;
	bool is_first;
};

static void note_use(snug_shard *shard, const struct use *use) {
	uint32_t noted_s;
	SNUG_ASSERT(use->weight > 0);
	if (recent_recall(&shard->recent, use->hash, &noted_s) && noted_s >= use->used_s) return;
	recent_use(&shard->recent, use->hash, use->used_s);
}

/* The item of the key, if it is still there: the first one with the tag need not be it. */
static void mark_fetched(snug_shard *shard, struct probe *probe, const struct use *use) {
	do {
		snug_ref ref = entry_ref(*probe->entry);
		if (shard_hash_of_item(shard, ref) != use->hash) continue;
		*(unsigned char *)snug_ref_at(shard->heap, ref) |= MARK_FETCHED;
		return;
	} while (probe_next(probe));
}

static void take(snug_shard *shard, const struct use *use) {
	struct probe probe = index_probe(&shard->index, use->hash);
	if (index_is_flushed(&shard->index, probe.home) || !probe_next(&probe)) return;
	uint64_t entry = *probe.entry;
	SNUG_ASSERT(entry != 0 && entry >> TAG_SHIFT == (use->hash & 0xFFF));
	uint32_t meta = rank_hits(&shard->rank, (rank_meta)entry_meta(entry), use->weight);
	entry_set(probe.entry, entry_with_meta(entry, meta));
	note_use(shard, use);
	if (use->is_first) mark_fetched(shard, &probe, use);
}

/* What stands at a place, and is taken off it. False: nothing, or it may wait. */
static bool take_off(struct hint *hint, bool only_first, struct use *use) {
	uint32_t weight = atomic_load_explicit(&hint->weight, memory_order_acquire);
	if (weight == 0 || weight == HINT_CLAIMED) return false;
	if (only_first && (weight & HINT_FIRST) == 0) return false;
	use->hash = atomic_load_explicit(&hint->hash, memory_order_relaxed);
	use->used_s = atomic_load_explicit(&hint->used_s, memory_order_relaxed);
	use->weight = weight & ~HINT_FIRST;
	use->is_first = (weight & HINT_FIRST) != 0;
	atomic_store_explicit(&hint->weight, 0, memory_order_release);
	return true;
}

#define TAKEN_AT_ONCE 8u /* first fetches aside */

void shard_take_hints(snug_shard *shard) {
	struct hints *hints = &shard->hints;
	struct use use[HINTS];
	uint32_t count = 0;
	SNUG_ASSERT(shard->watched == 0); /* nothing of the shard's is under way */
	if (LIKELY(!atomic_load_explicit(&hints->is_posted, memory_order_relaxed))) return;
	/* Before the looks: what is posted behind one of them says so again. */
	(void)atomic_exchange_explicit(&hints->is_posted, false, memory_order_seq_cst);
	uint32_t at = hints->next;
	for (uint32_t places = 0; places < HINTS; places++, at = (at + 1) % HINTS) {
		if (!take_off(&hints->board[at], count >= TAKEN_AT_ONCE, &use[count])) continue;
		__builtin_prefetch(index_bucket(&shard->index, index_place(&shard->index, use[count].hash)),
						   1);
		if (++count == TAKEN_AT_ONCE) hints->next = at;
	}
	for (uint32_t i = 0; i < count; i++) take(shard, &use[i]);
	/* some may have been left */
	if (count >= TAKEN_AT_ONCE)
		atomic_store_explicit(&hints->is_posted, true, memory_order_relaxed);
}
