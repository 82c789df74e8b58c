/* mem/object/extents.h: the pieces of memory that a stretch of an object lies in, whether it has
 * one slot or many. An iterator over them, and copying by it; nothing is allocated, and nothing may
 * move while one is in use. */
#ifndef SNUG_MEM_EXTENTS_H
#define SNUG_MEM_EXTENTS_H

#include "mem/types.h"

struct extents {
	const snug_heap *heap;
	uint64_t offset; /* slot of the next piece; 0: none left */
	bool chained;
	size_t skip_bytes; /* in that slot */
	size_t left_bytes;
};

/* The bytes [from, from + length) of the object at `location`; they must lie inside it. */
struct extents extents_of(const snug_heap *heap, uint64_t location, size_t from, size_t length);

/* The same, quick where it follows the last one in the same object: see struct bookmark. */
struct extents extents_seek(snug_heap *heap, uint64_t location, size_t from, size_t length);

/* The next piece; false at the end. */
bool extents_next(struct extents *extents, char **data, size_t *length);

void extents_read(struct extents extents, char *to);
void extents_write(struct extents extents, const char *from);
/* Copies as many bytes as the shorter one has. */
void extents_copy(struct extents to, struct extents from);

#endif
