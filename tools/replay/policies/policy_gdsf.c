/* policy_gdsf.c: GDSF (Cherkasova: "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency
 * Caching Policy", HP 1998). An object's worth is its requests for each of its bytes, and what the
 * last one to leave was worth when it was last asked for: so the worth of all that stays falls
 * behind. The least leaves. */
#include "policies/key_heap.h"

struct gdsf {
	struct key_heap heap;
	double inflation;   /* what the last one to leave was worth */
	uint32_t *requests; /* by key */
};

static void begin(struct simulation *simulation) {
	struct gdsf *self = simulation->state;
	key_heap_begin(&self->heap, simulation);
	self->requests = simulation_take(simulation, simulation->keys, sizeof self->requests[0]);
}

static double worth(const struct gdsf *self, const struct simulation *simulation, uint32_t key) {
	return self->inflation + (double)self->requests[key] / simulation->bytes[key];
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct gdsf *self = simulation->state;
	self->requests[key]++;
	key_heap_change(&self->heap, key, worth(self, simulation, key));
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct gdsf *self = simulation->state;
	self->requests[key] = 1;
	key_heap_add(&self->heap, key, worth(self, simulation, key));
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct gdsf *self = simulation->state;
	key_heap_remove(&self->heap, key);
}

static uint32_t evict(struct simulation *simulation) {
	struct gdsf *self = simulation->state;
	uint32_t key = self->heap.keys[0];
	self->inflation = self->heap.worth[key].worth;
	key_heap_remove(&self->heap, key);
	return key;
}

const struct policy policy_gdsf = {.name = "gdsf",
								   .summary = "greedy dual, by requests for each byte (HP 1998)",
								   .state_bytes = sizeof(struct gdsf),
								   .begin = begin,
								   .hit = hit,
								   .insert = insert,
								   .evict = evict,
								   .remove = drop};
