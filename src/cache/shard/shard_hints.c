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

struct hint *hints_place(snug_shard *shard, struct hint_lots *lots) {
	struct hint *hint = &shard->hints.board[draw(lots) % HINTS];
	if (LIKELY(atomic_load_explicit(&hint->weight, memory_order_relaxed) == 0)) return hint;
	lots->skipped += lots->skipped < UINT16_MAX;
	return NULL;
}

void hint_post(snug_shard *shard, struct hint *hint, struct hint_lots *lots, uint64_t hash,
			   uint32_t now_s) {
	_Atomic bool *is_posted = &shard->hints.is_posted;
	SNUG_ASSERT(hint >= shard->hints.board && hint < shard->hints.board + HINTS);
	SNUG_ASSERT(lots->skipped <= UINT16_MAX);
	atomic_store_explicit(&hint->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&hint->used_s, now_s, memory_order_relaxed);
	/* last: whoever sees it sees the others */
	atomic_store_explicit(&hint->weight, lots->skipped + 1, memory_order_release);
	lots->skipped = 0;
	/* where much is posted the line stays as it is */
	if (!atomic_load_explicit(is_posted, memory_order_relaxed))
		atomic_store_explicit(is_posted, true, memory_order_relaxed);
}

/* ------------------------------------------------------------------ the owner -------------- */

struct use {
	uint64_t hash;
	uint32_t used_s;
	uint32_t weight;
};

static void note_use(snug_shard *shard, const struct use *use) {
	uint32_t noted_s;
	SNUG_ASSERT(use->weight > 0);
	if (recent_recall(&shard->recent, use->hash, &noted_s) && noted_s >= use->used_s) return;
	recent_use(&shard->recent, use->hash, use->used_s);
}

static void take(snug_shard *shard, const struct use *use) {
	struct probe probe = index_probe(&shard->index, use->hash);
	if (index_is_flushed(&shard->index, probe.home) || !probe_next(&probe)) return;
	uint64_t entry = *probe.entry;
	SNUG_ASSERT(entry != 0 && entry >> TAG_SHIFT == (use->hash & 0xFFF));
	uint32_t meta = rank_hits(&shard->rank, (rank_meta)entry_meta(entry), use->weight);
	entry_set(probe.entry, entry_with_meta(entry, meta));
	note_use(shard, use);
	unsigned char *item = snug_ref_at(shard->heap, entry_ref(entry));
	if ((*item & MARK_FETCHED) == 0 && shard_hash_of_item(shard, entry_ref(entry)) == use->hash)
		*item |= MARK_FETCHED;
}

static void take_line(snug_shard *shard, struct hint *line) {
	struct use use[HINTS_A_LINE];
	uint32_t count = 0;
	for (uint32_t i = 0; i < HINTS_A_LINE; i++) {
		uint32_t weight = atomic_load_explicit(&line[i].weight, memory_order_acquire);
		if (weight == 0) continue;
		use[count].hash = atomic_load_explicit(&line[i].hash, memory_order_relaxed);
		use[count].used_s = atomic_load_explicit(&line[i].used_s, memory_order_relaxed);
		use[count].weight = weight;
		atomic_store_explicit(&line[i].weight, 0, memory_order_relaxed);
		__builtin_prefetch(index_bucket(&shard->index, index_place(&shard->index, use[count].hash)),
						   1);
		count++;
	}
	SNUG_ASSERT(count <= HINTS_A_LINE);
	for (uint32_t i = 0; i < count; i++) take(shard, &use[i]);
}

void shard_take_hints(snug_shard *shard) {
	struct hints *hints = &shard->hints;
	SNUG_ASSERT(shard->watched == 0); /* nothing of the shard's is under way */
	if (LIKELY(!atomic_load_explicit(&hints->is_posted, memory_order_relaxed))) return;
	atomic_store_explicit(&hints->is_posted, false, memory_order_relaxed);
	for (uint32_t at = 0; at < HINTS; at += HINTS_A_LINE) take_line(shard, &hints->board[at]);
}
