/* snug_replay.c: the program. Options become jobs (jobs/), each job runs in a child (runs/), its
 * outcome is told (report/). replay.h is the map. */
#include "allocators/allocators.h"
#include "caches/caches.h"
#include "demo.h"
#include "jobs/child.h"
#include "jobs/jobs.h"
#include "report/report.h"
#include "units.h"
#include "workloads/workloads.h"

#include <errno.h>
#include <locale.h>
#include <snug/shard.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static void list(void) {
	struct job job = {.seed = 0};
	puts("Workloads:");
	for (size_t i = 0;; i++) {
		struct workload workload;
		char problem[TEXT_ROOM];
		const char *name = workload_name_at(i);
		if (name == NULL) break;
		snprintf(job.workload, sizeof job.workload, "%s", name);
		if (workload_find(&job, &workload, problem, sizeof problem))
			printf("  %-20s %s\n", workload.name, workload.summary);
	}
	puts("\nAllocators:");
	for (int kind = 0; kind < ALLOCATOR_COUNT; kind++) {
		bool found;
		const char *library = allocator_library((enum allocator_kind)kind, &found);
		char where[TEXT_ROOM];
		if (found)
			snprintf(where, sizeof where, "%s", library != NULL ? library : "built in");
		else
			allocator_explain_absence((enum allocator_kind)kind, where, sizeof where);
		printf("  %-20s %s\n", allocator_name((enum allocator_kind)kind), where);
	}
	cache_list();
}

static void announce(const struct selection *selection, bool json) {
	const struct job *base = &selection->base;
	FILE *out = json ? stderr : stdout;
	fprintf(out, "seed %llu, %s live, ", (unsigned long long)base->seed,
			bytes_text(base->live_bytes).text);
	if (base->fill)
		fprintf(out, "snug's limit the same and always full\n");
	else if (selection->search_use)
		fprintf(out, "searching snug's highest use without a failed allocation\n");
	else
		fprintf(out, "snug's limit %s (%.3g in use)\n", bytes_text(base->limit_bytes).text,
				base->use);
	if (!json) putchar('\n');
}

static bool run_one(const struct selection *selection, const struct job *job,
					const struct options *options, struct result *result) {
	bool search = selection->search_use && job->allocator == ALLOCATOR_SNUG;
	if (!(search ? job_search_use : job_run)(job, options->quiet, result)) return false;
	if (options->json)
		report_json(result);
	else
		report_table_row(result);
	fflush(stdout);
	return true;
}

/* Returns how many results there are; fewer than jobs when no process could be started. */
static size_t run_all(const struct selection *selection, const struct options *options,
					  struct result *results) {
	size_t count = 0;
	for (size_t workload = 0; workload < selection->workload_count; workload++)
		for (int kind = 0; kind < ALLOCATOR_COUNT; kind++) {
			struct job job;
			if (!selection->allocators[kind]) continue;
			selection_job(selection, workload, (enum allocator_kind)kind, &job);
			if (!run_one(selection, &job, options, &results[count])) return count;
			count++;
		}
	return count;
}

static bool write_pictures(const struct options *options, const struct result *results,
						   size_t count) {
	bool written = options->plot == NULL || plot_write_svg(options->plot, results, count);
	if (options->map == NULL) return written;
	for (size_t i = 0; i < count; i++)
		if (results[i].outcome.has_map)
			return map_write_svg(options->map, &results[i].job, &results[i].outcome) && written;
	fprintf(stderr, "snug-replay: --map: no defragmentation of libsnug's heap was run\n");
	return written;
}

static void print_defragmentations(const struct result *results, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (!results[i].outcome.defragmented) continue;
		printf("\n%s: the defragmentation that gained most\n", results[i].job.workload);
		report_defragmentation(&results[i].outcome, "  ");
	}
}

static int run_selection(const struct options *options) {
	static struct selection selection;
	if (!selection_make(options, &selection)) return EXIT_USAGE;
	size_t jobs = selection.workload_count * ALLOCATOR_COUNT;
	struct result *results = calloc(jobs, sizeof *results);
	if (results == NULL) {
		fprintf(stderr, "snug-replay: no memory for the results\n");
		return EXIT_FAILURE;
	}
	announce(&selection, options->json);
	if (!options->json) report_table_head(selection.base.workers > 0);
	size_t count = run_all(&selection, options, results);
	if (!options->json) report_table_foot(results, count);
	if (options->defragment && !options->json) print_defragmentations(results, count);
	bool fine = count > 0 && write_pictures(options, results, count);
	for (size_t i = 0; i < count; i++) fine = fine && results[i].outcome.status != JOB_BROKEN;
	free(results);
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct options *options) {
	if (options->help)
		options_help();
	else if (options->version)
		printf("snug-replay %s\n", snug_version());
	else if (options->man)
		options_manual_page();
	else if (options->list)
		list();
	else if (options->demo)
		return demo_run(options);
	else if (options->cache != NULL)
		return cache_run(options);
	else
		return run_selection(options);
	return EXIT_SUCCESS;
}

/* What could not be written was not told: a disk that is full, a reader that has gone. */
static int finish(int status) {
	if (fflush(stdout) == 0 && !ferror(stdout)) return status;
	fprintf(stderr, "snug-replay: standard output: %s\n", strerror(errno));
	return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

int main(int argument_count, char **arguments) {
	struct options options;
	static const uint64_t secret[2] = {1, 2}; /* so that a run can be repeated */
	if (snug_hash_secret_set(secret) != SNUG_OK) return EXIT_FAILURE;
	if (argument_count == 3 && strcmp(arguments[1], CHILD_ARGUMENT) == 0)
		return child_main(arguments[2]);
	setlocale(LC_CTYPE, "");
	if (!options_parse(argument_count, arguments, &options)) return EXIT_USAGE;
	return finish(run(&options));
}
