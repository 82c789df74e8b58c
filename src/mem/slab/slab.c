/* mem/slab/slab.c: the life of a slab.
 *
 *              slab_create                victim_begin               emptied: victim_release
 *     page ----------------> PAGE_SLAB ----------------> PAGE_VICTIM -----------------------> page
 *       ^                     |     ^                         |
 *       | empty, and there    |     |    victim_put_back,     |
 *       | is other room       v     |    victim_abandon       |
 *       +---------- slab_release    +-------------------------+
 *
 *     blank page --> PAGE_TARGET -- its victim has gone, or was put back --> PAGE_SLAB, or a page
 *                                                                       again if nothing lies in it
 *
 * THE COUNTS. free_slots of a class leaves the victim's holes out, because nobody may take them; so
 * `free_slots >= slots` says that the others have room for all that lies in the victim. used_slots
 * and slabs count the victim too. A target and its victim are one slab: the target is in no count
 * but used_slots until its victim has gone. So a report that is cut off at any moment is exact.
 *
 * WHO ABANDONS. A pin on an object of the victim, an allocation that needs its holes, and an
 * evacuation that found none elsewhere. An abandonment is counted, in totals and in the report: it
 * is work that was for nothing. A putting back is not: it is the end of the work.
 *
 * THE LIST of a slab is its live slots * bucket_scale >> 16: a multiplication in place of a
 * division. A list is a sixteenth of the slots wide, so most frees leave a slab where it is;
 * slab_return looks at nothing else then. The mask of lists that are not empty gives the fullest
 * and the emptiest with one instruction each.
 *
 * TAKING fills the array from its end. A magazine is popped from its end as well, so slots are used
 * in the order of their addresses. */
#include "mem/slab/slab.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"
#include "mem/arena/cells.h"
#include "mem/slab/classes.h"

static uint32_t bitmap_words(const struct size_class *class) {
	return (class->slots + 63) / 64;
}

/* ------------------------------------------------------------------ lists ---------- */

void slab_unlist(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	if (page->list == LIST_NONE) return;
	SNUG_ASSERT(page->class_id == class->id && (class->list_mask >> page->list & 1) != 0);
	SNUG_ASSERT(page->previous != PAGE_NONE || class->lists[page->list] == number);
	SNUG_ASSERT(page->list >= FULLNESS_BUCKETS || class->list_slabs[page->list] > 0);
	if (page->list < FULLNESS_BUCKETS) class->list_slabs[page->list]--;
	if (class->empty == number) class->empty = PAGE_NONE;
	if (page->next) heap->arena.pages[page->next].previous = page->previous;
	if (page->previous) {
		heap->arena.pages[page->previous].next = page->next;
	} else {
		class->lists[page->list] = page->next;
		if (page->next == PAGE_NONE) class->list_mask &= ~(1u << page->list);
	}
	page->list = LIST_NONE;
}

void slab_relist(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	uint8_t list = slab_list_for(class, page);
	bool is_empty = page->free_slots == class->slots;
	SNUG_ASSERT(page->state == PAGE_SLAB || page->state == PAGE_HOST);
	SNUG_ASSERT(page->class_id == class->id);
	if (list == page->list) {
		if (is_empty || class->empty == number) class->empty = is_empty ? number : PAGE_NONE;
		return;
	}
	slab_unlist(heap, class, number);
	if (list < FULLNESS_BUCKETS) class->list_slabs[list]++;
	if (is_empty) class->empty = number;
	page->list = list;
	page->previous = PAGE_NONE;
	page->next = class->lists[list];
	if (page->next) heap->arena.pages[page->next].previous = number;
	class->lists[list] = number;
	class->list_mask |= 1u << list;
}

/* ------------------------------------------------------------------ pages ---------- */

/* All slots free; `beside` is for the bits of more slots than a descriptor has. */
static void cut(snug_heap *heap, const struct size_class *class, page_number number, void *beside) {
	struct page *page = &heap->arena.pages[number];
	page->class_id = class->id;
	page->free_slots = (uint16_t) class->slots;
	SNUG_ASSERT(class->slots * class->stride <= heap->arena.page_bytes);
	if (beside != NULL) page->free_bits.beside = beside;
	uint64_t *bits = free_bits_of(page, class);
	for (uint32_t word = 0; word < bitmap_words(class); word++) bits[word] = UINT64_MAX;
	if (class->slots % 64 != 0) bits[class->slots / 64] = ((uint64_t)1 << (class->slots % 64)) - 1;
	if (class->slots == 1) arena_count_whole(&heap->arena, number, 1);
}

snug_error slab_blank(snug_heap *heap, const struct size_class *class, enum page_state state,
					  page_number *out) {
	void *beside = NULL;
	size_t bitmap_bytes = bitmap_words(class) * sizeof(uint64_t);
	if (class->slots > INLINE_BITMAP_SLOTS) {
		snug_error error = cell_take(&heap->arena, &heap->cells, bitmap_bytes, &beside);
		if (error) return error;
	}
	page_number number;
	snug_error error = arena_take(&heap->arena, &number);
	if (error) {
		if (beside != NULL) cell_give(&heap->cells, beside, bitmap_bytes);
		return error;
	}
	heap->arena.pages[number].state = (uint8_t)state;
	cut(heap, class, number, beside);
	*out = number;
	return SNUG_OK;
}

snug_error slab_adopt(snug_heap *heap, struct size_class *class, page_number number) {
	void *beside = NULL;
	snug_error error = SNUG_OK;
	size_t bitmap_bytes = bitmap_words(class) * sizeof(uint64_t);
	if (class->slots > INLINE_BITMAP_SLOTS)
		error = cell_take(&heap->arena, &heap->cells, bitmap_bytes, &beside);
	if (!error) error = arena_adopt(&heap->arena, number);
	if (error) {
		if (beside != NULL) cell_give(&heap->cells, beside, bitmap_bytes);
		return error;
	}
	cut(heap, class, number, beside);
	class->slabs++;
	class->free_slots += class->slots;
	return SNUG_OK;
}

/* What `cut` did: the count, and the bits of more slots than a descriptor has. */
static void uncut(snug_heap *heap, const struct size_class *class, page_number number) {
	if (class->slots == 1) arena_count_whole(&heap->arena, number, -1);
	if (class->slots <= INLINE_BITMAP_SLOTS) return;
	void *beside = heap->arena.pages[number].free_bits.beside;
	cell_give(&heap->cells, beside, bitmap_words(class) * sizeof(uint64_t));
}

void slab_disown(snug_heap *heap, struct size_class *class, page_number number) {
	SNUG_ASSERT(heap->arena.pages[number].free_slots == class->slots && class->slabs > 0);
	class->slabs--;
	class->free_slots -= class->slots;
	uncut(heap, class, number);
	arena_disown(&heap->arena, number);
}

void slab_drop(snug_heap *heap, const struct size_class *class, page_number number) {
	SNUG_ASSERT(heap->arena.pages[number].free_slots == class->slots);
	uncut(heap, class, number);
	arena_give(&heap->arena, number);
}

snug_error slab_create(snug_heap *heap, struct size_class *class, page_number *out) {
	page_number number;
	snug_error error = slab_blank(heap, class, PAGE_SLAB, &number);
	if (error) return error;
	class->slabs++;
	class->free_slots += class->slots;
	class_review_soon(class);
	slab_relist(heap, class, number);
	*out = number;
	return SNUG_OK;
}

void slab_release(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->free_slots == class->slots && page->pins == 0);
	SNUG_ASSERT(class->slabs > 0 && page->class_id == class->id && number != heap->victim);
	slab_unlist(heap, class, number);
	if (page->state == PAGE_SLAB) class->free_slots -= class->slots;
	class->slabs--;
	heap->totals.released_slabs++;
	slab_drop(heap, class, number);
}

void slab_release_empty(snug_heap *heap, struct size_class *class) {
	SNUG_ASSERT(class->empty == PAGE_NONE ||
				heap->arena.pages[class->empty].free_slots == class->slots);
	if (class->empty != PAGE_NONE) slab_release(heap, class, class->empty);
}

/* ------------------------------------------------------------------ the victim ----- */

void victim_begin(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(heap->victim == PAGE_NONE && page->pins == 0);
	SNUG_ASSERT(page->state == PAGE_SLAB && class->magazine_count == 0); /* law S6 */
	slab_unlist(heap, class, number);
	page->state = PAGE_VICTIM;
	class->free_slots -= page->free_slots;
	heap->victim = number;
	if (page->free_slots == class->slots) victim_release(heap);
}

void victim_relocate(snug_heap *heap, struct size_class *class, page_number number,
					 page_number target) {
	SNUG_ASSERT(heap->target == PAGE_NONE && heap->arena.pages[number].free_slots < class->slots);
	SNUG_ASSERT(heap->arena.pages[target].state == PAGE_TARGET);
	SNUG_ASSERT(heap->arena.pages[target].free_slots == class->slots);
	victim_begin(heap, class, number);
	heap->target = target;
}

/* The target becomes a slab of its own, or a free page again if nothing lies in it. */
static void end_target(snug_heap *heap, struct size_class *class) {
	page_number number = heap->target;
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_TARGET && page->class_id == class->id);
	heap->target = PAGE_NONE;
	if (page->free_slots == class->slots) {
		slab_drop(heap, class, number);
		return;
	}
	page->state = PAGE_SLAB;
	class->slabs++;
	class->free_slots += page->free_slots;
	slab_relist(heap, class, number);
}

void victim_release(snug_heap *heap) {
	page_number number = heap->victim;
	SNUG_ASSERT(number != PAGE_NONE && heap->arena.pages[number].state == PAGE_VICTIM);
	heap->victim = PAGE_NONE;
	if (heap->target != PAGE_NONE) {
		struct size_class *class = class_of_page(heap, number);
		slab_release(heap, class, number);
		heap->totals.relocated_slabs++;
		end_target(heap, class);
		return;
	}
	/* Emptied by what the owner freed, or by an allocation's own compaction: the page is not the
	 * steps' gain. */
	if (heap->defragment.phase != PHASE_IDLE && !heap->defragment.in_step)
		heap->totals.abandoned_slabs++;
	slab_release(heap, class_of_page(heap, number), number);
}

void victim_put_back(snug_heap *heap) {
	page_number number = heap->victim;
	struct page *page = &heap->arena.pages[number];
	struct size_class *class = class_of_page(heap, number);
	SNUG_ASSERT(number != PAGE_NONE && page->state == PAGE_VICTIM && page->list == LIST_NONE);
	heap->victim = PAGE_NONE;
	page->state = PAGE_SLAB;
	class->free_slots += page->free_slots;
	heap->changes++;
	slab_relist(heap, class, number);
	if (heap->target != PAGE_NONE) end_target(heap, class);
}

void victim_abandon(snug_heap *heap) {
	victim_put_back(heap);
	heap->totals.abandoned_slabs++;
}

/* ------------------------------------------------------------------ slots ---------- */

/* Downwards, because a magazine is popped from its end: so slots are used in the order of their
 * addresses. */
static uint32_t take_from(snug_heap *heap, struct size_class *class, page_number number,
						  uint32_t want, uint64_t *offsets) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_SLAB && page->free_slots > 0);
	uint64_t *bits = free_bits_of(page, class);
	uint64_t base = page_offset(&heap->arena, number);
	uint32_t taken = want < page->free_slots ? want : page->free_slots;
	uint32_t left = taken;
	for (uint32_t word = 0; left > 0; word++) {
		uint64_t free = bits[word];
		for (; free != 0 && left > 0; free &= free - 1) {
			offsets[--left] = base + (uint64_t)(word * 64 + bit_lowest(free)) * class->stride;
		}
		bits[word] = free;
	}
	SNUG_ASSERT(taken > 0 && taken <= class->free_slots);
	SNUG_ASSERT(page->pins == 0 || taken <= class->pinned_free_slots);
	page->free_slots = (uint16_t)(page->free_slots - taken);
	class->free_slots -= taken;
	class->used_slots += taken;
	if (page->pins > 0) class->pinned_free_slots -= taken;
	slab_relist(heap, class, number);
	return taken;
}

uint32_t slab_take_fullest(snug_heap *heap, struct size_class *class, uint32_t want,
						   uint64_t *offsets) {
	uint32_t partial = class->list_mask & PARTIAL_MASK;
	if (partial == 0) return 0;
	return take_from(heap, class, class->lists[bit_highest(partial)], want, offsets);
}

uint32_t slab_take_pinned(snug_heap *heap, struct size_class *class, uint32_t want,
						  uint64_t *offsets) {
	page_number number = class->lists[LIST_PINNED_PARTIAL];
	return number == PAGE_NONE ? 0 : take_from(heap, class, number, want, offsets);
}

bool slab_slot_is_free(const snug_heap *heap, const struct size_class *class, uint64_t offset) {
	struct page *page = &heap->arena.pages[page_of(&heap->arena, offset)];
	uint32_t slot = slot_of(&heap->arena, class, offset);
	return free_bits_of(page, class)[slot / 64] >> (slot % 64) & 1;
}

void slab_settle(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->free_slots > 0 && page->free_slots <= class->slots);
	if (page->state != PAGE_SLAB) {
		class->free_slots--;
		if (page->state == PAGE_VICTIM && page->free_slots == class->slots) victim_release(heap);
		return;
	}
	if (page->pins > 0) class->pinned_free_slots++;
	if (page->free_slots == class->slots && class->free_slots > class->slots) {
		slab_release(heap, class, number);
	} else {
		slab_relist(heap, class, number);
	}
}

/* ------------------------------------------------------------------ pins ----------- */

void slab_pin(snug_heap *heap, page_number number) {
	struct page *page = &heap->arena.pages[number];
	struct size_class *class = class_of_page(heap, number);
	if (page->state == PAGE_VICTIM || page->state == PAGE_TARGET) victim_abandon(heap);
	SNUG_ASSERT(page->state == PAGE_SLAB || page->state == PAGE_HOST);
	SNUG_ASSERT(page->pins < UINT16_MAX);
	if (page->pins++ > 0) return;
	if (page->state == PAGE_HOST) {
		class->pinned_hosts++;
		return;
	}
	class->pinned_slabs++;
	class->pinned_free_slots += page->free_slots;
	SNUG_ASSERT(class->pinned_slabs <= class->slabs);
	slab_relist(heap, class, number);
}

void slab_unpin(snug_heap *heap, page_number number) {
	struct page *page = &heap->arena.pages[number];
	struct size_class *class = class_of_page(heap, number);
	SNUG_ASSERT(page->pins > 0);
	SNUG_ASSERT(page->state == PAGE_SLAB || page->state == PAGE_HOST);
	if (--page->pins > 0) return;
	if (page->state == PAGE_HOST) {
		SNUG_ASSERT(class->pinned_hosts > 0);
		class->pinned_hosts--;
		return;
	}
	SNUG_ASSERT(class->pinned_slabs > 0 && class->pinned_free_slots >= page->free_slots);
	class->pinned_slabs--;
	class->pinned_free_slots -= page->free_slots;
	heap->changes++;
	slab_relist(heap, class, number);
}
