/* mem/defragment/drain.c: which region, and which slab of it next.
 *
 *   worth it? --no--> NOTHING
 *      | yes
 *   region that is drained, or the next emptiest --none left--> NOTHING
 *      |
 *   its first slab --none--> EMPTY: it can be returned
 *      |   \--it is pinned, or at the beginning any--> AGAIN: it is given up for this defragmentation
 *   flush its class's magazine --that emptied the slab--> AGAIN: the freed page is coalesced first
 *      |
 *   a blank page elsewhere --none--> NOTHING
 *      |
 *   VICTIM: evacuate.c moves it
 *
 * The emptiest region is the first of the first list, to a seventh. A region that was given up lies
 * on lists of its own until the next draining, which puts it back in line: its pins may be gone. So
 * choosing is O(1). The call that begins a region looks at its pages, at most 512, so that none is
 * begun for nothing; those that follow look at its next slab. In a heap in which all regions are
 * pinned each is looked at once, however many steps that takes.
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
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

static bool is_worth_it(const snug_heap *heap, uint64_t retain_bytes) {
	uint64_t free_bytes = arena_free_pages(&heap->arena) << heap->arena.page_shift;
	return free_bytes >= REGION_BYTES && free_bytes - REGION_BYTES >= retain_bytes;
}

/* The region's first slab, PAGE_NONE if it has none; and whether it is pinned, or any slab if all are
 * to be looked at. Looks at used pages only. */
static page_number find_slab(const struct arena *arena, uint32_t number, bool all, bool *pinned) {
	const struct region *region = arena_region(arena, number);
	page_number first = PAGE_NONE;
	*pinned = false;
	for (uint32_t word = 0; word * 64 < region->page_count; word++) {
		uint64_t used = ~(region->free_bits[word] | region->cold_bits[word]);
		uint32_t left = region->page_count - word * 64u;
		if (left < 64) used &= ((uint64_t)1 << left) - 1;
		for (; used != 0; used &= used - 1) {
			page_number page = page_in_region(arena, number, word * 64 + bit_lowest(used));
			if (arena->pages[page].state < PAGE_SLAB) continue;
			*pinned |= arena->pages[page].pins > 0 || arena->pages[page].state == PAGE_HOST;
			if (first == PAGE_NONE) first = page;
			if (!all) return first;
		}
	}
	return first;
}

/* A target needs a free page outside of the region: taking one of the region, or a cold one, would
 * gain nothing. */
static enum drain_result relocate(snug_heap *heap, page_number number) {
	struct size_class *class = class_of_page(heap, number);
	SNUG_ASSERT(heap->arena.pages[number].state == PAGE_SLAB);
	SNUG_ASSERT(heap->arena.pages[number].pins == 0);
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
	/* outside of the region: what is in it is out of line */
	SNUG_ASSERT((target - 1) >> heap->arena.region_shift != heap->arena.draining - 1);
	victim_relocate(heap, class, number, target);
	return DRAIN_VICTIM;
}

enum drain_result drain_next(snug_heap *heap, uint64_t retain_bytes) {
	struct arena *arena = &heap->arena;
	SNUG_ASSERT(heap->victim == PAGE_NONE);
	uint32_t region = arena->draining != 0 ? arena->draining : arena_drain_choice(arena);
	if (region == 0 || !is_worth_it(heap, retain_bytes)) {
		arena_drain_end(arena);
		return DRAIN_NOTHING;
	}
	bool begins = arena->draining == 0;
	if (begins) arena_drain_begin(arena, region - 1);
	bool pinned;
	page_number page = find_slab(arena, region - 1, begins, &pinned);
	if (pinned) {
		arena_drain_give_up(arena);
		return DRAIN_AGAIN;
	}
	enum drain_result result = page == PAGE_NONE ? DRAIN_EMPTY : relocate(heap, page);
	if (result == DRAIN_EMPTY || result == DRAIN_NOTHING) arena_drain_end(arena);
	return result;
}
