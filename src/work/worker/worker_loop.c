/* work/worker/worker_loop.c: a worker's thread, from its first act to its last.
 *
 *     begin --could not--> counted as ready, with the error; ended
 *       |
 *     turn: serve (16 messages, hook) -> a slice of frees -> maintain (a slice, if due) -> publish
 *       |  ^                                    |
 *       |  +-- something is left to do ---------+
 *       |  +-- yield once <-- nothing, but there was before
 *       |  +-- rest <-- nothing is -------------+
 *     stopping
 *       |
 *     end: close the inbox, execute what is in it, answer all jobs, the hook's stop
 *     releasing: wait until the workers are destroyed
 *       |
 *     release: the hook's, then the heap
 *
 * A turn is bounded: 16 messages, one call of the user's hook, a slice of frees (worker_frees.c), one
 * slice of maintenance. It ends in a rest unless it has left something to do: until a message comes,
 * the hook's own event, or the moment when pending maintenance may go on. A rest in which something
 * has come already is no sleep. So a hook that has served a single client rests at once, and hands
 * what it has to send to the kernel with the call that waits. Without pending maintenance there is
 * no time-out, but for a first rest that ends when figures are to be published: an idle worker does
 * not wake up (law W9).
 *
 * A worker that was busy gives its processor away once and looks again before it sleeps: clients that
 * are about to send on a busy machine then pay no wake-up. Where others than clients want the
 * processor it does not (work/channel/yielding.h).
 *
 * THE END (law W6). Whoever stops sets `stopping` and closes the inboxes, which wakes the worker.
 * The worker closes its inbox itself as well, because only the return of close says that no sender
 * is inside any more: what it receives from then on is the rest. So nothing that was accepted stays
 * without an answer, and nothing is accepted that would (models/stop.pml).
 *
 * RELEASE. The heap stays until then, for other threads may read what lies in it, as the clients of
 * a cache do. Destroying waits for the last client, so nobody reads any more when it goes. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/worker/worker.h"

#include <stdio.h>

#define PUBLISH_EVERY_NS UINT64_C(500000000)
#define PUBLISH_SOON_NS UINT64_C(1000000)
#define PUBLISH_LATE_NS UINT64_C(10000000)
#define THREAD_NAME_BYTES 16u

/* The moment before the word: who reads that it is awake must not find an old turn with it. */
static void mark_awake(struct worker *worker) {
	worker->awake_ns = os_now_ns();
	atomic_store_explicit(&worker->published.turned_ns, worker->awake_ns, memory_order_relaxed);
	atomic_store_explicit(&worker->published.asleep, false, memory_order_release);
}

static void mark_asleep(struct worker *worker, uint64_t now_ns) {
	SNUG_ASSERT(!atomic_load(&worker->published.asleep));
	worker->busy_ns += now_ns - worker->awake_ns;
	atomic_store_explicit(&worker->published.asleep, true, memory_order_release);
}

/* ------------------------------------------------------------------ begin ------------------ */

/* Its own, and outside of every callback. */
static void end_heap(struct worker *worker) {
	snug_error error = snug_heap_destroy(worker->heap);
	SNUG_ASSERT(!error);
	(void)error;
}

static snug_error start_heap(struct worker *worker) {
	const snug_workers_options *options = &worker->workers->options;
	const snug_worker_hook *hook = &options->hook;
	snug_heap_options heap_options = options->heap;
	if (heap_options.log.write == NULL) heap_options.log = options->log;
	if (heap_options.memory_file != NULL) heap_options.memory_segment += worker->index;
	if (hook->configure != NULL) hook->configure(hook->context, worker->index, &heap_options);
	snug_error error = snug_heap_create(&heap_options, &worker->heap);
	if (error) return error;
	if (hook->start != NULL) error = hook->start(hook->context, worker->index, worker->heap);
	if (error) end_heap(worker);
	return error;
}

static snug_error begin(struct worker *worker) {
	const snug_workers *workers = worker->workers;
	char name[THREAD_NAME_BYTES];
	snprintf(name, sizeof name, "%s-%u", workers->name, worker->index);
	os_thread_set_name(name);
	worker->self = pthread_self();
	bool bind = workers->options.processors != NULL;
	if (bind && !os_thread_bind(workers->processors[worker->index])) return SNUG_ERROR_OS_THREAD;
	snug_error error = start_heap(worker);
	if (error) return error;
	worker->duty =
		(struct duty){.ppm = workers->options.duty_ppm, .idle_ns = workers->options.idle_ns};
	mark_awake(worker);
	worker_publish(worker, worker->awake_ns);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ turns ------------------ */

static bool call_hook(struct worker *worker) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	return hook->turn != NULL && hook->turn(hook->context, worker->index, worker->heap);
}

/* Runs a slice if there is one to run and it may. */
static void maintain(struct worker *worker, uint64_t now_ns) {
	SNUG_ASSERT(jobs_pending(worker));
	if (!jobs_urgent(worker) && duty_wait_ns(&worker->duty, now_ns) > 0) return;
	jobs_slice(worker);
	uint64_t end_ns = os_now_ns();
	uint64_t slice_ns = end_ns - now_ns;
	SNUG_ASSERT(end_ns >= now_ns);
	duty_note_slice(&worker->duty, now_ns, end_ns);
	worker->maintenance_ns += slice_ns;
	if (slice_ns > worker->longest_slice_ns) worker->longest_slice_ns = slice_ns;
}

static void mark_turn(struct worker *worker, uint64_t now_ns) {
	atomic_store_explicit(&worker->published.turned_ns, now_ns, memory_order_relaxed);
	worker->turns++;
}

/* Messages and I/O. True: there is more to do at once; what comes meanwhile ends a rest. */
static bool serve(struct worker *worker) {
	struct message batch[INBOX_BATCH];
	size_t count = channel_receive(worker->inbox, batch, INBOX_BATCH);
	SNUG_ASSERT(count <= INBOX_BATCH);
	if (count > 0) worker_execute(worker, batch, count);
	bool hook_goes_on = call_hook(worker);
	return count > 0 || hook_goes_on;
}

/* ------------------------------------------------------------------ rest ------------------- */

/* How long it may sleep; 0: not at all. */
static uint64_t rest_ns(const struct worker *worker, uint64_t now_ns) {
	if (!jobs_pending(worker)) return SNUG_FOREVER;
	if (jobs_urgent(worker)) return 0;
	return duty_wait_ns(&worker->duty, now_ns);
}

static void wait_for_news(struct worker *worker, uint64_t timeout_ns) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	int event = channel_fd(worker->inbox);
	if (hook->sleep != NULL)
		hook->sleep(hook->context, worker->index, event, timeout_ns);
	else
		os_event_wait(event, timeout_ns);
}

/* What was published a moment ago is not published again before each rest, which would cost more
 * than a request. So that it is before long, the rest has an end, though far enough off that busy
 * workers seldom meet it. What a job has published in this turn knows nothing of its end, and jobs
 * are rare. Tells how long the rest may be. */
static uint64_t publish_in_time(struct worker *worker, uint64_t now_ns) {
	uint64_t age_ns = now_ns - worker->published_ns;
	uint64_t turned_ns = atomic_load_explicit(&worker->published.turned_ns, memory_order_relaxed);
	bool by_job = worker->published_ns >= turned_ns;
	if (age_ns < PUBLISH_SOON_NS && !by_job) return PUBLISH_LATE_NS;
	worker_publish(worker, now_ns);
	return SNUG_FOREVER;
}

static void rest(struct worker *worker) {
	uint64_t now_ns = os_now_ns();
	uint64_t timeout_ns = rest_ns(worker, now_ns);
	SNUG_ASSERT(!jobs_urgent(worker) || timeout_ns == 0);
	if (timeout_ns == 0) return;
	worker->sleeps++;
	timeout_ns = smaller(timeout_ns, publish_in_time(worker, now_ns));
	if (!channel_doze(worker->inbox)) return;
	mark_asleep(worker, now_ns);
	wait_for_news(worker, timeout_ns);
	mark_awake(worker);
	if (channel_rouse(worker->inbox)) worker->wakes++;
}

static void loop(struct worker *worker) {
	const snug_workers *workers = worker->workers;
	bool was_busy = false, yielded = false;
	uint64_t turned_ns = 0;
	while (!atomic_load_explicit(&workers->stopping, memory_order_acquire)) {
		bool goes_on = serve(worker);
		uint64_t now_ns = os_now_ns();
		mark_turn(worker, now_ns);
		if (goes_on) worker->duty.traffic_ns = now_ns;
		if (yielded) yielding_judge(&worker->yielding, now_ns);
		bool served = worker->duty.traffic_ns > turned_ns;
		if (yielded || (was_busy && served)) yielding_note_look(&worker->yielding, served);
		turned_ns = now_ns;
		goes_on |= frees_pending(worker);
		frees_slice(worker);
		if (jobs_pending(worker)) maintain(worker, now_ns);
		/* a job that ended in this turn has published later than the turn's time */
		if (now_ns >= worker->published_ns + PUBLISH_EVERY_NS) worker_publish(worker, now_ns);
		yielded = !goes_on && was_busy && yielding_try(&worker->yielding);
		if (!goes_on && !yielded) rest(worker);
		was_busy = goes_on;
	}
}

/* ------------------------------------------------------------------ end -------------------- */

static void end(struct worker *worker) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	struct message batch[INBOX_BATCH];
	size_t count;
	channel_close(worker->inbox);
	while ((count = channel_receive(worker->inbox, batch, INBOX_BATCH)) > 0)
		worker_execute(worker, batch, count);
	jobs_stop(worker);
	frees_end(worker);
	SNUG_ASSERT(!jobs_pending(worker) && channel_depth(worker->inbox) == 0);
	worker->turns++;
	worker_publish(worker, os_now_ns());
	mark_asleep(worker, os_now_ns());
	if (hook->stop != NULL) hook->stop(hook->context, worker->index, worker->heap);
	snug_log_line(&worker->workers->options.log, SNUG_LOG_DEBUG,
				  "worker %u: stopped after %llu messages", worker->index,
				  (unsigned long long)worker->messages);
}

/* Others may read the heap, as a cache's clients do, until all have stopped. */
static void release(struct worker *worker) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	_Atomic uint32_t *releasing = &worker->workers->releasing;
	while (atomic_load_explicit(releasing, memory_order_acquire) == 0)
		os_wait_on(releasing, 0, OS_FOREVER);
	if (hook->release != NULL) hook->release(hook->context, worker->index, worker->heap);
	end_heap(worker);
}

static void count_up(_Atomic uint32_t *counter) {
	atomic_fetch_add_explicit(counter, 1, memory_order_release);
	os_wake(counter, UINT32_MAX);
}

void worker_run(void *context) {
	struct worker *worker = context;
	snug_workers *workers = worker->workers;
	SNUG_ASSERT(worker == &workers->worker[worker->index] && worker->heap == NULL);
	snug_error error = begin(worker);
	worker->begin_error = error;
	count_up(&workers->ready);
	if (!error) {
		loop(worker);
		end(worker);
	}
	count_up(&workers->ended);
	if (!error) release(worker);
}
