/* server/figures/figures_memory.c: what the memory is used for: a subtraction for each purpose, from
 * figures that are kept anyway. See server/figures/figures.h. */
#include "base/assert.h"
#include "server/figures/figures.h"

/* What is left of it. More than there is would be a figure that is wrong: it is told as nothing. */
static uint64_t rest(uint64_t whole, uint64_t part) {
	SNUG_ASSERT(part <= whole);
	return part <= whole ? whole - part : 0;
}

struct memory_parts memory_parts_of(const snug_shard_stats *shard) {
	const snug_stats *heap = &shard->heap;
	const snug_pool_stats *slabs = &heap->total;
	return (struct memory_parts){
		.values = shard->value_bytes,
		.keys = shard->key_bytes,
		.heads = rest(shard->item_bytes, shard->value_bytes + shard->key_bytes),
		.held = rest(slabs->payload_bytes, shard->item_bytes),
		.waste = rest(slabs->slot_bytes, slabs->payload_bytes),
		.holes = slabs->hole_bytes,
		.page_ends = rest(slabs->slab_bytes, slabs->slot_bytes + slabs->hole_bytes),
		.free_pages = heap->free_page_bytes,
		.tables = heap->metadata_bytes,
		.index = shard->index_bytes,
		.ghosts = shard->ghost_bytes,
		.workers = rest(heap->charged_bytes, shard->index_bytes + shard->ghost_bytes),
	};
}

uint64_t memory_used_bytes(const snug_shard_stats *shard) {
	const snug_stats *heap = &shard->heap;
	return heap->committed_bytes + heap->metadata_bytes + heap->charged_bytes;
}
