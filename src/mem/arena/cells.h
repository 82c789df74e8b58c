/* mem/arena/cells.h: small pieces of metadata inside the limit: class states, and the bitmaps of
 * slabs with more than 128 slots, whose descriptors have no room for them.
 *
 *   range    | cell | cell | free cell | cell | ... used so far | not committed ... |
 *   lists    [32] [64] [96] ... [2048]        one for each multiple of 32 bytes
 *
 * Cells are few (one for each slab of small slots) and of few sizes (a class has one size of
 * bitmap). So they are neither split nor merged: what was freed serves the next cell of its size. A
 * free cell holds the link to the next in its first bytes.
 *
 * Both calls are O(1), and a cell is zeroed when it is handed out. A class state takes at most 704
 * bytes, the bitmap of the smallest slots in the largest page 1,024. What was once a cell never
 * goes back to the OS: the range only grows, by what the heap held at its most. */
#ifndef SNUG_MEM_CELLS_H
#define SNUG_MEM_CELLS_H

#include "mem/types.h"

/* Zeroed. At most CELL_GRAIN * CELL_SIZES bytes. NO_MEMORY, OS_MEMORY. */
snug_error cell_take(struct arena *arena, struct cells *cells, size_t bytes, void **out);
void cell_give(struct cells *cells, void *cell, size_t bytes);

#endif
