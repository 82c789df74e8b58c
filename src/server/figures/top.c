/* server/figures/top.c: see server/figures/top.h. */
#include "server/figures/top.h"

#include "base/assert.h"

#include <string.h>

void top_init(struct top *top, struct top_slot *slots, uint32_t room) {
	SNUG_ASSERT(room > 0 && room <= TOP_SLOTS_MAX && (room & (room - 1)) == 0);
	*top = (struct top){.slot = slots, .room = room};
	for (uint32_t i = 0; i < room; i++) slots[i].home[0] = slots[i].home[1] = 0;
}

/* ------------------------------------------------------------------ the index -------------- */

static uint16_t *place(const struct top *top, uint32_t at) {
	return &top->slot[at >> 1].home[at & 1];
}

static uint32_t places_mask(const struct top *top) {
	return 2 * top->room - 1;
}

static bool is_name(const struct top_slot *slot, const void *name, size_t length, uint64_t hash) {
	return slot->hash == hash && slot->length == length && memcmp(slot->name, name, length) == 0;
}

/* Where the name stands, or the free place where it would. Half of the places are free. */
static uint32_t find(const struct top *top, const void *name, size_t length, uint64_t hash) {
	uint32_t at = (uint32_t)(hash >> 32) & places_mask(top);
	for (uint16_t number; (number = *place(top, at)) != 0; at = (at + 1) & places_mask(top))
		if (is_name(&top->slot[number - 1], name, length, hash)) break;
	return at;
}

/* What stood behind it, and would not be found any more, moves up. */
static void leave(struct top *top, uint32_t at) {
	uint32_t mask = places_mask(top), free_at = at;
	*place(top, at) = 0;
	for (uint32_t next = (at + 1) & mask; *place(top, next) != 0; next = (next + 1) & mask) {
		uint32_t home = (uint32_t)(top->slot[*place(top, next) - 1].hash >> 32) & mask;
		if (((next - home) & mask) < ((next - free_at) & mask)) continue;
		*place(top, free_at) = *place(top, next);
		*place(top, next) = 0;
		free_at = next;
	}
}

/* ------------------------------------------------------------------ the heap --------------- */

static uint64_t weight_at(const struct top *top, uint32_t at) {
	return top->slot[top->slot[at].heap].weight;
}

static void put(struct top *top, uint32_t at, uint16_t slot) {
	top->slot[at].heap = slot;
	top->slot[slot].at = (uint16_t)at;
}

static void exchange(struct top *top, uint32_t one, uint32_t other) {
	uint16_t slot = top->slot[one].heap;
	put(top, one, top->slot[other].heap);
	put(top, other, slot);
}

/* It became heavier. */
static void sink(struct top *top, uint32_t at) {
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= top->count) return;
		if (child + 1 < top->count && weight_at(top, child + 1) < weight_at(top, child)) child++;
		if (weight_at(top, at) <= weight_at(top, child)) return;
		exchange(top, at, child);
		at = child;
	}
}

/* It is new. */
static void rise(struct top *top, uint32_t at) {
	while (at > 0 && weight_at(top, at) < weight_at(top, (at - 1) / 2)) {
		exchange(top, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

/* ------------------------------------------------------------------ names ------------------ */

static uint64_t sum_of(uint64_t weight, uint64_t more) {
	return weight > UINT64_MAX - more ? UINT64_MAX : weight + more;
}

static void name_slot(struct top_slot *slot, const void *name, size_t length, uint64_t hash) {
	slot->hash = hash;
	slot->length = (uint8_t)length;
	memcpy(slot->name, name, length);
}

/* The slot for a name that has none: a free one, or that of the lightest. */
static uint16_t slot_for(struct top *top, const void *name, size_t length, uint64_t hash) {
	uint16_t number;
	uint64_t lightest = 0;
	if (top->count < top->room) {
		number = (uint16_t)top->count;
		put(top, top->count++, number);
	} else {
		number = top->slot[0].heap;
		const struct top_slot *old = &top->slot[number];
		lightest = old->weight;
		leave(top, find(top, old->name, old->length, old->hash));
	}
	struct top_slot *slot = &top->slot[number];
	slot->weight = slot->error = lightest;
	slot->count = 0;
	name_slot(slot, name, length, hash);
	*place(top, find(top, name, length, hash)) = (uint16_t)(number + 1);
	return number;
}

void top_add(struct top *top, const void *name, size_t length, uint64_t hash, uint64_t weight,
			 uint64_t error, uint64_t count) {
	if (length > TOP_NAME_BYTES) length = TOP_NAME_BYTES;
	uint16_t number = *place(top, find(top, name, length, hash));
	bool is_new = number == 0;
	number = is_new ? slot_for(top, name, length, hash) : (uint16_t)(number - 1);
	struct top_slot *slot = &top->slot[number];
	slot->weight = sum_of(slot->weight, weight);
	slot->error = sum_of(slot->error, error);
	slot->count += count;
	if (is_new) rise(top, slot->at);
	sink(top, slot->at);
}

uint64_t top_missing(const struct top *top) {
	return top->count < top->room ? 0 : weight_at(top, 0);
}

/* Rounded up, all alike: so the heap's order stays. */
void top_halve(struct top *top) {
	for (uint32_t i = 0; i < top->count; i++) {
		struct top_slot *slot = &top->slot[i];
		slot->weight -= slot->weight / 2;
		slot->error -= slot->error / 2;
		slot->count -= slot->count / 2;
	}
}

static uint64_t least(const struct top_slot *slot) {
	return slot->weight - slot->error;
}

static bool is_heavier(const struct top_slot *one, const struct top_slot *other) {
	uint64_t a = least(one), b = least(other);
	return a != b ? a > b : one->weight > other->weight;
}

uint32_t top_order(const struct top *top, uint16_t *order, uint32_t most) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < top->count; i++) {
		uint32_t at = count;
		while (at > 0 && is_heavier(&top->slot[i], &top->slot[order[at - 1]])) at--;
		if (at == most) continue;
		if (count < most) count++;
		memmove(&order[at + 1], &order[at], (count - 1 - at) * sizeof *order);
		order[at] = (uint16_t)i;
	}
	return count;
}
