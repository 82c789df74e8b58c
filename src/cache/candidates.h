/* cache/candidates.h: the objects that the eviction hand has passed and found worth least, kept for the next evictions.
 *
 * An eviction looks at a few entries only. Keeping the sixteen worst of those that were not evicted lets each choose among some hundred:
 * measured, seven entries with them decide as well as forty without.
 *
 * A candidate is where its entry stands and what was in it, all 64 bits. The owner takes the worst and looks whether the entry is still the
 * same: if it was hit, moved, replaced or is gone, it is not, and the next is taken. So nothing has to be told to the candidates. Owner only. */
#ifndef SNUG_CACHE_CANDIDATES_H
#define SNUG_CACHE_CANDIDATES_H

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

/* Keeps the candidate if it is among the sixteen worst. The same place is kept once, as it was offered last. */
static inline void candidates_offer(struct candidates *candidates, struct candidate candidate) {
	struct candidate *sorted = candidates->sorted;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < candidates->count; i++)
		if (sorted[i].place != candidate.place) sorted[kept++] = sorted[i];
	candidates->count = kept;
	if (kept == CANDIDATES_MAX) {
		if (sorted[0].score <= candidate.score) return;
		for (uint32_t i = 1; i < kept; i++) sorted[i - 1] = sorted[i];
		kept--;
	}
	uint32_t at = kept;
	for (; at > 0 && sorted[at - 1].score < candidate.score; at--) sorted[at] = sorted[at - 1];
	sorted[at] = candidate;
	candidates->count = kept + 1;
}

/* The one of the least score, which is no longer kept. False: there is none. */
static inline bool candidates_take(struct candidates *candidates, struct candidate *out) {
	if (candidates->count == 0) return false;
	*out = candidates->sorted[--candidates->count];
	return true;
}

#endif
