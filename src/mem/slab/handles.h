/* mem/slab/handles.h: names that outlive addresses (laws H1 to H5).
 *
 *   handle   | tag 8 | generation 24 | index 32 |          what the program holds
 *                                        |
 *   entry    | generation 24 | live 1 | chained 1 | offset 38 |       8 bytes in an array
 *                                                      |
 *   slot     | payload ... | slack | index 4 | slack length 2 |  <----+   names its entry
 *
 * A free bumps the entry's generation, so a stale handle differs from the entry it points to. An
 * entry whose 2^24 - 1 generations are used up is never used again: a stale handle is an error for
 * ever, not for a while. The tag tells handles of another heap apart in 255 of 256 cases. Live and
 * chained lie beside the offset, so that one comparison checks liveness and generation together.
 *
 * GRAINS. The array is committed and given back in grains of 512 entries. The first three entries
 * of a grain are its header; they look like dead entries, so no handle resolves to them.
 *
 *   grain    | next, list | previous, dead | head, retired | entry 3 | entry 4 | ... | entry 511 |
 *
 * DEAD ENTRIES keep their generation and link to the next dead one. They are on one of two kinds of
 * list:
 *
 *   near     one for the table: the last one freed is used first. At most NEAR_MAX are added by
 *            frees, so that it can be taken apart in bounded time.
 *   own      one for each grain: what did not fit in the near list. A grain is listed by how many
 *            entries it has there. When the near list is empty it takes over the own list of the
 *            fullest grain, whole. So grains that are nearly empty become empty.
 *
 * A COLD GRAIN is one that was given back. Of all its generations one number is kept, its floor:
 * the highest. Its entries begin there when it is committed again. So no stale handle of it is ever
 * taken for a new one. Floors take 4 bytes a grain, and only while a cold grain lies below a warm
 * one; for grains beyond the end of the table there is one floor. Entries at `open_count` and
 * above may lie in a cold grain, which is looked up before they are read. Where nothing is cold
 * that costs nothing.
 *
 * WHAT IS LOST. A grain in which an entry was used up is spent when it goes back: 4 KiB of
 * addresses, no memory, once in 16 million objects at the most. An eighth of the table's addresses
 * may go so; then such grains stay committed.
 *
 * COST. 14 bytes an object, 8 of them here and 0.05 for the headers. A look-up is three comparisons
 * and one load, and as a rule one cache miss before the object's own. Allocating by handle takes
 * twice the instructions that it takes by reference (docs/instruction-counts.md); who has a table
 * of his own uses references.
 *
 * REJECTED. One list for all dead entries, the last one freed first: no grain could be given back
 * without walking it, 100 ns an entry. A list for each grain alone: a free and an allocation in a
 * full table then relist their grain, 60 instructions a pair. Counts of live entries in an array
 * beside: 6 instructions a pair, and a cache line. */
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

#define NEAR_MAX 1024u

/* Another handle for the same object: the old one is stale. As snug_free would be refused; and
 * NO_MEMORY once in 16 million frees, when the entry has no name left. */
snug_error handle_rename(snug_heap *heap, snug_handle handle, snug_handle *out);

/* Makes sure that the next handle_bind has an entry, and tells its index. NO_MEMORY, OS_MEMORY. */
snug_error handle_prepare(snug_heap *heap, uint32_t *index);

/* What an unbind does that finds the near list full, or the entry's generations used up. */
void handle_unbind_far(struct handle_table *table, snug_handle handle);

/* The same as handle_resolve, for entries that may not be committed as well. */
uint64_t handle_resolve_far(const struct handle_table *table, snug_handle handle);

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

/* The entry's location if it is live and of that handle's generation; 0 if not. */
static inline uint64_t entry_match(uint64_t entry, snug_handle handle) {
	uint64_t expected = (handle >> 32 & GENERATION_MAX) << 1 | 1;
	if (UNLIKELY(entry >> (OFFSET_BITS + 1) != expected)) return 0;
	return entry_location(entry);
}

/* Where the object is; 0 if the handle names none, or if its entry must be looked up the far way. */
static inline uint64_t handle_resolve_open(const struct handle_table *table, snug_handle handle) {
	uint32_t index = handle_index(handle);
	if (UNLIKELY(index >= table->open_count || handle >> 56 != table->tag)) return 0;
	return entry_match(table->entries[index], handle);
}

/* Where the object is; 0 if the handle names none. */
static inline uint64_t handle_resolve(const struct handle_table *table, snug_handle handle) {
	uint64_t location = handle_resolve_open(table, handle);
	return LIKELY(location != 0) ? location : handle_resolve_far(table, handle);
}

static inline void handle_relocate(struct handle_table *table, uint32_t index, uint64_t location) {
	SNUG_ASSERT(index < table->count && (table->entries[index] & ENTRY_LIVE) != 0);
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
	SNUG_ASSERT(table->free_head != 0 && table->near_room < NEAR_MAX);
	uint32_t index = table->free_head - 1;
	uint64_t entry = table->entries[index];
	uint64_t generation = entry >> ENTRY_GENERATION_SHIFT;
	SNUG_ASSERT((entry & ENTRY_LIVE) == 0 && generation != 0);
	table->free_head = (uint32_t)entry;
	table->near_room++;
	table->entries[index] =
		location_entry(location) | ENTRY_LIVE | generation << ENTRY_GENERATION_SHIFT;
	return index | generation << 32 | (uint64_t)table->tag << 56;
}

/* Hides a live entry, so that no handle resolves to it, and shows it again: for calls that name
 * several objects, and must not take one of them twice. */
static inline void handle_hide(struct handle_table *table, uint32_t index) {
	SNUG_ASSERT(index < table->count && (table->entries[index] & ENTRY_LIVE) != 0);
	table->entries[index] &= ~ENTRY_LIVE;
}

static inline void handle_show(struct handle_table *table, uint32_t index) {
	SNUG_ASSERT(index < table->count && (table->entries[index] & ENTRY_LIVE) == 0);
	table->entries[index] |= ENTRY_LIVE;
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

/* Ends a live handle; its entry may be used again under another generation. False if the near list
 * is full or the entry's generations are used up: nothing was done. */
static inline bool handle_unbind_near(struct handle_table *table, snug_handle handle) {
	uint32_t index = handle_index(handle);
	uint64_t dead;
	SNUG_ASSERT(entry_match(table->entries[index], handle) != 0 && handle >> 56 == table->tag);
	/* Without the tag the generation is where an entry has it. */
	if (UNLIKELY(table->near_room == 0 ||
				 __builtin_add_overflow(handle << 8, (uint64_t)1 << ENTRY_GENERATION_SHIFT, &dead)))
		return false;
	table->near_room--;
	dead = dead >> ENTRY_GENERATION_SHIFT << ENTRY_GENERATION_SHIFT;
	table->entries[index] = dead | table->free_head;
	table->free_head = index + 1;
	return true;
}

static inline void handle_unbind(struct handle_table *table, snug_handle handle) {
	if (UNLIKELY(!handle_unbind_near(table, handle))) handle_unbind_far(table, handle);
}

static inline uint64_t handle_generation(snug_handle handle) {
	return handle >> 32 & GENERATION_MAX;
}

#endif
