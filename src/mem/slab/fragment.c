/* mem/slab/fragment.c: see fragment.h. What lies between magazines and hosts, which do not know each
 * other. */
#include "mem/slab/fragment.h"

#include "base/assert.h"
#include "mem/slab/host.h"
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

bool fragment_hole(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	if (class->magazine_count > 0) {
		*offset = class->magazine[--class->magazine_count];
		SNUG_ASSERT(*offset != 0);
		return true;
	}
	return slab_take_fullest(heap, class, 1, offset) > 0 ||
		   slab_take_pinned(heap, class, 1, offset) > 0;
}

bool lent_hole(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	if (class->lists[LIST_HOST] == PAGE_NONE) magazine_flush(heap, class);
	return guest_take(heap, class, offset);
}

void fragment_free(snug_heap *heap, uint64_t offset, uint32_t length) {
	struct size_class *class = class_of_page(heap, page_of(&heap->arena, offset));
	if (LIKELY(class->family == FAMILY_FRAGMENT)) {
		uint16_t id = class_find(&heap->classes, FAMILY_FRAGMENT,
								 length + heap->classes.fragment_trailer_bytes);
		SNUG_ASSERT(length > 0 && id <= class->id);
		slot_free(heap, class, id, length, offset);
		return;
	}
	SNUG_ASSERT(class->host_guests > 0);
	SNUG_ASSERT(length > 0 && length <= hole_capacity(heap, class));
	class->payload_bytes -= length;
	guest_free(heap, class, offset);
}
