/* cache/index/index_left.h: the entries of an index that a killed process has left in a memory file.
 *
 *     groups    read by calls: between the two parts of a changing index lie holes, and a look at a
 *               hole by its address makes memory of it
 *     extra     the spill buckets behind a group, by their numbers, each bounded
 *     carried   what a group held that was on its way to other places: it may be met there as well
 *
 * Nothing is believed: sizes are bounded by the parts of the file, chains by what they may hold. An
 * entry may be met twice. What its bucket says was flushed is not told. */
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

/* A batch of a group or a bucket; the entries are not 0. */
typedef bool (*index_left_visitor)(void *context, const uint64_t *entries, uint32_t count);

/* Of the parts of the file with these numbers. False: it can't be one. */
bool index_left_init(struct index_left *left, const struct index *index,
					 const struct memory_segment *segment, uint64_t groups_part,
					 uint64_t spills_part);

/* All entries, until the visitor answers false, which it then does, too. */
bool index_left_visit(const struct index_left *left, index_left_visitor visit, void *context);

#endif
