/* simulation.c: see simulation.h. */
#include "policies/simulation.h"

#include <stdlib.h>

bool simulation_create(struct simulation *simulation, const struct policy *policy, uint32_t keys, uint64_t limit_bytes,
					   uint64_t seed) {
	*simulation = (struct simulation){.policy = policy, .limit_bytes = limit_bytes, .seed = seed, .keys = keys};
	simulation->bytes = calloc(keys, sizeof simulation->bytes[0]);
	simulation->expires = calloc(keys, sizeof simulation->expires[0]);
	if (simulation->bytes != NULL && simulation->expires != NULL) simulation->state = policy->create(simulation);
	if (simulation->state != NULL) return true;
	free(simulation->bytes);
	free(simulation->expires);
	return false;
}

void simulation_destroy(struct simulation *simulation) {
	simulation->policy->destroy(simulation->state);
	free(simulation->bytes);
	free(simulation->expires);
}

static void leave(struct simulation *simulation, uint32_t key) {
	simulation->used_bytes -= simulation->bytes[key];
	simulation->bytes[key] = 0;
	simulation->residents--;
}

static void drop(struct simulation *simulation, uint32_t key) {
	if (simulation->bytes[key] == 0) return;
	simulation->policy->remove(simulation->state, simulation, key);
	leave(simulation, key);
}

static uint64_t overhead_of(const struct simulation *simulation) {
	return simulation->policy->overhead == NULL ? 0 : simulation->policy->overhead(simulation->state);
}

static void make_room(struct simulation *simulation, uint64_t bytes) {
	while (simulation->residents > 0 &&
		   simulation->used_bytes + overhead_of(simulation) + bytes > simulation->limit_bytes) {
		leave(simulation, simulation->policy->evict(simulation->state, simulation));
		simulation->evictions++;
	}
}

static void store(struct simulation *simulation, const struct cache_request *request) {
	if (request->bytes > simulation->limit_bytes) return;
	make_room(simulation, request->bytes);
	simulation->used_bytes += request->bytes;
	simulation->bytes[request->key] = request->bytes;
	simulation->residents++;
	simulation->policy->insert(simulation->state, simulation, request->key);
}

static void count_get(struct simulation *simulation, const struct cache_request *request, bool hit) {
	simulation->gets++;
	simulation->get_bytes += request->bytes;
	if (hit) return;
	simulation->missed_gets++;
	simulation->missed_bytes += request->bytes;
}

void simulation_request(struct simulation *simulation, const struct cache_request *request) {
	uint32_t key = request->key;
	simulation->now++;
	bool stale = simulation->expires[key] != 0 && simulation->expires[key] <= simulation->now;
	bool resized = request->op == CACHE_SET && request->bytes != simulation->bytes[key]; /* a new object */
	if (stale || resized || request->op == CACHE_DELETE) drop(simulation, key);
	if (request->op == CACHE_DELETE) return;
	bool hit = simulation->bytes[key] != 0;
	if (request->op == CACHE_GET) count_get(simulation, request, hit);
	if (!hit)
		store(simulation, request);
	else
		simulation->policy->hit(simulation->state, simulation, key);
	if (!hit || request->op == CACHE_SET)
		simulation->expires[key] = request->lifetime == 0 ? 0 : simulation->now + request->lifetime;
}
