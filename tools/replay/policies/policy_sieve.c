/* policy_sieve.c: SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is Simpler than LRU",
 * NSDI'24). A hit marks. A hand goes from the oldest to the newest, takes marks away, and evicts
 * the first object that has none; nothing is ever moved. */
#include "policies/key_list.h"

struct sieve {
	struct key_list list;
	uint32_t hand; /* KEY_NONE: begin at the oldest */
	struct key_links *links;
	bool *marked; /* by key */
};

static void begin(struct simulation *simulation) {
	struct sieve *self = simulation->state;
	self->list = KEY_LIST_EMPTY;
	self->hand = KEY_NONE;
	self->links = simulation_take(simulation, simulation->keys, sizeof self->links[0]);
	self->marked = simulation_take(simulation, simulation->keys, sizeof self->marked[0]);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct sieve *self = simulation->state;
	self->marked[key] = true;
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct sieve *self = simulation->state;
	self->marked[key] = false;
	key_list_push(&self->list, self->links, key);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct sieve *self = simulation->state;
	if (self->hand == key) self->hand = self->links[key].newer;
	key_list_remove(&self->list, self->links, key);
}

static uint32_t evict(struct simulation *simulation) {
	struct sieve *self = simulation->state;
	uint32_t key = self->hand != KEY_NONE ? self->hand : self->list.oldest;
	while (self->marked[key]) {
		self->marked[key] = false;
		key = self->links[key].newer != KEY_NONE ? self->links[key].newer : self->list.oldest;
	}
	self->hand = key;
	drop(simulation, key);
	return key;
}

const struct policy policy_sieve = {.name = "sieve",
									.summary = "SIEVE (NSDI'24)",
									.state_bytes = sizeof(struct sieve),
									.begin = begin,
									.hit = hit,
									.insert = insert,
									.evict = evict,
									.remove = drop};
