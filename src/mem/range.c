/* mem/range.c: see mem/range.h. */
#include "mem/range.h"

#include "base/assert.h"
#include "mem/arena.h"
#include "mem/limit.h"

snug_error range_ensure(struct arena *arena, struct range *range, size_t bytes) {
	if (LIKELY(bytes <= range->committed_bytes)) return SNUG_OK;
	if (bytes > range->reserved_bytes) return SNUG_ERROR_NO_MEMORY;
	size_t target_bytes = round_up(bytes, METADATA_GRAIN);
	size_t more_bytes = target_bytes - range->committed_bytes;
	size_t allowed_bytes = arena->limit_bytes; /* which may follow what is traded for it */
	while (limit_account(arena) + more_bytes > allowed_bytes) {
		if (!arena_trade_page(arena)) return SNUG_ERROR_NO_MEMORY;
	}
	if (!arena->os->commit(arena->os->context, range->base + range->committed_bytes, more_bytes)) {
		return SNUG_ERROR_OS_MEMORY;
	}
	range->committed_bytes = target_bytes;
	arena->metadata_bytes += more_bytes;
	limit_settle(arena);
	limit_note_peak(arena);
	SNUG_ASSERT(limit_allows(arena, 0));
	return SNUG_OK;
}

void range_drop(struct arena *arena, struct range *range) {
	if (range->committed_bytes == 0) return;
	if (!arena->os->decommit(arena->os->context, range->base, range->committed_bytes)) return;
	arena->metadata_bytes -= range->committed_bytes;
	range->committed_bytes = 0;
	limit_settle(arena);
}
