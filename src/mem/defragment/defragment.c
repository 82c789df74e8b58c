/* mem/defragment/defragment.c: begin, step, end: which work comes next, within which budget, and
 * the account of it.
 *
 *              can anything be gained?
 *   begin --yes--> FLUSH --> COMPACT --> RETIRE --> MERGE --> RETIRE --> REBIN --> RETURN <-> DRAIN
 *      \----no--------------------------------------/---------------------^        \-> TABLES -> end
 *       \---REHOME, if there are hosts: then the same question; and again after RETIRE, a lap
 *
 *   FLUSH    magazines of classes that can gain a page go back to their slabs; empty slabs go
 *   COMPACT  one victim after the other (choose.c chooses, evacuate.c moves)
 *   RETIRE   classes that were left without a slab end
 *   MERGE    if asked for: last slabs of classes into larger classes
 *   REHOME   guests into holes of their own (rehome.h)
 *   REBIN    stacked pages into runs, so that the next page comes from the fullest region
 *   RETURN   if asked for: whole free regions to the OS, at most one a step; for return_bytes any
 *            runs of free pages, up to 16 a step
 *   DRAIN    if that left too much: the emptiest region is emptied (drain.h), then RETURN again
 *   TABLES   metadata that is not needed any more goes back (mem/slab/tables.h)
 *
 * Coalescing alone is FLUSH, REBIN, RETURN, TABLES. That nothing can be gained is found by one pass over
 * the active classes: 3 us in cache, 8 us without (docs/benchmarks.md).
 *
 * A STEP is a row of units of work: a class chosen, a magazine flushed, 4 KiB or 32 slots copied, a
 * region looked at, 32 pages merged, 64 KiB returned. No unit depends on the heap's size, and each
 * takes a few microseconds. run_phase does one; the clock is looked at after each of them. So a
 * step is late by one unit at most, whatever it is about. Between two looks nothing else loops: a
 * test compiles this core with a clock that counts its basic blocks and holds each step to twice
 * its time (tests/laws/test_step_time.c). What is late all the same, by the system or by other
 * programs, is counted in late_steps.
 *
 * A step also ends when its bytes are used up; it copies less than its budget and one slot. Without
 * a time each phase has its own bound: 16 classes, 256 pages, 16 runs, 16 regions looked at or one
 * returned. So it is bounded whatever was asked. Between two steps the owner may allocate, free,
 * resize and pin; a second begin is BUSY. What a unit has found out for the next one, a class or a
 * slab, is looked at again when it is used.
 *
 * WHEN IT ENDS. COMPACT ends at the goal that was counted at the beginning, so that a heap in use
 * does not keep it going for ever; or at the caller's target or budget. At a budget what is cheap
 * is still done: REBIN and RETURN give away what was gained. It ends by itself because each victim
 * gained is one slab less, and a victim is begun only where a class has a slab's worth of holes.
 *
 * LAPS. The pages that compaction gained let more guests go home, and that makes holes by which
 * compaction gains pages again. So while there are hosts, and the last lap released a slab, whatever
 * going home took, there is one more, LAPS_MAX at most. (Heaps of 2 to 64 MiB, full of pieces, a
 * third or more freed, were done after at most five, but for 2 MiB in pages of 64 KiB: there a lap
 * may take as many pages as it releases, and six to eight were counted. The first lap alone gained
 * 70 to 95 % of it.)
 *
 * THE REPORT. Every mover and releaser adds to heap->totals. A step takes the difference around its
 * own work, so what the owner does in between is in no report; what is reclaimed is slab pages
 * before less slab pages after. A relocation that is half done when a budget is used up is finished
 * in the steps that follow; one that the end finds half done is finished there: half a slab here
 * and half there would cost a page. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "mem/arena/arena.h"
#include "mem/arena/limit.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/drain.h"
#include "mem/defragment/estimate.h"
#include "mem/defragment/evacuate.h"
#include "mem/defragment/rehome.h"
#include "mem/gate.h"
#include "mem/slab/classes.h"
#include "mem/slab/magazine.h"
#include "mem/slab/tables.h"

#define TIMED_BATCH_BYTES 4096u   /* how much is copied between two looks at the clock, */
#define TIMED_RETURN_BYTES 65536u /* and how much goes back to the OS */
#define PAGES_A_UNIT 32u
#define CLASSES_A_UNIT 16u
#define LAPS_MAX 8u

/* What a step may do besides copying: one for a page that is merged or a class that is looked at;
 * this many for a class that is flushed or retired, a region that is looked at, a call of the
 * system. */
#define ROUNDS_A_STEP 256u
#define ROUNDS_A_UNIT 16u

/* What one step may still do. */
struct allowance {
	uint64_t bytes;
	uint64_t deadline_ns; /* UINT64_MAX: none */
	uint32_t rounds;
	bool ends_relocation; /* the budget is used up, and a slab is half relocated */
	bool used_up;
};

static uint64_t now_ns(const snug_heap *heap) {
	return heap->arena.os->now_ns(heap->arena.os->context);
}

static uint64_t page_bytes_of(const snug_heap *heap, uint64_t pages) {
	return pages << heap->arena.page_shift;
}

/* ------------------------------------------------------------------ phases --------- */

static bool target_reached(const snug_heap *heap) {
	return heap->totals.released_slabs >= heap->defragment.stop_at_released;
}

static bool is_timed(const struct allowance *allowance) {
	return allowance->deadline_ns != UINT64_MAX;
}

static bool time_is_over(const snug_heap *heap, const struct allowance *allowance) {
	return is_timed(allowance) && now_ns(heap) >= allowance->deadline_ns;
}

static void spend_rounds(struct allowance *allowance, uint32_t rounds) {
	SNUG_ASSERT(allowance->rounds <= ROUNDS_A_STEP);
	allowance->rounds -= (uint32_t)smaller(rounds, allowance->rounds);
	if (allowance->rounds == 0) allowance->used_up = true;
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
		defragment->report.coalesce_reclaimed_bytes += page_bytes_of(heap, released);
		spend_rounds(allowance, ROUNDS_A_UNIT);
		return;
	}
}

static void spend_bytes(struct allowance *allowance, uint64_t bytes) {
	allowance->bytes -= smaller(allowance->bytes, bytes);
	if (allowance->bytes == 0) allowance->used_up = true;
}

static void evacuate_some(snug_heap *heap, struct allowance *allowance, enum merge merge) {
	uint64_t batch_bytes = allowance->bytes;
	if (is_timed(allowance)) batch_bytes = smaller(batch_bytes, TIMED_BATCH_BYTES);
	SNUG_ASSERT(heap->victim != PAGE_NONE && batch_bytes > 0 && heap->defragment.in_step);
	spend_bytes(allowance, victim_evacuate(heap, batch_bytes, merge));
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

/* The class that the unit before this one has chosen, if it still gains a page. */
static struct size_class *chosen_class(const snug_heap *heap) {
	struct size_class *class = heap->classes.state[heap->defragment.chosen];
	return class != NULL && class_reclaimable(class) > 0 ? class : NULL;
}

static void end_compaction(snug_heap *heap) {
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
	/* What was chosen and has changed is chosen anew, and used at once: an owner who changes it
	 * between all steps does not keep this from going on. */
	bool at_once = defragment->chosen_is_set;
	struct size_class *class = at_once ? chosen_class(heap) : NULL;
	if (class == NULL) class = victim_pick_class(heap, defragment->options.pool_mask);
	defragment->chosen_is_set = class != NULL && !at_once;
	if (class == NULL)
		end_compaction(heap);
	else if (at_once)
		victim_pick_slab(heap, class);
	else
		defragment->chosen = class->id;
}

/* The same of merging. */
static void run_merge(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	uint32_t mask = defragment->options.pool_mask;
	if (heap->victim != PAGE_NONE) {
		evacuate_some(heap, allowance, MERGE_CLOSE);
		return;
	}
	if (merge_search_some(heap, &defragment->search, mask, CLASSES_A_UNIT)) return;
	if (merge_search_end(heap, &defragment->search)) return;
	defragment->phase = PHASE_RETIRE;
	defragment->after_retire = PHASE_REBIN;
	defragment->cursor = heap->classes.active_count;
}

static bool rehomes(const snug_heap *heap) {
	const snug_defragment_options *options = &heap->defragment.options;
	return heap->hosts > 0 && options->mode == SNUG_COMPACT &&
		   (options->pool_mask >> SNUG_POOL_LARGE & 1) != 0;
}

/* Through the hosts from the first; what it gains is counted when it has ended. */
static void begin_lap(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	SNUG_ASSERT(rehomes(heap) && defragment->laps < LAPS_MAX);
	defragment->phase = PHASE_REHOME;
	defragment->laps++;
	defragment->released_at_lap = heap->totals.released_slabs;
}

static bool is_next_lap_due(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	bool gained = heap->totals.released_slabs > defragment->released_at_lap;
	return rehomes(heap) && gained && defragment->laps > 0 && defragment->laps < LAPS_MAX &&
		   defragment->report.outcome == SNUG_OUTCOME_DONE;
}

/* The step ends with it: the next one asks whether the budget has room for a lap. */
static void after_retire(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (is_next_lap_due(heap)) {
		rehome_begin(heap);
		begin_lap(heap);
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

/* True: there may be more. */
static bool coalesce_some(snug_heap *heap, struct allowance *allowance) {
	uint32_t merged = arena_coalesce(&heap->arena, PAGES_A_UNIT);
	heap->totals.coalesced_bytes += page_bytes_of(heap, merged);
	spend_rounds(allowance, merged);
	return merged == PAGES_A_UNIT;
}

static void run_rebin(snug_heap *heap, struct allowance *allowance) {
	if (coalesce_some(heap, allowance)) return;
	const snug_defragment_options *options = &heap->defragment.options;
	bool returns = options->retain_bytes != SNUG_NO_BUDGET || options->return_bytes > 0;
	heap->defragment.phase = returns ? PHASE_RETURN : PHASE_TABLES;
}

/* What return_bytes asks for and was not returned yet; also in this step. */
static uint64_t wanted_bytes(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	uint64_t returned_bytes = heap->totals.returned_bytes - defragment->returned_at_begin;
	return defragment->options.return_bytes > returned_bytes
			   ? defragment->options.return_bytes - returned_bytes
			   : 0;
}

static uint64_t retained_bytes(const snug_heap *heap) {
	return wanted_bytes(heap) > 0 ? 0 : heap->defragment.options.retain_bytes;
}

/* Draining moves objects, and so follows only a compaction of everything that came to its end, or
 * to the end that was set for a return. */
static bool may_drain(const snug_heap *heap) {
	const struct defragment *defragment = &heap->defragment;
	snug_outcome outcome = defragment->report.outcome;
	bool ended =
		outcome == SNUG_OUTCOME_DONE || (outcome == SNUG_OUTCOME_TARGET && wanted_bytes(heap) > 0);
	return ended && defragment->options.mode == SNUG_COMPACT &&
		   defragment->options.pool_mask == ALL_POOLS;
}

/* How many pages may go back in one call. Where there are huge pages, a region as a whole. */
static uint64_t return_pages(const snug_heap *heap, const struct allowance *allowance) {
	const struct arena *arena = &heap->arena;
	if (!is_timed(allowance) || arena->huge_pages) return region_pages(arena);
	return TIMED_RETURN_BYTES >> arena->page_shift;
}

/* A run of pages for return_bytes; what was freed since the last step is merged first. */
static void return_run(snug_heap *heap, struct allowance *allowance) {
	struct arena *arena = &heap->arena;
	if (coalesce_some(heap, allowance)) return;
	uint64_t wanted_pages = divide_up(wanted_bytes(heap), arena->page_bytes);
	SNUG_ASSERT(wanted_pages > 0 && !arena->huge_pages);
	size_t returned_bytes =
		arena_return_run(arena, smaller(wanted_pages, return_pages(heap, allowance)));
	heap->totals.returned_bytes += returned_bytes;
	spend_rounds(allowance, ROUNDS_A_UNIT);
	/* nothing is free, or the OS refuses */
	if (returned_bytes == 0) heap->defragment.phase = PHASE_TABLES;
	if (wanted_bytes(heap) == 0) allowance->used_up = true;
}

/* The region that is to go back next, or the rest of one; `*enough`: so much may go. Number + 1, 0:
 * none is free as a whole. */
static uint32_t region_to_return(const snug_heap *heap, bool *enough) {
	const struct arena *arena = &heap->arena;
	uint32_t begun = heap->defragment.returning;
	*enough = true;
	if (begun != 0 && begun <= arena->region_count && arena_region(arena, begun - 1)->bucket == 0)
		return begun;
	uint64_t free_bytes = page_bytes_of(heap, arena_free_pages(arena));
	*enough = free_bytes >= REGION_BYTES && free_bytes - REGION_BYTES >= retained_bytes(heap);
	return (arena->region_mask & 1) != 0 ? arena->region_heads[0] : 0;
}

static void run_return(snug_heap *heap, struct allowance *allowance) {
	struct defragment *defragment = &heap->defragment;
	if (wanted_bytes(heap) > 0 && !heap->arena.huge_pages) {
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

/* One unit of work. */
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

/* ------------------------------------------------------------------ begin, end ----- */

/* What there is to gain is counted, and the first phase that can have it begins. */
static void begin_gaining(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	const snug_defragment_options *options = &defragment->options;
	uint64_t unpinned_pages;
	uint64_t pages = reclaimable_pages(heap, options->pool_mask, &unpinned_pages);
	bool merge = options->mode == SNUG_COMPACT && options->merge_classes;
	defragment->phase = pages > 0 ? PHASE_FLUSH : merge ? PHASE_MERGE : PHASE_REBIN;
	defragment->cursor = heap->classes.active_count;
	defragment->goal_bytes = defragment->report.reclaimed_bytes + page_bytes_of(heap, pages);
	merge_search_begin(heap, &defragment->search, MERGE_CLOSE);
}

/* Where one that a budget ended left off among the hosts, if this one has a budget too; else from
 * the first. Otherwise a small budget would look at the same hosts each time, and never come to
 * compaction. */
static struct defragment begun(const snug_heap *heap, const snug_defragment_options *options) {
	const struct defragment *last = &heap->defragment;
	struct defragment next = {.options = *options, .rehome_cursor = heap->classes.active_count};
	bool is_whole = options->budget_bytes == SNUG_NO_BUDGET && options->budget_ns == SNUG_NO_BUDGET;
	bool is_left_off = last->report.outcome == SNUG_OUTCOME_BUDGET && last->rehome_cursor > 0;
	if (is_whole || !is_left_off) return next;
	next.rehome_cursor = last->rehome_cursor;
	next.rehome_left = last->rehome_left;
	next.rehome_list = last->rehome_list;
	next.rehome_page = last->rehome_page;
	next.rehome_behind = last->rehome_behind;
	next.rehome_slot = last->rehome_slot;
	return next;
}

snug_error snug_defragment_begin(snug_heap *heap, const snug_defragment_options *given) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (heap->defragment.phase != PHASE_IDLE) return SNUG_ERROR_BUSY;
	snug_defragment_options options;
	error = defragment_options_check(given, &options);
	if (error) return error;
	struct defragment *defragment = &heap->defragment;
	/* One that pacing left may lie outside of these pools. */
	SNUG_ASSERT(heap->target == PAGE_NONE && heap->arena.draining == 0);
	if (heap->victim != PAGE_NONE) victim_put_back(heap);
	*defragment = begun(heap, &options);
	defragment->begin_ns = now_ns(heap);
	defragment->abandoned_at_begin = heap->totals.abandoned_slabs;
	defragment->refused_at_begin = heap->arena.returns_refused;
	defragment->returned_at_begin = heap->totals.returned_bytes;
	heap->arena.drain_round++;
	defragment->report.compacted = options.mode == SNUG_COMPACT;
	if (rehomes(heap)) {
		begin_lap(heap);
	} else {
		begin_gaining(heap);
	}
	heap->totals.defragmentations++;
	return snug_stats_get(heap, &defragment->report.before);
}

/* Budgets of the whole; false when one is used up. */
static bool allow(const snug_heap *heap, uint64_t begin_ns, struct allowance *allowance) {
	const struct defragment *defragment = &heap->defragment;
	const snug_defragment_options *options = &defragment->options;
	const snug_report *report = &defragment->report;
	uint64_t copied_bytes = report->moved_bytes + report->relocated_bytes + report->rehomed_bytes;
	bool used_up = copied_bytes >= options->budget_bytes || report->work_ns >= options->budget_ns;
	/* What comes after moving is cheap, and is done in any case; so is the rest of a relocation. */
	bool relocates = heap->target != PAGE_NONE;
	if (used_up &&
		(defragment->phase <= PHASE_MERGE || (defragment->phase == PHASE_DRAIN && !relocates)))
		return false;
	uint64_t most_ns = used_up ? options->step_ns
							   : smaller(options->step_ns, options->budget_ns - report->work_ns);
	allowance->bytes = used_up ? options->step_bytes
							   : smaller(options->step_bytes, options->budget_bytes - copied_bytes);
	allowance->rounds = ROUNDS_A_STEP;
	allowance->ends_relocation = used_up && relocates;
	allowance->deadline_ns = most_ns > UINT64_MAX - begin_ns ? UINT64_MAX : begin_ns + most_ns;
	allowance->used_up = false;
	return true;
}

static void account(snug_heap *heap, const struct totals *before, uint64_t begin_ns) {
	struct totals *totals = &heap->totals;
	snug_report *report = &heap->defragment.report;
	uint64_t step_ns = now_ns(heap) - begin_ns;
	uint64_t asked_ns = heap->defragment.options.step_ns;
	uint64_t moves = totals->moves - before->moves;
	uint64_t relocated = totals->relocated_moves - before->relocated_moves;
	uint64_t relocated_bytes = totals->relocated_bytes - before->relocated_bytes;
	uint64_t released = totals->released_slabs - before->released_slabs;
	SNUG_ASSERT(relocated <= moves && totals->moved_bytes >= before->moved_bytes);
	SNUG_ASSERT(released >= totals->relocated_slabs - before->relocated_slabs);
	released -= totals->relocated_slabs - before->relocated_slabs;
	uint64_t rehomed = totals->rehomed_moves - before->rehomed_moves;
	uint64_t rehomed_bytes = totals->rehomed_bytes - before->rehomed_bytes;
	SNUG_ASSERT(relocated + rehomed <= moves);
	report->moved_objects += moves - relocated - rehomed;
	report->moved_bytes +=
		totals->moved_bytes - before->moved_bytes - relocated_bytes - rehomed_bytes;
	report->rehomed_objects += rehomed;
	report->rehomed_bytes += rehomed_bytes;
	report->rehome_slab_bytes += page_bytes_of(heap, totals->rehome_pages - before->rehome_pages);
	report->relocated_objects += relocated;
	report->relocated_bytes += relocated_bytes;
	report->released_slabs += released;
	report->reclaimed_bytes += page_bytes_of(heap, released);
	report->coalesced_bytes += totals->coalesced_bytes - before->coalesced_bytes;
	report->returned_bytes += totals->returned_bytes - before->returned_bytes;
	report->returns_refused = heap->arena.returns_refused - heap->defragment.refused_at_begin;
	report->steps++;
	report->work_ns += step_ns;
	if (step_ns > report->longest_step_ns) report->longest_step_ns = step_ns;
	bool is_late = step_ns / 2 > asked_ns || (step_ns / 2 == asked_ns && step_ns % 2 > 0);
	report->late_steps += is_late;
	totals->late_steps += is_late;
	totals->reclaimed_pages += released;
	if (moves > 0) {
		totals->timed_moves += moves;
		totals->timed_bytes += totals->moved_bytes - before->moved_bytes;
		totals->move_ns += step_ns;
	}
}

/* How many slabs this step may release until the target is reached. Only moving and flushing stop
 * for it. */
static void set_target(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	defragment->stop_at_released = UINT64_MAX;
	if (defragment->phase > PHASE_MERGE) return;
	uint64_t stop_bytes = defragment->options.target_bytes;
	if (defragment->phase == PHASE_REHOME) return;
	if (defragment->phase <= PHASE_COMPACT)
		stop_bytes = smaller(stop_bytes, defragment->goal_bytes);
	if (stop_bytes == SNUG_NO_BUDGET) return;
	SNUG_ASSERT(stop_bytes >= defragment->report.reclaimed_bytes);
	uint64_t left_bytes = stop_bytes - defragment->report.reclaimed_bytes;
	uint64_t left_slabs = divide_up(left_bytes, heap->arena.page_bytes);
	defragment->stop_at_released = heap->totals.released_slabs + left_slabs;
}

/* Partial, unless the budget was just enough: or unless what was allocated since has taken the
 * holes that were left, and then a slab that is half evacuated is given up like any other. */
static void end_at_budget(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	uint64_t unpinned_pages;
	bool more = defragment->phase == PHASE_REHOME ||
				reclaimable_pages(heap, defragment->options.pool_mask, &unpinned_pages) > 0;
	if (more || defragment->phase == PHASE_DRAIN || defragment->options.merge_classes) {
		/* what was gained */
		bool returns = defragment->phase != PHASE_DRAIN && wanted_bytes(heap) > 0;
		if (returns && heap->victim != PAGE_NONE) victim_put_back(heap);
		defragment->report.outcome = SNUG_OUTCOME_BUDGET;
		defragment->phase = returns ? PHASE_REBIN : PHASE_DONE;
	} else {
		if (heap->victim != PAGE_NONE) victim_abandon(heap);
		defragment->phase = PHASE_REBIN;
	}
}

static void check_target(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	uint64_t reclaimed_bytes = defragment->report.reclaimed_bytes;
	bool target = reclaimed_bytes >= defragment->options.target_bytes;
	bool gaining = defragment->phase == PHASE_FLUSH || defragment->phase == PHASE_COMPACT;
	bool goal = gaining && reclaimed_bytes >= defragment->goal_bytes;
	if (defragment->phase > PHASE_MERGE || (!target && !goal)) return;
	if (heap->victim != PAGE_NONE) victim_put_back(heap);
	if (target) {
		defragment->report.outcome = SNUG_OUTCOME_TARGET;
		defragment->phase = PHASE_REBIN;
	} else {
		end_compaction(heap);
	}
}

#define TRADED_PAGES 8u /* in a step: each costs a call of the system */

/* No allocation waits now. At least one, if the step has no time for more. */
static void trade_kept(snug_heap *heap, const struct allowance *allowance) {
	struct arena *arena = &heap->arena;
	limit_keep_no_more(arena);
	for (uint32_t traded = 0; traded < TRADED_PAGES && limit_is_exceeded(arena); traded++) {
		if (arena_trade_page(arena) != SNUG_OK || time_is_over(heap, allowance)) break;
	}
}

snug_error snug_defragment_step(snug_heap *heap, bool *done) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (done == NULL) return SNUG_ERROR_NULL;
	struct defragment *defragment = &heap->defragment;
	if (defragment->phase == PHASE_IDLE) return SNUG_ERROR_NOT_RUNNING;
	uint64_t begin_ns = now_ns(heap);
	struct allowance allowance;
	if (defragment->phase == PHASE_REHOME && rehome_is_over(heap)) begin_gaining(heap);
	if (defragment->phase != PHASE_DONE && !allow(heap, begin_ns, &allowance)) {
		end_at_budget(heap);
		if (defragment->phase != PHASE_DONE && !allow(heap, begin_ns, &allowance))
			return SNUG_ERROR_CORRUPT;
	}
	if (defragment->phase != PHASE_DONE) {
		struct totals before = heap->totals;
		SNUG_ASSERT(!defragment->in_step);
		uint64_t traded_before = heap->arena.traded_pages;
		defragment->in_step = true;
		set_target(heap);
		do {
			run_phase(heap, &allowance);
		} while (!allowance.used_up && defragment->phase != PHASE_DONE && !target_reached(heap) &&
				 !time_is_over(heap, &allowance));
		if (UNLIKELY(limit_is_exceeded(&heap->arena))) trade_kept(heap, &allowance);
		heap->totals.returned_bytes +=
			(heap->arena.traded_pages - traded_before) * heap->arena.page_bytes;
		defragment->in_step = false;
		account(heap, &before, begin_ns);
		check_target(heap);
	}
	*done = defragment->phase == PHASE_DONE;
	return SNUG_OK;
}

static void close_report(snug_heap *heap, snug_report *report) {
	uint64_t unpinned_pages;
	uint64_t pages = reclaimable_pages(heap, heap->defragment.options.pool_mask, &unpinned_pages);
	SNUG_ASSERT(pages <= unpinned_pages);
	if (report->compacted) report->unmovable_bytes = page_bytes_of(heap, unpinned_pages - pages);
	report->abandoned_slabs = heap->totals.abandoned_slabs - heap->defragment.abandoned_at_begin;
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		if ((heap->defragment.options.pool_mask >> pool & 1) == 0) continue;
		report->pinned_objects += heap->pins.pool_count[pool];
		report->pinned_bytes += heap->pins.pool_payload_bytes[pool];
		report->pinned_slabs += report->after.pool[pool].pinned_slabs;
	}
	if (heap->defragment.phase != PHASE_DONE) {
		report->outcome = SNUG_OUTCOME_CANCELLED;
	} else if (report->outcome == SNUG_OUTCOME_DONE &&
			   report->reclaimed_bytes + report->moved_objects == 0) {
		report->outcome =
			report->unmovable_bytes > 0 ? SNUG_OUTCOME_NOTHING_PINNED : SNUG_OUTCOME_NOTHING;
	}
	report->complete =
		report->outcome != SNUG_OUTCOME_CANCELLED && report->outcome != SNUG_OUTCOME_BUDGET;
	report->total_ns = now_ns(heap) - heap->defragment.begin_ns;
}

/* Half a slab here and half there would cost a page. */
static void finish_relocation(snug_heap *heap) {
	uint64_t begin_ns = now_ns(heap);
	struct totals before = heap->totals;
	heap->defragment.in_step = true;
	while (heap->victim != PAGE_NONE) victim_evacuate(heap, heap->arena.page_bytes, MERGE_NONE);
	SNUG_ASSERT(heap->target == PAGE_NONE);
	heap->defragment.in_step = false;
	account(heap, &before, begin_ns);
}

snug_error snug_defragment_end(snug_heap *heap, snug_report *out) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	if (heap->defragment.phase == PHASE_IDLE) return SNUG_ERROR_NOT_RUNNING;
	if (heap->target != PAGE_NONE) finish_relocation(heap);
	if (heap->victim != PAGE_NONE) victim_put_back(heap);
	arena_drain_end(&heap->arena);
	SNUG_ASSERT(heap->victim == PAGE_NONE && heap->target == PAGE_NONE);
	snug_report *report = &heap->defragment.report;
	error = snug_stats_get(heap, &report->after);
	SNUG_ASSERT(!error);
	close_report(heap, report);
	heap->defragment.phase = PHASE_IDLE;
	snug_log_line(&heap->log, SNUG_LOG_INFO,
				  "defragmentation: %llu bytes reclaimed, %llu returned, %llu moves, %llu steps, "
				  "longest %llu ns: %s",
				  (unsigned long long)report->reclaimed_bytes,
				  (unsigned long long)report->returned_bytes,
				  (unsigned long long)report->moved_objects, (unsigned long long)report->steps,
				  (unsigned long long)report->longest_step_ns, snug_outcome_text(report->outcome));
	*out = *report;
	return SNUG_OK;
}

snug_error snug_defragment(snug_heap *heap, const snug_defragment_options *options,
						   snug_report *report) {
	if (report == NULL) return SNUG_ERROR_NULL;
	snug_error error = snug_defragment_begin(heap, options);
	bool done = false;
	while (!error && !done) error = snug_defragment_step(heap, &done);
	return error ? error : snug_defragment_end(heap, report);
}

const char *snug_outcome_text(snug_outcome outcome) {
	switch (outcome) {
	case SNUG_OUTCOME_DONE:
		return "done, nothing more to gain";
	case SNUG_OUTCOME_NOTHING:
		return "nothing to gain: no size class has a slab's worth of holes";
	case SNUG_OUTCOME_NOTHING_PINNED:
		return "nothing to gain: the slabs with holes hold pinned objects";
	case SNUG_OUTCOME_TARGET:
		return "target reached";
	case SNUG_OUTCOME_BUDGET:
		return "partial: budget used up";
	case SNUG_OUTCOME_CANCELLED:
		return "partial: cancelled";
	case SNUG_OUTCOME_COUNT:
		break;
	}
	return "unknown outcome";
}
