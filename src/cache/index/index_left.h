/* cache/index/index_left.h: the entries of an index that a killed process has left in a memory file.
 *
 *     groups    where the file holds them: between the two parts of a changing index lie holes, and a
 *               look at a hole makes memory of it
 *     extra     the spill buckets behind a group, by their numbers, each bounded
 *     carried   what a group held that was on its way to other places: it may be met there as well
 *
 * Nothing is believed: sizes are bounded by the parts of the file, chains by what they may hold. An
 * entry may be met twice. What its bucket says was flushed is not told.
 *
 * ORDER. Entries lie in the order of hashes, so items that follow each other in the index lie anywhere,
 * and a look at each waits for its memory, for the page's address and for the page's descriptor. So
 * they are told in batches, and in two orders:
 *
 *     places    nearly by addresses: one pass puts each into one of 2,048 ranges. In this order items
 *               are looked at, and something is noted in the place of each: its hash
 *     entries   as they lay in the index. In this order the next index is filled, bucket after bucket,
 *               and what was noted is found again: the first of a range is the first that was put there
 *
 * So all memory that is touched is gone through forwards, in 2,048 places at most. An address of the
 * file's pages that was looked up serves all items of that page in a batch: a batch is an 8th of all
 * entries. It takes 16 bytes an entry of the process's memory, 2 an item of all. */
#ifndef SNUG_CACHE_INDEX_LEFT_H
#define SNUG_CACHE_INDEX_LEFT_H

#include "cache/index/index.h"
#include "os/memory_segment.h"

struct index_left {
	const struct index *index; /* as it was left: no pointer of it is followed */
	const struct memory_segment *segment;
	const struct group *groups; /* where they are now */
	const struct bucket *spills;
	uint32_t group_count;
	uint32_t spill_count;
};

/* Some entries, none of which is 0. */
struct left_batch {
	uint32_t count;
	uint32_t range_shift;
	const uint64_t *entries;
	/* references, LEFT_AHEAD words behind the last of which can be read, too, and mean nothing; from
	 * the visitor on what he has noted in the place of each */
	uint64_t *places;
	uint32_t *noted; /* by range: where the next one is found that was noted */
};

#define LEFT_AHEAD 32u /* as many lines as a processor asks for at once, and some */

static inline uint64_t left_address(uint64_t entry) {
	return entry & (((uint64_t)1 << (SNUG_REF_BITS - 1)) - 1); /* chained, or not */
}

/* What was noted in the place of the entry's reference: to be asked for all entries, in their order. */
static inline uint64_t left_noted(const struct left_batch *batch, uint64_t entry) {
	uint32_t place = batch->noted[left_address(entry) >> batch->range_shift]++;
	SNUG_ASSERT(place < batch->count);
	return batch->places[place];
}

typedef bool (*index_left_visitor)(void *context, const struct left_batch *batch);

/* Of the parts of the file with these numbers. False: it can't be one. */
bool index_left_init(struct index_left *left, const struct index *index,
					 const struct memory_segment *segment, uint64_t groups_part,
					 uint64_t spills_part);

/* How many entries there are. False: the system refused to tell. */
bool index_left_count(const struct index_left *left, uint64_t *out);

/* All entries, of which there are so many, until the visitor answers false, which it then does, too; or
 * the system refused. */
bool index_left_visit(const struct index_left *left, uint64_t entries, index_left_visitor visit,
					  void *context);

#endif
