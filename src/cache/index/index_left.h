/* cache/index/index_left.h: the entries of an index that a killed process has left in a memory file.
 *
 *     groups    read by calls: between the two parts of a changing index lie holes, and a look at a
 *               hole by its address makes memory of it
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
 *               are looked at, and their hashes noted
 *     entries   as they lay in the index. In this order the next index is filled, bucket after bucket
 *
 * A batch is 12 MiB of the process's memory; all entries at once would be faster by little, and take
 * 24 bytes an item. */
#ifndef SNUG_CACHE_INDEX_LEFT_H
#define SNUG_CACHE_INDEX_LEFT_H

#include "cache/index/index.h"
#include "os/memory_segment.h"

struct index_left {
	const struct index *index; /* as it was left: no pointer of it is followed */
	const struct memory_segment *segment;
	const char *groups; /* where they are now */
	const struct bucket *spills;
	uint32_t group_count;
	uint32_t spill_count;
};

/* Some entries, none of which is 0. LEFT_AHEAD words behind the last of each array can be read, too, and
 * mean nothing. */
struct left_batch {
	uint32_t count;
	const uint64_t *entries;
	const uint64_t *places; /* each is an entry's reference and, above it, its number */
	uint64_t *hashes;       /* by number: the visitor's */
};

#define LEFT_AHEAD 32u /* as many lines as a processor asks for at once, and some */

static inline uint32_t place_number(uint64_t place) {
	return (uint32_t)(place >> SNUG_REF_BITS);
}

typedef bool (*index_left_visitor)(void *context, const struct left_batch *batch);

/* Of the parts of the file with these numbers. False: it can't be one. */
bool index_left_init(struct index_left *left, const struct index *index,
					 const struct memory_segment *segment, uint64_t groups_part,
					 uint64_t spills_part);

/* How many entries there are. False: the system refused to tell. */
bool index_left_count(const struct index_left *left, uint64_t *out);

/* All entries, until the visitor answers false, which it then does, too; or the system refused. */
bool index_left_visit(const struct index_left *left, index_left_visitor visit, void *context);

#endif
