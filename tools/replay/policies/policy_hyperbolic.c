/* policy_hyperbolic.c: hyperbolic caching (Blankstein, Sen, Freedman: "Hyperbolic Caching: Flexible Caching for Web Applications", ATC'17),
 * in its form for objects of different sizes: of 64 residents drawn at random the one leaves that has had the fewest requests
 * for each request since it came in and for each of its bytes. */
#include "ledger/random.h"
#include "policies/simulation.h"

#include <stdlib.h>

#define SAMPLE 64

struct hyperbolic {
	struct random random;
	uint32_t count;
	uint32_t *residents;
	struct {
		uint64_t since;
		uint32_t requests;
		uint32_t place; /* among the residents */
	} * objects;        /* by key */
};

static void destroy(void *state) {
	struct hyperbolic *self = state;
	free(self->residents);
	free(self->objects);
	free(self);
}

static void *create(const struct simulation *simulation) {
	struct hyperbolic *self = calloc(1, sizeof *self);
	if (self == NULL) return NULL;
	random_init(&self->random, simulation->seed, 3);
	self->residents = calloc(simulation->keys, sizeof self->residents[0]);
	self->objects = calloc(simulation->keys, sizeof self->objects[0]);
	if (self->residents != NULL && self->objects != NULL) return self;
	destroy(self);
	return NULL;
}

static void hit(void *state, const struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = state;
	(void)simulation;
	self->objects[key].requests++;
}

static void insert(void *state, const struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = state;
	self->objects[key].since = simulation->now;
	self->objects[key].requests = 1;
	self->objects[key].place = self->count;
	self->residents[self->count++] = key;
}

static void drop(void *state, const struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = state;
	uint32_t place = self->objects[key].place, last = self->residents[--self->count];
	(void)simulation;
	self->residents[place] = last;
	self->objects[last].place = place;
}

static double worth(const struct hyperbolic *self, const struct simulation *simulation, uint32_t key) {
	double age = (double)(simulation->now - self->objects[key].since) + 1;
	return self->objects[key].requests / (age * simulation->bytes[key]);
}

static uint32_t evict(void *state, const struct simulation *simulation) {
	struct hyperbolic *self = state;
	uint32_t least = self->residents[random_below(&self->random, self->count)];
	double least_worth = worth(self, simulation, least);
	for (uint32_t i = 1; i < SAMPLE; i++) {
		uint32_t key = self->residents[random_below(&self->random, self->count)];
		double key_worth = worth(self, simulation, key);
		if (key_worth >= least_worth) continue;
		least = key;
		least_worth = key_worth;
	}
	drop(state, simulation, least);
	return least;
}

const struct policy policy_hyperbolic = {
	"hyperbolic", "hyperbolic caching, by bytes (ATC'17), 64 looked at", create, destroy, hit, insert, evict, drop,
	NULL};
