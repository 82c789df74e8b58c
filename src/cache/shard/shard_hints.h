/* cache/shard/shard_hints.h: what other threads' reads tell the owner: that an item was used.
 *
 * A reader changes nothing (shard_read.h), but who evicts must know what is read. So a reader posts
 * the key's hash on a board of the shard, and the owner, when he comes by, does for it what a get
 * of his own does: the entry's rank, the note of its last use, the mark that it was fetched.
 *
 *     reader    board[any], if it is free: claimed, then hash, when, weight; and its line's bit
 *     owner     what stands on the lines that have a bit, some of it if that is much: at the
 *               beginning of a turn, before others' requests and before commands of his own
 *
 * LINES. Four places are a cache line. A reader goes on along the line on which he has found a
 * place, and then to any other: so a line comes over from the owner's processor once for four
 * hints, and readers seldom want the same one. The owner looks at those lines alone on which
 * something was posted.
 *
 * A FULL BOARD takes nothing: so where little is read every use is told, and an item is idle since
 * its last one; where much is read the owner takes as many hints as he can afford, the readers pay
 * a look at a line that stands still, and what was told stands for what was not: its weight is how
 * many uses this reader could not tell of since. Which items these were is left to chance, so all
 * are known as often as they are used, on the average. No reader waits, and none needs a ring of
 * its own.
 *
 * NOTHING IS LOST that was posted: a place is claimed before it is written. First fetches must be
 * known exactly: all that are posted are taken each time, so whoever asks the owner for something
 * after he has posted one finds it done; where there is no place its reader asks the owner. Most of
 * the board is for them alone: what else is read would leave them none, and each that finds none is
 * a message, and mostly to one who sleeps. If the item was stored anew in between, the new one is
 * marked.
 *
 * WHO SLEEPS takes nothing. Beyond 16,384 uses that could not be told the next reader asks.
 *
 * An item is known here by its bucket and tag, but for the mark, which is looked at with the key's
 * hash: of 600 hints one goes to another item's rank. */
#ifndef SNUG_CACHE_SHARD_HINTS_H
#define SNUG_CACHE_SHARD_HINTS_H

#include "cache/index/item.h"

#include <snug/workers.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HINTS 256u
#define HINTS_SAMPLED 32u /* the first places, for what may be left out */
#define HINT_LINE 4u      /* places to a cache line */
#define HINT_LINES (HINTS / HINT_LINE)
#define HINT_PARTS 2u /* of the board: 0 for what may be left out, 1 for what must be told */

_Static_assert(HINT_LINES == 64, "a bit of `posted` for each line, and all of them are used");
_Static_assert(HINTS - 1 <= UINT8_MAX, "a place is a byte of struct hint_lots");

#define HINT_CLAIMED UINT32_MAX /* a place that is being written */
#define HINT_FIRST (UINT32_C(1) << 31)

struct hint {
	_Atomic uint64_t hash;
	_Atomic uint32_t used_s; /* by the shard's clock */
	_Atomic uint32_t weight; /* uses, and HINT_FIRST; 0: the place is free */
};

struct hint_use {
	uint64_t hash;
	uint32_t used_s;
	bool is_first;
};

struct hints {
	_Alignas(64) struct hint board[HINTS];
	/* a bit for each line: something was, since the owner looked */
	_Alignas(64) _Atomic uint64_t posted;
	uint32_t next; /* the owner's: the line that he begins with */
};

/* A reader's own. */
struct hint_lots {
	uint64_t state; /* of the lots that say which line comes next; not 0 */
	/* by the shard's worker: uses that it could not tell of; where it looks first; how many uses it
	 * does not look for, because the board was full a moment ago */
	uint16_t skipped[SNUG_WORKERS_MAX];
	uint8_t at[HINT_PARTS][SNUG_WORKERS_MAX];
	uint8_t rests[SNUG_WORKERS_MAX];
};

static inline uint32_t hint_part_begin(uint32_t part) {
	return part == 0 ? 0 : HINTS_SAMPLED;
}

static inline void hint_lots_init(struct hint_lots *lots, uint32_t reader) {
	*lots = (struct hint_lots){.state = ((uint64_t)reader + 1) * UINT64_C(0x9E3779B97F4A7C15)};
	for (uint32_t part = 0; part < HINT_PARTS; part++)
		for (uint32_t worker = 0; worker < SNUG_WORKERS_MAX; worker++)
			lots->at[part][worker] = (uint8_t)hint_part_begin(part);
}

/* As many could not be told of that the owner must be asleep: whoever asks him wakes him. */
#define HINT_SKIPPED_MANY 16384u

/* Any thread: a place on the shard of that worker, which is the caller's until he posts there;
 * NULL: none was found, or, unless the use `must` be told, not looked for; it counts with the next
 * one. */
struct hint *hint_claim(struct snug_shard *shard, uint32_t worker, struct hint_lots *lots,
						bool must);

/* Any thread: posts that an item was read, now, by the shard's clock; with `is_first` it is marked
 * as fetched. */
void hint_post(struct snug_shard *shard, struct hint *hint, uint32_t worker, struct hint_lots *lots,
			   const struct hint_use *use);

/* The owner: before what asks for an item's last use, and once a turn. */
void shard_take_hints(struct snug_shard *shard);

#endif
