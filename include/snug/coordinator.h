/* snug/coordinator.h: cleanup of the workers' heaps, asked for from any thread and answered with
 * the truth.
 *
 *     snug_coordinator *coordinator;                           // of snug_workers *workers
 *     if (snug_coordinator_create(workers, NULL, &coordinator) != SNUG_OK) return 1;
 *
 *     snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
 *     snug_ticket ticket;
 *     snug_response response;
 *     if (snug_coordinator_submit(coordinator, &request, &ticket) != SNUG_OK) return 1;
 *     if (snug_coordinator_wait(coordinator, ticket, SNUG_FOREVER, &response, NULL, NULL) == SNUG_OK && response.error == SNUG_OK)
 *         printf("%llu bytes reclaimed\n", (unsigned long long)response.report.reclaimed_bytes);
 *
 *     if (snug_coordinator_destroy(coordinator) != SNUG_OK) return 1;
 *
 * The coordinator is a thread. It sends the workers jobs by message, joins what they answer, and
 * keeps the schedules, the background cleanup and the audit. It does no cleanup itself and never
 * touches a heap.
 *
 * PRIORITY: emergency > on demand > scheduled > background. A worker interrupts a lower job for a
 * higher one and continues it after; its report adds the parts up. Requests of one priority to one
 * worker run one after the other, in the order of arrival.
 *
 * JOINING: a request for work that is identical to one that waits or runs joins it: the work is
 * done once, and each asker gets the whole result on his own ticket. Questions (METRICS, ESTIMATE)
 * join only what was not asked of any worker yet, so that an answer is never older than the
 * question.
 *
 * PARTIAL RESULTS are told, never hidden: response.complete is false, response.error and
 * report.outcome say why, and the figures say what was gained until then. */
#ifndef SNUG_COORDINATOR_H
#define SNUG_COORDINATOR_H

#include <snug/client.h>
#include <snug/defragment.h>
#include <snug/error.h>
#include <snug/log.h>
#include <snug/workers.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_coordinator snug_coordinator;

/* ------------------------------------------------------------------ requests ------------------ */

#define SNUG_ALL_WORKERS UINT32_MAX

typedef enum snug_request_kind {
	SNUG_REQUEST_DEFRAGMENT, /* worker, options */
	/* worker, options, min_bytes, may_evict: min_bytes for the machine. What is free already is
	 * returned to the OS, then what compacting and merging classes frees, then if may_evict what
	 * the workers' hook evicts, until min_bytes were returned (report.returned_bytes). It is
	 * refused (GOAL) before anything is moved, returned or evicted, if all of that could not give
	 * as much. Not held back by any duty cycle. What is returned may be taken anew by the next
	 * allocation: a lower limit keeps it away. */
	SNUG_REQUEST_EMERGENCY,
	/* worker, options, schedule: answered as soon as it is accepted; the response names it. Runs
	 * until it is cancelled. */
	SNUG_REQUEST_SCHEDULE,
	SNUG_REQUEST_METRICS,  /* worker */
	SNUG_REQUEST_ESTIMATE, /* worker, options */
	/* target. Answered at once, and OK means: it was asked to end. The cancelled request is
	 * answered when it has; if it was complete before it could be stopped, with its whole
	 * result. */
	SNUG_REQUEST_CANCEL,
	SNUG_REQUEST_COUNT
} snug_request_kind;

typedef enum snug_priority {
	SNUG_PRIORITY_EMERGENCY,
	SNUG_PRIORITY_DEMAND,
	SNUG_PRIORITY_SCHEDULED,
	SNUG_PRIORITY_BACKGROUND,
	SNUG_PRIORITY_COUNT
} snug_priority;

/* While the clock on the wall (local time) shows a minute of the day in [from, to). A window may
 * cross midnight (from > to); to may be 1440, the end of the day. What a change to or from summer
 * time skips or repeats on the clock is skipped or repeated. */
typedef struct snug_window {
	uint16_t from_minute;
	uint16_t to_minute;
} snug_window;

#define SNUG_WINDOWS_MAX 4u
#define SNUG_MINUTES_A_DAY 1440u
#define SNUG_INTERVAL_MIN_NS UINT64_C(1000000)

/* One run in each window, ended with it, or one run each interval: one of the two must be given. */
typedef struct snug_schedule {
	/* external, of each worker, at which a run is done; 0: when nothing can be gained */
	uint32_t target_fragmentation_ppm;
	uint32_t window_count;
	snug_window windows[SNUG_WINDOWS_MAX]; /* which must not overlap */
	/* between the beginnings of runs; one that is due while the last one runs is left out */
	uint64_t interval_ns;
	uint64_t reserved[2]; /* 0 */
} snug_schedule;

/* Begin with snug_request_default(kind), then change: all workers, the defaults of a
 * defragmentation, the rest zero. It may grow: snug/version.h. */
typedef struct snug_request {
	size_t struct_bytes; /* set by snug_request_init */
	snug_request_kind kind;
	uint32_t worker; /* or SNUG_ALL_WORKERS */
	uint64_t min_bytes;
	bool may_evict;
	snug_schedule schedule;
	uint64_t target;      /* a ticket, or the name of a schedule */
	uint64_t reserved[4]; /* 0 */
	/* Each worker's own: mode, pool_mask, budgets, steps (which the workers' own bounds may make
	 * shorter), retain_bytes. */
	snug_defragment_options options;
} snug_request;

void snug_request_init(snug_request *request, size_t struct_bytes, snug_request_kind kind);
static inline snug_request snug_request_default(snug_request_kind kind) {
	snug_request made;
	snug_request_init(&made, sizeof made, kind);
	return made;
}

/* ------------------------------------------------------------------ results ------------------- */

/* One worker's part. */
typedef struct snug_part {
	uint32_t worker;
	/* OK; STOPPED: the worker stopped under it; CANCELLED; BUDGET_ZERO, BUSY, ... of
	 * snug_defragment */
	snug_error error;
	bool complete;
	uint32_t interruptions;        /* by work of higher priority */
	snug_report report;            /* DEFRAGMENT, EMERGENCY; all zero if nothing was begun */
	snug_estimate_report estimate; /* ESTIMATE */
	snug_worker_stats stats;       /* METRICS */
	uint64_t evicted_bytes;        /* EMERGENCY: payload that the hook freed, */
	uint64_t evicted_objects;      /* and how many objects that was */
	uint64_t reserved[4];          /* 0 */
} snug_part;

typedef struct snug_response {
	snug_request_kind kind;
	/* OK. CANCELLED. STOPPED: the coordinator, or some worker, has stopped. GOAL: an emergency that
	 * could not be met, and has changed nothing. NO_MEMORY: one that fell short, because of what
	 * happened meanwhile or because merging classes gave less than it might. TICKET: a CANCEL whose
	 * target is unknown or has ended. QUEUE_FULL: a schedule too many. Else the first error of a
	 * part. Whatever it is, the figures below hold. */
	snug_error error;
	bool complete;
	bool joined;        /* shared the work of an earlier, identical request */
	uint32_t parts;     /* how many workers have one */
	uint64_t total_ns;  /* from submission to answer */
	snug_report report; /* of all parts together, as below */
	snug_estimate_report estimate;
	snug_stats stats;
	uint64_t evicted_bytes;
	uint64_t evicted_objects;
	uint64_t possible_bytes; /* EMERGENCY: what could be returned when it began, at most */
	uint64_t schedule;       /* SCHEDULE: its name, for CANCEL */
	uint64_t reserved[6];    /* 0 */
} snug_response;

/* ------------------------------------------------------------------ create, stop, destroy ----- */

/* Background cleanup of each worker. It begins where a value crosses `start` and goes on until all
 * are back across `stop`; whenever nothing can be gained it ends. Shares are in millionths. Besides,
 * memory comes back by itself: what holds nothing and was not needed, nor anything like it
 * allocated, for some seconds is compacted and returned to the OS, but for retain_bytes. */
typedef struct snug_background {
	bool on;
	uint32_t duty_ppm;              /* of each worker's time, at most; looked at once a second */
	uint32_t start_reclaimable_ppm; /* reclaimable bytes / slab bytes: at least */
	uint32_t stop_reclaimable_ppm;  /* at most */
	uint32_t start_available_ppm;   /* available bytes / limit: at most */
	uint32_t stop_available_ppm;    /* at least */
	/* Pressure of the machine's memory; then everything reclaimable is reclaimed, and what is free
	 * beyond retain_bytes of each worker is returned to the OS at once. */
	uint32_t start_stall_ppm; /* /proc/pressure/memory, "some avg10" */
	uint32_t stop_stall_ppm;
	/* own cgroup (v2): memory.current / the lower of memory.high and memory.max; or new
	 * memory.events */
	uint32_t start_cgroup_ppm;
	uint32_t stop_cgroup_ppm;
	/* free memory that each worker keeps; SNUG_NO_BUDGET: none is returned */
	uint64_t retain_bytes;
} snug_background;

#define SNUG_TICKETS_MAX 4096u
#define SNUG_SCHEDULES_MAX 64u
#define SNUG_AUDIT_MAX 65536u

/* Begin with snug_coordinator_options_default, then change. Copied. It may grow: snug/version.h.
 * The defaults: 64 tickets, 8 schedules, 256 entries; and a background cleanup that takes 5 % of
 * each worker's time, from 20 % reclaimable (to 5 %), 5 % available (to 10 %), a stall of 10 % (to
 * 2 %) or a cgroup at 95 % (to 90 %) on, and leaves each worker 1 MiB free. */
typedef struct snug_coordinator_options {
	size_t struct_bytes; /* set by snug_coordinator_options_init */
	/* requests not answered, or not taken, at a time; two more are kept for EMERGENCY and CANCEL */
	uint32_t tickets;
	uint32_t schedules; /* at a time */
	uint32_t audit;     /* entries */
	/* Each request's result at SNUG_LOG_INFO, stalled workers at SNUG_LOG_WARNING. Called on the
	 * coordinator's thread; may submit there but not wait. */
	snug_log log;
	uint64_t reserved[4]; /* 0 */
	snug_background background;
} snug_coordinator_options;

void snug_coordinator_options_init(snug_coordinator_options *options, size_t struct_bytes);
static inline snug_coordinator_options snug_coordinator_options_default(void) {
	snug_coordinator_options made;
	snug_coordinator_options_init(&made, sizeof made);
	return made;
}

/* Starts the thread; the workers must outlive the coordinator. NULL options: the defaults. NULL,
 * VERSION, OPTION, STOPPED (the workers have), OS_MEMORY, OS_THREAD. Memory is taken here and only
 * here: about 2.4 KiB for each ticket and worker, twice. */
SNUG_NODISCARD snug_error snug_coordinator_create(snug_workers *workers,
												  const snug_coordinator_options *options,
												  snug_coordinator **out);

/* An orderly stop: new requests are refused (STOPPED), what runs is cancelled, each ticket is
 * answered, the thread ends. Results can still be taken. TIMED_OUT: some worker did not answer in
 * time; the stop goes on, and a later call waits again. Any thread, but on a worker's or the
 * coordinator's own it does not wait; again: OK. */
SNUG_NODISCARD snug_error snug_coordinator_stop(snug_coordinator *coordinator, uint64_t timeout_ns);

/* Stops, waits for ever, drops the results that were not taken. No call may begin after this one;
 * those that wait are answered and waited for. WRONG_THREAD, and nothing done: a worker's thread,
 * or the coordinator's own. NULL: OK. */
SNUG_NODISCARD snug_error snug_coordinator_destroy(snug_coordinator *coordinator);

/* ------------------------------------------------------------------ submit, poll, wait: any thread  */

/* Hands a request over; never waits. The request is copied. `ticket` NULL: nobody will ask for the
 * result; it is audited and logged like any other. NULL, VERSION, OPTION (kind, mode, pool_mask, a
 * target fragmentation of 1000000 or more), BUDGET_ZERO (also min_bytes 0), WORKER, GOAL (min_bytes
 * is more than the workers' limits), SCHEDULE, QUEUE_FULL, STOPPED. Nothing is done then, and the
 * refusal is audited. */
SNUG_NODISCARD snug_error snug_coordinator_submit(snug_coordinator *coordinator,
												  const snug_request *request, snug_ticket *ticket);

/* Takes the result: the ticket ends with it. TIMED_OUT: nothing changed, the work goes on, the
 * ticket is good until its result is taken. TICKET: unknown, or taken already. WRONG_THREAD: it
 * would have to wait, but this is the thread of a worker or the coordinator. `parts` may be NULL;
 * else `*count` gives the array's room and takes the number of parts written (response->parts tells
 * how many there are; parts are in the order of workers). Poll is wait with a time-out of 0. Any
 * thread, not only the one that submitted. */
SNUG_NODISCARD snug_error snug_coordinator_poll(snug_coordinator *coordinator, snug_ticket ticket,
												snug_response *response, snug_part *parts,
												uint32_t *count);
SNUG_NODISCARD snug_error snug_coordinator_wait(snug_coordinator *coordinator, snug_ticket ticket,
												uint64_t timeout_ns, snug_response *response,
												snug_part *parts, uint32_t *count);

/* Submits and waits. TIMED_OUT: `*late` is the ticket that will give the result. */
SNUG_NODISCARD snug_error snug_coordinator_call(snug_coordinator *coordinator,
												const snug_request *request, uint64_t timeout_ns,
												snug_response *response, snug_ticket *late);

/* ------------------------------------------------------------------ audit, schedules, figures: any thread  */

typedef enum snug_origin {
	SNUG_ORIGIN_CALLER,
	SNUG_ORIGIN_SCHEDULE,
	SNUG_ORIGIN_BACKGROUND
} snug_origin;

/* A request that has ended, or was refused. */
typedef struct snug_audit_entry {
	uint64_t id;           /* 1, 2, 3, ... in the order in which the entries were written */
	uint64_t joined;       /* 1: it shared the work of an earlier one */
	uint64_t ticket;       /* 0: none */
	uint64_t submitted_ns; /* CLOCK_MONOTONIC */
	int64_t submitted_s;   /* seconds since 1970 */
	uint64_t total_ns;     /* until it was answered */
	uint64_t reclaimed_bytes;
	uint64_t returned_bytes; /* to the OS */
	uint64_t evicted_bytes;
	snug_request_kind kind;
	snug_priority priority;
	snug_origin origin;
	uint32_t worker; /* or SNUG_ALL_WORKERS */
	snug_error error;
	snug_outcome outcome; /* SNUG_OUTCOME_COUNT: nothing was begun, or none is due */
	uint32_t complete;    /* 1: it was */
	uint32_t refused;     /* 1: by submit, with `error` */
	uint64_t reserved[4]; /* 0 */
} snug_audit_entry;

/* The last entries, the oldest first. `*count` gives the array's room and takes the number written.
 * NULL. */
SNUG_NODISCARD snug_error snug_coordinator_audit(const snug_coordinator *coordinator,
												 snug_audit_entry *entries, uint32_t *count);

/* A schedule that was accepted and not cancelled. */
typedef struct snug_schedule_entry {
	uint64_t name; /* for CANCEL */
	snug_schedule schedule;
	uint64_t runs;            /* that have ended */
	uint64_t left_out;        /* that were due while the last one still ran */
	uint64_t reclaimed_bytes; /* by all runs */
	/* when the last run began, in seconds since 1970; 0: there was none */
	int64_t last_s;
	/* when the next one is due, by the clock as it was last looked at; 0: not within days */
	int64_t next_s;
	uint32_t worker;       /* or SNUG_ALL_WORKERS */
	uint32_t running;      /* 1: a run is under way */
	snug_error last_error; /* of the last run that has ended */
	uint64_t reserved[4];  /* 0 */
} snug_schedule_entry;

/* The schedules there are, the oldest first; what each says is of one moment. `*count` gives the
 * array's room (SNUG_SCHEDULES_MAX is enough for all; with less, which ones are left out is not
 * said) and takes the number written. NULL. */
SNUG_NODISCARD snug_error snug_coordinator_schedules(const snug_coordinator *coordinator,
													 snug_schedule_entry *entries, uint32_t *count);

typedef struct snug_coordinator_stats {
	uint64_t requests; /* taken in: each has, or will have, an audit entry */
	/* by submit; audited as long as the coordinator keeps up and has not stopped */
	uint64_t refused;
	uint64_t answers;
	uint64_t joins;
	uint64_t jobs; /* sent to workers */
	uint64_t turns;
	uint64_t sleeps;
	uint64_t background_runs;
	uint32_t tickets_in_use;
	uint32_t schedules;
	bool machine_pressure; /* as last looked at */
	uint64_t spare_runs;   /* of the background runs: begun to give back what nothing uses */
	uint64_t reserved[5];  /* 0 */
} snug_coordinator_stats;

/* NULL. */
SNUG_NODISCARD snug_error snug_coordinator_stats_get(const snug_coordinator *coordinator,
													 snug_coordinator_stats *out);

/* "defragment", "emergency", ...; "demand", ...; "caller", ... Static; "unknown" outside the
 * table. */
const char *snug_request_kind_text(snug_request_kind kind);
const char *snug_priority_text(snug_priority priority);
const char *snug_origin_text(snug_origin origin);

#ifdef __cplusplus
}
#endif
#endif
