/* cache_grid.h: which loads, policies and limits the options of `--cache` name, and what came of
 * each. */
#ifndef REPLAY_CACHE_GRID_H
#define REPLAY_CACHE_GRID_H

#include "caches/cache_load.h"
#include "caches/cache_readers.h"
#include "caches/cache_real.h"
#include "options/options.h"

#define GRID_LOAD_MAX ((size_t)64)
#define GRID_POLICY_MAX ((size_t)24)
#define GRID_LIMIT_MAX ((size_t)16)

struct grid_limit {
	char text[24];
	uint64_t bytes; /* 0: `share` of the footprint */
	double share;
};

struct grid {
	char loads[GRID_LOAD_MAX][NAME_ROOM];
	size_t load_count;
	const struct policy *policies[GRID_POLICY_MAX];
	size_t policy_count;
	struct grid_limit limits[GRID_LIMIT_MAX];
	size_t limit_count;
	const char *trace_path; /* NULL: none */
	uint64_t requests, seed;
	uint32_t overhead_bytes;
	uint32_t readers; /* 0: none, and no row of the cache over workers */
	uint32_t workers; /* of that */
};

struct grid_cell {
	uint64_t limit_bytes;
	uint64_t evictions;
	struct misses misses;
	double request_ns;
	bool has_run;                 /* not: the cache needs a limit of SNUG_LIMIT_MIN_BYTES */
	struct cache_outcome outcome; /* of the cache itself: what is below its misses */
};

/* One load under all limits and policies. */
struct grid_result {
	const struct cache_load *load;
	struct grid_cell cells[GRID_POLICY_MAX][GRID_LIMIT_MAX];
};

/* False: the options do not make sense, a message is on standard error. */
bool grid_make(const struct options *options, struct grid *out);
/* How the load is called or read. False: a message is on standard error. */
bool grid_load(const struct grid *grid, size_t index, struct cache_load *out);
/* All that --policy names, the cache itself first; NULL past the last. */
const struct policy *grid_policy_at(size_t index);
/* Whether it is the cache itself and not a simulation; whether it is the one over workers. */
static inline bool policy_has_readers(const struct policy *policy) {
	return policy == &policy_cache || policy == &policy_cache_bytes;
}
static inline bool policy_is_real(const struct policy *policy) {
	return policy == &policy_shard || policy == &policy_shard_bytes || policy_has_readers(policy);
}

/* Runs one load. False: a message is on standard error. */
bool grid_run(const struct grid *grid, const struct cache_load *load, bool quiet,
			  struct grid_result *out);

#endif
