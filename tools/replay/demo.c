/* demo.c: the tour, in five acts: the published sizes, fill and flip, estimate and defragmentation,
 * the mallocs beside it, and what happens when allocations may compact by themselves. It only
 * tells; all that runs are ordinary jobs. */
#include "demo.h"

#include "allocators/allocators.h"
#include "jobs/jobs.h"
#include "report/report.h"
#include "units.h"
#include "workloads/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT "    "
#define BAR_COLUMNS 32
/* The heap in act 2, the mallocs and the tight heap in act 4, the tight heap in act 5. */
#define RESULT_COUNT (ALLOCATOR_COUNT + 2)
#define ROOMY_USE 0.5 /* room enough to see holes grow */
#define TIGHT_USE 0.97

static void heading(int number, const char *text) {
	printf("\n%d  %s\n\n", number, text);
	fflush(stdout);
}

static void bar(double share, char full) {
	int columns = (int)(share * BAR_COLUMNS + .5);
	for (int i = 0; i < columns; i++) putchar(full);
}

static void tell_sizes(void) {
	static const uint32_t edges[] = {127, 255, 511, 1023, 4095, 16383, 65535, UINT32_MAX};
	double before[4] = {0};
	heading(1, "The sizes: what two of Meta's caches hold, as published in CacheLib's CacheBench");
	printf(INDENT "%-16s %20s %24s\n", "", "key-value cache", "social graph cache");
	printf(INDENT "%-16s %10s %10s %12s %10s\n", "value size", "objects", "bytes", "objects",
		   "bytes");
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
		double below[4];
		char label[40] = "larger";
		sizes_share_below(&sizes_meta_kvcache, edges[i], &below[0], &below[1]);
		sizes_share_below(&sizes_meta_graph, edges[i], &below[2], &below[3]);
		if (edges[i] != UINT32_MAX)
			snprintf(label, sizeof label, "up to %s", bytes_text((uint64_t)edges[i] + 1).text);
		printf(INDENT "%-16s %8.2f %% %8.2f %% %10.2f %% %8.2f %%\n", label,
			   100 * (below[0] - before[0]), 100 * (below[1] - before[1]),
			   100 * (below[2] - before[2]), 100 * (below[3] - before[3]));
		memcpy(before, below, sizeof before);
	}
	printf(INDENT "%-16s %19.0f B %21.0f B\n", "mean", sizes_mean(&sizes_meta_kvcache),
		   sizes_mean(&sizes_meta_graph));
}

static void tell_phase(const char *what, const struct phase_end *end) {
	printf(INDENT "%-42s %10s %10s %7s %9s\n", what, bytes_text(end->sample.live_bytes).text,
		   bytes_text(end->sample.used_bytes).text, share_text(end->external_fragmentation).text,
		   duration_text(end->phase_ns).text);
}

static void tell_fill_and_flip(const struct result *result) {
	printf(INDENT "%-42s %10s %10s %7s %9s\n", "", "live", "used", "holes", "time");
	tell_phase("the key-value cache fills the heap", &result->outcome.phases[0]);
	tell_phase("the graph's sizes displace it, at random", &result->outcome.phases[1]);
	printf("\n" INDENT "The objects did not grow, the memory under them did: the old sizes' holes "
		   "fit no new object.\n" INDENT
		   "(Allocations were told not to compact, so that this can be seen. Acts 4 and 5 let "
		   "them.)\n");
	if (result->outcome.has_map) {
		printf("\n" INDENT "Memory, before:\n");
		map_print_text(&result->outcome.before, 80, 8, INDENT);
		map_print_text_legend(INDENT);
	}
}

static void tell_defragmentation(const struct result *result) {
	report_defragmentation(&result->outcome, INDENT);
	if (result->outcome.has_map) {
		printf("\n" INDENT "Memory, after:\n");
		map_print_text(&result->outcome.after, 80, 8, INDENT);
	}
}

static void tell_rss(const char *who, uint64_t live_bytes, uint64_t rss_bytes,
					 uint64_t most_bytes) {
	printf(INDENT "%-26s %10s %10s %6.2f  ", who, bytes_text(live_bytes).text,
		   bytes_text(rss_bytes).text, ratio(rss_bytes, live_bytes));
	bar(ratio(rss_bytes, most_bytes), '#');
	putchar('\n');
}

/* The mallocs' results, then that of the heap with a tight limit. */
static void tell_mallocs(const struct result *results, size_t count) {
	uint64_t most_bytes = 1;
	for (size_t i = 0; i < count; i++)
		if (results[i].outcome.rss_bytes > most_bytes) most_bytes = results[i].outcome.rss_bytes;
	printf(INDENT "%-26s %10s %10s %6s\n", "", "live", "RSS", "ratio");
	for (size_t i = 0; i < count; i++) {
		const struct result *result = &results[i];
		char who[48];
		snprintf(who, sizeof who, "%s", allocator_name(result->job.allocator));
		if (result->job.allocator == ALLOCATOR_SNUG)
			snprintf(who, sizeof who, "snug, limit %s", bytes_text(result->job.limit_bytes).text);
		if (result->outcome.status == JOB_DONE)
			tell_rss(who, result->outcome.live_bytes, result->outcome.rss_bytes, most_bytes);
		else
			printf(INDENT "%-26s %s\n", who, result->outcome.problem);
	}
}

static void tell_tight(const struct result *result) {
	const struct outcome *outcome = &result->outcome;
	printf(INDENT "key-value, graph, key-value: %s allocated in a heap of %s, %s of it live "
				  "payload throughout\n\n",
		   bytes_text(outcome->allocated_bytes).text, bytes_text(result->job.limit_bytes).text,
		   share_text(result->job.use).text);
	printf(INDENT "%-40s %s\n", "failed allocations", count_text(outcome->failed_allocations).text);
	printf(INDENT "%-40s %.3f\n", "objects moved for each allocation",
		   moves_per_allocation(outcome));
	printf(INDENT "%-40s %.3f\n", "bytes moved for each byte allocated",
		   ratio(outcome->stats.moved_bytes, outcome->allocated_bytes));
	printf(INDENT "%-40s %.0f ns in the mean, p99.9 %s\n", "an allocation and a free",
		   outcome->pair_ns, duration_text(outcome->alloc_ns.p999).text);
	printf(INDENT "%-40s %s (%s of the limit)\n", "metadata",
		   bytes_text(outcome->stats.metadata_bytes).text,
		   share_text(ratio(outcome->stats.metadata_bytes, result->job.limit_bytes)).text);
}

static struct job demo_job(const struct options *options, const char *workload, double use) {
	struct job job = {.allocator = ALLOCATOR_SNUG,
					  .live_bytes = options->live,
					  .limit_bytes = (uint64_t)((double)options->live / use),
					  .use = use,
					  .page_bytes = options->page,
					  .seed = options->seed_given ? options->seed : 1,
					  .factor = 2,
					  .time_every = 16,
					  .check = true};
	snprintf(job.workload, sizeof job.workload, "%s", workload);
	return job;
}

/* Runs acts 2 to 5. Returns how many results there are. */
static size_t run_acts(const struct options *options, struct result results[RESULT_COUNT]) {
	struct job job = demo_job(options, "demo", ROOMY_USE);
	size_t count = 0;
	char text[160];
	job.no_compaction = job.want_map = true;
	snprintf(text, sizeof text, "Fill and flip: %s live in a heap of %s",
			 bytes_text(job.live_bytes).text, bytes_text(job.limit_bytes).text);
	heading(2, text);
	if (!job_run(&job, options->quiet, &results[count++])) return 0;
	if (results[0].outcome.status != JOB_DONE) return count;
	tell_fill_and_flip(&results[0]);
	heading(3, "Defragment: first the estimate, then the truth beside it");
	tell_defragmentation(&results[0]);
	heading(4, "The same allocations and frees under the mallocs, and in a heap that may compact: "
			   "resident memory");
	for (int kind = ALLOCATOR_GLIBC; kind < ALLOCATOR_COUNT; kind++) {
		job.allocator = (enum allocator_kind)kind;
		if (!job_run(&job, options->quiet, &results[count++])) return 0;
	}
	job = demo_job(options, "demo", TIGHT_USE);
	if (!job_run(&job, options->quiet, &results[count++])) return 0;
	tell_mallocs(&results[1], count - 1);
	heading(5, "There and back in a tight heap");
	job = demo_job(options, "meta:flip", TIGHT_USE);
	if (!job_run(&job, options->quiet, &results[count++])) return 0;
	if (results[count - 1].outcome.status == JOB_DONE) tell_tight(&results[count - 1]);
	return count;
}

/* Returns whether all went well. */
static bool tell_end(const struct result *results, size_t count) {
	uint64_t verified_bytes = 0;
	if (report_broken(results, count) || count == 0) return false;
	for (size_t i = 0; i < count; i++) verified_bytes += results[i].outcome.verified_bytes;
	printf("\nEvery byte of every object was verified on the way: %s, no error, and all invariants "
		   "held.\n",
		   bytes_text(verified_bytes).text);
	return true;
}

int demo_run(const struct options *options) {
	struct result *results = calloc(RESULT_COUNT, sizeof *results);
	if (results == NULL) return EXIT_FAILURE;
	printf("snug %s: a heap whose objects may be moved. A tour with production sizes, seed %llu.\n",
		   snug_version(), (unsigned long long)(options->seed_given ? options->seed : 1));
	tell_sizes();
	size_t count = run_acts(options, results);
	bool fine = tell_end(results, count);
	size_t demo_results = count < ALLOCATOR_COUNT ? count : ALLOCATOR_COUNT;
	if (fine && options->map != NULL && results[0].outcome.has_map) {
		fine = map_write_svg(options->map, &results[0].job, &results[0].outcome);
		printf("Picture of the memory, before and after: %s\n", options->map);
	}
	if (fine && options->plot != NULL) {
		fine = plot_write_svg(options->plot, results, demo_results);
		printf("Memory over time, under each allocator:  %s\n", options->plot);
	}
	free(results);
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
