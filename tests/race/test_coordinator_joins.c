/* test_coordinator_joins.c: what a request does not share: work that was cancelled, runs that
 * nobody asked for; and a cancel that finds the worker's inbox full. */
#include "stock.h"

#define INBOX 16u

static struct stock *open_stock(uint32_t workers, uint32_t duty_ppm) {
	struct stock *stock = stock_new();
	snug_workers_options options = stock_options(stock, workers);
	options.inbox_messages = INBOX;
	if (duty_ppm > 0) options.duty_ppm = duty_ppm;
	stock->workers = crew_make(&options);
	return stock;
}

/* The cancelled one is still out when the same is asked for again. */
static void what_was_cancelled_is_not_joined(void **state) {
	(void)state;
	struct stock *stock = open_stock(1, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	stock_hold(stock);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket first = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(desk_stats(coordinator).jobs == 1);
	assert_int_equal(desk_cancel(coordinator, first).error, SNUG_OK);
	snug_ticket second = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(desk_stats(coordinator).requests == 3); /* the first is out still */
	stock_let_go(stock);
	assert_int_equal(desk_wait(coordinator, first).error, SNUG_ERROR_CANCELLED);
	snug_response response = desk_wait(coordinator, second);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.complete);
	assert_false(response.joined);
	assert_true(response.report.reclaimed_bytes > 1u << 20);
	desk_close(coordinator, stock);
}

/* A schedule's run is the same work, but may end with its window, and its target is its own. */
static void a_schedule_s_run_is_not_joined(void **state) {
	(void)state;
	struct stock *stock = open_stock(1, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request schedule = snug_request_default(SNUG_REQUEST_SCHEDULE);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	schedule.schedule.interval_ns = 10 * MS;
	stock_hold(stock);
	snug_response accepted = desk_call(coordinator, &schedule);
	CREW_WAIT_UNTIL(desk_stats(coordinator).jobs == 1);
	snug_ticket ticket = desk_submit(coordinator, &request);
	/* its run ends, not ours */
	assert_int_equal(desk_cancel(coordinator, accepted.schedule).error, SNUG_OK);
	stock_let_go(stock);
	snug_response response = desk_wait(coordinator, ticket);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.complete);
	assert_false(response.joined);
	assert_int_equal(desk_stats(coordinator).joins, 0);
	desk_close(coordinator, stock);
}

/* The worker is told later: the run ends long before it would by itself. */
static void a_cancel_that_finds_no_room_is_told_again(void **state) {
	(void)state;
	struct stock *stock = open_stock(1, STOCK_SLOW_PPM);
	atomic_store(&stock->busy, true);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket ticket = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.moves > 0);
	stock_hold(stock);
	snug_client *client;
	snug_ticket flights[INBOX];
	uint32_t sent = 0;
	assert_int_equal(snug_client_create(stock->workers, NULL, &client), SNUG_OK);
	snug_operation operation = {.kind = SNUG_OPERATION_SIZE, .object = {.handle = 1, .worker = 0}};
	while (snug_client_submit(client, &operation, 1, &flights[sent]) == SNUG_OK) sent++;
	assert_true(sent > 0);
	assert_int_equal(desk_cancel(coordinator, ticket).error, SNUG_OK);
	os_thread_sleep(5 * MS); /* more than one more try */
	stock_let_go(stock);
	snug_response response = desk_wait(coordinator, ticket);
	assert_int_equal(response.error, SNUG_ERROR_CANCELLED);
	assert_true(response.report.moved_objects > 0);
	for (uint32_t index = 0; index < sent; index++) {
		snug_result result;
		assert_int_equal(snug_client_wait(client, flights[index], HANG_NS, &result), SNUG_OK);
	}
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	desk_close(coordinator, stock);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_cancelled_is_not_joined),
		cmocka_unit_test(a_schedule_s_run_is_not_joined),
		cmocka_unit_test(a_cancel_that_finds_no_room_is_told_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
