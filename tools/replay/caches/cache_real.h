/* cache_real.h: a load played through libsnug's cache itself: a shard that holds keys and values
 * under a limit that is that of everything. The other rows of a table are simulations, which are
 * charged for key, value and --overhead bytes an object and for nothing else: no index, no slots
 * that are too large, no pages half full. So at one limit the cache has less room than they
 * have. */
#ifndef REPLAY_CACHE_REAL_H
#define REPLAY_CACHE_REAL_H

#include "caches/cache_stock.h"

/* Their names and summaries; the cache decides by itself, so there is nothing to call. */
extern const struct policy policy_shard;
extern const struct policy policy_shard_bytes;

/* False: the shard could not be created, or there is no memory to know what it must hold; `problem`
 * says which. */
bool cache_real_play(const struct cache_load *load, const struct policy *policy,
					 uint64_t limit_bytes, uint64_t seed, struct cache_outcome *out, char *problem,
					 size_t room);

#endif
