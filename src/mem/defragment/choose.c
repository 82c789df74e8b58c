/* mem/defragment/choose.c: the policy, and the tables that it is asked with.
 *
 * THE GAIN of a class is what its live slots need less what it has. With L live slots in slabs
 * without pins, H holes in those with pins and n slots a slab, (L - H) / n slabs, rounded up, must
 * stay. That is exact: compaction ends with it, and the estimate says it before (law "The report is
 * exact"). Slots in the magazine count as holes, because the magazine is flushed before a victim is
 * chosen.
 *
 * PICKING looks at each active class once: a few hundred at most, of which one cache line each is
 * read. The class has lists by sixteenths, so its emptiest slab is at the head of the first list
 * that is not empty, or among the first 32 of it: looking further would make the choice depend on
 * the heap's size. Flushing may empty slabs by itself; then a page is gained and no victim is
 * begun.
 *
 * MERGING is for what compaction leaves: each class has up to a slab of holes. The emptiest slab of
 * a class goes into holes of classes at most 1/8 larger, if that wastes less than a quarter of the
 * page that it gains; only slabs at most half full are looked at. The least wasteful one of all
 * classes is taken. An object may go to another pool only where its size is known, because the
 * pools' payload is counted (law C2): by handle it always is, by reference if the owner has a
 * size_of. */
#include "mem/defragment/choose.h"

#include "base/assert.h"
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

#define SLABS_EXAMINED 32u
#define MERGE_PARTS 8u       /* a class's objects may go to classes up to 1/8 larger */
#define MERGE_WASTE_PARTS 4u /* if that wastes less than a quarter of the page gained; */
#define MERGE_LIST_MAX 8u    /* only slabs at most half full are looked at */
/* what a search found and had changed, until it is given up: the owner is too busy for it */
#define MERGE_MISSES_MAX 64u

/* ------------------------------------------------------------------ policy --------- */

uint64_t victim_count(uint32_t slots, uint64_t unpinned_slabs, uint64_t live,
					  uint64_t pinned_slots) {
	if (live <= pinned_slots) return unpinned_slabs;
	SNUG_ASSERT(slots > 0);
	uint64_t needed = (live - pinned_slots + slots - 1) / slots;
	return unpinned_slabs > needed ? unpinned_slabs - needed : 0;
}

static int has_gain(const struct class_candidate *candidate) {
	return candidate->unpinned_slabs > 0 && candidate->holes >= candidate->slots;
}

int victim_class_is_better(const struct class_candidate *a, const struct class_candidate *b) {
	if (!has_gain(a)) return 0;
	if (!has_gain(b)) return 1;
	if (a->emptiest != b->emptiest) return a->emptiest < b->emptiest;
	return a->slots < b->slots;
}

uint32_t victim_choose_slab(const uint32_t *live_slots, uint32_t count) {
	uint32_t best = VICTIM_NONE;
	for (uint32_t index = 0; index < count; index++) {
		if (best == VICTIM_NONE || live_slots[index] < live_slots[best]) best = index;
	}
	return best;
}

/* ------------------------------------------------------------------ what there is to gain --- */

uint64_t class_holes(const struct size_class *class) {
	SNUG_ASSERT(class_live_slots(class) <= (uint64_t) class->slabs * class->slots);
	return (uint64_t) class->slabs * class->slots - class_live_slots(class);
}

uint64_t class_reclaimable_unpinned(const struct size_class *class) {
	return victim_count(class->slots, class->slabs, class_live_slots(class), 0);
}

/* What lives in slabs without pins, less the holes of the others, is what lives in all less the
 * slots of those: whichever of them lie in the magazine. */
uint64_t class_reclaimable(const struct size_class *class) {
	uint64_t live = class_live_slots(class);
	uint64_t pinned_slots = (uint64_t) class->pinned_slabs * class->slots;
	SNUG_ASSERT(class->pinned_slabs <= class->slabs && class->pinned_free_slots <= pinned_slots);
	return victim_count(class->slots, class->slabs - class->pinned_slabs, live, pinned_slots);
}

/* ------------------------------------------------------------------ picking -------- */

uint32_t class_emptiest_list(const struct size_class *class) {
	uint32_t lists = class->list_mask & ((1u << LIST_PINNED_PARTIAL) - 1);
	return lists != 0 ? bit_lowest(lists) : LIST_FULL;
}

static struct class_candidate candidate_of(const struct size_class *class) {
	return (struct class_candidate){
		.slots = class->slots,
		.emptiest = class_emptiest_list(class),
		.holes = class_holes(class),
		.unpinned_slabs = class->slabs - class->pinned_slabs,
	};
}

/* The emptiest of the first few slabs in the emptiest list. PAGE_NONE: all are pinned. */
static page_number emptiest_slab(const snug_heap *heap, const struct size_class *class) {
	uint32_t lists = class->list_mask & ((1u << LIST_PINNED_PARTIAL) - 1);
	if (lists == 0) return PAGE_NONE;
	page_number numbers[SLABS_EXAMINED];
	uint32_t live[SLABS_EXAMINED];
	/* Where a list is one slot wide, its slabs are equally full. */
	uint32_t most = class->slots <= FULLNESS_BUCKETS ? 1 : SLABS_EXAMINED;
	uint32_t count = 0;
	for (page_number number = class->lists[bit_lowest(lists)]; number != PAGE_NONE && count < most;
		 number = heap->arena.pages[number].next) {
		numbers[count] = number;
		live[count++] = class->slots - heap->arena.pages[number].free_slots;
	}
	SNUG_ASSERT(count > 0);
	return numbers[victim_choose_slab(live, count)];
}

struct size_class *victim_pick_class(const snug_heap *heap, uint32_t pool_mask) {
	struct class_candidate best = {.slots = 0};
	struct size_class *best_class = NULL;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = class_active(&heap->classes, index);
		if ((pool_mask >> class->pool & 1) == 0) continue;
		struct class_candidate candidate = candidate_of(class);
		if (candidate.holes < candidate.slots) continue;
		if (best_class != NULL && !victim_class_is_better(&candidate, &best)) continue;
		if (candidate.unpinned_slabs == 0) continue;
		best = candidate;
		best_class = class;
	}
	return best_class;
}

bool victim_pick_slab(snug_heap *heap, struct size_class *class) {
	SNUG_ASSERT(heap->victim == PAGE_NONE && class_reclaimable_unpinned(class) > 0);
	uint64_t released_slabs = heap->totals.released_slabs;
	magazine_flush(heap, class);
	if (class->free_slots >= class->slots) {
		page_number number = emptiest_slab(heap, class);
		/* It may also have given up the last slab without pins. */
		if (number != PAGE_NONE) victim_begin(heap, class, number);
	}
	return SNUG_GUARD(heap->victim != PAGE_NONE || heap->totals.released_slabs > released_slabs);
}

bool victim_pick(snug_heap *heap, uint32_t pool_mask) {
	struct size_class *class = victim_pick_class(heap, pool_mask);
	return class != NULL && victim_pick_slab(heap, class);
}

/* ------------------------------------------------------------------ merging classes --- */

/* In reference mode without size_of a slot's payload is unknown and can't be carried from one
 * pool's account to another's. */
static bool sizes_are_known(const snug_heap *heap, const struct size_class *class) {
	return class->family == FAMILY_FRAGMENT || heap->slot_trailer_bytes > 0 ||
		   heap->options.owner.size_of != NULL;
}

struct size_class *merge_class(const snug_heap *heap, const struct size_class *class, uint16_t *id,
							   enum merge merge) {
	const struct class_table *table = &heap->classes;
	uint16_t end = table->first[class->family + 1];
	uint32_t stride_most =
		merge == MERGE_ANY ? UINT32_MAX : class->stride + class->stride / MERGE_PARTS;
	while (++*id < end && table->entry[*id].stride <= stride_most) {
		struct size_class *into = table->state[*id];
		if (into == NULL || into->free_slots == 0) continue;
		if (into->pool == class->pool || sizes_are_known(heap, class)) return into;
	}
	return NULL;
}

/* Bytes that `count` objects of the class would waste in the holes of larger classes; UINT64_MAX if
 * those are too few. */
static uint64_t merge_waste(const snug_heap *heap, const struct size_class *class, uint64_t count,
							enum merge merge) {
	uint16_t id = class->id;
	uint64_t waste_bytes = 0;
	while (count > 0) {
		const struct size_class *into = merge_class(heap, class, &id, merge);
		if (into == NULL) return UINT64_MAX;
		SNUG_ASSERT(into->stride > class->stride && into->family == class->family);
		uint64_t here = into->free_slots < count ? into->free_slots : count;
		waste_bytes += here * (into->stride - class->stride);
		count -= here;
	}
	return waste_bytes;
}

/* Bytes that the emptiest slab of the class would waste elsewhere. PAGE_NONE: there is none that is
 * at most half full; as the last resort, none with a hole. */
static page_number merge_candidate(const snug_heap *heap, const struct size_class *class,
								   enum merge merge, uint64_t *waste_bytes) {
	uint32_t lists = merge == MERGE_ANY ? PARTIAL_MASK : (2u << MERGE_LIST_MAX) - 1;
	if ((class->list_mask & lists) == 0) return PAGE_NONE;
	page_number number = emptiest_slab(heap, class);
	const struct page *page = &heap->arena.pages[number];
	uint64_t live = class->slots - page->free_slots;
	uint64_t own_holes = class->free_slots - page->free_slots;
	*waste_bytes = live <= own_holes ? 0 : merge_waste(heap, class, live - own_holes, merge);
	return number;
}

static void search_anew(const snug_heap *heap, struct merge_search *search) {
	search->cursor = heap->classes.active_count;
	search->number = PAGE_NONE;
	bool any = search->merge == MERGE_ANY;
	search->waste_bytes = any ? UINT64_MAX - 1 : heap->arena.page_bytes / MERGE_WASTE_PARTS;
}

void merge_search_begin(const snug_heap *heap, struct merge_search *search, enum merge merge) {
	search->misses = 0;
	search->merge = (uint8_t)merge;
	search_anew(heap, search);
}

bool merge_search_some(const snug_heap *heap, struct merge_search *search, uint32_t pool_mask,
					   uint32_t most) {
	const struct class_table *table = &heap->classes;
	/* downwards, as a class that retires leaves its place to the last one */
	if (search->cursor > table->active_count) search->cursor = table->active_count;
	for (; search->cursor > 0 && most > 0; most--) {
		const struct size_class *class = class_active(table, --search->cursor);
		if ((pool_mask >> class->pool & 1) == 0) continue;
		uint64_t waste_bytes;
		page_number number = merge_candidate(heap, class, (enum merge)search->merge, &waste_bytes);
		if (number == PAGE_NONE || waste_bytes > search->waste_bytes) continue;
		/* of equals the first: so it is the same class however the search is cut */
		if (waste_bytes == search->waste_bytes && search->number == PAGE_NONE) continue;
		search->number = number;
		search->class_id = class->id;
		search->waste_bytes = waste_bytes;
	}
	return search->cursor > 0;
}

bool merge_search_end(snug_heap *heap, struct merge_search *search) {
	struct size_class *class =
		search->number == PAGE_NONE ? NULL : heap->classes.state[search->class_id];
	if (search->number == PAGE_NONE) return false;
	uint64_t waste_bytes = UINT64_MAX;
	enum merge merge = (enum merge)search->merge;
	page_number number =
		class == NULL ? PAGE_NONE : merge_candidate(heap, class, merge, &waste_bytes);
	if (number == PAGE_NONE || waste_bytes > search->waste_bytes) {
		search_anew(heap, search);
		return ++search->misses < MERGE_MISSES_MAX;
	}
	SNUG_ASSERT(heap->victim == PAGE_NONE && heap->arena.pages[number].pins == 0);
	magazine_flush(heap, class);
	if (heap->arena.pages[number].state == PAGE_SLAB) victim_begin(heap, class, number);
	search_anew(heap, search);
	return true;
}

bool victim_pick_merge(snug_heap *heap, uint32_t pool_mask, enum merge merge) {
	struct merge_search search;
	merge_search_begin(heap, &search, merge);
	(void)merge_search_some(heap, &search, pool_mask, UINT32_MAX);
	return merge_search_end(heap, &search);
}
