/* mem/object/fit.c: counting what would be left. For what is asked: fit.h.
 *
 * PAGES. Pages are alike, so where they lie does not matter: those that are kept and those that are
 * wanted are counted, and compared with what the goal allows beside the tables and the charges. An
 * object in fragments wants its bytes by whole fragments, rounded up: its tails fit one slot of one
 * page (chain.c, simplify). Any other wants one page.
 *
 * KEPT are the slabs that hold a pin, all hosts while anything is pinned (pins may be recorded in
 * them), and the pages of the one object that the asker still needs: its whole fragments, and a slab
 * for each class that its tails are of.
 *
 * TABLES only grow with the pages: descriptors and regions for as many as there would be, lowest
 * first, because that is how cold pages are taken. */
#include "mem/object/fit.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"
#include "mem/arena/cells.h"
#include "mem/arena/limit.h"
#include "mem/object/chain.h"
#include "mem/slab/classes.h"
#include "mem/slab/slab.h"

/* Whole fragments are alone in their slabs, so slabs of one class are told apart by their pages. */
static uint64_t chain_pages(const snug_heap *heap, uint64_t head) {
	SNUG_ASSERT(head != 0);
	uint64_t pages = 0, last_classes[TAIL_FRAGMENTS_MAX + 1] = {0};
	uint32_t tails = 0;
	uint16_t whole_id = (uint16_t)(heap->classes.first[FAMILY_COUNT] - 1);
	for (uint64_t offset = head; offset != 0; offset = chain_next(heap, offset)) {
		const struct page *page = &heap->arena.pages[page_of(&heap->arena, offset)];
		if (page->pins > 0) continue;
		bool is_known = false;
		for (uint32_t index = 0; index < tails; index++)
			is_known |= last_classes[index] == page->class_id;
		pages += !is_known;
		if (page->class_id != whole_id && !is_known && tails <= TAIL_FRAGMENTS_MAX)
			last_classes[tails++] = page->class_id;
	}
	return pages;
}

static uint64_t kept_pages(const snug_heap *heap, const struct fit_wish *wish) {
	uint64_t pages = 0;
	if (heap->pins.count > 0 && !wish->ignores_pins)
		for (uint32_t index = 0; index < heap->classes.active_count; index++) {
			const struct size_class *class = class_active(&heap->classes, index);
			pages += class->pinned_slabs + class->hosts;
		}
	if (wish->kept == 0) return pages;
	uint64_t offset = wish->kept & OFFSET_MASK;
	if (wish->kept & REF_CHAINED) return pages + chain_pages(heap, offset);
	return pages + (heap->arena.pages[page_of(&heap->arena, offset)].pins == 0);
}

static bool fits_one_page(const snug_heap *heap, size_t bytes) {
	return bytes + heap->slot_trailer_bytes <= heap->arena.page_bytes;
}

static uint64_t pages_for(const snug_heap *heap, size_t bytes) {
	if (bytes == 0) return 0;
	if (fits_one_page(heap, bytes)) return 1;
	uint64_t whole_bytes = whole_fragment_bytes(heap);
	return bytes / whole_bytes + (bytes % whole_bytes != 0);
}

/* What a range would have to grow by. */
static size_t growth(const struct range *range, size_t bytes) {
	size_t committed_bytes = round_up(bytes, METADATA_GRAIN);
	return committed_bytes > range->committed_bytes ? committed_bytes - range->committed_bytes : 0;
}

/* Of the tables, for so many pages; a grain of cells for the classes of one object. */
static size_t table_growth(const snug_heap *heap, uint64_t pages, bool lacks_cells) {
	const struct arena *arena = &heap->arena;
	uint64_t regions = (pages + region_pages(arena) - 1) >> arena->region_shift;
	return growth(&arena->page_range, (pages + 1) * sizeof(struct page)) +
		   growth(&arena->region_range, regions * sizeof(struct region)) +
		   (lacks_cells ? METADATA_GRAIN : 0);
}

/* By its own class, or where that cannot begin, by any larger one. */
static bool is_served(const snug_heap *heap, uint16_t id) {
	const struct class_table *table = &heap->classes;
	SNUG_ASSERT(id < table->first[FAMILY_COUNT]);
	uint16_t end = table->first[class_family(table, id) + 1];
	while (id < end && table->state[id] == NULL) id++;
	return id < end;
}

/* What is committed must do: a page for each fragment, as the plan is not simplified then; and
 * classes that are active, or the cells for them. */
static bool fits_committed(const snug_heap *heap, const struct fit_wish *wish, uint64_t kept) {
	size_t bytes = wish->object_bytes;
	uint64_t pages = kept + (bytes > 0);
	bool has_classes = true;
	size_t slot_bytes = bytes + heap->slot_trailer_bytes;
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, slot_bytes);
	if (bytes > 0 && id != CLASS_NONE) has_classes = is_served(heap, id);
	if (bytes > 0 && (id == CLASS_NONE || class_may_split(&heap->classes, id, slot_bytes))) {
		struct chain_plan plan;
		chain_plan_make(heap, bytes, &plan);
		pages = kept + plan.whole + plan.tails;
		if (plan.whole > 0)
			has_classes &= is_served(heap, (uint16_t)(heap->classes.first[FAMILY_COUNT] - 1));
		for (uint32_t tail = 0; tail < plan.tails; tail++)
			has_classes &= is_served(heap, plan.tail_id[tail]);
	}
	return pages << heap->arena.page_shift <= heap->arena.committed_bytes &&
		   (has_classes || wish->has_cells || cells_have_spare(&heap->cells));
}

static bool fits_pages(const snug_heap *heap, const struct fit_wish *wish) {
	const struct arena *arena = &heap->arena;
	uint64_t kept = kept_pages(heap, wish), pages = kept + pages_for(heap, wish->object_bytes);
	bool lacks_cells = wish->object_bytes > 0 && !wish->has_cells;
	if (pages > arena->page_count) return false;
	uint64_t charged_bytes =
		arena->charged_bytes > wish->spare_bytes ? arena->charged_bytes - wish->spare_bytes : 0;
	uint64_t bytes = (pages << arena->page_shift) + arena->metadata_bytes +
					 table_growth(heap, pages, lacks_cells) + charged_bytes;
	if (bytes > arena->limit_goal_bytes) return false;
	if (wish->charge_bytes > arena->limit_goal_bytes - bytes) return false;
	return !wish->os_refused || fits_committed(heap, wish, kept);
}

/* In a slab that stays for its pins: of all its slots but the pinned ones. */
static bool fits_beside_pins(const snug_heap *heap, const struct fit_wish *wish) {
	size_t bytes = wish->object_bytes + heap->slot_trailer_bytes;
	if (wish->ignores_pins || wish->charge_bytes > 0 || bytes == heap->slot_trailer_bytes ||
		!fits_one_page(heap, wish->object_bytes))
		return false;
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, bytes);
	SNUG_ASSERT(id != CLASS_NONE);
	const struct size_class *class = heap->classes.entry[id].serving;
	if (class->pinned_slabs == 0 || class_may_split(&heap->classes, id, bytes)) return false;
	if (class->lists[LIST_PINNED_PARTIAL] != PAGE_NONE) return true;
	page_number number = class->lists[LIST_PINNED_FULL];
	while (number != PAGE_NONE && heap->arena.pages[number].pins >= class->slots)
		number = heap->arena.pages[number].next;
	return number != PAGE_NONE;
}

bool fit_if_all_went(const snug_heap *heap, const struct fit_wish *wish) {
	return fits_pages(heap, wish) || fits_beside_pins(heap, wish);
}

bool fit_has_pages(const snug_heap *heap, size_t bytes) {
	return arena_free_pages(&heap->arena) >= pages_for(heap, bytes) + TAIL_FRAGMENTS_MAX;
}

snug_error fit_commit(snug_heap *heap, size_t bytes) {
	snug_error error = cells_make_spare(&heap->arena, &heap->cells);
	if (error == SNUG_ERROR_OS_MEMORY) return error;
	return arena_warm(&heap->arena, pages_for(heap, bytes));
}
