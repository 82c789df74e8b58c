/* report.c: the table at the end of a run, and a defragmentation's account. */
#include "report/report.h"

#include "allocators/allocators.h"
#include "units.h"

#include <stdio.h>

double moves_per_allocation(const struct outcome *outcome) {
	return ratio(outcome->stats.moves, outcome->allocations - outcome->failed_allocations);
}

static void crowd_head(void) {
	printf("%-20s %7s %7s %6s %10s %9s %9s %9s %9s %7s %10s %11s\n", "workload", "workers",
		   "clients", "use", "operations", "p50", "p99", "p99.9", "max", "failed", "moved",
		   "reclaimed");
	printf("%-20s %7s %7s %6s %10s %9s %9s %9s %9s %7s %10s %11s\n", "", "", "", "", "/s", "", "",
		   "", "", "allocs", "meanwhile", "meanwhile");
}

static void crowd_row(const struct result *result) {
	const struct job *job = &result->job;
	const struct outcome *outcome = &result->outcome;
	const struct crowd_outcome *crowd = &outcome->crowd;
	const struct quantiles *times = &crowd->operation_ns;
	uint64_t rate = (uint64_t)((double)crowd->operations * 1e9 / (double)outcome->elapsed_ns);
	printf("%-20s %7u %7u %6.3f %10s %9s %9s %9s %9s %7llu %10s %11s\n", job->workload,
		   job->workers, job->clients, job->use, count_text(rate).text,
		   duration_text(times->p50).text, duration_text(times->p99).text,
		   duration_text(times->p999).text, duration_text(times->max).text,
		   (unsigned long long)outcome->failed_allocations, count_text(crowd->moved_objects).text,
		   bytes_text(crowd->reclaimed_bytes).text);
}

void report_table_head(bool crowd) {
	if (crowd) {
		crowd_head();
		return;
	}
	printf("%-20s %-9s %9s %6s %6s %6s %7s %8s %9s %7s %7s\n", "workload", "allocator", "RSS",
		   "use", "least", "end", "failed", "pair", "p99.9", "moves", "moved");
	printf("%-20s %-9s %9s %6s %6s %6s %7s %8s %9s %7s %7s\n", "", "", "", "", "", "", "allocs",
		   "ns", "alloc", "/alloc", "B/B");
}

void report_table_row(const struct result *result) {
	const struct job *job = &result->job;
	const struct outcome *outcome = &result->outcome;
	if (job->workers > 0 && outcome->elapsed_ns > 0) {
		crowd_row(result);
		return;
	}
	printf("%-20s %-9s ", job->workload, allocator_name(job->allocator));
	if (outcome->status == JOB_NOT_RUN) {
		printf("not run: %s\n", outcome->problem);
		return;
	}
	if (outcome->allocations == 0) {
		printf("BROKEN, see below\n");
		return;
	}
	char use[8] = "-", moves[12] = "-", moved[12] = "-";
	if (job->allocator == ALLOCATOR_SNUG) {
		snprintf(use, sizeof use, "%.3f", job->use);
		snprintf(moves, sizeof moves, "%.3f", moves_per_allocation(outcome));
		snprintf(moved, sizeof moved, "%.3f",
				 ratio(outcome->stats.moved_bytes, outcome->allocated_bytes));
	}
	printf("%9s %6s %6.3f %6.3f %7llu %8.1f %9s %7s %7s\n", bytes_text(outcome->rss_bytes).text,
		   use, outcome->utilisation_min, outcome->utilisation_end,
		   (unsigned long long)outcome->failed_allocations, outcome->pair_ns,
		   duration_text(outcome->alloc_ns.p999).text, moves, moved);
}

bool report_broken(const struct result *results, size_t count) {
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		if (results[i].outcome.status != JOB_BROKEN) continue;
		printf("\nBROKEN: %s on %s: %s\n", results[i].job.workload,
			   allocator_name(results[i].job.allocator), results[i].outcome.problem);
		any = true;
	}
	return any;
}

void report_table_foot(const struct result *results, size_t count) {
	uint64_t verified_bytes = 0;
	uint64_t integrity_errors = 0;
	for (size_t i = 0; i < count; i++) {
		const struct outcome *outcome = &results[i].outcome;
		verified_bytes += outcome->verified_bytes;
		integrity_errors += outcome->integrity_errors;
	}
	(void)report_broken(results, count);
	if (count > 0 && results[0].job.workers > 0)
		printf("\nuse: live / limit. p50 to max: from the submission of an operation's batch until "
			   "its result was taken. "
			   "meanwhile: by\n"
			   "defragmentations that were asked for while the clients ran.\n");
	else
		printf("\nuse: live / limit. least, end: payload / limit for snug, payload / RSS for a "
			   "malloc, while full and at "
			   "the end.\n"
			   "pair: one allocation and one free, mean. moves, moved: objects and bytes that "
			   "libsnug copied, per "
			   "allocated one.\n");
	printf("Verified %s of object content: %llu error%s.\n", bytes_text(verified_bytes).text,
		   (unsigned long long)integrity_errors, integrity_errors == 1 ? "" : "s");
}

static void line(const char *indent, const char *what, const char *estimated,
				 const char *reported) {
	printf("%s%-26s %14s %14s\n", indent, what, estimated, reported);
}

static void fragmentation_lines(const struct snug_report *report, const char *indent) {
	static const char *const pools[SNUG_POOL_COUNT] = {"small", "medium", "large"};
	line(indent, "", "before", "after");
	for (int pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		char what[40];
		if (report->before.pool[pool].slab_bytes == 0) continue;
		snprintf(what, sizeof what, "holes in the %s pool", pools[pool]);
		line(indent, what, share_text(report->before.pool[pool].external_fragmentation).text,
			 share_text(report->after.pool[pool].external_fragmentation).text);
	}
	line(indent, "slab pages", bytes_text(report->before.total.slab_bytes).text,
		 bytes_text(report->after.total.slab_bytes).text);
	line(
		indent, "payload / slab pages",
		share_text(ratio(report->before.total.payload_bytes, report->before.total.slab_bytes)).text,
		share_text(ratio(report->after.total.payload_bytes, report->after.total.slab_bytes)).text);
}

void report_defragmentation(const struct outcome *outcome, const char *indent) {
	const snug_estimate_report *estimate = &outcome->estimate;
	const snug_report *report = &outcome->report;
	line(indent, "", "estimate", "report");
	line(indent, "reclaimed", bytes_text(estimate->reclaimable_bytes).text,
		 bytes_text(report->reclaimed_bytes).text);
	line(indent, "  of it without a move", bytes_text(estimate->coalesce_bytes).text,
		 bytes_text(report->coalesce_reclaimed_bytes).text);
	line(indent, "objects moved", count_text(estimate->moves).text,
		 count_text(report->moved_objects).text);
	line(indent, "bytes copied", bytes_text(estimate->move_bytes).text,
		 bytes_text(report->moved_bytes).text);
	line(indent, "  to empty 2 MiB units", bytes_text(estimate->relocate_bytes).text,
		 bytes_text(report->relocated_bytes).text);
	line(indent, "time", duration_text(estimate->predicted_ns).text,
		 duration_text(report->work_ns).text);
	line(indent, "steps", count_text(estimate->steps).text, count_text(report->steps).text);
	line(indent, "longest step", duration_text(estimate->longest_step_ns).text,
		 duration_text(report->longest_step_ns).text);
	line(indent, "late steps", "", count_text(report->late_steps).text);
	line(indent, "lost to pins", bytes_text(estimate->unmovable_bytes).text,
		 bytes_text(report->unmovable_bytes).text);
	line(indent, "slabs released", "", count_text(report->released_slabs).text);
	line(indent, "free pages merged", "", bytes_text(report->coalesced_bytes).text);
	line(indent, "returned to the OS", bytes_text(estimate->returnable_bytes).text,
		 bytes_text(report->returned_bytes).text);
	printf("%s%-26s %s\n\n", indent, "outcome", snug_outcome_text(report->outcome));
	fragmentation_lines(report, indent);
}
