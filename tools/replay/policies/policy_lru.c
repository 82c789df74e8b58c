/* policy_lru.c: the least recently used leaves first; FIFO is the same without the move on a
 * hit. */
#include "policies/key_list.h"

struct recency {
	struct key_list list;
	struct key_links *links;
};

static void begin(struct simulation *simulation) {
	struct recency *self = simulation->state;
	self->list = KEY_LIST_EMPTY;
	self->links = simulation_take(simulation, simulation->keys, sizeof self->links[0]);
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct recency *self = simulation->state;
	key_list_push(&self->list, self->links, key);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct recency *self = simulation->state;
	key_list_remove(&self->list, self->links, key);
}

static void move_to_front(struct simulation *simulation, uint32_t key) {
	drop(simulation, key);
	insert(simulation, key);
}

static void stay(struct simulation *simulation, uint32_t key) {
	(void)simulation, (void)key;
}

static uint32_t evict(struct simulation *simulation) {
	struct recency *self = simulation->state;
	uint32_t key = self->list.oldest;
	drop(simulation, key);
	return key;
}

const struct policy policy_lru = {.name = "lru",
								  .summary = "least recently used, exact",
								  .state_bytes = sizeof(struct recency),
								  .begin = begin,
								  .hit = move_to_front,
								  .insert = insert,
								  .evict = evict,
								  .remove = drop};
const struct policy policy_fifo = {.name = "fifo",
								   .summary = "first in, first out",
								   .state_bytes = sizeof(struct recency),
								   .begin = begin,
								   .hit = stay,
								   .insert = insert,
								   .evict = evict,
								   .remove = drop};
