/* name_index.h: from a handle or a reference to a position in the twin's table.
 *
 * Open addressing with linear probing; deletion shifts the followers back, so there are no
 * tombstones. Names are never 0, which marks an empty place. */
#ifndef SNUG_TEST_NAME_INDEX_H
#define SNUG_TEST_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define NAME_INDEX_NONE SIZE_MAX

typedef struct name_index_place {
	uint64_t name;
	size_t position;
} name_index_place;

typedef struct name_index {
	name_index_place *places;
	size_t room; /* a power of two */
	size_t count;
} name_index;

void name_index_init(name_index *index);
void name_index_deinit(name_index *index);
/* Adds a name or gives one a new position. */
void name_index_put(name_index *index, uint64_t name, size_t position);
/* NAME_INDEX_NONE: not there. */
size_t name_index_get(const name_index *index, uint64_t name);
void name_index_remove(name_index *index, uint64_t name);

#endif
