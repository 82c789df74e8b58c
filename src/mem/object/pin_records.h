/* mem/object/pin_records.h: pins for which their table has no room.
 *
 * The table of pins grows by pages, and a pin must not move anything to gain one: callers hold
 * addresses while they pin. So where no page is free, a pin is recorded in a hole: in a lent slot
 * (mem/slab/host.h) of 16 bytes beside the trailer. To pin fails only if there is no such hole.
 *
 *   roots[64] --> | entry 8 | child 8 |t child| --> ...      by the hash of the object's offset
 *
 * The records are digital search trees (Coffman and Eve, 1970). Six bits of the hash say which of 64
 * trees; the next ones, one at each record, on which side to go on. Two offsets never have the same
 * hash, so a way has 58 records at most, and with n of them log2(n / 64) on the average. The second
 * child stands in the trailer, in the place of a fragment's `previous`; the trailer's `next` is the
 * slot itself, which no fragment's is. */
#ifndef SNUG_MEM_PIN_RECORDS_H
#define SNUG_MEM_PIN_RECORDS_H

#include "mem/types.h"

#define PIN_RECORD_TREE_BITS 6u
#define PIN_RECORD_DEPTH (64u - PIN_RECORD_TREE_BITS)

_Static_assert(1u << PIN_RECORD_TREE_BITS == PIN_RECORD_TREES, "bits that say which tree");

/* How often the object whose first slot is at `offset` is pinned by a record; 0: it has none. */
uint32_t pin_record_count(const snug_heap *heap, uint64_t offset);

/* A record with a count of 1. False: there is no hole. Nothing moves. */
bool pin_record_add(snug_heap *heap, uint64_t offset);

/* One pin more, or less, on an object that has a record; the last one ends it. */
void pin_record_change(snug_heap *heap, uint64_t offset, bool more);

struct pin_record {
	uint64_t entry;    /* as in the table of pins: count 26 | offset 38 */
	uint64_t child[2]; /* slots; 0: none */
};

/* For walkers. Multiplied by an odd number, so different offsets never have the same. */
static inline uint64_t pin_record_hash(uint64_t offset) {
	return offset * 0x9E3779B97F4A7C15u;
}

/* On which side of a record at this depth the way goes on; a root's is 0. */
static inline uint32_t pin_record_side(uint64_t hash, uint32_t depth) {
	return hash >> (PIN_RECORD_DEPTH - 1 - depth) & 1;
}

struct pin_record pin_record_read(const snug_heap *heap, uint64_t slot);

#endif
