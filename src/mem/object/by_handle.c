/* mem/object/by_handle.c: the public calls that name objects by handle (snug/heap.h).
 *
 *   handle --resolve--> location --trailer--> size --> mem/object/object.h
 *            table              slot
 *
 * Each call resolves the handle to location and size and hands on. A handle that names nothing is
 * HANDLE, whatever it was: never given out, freed, of another heap. The slot names its entry as
 * well; that they do not agree is CORRUPT, and is looked at in release builds too.
 *
 * THE SHORT WAY. snug_alloc and snug_free first try the common case in straight-line code: a small
 * object that is not split, a magazine that has a slot or room for one, an entry that was used
 * before, no pin on the slab. Whatever that does not cover, wrong arguments included, is found out
 * by the general way, which is kept out of line. After an empty magazine has been refilled the
 * short way is taken once more.
 *
 * ORDER. The entry is made sure of first, then the slot, then both are bound: so nothing that was
 * taken has to be given back. Table and heap compete for the same limit; if the table can't grow,
 * a page is gained for it as for an object. The prepared entry may keep the end of the table in
 * memory, so before a refusal the tables are trimmed without it, and all is tried once more.
 *
 * A BATCH is freed in four passes: all entries are asked for, then all descriptors, then the ends of
 * all slots, so that the misses of a pass overlap; then each is freed. An entry is hidden from the
 * second pass on: whoever is named twice is found out before anything is freed.
 *
 * COST. 72 instructions to allocate and 100 to free, where by reference it is 33 and 37
 * (docs/instruction-counts.md): the entry, the trailer, and the trailer's check. A free reads the
 * entry and the end of the slot, one cache miss after the other. */
#include "mem/gate.h"
#include "mem/object/chain.h"
#include "mem/object/object.h"
#include "mem/object/pins.h"
#include "mem/object/room.h"
#include "mem/slab/handles.h"
#include "mem/slab/tables.h"
#include "mem/slab/trailer.h"

struct target {
	uint64_t location;
	size_t size;
	uint32_t index;
};

static snug_error enter(snug_heap *heap, snug_handle handle, struct target *target) {
	snug_error error = gate_enter(heap, BY_HANDLE);
	if (UNLIKELY(error)) return error;
	uint64_t location = handle_resolve(&heap->handles, handle);
	if (UNLIKELY(location == 0)) return SNUG_ERROR_HANDLE;
	target->location = location;
	target->index = handle_index(handle);
	if (location & REF_CHAINED) {
		target->size = chain_size(heap, location & OFFSET_MASK);
		return SNUG_OK;
	}
	const struct size_class *class = class_of_page(heap, page_of(&heap->arena, location));
	SNUG_ASSERT(class->family != FAMILY_FRAGMENT && !slab_slot_is_free(heap, class, location));
	struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, location));
	target->size = class->stride - HANDLE_TRAILER_BYTES - trailer.slack_bytes;
	return SNUG_GUARD(trailer.index == target->index) ? SNUG_OK : SNUG_ERROR_CORRUPT;
}

static bool is_pinned(const snug_heap *heap, const struct target *target) {
	return heap->pins.count > 0 && pin_count(heap, target->location & OFFSET_MASK) > 0;
}

static __attribute__((noinline)) snug_error alloc_any(snug_heap *heap, size_t size,
													  snug_handle *out) {
	bool entered = gate_enter(heap, BY_HANDLE) == SNUG_OK;
	if (entered && heap->handles.free_head != 0 && slot_refill(heap, size))
		return snug_alloc(heap, size, out);
	return snug_alloc_with(heap, size, NULL, out);
}

/* The common case first: a small object and a table entry that was used before. Whatever it does
 * not cover, wrong arguments included, is found out by the general one. */
snug_error snug_alloc(snug_heap *heap, size_t size, snug_handle *out) {
	if (UNLIKELY(heap == NULL || out == NULL)) return SNUG_ERROR_NULL;
	bool is_short = size - 1 < heap->gate.handles && gate_thread(heap) == SNUG_OK;
	struct size_class *class;
	uint64_t offset;
	uint32_t head = heap->handles.free_head;
	if (UNLIKELY(
			!is_short || head == 0 ||
			!slot_pop(heap, size + HANDLE_TRAILER_BYTES, HANDLE_TRAILER_BYTES, &offset, &class)))
		return alloc_any(heap, size, out);
	object_trailer_write(heap, class, offset, size, head - 1);
	*out = handle_bind(&heap->handles, offset);
	SNUG_ASSERT(handle_resolve(&heap->handles, *out) == offset);
	return SNUG_OK;
}

struct entry_need {
	struct need need; /* first: attempt gets it back as this */
	uint32_t index;
};

static snug_error attempt_entry(snug_heap *heap, struct need *need) {
	snug_error error = handle_prepare(heap, &((struct entry_need *)need)->index);
	if (error == SNUG_ERROR_OS_MEMORY) need->pages_most = 0; /* a page would not help */
	return error;
}

static snug_error alloc_prepared(snug_heap *heap, size_t size, const snug_alloc_options *options,
								 uint64_t *location) {
	struct entry_need entry = {
		.need = {.attempt = attempt_entry, .effort = ROOM_MADE, .pages_most = UINT64_MAX}};
	snug_error error = room_find(heap, &entry.need);
	return UNLIKELY(error) ? error
						   : object_alloc(heap, size, options, entry.index, ROOM_MADE, location);
}

snug_error snug_alloc_with(snug_heap *heap, size_t size, const snug_alloc_options *options,
						   snug_handle *out) {
	snug_error error = gate_enter(heap, BY_HANDLE);
	if (UNLIKELY(error)) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	error = object_check_request(heap, size, options);
	if (UNLIKELY(error)) return error;
	uint64_t location = 0;
	error = alloc_prepared(heap, size, options, &location);
	if (error == SNUG_ERROR_NO_MEMORY && tables_trim(heap, TRIM_ALL) > 0)
		error = alloc_prepared(heap, size, options, &location);
	if (UNLIKELY(error)) {
		heap->totals.failed_allocations++;
		return error;
	}
	*out = handle_bind(&heap->handles, location);
	SNUG_ASSERT(handle_resolve(&heap->handles, *out) == location);
	return SNUG_OK;
}

/* The common case: a small object in one slot of a slab that nothing is pinned on. False: nothing
 * was done. Inlined by order: as a call of its own it costs a free 17 instructions. */
static inline __attribute__((always_inline)) bool free_small(snug_heap *heap, snug_handle handle) {
	uint64_t offset = handle_resolve_open(&heap->handles, handle);
	if (UNLIKELY(offset == 0 || (offset & REF_CHAINED) != 0)) return false;
	struct size_class *class = class_of_unpinned(heap, page_of(&heap->arena, offset));
	if (UNLIKELY(class->short_bytes == 0)) return false;
	struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, offset));
	uint32_t bytes = class->stride - trailer.slack_bytes;
	if (UNLIKELY(bytes - 1 >= class->short_bytes)) return false;
	if (!SNUG_GUARD(trailer.index == handle_index(handle) && bytes > HANDLE_TRAILER_BYTES))
		return false;
	SNUG_ASSERT(pin_count(heap, offset) == 0);
	if (UNLIKELY(!handle_unbind_near(&heap->handles, handle))) return false;
	slot_push(heap, class, bytes, HANDLE_TRAILER_BYTES, offset);
	return true;
}

static __attribute__((noinline)) snug_error free_any(snug_heap *heap, snug_handle handle) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (UNLIKELY(error)) return error;
	if (is_pinned(heap, &target)) return SNUG_ERROR_PINNED;
	object_free(heap, target.location, target.size);
	handle_unbind(&heap->handles, handle);
	heap->frees++;
	return SNUG_OK;
}

/* The common case first, as in snug_alloc. */
snug_error snug_free(snug_heap *heap, snug_handle handle) {
	if (UNLIKELY(heap == NULL)) return SNUG_ERROR_NULL;
	bool entered = heap->gate.handles != 0 && gate_thread(heap) == SNUG_OK;
	if (LIKELY(entered && free_small(heap, handle))) return SNUG_OK;
	return free_any(heap, handle);
}

/* Where the object is, which no other handle of the batch may name any more. */
static snug_error take_in_batch(snug_heap *heap, snug_handle handle, uint64_t *location) {
	*location = handle_resolve(&heap->handles, handle);
	if (UNLIKELY(*location == 0)) return SNUG_ERROR_HANDLE;
	if (UNLIKELY(heap->pins.count > 0) && pin_count(heap, *location & OFFSET_MASK) > 0)
		return SNUG_ERROR_PINNED;
	handle_hide(&heap->handles, handle_index(handle));
	__builtin_prefetch(&heap->arena.pages[page_of(&heap->arena, *location & OFFSET_MASK)], 1);
	return SNUG_OK;
}

/* All are hidden, or none. */
static snug_error take_batch(snug_heap *heap, const snug_handle *handles, size_t count,
							 uint64_t *locations) {
	for (size_t index = 0; index < count; index++) {
		uint32_t number = handle_index(handles[index]);
		if (LIKELY(number < heap->handles.open_count))
			__builtin_prefetch(&heap->handles.entries[number], 1);
	}
	for (size_t index = 0; index < count; index++) {
		snug_error error = take_in_batch(heap, handles[index], &locations[index]);
		if (LIKELY(!error)) continue;
		while (index-- > 0) handle_show(&heap->handles, handle_index(handles[index]));
		return error;
	}
	return SNUG_OK;
}

snug_error snug_free_batch(snug_heap *heap, const snug_handle *handles, size_t count) {
	uint64_t locations[SNUG_BATCH_MAX];
	snug_error error = gate_enter(heap, BY_HANDLE);
	if (error) return error;
	if (count > SNUG_BATCH_MAX) return SNUG_ERROR_RANGE;
	if (count > 0 && handles == NULL) return SNUG_ERROR_NULL;
	error = take_batch(heap, handles, count, locations);
	if (error) return error;
	for (size_t index = 0; index < count; index++) {
		uint64_t offset = locations[index] & OFFSET_MASK;
		const struct size_class *class = class_of_page(heap, page_of(&heap->arena, offset));
		__builtin_prefetch(address_of(&heap->arena, offset) + class->stride - 1);
	}
	for (size_t index = 0; index < count; index++) {
		handle_show(&heap->handles, handle_index(handles[index]));
		/* CORRUPT: the others are freed all the same */
		snug_error freed =
			free_small(heap, handles[index]) ? SNUG_OK : free_any(heap, handles[index]);
		if (freed) error = freed;
	}
	return error;
}

snug_error snug_free_part(snug_heap *heap, snug_handle handle, size_t bytes, bool *done) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	if (done == NULL) return SNUG_ERROR_NULL;
	if (bytes == 0) return SNUG_ERROR_BUDGET_ZERO;
	if (is_pinned(heap, &target)) return SNUG_ERROR_PINNED;
	*done = object_free_some(heap, &target.location, target.size, bytes);
	if (*done) {
		handle_unbind(&heap->handles, handle);
		heap->frees++;
	} else {
		handle_relocate(&heap->handles, target.index, target.location);
	}
	return SNUG_OK;
}

snug_error handle_rename(snug_heap *heap, snug_handle handle, snug_handle *out) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	if (is_pinned(heap, &target)) return SNUG_ERROR_PINNED;
	return handle_renew(&heap->handles, target.index, out) ? SNUG_OK : SNUG_ERROR_NO_MEMORY;
}

snug_error snug_resize(snug_heap *heap, snug_handle handle, size_t size) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	error = object_check_request(heap, size, NULL);
	if (error) return error;
	if (is_pinned(heap, &target)) return SNUG_ERROR_PINNED;
	error = object_resize(heap, &target.location, target.size, size, target.index);
	if (!error) handle_relocate(&heap->handles, target.index, target.location);
	SNUG_ASSERT(heap->watched == 0);
	return error;
}

snug_error snug_size(snug_heap *heap, snug_handle handle, size_t *out) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	*out = target.size;
	return SNUG_OK;
}

snug_error snug_ptr(snug_heap *heap, snug_handle handle, void **out) {
	snug_error error = gate_enter(heap, BY_HANDLE);
	if (UNLIKELY(error)) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	uint64_t location = handle_resolve(&heap->handles, handle);
	if (UNLIKELY(location == 0)) return SNUG_ERROR_HANDLE;
	if (location & REF_CHAINED) return SNUG_ERROR_NOT_CONTIGUOUS;
	*out = address_of(&heap->arena, location);
	return SNUG_OK;
}

snug_error snug_read(snug_heap *heap, snug_handle handle, size_t offset, void *buffer,
					 size_t length) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	return object_read(heap, target.location, target.size, offset, buffer, length);
}

snug_error snug_write(snug_heap *heap, snug_handle handle, size_t offset, const void *data,
					  size_t length) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	return object_write(heap, target.location, target.size, offset, data, length);
}

snug_error snug_view(snug_heap *heap, snug_handle handle, size_t offset, size_t length,
					 snug_extent *extents, size_t *count) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	if (extents == NULL || count == NULL) return SNUG_ERROR_NULL;
	return object_view(heap, target.location, target.size, offset, length, extents, count);
}

snug_error snug_extent_count(snug_heap *heap, snug_handle handle, size_t *out) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	*out = object_extent_count(heap, target.location);
	return SNUG_OK;
}

snug_error snug_pin(snug_heap *heap, snug_handle handle) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	return pin_add(heap, target.location, target.size);
}

snug_error snug_unpin(snug_heap *heap, snug_handle handle) {
	struct target target;
	snug_error error = enter(heap, handle, &target);
	if (error) return error;
	return pin_remove(heap, target.location, target.size);
}
