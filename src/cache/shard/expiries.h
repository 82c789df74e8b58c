/* cache/shard/expiries.h: how many items may have expired by now, and when the next one may: told
 * without looking at any item.
 *
 *     from the base on, in seconds    0 1 2 .. 7 | 8 9 .. 15 | 16 18 .. 30 | 32 36 .. 60 | 64 ...
 *     a bucket                        how many items, and the earliest expiry of them
 *
 * Eight buckets for each doubling, so a bucket is an eighth as wide as it is far away. A bucket is
 * due as a whole when its earliest has come: what is told is never too few. It may be too many, for
 * items that are far away or were removed meanwhile; then the sweep looks, for which a base of its
 * own time begins, and by that what is near is told to the second.
 *
 * Pure but for the struct; the clock is the caller's. 2 KB a shard. Adding is a shift and three
 * stores. */
#ifndef SNUG_CACHE_EXPIRIES_H
#define SNUG_CACHE_EXPIRIES_H

#include "base/assert.h"
#include "base/bits.h"

#include <stdbool.h>
#include <stdint.h>

#define EXPIRIES_PARTS 8u
#define EXPIRIES_PART_SHIFT 3u
#define EXPIRIES_BUCKETS (EXPIRIES_PARTS * (32u - EXPIRIES_PART_SHIFT + 1u))
#define EXPIRIES_NONE UINT32_MAX

struct expiries {
	uint32_t base_s;
	uint32_t count[EXPIRIES_BUCKETS];      /* of a bucket; it stops at the most that it can hold */
	uint32_t earliest_s[EXPIRIES_BUCKETS]; /* EXPIRIES_NONE: the bucket is empty */
};

/* Forgets all; times are told from `now_s` on. */
void expiries_begin(struct expiries *expiries, uint32_t now_s);

/* How many there may be that have expired at `now_s`. */
uint64_t expiries_due(const struct expiries *expiries, uint32_t now_s);

/* When this was, or will be, at least `wanted`; EXPIRIES_NONE: there are not so many. */
uint32_t expiries_when(const struct expiries *expiries, uint64_t wanted);

/* What is before the base lies in the first bucket. */
static inline uint32_t expiries_bucket(const struct expiries *expiries, uint32_t expires_at_s) {
	if (expires_at_s <= expiries->base_s) return 0;
	uint32_t ahead_s = expires_at_s - expiries->base_s;
	if (ahead_s < EXPIRIES_PARTS) return ahead_s;
	uint32_t shift = bit_highest(ahead_s) - EXPIRIES_PART_SHIFT;
	uint32_t bucket = shift * EXPIRIES_PARTS + (ahead_s >> shift);
	SNUG_ASSERT(bucket >= EXPIRIES_PARTS && bucket < EXPIRIES_BUCKETS);
	return bucket;
}

static inline void expiries_add(struct expiries *expiries, uint32_t expires_at_s) {
	uint32_t bucket = expiries_bucket(expiries, expires_at_s);
	if (expiries->count[bucket] < UINT32_MAX) expiries->count[bucket]++;
	if (expires_at_s < expiries->earliest_s[bucket]) expiries->earliest_s[bucket] = expires_at_s;
}

/* One that was added since the base began. */
static inline void expiries_remove(struct expiries *expiries, uint32_t expires_at_s) {
	uint32_t bucket = expiries_bucket(expiries, expires_at_s);
	if (expiries->count[bucket] > 0) expiries->count[bucket]--;
}

#endif
