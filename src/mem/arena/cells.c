/* mem/arena/cells.c: a bump allocator with free lists; see mem/arena/cells.h.
 *
 * The list is chosen by rounding up, so a cell of 40 bytes and one of 64 are the same. The range is
 * asked for more memory only when the list is empty, and that is the only way in which taking a
 * cell can fail. */
#include "mem/arena/cells.h"

#include "base/assert.h"
#include "mem/arena/arena.h"

#include <string.h>

static size_t list_of(size_t bytes) {
	return (bytes + CELL_GRAIN - 1) / CELL_GRAIN - 1;
}

snug_error cell_take(struct arena *arena, struct cells *cells, size_t bytes, void **out) {
	size_t list = list_of(bytes);
	SNUG_ASSERT(bytes > 0 && list < CELL_SIZES);
	void *cell = cells->free_lists[list];
	if (cell != NULL) {
		memcpy(&cells->free_lists[list], cell, sizeof(void *));
	} else {
		size_t cell_bytes = (list + 1) * CELL_GRAIN;
		snug_error error = range_ensure(arena, &cells->range, cells->used_bytes + cell_bytes);
		if (error) return error;
		cell = cells->range.base + cells->used_bytes;
		cells->used_bytes += cell_bytes;
	}
	memset(cell, 0, (list + 1) * CELL_GRAIN);
	*out = cell;
	return SNUG_OK;
}

void cell_give(struct cells *cells, void *cell, size_t bytes) {
	size_t list = list_of(bytes);
	memcpy(cell, &cells->free_lists[list], sizeof(void *));
	cells->free_lists[list] = cell;
}
