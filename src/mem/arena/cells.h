/* mem/arena/cells.h: small pieces of metadata inside the limit: class states and the bitmaps of slabs with many slots.
 *
 * A bump allocator with one free list for each multiple of 32 bytes up to 2 KiB. Cells are few (one per slab of small slots)
 * and of few sizes, so they are neither split nor merged: what was freed serves the next cell of its size. */
#ifndef SNUG_MEM_CELLS_H
#define SNUG_MEM_CELLS_H

#include "mem/types.h"

/* Zeroed. At most CELL_GRAIN * CELL_SIZES bytes. NO_MEMORY, OS_MEMORY. */
snug_error cell_take(struct arena *arena, struct cells *cells, size_t bytes, void **out);
void cell_give(struct cells *cells, void *cell, size_t bytes);

#endif
