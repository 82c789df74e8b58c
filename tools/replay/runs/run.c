/* run.c: one job from its first allocation to its outcome. This runs in the child; between
 * sample_begin and the end nothing here calls malloc but the workload. */
#include "runs/runs.h"

#include "ledger/clock.h"

#include <stdio.h>
#include <string.h>

static bool prepare(struct run *run, struct shared *shared) {
	const struct job *job = &shared->job;
	*run = (struct run){.job = job,
						.shared = shared,
						.outcome = &shared->outcome,
						.overhead_ns = clock_overhead_ns(),
						.largest_bytes = (size_t)(job->live_bytes / LARGEST_SHARE)};
	struct outcome *outcome = run->outcome;
	random_init(&run->size_random, job->seed, 1);
	random_init(&run->victim_random, job->seed, 2);
	random_init(&run->check_random, job->seed, 3);
	snug_histogram_init(&shared->alloc_ns);
	snug_histogram_init(&shared->step_ns);
	if (!workload_find(job, &run->workload, outcome->problem, sizeof outcome->problem))
		return false;
	if (run->workload.phases[0].kind == PHASE_TRACE && !run_trace_prepare(run)) return false;
	ledger_init(&run->ledger, job->live_bytes / OBJECT_MIN_BYTES + 1024);
	run->planned_units = run->trace.count + workload_planned_bytes(&run->workload, job);
	shared->progress.planned_bytes = run->planned_units;
	sample_begin(run);
	if (job->allocator != ALLOCATOR_SNUG) {
		allocator_malloc_create(&run->allocator);
		return true;
	}
	bool created = allocator_snug_create(&run->allocator, job, &run->ledger);
	if (!created) snprintf(outcome->problem, sizeof outcome->problem, "%s", run->allocator.problem);
	return created;
}

static void run_phase(struct run *run, const struct phase *phase) {
	switch (phase->kind) {
	case PHASE_CHURN:
		run_churn(run, phase);
		break;
	case PHASE_DELETE:
		run_delete(run, phase->amount);
		break;
	case PHASE_DELETE_ALTERNATE:
		run_delete_alternate(run);
		break;
	case PHASE_PIN:
		run_pin(run, phase->amount);
		break;
	case PHASE_UNPIN:
		run_unpin(run, phase->amount);
		break;
	case PHASE_DEFRAGMENT:
		run_defragment(run);
		break;
	case PHASE_TRACE:
		run_trace(run);
		break;
	}
}

static void note_phase_end(struct run *run, uint64_t begin_ns) {
	struct phase_end *end = &run->outcome->phases[run->outcome->phase_count++];
	*end = (struct phase_end){.sample = sample_take(run), .phase_ns = clock_ns() - begin_ns};
	snug_stats stats;
	if (run->allocator.heap != NULL && snug_stats_get(run->allocator.heap, &stats) == SNUG_OK)
		end->external_fragmentation = stats.total.external_fragmentation;
}

static double mean_ns(const struct call_times *times) {
	return times->count == 0 ? 0 : (double)times->sum_ns / (double)times->count;
}

static void note_end(struct run *run) {
	struct outcome *outcome = run->outcome;
	struct sample sample = sample_take(run);
	if (outcome->sample_count < SAMPLE_MAX) outcome->samples[outcome->sample_count++] = sample;
	outcome->live_bytes = sample.live_bytes;
	outcome->objects = ledger_count(&run->ledger);
	outcome->rss_bytes = sample.rss_bytes;
	outcome->utilisation_end = sample_utilisation(run, &sample);
	outcome->rss_utilisation_end =
		sample.rss_bytes == 0 ? 0 : (double)sample.live_bytes / (double)sample.rss_bytes;
	if (outcome->utilisation_min == 0)
		outcome->utilisation_min = outcome->utilisation_mean = outcome->utilisation_end;
	outcome->pair_ns = mean_ns(&run->alloc_times) + mean_ns(&run->free_times);
	if (run->allocator.heap != NULL &&
		snug_stats_get(run->allocator.heap, &outcome->stats) != SNUG_OK)
		run_broken(run->outcome, "no statistics");
}

/* Verifies and frees every object, so that nothing is left. The outcome counts the workload's frees
 * only. */
static void free_all(struct run *run) {
	uint64_t frees = run->outcome->frees;
	run_unpin(run, 1);
	for (uint32_t index = 0; index < run->ledger.used; index++)
		if (run->ledger.entries[index].name != 0) run_object_free(run, index);
	run->outcome->frees = frees;
}

void run_job(struct shared *shared) {
	struct run run;
	struct outcome *outcome = &shared->outcome;
	if (!prepare(&run, shared)) {
		outcome->status = JOB_BROKEN;
		return;
	}
	outcome->status = JOB_RUNNING;
	uint64_t begin_ns = clock_ns();
	for (size_t i = 0; i < run.workload.phase_count && !run_is_over(&run); i++) {
		uint64_t phase_begin_ns = clock_ns();
		shared->progress.phase = (uint32_t)i;
		run_phase(&run, &run.workload.phases[i]);
		if (shared->job.check) run_check(&run);
		note_phase_end(&run, phase_begin_ns);
	}
	outcome->elapsed_ns = clock_ns() - begin_ns;
	note_end(&run);
	run_defragment(&run);
	struct sample last = sample_take(&run);
	outcome->rss_after_bytes = last.rss_bytes;
	outcome->reclaimed_bytes = last.reclaimed_bytes;
	if (shared->job.check) run_check(&run);
	free_all(&run);
	if (shared->job.check) run_check(&run);
	outcome->integrity_errors += run.allocator.owner_errors;
	outcome->alloc_ns = quantiles_of(&shared->alloc_ns);
	outcome->step_ns = quantiles_of(&shared->step_ns);
	run.allocator.destroy(&run.allocator);
	outcome->status = outcome->broken_laws + outcome->integrity_errors == 0 ? JOB_DONE : JOB_BROKEN;
}
