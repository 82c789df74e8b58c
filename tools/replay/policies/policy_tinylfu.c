/* policy_tinylfu.c: W-TinyLFU (Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache
 * Admission Policy", ACM TOS 2017), with the paper's parameters: a window of a hundredth of the
 * bytes, the rest in two segments, of which the protected one has four fifths. What leaves the
 * window stays only if it was asked for more often than the one that it would displace. Requests are
 * counted to 15, and all counts are halved when there were ten requests for each resident; the
 * counts are exact, where a sketch would mix up some.
 *
 *     window --oldest--> probation --hit--> protected
 *                 \         ^  \               |
 *                  one of the two leaves    oldest, if it is too large */
#include "policies/key_list.h"

#define WINDOW_SHARE 100
#define PROTECTED_OF_TEN 8
#define COUNT_MOST 15
#define REQUESTS_PER_RESIDENT 10
#define REQUESTS_LEAST 1000 /* before the counts are halved */

enum place { WINDOW, PROBATION, PROTECTED, PLACES };

struct tinylfu {
	struct key_list lists[PLACES];
	uint64_t list_bytes[PLACES];
	uint64_t requests; /* since the counts were halved */
	struct key_links *links;
	struct {
		uint8_t place, count;
	} * objects; /* by key */
};

static void begin(struct simulation *simulation) {
	struct tinylfu *self = simulation->state;
	for (int place = 0; place < PLACES; place++) self->lists[place] = KEY_LIST_EMPTY;
	self->links = simulation_take(simulation, simulation->keys, sizeof self->links[0]);
	self->objects = simulation_take(simulation, simulation->keys, sizeof self->objects[0]);
}

static void count(struct simulation *simulation, uint32_t key) {
	struct tinylfu *self = simulation->state;
	if (self->objects[key].count < COUNT_MOST) self->objects[key].count++;
	self->requests++;
	if (self->requests < REQUESTS_LEAST ||
		self->requests < (uint64_t)REQUESTS_PER_RESIDENT * simulation->residents)
		return;
	for (uint32_t each = 0; each < simulation->keys; each++) self->objects[each].count /= 2;
	self->requests = 0;
}

static void leave(const struct simulation *simulation, uint32_t key) {
	struct tinylfu *self = simulation->state;
	uint8_t place = self->objects[key].place;
	key_list_remove(&self->lists[place], self->links, key);
	self->list_bytes[place] -= simulation->bytes[key];
}

static void enter(const struct simulation *simulation, enum place place, uint32_t key) {
	struct tinylfu *self = simulation->state;
	self->objects[key].place = (uint8_t)place;
	key_list_push(&self->lists[place], self->links, key);
	self->list_bytes[place] += simulation->bytes[key];
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct tinylfu *self = simulation->state;
	uint64_t most = simulation->limit_bytes / 10 * PROTECTED_OF_TEN;
	bool is_new = self->objects[key].place == WINDOW;
	count(simulation, key);
	leave(simulation, key);
	enter(simulation, is_new ? WINDOW : PROTECTED, key);
	while (self->list_bytes[PROTECTED] > most) {
		uint32_t oldest = self->lists[PROTECTED].oldest;
		leave(simulation, oldest);
		enter(simulation, PROBATION, oldest);
	}
}

static void insert(struct simulation *simulation, uint32_t key) {
	count(simulation, key);
	enter(simulation, WINDOW, key);
}

static void drop(struct simulation *simulation, uint32_t key) {
	leave(simulation, key);
}

/* Room is wanted for `bytes` more in the window. What its oldest do not leave to others stays. */
static uint32_t victim_of(const struct simulation *simulation, uint64_t bytes) {
	const struct tinylfu *self = simulation->state;
	uint64_t window_bytes = simulation->limit_bytes / WINDOW_SHARE;
	for (;;) {
		uint32_t candidate = self->lists[WINDOW].oldest;
		uint32_t victim =
			self->lists[self->lists[PROBATION].count > 0 ? PROBATION : PROTECTED].oldest;
		bool fits = self->list_bytes[WINDOW] + bytes <= window_bytes;
		if (candidate == KEY_NONE || (fits && victim != KEY_NONE)) return victim;
		uint64_t main_bytes = simulation->used_bytes - self->list_bytes[WINDOW];
		bool has_room =
			main_bytes + simulation->bytes[candidate] <= simulation->limit_bytes - window_bytes;
		if (!has_room && victim == KEY_NONE) return candidate;
		if (!has_room)
			return self->objects[candidate].count > self->objects[victim].count ? victim
																				: candidate;
		leave(simulation, candidate);
		enter(simulation, PROBATION, candidate);
	}
}

static uint32_t evict(struct simulation *simulation) {
	uint32_t key = victim_of(simulation, simulation->request->bytes);
	leave(simulation, key);
	return key;
}

const struct policy policy_tinylfu = {.name = "tinylfu",
									  .summary = "W-TinyLFU, by bytes, exact counts (TOS 2017)",
									  .state_bytes = sizeof(struct tinylfu),
									  .begin = begin,
									  .hit = hit,
									  .insert = insert,
									  .evict = evict,
									  .remove = drop};
