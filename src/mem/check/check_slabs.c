/* mem/check/check_slabs.c: laws S1 to S10: bitmaps, lists, magazines and the counters of each class;
 * C1: which class serves which; C3: objects by size.
 *
 * Primary are the bitmaps, and the class number in each descriptor. One pass over the descriptors
 * counts what each class has: slabs, free and used slots, pinned ones; then each class compares
 * these with its own counters and follows its lists. The victim and its target are in no list and
 * count as one slab. The class table is checked first, because all else looks classes up in it. */
#include "base/bits.h"
#include "mem/check/check.h"
#include "mem/slab/classes.h"
#include "mem/slab/host.h"
#include "mem/slab/slab.h"

/* A host lends the slots of its set bits; who is in one says its trailer. */
static bool check_host(struct check *check, const struct size_class *class, page_number number,
					   uint64_t lent) {
	const snug_heap *heap = check->heap;
	uint64_t guests = 0;
	for (uint32_t slot = 0; slot < class->slots; slot++) {
		uint64_t offset = page_offset(&heap->arena, number) + (uint64_t)slot * class->stride;
		guests += host_has_guest(heap, number, offset);
	}
	bool lends = class->family != FAMILY_FRAGMENT && hole_capacity(heap, class) > 0;
	return check_that(check, "S10", "host whose slots can't be lent", number, lends) &&
		   check_that(check, "S10", "host without a guest", number, guests > 0) &&
		   check_equal(check, "S10", "empty slots of a host", heap->arena.pages[number].free_slots,
					   lent - guests) &&
		   check_that(check, "S10", "stack of a host's empty slots", number,
					  host_stack_is_sound(heap, number));
}

static bool check_bitmap(struct check *check, const struct size_class *class, page_number number) {
	struct page *page = &check->heap->arena.pages[number];
	const uint64_t *bits = free_bits_of(page, class);
	uint64_t counted = 0;
	for (uint32_t word = 0; word * 64 < class->slots; word++) counted += bit_count(bits[word]);
	uint64_t beyond = class->slots % 64 == 0 ? 0 : bits[class->slots / 64] >> (class->slots % 64);
	if (!check_that(check, "S1", "bitmap marks a slot beyond the slab", number, beyond == 0))
		return false;
	if (page->state == PAGE_HOST) return check_host(check, class, number, counted);
	return check_equal(check, "S1", "free slots of a slab", page->free_slots, counted);
}

static uint8_t expected_list(const struct size_class *class, const struct page *page) {
	if (page->state == PAGE_HOST) return page->free_slots > 0 ? LIST_HOST : LIST_HOST_FULL;
	if (page->state != PAGE_SLAB) return LIST_NONE;
	if (page->pins > 0) return page->free_slots > 0 ? LIST_PINNED_PARTIAL : LIST_PINNED_FULL;
	if (page->free_slots == 0) return LIST_FULL;
	return (uint8_t)(((class->slots - page->free_slots) * class->bucket_scale) >> 16);
}

void count_slab(const snug_heap *heap, page_number number, struct slab_counts *counts) {
	const struct page *page = &heap->arena.pages[number];
	const struct size_class *class = heap->classes.state[page->class_id];
	struct slab_counts *of_class = &counts[class->active_index];
	if (page->state == PAGE_HOST) {
		const uint64_t *bits = free_bits_of((struct page *)page, class);
		of_class->hosts++;
		of_class->listed++;
		of_class->host_empty += page->free_slots;
		of_class->pinned_hosts += page->pins > 0;
		for (uint32_t word = 0; word * 64 < class->slots; word++)
			of_class->host_guests += bit_count(bits[word]);
		of_class->host_guests -= page->free_slots;
		return;
	}
	bool victim = page->state == PAGE_VICTIM, target = page->state == PAGE_TARGET;
	of_class->slabs += !target;
	of_class->used += class->slots - page->free_slots;
	of_class->free += victim || target ? 0 : page->free_slots;
	of_class->pinned_slabs += page->pins > 0;
	of_class->pinned_free += page->pins > 0 ? page->free_slots : 0;
	of_class->listed += !victim && !target;
	of_class->partial += page->list < FULLNESS_BUCKETS;
}

bool check_slab(struct check *check, page_number number, struct slab_counts *counts) {
	const snug_heap *heap = check->heap;
	const struct page *page = &heap->arena.pages[number];
	bool known = page->class_id < heap->classes.first[FAMILY_COUNT] &&
				 heap->classes.state[page->class_id] != NULL;
	if (!check_that(check, "S2", "slab of a class that is not active", number, known)) return false;
	const struct size_class *class = heap->classes.state[page->class_id];
	if (!check_bitmap(check, class, number)) return false;
	bool victim = page->state == PAGE_VICTIM;
	if (!check_that(check, "S7", "more or another victim than is known", number,
					victim == (heap->victim == number))) {
		return false;
	}
	bool target = page->state == PAGE_TARGET;
	if (!check_that(check, "S7", "more or another target than is known", number,
					target == (heap->target == number))) {
		return false;
	}
	if (!check_that(check, "S2", "slab is on the wrong list", number,
					page->list == expected_list(class, page))) {
		return false;
	}
	bool empty = page->list != LIST_NONE && page->free_slots == class->slots;
	if (!check_that(check, "S9", "empty slab is not the one its class knows", number,
					empty == (class->empty == number))) {
		return false;
	}
	count_slab(heap, number, counts);
	return true;
}

bool check_list_mask(struct check *check, const struct size_class *class) {
	for (uint32_t list = 0; list < LIST_COUNT; list++) {
		bool masked = class->list_mask >> list & 1;
		if (!check_that(check, "S2", "list mask", class->id,
						masked == (class->lists[list] != PAGE_NONE)))
			return false;
	}
	return true;
}

/* What a slab can see of its list: both neighbours name it, or it is the first. */
bool check_links(struct check *check, page_number number) {
	const struct arena *arena = &check->heap->arena;
	const struct page *page = &arena->pages[number];
	if (page->state != PAGE_SLAB && page->state != PAGE_HOST) return true;
	const struct size_class *class = class_of_page(check->heap, number);
	bool is_first = page->previous == PAGE_NONE;
	page_number before =
		is_first
			? class->lists[page->list]
			: (page->previous < arena->described ? arena->pages[page->previous].next : PAGE_NONE);
	const struct page *next =
		page->next != PAGE_NONE && page->next < arena->described ? &arena->pages[page->next] : NULL;
	bool sound =
		before == number &&
		(page->next == PAGE_NONE || (next != NULL && next->previous == number &&
									 next->list == page->list && next->class_id == page->class_id));
	return check_that(check, "S2", "slab's neighbours do not name it", number, sound);
}

static bool check_lists(struct check *check, const struct size_class *class, uint64_t expected) {
	const struct page *pages = check->heap->arena.pages;
	uint64_t listed = 0;
	if (!check_list_mask(check, class)) return false;
	for (uint32_t list = 0; list < LIST_COUNT; list++) {
		page_number previous = PAGE_NONE;
		uint64_t before = listed;
		for (page_number page = class->lists[list]; page != PAGE_NONE; page = pages[page].next) {
			bool sound = page < check->heap->arena.described && pages[page].list == list &&
						 pages[page].class_id == class->id && pages[page].previous == previous &&
						 listed++ < expected;
			if (!check_that(check, "S2", "slab list is broken", page, sound)) return false;
			previous = page;
		}
		if (list < FULLNESS_BUCKETS &&
			!check_equal(check, "S9", "slabs of a list", class->list_slabs[list], listed - before))
			return false;
	}
	return check_equal(check, "S2", "slabs on lists", listed, expected);
}

bool check_magazine(struct check *check, struct size_class *class) {
	const struct arena *arena = &check->heap->arena;
	if (!check_that(check, "S6", "magazine holds more than it can", class->id,
					class->magazine_count <= class->magazine_capacity)) {
		return false;
	}
	for (uint32_t index = 0; index < class->magazine_count; index++) {
		uint64_t offset = class->magazine[index];
		page_number number = page_of(arena, offset);
		if (!check_that(check, "S6", "magazine names no page", number,
						number >= 1 && number <= arena->page_count)) {
			return false;
		}
		struct page *page = &arena->pages[number];
		uint32_t slot = slot_of(arena, class, offset);
		bool sound = page->state == PAGE_SLAB && page->class_id == class->id &&
					 slot < class->slots &&
					 page_offset(arena, number) + (uint64_t)slot * class->stride == offset &&
					 (free_bits_of(page, class)[slot / 64] >> (slot % 64) & 1) == 0;
		if (!check_that(check, "S6", "magazine names no used slot of a slab", offset, sound))
			return false;
		for (uint32_t other = 0; other < index; other++) {
			if (!check_that(check, "S6", "slot is in the magazine twice", offset,
							class->magazine[other] != offset)) {
				return false;
			}
		}
	}
	return true;
}

bool check_class_counts(struct check *check, const struct size_class *class,
						const struct slab_counts *counts) {
	uint64_t partial = 0;
	for (uint32_t list = 0; list < FULLNESS_BUCKETS; list++) partial += class->list_slabs[list];
	return check_equal(check, "S9", "partly filled slabs", partial, counts->partial) &&
		   check_equal(check, "S3", "slabs of a class", class->slabs, counts->slabs) &&
		   check_equal(check, "S4", "free slots of a class", class->free_slots, counts->free) &&
		   check_equal(check, "S5", "used slots of a class", class->used_slots, counts->used) &&
		   check_equal(check, "S8", "pinned slabs of a class", class->pinned_slabs,
					   counts->pinned_slabs) &&
		   check_equal(check, "S8", "free slots in pinned slabs", class->pinned_free_slots,
					   counts->pinned_free) &&
		   check_equal(check, "S10", "hosts of a class", class->hosts, counts->hosts) &&
		   check_equal(check, "S10", "pinned hosts of a class", class->pinned_hosts,
					   counts->pinned_hosts) &&
		   check_equal(check, "S10", "guests in a class's hosts", class->host_guests,
					   counts->host_guests) &&
		   check_equal(check, "S10", "empty slots of a class's hosts", class->host_empty,
					   counts->host_empty);
}

static bool check_class(struct check *check, struct size_class *class,
						const struct slab_counts *counts) {
	return check_lists(check, class, counts->listed) && check_magazine(check, class) &&
		   check_class_counts(check, class, counts);
}

/* Where sizes find their classes, and where they find none. */
static bool check_sizes(struct check *check) {
	const struct class_table *table = &check->heap->classes;
	const struct size_class *nobody = table->nobody;
	uint32_t none = table->first[FAMILY_COUNT];
	for (uint32_t size = 0, id = 0; size <= SHORT_BYTES_MAX; size++) {
		while (table->entry[id].stride < size) id++;
		bool is_none = size == 0 || class_may_split(table, (uint16_t)id, size);
		uint32_t found = is_none ? none : id;
		if (!check_that(check, "C1", "size does not find its class", size,
						table->exact[size] == place_of_entry(id) &&
							table->shortest[size] == place_of_entry(found)))
			return false;
	}
	return check_that(check, "C1", "nobody serves, or has a slot", none,
					  table->entry[none].serving == nobody && nobody->magazine_count == 0 &&
						  nobody->magazine_capacity == 0 && nobody->short_bytes == 0);
}

bool check_live(struct check *check) {
	const snug_heap *heap = check->heap;
	const struct class_table *table = &heap->classes;
	uint64_t by_entry = 0, by_class = 0;
	for (uint32_t id = 0; id < table->first[FAMILY_COUNT]; id++) by_entry += table->entry[id].live;
	for (uint32_t index = 0; index < table->active_count; index++) {
		const struct size_class *class = class_active(table, index);
		bool is_bytes = class->family == FAMILY_BYTES;
		if (!check_equal(check, "C3", "bytes of the short way", class->short_bytes,
						 is_bytes ? smaller(class->stride, SHORT_BYTES_MAX) : 0))
			return false;
		by_class += class_live_slots(class) + host_residents(class);
	}
	return check_equal(check, "C3", "objects by class", by_entry, by_class);
}

bool check_serving(struct check *check) {
	const struct class_table *table = &check->heap->classes;
	for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
		struct size_class *next = NULL;
		for (uint32_t id = table->first[family + 1]; id-- > table->first[family];) {
			if (table->state[id] != NULL) next = table->state[id];
			const struct size_class *serving = table->entry[id].serving;
			bool sound = serving == table->nobody || serving == next;
			if (!check_that(check, "C1", "class is not served by the next active one", id, sound))
				return false;
			if (!check_that(check, "C1", "active class does not serve itself", id,
							table->state[id] == NULL || serving == table->state[id])) {
				return false;
			}
		}
	}
	if (!check_sizes(check)) return false;
	for (uint32_t index = 0; index < table->active_count; index++) {
		const struct size_class *class = class_active(table, index);
		if (!check_that(check, "C1", "active list", index,
						class->active_index == index && table->state[class->id] == class)) {
			return false;
		}
	}
	return true;
}

bool check_slabs(struct check *check) {
	const snug_heap *heap = check->heap;
	struct slab_counts counts[CLASS_COUNT_MAX] = {{0}};
	if (!check_serving(check)) return false;
	page_number described =
		(page_number)(heap->arena.page_range.committed_bytes / sizeof(struct page));
	bool victim_seen = heap->victim == PAGE_NONE;
	bool target_seen = heap->target == PAGE_NONE;
	for (page_number number = 1; number < described && number <= heap->arena.page_count; number++) {
		if (heap->arena.pages[number].state < PAGE_SLAB) continue;
		if (!check_slab(check, number, counts)) return false;
		victim_seen |= heap->victim == number;
		target_seen |= heap->target == number;
	}
	if (!check_that(check, "S7", "the victim is not a slab", heap->victim, victim_seen))
		return false;
	bool paired = heap->target == PAGE_NONE ||
				  (heap->victim != PAGE_NONE &&
				   class_of_page(heap, heap->victim) == class_of_page(heap, heap->target));
	if (!check_that(check, "S7", "the target is not one of its victim", heap->target,
					target_seen && paired))
		return false;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		if (!check_class(check, class_active(&heap->classes, index), &counts[index])) return false;
	}
	return check_live(check);
}
