/* mem/slab/handles.c: where entries come from; and what a free and a look-up do in the rare case.
 * The common case is inline in mem/slab/handles.h, which also says what near and own lists, cold
 * grains and floors are.
 *
 *             handle_prepare: nothing dead
 *     none, or COLD ------------------------> WARM, all entries near
 *      ^                                        |   ^
 *      |  handle_trim.c: all entries            |   |  handle_prepare: the fullest grain gives its
 *      |  are on the own list                   v   |  own list
 *      +------------------------------------ entries on own lists
 *                      handle_unbind_far: near list full; handle_trim.c: near list taken apart
 *
 * An entry is made sure of before anything else is done for an object: that is the only part of a
 * handle's life that can fail, and a slot that was found is then never given back.
 *
 * COST. A grain that is made warm writes 512 entries, for as many allocations. Of the cold grains
 * the lowest is taken, so that the end of the table can go. It is found by reading floors from the
 * lowest that may be cold on, at most SEARCH_MAX at once; if there is none among them the table
 * grows at its end instead. */
#include "mem/slab/handles.h"

#include "mem/arena/arena.h"
#include "mem/slab/handle_grains.h"

#define SEARCH_MAX 4096u /* floors that are read at once: 16 KiB */
#define OPEN_MAX 64u     /* grains that become open at once */
#define NEAR_BATCH 64u   /* near entries that go to their grains when the list is full */

void handle_unbind_far(struct handle_table *table, snug_handle handle) {
	handle_grain_give(table, handle_index(handle), handle_generation(handle) + 1);
	/* Those that follow find room again. */
	for (uint32_t given = 0; given < NEAR_BATCH && handles_near(table) > NEAR_MAX / 2; given++)
		handle_grain_give_near(table, false);
}

uint64_t handle_resolve_far(const struct handle_table *table, snug_handle handle) {
	uint32_t index = handle_index(handle);
	if (index >= table->count || handle >> 56 != table->tag) return 0;
	if (handle_grain_is_cold(table, index / HANDLE_GRAIN_ENTRIES)) return 0;
	return entry_match(table->entries[index], handle);
}

/* Moves the end of the open entries over warm grains. It need not get far: it is a bound. */
static void open_more(struct handle_table *table) {
	for (uint32_t moved = 0; moved < OPEN_MAX && table->open_count < table->count; moved++) {
		if (handle_grain_is_cold(table, table->open_count / HANDLE_GRAIN_ENTRIES)) return;
		table->open_count += HANDLE_GRAIN_ENTRIES;
	}
}

static bool can_grow(const struct handle_table *table) {
	return table->count <= UINT32_MAX - HANDLE_GRAIN_ENTRIES &&
		   handle_grain_count(table) < table->range.reserved_bytes / METADATA_GRAIN;
}

/* The lowest cold grain that is not spent, or the one at the end of the table. */
static uint32_t choose_grain(struct handle_table *table) {
	uint32_t end = handle_grain_count(table);
	if (table->cold_grains == 0) return end;
	for (uint32_t read = 0; table->cold_hint < end; table->cold_hint++, read++) {
		if (read >= SEARCH_MAX && can_grow(table)) return end;
		if (handle_grain_is_cold(table, table->cold_hint) &&
			handle_grain_floor(table, table->cold_hint) <= GENERATION_MAX)
			return table->cold_hint;
	}
	SNUG_ASSERT(false); /* cold_grains says that there is one */
	return end;
}

/* All entries of a new grain are dead, of one generation, and near. */
static void fill_grain(struct handle_table *table, uint32_t number, uint64_t generation) {
	uint32_t first = number * HANDLE_GRAIN_ENTRIES + HANDLE_GRAIN_HEADER;
	uint32_t last = first + HANDLE_GRAIN_USABLE - 1;
	uint64_t dead = generation << ENTRY_GENERATION_SHIFT;
	SNUG_ASSERT(generation != 0 && generation <= GENERATION_MAX && handles_near(table) == 0);
	handle_grain_write(table, number, (struct handle_grain){0});
	for (uint32_t index = first; index < last; index++) table->entries[index] = dead | (index + 2);
	table->entries[last] = dead;
	table->free_head = first + 1;
	table->near_room = NEAR_MAX - HANDLE_GRAIN_USABLE;
	table->out_count += HANDLE_GRAIN_USABLE;
}

static snug_error warm_grain(snug_heap *heap) {
	struct handle_table *table = &heap->handles;
	uint32_t number = choose_grain(table);
	bool is_new = number == handle_grain_count(table);
	if (is_new && !can_grow(table)) return SNUG_ERROR_OS_MEMORY;
	snug_error error =
		range_commit(&heap->arena, &table->range, (size_t)number * METADATA_GRAIN, METADATA_GRAIN);
	if (error) return error;
	uint32_t floor = table->floor;
	if (is_new) {
		table->count += HANDLE_GRAIN_ENTRIES;
	} else {
		floor = handle_grain_floor(table, number);
		table->floors[number] = 0;
		table->cold_grains--;
	}
	fill_grain(table, number, floor);
	open_more(table);
	return SNUG_OK;
}

snug_error handle_prepare(snug_heap *heap, uint32_t *index) {
	struct handle_table *table = &heap->handles;
	uint32_t dead_mask = table->list_mask & HANDLE_MASK_DEAD;
	if (table->free_head == 0 && dead_mask != 0) {
		handle_grain_take(table, table->lists[bit_lowest(dead_mask)] - 1);
	} else if (table->free_head == 0) {
		snug_error error = warm_grain(heap);
		if (error) return error;
	}
	*index = table->free_head - 1;
	return SNUG_OK;
}
