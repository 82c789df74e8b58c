/* policy_arc.c: ARC (Megiddo, Modha: "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST'03),
 * with bytes in place of pages: objects asked for once, and those asked for more often; of both the
 * ones that left are remembered, as many bytes as the cache has. A request for one that left says
 * which of the two should have more room. */
#include "policies/key_list.h"

enum place { NOWHERE, ONCE, OFTEN, ONCE_GHOST, OFTEN_GHOST, PLACES };

struct arc {
	struct key_list lists[PLACES];
	uint64_t list_bytes[PLACES];
	double once_goal_bytes;
	struct key_links *links;
	uint8_t *places; /* by key */
	uint32_t *bytes; /* by key, of ghosts as well */
};

static void begin(struct simulation *simulation) {
	struct arc *self = simulation->state;
	for (int place = 0; place < PLACES; place++) self->lists[place] = KEY_LIST_EMPTY;
	self->links = simulation_take(simulation, simulation->keys, sizeof self->links[0]);
	self->places = simulation_take(simulation, simulation->keys, sizeof self->places[0]);
	self->bytes = simulation_take(simulation, simulation->keys, sizeof self->bytes[0]);
}

static void leave(struct arc *self, uint32_t key) {
	uint8_t place = self->places[key];
	if (place == NOWHERE) return;
	key_list_remove(&self->lists[place], self->links, key);
	self->list_bytes[place] -= self->bytes[key];
	self->places[key] = NOWHERE;
}

static void enter(struct arc *self, enum place place, uint32_t key) {
	key_list_push(&self->lists[place], self->links, key);
	self->list_bytes[place] += self->bytes[key];
	self->places[key] = (uint8_t)place;
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct arc *self = simulation->state;
	leave(self, key);
	enter(self, OFTEN, key);
}

/* A ghost is asked for: its kind gets as many bytes more as it has, or as the other kind's ghosts
 * are more than its own. */
static void miss(struct simulation *simulation, uint32_t key) {
	struct arc *self = simulation->state;
	double limit = (double)simulation->limit_bytes, bytes = self->bytes[key];
	double once = (double)self->list_bytes[ONCE_GHOST],
		   often = (double)self->list_bytes[OFTEN_GHOST];
	if (self->places[key] == ONCE_GHOST)
		self->once_goal_bytes += often > once ? bytes * often / once : bytes;
	if (self->places[key] == OFTEN_GHOST)
		self->once_goal_bytes -= once > often ? bytes * once / often : bytes;
	if (self->once_goal_bytes < 0) self->once_goal_bytes = 0;
	if (self->once_goal_bytes > limit) self->once_goal_bytes = limit;
}

static void forget_oldest(struct arc *self, enum place ghosts) {
	leave(self, self->lists[ghosts].oldest);
}

/* Once, with its ghosts, is at most the limit, and all together twice that. */
static void trim(struct arc *self, uint64_t limit_bytes) {
	uint64_t *bytes = self->list_bytes;
	while (self->lists[ONCE_GHOST].count > 0 && bytes[ONCE] + bytes[ONCE_GHOST] > limit_bytes)
		forget_oldest(self, ONCE_GHOST);
	while (self->lists[OFTEN_GHOST].count > 0 &&
		   bytes[ONCE] + bytes[OFTEN] + bytes[ONCE_GHOST] + bytes[OFTEN_GHOST] > 2 * limit_bytes)
		forget_oldest(self, OFTEN_GHOST);
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct arc *self = simulation->state;
	bool is_ghost = self->places[key] != NOWHERE;
	leave(self, key);
	self->bytes[key] = simulation->bytes[key];
	enter(self, is_ghost ? OFTEN : ONCE, key);
	trim(self, simulation->limit_bytes);
}

static void drop(struct simulation *simulation, uint32_t key) {
	leave(simulation->state, key);
}

static uint32_t evict(struct simulation *simulation) {
	struct arc *self = simulation->state;
	double once = (double)self->list_bytes[ONCE];
	bool for_often = self->places[simulation->request->key] == OFTEN_GHOST;
	bool takes_once =
		self->lists[OFTEN].count == 0 ||
		(self->lists[ONCE].count > 0 &&
		 (once > self->once_goal_bytes || (for_often && once >= self->once_goal_bytes)));
	enum place place = takes_once ? ONCE : OFTEN;
	uint32_t key = self->lists[place].oldest;
	leave(self, key);
	enter(self, takes_once ? ONCE_GHOST : OFTEN_GHOST, key);
	return key;
}

const struct policy policy_arc = {.name = "arc",
								  .summary = "ARC, by bytes (FAST'03)",
								  .state_bytes = sizeof(struct arc),
								  .begin = begin,
								  .hit = hit,
								  .insert = insert,
								  .evict = evict,
								  .remove = drop,
								  .miss = miss};
