/* mem/object/pin_records.c: lists through lent slots. The smallest hole that will do is lent, so
 * that those in which objects fit are left. Slots begin at any byte, so records are copied in and
 * out. */
#include "mem/object/pin_records.h"

#include "base/assert.h"
#include "mem/arena/poison.h"
#include "mem/object/pieces.h"
#include "mem/slab/fragment.h"
#include "mem/slab/host.h"

#include <string.h>

#define ONE_PIN ((uint64_t)1 << OFFSET_BITS)

struct record {
	uint64_t entry; /* count 26 | offset 38 */
	uint64_t next;  /* the slot of the next one; 0: the last */
};

static struct record read_record(const snug_heap *heap, uint64_t slot) {
	struct record record;
	memcpy(&record, address_of(&heap->arena, slot), sizeof record);
	return record;
}

static void write_record(snug_heap *heap, uint64_t slot, struct record record) {
	memcpy(address_of(&heap->arena, slot), &record, sizeof record);
}

static uint32_t list_of(uint64_t offset) {
	return (uint32_t)((offset * 0x9E3779B97F4A7C15u) >> 58) % PIN_RECORD_LISTS;
}

/* The slot of the object's record, and of the one before it; 0: none. */
static uint64_t find(const snug_heap *heap, uint64_t offset, uint64_t *before) {
	*before = 0;
	uint64_t slot = heap->pins.records[list_of(offset)];
	while (slot != 0) {
		struct record record = read_record(heap, slot);
		SNUG_ASSERT(is_pin_record(heap, slot) && record.next != slot);
		if ((record.entry & OFFSET_MASK) == offset) return slot;
		*before = slot;
		slot = record.next;
	}
	return 0;
}

uint32_t pin_record_count(const snug_heap *heap, uint64_t offset) {
	uint64_t before;
	if (LIKELY(heap->pins.record_count == 0)) return 0;
	uint64_t slot = find(heap, offset, &before);
	return slot == 0 ? 0 : (uint32_t)(read_record(heap, slot).entry >> OFFSET_BITS);
}

bool pin_record_add(snug_heap *heap, uint64_t offset) {
	SNUG_ASSERT(pin_record_count(heap, offset) == 0);
	SNUG_ASSERT(offset != 0 && offset <= OFFSET_MASK);
	uint64_t slot;
	struct size_class *class = pieces_class(heap, sizeof(struct record), true);
	if (class == NULL || hole_capacity(heap, class) < sizeof(struct record)) return false;
	if (!lent_hole(heap, class, &slot)) return false;
	uint64_t *list = &heap->pins.records[list_of(offset)];
	write_record(heap, slot, (struct record){ONE_PIN | offset, *list});
	fragment_trailer_write(
		heap, fragment_trailer_at(heap, slot),
		(struct fragment_trailer){.next = slot, .length = sizeof(struct record)});
	*list = slot;
	heap->pins.record_count++;
	SNUG_ASSERT(host_has_guest(heap, page_of(&heap->arena, slot), slot));
	return true;
}

void pin_record_change(snug_heap *heap, uint64_t offset, bool more) {
	uint64_t before;
	uint64_t slot = find(heap, offset, &before);
	if (!SNUG_GUARD(slot != 0)) return;
	struct record record = read_record(heap, slot);
	SNUG_ASSERT(record.entry >> OFFSET_BITS != 0 && heap->pins.record_count > 0);
	record.entry += more ? ONE_PIN : (uint64_t)0 - ONE_PIN;
	write_record(heap, slot, record);
	if (record.entry >> OFFSET_BITS != 0) return;
	if (before == 0) {
		heap->pins.records[list_of(offset)] = record.next;
	} else {
		struct record behind = read_record(heap, before);
		behind.next = record.next;
		write_record(heap, before, behind);
	}
	heap->pins.record_count--;
	guest_free(heap, class_of_page(heap, page_of(&heap->arena, slot)), slot);
}

uint64_t pin_record_first(const snug_heap *heap, uint32_t list) {
	return heap->pins.records[list];
}

uint64_t pin_record_next(const snug_heap *heap, uint64_t slot, uint64_t *entry) {
	struct record record = read_record(heap, slot);
	*entry = record.entry;
	return record.next;
}
