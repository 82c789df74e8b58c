/* mem/defragment/stats.c: the snapshot (snug/stats.h).
 *
 *   internal fragmentation   1 - payload / slots in use
 *   external fragmentation   holes / slabs
 *   reclaimable              whole pages that compaction would free now: what one would get
 *   utilisation              payload / (committed + metadata)
 *
 * Counters are kept by the operations; here they are only added up, one cache line a class. So it
 * takes 0.66 us with 196 active classes in cache and 3.7 us without (docs/benchmarks.md), and may
 * be asked for as often as one likes. A victim and its target are one slab: the page of one of them
 * will be free, and is counted so. */
#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"
#include "mem/defragment/choose.h"
#include "mem/gate.h"
#include "mem/slab/host.h"

static double ratio(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0.0 : (double)part / (double)whole;
}

/* Slabs whose holes are lent: what lives in them, be it theirs or not, and what is left. */
static void add_hosts(const struct size_class *class, snug_pool_stats *pool) {
	uint64_t in_use = host_residents(class) + class->host_guests;
	SNUG_ASSERT(class->pinned_hosts <= class->hosts);
	pool->objects += in_use;
	pool->slot_bytes += in_use * class->stride;
	pool->hole_bytes += (uint64_t) class->host_empty * class->stride;
	pool->slabs += class->hosts;
	pool->pinned_slabs += class->pinned_hosts;
}

static void add_class(const struct arena *arena, const struct size_class *class,
					  snug_pool_stats *pool) {
	uint64_t live = class_live_slots(class), stride = class->stride;
	uint32_t slabs = class->slabs, slots_a_slab = class->slots, pinned = class->pinned_slabs;
	uint64_t holes = (uint64_t)slabs * slots_a_slab - live;
	SNUG_ASSERT(live <= (uint64_t)slabs * slots_a_slab && pinned <= slabs);
	if (UNLIKELY(class->hosts > 0)) add_hosts(class, pool);
	/* Most classes hold less than a slab of holes: no division for those. */
	if (holes >= slots_a_slab)
		pool->reclaimable_bytes += class_reclaimable(class) << arena->page_shift;
	pool->payload_bytes += class->payload_bytes;
	pool->objects += live;
	pool->slot_bytes += live * stride;
	pool->hole_bytes += holes * stride;
	pool->slabs += slabs;
	pool->pinned_slabs += pinned;
	pool->active_classes++;
}

static void add_pool(const snug_pool_stats *pool, snug_pool_stats *total) {
	total->objects += pool->objects;
	total->payload_bytes += pool->payload_bytes;
	total->slot_bytes += pool->slot_bytes;
	total->slab_bytes += pool->slab_bytes;
	total->hole_bytes += pool->hole_bytes;
	total->reclaimable_bytes += pool->reclaimable_bytes;
	total->slabs += pool->slabs;
	total->pinned_slabs += pool->pinned_slabs;
	total->active_classes += pool->active_classes;
}

static void finish_pool(snug_pool_stats *pool) {
	pool->internal_fragmentation =
		pool->slot_bytes == 0 ? 0.0 : 1.0 - ratio(pool->payload_bytes, pool->slot_bytes);
	pool->external_fragmentation = ratio(pool->hole_bytes, pool->slab_bytes);
}

snug_error snug_stats_get(snug_heap *heap, snug_stats *out) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	const struct arena *arena = &heap->arena;
	uint64_t relocating = heap->target != PAGE_NONE;
	*out = (snug_stats){
		.limit_bytes = arena->limit_bytes,
		.limit_goal_bytes = arena->limit_goal_bytes,
		.charged_bytes = arena->charged_bytes,
		.page_bytes = arena->page_bytes,
		.return_unit_bytes = arena->huge_pages ? REGION_BYTES : arena->page_bytes,
		.committed_bytes = arena->committed_bytes,
		.metadata_bytes = arena->metadata_bytes,
		.free_page_bytes = (arena_free_pages(arena) + relocating) << arena->page_shift,
		.available_bytes = (arena_available_pages(arena) + relocating) << arena->page_shift,
		.peak_bytes = arena->peak_bytes,
		.pinned_objects = heap->pins.count,
		.pinned_bytes = heap->pins.payload_bytes,
		.frees = heap->frees,
		.failed_allocations = heap->totals.failed_allocations,
		.compacting_allocations = heap->totals.compacting_allocations,
		.moves = heap->totals.moves,
		.moved_bytes = heap->totals.moved_bytes,
		.reclaimed_bytes = heap->totals.reclaimed_pages << arena->page_shift,
		.returned_bytes = heap->totals.returned_bytes,
		.defragmentations = heap->totals.defragmentations,
		.late_steps = heap->totals.late_steps,
	};
	uint64_t guests = 0;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		add_class(arena, class, &out->pool[class->pool]);
		guests += class->host_guests;
	}
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		out->pool[pool].slab_bytes = (uint64_t)out->pool[pool].slabs << arena->page_shift;
		out->pool[pool].payload_bytes += heap->payload_bytes[pool];
		finish_pool(&out->pool[pool]);
		add_pool(&out->pool[pool], &out->total);
	}
	finish_pool(&out->total);
	out->objects = out->pool[SNUG_POOL_SMALL].objects + out->pool[SNUG_POOL_MEDIUM].objects +
				   heap->chains - guests;
	out->allocations = out->frees + out->objects;
	out->lent_slots = guests;
	out->utilisation = ratio(out->total.payload_bytes, out->committed_bytes + out->metadata_bytes);
	return SNUG_OK;
}
