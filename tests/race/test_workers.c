/* test_workers.c: the life of workers: options, begin, hooks, sleep, figures, stalls, stop from
 * anywhere.
 *
 *     SNUG_SNAPSHOTS=20000 tests/race/test_workers      more figures published beside their
 *     readers */
#include "crew.h"
#include "support/test_random.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ------------------------------------------------------------------ create -------------------- */

static void refused(snug_workers_options options, snug_error expected) {
	snug_workers *workers = NULL;
	assert_int_equal(snug_workers_create(&options, &workers), expected);
	assert_null(workers);
}

static void bad_options_are_refused(void **state) {
	(void)state;
	snug_workers_options good = crew_options(1);
	snug_workers_options bad;
	snug_workers *workers = NULL;
	assert_int_equal(snug_workers_create(NULL, &workers), SNUG_ERROR_NULL);
	assert_int_equal(snug_workers_create(&good, NULL), SNUG_ERROR_NULL);
#define REFUSED(field, value, error) (bad = good, bad.field = (value), refused(bad, error))
	REFUSED(count, 0, SNUG_ERROR_OPTION);
	REFUSED(count, SNUG_WORKERS_MAX + 1, SNUG_ERROR_OPTION);
	REFUSED(name, "twelve-bytes", SNUG_ERROR_OPTION);
	REFUSED(inbox_messages, 8, SNUG_ERROR_OPTION);
	REFUSED(inbox_messages, 100, SNUG_ERROR_OPTION);
	REFUSED(inbox_messages, 131072, SNUG_ERROR_OPTION);
	REFUSED(duty_ppm, 0, SNUG_ERROR_OPTION);
	REFUSED(duty_ppm, 1000001, SNUG_ERROR_OPTION);
	REFUSED(step_bytes, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(step_ns, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(heap.limit_bytes, 4096, SNUG_ERROR_LIMIT_TOO_SMALL);
	REFUSED(heap.page_bytes, 5000, SNUG_ERROR_OPTION);
#undef REFUSED
	static const uint32_t nowhere[] = {0, 100000};
	bad = good;
	bad.count = 2;
	bad.processors = nowhere;
	refused(bad, SNUG_ERROR_OS_THREAD);
}

static void null_is_answered(void **state) {
	(void)state;
	snug_worker_stats stats;
	assert_int_equal(snug_workers_stop(NULL, 0), SNUG_ERROR_NULL);
	assert_int_equal(snug_workers_destroy(NULL), SNUG_OK);
	assert_int_equal(snug_workers_count(NULL), 0);
	assert_int_equal(snug_workers_stats(NULL, 0, &stats), SNUG_ERROR_NULL);
	snug_workers_options options = crew_options(2);
	snug_workers *workers = crew_make(&options);
	assert_int_equal(snug_workers_stats(workers, 0, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_workers_stats(workers, 2, &stats), SNUG_ERROR_WORKER);
	assert_int_equal(snug_workers_count(workers), 2);
	crew_unmake(workers);
}

static void without_descriptors_nothing_starts(void **state) {
	(void)state;
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit few = {.rlim_cur = 6, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	snug_workers *workers = NULL;
	snug_workers_options options = crew_options(8);
	snug_error error = snug_workers_create(&options, &workers);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, SNUG_ERROR_OS_THREAD);
	assert_null(workers);
}

/* ------------------------------------------------------------------ hooks --------------------- */

#define CREW 4u

struct witness {
	_Atomic uint32_t configured, started, stopped, turned;
	_Atomic uint32_t mistakes;
	uint32_t fails_at; /* start: this worker refuses; CREW: none */
	pthread_t thread[CREW];
	snug_heap *heap[CREW];
};

static void configure(void *context, uint32_t worker, snug_heap_options *options) {
	struct witness *witness = context;
	witness->thread[worker] = pthread_self();
	options->limit_bytes = (size_t)(worker + 1) << 20;
	atomic_fetch_add(&witness->configured, 1);
}

static snug_error start(void *context, uint32_t worker, snug_heap *heap) {
	struct witness *witness = context;
	if (!pthread_equal(witness->thread[worker], pthread_self()))
		atomic_fetch_add(&witness->mistakes, 1);
	witness->heap[worker] = heap;
	if (worker == witness->fails_at) return SNUG_ERROR_MODE;
	atomic_fetch_add(&witness->started, 1);
	return SNUG_OK;
}

static bool turn(void *context, uint32_t worker, snug_heap *heap) {
	struct witness *witness = context;
	bool mine =
		pthread_equal(witness->thread[worker], pthread_self()) && witness->heap[worker] == heap;
	if (!mine) atomic_fetch_add(&witness->mistakes, 1);
	atomic_fetch_add(&witness->turned, 1);
	return false;
}

static void stop(void *context, uint32_t worker, snug_heap *heap) {
	struct witness *witness = context;
	snug_check_result result;
	if (witness->heap[worker] != heap || snug_check(heap, &result) != SNUG_OK)
		atomic_fetch_add(&witness->mistakes, 1);
	atomic_fetch_add(&witness->stopped, 1);
}

static snug_worker_hook hook_of(struct witness *witness) {
	return (snug_worker_hook){
		.context = witness, .configure = configure, .start = start, .turn = turn, .stop = stop};
}

static void hooks_run_on_the_worker_s_own_thread(void **state) {
	(void)state;
	struct witness witness = {.fails_at = CREW};
	snug_workers_options options = crew_options(CREW);
	options.hook = hook_of(&witness);
	snug_workers *workers = crew_make(&options);
	assert_int_equal(witness.configured, CREW);
	assert_int_equal(witness.started, CREW);
	for (uint32_t i = 0; i < CREW; i++) {
		assert_int_equal(crew_stats(workers, i).heap.limit_bytes, (uint64_t)(i + 1) << 20);
		for (uint32_t other = 0; other < i; other++)
			assert_false(pthread_equal(witness.thread[i], witness.thread[other]));
	}
	/* who is told to stop before his first turn has none */
	CREW_WAIT_UNTIL(atomic_load(&witness.turned) >= CREW);
	crew_unmake(workers);
	assert_int_equal(witness.stopped, CREW);
	assert_int_equal(witness.mistakes, 0);
}

static void one_that_cannot_start_ends_all(void **state) {
	(void)state;
	for (uint32_t fails_at = 0; fails_at < CREW; fails_at++) {
		struct witness witness = {.fails_at = fails_at};
		snug_workers_options options = crew_options(CREW);
		options.hook = hook_of(&witness);
		refused(options, SNUG_ERROR_MODE);
		assert_int_equal(witness.started, CREW - 1);
		/* and the threads were joined, or TSan and ASan complain */
		assert_int_equal(witness.stopped, witness.started);
		assert_int_equal(witness.mistakes, 0);
	}
}

/* ------------------------------------------------------------------ threads ------------------- */

static uint32_t threads_called(const char *prefix) {
	DIR *tasks = opendir("/proc/self/task");
	uint32_t count = 0;
	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		FILE *file = fopen(path, "re");
		if (file == NULL) continue;
		if (fgets(name, sizeof name, file) != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
			count++;
		fclose(file);
	}
	closedir(tasks);
	return count;
}

static bool look_at_processor(void *context, uint32_t worker, snug_heap *heap) {
	_Atomic uint32_t *elsewhere = context;
	(void)worker;
	(void)heap;
	if (sched_getcpu() != 0) atomic_fetch_add(elsewhere, 1);
	return false;
}

static void threads_have_names_and_processors(void **state) {
	(void)state;
	static const uint32_t processors[] = {0, 0, 0};
	_Atomic uint32_t elsewhere = 0;
	snug_workers_options options = crew_options(3);
	options.name = "elevenbytes";
	options.processors = processors;
	options.hook = (snug_worker_hook){.context = (void *)&elsewhere, .turn = look_at_processor};
	snug_workers *workers = crew_make(&options);
	assert_int_equal(threads_called("elevenbytes-"), 3);
	crew_unmake(workers);
	assert_int_equal(threads_called("elevenbytes-"), 0);
	assert_int_equal(elsewhere, 0);
}

/* ------------------------------------------------------------------ sleep, stalls ------------- */

static void idle_workers_do_not_wake_up(void **state) {
	(void)state;
	snug_workers_options options = crew_options(CREW);
	snug_workers *workers = crew_make(&options);
	uint64_t turns[CREW];
	for (uint32_t i = 0; i < CREW; i++) CREW_WAIT_UNTIL(crew_stats(workers, i).sleeps > 0);
	os_thread_sleep(20 * MS);
	for (uint32_t i = 0; i < CREW; i++) turns[i] = crew_stats(workers, i).turns;
	os_thread_sleep(1200 * MS); /* longer than the watchdog waits */
	for (uint32_t i = 0; i < CREW; i++) {
		snug_worker_stats stats = crew_stats(workers, i);
		assert_int_equal(stats.turns, turns[i]);
		assert_int_equal(stats.wakes, 0);
		assert_false(stats.stalled); /* asleep is not stalled */
	}
	crew_unmake(workers);
}

struct brake {
	_Atomic bool hold;    /* the test's: turns wait while it is set */
	_Atomic bool holding; /* the hook's */
};

static bool turn_braked(void *context, uint32_t worker, snug_heap *heap) {
	struct brake *brake = context;
	(void)worker;
	(void)heap;
	while (atomic_load(&brake->hold)) {
		atomic_store(&brake->holding, true);
		os_thread_sleep(MS);
	}
	atomic_store(&brake->holding, false);
	return false;
}

static void a_worker_that_hangs_is_seen(void **state) {
	(void)state;
	struct brake brake = {.hold = true};
	snug_workers_options options = crew_options(1);
	options.hook = (snug_worker_hook){.context = &brake, .turn = turn_braked};
	snug_workers *workers = crew_make(&options);
	assert_false(crew_stats(workers, 0).stalled);
	CREW_WAIT_UNTIL(crew_stats(workers, 0).stalled);
	assert_int_equal(snug_workers_stop(workers, 5 * MS), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_workers_stop(workers, 0), SNUG_ERROR_TIMED_OUT);
	atomic_store(&brake.hold, false);
	assert_int_equal(snug_workers_stop(workers, HANG_NS), SNUG_OK);
	assert_false(crew_stats(workers, 0).stalled); /* after the end, figures still stand */
	crew_unmake(workers);
}

/* An event loop of the user's own: sleeps in the worker's place. */
static void sleep_by_hook(void *context, uint32_t worker, int wake_fd, uint64_t timeout_ns) {
	_Atomic uint32_t *slept = context;
	(void)worker;
	atomic_fetch_add(slept, 1);
	os_event_wait(wake_fd, timeout_ns);
}

static void a_hook_may_sleep_for_the_worker(void **state) {
	(void)state;
	_Atomic uint32_t slept = 0;
	snug_workers_options options = crew_options(1);
	options.hook = (snug_worker_hook){.context = (void *)&slept, .sleep = sleep_by_hook};
	snug_workers *workers = crew_make(&options);
	CREW_WAIT_UNTIL(atomic_load(&slept) > 0);
	os_thread_sleep(20 * MS); /* figures are published: it sleeps until it is woken */
	uint32_t slept_before = atomic_load(&slept);
	assert_in_range(slept_before, 1, 2);
	os_thread_sleep(20 * MS);
	assert_int_equal(atomic_load(&slept), slept_before);
	snug_client *client;
	snug_object object;
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
	assert_int_equal(snug_client_alloc(client, 0, 10, NULL, 0, &object), SNUG_OK);
	CREW_WAIT_UNTIL(atomic_load(&slept) > slept_before);
	CREW_WAIT_UNTIL(crew_stats(workers, 0).wakes == 1);
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

/* ------------------------------------------------------------------ stop ---------------------- */

static void run_stop(void *context) {
	snug_error error = snug_workers_stop(context, HANG_NS);
	if (error) fprintf(stderr, "stop: %s\n", snug_error_text(error));
}

static void many_may_stop_at_once(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 50; round++) {
		snug_workers_options options = crew_options(1 + round % 8);
		snug_workers *workers = crew_make(&options);
		struct os_thread stoppers[4];
		for (uint32_t i = 0; i < 4; i++)
			assert_true(os_thread_start(&stoppers[i], run_stop, workers));
		assert_int_equal(snug_workers_stop(workers, HANG_NS), SNUG_OK);
		for (uint32_t i = 0; i < 4; i++) os_thread_join(&stoppers[i]);
		crew_unmake(workers);
	}
}

struct self_stop {
	snug_workers *_Atomic workers;
	_Atomic uint32_t stopped;
	_Atomic uint32_t destroyed;
};

static bool stop_from_inside(void *context, uint32_t worker, snug_heap *heap) {
	struct self_stop *self = context;
	snug_workers *workers = atomic_load(&self->workers);
	(void)worker;
	(void)heap;
	if (workers == NULL) return true; /* don't sleep */
	atomic_store(&self->destroyed, snug_workers_destroy(workers));
	atomic_store(&self->stopped, snug_workers_stop(workers, SNUG_FOREVER));
	return true;
}

static void a_hook_may_stop_but_not_destroy(void **state) {
	(void)state;
	struct self_stop self = {.stopped = SNUG_OK};
	snug_workers_options options = crew_options(1);
	options.hook = (snug_worker_hook){.context = &self, .turn = stop_from_inside};
	snug_workers *workers = crew_make(&options);
	atomic_store(&self.workers, workers);
	CREW_WAIT_UNTIL(atomic_load(&self.stopped) != SNUG_OK);
	assert_int_equal(self.stopped, SNUG_ERROR_TIMED_OUT);
	assert_int_equal(self.destroyed, SNUG_ERROR_WRONG_THREAD);
	crew_unmake(workers);
}

/* ------------------------------------------------------------------ figures ------------------- */

#define KEPT 64u

struct reader {
	struct os_thread thread;
	const snug_workers *workers;
	_Atomic bool *done;
	_Atomic uint64_t reads;
	uint64_t mistakes;
};

static bool belongs_together(const snug_worker_stats *stats, const snug_worker_stats *before) {
	const snug_stats *heap = &stats->heap;
	uint64_t slab_bytes = 0;
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++)
		slab_bytes += heap->pool[pool].slab_bytes;
	return slab_bytes == heap->total.slab_bytes &&
		   heap->committed_bytes == slab_bytes + heap->free_page_bytes &&
		   heap->allocations - heap->frees == heap->objects &&
		   stats->messages >= before->messages && stats->published_ns >= before->published_ns &&
		   stats->turns >= before->turns && stats->sleeps >= before->sleeps &&
		   stats->wakes <= stats->sleeps;
}

static void run_reader(void *context) {
	struct reader *reader = context;
	snug_worker_stats stats, before = {.messages = 0};
	while (!atomic_load(reader->done)) {
		bool fine = snug_workers_stats(reader->workers, 0, &stats) == SNUG_OK &&
					belongs_together(&stats, &before);
		reader->mistakes += !fine;
		/* or all wait for it on one processor */
		if (atomic_fetch_add(&reader->reads, 1) % 16 == 0) os_thread_yield();
		before = stats;
	}
}

static bool have_read(struct reader *readers, uint32_t count) {
	bool all = true;
	for (uint32_t i = 0; i < count; i++) all = all && atomic_load(&readers[i].reads) > 100;
	return all;
}

static void published_figures_are_of_one_instant(void **state) {
	(void)state;
	_Atomic bool done = false;
	snug_workers_options options = crew_options(1);
	snug_workers *workers = crew_make(&options);
	struct reader readers[2];
	snug_object kept[KEPT];
	for (uint32_t i = 0; i < 2; i++) {
		readers[i] = (struct reader){.workers = workers, .done = &done};
		assert_true(os_thread_start(&readers[i].thread, run_reader, &readers[i]));
	}
	snug_client *client;
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
	uint64_t least = test_environment_number("SNUG_SNAPSHOTS", 800);
	uint64_t rounds = 0;
	/* each leads to a sleep, and so to a snapshot */
	for (; rounds < least || !have_read(readers, 2); rounds++) {
		snug_object *object = &kept[rounds % KEPT];
		if (rounds >= KEPT) assert_int_equal(snug_client_free(client, *object), SNUG_OK);
		assert_int_equal(snug_client_alloc(client, 0, 1 + rounds % 5000, NULL, 0, object), SNUG_OK);
	}
	atomic_store(&done, true);
	for (uint32_t i = 0; i < 2; i++) {
		os_thread_join(&readers[i].thread);
		assert_int_equal(readers[i].mistakes, 0);
	}
	CREW_WAIT_UNTIL(crew_stats(workers, 0).messages == 2 * rounds - KEPT);
	assert_int_equal(crew_stats(workers, 0).heap.objects, KEPT);
	assert_int_equal(snug_workers_destroy(workers), SNUG_ERROR_IN_USE);
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(null_is_answered),
		cmocka_unit_test(without_descriptors_nothing_starts),
		cmocka_unit_test(hooks_run_on_the_worker_s_own_thread),
		cmocka_unit_test(one_that_cannot_start_ends_all),
		cmocka_unit_test(threads_have_names_and_processors),
		cmocka_unit_test(idle_workers_do_not_wake_up),
		cmocka_unit_test(a_worker_that_hangs_is_seen),
		cmocka_unit_test(a_hook_may_sleep_for_the_worker),
		cmocka_unit_test(many_may_stop_at_once),
		cmocka_unit_test(a_hook_may_stop_but_not_destroy),
		cmocka_unit_test(published_figures_are_of_one_instant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
