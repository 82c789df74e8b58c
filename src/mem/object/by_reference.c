/* mem/object/by_reference.c: the public calls that name objects by the owner's reference.
 *
 *   owner's table [ ... ref ... ]  --ref, size-->  heap
 *                      ^------------- moved(from, to) ---- heap, whenever it moves
 *
 * A reference is an offset and the bit for chains: 40 bits, of which the owner's table keeps as
 * many as it needs. The heap holds nothing about the object: no header, no trailer, no table. So
 * the owner gives the size back with each call, and a reference that is wrong can't be told from
 * one that is right in all cases. What is checked: that it points into a slab, of the family that
 * its bit says, with slots that hold the size. Debug builds also check that a slot begins there and
 * is live, which is why there every free goes the general way.
 *
 * THE SHORT WAY of snug_ref_alloc and snug_ref_free is as in by_handle.c, without entry and
 * trailer: 20 and 31 instructions (mem/slab/magazine.h), 33 and 37 with the call. Programs have it
 * inline, and call what is here for the rest (docs/design/0016).
 *
 * BATCHES. One call for up to 256 objects. Freeing asks for all their descriptors at once, so that
 * the misses overlap: with 256 MiB live a pair takes 61 ns in batches of 64, and 110 ns alone
 * (docs/benchmarks.md). Allocating is all or none and moves nothing while it fills: the first
 * objects of a batch have no owner yet who could be told. If it fails, what was taken goes back, a
 * page is gained, and it begins again: from the whole pages that the batch must have to what it
 * needs if it finds no hole at all. Freeing checks all before it frees the first. */
#include "mem/arena/arena.h"
#include "mem/gate.h"
#include "mem/object/chain.h"
#include "mem/object/object.h"
#include "mem/object/pins.h"
#include "mem/object/room.h"
#include "mem/slab/host.h"

/* Whether the reference points into a slab at all; in debug builds also, that its slot begins there
 * and is live. */
static inline snug_error check(const snug_heap *heap, snug_ref ref, size_t size) {
	uint64_t place = (ref & ~REF_CHAINED) >> heap->arena.page_shift;
	if (UNLIKELY(place >= heap->arena.described)) return SNUG_ERROR_REFERENCE;
	page_number number = (page_number)place;
	const struct page *page = &heap->arena.pages[number];
	if (UNLIKELY(page->state < PAGE_SLAB)) return SNUG_ERROR_REFERENCE;
	const struct size_class *class = heap->classes.state[page->class_id];
	bool chained = (ref & REF_CHAINED) != 0;
	if (UNLIKELY(chained != (class->family == FAMILY_FRAGMENT)) &&
		!(chained && page->state == PAGE_HOST && host_has_guest(heap, number, ref & OFFSET_MASK)))
		return SNUG_ERROR_REFERENCE;
	if (UNLIKELY(size > (chained ? SNUG_OBJECT_MAX_BYTES : class->stride)))
		return SNUG_ERROR_REFERENCE;
#ifdef SNUG_DEBUG
	uint64_t offset = ref & OFFSET_MASK;
	uint64_t slot = slot_of(&heap->arena, class, offset);
	if (page_offset(&heap->arena, number) + slot * class->stride != offset)
		return SNUG_ERROR_REFERENCE;
	bool lent = chained && page->state == PAGE_HOST;
	if (slot >= class->slots || slab_slot_is_free(heap, class, offset) != lent)
		return SNUG_ERROR_REFERENCE;
	for (uint32_t index = 0; index < class->magazine_count; index++) {
		if (class->magazine[index] == offset) return SNUG_ERROR_REFERENCE;
	}
	if (chained && chain_size(heap, offset) != size) return SNUG_ERROR_REFERENCE;
#endif
	return SNUG_OK;
}

static inline snug_error enter(const snug_heap *heap, snug_ref ref, size_t size) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (UNLIKELY(error)) return error;
	if (UNLIKELY(size == 0)) return SNUG_ERROR_SIZE_ZERO;
	return check(heap, ref, size);
}

static bool is_pinned(const snug_heap *heap, snug_ref ref) {
	return UNLIKELY(heap->pins.count > 0) && pin_count(heap, ref & OFFSET_MASK) > 0;
}

static __attribute__((noinline)) snug_error alloc_any(snug_heap *heap, size_t size, snug_ref *out) {
	bool entered = gate_enter(heap, BY_REFERENCE) == SNUG_OK;
	if (entered && slot_refill(heap, size)) return snug_ref_alloc_called(heap, size, out);
	return snug_ref_alloc_with(heap, size, NULL, out);
}

/* The common case first; whatever it does not cover, wrong arguments included, is found out by the
 * general one. */
snug_error snug_ref_alloc_called(snug_heap *heap, size_t size, snug_ref *out) {
	if (UNLIKELY(heap == NULL || out == NULL)) return SNUG_ERROR_NULL;
	struct size_class *class;
	bool is_short = size - 1 < heap->gate.references && gate_thread(heap) == SNUG_OK;
	if (UNLIKELY(!is_short || !slot_pop(heap, size, 0, out, &class)))
		return alloc_any(heap, size, out);
	SNUG_ASSERT(check(heap, *out, size) == SNUG_OK); /* it can be named */
	return SNUG_OK;
}

snug_error snug_ref_alloc_with(snug_heap *heap, size_t size, const snug_alloc_options *options,
							   snug_ref *out) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (UNLIKELY(error)) return error;
	if (UNLIKELY(out == NULL)) return SNUG_ERROR_NULL;
	error = object_check_request(heap, size, options);
	if (UNLIKELY(error)) return error;
	error = object_alloc(heap, size, options, 0, ROOM_MADE, out);
	heap->totals.failed_allocations += error != SNUG_OK;
	SNUG_ASSERT(error || check(heap, *out, size) == SNUG_OK);
	return error;
}

static __attribute__((noinline)) snug_error free_any(snug_heap *heap, snug_ref ref, size_t size) {
	snug_error error = enter(heap, ref, size);
	if (UNLIKELY(error)) return error;
	if (is_pinned(heap, ref)) return SNUG_ERROR_PINNED;
	heap->frees++;
	object_free(heap, ref, size);
	return SNUG_OK;
}

/* The common case: a small object without fragments, on a slab that nothing is pinned on. False:
 * nothing was done. */
static inline bool free_small(snug_heap *heap, snug_ref ref, size_t size) {
	/* beyond all pages for REF_CHAINED */
	struct size_class *class = class_of_unpinned(heap, ref >> heap->arena.page_shift);
	SNUG_ASSERT(size > 0 && size <= SHORT_BYTES_MAX);
	if (UNLIKELY((uint32_t)size > class->short_bytes)) return false;
	SNUG_ASSERT(pin_count(heap, ref & OFFSET_MASK) == 0);
	slot_push(heap, class, size, 0, ref);
	return true;
}

/* Debug builds check every reference. */
snug_error snug_ref_free_called(snug_heap *heap, snug_ref ref, size_t size) {
#ifndef SNUG_DEBUG
	if (UNLIKELY(heap == NULL)) return SNUG_ERROR_NULL;
	bool is_short = size - 1 < heap->gate.references;
	if (LIKELY(is_short && free_small(heap, ref, size))) return SNUG_OK;
#endif
	return free_any(heap, ref, size);
}

/* What a program calls that was compiled without snug/heap_short.h's own. */
snug_error snug_ref_alloc(snug_heap *heap, size_t size, snug_ref *out)
	__attribute__((alias("snug_ref_alloc_called")));
snug_error snug_ref_free(snug_heap *heap, snug_ref ref, size_t size)
	__attribute__((alias("snug_ref_free_called")));

/* ------------------------------------------------------------------ inline in programs ---- */

#define LIES_AT(type, member, short_type, short_member)                                        \
	_Static_assert(offsetof(type, member) == offsetof(short_type, short_member) &&             \
					   sizeof(((type *)0)->member) == sizeof(((short_type *)0)->short_member), \
				   "snug/heap_short.h: another layout; inline_bytes must move")

LIES_AT(snug_heap, bias, snug_short_heap, bias);
LIES_AT(snug_heap, gate.inlined, snug_short_heap, inline_bytes);
LIES_AT(snug_heap, frees, snug_short_heap, frees);
LIES_AT(snug_heap, arena.pages, snug_short_heap, pages);
LIES_AT(snug_heap, arena.described, snug_short_heap, described);
LIES_AT(snug_heap, arena.page_shift, snug_short_heap, page_shift);
LIES_AT(snug_heap, classes.state, snug_short_heap, classes);
LIES_AT(snug_heap, classes.shortest, snug_short_heap, shortest);
LIES_AT(snug_heap, classes.exact, snug_short_heap, exact);
LIES_AT(struct class_entry, serving, snug_short_entry, serving);
LIES_AT(struct class_entry, live, snug_short_entry, live);
LIES_AT(struct page, class_id, snug_short_page, class_id);
LIES_AT(struct page, list, snug_short_page, list);
LIES_AT(struct size_class, magazine_count, snug_short_class, magazine_count);
LIES_AT(struct size_class, magazine_capacity, snug_short_class, magazine_capacity);
LIES_AT(struct size_class, short_bytes, snug_short_class, short_bytes);
LIES_AT(struct size_class, payload_bytes, snug_short_class, payload_bytes);
_Static_assert(offsetof(struct size_class, magazine) == sizeof(snug_short_class) &&
				   sizeof(struct page) == sizeof(snug_short_page) &&
				   SHORT_BYTES_MAX == SNUG_SHORT_BYTES_MAX && LIST_FULL == SNUG_SHORT_LIST_MAX,
			   "snug/heap_short.h: another layout; inline_bytes must move");

/* ------------------------------------------------------------------ batches --------------- */

/* All or none, without moving anything: the first objects of a batch have no owner yet who could be
 * told. */
static snug_error fill_batch(snug_heap *heap, const size_t *sizes, size_t count, snug_ref *refs,
							 enum effort effort) {
	struct size_class *class;
	for (size_t index = 0; index < count; index++) {
		bool is_short = sizes[index] <= SHORT_BYTES_MAX;
		if (LIKELY(is_short && slot_pop(heap, sizes[index], 0, &refs[index], &class))) continue;
		snug_error error = object_alloc(heap, sizes[index], NULL, 0, effort, &refs[index]);
		if (LIKELY(!error)) continue;
		while (index-- > 0) object_free(heap, refs[index], sizes[index]);
		return error;
	}
	return SNUG_OK;
}

struct batch_need {
	struct need need; /* first: attempt gets it back as this */
	const size_t *sizes;
	size_t count;
	snug_ref *refs;
};

static snug_error attempt_batch(snug_heap *heap, struct need *need) {
	const struct batch_need *batch = (struct batch_need *)need;
	if (room_pages(heap, need) < need->pages)
		return need->os_refused ? SNUG_ERROR_OS_MEMORY : SNUG_ERROR_NO_MEMORY;
	snug_error error = fill_batch(heap, batch->sizes, batch->count, batch->refs, ROOM_AT_HAND);
	if (error) room_raise(heap, need, error);
	return error;
}

/* Gains page after page, from the whole pages that the batch must have to what it needs when it
 * finds no hole at all; then in pieces. */
static snug_error fill_batch_with_room(snug_heap *heap, const size_t *sizes, size_t count,
									   snug_ref *refs) {
	struct batch_need batch = {
		.need = {.attempt = attempt_batch, .effort = ROOM_MADE, .can_be_cut = true},
		.sizes = sizes,
		.count = count,
		.refs = refs,
	};
	for (size_t index = 0; index < count; index++) {
		struct chain_plan plan;
		chain_plan_make(heap, sizes[index], &plan);
		batch.need.pages += plan.whole;
		batch.need.pages_most += plan.whole + plan.tails + 1;
	}
	snug_error error = room_find(heap, &batch.need);
	if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) return error;
	return fill_batch(heap, sizes, count, refs, ROOM_LAST) == SNUG_OK ? SNUG_OK : error;
}

snug_error snug_ref_alloc_batch(snug_heap *heap, const size_t *sizes, size_t count, snug_ref *out) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (error) return error;
	if (count > SNUG_BATCH_MAX) return SNUG_ERROR_RANGE;
	if (count > 0 && (sizes == NULL || out == NULL)) return SNUG_ERROR_NULL;
	for (size_t index = 0; index < count; index++) {
		error = object_check_request(heap, sizes[index], NULL);
		if (error) return error;
	}
	snug_ref refs[SNUG_BATCH_MAX];
	error = fill_batch(heap, sizes, count, refs, ROOM_AT_HAND);
	if (UNLIKELY(error)) error = fill_batch_with_room(heap, sizes, count, refs);
	if (error) {
		heap->totals.failed_allocations++;
		return error;
	}
	SNUG_ASSERT(count <= SNUG_BATCH_MAX);
	memcpy(out, refs, count * sizeof *refs);
	return SNUG_OK;
}

snug_error snug_ref_free_batch(snug_heap *heap, const snug_ref *refs, const size_t *sizes,
							   size_t count) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (error) return error;
	if (count > SNUG_BATCH_MAX) return SNUG_ERROR_RANGE;
	if (count > 0 && (sizes == NULL || refs == NULL)) return SNUG_ERROR_NULL;
	for (size_t index = 0; index < count; index++) {
		__builtin_prefetch(&heap->arena.pages[page_of(&heap->arena, refs[index] & OFFSET_MASK)], 1);
	}
	for (size_t index = 0; index < count; index++) {
		if (sizes[index] == 0) return SNUG_ERROR_SIZE_ZERO;
		error = check(heap, refs[index], sizes[index]);
		if (error) return error;
		if (is_pinned(heap, refs[index])) return SNUG_ERROR_PINNED;
	}
	for (size_t index = 0; index < count; index++) {
		bool is_short = sizes[index] <= SHORT_BYTES_MAX;
		if (LIKELY(is_short && free_small(heap, refs[index], sizes[index]))) continue;
		object_free(heap, refs[index], sizes[index]);
		heap->frees++;
	}
	return SNUG_OK;
}

snug_error snug_ref_free_part(snug_heap *heap, snug_ref *ref, size_t *size, size_t bytes,
							  bool *done) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (error) return error;
	if (ref == NULL || size == NULL || done == NULL) return SNUG_ERROR_NULL;
	error = enter(heap, *ref, *size);
	if (error) return error;
	if (bytes == 0) return SNUG_ERROR_BUDGET_ZERO;
	if (is_pinned(heap, *ref)) return SNUG_ERROR_PINNED;
	*done = object_free_some(heap, ref, *size, bytes);
	*size = *done ? 0 : chain_size(heap, *ref & OFFSET_MASK);
	heap->frees += *done;
	return SNUG_OK;
}

snug_error snug_ref_resize(snug_heap *heap, snug_ref *ref, size_t size, size_t new_size) {
	snug_error error = gate_enter(heap, BY_REFERENCE);
	if (error) return error;
	if (ref == NULL) return SNUG_ERROR_NULL;
	error = enter(heap, *ref, size);
	if (error) return error;
	error = object_check_request(heap, new_size, NULL);
	if (error) return error;
	if (is_pinned(heap, *ref)) return SNUG_ERROR_PINNED;
	snug_ref resized = *ref;
	error = object_resize(heap, &resized, size, new_size, 0);
	SNUG_ASSERT(error || check(heap, resized, new_size) == SNUG_OK);
	if (!error) *ref = resized;
	return error;
}

snug_error snug_ref_read(snug_heap *heap, snug_ref ref, size_t size, size_t offset, void *buffer,
						 size_t length) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	return object_read(heap, ref, size, offset, buffer, length);
}

snug_error snug_ref_write(snug_heap *heap, snug_ref ref, size_t size, size_t offset,
						  const void *data, size_t length) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	return object_write(heap, ref, size, offset, data, length);
}

snug_error snug_ref_view(snug_heap *heap, snug_ref ref, size_t size, size_t offset, size_t length,
						 snug_extent *extents, size_t *count) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	if (extents == NULL || count == NULL) return SNUG_ERROR_NULL;
	return object_view(heap, ref, size, offset, length, extents, count);
}

snug_error snug_ref_extent_count(snug_heap *heap, snug_ref ref, size_t size, size_t *out) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	*out = object_extent_count(heap, ref);
	return SNUG_OK;
}

snug_error snug_ref_pin(snug_heap *heap, snug_ref ref, size_t size) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	return pin_add(heap, ref, size);
}

snug_error snug_ref_unpin(snug_heap *heap, snug_ref ref, size_t size) {
	snug_error error = enter(heap, ref, size);
	if (error) return error;
	return pin_remove(heap, ref, size);
}
