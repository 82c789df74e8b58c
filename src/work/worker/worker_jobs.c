/* work/worker/worker_jobs.c: maintenance on the worker's own heap, a slice at a time (law W10).
 *
 *     jobs[EMERGENCY] [DEMAND] [SCHEDULED] [BACKGROUND]    at most one each; the first of them runs
 *
 *     DEMAND      part 1 ===|                      |=== part 2 ===| answer: part 1 and 2 joined
 *     EMERGENCY              |==== all of it =====| answer
 *                            ^ comes in: part 1 ends with its report
 *
 * A slice is one step of the job's defragmentation, with the begin before it or the end after it. A
 * job whose place is taken by a higher one is interrupted: its defragmentation ends (a heap can
 * have one at a time), the part's report is kept, and its next turn begins a new part with what is
 * left of its budgets. So a job is a row of parts, and its report is theirs joined
 * (work/policy/join_reports.h).
 *
 * TARGET FRAGMENTATION is looked at after each step. Once it is met, a last part that moves nothing
 * does what follows moving: merging free pages, returning memory.
 *
 * ESTIMATE and METRICS take microseconds and are answered where they are received.
 *
 * ENDING EARLY. A job that was cancelled, or is held when the worker stops, is answered all the
 * same: OK with the report of what it did if it had begun, else CANCELLED or STOPPED. */
#include "base/assert.h"
#include "work/policy/join_reports.h"
#include "work/worker/worker.h"

#include <snug/client.h>

/* ------------------------------------------------------------------ accept, answer --------- */

static void answer_job(struct worker *worker, const struct message *message, snug_error error) {
	struct message answer = *message;
	answer.error = (uint16_t)error;
	worker_answer(worker, &answer);
}

/* Hands the result over; the job is the asker's again. What it changed is published before: whoever
 * has the answer and then reads the figures (the coordinator, before it asks for more) reads none
 * from before the job. */
static void finish(struct worker *worker, struct held_job *held, snug_error error) {
	struct job *job = held->job;
	struct message message = held->message;
	SNUG_ASSERT(!held->open);
	held->report.total_ns = held->begun ? os_now_ns() - held->begin_ns : 0;
	job->report = held->report;
	job->interruptions = held->interruptions;
	job->evicted_bytes = held->evicted_bytes;
	job->evicted_objects = held->evicted_objects;
	SNUG_ASSERT(worker->jobs_held > 0 && job != NULL);
	*held = (struct held_job){0};
	worker->jobs_held--;
	worker_publish(worker, os_now_ns());
	answer_job(worker, &message, error);
}

static snug_error take(struct worker *worker, const struct message *message) {
	struct job *job = message->data;
	if ((uint32_t)job->priority >= JOB_PRIORITY_COUNT) return SNUG_ERROR_OPTION;
	struct held_job *held = &worker->jobs[job->priority];
	if (held->job != NULL) return SNUG_ERROR_BUSY;
	*held = (struct held_job){.job = job, .message = *message};
	worker->jobs_held++;
	SNUG_ASSERT(worker->jobs_held <= JOB_PRIORITY_COUNT);
	return SNUG_OK;
}

void jobs_accept(struct worker *worker, const struct message *message) {
	struct job *job = message->data;
	snug_error error = SNUG_ERROR_OPTION;
	/* What was freed is free: it counts for what can be had. */
	if (job->kind == JOB_EMERGENCY || job->kind == JOB_ESTIMATE) frees_pay(worker, SIZE_MAX);
	switch (job->kind) {
	case JOB_DEFRAGMENT:
	case JOB_EMERGENCY:
		error = take(worker, message);
		if (!error) return;
		break;
	case JOB_ESTIMATE:
		error = snug_estimate(worker->heap, &job->options, &job->estimate);
		worker_describe(worker, os_now_ns(), &job->stats);
		break;
	case JOB_METRICS:
		worker_describe(worker, os_now_ns(), &job->stats);
		error = SNUG_OK;
		break;
	}
	answer_job(worker, message, error);
}

/* ------------------------------------------------------------------ defragment ------------- */

static void set_outcome(struct held_job *held, snug_outcome outcome) {
	held->report.outcome = outcome;
	held->report.complete = outcome != SNUG_OUTCOME_CANCELLED && outcome != SNUG_OUTCOME_BUDGET;
}

static bool fragmentation_is_low(struct worker *worker, const struct held_job *held) {
	uint64_t target_ppm = held->job->target_fragmentation_ppm;
	snug_stats stats;
	if (target_ppm == 0 || snug_stats_get(worker->heap, &stats) != SNUG_OK) return false;
	return fragmentation_ppm_of(&stats, held->job->options.pool_mask) <= target_ppm;
}

/* An interrupted job whose parts have used up a budget, or met the target, has no further part.
 * False: it has. */
static bool ends_without_part(struct held_job *held, const snug_defragment_options *options) {
	if (!held->begun) return false;
	if (options->target_bytes == 0)
		set_outcome(held, SNUG_OUTCOME_TARGET);
	else if (options->budget_bytes == 0 || options->budget_ns == 0)
		set_outcome(held, SNUG_OUTCOME_BUDGET);
	else
		return false;
	return true;
}

static snug_error defragment_slice(struct worker *worker, struct held_job *held, bool *done) {
	if (!held->open && !held->finishing) held->finishing = fragmentation_is_low(worker, held);
	snug_defragment_options options = job_part_options(worker, held);
	if (!held->open && ends_without_part(held, &options)) {
		*done = true;
		return SNUG_OK;
	}
	snug_error error = job_part_run(worker, held, &options, done);
	if (error) return error;
	if (*done && held->finishing) set_outcome(held, SNUG_OUTCOME_TARGET);
	if (!*done && !held->finishing && fragmentation_is_low(worker, held)) {
		job_part_end(worker, held);
		held->finishing = true;
	}
	return SNUG_OK;
}

/* ------------------------------------------------------------------ which one runs --------- */

bool jobs_pending(const struct worker *worker) {
	return worker->jobs_held > 0;
}

bool jobs_urgent(const struct worker *worker) {
	return worker->jobs[JOB_PRIORITY_EMERGENCY].job != NULL;
}

static struct held_job *highest(struct worker *worker) {
	for (uint32_t priority = 0; priority < JOB_PRIORITY_COUNT; priority++) {
		if (worker->jobs[priority].job != NULL) return &worker->jobs[priority];
	}
	return NULL;
}

static void interrupt_others(struct worker *worker, const struct held_job *next) {
	for (uint32_t priority = 0; priority < JOB_PRIORITY_COUNT; priority++) {
		struct held_job *held = &worker->jobs[priority];
		if (held == next || !held->open) continue;
		job_part_end(worker, held);
		held->interruptions++;
		SNUG_ASSERT(held > next); /* of lower priority */
	}
}

void jobs_slice(struct worker *worker) {
	struct held_job *held = highest(worker);
	SNUG_ASSERT(held != NULL);
	interrupt_others(worker, held);
	bool done = false;
	snug_error error = held->job->kind == JOB_EMERGENCY ? emergency_slice(worker, held, &done)
														: defragment_slice(worker, held, &done);
	SNUG_ASSERT(error || done || held->begun || held->job->kind == JOB_EMERGENCY);
	if (error || done) finish(worker, held, error);
}

/* ------------------------------------------------------------------ ending early ----------- */

/* One that has begun ends with what it did; `otherwise`: the answer of one that has not. */
static void end_early(struct worker *worker, struct held_job *held, snug_error otherwise) {
	SNUG_ASSERT(held->job != NULL && (held->begun || !held->open));
	if (held->open) job_part_end(worker, held);
	if (held->begun) set_outcome(held, SNUG_OUTCOME_CANCELLED);
	finish(worker, held, held->begun ? SNUG_OK : otherwise);
}

void jobs_cancel(struct worker *worker, const struct job *job) {
	for (uint32_t priority = 0; priority < JOB_PRIORITY_COUNT; priority++) {
		struct held_job *held = &worker->jobs[priority];
		if (held->job == job && job != NULL) end_early(worker, held, SNUG_ERROR_CANCELLED);
	}
}

void jobs_stop(struct worker *worker) {
	for (uint32_t priority = 0; priority < JOB_PRIORITY_COUNT; priority++) {
		if (worker->jobs[priority].job != NULL)
			end_early(worker, &worker->jobs[priority], SNUG_ERROR_STOPPED);
	}
}
