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

struct hint *hint_claim(snug_shard *shard, struct hint_lots *lots) {
	uint64_t lot = draw(lots);
	for (uint32_t try = 0; try < CLAIM_TRIES; try++, lot >>= 6) {
		struct hint *hint = &shard->hints.board[lot % HINTS];
		uint32_t none = 0;
		if (atomic_load_explicit(&hint->weight, memory_order_relaxed) == 0 &&
			atomic_compare_exchange_strong_explicit(&hint->weight, &none, HINT_CLAIMED,
													memory_order_acquire, memory_order_relaxed))
			return hint;
	}
	lots->skipped += lots->skipped < UINT16_MAX;
	return NULL;
}

void hint_post(snug_shard *shard, struct hint *hint, struct hint_lots *lots, uint64_t hash,
			   uint32_t now_s, bool is_first) {
	SNUG_ASSERT(hint >= shard->hints.board && hint < shard->hints.board + HINTS);
	SNUG_ASSERT(lots->skipped <= UINT16_MAX);
	atomic_store_explicit(&hint->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&hint->used_s, now_s, memory_order_relaxed);
	/* whoever sees it sees the others */
	atomic_store_explicit(&hint->weight, (lots->skipped + 1) | (is_first ? HINT_FIRST : 0),
						  memory_order_release);
	atomic_store_explicit(&shard->hints.is_posted, true, memory_order_release);
	lots->skipped = 0;
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

static void take_line(snug_shard *shard, struct hint *line) {
	struct use use[HINTS_A_LINE];
	uint32_t count = 0;
	for (uint32_t i = 0; i < HINTS_A_LINE; i++) {
		uint32_t weight = atomic_load_explicit(&line[i].weight, memory_order_acquire);
		if (weight == 0 || weight == HINT_CLAIMED) continue;
		use[count].hash = atomic_load_explicit(&line[i].hash, memory_order_relaxed);
		use[count].used_s = atomic_load_explicit(&line[i].used_s, memory_order_relaxed);
		use[count].weight = weight & ~HINT_FIRST;
		use[count].is_first = (weight & HINT_FIRST) != 0;
		atomic_store_explicit(&line[i].weight, 0, memory_order_release);
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
	/* Before the looks: what is posted behind one of them says so again. */
	(void)atomic_exchange_explicit(&hints->is_posted, false, memory_order_seq_cst);
	for (uint32_t at = 0; at < HINTS; at += HINTS_A_LINE) take_line(shard, &hints->board[at]);
}
