/* work/worker_emergency.c: the job that must gain min_bytes of whole pages, by the mildest means that do.
 *
 *     compact (merging classes too) --enough--> done
 *        ^   \--not enough, nothing to evict--> done, with what there was
 *        |    \--not enough--> evict a little --estimate says that compacting now is enough--+
 *        |                        ^-------------------- not yet ---------------------------+  |
 *        +------------------------------------------------------------------------------------+
 *
 * So no more is evicted than is needed beyond what compacting gives: the estimate is exact, and asked after each bit. An evictor
 * frees whole objects, whose free slots are holes at first; some of their pages come free by that alone, and are counted as
 * reclaimed with those that the steps reclaim.
 *
 * It is not capped by the duty cycle, but it too is done in slices, with the inbox served after each. It ends: each round gains pages,
 * or evicts at least a byte, until the goal is met or the evictor frees nothing. */
#include "base/bits.h"
#include "work/worker.h"

#define EVICT_SLICE_BYTES UINT64_C(65536) /* asked of the evictor in one slice */

static uint64_t missing_bytes(const struct held_job *held) {
	uint64_t min_bytes = held->job->min_bytes;
	uint64_t reclaimed_bytes = held->report.reclaimed_bytes;
	return min_bytes > reclaimed_bytes ? min_bytes - reclaimed_bytes : 0;
}

static snug_defragment_options compact_options(const struct worker *worker, const struct held_job *held) {
	snug_defragment_options options = job_part_options(worker, held);
	options.merge_classes = options.mode == SNUG_COMPACT;
	if (held->job->min_bytes > 0) options.target_bytes = smaller(options.target_bytes, missing_bytes(held));
	return options;
}

static bool may_evict(const struct worker *worker, const struct held_job *held) {
	return held->job->may_evict && !held->evicted_all && worker->workers->options.hook.evict != NULL;
}

static void set_final_outcome(struct held_job *held) {
	if (held->job->min_bytes == 0 || missing_bytes(held) > 0) return;
	held->report.outcome = SNUG_OUTCOME_TARGET;
	held->report.complete = true;
}

/* Budgets of the request that earlier parts have used up. */
static bool is_spent(const snug_defragment_options *options) {
	return options->budget_bytes == 0 || options->budget_ns == 0;
}

static snug_error compact_slice(struct worker *worker, struct held_job *held, bool *done) {
	snug_defragment_options options = compact_options(worker, held);
	bool part_done = true;
	if (held->open || !held->begun || (!is_spent(&options) && options.target_bytes > 0)) {
		snug_error error = job_part_run(worker, held, &options, &part_done);
		if (error) return error;
	}
	if (!part_done) return SNUG_OK;
	options = compact_options(worker, held);
	if (missing_bytes(held) == 0 || held->report.outcome == SNUG_OUTCOME_BUDGET || !may_evict(worker, held)) {
		set_final_outcome(held);
		*done = true;
	} else if (is_spent(&options)) { /* by the last step, which found no more to do */
		held->report.outcome = SNUG_OUTCOME_BUDGET;
		held->report.complete = false;
		*done = true;
	} else {
		held->phase = EMERGENCY_EVICT;
	}
	return SNUG_OK;
}

/* Counts pages that come free as the evictor frees objects. */
static uint64_t evict(struct worker *worker, struct held_job *held, uint64_t ask_bytes) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	snug_stats before = {0};
	snug_stats after = {0};
	snug_error error = snug_stats_get(worker->pools, &before);
	uint64_t freed_bytes = hook->evict(hook->context, worker->index, worker->pools, ask_bytes);
	if (!error) error = snug_stats_get(worker->pools, &after);
	if (!error && after.total.slab_bytes < before.total.slab_bytes) {
		uint64_t gained_bytes = before.total.slab_bytes - after.total.slab_bytes;
		held->report.reclaimed_bytes += gained_bytes;
		held->report.released_slabs += gained_bytes / before.page_bytes;
		held->report.after = after;
	}
	held->evicted_bytes += freed_bytes;
	return freed_bytes;
}

static snug_error evict_slice(struct worker *worker, struct held_job *held) {
	snug_estimate_report estimate;
	snug_defragment_options options = compact_options(worker, held);
	options.target_bytes = SNUG_NO_BUDGET;
	snug_error error = snug_estimate(worker->pools, &options, &estimate);
	if (error) return error;
	uint64_t missing = missing_bytes(held);
	if (estimate.reclaimable_bytes < missing) {
		uint64_t ask_bytes = smaller(missing - estimate.reclaimable_bytes, EVICT_SLICE_BYTES);
		held->evicted_all = evict(worker, held, ask_bytes) == 0;
		if (!held->evicted_all) return SNUG_OK;
	}
	held->phase = EMERGENCY_COMPACT;
	return SNUG_OK;
}

snug_error emergency_slice(struct worker *worker, struct held_job *held, bool *done) {
	if (held->phase == EMERGENCY_EVICT) return evict_slice(worker, held);
	return compact_slice(worker, held, done);
}
