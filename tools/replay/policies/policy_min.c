/* policy_min.c: what could be done if the future were known. MIN (Belady: "A Study of Replacement
 * Algorithms for a Virtual-Storage Computer", IBM Systems Journal 1966): what is asked for again
 * last leaves. It is the best there is for objects of one size, when each must be taken in. For
 * sizes that differ nobody knows the best in reasonable time; of 64 residents drawn at random the
 * one leaves that takes the most bytes for the longest time until it is asked for again. Neither is
 * a bound: that one may miss fewer. */
#include "policies/key_heap.h"
#include "policies/residents.h"

struct clairvoyant {
	struct key_heap heap; /* the last one to come again has the least worth */
};

static void begin(struct simulation *simulation) {
	struct clairvoyant *self = simulation->state;
	key_heap_begin(&self->heap, simulation);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct clairvoyant *self = simulation->state;
	key_heap_change(&self->heap, key, -(double)simulation->request->next);
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct clairvoyant *self = simulation->state;
	key_heap_add(&self->heap, key, -(double)simulation->request->next);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct clairvoyant *self = simulation->state;
	key_heap_remove(&self->heap, key);
}

static uint32_t evict(struct simulation *simulation) {
	struct clairvoyant *self = simulation->state;
	uint32_t key = self->heap.keys[0];
	key_heap_remove(&self->heap, key);
	return key;
}

const struct policy policy_min = {.name = "min",
								  .summary = "knows the future: what is asked for last leaves",
								  .state_bytes = sizeof(struct clairvoyant),
								  .begin = begin,
								  .hit = hit,
								  .insert = insert,
								  .evict = evict,
								  .remove = drop};

/* ------------------------------------------------------------------ by size ---------------- */

struct sized {
	struct residents residents;
	uint32_t *next; /* by key: the request that asks for it again */
};

static void begin_sized(struct simulation *simulation) {
	struct sized *self = simulation->state;
	residents_begin(&self->residents, simulation, 5);
	self->next = simulation_take(simulation, simulation->keys, sizeof self->next[0]);
}

static void hit_sized(struct simulation *simulation, uint32_t key) {
	struct sized *self = simulation->state;
	self->next[key] = simulation->request->next;
}

static void insert_sized(struct simulation *simulation, uint32_t key) {
	struct sized *self = simulation->state;
	self->next[key] = simulation->request->next;
	residents_add(&self->residents, key);
}

static void drop_sized(struct simulation *simulation, uint32_t key) {
	struct sized *self = simulation->state;
	residents_remove(&self->residents, key);
}

static double worth(const struct simulation *simulation, uint32_t key) {
	const struct sized *self = simulation->state;
	return -((double)self->next[key] - (double)simulation->now) * simulation->bytes[key];
}

static uint32_t evict_sized(struct simulation *simulation) {
	struct sized *self = simulation->state;
	uint32_t least = residents_least(&self->residents, simulation, worth);
	residents_remove(&self->residents, least);
	return least;
}

const struct policy policy_min_sized = {
	.name = "min-sized",
	.summary = "knows the future: the most bytes for the longest time, 64 looked at",
	.state_bytes = sizeof(struct sized),
	.begin = begin_sized,
	.hit = hit_sized,
	.insert = insert_sized,
	.evict = evict_sized,
	.remove = drop_sized};
