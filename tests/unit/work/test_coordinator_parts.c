/* test_coordinator_parts.c: shares, requests, the audit ring and the ticket table, each by
 * itself. */
#include "os/threads.h"
#include "support/meet.h"
#include "support/slow_build.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/coordinator/audit.h"
#include "work/coordinator/coordination.h"
#include "work/coordinator/tickets.h"
#include "work/policy/requests.h"
#include "work/policy/shares.h"

#include <pthread.h>
#include <stdio.h>

/* ------------------------------------------------------------------ shares -------------------- */

static void shares_as_a_table(void **state) {
	(void)state;
	static const struct {
		uint64_t goal, weights[4], unit, shares[4];
	} rows[] = {
		{100, {1, 1, 1, 1}, 1, {25, 25, 25, 25}},
		{100, {3, 1, 0, 0}, 1, {75, 25, 0, 0}},
		{100, {0, 0, 0, 0}, 1, {0, 0, 0, 0}},
		{1, {5, 9, 5, 5}, 64, {0, 64, 0, 0}},
		{65, {9, 1, 0, 0}, 64, {64, 64, 0, 0}},
		{0, {1, 1, 1, 1}, 64, {0, 0, 0, 0}},
		{128, {1, 1, 0, 0}, 64, {64, 64, 0, 0}},
		{UINT64_C(1) << 40, {0, 0, 7, 0}, 4096, {0, 0, UINT64_C(1) << 40, 0}},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		uint64_t units[4] = {rows[row].unit, rows[row].unit, rows[row].unit, rows[row].unit};
		uint64_t shares[4];
		divide_shares(rows[row].goal, rows[row].weights, units, 4, shares);
		for (size_t index = 0; index < 4; index++) {
			if (shares[index] != rows[row].shares[index])
				fail_msg("row %zu: share %zu", row, index);
		}
	}
}

static void shares_meet_the_goal_within_a_unit(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 20261);
	printf("seed %llu\n", (unsigned long long)seed);
	test_random random = {seed};
	for (int round = 0; round < 20000; round++) {
		uint64_t weights[SNUG_WORKERS_MAX];
		uint64_t units[SNUG_WORKERS_MAX];
		uint64_t shares[SNUG_WORKERS_MAX];
		size_t count = (size_t)test_random_between(&random, 1, SNUG_WORKERS_MAX);
		uint64_t goal = test_random_next(&random) >> test_random_between(&random, 20, 62);
		uint64_t sum = 0;
		uint64_t weight = 0;
		uint64_t largest_unit = 0;
		for (size_t index = 0; index < count; index++) {
			weights[index] = test_random_chance(&random, 300)
								 ? 0
								 : test_random_below(&random, UINT64_C(1) << 38);
			units[index] = UINT64_C(4096) << test_random_below(&random, 5);
			weight += weights[index];
			if (units[index] > largest_unit) largest_unit = units[index];
		}
		divide_shares(goal, weights, units, count, shares);
		for (size_t index = 0; index < count; index++) {
			assert_int_equal(shares[index] % units[index], 0);
			if (weights[index] == 0) assert_int_equal(shares[index], 0);
			sum += shares[index];
		}
		if (weight == 0)
			assert_int_equal(sum, 0);
		else
			assert_true(sum >= goal && sum - goal < largest_unit);
	}
}

/* ------------------------------------------------------------------ requests ------------------ */

static void requests_are_checked(void **state) {
	(void)state;
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	assert_int_equal(request_check(&request, 2), SNUG_OK);
	snug_request bad;
#define REFUSED(field, value, error) \
	(bad = request, bad.field = (value), assert_int_equal(request_check(&bad, 2), error))
	REFUSED(kind, SNUG_REQUEST_COUNT, SNUG_ERROR_OPTION);
	REFUSED(worker, 2, SNUG_ERROR_WORKER);
	REFUSED(options.mode, (snug_defragment_mode)2, SNUG_ERROR_OPTION);
	REFUSED(options.pool_mask, 8, SNUG_ERROR_OPTION);
	REFUSED(options.step_bytes, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(options.step_ns, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(options.budget_bytes, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(options.budget_ns, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(options.target_bytes, 0, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(kind, SNUG_REQUEST_EMERGENCY, SNUG_ERROR_BUDGET_ZERO);
	REFUSED(kind, SNUG_REQUEST_SCHEDULE, SNUG_ERROR_SCHEDULE);
	REFUSED(worker, 1, SNUG_OK);
	REFUSED(options.pool_mask, 7, SNUG_OK);
#undef REFUSED
	snug_request cancel = snug_request_default(SNUG_REQUEST_CANCEL);
	cancel.worker = 99; /* not asked of any */
	assert_int_equal(request_check(&cancel, 2), SNUG_OK);
}

static void only_the_same_requests_join(void **state) {
	(void)state;
	for (int kind = 0; kind < SNUG_REQUEST_COUNT; kind++) {
		snug_request one = snug_request_default((snug_request_kind)kind);
		snug_request other = one;
		bool joins = kind != SNUG_REQUEST_SCHEDULE && kind != SNUG_REQUEST_CANCEL;
		assert_int_equal(request_is_same(&one, &other), joins);
		other.worker = 0;
		assert_false(request_is_same(&one, &other));
	}
	snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
	snug_request other;
#define DIFFERS(field, value) \
	(other = request, other.field = (value), assert_false(request_is_same(&request, &other)))
	DIFFERS(kind, SNUG_REQUEST_DEFRAGMENT);
	DIFFERS(min_bytes, 1);
	DIFFERS(may_evict, true);
	DIFFERS(options.mode, SNUG_COALESCE);
	DIFFERS(options.pool_mask, 1);
	DIFFERS(options.step_bytes, 1);
	DIFFERS(options.step_ns, 1);
	DIFFERS(options.budget_bytes, 1);
	DIFFERS(options.budget_ns, 1);
	DIFFERS(options.target_bytes, 1);
	DIFFERS(options.merge_classes, true);
	DIFFERS(options.retain_bytes, 1);
	DIFFERS(options.return_bytes, 1);
#undef DIFFERS
}

static void each_word_has_a_text(void **state) {
	(void)state;
	for (int kind = 0; kind < SNUG_REQUEST_COUNT; kind++)
		assert_string_not_equal(snug_request_kind_text((snug_request_kind)kind), "unknown");
	for (int priority = 0; priority < SNUG_PRIORITY_COUNT; priority++)
		assert_string_not_equal(snug_priority_text((snug_priority)priority), "unknown");
	assert_string_equal(snug_request_kind_text(SNUG_REQUEST_COUNT), "unknown");
	assert_string_equal(snug_priority_text(SNUG_PRIORITY_COUNT), "unknown");
	assert_string_equal(snug_origin_text(SNUG_ORIGIN_BACKGROUND), "background");
	assert_string_equal(snug_origin_text((snug_origin)9), "unknown");
}

/* ------------------------------------------------------------------ audit --------------------- */

static snug_audit_entry entry_number(uint64_t number) {
	return (snug_audit_entry){.ticket = number * 3,
							  .submitted_ns = number * 5,
							  .total_ns = number * 7,
							  .reclaimed_bytes = number * 11};
}

static bool is_entry_number(const snug_audit_entry *entry) {
	snug_audit_entry expected = entry_number(entry->id);
	expected.id = entry->id;
	return memcmp(entry, &expected, sizeof expected) == 0;
}

static void the_audit_keeps_the_last(void **state) {
	(void)state;
	struct audit audit;
	snug_audit_entry entries[8];
	assert_true(audit_init(&audit, 5));
	assert_int_equal(audit_read(&audit, entries, 8), 0);
	for (uint64_t number = 1; number <= 23; number++) {
		snug_audit_entry entry = entry_number(number);
		audit_write(&audit, &entry);
		assert_int_equal(entry.id, number);
		uint32_t count = audit_read(&audit, entries, 8);
		assert_int_equal(count, number < 5 ? number : 5);
		for (uint32_t index = 0; index < count; index++) {
			assert_int_equal(entries[index].id, number - count + 1 + index);
			assert_true(is_entry_number(&entries[index]));
		}
	}
	assert_int_equal(audit_read(&audit, entries, 2), 2);
	assert_int_equal(entries[1].id, 23);
	assert_int_equal(audit_read(&audit, entries, 0), 0);
	audit_deinit(&audit);
}

struct audit_reader {
	struct audit *audit;
	_Atomic bool *done;
	uint64_t torn;
	_Atomic uint64_t read;
};

static void *read_audit(void *context) {
	struct audit_reader *reader = context;
	snug_audit_entry entries[16];
	while (!atomic_load(reader->done)) {
		uint32_t count = audit_read(reader->audit, entries, 16);
		for (uint32_t index = 0; index < count; index++) {
			if (!is_entry_number(&entries[index])) reader->torn++;
			if (index > 0 && entries[index].id <= entries[index - 1].id) reader->torn++;
		}
		atomic_fetch_add(&reader->read, count);
	}
	return NULL;
}

/* In a ring of one, a cell is written over all the time. */
static void read_while_written(uint32_t length, uint64_t reads) {
	struct audit audit;
	_Atomic bool done = false;
	assert_true(audit_init(&audit, length));
	struct audit_reader readers[2] = {{&audit, &done, 0, 0}, {&audit, &done, 0, 0}};
	pthread_t threads[2];
	for (int index = 0; index < 2; index++)
		pthread_create(&threads[index], NULL, read_audit, &readers[index]);
	for (uint64_t number = 1;
		 atomic_load(&readers[0].read) < reads || atomic_load(&readers[1].read) < reads; number++) {
		snug_audit_entry entry = entry_number(number);
		audit_write(&audit, &entry);
		if (number % 100000 == 0) os_thread_yield(); /* where there is one core */
	}
	atomic_store(&done, true);
	for (int index = 0; index < 2; index++) pthread_join(threads[index], NULL);
	for (int index = 0; index < 2; index++) assert_int_equal(readers[index].torn, 0);
	audit_deinit(&audit);
}

static void readers_get_whole_entries(void **state) {
	(void)state;
	read_while_written(4, 100000 / TEST_SLOWDOWN);
	read_while_written(1, 2000000 / TEST_SLOWDOWN);
}

/* ------------------------------------------------------------------ tickets ------------------- */

static snug_error take_now(struct tickets *tickets, snug_ticket ticket, snug_response *response) {
	return ticket_take(tickets, ticket, 0, true, response, NULL, NULL);
}

static void a_ticket_gives_its_result_once(void **state) {
	(void)state;
	struct tickets tickets = {0};
	snug_response response;
	snug_part parts[3];
	assert_true(tickets_init(&tickets, 2 + TICKETS_RESERVED, 3));
	struct ticket_slot *slot = ticket_claim(&tickets, false);
	snug_ticket ticket = ticket_submit(slot, false);
	assert_true(ticket != 0 && ticket >> 63 == 0);
	assert_int_equal(take_now(&tickets, ticket, &response), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(ticket_take(&tickets, ticket, OS_FOREVER, false, &response, NULL, NULL),
					 SNUG_ERROR_WRONG_THREAD);
	assert_null(ticket_find(&tickets, ticket)); /* nobody works for it yet */
	slot->response = (snug_response){.parts = 2, .total_ns = 42};
	slot->parts[1].worker = 1;
	ticket_answer(&tickets, slot);
	uint32_t count = 1;
	parts[1].worker = 77;
	assert_int_equal(ticket_take(&tickets, ticket, 0, true, &response, parts, &count), SNUG_OK);
	assert_int_equal(count, 1);
	assert_int_equal(parts[1].worker, 77);
	assert_int_equal(response.total_ns, 42);
	assert_int_equal(take_now(&tickets, ticket, &response), SNUG_ERROR_TICKET);
	static const snug_ticket forged[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63};
	for (size_t index = 0; index < sizeof forged / sizeof forged[0]; index++)
		assert_int_equal(take_now(&tickets, forged[index], &response), SNUG_ERROR_TICKET);
	assert_int_equal(atomic_load(&tickets.in_use), 0);
	tickets_deinit(&tickets);
}

static void reserved_slots_are_for_urgent_ones(void **state) {
	(void)state;
	struct tickets tickets = {0};
	assert_true(tickets_init(&tickets, 2 + TICKETS_RESERVED, 1));
	struct ticket_slot *first = ticket_claim(&tickets, false);
	assert_non_null(ticket_claim(&tickets, false));
	assert_null(ticket_claim(&tickets, false));
	assert_non_null(ticket_claim(&tickets, true));
	assert_non_null(ticket_claim(&tickets, true));
	assert_null(ticket_claim(&tickets, true));
	ticket_submit(first, true); /* forgotten: free as soon as it is answered */
	ticket_answer(&tickets, first);
	assert_ptr_equal(ticket_claim(&tickets, false), first);
	tickets_deinit(&tickets);
}

#define NO_TICKET UINT64_MAX

struct taker {
	struct tickets *tickets;
	_Atomic uint64_t *ticket; /* of this round; NO_TICKET: none yet; 0: the end */
	_Atomic uint64_t *taken;  /* how often results were, in all rounds */
	_Atomic uint32_t *ready;
	uint64_t mistakes;
};

/* In each round all takers ask for the same ticket at the same time, until somebody had it. */
static void *take_all(void *context) {
	struct taker *taker = context;
	uint64_t last = NO_TICKET;
	for (;;) {
		snug_ticket ticket = atomic_load(taker->ticket);
		if (ticket == last) {
			os_thread_yield();
			continue;
		}
		if (ticket == 0) return NULL;
		last = ticket;
		snug_response response;
		snug_error error;
		do {
			error = take_now(taker->tickets, ticket, &response);
		} while (error == SNUG_ERROR_TIMED_OUT);
		if (error == SNUG_OK && response.total_ns != ticket) taker->mistakes++;
		if (error == SNUG_OK) atomic_fetch_add(taker->taken, 1);
		atomic_fetch_add(taker->ready, 1);
	}
}

static void of_many_takers_one_gets_it(void **state) {
	(void)state;
	enum { TAKERS = 3, ROUNDS = 20000 / TEST_SLOWDOWN };
	struct tickets tickets = {0};
	_Atomic uint64_t current = NO_TICKET;
	_Atomic uint64_t taken = 0;
	_Atomic uint32_t ready = 0;
	struct taker takers[TAKERS];
	pthread_t threads[TAKERS];
	assert_true(tickets_init(&tickets, 1 + TICKETS_RESERVED, 1));
	for (int index = 0; index < TAKERS; index++) {
		takers[index] = (struct taker){&tickets, &current, &taken, &ready, 0};
		pthread_create(&threads[index], NULL, take_all, &takers[index]);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct ticket_slot *slot = ticket_claim(&tickets, false);
		assert_non_null(slot);
		snug_ticket ticket = ticket_submit(slot, false);
		atomic_store(&ready, 0);
		atomic_store(&current, ticket);
		slot->response = (snug_response){.total_ns = ticket};
		ticket_answer(&tickets, slot);
		while (atomic_load(&ready) < TAKERS) os_thread_yield();
		assert_int_equal(atomic_load(&taken), round + 1);
		assert_int_equal(atomic_load(&tickets.in_use), 0);
	}
	atomic_store(&current, 0);
	for (int index = 0; index < TAKERS; index++) {
		pthread_join(threads[index], NULL);
		assert_int_equal(takers[index].mistakes, 0);
	}
	tickets_deinit(&tickets);
}

struct pair {
	struct tickets tickets;
	_Atomic uint64_t ticket;
	_Atomic uint64_t at[2];
	uint64_t rounds;
	uint64_t taken; /* the other thread's: read when both have met */
};

static void *take_beside(void *context) {
	struct pair *pair = context;
	for (uint64_t round = 0; round < pair->rounds; round++) {
		snug_response response;
		meet(&pair->at[1], &pair->at[0], 2 * round + 1);
		pair->taken += take_now(&pair->tickets, atomic_load(&pair->ticket), &response) == SNUG_OK;
		meet(&pair->at[1], &pair->at[0], 2 * round + 2);
	}
	return NULL;
}

/* The answer is there, and both take it at the same moment. */
static void of_two_takers_one_gets_it(void **state) {
	(void)state;
	static struct pair pair;
	pthread_t thread;
	uint64_t taken = 0;
	pair.rounds = 200000 / TEST_SLOWDOWN;
	assert_true(tickets_init(&pair.tickets, 1 + TICKETS_RESERVED, 1));
	pthread_create(&thread, NULL, take_beside, &pair);
	for (uint64_t round = 0; round < pair.rounds; round++) {
		struct ticket_slot *slot = ticket_claim(&pair.tickets, false);
		snug_response response;
		snug_ticket ticket = ticket_submit(slot, false);
		atomic_store(&pair.ticket, ticket);
		ticket_answer(&pair.tickets, slot);
		meet(&pair.at[0], &pair.at[1], 2 * round + 1);
		taken += take_now(&pair.tickets, ticket, &response) == SNUG_OK;
		meet(&pair.at[0], &pair.at[1], 2 * round + 2);
		assert_int_equal(taken + pair.taken, round + 1);
	}
	pthread_join(thread, NULL);
	tickets_deinit(&pair.tickets);
}

/* ------------------------------------------------------------------ pauses of background runs - */

#define TICK_NS UINT64_C(1000000)

static void assert_pause(snug_coordinator *coordinator, struct upkeep *upkeep,
						 const snug_report *report, uint64_t pause_ns) {
	snug_response response = {.report = *report};
	static struct task run;
	run.begin_ns = 7 * TICK_NS;
	upkeep->task = &run;
	upkeep_task_ended(coordinator, upkeep, &response);
	assert_int_equal(upkeep->pause_until_ns, run.begin_ns + pause_ns);
	assert_null(upkeep->task);
}

/* What a run used is a share of the time from its begin to the next; one that gains nothing waits
 * twice as long as the last, up to 64 ticks. */
static void background_runs_pause(void **state) {
	(void)state;
	static snug_coordinator coordinator;
	struct upkeep upkeep = {.wanted = true};
	coordinator.world.tick_ns = TICK_NS;
	coordinator.options.background.duty_ppm = 10000;
	const snug_report gain = {.reclaimed_bytes = 1, .work_ns = 50 * TICK_NS};
	const snug_report nothing = {.outcome = SNUG_OUTCOME_NOTHING};
	const snug_report cut = {.outcome = SNUG_OUTCOME_BUDGET};
	assert_pause(&coordinator, &upkeep, &gain, 5000 * TICK_NS);
	for (uint32_t failures = 1; failures <= 9; failures++)
		assert_pause(&coordinator, &upkeep, &nothing, TICK_NS << (failures < 6 ? failures : 6));
	assert_pause(&coordinator, &upkeep, &cut, 0);
	assert_pause(&coordinator, &upkeep, &nothing, 2 * TICK_NS); /* counted anew */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_as_a_table),
		cmocka_unit_test(shares_meet_the_goal_within_a_unit),
		cmocka_unit_test(requests_are_checked),
		cmocka_unit_test(only_the_same_requests_join),
		cmocka_unit_test(each_word_has_a_text),
		cmocka_unit_test(the_audit_keeps_the_last),
		cmocka_unit_test(readers_get_whole_entries),
		cmocka_unit_test(a_ticket_gives_its_result_once),
		cmocka_unit_test(reserved_slots_are_for_urgent_ones),
		cmocka_unit_test(of_many_takers_one_gets_it),
		cmocka_unit_test(of_two_takers_one_gets_it),
		cmocka_unit_test(background_runs_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
