/* mem/defragment/estimate.c: a defragmentation on paper.
 *
 * GAIN is exact: a count of slots (choose.c). It is met to the byte while nothing is allocated or
 * freed in between, and tests compare the two.
 *
 * MOVES are a bound, from how many slabs each list of a class holds: a list is a sixteenth of
 * fullness wide, and what it holds is known to that. Looked at from both ends: the emptiest slabs
 * that are needed hold no more than their lists allow; and what stays in the others is no less than
 * their lists demand. The smaller of the two counts. Where a list is one slot wide, up to 16 slots
 * a slab, it is exact.
 *
 * A walk over the slabs that will be emptied was tried first. It told the moves to a per cent, and
 * took 7 ms in a heap of 4 GiB that was half empty, where this takes microseconds in any heap
 * (docs/design/0008). So nobody has to think before asking.
 *
 * TIME is a model with two prices, one for a move and one for a KiB copied. Their ratio is fixed,
 * their size is learnt: what the steps of this heap took so far, divided by what the model says of
 * the same moves. Before the first step it is what a machine of 2023 takes.
 *
 * RETURNING is estimated as if free pages were spread evenly, which is the most that draining can
 * cost: it takes the emptiest regions first. It is told whether it is asked for or not, for who asks
 * what there is to gain wants to know it; but only what is asked for takes time.
 *
 * An estimate changes nothing. It is one pass over the active classes, of which those that gain a
 * page cost their lists, and in mode COALESCE their magazine too: which slabs that would empty. */
#include "mem/defragment/estimate.h"

#include "base/grown.h"

#include "mem/arena/arena.h"
#include "mem/defragment/choose.h"
#include "mem/gate.h"
#include "mem/slab/slab.h"

/* Before anything was measured: what a move with a cold owner and a copied KiB cost on a machine of
 * 2023. */
#define MOVE_NS_GUESS 150u
#define KIB_NS_GUESS 300u
#define RETURN_NS_GUESS 200000u /* what the OS takes for a region of 512 pages */

uint64_t reclaimable_pages(const snug_heap *heap, uint32_t pool_mask, uint64_t *unpinned_pages) {
	uint64_t pages = 0;
	*unpinned_pages = 0;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		uint64_t live = class_live_slots(class);
		bool in_scope = pool_mask >> class->pool & 1;
		if (!in_scope || (uint64_t) class->slabs * class->slots - live < class->slots) continue;
		pages += class_reclaimable(class);
		*unpinned_pages += class_reclaimable_unpinned(class);
	}
	return pages;
}

static uint64_t model_ns(uint64_t moves, uint64_t bytes) {
	return moves * MOVE_NS_GUESS + bytes * KIB_NS_GUESS / 1024;
}

/* Nanoseconds that so much moving takes, from what steps took so far. */
static uint64_t predict_ns(const snug_heap *heap, uint64_t moves, uint64_t bytes) {
	uint64_t guess_ns = model_ns(moves, bytes);
	uint64_t past_ns = model_ns(heap->totals.timed_moves, heap->totals.timed_bytes);
	if (past_ns == 0) return guess_ns;
	return (uint64_t)((double)guess_ns * (double)heap->totals.move_ns / (double)past_ns);
}

void snug_defragment_options_init(snug_defragment_options *options, size_t struct_bytes) {
	static const snug_defragment_options defaults = {
		.mode = SNUG_COMPACT,
		.step_bytes = SNUG_STEP_BYTES_DEFAULT,
		.step_ns = SNUG_NO_BUDGET,
		.budget_bytes = SNUG_NO_BUDGET,
		.budget_ns = SNUG_NO_BUDGET,
		.target_bytes = SNUG_NO_BUDGET,
		.retain_bytes = SNUG_NO_BUDGET,
	};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

snug_error defragment_options_check(const snug_defragment_options *given,
									snug_defragment_options *out) {
	*out = snug_defragment_options_default();
	if (given != NULL && !grown_read(given, out, sizeof *out)) return SNUG_ERROR_VERSION;
	if (out->mode != SNUG_COMPACT && out->mode != SNUG_COALESCE) return SNUG_ERROR_OPTION;
	if ((out->pool_mask & ~ALL_POOLS) != 0) return SNUG_ERROR_OPTION;
	if (out->pool_mask == 0) out->pool_mask = ALL_POOLS;
	if (out->step_bytes == 0 || out->step_ns == 0) return SNUG_ERROR_BUDGET_ZERO;
	if (out->budget_bytes == 0 || out->budget_ns == 0 || out->target_bytes == 0)
		return SNUG_ERROR_BUDGET_ZERO;
	return SNUG_OK;
}

/* Which of the magazine's slots lie in this slab, as bits. */
static uint64_t cached_in_slab(const snug_heap *heap, const struct size_class *class,
							   page_number number) {
	uint64_t bits = 0;
	for (uint32_t index = 0; index < class->magazine_count; index++) {
		uint64_t is_here = page_of(&heap->arena, class->magazine[index]) == number;
		bits |= is_here << index;
	}
	return bits;
}

/* Slabs of which all that is used lies in the magazine. Most have too few free slots for that, and
 * nothing has to be counted. */
static uint64_t cached_slabs(const snug_heap *heap, const struct size_class *class) {
	_Static_assert(MAGAZINE_MAX <= 64, "a bit for each slot");
	uint64_t slabs = 0;
	uint64_t left = class->magazine_count == 0 ? 0 : UINT64_MAX >> (64 - class->magazine_count);
	while (left != 0) {
		page_number number = page_of(&heap->arena, class->magazine[bit_lowest(left)]);
		uint32_t free_slots = heap->arena.pages[number].free_slots;
		left &= left - 1;
		if (free_slots + class->magazine_count < class->slots) continue;
		uint64_t here = cached_in_slab(heap, class, number);
		left &= ~here;
		slabs += free_slots + bit_count(here) == class->slots;
	}
	return slabs;
}

/* ------------------------------------------------------------------ moves -------------------- */

/* Live slots, at least and at most, of a slab on this list. */
static uint64_t list_least(const struct size_class *class, uint32_t list) {
	if (list == LIST_FULL) return class->slots;
	return divide_up((uint64_t)list << 16, class->bucket_scale);
}

static uint64_t list_most(const struct size_class *class, uint32_t list) {
	if (list == LIST_FULL) return class->slots;
	uint64_t most = (((uint64_t)(list + 1) << 16) - 1) / class->bucket_scale;
	return smaller(most, class->slots - 1);
}

/* How many slots must move so that the `pages` emptiest slabs of the class are free: at most. */
static uint64_t bound_moves(const snug_heap *heap, const struct size_class *class, uint64_t pages) {
	uint64_t slabs = class->slabs - class->pinned_slabs;
	/* in slabs without pins, as the bitmaps say */
	uint64_t used = slabs * class->slots - (class->free_slots - class->pinned_free_slots);
	uint64_t most = 0, kept_least = 0;
	page_number victim = heap->victim;
	if (victim != PAGE_NONE && class_of_page(heap, victim) == class) {
		uint64_t live = class->slots - heap->arena.pages[victim].free_slots;
		used -= class->slots; /* its holes are in no count */
		slabs--;
		if (pages == 0) return 0;
		most += live;
		used += live;
		pages--;
	}
	for (uint32_t list = 0; list <= LIST_FULL && slabs > 0; list++) {
		uint64_t here = list < LIST_FULL ? class->list_slabs[list] : slabs;
		uint64_t emptied = smaller(here, pages);
		most += emptied * list_most(class, list);
		kept_least += (here - emptied) * list_least(class, list);
		pages -= emptied;
		slabs -= here;
	}
	return smaller(most, used - smaller(kept_least, used));
}

static void add_class(const snug_heap *heap, const struct size_class *class,
					  snug_defragment_mode mode, uint64_t *target_pages,
					  snug_estimate_report *report) {
	uint64_t pages = class_reclaimable(class);
	if (pages == 0) return;
	SNUG_ASSERT(pages <= class->slabs);
	uint64_t empty = class->empty != PAGE_NONE;
	if (mode == SNUG_COALESCE) {
		empty += cached_slabs(heap, class);
		pages = empty;
	}
	if (pages > *target_pages) pages = *target_pages;
	*target_pages -= pages;
	report->reclaimable_bytes += pages << heap->arena.page_shift;
	report->coalesce_bytes += smaller(empty, pages) << heap->arena.page_shift;
	uint64_t moves = mode == SNUG_COALESCE ? 0 : bound_moves(heap, class, pages);
	report->moves += moves;
	report->move_bytes += moves * class->stride;
}

/* Draining empties the emptiest regions; as if free pages were spread evenly, which is the most
 * that it can cost. */
static void add_return(const snug_heap *heap, const snug_defragment_options *options,
					   snug_estimate_report *report) {
	const struct arena *arena = &heap->arena;
	uint64_t free_bytes =
		(arena_free_pages(arena) << arena->page_shift) + report->reclaimable_bytes;
	uint64_t retain_bytes = options->retain_bytes == SNUG_NO_BUDGET ? 0 : options->retain_bytes;
	if (retain_bytes > free_bytes || arena->committed_bytes == 0) return;
	uint64_t units = (free_bytes - retain_bytes) / REGION_BYTES;
	report->returnable_bytes = units * REGION_BYTES;
	if (options->mode != SNUG_COMPACT || options->pool_mask != ALL_POOLS) return;
	uint64_t used_bytes = arena->committed_bytes - smaller(free_bytes, arena->committed_bytes);
	double used_share = (double)used_bytes / (double)arena->committed_bytes;
	report->relocate_bytes = (uint64_t)((double)report->returnable_bytes * used_share);
}

/* What needs no move, and what no move can give. */
static void add_for_emergency(const snug_heap *heap, snug_estimate_report *report) {
	uint64_t pages = 0, pinned_pages = 0;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		pages += class_active(&heap->classes, index)->slabs;
		pinned_pages += class_active(&heap->classes, index)->pinned_slabs;
	}
	uint64_t movable_bytes = (pages - pinned_pages) << heap->arena.page_shift;
	report->free_bytes = arena_free_pages(&heap->arena) << heap->arena.page_shift;
	report->evictable_bytes = movable_bytes - smaller(report->reclaimable_bytes, movable_bytes);
}

/* Slots of mean size. */
static uint64_t relocation_moves(const snug_heap *heap, uint64_t bytes) {
	uint64_t live = 0;
	uint64_t live_bytes = 0;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		live += class_live_slots(class);
		live_bytes += class_live_slots(class) * class->stride;
	}
	return live_bytes == 0 ? 0 : (uint64_t)((double)bytes * (double)live / (double)live_bytes);
}

static snug_outcome outcome_of(const snug_estimate_report *report) {
	if (report->reclaimable_bytes > 0) return SNUG_OUTCOME_DONE;
	return report->unmovable_bytes > 0 ? SNUG_OUTCOME_NOTHING_PINNED : SNUG_OUTCOME_NOTHING;
}

snug_error snug_estimate(snug_heap *heap, const snug_defragment_options *given,
						 snug_estimate_report *out) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	snug_defragment_options options;
	error = defragment_options_check(given, &options);
	if (error) return error;
	snug_estimate_report report = {.outcome = SNUG_OUTCOME_NOTHING};
	uint64_t unpinned_pages;
	uint64_t pages = reclaimable_pages(heap, options.pool_mask, &unpinned_pages);
	if (options.mode == SNUG_COMPACT)
		report.unmovable_bytes = (unpinned_pages - pages) << heap->arena.page_shift;
	uint64_t target_pages = UINT64_MAX;
	if (options.target_bytes != SNUG_NO_BUDGET)
		target_pages = divide_up(options.target_bytes, heap->arena.page_bytes);
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		if (options.pool_mask >> class->pool & 1) {
			add_class(heap, class, options.mode, &target_pages, &report);
		}
	}
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		if (options.pool_mask >> pool & 1)
			report.pinned_bytes += heap->pins.pool_payload_bytes[pool];
	}
	add_for_emergency(heap, &report);
	add_return(heap, &options, &report);
	bool returns = options.retain_bytes != SNUG_NO_BUDGET;
	uint64_t units = returns ? report.returnable_bytes / REGION_BYTES : 0;
	uint64_t relocate_bytes = returns ? report.relocate_bytes : 0;
	uint64_t copied_bytes = report.move_bytes + relocate_bytes;
	uint64_t copies = report.moves + relocation_moves(heap, relocate_bytes);
	report.steps = divide_up(copied_bytes, options.step_bytes) + 2 + units;
	report.predicted_ns = predict_ns(heap, copies, copied_bytes) + units * RETURN_NS_GUESS;
	uint64_t step_bytes = smaller(options.step_bytes, report.move_bytes);
	uint64_t step_moves = report.moves;
	if (step_bytes < report.move_bytes)
		step_moves = divide_up(step_bytes, divide_up(report.move_bytes, report.moves));
	report.longest_step_ns = smaller(predict_ns(heap, step_moves, step_bytes), options.step_ns);
	uint64_t return_ns = smaller(RETURN_NS_GUESS, options.step_ns);
	if (units > 0 && report.longest_step_ns < return_ns) report.longest_step_ns = return_ns;
	report.outcome = outcome_of(&report);
	*out = report;
	return SNUG_OK;
}
