/* work/worker/worker_parts.c: one part of a job: a defragmentation of the worker's heap, begun,
 * stepped and ended, within what earlier parts have left of the job's budgets and within the
 * worker's own bounds.
 *
 *     step     the smaller of the job's and the worker's, in bytes and in time
 *     budget   the job's, less what its parts have used: bytes moved, ns worked, bytes reclaimed
 *     finish   a part that moves nothing and has no budget: for what follows moving
 *
 * A job has several parts if it is interrupted, or must do several things (worker_jobs.c,
 * worker_emergency.c); its report is theirs joined (work/policy/join_reports.h). */
#include "base/assert.h"
#include "base/bits.h"
#include "work/policy/join_reports.h"
#include "work/worker/worker.h"

static uint64_t left_of(uint64_t budget, uint64_t used) {
	if (budget == SNUG_NO_BUDGET) return budget;
	return budget > used ? budget - used : 0;
}

snug_defragment_options job_part_options(const struct worker *worker, const struct held_job *held) {
	const snug_workers_options *bounds = &worker->workers->options;
	const snug_report *report = &held->report;
	snug_defragment_options options = held->job->options;
	options.step_bytes = smaller(options.step_bytes, bounds->step_bytes);
	options.step_ns = smaller(options.step_ns, bounds->step_ns);
	options.budget_bytes = left_of(options.budget_bytes, report->moved_bytes);
	options.budget_ns = left_of(options.budget_ns, report->work_ns);
	options.target_bytes = left_of(options.target_bytes, report->reclaimed_bytes);
	if (held->finishing) {
		options.mode = SNUG_COALESCE;
		options.merge_classes = false;
		options.budget_bytes = options.budget_ns = options.target_bytes = SNUG_NO_BUDGET;
	}
	SNUG_ASSERT(options.step_bytes > 0 && options.step_ns > 0);
	return options;
}

static snug_error part_begin(struct worker *worker, struct held_job *held,
							 const snug_defragment_options *options) {
	SNUG_ASSERT(!held->open && held->job != NULL);
	snug_error error = snug_defragment_begin(worker->heap, options);
	if (error) return error;
	held->open = true;
	if (!held->begun) held->begin_ns = os_now_ns();
	held->begun = true;
	return SNUG_OK;
}

void job_part_end(struct worker *worker, struct held_job *held) {
	snug_report part;
	SNUG_ASSERT(held->open && held->begun);
	snug_error error = snug_defragment_end(worker->heap, &part);
	held->open = false;
	SNUG_ASSERT(!error); /* or a hook has ended what is not its own */
	if (!error) join_report_in_time(&held->report, &part);
}

snug_error job_part_run(struct worker *worker, struct held_job *held,
						const snug_defragment_options *options, bool *done) {
	snug_error error = held->open ? SNUG_OK : part_begin(worker, held, options);
	bool finished = false;
	if (!error) error = snug_defragment_step(worker->heap, &finished);
	if (error) {
		if (held->open) job_part_end(worker, held);
		return error;
	}
	if (finished) job_part_end(worker, held);
	SNUG_ASSERT(finished != held->open);
	*done = finished;
	return SNUG_OK;
}
