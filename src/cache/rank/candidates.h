/* cache/rank/candidates.h: the objects that the eviction hand has passed and found worth least,
 * kept for the next evictions.
 *
 * An eviction looks at a few entries only. Keeping the sixteen worst of those that were not evicted
 * lets each choose among some hundred: measured, seven entries with them decide as well as forty
 * without.
 *
 *     keys     | score, number | score, number | ...     a word each, in no order: the least is the
 *     kept     | place, entry  | place, entry  | ...     next to go, the greatest the next to be
 *               number 0        number 1                 displaced
 *
 * A candidate is where its entry stands and what was in it, all 64 bits. The owner takes the worst
 * and looks whether the entry is still the same: if it was hit, moved, replaced or is gone, it is
 * not, and the next is taken. So nothing has to be told to the candidates, and a place that is kept
 * twice does no harm. A change of the index's size moves entries, and so they are all forgotten
 * then. Scores are not computed anew: an object gains by hits, which change its entry.
 *
 * A score is kept as the bits of its float, which for numbers from 0 on are in the order of their
 * values; the last four give way to the number. So the least and the greatest of sixteen are found
 * without a branch. Sorted by insertion they took 940 instructions an eviction, now 200.
 *
 * One comparison for most offers, some 50 instructions for the others and for what is taken. 328
 * bytes. Owner only. */
#ifndef SNUG_CACHE_CANDIDATES_H
#define SNUG_CACHE_CANDIDATES_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CANDIDATES_MAX 16u
#define CANDIDATE_NUMBER (CANDIDATES_MAX - 1)

struct candidate {
	uint64_t place; /* of the entry: whatever the owner finds it by */
	uint64_t entry; /* what stood there */
};

struct candidates {
	uint32_t count;
	uint32_t greatest; /* of the keys, when all places are taken */
	uint32_t keys[CANDIDATES_MAX];
	struct candidate kept[CANDIDATES_MAX];
};

static inline void candidates_forget(struct candidates *candidates) {
	candidates->count = 0;
}

static inline uint32_t candidates_greatest(const struct candidates *candidates) {
	uint32_t greatest = candidates->keys[0];
	for (uint32_t i = 1; i < CANDIDATES_MAX; i++)
		greatest = candidates->keys[i] > greatest ? candidates->keys[i] : greatest;
	return greatest;
}

/* Keeps the candidate if it is among the sixteen worst: most are not, and nothing is done for them.
 * `score` is 0 or more. */
static inline void candidates_offer(struct candidates *candidates, struct candidate candidate,
									float score) {
	uint32_t key, number = candidates->count;
	SNUG_ASSERT(score >= 0 && number <= CANDIDATES_MAX);
	memcpy(&key, &score, sizeof key);
	key &= ~CANDIDATE_NUMBER;
	if (number == CANDIDATES_MAX) {
		if (key >= (candidates->greatest & ~CANDIDATE_NUMBER)) return;
		number = candidates->greatest & CANDIDATE_NUMBER;
	} else {
		candidates->count++;
	}
	candidates->keys[number] = key | number;
	candidates->kept[number] = candidate;
	if (candidates->count == CANDIDATES_MAX) candidates->greatest = candidates_greatest(candidates);
}

/* The one of the least score, which is no longer kept. False: there is none. */
static inline bool candidates_take(struct candidates *candidates, struct candidate *out) {
	if (candidates->count == 0) return false;
	SNUG_ASSERT(candidates->count <= CANDIDATES_MAX);
	uint32_t *keys = candidates->keys, least = keys[0], last = --candidates->count;
	for (uint32_t i = 1; i <= last; i++) least = keys[i] < least ? keys[i] : least;
	uint32_t number = least & CANDIDATE_NUMBER;
	*out = candidates->kept[number];
	candidates->kept[number] = candidates->kept[last];
	keys[number] = (keys[last] & ~CANDIDATE_NUMBER) | number;
	return true;
}

#endif
