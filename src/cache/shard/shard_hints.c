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

void shard_hint(snug_shard *shard, struct hint_lots *lots, uint64_t hash, uint32_t meta,
				uint32_t marks) {
	uint32_t tick = __atomic_load_n(&shard->rank.tick, __ATOMIC_RELAXED);
	uint64_t lot = draw(lots), hint = (hash & ~(HINT_MANY | HINT_FIRST)) | HINT_THERE;
	if (UNLIKELY((marks & MARK_FETCHED) == 0)) {
		hint |= HINT_FIRST;
	} else if ((meta - tick) % STAMPS == 0) {
		if (lot % HINT_WEIGHT != 0) return;
		hint |= HINT_MANY;
	}
	atomic_store_explicit(&shard->hints.posted[lot / HINT_WEIGHT % HINTS], hint,
						  memory_order_relaxed);
}

/* ------------------------------------------------------------------ the owner -------------- */

static void mark_fetched(snug_shard *shard, snug_ref ref, uint64_t hint) {
	const uint64_t own = HINT_THERE | HINT_MANY | HINT_FIRST;
	if (((shard_hash_of_item(shard, ref) ^ hint) & ~own) != 0) return;
	*(unsigned char *)snug_ref_at(shard->heap, ref) |= MARK_FETCHED;
}

static void take(snug_shard *shard, uint64_t hint) {
	struct probe probe = index_probe(&shard->index, hint);
	if (index_is_flushed(&shard->index, probe.home) || !probe_next(&probe)) return;
	uint64_t entry = *probe.entry;
	uint32_t uses = hint & HINT_MANY ? HINT_WEIGHT : 1;
	SNUG_ASSERT((hint & HINT_THERE) != 0 && entry != 0);
	entry_set(probe.entry,
			  entry_with_meta(entry, rank_hits(&shard->rank, (rank_meta)entry_meta(entry), uses)));
	recent_use(&shard->recent, hint, shard_now_s(shard));
	if (hint & HINT_FIRST) mark_fetched(shard, entry_ref(entry), hint);
}

/* Tells how many there were. */
static uint32_t take_line(snug_shard *shard, _Atomic uint64_t *line) {
	uint64_t hint[HINTS_A_LINE];
	uint32_t count = 0;
	for (uint32_t i = 0; i < HINTS_A_LINE; i++) {
		hint[count] = atomic_load_explicit(&line[i], memory_order_relaxed);
		if (hint[count] == 0) continue;
		atomic_store_explicit(&line[i], 0, memory_order_relaxed);
		__builtin_prefetch(index_bucket(&shard->index, index_place(&shard->index, hint[count])), 1);
		count++;
	}
	SNUG_ASSERT(count <= HINTS_A_LINE);
	for (uint32_t i = 0; i < count; i++) take(shard, hint[i]);
	return count;
}

void shard_take_hints(snug_shard *shard) {
	struct hints *hints = &shard->hints;
	for (uint32_t lines = 0; lines < HINTS / HINTS_A_LINE; lines++) {
		uint32_t at = hints->next;
		SNUG_ASSERT(at < HINTS && at % HINTS_A_LINE == 0);
		hints->next = (at + HINTS_A_LINE) % HINTS;
		if (take_line(shard, &hints->posted[at]) < HINTS_A_LINE / 2) return;
	}
}
