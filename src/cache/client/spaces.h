/* cache/client/spaces.h: namespaces of a cache: keys with a common beginning, and what is counted for
 * them (docs/design/0015).
 *
 *     hits, misses          by the client that has asked, when it knows
 *     evictions, expiries   by the worker, which is told of them as options.removed is
 *     items, bytes          when somebody wants to know, by a walk of all items
 *
 * So an item knows nothing of its namespace, a shard counts nothing for it, and a cache without any
 * has a pointer that is NULL. A key belongs to the longest beginning that it has, which is looked for
 * one after the other, the longest first: some 1 ns for each. */
#ifndef SNUG_CACHE_SPACES_H
#define SNUG_CACHE_SPACES_H

#include <snug/cache.h>
#include <stdatomic.h>

#define SPACES_NONE UINT32_MAX
#define SPACES_LOTS 16u /* counters, so that threads seldom meet; each has chosen one */

enum space_event { SPACE_HIT, SPACE_MISS, SPACE_EVICTED, SPACE_EXPIRED, SPACE_EVENTS };

/* Atomic: anybody adds. */
struct space_counts {
	_Atomic uint64_t event[SPACE_EVENTS];
};

/* Constant after create, but for the counts. */
struct spaces {
	uint32_t count;
	struct space {
		uint32_t number; /* as it was given */
		uint32_t prefix_bytes;
		char prefix[SNUG_KEY_BYTES_MAX];
	} space[SNUG_CACHE_NAMESPACES_MAX]; /* the longest first */
	struct space_counts counts[SPACES_LOTS][SNUG_CACHE_NAMESPACES_MAX];
};

/* NULL and OK: there are none. OPTION, KEY (length), NULL, EXISTS (the same twice), OS_MEMORY. */
snug_error spaces_create(const snug_cache_namespace *given, uint32_t count, struct spaces **out);
void spaces_destroy(struct spaces *spaces);

/* The number of the key's namespace; SPACES_NONE. */
uint32_t spaces_of(const struct spaces *spaces, const void *key, size_t key_bytes);

/* In the lot of who counts. */
void spaces_add(struct spaces *spaces, uint32_t lot, const snug_key *key, enum space_event event);

/* So many since the beginning. */
uint64_t spaces_sum(const struct spaces *spaces, uint32_t number, enum space_event event);

#endif
