/* jobs.c: see jobs.h. */
#include "jobs/jobs.h"

#include "allocators/allocators.h"
#include "jobs/child.h"
#include "units.h"
#include "workloads/workloads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USE_LEAST 500 /* thousandths */
#define USE_MOST 999
#define USE_FIRST 970
#define USE_STRIDE 30 /* down from there, until one fits */

static bool add_workload(void *context, const char *name) {
	struct selection *selection = context;
	char problem[TEXT_ROOM];
	struct workload workload;
	struct job job = selection->base;
	if (selection->workload_count == JOB_MAX)
		return options_complain("workload", name, "is one too many");
	snprintf(job.workload, sizeof job.workload, "%s", name);
	if (!workload_find(&job, &workload, problem, sizeof problem)) {
		fprintf(stderr, "snug-replay: %s\n", problem);
		return false;
	}
	memcpy(selection->workloads[selection->workload_count++], job.workload, sizeof job.workload);
	return true;
}

static bool select_workloads(const struct options *options, struct selection *out) {
	const char *names = options->workload;
	bool all = names != NULL && strcmp(names, "all") == 0;
	for (size_t i = 0; all && i < workload_all_count(); i++)
		if (!add_workload(out, workload_name_at(i))) return false;
	if (names != NULL && !all && !options_each("workload", names, add_workload, out)) return false;
	if (options->trace != NULL && access(options->trace, R_OK) != 0)
		return options_complain("trace", options->trace, "cannot be read");
	if (options->trace != NULL && !add_workload(out, "trace")) return false;
	if (options->sizes != NULL && !add_workload(out, "sizes")) return false;
	if (out->workload_count == 0)
		fprintf(stderr, "snug-replay: what shall run? Give --workload NAME (see --list), --trace "
						"FILE, --sizes FILE or "
						"--demo.\nTry: snug-replay --help\n");
	return out->workload_count > 0;
}

static bool add_allocator(void *context, const char *name) {
	struct selection *selection = context;
	enum allocator_kind kind;
	if (!allocator_parse(name, &kind))
		return options_complain("allocator", name, "names an allocator that is not known");
	selection->allocators[kind] = true;
	return true;
}

static bool select_allocators(const struct options *options, struct selection *out) {
	if (strcmp(options->allocator, "all") != 0)
		return options_each("allocator", options->allocator, add_allocator, out);
	for (int kind = 0; kind < ALLOCATOR_COUNT; kind++) out->allocators[kind] = true;
	return true;
}

static bool one_of(const char *option, const char *value, const char *first, const char *second,
				   bool *is_second) {
	*is_second = strcmp(value, second) == 0;
	return *is_second || strcmp(value, first) == 0 ||
		   options_complain(option, value, "is not among its choices");
}

static bool copy_path(char to[PATH_ROOM], const char *path) {
	if (path != NULL && strlen(path) >= PATH_ROOM)
		return options_complain("trace or --sizes", path, "is too long a path");
	snprintf(to, PATH_ROOM, "%s", path != NULL ? path : "");
	return true;
}

static void set_use(struct job *job, double use) {
	job->use = job->fill ? 1 : use;
	job->limit_bytes = (uint64_t)((double)job->live_bytes / job->use + .5);
}

static bool select_numbers(const struct options *options, struct selection *out) {
	struct job *base = &out->base;
	double use = (double)USE_MOST / 1000;
	out->search_use = strcmp(options->use, "max") == 0;
	if (!out->search_use && (!parse_real(options->use, &use) || use <= 0.01 || use > 1))
		return options_complain("use", options->use,
								"is neither a share above 0.01 and up to 1 nor 'max'");
	if (options->live < SNUG_LIMIT_MIN_BYTES || options->live > SNUG_LIMIT_MAX_BYTES / 2)
		return options_complain("live", bytes_text(options->live).text,
								"is not within 256 KiB and 128 GiB");
	if (!(options->factor > 0) || options->factor > 1e6)
		return options_complain("factor", "0", "is not above 0");
	if (options->time_every == 0 || options->time_every > UINT32_MAX)
		return options_complain("time-every", "0", "is not a positive number");
	if (out->search_use && base->fill)
		return options_complain("use", options->use, "and --fill exclude each other");
	uint64_t page = options->page;
	if (page != 0 && (page < 4096 || page > 65536 || (page & (page - 1)) != 0))
		return options_complain("page", bytes_text(page).text,
								"is not a power of two within 4K and 64K");
	base->live_bytes = options->live;
	base->page_bytes = page;
	base->factor = options->factor;
	base->time_every = (uint32_t)options->time_every;
	set_use(base, use);
	return true;
}

#define CLIENTS_MAX 256

/* What needs the heap itself, or all objects in one order, does not go with workers. */
static bool select_threads(const struct options *options, struct selection *out) {
	struct job *base = &out->base;
	if (options->workers == 0) return true;
	if (options->workers > SNUG_WORKERS_MAX)
		return options_complain("workers", count_text(options->workers).text,
								"is more than there can be");
	if (options->clients == 0 || options->clients > CLIENTS_MAX)
		return options_complain("clients", count_text(options->clients).text,
								"is not within 1 and 256");
	if (base->fill || options->map != NULL || options->plot != NULL || options->trace != NULL)
		return options_complain("workers", count_text(options->workers).text,
								"goes with neither --fill, --map, --plot nor --trace");
	if (strcmp(options->allocator, "snug") != 0)
		return options_complain("workers", count_text(options->workers).text, "is for snug alone");
	if (base->limit_bytes / options->workers < SNUG_LIMIT_MIN_BYTES)
		return options_complain("workers", count_text(options->workers).text,
								"leaves each less than 256 KiB");
	base->workers = (uint32_t)options->workers;
	base->clients = (uint32_t)options->clients;
	base->by_handle = true;
	return true;
}

bool selection_make(const struct options *options, struct selection *out) {
	*out = (struct selection){.base = {.fill = options->fill,
									   .no_compaction = options->no_compaction,
									   .check = options->check,
									   .want_map = options->map != NULL,
									   .seed = options_seed(options)}};
	return copy_path(out->base.trace_path, options->trace) &&
		   copy_path(out->base.sizes_path, options->sizes) &&
		   one_of("names", options->names, "reference", "handle", &out->base.by_handle) &&
		   one_of("evict", options->evict, "random", "fifo", &out->base.evict_oldest) &&
		   select_numbers(options, out) && select_threads(options, out) &&
		   select_allocators(options, out) && select_workloads(options, out);
}

void selection_job(const struct selection *selection, size_t workload,
				   enum allocator_kind allocator, struct job *out) {
	*out = selection->base;
	memcpy(out->workload, selection->workloads[workload], sizeof out->workload);
	out->allocator = allocator;
}

bool job_run(const struct job *job, bool quiet, struct result *out) {
	bool found;
	memset(&out->outcome, 0, sizeof out->outcome);
	out->job = *job;
	(void)allocator_library(job->allocator, &found);
	if (!found) {
		allocator_explain_absence(job->allocator, out->outcome.problem,
								  sizeof out->outcome.problem);
		return true;
	}
	return child_run(job, quiet, &out->outcome);
}

bool job_search_use(const struct job *job, bool quiet, struct result *out) {
	struct job trial = *job;
	static struct result result;
	trial.stop_at_failure = true;
	int fits = 0; /* the highest use without a failure so far, 0: none yet */
	int fails = USE_MOST + 1;
	for (int use = USE_FIRST; fails - fits > 1 && use >= USE_LEAST;
		 use = fits > 0 ? (fits + fails) / 2 : use - USE_STRIDE) {
		set_use(&trial, use / 1000.0);
		if (!job_run(&trial, quiet, &result)) return false;
		bool finished = result.outcome.elapsed_ns > 0;
		bool fitted = finished && result.outcome.failed_allocations == 0;
		if (fitted || fits == 0) *out = result;
		*(fitted ? &fits : &fails) = use;
		if (!finished) break;
	}
	return true;
}
