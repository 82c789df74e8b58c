/* mem/object/room.c: making room. For the order in which it is looked for: room.h.
 *
 * ONE LOOP. Whatever needs room says how it would try with what is there (struct need). room_find
 * tries; when there was too little, it goes through the table of ways from the top until one has
 * changed something, and tries again. A slot, a chain, a batch, a table that must grow and a charge
 * differ in their attempt alone.
 *
 * A SEARCH THAT FOUND NOTHING is not repeated until something has changed. heap->changes and the
 * number of frees count all that could make a page gainable: freed slots, unpins, victims that were
 * put back. searched_at is their sum when the last search failed. So for a program that goes on
 * asking a full heap compaction is one comparison; merging looks at each active class every time.
 * Flushing all magazines before giving up was rejected but for 11 in room.h, which few needs come
 * to: each refusal then costs 10 us and refills them again.
 *
 * NEEDS OF MANY PAGES are counted before the first is gained: what compaction would free for
 * certain, and one more page for each class, which merging may. If that is too little, nothing
 * moves. Where the OS has refused memory, cold pages do not count: they can't be had.
 *
 * PACING (room_pace). An owner who asked for it pays for each page that he takes below a low-water
 * mark with one step of compaction. Then no allocation has to make all the room at once.
 *
 * A VICTIM WITH A TARGET is the two halves of a slab that is relocated. They hold a page too much,
 * so that page is taken back first. A victim without one may be of the class that needs a slot: its
 * holes are better used than a page (3 in room.h).
 *
 * Pages that are gained here are counted as reclaimed, but in no report: reports are of steps that
 * the owner asked for. limit_keep tells the account how many pages wait to be used, so that a limit
 * that is on its way down does not take them. */
#include "mem/object/room.h"

#include "mem/arena/arena.h"
#include "mem/arena/limit.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/evacuate.h"
#include "mem/slab/host.h"
#include "mem/slab/tables.h"

#define BORROW_PARTS 32u /* a borrowed slot is at most 1/32 larger; */
#define LOOSE_PARTS 8u   /* as the last resort before pieces 1/8, or as much as two trailers */

/* What can be had without moving anything. */
static void flush_all(snug_heap *heap) {
	for (uint32_t index = heap->classes.active_count; index-- > 0;) {
		struct size_class *class = class_active(&heap->classes, index);
		if (class_reclaimable_unpinned(class) == 0) continue;
		magazine_flush(heap, class);
		slab_release_empty(heap, class);
	}
}

/* A hole of the class, through its magazine if it has one. */
static bool take_hole(snug_heap *heap, struct size_class *class, uint64_t *offset) {
	if (class->magazine_capacity == 0) {
		return slab_take_fullest(heap, class, 1, offset) > 0 ||
			   slab_take_pinned(heap, class, 1, offset) > 0 ||
			   host_take_resident(heap, class, offset);
	}
	if (class->magazine_count == 0 && !magazine_refill(heap, class))
		return host_take_resident(heap, class, offset);
	SNUG_ASSERT(class->magazine_count > 0);
	*offset = class->magazine[--class->magazine_count];
	return true;
}

/* ------------------------------------------------------------------ room ----------- */

/* Whatever could make a page gainable counts as a change. */
static uint64_t changes_so_far(const snug_heap *heap) {
	return heap->changes + heap->frees;
}

static bool nothing_to_gain(const snug_heap *heap) {
	return heap->searched_at == changes_so_far(heap);
}

static void note_pages_gained(snug_heap *heap, uint64_t before_pages) {
	SNUG_ASSERT(heap->target == PAGE_NONE);
	uint64_t after_pages = arena_free_pages(&heap->arena);
	if (after_pages > before_pages) heap->totals.reclaimed_pages += after_pages - before_pages;
}

static bool compact_one_page(snug_heap *heap) {
	if (heap->target != PAGE_NONE) victim_abandon(heap);
	if (nothing_to_gain(heap)) return false;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->options.no_compaction_in_alloc) {
		flush_all(heap);
	} else {
		while (arena_free_pages(&heap->arena) <= before_pages) {
			if (heap->victim == PAGE_NONE && !victim_pick(heap, ALL_POOLS)) break;
			if (heap->victim != PAGE_NONE)
				victim_evacuate(heap, heap->arena.page_bytes, MERGE_NONE);
		}
	}
	if (arena_free_pages(&heap->arena) <= before_pages) {
		heap->searched_at = changes_so_far(heap);
		return false;
	}
	note_pages_gained(heap, before_pages);
	return true;
}

static bool merge_one_page(snug_heap *heap, enum merge merge) {
	if (heap->options.no_compaction_in_alloc) return false;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->victim == PAGE_NONE && !victim_pick_merge(heap, ALL_POOLS, merge)) return false;
	while (heap->victim != PAGE_NONE) {
		struct size_class *class = class_of_page(heap, heap->victim);
		victim_evacuate(heap, heap->arena.page_bytes, merge);
		if (heap->victim == PAGE_NONE) class_retire_if_empty(heap, class);
	}
	SNUG_ASSERT(heap->victim == PAGE_NONE);
	note_pages_gained(heap, before_pages);
	return arena_free_pages(&heap->arena) > before_pages;
}

uint64_t room_pages(const snug_heap *heap, const struct need *need) {
	return need->os_refused ? arena_free_pages(&heap->arena) : arena_available_pages(&heap->arena);
}

static uint64_t most_pages_to_gain(const snug_heap *heap, const struct need *need) {
	uint64_t pages = room_pages(heap, need);
	bool in_use = false;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		pages += class_reclaimable(class_active(&heap->classes, index)) + 1;
		in_use |= class_live_slots(class_active(&heap->classes, index)) > 0;
	}
	/* Of an empty heap all classes can end. */
	return in_use ? pages : pages + (heap->cells.range.committed_bytes >> heap->arena.page_shift);
}

/* ------------------------------------------------------------------ the ways ------- */

enum progress {
	NOTHING, /* this way leads nowhere */
	GAINED,  /* a page: it is worth another attempt */
	FOUND    /* what was needed */
};

static bool pages_would_help(const snug_heap *heap, const struct need *need) {
	uint64_t at_hand = room_pages(heap, need);
	if (at_hand >= need->pages_most) return false;
	return need->pages <= at_hand + 1 || most_pages_to_gain(heap, need) >= need->pages;
}

static enum progress by_compacting(snug_heap *heap, struct need *need) {
	if (need->effort != ROOM_MADE || !pages_would_help(heap, need)) return NOTHING;
	return compact_one_page(heap) ? GAINED : NOTHING;
}

static enum progress by_borrowing(snug_heap *heap, struct need *need) {
	bool found = need->take_larger != NULL && need->take_larger(heap, need, BORROW_PARTS);
	return found ? FOUND : NOTHING;
}

static enum progress by_merging(snug_heap *heap, struct need *need) {
	if (need->effort != ROOM_MADE || !pages_would_help(heap, need)) return NOTHING;
	return merge_one_page(heap, MERGE_CLOSE) ? GAINED : NOTHING;
}

/* Once: what ends here may begin again for this need. Not for an owner who evicts: he has counted
 * on the tables as they are (fit.h), and the OS may not give again what goes back now. */
static enum progress by_trimming(snug_heap *heap, struct need *need) {
	if (need->effort != ROOM_MADE || need->trimmed || heap->options.no_last_resort) return NOTHING;
	need->trimmed = true;
	return tables_trim(heap, need->trims_all ? TRIM_ALL : TRIM_NEED) > 0 ? GAINED : NOTHING;
}

static bool is_last_resort(const snug_heap *heap, const struct need *need) {
	return need->effort != ROOM_AT_HAND && !heap->options.no_last_resort;
}

static enum progress by_taking_loose(snug_heap *heap, struct need *need) {
	if (need->take_larger == NULL || !is_last_resort(heap, need)) return NOTHING;
	return need->take_larger(heap, need, LOOSE_PARTS) ? FOUND : NOTHING;
}

static enum progress by_taking_any(snug_heap *heap, struct need *need) {
	if (need->take_larger == NULL || need->can_be_cut || !is_last_resort(heap, need))
		return NOTHING;
	return need->take_larger(heap, need, 0) ? FOUND : NOTHING;
}

/* Slots in magazines are holes too, and an empty slab is a page. */
static bool flush_everything(snug_heap *heap) {
	uint64_t before_pages = arena_free_pages(&heap->arena);
	for (uint32_t index = heap->classes.active_count; index-- > 0;) {
		magazine_flush(heap, class_active(&heap->classes, index));
		slab_release_empty(heap, class_active(&heap->classes, index));
	}
	note_pages_gained(heap, before_pages);
	return arena_free_pages(&heap->arena) > before_pages;
}

static enum progress by_merging_any(snug_heap *heap, struct need *need) {
	bool last_resort = !need->can_be_cut && is_last_resort(heap, need);
	if (need->effort != ROOM_MADE || !last_resort) return NOTHING;
	if (!pages_would_help(heap, need)) return NOTHING;
	if (flush_everything(heap)) return GAINED;
	return merge_one_page(heap, MERGE_ANY) ? GAINED : NOTHING;
}

/* The order in room.h. */
static enum progress (*const ways[])(snug_heap *, struct need *) = {
	by_compacting,   by_borrowing,  by_merging,     by_trimming,
	by_taking_loose, by_taking_any, by_merging_any,
};

static bool is_shortage(snug_error error) {
	return error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY;
}

static enum progress try_ways(snug_heap *heap, struct need *need) {
	enum progress progress = NOTHING;
	for (size_t way = 0; way < sizeof ways / sizeof *ways && progress == NOTHING; way++)
		progress = ways[way](heap, need);
	return progress;
}

void room_raise(const snug_heap *heap, struct need *need, snug_error error) {
	SNUG_ASSERT(is_shortage(error));
	if (error == SNUG_ERROR_OS_MEMORY) need->os_refused = true;
	uint64_t at_hand = room_pages(heap, need);
	need->pages = at_hand >= need->pages ? at_hand + 1 : need->pages + 1;
	SNUG_ASSERT(need->pages > at_hand);
}

static uint64_t pages_to_keep(const struct need *need) {
	uint64_t pages = need->pages > need->pages_kept ? need->pages : need->pages_kept;
	return pages > 0 ? pages : 1;
}

snug_error room_find(snug_heap *heap, struct need *need) {
	bool counted = need->effort != ROOM_MADE;
	for (;;) {
		snug_error error = need->attempt(heap, need);
		if (is_shortage(error)) {
			if (error == SNUG_ERROR_OS_MEMORY) need->os_refused = true;
			limit_keep(&heap->arena, pages_to_keep(need));
			if (!counted) heap->totals.compacting_allocations++;
			counted = true;
			enum progress progress = try_ways(heap, need);
			if (progress == GAINED) continue;
			if (progress == NOTHING) return error;
			error = SNUG_OK;
		}
		limit_keep_no_more(&heap->arena);
		return error;
	}
}

/* ------------------------------------------------------------------ slots ---------- */

/* Pays for each page taken below the low-water mark with a step of compaction. */
void room_pace(snug_heap *heap) {
	const snug_heap_options *options = &heap->options;
	if (LIKELY(options->pace_low_water_bytes == 0) || nothing_to_gain(heap)) return;
	if (arena_available_pages(&heap->arena) << heap->arena.page_shift >=
		options->pace_low_water_bytes)
		return;
	if (heap->target != PAGE_NONE) return;
	uint64_t before_pages = arena_free_pages(&heap->arena);
	if (heap->victim == PAGE_NONE && !victim_pick(heap, ALL_POOLS))
		heap->searched_at = changes_so_far(heap);
	uint64_t moved_bytes = 0;
	while (heap->victim != PAGE_NONE && moved_bytes < options->pace_step_bytes) {
		moved_bytes += victim_evacuate(heap, options->pace_step_bytes - moved_bytes, MERGE_NONE);
	}
	note_pages_gained(heap, before_pages);
}

/* A page is free, but no memory for the bitmap that a slab of this class has beside it: so a larger
 * class's, whose slabs have none, takes it. The page's room is better used loosely than not. */
static snug_error grow_larger(snug_heap *heap, uint16_t id, uint64_t *offset,
							  struct size_class **out) {
	const struct class_table *table = &heap->classes;
	uint16_t end = table->first[class_family(table, id) + 1];
	for (; id < end; id++) {
		struct size_class *class = table->state[id];
		page_number page;
		if (class == NULL || class->slots > INLINE_BITMAP_SLOTS) continue;
		if (!take_hole(heap, class, offset) &&
			(slab_create(heap, class, &page) != SNUG_OK || !take_hole(heap, class, offset)))
			continue;
		*out = class;
		return SNUG_OK;
	}
	return SNUG_ERROR_NO_MEMORY;
}

/* Slot from the class or from a new slab of it. */
static snug_error take_or_grow(snug_heap *heap, uint16_t id, bool may_move, uint64_t *offset,
							   struct size_class **out) {
	snug_error error = class_serving(heap, id, out);
	if (error) return error;
	if (take_hole(heap, *out, offset)) return SNUG_OK;
	if (may_move) {
		room_pace(heap);
		/* Pacing may have opened or even retired what we looked at. */
		error = class_serving(heap, id, out);
		if (error) return error;
		if (take_hole(heap, *out, offset)) return SNUG_OK;
	}
	page_number page;
	error = slab_create(heap, *out, &page);
	if (error && heap->victim != PAGE_NONE && class_of_page(heap, heap->victim) == *out) {
		victim_abandon(heap);
		error = SNUG_OK;
	}
	bool is_bitmap =
		error && (*out)->slots > INLINE_BITMAP_SLOTS && arena_free_pages(&heap->arena) > 0;
	if (is_bitmap && grow_larger(heap, id, offset, out) == SNUG_OK) return SNUG_OK;
	if (error) return error;
	bool filled = take_hole(heap, *out, offset);
	SNUG_ASSERT(filled);
	return filled ? SNUG_OK : SNUG_ERROR_CORRUPT;
}

struct slot_need {
	struct need need; /* first: its functions get it back as this */
	uint16_t id;
	uint64_t offset;
	struct size_class *class;
};

static snug_error attempt_slot(snug_heap *heap, struct need *need) {
	struct slot_need *slot = (struct slot_need *)need;
	return take_or_grow(heap, slot->id, need->effort == ROOM_MADE, &slot->offset, &slot->class);
}

/* The largest stride that is taken for an object of this class. */
static uint32_t stride_most(const snug_heap *heap, uint16_t id, uint32_t reach_parts) {
	if (reach_parts == 0) return UINT32_MAX;
	uint32_t stride = heap->classes.entry[id].stride;
	uint32_t more = stride / reach_parts;
	uint32_t trailers = 2 * heap->classes.fragment_trailer_bytes;
	return stride + (reach_parts == LOOSE_PARTS && more < trailers ? trailers : more);
}

/* A hole of a class whose slots are at most 1 / reach_parts larger; of any larger one for 0. */
static bool take_larger_slot(snug_heap *heap, struct need *need, uint32_t reach_parts) {
	struct slot_need *slot = (struct slot_need *)need;
	const struct class_table *table = &heap->classes;
	uint32_t most = stride_most(heap, slot->id, reach_parts);
	uint16_t end = table->first[class_family(table, slot->id) + 1];
	for (uint16_t id = slot->id; id < end && table->entry[id].stride <= most; id++) {
		struct size_class *class = table->state[id];
		if (class == NULL || !take_hole(heap, class, &slot->offset)) continue;
		SNUG_ASSERT(class->stride >= table->entry[slot->id].stride && slot->offset != 0);
		slot->class = class;
		return true;
	}
	return false;
}

snug_error slot_alloc_slow(snug_heap *heap, uint16_t id, enum effort effort, bool can_be_cut,
						   uint64_t *offset, struct size_class **out) {
	/* as the first attempt would */
	struct size_class *class = heap->classes.entry[id].serving;
	if (LIKELY(class != heap->classes.nobody && take_hole(heap, class, offset))) {
		limit_keep_no_more(&heap->arena);
		*out = class;
		return SNUG_OK;
	}
	struct slot_need slot = {
		.need = {.attempt = attempt_slot,
				 .take_larger = take_larger_slot,
				 .effort = effort,
				 .can_be_cut = can_be_cut,
				 .pages_most = UINT64_MAX},
		.id = id,
	};
	snug_error error = room_find(heap, &slot.need);
	if (error) return error;
	SNUG_ASSERT(slot.class != NULL && slot.offset != 0);
	*offset = slot.offset;
	*out = slot.class;
	return SNUG_OK;
}
