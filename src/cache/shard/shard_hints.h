/* cache/shard/shard_hints.h: what other threads' reads tell the owner: that an item was used.
 *
 * A reader changes nothing (shard_read.h), but who evicts must know what is read. So a reader posts
 * the key's hash on a board of the shard, and the owner, when he comes by, does for it what a get
 * of his own does: the entry's rank, the note of its last use, the mark that it was fetched.
 *
 *     reader    board[any], if it is free = hash, when, weight
 *     owner     all that stands on it, once a turn if anything was posted: 64 at most
 *
 * A FULL BOARD takes nothing: so where little is read every use is told, and an item is idle since
 * its last one; where much is read the owner takes as many hints as he can afford, the readers pay
 * a look at a line that stands still, and what was told stands for what was not: its weight is how
 * many uses this reader could not tell of since. Which items these were is left to chance, so all
 * are known as often as they are used, on the average.
 *
 * LOSSES are meant: two readers may choose one place, and mix what they tell. No reader waits, and
 * none needs a ring of its own.
 *
 * An item is known here by its bucket and tag, but for the mark, which is looked at with the key's
 * hash: of 600 hints one goes to another item's rank. */
#ifndef SNUG_CACHE_SHARD_HINTS_H
#define SNUG_CACHE_SHARD_HINTS_H

#include "cache/index/item.h"

#include <stdatomic.h>
#include <stdbool.h>

#define HINTS 64u
#define HINTS_A_LINE 4u

struct hint {
	_Atomic uint64_t hash;
	_Atomic uint32_t used_s; /* by the shard's clock */
	_Atomic uint32_t weight; /* uses; 0: the place is free */
};

struct hints {
	_Alignas(64) struct hint board[HINTS];
	/* since the owner looked last something was posted: what comes while he looks may wait */
	_Alignas(64) _Atomic bool is_posted;
};

/* A reader's own. */
struct hint_lots {
	uint64_t state;   /* where it looks for a free place; not 0 */
	uint32_t skipped; /* uses that it could not tell of */
};

/* Any thread: a free place, or NULL: it is counted for the next one. */
struct hint *hints_place(struct snug_shard *shard, struct hint_lots *lots);

/* Any thread: posts at that place that an item was read, now, by the shard's clock. */
void hint_post(struct snug_shard *shard, struct hint *hint, struct hint_lots *lots, uint64_t hash,
			   uint32_t now_s);

/* The owner: before what asks for an item's last use, and once in a while. */
void shard_take_hints(struct snug_shard *shard);

#endif
