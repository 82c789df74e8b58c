/* simulation.h: caches without contents. A simulation plays requests against one eviction policy
 * under one limit in bytes and counts what is missed; nothing is stored but what the policy needs
 * to decide.
 *
 *     request -> simulation_request: expired? resident? -> policy: hit, or evict until it fits and insert
 *
 * Keys are dense numbers (the load numbers them), so that every table is an array by key. All
 * policies get the same bytes: an object takes what its request says, key and value and a fixed
 * overhead, whatever the policy would need for itself. The figures compare policies, not
 * implementations. */
#ifndef REPLAY_SIMULATION_H
#define REPLAY_SIMULATION_H

#include "policies/policies.h"
#include "workloads/trace.h"

#define SIMULATION_TABLES_MAX 4 /* of a policy */

#define REQUEST_NEVER UINT32_MAX

struct cache_request {
	uint32_t key;
	uint32_t bytes;    /* what the object takes in the cache */
	uint32_t lifetime; /* in requests; 0: for ever */
	/* the get of the same object that comes next, counted as simulation.now; REQUEST_NEVER: none
	 * does before it is written, deleted or expired. For policies that know the future */
	uint32_t next;
	enum trace_op op;
};

/* Gets, and what of them was not there. */
struct misses {
	uint64_t gets, missed_gets;
	uint64_t get_bytes, missed_bytes;
};

static inline void misses_count(struct misses *misses, uint32_t bytes, bool hit) {
	misses->gets++;
	misses->get_bytes += bytes;
	misses->missed_gets += !hit;
	misses->missed_bytes += hit ? 0 : bytes;
}

static inline void misses_add(struct misses *into, const struct misses *part) {
	into->gets += part->gets;
	into->missed_gets += part->missed_gets;
	into->get_bytes += part->get_bytes;
	into->missed_bytes += part->missed_bytes;
}

struct simulation {
	const struct policy *policy;
	void *state; /* of the policy, and its tables */
	void *tables[SIMULATION_TABLES_MAX];
	size_t table_count;
	bool lacks_memory; /* for one of them */
	uint64_t limit_bytes;
	uint64_t used_bytes;
	uint64_t now;                        /* requests so far, with this one */
	const struct cache_request *request; /* this one */
	uint64_t seed;                       /* of policies that draw lots */
	uint32_t keys;
	uint32_t residents;
	uint32_t *bytes;   /* by key; 0: not resident */
	uint64_t *expires; /* by key: the request at which it is stale; 0: never */
	/* what came of it */
	struct misses misses;
	uint64_t evictions;
};

/* False: no memory. */
bool simulation_create(struct simulation *simulation, const struct policy *policy, uint32_t keys,
					   uint64_t limit_bytes, uint64_t seed);
/* For a policy that begins: memory that is all zero and lives as long as the simulation. Without
 * any it is NULL, and the simulation is not created. */
void *simulation_take(struct simulation *simulation, size_t count, size_t bytes);
void simulation_destroy(struct simulation *simulation);
void simulation_request(struct simulation *simulation, const struct cache_request *request);

#endif
