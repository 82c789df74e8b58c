/* mem/defragment/phases.c: what each phase does in one unit, and how large a unit is.
 *
 * A UNIT is a class chosen, its emptiest slab, a magazine flushed, up to 4 KiB or 32 slots copied, a
 * region looked at, up to 32 pages merged, up to 64 KiB returned. No unit depends on the heap's
 * size, and between two looks at the clock nothing else loops: a test compiles this core with a
 * clock that counts its basic blocks and holds each step to twice its time
 * (tests/laws/test_step_time.c). What it costs depends on what lies in no cache, and so where there
 * is a time to be kept each kind of unit is as large as its last ones let it be, and is not begun
 * where it does not fit any more (pace.h).
 *
 * What a unit has found out for the next one, a class or a slab, is looked at again when it is used.
 *
 * ONE CLASS, MANY VICTIMS. To choose a class all active ones are looked at, which costs as much as
 * some ten moves. What was chosen stays the best until its emptiest slab is on a fuller list: moving
 * makes no slab emptier, and no other class gains by it. So victims are taken from it until then;
 * and 64 at most, for what the owner frees meanwhile. */
#include "mem/defragment/phases.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/arena.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/drain.h"
#include "mem/defragment/evacuate.h"
#include "mem/defragment/pace.h"
#include "mem/defragment/rehome.h"
#include "mem/slab/classes.h"
#include "mem/slab/magazine.h"
#include "mem/slab/tables.h"

#define TIMED_BATCH_BYTES 4096u   /* how much is copied between two looks at the clock, */
#define TIMED_RETURN_BYTES 65536u /* and how much goes back to the OS: at most */
#define ITEM_BYTES 512u           /* of a slot, which count as one slot more (pace.h) */
#define ITEMS_A_FRAGMENT 4u
#define PAGES_A_UNIT 32u
#define LAPS_MAX 8u
#define CLASSES_A_UNIT 16u
#define CHOSEN_VICTIMS 64u /* of a class, before it is asked which one is the best again */

/* What a unit costs of ROUNDS_A_STEP: one for a page that is merged or a class that is looked at;
 * this many for a class that is flushed or retired, a region that is looked at, a call of the
 * system. */
#define ROUNDS_A_UNIT 16u

/* ------------------------------------------------------------------ phases --------- */

static void spend_rounds(struct allowance *allowance, uint32_t rounds) {
	SNUG_ASSERT(allowance->rounds <= ROUNDS_A_STEP);
	allowance->rounds -= (uint32_t)smaller(rounds, allowance->rounds);
	if (allowance->rounds == 0) allowance->used_up = true;
}

/* How many items of at most `most` the unit may have. */
static uint32_t items_of(const struct allowance *allowance, uint32_t most) {
	SNUG_ASSERT(allowance->items > 0 && most > 0);
	return (uint32_t)smaller(allowance->items, most);
}

static void note_items(struct allowance *allowance, uint64_t items) {
	allowance->had = (uint32_t)larger(1, items);
}

/* The next class of a phase that walks them. Downwards: a class that retires between two steps
 * leaves its place to the last one, which was visited. NULL: all were. */
static struct size_class *next_class(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	if (defragment->cursor > heap->classes.active_count)
		defragment->cursor = heap->classes.active_count;
	return defragment->cursor == 0 ? NULL : class_active(&heap->classes, --defragment->cursor);
}

/* A class that has something to flush, or some that have not. */
static void run_flush(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	for (uint32_t count = 0; count < CLASSES_A_UNIT; count++) {
		struct size_class *class = next_class(heap);
		if (class == NULL) {
			defragment->phase =
				defragment->options.mode == SNUG_COMPACT ? PHASE_COMPACT : PHASE_REBIN;
			return;
		}
		spend_rounds(allowance, 1);
		if ((defragment->options.pool_mask >> class->pool & 1) == 0) continue;
		if (class_reclaimable_unpinned(class) == 0) continue;
		uint64_t released = heap->totals.released_slabs;
		magazine_flush(heap, class);
		slab_release_empty(heap, class);
		released = heap->totals.released_slabs - released;
		defragment->report.coalesce_reclaimed_bytes += bytes_of_pages(heap, released);
		spend_rounds(allowance, ROUNDS_A_UNIT);
		return;
	}
}

static void spend_bytes(struct allowance *allowance, uint64_t bytes) {
	SNUG_ASSERT(allowance->bytes > 0);
	allowance->bytes -= smaller(allowance->bytes, bytes);
	if (allowance->bytes == 0) allowance->used_up = true;
}

/* Of a fragment two neighbours are told, whose descriptors and trailers lie anywhere; and a large slot
 * has its bytes beside its misses. */
static uint32_t items_a_slot(const struct size_class *class) {
	uint32_t told = class->family == FAMILY_FRAGMENT ? ITEMS_A_FRAGMENT : 1;
	return told + class->stride / ITEM_BYTES;
}

static void evacuate_some(snug_heap *heap, struct allowance *allowance, enum merge merge) {
	const struct size_class *class = class_of_page(heap, heap->victim);
	uint64_t batch_bytes = allowance->bytes, moves = heap->totals.moves;
	uint32_t slot_items = items_a_slot(class);
	if (allowance_is_timed(allowance)) {
		uint64_t slots = larger(1, allowance->items / slot_items);
		batch_bytes = smaller(batch_bytes, smaller(slots * class->stride, TIMED_BATCH_BYTES));
	}
	SNUG_ASSERT(heap->victim != PAGE_NONE && batch_bytes > 0 && heap->defragment.in_step);
	spend_bytes(allowance, victim_evacuate(heap, batch_bytes, merge));
	note_items(allowance, (heap->totals.moves - moves) * slot_items);
}

/* A guest, and those that go with it. What the step released is in the report before it is counted
 * what there is to gain, so the last one ends it. */
static void run_rehome(snug_heap *heap, struct allowance *allowance) {
	SNUG_ASSERT(heap->defragment.in_step);
	uint64_t moved_bytes = rehome_next(heap);
	spend_bytes(allowance, moved_bytes);
	if (rehome_is_over(heap)) allowance->used_up = true;
	spend_rounds(allowance, 1);
}

/* The class that was chosen, if it still gains a page and none can be better: moving makes no slab
 * emptier, and what the owner frees is seen some victims later. */
static struct size_class *chosen_class(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	if (defragment->chosen_left == 0) return NULL;
	struct size_class *class = heap->classes.state[defragment->chosen];
	if (class == NULL || class_reclaimable(class) == 0) return NULL;
	return class_emptiest_list(class) <= defragment->chosen_list ? class : NULL;
}

static struct size_class *choose_class(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	struct size_class *class = victim_pick_class(heap, defragment->options.pool_mask);
	defragment->chosen_left = class == NULL ? 0 : CHOSEN_VICTIMS;
	if (class == NULL) return NULL;
	SNUG_ASSERT(class_reclaimable(class) > 0 && heap->classes.state[class->id] == class);
	defragment->chosen = class->id;
	defragment->chosen_list = (uint8_t)class_emptiest_list(class);
	return class;
}

void compaction_end(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	SNUG_ASSERT(heap->victim == PAGE_NONE && heap->target == PAGE_NONE);
	bool merge = defragment->options.mode == SNUG_COMPACT && defragment->options.merge_classes;
	defragment->phase = PHASE_RETIRE;
	defragment->after_retire = merge ? PHASE_MERGE : PHASE_REBIN;
	defragment->cursor = heap->classes.active_count;
}

/* A batch of moves, or the slab that is emptied next, or the class that it is taken from. */
static void run_compact(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (heap->victim != PAGE_NONE) {
		evacuate_some(heap, allowance, MERGE_NONE);
		return;
	}
	/* What was chosen just now and has changed is chosen anew, and used at once: an owner who changes
	 * it between all steps does not keep this from going on. */
	bool at_once = defragment->chosen_is_new;
	struct size_class *class = chosen_class(heap);
	defragment->chosen_is_new = class == NULL && !at_once;
	if (class == NULL) class = choose_class(heap);
	if (class == NULL) {
		compaction_end(heap);
	} else if (!defragment->chosen_is_new) {
		SNUG_ASSERT(defragment->chosen_left > 0 && defragment->chosen == class->id);
		defragment->chosen_left--;
		if (!victim_pick_slab(heap, class)) compaction_end(heap);
	}
}

/* The same of merging. */
static void run_merge(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	uint32_t mask = defragment->options.pool_mask;
	if (heap->victim != PAGE_NONE) {
		evacuate_some(heap, allowance, MERGE_CLOSE);
		return;
	}
	uint32_t most = items_of(allowance, CLASSES_A_UNIT);
	bool more = merge_search_some(heap, &defragment->search, mask, most);
	note_items(allowance, most);
	if (more) return;
	if (merge_search_end(heap, &defragment->search)) return;
	defragment->phase = PHASE_RETIRE;
	defragment->after_retire = PHASE_REBIN;
	defragment->cursor = heap->classes.active_count;
}

bool lap_is_possible(const snug_heap *heap) {
	const snug_defragment_options *options = &heap->defragment.options;
	return heap->hosts > 0 && options->mode == SNUG_COMPACT &&
		   (options->pool_mask >> SNUG_POOL_LARGE & 1) != 0;
}

/* Through the hosts from the first; what it gains is counted when it has ended. */
void lap_begin(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	SNUG_ASSERT(lap_is_possible(heap) && defragment->laps < LAPS_MAX);
	defragment->phase = PHASE_REHOME;
	defragment->laps++;
	defragment->released_at_lap = heap->totals.released_slabs;
}

static bool is_next_lap_due(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	bool gained = heap->totals.released_slabs > defragment->released_at_lap;
	return lap_is_possible(heap) && gained && defragment->laps > 0 && defragment->laps < LAPS_MAX &&
		   defragment->report.outcome == SNUG_OUTCOME_DONE;
}

/* The step ends with it: the next one asks whether the budget has room for a lap. */
static void after_retire(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (is_next_lap_due(heap)) {
		rehome_begin(heap);
		lap_begin(heap);
		allowance->used_up = true;
		return;
	}
	defragment->phase = defragment->after_retire;
	merge_search_begin(heap, &defragment->search, MERGE_CLOSE);
}

/* Ends a class whose last slab was emptied. */
static void run_retire(snug_heap *heap, struct allowance *allowance) {
	for (uint32_t count = 0; count < CLASSES_A_UNIT; count++) {
		struct size_class *class = next_class(heap);
		if (class == NULL) {
			after_retire(heap, allowance);
			return;
		}
		uint32_t before = heap->classes.active_count;
		class_retire_if_empty(heap, class);
		spend_rounds(allowance, 1);
		if (heap->classes.active_count < before) return;
	}
}

/* A unit of its own; false: the stack is empty. */
static bool coalesce_some(snug_heap *heap, struct allowance *allowance) {
	if (heap->arena.stack == PAGE_NONE) return false;
	uint32_t merged = arena_coalesce(&heap->arena, items_of(allowance, PAGES_A_UNIT));
	SNUG_ASSERT(merged > 0);
	heap->totals.coalesced_bytes += bytes_of_pages(heap, merged);
	spend_rounds(allowance, merged);
	note_items(allowance, merged);
	return true;
}

static void run_rebin(snug_heap *heap, struct allowance *allowance) {
	if (coalesce_some(heap, allowance)) return;
	const snug_defragment_options *options = &heap->defragment.options;
	bool returns = options->retain_bytes != SNUG_NO_BUDGET || options->return_bytes > 0;
	heap->defragment.phase = returns ? PHASE_RETURN : PHASE_TABLES;
}

/* What return_bytes asks for and was not returned yet; also in this step. */
uint64_t return_wanted_bytes(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	uint64_t returned_bytes = heap->totals.returned_bytes - defragment->returned_at_begin;
	return defragment->options.return_bytes > returned_bytes
			   ? defragment->options.return_bytes - returned_bytes
			   : 0;
}

/* Where there are huge pages, it is whole regions that go back. */
static bool returns_runs(const snug_heap *heap) {
	return return_wanted_bytes(heap) > 0 && !heap->arena.huge_pages;
}

static uint64_t retained_bytes(const snug_heap *heap) {
	return return_wanted_bytes(heap) > 0 ? 0 : heap->defragment.options.retain_bytes;
}

/* Draining moves objects, and so follows only a compaction of everything that came to its end, or
 * to the end that was set for a return. */
static bool may_drain(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	snug_outcome outcome = defragment->report.outcome;
	bool ended = outcome == SNUG_OUTCOME_DONE ||
				 (outcome == SNUG_OUTCOME_TARGET && return_wanted_bytes(heap) > 0);
	return ended && defragment->options.mode == SNUG_COMPACT &&
		   defragment->options.pool_mask == ALL_POOLS;
}

/* How many pages may go back in one call. Where there are huge pages, a region as a whole. */
static uint64_t return_pages(const snug_heap *heap, const struct allowance *allowance) {
	const struct arena *arena = &heap->arena;
	if (!allowance_is_timed(allowance) || arena->huge_pages) return region_pages(arena);
	return items_of(allowance, TIMED_RETURN_BYTES >> arena->page_shift);
}

/* A run of pages for return_bytes; what was freed since the last step is merged first. */
static void return_run(snug_heap *heap, struct allowance *allowance) {
	struct arena *arena = &heap->arena;
	if (coalesce_some(heap, allowance)) return;
	uint64_t wanted_pages = divide_up(return_wanted_bytes(heap), arena->page_bytes);
	SNUG_ASSERT(wanted_pages > 0 && !arena->huge_pages);
	size_t returned_bytes =
		arena_return_run(arena, smaller(wanted_pages, return_pages(heap, allowance)));
	heap->totals.returned_bytes += returned_bytes;
	note_items(allowance, returned_bytes >> arena->page_shift);
	spend_rounds(allowance, ROUNDS_A_UNIT);
	/* nothing is free, or the OS refuses */
	if (returned_bytes == 0) heap->defragment.phase = PHASE_TABLES;
	if (return_wanted_bytes(heap) == 0) allowance->used_up = true;
}

/* The region that is to go back next, or the rest of one; `*enough`: so much may go. Number + 1, 0:
 * none is free as a whole. */
static uint32_t region_to_return(const snug_heap *heap, bool *enough) {
	const struct arena *arena = &heap->arena;
	uint32_t begun = heap->defragment.returning;
	*enough = true;
	if (begun != 0 && begun <= arena->region_count && arena_region(arena, begun - 1)->bucket == 0)
		return begun;
	uint64_t free_bytes = bytes_of_pages(heap, arena_free_pages(arena));
	*enough = free_bytes >= REGION_BYTES && free_bytes - REGION_BYTES >= retained_bytes(heap);
	return (arena->region_mask & 1) != 0 ? arena->region_heads[0] : 0;
}

static void run_return(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (returns_runs(heap)) {
		return_run(heap, allowance);
		return;
	}
	bool enough;
	uint32_t region = region_to_return(heap, &enough);
	size_t returned_bytes = 0;
	if (enough && region != 0)
		returned_bytes =
			arena_return_region(&heap->arena, region - 1, return_pages(heap, allowance));
	heap->totals.returned_bytes += returned_bytes;
	note_items(allowance, returned_bytes >> heap->arena.page_shift);
	defragment->returning = 0;
	if (returned_bytes > 0 && arena_region(&heap->arena, region - 1)->free_pages > 0) {
		defragment->returning = region;
		return;
	}
	allowance->used_up = true;
	if (returned_bytes > 0) return;
	defragment->phase = enough && region == 0 && may_drain(heap) ? PHASE_DRAIN : PHASE_TABLES;
}

/* What earlier drainings have given up is in line again first. */
static void run_drain(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (heap->victim != PAGE_NONE) {
		evacuate_some(heap, allowance, MERGE_NONE);
		if (allowance->ends_relocation && heap->victim == PAGE_NONE) allowance->used_up = true;
		return;
	}
	if (!defragment->drains) {
		spend_rounds(allowance, ROUNDS_A_UNIT);
		defragment->drains = arena_drain_resume(&heap->arena, PAGES_A_UNIT);
		return;
	}
	if (coalesce_some(heap, allowance)) return;
	SNUG_ASSERT(may_drain(heap) && heap->target == PAGE_NONE);
	enum drain_result result = drain_next(heap, retained_bytes(heap));
	spend_rounds(allowance, ROUNDS_A_UNIT);
	if (result == DRAIN_EMPTY) defragment->phase = PHASE_RETURN;
	if (result == DRAIN_NOTHING) defragment->phase = PHASE_TABLES;
}

/* Who wants memory back gets that of the tables, too. */
static void run_tables(snug_heap *heap, struct allowance *allowance) {
	const snug_defragment_options *options = &heap->defragment.options;
	bool all = options->retain_bytes == 0 || options->return_bytes > 0;
	if (!tables_trim_slice(heap, all ? TRIM_ALL : TRIM_SPARE)) heap->defragment.phase = PHASE_DONE;
	spend_rounds(allowance, ROUNDS_A_UNIT);
}

static void run_phase(snug_heap *heap, struct allowance *allowance) {
	switch (heap->defragment.phase) {
	case PHASE_REHOME:
		run_rehome(heap, allowance);
		break;
	case PHASE_FLUSH:
		run_flush(heap, allowance);
		break;
	case PHASE_COMPACT:
		run_compact(heap, allowance);
		break;
	case PHASE_MERGE:
		run_merge(heap, allowance);
		break;
	case PHASE_RETIRE:
		run_retire(heap, allowance);
		break;
	case PHASE_REBIN:
		run_rebin(heap, allowance);
		break;
	case PHASE_RETURN:
		run_return(heap, allowance);
		break;
	case PHASE_DRAIN:
		run_drain(heap, allowance);
		break;
	case PHASE_TABLES:
		run_tables(heap, allowance);
		break;
	case PHASE_IDLE:
	case PHASE_DONE:
		break;
	}
}

/* ------------------------------------------------------------------ units ---------- */

static enum unit next_unit(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	bool is_stacked = heap->arena.stack != PAGE_NONE;
	if (heap->victim != PAGE_NONE) return UNIT_MOVES;
	switch (defragment->phase) {
	case PHASE_REHOME:
		return UNIT_GUEST;
	case PHASE_COMPACT:
		return chosen_class(heap) == NULL ? UNIT_CHOICE : UNIT_VICTIM;
	case PHASE_MERGE:
		return UNIT_MERGE;
	case PHASE_REBIN:
		return UNIT_PAGES;
	case PHASE_RETURN:
		return is_stacked && returns_runs(heap) ? UNIT_PAGES : UNIT_RETURN;
	case PHASE_DRAIN:
		return is_stacked ? UNIT_PAGES : UNIT_REGION;
	case PHASE_TABLES:
		return UNIT_TABLES;
	case PHASE_FLUSH:
	case PHASE_RETIRE:
	case PHASE_IDLE:
	case PHASE_DONE:
		break;
	}
	return UNIT_CLASS;
}

/* A call of the system costs as much as some four pages that it takes; so fewer of them are no
 * bargain, and it gets more of the step. */
static const struct pace_shape shapes[UNIT_COUNT] = {
	[UNIT_RETURN] = {.eighths = 5, .fixed_items = 4},
};

static uint64_t left_ns_of(const struct allowance *allowance) {
	uint64_t left_ns =
		allowance->deadline_ns - smaller(allowance->looked_ns, allowance->deadline_ns);
	return smaller(left_ns, allowance->step_ns);
}

static void note_unit(snug_heap *heap, struct allowance *allowance, enum unit unit) {
	uint64_t looked_ns = defragment_now_ns(heap);
	uint64_t took_ns = looked_ns - smaller(looked_ns, allowance->looked_ns);
	pace_note(&heap->defragment.paces[unit], shapes[unit], allowance->had, took_ns);
	allowance->looked_ns = looked_ns;
}

/* The few pages that the owner gave up since the last step are merged beside the step's first unit,
 * and not as one: else an owner who frees some between all steps keeps what comes behind them,
 * where it is too dear to be begun in the rest of a step, from ever being begun. */
static void merge_few(snug_heap *heap, struct allowance *allowance) {
	if (next_unit(heap) != UNIT_PAGES || heap->arena.stacked_pages > PAGES_A_UNIT) return;
	allowance->items = PAGES_A_UNIT;
	if (coalesce_some(heap, allowance)) note_unit(heap, allowance, UNIT_PAGES);
}

/* As large as what such units took lately lets it be. */
void unit_run(snug_heap *heap, struct allowance *allowance) {
	SNUG_ASSERT(heap->defragment.in_step && !allowance->used_up);
	allowance->items = UINT32_MAX;
	if (!allowance_is_timed(allowance)) {
		run_phase(heap, allowance);
		return;
	}
	if (allowance->is_first) merge_few(heap, allowance);
	allowance->is_first = false;
	enum unit unit = next_unit(heap);
	allowance->items = pace_items(&heap->defragment.paces[unit], shapes[unit], allowance->step_ns,
								  left_ns_of(allowance));
	allowance->had = 1;
	run_phase(heap, allowance);
	note_unit(heap, allowance, unit);
}

/* The next unit is not begun if it can't be expected to be done in time. */
bool unit_fits(const snug_heap *heap, const struct allowance *allowance) {
	if (!allowance_is_timed(allowance)) return true;
	if (allowance->looked_ns >= allowance->deadline_ns) return false;
	enum unit unit = next_unit(heap);
	return pace_fits(&heap->defragment.paces[unit], shapes[unit], allowance->step_ns,
					 left_ns_of(allowance));
}
