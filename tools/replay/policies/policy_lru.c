/* policy_lru.c: the least recently used leaves first; FIFO is the same without the move on a hit. */
#include "policies/key_list.h"

#include <stdlib.h>

struct recency {
	struct key_list list;
	struct key_links links[];
};

static void *create(const struct simulation *simulation) {
	struct recency *self = malloc(sizeof *self + simulation->keys * sizeof self->links[0]);
	if (self != NULL) self->list = KEY_LIST_EMPTY;
	return self;
}

static void insert(void *state, const struct simulation *simulation, uint32_t key) {
	struct recency *self = state;
	(void)simulation;
	key_list_push(&self->list, self->links, key);
}

static void drop(void *state, const struct simulation *simulation, uint32_t key) {
	struct recency *self = state;
	(void)simulation;
	key_list_remove(&self->list, self->links, key);
}

static void move_to_front(void *state, const struct simulation *simulation, uint32_t key) {
	drop(state, simulation, key);
	insert(state, simulation, key);
}

static void stay(void *state, const struct simulation *simulation, uint32_t key) {
	(void)state, (void)simulation, (void)key;
}

static uint32_t evict(void *state, const struct simulation *simulation) {
	struct recency *self = state;
	uint32_t key = self->list.oldest;
	drop(state, simulation, key);
	return key;
}

const struct policy policy_lru = {"lru", "least recently used, exact", create, free, move_to_front, insert, evict, drop,
								  NULL};
const struct policy policy_fifo = {"fifo", "first in, first out", create, free, stay, insert, evict, drop, NULL};
