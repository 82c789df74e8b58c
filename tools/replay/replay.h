/* replay.h: the words of snug-replay, its rooms, and the structs that its files share.
 *
 * workload   a named list of phases, such as W3 of the RAMCloud paper
 * phase      one stretch of it: churn, delete, pin, unpin, defragment, ...
 * job        one workload against one allocator under one limit, in a process of its own, so that
 *            RSS is its own
 * child      that process. It shares one mapping (struct shared) with its parent: job in, progress
 *            and outcome out
 * object     live memory under test: at least 8 bytes; the first 8 name its entry, the others
 *            follow from those
 * ledger     the table of live objects, one entry each; it lies outside of the measured allocator
 * name       what the allocator calls an object: an address, a reference or a handle
 * outcome    everything that a job found
 *
 *     options -> jobs -> child: workload phases -> ledger + allocator -> outcome -> table, JSON, plot, map
 *
 * Each folder is a room; the header of its name says what is in it. A room includes this file and
 * the rooms above it in this table, none below (a test keeps it so).
 *
 * ledger/      the objects under test: who is live, which bytes they must hold; random numbers, the
 *              clock
 * options/     the command line
 * workloads/   what is allocated and freed: phases, sizes of objects, traces
 * policies/    what a cache evicts, simulated without contents
 * allocators/  libsnug and the mallocs behind one struct of functions
 * runs/        one job, inside its child: phases, samples, checks
 * jobs/        from options to jobs; the child's process, the progress line
 * report/      what is told of outcomes: table, JSON, plot, memory map
 * caches/      --cache: loads, libsnug's cache and the policies under them, what they miss
 * (here)       the program, the tour
 *
 * The tool uses the public API (snug/snug.h) alone. Sizes are bytes, times nanoseconds. */
#ifndef REPLAY_H
#define REPLAY_H

#include "memory_map.h"

#include <snug/snug.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_MIN_BYTES ((size_t)8)
#define NAME_ROOM ((size_t)64)
#define PATH_ROOM ((size_t)1024)
#define TEXT_ROOM ((size_t)240)
#define PHASE_MAX ((size_t)12)
#define SAMPLE_MAX ((size_t)512)

enum allocator_kind {
	ALLOCATOR_SNUG,
	ALLOCATOR_GLIBC,
	ALLOCATOR_JEMALLOC,
	ALLOCATOR_MIMALLOC,
	ALLOCATOR_TCMALLOC,
	ALLOCATOR_COUNT
};

struct job {
	char workload[NAME_ROOM];
	char trace_path[PATH_ROOM]; /* empty: no trace */
	char sizes_path[PATH_ROOM]; /* empty: no sizes of the user's own */
	enum allocator_kind allocator;
	uint64_t live_bytes;  /* payload that is kept live */
	uint64_t limit_bytes; /* of libsnug's heap; the mallocs know none */
	uint64_t page_bytes;  /* 0: the library chooses */
	uint64_t seed;
	double use;          /* live / limit */
	double factor;       /* a churn phase allocates so many times the live bytes */
	uint32_t time_every; /* every so-many-th call is timed */
	uint32_t workers;    /* 0: no threads, the heap is called directly */
	uint32_t clients;    /* of the workers */
	bool by_handle;
	bool fill;            /* no live bytes to keep: the heap is always full */
	bool no_compaction;   /* allocations do not compact */
	bool evict_oldest;    /* traces: FIFO, else random */
	bool check;           /* snug_check when a phase ends */
	bool stop_at_failure; /* the first failed allocation ends the run: its use is too high */
	bool want_map;
};

/* The heap at one moment, for the plot. */
struct sample {
	uint64_t allocated_bytes; /* so far: the time axis */
	uint64_t live_bytes;
	uint64_t used_bytes;      /* slab pages and metadata */
	uint64_t committed_bytes; /* with free pages and metadata */
	uint64_t reclaimed_bytes; /* since creation */
	uint64_t rss_bytes;
};

/* The state when a phase ended, for the story that the demo tells. */
struct phase_end {
	struct sample sample;
	uint64_t phase_ns;
	double external_fragmentation;
};

struct quantiles {
	uint64_t count, p50, p99, p999, max;
};

enum job_status { JOB_NOT_RUN, JOB_RUNNING, JOB_DONE, JOB_BROKEN };

/* Of clients and workers. */
struct crowd_outcome {
	uint64_t operations;
	struct quantiles operation_ns; /* from the submission of its batch until its result was taken */
	uint64_t defragmentations;     /* while clients ran, as the three below */
	uint64_t reclaimed_bytes;
	uint64_t moved_objects;
	uint64_t longest_step_ns;
};

struct outcome {
	enum job_status status;  /* BROKEN: a law or an object's bytes; `problem` says which */
	char problem[TEXT_ROOM]; /* the first one, in words; empty: none */
	uint64_t live_bytes;     /* at the end, before the last defragmentation */
	uint64_t objects;
	uint64_t allocated_bytes;
	uint64_t allocations;
	uint64_t frees;
	uint64_t failed_allocations;
	uint64_t integrity_errors;
	uint64_t verified_bytes;
	uint64_t broken_laws;
	double utilisation_min;  /* of live / limit (snug) or live / RSS growth (mallocs), while full */
	double utilisation_mean; /* the same, mean */
	double utilisation_end;
	/* fill: least (live + requested) / limit at which an allocation failed */
	double demand_min;
	double rss_utilisation_end; /* live / RSS growth, for all */
	double pair_ns;
	struct quantiles alloc_ns;
	struct quantiles step_ns;
	uint64_t rss_bytes; /* growth by the heap, the tool's bookkeeping taken off */
	uint64_t rss_peak_bytes;
	uint64_t rss_after_bytes; /* after the last defragmentation */
	uint64_t reclaimed_bytes; /* snug: since creation, the last defragmentation included */
	uint64_t elapsed_ns;
	snug_stats stats;  /* snug: before the last defragmentation */
	bool defragmented; /* the three below are those of the defragmentation that gained most */
	snug_estimate_report estimate;
	snug_report report;
	struct crowd_outcome crowd; /* all zero without workers */
	bool has_map;
	struct memory_map before, after;
	size_t phase_count;
	struct phase_end phases[PHASE_MAX];
	size_t sample_count;
	struct sample samples[SAMPLE_MAX];
};

/* Written by the child, read by the parent whenever it likes: each figure by itself. */
struct progress {
	_Atomic uint32_t phase; /* index into the workload's phases */
	_Atomic uint64_t done_bytes;
	_Atomic uint64_t planned_bytes;
	_Atomic uint64_t live_bytes;
	_Atomic uint64_t used_bytes;
	_Atomic uint64_t failed_allocations;
	_Atomic uint32_t fragmentation_ppm; /* external */
};

/* A job and what came of it. */
struct result {
	struct job job;
	struct outcome outcome;
};

struct shared {
	struct job job;           /* parent writes before the child starts */
	struct progress progress; /* atomic */
	struct outcome outcome;   /* child writes, parent reads when the child has ended */
	/* child only: here, so that it is resident before the baseline is taken */
	snug_histogram alloc_ns;
	snug_histogram step_ns;
};

#endif
