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
 * THE SHORT WAY is what most allocations and frees of up to 1 KiB take: straight-line code that asks
 * as little as it can. What it does not ask is answered by what it reads anyway:
 *
 *   which class?     a table by size leads to the entry that names it. Where there is none, or
 *                    fragments are better, it names one without slots: its magazine is empty
 *   which mode, is   the gate is the largest size of the short way; it is 0 in the other mode and
 *   a callback on?   while a callback runs (mem/gate.h)
 *   pinned, a        the slab is on none of the lists by fullness (law S2)
 *   victim, lent?
 *   is the object    short_bytes is 0 in all classes but those of byte strings
 *   short at all?
 *
 * It counts one object more or less, its bytes, and a free. Whether a class holds loose objects is
 * found out when that begins to matter: when the class of the objects is activated (law C4). The
 * waste of a group is estimated when a magazine is refilled, and looked at in any case when
 * the class has taken a slab more (mem/slab/classes.c).
 *
 * COST. In turns of 16 an allocation takes 33 instructions by reference and a free 37, the call
 * included; in turns of 256, in which magazines run empty and full, 58 and 79
 * (docs/instruction-counts.md). A pair took 97 while each of the questions was asked. Programs have
 * the short way by reference inline (include/snug/heap_short.h): what changes here changes there.
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

/* Half a magazine of holes, from one slab; how many: 0 if the class has none. The class has a
 * magazine, at most half full. */
uint32_t magazine_refill(snug_heap *heap, struct size_class *class);

/* Returns all slots of the magazine to their slabs. */
void magazine_flush(snug_heap *heap, struct size_class *class);

/* Out of line: what most frees do not need. Back to its slab, or lent if that is a host. */
void slot_return(snug_heap *heap, struct size_class *class, uint64_t offset);
/* The same where it is no host's. */
void slot_spill(snug_heap *heap, struct size_class *class, uint64_t offset);

/* What allocations by the long way end with. `class` is that of the slot's page, `id` the one that
 * the payload belongs to. */
static inline void slot_hand_out(snug_heap *heap, struct size_class *class, uint16_t id,
								 size_t payload_bytes, uint64_t offset) {
	SNUG_ASSERT(payload_bytes <= class->stride);
	SNUG_ASSERT(!slab_slot_is_free(heap, class, offset));
	unpoison_slot(address_of(&heap->arena, offset), class->stride);
	class_count_in(heap, class, id, payload_bytes);
	class_count_waste(heap, id, class, 1);
}

/* ------------------------------------------------------------------ the short way -- */

/* A slot of the magazine for so many bytes, at most SHORT_BYTES_MAX, of which `trailer_bytes` stand
 * behind the payload. False: nothing was done. */
static inline bool slot_pop(snug_heap *heap, size_t slot_bytes, size_t trailer_bytes,
							uint64_t *offset, struct size_class **out) {
	SNUG_ASSERT(slot_bytes > trailer_bytes && slot_bytes <= SHORT_BYTES_MAX);
	struct class_entry *entry = entry_at(heap, heap->classes.shortest[slot_bytes]);
	struct size_class *class = entry->serving;
	uint32_t count = class->magazine_count - 1;
	if (UNLIKELY((int32_t)count < 0)) return false;
	class->magazine_count = count;
	class->payload_bytes += slot_bytes - trailer_bytes;
	entry->live++;
	*offset = class->magazine[count];
	*out = class;
	SNUG_ASSERT(slot_bytes <= class->stride && !slab_slot_is_free(heap, class, *offset));
	unpoison_slot(address_of(&heap->arena, *offset), class->stride);
	return true;
}

/* The next common case: the magazine is empty, the class has a hole. True: slot_pop will do. False
 * for any size that the short way does not serve. */
bool slot_refill(snug_heap *heap, size_t payload_bytes);

/* The class of the slab, if the short way of freeing may take a slot of it; else `nobody`, or
 * another one that no object is short enough for. That a slab is on a list by fullness says all: it
 * is neither a victim nor a host, and nothing is pinned on it. */
static inline struct size_class *class_of_unpinned(const snug_heap *heap, uint64_t number) {
	if (UNLIKELY(number >= heap->arena.described)) return heap->classes.nobody;
	const struct page *page = &heap->arena.pages[number];
	if (UNLIKELY(page->list > LIST_FULL)) return heap->classes.nobody;
	SNUG_ASSERT(page->state == PAGE_SLAB && page->pins == 0);
	return heap->classes.state[page->class_id];
}

/* The slot goes back by the short way: its class is short enough for `slot_bytes`. */
static inline void slot_push(snug_heap *heap, struct size_class *class, size_t slot_bytes,
							 size_t trailer_bytes, uint64_t offset) {
	SNUG_ASSERT(slot_bytes > trailer_bytes && slot_bytes <= class->short_bytes);
	SNUG_ASSERT(!slab_slot_is_free(heap, class, offset));
	SNUG_ASSERT(class->magazine_count <= class->magazine_capacity);
	poison_slot(address_of(&heap->arena, offset), class->stride);
	struct class_entry *entry = entry_at(heap, heap->classes.exact[slot_bytes]);
	SNUG_ASSERT(entry->live > 0);
	heap->frees++;
	entry->live--;
	class->payload_bytes -= slot_bytes - trailer_bytes;
	if (LIKELY(class->magazine_count < class->magazine_capacity)) {
		class->magazine[class->magazine_count++] = offset;
	} else {
		slot_spill(heap, class, offset);
	}
}

/* ------------------------------------------------------------------ the long way --- */

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

/* What frees by the long way end with. The same of `class` and `id`. */
static inline void slot_free(snug_heap *heap, struct size_class *class, uint16_t id,
							 uint32_t payload_bytes, uint64_t offset) {
	SNUG_ASSERT(!slab_slot_is_free(heap, class, offset));
	heap->changes++;
	class_count_out(heap, class, id, payload_bytes);
	poison_slot(address_of(&heap->arena, offset), class->stride);
	slot_give(heap, class, page_of(&heap->arena, offset), offset);
}

/* The payload in a slot changes its size without leaving the slot. */
static inline void slot_repay(snug_heap *heap, struct size_class *class, uint32_t trailer_bytes,
							  uint32_t old_bytes, uint32_t new_bytes) {
	enum family family = (enum family) class->family;
	uint16_t old_id = class_find(&heap->classes, family, (size_t)old_bytes + trailer_bytes);
	uint16_t new_id = class_find(&heap->classes, family, (size_t)new_bytes + trailer_bytes);
	SNUG_ASSERT(old_id <= class->id && new_id <= class->id);
	class_count_out(heap, class, old_id, old_bytes);
	class_count_in(heap, class, new_id, new_bytes);
	class_count_waste(heap, new_id, class, 1);
	class_review_if_due(heap, class);
}

#endif
