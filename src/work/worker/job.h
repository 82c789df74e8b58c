/* work/worker/job.h: maintenance that a coordinator asks of a worker. The coordinator owns the
 * struct and lends it with MESSAGE_JOB until the worker's answer; the worker writes the result part
 * only.
 *
 *     coordinator --MESSAGE_JOB, lent--> worker ... slices ... --the same message--> coordinator
 *                  \--MESSAGE_JOB_CANCEL--^   not answered
 *
 * A worker holds at most one job of each priority and runs the highest; one that is overtaken ends
 * its defragmentation, keeps what it has reported so far and begins again when its turn comes. That
 * there is one of each at most is what bounds the worker's memory and the coordinator's inbox (law
 * R4). 2 KB. */
#ifndef SNUG_WORK_JOB_H
#define SNUG_WORK_JOB_H

#include <snug/defragment.h>
#include <snug/workers.h>

enum job_kind {
	JOB_DEFRAGMENT, /* options; priority */
	/* min_bytes: return what is free, compact, and if may_evict then evict and compact again, until
	 * so much was returned */
	JOB_EMERGENCY,
	JOB_ESTIMATE, /* options */
	JOB_METRICS
};

enum job_priority {
	JOB_PRIORITY_EMERGENCY,
	JOB_PRIORITY_DEMAND,
	JOB_PRIORITY_SCHEDULED,
	JOB_PRIORITY_BACKGROUND,
	JOB_PRIORITY_COUNT
};

struct job {
	enum job_kind kind;
	enum job_priority priority;
	snug_defragment_options options;
	/* JOB_DEFRAGMENT: done once external fragmentation is at most this; 0: no such target */
	uint64_t target_fragmentation_ppm;
	uint64_t min_bytes;
	bool may_evict;
	/* result, written by the worker before it answers */
	snug_report report;            /* DEFRAGMENT, EMERGENCY: over all of its parts */
	snug_estimate_report estimate; /* ESTIMATE */
	snug_worker_stats stats;       /* METRICS, ESTIMATE: of the same moment */
	uint64_t evicted_bytes;        /* EMERGENCY: payload that the evictor freed */
	uint64_t evicted_objects;      /* EMERGENCY: how many objects that was */
	uint32_t interruptions;        /* by jobs of higher priority */
};

#endif
