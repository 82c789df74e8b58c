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
 * A STEP is a row of units of work (phases.c). The clock is looked at after each of them, and one that
 * will not fit into what is left is not begun; so a step is late only where a unit takes longer than
 * the last ones of its kind by a whole step. What is late, mostly by the system or by other
 * programs, is counted in late_steps.
 *
 * A step also ends when its bytes are used up; it copies less than its budget and one slot. Without
 * a time each phase has its own bound: 16 classes, 256 pages, 16 runs, 16 regions looked at or one
 * returned. So it is bounded whatever was asked. Between two steps the owner may allocate, free,
 * resize and pin; a second begin is BUSY.
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
#include "mem/defragment/estimate.h"
#include "mem/defragment/evacuate.h"
#include "mem/defragment/phases.h"
#include "mem/defragment/rehome.h"
#include "mem/gate.h"
#include "mem/slab/slab.h"

#include <string.h>

static bool target_reached(const snug_heap *heap) {
	return heap->totals.released_slabs >= heap->defragment.stop_at_released;
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
	defragment->goal_bytes = defragment->report.reclaimed_bytes + bytes_of_pages(heap, pages);
	merge_search_begin(heap, &defragment->search, MERGE_CLOSE);
}

/* Where one that a budget ended left off among the hosts, if this one has a budget too; else from
 * the first. Otherwise a small budget would look at the same hosts each time, and never come to
 * compaction. */
static struct defragment begun(const snug_heap *heap, const snug_defragment_options *options) {
	const struct defragment *last = &heap->defragment;
	struct defragment next = {.options = *options, .rehome_cursor = heap->classes.active_count};
	bool is_whole = options->budget_bytes == SNUG_NO_BUDGET && options->budget_ns == SNUG_NO_BUDGET;
	memcpy(next.paces, last->paces, sizeof next.paces);
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
	defragment->begin_ns = defragment_now_ns(heap);
	defragment->abandoned_at_begin = heap->totals.abandoned_slabs;
	defragment->refused_at_begin = heap->arena.returns_refused;
	defragment->returned_at_begin = heap->totals.returned_bytes;
	heap->arena.drain_round++;
	defragment->report.compacted = options.mode == SNUG_COMPACT;
	if (lap_is_possible(heap)) {
		lap_begin(heap);
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
	allowance->step_ns = most_ns;
	allowance->looked_ns = begin_ns;
	allowance->deadline_ns = most_ns > UINT64_MAX - begin_ns ? UINT64_MAX : begin_ns + most_ns;
	allowance->is_first = true;
	allowance->used_up = false;
	return true;
}

static void account(snug_heap *heap, const struct totals *before, uint64_t begin_ns) {
	struct totals *totals = &heap->totals;
	snug_report *report = &heap->defragment.report;
	uint64_t step_ns = defragment_now_ns(heap) - begin_ns;
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
	report->rehome_slab_bytes += bytes_of_pages(heap, totals->rehome_pages - before->rehome_pages);
	report->relocated_objects += relocated;
	report->relocated_bytes += relocated_bytes;
	report->released_slabs += released;
	report->reclaimed_bytes += bytes_of_pages(heap, released);
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
		bool returns = defragment->phase != PHASE_DRAIN && return_wanted_bytes(heap) > 0;
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
		compaction_end(heap);
	}
}

static bool time_is_over(const snug_heap *heap, const struct allowance *allowance) {
	return allowance_is_timed(allowance) && defragment_now_ns(heap) >= allowance->deadline_ns;
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
	uint64_t begin_ns = defragment_now_ns(heap);
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
			unit_run(heap, &allowance);
		} while (!allowance.used_up && defragment->phase != PHASE_DONE && !target_reached(heap) &&
				 unit_fits(heap, &allowance));
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
	if (report->compacted) report->unmovable_bytes = bytes_of_pages(heap, unpinned_pages - pages);
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
	report->total_ns = defragment_now_ns(heap) - heap->defragment.begin_ns;
}

/* Half a slab here and half there would cost a page. */
static void finish_relocation(snug_heap *heap) {
	uint64_t begin_ns = defragment_now_ns(heap);
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
