/* mem/slots.c: see mem/slots.h for the order in which room is looked for. */
#include "mem/slots.h"

#include "mem/arena.h"
#include "mem/evacuate.h"
#include "mem/limit.h"

#ifndef BORROW_PARTS
#define BORROW_PARTS 32u
#endif /* a borrowed slot is at most 1/32 larger */

/* ------------------------------------------------------------------ magazines ------ */

void slot_return(snug_pools *pools, struct size_class *class, uint64_t offset) {
	slab_return(pools, class, offset);
}

void magazine_flush(snug_pools *pools, struct size_class *class) {
	while (class->magazine_count > 0) slab_return(pools, class, class->magazine[--class->magazine_count]);
}

/* What can be had without moving anything. */
static void flush_all(snug_pools *pools) {
	for (uint32_t index = pools->classes.active_count; index-- > 0;) {
		struct size_class *class = pools->classes.active[index];
		if (class_reclaimable_unpinned(class) == 0) continue;
		magazine_flush(pools, class);
		slab_release_empty(pools, class);
	}
}

bool magazine_refill(snug_pools *pools, struct size_class *class) {
	uint32_t want = class->magazine_capacity / 2;
	uint64_t *top = class->magazine + class->magazine_count;
	SNUG_ASSERT(class->magazine_count <= class->magazine_capacity - want);
	uint32_t taken = slab_take_fullest(pools, class, want, top);
	if (taken == 0) taken = slab_take_pinned(pools, class, want, top);
	class->magazine_count += taken;
	return taken > 0;
}

/* A hole of the class, through its magazine if it has one. */
static bool take_hole(snug_pools *pools, struct size_class *class, uint64_t *offset) {
	if (class->magazine_capacity == 0) {
		return slab_take_fullest(pools, class, 1, offset) > 0 || slab_take_pinned(pools, class, 1, offset) > 0;
	}
	if (class->magazine_count == 0 && !magazine_refill(pools, class)) return false;
	*offset = class->magazine[--class->magazine_count];
	return true;
}

/* ------------------------------------------------------------------ room ----------- */

/* Whatever could make a page gainable counts as a change. */
static uint64_t changes_so_far(const snug_pools *pools) {
	return pools->changes + pools->totals.frees;
}

static bool nothing_to_gain(const snug_pools *pools) {
	return pools->searched_at == changes_so_far(pools);
}

static void note_pages_gained(snug_pools *pools, uint64_t before_pages) {
	uint64_t after_pages = arena_free_pages(&pools->arena);
	if (after_pages > before_pages) pools->totals.reclaimed_pages += after_pages - before_pages;
}

static bool compact_one_page(snug_pools *pools) {
	/* The page that a half relocated slab holds too much can be gained. */
	if (pools->target != PAGE_NONE) victim_abandon(pools);
	if (nothing_to_gain(pools)) return false;
	uint64_t before_pages = arena_free_pages(&pools->arena);
	if (pools->options.no_compaction_in_alloc) {
		flush_all(pools);
	} else {
		while (arena_free_pages(&pools->arena) <= before_pages) {
			if (pools->victim == PAGE_NONE && !victim_pick(pools, ALL_POOLS)) break;
			if (pools->victim != PAGE_NONE) victim_evacuate(pools, pools->arena.page_bytes, false);
		}
	}
	if (arena_free_pages(&pools->arena) <= before_pages) {
		pools->searched_at = changes_so_far(pools);
		return false;
	}
	note_pages_gained(pools, before_pages);
	return true;
}

static bool merge_one_page(snug_pools *pools) {
	if (pools->options.no_compaction_in_alloc) return false;
	uint64_t before_pages = arena_free_pages(&pools->arena);
	if (pools->victim == PAGE_NONE && !victim_pick_merge(pools, ALL_POOLS)) return false;
	while (pools->victim != PAGE_NONE) {
		struct size_class *class = class_of_page(pools, pools->victim);
		victim_evacuate(pools, pools->arena.page_bytes, true);
		if (pools->victim == PAGE_NONE) class_retire_if_empty(pools, class);
	}
	note_pages_gained(pools, before_pages);
	return arena_free_pages(&pools->arena) > before_pages;
}

static uint64_t most_pages_to_gain(const snug_pools *pools) {
	uint64_t pages = arena_available_pages(&pools->arena);
	for (uint32_t index = 0; index < pools->classes.active_count; index++) {
		/* One more for the slab that only a merge empties. */
		pages += class_reclaimable(pools, pools->classes.active[index]) + 1;
	}
	return pages;
}

uint64_t room_pages(const snug_pools *pools, bool os_refused) {
	return os_refused ? arena_free_pages(&pools->arena) : arena_available_pages(&pools->arena);
}

bool room_make(snug_pools *pools, uint64_t pages, bool os_refused) {
	if (room_pages(pools, os_refused) >= pages) return true;
	if (most_pages_to_gain(pools) < pages) return false;
	limit_keep(&pools->arena, pages);
	pools->totals.compacting_allocations++;
	while (room_pages(pools, os_refused) < pages) {
		if (!compact_one_page(pools) && !merge_one_page(pools)) return false;
	}
	limit_keep_no_more(&pools->arena);
	return true;
}

static bool borrow(snug_pools *pools, uint16_t id, uint64_t *offset, struct size_class **out) {
	const struct class_table *table = &pools->classes;
	uint32_t stride_max = table->entry[id].stride + table->entry[id].stride / BORROW_PARTS;
	uint16_t end = table->first[class_family(table, id) + 1];
	for (uint16_t larger = id; larger < end && table->entry[larger].stride <= stride_max; larger++) {
		struct size_class *class = table->state[larger];
		if (class == NULL) continue;
		if (!take_hole(pools, class, offset)) continue;
		*out = class;
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ allocation ----- */

/* Pays for each page taken below the low-water mark with a step of compaction. */
void room_pace(snug_pools *pools) {
	const snug_options *options = &pools->options;
	if (LIKELY(options->pace_low_water_bytes == 0) || nothing_to_gain(pools)) return;
	if (arena_available_pages(&pools->arena) << pools->arena.page_shift >= options->pace_low_water_bytes) return;
	if (pools->target != PAGE_NONE) return;
	uint64_t before_pages = arena_free_pages(&pools->arena);
	if (pools->victim == PAGE_NONE && !victim_pick(pools, ALL_POOLS)) pools->searched_at = changes_so_far(pools);
	uint64_t moved_bytes = 0;
	while (pools->victim != PAGE_NONE && moved_bytes < options->pace_step_bytes) {
		moved_bytes += victim_evacuate(pools, options->pace_step_bytes - moved_bytes, false);
	}
	note_pages_gained(pools, before_pages);
}

/* Slot from the class or from a new slab of it. */
static snug_error take_or_grow(snug_pools *pools, uint16_t id, bool may_compact, uint64_t *offset,
							   struct size_class **out) {
	snug_error error = class_serving(pools, id, out);
	if (error) return error;
	if (take_hole(pools, *out, offset)) return SNUG_OK;
	if (may_compact) {
		room_pace(pools);
		/* Pacing may have opened or even retired what we looked at. */
		error = class_serving(pools, id, out);
		if (error) return error;
		if (take_hole(pools, *out, offset)) return SNUG_OK;
	}
	page_number page;
	error = slab_create(pools, *out, &page);
	if (error && pools->victim != PAGE_NONE && class_of_page(pools, pools->victim) == *out) {
		victim_abandon(pools);
		error = SNUG_OK;
	}
	if (error) return error;
	bool filled = take_hole(pools, *out, offset);
	SNUG_ASSERT(filled);
	return filled ? SNUG_OK : SNUG_ERROR_CORRUPT;
}

snug_error slot_alloc_slow(snug_pools *pools, uint16_t id, bool may_compact, uint64_t *offset,
						   struct size_class **out) {
	bool counted = false;
	for (;;) {
		snug_error error = take_or_grow(pools, id, may_compact, offset, out);
		if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) {
			limit_keep_no_more(&pools->arena);
			return error;
		}
		limit_keep(&pools->arena, 1);
		if (may_compact && !counted) {
			pools->totals.compacting_allocations++;
			counted = true;
		}
		if (may_compact && compact_one_page(pools)) continue;
		if (borrow(pools, id, offset, out)) return SNUG_OK;
		if (may_compact && merge_one_page(pools)) continue;
		return error;
	}
}
