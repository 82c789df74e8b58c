/* mem/defragment/relink.h: who names a fragment, told that it lies elsewhere: both neighbours, and
 * for a head the owner or the handle's entry. Shared by the two that move fragments: evacuate.c
 * one for one, rehome.c several into one. */
#ifndef SNUG_MEM_RELINK_H
#define SNUG_MEM_RELINK_H

#include "mem/slab/handles.h"
#include "mem/slab/trailer.h"

/* `moved` is the trailer at `to`. Its bytes lay in the fragments from `first` to `last`, which are
 * still there. The gate is shut. */
static inline void fragment_relink(snug_heap *heap, struct fragment_trailer moved, uint64_t first,
								   uint64_t last, uint64_t to) {
	if (moved.next != 0) {
		char *at = fragment_trailer_at(heap, moved.next);
		struct fragment_trailer next = fragment_trailer_read(heap, at);
		SNUG_ASSERT(next.previous == last);
		next.previous = to;
		fragment_trailer_write(heap, at, next);
	}
	if (moved.object_size == 0) {
		char *at = fragment_trailer_at(heap, moved.previous);
		struct fragment_trailer previous = fragment_trailer_read(heap, at);
		SNUG_ASSERT(previous.next == first);
		previous.next = to;
		/* Other threads may follow it: what lies there still is the fragment's until they are told. */
		struct change change = version_begin_change(&heap->links);
		fragment_trailer_write(heap, at, previous);
		version_end_change(change);
	} else if (heap->slot_trailer_bytes > 0) {
		handle_moved(&heap->handles, moved.owner, first, to);
	} else {
		const snug_owner *owner = &heap->options.owner;
		owner->moved(owner->context, first | REF_CHAINED, to | REF_CHAINED, moved.object_size);
	}
}

#endif
