/* test_coordinator.c: what a coordinator answers: results, refusals, joins, cancels, time-outs,
 * priorities, stops. */
#include "stock.h"

#include "work/coordinator/coordination.h"

#include <pthread.h>

/* ------------------------------------------------------------------ create -------------------- */

static void bad_options_are_refused(void **state) {
	(void)state;
	snug_workers_options crew = crew_options(1);
	snug_workers *workers = crew_make(&crew);
	snug_coordinator_options good = snug_coordinator_options_default();
	snug_coordinator *coordinator = NULL;
	assert_int_equal(snug_coordinator_create(NULL, &good, &coordinator), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_create(workers, &good, NULL), SNUG_ERROR_NULL);
	snug_coordinator_options bad;
#define REFUSED(field, value)         \
	(bad = good, bad.field = (value), \
	 assert_int_equal(snug_coordinator_create(workers, &bad, &coordinator), SNUG_ERROR_OPTION))
	REFUSED(tickets, 0);
	REFUSED(tickets, SNUG_TICKETS_MAX + 1);
	REFUSED(schedules, SNUG_SCHEDULES_MAX + 1);
	REFUSED(audit, 0);
	REFUSED(audit, SNUG_AUDIT_MAX + 1);
	REFUSED(background.duty_ppm, 0);
#undef REFUSED
	assert_null(coordinator);
	coordinator = desk_make(workers, &good);
	assert_int_equal(snug_workers_destroy(workers), SNUG_ERROR_IN_USE);
	desk_unmake(coordinator);
	assert_int_equal(snug_workers_stop(workers, HANG_NS), SNUG_OK);
	assert_int_equal(snug_coordinator_create(workers, &good, &coordinator), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_workers_destroy(workers), SNUG_OK);
}

static void null_is_answered(void **state) {
	(void)state;
	snug_request request = snug_request_default(SNUG_REQUEST_METRICS);
	snug_ticket ticket = 0;
	snug_response response;
	snug_part part;
	snug_audit_entry entry;
	snug_coordinator_stats stats;
	snug_schedule_entry schedule;
	uint32_t count = 1;
	assert_int_equal(snug_coordinator_submit(NULL, &request, &ticket), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_wait(NULL, 1, 0, &response, NULL, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_poll(NULL, 1, &response, NULL, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_audit(NULL, &entry, &count), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_schedules(NULL, &schedule, &count), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_stats_get(NULL, &stats), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_stop(NULL, 0), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_destroy(NULL), SNUG_OK);
	struct stock *stock = stock_open(1, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	assert_int_equal(snug_coordinator_submit(coordinator, NULL, &ticket), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_wait(coordinator, 1, 0, NULL, NULL, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_wait(coordinator, 1, 0, &response, &part, NULL),
					 SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_call(coordinator, &request, 0, NULL, &ticket),
					 SNUG_ERROR_NULL);
	assert_int_equal(snug_coordinator_audit(coordinator, NULL, &count), SNUG_ERROR_NULL);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ results ------------------- */

/* Busy workers publish rarely; whoever has an answer reads figures that know of it all the same. */
static void an_answer_is_published_before_it_is_given(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	atomic_store(&stock->busy, true);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	for (uint64_t target_pages = 1; target_pages <= 8; target_pages++) {
		snug_part parts[STOCK_WORKERS_MAX];
		uint32_t count = STOCK_WORKERS_MAX;
		snug_response done;
		request.options.target_bytes = target_pages << 16;
		snug_ticket ticket = desk_submit(coordinator, &request);
		assert_int_equal(snug_coordinator_wait(coordinator, ticket, HANG_NS, &done, parts, &count),
						 SNUG_OK);
		assert_int_equal(done.error, SNUG_OK);
		assert_int_equal(count, 2);
		for (uint32_t worker = 0; worker < count; worker++) {
			snug_stats published = crew_stats(stock->workers, worker).heap;
			assert_true(parts[worker].report.reclaimed_bytes > 0);
			assert_int_equal(published.total.reclaimable_bytes,
							 parts[worker].report.after.total.reclaimable_bytes);
			assert_int_equal(published.moves, parts[worker].report.after.moves);
		}
	}
	desk_close(coordinator, stock);
}

/* Estimate, defragmentation and metrics of all workers agree with each other, and the whole with
 * its parts. */
static void a_defragmentation_does_what_was_estimated(void **state) {
	(void)state;
	static const uint32_t counts[] = {1, 2, 8};
	for (size_t row = 0; row < 3; row++) {
		uint32_t workers = counts[row];
		struct stock *stock = stock_open(workers, 0);
		snug_coordinator *coordinator = desk_open(stock->workers);
		snug_request estimate = snug_request_default(SNUG_REQUEST_ESTIMATE);
		snug_request defragment = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
		snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
		snug_response estimated = desk_call(coordinator, &estimate);
		snug_response before = desk_call(coordinator, &metrics);
		assert_int_equal(estimated.error, SNUG_OK);
		assert_int_equal(estimated.parts, workers);
		assert_true(estimated.estimate.reclaimable_bytes > (uint64_t)workers << 20);
		snug_part parts[STOCK_WORKERS_MAX];
		uint32_t count = STOCK_WORKERS_MAX;
		snug_response done;
		snug_ticket ticket = desk_submit(coordinator, &defragment);
		assert_int_equal(snug_coordinator_wait(coordinator, ticket, HANG_NS, &done, parts, &count),
						 SNUG_OK);
		snug_response after = desk_call(coordinator, &metrics);
		assert_int_equal(done.error, SNUG_OK);
		assert_true(done.complete && done.report.complete && !done.joined);
		assert_int_equal(done.report.outcome, SNUG_OUTCOME_DONE);
		assert_int_equal(done.report.reclaimed_bytes, estimated.estimate.reclaimable_bytes);
		assert_int_equal(before.stats.total.slab_bytes - after.stats.total.slab_bytes,
						 done.report.reclaimed_bytes);
		assert_int_equal(done.report.before.limit_bytes, (uint64_t)workers << 22);
		assert_true(done.report.moved_objects > 0);
		assert_int_equal(count, workers);
		uint64_t reclaimed_bytes = 0;
		for (uint32_t index = 0; index < count; index++) {
			assert_int_equal(parts[index].worker, index);
			assert_int_equal(parts[index].error, SNUG_OK);
			assert_true(parts[index].complete && parts[index].report.reclaimed_bytes > 0);
			reclaimed_bytes += parts[index].report.reclaimed_bytes;
		}
		assert_int_equal(reclaimed_bytes, done.report.reclaimed_bytes);
		snug_response again = desk_call(coordinator, &defragment);
		assert_int_equal(again.report.outcome, SNUG_OUTCOME_NOTHING);
		assert_int_equal(again.report.reclaimed_bytes, 0);
		assert_true(again.complete);
		desk_close(coordinator, stock);
	}
}

static void one_worker_one_pool_and_budgets(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	request.worker = 1;
	request.options.pool_mask = SNUG_POOL_BIT(SNUG_POOL_SMALL);
	snug_response response = desk_call(coordinator, &request);
	assert_int_equal(response.parts, 1);
	assert_int_equal(response.report.reclaimed_bytes, 0); /* the objects are elsewhere */
	request.options.pool_mask = 0;
	request.options.mode = SNUG_COALESCE;
	response = desk_call(coordinator, &request);
	assert_int_equal(response.report.moved_objects, 0);
	request.options.mode = SNUG_COMPACT;
	request.options.budget_bytes = 10000;
	response = desk_call(coordinator, &request);
	assert_int_equal(response.error, SNUG_OK);
	assert_false(response.complete);
	assert_int_equal(response.report.outcome, SNUG_OUTCOME_BUDGET);
	assert_true(response.report.moved_bytes >= 10000 && response.report.moved_bytes < 100000);
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	metrics.worker = 0;
	assert_int_equal(desk_call(coordinator, &metrics).stats.moves, 0); /* not asked */
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ bad input ----------------- */

static void bad_requests_are_refused_and_audited(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator_options options = desk_options();
	options.schedules = 1;
	snug_coordinator *coordinator = desk_make(stock->workers, &options);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	request.worker = 2;
	assert_int_equal(desk_refused(coordinator, &request), SNUG_ERROR_WORKER);
	request.worker = 0;
	request.options.pool_mask = 8;
	assert_int_equal(desk_refused(coordinator, &request), SNUG_ERROR_OPTION);
	snug_request emergency = snug_request_default(SNUG_REQUEST_EMERGENCY);
	assert_int_equal(desk_refused(coordinator, &emergency), SNUG_ERROR_BUDGET_ZERO);
	emergency.min_bytes = (8u << 20) + 1;
	assert_int_equal(desk_refused(coordinator, &emergency), SNUG_ERROR_GOAL);
	emergency.min_bytes = UINT64_MAX;
	assert_int_equal(desk_refused(coordinator, &emergency), SNUG_ERROR_GOAL);
	emergency.worker = 1;
	emergency.min_bytes = (4u << 20) + 1;
	assert_int_equal(desk_refused(coordinator, &emergency), SNUG_ERROR_GOAL);
	snug_request schedule = snug_request_default(SNUG_REQUEST_SCHEDULE);
	assert_int_equal(desk_refused(coordinator, &schedule), SNUG_ERROR_SCHEDULE);
	schedule.schedule.interval_ns = 3600000 * MS;
	snug_response accepted = desk_call(coordinator, &schedule);
	assert_int_equal(accepted.error, SNUG_OK);
	assert_true(accepted.schedule != 0);
	/* one at a time */
	assert_int_equal(desk_call(coordinator, &schedule).error, SNUG_ERROR_QUEUE_FULL);
	static const uint64_t nowhere[] = {0, 1, 12345678, UINT64_MAX};
	for (size_t row = 0; row < 4; row++) {
		snug_response response;
		assert_int_equal(desk_cancel(coordinator, nowhere[row]).error, SNUG_ERROR_TICKET);
		assert_int_equal(snug_coordinator_poll(coordinator, nowhere[row], &response, NULL, NULL),
						 SNUG_ERROR_TICKET);
	}
	assert_int_equal(desk_cancel(coordinator, accepted.schedule).error, SNUG_OK);
	assert_int_equal(desk_cancel(coordinator, accepted.schedule).error, SNUG_ERROR_TICKET);
	assert_int_equal(desk_stats(coordinator).refused, 7);
	snug_audit_entry entries[64];
	uint32_t count = 64;
	assert_int_equal(snug_coordinator_audit(coordinator, entries, &count), SNUG_OK);
	assert_int_equal(count, 7 + 2 + 4 + 2);
	for (uint32_t index = 0; index < count; index++)
		assert_int_equal(entries[index].refused, index < 7);
	assert_int_equal(entries[3].error, SNUG_ERROR_GOAL);
	assert_int_equal(entries[3].kind, SNUG_REQUEST_EMERGENCY);
	assert_int_equal(snug_coordinator_stop(coordinator, HANG_NS), SNUG_OK);
	assert_int_equal(desk_refused(coordinator, &schedule), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_coordinator_stop(coordinator, HANG_NS), SNUG_OK);
	desk_close(coordinator, stock);
}

static void a_full_table_refuses_but_the_urgent(void **state) {
	(void)state;
	struct stock *stock = stock_open(1, 0);
	snug_coordinator_options options = desk_options();
	options.tickets = 4;
	snug_coordinator *coordinator = desk_make(stock->workers, &options);
	stock_hold(stock);
	snug_ticket tickets[4];
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	for (uint32_t index = 0; index < 4; index++) {
		request.options.target_bytes = 4096 * (index + 1); /* none like another */
		tickets[index] = desk_submit(coordinator, &request);
	}
	assert_int_equal(desk_refused(coordinator, &request), SNUG_ERROR_QUEUE_FULL);
	snug_request emergency = snug_request_default(SNUG_REQUEST_EMERGENCY);
	emergency.min_bytes = 4096;
	snug_ticket urgent = desk_submit(coordinator, &emergency);
	assert_int_equal(desk_cancel(coordinator, tickets[3]).error, SNUG_OK);
	assert_int_equal(desk_wait(coordinator, tickets[3]).error, SNUG_ERROR_CANCELLED);
	tickets[3] = desk_submit(coordinator, &request);
	stock_let_go(stock);
	assert_int_equal(desk_wait(coordinator, urgent).error, SNUG_OK);
	for (uint32_t index = 0; index < 4; index++)
		assert_int_equal(desk_wait(coordinator, tickets[index]).error, SNUG_OK);
	assert_int_equal(desk_stats(coordinator).tickets_in_use, 0);
	desk_close(coordinator, stock);
}

/* A worker whose inbox is full delays its own part only, and that comes through in the end. */
static void a_full_inbox_delays_only(void **state) {
	(void)state;
	struct stock *stock = stock_new();
	snug_workers_options crew = stock_options(stock, 2);
	crew.inbox_messages = 16;
	stock->workers = crew_make(&crew);
	snug_coordinator *coordinator = desk_open(stock->workers);
	stock_hold(stock);
	snug_client *client;
	snug_ticket flights[16];
	uint32_t sent = 0;
	assert_int_equal(snug_client_create(stock->workers, NULL, &client), SNUG_OK);
	snug_operation operation = {.kind = SNUG_OPERATION_SIZE, .object = {.handle = 1, .worker = 0}};
	while (sent < 16 && snug_client_submit(client, &operation, 1, &flights[sent]) == SNUG_OK)
		sent++;
	assert_true(sent >= 15); /* one may be that of stock_hold */
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket ticket = desk_submit(coordinator, &request);
	snug_response response;
	assert_int_equal(snug_coordinator_wait(coordinator, ticket, 20 * MS, &response, NULL, NULL),
					 SNUG_ERROR_TIMED_OUT);
	assert_int_equal(desk_cancel(coordinator, 99).error, SNUG_ERROR_TICKET); /* it still turns */
	stock_let_go(stock);
	response = desk_wait(coordinator, ticket);
	assert_int_equal(response.error, SNUG_OK);
	assert_int_equal(response.parts, 2);
	for (uint32_t index = 0; index < sent; index++) {
		snug_result result;
		assert_int_equal(snug_client_wait(client, flights[index], HANG_NS, &result), SNUG_OK);
	}
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ join, cancel, time out ---- */

static void identical_requests_share_one_run(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	stock_hold(stock);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket first = desk_submit(coordinator, &request);
	snug_ticket second = desk_submit(coordinator, &request);
	snug_ticket third = desk_submit(coordinator, &request);
	request.worker = 0;
	snug_ticket other = desk_submit(coordinator, &request);
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	snug_ticket question = desk_submit(coordinator, &metrics);
	/* the workers were asked already: not joined */
	snug_ticket later = desk_submit(coordinator, &metrics);
	assert_int_equal(desk_cancel(coordinator, second).error, SNUG_OK);
	snug_response cancelled = desk_wait(coordinator, second); /* at once: the others' run goes on */
	assert_int_equal(cancelled.error, SNUG_ERROR_CANCELLED);
	assert_false(cancelled.complete);
	assert_int_equal(cancelled.report.reclaimed_bytes, 0);
	snug_coordinator_stats stats = desk_stats(coordinator);
	assert_int_equal(stats.joins, 2);
	stock_let_go(stock);
	snug_response one = desk_wait(coordinator, first);
	snug_response two = desk_wait(coordinator, third);
	assert_int_equal(one.error, SNUG_OK);
	assert_false(one.joined);
	assert_true(two.joined && two.complete);
	assert_true(one.report.reclaimed_bytes > 0);
	assert_int_equal(one.report.reclaimed_bytes, two.report.reclaimed_bytes);
	assert_int_equal(one.report.moved_objects, two.report.moved_objects);
	assert_int_equal(desk_wait(coordinator, other).report.reclaimed_bytes, 0);
	assert_false(desk_wait(coordinator, question).joined);
	assert_false(desk_wait(coordinator, later).joined);
	snug_request all = snug_request_default(SNUG_REQUEST_METRICS);
	/* once */
	assert_int_equal(desk_call(coordinator, &all).stats.reclaimed_bytes,
					 one.report.reclaimed_bytes);
	desk_close(coordinator, stock);
}

/* Waiting, running and over. */
static void cancelling_at_each_moment(void **state) {
	(void)state;
	struct stock *stock = stock_open_busy(1);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket running = desk_submit(coordinator, &request);
	request.options.merge_classes = true;
	snug_ticket waiting = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.moves > 10);
	assert_int_equal(desk_cancel(coordinator, waiting).error, SNUG_OK);
	snug_response response = desk_wait(coordinator, waiting);
	assert_int_equal(response.error, SNUG_ERROR_CANCELLED);
	assert_int_equal(response.report.outcome, SNUG_OUTCOME_CANCELLED);
	assert_int_equal(response.report.moved_objects, 0);
	assert_int_equal(desk_cancel(coordinator, running).error, SNUG_OK);
	response = desk_wait(coordinator, running);
	assert_int_equal(response.error, SNUG_ERROR_CANCELLED);
	assert_int_equal(response.report.outcome, SNUG_OUTCOME_CANCELLED);
	assert_false(response.complete || response.report.complete);
	assert_true(response.report.moved_objects > 10); /* what was done is told */
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	assert_int_equal(desk_call(coordinator, &metrics).stats.reclaimed_bytes,
					 response.report.reclaimed_bytes);
	assert_int_equal(desk_cancel(coordinator, running).error, SNUG_ERROR_TICKET);
	atomic_store(&stock->busy, false);
	snug_ticket over = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(desk_stats(coordinator).tickets_in_use == 1 &&
					desk_stats(coordinator).answers == 7);
	/* its result is there */
	assert_int_equal(desk_cancel(coordinator, over).error, SNUG_ERROR_TICKET);
	assert_int_equal(desk_wait(coordinator, over).error, SNUG_OK);
	desk_close(coordinator, stock);
}

static void a_time_out_loses_nothing(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	stock_hold(stock);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_response response;
	snug_ticket late = 0;
	assert_int_equal(snug_coordinator_call(coordinator, &request, 5 * MS, &response, &late),
					 SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_coordinator_poll(coordinator, late, &response, NULL, NULL),
					 SNUG_ERROR_TIMED_OUT);
	stock_let_go(stock);
	CREW_WAIT_UNTIL(desk_stats(coordinator).answers == 1);
	os_thread_sleep(5 * MS); /* it stays */
	assert_int_equal(snug_coordinator_poll(coordinator, late, &response, NULL, NULL), SNUG_OK);
	assert_true(response.report.reclaimed_bytes > 0);
	assert_int_equal(snug_coordinator_poll(coordinator, late, &response, NULL, NULL),
					 SNUG_ERROR_TICKET);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ priorities ---------------- */

static void an_emergency_overtakes(void **state) {
	(void)state;
	struct stock *stock = stock_open_busy(2);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request demand = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket slow = desk_submit(coordinator, &demand);
	for (uint32_t worker = 0; worker < 2; worker++)
		CREW_WAIT_UNTIL(crew_stats(stock->workers, worker).heap.moves > 10);
	snug_request emergency = snug_request_default(SNUG_REQUEST_EMERGENCY);
	emergency.min_bytes = 1u << 20;
	snug_response urgent = desk_call(coordinator, &emergency);
	snug_response response;
	assert_int_equal(urgent.error, SNUG_OK);
	assert_true(urgent.complete && urgent.report.returned_bytes >= emergency.min_bytes);
	assert_int_equal(urgent.report.outcome, SNUG_OUTCOME_TARGET);
	assert_int_equal(snug_coordinator_poll(coordinator, slow, &response, NULL, NULL),
					 SNUG_ERROR_TIMED_OUT);
	atomic_store(&stock->busy, false);
	snug_part parts[2];
	uint32_t count = 2;
	assert_int_equal(snug_coordinator_wait(coordinator, slow, HANG_NS, &response, parts, &count),
					 SNUG_OK);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.complete);
	assert_true(parts[0].interruptions + parts[1].interruptions >= 1);
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	snug_response sums = desk_call(coordinator, &metrics);
	assert_int_equal(sums.stats.reclaimed_bytes,
					 response.report.reclaimed_bytes + urgent.report.reclaimed_bytes);
	assert_int_equal(sums.stats.moves, response.report.moved_objects + urgent.report.moved_objects);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ ends ---------------------- */

static void workers_that_stop_are_told(void **state) {
	(void)state;
	struct stock *stock = stock_open_busy(2);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket running = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.moves > 0 &&
					crew_stats(stock->workers, 1).heap.moves > 0);
	assert_int_equal(snug_workers_stop(stock->workers, HANG_NS), SNUG_OK);
	snug_response response = desk_wait(coordinator, running);
	assert_int_equal(response.error, SNUG_ERROR_STOPPED);
	assert_true(response.report.moved_objects > 0);
	assert_false(response.complete);
	for (int kind = 0; kind < SNUG_REQUEST_COUNT; kind++) {
		snug_request later = snug_request_default((snug_request_kind)kind);
		if (kind == SNUG_REQUEST_SCHEDULE || kind == SNUG_REQUEST_CANCEL) continue;
		later.min_bytes = kind == SNUG_REQUEST_EMERGENCY ? 4096 : 0;
		response = desk_call(coordinator, &later);
		assert_int_equal(response.error, SNUG_ERROR_STOPPED);
		assert_int_equal(response.parts, 2);
		assert_false(response.complete);
	}
	desk_close(coordinator, stock);
}

struct waiter {
	snug_coordinator *coordinator;
	snug_ticket ticket;
	snug_error error;
	snug_response response;
};

static void *wait_for_ever(void *context) {
	struct waiter *waiter = context;
	waiter->error = snug_coordinator_wait(waiter->coordinator, waiter->ticket, SNUG_FOREVER,
										  &waiter->response, NULL, NULL);
	return NULL;
}

static void a_stop_answers_all(void **state) {
	(void)state;
	struct stock *stock = stock_open_busy(1);
	snug_coordinator *coordinator = desk_open(stock->workers);
	struct waiter waiters[4];
	pthread_t threads[4];
	for (uint32_t index = 0; index < 4; index++) {
		snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
		request.options.budget_bytes = (uint64_t)(index + 1) << 30;
		waiters[index] = (struct waiter){.coordinator = coordinator,
										 .ticket = desk_submit(coordinator, &request)};
		pthread_create(&threads[index], NULL, wait_for_ever, &waiters[index]);
	}
	snug_request untaken = snug_request_default(SNUG_REQUEST_METRICS);
	desk_submit(coordinator, &untaken);
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).heap.moves > 0);
	/* no call may begin after destroy */
	CREW_WAIT_UNTIL(atomic_load(&coordinator->takers) == 4);
	/* with waiters inside and a result not taken */
	assert_int_equal(snug_coordinator_destroy(coordinator), SNUG_OK);
	uint32_t begun = 0;
	for (uint32_t index = 0; index < 4; index++) {
		pthread_join(threads[index], NULL);
		assert_int_equal(waiters[index].error, SNUG_OK);
		assert_int_equal(waiters[index].response.error, SNUG_ERROR_STOPPED);
		begun += waiters[index].response.report.moved_objects > 0;
	}
	assert_int_equal(begun, 1);
	stock_delete(stock);
}

static void a_stop_that_times_out_goes_on(void **state) {
	(void)state;
	struct stock *stock = stock_open(1, 0);
	snug_coordinator *coordinator = desk_open(stock->workers);
	stock_hold(stock);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket ticket = desk_submit(coordinator, &request);
	CREW_WAIT_UNTIL(desk_stats(coordinator).jobs == 1);
	uint32_t depth = crew_stats(stock->workers, 0).inbox_depth;
	assert_int_equal(snug_coordinator_stop(coordinator, 2 * MS), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(desk_refused(coordinator, &request), SNUG_ERROR_STOPPED);
	/* the cancel is there before the worker goes on */
	CREW_WAIT_UNTIL(crew_stats(stock->workers, 0).inbox_depth == depth + 1);
	stock_let_go(stock);
	assert_int_equal(snug_coordinator_stop(coordinator, HANG_NS), SNUG_OK);
	/* still to be taken */
	assert_int_equal(desk_wait(coordinator, ticket).error, SNUG_ERROR_STOPPED);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ on the wrong threads ------ */

struct insider {
	snug_coordinator *_Atomic coordinator;
	_Atomic uint32_t looks;
	_Atomic uint32_t mistakes;
	_Atomic bool armed;
};

/* From a worker's or the coordinator's thread: submitting works, waiting and destroying do not. */
static void look_inside(struct insider *insider) {
	snug_coordinator *coordinator = atomic_load(&insider->coordinator);
	if (coordinator == NULL || !atomic_exchange(&insider->armed, false)) return;
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_response response;
	snug_ticket ticket;
	if (snug_coordinator_submit(coordinator, &request, &ticket) != SNUG_OK)
		atomic_fetch_add(&insider->mistakes, 1);
	if (snug_coordinator_wait(coordinator, ticket, SNUG_FOREVER, &response, NULL, NULL) !=
		SNUG_ERROR_WRONG_THREAD)
		atomic_fetch_add(&insider->mistakes, 1);
	if (snug_coordinator_destroy(coordinator) != SNUG_ERROR_WRONG_THREAD)
		atomic_fetch_add(&insider->mistakes, 1);
	atomic_fetch_add(&insider->looks, 1);
}

static bool look_from_worker(void *context, uint32_t worker, snug_heap *heap) {
	(void)worker;
	(void)heap;
	look_inside(context);
	return false;
}

static void look_from_log(void *context, snug_log_level level, const char *line) {
	(void)level;
	(void)line;
	look_inside(context);
}

static void insiders_do_not_wait(void **state) {
	(void)state;
	struct insider insider = {.coordinator = NULL};
	snug_workers_options crew = crew_options(1);
	crew.hook.context = &insider;
	crew.hook.turn = look_from_worker;
	snug_workers *workers = crew_make(&crew);
	snug_coordinator_options options = desk_options();
	options.log = (snug_log){look_from_log, &insider, SNUG_LOG_INFO};
	snug_coordinator *coordinator = desk_make(workers, &options);
	atomic_store(&insider.coordinator, coordinator);
	snug_request request = snug_request_default(SNUG_REQUEST_METRICS);
	for (uint32_t round = 1; round <= 20; round++) {
		atomic_store(&insider.armed, true);
		desk_call(coordinator, &request);
		CREW_WAIT_UNTIL(atomic_load(&insider.looks) == round);
	}
	assert_int_equal(atomic_load(&insider.mistakes), 0);
	desk_unmake(coordinator);
	crew_unmake(workers);
}

/* Two coordinators get in each other's way, and both get through. */
static void two_coordinators_share_the_workers(void **state) {
	(void)state;
	struct stock *stock = stock_open(2, 0);
	snug_coordinator_options options = desk_options();
	snug_coordinator *coordinators[2] = {desk_make(stock->workers, &options),
										 desk_make(stock->workers, &options)};
	stock_hold(stock);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket tickets[2];
	for (uint32_t index = 0; index < 2; index++)
		tickets[index] = desk_submit(coordinators[index], &request);
	stock_let_go(stock);
	uint64_t reclaimed_bytes = 0;
	for (uint32_t index = 0; index < 2; index++) {
		snug_response response = desk_wait(coordinators[index], tickets[index]);
		assert_int_equal(response.error, SNUG_OK);
		reclaimed_bytes += response.report.reclaimed_bytes;
	}
	assert_true(reclaimed_bytes > 1u << 20);
	for (uint32_t index = 0; index < 2; index++) desk_unmake(coordinators[index]);
	stock_delete(stock);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(null_is_answered),
		cmocka_unit_test(an_answer_is_published_before_it_is_given),
		cmocka_unit_test(a_defragmentation_does_what_was_estimated),
		cmocka_unit_test(one_worker_one_pool_and_budgets),
		cmocka_unit_test(bad_requests_are_refused_and_audited),
		cmocka_unit_test(a_full_table_refuses_but_the_urgent),
		cmocka_unit_test(a_full_inbox_delays_only),
		cmocka_unit_test(identical_requests_share_one_run),
		cmocka_unit_test(cancelling_at_each_moment),
		cmocka_unit_test(a_time_out_loses_nothing),
		cmocka_unit_test(an_emergency_overtakes),
		cmocka_unit_test(workers_that_stop_are_told),
		cmocka_unit_test(a_stop_answers_all),
		cmocka_unit_test(a_stop_that_times_out_goes_on),
		cmocka_unit_test(insiders_do_not_wait),
		cmocka_unit_test(two_coordinators_share_the_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
