/* mem/object/object.h: whole objects, however they are named: in one slot, or in fragments. A
 * location is an offset, with REF_CHAINED for fragments; that is what references are and what the
 * handle table holds.
 *
 *   location & OFFSET_MASK ----> | payload          |t|        one slot: one address
 *
 *   location | REF_CHAINED ----> | piece |t| <-> | piece |t| <-> | rest |t|        a chain
 *
 * Who calls knows location and size, from a handle and its trailer or from the owner's table;
 * nothing here asks which. A call that answers an error has changed nothing.
 *
 * The room:
 *   by_handle.c, by_reference.c   what the owner calls
 *   object                        an object as a whole
 *   pins, pin_records             which of them must stay where they are
 *   chain, plan, extents          its fragments; in how many of which classes; the pieces of memory
 *                                 that a stretch of it lies in
 *   room, fit                     what an allocation does when there is no room; whether there would
 *                                 be if all else went
 *   pieces                        its last resort */
#ifndef SNUG_MEM_OBJECT_H
#define SNUG_MEM_OBJECT_H

#include "mem/object/chain.h"
#include "mem/object/room.h"
#include "mem/slab/trailer.h"
#include "mem/types.h"

/* SIZE_ZERO, SIZE_TOO_LARGE, ALIGNMENT; `options` may be NULL. */
snug_error object_check_request(const snug_heap *heap, size_t size,
								const snug_alloc_options *options);

/* `owner`: the handle's index. The request must have been checked. NO_MEMORY, OS_MEMORY. */
snug_error object_alloc(snug_heap *heap, size_t size, const snug_alloc_options *options,
						uint32_t owner, enum effort effort, uint64_t *location);

/* In handle mode: what stands behind the object in its slot. */
static inline void object_trailer_write(const snug_heap *heap, const struct size_class *class,
										uint64_t offset, size_t size, uint32_t owner) {
	SNUG_ASSERT(size > 0 && size + HANDLE_TRAILER_BYTES <= class->stride);
	struct handle_trailer trailer = {owner,
									 (uint16_t)(class->stride - HANDLE_TRAILER_BYTES - size)};
	handle_trailer_write(handle_trailer_at(heap, class, offset), trailer);
}

static inline void object_free(snug_heap *heap, uint64_t location, size_t size) {
	if (UNLIKELY(location & REF_CHAINED)) {
		chain_free(heap, location & OFFSET_MASK);
		return;
	}
	struct size_class *class = class_of_page(heap, page_of(&heap->arena, location));
	SNUG_ASSERT(size > 0 && size + heap->slot_trailer_bytes <= class->stride);
	uint16_t id =
		class_find(&heap->classes, (enum family) class->family, size + heap->slot_trailer_bytes);
	slot_free(heap, class, id, (uint32_t)size, location);
}

/* Frees about so many bytes from the object's beginning, a whole one that is in one slot. True:
 * nothing is left. False: `*location` names the rest. */
static inline bool object_free_some(snug_heap *heap, uint64_t *location, size_t size,
									uint64_t bytes) {
	if ((*location & REF_CHAINED) == 0) {
		object_free(heap, *location, size);
		return true;
	}
	uint64_t head = *location & OFFSET_MASK;
	bool done = chain_free_some(heap, &head, bytes);
	*location = head | REF_CHAINED;
	return done;
}

/* The location may change. Making it smaller never fails. NO_MEMORY, OS_MEMORY, SIZE_TOO_LARGE
 * (aligned, above a page). */
snug_error object_resize(snug_heap *heap, uint64_t *location, size_t size, size_t new_size,
						 uint32_t owner);

/* Shared by both APIs: they differ only in how they find location and size. */
snug_error object_view(snug_heap *heap, uint64_t location, size_t size, size_t offset,
					   size_t length, snug_extent *extents, size_t *count);
size_t object_extent_count(const snug_heap *heap, uint64_t location);
snug_error object_read(snug_heap *heap, uint64_t location, size_t size, size_t offset, void *buffer,
					   size_t length);
snug_error object_write(snug_heap *heap, uint64_t location, size_t size, size_t offset,
						const void *data, size_t length);

#endif
