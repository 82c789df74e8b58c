/* cache/client/cache_parts.h: the embedded cache, snug/cache.h, from within.
 *
 *   cache.c         the workers' side: a shard each, its requests and its upkeep
 *   cache_client.c  the askers' side
 *   cache_parcel.c  what askers with a time-out send: it outlives the asking
 *
 * A client is 22 KB: 64 requests, which is how many are asked at once. */
#ifndef SNUG_CACHE_CACHE_PARTS_H
#define SNUG_CACHE_CACHE_PARTS_H

#include "cache/operation/request.h"
#include "cache/shard/upkeep.h"

#include <snug/cache.h>
#include <snug/client.h>

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
	snug_evict_for evict_for;
	uint64_t keep_free_bytes; /* each worker's */
	uint32_t worker_count;
	size_t limit_max_bytes;
	struct cache_worker worker[];
};

#define CACHE_MANY 64u     /* requests asked at once */
#define CACHE_FLIGHTS 256u /* requests under way, those that are late with them */

struct parcel;

/* One thread at a time. */
struct snug_cache_client {
	snug_cache *cache;
	snug_client *client;
	uint64_t timeout_ns;
	struct parcel *first_late; /* in the order in which they were sent */
	struct parcel *last_late;
	struct request request[CACHE_MANY];
	snug_operation operation[CACHE_MANY];
	snug_ticket ticket[CACHE_MANY];
};

/* The first `count` requests, answered in place, within the client's time-out. TIMED_OUT: they are
 * under way, and nothing of the caller's memory is theirs. QUEUE_FULL: too many are late;
 * OS_MEMORY: nothing was sent. */
snug_error parcel_ask(snug_cache_client *client, size_t count);

/* Until nothing is late any more. */
snug_error parcels_wait(snug_cache_client *client);

#endif
