/* report_json.c: one result as one JSON object on one line. Workload names come from a fixed set of characters or from a
 * file's name, so strings are escaped here and nowhere else. */
#include "report/report.h"

#include "allocators/allocators.h"
#include "units.h"

#include <stdio.h>

static void text_field(const char *name, const char *text) {
	printf("\"%s\":\"", name);
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	printf("\",");
}

static void count_field(const char *name, uint64_t value) {
	printf("\"%s\":%llu,", name, (unsigned long long)value);
}

static void real_field(const char *name, double value) {
	printf("\"%s\":%.6g,", name, value);
}

static void flag_field(const char *name, bool value) {
	printf("\"%s\":%s,", name, value ? "true" : "false");
}

static void quantiles_field(const char *name, const struct quantiles *quantiles, const char *after) {
	printf("\"%s\":{\"count\":%llu,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}%s", name,
		   (unsigned long long)quantiles->count, (unsigned long long)quantiles->p50, (unsigned long long)quantiles->p99,
		   (unsigned long long)quantiles->p999, (unsigned long long)quantiles->max, after);
}

static void job_fields(const struct job *job) {
	text_field("workload", job->workload);
	text_field("allocator", allocator_name(job->allocator));
	count_field("seed", job->seed);
	count_field("live_target_bytes", job->live_bytes);
	if (job->allocator != ALLOCATOR_SNUG) return;
	real_field("use", job->use);
	count_field("limit_bytes", job->limit_bytes);
	text_field("names", job->by_handle ? "handle" : "reference");
	flag_field("fill", job->fill);
	flag_field("compaction_in_alloc", !job->no_compaction);
}

static void crowd_fields(const struct result *result) {
	const struct crowd_outcome *crowd = &result->outcome.crowd;
	double seconds = (double)result->outcome.elapsed_ns / 1e9;
	count_field("workers", result->job.workers);
	count_field("clients", result->job.clients);
	count_field("operations", crowd->operations);
	real_field("operations_per_second", seconds > 0 ? (double)crowd->operations / seconds : 0);
	quantiles_field("operation_ns", &crowd->operation_ns, ",");
	count_field("defragmentations_beside", crowd->defragmentations);
	count_field("reclaimed_beside_bytes", crowd->reclaimed_bytes);
	count_field("moved_beside_objects", crowd->moved_objects);
	count_field("longest_step_ns", crowd->longest_step_ns);
}

static void outcome_fields(const struct outcome *outcome) {
	count_field("live_bytes", outcome->live_bytes);
	count_field("objects", outcome->objects);
	real_field("utilisation_min", outcome->utilisation_min);
	real_field("utilisation_mean", outcome->utilisation_mean);
	real_field("utilisation_end", outcome->utilisation_end);
	real_field("rss_utilisation_end", outcome->rss_utilisation_end);
	count_field("allocations", outcome->allocations);
	count_field("frees", outcome->frees);
	count_field("allocated_bytes", outcome->allocated_bytes);
	count_field("failed_allocations", outcome->failed_allocations);
	count_field("integrity_errors", outcome->integrity_errors);
	count_field("verified_bytes", outcome->verified_bytes);
	count_field("broken_laws", outcome->broken_laws);
	real_field("pair_ns", outcome->pair_ns);
	quantiles_field("alloc_ns", &outcome->alloc_ns, ",");
	count_field("rss_bytes", outcome->rss_bytes);
	count_field("rss_peak_bytes", outcome->rss_peak_bytes);
	count_field("rss_after_bytes", outcome->rss_after_bytes);
	count_field("elapsed_ns", outcome->elapsed_ns);
}

static void snug_fields(const struct result *result) {
	const struct outcome *outcome = &result->outcome;
	const snug_stats *stats = &outcome->stats;
	if (result->job.fill) real_field("demand_min", outcome->demand_min);
	count_field("page_bytes", stats->page_bytes);
	count_field("metadata_bytes", stats->metadata_bytes);
	count_field("committed_bytes", stats->committed_bytes);
	count_field("peak_bytes", stats->peak_bytes);
	count_field("moves", stats->moves);
	real_field("internal_fragmentation", stats->total.internal_fragmentation);
	real_field("external_fragmentation", stats->total.external_fragmentation);
	count_field("compacting_allocations", stats->compacting_allocations);
	if (outcome->defragmented) {
		count_field("defragment_estimated_bytes", outcome->estimate.reclaimable_bytes);
		count_field("defragment_reclaimed_bytes", outcome->report.reclaimed_bytes);
		count_field("defragment_returned_bytes", outcome->report.returned_bytes);
		count_field("defragment_moved_objects", outcome->report.moved_objects);
		count_field("defragment_moved_bytes", outcome->report.moved_bytes);
		count_field("defragment_relocated_bytes", outcome->report.relocated_bytes);
		count_field("defragment_ns", outcome->report.work_ns);
		text_field("defragment_outcome", snug_outcome_text(outcome->report.outcome));
	}
}

/* A malloc moves nothing and has no steps: null, so that every line has the same fields. */
static void comparable_fields(const struct result *result) {
	const struct outcome *outcome = &result->outcome;
	if (result->job.allocator != ALLOCATOR_SNUG) {
		printf("\"limit_bytes\":null,\"metadata_bytes\":null,\"moves_per_alloc\":null,\"bytes_moved_per_byte_"
			   "allocated\":null,"
			   "\"reclaimed_bytes\":null,\"step_ns\":null");
		return;
	}
	snug_fields(result);
	real_field("moves_per_alloc", moves_per_allocation(outcome));
	real_field("bytes_moved_per_byte_allocated", ratio(outcome->stats.moved_bytes, outcome->allocated_bytes));
	count_field("reclaimed_bytes", outcome->reclaimed_bytes);
	quantiles_field("step_ns", &outcome->step_ns, "");
}

void report_json(const struct result *result) {
	static const char *const statuses[] = {"not run", "running", "done", "broken"};
	printf("{");
	job_fields(&result->job);
	text_field("status", statuses[result->outcome.status]);
	if (result->outcome.problem[0] != '\0') text_field("problem", result->outcome.problem);
	outcome_fields(&result->outcome);
	if (result->job.workers > 0) crowd_fields(result);
	comparable_fields(result);
	printf("}\n");
	fflush(stdout);
}
