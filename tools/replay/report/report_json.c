/* report_json.c: one result as one JSON object on one line. */
#include "allocators/allocators.h"
#include "report/json_line.h"
#include "report/report.h"
#include "units.h"

static void job_fields(struct json_line *line, const struct job *job) {
	json_text(line, "workload", job->workload);
	json_text(line, "allocator", allocator_name(job->allocator));
	json_count(line, "seed", job->seed);
	json_count(line, "live_target_bytes", job->live_bytes);
	if (job->allocator != ALLOCATOR_SNUG) return;
	json_real(line, "use", job->use);
	json_count(line, "limit_bytes", job->limit_bytes);
	json_text(line, "names", job->by_handle ? "handle" : "reference");
	json_flag(line, "fill", job->fill);
	json_flag(line, "compaction_in_alloc", !job->no_compaction);
}

static void crowd_fields(struct json_line *line, const struct result *result) {
	const struct crowd_outcome *crowd = &result->outcome.crowd;
	double seconds = (double)result->outcome.elapsed_ns / 1e9;
	json_count(line, "workers", result->job.workers);
	json_count(line, "clients", result->job.clients);
	json_count(line, "operations", crowd->operations);
	json_real(line, "operations_per_second", seconds > 0 ? (double)crowd->operations / seconds : 0);
	json_quantiles(line, "operation_ns", &crowd->operation_ns);
	json_count(line, "defragmentations_beside", crowd->defragmentations);
	json_count(line, "reclaimed_beside_bytes", crowd->reclaimed_bytes);
	json_count(line, "moved_beside_objects", crowd->moved_objects);
	json_count(line, "longest_step_ns", crowd->longest_step_ns);
}

static void outcome_fields(struct json_line *line, const struct outcome *outcome) {
	json_count(line, "live_bytes", outcome->live_bytes);
	json_count(line, "objects", outcome->objects);
	json_real(line, "utilisation_min", outcome->utilisation_min);
	json_real(line, "utilisation_mean", outcome->utilisation_mean);
	json_real(line, "utilisation_end", outcome->utilisation_end);
	json_real(line, "rss_utilisation_end", outcome->rss_utilisation_end);
	json_count(line, "allocations", outcome->allocations);
	json_count(line, "frees", outcome->frees);
	json_count(line, "allocated_bytes", outcome->allocated_bytes);
	json_count(line, "failed_allocations", outcome->failed_allocations);
	json_count(line, "integrity_errors", outcome->integrity_errors);
	json_count(line, "verified_bytes", outcome->verified_bytes);
	json_count(line, "broken_laws", outcome->broken_laws);
	json_real(line, "pair_ns", outcome->pair_ns);
	json_quantiles(line, "alloc_ns", &outcome->alloc_ns);
	json_count(line, "rss_bytes", outcome->rss_bytes);
	json_count(line, "rss_peak_bytes", outcome->rss_peak_bytes);
	json_count(line, "rss_after_bytes", outcome->rss_after_bytes);
	json_count(line, "elapsed_ns", outcome->elapsed_ns);
}

static void snug_fields(struct json_line *line, const struct result *result) {
	const struct outcome *outcome = &result->outcome;
	const snug_stats *stats = &outcome->stats;
	if (result->job.fill) json_real(line, "demand_min", outcome->demand_min);
	json_count(line, "page_bytes", stats->page_bytes);
	json_count(line, "metadata_bytes", stats->metadata_bytes);
	json_count(line, "committed_bytes", stats->committed_bytes);
	json_count(line, "peak_bytes", stats->peak_bytes);
	json_count(line, "moves", stats->moves);
	json_real(line, "internal_fragmentation", stats->total.internal_fragmentation);
	json_real(line, "external_fragmentation", stats->total.external_fragmentation);
	json_count(line, "compacting_allocations", stats->compacting_allocations);
	if (outcome->defragmented) {
		json_count(line, "defragment_estimated_bytes", outcome->estimate.reclaimable_bytes);
		json_count(line, "defragment_reclaimed_bytes", outcome->report.reclaimed_bytes);
		json_count(line, "defragment_returned_bytes", outcome->report.returned_bytes);
		json_count(line, "defragment_moved_objects", outcome->report.moved_objects);
		json_count(line, "defragment_moved_bytes", outcome->report.moved_bytes);
		json_count(line, "defragment_relocated_bytes", outcome->report.relocated_bytes);
		json_count(line, "defragment_ns", outcome->report.work_ns);
		json_text(line, "defragment_outcome", snug_outcome_text(outcome->report.outcome));
	}
}

/* A malloc moves nothing and has no steps: null, so that every line has the same fields. */
static void comparable_fields(struct json_line *line, const struct result *result) {
	const struct outcome *outcome = &result->outcome;
	if (result->job.allocator != ALLOCATOR_SNUG) {
		static const char *const unknown[] = {"limit_bytes",     "metadata_bytes",
											  "moves_per_alloc", "bytes_moved_per_byte_allocated",
											  "reclaimed_bytes", "step_ns"};
		for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) json_null(line, unknown[i]);
		return;
	}
	snug_fields(line, result);
	json_real(line, "moves_per_alloc", moves_per_allocation(outcome));
	json_real(line, "bytes_moved_per_byte_allocated",
			  ratio(outcome->stats.moved_bytes, outcome->allocated_bytes));
	json_count(line, "reclaimed_bytes", outcome->reclaimed_bytes);
	json_quantiles(line, "step_ns", &outcome->step_ns);
}

void report_json(const struct result *result) {
	static const char *const statuses[] = {"not run", "running", "done", "broken"};
	struct json_line object = json_begin();
	struct json_line *line = &object;
	job_fields(line, &result->job);
	json_text(line, "status", statuses[result->outcome.status]);
	if (result->outcome.problem[0] != '\0') json_text(line, "problem", result->outcome.problem);
	outcome_fields(line, &result->outcome);
	if (result->job.workers > 0) crowd_fields(line, result);
	comparable_fields(line, result);
	json_end(line);
}
