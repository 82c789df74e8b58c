/* cache/rank/rank.h: which cached object is worth least, from 12 bits an object and what the shard
 * has learnt.
 *
 * An index entry has 12 bits for eviction, a rank_meta. It says when the object was last used and
 * what kind of object it is:
 *
 *     11       7 6           0
 *     +---------+-------------+   stamp   the shard's tick at its last use, modulo 128
 *     |  class  |    stamp    |   class   0: never hit; else how often (once, some, many) and how
 *     +---------+-------------+           soon (eight intervals)
 *
 * A tick is a sixteenth of the limit in inserted bytes, so the clock stands when nothing is
 * inserted, and 128 ticks are eight turnovers of the whole cache. Ages are gathered in 14 age
 * classes, two to a power of two.
 *
 * For each class and age class the shard learns how often such objects are hit: hits are counted
 * when they happen, and the objects among which they happened when the eviction hand passes them
 * (rank_see: a census, so it also knows of objects that are never hit). From these rates follows
 * the value of keeping an object: the most hits per tick that it can be expected to give from here
 * to the best moment to give it up (an index as Gittins' for bandits). It looks ahead, so an object
 * of a loop that comes round in ten ticks is worth more at nine than at two, and what was scanned
 * once is worth nothing at any age. Divided by the object's bytes it is the score; the least score
 * leaves. (Where bytes are to be hit rather than objects, it is worth its bytes as well, so nothing
 * is divided.)
 *
 * This is Beckmann, Chen and Cidon's LHD ("Improving hit rate by maximizing hit density", NSDI'18)
 * with a census instead of recorded evictions, with counts and intervals instead of the last two
 * ages, and with the best moment instead of the usual one.
 *
 *     hit       rank_hit                writes the entry and one counter; some 3 ns
 *     insert    rank_insert, or with    one class of the table is computed anew by each insertion
 *               ghosts rank_readmit     while a period's figures are new (below 1 us)
 *     evict     rank_see, rank_settle,  for each candidate that the hand passes; no memory but the
 *               rank_score              entry and the tables (some 9 KiB) is touched
 *
 * Laws. The hand passes entries in the order of the index and not by their contents. It passes each
 * within 15 ticks (it does when an eviction looks at seven entries or more), or the ages of unseen
 * entries wrap and they look young; nothing worse comes of that. Floats, so two machines may differ
 * in the last bit. All is the owner's only.
 *
 * What it misses, beside LRU, S3-FIFO, SIEVE and others, and why those were rejected:
 * docs/design/0004-eviction.md.
 *
 * Beside it in this room: candidates.h, the worst that the hand has passed; newcomers.h, what was
 * stored last; ghosts, what is remembered of the evicted; recent.h, when the keys that were used
 * last were. */
#ifndef SNUG_CACHE_RANK_H
#define SNUG_CACHE_RANK_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANK_META_BITS 12
#define RANK_STAMP_BITS 7
#define RANK_CLASSES 32
#define RANK_AGES 14
#define RANK_TICKS_PER_TURNOVER 16
#define RANK_STAMP_MASK ((1u << RANK_STAMP_BITS) - 1)
#define RANK_AGE_MOST (RANK_STAMP_MASK - 15) /* settled: 15 ticks until it would wrap */

/* The low RANK_META_BITS bits. */
typedef uint16_t rank_meta;

struct rank {
	uint64_t tick_bytes;
	uint64_t inserted_bytes; /* since the last tick */
	uint32_t tick;
	uint32_t period_begin; /* the tick at which the figures of this period began */
	uint32_t sightings;    /* in this period */
	uint32_t stale;        /* classes whose values are still of the period before */
	uint64_t lots;         /* state of the random numbers */
	uint32_t hits_now[RANK_CLASSES][RANK_AGES];
	uint32_t seen_now[RANK_CLASSES][RANK_AGES];
	float hits[RANK_CLASSES][RANK_AGES];     /* of all periods, older ones fading */
	float exposure[RANK_CLASSES][RANK_AGES]; /* objects times ticks, the same */
	float value[RANK_CLASSES][RANK_AGES];    /* hits per tick */
};

/* `limit_bytes` is what the shard may hold; `seed` is for the drawing of lots in rank_hit. */
void rank_init(struct rank *rank, uint64_t limit_bytes, uint64_t seed);

/* What another one has learnt, if it can be figures of a rank: that one may be damaged. */
void rank_learn(struct rank *rank, const struct rank *from);

/* The limit is another from now on; what was learnt stays. */
void rank_set_limit(struct rank *rank, uint64_t limit_bytes);

/* An object of `bytes` becomes one of `items` cached ones (as many as there are now, with or
 * without it). Its meta. */
rank_meta rank_insert(struct rank *rank, uint64_t bytes, uint64_t items);

/* The same, of an object whose class a ghost remembered: one that was evicted, so many evictions
 * ago, and is wanted again. */
rank_meta rank_readmit(struct rank *rank, uint32_t remembered_class, uint64_t evictions,
					   uint64_t bytes, uint64_t items);

/* The object was used: its new meta. */
rank_meta rank_hit(struct rank *rank, rank_meta meta);

/* The same, for a use that stands for so many, of this object or others like it. */
rank_meta rank_hits(struct rank *rank, rank_meta meta, uint32_t uses);

/* The class alone, for ghosts. */
static inline uint32_t rank_class(rank_meta meta) {
	return meta >> RANK_STAMP_BITS;
}

/* In ticks, up to 127. */
static inline uint32_t rank_age(const struct rank *rank, rank_meta meta) {
	return (rank->tick - meta) & RANK_STAMP_MASK;
}

/* By the age: 0 1 2 3 4-5 6-7 8-11 12-15 ... 96-127. */
extern const uint8_t rank_age_classes[RANK_STAMP_MASK + 1];

/* The eviction hand passes an object. */
static inline void rank_see(struct rank *rank, rank_meta meta) {
	rank->seen_now[rank_class(meta)][rank_age_classes[rank_age(rank, meta)]]++;
	rank->sightings++;
}

/* The same meta, or if its age is about to wrap, the one of the greatest age: to be written back by
 * who visits entries. */
static inline rank_meta rank_settle(const struct rank *rank, rank_meta meta) {
	if (__builtin_expect(rank_age(rank, meta) <= RANK_AGE_MOST, true)) return meta;
	return (rank_meta)((meta & ~RANK_STAMP_MASK) |
					   ((rank->tick - RANK_AGE_MOST) & RANK_STAMP_MASK));
}

/* All three: it is passed, `*meta` is the settled one, and its score for 1 byte is told. */
static inline float rank_pass(struct rank *rank, rank_meta *meta) {
	uint32_t age = rank_age(rank, *meta);
	if (__builtin_expect(age > RANK_AGE_MOST, false)) {
		*meta = rank_settle(rank, *meta);
		age = RANK_AGE_MOST;
	}
	uint32_t class = rank_class(*meta), age_class = rank_age_classes[age];
	SNUG_ASSERT(class < RANK_CLASSES && age_class < RANK_AGES);
	rank->seen_now[class][age_class]++;
	rank->sightings++;
	return rank->value[class][age_class];
}

/* What keeping the object is worth for each of its bytes; `bytes` above 0, to some 10 % is good
 * enough. */
static inline float rank_score(const struct rank *rank, rank_meta meta, uint64_t bytes) {
	SNUG_ASSERT(bytes > 0);
	return rank->value[rank_class(meta)][rank_age_classes[rank_age(rank, meta)]] / (float)bytes;
}

#endif
