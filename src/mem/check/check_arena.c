/* mem/check/check_arena.c: laws A1 to A6: pages, regions and the account of the limit.
 *
 * Primary are the two bitmaps of each region and the state in each descriptor. From them are
 * counted: a region's own counts and its list, the lists' links and mask, the stack and its length,
 * the pages that are free and committed in all, the metadata of all ranges, and the account. A page
 * without a descriptor is cold: descriptors are committed before a page is first taken. */
#include "mem/arena/arena.h"
#include "mem/arena/limit.h"
#include "mem/check/check.h"

#include <string.h>

static bool is_whole_slab(const snug_heap *heap, page_number number) {
	const struct page *page = &heap->arena.pages[number];
	return page->state >= PAGE_SLAB && page->class_id < heap->classes.first[FAMILY_COUNT] &&
		   2 * heap->classes.entry[page->class_id].stride > heap->arena.page_bytes;
}

static bool check_page_place(struct check *check, page_number number, bool free_bit, bool cold_bit,
							 struct page_counts *counts) {
	const struct arena *arena = &check->heap->arena;
	bool described = (number + 1) * sizeof(struct page) <= arena->page_range.committed_bytes;
	uint8_t state = described ? arena->pages[number].state : (uint8_t)PAGE_COLD;
	counts->free += free_bit;
	counts->cold += cold_bit;
	counts->stacked += state == PAGE_STACKED;
	counts->whole += described && is_whole_slab(check->heap, number);
	bool is_listed = described && state < PAGE_SLAB && arena->pages[number].list != LIST_NONE;
	/* the short way of freeing looks at the list alone: slab/magazine.h */
	return check_that(check, "A3", "page is in two places or none", number,
					  free_bit == (state == PAGE_FREE) && cold_bit == (state == PAGE_COLD) &&
						  state <= PAGE_HOST) &&
		   check_that(check, "S2", "page that is no slab is on a slab's list", number, !is_listed);
}

bool check_region(struct check *check, uint32_t number, struct page_counts *total) {
	const struct arena *arena = &check->heap->arena;
	const struct region *region = arena_region(arena, number);
	struct page_counts counts = {0};
	uint32_t most = 1u << arena->region_shift;
	uint32_t left = arena->page_count - (number << arena->region_shift);
	if (!check_equal(check, "A2", "pages in region", region->page_count, left < most ? left : most))
		return false;
	for (uint32_t bit = 0; bit < REGION_WORDS * 64; bit++) {
		bool free_bit = region->free_bits[bit / 64] >> (bit % 64) & 1;
		bool cold_bit = region->cold_bits[bit / 64] >> (bit % 64) & 1;
		if (bit < region->page_count) {
			page_number page = (number << arena->region_shift) + bit + 1;
			if (!check_page_place(check, page, free_bit, cold_bit, &counts)) return false;
		} else if (!check_that(check, "A2", "bit beyond the region", bit, !free_bit && !cold_bit)) {
			return false;
		}
	}
	bool draining = arena->draining == number + 1;
	total->free += counts.free;
	total->cold += counts.cold;
	total->stacked += counts.stacked;
	return check_equal(check, "A2", "free pages of region", region->free_pages, counts.free) &&
		   check_equal(check, "A2", "slabs of one slot of region",
					   atomic_load_explicit(&region->whole_slabs, memory_order_relaxed),
					   counts.whole) &&
		   check_equal(check, "A2", "cold pages of region", region->cold_pages, counts.cold) &&
		   check_that(check, "A5", "region with free pages is on no list, or the other way", number,
					  (region->bucket != LIST_NONE) == (counts.free > 0 && !draining)) &&
		   check_that(check, "A5", "wholly free region is not first in line for return", number,
					  counts.free == 0 || draining ||
						  (region->bucket == 0) ==
							  (counts.free + counts.cold == region->page_count));
}

bool check_region_lists(struct check *check) {
	const struct arena *arena = &check->heap->arena;
	uint64_t listed = 0;
	uint64_t with_free = 0;
	for (uint32_t number = 0; number < arena->region_count; number++) {
		with_free += arena_region(arena, number)->free_pages > 0 && arena->draining != number + 1;
	}
	for (uint32_t bucket = 0; bucket < REGION_LISTS; bucket++) {
		uint32_t previous = 0;
		bool masked = arena->region_mask >> bucket & 1;
		if (!check_that(check, "A5", "region mask", bucket,
						masked == (arena->region_heads[bucket] != 0)))
			return false;
		for (uint32_t at = arena->region_heads[bucket]; at != 0;
			 at = arena_region(arena, at - 1)->next) {
			const struct region *region = arena_region(arena, at - 1);
			bool linked = at <= arena->region_count && region->bucket == bucket &&
						  region->previous == previous && listed++ < arena->region_count;
			if (!check_that(check, "A5", "region list is broken", at - 1, linked)) return false;
			previous = at;
		}
	}
	return check_equal(check, "A5", "regions on lists", listed, with_free);
}

static bool check_stack(struct check *check, uint64_t stacked) {
	const struct arena *arena = &check->heap->arena;
	uint64_t length = 0;
	for (page_number page = arena->stack; page != PAGE_NONE; page = arena->pages[page].next) {
		bool sound = page < arena->described && arena->pages[page].state == PAGE_STACKED &&
					 length++ < stacked;
		if (!check_that(check, "A4", "page on the stack is not a stacked one", page, sound))
			return false;
	}
	return check_equal(check, "A4", "stacked pages", arena->stacked_pages, length) &&
		   check_equal(check, "A4", "pages in state stacked", length, stacked);
}

bool check_account(struct check *check, const struct page_counts *counts, uint64_t touched) {
	const snug_heap *heap = check->heap;
	const struct arena *arena = &heap->arena;
	uint64_t metadata_bytes =
		heap->fixed.committed_bytes + arena->page_range.committed_bytes +
		arena->region_range.committed_bytes + heap->cells.range.committed_bytes +
		heap->handles.range.committed_bytes + heap->handles.floors_range.committed_bytes +
		heap->pins.ranges[0].committed_bytes + heap->pins.ranges[1].committed_bytes;
	return check_equal(check, "A4", "free pages", arena->free_pages, counts->free) &&
		   check_equal(check, "A4", "committed bytes", arena->committed_bytes,
					   (touched - counts->cold) << arena->page_shift) &&
		   check_equal(check, "A6", "metadata bytes", arena->metadata_bytes, metadata_bytes) &&
		   check_that(check, "A1", "what is in use exceeds the limit", arena->limit_bytes,
					  limit_account(arena) <= arena->limit_bytes) &&
		   check_that(check, "A1", "the limit is neither its goal nor what is in use",
					  arena->limit_bytes,
					  arena->limit_bytes == arena->limit_goal_bytes ||
						  (arena->limit_bytes > arena->limit_goal_bytes &&
						   arena->limit_bytes == limit_account(arena)));
}

bool check_arena(struct check *check) {
	const struct arena *arena = &check->heap->arena;
	struct page_counts counts = {0};
	uint64_t touched = 0;
	for (uint32_t number = 0; number < arena->region_count; number++) {
		if (!check_region(check, number, &counts)) return false;
		touched += arena_region(arena, number)->page_count;
	}
	return check_region_lists(check) && check_stack(check, counts.stacked) &&
		   check_account(check, &counts, touched);
}
