/* policy_sieve.c: SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is Simpler than LRU", NSDI'24). A hit marks. A hand goes from the
 * oldest to the newest, takes marks away, and evicts the first object that has none; nothing is ever moved. */
#include "policies/key_list.h"

#include <stdlib.h>

struct sieve {
	struct key_list list;
	uint32_t hand; /* KEY_NONE: begin at the oldest */
	struct key_links *links;
	bool *marked; /* by key */
};

static void destroy(void *state) {
	struct sieve *self = state;
	free(self->links);
	free(self->marked);
	free(self);
}

static void *create(const struct simulation *simulation) {
	struct sieve *self = calloc(1, sizeof *self);
	if (self == NULL) return NULL;
	*self = (struct sieve){KEY_LIST_EMPTY, KEY_NONE, calloc(simulation->keys, sizeof self->links[0]),
						   calloc(simulation->keys, 1)};
	if (self->links != NULL && self->marked != NULL) return self;
	destroy(self);
	return NULL;
}

static void hit(void *state, const struct simulation *simulation, uint32_t key) {
	struct sieve *self = state;
	(void)simulation;
	self->marked[key] = true;
}

static void insert(void *state, const struct simulation *simulation, uint32_t key) {
	struct sieve *self = state;
	(void)simulation;
	self->marked[key] = false;
	key_list_push(&self->list, self->links, key);
}

static void drop(void *state, const struct simulation *simulation, uint32_t key) {
	struct sieve *self = state;
	(void)simulation;
	if (self->hand == key) self->hand = self->links[key].newer;
	key_list_remove(&self->list, self->links, key);
}

static uint32_t evict(void *state, const struct simulation *simulation) {
	struct sieve *self = state;
	uint32_t key = self->hand != KEY_NONE ? self->hand : self->list.oldest;
	while (self->marked[key]) {
		self->marked[key] = false;
		key = self->links[key].newer != KEY_NONE ? self->links[key].newer : self->list.oldest;
	}
	self->hand = key;
	drop(state, simulation, key);
	return key;
}

const struct policy policy_sieve = {"sieve", "SIEVE (NSDI'24)", create, destroy, hit, insert, evict, drop, NULL};
