/* server/figures/hot_keys.c: see server/figures/hot_keys.h. */
#include "server/figures/hot_keys.h"

uint32_t hot_keys_slots(uint64_t limit_bytes) {
	uint32_t slots = HOT_KEYS_SLOTS_MAX;
	while (slots > 1 && slots * sizeof(struct top_slot) > limit_bytes / HOT_KEYS_SHARE) slots /= 2;
	return slots;
}

void hot_keys_init(struct hot_keys *keys, struct top_slot *slots, uint32_t room) {
	keys->left = 0;
	keys->drawn = 1;
	keys->samples = 0;
	top_init(&keys->top, slots, room);
}

/* Numerical Recipes' generator, its high bits: 0 .. HOT_KEYS_DRAWN - 1. */
static uint32_t draw(struct hot_keys *keys) {
	keys->drawn = keys->drawn * 1664525u + 1013904223u;
	return keys->drawn >> 16 & (HOT_KEYS_DRAWN - 1);
}

void hot_keys_take(struct hot_keys *keys, const struct operation *operation) {
	const snug_key *key = &operation->key;
	keys->left = draw(keys);
	if (keys->samples >= HOT_KEYS_SAMPLES) {
		top_halve(&keys->top);
		keys->samples /= 2;
	}
	keys->samples++;
	bool changes = operation->kind != OPERATION_GET && operation->kind != OPERATION_INSPECT;
	top_add(&keys->top, key->bytes, key->length, key->hash, 1, 0, changes);
}
