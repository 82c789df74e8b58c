/* work/coordinator/coordination.h: the inside of snug/coordinator.h: what its thread owns, and
 * which file does which part. For the words: work/channel/message.h.
 *
 *     coordinator.c             create, submit, wait, stop, destroy: what other threads call
 *     coordinator_loop.c        the thread: requests in, answers in, sleep, end
 *     coordinator_upkeep.c      each tick (a second): background cleanup, the watchdog
 *     coordinator_plans.c       schedules
 *     coordinator_tasks.c       a task: begun, joined, left, cancelled, ended
 *     coordinator_answers.c     its response, its askers' answers, the audit
 *     coordinator_emergency.c   an emergency's rounds
 *     coordinator_lanes.c       what is sent to each worker, one at a time for each priority, and
 *                               what comes back
 *     tickets, audit            tables that other threads see too
 *     machine                   the kernel's files about memory pressure
 *
 *     ticket slots            task: one piece of work               lanes of worker w
 *     [slot]--next--[slot] <- askers                                emergency   [part] <- [part]
 *                             part 0 | part 1 | ... one a worker -> demand      [part]
 *     [slot] <--------------- askers of another task                scheduled
 *                             part 0 | ...                          background
 *                                                                   questions   [part] <- [part]
 *                                     each lane has a struct job; one part of it is out at most
 *
 * Each file calls only those below it. What is decided is in work/policy.
 *
 * A part is in at most one lane's queue, or out: its lane's job is lent to the worker until the
 * answer (law R4). A task ends when none of its parts waits or is out: then it is in the list of
 * those that have ended, until the loop has answered it. A task without askers goes on only if it
 * is a schedule's or background work. Everything here but what is marked atomic or constant is the
 * coordinator's thread's own.
 *
 * COST. All memory is taken at creation: for each ticket 2 KB, and for each ticket and worker 2 KB
 * where its result goes and 2.5 KB in its task; 10 KB for each worker's five lanes. Reports are
 * large, and a slot or part that were allocated when needed could be refused in an emergency, which
 * is when they are. */
#ifndef SNUG_WORK_COORDINATION_H
#define SNUG_WORK_COORDINATION_H

#include "base/assert.h"
#include "os/threads.h"
#include "work/channel/channel.h"
#include "work/coordinator/audit.h"
#include "work/coordinator/machine.h"
#include "work/coordinator/tickets.h"
#include "work/policy/policy.h"
#include "work/worker/job.h"
#include "work/worker/worker.h"

#include <snug/coordinator.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define COORDINATOR_BATCH 16u
#define COORDINATOR_REFUSALS_MAX 64u /* notes of refusals on their way to the audit */

/* What it sees of the world, replaced by tests. */
struct surroundings {
	struct wall_clock clock;
	struct file_reader files;
	/* the wall clock may be set at any time: how often schedules look at it at least */
	uint64_t look_ns;
	uint64_t tick_ns; /* between two looks at the workers and at the machine's memory */
};

/* ------------------------------------------------------------------ lanes ------------------ */

#define LANE_QUESTIONS ((uint32_t)JOB_PRIORITY_COUNT)
#define LANE_COUNT (JOB_PRIORITY_COUNT + 1u)

enum part_state { PART_UNUSED, PART_WAITING, PART_OUT, PART_ENDED };

struct task_part {
	struct task *task;      /* constant after create */
	struct task_part *next; /* in its lane's queue */
	enum part_state state;
	uint32_t lane;
	uint32_t refusals; /* in a row, because somebody else defragments there */
	/* what to ask of the worker */
	enum job_kind ask;
	uint64_t min_bytes;
	bool may_evict;
	/* what came of it */
	snug_part result;
	/* an emergency's */
	uint64_t before_bytes; /* returned before this round */
	snug_stats stats;      /* as of its last answer; limit_bytes 0: it has not answered */
	bool willing;          /* may have more to give */
};

struct lane {
	struct task_part *first; /* waiting */
	struct task_part *last;
	struct task_part *out; /* NULL: none */
	bool cancel_wanted;    /* the worker must still be told */
	uint64_t retry_ns;     /* its inbox was full, or another job in the way: again then. 0: no */
	struct job job;        /* lent to the worker while `out` */
};

/* ------------------------------------------------------------------ tasks ------------------ */

enum emergency_round { ROUND_ASK, ROUND_REFUSED, ROUND_COMPACT, ROUND_EVICT };

struct plan;
struct upkeep;

struct task {
	struct task *next; /* in the list of tasks, the oldest first, or of free ones */
	struct task *previous;
	snug_request request;
	snug_priority priority;
	snug_origin origin;
	struct plan *plan;     /* whose run it is; NULL: none's */
	struct upkeep *upkeep; /* the same */
	struct ticket_slot *askers;
	struct task *next_ended; /* nothing of it is open, and it is not answered yet */
	uint32_t open;           /* parts that wait or are out, and one while it is being begun */
	bool asked;              /* something was sent to a worker */
	bool cancelled;
	snug_error cancel_error; /* why; SNUG_OK: its window has ended */
	enum emergency_round round;
	uint64_t possible_bytes; /* EMERGENCY: what the workers could return, by their first answers */
	uint64_t begin_ns;
	int64_t begin_s;
	struct task_part *parts; /* constant after create: one for each worker */
};

#define PLAN_WORDS (sizeof(snug_schedule_entry) / sizeof(uint64_t))
_Static_assert(sizeof(snug_schedule_entry) % sizeof(uint64_t) == 0, "published word by word");

/* What is said of a plan, a snug_schedule_entry; its name is 0 when there is none. */
struct published_plan {
	_Atomic uint64_t sequence;          /* atomic: the coordinator writes, anyone reads */
	_Atomic uint64_t words[PLAN_WORDS]; /* the same */
};

/* A schedule. */
struct plan {
	uint64_t name; /* 0: none */
	snug_request request;
	uint64_t runs; /* to reclaimed_bytes: as in snug_schedule_entry */
	uint64_t left_out;
	uint64_t reclaimed_bytes;
	int64_t last_s;
	snug_error last_error;
	struct task *task;    /* its run; NULL: none */
	uint64_t first_ns;    /* interval: the grid's begin */
	uint64_t next_ns;     /* when to look again */
	int64_t done_until_s; /* windows: this one has had its run */
};

/* A worker's, looked at once a second. */
struct upkeep {
	bool wanted;         /* background cleanup, see pressure.h */
	bool stalled;        /* said so */
	uint64_t stalled_ns; /* when */
	uint32_t failures;   /* runs in a row that gained nothing */
	struct spare spare;
	struct task *task; /* its run; NULL: none */
	uint64_t pause_until_ns;
};

/* Atomic, all of them: the coordinator writes (`refused`: submitters), anyone reads. */
struct coordinator_counters {
	_Atomic uint64_t requests;
	_Atomic uint64_t refused;
	_Atomic uint64_t answers;
	_Atomic uint64_t joins;
	_Atomic uint64_t jobs;
	_Atomic uint64_t turns;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t background_runs;
	_Atomic uint64_t spare_runs;
	_Atomic uint32_t schedules;
	_Atomic bool machine_pressure;
};

struct snug_coordinator {
	/* constant after create */
	snug_coordinator_options options;
	struct surroundings world;
	snug_workers *workers;
	uint32_t worker_count;
	/* submitters and workers send, the coordinator receives; room for all that can be on its way */
	struct channel *inbox;
	struct os_thread thread; /* creator, destroyer */
	/* atomic or with rules of their own */
	struct tickets tickets;
	struct audit audit;
	struct published_plan *published_plans; /* one for each of `plans` */
	struct coordinator_counters counters;
	_Atomic uint32_t submitters; /* inside submit, and the closed bit: see coordinator.c */
	_Atomic uint32_t takers;     /* inside poll or wait */
	_Atomic uint32_t refusals;   /* notes on their way */
	/* the coordinator sets it to 1 as its last act; stops wait on it */
	_Atomic uint32_t ended;
	/* the thread's pthread_t, for "is it me?"; it writes it first of all */
	_Atomic uint64_t self;
	/* the coordinator's thread */
	bool stopping;
	uint32_t task_count; /* in the list */
	struct task *task_memory;
	struct task_part *part_memory;
	struct task *free_tasks;
	struct task *first_task;
	struct task *last_task;
	struct task *first_ended;
	struct task *last_ended;
	struct lane *lanes; /* worker * LANE_COUNT + lane */
	uint32_t retries;   /* lanes with a retry_ns */
	struct plan *plans;
	uint64_t plans_named;
	uint64_t plans_next_ns; /* SNUG_FOREVER: none */
	struct upkeep *upkeep;
	uint64_t tick_ns; /* SNUG_FOREVER: none */
	struct machine machine;
};

#define SUBMITTERS_CLOSED (UINT32_C(1) << 31)

static inline void count_one(_Atomic uint64_t *counter) {
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------ coordinator.c ---------- */

/* As snug_coordinator_create, in surroundings of the caller's. */
snug_error coordinator_create_in(snug_workers *workers, const snug_coordinator_options *given,
								 const struct surroundings *world, snug_coordinator **out);

/* ------------------------------------------------------------------ coordinator_loop.c ----- */

void coordinator_run(void *context);

/* ------------------------------------------------------------------ coordinator_tasks.c ---- */

/* A free task for the request. There always is one: each ticket, schedule and worker has room for
 * its own. */
struct task *task_new(snug_coordinator *coordinator, const snug_request *request,
					  snug_priority priority, snug_origin origin);
/* Sends its parts off. */
void task_begin(snug_coordinator *coordinator, struct task *task);
/* Begins a task for the slot's request, or adds the slot to the askers of one. */
void task_for(snug_coordinator *coordinator, struct ticket_slot *slot);
/* Ends one asker's part in it; the task itself when he was the last. */
void task_leave(snug_coordinator *coordinator, struct ticket_slot *slot);
/* What waits is dropped, what is out is told to end. */
void task_cancel(snug_coordinator *coordinator, struct task *task, snug_error error);
void tasks_cancel(snug_coordinator *coordinator, snug_error error);
/* The next one that has ended, in the order in which they did; begins an emergency's next round
 * instead, if there is one. NULL: none. */
struct task *tasks_next_ended(snug_coordinator *coordinator);
/* Answers those who asked for it, and frees it. */
void task_end(snug_coordinator *coordinator, struct task *task, const snug_response *response);

/* While it is held a task does not end. */
static inline void task_hold(struct task *task) {
	task->open++;
}

static inline void task_let_go(snug_coordinator *coordinator, struct task *task) {
	SNUG_ASSERT(task->open > 0);
	if (--task->open > 0) return;
	task->next_ended = NULL;
	if (coordinator->first_ended == NULL)
		coordinator->first_ended = task;
	else
		coordinator->last_ended->next_ended = task;
	coordinator->last_ended = task;
}

/* ------------------------------------------------------------------ coordinator_answers.c -- */

/* What is said of a task that has ended. */
void task_response(const snug_coordinator *coordinator, const struct task *task,
				   snug_response *response);
/* Says it to all askers, and writes it down. */
void task_answer(snug_coordinator *coordinator, struct task *task, const snug_response *response);
/* Answers a slot that no task works for, and audits it. */
void answer_at_once(snug_coordinator *coordinator, struct ticket_slot *slot, snug_error error,
					uint64_t schedule);
void audit_refusal(snug_coordinator *coordinator, snug_request_kind kind, uint32_t worker,
				   snug_error error);

/* ------------------------------------------------------------------ coordinator_lanes.c ---- */

/* Puts a part into the queue of the worker's lane and sends it if it is its turn. */
void part_queue(snug_coordinator *coordinator, struct task_part *part, uint32_t lane);
/* Ends a part that waits, or has the worker told to end it. */
void part_cancel(snug_coordinator *coordinator, struct task_part *part);
void lanes_answer(snug_coordinator *coordinator, const struct message *message);
/* Tries again what could not be sent. */
void lanes_retry(snug_coordinator *coordinator, uint64_t now_ns);
/* When to do so; SNUG_FOREVER: nothing is due. */
uint64_t lanes_next_ns(const snug_coordinator *coordinator);

/* ------------------------------------------------------------------ coordinator_emergency.c  */

void emergency_begin(snug_coordinator *coordinator, struct task *task);
/* A round has ended. True: another one was begun. */
bool emergency_continue(snug_coordinator *coordinator, struct task *task);
uint64_t emergency_gained(const snug_coordinator *coordinator, const struct task *task);
/* It could not be met, and was ended before it had begun. */
bool emergency_is_refused(const struct task *task);

/* ------------------------------------------------------------------ coordinator_plans.c ---- */

/* QUEUE_FULL. */
snug_error plan_add(snug_coordinator *coordinator, const snug_request *request, uint64_t *name);
/* TICKET: no schedule has that name. */
snug_error plan_end(snug_coordinator *coordinator, uint64_t name);
void plan_task_ended(snug_coordinator *coordinator, struct plan *plan,
					 const snug_response *response);
void plans_end(snug_coordinator *coordinator);
/* Begins and ends the runs that are due, and sets plans_next_ns. */
void plans_look(snug_coordinator *coordinator, uint64_t now_ns);

/* ------------------------------------------------------------------ coordinator_upkeep.c --- */

void upkeep_init(snug_coordinator *coordinator);
void upkeep_tick(snug_coordinator *coordinator, uint64_t now_ns);
void upkeep_task_ended(snug_coordinator *coordinator, struct upkeep *upkeep,
					   const snug_response *response);

#endif
