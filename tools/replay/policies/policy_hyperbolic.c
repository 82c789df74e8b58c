/* policy_hyperbolic.c: hyperbolic caching (Blankstein, Sen, Freedman: "Hyperbolic Caching: Flexible Caching for Web Applications", ATC'17),
 * in its form for objects of different sizes: of 64 residents drawn at random the one leaves that has had the fewest requests
 * for each request since it came in and for each of its bytes. */
#include "policies/residents.h"

struct hyperbolic {
	struct residents residents;
	struct {
		uint64_t since;
		uint32_t requests;
	} * objects; /* by key */
};

static void destroy(void *state) {
	struct hyperbolic *self = state;
	residents_deinit(&self->residents);
	free(self->objects);
	free(self);
}

static void *create(const struct simulation *simulation) {
	struct hyperbolic *self = calloc(1, sizeof *self);
	if (self == NULL) return NULL;
	self->objects = calloc(simulation->keys, sizeof self->objects[0]);
	if (residents_init(&self->residents, simulation, 3) && self->objects != NULL) return self;
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
	residents_add(&self->residents, key);
}

static void drop(void *state, const struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = state;
	(void)simulation;
	residents_remove(&self->residents, key);
}

static double worth(const void *state, const struct simulation *simulation, uint32_t key) {
	const struct hyperbolic *self = state;
	double age = (double)(simulation->now - self->objects[key].since) + 1;
	return self->objects[key].requests / (age * simulation->bytes[key]);
}

static uint32_t evict(void *state, const struct simulation *simulation) {
	struct hyperbolic *self = state;
	uint32_t least = residents_least(&self->residents, simulation, worth, self);
	residents_remove(&self->residents, least);
	return least;
}

const struct policy policy_hyperbolic = {
	"hyperbolic", "hyperbolic caching, by bytes (ATC'17), 64 looked at", create, destroy, hit, insert, evict, drop,
	NULL};
