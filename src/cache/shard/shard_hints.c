/* cache/shard/shard_hints.c: posting and taking hints: shard_hints.h says what they are for. */
#include "cache/shard/shard_hints.h"

#include "base/bits.h"
#include "cache/shard/shard_state.h"

_Static_assert(sizeof(struct hint) * HINT_LINE == 64, "a line of the board is one of the cache");

/* The first place of any line of that part: Marsaglia's xorshift. */
static inline uint32_t draw_line(struct hint_lots *lots, uint32_t part) {
	uint32_t lines = (part == 0 ? HINTS_SAMPLED : HINTS - HINTS_SAMPLED) / HINT_LINE;
	SNUG_ASSERT(lots->state != 0);
	lots->state ^= lots->state << 13;
	lots->state ^= lots->state >> 7;
	lots->state ^= lots->state << 17;
	return hint_part_begin(part) + (uint32_t)(lots->state >> 20) % lines * HINT_LINE;
}

/* From `at` to the end of its line. */
static struct hint *claim_on_line(struct hints *hints, uint32_t at) {
	do {
		struct hint *hint = &hints->board[at];
		uint32_t none = 0;
		if (atomic_load_explicit(&hint->weight, memory_order_relaxed) == 0 &&
			atomic_compare_exchange_strong_explicit(&hint->weight, &none, HINT_CLAIMED,
													memory_order_acquire, memory_order_relaxed))
			return hint;
	} while (++at % HINT_LINE != 0);
	return NULL;
}

/* Where the last one was found, then on any line; what must be told, on all of them. */
static struct hint *claim(struct hints *hints, struct hint_lots *lots, uint32_t at, uint32_t part) {
	struct hint *hint = claim_on_line(hints, at);
	if (hint == NULL) hint = claim_on_line(hints, draw_line(lots, part));
	for (uint32_t line = HINTS_SAMPLED; hint == NULL && part > 0 && line < HINTS; line += HINT_LINE)
		hint = claim_on_line(hints, line);
	return hint;
}

#define RESTS 3u

struct hint *hint_claim(snug_shard *shard, uint32_t worker, struct hint_lots *lots, bool must) {
	struct hints *hints = &shard->hints;
	uint32_t part = must ? 1 : 0;
	uint8_t *at = &lots->at[part][worker];
	struct hint *hint = NULL;
	SNUG_ASSERT((*at < HINTS_SAMPLED) == (part == 0));
	if (must || lots->rests[worker] == 0) {
		hint = claim(hints, lots, *at, part);
		uint32_t next = hint == NULL ? 0 : (uint32_t)(hint - hints->board) + 1;
		*at = (uint8_t)(next % HINT_LINE != 0 ? next : draw_line(lots, part));
		if (hint == NULL && !must) lots->rests[worker] = RESTS;
	} else {
		lots->rests[worker]--;
	}
	if (hint == NULL && lots->skipped[worker] < UINT16_MAX) lots->skipped[worker]++;
	return hint;
}

void hint_post(snug_shard *shard, struct hint *hint, uint32_t worker, struct hint_lots *lots,
			   const struct hint_use *use) {
	_Atomic uint64_t *posted = &shard->hints.posted;
	uint64_t line = UINT64_C(1) << (uint32_t)(hint - shard->hints.board) / HINT_LINE;
	uint32_t weight = lots->skipped[worker] + 1u;
	SNUG_ASSERT(hint >= shard->hints.board && hint < shard->hints.board + HINTS);
	SNUG_ASSERT(weight < HINT_FIRST);
	atomic_store_explicit(&hint->hash, use->hash, memory_order_relaxed);
	atomic_store_explicit(&hint->used_s, use->used_s, memory_order_relaxed);
	/* Whoever sees it sees the others; and it is there before the look at `posted`, which is why
	 * the order is total: the owner takes that back before he looks at the board. */
	atomic_exchange_explicit(&hint->weight, use->is_first ? weight | HINT_FIRST : weight,
							 memory_order_seq_cst);
	if ((atomic_load_explicit(posted, memory_order_seq_cst) & line) == 0)
		atomic_fetch_or_explicit(posted, line, memory_order_seq_cst);
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
	shard_note_hit(probe.entry, meta);
	note_use(shard, use);
	if (use->is_first) mark_fetched(shard, &probe, use);
}

#define TAKEN_AT_ONCE 8u /* first fetches aside */

/* What stands at a place, and is taken off it. False: nothing, or it may wait, which is told. */
static bool take_off(struct hint *hint, bool only_first, struct use *use, bool *waits) {
	/* Of the total order, as hint_post's: behind the exchange of `posted`. */
	uint32_t weight = atomic_load_explicit(&hint->weight, memory_order_seq_cst);
	if (weight == 0 || weight == HINT_CLAIMED) return false;
	if (only_first && (weight & HINT_FIRST) == 0) {
		*waits = true;
		return false;
	}
	use->hash = atomic_load_explicit(&hint->hash, memory_order_relaxed);
	use->used_s = atomic_load_explicit(&hint->used_s, memory_order_relaxed);
	use->weight = weight & ~HINT_FIRST;
	use->is_first = (weight & HINT_FIRST) != 0;
	atomic_store_explicit(&hint->weight, 0, memory_order_release);
	return true;
}

/* Takes what stands on these lines, and asks for the buckets. Tells how many; `*left` are the lines
 * on which something waits. */
static uint32_t take_lines(snug_shard *shard, uint64_t posted, struct use *use, uint64_t *left) {
	struct hints *hints = &shard->hints;
	uint32_t count = 0, first = hints->next;
	SNUG_ASSERT(first < HINT_LINES);
	/* bit 0 is the line that he begins with */
	uint64_t lines = posted >> first | posted << (HINT_LINES - first) % HINT_LINES;
	for (; lines != 0; lines &= lines - 1) {
		uint32_t line = (first + (uint32_t)__builtin_ctzll(lines)) % HINT_LINES;
		bool waits = false;
		for (uint32_t at = line * HINT_LINE; at < (line + 1) * HINT_LINE; at++) {
			if (!take_off(&hints->board[at], count >= TAKEN_AT_ONCE, &use[count], &waits)) continue;
			index_prefetch(&shard->index, use[count].hash);
			if (++count == TAKEN_AT_ONCE) hints->next = line;
		}
		if (waits) *left |= UINT64_C(1) << line;
	}
	return count;
}

/* The item's first lines, which say whose it is; the mark is on the first one. */
static void prefetch_first(const snug_shard *shard, uint64_t hash) {
	struct probe probe = index_probe(&shard->index, hash);
	if (probe.matches == 0) return;
	const char *item =
		snug_ref_at(shard->heap, entry_ref(probe.bucket->entry[__builtin_ctz(probe.matches)]));
	fetch_to_write(item);
	__builtin_prefetch(item + 64);
}

void shard_take_hints(snug_shard *shard) {
	struct hints *hints = &shard->hints;
	struct use use[HINTS];
	uint64_t left = 0;
	SNUG_ASSERT(shard->watched == 0); /* nothing of the shard's is under way */
	if (LIKELY(atomic_load_explicit(&hints->posted, memory_order_relaxed) == 0)) return;
	/* Before the looks: what is posted behind one of them says so again. */
	uint64_t posted = atomic_exchange_explicit(&hints->posted, 0, memory_order_seq_cst);
	uint32_t count = take_lines(shard, posted, use, &left);
	if (left != 0) atomic_fetch_or_explicit(&hints->posted, left, memory_order_relaxed);
	for (uint32_t i = 0; i < count; i++)
		if (use[i].is_first) prefetch_first(shard, use[i].hash);
	for (uint32_t i = 0; i < count; i++) take(shard, &use[i]);
}
