/* jobs.h: the door of jobs/, from options to jobs, and running them.
 *
 * jobs.c      checks the options, makes the jobs, searches the highest use
 * child.h     a job's own process, with the allocator's library preloaded
 * progress.h  the line on standard error meanwhile */
#ifndef REPLAY_JOBS_H
#define REPLAY_JOBS_H

#include "options/options.h"
#include "replay.h"

#define JOB_MAX ((size_t)256)

/* The workloads and the allocators that the options name; every pair of them is a job. False: a
 * message is on standard error. */
struct selection {
	char workloads[JOB_MAX][NAME_ROOM];
	size_t workload_count;
	bool allocators[ALLOCATOR_COUNT];
	struct job base; /* all but workload and allocator */
	bool search_use; /* --use max */
};

/* Turns the options into a selection. False: they do not make sense, a message is on standard
 * error. */
bool selection_make(const struct options *options, struct selection *out);

/* Fills `out` with the job of one workload and allocator. */
void selection_job(const struct selection *selection, size_t workload,
				   enum allocator_kind allocator, struct job *out);

/* Runs the job as it is; its outcome says when its allocator's library is not installed. False: no
 * process could be started. */
bool job_run(const struct job *job, bool quiet, struct result *out);

/* Searches the highest use, in steps of 0.001, at which libsnug fails no allocation; the result is
 * of the run at that use. It is assumed that a use below one without a failure has none either. */
bool job_search_use(const struct job *job, bool quiet, struct result *out);

#endif
