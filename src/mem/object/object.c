/* mem/object/object.c: how an object is stored, and how it changes its size.
 *
 * ONE SLOT OR FRAGMENTS. The class table says with one bit whether the best slot wastes more than
 * 1/64 of the object. Mostly it does not, and that is all. If it does, a plan of fragments is made,
 * and taken if it saves at least 8 bytes. Aligned and contiguous objects are never split; objects
 * larger than a page always are.
 *
 * An object that finds no slot, and need not be contiguous, is stored in pieces: as a chain, in
 * whatever holes there are (pieces.h).
 *
 * RESIZING, in the order in which it is tried:
 *
 *   in the slot   it fits, and wastes at most 1/8 of the new size: only the trailer changes
 *   in the chain  fragments stay fragments: the leading whole pages stay where they are
 *   elsewhere     a new place, the content copied, the old place freed
 *   in place      smaller, but there was no memory: the slot stays too large, the chain is cut off
 *
 * The last row is why making an object smaller never fails. A contiguous object stays contiguous as
 * long as a page holds it, and an aligned one stays aligned.
 *
 * THE OLD PLACE MAY MOVE while the new one is looked for, because that may compact. heap->watched
 * is the offset of the object that is being resized; the mover keeps it up to date. A reference
 * that the owner's callback has already changed is thus known here, too, without asking the owner.
 *
 * COST. Reading and writing are a copy for each extent. At an offset beyond the first page of a
 * chain they walk the fragments before it, unless the bookmark is nearer (extents.c). */
#include "mem/object/object.h"

#include "base/assert.h"
#include "mem/object/chain.h"
#include "mem/object/extents.h"
#include "mem/object/pins.h"
#include "mem/object/room.h"

#define SHRINK_PARTS 8u /* a smaller object stays in its slot while it wastes at most 1/8 */

snug_error object_check_request(const snug_heap *heap, size_t size,
								const snug_alloc_options *options) {
	if (size == 0) return SNUG_ERROR_SIZE_ZERO;
	if (size > SNUG_OBJECT_MAX_BYTES || size > heap->object_max_bytes)
		return SNUG_ERROR_SIZE_TOO_LARGE;
	if (options == NULL) return SNUG_OK;
	uint32_t alignment = options->alignment;
	if (alignment != 0 && alignment != 1 && alignment != 8 && alignment != 16)
		return SNUG_ERROR_ALIGNMENT;
	bool contiguous = options->contiguous || alignment > 1;
	if (contiguous && size > snug_contiguous_max(heap)) return SNUG_ERROR_SIZE_TOO_LARGE;
	return SNUG_OK;
}

/* The class of one slot for the object; CLASS_NONE when fragments are the better or the only way:
 * then their plan, too. */
static uint16_t choose_slot(const snug_heap *heap, size_t size, const snug_alloc_options *options,
							struct chain_plan *plan) {
	const struct class_table *table = &heap->classes;
	size_t bytes = size + heap->slot_trailer_bytes;
	SNUG_ASSERT(size > 0 && bytes > size - 1);
	if (options != NULL && options->alignment > 1) return class_find(table, FAMILY_ALIGNED, bytes);
	uint16_t id = class_find(table, FAMILY_BYTES, bytes);
	if (options != NULL && options->contiguous) return id;
	if (LIKELY(id != CLASS_NONE && !class_may_split(table, id, bytes))) return id;
	return chain_plan_beats_slot(heap, size, id, plan) ? CLASS_NONE : id;
}

static inline snug_error alloc_slot(snug_heap *heap, uint16_t id, size_t size, enum effort effort,
									bool can_be_cut, uint32_t owner, uint64_t *location) {
	uint64_t offset;
	struct size_class *class;
	snug_error error = slot_alloc(heap, id, (uint32_t)size, effort, can_be_cut, &offset, &class);
	if (UNLIKELY(error)) return error;
	if (heap->slot_trailer_bytes > 0) object_trailer_write(heap, class, offset, size, owner);
	*location = offset;
	return SNUG_OK;
}

snug_error object_alloc(snug_heap *heap, size_t size, const snug_alloc_options *options,
						uint32_t owner, enum effort effort, uint64_t *location) {
	struct chain_plan plan;
	uint16_t id = choose_slot(heap, size, options, &plan);
	bool can_be_cut = options == NULL || (!options->contiguous && options->alignment <= 1);
	uint64_t offset;
	snug_error error;
	if (id != CLASS_NONE) {
		error = alloc_slot(heap, id, size, effort, can_be_cut, owner, location);
		if (LIKELY(!error) || effort == ROOM_AT_HAND || !can_be_cut) return error;
		if (heap->options.no_last_resort) return error;
		if (chain_alloc_in_pieces(heap, size, owner, &offset) != SNUG_OK)
			return alloc_slot(heap, id, size, effort, false, owner, location);
	} else {
		error = chain_alloc(heap, size, &plan, owner, effort, &offset);
		if (error) return error;
	}
	*location = offset | REF_CHAINED;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ resizing ------- */

static snug_error relocate(snug_heap *heap, uint64_t *location, size_t size, size_t new_size,
						   const snug_alloc_options *options, uint32_t owner) {
	uint64_t chained = *location & REF_CHAINED;
	uint64_t moved;
	SNUG_ASSERT(heap->watched == 0);
	heap->watched = *location & OFFSET_MASK;
	snug_error error = object_alloc(heap, new_size, options, owner, ROOM_MADE, &moved);
	*location = heap->watched | chained;
	heap->watched = 0;
	if (error) return error;
	size_t bytes = size < new_size ? size : new_size;
	SNUG_ASSERT(moved != *location);
	extents_copy(extents_of(heap, moved, 0, bytes), extents_of(heap, *location, 0, bytes));
	object_free(heap, *location, size);
	*location = moved;
	return SNUG_OK;
}

static void resize_in_slot(snug_heap *heap, struct size_class *class, uint64_t offset, size_t size,
						   size_t new_size, uint32_t owner) {
	SNUG_ASSERT(new_size + heap->slot_trailer_bytes <= class->stride);
	slot_repay(heap, class, heap->slot_trailer_bytes, (uint32_t)size, (uint32_t)new_size);
	if (heap->slot_trailer_bytes > 0) object_trailer_write(heap, class, offset, new_size, owner);
}

static snug_error resize_slot(snug_heap *heap, uint64_t *location, size_t size, size_t new_size,
							  uint32_t owner) {
	struct size_class *class = class_of_page(heap, page_of(&heap->arena, *location));
	size_t bytes = new_size + heap->slot_trailer_bytes;
	bool fits = bytes <= class->stride;
	if (fits && (new_size >= size || class->stride - bytes <= bytes / SHRINK_PARTS)) {
		resize_in_slot(heap, class, *location, size, new_size, owner);
		return SNUG_OK;
	}
	bool aligned = class->family == FAMILY_ALIGNED;
	bool contiguous = new_size <= snug_contiguous_max(heap);
	if (aligned && !contiguous) return SNUG_ERROR_SIZE_TOO_LARGE;
	snug_alloc_options options = {.alignment = aligned ? 16 : 1, .contiguous = contiguous};
	snug_error error = relocate(heap, location, size, new_size, &options, owner);
	if (!error || !fits) return error;
	class = class_of_page(heap, page_of(&heap->arena, *location));
	resize_in_slot(heap, class, *location, size, new_size, owner);
	return SNUG_OK;
}

snug_error object_resize(snug_heap *heap, uint64_t *location, size_t size, size_t new_size,
						 uint32_t owner) {
	SNUG_ASSERT(size > 0 && new_size > 0);
	if (size == new_size) return SNUG_OK;
	if ((*location & REF_CHAINED) == 0) return resize_slot(heap, location, size, new_size, owner);
	snug_error error;
	struct chain_plan plan;
	if (choose_slot(heap, new_size, NULL, &plan) != CLASS_NONE) {
		error = relocate(heap, location, size, new_size, NULL, owner);
	} else {
		uint64_t head = *location & OFFSET_MASK;
		error = chain_resize(heap, &head, new_size);
		*location = head | REF_CHAINED;
	}
	if (!error || new_size > size) return error;
	chain_truncate(heap, *location & OFFSET_MASK, new_size);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ content -------- */

static bool in_range(size_t size, size_t offset, size_t length) {
	return offset <= size && length <= size - offset;
}

snug_error object_view(snug_heap *heap, uint64_t location, size_t size, size_t offset,
					   size_t length, snug_extent *extents, size_t *count) {
	if (!in_range(size, offset, length)) return SNUG_ERROR_RANGE;
	SNUG_ASSERT(size > 0 && location != 0);
	size_t used = 0;
	struct extents begin = extents_seek(heap, location, offset, length);
	struct extents pieces = begin;
	char *data;
	size_t piece_bytes;
	while (extents_next(&pieces, &data, &piece_bytes)) {
		if (used++ == *count) return SNUG_ERROR_TOO_MANY_EXTENTS;
	}
	pieces = begin;
	for (size_t index = 0; extents_next(&pieces, &data, &piece_bytes); index++) {
		extents[index] = (snug_extent){data, piece_bytes};
	}
	SNUG_ASSERT(used <= *count);
	*count = used;
	return SNUG_OK;
}

size_t object_extent_count(const snug_heap *heap, uint64_t location) {
	if ((location & REF_CHAINED) == 0) return 1;
	size_t count = 0;
	for (uint64_t offset = location & OFFSET_MASK; offset != 0; offset = chain_next(heap, offset))
		count++;
	return count;
}

snug_error object_read(snug_heap *heap, uint64_t location, size_t size, size_t offset, void *buffer,
					   size_t length) {
	if (!in_range(size, offset, length)) return SNUG_ERROR_RANGE;
	if (buffer == NULL && length > 0) return SNUG_ERROR_NULL;
	extents_read(extents_seek(heap, location, offset, length), buffer);
	return SNUG_OK;
}

snug_error object_write(snug_heap *heap, uint64_t location, size_t size, size_t offset,
						const void *data, size_t length) {
	if (!in_range(size, offset, length)) return SNUG_ERROR_RANGE;
	if (data == NULL && length > 0) return SNUG_ERROR_NULL;
	extents_write(extents_seek(heap, location, offset, length), data);
	return SNUG_OK;
}

size_t snug_contiguous_max(const snug_heap *heap) {
	return heap->arena.page_bytes - heap->slot_trailer_bytes;
}
