/* test_coordinator_storm.c: random requests from many threads, with waits, time-outs, cancels and
 * thefts of each other's tickets, and a stop somewhere in the middle: of the coordinator, or of the
 * workers under it.
 *
 * Required after each storm: every ticket gave exactly one result, the audit holds each of them as
 * it was given, everything that was taken in was answered, no object was hurt, and where nobody
 * cancelled, the bytes that the runs report are the bytes that the heaps have counted.
 *
 *     SNUG_SEED=4 SNUG_STORMS=60 tests/race/test_coordinator_storm      other choices, more storms
 *                                                                       of each kind */
#include "stock.h"

#include "support/test_random.h"

#include <pthread.h>

#define THREADS_MAX 16u
#define ROUNDS_MAX 400u
#define AUDIT_ENTRIES 16384u

struct outcome {
	snug_ticket ticket;
	snug_request_kind kind;
	snug_error error;
	bool joined;
	uint64_t reclaimed_bytes;
	uint64_t evicted_bytes;
};

struct storm {
	struct stock *stock;
	snug_coordinator *coordinator;
	uint32_t workers;
	uint32_t threads;
	bool cancels;
	/* a ticket of each thread, for the others to cancel or steal */
	_Atomic uint64_t shown[THREADS_MAX];
	_Atomic uint64_t schedules[THREADS_MAX];
};

struct rider {
	struct storm *storm;
	uint32_t number;
	test_random random;
	uint32_t rounds;
	snug_ticket open[ROUNDS_MAX]; /* 0: the result was taken */
	uint32_t submitted;
	uint32_t forgotten;
	struct outcome outcomes[2 * ROUNDS_MAX];
	uint32_t taken;
	uint32_t mistakes;
	const char *first_mistake;
};

static void mistake(struct rider *rider, const char *what) {
	if (rider->mistakes++ == 0) rider->first_mistake = what;
}

static snug_request random_request(struct rider *rider) {
	test_random *random = &rider->random;
	struct storm *storm = rider->storm;
	static const snug_request_kind kinds[] = {
		SNUG_REQUEST_DEFRAGMENT, SNUG_REQUEST_DEFRAGMENT, SNUG_REQUEST_DEFRAGMENT,
		SNUG_REQUEST_EMERGENCY,  SNUG_REQUEST_METRICS,    SNUG_REQUEST_ESTIMATE,
		SNUG_REQUEST_CANCEL,     SNUG_REQUEST_SCHEDULE,
	};
	size_t count = storm->cancels ? 8 : 6;
	snug_request request = snug_request_default(kinds[test_random_below(random, count)]);
	if (test_random_chance(random, 300))
		request.worker = (uint32_t)test_random_below(random, storm->workers);
	if (test_random_chance(random, 200)) request.options.mode = SNUG_COALESCE;
	if (test_random_chance(random, 300))
		request.options.budget_bytes = test_random_between(random, 1, 100000);
	if (test_random_chance(random, 200))
		request.options.target_bytes = test_random_between(random, 1, 100000);
	if (test_random_chance(random, 100))
		request.options.pool_mask = (uint32_t)test_random_between(random, 1, 7);
	if (test_random_chance(random, 20)) request.worker = 99;
	if (request.kind == SNUG_REQUEST_EMERGENCY) {
		request.min_bytes = test_random_between(random, 0, 300000);
		request.may_evict = test_random_chance(random, 300);
	}
	if (request.kind == SNUG_REQUEST_SCHEDULE)
		request.schedule.interval_ns = test_random_between(random, 1, 5) * MS;
	uint32_t other = (uint32_t)test_random_below(random, storm->threads);
	if (request.kind == SNUG_REQUEST_CANCEL)
		request.target = test_random_chance(random, 700) ? atomic_load(&storm->shown[other])
														 : atomic_load(&storm->schedules[other]);
	return request;
}

static void note(struct rider *rider, snug_ticket ticket, const snug_response *response) {
	rider->outcomes[rider->taken++] = (struct outcome){
		.ticket = ticket,
		.kind = response->kind,
		.error = response->error,
		.joined = response->joined,
		.reclaimed_bytes = response->report.reclaimed_bytes,
		.evicted_bytes = response->evicted_bytes,
	};
	bool partial = response->error != SNUG_OK;
	if (partial && response->complete) mistake(rider, "an error, and complete");
	if (response->kind == SNUG_REQUEST_SCHEDULE && response->schedule != 0)
		atomic_store(&rider->storm->schedules[rider->number], response->schedule);
}

/* Takes the result if it comes in time. */
static void try_take(struct rider *rider, uint32_t index, uint64_t timeout_ns) {
	snug_response response;
	snug_part parts[STOCK_WORKERS_MAX];
	uint32_t count = STOCK_WORKERS_MAX;
	snug_ticket ticket = rider->open[index];
	if (ticket == 0) return;
	snug_error error = snug_coordinator_wait(rider->storm->coordinator, ticket, timeout_ns,
											 &response, parts, &count);
	if (error == SNUG_ERROR_TIMED_OUT) return;
	rider->open[index] = 0;
	if (error == SNUG_OK) {
		note(rider, ticket, &response);
		if (count != response.parts) mistake(rider, "parts are missing");
	} else if (error != SNUG_ERROR_TICKET) {
		mistake(rider, "neither a result nor taken by somebody else");
	}
}

static void steal(struct rider *rider) {
	snug_response response;
	uint32_t other = (uint32_t)test_random_below(&rider->random, rider->storm->threads);
	snug_ticket ticket = atomic_load(&rider->storm->shown[other]);
	if (snug_coordinator_poll(rider->storm->coordinator, ticket, &response, NULL, NULL) == SNUG_OK)
		note(rider, ticket, &response);
}

static bool is_expected(snug_error error) {
	return error == SNUG_ERROR_STOPPED || error == SNUG_ERROR_QUEUE_FULL ||
		   error == SNUG_ERROR_WORKER || error == SNUG_ERROR_BUDGET_ZERO;
}

static void *ride(void *context) {
	struct rider *rider = context;
	test_random *random = &rider->random;
	for (uint32_t round = 0; round < rider->rounds; round++) {
		snug_request request = random_request(rider);
		bool forget = test_random_chance(random, 100);
		snug_ticket ticket = 0;
		snug_error error =
			snug_coordinator_submit(rider->storm->coordinator, &request, forget ? NULL : &ticket);
		if (error != SNUG_OK) {
			if (!is_expected(error)) mistake(rider, snug_error_name(error));
		} else if (forget) {
			rider->forgotten++;
		} else {
			rider->open[rider->submitted++] = ticket;
			atomic_store(&rider->storm->shown[rider->number], ticket);
		}
		if (rider->submitted > 0 && test_random_chance(random, 600))
			try_take(rider, (uint32_t)test_random_below(random, rider->submitted),
					 test_random_below(random, 500) * 1000);
		if (test_random_chance(random, 200)) steal(rider);
		if (test_random_chance(random, 50)) os_thread_sleep(test_random_below(random, 300) * 1000);
	}
	for (uint32_t index = 0; index < rider->submitted; index++) try_take(rider, index, HANG_NS);
	for (uint32_t index = 0; index < rider->submitted; index++) {
		if (rider->open[index] != 0) mistake(rider, "no result");
	}
	return NULL;
}

/* ------------------------------------------------------------------ afterwards ---------------- */

/* Which entry is the ticket's; it must have one and no more. */
static uint32_t find(const snug_audit_entry *entries, uint32_t count, snug_ticket ticket) {
	uint32_t found = count;
	for (uint32_t index = 0; index < count; index++) {
		if (entries[index].ticket != ticket) continue;
		assert_int_equal(found, count);
		found = index;
	}
	assert_true(found < count);
	return found;
}

static void require_audit(const struct storm *storm, const struct rider *riders) {
	snug_audit_entry *entries = calloc(AUDIT_ENTRIES, sizeof *entries);
	uint32_t count = AUDIT_ENTRIES;
	uint64_t answered = 0;
	uint64_t run_bytes = 0;
	assert_non_null(entries);
	assert_int_equal(snug_coordinator_audit(storm->coordinator, entries, &count), SNUG_OK);
	for (uint32_t index = 0; index < count; index++) {
		if (index > 0) assert_int_equal(entries[index].id, entries[index - 1].id + 1);
		answered += entries[index].origin == SNUG_ORIGIN_CALLER && !entries[index].refused;
		if (!entries[index].joined) run_bytes += entries[index].reclaimed_bytes;
	}
	snug_coordinator_stats stats = desk_stats(storm->coordinator);
	assert_int_equal(answered, stats.requests);
	assert_int_equal(stats.answers, stats.requests);
	assert_int_equal(stats.tickets_in_use, 0);
	for (uint32_t rider = 0; rider < storm->threads; rider++) {
		for (uint32_t index = 0; index < riders[rider].taken; index++) {
			const struct outcome *outcome = &riders[rider].outcomes[index];
			const snug_audit_entry *entry = &entries[find(entries, count, outcome->ticket)];
			assert_int_equal(entry->kind, outcome->kind);
			assert_int_equal(entry->error, outcome->error);
			assert_int_equal(entry->joined, outcome->joined);
			assert_int_equal(entry->reclaimed_bytes, outcome->reclaimed_bytes);
			assert_int_equal(entry->evicted_bytes, outcome->evicted_bytes);
		}
	}
	uint64_t pool_bytes = 0;
	for (uint32_t worker = 0; worker < storm->workers; worker++)
		pool_bytes += crew_stats(storm->stock->workers, worker).heap.reclaimed_bytes;
	if (!storm->cancels) assert_int_equal(run_bytes, pool_bytes);
	free(entries);
}

enum stop { STOP_LATE, STOP_EARLY, STOP_WORKERS };

static void storm(uint32_t workers, uint32_t threads, uint32_t rounds, bool cancels, enum stop stop,
				  uint64_t seed) {
	test_random random = {seed};
	struct storm *storm = calloc(1, sizeof *storm);
	struct rider *riders = calloc(threads, sizeof *riders);
	pthread_t ids[THREADS_MAX];
	assert_non_null(storm);
	assert_non_null(riders);
	*storm = (struct storm){.workers = workers, .threads = threads, .cancels = cancels};
	storm->stock = calloc(1, sizeof *storm->stock);
	assert_non_null(storm->stock);
	snug_workers_options crew = stock_options(storm->stock, workers);
	crew.heap.limit_bytes = 1u << 20;
	crew.step_bytes = 1; /* many slices */
	if (cancels) crew.hook.evict = stock_evict;
	storm->stock->workers = crew_make(&crew);
	snug_coordinator_options options = desk_options();
	options.tickets = (uint32_t)test_random_between(&random, 2, 200);
	options.schedules = 4;
	options.audit = AUDIT_ENTRIES;
	options.background.on = cancels;
	storm->coordinator = desk_make(storm->stock->workers, &options);
	for (uint32_t number = 0; number < threads; number++) {
		riders[number].storm = storm;
		riders[number].number = number;
		riders[number].rounds = rounds;
		riders[number].random.state = test_random_next(&random);
		assert_int_equal(pthread_create(&ids[number], NULL, ride, &riders[number]), 0);
	}
	os_thread_sleep(test_random_below(&random, 20) * MS / 2);
	if (stop == STOP_EARLY)
		assert_int_equal(snug_coordinator_stop(storm->coordinator, HANG_NS), SNUG_OK);
	if (stop == STOP_WORKERS)
		assert_int_equal(snug_workers_stop(storm->stock->workers, HANG_NS), SNUG_OK);
	uint32_t submitted = 0;
	uint32_t taken = 0;
	uint32_t forgotten = 0;
	for (uint32_t number = 0; number < threads; number++) {
		pthread_join(ids[number], NULL);
		if (riders[number].mistakes > 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, riders[number].first_mistake);
		submitted += riders[number].submitted;
		taken += riders[number].taken;
		forgotten += riders[number].forgotten;
	}
	assert_int_equal(submitted, taken); /* exactly one result each */
	assert_int_equal(snug_coordinator_stop(storm->coordinator, HANG_NS), SNUG_OK);
	assert_int_equal(desk_stats(storm->coordinator).requests, submitted + forgotten);
	/* its last figures */
	assert_int_equal(snug_workers_stop(storm->stock->workers, HANG_NS), SNUG_OK);
	require_audit(storm, riders);
	desk_unmake(storm->coordinator);
	stock_close(storm->stock);
	free(storm->stock);
	free(riders);
	free(storm);
}

static void storms(bool cancels, enum stop stop, uint64_t salt) {
	static const uint32_t workers[] = {1, 2, 8};
	static const uint32_t threads[] = {1, 2, 3, 5, 9, THREADS_MAX};
	uint64_t seed = test_environment_number("SNUG_SEED", 3) + salt;
	uint64_t repeats = test_environment_number("SNUG_STORMS", 6);
	printf("seed %llu\n", (unsigned long long)(seed - salt));
	for (uint64_t repeat = 0; repeat < repeats; repeat++) {
		for (size_t row = 0; row < 3; row++)
			storm(workers[row], threads[(repeat + 2 * row) % 6], ROUNDS_MAX, cancels, stop,
				  seed + 1000 * repeat + row);
	}
}

static void to_the_end(void **state) {
	(void)state;
	storms(true, STOP_LATE, 100000);
}

static void without_cancels_the_bytes_add_up(void **state) {
	(void)state;
	storms(false, STOP_LATE, 200000);
	storms(false, STOP_EARLY, 300000);
}

static void the_coordinator_stops_in_the_middle(void **state) {
	(void)state;
	storms(true, STOP_EARLY, 400000);
}

static void the_workers_stop_in_the_middle(void **state) {
	(void)state;
	storms(true, STOP_WORKERS, 500000);
	storms(false, STOP_WORKERS, 600000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_end),
		cmocka_unit_test(without_cancels_the_bytes_add_up),
		cmocka_unit_test(the_coordinator_stops_in_the_middle),
		cmocka_unit_test(the_workers_stop_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
