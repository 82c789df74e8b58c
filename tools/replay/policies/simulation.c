/* simulation.c: see simulation.h. */
#include "policies/simulation.h"

#include <stdlib.h>

void *simulation_take(struct simulation *simulation, size_t count, size_t bytes) {
	void *table = simulation->table_count < SIMULATION_TABLES_MAX ? calloc(count, bytes) : NULL;
	if (table == NULL)
		simulation->lacks_memory = true;
	else
		simulation->tables[simulation->table_count++] = table;
	return table;
}

bool simulation_create(struct simulation *simulation, const struct policy *policy, uint32_t keys,
					   uint64_t limit_bytes, uint64_t seed) {
	*simulation = (struct simulation){
		.policy = policy, .limit_bytes = limit_bytes, .seed = seed, .keys = keys};
	simulation->bytes = calloc(keys, sizeof simulation->bytes[0]);
	simulation->expires = calloc(keys, sizeof simulation->expires[0]);
	simulation->state = calloc(1, policy->state_bytes);
	if (simulation->bytes != NULL && simulation->expires != NULL && simulation->state != NULL) {
		policy->begin(simulation);
		if (!simulation->lacks_memory) return true;
	}
	simulation_destroy(simulation);
	return false;
}

void simulation_destroy(struct simulation *simulation) {
	while (simulation->table_count > 0) free(simulation->tables[--simulation->table_count]);
	free(simulation->state);
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
	simulation->policy->remove(simulation, key);
	leave(simulation, key);
}

static uint64_t overhead_of(const struct simulation *simulation) {
	return simulation->policy->overhead == NULL ? 0 : simulation->policy->overhead(simulation);
}

static void make_room(struct simulation *simulation, uint64_t bytes) {
	while (simulation->residents > 0 &&
		   simulation->used_bytes + overhead_of(simulation) + bytes > simulation->limit_bytes) {
		leave(simulation, simulation->policy->evict(simulation));
		simulation->evictions++;
	}
}

static void store(struct simulation *simulation, const struct cache_request *request) {
	if (request->bytes > simulation->limit_bytes) return;
	if (simulation->policy->miss != NULL) simulation->policy->miss(simulation, request->key);
	make_room(simulation, request->bytes);
	simulation->used_bytes += request->bytes;
	simulation->bytes[request->key] = request->bytes;
	simulation->residents++;
	simulation->policy->insert(simulation, request->key);
}

void simulation_request(struct simulation *simulation, const struct cache_request *request) {
	uint32_t key = request->key;
	simulation->now++;
	simulation->request = request;
	bool stale = simulation->expires[key] != 0 && simulation->expires[key] <= simulation->now;
	/* a new object */
	bool resized = request->op == TRACE_SET && request->bytes != simulation->bytes[key];
	if (stale || resized || request->op == TRACE_DELETE) drop(simulation, key);
	if (request->op == TRACE_DELETE) return;
	bool hit = simulation->bytes[key] != 0;
	if (request->op == TRACE_GET) misses_count(&simulation->misses, request->bytes, hit);
	if (!hit)
		store(simulation, request);
	else
		simulation->policy->hit(simulation, key);
	if (!hit || request->op == TRACE_SET)
		simulation->expires[key] = request->lifetime == 0 ? 0 : simulation->now + request->lifetime;
}
