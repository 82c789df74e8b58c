/* runs.h: the door of runs/, one job inside its child.
 *
 * run.c             leads: prepares, runs the phases one after the other, fills the outcome
 * run_churn.c       the phases that allocate, free, pin and unpin at random
 * run_trace.c       the phase that replays a trace
 * run_defragment.c  the phase that defragments, and the laws
 * run_object.c      one object: allocates, writes, verifies, frees; the calls that are timed
 * run_sample.c      what the heap takes, again and again
 * run_broken.c      what went wrong, for all of them
 * crowd.h           the same with clients and workers: run_crowd.c leads, crowd_client.c is one
 *                   client */
#ifndef REPLAY_RUNS_H
#define REPLAY_RUNS_H

#include "allocators/allocators.h"
#include "ledger/ledger.h"
#include "replay.h"
#include "workloads/trace.h"
#include "workloads/workloads.h"

/* No object is larger than this share of the live bytes, or small heaps would hold a handful of
 * Meta's objects. */
#define LARGEST_SHARE 4

/* The sum of sampled call times. Every time_every-th call is timed, from the first moment on when
 * objects had to be freed to make room: before that, a heap only grows. */
struct call_times {
	uint64_t sum_ns;
	uint64_t count;
	uint32_t until_next;
};

/* An object that a trace stored, in order of age; it is gone when the entry's stamp is another
 * one. */
struct stored {
	uint32_t index;
	uint32_t stamp;
};

struct trace_tables {
	uint32_t *entry_of_key; /* ENTRY_NONE: not stored */
	uint32_t *key_of_entry;
	struct stored *queue; /* one for each request that may store */
	size_t queue_begin, queue_end;
};

struct run {
	const struct job *job;
	struct shared *shared;
	struct outcome *outcome;
	struct workload workload;
	struct allocator allocator;
	struct ledger ledger;
	struct trace trace;
	struct trace_tables trace_tables;
	struct random size_random;
	struct random victim_random;
	struct random check_random;
	struct call_times alloc_times;
	struct call_times free_times;
	uint64_t overhead_ns;
	size_t largest_bytes;    /* sizes are cut to this */
	bool full;               /* since the last mass delete, room had to be made */
	bool warm;               /* full once: timing has begun */
	int statm;               /* /proc/self/statm, open */
	uint64_t baseline_bytes; /* RSS before the first allocation */
	uint64_t done_units;     /* of planned_units: bytes to allocate, or a trace's requests */
	uint64_t planned_units;
	uint64_t next_sample_units;
	uint64_t full_samples; /* how many samples utilisation_mean is the mean of */
};

/* The job is to end early. */
static inline bool run_is_over(const struct run *run) {
	return run->job->stop_at_failure && run->outcome->failed_allocations > 0;
}

/* ---- run_broken.c ---- */
/* Counts a broken law or a lost byte, and notes the first; the job goes on. */
void run_broken(struct outcome *outcome, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- run.c ---- */
/* The whole job: the child's work. */
void run_job(struct shared *shared);

/* ---- run_object.c: one object ---- */
/* Allocates, writes every byte. False: no memory, which is counted. */
bool run_object_allocate(struct run *run, size_t size, uint32_t *out);
/* Verifies every byte, frees. */
void run_object_free(struct run *run, uint32_t index);
bool run_object_verify(struct run *run, uint32_t index);
/* Frees a random object that is not pinned; false: there is none. */
bool run_object_free_random(struct run *run);
/* Verifies one random object every now and then. */
void run_object_verify_sometimes(struct run *run);

/* ---- run_churn.c ---- */
void run_churn(struct run *run, const struct phase *phase);
void run_delete(struct run *run, double share);
void run_delete_alternate(struct run *run);
void run_pin(struct run *run, double share);
void run_unpin(struct run *run, double share);

/* ---- run_trace.c ---- */
/* Resident tables for the replay; before the baseline is taken. False: the trace cannot be read. */
bool run_trace_prepare(struct run *run);
void run_trace(struct run *run);

/* ---- run_sample.c ---- */
/* Takes the baseline; from here on only the heap and the ledger grow. */
void sample_begin(struct run *run);
/* After `units` of work: takes a sample when one is due. */
void sample_advance(struct run *run, uint64_t units);
struct sample sample_take(struct run *run);
/* live / limit for libsnug, live / RSS growth for a malloc. */
double sample_utilisation(const struct run *run, const struct sample *sample);
struct quantiles quantiles_of(const snug_histogram *histogram);

/* ---- run_defragment.c ---- */
/* Estimate, defragment step by step, compare. Nothing for a malloc. */
void run_defragment(struct run *run);
/* snug_check, and the library's counters against the ledger. */
void run_check(struct run *run);

#endif
