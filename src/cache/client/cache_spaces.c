/* cache/client/cache_spaces.c: the figures of a cache's namespaces (spaces.h). What has happened was
 * counted; what is there is counted now, by a walk in messages of PART_NS, between which the worker
 * serves others. */
#include "base/assert.h"
#include "cache/client/cache_parts.h"
#include "cache/shard/shard_find.h"
#include "cache/shard/shard_sweep.h"
#include "os/threads.h"

#include <string.h>

#define PART_NS UINT64_C(50000)

/* A visit's context travels as one block; what it refers to is constant and the cache's. */
struct counting {
	const struct spaces *spaces;
	uint64_t hash; /* where to go on; answered: where the next part does, 0: nowhere */
	bool is_corrupt;
	struct {
		uint64_t items;
		uint64_t bytes;
	} space[SNUG_CACHE_NAMESPACES_MAX];
};

static void count_item(void *context, const struct walked *walked) {
	struct counting *counting = context;
	uint32_t number = spaces_of(counting->spaces, walked->key.bytes, walked->key.length);
	if (number == SPACES_NONE) return;
	counting->space[number].items++;
	counting->space[number].bytes += item_bytes(&walked->head);
}

static void count_part(void *context, uint32_t worker, snug_shard *shard,
					   struct operation_counts *counts) {
	struct counting *counting = context;
	uint64_t until_ns = os_now_ns() + PART_NS;
	(void)worker;
	(void)counts;
	shard_tick(shard);
	do
		counting->is_corrupt |=
			shard_walk(shard, counting->hash, &counting->hash, count_item, counting) != SNUG_OK;
	while (!counting->is_corrupt && counting->hash != 0 && os_now_ns() < until_ns);
}

static snug_error count_items(snug_cache_client *client, struct counting *counting) {
	for (uint32_t worker = 0; worker < client->cache->worker_count; worker++) {
		counting->hash = 0;
		do {
			snug_error error = cache_visit(client, worker, count_part, counting, sizeof *counting);
			if (!error && counting->is_corrupt) error = SNUG_ERROR_CORRUPT;
			if (error) return error;
		} while (counting->hash != 0);
	}
	return SNUG_OK;
}

snug_error snug_cache_namespace_stats_get(snug_cache_client *client, bool counts_items,
										  snug_cache_namespace_stats *out, size_t count) {
	if (client == NULL || (out == NULL && count > 0)) return SNUG_ERROR_NULL;
	const struct spaces *spaces = client->cache->spaces;
	if (count > (spaces == NULL ? 0 : spaces->count)) return SNUG_ERROR_RANGE;
	if (count == 0) return SNUG_OK;
	struct counting counting = {.spaces = spaces};
	snug_error error = counts_items ? count_items(client, &counting) : SNUG_OK;
	if (error) return error;
	for (uint32_t i = 0; i < count; i++)
		out[i] = (snug_cache_namespace_stats){
			.items = counting.space[i].items,
			.item_bytes = counting.space[i].bytes,
			.hits = spaces_sum(spaces, i, SPACE_HIT),
			.misses = spaces_sum(spaces, i, SPACE_MISS),
			.evictions = spaces_sum(spaces, i, SPACE_EVICTED),
			.expired = spaces_sum(spaces, i, SPACE_EXPIRED),
		};
	return SNUG_OK;
}

void cache_removed(void *context, snug_shard *shard, snug_removal why, const struct snug_key *key,
				   const struct snug_item *item) {
	snug_cache *cache = context;
	if (cache->spaces != NULL && why != SNUG_REMOVAL_FLUSHED)
		spaces_add(cache->spaces, (uint32_t)key->hash, key,
				   why == SNUG_REMOVAL_EVICTED ? SPACE_EVICTED : SPACE_EXPIRED);
	if (cache->removed != NULL) cache->removed(cache->removed_context, shard, why, key, item);
}
