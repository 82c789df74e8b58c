/* cache/client/cache_parts.h: the embedded cache, snug/cache.h, from within.
 *
 *   cache.c         the workers' side: a shard each, its requests and its upkeep
 *   cache_client.c  the askers' side
 *   cache_parcel.c  what askers with a time-out send: it outlives the asking
 *   cache_read.c    what an asker reads himself
 *   cache_walk.c    all items, part by part
 *   get_or_load.c   getting what is loaded where it is missing
 *   loads           who loads which key, and who waits for it
 *   cache_spaces.c  the figures of namespaces
 *   spaces          which namespace a key has, and what was counted for it
 *   upkeep          on any worker with a shard, the server's too: when maintenance runs
 *
 * A client is 22 KB: 64 requests, which is how many are asked at once. */
#ifndef SNUG_CACHE_CACHE_PARTS_H
#define SNUG_CACHE_CACHE_PARTS_H

#include "cache/client/loads.h"
#include "cache/client/spaces.h"
#include "cache/client/upkeep.h"
#include "cache/operation/request.h"
#include "cache/shard/shard_hints.h"
#include "cache/shard/shard_read.h"

#include <snug/cache.h>
#include <snug/client.h>

struct cache_worker {
	/* Clients read it with each key: on a line of its own. Constant after create */
	_Alignas(64) snug_shard *shard;
	snug_error error; /* why there is none */
	/* owner only */
	_Alignas(64) struct operation_counts counts;
	struct upkeep upkeep;
	bool has_served; /* in this turn */
};

/* Gets that clients answered themselves: of one client after the other, which alone adds to them; the
 * last ones are of all that have found none of their own. */
struct cache_reads {
	_Alignas(64) _Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic bool is_taken;
};

#define CACHE_READS 65u

struct snug_cache {
	struct cache_reads reads[CACHE_READS]; /* atomics: any client adds */
	_Atomic uint32_t clients;              /* so many were created */
	/* constant after create */
	snug_workers *workers;
	size_t item_max_bytes;
	bool no_eviction;
	snug_evict_for evict_for;
	uint64_t keep_free_bytes;   /* each worker's */
	snug_shard_removed removed; /* the user's */
	void *removed_context;
	struct spaces *spaces; /* its counters are atomic; NULL: there are no namespaces */
	uint32_t worker_count;
	size_t limit_max_bytes;
	/* The OS below is ours: its clock may be asked by any thread, and what is decommitted stays
	 * readable. */
	bool is_readable;
	bool collapses;
	struct collapse *collapse; /* NULL: none, or it could not be started */
	struct loads loads;        /* its own mutex */
	struct cache_worker worker[];
};

#define CACHE_MANY 64u     /* requests asked at once */
#define CACHE_FLIGHTS 256u /* requests under way, those that are late with them */

#define CACHE_LATE_KEYS 512u

struct parcel;

/* One thread at a time. */
struct snug_cache_client {
	snug_cache *cache;
	snug_client *client;
	uint64_t timeout_ns;
	struct cache_reads *reads; /* where it counts */
	bool counts_alone;         /* nobody else counts there */
	uint32_t number;           /* of those that were created */
	struct hint_lots lots;
	struct parcel *first_late; /* in the order in which they were sent */
	struct parcel *last_late;
	uint32_t late_visits;                /* of all workers */
	uint16_t late_keys[CACHE_LATE_KEYS]; /* requests that are late, by their keys' hashes */
	snug_cache_late late;                /* what was set later and has ended since it was told */
	uint32_t loading; /* loaders, one in the other, that this client has called */
	struct request request[CACHE_MANY];
	snug_operation operation[CACHE_MANY];
	snug_ticket ticket[CACHE_MANY];
};

/* NULL, KEY. */
static inline snug_error cache_key(const void *bytes, size_t length, snug_key *out) {
	if (bytes == NULL) return SNUG_ERROR_NULL;
	if (length == 0 || length > SNUG_KEY_BYTES_MAX) return SNUG_ERROR_KEY;
	*out = snug_shard_key(bytes, length);
	return SNUG_OK;
}

/* cache_client.c: a request for one key's owner. */
void cache_begin(const snug_cache_client *client, struct request *request, enum operation_kind kind,
				 const snug_key *key);

/* cache_client.c: the first `count` requests, until all are answered, or the client's time-out has
 * passed. */
snug_error cache_ask(snug_cache_client *client, size_t count);

/* Something that this client has asked about the key, or about all, is not answered yet. */
static inline bool cache_is_late(const snug_cache_client *client, const snug_key *key) {
	return client->first_late != NULL &&
		   (client->late_visits > 0 || client->late_keys[key->hash % CACHE_LATE_KEYS] > 0);
}

typedef void (*cache_visitor)(void *context, uint32_t worker, snug_shard *shard,
							  struct operation_counts *counts);

/* cache_client.c: `visit` on the worker's thread, within the client's time-out. What its context
 * holds, without the bytes behind pointers, travels with it. */
snug_error cache_visit(snug_cache_client *client, uint32_t worker, cache_visitor visit,
					   void *context, uint32_t context_bytes);

/* cache_spaces.c: the shards' `removed`: counts, and tells the user's. The context is the cache. */
void cache_removed(void *context, snug_shard *shard, snug_removal why, const struct snug_key *key,
				   const struct snug_item *item);

/* For the key's namespace, where there are any. */
static inline void cache_count(const snug_cache_client *client, const snug_key *key, bool hit) {
	struct spaces *spaces = client->cache->spaces;
	if (__builtin_expect(spaces != NULL, false))
		spaces_add(spaces, client->number, key, hit ? SPACE_HIT : SPACE_MISS);
}

/* The first `count` requests, answered in place, within the client's time-out. TIMED_OUT: they are
 * under way, and nothing of the caller's memory is theirs. QUEUE_FULL: too many are late;
 * OS_MEMORY: nothing was sent. */
snug_error parcel_ask(snug_cache_client *client, size_t count);

/* The first request, which is late from the beginning. QUEUE_FULL: too many are; OS_MEMORY. */
snug_error parcel_send(snug_cache_client *client);

/* What is late and has been answered ends. */
void parcels_look(snug_cache_client *client);

/* Until nothing is late any more. */
snug_error parcels_wait(snug_cache_client *client);

#endif
