/* cache/rank/candidates.h: the objects that the eviction hand has passed and found worth least,
 * kept for the next evictions.
 *
 * An eviction looks at a few entries only. Keeping the sixteen worst of those that were not evicted
 * lets each choose among some hundred: measured, seven entries with them decide as well as forty
 * without.
 *
 *     sorted   [ greatest score ... least ]   offered: sorted in if it is among the sixteen;
 *                                             taken: from the end
 *
 * A candidate is where its entry stands and what was in it, all 64 bits. The owner takes the worst
 * and looks whether the entry is still the same: if it was hit, moved, replaced or is gone, it is
 * not, and the next is taken. So nothing has to be told to the candidates. A change of the index's
 * size moves entries, and so they are all forgotten then. Scores are not computed anew: an object
 * gains by hits, which change its entry.
 *
 * O(16) for one that is kept, one comparison for all others. 392 bytes. Owner only. */
#ifndef SNUG_CACHE_CANDIDATES_H
#define SNUG_CACHE_CANDIDATES_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

#define CANDIDATES_MAX 16

struct candidate {
	uint64_t place; /* of the entry: whatever the owner finds it by */
	uint64_t entry; /* what stood there */
	float score;
};

struct candidates {
	uint32_t count;
	struct candidate sorted[CANDIDATES_MAX]; /* the greatest score first */
};

/* Keeps the candidate if it is among the sixteen worst: most are not, and nothing is done for them.
 * The same place is kept once, as it was last offered when it was among them. */
static inline void candidates_offer(struct candidates *candidates, struct candidate candidate) {
	struct candidate *sorted = candidates->sorted;
	if (candidates->count == CANDIDATES_MAX && sorted[0].score <= candidate.score) return;
	uint32_t hole = 0;
	while (hole < candidates->count && sorted[hole].place != candidate.place) hole++;
	if (hole == candidates->count) {
		if (candidates->count < CANDIDATES_MAX)
			candidates->count++;
		else
			hole = 0; /* the greatest goes */
	}
	for (; hole > 0 && sorted[hole - 1].score < candidate.score; hole--)
		sorted[hole] = sorted[hole - 1];
	for (; hole + 1 < candidates->count && sorted[hole + 1].score >= candidate.score; hole++)
		sorted[hole] = sorted[hole + 1];
	SNUG_ASSERT(hole < candidates->count);
	SNUG_ASSERT(hole == 0 || sorted[hole - 1].score >= candidate.score);
	sorted[hole] = candidate;
}

/* The one of the least score, which is no longer kept. False: there is none. */
static inline bool candidates_take(struct candidates *candidates, struct candidate *out) {
	if (candidates->count == 0) return false;
	SNUG_ASSERT(candidates->count <= CANDIDATES_MAX);
	*out = candidates->sorted[--candidates->count];
	return true;
}

#endif
