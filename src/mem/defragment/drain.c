/* mem/defragment/drain.c: which region, and which slab of it next.
 *
 *   worth it? --no--> NOTHING
 *      | yes
 *   region that is drained, or the next emptiest --none left--> NOTHING
 *      |
 *   its first slab --none--> EMPTY: it can be returned
 *      |   \--a slab is pinned--> give it up for this defragmentation, next region
 *   flush its class's magazine --that emptied the slab--> AGAIN: the freed page is coalesced first
 *      |
 *   a blank page elsewhere --none--> NOTHING
 *      |
 *   VICTIM: evacuate.c moves it
 *
 * The emptiest region is the first of the first list, to a seventh. A region that was given up
 * carries the number of this defragmentation, so that the next one looks at it again: its pins may
 * be gone. At most 256 regions are looked at in one call, so that a heap in which all are pinned
 * does not take a step's time to find that out.
 *
 * The target must be a free page that is committed. A page of the region itself would gain nothing,
 * so its free ones are out of line; a cold one would be committed only to return another. Pages on
 * the stack are coalesced first: one of them may lie in the region.
 *
 * Draining moves objects into empty pages and not into holes, though holes would cost no page:
 * after a compaction less than a slab of them is left in each class. */
#include "mem/defragment/drain.h"

#include "base/assert.h"
#include "mem/arena/arena.h"
#include "mem/defragment/evacuate.h"
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

#define REGIONS_EXAMINED 256u
#define REGION_NONE UINT32_MAX

static bool is_worth_it(const snug_heap *heap, uint64_t retain_bytes) {
	uint64_t free_bytes = arena_free_pages(&heap->arena) << heap->arena.page_shift;
	return free_bytes >= REGION_BYTES && free_bytes - REGION_BYTES >= retain_bytes;
}

/* The one with the fewest used pages, to a seventh, of those that were not given up in this
 * defragmentation. */
static uint32_t choose_region(const snug_heap *heap) {
	const struct arena *arena = &heap->arena;
	uint32_t examined = 0;
	for (uint32_t bucket = 1; bucket < REGION_BUCKETS; bucket++) {
		for (uint32_t at = arena->region_heads[bucket]; at != 0;
			 at = arena_region(arena, at - 1)->next) {
			if (arena_region(arena, at - 1)->gave_up_at != (uint32_t)heap->totals.defragmentations)
				return at - 1;
			if (++examined == REGIONS_EXAMINED) return REGION_NONE;
		}
	}
	return REGION_NONE;
}

static void give_up(snug_heap *heap, uint32_t number) {
	arena_region(&heap->arena, number)->gave_up_at = (uint32_t)heap->totals.defragmentations;
	arena_drain_end(&heap->arena);
}

/* The region's first slab, PAGE_NONE if it has none; and whether any slab of it is pinned. */
static page_number find_slab(const struct arena *arena, uint32_t number, bool *pinned) {
	page_number first = PAGE_NONE;
	page_number end = page_in_region(arena, number, arena_region(arena, number)->page_count);
	if (end > arena->described) end = arena->described;
	*pinned = false;
	for (page_number page = page_in_region(arena, number, 0); page < end; page++) {
		if (arena->pages[page].state < PAGE_SLAB) continue;
		*pinned |= arena->pages[page].pins > 0;
		if (first == PAGE_NONE) first = page;
	}
	return first;
}

/* A target needs a free page outside of the region: taking one of the region, or a cold one, would
 * gain nothing. */
static enum drain_result relocate(snug_heap *heap, page_number number) {
	struct size_class *class = class_of_page(heap, number);
	magazine_flush(heap, class);
	struct page *page = &heap->arena.pages[number];
	if (page->state != PAGE_SLAB) return DRAIN_AGAIN;
	if (page->free_slots == class->slots) {
		slab_release(heap, class, number);
		return DRAIN_AGAIN;
	}
	if (heap->arena.stack != PAGE_NONE) return DRAIN_AGAIN;
	if (heap->arena.region_mask == 0) return DRAIN_NOTHING;
	page_number target;
	if (slab_blank(heap, class, PAGE_TARGET, &target) != SNUG_OK) return DRAIN_NOTHING;
	victim_relocate(heap, class, number, target);
	return DRAIN_VICTIM;
}

enum drain_result drain_next(snug_heap *heap, uint64_t retain_bytes) {
	struct arena *arena = &heap->arena;
	SNUG_ASSERT(heap->victim == PAGE_NONE);
	while (is_worth_it(heap, retain_bytes)) {
		uint32_t number = arena->draining != 0 ? arena->draining - 1 : choose_region(heap);
		if (number == REGION_NONE) break;
		if (arena->draining == 0) arena_drain_begin(arena, number);
		bool pinned;
		page_number page = find_slab(arena, number, &pinned);
		if (pinned) {
			give_up(heap, number);
			continue;
		}
		if (page == PAGE_NONE) {
			arena_drain_end(arena);
			return DRAIN_EMPTY;
		}
		enum drain_result result = relocate(heap, page);
		if (result != DRAIN_NOTHING) return result;
		break;
	}
	arena_drain_end(arena);
	return DRAIN_NOTHING;
}
