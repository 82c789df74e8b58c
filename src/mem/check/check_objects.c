/* mem/check/check_objects.c: laws F1 to F3 (fragments), H1 and H3 (handles), C2 (payload): every live
 * slot is visited, and what it says of itself is compared with who names it. The tables' own laws
 * are in check_tables.c. C4: who knows of loose objects.
 *
 *   entry  ---->  slot  ----> its trailer ----> entry         H1: both ways
 *   head -> next -> next        each names the one before     F1: both ways, and lengths add up
 *
 * Live are the clear bits of a slab's bitmap without those that the magazine holds. By reference
 * plain slots say nothing of themselves: there the owner's own check goes on (the cache's is
 * shard_check.c). A chain is walked from its head, each fragment besides by itself, so also
 * fragments that no head leads to are found. */
#include "base/bits.h"
#include "mem/check/check.h"
#include "mem/object/chain.h"
#include "mem/slab/classes.h"
#include "mem/slab/handle_grains.h"
#include "mem/slab/host.h"
#include "mem/slab/slab.h"

#include <string.h>

/* ------------------------------------------------------------------ one slot ------- */

static bool check_entry(struct check *check, uint64_t index, uint64_t location) {
	const struct handle_table *table = &check->heap->handles;
	if (!check_that(check, "H1", "object names no table entry", location,
					handle_is_entry(table, index)))
		return false;
	uint64_t entry = table->entries[index];
	return check_that(check, "H1", "table entry does not point back at the object", location,
					  (entry & ENTRY_LIVE) != 0 && entry_location(entry) == location);
}

static bool check_plain(struct check *check, const struct size_class *class, uint64_t offset,
						struct object_counts *counts) {
	const snug_heap *heap = check->heap;
	counts->plain++;
	if (heap->slot_trailer_bytes == 0) return true;
	struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, offset));
	if (!check_that(check, "H3", "slack is larger than the slot", offset,
					trailer.slack_bytes + HANDLE_TRAILER_BYTES < class->stride)) {
		return false;
	}
	uint32_t slot_bytes = class->stride - trailer.slack_bytes;
	counts->payload_bytes[class->pool] += slot_bytes - HANDLE_TRAILER_BYTES;
	uint16_t id = class_find(&heap->classes, (enum family) class->family, slot_bytes);
	bool is_known = id == class->id || class->loose || heap->classes.entry[id].serving == class;
	if (!check_that(check, "C4", "loose object in a class that knows of none", offset, is_known))
		return false;
	return check_entry(check, trailer.index, offset);
}

bool is_live_fragment(const snug_heap *heap, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	if (number == PAGE_NONE || number >= heap->arena.described) return false;
	const struct page *page = &heap->arena.pages[number];
	if (page->state < PAGE_SLAB) return false;
	struct size_class *class = class_of_page(heap, number);
	if (page->state == PAGE_HOST) return host_has_guest(heap, number, offset);
	if (class->family != FAMILY_FRAGMENT) return false;
	uint64_t slot = slot_of(&heap->arena, class, offset);
	return slot < class->slots &&
		   page_offset(&heap->arena, number) + slot * class->stride == offset &&
		   (free_bits_of((struct page *)page, class)[slot / 64] >> (slot % 64) & 1) == 0;
}

/* From a head to the end: each names the one before it, and the lengths add up. */
static bool check_chain(struct check *check, uint64_t head, uint64_t object_size) {
	const snug_heap *heap = check->heap;
	uint64_t bytes = 0;
	uint64_t previous = 0;
	uint32_t walked = 0;
	for (uint64_t offset = head; offset != 0;) {
		if (check->chain_max > 0 && walked++ == check->chain_max) return true;
		if (!check_that(check, "F1", "fragment is followed by what is none", previous,
						is_live_fragment(heap, offset))) {
			return false;
		}
		struct fragment_trailer trailer =
			fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
		bool linked = previous == 0 || (trailer.previous == previous && trailer.object_size == 0);
		if (!check_that(check, "F1", "fragment does not point back", offset,
						linked && trailer.length > 0))
			return false;
		bytes += trailer.length;
		if (!check_that(check, "F1", "fragments are longer than their object", head,
						bytes <= object_size))
			return false;
		previous = offset;
		offset = trailer.next;
	}
	return check_equal(check, "F1", "size of an object in fragments", object_size, bytes);
}

static bool check_fragment(struct check *check, const struct size_class *class, uint64_t offset,
						   struct object_counts *counts) {
	const snug_heap *heap = check->heap;
	struct fragment_trailer trailer =
		fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
	counts->payload_bytes[class->pool] += trailer.length;
	if (!check_that(check, "F1", "fragment is longer than its slot", offset,
					trailer.length + heap->classes.fragment_trailer_bytes <= class->stride)) {
		return false;
	}
	if (trailer.object_size == 0) {
		if (!check_that(check, "F1", "fragment is preceded by what is none", offset,
						is_live_fragment(heap, trailer.previous))) {
			return false;
		}
		uint64_t next =
			fragment_trailer_read(heap, fragment_trailer_at(heap, trailer.previous)).next;
		return check_equal(check, "F1", "next of the fragment before", next, offset);
	}
	counts->heads++;
	uint64_t known_bytes = heap->arena.pages[page_of(&heap->arena, offset)].free_bits.object_bytes;
	if (class->slots == 1 && !check_equal(check, "F1", "object's size in its page's descriptor",
										  trailer.object_size, known_bytes))
		return false;
	if (heap->slot_trailer_bytes > 0 && !check_entry(check, trailer.owner, offset | REF_CHAINED))
		return false;
	return check_chain(check, offset, trailer.object_size);
}

/* ------------------------------------------------------------------ all slots ------ */

/* Slots that are used only because the magazine holds them count as free. */
static void fill_live_bits(const snug_heap *heap, struct size_class *class, page_number number,
						   uint64_t *live) {
	struct page *page = &heap->arena.pages[number];
	const uint64_t *bits = free_bits_of(page, class);
	uint32_t words = (class->slots + 63) / 64;
	for (uint32_t word = 0; word < words; word++) live[word] = ~bits[word];
	if (class->slots % 64 != 0) live[words - 1] &= ((uint64_t)1 << (class->slots % 64)) - 1;
	for (uint32_t index = 0; index < class->magazine_count; index++) {
		uint64_t offset = class->magazine[index];
		if (page_of(&heap->arena, offset) != number) continue;
		uint32_t slot = slot_of(&heap->arena, class, offset);
		live[slot / 64] &= ~((uint64_t)1 << (slot % 64));
	}
}

static bool check_guests(struct check *check, const struct size_class *class, page_number number,
						 struct object_counts *counts) {
	for (uint32_t slot = 0; slot < class->slots; slot++) {
		uint64_t offset = page_offset(&check->heap->arena, number) + (uint64_t)slot * class->stride;
		if (!host_has_guest(check->heap, number, offset)) continue;
		if (is_pin_record(check->heap, offset)) {
			counts->pin_records++;
			continue;
		}
		if (!check_fragment(check, class, offset, counts)) return false;
	}
	return true;
}

bool check_page_objects(struct check *check, page_number number, struct object_counts *counts) {
	const snug_heap *heap = check->heap;
	struct size_class *class = class_of_page(heap, number);
	uint64_t live[SLOTS_MAX / 64] = {0};
	fill_live_bits(heap, class, number, live);
	counts->page_pins += heap->arena.pages[number].pins;
	if (heap->arena.pages[number].state == PAGE_HOST && !check_guests(check, class, number, counts))
		return false;
	if (heap->slot_trailer_bytes == 0 && class->family != FAMILY_FRAGMENT) {
		for (uint32_t word = 0; word * 64 < class->slots; word++)
			counts->plain += bit_count(live[word]);
		return true;
	}
	for (uint32_t slot = 0; slot < class->slots; slot++) {
		if ((live[slot / 64] >> (slot % 64) & 1) == 0) continue;
		uint64_t offset = page_offset(&heap->arena, number) + (uint64_t)slot * class->stride;
		bool sound = class->family == FAMILY_FRAGMENT ? check_fragment(check, class, offset, counts)
													  : check_plain(check, class, offset, counts);
		if (!sound) return false;
	}
	return true;
}

/* ------------------------------------------------------------------ all objects ---- */

bool check_bookmark(struct check *check) {
	const snug_heap *heap = check->heap;
	const struct bookmark *mark = &heap->bookmark;
	uint64_t before_bytes = 0;
	if (mark->head == 0) return true;
	uint32_t walked = 0;
	for (uint64_t offset = mark->head; offset != mark->offset && offset != 0;
		 offset = chain_next(heap, offset)) {
		if (check->chain_max > 0 && walked++ == check->chain_max) return true;
		before_bytes += fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).length;
	}
	return check_equal(check, "F3", "bytes before the bookmark", mark->before_bytes, before_bytes);
}

bool check_objects(struct check *check, struct object_counts *counts) {
	const snug_heap *heap = check->heap;
	page_number described =
		(page_number)(heap->arena.page_range.committed_bytes / sizeof(struct page));
	for (page_number number = 1; number < described && number <= heap->arena.page_count; number++) {
		if (heap->arena.pages[number].state < PAGE_SLAB) continue;
		if (!check_page_objects(check, number, counts)) return false;
	}
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		/* Without trailers only the owner knows the sizes. */
		if (heap->slot_trailer_bytes == 0 && pool != SNUG_POOL_LARGE) continue;
		if (!check_equal(check, "C2", "payload of a pool", heap_payload_bytes(heap, pool),
						 counts->payload_bytes[pool])) {
			return false;
		}
	}
	return check_equal(check, "F2", "objects in fragments", heap->chains, counts->heads) &&
		   check_bookmark(check);
}
