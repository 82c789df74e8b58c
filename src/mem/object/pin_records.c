/* mem/object/pin_records.c: trees through lent slots. The smallest hole that will do is lent, so
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
#define RECORD_BYTES 16u /* beside the trailer */

struct pin_record pin_record_read(const snug_heap *heap, uint64_t slot) {
	uint64_t words[2];
	SNUG_ASSERT(is_pin_record(heap, slot));
	memcpy(words, address_of(&heap->arena, slot), sizeof words);
	uint64_t second = fragment_trailer_read(heap, fragment_trailer_at(heap, slot)).previous;
	return (struct pin_record){.entry = words[0], .child = {words[1], second}};
}

static void write_record(snug_heap *heap, uint64_t slot, struct pin_record record) {
	SNUG_ASSERT(slot != 0 && record.child[0] != slot && record.child[1] != slot);
	uint64_t words[2] = {record.entry, record.child[0]};
	memcpy(address_of(&heap->arena, slot), words, sizeof words);
	struct fragment_trailer trailer = {
		.next = slot, .previous = record.child[1], .length = RECORD_BYTES};
	fragment_trailer_write(heap, fragment_trailer_at(heap, slot), trailer);
}

/* Where the slot of a record is written. */
struct place {
	uint64_t *root;
	uint64_t parent; /* 0: it is written in the root */
	uint32_t side;   /* of the parent */
};

static void write_place(snug_heap *heap, struct place place, uint64_t slot) {
	SNUG_ASSERT(place.root != NULL && place.side < 2 && (slot == 0 || place.parent != slot));
	if (place.parent == 0) {
		*place.root = slot;
		return;
	}
	struct pin_record parent = pin_record_read(heap, place.parent);
	parent.child[place.side] = slot;
	write_record(heap, place.parent, parent);
}

static uint64_t *root_of(snug_heap *heap, uint64_t offset) {
	return &heap->pins.records[pin_record_hash(offset) >> PIN_RECORD_DEPTH];
}

/* The slot of the object's record; 0: none. `place` is where it is written, or would be. */
static uint64_t find(const snug_heap *heap, uint64_t offset, struct place *place) {
	uint64_t hash = pin_record_hash(offset);
	*place = (struct place){0};
	uint64_t slot = heap->pins.records[hash >> PIN_RECORD_DEPTH];
	for (uint32_t depth = 0; slot != 0 && depth < PIN_RECORD_DEPTH; depth++) {
		struct pin_record record = pin_record_read(heap, slot);
		SNUG_ASSERT((record.entry & OFFSET_MASK) != 0);
		if ((record.entry & OFFSET_MASK) == offset) return slot;
		place->parent = slot;
		place->side = pin_record_side(hash, depth);
		slot = record.child[place->side];
	}
	return 0;
}

uint32_t pin_record_count(const snug_heap *heap, uint64_t offset) {
	struct place place;
	if (LIKELY(heap->pins.record_count == 0)) return 0;
	uint64_t slot = find(heap, offset, &place);
	return slot == 0 ? 0 : (uint32_t)(pin_record_read(heap, slot).entry >> OFFSET_BITS);
}

bool pin_record_add(snug_heap *heap, uint64_t offset) {
	SNUG_ASSERT(pin_record_count(heap, offset) == 0);
	SNUG_ASSERT(offset != 0 && offset <= OFFSET_MASK);
	struct place place;
	uint64_t slot;
	struct size_class *class = pieces_class(heap, RECORD_BYTES, true);
	if (class == NULL || hole_capacity(heap, class) < RECORD_BYTES) return false;
	if (!lent_hole(heap, class, &slot)) return false;
	write_record(heap, slot, (struct pin_record){.entry = ONE_PIN | offset});
	(void)find(heap, offset, &place);
	place.root = root_of(heap, offset);
	write_place(heap, place, slot);
	heap->pins.record_count++;
	SNUG_ASSERT(host_has_guest(heap, page_of(&heap->arena, slot), slot));
	SNUG_ASSERT(pin_record_count(heap, offset) == 1);
	return true;
}

/* Some record below `slot` that has no children; `slot` itself if it has none. `place` is where it is
 * written. */
static uint64_t leaf_below(const snug_heap *heap, uint64_t slot, struct place *place) {
	for (uint32_t depth = 0; depth < PIN_RECORD_DEPTH; depth++) {
		struct pin_record record = pin_record_read(heap, slot);
		uint32_t side = record.child[0] == 0;
		if (record.child[side] == 0) break;
		place->parent = slot;
		place->side = side;
		slot = record.child[side];
	}
	return slot;
}

/* A leaf takes its place: a record may stand anywhere on the way of its hash. */
static void remove_record(snug_heap *heap, uint64_t slot, struct place place) {
	uint64_t leaf = leaf_below(heap, slot, &place);
	struct pin_record last = pin_record_read(heap, leaf);
	SNUG_ASSERT(last.child[0] == 0 && last.child[1] == 0 && heap->pins.record_count > 0);
	write_place(heap, place, 0);
	if (leaf != slot) {
		struct pin_record record = pin_record_read(heap, slot);
		record.entry = last.entry;
		write_record(heap, slot, record);
	}
	heap->pins.record_count--;
	guest_free(heap, class_of_page(heap, page_of(&heap->arena, leaf)), leaf);
}

void pin_record_change(snug_heap *heap, uint64_t offset, bool more) {
	struct place place;
	uint64_t slot = find(heap, offset, &place);
	if (!SNUG_GUARD(slot != 0)) return;
	place.root = root_of(heap, offset);
	struct pin_record record = pin_record_read(heap, slot);
	SNUG_ASSERT(record.entry >> OFFSET_BITS != 0);
	record.entry += more ? ONE_PIN : (uint64_t)0 - ONE_PIN;
	write_record(heap, slot, record);
	if (record.entry >> OFFSET_BITS == 0) remove_record(heap, slot, place);
}
