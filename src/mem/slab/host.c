/* mem/slab/host.c: opening, lending, closing.
 *
 *              host_open                       the last guest has gone
 *   PAGE_SLAB ------------> PAGE_HOST ---------------------------------> PAGE_SLAB, or a page
 *
 * WHICH SLAB is opened: one with pins, because compaction can't have it anyway; else the emptiest,
 * because it lends the most. The class's magazine is empty then, so that a set bit means a hole and
 * a clear one a resident.
 *
 * HOW MANY GUESTS a host has is not stored: page->free_slots counts the empty slots, the bitmap
 * those that are lent. Whoever frees a guest counts the bitmap, a word for each 64 slots.
 *
 * WHICH SLOT IS EMPTY is found among 128 at most by their trailers. A descriptor whose bitmap lies
 * beside has room for the top of a stack, which is linked through the trailers: to look at all of
 * some thousand slots for each guest made filling a host take seconds. When a host is closed, its
 * stack is forgotten; so that costs nothing for each slot. */
#include "mem/slab/host.h"

#include "base/assert.h"
#include "mem/arena/poison.h"
#include "mem/slab/slab.h"
#include "mem/slab/trailer.h"

static uint32_t lent_slots(const snug_heap *heap, const struct size_class *class,
						   page_number number) {
	const uint64_t *bits = free_bits_of(&heap->arena.pages[number], class);
	uint32_t lent = 0;
	for (uint32_t word = 0; word * 64 < class->slots; word++) lent += bit_count(bits[word]);
	return lent;
}

static bool is_lent(const snug_heap *heap, const struct size_class *class, page_number number,
					uint32_t slot) {
	const uint64_t *bits = free_bits_of(&heap->arena.pages[number], class);
	return bits[slot / 64] >> (slot % 64) & 1;
}

static uint64_t slot_offset(const snug_heap *heap, const struct size_class *class,
							page_number number, uint32_t slot) {
	return page_offset(&heap->arena, number) + (uint64_t)slot * class->stride;
}

static bool is_empty(const snug_heap *heap, uint64_t offset) {
	return fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).length == 0;
}

static bool has_stack(const struct size_class *class) {
	return class->slots > INLINE_BITMAP_SLOTS;
}

/* Poisoned but for the trailer, which says that nobody is there. */
static void put_empty(snug_heap *heap, const struct size_class *class, uint64_t offset) {
	struct page *page = &heap->arena.pages[page_of(&heap->arena, offset)];
	struct fragment_trailer empty = {0};
	SNUG_ASSERT(page->state == PAGE_HOST && page->class_id == class->id);
	if (has_stack(class)) {
		empty.next = page->free_bits.first_empty;
		page->free_bits.first_empty = offset;
		SNUG_ASSERT(empty.next == 0 || is_empty(heap, empty.next));
	}
	poison_slot(address_of(&heap->arena, offset), class->stride);
	char *trailer = fragment_trailer_at(heap, offset);
	unpoison(trailer, heap->classes.fragment_trailer_bytes);
	fragment_trailer_write(heap, trailer, empty);
}

/* The accounts of the class with this slab in them, or without. */
static void count_slab_out(struct size_class *class, const struct page *page) {
	SNUG_ASSERT(class->slabs > 0 && class->free_slots >= page->free_slots);
	SNUG_ASSERT(class->used_slots >= class->slots - page->free_slots);
	class->slabs--;
	class->used_slots -= class->slots - page->free_slots;
	class->free_slots -= page->free_slots;
	if (page->pins == 0) return;
	SNUG_ASSERT(class->pinned_slabs > 0 && class->pinned_free_slots >= page->free_slots);
	class->pinned_slabs--;
	class->pinned_hosts++;
	class->pinned_free_slots -= page->free_slots;
}

static void count_slab_in(struct size_class *class, const struct page *page) {
	SNUG_ASSERT(page->state == PAGE_SLAB && page->free_slots <= class->slots);
	class->slabs++;
	class->used_slots += class->slots - page->free_slots;
	class->free_slots += page->free_slots;
	if (page->pins == 0) return;
	SNUG_ASSERT(class->pinned_hosts > 0);
	class->pinned_slabs++;
	class->pinned_hosts--;
	class->pinned_free_slots += page->free_slots;
}

/* ------------------------------------------------------------------ hosts ---------- */

static page_number slab_to_open(const struct size_class *class) {
	if (class->lists[LIST_PINNED_PARTIAL] != PAGE_NONE) return class->lists[LIST_PINNED_PARTIAL];
	uint32_t partial = class->list_mask & PARTIAL_MASK;
	return partial == 0 ? PAGE_NONE : class->lists[bit_lowest(partial)];
}

static bool host_open(snug_heap *heap, struct size_class *class) {
	SNUG_ASSERT(class->magazine_count == 0);
	page_number number = slab_to_open(class);
	if (number == PAGE_NONE) return false;
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_SLAB && page->free_slots > 0);
	SNUG_ASSERT(number != heap->victim && number != heap->target);
	slab_unlist(heap, class, number);
	count_slab_out(class, page);
	page->state = PAGE_HOST;
	class->hosts++;
	class->host_empty += page->free_slots;
	heap->hosts++;
	if (has_stack(class)) page->free_bits.first_empty = 0;
	for (uint32_t slot = class->slots; slot-- > 0;) {
		if (is_lent(heap, class, number, slot))
			put_empty(heap, class, slot_offset(heap, class, number, slot));
	}
	slab_relist(heap, class, number);
	SNUG_ASSERT(class->lists[LIST_HOST] == number);
	return true;
}

void host_close(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_HOST && page->free_slots == lent_slots(heap, class, number));
	SNUG_ASSERT(class->hosts > 0 && heap->hosts > 0 && class->host_empty >= page->free_slots);
	for (uint32_t slot = 0; slot < class->slots; slot++) {
		uint64_t offset = slot_offset(heap, class, number, slot);
		if (is_lent(heap, class, number, slot))
			poison_free(address_of(&heap->arena, offset), class->stride);
	}
	slab_unlist(heap, class, number);
	page->state = PAGE_SLAB;
	class->hosts--;
	class->host_empty -= page->free_slots;
	heap->hosts--;
	SNUG_ASSERT(class->hosts > 0 || (class->host_guests == 0 && class->host_empty == 0));
	heap->changes++;
	count_slab_in(class, page);
	if (page->free_slots == class->slots && class->free_slots > class->slots) {
		slab_release(heap, class, number);
	} else {
		slab_relist(heap, class, number);
	}
}

void host_resident_left(snug_heap *heap, struct size_class *class, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	struct page *page = &heap->arena.pages[number];
	uint32_t slot = slot_of(&heap->arena, class, offset);
	uint64_t *word = &free_bits_of(page, class)[slot / 64];
	SNUG_ASSERT(page->state == PAGE_HOST && (*word >> (slot % 64) & 1) == 0);
	SNUG_ASSERT(slot < class->slots && page->free_slots < class->slots);
	*word |= (uint64_t)1 << (slot % 64);
	put_empty(heap, class, offset);
	page->free_slots++;
	class->host_empty++;
	slab_relist(heap, class, number);
}

/* ------------------------------------------------------------------ guests --------- */

/* Of a host that has an empty slot; 0 if there is none in spite of the count. */
static uint64_t take_empty(snug_heap *heap, const struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_HOST && page->free_slots > 0);
	if (has_stack(class)) {
		uint64_t top = page->free_bits.first_empty;
		if (top == 0) return 0;
		SNUG_ASSERT(page_of(&heap->arena, top) == number && is_empty(heap, top));
		page->free_bits.first_empty =
			fragment_trailer_read(heap, fragment_trailer_at(heap, top)).next;
		return top;
	}
	const uint64_t *bits = free_bits_of(page, class);
	for (uint32_t word = 0; word * 64 < class->slots; word++) {
		for (uint64_t lent = bits[word]; lent != 0; lent &= lent - 1) {
			uint64_t offset = slot_offset(heap, class, number, word * 64 + bit_lowest(lent));
			if (is_empty(heap, offset)) return offset;
		}
	}
	return 0;
}

uint32_t host_guests(const snug_heap *heap, const struct size_class *class, page_number number) {
	const struct page *page = &heap->arena.pages[number];
	uint32_t lent = lent_slots(heap, class, number);
	SNUG_ASSERT(page->state == PAGE_HOST && lent >= page->free_slots);
	return lent - page->free_slots;
}

static bool take_for_guest(snug_heap *heap, struct size_class *class, page_number number,
						   uint64_t *offset) {
	uint64_t found = take_empty(heap, class, number);
	if (!SNUG_GUARD(found != 0)) return false;
	SNUG_ASSERT(class->host_empty > 0);
	unpoison_slot(address_of(&heap->arena, found), class->stride);
	heap->arena.pages[number].free_slots--;
	class->host_empty--;
	class->host_guests++;
	slab_relist(heap, class, number);
	*offset = found;
	return true;
}

bool guest_take(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	SNUG_ASSERT(class->family != FAMILY_FRAGMENT && hole_capacity(heap, class) > 0);
	if (class->lists[LIST_HOST] == PAGE_NONE && !host_open(heap, class)) return false;
	return take_for_guest(heap, class, class->lists[LIST_HOST], offset);
}

bool guest_take_beside(snug_heap *heap, struct size_class *class, page_number number,
					   uint64_t *offset) {
	page_number other = class->lists[LIST_HOST];
	if (other == number) other = heap->arena.pages[other].next;
	return other != PAGE_NONE && take_for_guest(heap, class, other, offset);
}

bool host_take_resident(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	if (class->host_empty == 0) return false;
	page_number number = class->lists[LIST_HOST];
	if (!SNUG_GUARD(number != PAGE_NONE)) return false;
	uint64_t found = take_empty(heap, class, number);
	if (!SNUG_GUARD(found != 0)) return false;
	struct page *page = &heap->arena.pages[number];
	uint32_t slot = slot_of(&heap->arena, class, found);
	SNUG_ASSERT(is_lent(heap, class, number, slot));
	free_bits_of(page, class)[slot / 64] &= ~((uint64_t)1 << (slot % 64));
	page->free_slots--;
	class->host_empty--;
	slab_relist(heap, class, number);
	*offset = found;
	return true;
}

void guest_free(snug_heap *heap, struct size_class *class, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(page->state == PAGE_HOST && host_has_guest(heap, number, offset));
	SNUG_ASSERT(class->host_guests > 0 && page->free_slots < class->slots);
	heap->changes++;
	put_empty(heap, class, offset);
	page->free_slots++;
	class->host_guests--;
	class->host_empty++;
	if (page->free_slots == lent_slots(heap, class, number)) {
		host_close(heap, class, number);
	} else {
		slab_relist(heap, class, number);
	}
}

static bool is_lent_slot(const snug_heap *heap, page_number number, uint64_t offset) {
	const struct size_class *class = class_of_page(heap, number);
	uint32_t slot = slot_of(&heap->arena, class, offset);
	return slot < class->slots && slot_offset(heap, class, number, slot) == offset &&
		   is_lent(heap, class, number, slot);
}

bool host_has_guest(const snug_heap *heap, page_number number, uint64_t offset) {
	return is_lent_slot(heap, number, offset) && !is_empty(heap, offset);
}

bool host_stack_is_sound(const snug_heap *heap, page_number number) {
	const struct page *page = &heap->arena.pages[number];
	if (!has_stack(class_of_page(heap, number))) return true;
	uint32_t walked = 0;
	uint64_t offset = page->free_bits.first_empty;
	for (; offset != 0 && walked < page->free_slots; walked++) {
		bool sound = page_of(&heap->arena, offset) == number &&
					 is_lent_slot(heap, number, offset) && is_empty(heap, offset);
		if (!sound) return false;
		offset = fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).next;
	}
	return offset == 0 && walked == page->free_slots;
}
