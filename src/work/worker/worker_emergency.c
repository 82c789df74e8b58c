/* work/worker/worker_emergency.c: the job that must return min_bytes to the machine, by the mildest
 * means that do.
 *
 *     free ---enough---> done
 *      \--> compact (merging classes too) --enough--> done
 *              ^  \--not enough, nothing to evict, or the OS refuses--> done, with what there was
 *              |   \--not enough--> evict a little --compacting now gives a portion--+
 *              |                        ^-------------- not yet ------------------+  |
 *              +---------------------------------------------------------------------+
 *
 * Each part returns what it has gained at once: what lies about free is taken up by the next store.
 * For the same reason it evicts in portions, of an eighth of what is missing and at least a MiB;
 * and so it has evicted no more than one of them when the OS turns out to refuse.
 *
 * No more is evicted than is needed beyond what compacting gives: what can be gained is known
 * exactly, and looked at after each bit. An evictor frees whole objects, whose free slots are holes
 * at first; some of their pages come free by that alone, and are counted as reclaimed with those
 * that the steps reclaim. Before each bit it looks whether all that is left would still do: if what
 * is pinned stands in the way, no more is given up for nothing.
 *
 * It is not capped by the duty cycle, but it too is done in slices, with the inbox served after
 * each: a step, or 16 KiB asked of the evictor. It ends: each round returns pages, or evicts at
 * least a byte, until the goal is met or the evictor frees nothing. */
#include "base/assert.h"
#include "base/bits.h"
#include "work/policy/goals.h"
#include "work/worker/worker.h"

#define EVICT_SLICE_BYTES UINT64_C(16384) /* asked of the evictor in one slice */
/* evicted for at least, before it is compacted and returned */
#define PORTION_BYTES (UINT64_C(1) << 20)
#define PORTIONS 8u

static uint64_t missing_bytes(const struct held_job *held) {
	uint64_t min_bytes = held->job->min_bytes;
	uint64_t returned_bytes = held->report.returned_bytes;
	return min_bytes > returned_bytes ? min_bytes - returned_bytes : 0;
}

static bool may_evict(const struct worker *worker, const struct held_job *held) {
	return held->job->may_evict && !held->evicted_all &&
		   worker->workers->options.hook.evict != NULL;
}

static void set_final_outcome(struct held_job *held) {
	if (missing_bytes(held) > 0) return;
	held->report.outcome = SNUG_OUTCOME_TARGET;
	held->report.complete = true;
}

/* Budgets of the request that earlier parts have used up. */
static bool is_spent(const snug_defragment_options *options) {
	return options->budget_bytes == 0 || options->budget_ns == 0;
}

/* ------------------------------------------------------------------ what is free ----------- */

static snug_error free_slice(struct worker *worker, struct held_job *held, bool *done) {
	snug_defragment_options options = job_part_options(worker, held);
	bool part_done = false;
	SNUG_ASSERT(held->phase == EMERGENCY_FREE && missing_bytes(held) > 0);
	options.mode = SNUG_COALESCE;
	options.return_bytes = missing_bytes(held);
	snug_error error = job_part_run(worker, held, &options, &part_done);
	if (error || !part_done) return error;
	held->phase = EMERGENCY_COMPACT;
	*done = missing_bytes(held) == 0 || held->report.outcome == SNUG_OUTCOME_BUDGET;
	set_final_outcome(held);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ compact ---------------- */

/* Free pages count for the goal where any of them can go. Whole units must be drained, which only a
 * compaction of everything does. */
static snug_error compact_options(struct worker *worker, const struct held_job *held,
								  snug_defragment_options *out) {
	snug_stats stats;
	snug_error error = snug_stats_get(worker->heap, &stats);
	if (error) return error;
	uint64_t missing = missing_bytes(held);
	*out = job_part_options(worker, held);
	out->merge_classes = out->mode == SNUG_COMPACT;
	out->return_bytes = missing;
	if (stats.return_unit_bytes == stats.page_bytes) {
		uint64_t reclaim_bytes =
			missing > stats.free_page_bytes ? missing - stats.free_page_bytes : 1;
		out->target_bytes = smaller(out->target_bytes, reclaim_bytes);
	}
	return SNUG_OK;
}

static void end_compaction(struct worker *worker, struct held_job *held, bool *done) {
	snug_defragment_options options = job_part_options(worker, held);
	bool refused = held->report.returns_refused > 0;
	bool returned = held->report.returned_bytes > held->returned_before;
	SNUG_ASSERT(!held->open && held->report.returned_bytes >= held->returned_before);
	held->returned_before = held->report.returned_bytes;
	if (missing_bytes(held) == 0 || refused || held->report.outcome == SNUG_OUTCOME_BUDGET ||
		!may_evict(worker, held)) {
		set_final_outcome(held);
		*done = true;
	} else if (is_spent(&options)) { /* by the last step, which found no more to do */
		held->report.outcome = SNUG_OUTCOME_BUDGET;
		held->report.complete = false;
		*done = true;
	} else {
		held->phase = EMERGENCY_EVICT;
		held->must_evict = !returned;
	}
}

static snug_error compact_slice(struct worker *worker, struct held_job *held, bool *done) {
	snug_defragment_options options;
	snug_error error = compact_options(worker, held, &options);
	if (error) return error;
	bool part_done = true;
	if (held->open || !is_spent(&options)) error = job_part_run(worker, held, &options, &part_done);
	if (!error && part_done) end_compaction(worker, held, done);
	return error;
}

/* ------------------------------------------------------------------ evict ------------------ */

/* Counts pages that come free as the evictor frees objects. */
static uint64_t evict(struct worker *worker, struct held_job *held, const snug_stats *before,
					  uint64_t ask_bytes) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	snug_stats after = {0};
	SNUG_ASSERT(held->job->may_evict && ask_bytes > 0 && !held->open);
	uint64_t freed_bytes = hook->evict(hook->context, worker->index, worker->heap, ask_bytes);
	if (snug_stats_get(worker->heap, &after) == SNUG_OK) {
		if (after.objects < before->objects)
			held->evicted_objects += before->objects - after.objects;
		if (after.total.slab_bytes < before->total.slab_bytes) {
			uint64_t gained_bytes = before->total.slab_bytes - after.total.slab_bytes;
			held->report.reclaimed_bytes += gained_bytes;
			held->report.released_slabs += gained_bytes / before->page_bytes;
			held->report.after = after;
		}
	}
	held->evicted_bytes += freed_bytes;
	return freed_bytes;
}

/* So much is to be free, or certain to come free, before it is worth compacting and returning. */
static uint64_t portion_bytes(const snug_stats *stats, uint64_t missing) {
	SNUG_ASSERT(missing > 0 && stats->return_unit_bytes > 0);
	uint64_t portion = missing / PORTIONS > PORTION_BYTES ? missing / PORTIONS : PORTION_BYTES;
	return divide_up(smaller(portion, missing), stats->return_unit_bytes) *
		   stats->return_unit_bytes;
}

static snug_error evict_slice(struct worker *worker, struct held_job *held) {
	SNUG_ASSERT(held->phase == EMERGENCY_EVICT && may_evict(worker, held));
	snug_stats stats;
	snug_error error = snug_stats_get(worker->heap, &stats);
	if (error) return error;
	uint64_t missing = missing_bytes(held);
	uint64_t portion = portion_bytes(&stats, missing), have_bytes = goal_compact_bytes(&stats);
	if (have_bytes >= portion && !held->must_evict) {
		held->phase = EMERGENCY_COMPACT;
	} else if (goal_evict_bytes(&stats) < missing) {
		held->evicted_all = true;
		held->phase = EMERGENCY_COMPACT;
	} else {
		uint64_t ask_bytes = portion > have_bytes ? portion - have_bytes : 1;
		held->must_evict = false;
		held->evicted_all = evict(worker, held, &stats, smaller(ask_bytes, EVICT_SLICE_BYTES)) == 0;
		if (held->evicted_all) held->phase = EMERGENCY_COMPACT;
	}
	return SNUG_OK;
}

snug_error emergency_slice(struct worker *worker, struct held_job *held, bool *done) {
	switch (held->phase) {
	case EMERGENCY_FREE:
		return free_slice(worker, held, done);
	case EMERGENCY_COMPACT:
		return compact_slice(worker, held, done);
	case EMERGENCY_EVICT:
		break;
	}
	return evict_slice(worker, held);
}
