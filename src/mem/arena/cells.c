/* mem/arena/cells.c: runs of free units, and lists of grains; see mem/arena/cells.h.
 *
 * The range is asked for one more grain only if no grain has a run that is long enough. That is the
 * only way in which taking a cell can fail. */
#include "mem/arena/cells.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"

#include <string.h>

#define TRIM_MAX 16u /* grains that go back at once */

/* ------------------------------------------------------------------ bits ----------- */

/* The first bit at or behind `from` that is `set`; CELL_GRAIN_UNITS if there is none. */
static uint32_t next_bit(const uint64_t *words, uint32_t from, bool set) {
	while (from < CELL_GRAIN_UNITS) {
		uint64_t word = set ? words[from / 64] : ~words[from / 64];
		word >>= from % 64;
		if (word != 0) return from + bit_lowest(word);
		from = (from / 64 + 1) * 64;
	}
	return CELL_GRAIN_UNITS;
}

static void write_bits(uint64_t *words, uint32_t first, uint32_t count, bool set) {
	for (uint32_t bit = first; bit < first + count; bit++) {
		uint64_t mask = (uint64_t)1 << (bit % 64);
		SNUG_ASSERT(((words[bit / 64] & mask) != 0) != set);
		words[bit / 64] ^= mask;
	}
}

/* The first run of free units that is at least so long; CELL_GRAIN_UNITS if there is none. */
static uint32_t find_run(const uint64_t *words, uint32_t units) {
	uint32_t first = next_bit(words, 0, true);
	while (first < CELL_GRAIN_UNITS) {
		uint32_t end = next_bit(words, first, false);
		if (end - first >= units) break;
		first = next_bit(words, end, true);
	}
	return first;
}

uint32_t cell_grain_list(const struct cell_grain *grain) {
	uint32_t longest = 0;
	for (uint32_t first = next_bit(grain->free_bits, 0, true); first < CELL_GRAIN_UNITS;) {
		uint32_t end = next_bit(grain->free_bits, first, false);
		longest = (uint32_t)larger(longest, end - first);
		first = next_bit(grain->free_bits, end, true);
	}
	/* All but the header. */
	return longest == CELL_GRAIN_UNITS - 1 ? CELL_LIST_EMPTY
										   : (uint32_t)smaller(longest, CELL_UNITS_MAX);
}

/* ------------------------------------------------------------------ lists ---------- */

static void unlist(struct cells *cells, uint32_t number) {
	struct cell_grain *grain = cell_grain_at(cells, number);
	if (grain->list == 0) return;
	SNUG_ASSERT((cells->list_mask >> grain->list & 1) != 0);
	SNUG_ASSERT(grain->previous != 0 || cells->lists[grain->list] == number + 1);
	if (grain->next != 0) cell_grain_at(cells, grain->next - 1)->previous = grain->previous;
	if (grain->previous != 0) {
		cell_grain_at(cells, grain->previous - 1)->next = grain->next;
	} else {
		cells->lists[grain->list] = grain->next;
		if (grain->next == 0) cells->list_mask &= ~((uint64_t)1 << grain->list);
	}
	grain->list = 0;
}

static void relist(struct cells *cells, uint32_t number) {
	struct cell_grain *grain = cell_grain_at(cells, number);
	uint32_t list = cell_grain_list(grain);
	if (list == grain->list) return;
	unlist(cells, number);
	if (list == 0) return;
	SNUG_ASSERT(list <= CELL_LIST_EMPTY);
	grain->list = list;
	grain->previous = 0;
	grain->next = cells->lists[list];
	if (grain->next != 0) cell_grain_at(cells, grain->next - 1)->previous = number + 1;
	cells->lists[list] = number + 1;
	cells->list_mask |= (uint64_t)1 << list;
}

/* ------------------------------------------------------------------ cells ---------- */

static snug_error add_grain(struct arena *arena, struct cells *cells) {
	size_t bytes = ((size_t)cells->grain_count + 1) * METADATA_GRAIN;
	snug_error error = range_ensure(arena, &cells->range, bytes);
	if (error) return error;
	struct cell_grain *grain = cell_grain_at(cells, cells->grain_count);
	*grain = (struct cell_grain){.free_bits = {UINT64_MAX - 1, UINT64_MAX}};
	relist(cells, cells->grain_count++);
	return SNUG_OK;
}

snug_error cells_make_spare(struct arena *arena, struct cells *cells) {
	return cells_have_spare(cells) ? SNUG_OK : add_grain(arena, cells);
}

snug_error cell_take(struct arena *arena, struct cells *cells, size_t bytes, void **out) {
	uint32_t units = cell_units(bytes);
	SNUG_ASSERT(units > 0 && units <= CELL_UNITS_MAX);
	uint64_t fitting = ~(uint64_t)0 << units;
	if ((cells->list_mask & fitting) == 0) {
		snug_error error = add_grain(arena, cells);
		if (error) return error;
	}
	uint32_t number = cells->lists[bit_lowest(cells->list_mask & fitting)] - 1;
	struct cell_grain *grain = cell_grain_at(cells, number);
	uint32_t first = find_run(grain->free_bits, units);
	SNUG_ASSERT(first > 0 && first < CELL_GRAIN_UNITS);
	write_bits(grain->free_bits, first, units, false);
	relist(cells, number);
	void *cell = (char *)grain + (size_t)first * CELL_UNIT_BYTES;
	memset(cell, 0, (size_t)units * CELL_UNIT_BYTES);
	*out = cell;
	return SNUG_OK;
}

void cell_give(struct cells *cells, void *cell, size_t bytes) {
	size_t at_bytes = (size_t)((char *)cell - cells->range.base);
	uint32_t number = (uint32_t)(at_bytes / METADATA_GRAIN);
	uint32_t first = (uint32_t)(at_bytes % METADATA_GRAIN / CELL_UNIT_BYTES);
	SNUG_ASSERT(number < cells->grain_count && first > 0);
	SNUG_ASSERT(first + cell_units(bytes) <= CELL_GRAIN_UNITS && at_bytes % CELL_UNIT_BYTES == 0);
	write_bits(cell_grain_at(cells, number)->free_bits, first, cell_units(bytes), true);
	relist(cells, number);
}

bool cells_trim(struct arena *arena, struct cells *cells, uint32_t kept) {
	uint32_t before = cells->grain_count, end = before;
	while (end > kept && before - end < TRIM_MAX &&
		   cell_grain_at(cells, end - 1)->list == CELL_LIST_EMPTY)
		unlist(cells, --end);
	if (end == before) return false;
	SNUG_ASSERT(cells->range.committed_bytes >= (size_t)before * METADATA_GRAIN);
	range_shrink(arena, &cells->range, (size_t)end * METADATA_GRAIN);
	if (cells->range.committed_bytes <= (size_t)end * METADATA_GRAIN) {
		cells->grain_count = end;
		SNUG_ASSERT(end > 0 || cells->list_mask == 0);
		return true;
	}
	for (uint32_t number = end; number < before; number++) relist(cells, number);
	return false;
}
