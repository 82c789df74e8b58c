/* mem/limit.c: the limit in the owner's hands: another one, and memory of his own under it. */
#include "mem/limit.h"

#include "mem/arena.h"
#include "mem/gate.h"
#include "mem/slots.h"

snug_error snug_heap_set_limit(snug_heap *heap, size_t limit_bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (limit_bytes > heap->options.limit_max_bytes) return SNUG_ERROR_OPTION;
	if (!limit_is_workable(limit_bytes, heap->arena.page_bytes)) return SNUG_ERROR_LIMIT_TOO_SMALL;
	heap->arena.limit_goal_bytes = limit_bytes;
	limit_keep_no_more(&heap->arena);
	limit_settle(&heap->arena);
	heap->object_max_bytes = limit_object_bytes(heap, limit_bytes);
	return SNUG_OK;
}

snug_error snug_heap_charge(snug_heap *heap, size_t bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	struct arena *arena = &heap->arena;
	size_t allowed_bytes = arena->limit_bytes; /* which may follow what is traded for it */
	if (bytes > arena->limit_goal_bytes) return SNUG_ERROR_NO_MEMORY;
	while (limit_account(arena) + bytes > allowed_bytes) {
		if (arena_trade_page(arena)) continue;
		limit_keep(arena, (bytes >> arena->page_shift) + 1);
		if (heap->options.no_compaction_in_alloc || !room_make(heap, 1, true)) return SNUG_ERROR_NO_MEMORY;
	}
	arena->charged_bytes += bytes;
	limit_keep_no_more(arena);
	limit_settle(arena);
	limit_note_peak(arena);
	return SNUG_OK;
}

snug_error snug_heap_discharge(snug_heap *heap, size_t bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (bytes > heap->arena.charged_bytes) return SNUG_ERROR_RANGE;
	heap->arena.charged_bytes -= bytes;
	limit_settle(&heap->arena);
	return SNUG_OK;
}
