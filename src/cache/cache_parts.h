/* cache/cache_parts.h: the inside of snug/cache.h: cache.c has the workers' side, cache_client.c the askers'. */
#ifndef SNUG_CACHE_CACHE_PARTS_H
#define SNUG_CACHE_CACHE_PARTS_H

#include "cache/request.h"
#include "cache/upkeep.h"

#include <snug/cache.h>

/* Owner only, each. */
struct cache_worker {
	snug_shard *shard;
	struct operation_counts counts;
	struct upkeep upkeep;
	bool has_served; /* in this turn */
};

struct snug_cache {
	/* constant after create */
	snug_workers *workers;
	size_t item_max_bytes;
	bool no_eviction;
	uint32_t worker_count;
	struct cache_worker worker[];
};

#endif
