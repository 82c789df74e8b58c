/* mem/arena/cells.c: see mem/arena/cells.h. */
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
