/* work/worker/workers.c: the set of workers as other threads see it: created, asked for figures,
 * stopped, destroyed.
 *
 *     create   threads start --ready counts up--> all have begun, or one has failed: then all end
 *     stop     inboxes closed --ended counts up--> all have answered what they accepted
 *     destroy  no users --> stop --> the threads release their heaps --> join, free
 *
 * Creation waits for every thread's word on whether it could begin; one that could not ends all.
 * Stopping closes the inboxes, which wakes the threads, and waits until all have counted themselves
 * out; any number of threads may stop at once. Only destroy joins them, because a thread can be
 * joined once.
 *
 * Clients and coordinators are users: they count themselves, and destroy is refused while there are
 * any (IN_USE). A worker's own thread may begin a stop, but not wait for it. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "work/key_hash.h"
#include "work/worker/worker.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ options ---------------- */

void snug_workers_options_init(snug_workers_options *options, size_t struct_bytes) {
	static const snug_workers_options defaults = {
		.count = 1,
		.inbox_messages = 1024,
		.duty_ppm = 30000,
		.idle_ns = 200000,
		.step_bytes = 4096,
		.step_ns = 50000,
	};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
	grown_init_part(options, struct_bytes, offsetof(snug_workers_options, heap));
}

static snug_error read_options(const snug_workers_options *given, snug_workers_options *out) {
	*out = snug_workers_options_default();
	bool is_known = grown_read(given, out, sizeof *out) &&
					grown_is_zero(out->reserved, sizeof out->reserved) &&
					grown_is_zero(out->hook.reserved, sizeof out->hook.reserved);
	out->heap.struct_bytes = sizeof out->heap;
	return is_known ? SNUG_OK : SNUG_ERROR_VERSION;
}

static snug_error check(const snug_workers_options *options) {
	if (options->count == 0 || options->count > SNUG_WORKERS_MAX) return SNUG_ERROR_OPTION;
	if (options->name != NULL && strlen(options->name) >= WORKER_NAME_BYTES)
		return SNUG_ERROR_OPTION;
	if (options->inbox_messages < CHANNEL_MESSAGES_MIN ||
		options->inbox_messages > CHANNEL_MESSAGES_MAX)
		return SNUG_ERROR_OPTION;
	if (!is_power_of_two(options->inbox_messages)) return SNUG_ERROR_OPTION;
	if (options->duty_ppm == 0 || options->duty_ppm > DUTY_WHOLE_PPM) return SNUG_ERROR_OPTION;
	if (options->step_bytes == 0 || options->step_ns == 0) return SNUG_ERROR_BUDGET_ZERO;
	return SNUG_OK;
}

static void copy_options(snug_workers *workers, const snug_workers_options *options) {
	const char *name = options->name != NULL ? options->name : "snug";
	workers->options = *options;
	SNUG_ASSERT(strlen(name) < sizeof workers->name);
	memcpy(workers->name, name, strlen(name) + 1);
	workers->options.name = workers->name;
	if (options->processors == NULL) return;
	memcpy(workers->processors, options->processors, options->count * sizeof *options->processors);
	workers->options.processors = workers->processors;
}

/* ------------------------------------------------------------------ waiting ---------------- */

/* Until so many threads have counted. */
static snug_error wait_for(const _Atomic uint32_t *counter, uint32_t goal, uint64_t deadline_ns) {
	for (;;) {
		uint32_t count = atomic_load_explicit(counter, memory_order_acquire);
		SNUG_ASSERT(count <= goal);
		if (count == goal) return SNUG_OK;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		os_wait_on(counter, count, remaining_ns);
	}
}

static void begin_stop(snug_workers *workers) {
	atomic_store_explicit(&workers->stopping, true, memory_order_release);
	for (uint32_t index = 0; index < workers->started; index++)
		channel_close(workers->worker[index].inbox);
}

/* All threads have ended, or never began. */
static void give_back(snug_workers *workers) {
	SNUG_ASSERT(atomic_load(&workers->stopping) && atomic_load(&workers->users) == 0);
	atomic_store_explicit(&workers->releasing, 1, memory_order_release);
	os_wake(&workers->releasing, UINT32_MAX);
	for (uint32_t index = 0; index < workers->options.count; index++) {
		struct worker *worker = &workers->worker[index];
		if (index < workers->started) os_thread_join(&worker->thread);
		if (worker->inbox != NULL) channel_close(worker->inbox);
		channel_destroy(worker->inbox);
	}
	free(workers);
}

/* ------------------------------------------------------------------ create ----------------- */

static snug_error start_one(snug_workers *workers, uint32_t index) {
	struct worker *worker = &workers->worker[index];
	SNUG_ASSERT(index == workers->started);
	worker->workers = workers;
	worker->index = index;
	atomic_store_explicit(&worker->published.asleep, true, memory_order_relaxed);
	snug_error error = channel_create(workers->options.inbox_messages, &worker->inbox);
	if (error) return error;
	if (!os_thread_start(&worker->thread, worker_run, worker)) return SNUG_ERROR_OS_THREAD;
	workers->started++;
	return SNUG_OK;
}

static snug_error first_begin_error(const snug_workers *workers) {
	for (uint32_t index = 0; index < workers->started; index++) {
		if (workers->worker[index].begin_error) return workers->worker[index].begin_error;
	}
	return SNUG_OK;
}

static snug_error start_all(snug_workers *workers) {
	snug_error error = SNUG_OK;
	for (uint32_t index = 0; index < workers->options.count && !error; index++)
		error = start_one(workers, index);
	snug_error waited = wait_for(&workers->ready, workers->started, OS_FOREVER);
	SNUG_ASSERT(!waited);
	(void)waited;
	return error ? error : first_begin_error(workers);
}

static snug_error create(const snug_workers_options *options, snug_workers **out) {
	snug_error error = check(options);
	if (error) return error;
	key_hash_settle();
	size_t bytes = round_up(sizeof(snug_workers) + options->count * sizeof(struct worker),
							_Alignof(struct worker));
	snug_workers *workers = aligned_alloc(_Alignof(struct worker), bytes);
	if (workers == NULL) return SNUG_ERROR_OS_MEMORY;
	memset(workers, 0, bytes);
	copy_options(workers, options);
	error = start_all(workers);
	if (error) {
		begin_stop(workers);
		give_back(workers);
		return error;
	}
	*out = workers;
	return SNUG_OK;
}

snug_error snug_workers_create(const snug_workers_options *options, snug_workers **out) {
	snug_workers_options known;
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = read_options(options, &known);
	return error ? error : create(&known, out);
}

/* ------------------------------------------------------------------ stop, destroy ---------- */

bool workers_is_own_thread(const snug_workers *workers) {
	for (uint32_t index = 0; index < workers->started; index++) {
		if (pthread_equal(workers->worker[index].self, pthread_self())) return true;
	}
	return false;
}

snug_error snug_workers_stop(snug_workers *workers, uint64_t timeout_ns) {
	if (workers == NULL) return SNUG_ERROR_NULL;
	uint64_t deadline_ns = os_deadline_ns(workers_is_own_thread(workers) ? 0 : timeout_ns);
	begin_stop(workers);
	return wait_for(&workers->ended, workers->started, deadline_ns);
}

snug_error snug_workers_destroy(snug_workers *workers) {
	if (workers == NULL) return SNUG_OK;
	if (atomic_load_explicit(&workers->users, memory_order_acquire) > 0) return SNUG_ERROR_IN_USE;
	if (workers_is_own_thread(workers)) return SNUG_ERROR_WRONG_THREAD;
	snug_error error = snug_workers_stop(workers, SNUG_FOREVER);
	if (!error) give_back(workers);
	return error;
}

/* ------------------------------------------------------------------ figures ---------------- */

uint32_t snug_workers_count(const snug_workers *workers) {
	return workers == NULL ? 0 : workers->options.count;
}

snug_error snug_workers_stats(const snug_workers *workers, uint32_t worker,
							  snug_worker_stats *out) {
	if (workers == NULL || out == NULL) return SNUG_ERROR_NULL;
	if (worker >= workers->options.count) return SNUG_ERROR_WORKER;
	worker_read_published(&workers->worker[worker], out);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ clients, coordinators -- */

/* Counted first: a stop may come right after the look, and then each send says so. */
snug_error workers_attach(snug_workers *workers) {
	atomic_fetch_add_explicit(&workers->users, 1, memory_order_relaxed);
	if (!atomic_load_explicit(&workers->stopping, memory_order_acquire)) return SNUG_OK;
	workers_detach(workers);
	return SNUG_ERROR_STOPPED;
}

void workers_detach(snug_workers *workers) {
	SNUG_ASSERT(atomic_load(&workers->users) > 0);
	atomic_fetch_sub_explicit(&workers->users, 1, memory_order_release);
}

struct channel *workers_inbox(const snug_workers *workers, uint32_t worker) {
	SNUG_ASSERT(worker < workers->options.count);
	return workers->worker[worker].inbox;
}

bool workers_note_traffic(snug_workers *workers, uint32_t worker, uint64_t now_ns) {
	SNUG_ASSERT(worker < workers->options.count);
	workers->worker[worker].duty.traffic_ns = now_ns;
	return yielding_look_pays(&workers->worker[worker].yielding);
}
