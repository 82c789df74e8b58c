/* test_flights.c: the table of tickets, by itself and against a naive list. */
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/worker/flights.h"

#include <stdio.h>

#define ROOM 16u

static void a_ticket_ends_with_its_result(void **state) {
	(void)state;
	struct flight flight[ROOM];
	struct flights flights;
	flights_init(&flights, flight, ROOM);
	assert_null(flights_find(&flights, 0));
	snug_ticket ticket = flights_begin(&flights, SNUG_OPERATION_READ);
	assert_true(ticket != 0);
	snug_result result = {.error = SNUG_ERROR_RANGE, .size = 3};
	assert_true(flights_land(&flights, ticket, &result));
	assert_false(flights_land(&flights, ticket, &result)); /* exactly one answer */
	snug_result taken = flights_take(&flights, flights_find(&flights, ticket));
	assert_int_equal(taken.error, SNUG_ERROR_RANGE);
	assert_null(flights_find(&flights, ticket));
	snug_ticket next = flights_begin(&flights, SNUG_OPERATION_READ);
	assert_true(next != ticket); /* the same place, another generation */
	assert_null(flights_find(&flights, ticket));
	assert_null(flights_find(&flights, next + ROOM));
	flights_undo(&flights, next);
	assert_null(flights_find(&flights, next));
	assert_int_equal(flights.in_flight, 0);
}

static void generations_wrap_past_zero(void **state) {
	(void)state;
	struct flight flight[1];
	struct flights flights;
	flights_init(&flights, flight, 1);
	flight[0].generation = UINT32_MAX;
	snug_ticket last = flights_begin(&flights, SNUG_OPERATION_SIZE);
	flights_undo(&flights, last);
	snug_ticket first = flights_begin(&flights, SNUG_OPERATION_SIZE);
	assert_int_equal(first, UINT64_C(1) << 32);
}

/* Random begins, landings and takes; the naive one keeps tickets in arrays. */
static void random_use_against_a_list(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 7);
	test_random random = {seed};
	printf("seed %llu\n", (unsigned long long)seed);
	struct flight flight[ROOM];
	struct flights flights;
	snug_ticket flying[ROOM];
	snug_ticket done[ROOM];
	uint32_t flying_count = 0, done_count = 0;
	flights_init(&flights, flight, ROOM);
	for (int i = 0; i < 200000; i++) {
		uint64_t choice = test_random_below(&random, 4);
		if (choice == 0 && flying_count + done_count < ROOM) {
			flying[flying_count++] = flights_begin(&flights, SNUG_OPERATION_SIZE);
		} else if (choice == 1 && flying_count > 0) {
			uint32_t at = (uint32_t)test_random_below(&random, flying_count);
			snug_result result = {.size = flying[at]};
			assert_true(flights_land(&flights, flying[at], &result));
			done[done_count++] = flying[at];
			flying[at] = flying[--flying_count];
		} else if (choice == 2 && done_count > 0) { /* from anywhere */
			uint32_t at = (uint32_t)test_random_below(&random, done_count);
			snug_result taken = flights_take(&flights, flights_find(&flights, done[at]));
			assert_int_equal(taken.size, done[at]);
			memmove(done + at, done + at + 1, (--done_count - at) * sizeof done[0]);
		} else if (choice == 3) { /* the first */
			snug_ticket ticket = 0;
			struct flight *first = flights_first_done(&flights, &ticket);
			assert_true((first == NULL) == (done_count == 0));
			if (first == NULL) continue;
			assert_int_equal(ticket, done[0]);
			(void)flights_take(&flights, first);
			memmove(done, done + 1, --done_count * sizeof done[0]);
		}
		assert_int_equal(flights.flying, flying_count);
		assert_int_equal(flights.in_flight, flying_count + done_count);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticket_ends_with_its_result),
		cmocka_unit_test(generations_wrap_past_zero),
		cmocka_unit_test(random_use_against_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
