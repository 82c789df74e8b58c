/* server/figures/top.h: who has most, of more names than there is room for: Space-Saving (Metwally,
 * Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005).
 *
 *     a name that is there      its weight grows
 *     a new one, and room       gets a slot
 *     a new one, and none       takes the slot of the lightest, and its weight as an error
 *
 * Law     - Of each name that is told: weight - error <= what it really had <= weight.
 *         - A name that had more than the lightest slot's weight, which is at most the sum of all
 *           weights / slots, is there. With fewer names than slots all is exact.
 *
 * Memory is the caller's. Slots are found by an open index of twice as many places, and lie in a heap
 * with the lightest on top; both are fields of the slots, so there is one array. An addition costs a
 * look-up and some exchanges in the heap: 60 to 300 instructions. */
#ifndef SNUG_SERVER_TOP_H
#define SNUG_SERVER_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_NAME_BYTES 250u /* of a key: what is longer is cut */
#define TOP_SLOTS_MAX 32768u

struct top_slot {
	uint64_t weight;
	uint64_t error; /* of which so much may be others' */
	uint64_t count; /* additions since it has the slot */
	uint64_t hash;
	uint16_t heap;    /* which slot is at this place of the heap */
	uint16_t at;      /* where this slot is in the heap */
	uint16_t home[2]; /* two places of the index: a slot's number and 1; 0: none */
	uint8_t length;
	char name[TOP_NAME_BYTES];
};

struct top {
	struct top_slot *slot;
	uint32_t room; /* a power of two */
	uint32_t count;
};

/* Empty. `slots` are `room` of them, a power of two up to TOP_SLOTS_MAX, the caller's until the end. */
void top_init(struct top *top, struct top_slot *slots, uint32_t room);
/* `hash` is the name's, of 64 bits that nobody can choose (work/key_hash.h). `error` is that of another
 * top, where this one is added up from several; 0: it is no sum. `count` likewise; 1. */
void top_add(struct top *top, const void *name, size_t length, uint64_t hash, uint64_t weight,
			 uint64_t error, uint64_t count);
/* What a name that is not there may have had at most. */
uint64_t top_missing(const struct top *top);
/* Halves all weights, rounded up: what was long ago counts less. The law holds to within 1 then. */
void top_halve(struct top *top);
/* The slots of the heaviest, by what they had at least, into `order`, which has room for `most`. Tells
 * how many. */
uint32_t top_order(const struct top *top, uint16_t *order, uint32_t most);

#endif
