/* snug/workers.h: threads that own their heaps.
 *
 *     snug_workers_options options = snug_workers_options_default();
 *     options.count = 2;
 *     options.heap.limit_bytes = 64 << 20;                     // of each worker
 *     snug_workers *workers;
 *     if (snug_workers_create(&options, &workers) != SNUG_OK) return 1;
 *     // clients (snug/client.h) and a coordinator (snug/coordinator.h) talk to them by message
 *     if (snug_workers_stop(workers, SNUG_FOREVER) != SNUG_OK) return 1;
 *     if (snug_workers_destroy(workers) != SNUG_OK) return 1;
 *
 * Each worker is one thread with one heap that no other thread ever changes, and one inbox.
 * Everything that others want of it is a message; it answers on a channel that the asker owns. What
 * it has to say about itself it publishes as a snapshot. Others may read what lies in the heap if
 * whoever keeps it there has a proof for what they have read, as a cache has (snug/cache.h). So a
 * heap stays when its worker has stopped, until the workers are destroyed.
 *
 * A turn of its loop: a batch of the inbox, the user's hook, a slice of maintenance within the duty
 * cycle, and sleep when none of the three had work. So a message waits at most for one batch, one
 * turn of the hook and one defragmentation step. */
#ifndef SNUG_WORKERS_H
#define SNUG_WORKERS_H

#include <snug/error.h>
#include <snug/heap.h>
#include <snug/log.h>
#include <snug/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_workers snug_workers;

#define SNUG_WORKERS_MAX 64u
#define SNUG_FOREVER UINT64_MAX /* as a time-out in nanoseconds: none */

/* What a user adds to a worker's life. All functions run on the worker's thread, with its own heap;
 * each may be NULL. They may use the heap as they like; a defragmentation of their own is BUSY
 * while one that was asked for is under way, and must have ended when they return. */
typedef struct snug_worker_hook {
	void *context;
	/* Before the worker's heap is created: may change its options (such as the owner's context),
	 * worker by worker. */
	void (*configure)(void *context, uint32_t worker, snug_heap_options *options);
	/* After it is created. An error ends snug_workers_create with it. */
	snug_error (*start)(void *context, uint32_t worker, snug_heap *heap);
	/* Once a turn: a bounded amount of I/O or other work. Tells whether it did anything. */
	bool (*turn)(void *context, uint32_t worker, snug_heap *heap);
	/* Sleeps in the worker's place: until wake_fd can be read (the worker reads it), something of
	 * its own is ready, or timeout_ns have passed (SNUG_FOREVER: no limit). Lets an event loop of
	 * the user's watch its own descriptors and the inbox at once. */
	void (*sleep)(void *context, uint32_t worker, int wake_fd, uint64_t timeout_ns);
	/* Asks to free objects of about `bytes` payload, the least valuable first; tells how many bytes
	 * were freed, 0 if nothing can be. Called by emergency cleanups (snug/coordinator.h), again and
	 * again until the goal is met. NULL where nothing may ever be evicted. */
	uint64_t (*evict)(void *context, uint32_t worker, snug_heap *heap, uint64_t bytes);
	/* Answers requests of the user's own, which clients sent with SNUG_OPERATION_RUN
	 * (snug/client.h): `requests` holds their buffers, in order; `errors`, all SNUG_OK before,
	 * takes what each client is told. Several at a time, so that their cache misses can overlap.
	 * Must be bounded: what comes after it in the inbox waits. */
	void (*run)(void *context, uint32_t worker, snug_heap *heap, void *const *requests,
				snug_error *errors, size_t count);
	/* When the worker has stopped: after its last message. */
	void (*stop)(void *context, uint32_t worker, snug_heap *heap);
	/* Before the worker's heap is destroyed, which snug_workers_destroy begins when all workers have
	 * stopped: until then others may read what lies there. */
	void (*release)(void *context, uint32_t worker, snug_heap *heap);
	void (*reserved[3])(void); /* NULL */
} snug_worker_hook;

/* Begin with snug_workers_options_default, then change; only heap.limit_bytes has no default.
 * Copied; processors need not outlive the workers, os must. It may grow: snug/version.h. The
 * defaults: one worker, 1024 messages, 3 %, 200 us, 4 KiB, 50 us. */
typedef struct snug_workers_options {
	size_t struct_bytes; /* set by snug_workers_options_init */
	uint32_t count;      /* 1 .. SNUG_WORKERS_MAX */
	const char *name; /* threads are called NAME-0, NAME-1, ...; at most 11 bytes; NULL: "snug" */
	/* `count` processor numbers to bind the threads to; NULL: not bound */
	const uint32_t *processors;
	uint32_t inbox_messages; /* a power of two, 16 .. 65536 */
	/* The share of a worker's time that maintenance may take while there are messages or I/O, in
	 * millionths. A worker that has been idle for idle_ns spends all of its time on maintenance
	 * that is pending. */
	uint32_t duty_ppm;
	uint64_t idle_ns;
	/* Bounds of one maintenance slice: see snug_defragment_options. */
	uint64_t step_bytes;
	uint64_t step_ns;
	snug_worker_hook hook;
	snug_log log;           /* called on any worker's thread, one at a time for each worker */
	uint64_t reserved[4];   /* 0 */
	snug_heap_options heap; /* of each worker: limit_bytes is one worker's */
} snug_workers_options;

void snug_workers_options_init(snug_workers_options *options, size_t struct_bytes);
static inline snug_workers_options snug_workers_options_default(void) {
	snug_workers_options made;
	snug_workers_options_init(&made, sizeof made);
	return made;
}

/* Starts the threads; returns when all of them are ready, or with the first one's error and none
 * running. NULL, VERSION, OPTION, LIMIT_TOO_SMALL, OS_MEMORY, OS_THREAD (the OS refused a thread or
 * a descriptor), what hook.start answered. */
SNUG_NODISCARD snug_error snug_workers_create(const snug_workers_options *options,
											  snug_workers **out);

/* An orderly stop: new messages are refused (STOPPED), those in the inboxes are answered, running
 * maintenance ends as cancelled, the threads do nothing more; their heaps stay until they are
 * destroyed. TIMED_OUT: some had not ended in time; the stop goes on, and a later call waits again.
 * Any thread, a hook too (its own worker can't end under it, so the time-out counts as 0 there);
 * again: OK. */
SNUG_NODISCARD snug_error snug_workers_stop(snug_workers *workers, uint64_t timeout_ns);

/* Stops, waits for ever, and gives everything back. IN_USE, and nothing done: clients or a
 * coordinator still exist. WRONG_THREAD: called by a hook. NULL: OK. */
SNUG_NODISCARD snug_error snug_workers_destroy(snug_workers *workers);

uint32_t snug_workers_count(const snug_workers *workers);

/* What a worker last published: at least once a second while it works, and within some 10 ms when it
 * has come to rest. */
typedef struct snug_worker_stats {
	snug_stats heap;       /* all of one instant */
	uint64_t published_ns; /* when: CLOCK_MONOTONIC */
	uint64_t turns;
	uint64_t messages;
	uint64_t sleeps; /* times it lay down; a message that came just then let it up again at once */
	uint64_t wakes;  /* of those, ended by a sender's signal */
	uint64_t busy_ns;
	uint64_t maintenance_ns;
	uint64_t longest_slice_ns;
	uint32_t inbox_depth; /* now */
	uint32_t inbox_high_water;
	bool stalled;         /* has not turned for a second, and is not asleep */
	uint64_t reserved[6]; /* 0 */
} snug_worker_stats;

/* Any thread, at any time before destroy. The figures are at most half a second old, and never older
 * than a cleanup that was answered. NULL, WORKER (no such worker). */
SNUG_NODISCARD snug_error snug_workers_stats(const snug_workers *workers, uint32_t worker,
											 snug_worker_stats *out);

#ifdef __cplusplus
}
#endif
#endif
