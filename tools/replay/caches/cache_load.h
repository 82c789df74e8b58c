/* cache_load.h: what a cache is asked, made or read before any policy sees it, so that all policies
 * see the same.
 *
 * A shape says how a load is made: how popular its keys are, how large the objects, and what
 * disturbs it. */
#ifndef REPLAY_CACHE_LOAD_H
#define REPLAY_CACHE_LOAD_H

#include "caches/popularity.h"
#include "policies/simulation.h"
#include "workloads/sizes.h"

/* Of the keys of a trace, whose text is not kept. */
#define CACHE_TRACE_KEY_BYTES 8

struct load_shape {
	char name[NAME_ROOM];
	char summary[TEXT_ROOM];
	const struct popularity_rows *rows; /* NULL: Zipf with `exponent` */
	double exponent;
	double requests_per_key; /* how many keys there are; 0: as the rows have it */
	struct sizes sizes;      /* of the values */
	uint32_t key_bytes;
	double set_share;  /* of the requests: writes instead of reads */
	double lone_share; /* of the requests: for keys that come once */
	/* of the requests: round and round over keys of their own, a fifth as many as the others */
	double loop_share;
	double scan_share; /* of the requests: bursts of keys that come once */
	/* chance that a key is unpopular from this request on, and another popular */
	double drift;
	double lifetime; /* of an object, as a share of the whole load; 0: for ever */
	/* so often in a load all keys are new ones at once, of other sizes, and then back to the first
	 * sizes; 0: never */
	uint32_t changes;
	struct sizes other_sizes;
};

struct cache_load {
	char name[NAME_ROOM];
	struct cache_request *requests;
	size_t count;
	uint32_t keys;
	/* at least 8; each request's bytes are these, the value's and the overhead */
	uint32_t key_bytes;
	uint32_t overhead_bytes;
	uint64_t footprint_bytes; /* all keys, each at its largest */
};

/* The shape of a built-in name, "zipf:0.9" say with any exponent; "trace" is no shape. False: none
 * is called so. */
bool load_shape_find(const char *name, struct load_shape *out);
/* The names that --list shows and `--cache all` runs; NULL past the last. */
const char *load_shape_name_at(size_t index);

/* False: `problem` says why. */
bool cache_load_make(const struct load_shape *shape, uint64_t requests, uint64_t seed,
					 struct cache_load *out, char *problem, size_t room);
bool cache_load_read(const char *path, struct cache_load *out, char *problem, size_t room);
/* Adds to each object what it is charged beside key and value, the same under all policies; then
 * the footprint is known. Once. False: no memory. */
bool cache_load_charge(struct cache_load *load, uint32_t overhead_bytes);
/* Tells each request when its object is asked for next: cache_request.next. Once. False: no
 * memory. */
bool cache_load_look_ahead(struct cache_load *load);
void cache_load_deinit(struct cache_load *load);

#endif
