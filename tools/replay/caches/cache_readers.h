/* cache_readers.h: a load played by many threads through the cache over workers (snug/cache.h):
 * each thread has a client, and the requests are dealt among the threads by key. */
#ifndef REPLAY_CACHE_READERS_H
#define REPLAY_CACHE_READERS_H

#include "caches/cache_stock.h"

#define READERS_MAX 64u

extern const struct policy policy_cache;
extern const struct policy policy_cache_bytes;

struct crew_options {
	uint32_t readers; /* 1 .. READERS_MAX */
	uint32_t workers; /* of the cache */
	uint64_t limit_bytes;
	bool for_bytes; /* evicts for bytes, not for hits */
	uint64_t seed;
};

/* False: `problem` says why. */
bool cache_readers_play(const struct cache_load *load, const struct crew_options *options,
						struct cache_outcome *out, char *problem, size_t room);

#endif
