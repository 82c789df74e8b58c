/* policy_lhd.c: LHD (Beckmann, Chen, Cidon: "LHD: Improving Cache Hit Rate by Maximizing Hit
 * Density", NSDI'18): of 64 residents drawn at random the one leaves whose class and age promise
 * the fewest hits for each byte and for each request that it would stay.
 *
 * As published: 16 classes by the sum of an object's last two ages at a hit, ages in units that
 * follow the number of residents, hit densities from the hits and evictions of each age with a
 * moving average, some objects (explorers) kept to the end of the ages so that those
 * are known too. Ages have 4096 units of a fiftieth of the residents, and the densities are computed anew each 2^15 requests, because the
 * simulated caches are small. */
#include "policies/residents.h"

#define CLASSES 16
#define AGES 4096
#define UNITS_PER_RESIDENTS 50
#define PERIOD (1u << 15)
#define FADING 0.9f
#define EXPLORER_LOT 32    /* one insertion in so many */
#define EXPLORER_SHARE 100 /* at most one byte in so many */

struct object {
	uint64_t since;
	/* at the last hit and the one before, in requests; never hit: as old as can be */
	uint32_t age, age_before;
	bool explorer;
};

struct lhd {
	struct residents residents;
	struct object *objects; /* by key */
	uint64_t unit, next_period, explorer_bytes;
	float hits[CLASSES][AGES], evictions[CLASSES][AGES], density[CLASSES][AGES];
};

/* Nothing is known yet: the sooner used the better, the more often the better. */
static void begin_densities(struct lhd *self) {
	for (uint32_t class = 0; class < CLASSES; class ++)
		for (uint32_t age = 0; age < AGES; age++)
			self->density[class][age] = (float)(class + 1) / (float)(age + 1);
}

static void begin(struct simulation *simulation) {
	struct lhd *self = simulation->state;
	residents_begin(&self->residents, simulation, 4);
	self->objects = simulation_take(simulation, simulation->keys, sizeof self->objects[0]);
	self->unit = 1;
	self->next_period = PERIOD;
	begin_densities(self);
}

static uint32_t age_of(const struct lhd *self, const struct simulation *simulation, uint32_t key) {
	uint64_t age = (simulation->now - self->objects[key].since) / self->unit;
	return age < AGES ? (uint32_t)age : AGES - 1;
}

/* One class for each halving of the ages. */
static uint32_t class_of(const struct lhd *self, uint32_t key) {
	uint64_t age = ((uint64_t)self->objects[key].age + self->objects[key].age_before) / self->unit;
	uint32_t class = 0;
	while (age < AGES && class < CLASSES - 1) {
		age = 2 * age + 1;
		class ++;
	}
	return class;
}

/* From the oldest age down: the hits still to come, over the time that they take. */
static void compute_densities(struct lhd *self) {
	for (uint32_t class = 0; class < CLASSES; class ++) {
		float hits = 0, events = 0, time = 0;
		for (uint32_t age = AGES; age-- > 0;) {
			hits += self->hits[class][age];
			events += self->hits[class][age] + self->evictions[class][age];
			time += events;
			self->density[class][age] = time > 0 ? hits / time : 0;
			self->hits[class][age] *= FADING;
			self->evictions[class][age] *= FADING;
		}
	}
}

/* What was seen at an age in old units was seen at that age in new ones. */
static void rescale(float seen[AGES], uint64_t from, uint64_t to) {
	static float scaled[AGES];
	for (uint32_t age = 0; age < AGES; age++) scaled[age] = 0;
	for (uint32_t age = 0; age < AGES; age++) {
		uint64_t moved = age * from / to;
		scaled[moved < AGES ? moved : AGES - 1] += seen[age];
	}
	for (uint32_t age = 0; age < AGES; age++) seen[age] = scaled[age];
}

static void begin_period(struct lhd *self, const struct simulation *simulation) {
	uint64_t unit = self->residents.count / UNITS_PER_RESIDENTS + 1;
	self->next_period = simulation->now + PERIOD;
	if (unit > self->unit + self->unit / 4 || unit < self->unit - self->unit / 4) {
		for (uint32_t class = 0; class < CLASSES; class ++) {
			rescale(self->hits[class], self->unit, unit);
			rescale(self->evictions[class], self->unit, unit);
		}
		self->unit = unit;
	}
	compute_densities(self);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct lhd *self = simulation->state;
	struct object *object = &self->objects[key];
	uint64_t age = simulation->now - object->since;
	self->hits[class_of(self, key)][age_of(self, simulation, key)]++;
	object->age_before = object->age;
	object->age = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
	object->since = simulation->now;
	if (object->explorer) self->explorer_bytes -= simulation->bytes[key];
	object->explorer = false;
	if (simulation->now >= self->next_period) begin_period(self, simulation);
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct lhd *self = simulation->state;
	bool explorer =
		random_below(&self->residents.random, EXPLORER_LOT) == 0 &&
		self->explorer_bytes + simulation->bytes[key] < simulation->limit_bytes / EXPLORER_SHARE;
	if (explorer) self->explorer_bytes += simulation->bytes[key];
	self->objects[key] = (struct object){simulation->now, UINT32_MAX, UINT32_MAX, explorer};
	residents_add(&self->residents, key);
	if (simulation->now >= self->next_period) begin_period(self, simulation);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct lhd *self = simulation->state;
	if (self->objects[key].explorer) self->explorer_bytes -= simulation->bytes[key];
	residents_remove(&self->residents, key);
}

static double worth(const struct simulation *simulation, uint32_t key) {
	const struct lhd *self = simulation->state;
	uint32_t age = age_of(self, simulation, key);
	if (self->objects[key].explorer && age < AGES - 1) return 2;
	return self->density[class_of(self, key)][age] / (float)simulation->bytes[key];
}

static uint32_t evict(struct simulation *simulation) {
	struct lhd *self = simulation->state;
	uint32_t least = residents_least(&self->residents, simulation, worth);
	self->evictions[class_of(self, least)][age_of(self, simulation, least)]++;
	drop(simulation, least);
	return least;
}

const struct policy policy_lhd = {.name = "lhd",
								  .summary = "least hit density, by bytes (NSDI'18), 64 looked at",
								  .state_bytes = sizeof(struct lhd),
								  .begin = begin,
								  .hit = hit,
								  .insert = insert,
								  .evict = evict,
								  .remove = drop};
