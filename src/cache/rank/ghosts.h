/* cache/rank/ghosts.h: what is remembered of objects that were evicted: a fingerprint and their
 * class, 16 bits.
 *
 *     +-------------- set: a cache line --------------+
 *     | ghost | ghost | ghost | ...  32 of them       |   ghost: fingerprint 11, class 5; 0: none
 *     +-----------------------------------------------+
 *
 * An object that is evicted and soon wanted again is not new: it comes back in the class it had,
 * and one hit up. Without that, what is wanted a little less often than the cache turns over would
 * always come in at the bottom and leave at once.
 *
 * The hash of the key says which set and which fingerprint. A new ghost takes an empty place of its
 * set, else any. One look-up in 64 finds another's fingerprint in a full set; the object then comes
 * in a class too high, once.
 *
 * As many ghosts as there are objects are a good number (half as many cost .002 of the miss ratio,
 * measured; more than that bring less than their bytes would as cache). Objects come in all sizes,
 * so the table follows their number, a grain at a time, by linear hashing (Litwin, 1980): a set
 * that is new begins as a copy of the one that it splits from.
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

typedef uint16_t ghost;

struct ghosts {
	ghost *table;
	uint64_t sets;
	uint64_t low_mask; /* the power of two of sets at or below, less one */
	uint32_t next;     /* place in a full set that is overwritten next */
};

enum ghosts_fit { GHOSTS_FIT, GHOSTS_GROW, GHOSTS_SHRINK };

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

/* The object was evicted. */
void ghosts_remember(struct ghosts *ghosts, uint64_t hash, uint32_t class);

/* The object is wanted: true if it is remembered, and no longer is. */
bool ghosts_recall(struct ghosts *ghosts, uint64_t hash, uint32_t *class);

#endif
