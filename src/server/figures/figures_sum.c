/* server/figures/figures_sum.c: what all workers have counted, added up. See
 * server/figures/figures.h.
 *
 * A shard's own counters never go back. So `stats reset` keeps what they were, as shard_base, and
 * sums are taken from there. */
#include "server/figures/figures.h"

static void add_counts(struct operation_counts *to, const struct operation_counts *from) {
#define ADD(name) to->name += from->name;
	OPERATION_COUNTS(ADD)
#undef ADD
}

static void add_tls(struct tls_counts *to, const struct tls_counts *from) {
	to->current += from->current;
	to->handshakes += from->handshakes;
	to->resumed += from->resumed;
	to->handshake_errors += from->handshake_errors;
	to->handshakes_late += from->handshakes_late;
	to->handshakes_ended += from->handshakes_ended;
	to->record_errors += from->record_errors;
	to->by_kernel += from->by_kernel;
	to->memory_bytes += from->memory_bytes;
}

static void add_connections(struct connection_counts *to, const struct connection_counts *from) {
	to->current += from->current;
	to->total += from->total;
	to->rejected += from->rejected;
	to->rejected_memory += from->rejected_memory;
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->buffer_bytes += from->buffer_bytes;
	to->idle_kicks += from->idle_kicks;
	to->killed += from->killed;
	to->memory_closed += from->memory_closed;
	to->yields += from->yields;
	to->reads += from->reads;
	to->requests_out += from->requests_out;
	to->requests_in += from->requests_in;
	to->flush_commands += from->flush_commands;
	to->auth_commands += from->auth_commands;
	to->auth_errors += from->auth_errors;
	add_tls(&to->tls, &from->tls);
}

static void add_pool(snug_pool_stats *to, const snug_pool_stats *from) {
	to->objects += from->objects;
	to->payload_bytes += from->payload_bytes;
	to->slot_bytes += from->slot_bytes;
	to->slab_bytes += from->slab_bytes;
	to->hole_bytes += from->hole_bytes;
	to->reclaimable_bytes += from->reclaimable_bytes;
	to->slabs += from->slabs;
	to->pinned_slabs += from->pinned_slabs;
	to->active_classes += from->active_classes;
}

static void add_heap(snug_stats *to, const snug_stats *from) {
	to->limit_bytes += from->limit_bytes;
	to->limit_goal_bytes += from->limit_goal_bytes;
	to->page_bytes = from->page_bytes;
	to->committed_bytes += from->committed_bytes;
	to->metadata_bytes += from->metadata_bytes;
	to->charged_bytes += from->charged_bytes;
	to->peak_bytes += from->peak_bytes;
	to->free_page_bytes += from->free_page_bytes;
	to->available_bytes += from->available_bytes;
	to->pinned_objects += from->pinned_objects;
	to->pinned_bytes += from->pinned_bytes;
	to->compacting_allocations += from->compacting_allocations;
	to->moves += from->moves;
	to->moved_bytes += from->moved_bytes;
	to->reclaimed_bytes += from->reclaimed_bytes;
	to->returned_bytes += from->returned_bytes;
	to->defragmentations += from->defragmentations;
	to->late_steps += from->late_steps;
	add_pool(&to->total, &from->total);
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++)
		add_pool(&to->pool[pool], &from->pool[pool]);
}

/* Counters since the last reset; what is held is held. */
static void add_shard(snug_shard_stats *to, const snug_shard_stats *from,
					  const snug_shard_stats *base) {
	to->items += from->items;
	to->item_bytes += from->item_bytes;
	to->key_bytes += from->key_bytes;
	to->value_bytes += from->value_bytes;
	to->index_bytes += from->index_bytes;
	to->ghost_bytes += from->ghost_bytes;
	to->leases += from->leases;
	to->stores += from->stores - base->stores;
	to->evictions += from->evictions - base->evictions;
	to->evicted_unfetched += from->evicted_unfetched - base->evicted_unfetched;
	to->expired += from->expired - base->expired;
	to->expired_unfetched += from->expired_unfetched - base->expired_unfetched;
	to->flushed += from->flushed - base->flushed;
	to->refused += from->refused - base->refused;
	add_heap(&to->heap, &from->heap);
}

void figures_add(struct figures *sum, const struct server_worker *worker) {
	snug_shard_stats shard;
	add_counts(&sum->counts, &worker->counts);
	add_connections(&sum->connections, &worker->connections);
	const struct http_tries *tries = &worker->server->http_tries;
	sum->connections.auth_commands += figures_http(worker, &tries->commands);
	sum->connections.auth_errors += figures_http(worker, &tries->errors);
	if (snug_shard_stats_get(worker->shard, &shard) == SNUG_OK)
		add_shard(&sum->shard, &shard, &worker->shard_base);
}
