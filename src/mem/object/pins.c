/* mem/object/pins.c: the table of pins.
 *
 *   entry   | count 26 | offset 38 |      0: empty      at home: hash of the offset, or behind it
 *
 * Linear probing. Removal shifts the rest of the cluster back (Knuth, The Art of Computer
 * Programming volume 3, 6.4, algorithm R), so there are no tombstones, and a table that was full
 * once is as fast as a new one. It begins with 512 entries, one grain of metadata. It doubles when
 * it is three quarters full and halves when it is an eighth full, by copying into the other of its
 * two ranges; the old one goes back to the OS. Between the two lies room for as many pins again as
 * it holds, so a copy is paid for by as many pins or unpins. If there is no memory for a smaller
 * table, the larger one stays.
 *
 * The smallest table stays when the last pin has gone: to commit it for each pin and to give it back
 * took 116 times as long as a pin and an unpin. It goes when the memory is wanted
 * (mem/slab/tables.h).
 *
 * A pin for which the table can't grow is recorded in a hole (pin_records.h).
 *
 * The first pin of an object tells the slabs of all its slots, the last unpin does so again: O(1)
 * for a plain object, O(fragments) for a chain. Pins in between only count. */
#include "mem/object/pins.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"
#include "mem/object/chain.h"
#include "mem/object/pin_records.h"
#include "mem/slab/slab.h"

#define ONE_PIN ((uint64_t)1 << OFFSET_BITS)

static uint64_t entry_offset(uint64_t entry) {
	return entry & OFFSET_MASK;
}

static uint32_t home_of(const struct pin_table *pins, uint64_t offset) {
	return (uint32_t)((offset * 0x9E3779B97F4A7C15u) >> 32) & (pins->capacity - 1);
}

/* The entry of `offset`, or the empty one where it would go. */
static uint32_t probe(const struct pin_table *pins, uint64_t offset) {
	SNUG_ASSERT(offset != 0);
	SNUG_ASSERT(pins->count - pins->record_count < pins->capacity); /* an empty one ends it */
	uint32_t index = home_of(pins, offset);
	while (pins->entries[index] != 0 && entry_offset(pins->entries[index]) != offset) {
		index = (index + 1) & (pins->capacity - 1);
	}
	return index;
}

uint32_t pin_count(const snug_heap *heap, uint64_t offset) {
	const struct pin_table *pins = &heap->pins;
	if (pins->count == 0) return 0;
	uint64_t entry = pins->capacity > 0 ? pins->entries[probe(pins, offset)] : 0;
	return entry != 0 ? (uint32_t)(entry >> OFFSET_BITS) : pin_record_count(heap, offset);
}

static uint64_t count_in_table(const struct pin_table *pins) {
	return pins->count - pins->record_count;
}

static snug_error resize(snug_heap *heap, uint32_t capacity) {
	struct pin_table *pins = &heap->pins;
	struct range *range = &pins->ranges[pins->current ^ 1];
	SNUG_ASSERT(is_power_of_two(capacity) && count_in_table(pins) * 4 <= capacity * 3ull);
	snug_error error = range_ensure(&heap->arena, range, capacity * sizeof(uint64_t));
	if (error) return error;
	struct pin_table resized = *pins;
	resized.entries = (uint64_t *)(void *)range->base;
	resized.capacity = capacity;
	for (uint32_t index = 0; index < capacity; index++) resized.entries[index] = 0;
	for (uint32_t index = 0; index < pins->capacity; index++) {
		uint64_t entry = pins->entries[index];
		if (entry != 0) resized.entries[probe(&resized, entry_offset(entry))] = entry;
	}
	pins->entries = resized.entries;
	pins->capacity = capacity;
	pins->current ^= 1;
	range_shrink(&heap->arena, &pins->ranges[pins->current ^ 1], 0);
	return SNUG_OK;
}

static snug_error grow(snug_heap *heap) {
	const struct pin_table *pins = &heap->pins;
	return resize(heap, pins->capacity == 0 ? PIN_CAPACITY_MIN : pins->capacity * 2);
}

static void shrink(snug_heap *heap) {
	const struct pin_table *pins = &heap->pins;
	if (pins->capacity <= PIN_CAPACITY_MIN || count_in_table(pins) * 8 >= pins->capacity) return;
	snug_error error = resize(heap, pins->capacity / 2);
	(void)error; /* it stays as it is */
}

static void erase(struct pin_table *pins, uint32_t hole) {
	uint32_t mask = pins->capacity - 1;
	SNUG_ASSERT(pins->entries[hole] != 0);
	for (uint32_t index = (hole + 1) & mask; pins->entries[index] != 0;
		 index = (index + 1) & mask) {
		uint32_t home = home_of(pins, entry_offset(pins->entries[index]));
		if (((index - home) & mask) < ((index - hole) & mask)) continue;
		pins->entries[hole] = pins->entries[index];
		hole = index;
	}
	pins->entries[hole] = 0;
}

/* Tells the slabs of all the object's slots. */
static void mark_slabs(snug_heap *heap, uint64_t location, void (*mark)(snug_heap *, page_number)) {
	uint64_t offset = location & OFFSET_MASK;
	do {
		mark(heap, page_of(&heap->arena, offset));
		offset = location & REF_CHAINED ? chain_next(heap, offset) : 0;
	} while (offset != 0);
}

static void account(snug_heap *heap, uint64_t location, size_t size, int sign) {
	struct pin_table *pins = &heap->pins;
	uint32_t pool = class_of_page(heap, page_of(&heap->arena, location & OFFSET_MASK))->pool;
	uint64_t bytes = sign > 0 ? size : (uint64_t)0 - size;
	SNUG_ASSERT(sign > 0 || (pins->count > 0 && pins->pool_count[pool] > 0));
	pins->count += (uint32_t)sign;
	pins->payload_bytes += bytes;
	pins->pool_count[pool] += (uint32_t)sign;
	pins->pool_payload_bytes[pool] += bytes;
}

/* The first pin of the object, in the table or, where that can't grow, in a record. */
static snug_error begin_pin(snug_heap *heap, uint64_t offset) {
	struct pin_table *pins = &heap->pins;
	bool is_full = (count_in_table(pins) + 1) * 4 > pins->capacity * 3ull;
	snug_error error = is_full ? grow(heap) : SNUG_OK;
	if (error) return pin_record_add(heap, offset) ? SNUG_OK : error;
	pins->entries[probe(pins, offset)] = offset | ONE_PIN;
	return SNUG_OK;
}

snug_error pin_add(snug_heap *heap, uint64_t location, size_t size) {
	struct pin_table *pins = &heap->pins;
	uint64_t offset = location & OFFSET_MASK;
	uint32_t count = pin_count(heap, offset);
	if (count == PIN_COUNT_MAX) return SNUG_ERROR_TOO_MANY_PINS;
	if (count == 0) {
		snug_error error = begin_pin(heap, offset);
		if (error) return error;
		account(heap, location, size, 1);
		mark_slabs(heap, location, slab_pin);
	} else if (pin_record_count(heap, offset) > 0) {
		pin_record_change(heap, offset, true);
	} else {
		pins->entries[probe(pins, offset)] += ONE_PIN;
	}
	return SNUG_OK;
}

/* One pin less where it is written. */
static void take_off(snug_heap *heap, uint64_t offset) {
	struct pin_table *pins = &heap->pins;
	if (pin_record_count(heap, offset) > 0) {
		pin_record_change(heap, offset, false);
		return;
	}
	uint32_t index = probe(pins, offset);
	pins->entries[index] -= ONE_PIN;
	if (pins->entries[index] >> OFFSET_BITS == 0) erase(pins, index);
}

snug_error pin_remove(snug_heap *heap, uint64_t location, size_t size) {
	struct pin_table *pins = &heap->pins;
	uint64_t offset = location & OFFSET_MASK;
	uint32_t count = pin_count(heap, offset);
	if (count == 0) return SNUG_ERROR_NOT_PINNED;
	take_off(heap, offset);
	if (count > 1) return SNUG_OK;
	SNUG_ASSERT(pins->payload_bytes >= size);
	account(heap, location, size, -1);
	mark_slabs(heap, location, slab_unpin);
	shrink(heap);
	return SNUG_OK;
}
