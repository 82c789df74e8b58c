/* mem/slab/handle_grains.c: lists of grains, and of the dead entries in one; see
 * mem/slab/handle_grains.h.
 *
 * A list is an eighth of a grain wide, so most entries that come and go leave their grain where it
 * is. A mask of the lists that are not empty makes the choice of the fullest grain one instruction.
 *
 * A grain with a used-up entry is spent when it goes back. If an eighth of the table's addresses
 * is spent it is not put on the list of those that can go back. */
#include "mem/slab/handle_grains.h"

#define SPENT_PARTS 8u                /* of the table's addresses one may be spent */
#define PARTS (HANDLE_LIST_EMPTY - 1) /* lists of grains that are partly dead */

/* Whether one more grain may be given up for ever. */
static bool may_spend(const struct handle_table *table) {
	uint64_t spent_bytes = ((uint64_t)table->spent_grains + 1) * METADATA_GRAIN;
	return spent_bytes <= table->range.reserved_bytes / SPENT_PARTS;
}

uint32_t handle_grain_list(const struct handle_table *table, const struct handle_grain *grain) {
	SNUG_ASSERT(grain->dead + grain->retired <= HANDLE_GRAIN_USABLE);
	if (grain->dead + grain->retired == HANDLE_GRAIN_USABLE &&
		(grain->retired == 0 || may_spend(table)))
		return grain->dead > 0 ? HANDLE_LIST_EMPTY : HANDLE_LIST_RETIRED;
	return grain->dead == 0 ? 0 : 1 + grain->dead * PARTS / HANDLE_GRAIN_ENTRIES;
}

/* Word 0 of a header is its link forward, word 1 the one back. */
static void link_to(struct handle_table *table, uint32_t from, uint32_t word, uint32_t to) {
	SNUG_ASSERT(from != 0 && from != to && !handle_grain_is_cold(table, from - 1));
	SNUG_ASSERT(from <= handle_grain_count(table) && to <= handle_grain_count(table));
	uint64_t *at = handle_grain_at(table, from - 1) + word;
	*at = (*at & ~(uint64_t)UINT32_MAX) | to;
}

void handle_grain_unlist(struct handle_table *table, struct handle_grain *grain) {
	if (grain->list == 0) return;
	SNUG_ASSERT(grain->list <= HANDLE_LISTS && (table->list_mask >> (grain->list - 1) & 1) != 0);
	if (grain->next != 0) link_to(table, grain->next, 1, grain->previous);
	if (grain->previous != 0) {
		link_to(table, grain->previous, 0, grain->next);
	} else {
		table->lists[grain->list - 1] = grain->next;
		if (grain->next == 0) table->list_mask &= ~(1u << (grain->list - 1));
	}
	grain->list = 0;
}

void handle_grain_relist(struct handle_table *table, uint32_t number, struct handle_grain *grain) {
	uint32_t list = handle_grain_list(table, grain);
	SNUG_ASSERT(number < handle_grain_count(table) && !handle_grain_is_cold(table, number));
	if (list != grain->list) {
		handle_grain_unlist(table, grain);
		if (list != 0) {
			grain->next = table->lists[list - 1];
			grain->previous = 0;
			if (grain->next != 0) link_to(table, grain->next, 1, number + 1);
			table->lists[list - 1] = number + 1;
			table->list_mask |= 1u << (list - 1);
		}
		grain->list = list;
	}
	handle_grain_write(table, number, *grain);
}

void handle_grain_give(struct handle_table *table, uint32_t index, uint64_t generation) {
	uint32_t number = index / HANDLE_GRAIN_ENTRIES;
	struct handle_grain grain = handle_grain_read(table, number);
	SNUG_ASSERT(index % HANDLE_GRAIN_ENTRIES >= HANDLE_GRAIN_HEADER && index < table->count);
	SNUG_ASSERT(table->out_count > handles_near(table));
	SNUG_ASSERT(generation != 0);
	table->out_count--;
	if (generation > GENERATION_MAX) {
		table->entries[index] = 0;
		table->retired++;
		grain.retired++;
	} else {
		table->entries[index] = generation << ENTRY_GENERATION_SHIFT | grain.head;
		grain.head = index + 1;
		grain.dead++;
	}
	handle_grain_relist(table, number, &grain);
}

void handle_grain_give_near(struct handle_table *table, bool keep_first) {
	uint32_t index = table->free_head - 1;
	SNUG_ASSERT(handles_near(table) > keep_first);
	SNUG_ASSERT(table->free_head != 0 && table->near_room < NEAR_MAX);
	if (keep_first) {
		uint64_t *first = &table->entries[index];
		index = (uint32_t)*first - 1;
		*first = (*first & ~(uint64_t)UINT32_MAX) | (uint32_t)table->entries[index];
	} else {
		table->free_head = (uint32_t)table->entries[index];
	}
	table->near_room++;
	handle_grain_give(table, index, table->entries[index] >> ENTRY_GENERATION_SHIFT);
}

void handle_grain_take(struct handle_table *table, uint32_t number) {
	struct handle_grain grain = handle_grain_read(table, number);
	SNUG_ASSERT(table->free_head == 0 && handles_near(table) == 0);
	SNUG_ASSERT(grain.head != 0 && grain.dead > 0);
	SNUG_ASSERT(grain.dead <= HANDLE_GRAIN_USABLE);
	table->free_head = grain.head;
	table->near_room = NEAR_MAX - grain.dead;
	table->out_count += grain.dead;
	grain.head = 0;
	grain.dead = 0;
	handle_grain_relist(table, number, &grain);
}
