/* policy_hyperbolic.c: hyperbolic caching (Blankstein, Sen, Freedman: "Hyperbolic Caching: Flexible
 * Caching for Web Applications", ATC'17), in its form for objects of different sizes: of 64
 * residents drawn at random the one leaves that has had the fewest requests for each request since
 * it came in and for each of its bytes. */
#include "policies/residents.h"

struct hyperbolic {
	struct residents residents;
	struct {
		uint64_t since;
		uint32_t requests;
	} * objects; /* by key */
};

static void begin(struct simulation *simulation) {
	struct hyperbolic *self = simulation->state;
	residents_begin(&self->residents, simulation, 3);
	self->objects = simulation_take(simulation, simulation->keys, sizeof self->objects[0]);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = simulation->state;
	self->objects[key].requests++;
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = simulation->state;
	self->objects[key].since = simulation->now;
	self->objects[key].requests = 1;
	residents_add(&self->residents, key);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct hyperbolic *self = simulation->state;
	residents_remove(&self->residents, key);
}

static double worth(const struct simulation *simulation, uint32_t key) {
	const struct hyperbolic *self = simulation->state;
	double age = (double)(simulation->now - self->objects[key].since) + 1;
	return self->objects[key].requests / (age * simulation->bytes[key]);
}

static uint32_t evict(struct simulation *simulation) {
	struct hyperbolic *self = simulation->state;
	uint32_t least = residents_least(&self->residents, simulation, worth);
	residents_remove(&self->residents, least);
	return least;
}

const struct policy policy_hyperbolic = {.name = "hyperbolic",
										 .summary =
											 "hyperbolic caching, by bytes (ATC'17), 64 looked at",
										 .state_bytes = sizeof(struct hyperbolic),
										 .begin = begin,
										 .hit = hit,
										 .insert = insert,
										 .evict = evict,
										 .remove = drop};
