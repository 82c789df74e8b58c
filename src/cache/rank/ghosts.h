/* cache/rank/ghosts.h: what is remembered of objects that were evicted: a fingerprint and their
 * class, 16 bits, and by its place how long ago.
 *
 *     +-------------- set: a cache line --------------+
 *     | ghost | ghost | ghost | ...  32 of them       |   ghost: fingerprint 11, class 5; 0: none
 *     +-----------------------------------------------+
 *       newest -----------------> oldest, none: 0
 *
 * An object that is evicted and wanted again is not new: it comes back in the class it had, and one
 * hit up, with the interval that it was away. Without that, what is wanted a little less often than
 * the cache turns over would always come in at the bottom and leave at once.
 *
 * The hash of the key says which set and which fingerprint. A new ghost is put in front of its set,
 * and the last one of a full set is forgotten. As every set gets its share of the evictions, the
 * place of a ghost says how many there were since. One look-up in 64 finds another's fingerprint in
 * a full set; the object then comes in a class too high, once.
 *
 * HOW MANY. One for each object is the least; up to four, where they take no more than a 512th of
 * the limit: what is remembered longer is worth less, and where objects are small it would take the
 * place of more objects than it saves. Objects come in all sizes, so the table follows their
 * number, a grain at a time, by linear hashing (Litwin, 1980): a set that is new begins as a copy of
 * the one that it splits from.
 *
 * The memory is the owner's and counts to its limit. Owner only. */
#ifndef SNUG_CACHE_GHOSTS_H
#define SNUG_CACHE_GHOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_SET 32
#define GHOST_CLASS_BITS 5
#define GHOST_GRAIN_BYTES ((size_t)4096) /* the table grows and shrinks by so much */
/* One byte of ghosts for so many of the limit is the most, however small the objects are. */
#define GHOST_SHARE 128
/* More than one for each object, and up to so many, only while they are less than this share. */
#define GHOSTS_PER_ITEM_MAX 4
#define GHOST_SPARE_SHARE 512

typedef uint16_t ghost;

struct ghosts {
	ghost *table;
	uint64_t sets;
	uint64_t low_mask; /* the power of two of sets at or below, less one */
};

enum ghosts_fit { GHOSTS_FIT, GHOSTS_GROW, GHOSTS_SHRINK };

/* How many ghosts so many objects should have. */
static inline uint64_t ghosts_wanted(uint64_t limit_bytes, uint64_t items) {
	uint64_t spare = limit_bytes / GHOST_SPARE_SHARE / sizeof(ghost),
			 most = items * GHOSTS_PER_ITEM_MAX;
	uint64_t wanted = spare < most ? spare : most;
	return wanted > items ? wanted : items;
}

/* The most bytes that it has when it has shrunk for so many objects. */
static inline size_t ghosts_kept_bytes(uint64_t limit_bytes, uint64_t items) {
	uint64_t wanted = ghosts_wanted(limit_bytes, items), kept = wanted + wanted / 8;
	return (kept * sizeof(ghost) / GHOST_GRAIN_BYTES + 3) * GHOST_GRAIN_BYTES;
}

/* What the table should do for so many objects. */
enum ghosts_fit ghosts_fit(const struct ghosts *ghosts, uint64_t limit_bytes, uint64_t items);

/* Room for a table of ghosts_most_bytes, aligned to 64 bytes, of which nothing is used yet and
 * nothing remembered. NULL: never will be. */
void ghosts_init(struct ghosts *ghosts, void *memory);

static inline size_t ghosts_bytes(const struct ghosts *ghosts) {
	return ghosts->sets * GHOST_SET * sizeof(ghost);
}

static inline size_t ghosts_most_bytes(uint64_t limit_bytes) {
	return limit_bytes / GHOST_SHARE / GHOST_GRAIN_BYTES * GHOST_GRAIN_BYTES;
}

/* The grain behind the table, which can be written, is of it from now on. */
void ghosts_grow(struct ghosts *ghosts);

/* The table's last grain is of it no more. */
void ghosts_shrink(struct ghosts *ghosts);

static inline ghost *ghosts_set(const struct ghosts *ghosts, uint64_t hash) {
	uint64_t set = hash & (2 * ghosts->low_mask + 1);
	return &ghosts->table[(set < ghosts->sets ? set : set & ghosts->low_mask) * GHOST_SET];
}

/* It is recalled or remembered soon. */
static inline void ghosts_prefetch(const struct ghosts *ghosts, uint64_t hash) {
	__builtin_prefetch(ghosts_set(ghosts, hash), 1);
}

/* The object was evicted. */
void ghosts_remember(struct ghosts *ghosts, uint64_t hash, uint32_t class);

struct recalled {
	uint32_t class;
	uint64_t evictions; /* since its own, about */
};

/* The object is wanted: true if it is remembered, and no longer is. */
bool ghosts_recall(struct ghosts *ghosts, uint64_t hash, struct recalled *out);

#endif
