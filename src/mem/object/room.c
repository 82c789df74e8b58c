/* mem/object/room.c: making room. For the order in which it is looked for: room.h.
 *
 * A SEARCH THAT FOUND NOTHING is not repeated until something has changed. heap->changes and the
 * number of frees count all that could make a page gainable: freed slots, unpins, victims that were
 * put back. searched_at is their sum when the last search failed. So a program that goes on asking
 * a full heap is refused with one comparison. Flushing all magazines before giving up was rejected:
 * each refusal then cost 10 us and refilled them again.
 *
 * PAGES FOR LARGE OBJECTS (room_make) are gained one by one. Before the first it is counted whether
 * there can be enough at all: what compaction would free for certain, and one more page for each
 * class, which merging may. If not, nothing moves. Where the OS has refused memory, cold pages do
 * not count: they can't be had.
 *
 * PACING (room_pace). An owner who asked for it pays for each page that he takes below a low-water
 * mark with one step of compaction. Then no allocation has to make all the room at once.
 *
 * A VICTIM WITH A TARGET is the two halves of a slab that is relocated. They hold a page too much,
 * so that page is taken back first. A victim without one may be of the class that needs a slot: its
 * holes are better used than a page (3 in room.h).
 *
 * Pages that are gained here are counted as reclaimed, but in no report: reports are of steps that
 * the owner asked for. limit_keep tells the account how many pages wait to be used, so that a limit
 * that is on its way down does not take them. */
#include "mem/object/room.h"

#include "mem/arena/arena.h"
#include "mem/arena/limit.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/evacuate.h"

#ifndef BORROW_PARTS
#define BORROW_PARTS 32u
#endif /* a borrowed slot is at most 1/32 larger */

/* What can be had without moving anything. */
static void flush_all(snug_heap *heap) {
	for (uint32_t index = heap->classes.active_count; index-- > 0;) {
		struct size_class *class = heap->classes.active[index];
		if (class_reclaimable_unpinned(class) == 0) continue;
		magazine_flush(heap, class);
		slab_release_empty(heap, class);
	}
}

/* A hole of the class, through its magazine if it has one. */
static bool take_hole(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	if (class->magazine_capacity == 0) {
		return slab_take_fullest(heap, class, 1, offset) > 0 ||
			   slab_take_pinned(heap, class, 1, offset) > 0;
	}
	if (class->magazine_count == 0 && !magazine_refill(heap, class)) return false;
	*offset = class->magazine[--class->magazine_count];
	return true;
}

/* ------------------------------------------------------------------ room ----------- */

/* Whatever could make a page gainable counts as a change. */
static uint64_t changes_so_far(const snug_heap *heap) {
	return heap->changes + heap->totals.frees;
}

static bool nothing_to_gain(const snug_heap *heap) {
	return heap->searched_at == changes_so_far(heap);
}

static void note_pages_gained(snug_heap *heap, uint64_t before_pages) {
	uint64_t after_pages = arena_free_pages(&heap->arena);
	if (after_pages > before_pages) heap->totals.reclaimed_pages += after_pages - before_pages;
}

static bool compact_one_page(snug_heap *heap) {
	if (heap->target != PAGE_NONE) victim_abandon(heap);
	if (nothing_to_gain(heap)) return false;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->options.no_compaction_in_alloc) {
		flush_all(heap);
	} else {
		while (arena_free_pages(&heap->arena) <= before_pages) {
			if (heap->victim == PAGE_NONE && !victim_pick(heap, ALL_POOLS)) break;
			if (heap->victim != PAGE_NONE) victim_evacuate(heap, heap->arena.page_bytes, false);
		}
	}
	if (arena_free_pages(&heap->arena) <= before_pages) {
		heap->searched_at = changes_so_far(heap);
		return false;
	}
	note_pages_gained(heap, before_pages);
	return true;
}

static bool merge_one_page(snug_heap *heap) {
	if (heap->options.no_compaction_in_alloc) return false;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->victim == PAGE_NONE && !victim_pick_merge(heap, ALL_POOLS)) return false;
	while (heap->victim != PAGE_NONE) {
		struct size_class *class = class_of_page(heap, heap->victim);
		victim_evacuate(heap, heap->arena.page_bytes, true);
		if (heap->victim == PAGE_NONE) class_retire_if_empty(heap, class);
	}
	note_pages_gained(heap, before_pages);
	return arena_free_pages(&heap->arena) > before_pages;
}

static uint64_t most_pages_to_gain(const snug_heap *heap) {
	uint64_t pages = arena_available_pages(&heap->arena);
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		pages += class_reclaimable(heap->classes.active[index]) + 1;
	}
	return pages;
}

uint64_t room_pages(const snug_heap *heap, bool os_refused) {
	return os_refused ? arena_free_pages(&heap->arena) : arena_available_pages(&heap->arena);
}

bool room_make(snug_heap *heap, uint64_t pages, bool os_refused) {
	if (room_pages(heap, os_refused) >= pages) return true;
	if (most_pages_to_gain(heap) < pages) return false;
	limit_keep(&heap->arena, pages);
	heap->totals.compacting_allocations++;
	while (room_pages(heap, os_refused) < pages) {
		if (!compact_one_page(heap) && !merge_one_page(heap)) return false;
	}
	limit_keep_no_more(&heap->arena);
	return true;
}

static bool borrow(snug_heap *heap, uint16_t id, uint64_t *offset, struct size_class **out) {
	const struct class_table *table = &heap->classes;
	uint32_t stride_max = table->entry[id].stride + table->entry[id].stride / BORROW_PARTS;
	uint16_t end = table->first[class_family(table, id) + 1];
	for (uint16_t larger = id; larger < end && table->entry[larger].stride <= stride_max;
		 larger++) {
		struct size_class *class = table->state[larger];
		if (class == NULL) continue;
		if (!take_hole(heap, class, offset)) continue;
		*out = class;
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ allocation ----- */

/* Pays for each page taken below the low-water mark with a step of compaction. */
void room_pace(snug_heap *heap) {
	const snug_heap_options *options = &heap->options;
	if (LIKELY(options->pace_low_water_bytes == 0) || nothing_to_gain(heap)) return;
	if (arena_available_pages(&heap->arena) << heap->arena.page_shift >=
		options->pace_low_water_bytes)
		return;
	if (heap->target != PAGE_NONE) return;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->victim == PAGE_NONE && !victim_pick(heap, ALL_POOLS))
		heap->searched_at = changes_so_far(heap);
	uint64_t moved_bytes = 0;
	while (heap->victim != PAGE_NONE && moved_bytes < options->pace_step_bytes) {
		moved_bytes += victim_evacuate(heap, options->pace_step_bytes - moved_bytes, false);
	}
	note_pages_gained(heap, before_pages);
}

/* Slot from the class or from a new slab of it. */
static snug_error take_or_grow(snug_heap *heap, uint16_t id, bool may_compact, uint64_t *offset,
							   struct size_class **out) {
	snug_error error = class_serving(heap, id, out);
	if (error) return error;
	if (take_hole(heap, *out, offset)) return SNUG_OK;
	if (may_compact) {
		room_pace(heap);
		/* Pacing may have opened or even retired what we looked at. */
		error = class_serving(heap, id, out);
		if (error) return error;
		if (take_hole(heap, *out, offset)) return SNUG_OK;
	}
	page_number page;
	error = slab_create(heap, *out, &page);
	if (error && heap->victim != PAGE_NONE && class_of_page(heap, heap->victim) == *out) {
		victim_abandon(heap);
		error = SNUG_OK;
	}
	if (error) return error;
	bool filled = take_hole(heap, *out, offset);
	SNUG_ASSERT(filled);
	return filled ? SNUG_OK : SNUG_ERROR_CORRUPT;
}

snug_error slot_alloc_slow(snug_heap *heap, uint16_t id, bool may_compact, uint64_t *offset,
						   struct size_class **out) {
	bool counted = false;
	for (;;) {
		snug_error error = take_or_grow(heap, id, may_compact, offset, out);
		if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) {
			limit_keep_no_more(&heap->arena);
			return error;
		}
		limit_keep(&heap->arena, 1);
		if (may_compact && !counted) {
			heap->totals.compacting_allocations++;
			counted = true;
		}
		if (may_compact && compact_one_page(heap)) continue;
		if (borrow(heap, id, offset, out)) return SNUG_OK;
		if (may_compact && merge_one_page(heap)) continue;
		return error;
	}
}
