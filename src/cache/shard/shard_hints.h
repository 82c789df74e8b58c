/* cache/shard/shard_hints.h: what other threads' reads tell the owner: that an item was used.
 *
 * A reader changes nothing (shard_read.h), but who evicts must know what is read. So a reader posts
 * the key's hash on a board of the shard, and the owner, when he comes by, does for it what a get
 * of his own does: the entry's rank, the note of its last use, the mark that it was fetched.
 *
 *     reader    board[any] = hash | weight        a relaxed store; what stood there is lost
 *     owner     a line a turn, more if it was full
 *
 * WHAT IS POSTED. The first use in a tick of the rank, and the first of all: they say most. Of
 * further ones in the same tick one in eight, which counts for eight. So a cache whose contents
 * stand still costs its readers next to nothing.
 *
 * LOSSES are meant. Two readers may choose one place, an owner who sleeps takes nothing: what is
 * lost is like what is not sampled. No reader waits, and none needs a ring of its own.
 *
 * An item is known here by its bucket and tag, but for the mark, which is looked at with the key's
 * hash: of 600 hints one goes to another item's rank. */
#ifndef SNUG_CACHE_SHARD_HINTS_H
#define SNUG_CACHE_SHARD_HINTS_H

#include "cache/index/item.h"

#include <stdatomic.h>
#include <stddef.h>

#define HINTS 128u
#define HINTS_A_LINE 8u

/* In bits of the hash that neither the index nor the notes of last uses look at. */
#define HINT_THERE (UINT64_C(1) << 24)
#define HINT_MANY (UINT64_C(1) << 25)  /* it stands for HINT_WEIGHT uses */
#define HINT_FIRST (UINT64_C(1) << 26) /* the item was not marked as fetched */
#define HINT_WEIGHT 8u

struct hints {
	_Alignas(64) _Atomic uint64_t posted[HINTS];
	_Alignas(64) uint32_t next; /* the owner's: the line that he looks at next */
};

/* A reader's own: where it posts, and which of its uses. Not 0. */
struct hint_lots {
	uint64_t state;
};

/* Any thread: an item that was read, by its hash, its entry's meta and its marks. */
void shard_hint(struct snug_shard *shard, struct hint_lots *lots, uint64_t hash, uint32_t meta,
				uint32_t marks);

/* The owner, once in a while. */
void shard_take_hints(struct snug_shard *shard);

#endif
