/* work/worker/worker.h: the inside of snug/workers.h: what a worker is, and which file does which
 * part of its life. For the words: work/channel/message.h.
 *
 *     workers.c             create, stop, destroy, statistics: what other threads call
 *     client.c              what asks: submits, collects; flights: its operations under way
 *     worker_loop.c         the thread: begin, turn after turn, rest, end
 *     worker_execute.c      a batch of messages: operations on the heap
 *     worker_frees.c        large objects that were freed, given back in slices
 *     worker_jobs.c         maintenance: which job runs, one slice of it, overtaking, cancelling
 *     worker_emergency.c    the job that returns bytes to the machine, if need be by evicting
 *     worker_parts.c        one part of a job: a defragmentation within budgets
 *     worker_answer.c       answers, grouped by asker
 *     worker_publish.c      the snapshot that other threads read
 *     job.h                 what a coordinator asks
 *
 *     one turn:   inbox (16 messages) -> answers -> hook.turn -> one slice of maintenance, if due
 *                 -> rest, if none had work
 *
 * A worker is 6 KB and its inbox. What others read of it is in struct published: atomic, and on
 * lines of its own. Everything else belongs to its thread. */
#ifndef SNUG_WORK_WORKER_H
#define SNUG_WORK_WORKER_H

#include "os/threads.h"
#include "work/channel/channel.h"
#include "work/channel/yielding.h"
#include "work/policy/duty.h"
#include "work/worker/job.h"

#include <snug/workers.h>
#include <stdatomic.h>

#define INBOX_BATCH 16u
#define WORKER_NAME_BYTES 12u /* with the final NUL */

struct worker;

/* ------------------------------------------------------------------ what others may read -- */

#define PUBLISHED_WORDS (sizeof(snug_worker_stats) / sizeof(uint64_t))
_Static_assert(sizeof(snug_worker_stats) % sizeof(uint64_t) == 0, "published word by word");

struct published {
	/* atomic: owner writes, anyone reads; odd while being written */
	_Atomic uint64_t sequence;
	_Atomic uint64_t words[PUBLISHED_WORDS]; /* the same: a snug_worker_stats */
	_Atomic uint64_t turned_ns;              /* the same: when it last turned */
	/* the same: not expected to turn: asleep, not begun, or ended */
	_Atomic bool asleep;
};

/* Writes the snapshot. Owner. */
void worker_publish(struct worker *worker, uint64_t now_ns);
/* What the worker would say now. Owner. */
void worker_describe(struct worker *worker, uint64_t now_ns, snug_worker_stats *out);
/* Any thread. */
void worker_read_published(const struct worker *worker, snug_worker_stats *out);

/* ------------------------------------------------------------------ frees ------------------ */

/* Frees the object, or puts it with those that are freed in slices: its handle is stale. */
snug_error frees_accept(struct worker *worker, snug_handle handle);
bool frees_pending(const struct worker *worker);
/* One bounded piece, if any is pending. */
void frees_slice(struct worker *worker);
/* So many bytes of it at once, for who is about to take them. SIZE_MAX: all. */
void frees_pay(struct worker *worker, size_t bytes);
/* All, if the heap outlives the worker. */
void frees_end(struct worker *worker);

/* ------------------------------------------------------------------ jobs ------------------- */

enum emergency_phase { EMERGENCY_FREE, EMERGENCY_COMPACT, EMERGENCY_EVICT };

/* A job that waits or runs. Owner only. */
struct held_job {
	struct job *job;        /* NULL: none. Lent by who asked, until the answer */
	struct message message; /* what is answered */
	bool begun;             /* some part of it has run: `report` and `begin_ns` hold */
	bool open;              /* its defragmentation is begun on the heap */
	bool finishing;         /* the target is reached; what follows moving runs */
	enum emergency_phase phase;
	/* EMERGENCY */
	bool evicted_all; /* nothing is left to evict, or it would be for nothing */
	/* before it compacts again: the last time nothing could be returned */
	bool must_evict;
	uint64_t returned_before; /* the last compaction */
	uint64_t evicted_objects;
	uint64_t begin_ns;
	uint32_t interruptions;
	uint64_t evicted_bytes;
	snug_report report; /* its parts so far */
};

/* Takes a job in, or answers it at once. */
void jobs_accept(struct worker *worker, const struct message *message);
void jobs_cancel(struct worker *worker, const struct job *job);
/* Is there anything to do, and may it run whatever the duty cycle says? */
bool jobs_pending(const struct worker *worker);
bool jobs_urgent(const struct worker *worker);
/* One bounded piece of the highest job. Only if one is pending. */
void jobs_slice(struct worker *worker);
/* Ends all jobs: those begun as cancelled, the others as stopped. */
void jobs_stop(struct worker *worker);

/* Steps within the worker's bounds and the request's. */
snug_defragment_options job_part_options(const struct worker *worker, const struct held_job *held);
/* Begins a part, or runs one step of the one that is open; *done: it has ended, and its report was
 * added. */
snug_error job_part_run(struct worker *worker, struct held_job *held,
						const snug_defragment_options *options, bool *done);
void job_part_end(struct worker *worker, struct held_job *held);

/* One slice of an emergency. *done: the report's outcome is final. */
snug_error emergency_slice(struct worker *worker, struct held_job *held, bool *done);

/* ------------------------------------------------------------------ a worker --------------- */

struct worker {
	/* constant after create */
	snug_workers *workers;
	struct channel *inbox; /* any thread sends, the worker receives */
	uint32_t index;
	struct os_thread thread; /* creator only */
	/* the worker writes it before it is ready, others read it after create */
	pthread_t self;
	snug_error begin_error; /* the same: why it could not begin */
	/* owner only */
	snug_heap *heap;
	struct duty duty;
	struct yielding yielding;
	struct held_job jobs[JOB_PRIORITY_COUNT];
	uint32_t jobs_held;
	snug_handle freeing; /* what is left of an object that is freed in slices; 0: none */
	/* the first of those that come next; each begins with the next one's handle */
	snug_handle to_free;
	uint64_t published_ns;
	uint64_t awake_ns; /* when it last woke up */
	uint64_t busy_ns;  /* awake before that */
	uint64_t turns;
	uint64_t messages;
	uint64_t sleeps;
	uint64_t wakes;
	uint64_t maintenance_ns;
	uint64_t longest_slice_ns;
	_Alignas(64) struct published published;
};

struct snug_workers {
	/* constant after create */
	snug_workers_options options; /* with `processors` and `name` of our own */
	char name[WORKER_NAME_BYTES];
	uint32_t processors[SNUG_WORKERS_MAX];
	uint32_t started; /* threads; creator only */
	/* atomic */
	_Atomic bool stopping; /* any thread sets it, once; the workers read it each turn */
	/* threads that have begun or failed to: they count, the creator waits on it */
	_Atomic uint32_t ready;
	_Atomic uint32_t ended;     /* threads that have stopped: they count, stops wait on it */
	_Atomic uint32_t releasing; /* 1: their heaps may go: destroy sets it, they wait on it */
	_Atomic uint32_t users;     /* clients and coordinators: they count themselves */
	struct worker worker[];
};

/* For clients and coordinators: they count as users while they exist (STOPPED: too late), and send
 * to inboxes. */
snug_error workers_attach(snug_workers *workers);
void workers_detach(snug_workers *workers);
struct channel *workers_inbox(const snug_workers *workers, uint32_t worker);
/* They accept nothing more: what is asked of them is STOPPED. */
static inline bool workers_are_stopping(const snug_workers *workers) {
	return atomic_load_explicit(&workers->stopping, memory_order_relaxed);
}
/* For a hook whose turn has served somebody, and has nothing left to do. Maintenance keeps out of the
 * way of such work. False: it had better rest at once than look again. The worker's own thread. */
bool workers_note_traffic(snug_workers *workers, uint32_t worker, uint64_t now_ns);
/* Is the calling thread one of the workers'? It must not wait for them. */
bool workers_is_own_thread(const snug_workers *workers);

/* The thread. */
void worker_run(void *context);

/* Executes a batch in order and answers it. */
void worker_execute(struct worker *worker, const struct message *batch, size_t count);
/* Sends one answer; and several, all to one asker at once and in order: `answers` is used up. */
void worker_answer(struct worker *worker, const struct message *answer);
void worker_answer_all(struct worker *worker, struct message *answers, size_t count);

#endif
