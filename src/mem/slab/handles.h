/* mem/slab/handles.h: names that outlive addresses (laws H1 to H3).
 *
 *   handle   | tag 8 | generation 24 | index 32 |          what the program holds
 *                                        |
 *   entry    | generation 24 | live 1 | chained 1 | offset 38 |       8 bytes in one growing array
 *                                                      |
 *   slot     | payload ... | slack | index 4 | slack length 2 |  <----+   names its entry
 *
 * A free bumps the entry's generation, so a stale handle differs from the entry it points to. An
 * entry whose 2^24 - 1 generations are used up is never used again: a stale handle is an error for
 * ever, not for a while. That costs 8 bytes for each 16 million objects that lived in one entry.
 * The tag tells handles of another heap apart in 255 of 256 cases.
 *
 * A dead entry keeps its generation and holds the number of the next dead one; the last one freed
 * is used first. Live and chained lie beside the offset, so that one comparison checks liveness and
 * generation together.
 *
 * COST. 14 bytes an object, 8 of them here. A look-up is three comparisons and one load, and as a
 * rule one cache miss before the object's own. Allocating by handle takes twice the instructions
 * that it takes by reference (docs/instruction-counts.md); who has a table of his own uses
 * references. */
#ifndef SNUG_MEM_HANDLES_H
#define SNUG_MEM_HANDLES_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/types.h"

#define GENERATION_BITS 24
#define GENERATION_MAX ((1u << GENERATION_BITS) - 1)
#define ENTRY_CHAINED ((uint64_t)1 << OFFSET_BITS)
#define ENTRY_LIVE ((uint64_t)1 << (OFFSET_BITS + 1))
#define ENTRY_GENERATION_SHIFT (OFFSET_BITS + 2)

/* Another handle for the same object: the old one is stale. As snug_free would be refused; and
 * NO_MEMORY once in 16 million frees, when the entry has no name left. */
snug_error handle_rename(snug_heap *heap, snug_handle handle, snug_handle *out);

/* Makes sure that the next handle_bind has an entry, and tells its index. NO_MEMORY, OS_MEMORY. */
snug_error handle_prepare(snug_heap *heap, uint32_t *index);

static inline uint32_t handle_index(snug_handle handle) {
	return (uint32_t)handle;
}

static inline uint64_t entry_location(uint64_t entry) {
	return (entry & OFFSET_MASK) | ((entry & ENTRY_CHAINED) << (SNUG_REF_BITS - 1 - OFFSET_BITS));
}

static inline uint64_t location_entry(uint64_t location) {
	return (location & OFFSET_MASK) |
		   ((location & REF_CHAINED) >> (SNUG_REF_BITS - 1 - OFFSET_BITS));
}

/* Where the object is; 0 if the handle names none. */
static inline uint64_t handle_resolve(const struct handle_table *table, snug_handle handle) {
	uint32_t index = handle_index(handle);
	if (UNLIKELY(index >= table->count || handle >> 56 != table->tag)) return 0;
	uint64_t entry = table->entries[index];
	uint64_t expected = (handle >> 32 & GENERATION_MAX) << 1 | 1;
	if (UNLIKELY(entry >> (OFFSET_BITS + 1) != expected)) return 0;
	return entry_location(entry);
}

static inline void handle_relocate(struct handle_table *table, uint32_t index, uint64_t location) {
	uint64_t kept = table->entries[index] & ~(OFFSET_MASK | ENTRY_CHAINED);
	table->entries[index] = kept | location_entry(location);
}

/* The object, or its first fragment, was moved. */
static inline void handle_moved(struct handle_table *table, uint32_t index, uint64_t from,
								uint64_t to) {
	SNUG_ASSERT(index < table->count && (table->entries[index] & ENTRY_LIVE) != 0);
	SNUG_ASSERT((table->entries[index] & OFFSET_MASK) == from);
	table->entries[index] ^= from ^ to;
}

/* Uses the prepared entry for the object at `location` (an offset, with REF_CHAINED if it has
 * fragments). */
static inline snug_handle handle_bind(struct handle_table *table, uint64_t location) {
	uint32_t index;
	uint64_t generation = 1;
	if (LIKELY(table->free_head != 0)) {
		index = table->free_head - 1;
		uint64_t entry = table->entries[index];
		generation = entry >> ENTRY_GENERATION_SHIFT;
		table->free_head = (uint32_t)entry;
	} else {
		index = table->count++;
	}
	table->entries[index] =
		location_entry(location) | ENTRY_LIVE | generation << ENTRY_GENERATION_SHIFT;
	table->live++;
	return index | generation << 32 | (uint64_t)table->tag << 56;
}

/* Gives the object of a live entry its next name; the one before is stale. False: the entry has no
 * generation left, and nothing was done. */
static inline bool handle_renew(struct handle_table *table, uint32_t index, snug_handle *out) {
	uint64_t generation = (table->entries[index] >> ENTRY_GENERATION_SHIFT) + 1;
	SNUG_ASSERT((table->entries[index] & ENTRY_LIVE) != 0);
	if (generation > GENERATION_MAX) return false;
	table->entries[index] += (uint64_t)1 << ENTRY_GENERATION_SHIFT;
	*out = index | generation << 32 | (uint64_t)table->tag << 56;
	return true;
}

/* Ends the handle; its entry may be used again under another generation. */
static inline void handle_unbind(struct handle_table *table, uint32_t index) {
	uint64_t generation = (table->entries[index] >> ENTRY_GENERATION_SHIFT) + 1;
	table->live--;
	if (UNLIKELY(generation > GENERATION_MAX)) {
		table->entries[index] = 0;
		table->retired++;
		return;
	}
	table->entries[index] = generation << ENTRY_GENERATION_SHIFT | table->free_head;
	table->free_head = index + 1;
}

#endif
