/* mem/handles.c: see mem/handles.h. */
#include "mem/handles.h"

#include "mem/range.h"

snug_error handle_prepare(snug_pools *pools, uint32_t *index) {
	struct handle_table *table = &pools->handles;
	if (table->free_head != 0) {
		*index = table->free_head - 1;
		return SNUG_OK;
	}
	if (table->count == UINT32_MAX) return SNUG_ERROR_NO_MEMORY;
	snug_error error = range_ensure(&pools->arena, &table->range, ((size_t)table->count + 1) * sizeof(uint64_t));
	if (error) return error;
	*index = table->count;
	return SNUG_OK;
}

snug_handle handle_bind(struct handle_table *table, uint64_t location) {
	uint32_t index;
	uint64_t generation = 1;
	if (table->free_head != 0) {
		index = table->free_head - 1;
		uint64_t entry = table->entries[index];
		generation = entry >> ENTRY_GENERATION_SHIFT;
		table->free_head = (uint32_t)entry;
	} else {
		index = table->count++;
	}
	table->entries[index] = location_entry(location) | ENTRY_LIVE | generation << ENTRY_GENERATION_SHIFT;
	table->live++;
	return index | generation << 32 | (uint64_t)table->tag << 56;
}

void handle_unbind(struct handle_table *table, uint32_t index) {
	uint64_t generation = (table->entries[index] >> ENTRY_GENERATION_SHIFT) + 1;
	table->live--;
	if (generation > GENERATION_MAX) {
		table->entries[index] = 0;
		table->retired++;
		return;
	}
	table->entries[index] = generation << ENTRY_GENERATION_SHIFT | table->free_head;
	table->free_head = index + 1;
}
