/* key_heap.h: keys in a binary heap, the one of the least worth on top. For policies whose victim
 * is the least of a number that each resident has. Adding, changing and removing are O(log n), the
 * look at the least is free. Of equal ones the one that came first leaves first: an added or changed
 * key gets the next number, and numbers decide. */
#ifndef REPLAY_KEY_HEAP_H
#define REPLAY_KEY_HEAP_H

#include "policies/simulation.h"

struct key_worth {
	double worth;
	uint64_t number;
};

struct key_heap {
	uint32_t count;
	uint64_t numbers;
	uint32_t *keys;          /* by place: the least first */
	uint32_t *places;        /* by key */
	struct key_worth *worth; /* by key */
};

static inline void key_heap_begin(struct key_heap *heap, struct simulation *simulation) {
	uint32_t keys = simulation->keys;
	*heap = (struct key_heap){.keys = simulation_take(simulation, keys, sizeof heap->keys[0]),
							  .places = simulation_take(simulation, keys, sizeof heap->places[0]),
							  .worth = simulation_take(simulation, keys, sizeof heap->worth[0])};
}

static inline bool key_heap_before(const struct key_heap *heap, uint32_t a, uint32_t b) {
	struct key_worth x = heap->worth[a], y = heap->worth[b];
	return x.worth < y.worth || (x.worth <= y.worth && x.number < y.number);
}

static inline void key_heap_put(struct key_heap *heap, uint32_t place, uint32_t key) {
	heap->keys[place] = key;
	heap->places[key] = place;
}

/* Moves the key that belongs at about `place` to where it belongs. */
static inline void key_heap_settle(struct key_heap *heap, uint32_t place, uint32_t key) {
	while (place > 0 && key_heap_before(heap, key, heap->keys[(place - 1) / 2])) {
		key_heap_put(heap, place, heap->keys[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	for (uint32_t child; (child = 2 * place + 1) < heap->count; place = child) {
		if (child + 1 < heap->count &&
			key_heap_before(heap, heap->keys[child + 1], heap->keys[child]))
			child++;
		if (!key_heap_before(heap, heap->keys[child], key)) break;
		key_heap_put(heap, place, heap->keys[child]);
	}
	key_heap_put(heap, place, key);
}

static inline void key_heap_change(struct key_heap *heap, uint32_t key, double worth) {
	heap->worth[key] = (struct key_worth){worth, heap->numbers++};
	key_heap_settle(heap, heap->places[key], key);
}

static inline void key_heap_add(struct key_heap *heap, uint32_t key, double worth) {
	key_heap_put(heap, heap->count++, key);
	key_heap_change(heap, key, worth);
}

static inline void key_heap_remove(struct key_heap *heap, uint32_t key) {
	uint32_t last = heap->keys[--heap->count];
	if (last != key) key_heap_settle(heap, heap->places[key], last);
}

#endif
