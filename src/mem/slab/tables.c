/* mem/slab/tables.c: which table is trimmed next; see mem/slab/tables.h.
 *
 * Handles come first: they are the largest by far, 8 bytes an object, where all cells are at most
 * 1.6 % of the limit and all descriptors 0.8 %. The others are done when no handle is left to do,
 * because a slice of them is short. */
#include "mem/slab/tables.h"

#include "base/assert.h"
#include "mem/arena/arena.h"
#include "mem/arena/cells.h"
#include "mem/arena/limit.h"
#include "mem/slab/classes.h"
#include "mem/slab/handle_trim.h"
#include "mem/slab/magazine.h"

#define CLASSES_A_SLICE 8u
#define GRAINS_A_SLICE 2u

/* Objects have at least a byte. */
static bool is_empty(const snug_heap *heap) {
	uint64_t bytes = 0;
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) bytes += heap_payload_bytes(heap, pool);
	return bytes == 0;
}

/* Of an empty heap, with the empty slab that each may have kept. True: so many ended that there may
 * be more. */
static bool retire_classes(snug_heap *heap) {
	uint32_t retired = 0;
	for (uint32_t index = heap->classes.active_count; index-- > 0 && retired < CLASSES_A_SLICE;) {
		struct size_class *class = class_active(&heap->classes, index);
		magazine_flush(heap, class);
		slab_release_empty(heap, class);
		retired += class_retire(heap, class);
	}
	return retired == CLASSES_A_SLICE;
}

static void drop_pins(snug_heap *heap) {
	struct pin_table *pins = &heap->pins;
	if (pins->count > 0 || pins->capacity == 0) return;
	SNUG_ASSERT(pins->record_count == 0);
	range_shrink(&heap->arena, &pins->ranges[pins->current], 0);
	if (pins->ranges[pins->current].committed_bytes == 0) pins->capacity = 0;
}

static bool trim_some(snug_heap *heap, enum trim how, uint32_t most_grains) {
	if (handles_trim(heap, how, most_grains)) return true;
	if (how != TRIM_SPARE) {
		bool empty = is_empty(heap);
		if (empty && retire_classes(heap)) return true;
		/* else free pages would keep the descriptors of a limit that was higher once */
		if (empty && arena_return_behind(&heap->arena, limit_pages_ever(heap))) return true;
		drop_pins(heap);
	}
	if (cells_trim(&heap->arena, &heap->cells, how == TRIM_SPARE ? 1 : 0)) return true;
	return arena_forget_cold(&heap->arena);
}

bool tables_trim_slice(snug_heap *heap, enum trim how) {
	return trim_some(heap, how, GRAINS_A_SLICE);
}

/* Whatever can make a table smaller counts as a change. */
static uint64_t changes_so_far(const snug_heap *heap) {
	return heap->changes + heap->frees + heap->totals.released_slabs;
}

size_t tables_trim(snug_heap *heap, enum trim how) {
	size_t before_bytes = heap->arena.metadata_bytes;
	if (heap->trimmed_at[how] == changes_so_far(heap)) return 0;
	while (trim_some(heap, how, TRIM_RUN_MAX)) {
	}
	heap->trimmed_at[how] = changes_so_far(heap);
	size_t after_bytes = heap->arena.metadata_bytes;
	return before_bytes > after_bytes ? before_bytes - after_bytes : 0;
}
