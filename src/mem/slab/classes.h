/* mem/slab/classes.h: which slot sizes there are, and which of them are worth their slabs.
 *
 * A stride is page / n rounded down (for aligned slots: to a multiple of 16), thinned out to a
 * ratio of 1 + 1/64. Every active class keeps about half a page of holes, so in a small heap fine
 * classes waste more than they save. So a class starts inactive, and its objects go to the next
 * larger active one, which serves it (law C1). An object in a slot of a larger class is loose. The
 * inactive classes below an active one are its group. When the group's loose objects would waste a
 * quarter of a page less with one of its classes active, that class is activated. A heap with its
 * last resort uses holes to the last one: there, with pages from 16 KiB on, a 32nd is enough, and
 * what the class's state takes. (With a quarter, sizes of 1,000 to 2,000 bytes filled 0.977 of 64
 * MiB; so they fill 0.980.) A class retires at the end of a compaction or merge that left it without
 * a slab. Those of a coarse subset (ratio 1.5) retire only when the memory of their states is wanted
 * (mem/slab/tables.h).
 *
 *   strides   ... 96   97   99  100  102  104 ...        (16 KiB pages)
 *   active         *                        *
 *   serving       96  104  104  104  104  104            97 to 102 waste 2 to 7 bytes an object
 *
 * COST. A size up to 1 KiB finds its class with one load, a larger one with a division.
 * The tables are part of the heap's fixed metadata:
 *
 *   page            4 KiB    8 KiB   16 KiB   32 KiB   64 KiB
 *   byte classes      120      173      240      300      356     fragments have as many
 *   aligned            31       44       63       89      127
 *   tables          7.5 KB  10.7 KB  14.9 KB  19.2 KB  24.2 KB   and 4 KB by size
 *   plans             4 KB     8 KB    16 KB    32 KB    64 KB   from 2,048 times as much on
 *
 * REJECTED. Counting each class's waste alone: ten neighbours may each waste a little less than
 * half a page for ever. Activating at half a page: 0.2 % less payload at 64 MiB; at a whole one 0.4
 * %. All classes active from the start: a heap of 16 MiB of production sizes with 64 KiB pages then
 * holds 41 % payload. */
#ifndef SNUG_MEM_CLASSES_H
#define SNUG_MEM_CLASSES_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/types.h"

/* Bytes of memory that class_table_init needs for pages of this size. */
size_t class_table_bytes(uint32_t page_bytes, bool keeps_plans);
void class_table_init(struct class_table *table, uint32_t page_bytes, bool keeps_plans,
					  uint32_t slot_trailer_bytes, uint32_t fragment_trailer_bytes, void *memory);

/* Whether a heap with this limit has room for its plans (object/plan.c). */
static inline bool class_keeps_plans(size_t limit_bytes, size_t page_bytes) {
	return limit_bytes / 2048 >= page_bytes;
}

/* The smallest aligned class whose slots hold `bytes`; CLASS_NONE above a page. */
uint16_t class_find_aligned(const struct class_table *table, size_t bytes);

static inline enum family class_family(const struct class_table *table, uint16_t id) {
	return id < table->first[1]   ? FAMILY_BYTES
		   : id < table->first[2] ? FAMILY_ALIGNED
								  : FAMILY_FRAGMENT;
}

/* The same for any family. Bytes and fragments have the same strides. Most sizes are small; from
 * RATIO_FINE slots a slab down a page / n is a stride for each n, so that the class is known by n. */
static inline uint16_t class_find(const struct class_table *table, enum family family,
								  size_t bytes) {
	if (UNLIKELY(family == FAMILY_ALIGNED)) return class_find_aligned(table, bytes);
	if (LIKELY(bytes <= SHORT_BYTES_MAX))
		return (uint16_t)(table->first[family] + (table->exact[bytes] - HEAP_WORDS) / ENTRY_WORDS);
	if (UNLIKELY(bytes > table->page_bytes)) return CLASS_NONE;
	uint16_t id = (uint16_t)(table->first[family + 1] - table->page_bytes / (uint32_t)bytes);
	SNUG_ASSERT(table->entry[id].stride >= bytes && table->entry[id - 1].stride < bytes);
	return id;
}

#define RATIO_FINE 64u /* strides are thinned to 1 + 1/64 */

#define SPLIT_GAIN_BYTES 8u /* what fragments must save at least */

/* A slot that wastes more than 1/64 of the object may be worth splitting; but only if what it wastes
 * is more than what stands behind two fragments. */
static inline bool class_may_split(const struct class_table *table, uint16_t id, size_t bytes) {
	SNUG_ASSERT(table->entry[id].stride >= bytes);
	size_t waste_bytes = table->entry[id].stride - bytes;
	return waste_bytes * 64 > bytes && waste_bytes >= table->split_waste_bytes;
}

/* The largest class of the family whose slots are at most `bytes`; CLASS_NONE if even the smallest
 * is larger. */
uint16_t class_find_below(const struct class_table *table, enum family family, size_t bytes);

/* The active class that objects of `id` go to now; created if it was never used. NO_MEMORY,
 * OS_MEMORY. */
snug_error class_serving(snug_heap *heap, uint16_t id, struct size_class **out);

/* The class itself is active, whatever it is used for. NO_MEMORY, OS_MEMORY. */
snug_error class_ensure(snug_heap *heap, uint16_t id);

/* At creation: the largest class of each family, which serves where there is no memory for the
 * state of a smaller one. So a free page always serves. NO_MEMORY, OS_MEMORY. */
snug_error class_activate_largest(snug_heap *heap);

/* Activates the class of the serving one's group that is worth it, if any. */
void class_review_group(snug_heap *heap, struct size_class *serving);

/* An object or fragment of class `id` is in a slot of `class` now. */
static inline void class_count_in(snug_heap *heap, struct size_class *class, uint16_t id,
								  size_t payload_bytes) {
	SNUG_ASSERT(heap->classes.entry[id].stride <= class->stride &&
				class_family(&heap->classes, id) == class->family);
	class->payload_bytes += payload_bytes;
	heap->classes.entry[id].live++;
}

/* And is not any more. */
static inline void class_count_out(snug_heap *heap, struct size_class *class, uint16_t id,
								   size_t payload_bytes) {
	SNUG_ASSERT(heap->classes.entry[id].live > 0);
	class->payload_bytes -= payload_bytes;
	heap->classes.entry[id].live--;
}

/* `objects` of class `id` may lie loose in `serving` from now on, whose group may then be due for a
 * review. */
static inline void class_count_waste(const snug_heap *heap, uint16_t id, struct size_class *serving,
									 uint32_t objects) {
	uint32_t waste_bytes = serving->stride - heap->classes.entry[id].stride;
	serving->review_bytes -= (int64_t)waste_bytes * objects;
	serving->loose |= waste_bytes > 0;
}

/* Each time a quarter of a page, or a 32nd, was wasted in the group; and when the class has a slab
 * more. */
static inline void class_review_if_due(snug_heap *heap, struct size_class *serving) {
	if (UNLIKELY(serving->review_bytes <= 0)) class_review_group(heap, serving);
}

static inline void class_review_soon(struct size_class *serving) {
	serving->review_bytes = 0;
}

/* All payload in slots of the pool. */
uint64_t heap_payload_bytes(const snug_heap *heap, uint32_t pool);

/* Of the state of an active class. */
size_t class_state_bytes(enum family family, uint32_t slots);

/* Ends a class that has no slab and nothing in its magazine; false if it has. */
bool class_retire(snug_heap *heap, struct size_class *class);
/* The same, unless the class is of the coarse subset. */
void class_retire_if_empty(snug_heap *heap, struct size_class *class);

/* Tails of chains are of many sizes, each of them rare. */
static inline uint32_t class_magazine_capacity(enum family family, uint32_t slots) {
	uint32_t capacity = slots / 4;
	uint32_t most = family == FAMILY_FRAGMENT ? MAGAZINE_MAX / 4 : MAGAZINE_MAX;
	if (capacity < 2) return 0;
	return capacity < most ? capacity : most;
}

#endif
