/* cache/shard/expiries.c: adding the buckets up. They are in the order of time, and so are their
 * earliest. An empty bucket may have an earliest still, of items that were removed. */
#include "cache/shard/expiries.h"

void expiries_begin(struct expiries *expiries, uint32_t now_s) {
	expiries->base_s = now_s;
	for (uint32_t bucket = 0; bucket < EXPIRIES_BUCKETS; bucket++) {
		expiries->count[bucket] = 0;
		expiries->earliest_s[bucket] = EXPIRIES_NONE;
	}
}

uint64_t expiries_due(const struct expiries *expiries, uint32_t now_s) {
	uint64_t due = 0;
	for (uint32_t bucket = 0; bucket < EXPIRIES_BUCKETS; bucket++) {
		if (expiries->count[bucket] == 0) continue;
		SNUG_ASSERT(bucket == 0 || expiries->earliest_s[bucket] > expiries->base_s);
		if (expiries->earliest_s[bucket] > now_s) break;
		due += expiries->count[bucket];
	}
	return due;
}

uint32_t expiries_when(const struct expiries *expiries, uint64_t wanted) {
	uint64_t sum = 0;
	for (uint32_t bucket = 0; bucket < EXPIRIES_BUCKETS; bucket++) {
		sum += expiries->count[bucket];
		if (expiries->count[bucket] > 0 && sum >= wanted) return expiries->earliest_s[bucket];
	}
	return EXPIRIES_NONE;
}
