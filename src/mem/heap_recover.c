/* mem/heap_recover.c: see heap_recover.h.
 *
 * ORDER. It relies on what a live heap does in this order, and the compiler keeps: a slab's descriptor
 * before its slots are used; an object before the owner names it; the owner's new name before the old
 * place is given up. A chain is whole from its head along `next` at each moment: a fragment is copied
 * before the one in front of it names the copy. Links back may be of a moment before, and are set. */
#include "mem/heap_recover.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/limit.h"
#include "mem/heap_keep.h"
#include "mem/slab/classes.h"
#include "mem/slab/slab.h"
#include "mem/slab/trailer.h"

static bool find_slot(const struct heap_recovery *recovery, uint64_t offset, enum family family,
					  struct left_slot *out) {
	const struct arena *arena = &recovery->heap->arena;
	const struct class_table *table = &recovery->heap->classes;
	page_number number = page_of(arena, offset);
	if (number == PAGE_NONE || number >= recovery->left_count || number > arena->page_count)
		return false;
	const struct page *page = &recovery->left[number];
	if (memory_present_from(&recovery->tables, page, sizeof *page) < sizeof *page) return false;
	uint16_t id = page->class_id;
	if (page->state < PAGE_SLAB || page->state > PAGE_HOST || id >= table->first[FAMILY_COUNT] ||
		class_family(table, id) != family)
		return false;
	uint32_t stride = table->entry[id].stride;
	uint32_t inside = (uint32_t)(offset & (arena->page_bytes - 1)), slot = inside / stride;
	*out = (struct left_slot){number, id, (uint16_t)slot, stride};
	return slot < arena->page_bytes / stride && slot * stride == inside;
}

static enum family family_of(snug_ref ref) {
	return snug_ref_is_contiguous(ref) ? FAMILY_BYTES : FAMILY_FRAGMENT;
}

/* ------------------------------------------------------------------ looking ---------------- */

/* How many of these bytes can be read: what was never written holds no object. */
static uint64_t readable(const struct heap_recovery *recovery, uint64_t offset, uint64_t bytes) {
	return memory_present_from(&recovery->objects, address_of(&recovery->heap->arena, offset),
							   bytes);
}

static char *trailer_at(const snug_heap *heap, const struct left_slot *slot, uint64_t offset) {
	return address_of(&heap->arena, offset) + slot->stride - heap->classes.fragment_trailer_bytes;
}

/* The fragment there, if it can be one. */
static bool read_fragment(const struct heap_recovery *recovery, uint64_t offset,
						  struct left_slot *slot, struct fragment_trailer *out) {
	const snug_heap *heap = recovery->heap;
	uint32_t trailer_bytes = heap->classes.fragment_trailer_bytes;
	if (!find_slot(recovery, offset, FAMILY_FRAGMENT, slot) ||
		readable(recovery, offset + slot->stride - trailer_bytes, trailer_bytes) < trailer_bytes)
		return false;
	*out = fragment_trailer_read(heap, trailer_at(heap, slot, offset));
	return out->length > 0 && out->length + trailer_bytes <= slot->stride &&
		   readable(recovery, offset, out->length) == out->length;
}

/* It has no bit that no reference has: between the offset and the mark of a chain. */
static bool is_reference(snug_ref ref) {
	return (ref & ~(OFFSET_MASK | REF_CHAINED)) == 0;
}

const void *heap_recover_look(const struct heap_recovery *recovery, snug_ref ref,
							  struct left_slot *slot, size_t *bytes) {
	uint64_t offset = ref & OFFSET_MASK;
	struct fragment_trailer trailer;
	if (!is_reference(ref)) return NULL;
	if (family_of(ref) == FAMILY_BYTES) {
		if (!find_slot(recovery, offset, FAMILY_BYTES, slot)) return NULL;
		*bytes = readable(recovery, offset, slot->stride);
	} else {
		if (!read_fragment(recovery, offset, slot, &trailer)) return NULL;
		*bytes = trailer.length;
	}
	return *bytes == 0 ? NULL : address_of(&recovery->heap->arena, offset);
}

/* ------------------------------------------------------------------ taking ----------------- */

/* Its slots can be used: what of it is a hole, or was never touched, is given memory. */
static bool is_backed(const struct heap_recovery *recovery, page_number number) {
	const struct arena *arena = &recovery->heap->arena;
	uint64_t offset = page_offset(arena, number);
	return readable(recovery, offset, arena->page_bytes) == arena->page_bytes ||
		   arena->os->commit(arena->os->context, address_of(arena, offset), arena->page_bytes);
}

/* The page is the new heap's, in the old one's class. */
static snug_error adopt(struct heap_recovery *recovery, const struct left_slot *slot) {
	snug_heap *heap = recovery->heap;
	const struct arena *arena = &heap->arena;
	if (slot->page < arena->described && arena->pages[slot->page].state == PAGE_SLAB)
		return SNUG_OK;
	if (!is_backed(recovery, slot->page)) return SNUG_ERROR_CORRUPT;
	snug_error error = class_ensure(heap, slot->class_id);
	return error ? error : slab_adopt(heap, heap->classes.state[slot->class_id], slot->page);
}

void heap_recover_learn(struct heap_recovery *recovery, page_number number) {
	const snug_heap *heap = recovery->heap;
	const struct arena *arena = &heap->arena;
	struct recovered_page *known = &recovery->pages[number];
	uint64_t offset = page_offset(arena, number);
	struct left_slot slot;
	SNUG_ASSERT(known->stride == 0 && known->slots == 0);
	known->stride = 1;
	if (!find_slot(recovery, offset, FAMILY_BYTES, &slot) ||
		readable(recovery, offset, arena->page_bytes) < arena->page_bytes ||
		adopt(recovery, &slot) != SNUG_OK)
		return;
	struct page *page = &arena->pages[number];
	struct size_class *class = heap->classes.state[page->class_id];
	*known = (struct recovered_page){.free_bits = free_bits_of(page, class),
									 .class = class,
									 .stride = class->stride,
									 .slots = class->slots,
									 .reciprocal = class->reciprocal};
}

/* The slot is used, by so many bytes, trailer not included. */
static snug_error take_slot(struct heap_recovery *recovery, const struct left_slot *slot,
							uint32_t bytes, uint32_t trailer_bytes) {
	snug_heap *heap = recovery->heap;
	snug_error error = adopt(recovery, slot);
	if (error) return error;
	struct page *page = &heap->arena.pages[slot->page];
	struct size_class *class = heap->classes.state[slot->class_id];
	uint64_t *word = &free_bits_of(page, class)[slot->slot / 64];
	uint64_t bit = (uint64_t)1 << (slot->slot % 64);
	SNUG_ASSERT(page->class_id == class->id && slot->slot < class->slots);
	if ((*word & bit) == 0) return SNUG_ERROR_CORRUPT;
	*word &= ~bit;
	enum family family = (enum family) class->family;
	uint16_t id = class_find(&heap->classes, family, bytes + trailer_bytes);
	class_count_in(heap, class, id, bytes);
	class->loose |= id != class->id;
	return SNUG_OK;
}

static void untake_slot(snug_heap *heap, const struct left_slot *slot, uint32_t bytes,
						uint32_t trailer_bytes) {
	struct page *page = &heap->arena.pages[slot->page];
	struct size_class *class = heap->classes.state[slot->class_id];
	free_bits_of(page, class)[slot->slot / 64] |= (uint64_t)1 << (slot->slot % 64);
	uint16_t id = class_find(&heap->classes, (enum family) class->family, bytes + trailer_bytes);
	class_count_out(heap, class, id, bytes);
}

void heap_recover_untake(struct heap_recovery *recovery, snug_ref ref, uint32_t bytes) {
	struct left_slot slot;
	bool is_one = find_slot(recovery, ref, FAMILY_BYTES, &slot);
	SNUG_ASSERT(is_one);
	if (is_one) untake_slot(recovery->heap, &slot, bytes, 0);
}

/* As many bytes as the head says, and as its owner knows. Each fragment has one at least: it ends. */
static bool chain_is_whole(const struct heap_recovery *recovery, uint64_t head, size_t bytes) {
	uint64_t offset = head, total_bytes = 0;
	struct left_slot slot;
	struct fragment_trailer trailer;
	do {
		if (!read_fragment(recovery, offset, &slot, &trailer)) return false;
		if (offset == head ? trailer.object_size != bytes : trailer.object_size != 0) return false;
		total_bytes += trailer.length;
		offset = trailer.next;
	} while (offset != 0 && total_bytes < bytes);
	return offset == 0 && total_bytes == bytes;
}

/* By their number: a chain that is damaged comes back to one that was taken. */
static void untake_chain(struct heap_recovery *recovery, uint64_t head, uint32_t count) {
	struct left_slot slot;
	struct fragment_trailer trailer;
	for (uint64_t offset = head; count > 0; offset = trailer.next, count--) {
		bool is_one = read_fragment(recovery, offset, &slot, &trailer);
		SNUG_ASSERT(is_one);
		if (!is_one) return;
		untake_slot(recovery->heap, &slot, trailer.length,
					recovery->heap->classes.fragment_trailer_bytes);
	}
}

static snug_error take_chain(struct heap_recovery *recovery, uint64_t head, size_t bytes) {
	snug_heap *heap = recovery->heap;
	struct left_slot slot;
	struct fragment_trailer trailer;
	if (!chain_is_whole(recovery, head, bytes)) return SNUG_ERROR_CORRUPT;
	uint64_t previous = 0;
	uint32_t taken = 0;
	SNUG_ASSERT(heap->slot_trailer_bytes == 0);
	for (uint64_t offset = head; offset != 0; offset = trailer.next) {
		bool is_one = read_fragment(recovery, offset, &slot, &trailer);
		snug_error error = is_one ? take_slot(recovery, &slot, trailer.length,
											  heap->classes.fragment_trailer_bytes)
								  : SNUG_ERROR_CORRUPT;
		if (error) {
			untake_chain(recovery, head, taken);
			return error;
		}
		if (trailer.previous != previous) {
			trailer.previous = previous;
			fragment_trailer_write(heap, trailer_at(heap, &slot, offset), trailer);
		}
		if (offset == head) fragment_note_size(heap, slot.page, trailer.object_size);
		previous = offset;
		taken++;
	}
	heap->chains++;
	return SNUG_OK;
}

snug_error heap_recover_take(struct heap_recovery *recovery, snug_ref ref,
							 const struct left_slot *slot, size_t bytes) {
	uint64_t offset = ref & OFFSET_MASK;
	if (family_of(ref) == FAMILY_FRAGMENT) return take_chain(recovery, offset, bytes);
	if (bytes == 0 || bytes > slot->stride || readable(recovery, offset, bytes) < bytes)
		return SNUG_ERROR_CORRUPT;
	return take_slot(recovery, slot, (uint32_t)bytes, 0);
}

/* ------------------------------------------------------------------ begin, end ------------- */

/* Its addresses mean nothing, its struct may be torn: where the descriptors are is one of the
 * facts. */
static bool find_left(struct memory_segment *segment, struct heap_recovery *out) {
	const struct root_facts *facts = memory_segment_facts(segment, ROOT_HEAP);
	uint64_t at_bytes = facts->fact[FACT_DESCRIPTORS];
	uint64_t count = facts->fact[FACT_LIMIT_MAX] / facts->fact[FACT_PAGE_BYTES] + 1;
	if (at_bytes % METADATA_GRAIN != 0 || at_bytes > SNUG_LIMIT_MAX_BYTES) return false;
	const char *left =
		memory_segment_left_root(segment, ROOT_HEAP, at_bytes + count * sizeof(struct page));
	if (left == NULL) return false;
	out->left = (const struct page *)(const void *)(left + at_bytes);
	out->left_count = count;
	return true;
}

static size_t pages_bytes(const struct heap_recovery *recovery) {
	return round_up(recovery->left_count * sizeof(struct recovered_page), METADATA_GRAIN);
}

/* The process's own: most of them are never touched. */
static bool make_pages(struct heap_recovery *recovery) {
	const snug_os *os = snug_os_linux();
	recovery->pages = os->reserve(os->context, pages_bytes(recovery), METADATA_GRAIN);
	return recovery->pages != NULL;
}

snug_error heap_recover_begin(const snug_heap_options *options, struct memory_segment *segment,
							  struct heap_recovery *out) {
	const struct root_facts *facts = memory_segment_facts(segment, ROOT_HEAP);
	snug_heap_options known = *options;
	size_t objects_bytes;
	char *objects = memory_segment_objects(segment, &objects_bytes);
	SNUG_ASSERT(facts != NULL);
	known.page_bytes = facts->fact[FACT_PAGE_BYTES];
	known.limit_max_bytes = facts->fact[FACT_LIMIT_MAX];
	known.populate = false;
	if (objects == NULL || !find_left(segment, out)) return SNUG_ERROR_CORRUPT;
	snug_error error = heap_create_around(&known, segment, objects, &out->heap);
	if (error == SNUG_ERROR_OPTION) error = SNUG_ERROR_CORRUPT;
	if (!error && out->heap->arena.reserved_bytes != objects_bytes) error = SNUG_ERROR_CORRUPT;
	if (!error && (!memory_present_init(&out->objects, segment, objects) ||
				   !memory_present_init(&out->tables, segment, out->left) || !make_pages(out)))
		error = SNUG_ERROR_OS_MEMORY;
	return error;
}

void heap_recover_deinit(struct heap_recovery *recovery) {
	memory_present_deinit(&recovery->objects);
	memory_present_deinit(&recovery->tables);
	const snug_os *os = snug_os_linux();
	if (recovery->pages != NULL) os->release(os->context, recovery->pages, pages_bytes(recovery));
	recovery->pages = NULL;
}

/* Pages that hold nothing are holes; a run at a time. */
static void give_back_unused(struct arena *arena) {
	uint64_t first = 1;
	for (uint64_t number = 1; number <= (uint64_t)arena->page_count + 1; number++) {
		bool is_used = number <= arena->page_count && number < arena->described &&
					   arena->pages[number].state == PAGE_SLAB;
		if (!is_used && number <= arena->page_count) continue;
		if (number > first) /* what is refused stays, beside the account, until it is used again */
			(void)arena->os->decommit(arena->os->context,
									  arena->base + ((first - 1) << arena->page_shift),
									  (number - first) << arena->page_shift);
		first = number + 1;
	}
}

/* All slots were counted as free. */
static void count_used(struct page *page, struct size_class *class) {
	const uint64_t *bits = free_bits_of(page, class);
	uint32_t free_slots = 0;
	for (uint32_t word = 0; word < divide_up(class->slots, 64); word++)
		free_slots += bit_count(bits[word]);
	uint32_t used_slots = class->slots - free_slots;
	SNUG_ASSERT(free_slots <= class->slots && page->free_slots == class->slots);
	page->free_slots = (uint16_t)free_slots;
	class->free_slots -= used_slots;
	class->used_slots += used_slots;
}

/* Pages were looked at of which nothing was taken: all has expired, or can't be an item. */
void heap_recover_end(struct heap_recovery *recovery) {
	snug_heap *heap = recovery->heap;
	struct arena *arena = &heap->arena;
	SNUG_ASSERT(arena->free_pages == 0 && arena->stack == PAGE_NONE);
	for (page_number number = 1; number < arena->described; number++) {
		struct page *page = &arena->pages[number];
		if (page->state != PAGE_SLAB) continue;
		struct size_class *class = class_of_page(heap, number);
		count_used(page, class);
		if (page->free_slots == class->slots)
			slab_disown(heap, class, number);
		else
			slab_relist(heap, class, number);
	}
	arena->peak_bytes = limit_account(arena);
	give_back_unused(arena);
	heap_note_root(heap);
}
