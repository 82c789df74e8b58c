/* mem/slab/handle_trim.c: the handle table gets smaller.
 *
 *   near list --sorted--> own lists --all of a grain's entries--> list of empty grains
 *                                                                   |
 *                         at the end of the table   <---------------+------------>  elsewhere
 *                 floors go on to table->floor, the                 each grain is cold, with a
 *                 table is shorter                                  floor of its own
 *
 * THE FLOOR of a grain is the highest generation that one of its entries would have had next. With a
 * used-up entry it is GENERATION_MAX + 1: the grain is spent.
 *
 * A grain at the end hands its floor on if it is at most LENT_MAX, a sixteenth of all generations.
 * What that wastes is bounded, and an emptied table keeps nothing. A higher floor stays, in the
 * array of floors: 4 bytes for each 4 KiB that the table had.
 *
 * The array of floors must be there before anything is forgotten. If there is no memory for it, only
 * the end of the table gets shorter.
 *
 * COST. A slice sorts at most NEAR_SLICE entries, or reads FLOORS_SLICE floors, or gives back one run
 * of grains: it reads 512 entries of each, 0.2 us, and makes one call of the system. */
#include "mem/slab/handle_trim.h"

#include "mem/arena/arena.h"
#include "mem/slab/handle_grains.h"

#define NEAR_SLICE 64u
#define FLOORS_SLICE 1024u
#define FLOORS_SLICE_BYTES ((size_t)65536)
#define RUN_MAX TRIM_RUN_MAX
#define LENT_MAX (1u << 20)

/* ------------------------------------------------------------------ sorting -------- */

/* A slice of the near list goes to its grains. True: there is more. */
static bool sort_near(struct handle_table *table, bool keep_first) {
	for (uint32_t sorted = 0; handles_near(table) > keep_first; sorted++) {
		if (sorted == NEAR_SLICE) return true;
		handle_grain_give_near(table, keep_first);
	}
	return false;
}

/* Whether so many entries are dead that a grain could be empty. */
static bool may_have_empty_grains(const struct handle_table *table) {
	uint64_t warm = table->range.committed_bytes / METADATA_GRAIN;
	uint64_t used = (uint64_t)handles_live(table) + table->retired;
	return warm * HANDLE_GRAIN_USABLE - used >= HANDLE_GRAIN_USABLE ||
		   (table->list_mask & HANDLE_MASK_EMPTY) != 0;
}

/* ------------------------------------------------------------------ giving back ---- */

struct run {
	uint32_t first;
	uint32_t count; /* 0: there is none */
	uint32_t floors[RUN_MAX];
	uint32_t highest; /* of the floors */
};

/* The first grain stays for the next objects, unless all is wanted. */
static bool can_go(const struct handle_table *table, uint32_t number, enum trim how) {
	if (number >= handle_grain_count(table) || handle_grain_is_cold(table, number)) return false;
	return handle_grain_read(table, number).list >= HANDLE_LIST_EMPTY &&
		   (number != 0 || how != TRIM_SPARE);
}

/* With its neighbours; what is spent goes alone, so that it is counted before the next one. */
static bool can_join(const struct handle_table *table, uint32_t number, enum trim how) {
	return can_go(table, number, how) && handle_grain_read(table, number).retired == 0;
}

/* A grain of the list, and its neighbours as far as they can go too. At the end of the table if
 * possible. */
static struct run choose_run(const struct handle_table *table, enum trim how, uint32_t most) {
	struct run run = {.first = handle_grain_count(table) - 1};
	if (!can_go(table, run.first, how)) {
		uint32_t listed = table->lists[HANDLE_LIST_EMPTY - 1];
		if (listed == 1 && how == TRIM_SPARE) listed = handle_grain_read(table, 0).next;
		if (listed == 0) listed = table->lists[HANDLE_LIST_RETIRED - 1];
		if (listed == 0) return run;
		run.first = listed - 1;
	}
	run.count = 1;
	if (handle_grain_read(table, run.first).retired > 0) return run;
	while (run.count < most && can_join(table, run.first + run.count, how)) run.count++;
	for (; run.count < most && run.first > 0 && can_join(table, run.first - 1, how); run.count++)
		run.first--;
	SNUG_ASSERT(run.count <= most && run.first + run.count <= handle_grain_count(table));
	return run;
}

static uint32_t highest_generation(const struct handle_table *table, uint32_t number) {
	const uint64_t *entries = handle_grain_at(table, number);
	uint64_t highest = 0;
	if (handle_grain_read(table, number).retired > 0) return GENERATION_MAX + 1;
	for (uint32_t i = HANDLE_GRAIN_HEADER; i < HANDLE_GRAIN_ENTRIES; i++)
		highest = larger(highest, entries[i]);
	return (uint32_t)(highest >> ENTRY_GENERATION_SHIFT);
}

static void read_floors(const struct handle_table *table, struct run *run) {
	for (uint32_t i = 0; i < run->count; i++) {
		run->floors[i] = highest_generation(table, run->first + i);
		SNUG_ASSERT(run->floors[i] != 0);
		run->highest = (uint32_t)larger(run->highest, run->floors[i]);
	}
}

/* The OS first: if it refuses, the headers are as they were. */
static bool return_run(snug_heap *heap, const struct run *run) {
	struct handle_table *table = &heap->handles;
	for (uint32_t number = run->first; number < run->first + run->count; number++) {
		struct handle_grain grain = handle_grain_read(table, number);
		handle_grain_unlist(table, &grain);
		handle_grain_write(table, number, grain);
	}
	SNUG_ASSERT(run->count > 0 && run->first + run->count <= handle_grain_count(table));
	size_t at_bytes = (size_t)run->first * METADATA_GRAIN;
	uint32_t retired = handle_grain_read(table, run->first).retired;
	SNUG_ASSERT(retired <= table->retired && (retired == 0 || run->count == 1));
	if (range_return(&heap->arena, &table->range, at_bytes, run->count * METADATA_GRAIN)) {
		uint32_t first_index = run->first * HANDLE_GRAIN_ENTRIES;
		table->open_count = (uint32_t)smaller(table->open_count, first_index);
		table->retired -= retired; /* only a run of one grain has any */
		return true;
	}
	for (uint32_t number = run->first; number < run->first + run->count; number++) {
		struct handle_grain grain = handle_grain_read(table, number);
		handle_grain_relist(table, number, &grain);
	}
	return false;
}

static bool shorten_by(snug_heap *heap, const struct run *run) {
	struct handle_table *table = &heap->handles;
	SNUG_ASSERT(run->first + run->count == handle_grain_count(table) && run->highest <= LENT_MAX);
	if (!return_run(heap, run)) return false;
	table->floor = (uint32_t)larger(table->floor, run->highest);
	table->count = run->first * HANDLE_GRAIN_ENTRIES;
	return true;
}

static bool chill(snug_heap *heap, const struct run *run) {
	struct handle_table *table = &heap->handles;
	size_t floors_bytes = handle_grain_count(table) * sizeof(uint32_t);
	if (range_ensure(&heap->arena, &table->floors_range, floors_bytes) != SNUG_OK) return false;
	if (!return_run(heap, run)) return false;
	for (uint32_t i = 0; i < run->count; i++) {
		bool spent = run->floors[i] > GENERATION_MAX;
		SNUG_ASSERT(!handle_grain_is_cold(table, run->first + i));
		table->floors[run->first + i] = FLOOR_COLD | run->floors[i];
		table->cold_grains += !spent;
		table->spent_grains += spent;
	}
	table->cold_hint = (uint32_t)smaller(table->cold_hint, run->first);
	return true;
}

/* Cold grains at the end of the table go on as one number, and floors that nobody needs go back. True:
 * something was done. */
static bool hand_floors_on(snug_heap *heap) {
	struct handle_table *table = &heap->handles;
	uint32_t handed = 0;
	for (; handed < FLOORS_SLICE && table->count > 0; handed++) {
		uint32_t last = handle_grain_count(table) - 1;
		if (!handle_grain_is_cold(table, last)) break;
		uint32_t floor = handle_grain_floor(table, last);
		if (floor > LENT_MAX) break;
		SNUG_ASSERT(table->cold_grains > 0 && table->open_count <= last * HANDLE_GRAIN_ENTRIES);
		table->floor = (uint32_t)larger(table->floor, floor);
		table->floors[last] = 0;
		table->cold_grains--;
		table->count -= HANDLE_GRAIN_ENTRIES;
	}
	bool needed = table->cold_grains > 0 || table->spent_grains > 0;
	size_t needed_bytes = needed ? handle_grain_count(table) * sizeof(uint32_t) : 0;
	size_t before_bytes = table->floors_range.committed_bytes;
	if (before_bytes > needed_bytes + FLOORS_SLICE_BYTES)
		needed_bytes = before_bytes - FLOORS_SLICE_BYTES;
	range_shrink(&heap->arena, &table->floors_range, needed_bytes);
	return handed > 0 || table->floors_range.committed_bytes < before_bytes;
}

/* What must not be spent any more stays, and goes on another list. */
static bool must_stay(struct handle_table *table, const struct run *run) {
	struct handle_grain grain = handle_grain_read(table, run->first);
	if (grain.retired == 0 || handle_grain_list(table, &grain) >= HANDLE_LIST_EMPTY) return false;
	handle_grain_relist(table, run->first, &grain);
	return true;
}

bool handles_trim(snug_heap *heap, enum trim how, uint32_t most) {
	struct handle_table *table = &heap->handles;
	SNUG_ASSERT(most > 0 && most <= RUN_MAX);
	if (hand_floors_on(heap)) return true;
	if (table->count == 0 || !may_have_empty_grains(table)) return false;
	if (sort_near(table, how == TRIM_NEED)) return true;
	struct run run = choose_run(table, how, most);
	if (run.count == 0) return false;
	if (must_stay(table, &run)) return true;
	read_floors(table, &run);
	bool at_end = run.first + run.count == handle_grain_count(table);
	return at_end && run.highest <= LENT_MAX ? shorten_by(heap, &run) : chill(heap, &run);
}
