/* policy_s3fifo.c: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO Queues are All You Need for Cache
 * Eviction", SOSP'23), with the paper's parameters: a tenth of the bytes for the small queue,
 * counters to 3, from the small to the main queue if asked for more than once, a ghost queue of as
 * many keys as the main queue holds objects. */
#include "policies/key_list.h"

#define SMALL_SHARE 10 /* one in so many bytes */
#define COUNT_MOST 3
#define PROMOTED_FROM 2 /* hits */

enum place { NOWHERE, SMALL, MAIN, GHOST };

struct s3fifo {
	struct key_list small, main, ghost;
	uint64_t small_bytes;
	struct key_links *links;
	struct {
		uint8_t place, count;
	} * objects; /* by key */
};

static void begin(struct simulation *simulation) {
	struct s3fifo *self = simulation->state;
	self->small = self->main = self->ghost = KEY_LIST_EMPTY;
	self->links = simulation_take(simulation, simulation->keys, sizeof self->links[0]);
	self->objects = simulation_take(simulation, simulation->keys, sizeof self->objects[0]);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct s3fifo *self = simulation->state;
	if (self->objects[key].count < COUNT_MOST) self->objects[key].count++;
}

static void enter(struct s3fifo *self, struct key_list *list, enum place place, uint32_t key) {
	self->objects[key].place = (uint8_t)place;
	key_list_push(list, self->links, key);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct s3fifo *self = simulation->state;
	bool small = self->objects[key].place == SMALL;
	if (small) self->small_bytes -= simulation->bytes[key];
	key_list_remove(small ? &self->small : &self->main, self->links, key);
	self->objects[key].place = NOWHERE;
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct s3fifo *self = simulation->state;
	self->objects[key].count = 0;
	if (self->objects[key].place == GHOST) {
		key_list_remove(&self->ghost, self->links, key);
		enter(self, &self->main, MAIN, key);
		return;
	}
	enter(self, &self->small, SMALL, key);
	self->small_bytes += simulation->bytes[key];
}

static void remember(struct s3fifo *self, uint32_t key) {
	enter(self, &self->ghost, GHOST, key);
	while (self->ghost.count > self->main.count + 1) {
		uint32_t oldest = self->ghost.oldest;
		key_list_remove(&self->ghost, self->links, oldest);
		self->objects[oldest].place = NOWHERE;
	}
}

/* KEY_NONE: all of them were promoted. */
static uint32_t evict_small(struct simulation *simulation) {
	struct s3fifo *self = simulation->state;
	while (self->small.count > 0) {
		uint32_t key = self->small.oldest;
		bool promoted = self->objects[key].count >= PROMOTED_FROM;
		drop(simulation, key);
		if (!promoted) {
			remember(self, key);
			return key;
		}
		self->objects[key].count = 0;
		enter(self, &self->main, MAIN, key);
	}
	return KEY_NONE;
}

static uint32_t evict_main(struct simulation *simulation) {
	struct s3fifo *self = simulation->state;
	for (;;) {
		uint32_t key = self->main.oldest;
		drop(simulation, key);
		if (self->objects[key].count == 0) return key;
		self->objects[key].count--;
		enter(self, &self->main, MAIN, key);
	}
}

static uint32_t evict(struct simulation *simulation) {
	struct s3fifo *self = simulation->state;
	uint32_t key = KEY_NONE;
	if (self->small_bytes >= simulation->limit_bytes / SMALL_SHARE || self->main.count == 0)
		key = evict_small(simulation);
	return key != KEY_NONE ? key : evict_main(simulation);
}

const struct policy policy_s3fifo = {.name = "s3fifo",
									 .summary = "S3-FIFO (SOSP'23)",
									 .state_bytes = sizeof(struct s3fifo),
									 .begin = begin,
									 .hit = hit,
									 .insert = insert,
									 .evict = evict,
									 .remove = drop};
