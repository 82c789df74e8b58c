/* cache/rank/newcomers.h: the objects that were stored last, which must show what they are worth
 * soon.
 *
 * The hand passes each object once in a seventh of a turnover or later, so what is large and never
 * asked for would displace many small ones before anybody looked at it. So each newcomer is looked
 * at when sixteen others have come: it is offered to the candidates (candidates.h), and stays only
 * if sixteen others are worth less for each of their bytes. That is the window of W-TinyLFU
 * (Einziger, Friedman, Manes, TOS 2017), as short as can be; what is compared is what the rank has
 * learnt. Nobody is refused: who stores something can read it, until others come.
 *
 *     hash  | . | . | . | . | . |      a ring: the oldest leaves it for the newest
 *               ^ next
 *
 * It remembers hashes, not places, for the index may have moved everything in between. 136 bytes.
 * Owner only. */
#ifndef SNUG_CACHE_NEWCOMERS_H
#define SNUG_CACHE_NEWCOMERS_H

#include "base/assert.h"

#include <stdint.h>

#define NEWCOMERS 16u

struct newcomers {
	uint64_t hash[NEWCOMERS]; /* 0: none */
	uint32_t next;
};

/* The hash of the object that came sixteen before this one; 0: there is none. */
static inline uint64_t newcomers_add(struct newcomers *newcomers, uint64_t hash) {
	uint32_t at = newcomers->next % NEWCOMERS;
	uint64_t oldest = newcomers->hash[at];
	SNUG_ASSERT(newcomers->next <= NEWCOMERS);
	newcomers->hash[at] = hash;
	newcomers->next = at + 1;
	return oldest;
}

/* The one that leaves next. */
static inline uint64_t newcomers_oldest(const struct newcomers *newcomers) {
	return newcomers->hash[newcomers->next % NEWCOMERS];
}

#endif
