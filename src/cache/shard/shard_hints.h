/* cache/shard/shard_hints.h: what other threads' reads tell the owner: that an item was used.
 *
 * A reader changes nothing (shard_read.h), but who evicts must know what is read. So a reader posts
 * the key's hash on a board of the shard, and the owner, when he comes by, does for it what a get
 * of his own does: the entry's rank, the note of its last use, the mark that it was fetched.
 *
 *     reader    board[any], if it is free: claimed, then hash, when, weight
 *     owner     all that stands on it, at the beginning of a turn and before others' requests
 *
 * A FULL BOARD takes nothing: so where little is read every use is told, and an item is idle since
 * its last one; where much is read the owner takes as many hints as he can afford, the readers pay
 * a look at a line that stands still, and what was told stands for what was not: its weight is how
 * many uses this reader could not tell of since. Which items these were is left to chance, so all
 * are known as often as they are used, on the average. No reader waits, and none needs a ring of
 * its own.
 *
 * NOTHING IS LOST that was posted: a place is claimed before it is written, and whoever asks the
 * owner for something after he has posted finds it taken. So a first fetch, which must be known
 * exactly, may be posted too; where there is no place its reader asks the owner.
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

#define HINT_CLAIMED UINT32_MAX /* a place that is being written */
#define HINT_FIRST (UINT32_C(1) << 31)

struct hint {
	_Atomic uint64_t hash;
	_Atomic uint32_t used_s; /* by the shard's clock */
	_Atomic uint32_t weight; /* uses, and HINT_FIRST; 0: the place is free */
};

struct hints {
	_Alignas(64) struct hint board[HINTS];
	_Alignas(64) _Atomic bool is_posted; /* something was, since the owner looked last */
};

/* A reader's own. */
struct hint_lots {
	uint64_t state;   /* where it looks for a free place; not 0 */
	uint32_t skipped; /* uses that it could not tell of */
};

/* Any thread: a place, which is the caller's until he posts there; NULL: none was found, and the
 * use counts with the next one. */
struct hint *hint_claim(struct snug_shard *shard, struct hint_lots *lots);

/* Any thread: posts that an item was read, now, by the shard's clock; with `is_first` it is marked
 * as fetched. */
void hint_post(struct snug_shard *shard, struct hint *hint, struct hint_lots *lots, uint64_t hash,
			   uint32_t now_s, bool is_first);

/* The owner: before what asks for an item's last use, and once a turn. */
void shard_take_hints(struct snug_shard *shard);

#endif
