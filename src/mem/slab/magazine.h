/* mem/slab/magazine.h: slots in and out, on the fast paths: the magazine in front of each class.
 *
 *   allocate   pop from the magazine of the class that serves this size
 *   free       push to the magazine of the class that the page says
 *
 *   magazine  [ o | o | o | . | . | . ]     offsets of free slots: a quarter of a slab, at most 64
 *                         ^ pop and push
 *          refill: half of it, from one slab        full: this slot goes back to its slab
 *
 * A slot in a magazine stays marked used in its slab's bitmap and never lies in a victim: a class's
 * magazine is flushed before one of its slabs is chosen (law S6). Classes of fewer than eight slots
 * a slab have none: there it would hold a large part of a page. What happens when the magazine is
 * empty is told in mem/object/room.h.
 *
 * COST. In turns of 16 an allocation takes 48 instructions by reference and a free 47; in turns of
 * 256, in which magazines run empty and full, 74 and 93 (docs/instruction-counts.md).
 *
 * REJECTED, for a free into a full magazine. Spilling half of it: 235 instructions a pair in turns
 * of 64, where giving the one slot back took 147. Never pushing: each free of a slot in a full
 * slab then changes lists, four times slower in cache. A queue instead of a stack, so that an
 * allocation does not wait for the last free: no difference. */
#ifndef SNUG_MEM_MAGAZINE_H
#define SNUG_MEM_MAGAZINE_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/poison.h"
#include "mem/slab/classes.h"
#include "mem/slab/slab.h"
#include "mem/types.h"

/* Half a magazine of holes, from one slab; false if the class has none. The class has a magazine,
 * at most half full. */
bool magazine_refill(snug_heap *heap, struct size_class *class);

/* Returns all slots of the magazine to their slabs. */
void magazine_flush(snug_heap *heap, struct size_class *class);

/* Out of line: what most frees do not need. Back to its slab, or lent if that is a host. */
void slot_return(snug_heap *heap, struct size_class *class, uint64_t offset);

/* What all allocations end with. `class` is that of the slot's page, `id` the one that the payload
 * belongs to. */
static inline void slot_hand_out(snug_heap *heap, struct size_class *class, uint16_t id,
								 size_t payload_bytes, uint64_t offset) {
	SNUG_ASSERT(payload_bytes <= class->stride);
	SNUG_ASSERT(!slab_slot_is_free(heap, class, offset));
	heap->payload_bytes[class->pool] += payload_bytes;
	unpoison_slot(address_of(&heap->arena, offset), class->stride);
	class_count_in(heap, id, class);
}

/* The common case of allocation, inline: a small size of which nothing is split, and a slot in its
 * magazine. `trailer_bytes` stand behind the payload; a size is checked before they are added to
 * it. False: nothing was done. After it, as the caller's last act: class_review_if_due. */
static inline bool slot_alloc_small(snug_heap *heap, size_t payload_bytes, size_t trailer_bytes,
									uint64_t *offset, struct size_class **out) {
	if (UNLIKELY(payload_bytes - 1 >= EXACT_SIZE_MAX - trailer_bytes)) return false;
	uint16_t id = heap->classes.exact[payload_bytes + trailer_bytes];
	if (UNLIKELY(id >= EXACT_MAY_SPLIT)) return false;
	struct size_class *class = heap->classes.entry[id].serving;
	if (UNLIKELY(class == NULL || class->magazine_count == 0)) return false;
	*offset = class->magazine[--class->magazine_count];
	*out = class;
	slot_hand_out(heap, class, id, payload_bytes, *offset);
	return true;
}

/* The next common case: the magazine is empty, the class has a hole. True: slot_alloc_small will
 * do. */
static inline bool slot_refill_small(snug_heap *heap, size_t payload_bytes, size_t trailer_bytes) {
	if (payload_bytes - 1 >= EXACT_SIZE_MAX - trailer_bytes) return false;
	uint16_t id = heap->classes.exact[payload_bytes + trailer_bytes];
	struct size_class *class = id < EXACT_MAY_SPLIT ? heap->classes.entry[id].serving : NULL;
	return class != NULL && class->magazine_capacity > 0 && class->magazine_count == 0 &&
		   magazine_refill(heap, class);
}

/* Into the magazine while it has room, so that what is freed and allocated in turns stays in the
 * processor's cache; else back to its slab at once. */
static inline void slot_give(snug_heap *heap, struct size_class *class, page_number number,
							 uint64_t offset) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(class->magazine_count <= class->magazine_capacity);
	SNUG_ASSERT(page->class_id == class->id && !slab_slot_is_free(heap, class, offset));
	if (class->magazine_count < class->magazine_capacity && page->state == PAGE_SLAB) {
		class->magazine[class->magazine_count++] = offset;
	} else {
		slot_return(heap, class, offset);
	}
}

/* What all frees end with. The same of `class` and `id`. */
static inline void slot_take_back(snug_heap *heap, struct size_class *class, uint16_t id,
								  page_number number, uint64_t offset) {
	class_count_out(heap, id);
	poison_slot(address_of(&heap->arena, offset), class->stride);
	slot_give(heap, class, number, offset);
}

static inline void slot_free(snug_heap *heap, struct size_class *class, uint16_t id,
							 uint32_t payload_bytes, uint64_t offset) {
	SNUG_ASSERT(heap->payload_bytes[class->pool] >= payload_bytes);
	SNUG_ASSERT(!slab_slot_is_free(heap, class, offset));
	heap->changes++;
	heap->payload_bytes[class->pool] -= payload_bytes;
	slot_take_back(heap, class, id, page_of(&heap->arena, offset), offset);
}

/* The payload in a slot changes its size without leaving the slot. */
static inline void slot_repay(snug_heap *heap, struct size_class *class, uint32_t trailer_bytes,
							  uint32_t old_bytes, uint32_t new_bytes) {
	enum family family = (enum family) class->family;
	uint16_t old_id = class_find(&heap->classes, family, (size_t)old_bytes + trailer_bytes);
	uint16_t new_id = class_find(&heap->classes, family, (size_t)new_bytes + trailer_bytes);
	SNUG_ASSERT(old_id <= class->id && new_id <= class->id);
	class_count_out(heap, old_id);
	class_count_in(heap, new_id, class);
	class_review_if_due(heap, class);
	heap->payload_bytes[class->pool] -= old_bytes;
	heap->payload_bytes[class->pool] += new_bytes;
}

#endif
