/* mem/arena/cells.h: small pieces of metadata inside the limit: class states, and the bitmaps of
 * slabs with more than 128 slots, whose descriptors have no room for them (law A7).
 *
 *   range    | grain | grain | grain | ... not committed ... |          4 KiB each
 *
 *   grain    | header | cell  | cell | free |   cell   | free ... |     128 units of 32 bytes
 *              which units are free, next, previous, list
 *
 *   lists    [1] [2] [3] ... [32]  grains by their longest run of free units
 *            [33]                  grains without a cell
 *
 * A cell is as many neighbouring units as it needs, so cells of all sizes share the grains. It
 * comes from the grain whose longest run is the shortest that holds it, and from the first run
 * there that does. So what is nearly full fills up, and other grains become empty.
 *
 * Grains without a cell at the end of the range go back to the OS when the tables are trimmed
 * (mem/slab/tables.h). Those between others stay for the next cells: at most what the bitmaps of
 * the smallest slots take, which is 1.6 % of the limit.
 *
 * COST. Both calls read and write one header, and look through at most 128 bits. They come with a
 * slab or a class that begins or ends. A cell is zeroed when it is handed out. A class state takes
 * at most 768 bytes, the bitmap of the smallest slots in the largest page 1,024.
 *
 * REJECTED. A free list for each size: what was freed served no other size and was never given
 * back. */
#ifndef SNUG_MEM_CELLS_H
#define SNUG_MEM_CELLS_H

#include "mem/types.h"

/* The header of a grain: its first unit. */
struct cell_grain {
	uint64_t free_bits[CELL_GRAIN_UNITS / 64];
	uint32_t next; /* grain number + 1; 0: none */
	uint32_t previous;
	uint32_t list; /* 0: on none */
	uint32_t reserved;
};

static inline struct cell_grain *cell_grain_at(const struct cells *cells, uint32_t number) {
	return (struct cell_grain *)(void *)(cells->range.base + (size_t)number * METADATA_GRAIN);
}

static inline uint32_t cell_units(size_t bytes) {
	return (uint32_t)((bytes + CELL_UNIT_BYTES - 1) / CELL_UNIT_BYTES);
}

/* Zeroed. At most CELL_UNITS_MAX units. NO_MEMORY, OS_MEMORY. */
snug_error cell_take(struct arena *arena, struct cells *cells, size_t bytes, void **out);
void cell_give(struct cells *cells, void *cell, size_t bytes);

/* Whether there is a run of free units as long as any cell; and makes sure of it. NO_MEMORY,
 * OS_MEMORY. */
static inline bool cells_have_spare(const struct cells *cells) {
	return cells->list_mask >> CELL_UNITS_MAX != 0;
}

snug_error cells_make_spare(struct arena *arena, struct cells *cells);

/* Gives some grains at the end of the range back to the OS; false if there is none, or the OS
 * refuses. `kept` stay in any case. */
bool cells_trim(struct arena *arena, struct cells *cells, uint32_t kept);

/* On which list the grain belongs. */
uint32_t cell_grain_list(const struct cell_grain *grain);

#endif
