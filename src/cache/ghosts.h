/* cache/ghosts.h: what is remembered of objects that were evicted: a fingerprint and their class, 16 bits.
 *
 *     +-------------- set: a cache line --------------+
 *     | ghost | ghost | ghost | ...  32 of them       |        ghost: 11 bits fingerprint, 5 bits class; 0: none
 *     +-----------------------------------------------+
 *
 * An object that is evicted and soon wanted again is not new: it comes back in the class it had, and one hit up. Without that, what
 * is wanted a little less often than the cache turns over would always come in at the bottom and leave at once.
 *
 * The hash of the key says which set and which fingerprint. A new ghost takes an empty place of its set, else any. One look-up in 64
 * finds another's fingerprint in a full set; the object then comes in a class too high, once.
 *
 * The memory is the owner's, counts to its limit, and is a power of two of bytes. Owner only. */
#ifndef SNUG_CACHE_GHOSTS_H
#define SNUG_CACHE_GHOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_SET 32
#define GHOST_CLASS_BITS 5
/* One byte of ghosts for so many of the limit is a good size. */
#define GHOST_SHARE 128

typedef uint16_t ghost;

struct ghosts {
	ghost *table;
	uint64_t set_mask;
	uint32_t next; /* place in a full set that is overwritten next */
};

/* The bytes of the table that suits a cache of so many: a power of two; 0: too small to have any. */
size_t ghosts_size(uint64_t limit_bytes);

/* `memory` is zeroed, aligned to 64 bytes and of ghosts_size's bytes, or NULL and 0: then nothing is remembered. */
void ghosts_init(struct ghosts *ghosts, void *memory, size_t bytes);

/* The object was evicted. */
void ghosts_remember(struct ghosts *ghosts, uint64_t hash, uint32_t class);

/* The object is wanted: true if it is remembered, and no longer is. */
bool ghosts_recall(struct ghosts *ghosts, uint64_t hash, uint32_t *class);

#endif
