/* test_coordinator_time.c: what a coordinator does by itself: schedules, background cleanup, the
 * watchdog; and that it does nothing when there is nothing to do.
 *
 *     SNUG_IDLE_MS=20000 tests/race/test_coordinator_time      long enough to require a share of
 *                                                              the processor, too */
#include "stock.h"

#include "support/test_random.h"
#include "work/coordinator/coordination.h"

#include <dirent.h>
#include <time.h>

/* The entries of one origin so far. */
static uint32_t audited(snug_coordinator *coordinator, snug_origin origin, snug_audit_entry *last) {
	snug_audit_entry entries[256];
	uint32_t count = 256;
	uint32_t found = 0;
	assert_int_equal(snug_coordinator_audit(coordinator, entries, &count), SNUG_OK);
	for (uint32_t index = 0; index < count; index++) {
		if (entries[index].origin != origin) continue;
		found++;
		if (last != NULL) *last = entries[index];
	}
	return found;
}

/* ------------------------------------------------------------------ a world of the test's own - */

#define TICK_NS (10 * MS)

struct fake_world {
	_Atomic int64_t now_s;
	_Atomic uint32_t stall_hundredths;
	_Atomic bool missing;
};

static int64_t fake_now_s(void *context) {
	struct fake_world *world = context;
	return atomic_load(&world->now_s);
}

static int32_t fake_offset_s(void *context, int64_t at_s) {
	(void)context;
	(void)at_s;
	return 3600;
}

static bool fake_read(void *context, const char *path, char *text, size_t room) {
	struct fake_world *world = context;
	if (strcmp(path, "/proc/pressure/memory") != 0 || atomic_load(&world->missing)) return false;
	uint32_t stall = atomic_load(&world->stall_hundredths);
	snprintf(text, room, "some avg10=%u.%02u avg60=0.00 avg300=0.00 total=1\n", stall / 100,
			 stall % 100);
	return true;
}

static snug_coordinator *make_in(snug_workers *workers, const snug_coordinator_options *options,
								 struct fake_world *world) {
	const struct surroundings surroundings = {
		.clock = {.context = world, .now_s = fake_now_s, .offset_s = fake_offset_s},
		.files = {.context = world, .read = fake_read},
		.look_ns = 5 * MS,
		.tick_ns = TICK_NS,
	};
	snug_coordinator *coordinator = NULL;
	assert_int_equal(coordinator_create_in(workers, options, &surroundings, &coordinator), SNUG_OK);
	return coordinator;
}

/* Of the one schedule there is. */
static snug_schedule_entry told(const snug_coordinator *coordinator) {
	snug_schedule_entry entries[2];
	uint32_t count = 2;
	assert_int_equal(snug_coordinator_schedules(coordinator, entries, &count), SNUG_OK);
	assert_int_equal(count, 1);
	return entries[0];
}

/* ------------------------------------------------------------------ schedules ----------------- */

static void an_interval_runs_until_it_is_cancelled(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_SCHEDULE);
	request.schedule.interval_ns = 20 * MS;
	request.schedule.target_fragmentation_ppm = 300000;
	snug_response accepted = desk_call(coordinator, &request);
	assert_int_equal(accepted.error, SNUG_OK);
	assert_int_equal(desk_stats(coordinator).schedules, 1);
	snug_audit_entry entry = {0};
	CREW_WAIT_UNTIL(audited(coordinator, SNUG_ORIGIN_SCHEDULE, &entry) >= 1);
	for (uint32_t worker = 0; worker < 2; worker++) {
		CREW_WAIT_UNTIL(crew_stats(stock->workers, worker).heap.total.external_fragmentation <=
						0.3);
		assert_true(crew_stats(stock->workers, worker).heap.total.external_fragmentation >
					0.25); /* no more than asked */
	}
	CREW_WAIT_UNTIL(audited(coordinator, SNUG_ORIGIN_SCHEDULE, &entry) >= 3);
	assert_int_equal(entry.priority, SNUG_PRIORITY_SCHEDULED);
	assert_int_equal(entry.error, SNUG_OK);
	assert_int_equal(entry.outcome, SNUG_OUTCOME_TARGET);
	CREW_WAIT_UNTIL(told(coordinator).runs >= 3);
	snug_schedule_entry entry_told = told(coordinator);
	assert_int_equal(entry_told.name, accepted.schedule);
	assert_int_equal(entry_told.schedule.interval_ns, 20 * MS);
	assert_int_equal(entry_told.schedule.target_fragmentation_ppm, 300000);
	assert_int_equal(entry_told.worker, SNUG_ALL_WORKERS);
	assert_int_equal(entry_told.last_error, SNUG_OK);
	assert_true(entry_told.reclaimed_bytes > 0);
	assert_in_range(entry_told.next_s, entry_told.last_s, entry_told.last_s + 60);
	assert_int_equal(desk_cancel(coordinator, accepted.schedule).error, SNUG_OK);
	uint32_t runs = audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL);
	os_thread_sleep(60 * MS);
	/* one may have been under way */
	assert_true(audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL) <= runs + 1);
	assert_int_equal(desk_stats(coordinator).schedules, 0);
	desk_close(coordinator, stock);
}

/* An interval that ends after the clock does: its first run does not come. */
static void an_interval_without_end_never_runs(void **state) {
	(void)state;
	static const uint64_t intervals[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2};
	struct stock *stock = stock_open(1, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	for (size_t row = 0; row < sizeof intervals / sizeof intervals[0]; row++) {
		snug_request request = snug_request_default(SNUG_REQUEST_SCHEDULE);
		request.schedule.interval_ns = intervals[row];
		assert_int_equal(desk_call(coordinator, &request).error, SNUG_OK);
	}
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	for (uint32_t turn = 0; turn < 3; turn++)
		assert_int_equal(desk_call(coordinator, &metrics).error, SNUG_OK);
	assert_int_equal(desk_stats(coordinator).schedules, 3);
	assert_int_equal(desk_stats(coordinator).jobs, 3); /* the questions */
	assert_int_equal(audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL), 0);
	desk_close(coordinator, stock);
}

/* A window of an hour, the clock at 01:59:50 local; the work takes longer than the window. */
static void a_window_begins_and_ends_a_run(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 100);
	atomic_store(&stock->busy, true);
	struct fake_world world = {.now_s = 86400 * 20000 + 59 * 60 + 50};
	snug_coordinator_options options = desk_options();
	snug_coordinator *coordinator = make_in(stock->workers, &options, &world);
	snug_request request = snug_request_default(SNUG_REQUEST_SCHEDULE);
	request.schedule.window_count = 1;
	request.schedule.windows[0] = (snug_window){120, 180};
	assert_int_equal(desk_call(coordinator, &request).error, SNUG_OK);
	os_thread_sleep(30 * MS);
	assert_int_equal(desk_stats(coordinator).jobs, 0);
	assert_int_equal(told(coordinator).next_s, 86400 * 20000 + 3600);
	assert_int_equal(told(coordinator).last_s, 0);
	atomic_store(&world.now_s, 86400 * 20000 + 3600);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.moves > 0);
	CREW_WAIT_UNTIL(told(coordinator).running == 1);
	assert_int_equal(told(coordinator).last_s, 86400 * 20000 + 3600);
	assert_int_equal(told(coordinator).next_s, 86400 * 20001 + 3600);
	assert_int_equal(told(coordinator).runs, 0);
	assert_int_equal(audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL), 0);
	atomic_store(&world.now_s, 86400 * 20000 + 7200);
	snug_audit_entry entry = {0};
	CREW_WAIT_UNTIL(audited(coordinator, SNUG_ORIGIN_SCHEDULE, &entry) == 1);
	assert_int_equal(entry.error, SNUG_OK);
	assert_int_equal(entry.outcome, SNUG_OUTCOME_CANCELLED);
	assert_int_equal(entry.complete, 0); /* partial */
	atomic_store(&stock->busy, false);
	os_thread_sleep(30 * MS);
	assert_int_equal(audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL), 1); /* once in a window */
	/* late on the next day: the run is done at once */
	atomic_store(&world.now_s, 86400 * 20001 + 3600 + 1200);
	CREW_WAIT_UNTIL(audited(coordinator, SNUG_ORIGIN_SCHEDULE, &entry) == 2);
	assert_int_equal(entry.outcome, SNUG_OUTCOME_DONE);
	assert_int_equal(entry.complete, 1);
	assert_true(entry.reclaimed_bytes > 1u << 20);
	os_thread_sleep(30 * MS);
	assert_int_equal(audited(coordinator, SNUG_ORIGIN_SCHEDULE, NULL), 2);
	assert_int_equal(told(coordinator).runs, 2);
	assert_int_equal(told(coordinator).running, 0);
	assert_true(told(coordinator).reclaimed_bytes >= entry.reclaimed_bytes);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ background ---------------- */

static void background_work_starts_and_stops(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	struct fake_world world = {.now_s = 86400};
	snug_coordinator_options options = desk_options();
	options.background.on = true;
	options.background.duty_ppm = 500000;
	options.background.start_reclaimable_ppm = 300000;
	options.background.stop_reclaimable_ppm = 200000;
	options.background.start_available_ppm = 0;
	options.background.stop_available_ppm = 0;
	options.background.retain_bytes = SNUG_NO_BUDGET; /* that nothing uses it is no reason here */
	snug_coordinator *coordinator = make_in(stock->workers, &options, &world);
	snug_audit_entry entry = {0};
	for (uint32_t worker = 0; worker < 2; worker++) {
		CREW_WAIT_UNTIL(crew_stats(stock->workers, worker).heap.total.reclaimable_bytes * 5 <
						crew_stats(stock->workers, worker).heap.total.slab_bytes * 2);
	}
	CREW_WAIT_UNTIL(audited(coordinator, SNUG_ORIGIN_BACKGROUND, &entry) >= 2);
	assert_int_equal(entry.priority, SNUG_PRIORITY_BACKGROUND);
	/* Its share of a short tick may be used up first, where the processor is busy. */
	assert_true(entry.outcome == SNUG_OUTCOME_TARGET || entry.outcome == SNUG_OUTCOME_BUDGET);
	for (uint32_t worker = 0; worker < 2;
		 worker++) { /* it stopped where it should: about the threshold, not at the bottom */
		snug_stats stats = crew_stats(stock->workers, worker).heap;
		assert_true(stats.total.reclaimable_bytes * 10 > stats.total.slab_bytes);
	}
	/* Pressure of the machine: everything is reclaimed, and free memory goes back. */
	atomic_store(&world.stall_hundredths, 2000);
	for (uint32_t worker = 0; worker < 2; worker++)
		CREW_WAIT_UNTIL(crew_stats(stock->workers, worker).heap.total.reclaimable_bytes == 0);
	CREW_WAIT_UNTIL(desk_stats(coordinator).machine_pressure);
	atomic_store(&world.stall_hundredths, 0);
	CREW_WAIT_UNTIL(!desk_stats(coordinator).machine_pressure);
	uint64_t runs = desk_stats(coordinator).background_runs;
	os_thread_sleep(30 * TICK_NS);
	assert_int_equal(desk_stats(coordinator).background_runs, runs); /* nothing more is wanted */
	desk_close(coordinator, stock);
}

static void pressure_of_the_machine_returns_memory(void **state) {
	(void)state;
	struct stock *stock = calloc(1, sizeof *stock);
	assert_non_null(stock);
	snug_workers_options crew = stock_options(stock, 1);
	crew.heap.limit_bytes = 16u << 20;
	stock->keep_every = 4;
	stock->workers = crew_make(&crew);
	struct fake_world world = {.now_s = 86400, .stall_hundredths = 5000};
	snug_coordinator_options options = desk_options();
	options.background.on = true;
	options.background.duty_ppm = 1000000;
	options.background.retain_bytes = 1u << 20;
	snug_coordinator *coordinator = make_in(stock->workers, &options, &world);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.returned_bytes >= 6u << 20);
	desk_close(coordinator, stock);
}

/* Memory that nothing uses is a reason of its own: no fragmentation, no pressure, nobody asks. */
static void memory_that_nothing_uses_comes_back(void **state) {
	(void)state;
	struct stock *stock = calloc(1, sizeof *stock);
	assert_non_null(stock);
	snug_workers_options crew = stock_options(stock, 1);
	crew.heap.limit_bytes = 16u << 20;
	stock->keep_every = 4;
	stock->workers = crew_make(&crew);
	struct fake_world world = {.now_s = 86400};
	snug_coordinator_options options = desk_options();
	options.background.on = true;
	options.background.duty_ppm = 100000;
	options.background.start_reclaimable_ppm = 1000000;
	options.background.stop_reclaimable_ppm = 1000000;
	options.background.start_available_ppm = 0;
	options.background.stop_available_ppm = 0;
	options.background.retain_bytes = 256u << 10;
	snug_coordinator *coordinator = make_in(stock->workers, &options, &world);
	snug_stats stats = crew_stats(stock->workers, 0).heap;
	uint64_t objects = stats.objects, payload_bytes = stats.total.payload_bytes;
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.committed_bytes <=
					payload_bytes * 20 / 17 + (1u << 20));
	assert_true(desk_stats(coordinator).spare_runs > 0);
	assert_int_equal(desk_stats(coordinator).background_runs, desk_stats(coordinator).spare_runs);
	stats = crew_stats(stock->workers, 0).heap;
	assert_int_equal(stats.objects, objects);
	assert_int_equal(stats.total.payload_bytes, payload_bytes);
	os_thread_sleep(30 * TICK_NS);
	uint64_t runs = desk_stats(coordinator).spare_runs;
	os_thread_sleep(30 * TICK_NS);
	assert_int_equal(desk_stats(coordinator).spare_runs, runs); /* and then it is over */
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ watchdog, log ------------- */

struct heard {
	_Atomic uint32_t stalls;
	_Atomic uint32_t turns;
	_Atomic uint32_t missing;
	_Atomic uint32_t results;
};

static void hear(void *context, snug_log_level level, const char *line) {
	struct heard *heard = context;
	if (strstr(line, "has not turned") != NULL && level == SNUG_LOG_WARNING)
		atomic_fetch_add(&heard->stalls, 1);
	if (strstr(line, "turns again") != NULL && level == SNUG_LOG_WARNING)
		atomic_fetch_add(&heard->turns, 1);
	if (strstr(line, "goes on without") != NULL) atomic_fetch_add(&heard->missing, 1);
	if (strstr(line, "defragment (demand, caller)") != NULL) atomic_fetch_add(&heard->results, 1);
}

static void a_worker_that_stands_still_is_reported(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	struct heard heard = {0};
	struct fake_world world = {.missing = true};
	snug_coordinator_options options = desk_options();
	options.background.on = true;
	options.log = (snug_log){hear, &heard, SNUG_LOG_INFO};
	stock_hold(stock);
	for (uint32_t worker = 0; worker < 2; worker++)
		CREW_WAIT_UNTIL(crew_stats(stock->workers, worker).stalled);
	snug_coordinator *coordinator = make_in(stock->workers, &options, &world);
	CREW_WAIT_UNTIL(atomic_load(&heard.stalls) == 2);
	assert_int_equal(atomic_load(&heard.turns), 0);
	os_thread_sleep(30 * TICK_NS);
	assert_int_equal(atomic_load(&heard.stalls), 2); /* said once */
	/* wanted, but who stands still is not asked */
	assert_int_equal(desk_stats(coordinator).background_runs, 0);
	stock_let_go(stock);
	CREW_WAIT_UNTIL(atomic_load(&heard.turns) == 2);
	CREW_WAIT_UNTIL(desk_stats(coordinator).background_runs >= 2);
	assert_int_equal(atomic_load(&heard.missing), 2);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	for (int round = 0; round < 3; round++) desk_call(coordinator, &request);
	assert_int_equal(atomic_load(&heard.results), 3); /* a line for each, before its answer */
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ idle ---------------------- */

#define IDLE_WORKERS 8u
#define IDLE_MS UINT64_C(1300) /* longer than a tick, and than a stall takes to be seen */

static uint64_t processor_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

/* How often the kernel let this thread sleep so far: what it does, not what it says of itself. */
static uint64_t naps_of(const char *task) {
	char path[300];
	char line[128];
	uint64_t naps = UINT64_MAX;
	snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
	FILE *file = fopen(path, "re");
	if (file == NULL) return 0; /* it has just ended */
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			naps = strtoull(line + 24, NULL, 10);
	}
	fclose(file);
	assert_true(naps != UINT64_MAX);
	return naps;
}

/* Of all threads of the library's together. */
static uint64_t naps(uint32_t *threads) {
	DIR *tasks = opendir("/proc/self/task");
	uint64_t sum = 0;
	*threads = 0;
	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		char path[300];
		char name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		FILE *file = fopen(path, "re");
		if (file == NULL) continue;
		if (fgets(name, sizeof name, file) != NULL && strncmp(name, "snug-", 5) == 0) {
			sum += naps_of(entry->d_name);
			(*threads)++;
		}
		fclose(file);
	}
	closedir(tasks);
	return sum;
}

struct idleness {
	uint64_t worker_wakes;
	uint64_t worker_turns;
	uint64_t asleep; /* workers */
	uint64_t coordinator_sleeps;
	uint64_t naps;
};

static struct idleness look(struct stock *stock, snug_coordinator *coordinator) {
	struct idleness found = {.coordinator_sleeps = desk_stats(coordinator).sleeps};
	uint32_t threads = 0;
	for (uint32_t worker = 0; worker < IDLE_WORKERS; worker++) {
		snug_worker_stats stats = crew_stats(stock->workers, worker);
		found.worker_wakes += stats.wakes;
		found.worker_turns += stats.turns;
		found.asleep += crew_rests(stock->workers, worker);
	}
	found.naps = naps(&threads);
	assert_int_equal(threads, IDLE_WORKERS + 1);
	return found;
}

/* The coordinator may sleep and wake `most_sleeps` times, the workers not at all. */
static void idle(bool background, uint64_t idle_ms, uint64_t most_sleeps) {
	struct stock *stock = stock_open(IDLE_WORKERS, 0);
	snug_coordinator_options options = desk_options();
	options.background.on = background;
	snug_coordinator *coordinator = desk_make(stock->workers, &options);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	assert_int_equal(desk_call(coordinator, &request).error, SNUG_OK); /* nothing to gain is left */
	CREW_WAIT_UNTIL(look(stock, coordinator).asleep == IDLE_WORKERS);
	struct idleness before = look(stock, coordinator);
	for (uint64_t naps = 0; naps != before.naps; before = look(stock, coordinator)) {
		naps = before.naps;
		os_thread_sleep(20 * MS); /* whoever is on his way to sleep gets there */
	}
	uint64_t begin_ns = processor_ns();
	os_thread_sleep(idle_ms * MS);
	uint64_t used_ppm = (processor_ns() - begin_ns) / idle_ms;
	struct idleness after = look(stock, coordinator);
	uint64_t sleeps = after.coordinator_sleeps - before.coordinator_sleeps;
	printf("background %s: %llu ppm of a core, %llu sleeps of the coordinator\n",
		   background ? "on" : "off", (unsigned long long)used_ppm, (unsigned long long)sleeps);
	assert_int_equal(after.worker_wakes, before.worker_wakes);
	assert_int_equal(after.worker_turns, before.worker_turns);
	assert_true(sleeps <= most_sleeps);
	assert_true(after.naps - before.naps <= most_sleeps);
	/* 0.1 % of a core; in less time it is chance */
	if (idle_ms >= 10 * IDLE_MS) assert_true(used_ppm <= 1000);
	desk_close(coordinator, stock);
}

static void idle_nobody_wakes(void **state) {
	(void)state;
	uint64_t idle_ms = test_environment_number("SNUG_IDLE_MS", IDLE_MS);
	idle(false, idle_ms, 0);
	idle(true, idle_ms, idle_ms / 1000 + 1); /* once a tick */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interval_runs_until_it_is_cancelled),
		cmocka_unit_test(an_interval_without_end_never_runs),
		cmocka_unit_test(a_window_begins_and_ends_a_run),
		cmocka_unit_test(background_work_starts_and_stops),
		cmocka_unit_test(memory_that_nothing_uses_comes_back),
		cmocka_unit_test(pressure_of_the_machine_returns_memory),
		cmocka_unit_test(a_worker_that_stands_still_is_reported),
		cmocka_unit_test(idle_nobody_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
