/* mem/slab/magazine.c: refilling and flushing: what most allocations and frees do not need.
 *
 * A refill takes half a magazine, so that as many frees still find room in it. All its slots come
 * from one slab: the fullest, or one with pinned objects when there is no other. They come in the
 * order of their addresses, and one slab changes lists once for all of them. A flush gives each
 * slot back by itself: they may be of as many slabs. */
#include "mem/slab/magazine.h"

#include "mem/slab/host.h"

void slot_return(snug_heap *heap, struct size_class *class, uint64_t offset) {
	if (UNLIKELY(heap->arena.pages[page_of(&heap->arena, offset)].state == PAGE_HOST)) {
		host_resident_left(heap, class, offset);
	} else {
		slab_return(heap, class, offset);
	}
}

void slot_spill(snug_heap *heap, struct size_class *class, uint64_t offset) {
	slab_return(heap, class, offset);
}

void magazine_flush(snug_heap *heap, struct size_class *class) {
	SNUG_ASSERT(class->magazine_count <= class->magazine_capacity);
	while (class->magazine_count > 0)
		slab_return(heap, class, class->magazine[--class->magazine_count]);
}

uint32_t magazine_refill(snug_heap *heap, struct size_class *class) {
	uint32_t want = class->magazine_capacity / 2;
	uint64_t *top = class->magazine + class->magazine_count;
	SNUG_ASSERT(class->magazine_count <= class->magazine_capacity - want);
	uint32_t taken = slab_take_fullest(heap, class, want, top);
	if (taken == 0) taken = slab_take_pinned(heap, class, want, top);
	SNUG_ASSERT(taken <= want);
	class->magazine_count += taken;
	return taken;
}

/* How many of them will be loose is told by the size that asks: what empties a magazine is as good
 * as drawn at random. If it is not, the review that each new slab brings finds the rest. */
bool slot_refill(snug_heap *heap, size_t payload_bytes) {
	if (payload_bytes == 0 || payload_bytes > SHORT_BYTES_MAX - heap->slot_trailer_bytes)
		return false;
	size_t slot_bytes = payload_bytes + heap->slot_trailer_bytes;
	struct size_class *class = entry_at(heap, heap->classes.shortest[slot_bytes])->serving;
	if (class->magazine_capacity == 0 || class->magazine_count > 0) return false;
	uint32_t taken = magazine_refill(heap, class);
	if (taken == 0) return false;
	class_count_waste(heap, class_find(&heap->classes, FAMILY_BYTES, slot_bytes), class, taken);
	class_review_if_due(heap, class);
	return true;
}
