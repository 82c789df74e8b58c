/* test_coordinator_emergency.c: so many bytes for the machine, or the truth: checkerboards of 1 KiB
 * objects, with and without an evictor, one worker and several, alone and while clients run. */
#include "stock.h"

#include "support/test_random.h"

#include <pthread.h>

#define PAGE_BYTES UINT64_C(8192) /* of these heaps, or less */

static struct stock *open_stock(uint32_t workers, bool evicts, uint32_t keep_every) {
	struct stock *stock = stock_new();
	stock->keep_every = keep_every;
	snug_workers_options options = stock_options(stock, workers);
	if (evicts) options.hook.evict = stock_evict;
	stock->workers = crew_make(&options);
	return stock;
}

static snug_response emergency(snug_coordinator *coordinator, uint64_t min_bytes, bool may_evict) {
	snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
	request.min_bytes = min_bytes;
	request.may_evict = may_evict;
	return desk_call(coordinator, &request);
}

static snug_stats figures(snug_coordinator *coordinator) {
	snug_request metrics = snug_request_default(SNUG_REQUEST_METRICS);
	snug_response response = desk_call(coordinator, &metrics);
	assert_int_equal(response.error, SNUG_OK);
	return response.stats;
}

static snug_estimate_report whole_estimate(snug_coordinator *coordinator) {
	snug_request request = snug_request_default(SNUG_REQUEST_ESTIMATE);
	return desk_call(coordinator, &request).estimate;
}

static uint64_t estimate(snug_coordinator *coordinator) {
	return whole_estimate(coordinator).reclaimable_bytes;
}

/* What the OS has got is what the answer says. */
static void assert_returned(const snug_stats *before, const snug_stats *after,
							const snug_response *response) {
	assert_int_equal(response->report.returned_bytes,
					 before->committed_bytes - after->committed_bytes);
	assert_int_equal(response->report.returned_bytes,
					 after->returned_bytes - before->returned_bytes);
	assert_int_equal(response->report.reclaimed_bytes,
					 before->total.slab_bytes - after->total.slab_bytes);
}

/* Every goal within the estimate is met by compaction alone, and overshot by less than a page of
 * each worker. */
static void what_compaction_can_give_is_given(void **state) {
	(void)state;
	static const uint32_t counts[] = {1, 2, 8};
	static const uint64_t goals[] = {1, 4096, 100000, 1000000};
	for (size_t row = 0; row < 3; row++) {
		struct stock *stock = open_stock(counts[row], true, 2);
		snug_coordinator *coordinator = desk_open(stock->workers);
		for (size_t goal = 0; goal < 4; goal++) {
			snug_stats before = figures(coordinator);
			snug_response response = emergency(coordinator, goals[goal], true);
			snug_stats after = figures(coordinator);
			assert_int_equal(response.error, SNUG_OK);
			assert_true(response.complete && response.report.complete);
			assert_int_equal(response.report.outcome, SNUG_OUTCOME_TARGET);
			assert_int_equal(response.parts, counts[row]);
			assert_true(response.report.returned_bytes >= goals[goal]);
			assert_true(response.report.returned_bytes <
						goals[goal] + PAGE_BYTES * (counts[row] + 1));
			assert_returned(&before, &after, &response);
			/* each is told of */
			assert_int_equal(response.report.before.limit_bytes, (uint64_t)counts[row] << 22);
		}
		assert_int_equal(atomic_load(&stock->evict_calls), 0);
		desk_close(coordinator, stock);
	}
}

/* Nothing moved, nothing went. */
static void assert_refused(const snug_stats *before, const snug_stats *after,
						   const snug_response *response) {
	assert_int_equal(response->error, SNUG_ERROR_GOAL);
	assert_false(response->complete || response->report.complete);
	assert_int_equal(response->evicted_bytes + response->evicted_objects, 0);
	assert_int_equal(response->report.returned_bytes + response->report.reclaimed_bytes, 0);
	assert_int_equal(before->committed_bytes, after->committed_bytes);
	assert_int_equal(before->moves, after->moves);
	assert_int_equal(before->objects, after->objects);
}

static void what_it_cannot_give_is_refused(void **state) {
	(void)state;
	static const uint32_t counts[] = {1, 2, 8};
	for (size_t row = 0; row < 3; row++) {
		for (int may_evict = 0; may_evict < 2; may_evict++) {
			struct stock *stock = open_stock(counts[row], false, 2); /* may evict, but nobody can */
			snug_coordinator *coordinator = desk_open(stock->workers);
			uint64_t most = estimate(coordinator);
			snug_stats before = figures(coordinator);
			snug_response response =
				emergency(coordinator, most + (UINT64_C(1) << 20), may_evict == 1);
			snug_stats after = figures(coordinator);
			assert_refused(&before, &after, &response);
			assert_true(response.possible_bytes >= most &&
						response.possible_bytes < most + (UINT64_C(1) << 20));
			response = emergency(coordinator, most, may_evict == 1);
			assert_int_equal(response.error, SNUG_OK);
			assert_int_equal(response.evicted_bytes, 0);
			assert_true(response.report.returned_bytes >= most);
			before = figures(coordinator);
			/* little is left */
			response = emergency(coordinator, before.limit_bytes / 2, may_evict == 1);
			after = figures(coordinator);
			assert_refused(&before, &after, &response);
			desk_close(coordinator, stock);
		}
	}
}

/* Half is there for moving, the other half must be evicted: that much and little more. */
static void only_what_is_needed_is_evicted(void **state) {
	(void)state;
	static const uint32_t counts[] = {1, 2, 8};
	for (size_t row = 0; row < 3; row++) {
		struct stock *stock = open_stock(counts[row], true, 2);
		snug_coordinator *coordinator = desk_open(stock->workers);
		uint64_t most = estimate(coordinator);
		uint64_t more = (uint64_t)counts[row] * 400000;
		snug_response response = emergency(coordinator, most + more, true);
		assert_int_equal(response.error, SNUG_OK);
		assert_true(response.report.returned_bytes >= most + more);
		assert_int_equal(response.evicted_bytes, atomic_load(&stock->evicted_bytes));
		assert_int_equal(response.evicted_objects * STOCK_OBJECT_BYTES, response.evicted_bytes);
		printf("%u workers: %llu wanted beyond compaction, %llu evicted\n", counts[row],
			   (unsigned long long)more, (unsigned long long)response.evicted_bytes);
		assert_true(response.evicted_bytes >= more / 2);
		assert_true(response.evicted_bytes <=
					more + counts[row] * (2 * PAGE_BYTES + UINT64_C(65536)));
		desk_close(coordinator, stock);
	}
}

static void without_leave_nothing_is_evicted(void **state) {
	(void)state;
	struct stock *stock = open_stock(2, true, 1); /* full: no holes at all */
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_response response = emergency(coordinator, 1000000, false);
	assert_int_equal(response.error, SNUG_ERROR_GOAL);
	assert_int_equal(atomic_load(&stock->evict_calls), 0);
	response = emergency(coordinator, 1000000, true);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.report.returned_bytes >= 1000000);
	assert_true(response.evicted_bytes < 1000000 * 3 / 2);
	/* More than there is: nothing is given up for what cannot be met. All there is: everything
	 * goes. */
	uint64_t calls = atomic_load(&stock->evict_calls);
	snug_stats before = figures(coordinator);
	response = emergency(coordinator, before.limit_bytes, true);
	snug_stats after = figures(coordinator);
	assert_refused(&before, &after, &response);
	assert_int_equal(atomic_load(&stock->evict_calls), calls);
	response = emergency(coordinator, response.possible_bytes, true);
	assert_int_equal(response.error, SNUG_OK);
	assert_int_equal(figures(coordinator).total.payload_bytes, 0);
	assert_int_equal(figures(coordinator).committed_bytes, 0);
	desk_close(coordinator, stock);
}

/* The worker that has its pages free gives them before the other one moves anything; and nobody
 * evicts what another has lying about. */
static void the_rich_give_first(void **state) {
	(void)state;
	struct stock *stock = open_stock(2, true, 2);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_request tidy = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	tidy.worker = 0;
	assert_true(desk_call(coordinator, &tidy).report.reclaimed_bytes > 0);
	snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
	request.min_bytes = 1000000;
	request.may_evict = true;
	snug_part parts[2];
	uint32_t count = 2;
	snug_response response;
	snug_ticket ticket = desk_submit(coordinator, &request);
	assert_int_equal(snug_coordinator_wait(coordinator, ticket, HANG_NS, &response, parts, &count),
					 SNUG_OK);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(parts[0].report.returned_bytes >= 1000000);
	assert_int_equal(parts[0].report.moved_objects, 0);
	assert_int_equal(parts[1].report.returned_bytes, 0);
	assert_int_equal(parts[1].report.outcome, SNUG_OUTCOME_NOTHING);
	assert_true(parts[1].report.before.limit_bytes > 0);
	/* What is free does not do: then the other one's holes, and still no eviction. */
	snug_estimate_report rest = whole_estimate(coordinator);
	assert_true(rest.free_bytes > 0 && rest.reclaimable_bytes > 2 * PAGE_BYTES);
	request.min_bytes = rest.free_bytes + rest.reclaimable_bytes / 2;
	count = 2;
	ticket = desk_submit(coordinator, &request);
	assert_int_equal(snug_coordinator_wait(coordinator, ticket, HANG_NS, &response, parts, &count),
					 SNUG_OK);
	assert_int_equal(response.error, SNUG_OK);
	assert_int_equal(parts[0].report.returned_bytes,
					 rest.free_bytes - parts[1].report.before.free_page_bytes);
	assert_int_equal(parts[0].report.moved_objects, 0);
	assert_true(parts[1].report.returned_bytes > 0 && parts[1].report.moved_objects > 0);
	assert_int_equal(atomic_load(&stock->evict_calls), 0);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ what stands in the way ---- */

static snug_error pin_some(void *context, uint32_t worker, snug_heap *heap) {
	struct stock *stock = context;
	snug_error error = stock_start(context, worker, heap);
	for (uint32_t number = 0; !error && number < stock->shelf[worker].count; number += 64)
		error = snug_pin(heap, stock->shelf[worker].handles[number]);
	return error;
}

/* Evicting all that is not pinned would not do: so nothing is evicted. What the pins leave is
 * given. */
static void pins_are_counted_before_anything_goes(void **state) {
	(void)state;
	struct stock *stock = stock_new();
	stock->keep_every = 1;
	stock->most = 3000; /* so that there is room for the pins' table */
	snug_workers_options crew = stock_options(stock, 2);
	crew.hook.start = pin_some;
	crew.hook.evict = stock_evict_unpinned;
	stock->workers = crew_make(&crew);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_stats before = figures(coordinator);
	assert_true(before.total.pinned_slabs > 0);
	uint64_t free_of_pins = before.free_page_bytes + before.total.slab_bytes -
							before.total.pinned_slabs * before.page_bytes;
	snug_response response = emergency(coordinator, free_of_pins + 1, true);
	snug_stats after = figures(coordinator);
	assert_refused(&before, &after, &response);
	assert_int_equal(response.possible_bytes, free_of_pins);
	response = emergency(coordinator, free_of_pins / 2, true);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.report.returned_bytes >= free_of_pins / 2);
	desk_close(coordinator, stock);
}

static bool refuse_decommit(void *context, void *address, size_t bytes) {
	(void)context;
	(void)address;
	(void)bytes;
	return false;
}

/* Locked memory: a portion goes before that is known, no more. */
static void an_os_that_takes_nothing_back_ends_it(void **state) {
	(void)state;
	snug_os os = *snug_os_linux();
	os.decommit = refuse_decommit;
	for (uint32_t keep_every = 1; keep_every <= 2; keep_every++) {
		struct stock *stock = stock_new();
		stock->keep_every = keep_every;
		snug_workers_options crew = stock_options(stock, 1);
		crew.heap.os = &os;
		crew.heap.limit_bytes = (size_t)16 << 20;
		crew.hook.evict = stock_evict;
		stock->workers = crew_make(&crew);
		snug_coordinator *coordinator = desk_open(stock->workers);
		snug_response response = emergency(coordinator, 10u << 20, true);
		assert_int_equal(response.error, SNUG_ERROR_NO_MEMORY);
		assert_false(response.complete);
		assert_true(response.report.returns_refused > 0);
		assert_int_equal(response.report.returned_bytes, 0);
		assert_true(response.evicted_bytes <= 2u << 20);
		if (keep_every == 2) assert_int_equal(response.evicted_bytes, 0);
		desk_close(coordinator, stock);
	}
}

/* Parts of huge pages stay: whole units are emptied, and what cannot be had in such is not
 * promised. */
static void huge_pages_go_whole(void **state) {
	(void)state;
	struct stock *stock = stock_new();
	stock->keep_every = 2;
	snug_workers_options crew = stock_options(stock, 1);
	crew.heap.huge_pages = true;
	crew.heap.limit_bytes = (size_t)16 << 20;
	crew.hook.evict = stock_evict;
	stock->workers = crew_make(&crew);
	snug_coordinator *coordinator = desk_open(stock->workers);
	snug_stats before = figures(coordinator);
	assert_int_equal(before.return_unit_bytes, 2u << 20);
	snug_response response = emergency(coordinator, 3u << 20, true);
	snug_stats after = figures(coordinator);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.report.returned_bytes >= 3u << 20 &&
				response.report.returned_bytes <= 6u << 20);
	assert_int_equal(response.evicted_bytes, 0);
	assert_returned(&before, &after, &response);
	response = emergency(coordinator, 8u << 20, true);
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.report.returned_bytes >= 8u << 20);
	assert_true(response.evicted_bytes > 0);
	desk_close(coordinator, stock);
}

/* ------------------------------------------------------------------ while clients run --------- */

struct traffic {
	struct stock *stock;
	uint32_t client;
	_Atomic bool *done;
	uint64_t operations;
	uint64_t mistakes;
};

#define TRAFFIC_OBJECTS 64u

/* Reads and overwrites objects of its own: they come to no new pages, so that the estimate holds
 * while they move. */
static void *run_traffic(void *context) {
	struct traffic *traffic = context;
	snug_client *client;
	snug_object objects[TRAFFIC_OBJECTS];
	unsigned char data[200];
	unsigned char read[200];
	test_random random = {traffic->client};
	if (snug_client_create(traffic->stock->workers, NULL, &client) != SNUG_OK) return NULL;
	uint32_t workers = snug_workers_count(traffic->stock->workers);
	for (uint32_t index = 0; index < TRAFFIC_OBJECTS; index++) {
		test_random_fill(data, sizeof data, index);
		if (snug_client_alloc(client, index % workers, sizeof data, data, sizeof data,
							  &objects[index]) != SNUG_OK)
			traffic->mistakes++;
	}
	while (!atomic_load(traffic->done)) {
		uint32_t index = (uint32_t)test_random_below(&random, TRAFFIC_OBJECTS);
		test_random_fill(data, sizeof data, index);
		if (snug_client_read(client, objects[index], 0, read, sizeof read) != SNUG_OK)
			traffic->mistakes++;
		if (memcmp(data, read, sizeof data) != 0) traffic->mistakes++;
		if (snug_client_write(client, objects[index], 0, data, sizeof data) != SNUG_OK)
			traffic->mistakes++;
		traffic->operations++;
	}
	if (snug_client_destroy(client) != SNUG_OK) traffic->mistakes++;
	return NULL;
}

static void a_trigger_under_load_does_what_was_estimated(void **state) {
	(void)state;
	enum { CLIENTS = 3 };
	struct stock *stock = stock_new();
	stock->most = 3000; /* and a quarter of the heap for the clients */
	snug_workers_options crew = stock_options(stock, 2);
	stock->workers = crew_make(&crew);
	snug_coordinator *coordinator = desk_open(stock->workers);
	_Atomic bool done = false;
	struct traffic traffic[CLIENTS];
	pthread_t threads[CLIENTS];
	for (uint32_t index = 0; index < CLIENTS; index++) {
		traffic[index] = (struct traffic){.stock = stock, .client = index, .done = &done};
		pthread_create(&threads[index], NULL, run_traffic, &traffic[index]);
	}
	CREW_WAIT_UNTIL(figures(coordinator).allocations >= 2 * 3000 + CLIENTS * TRAFFIC_OBJECTS);
	uint64_t estimated_bytes = estimate(coordinator);
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_response response = desk_call(coordinator, &request);
	atomic_store(&done, true);
	for (uint32_t index = 0; index < CLIENTS; index++) {
		pthread_join(threads[index], NULL);
		assert_int_equal(traffic[index].mistakes, 0);
		assert_true(traffic[index].operations > 0);
	}
	assert_int_equal(response.error, SNUG_OK);
	assert_true(response.complete);
	printf("estimated %llu, reclaimed %llu\n", (unsigned long long)estimated_bytes,
		   (unsigned long long)response.report.reclaimed_bytes);
	assert_true(response.report.reclaimed_bytes * 10 >= estimated_bytes * 9);
	assert_true(response.report.reclaimed_bytes * 10 <= estimated_bytes * 11);
	desk_close(coordinator, stock);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_compaction_can_give_is_given),
		cmocka_unit_test(what_it_cannot_give_is_refused),
		cmocka_unit_test(only_what_is_needed_is_evicted),
		cmocka_unit_test(without_leave_nothing_is_evicted),
		cmocka_unit_test(the_rich_give_first),
		cmocka_unit_test(pins_are_counted_before_anything_goes),
		cmocka_unit_test(an_os_that_takes_nothing_back_ends_it),
		cmocka_unit_test(huge_pages_go_whole),
		cmocka_unit_test(a_trigger_under_load_does_what_was_estimated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
