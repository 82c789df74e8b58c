/* test_frees.c: large objects that clients free go in slices, beside what the worker serves; and
 * nobody notices but by the worker's turns: handles are stale at once, the memory is there for who
 * needs it, whoever asks what can be had is told of it. */
#include "crew.h"
#include "work/worker/worker.h"

#include <snug/snug.h>

#define MIB ((size_t)1 << 20)
#define LIMIT_BYTES (64 * MIB)
#define LARGE_BYTES (32 * MIB)
#define SLICE_BYTES ((size_t)256 << 10) /* of worker_frees.c */

static snug_workers *workers;
static snug_client *client;

static void make(const snug_worker_hook *hook) {
	snug_workers_options options = crew_options(1);
	options.heap.limit_bytes = LIMIT_BYTES;
	options.heap.page_bytes = 4096;
	if (hook != NULL) options.hook = *hook;
	workers = crew_make(&options);
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
}

static void unmake(void) {
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

static snug_object alloc(size_t size) {
	snug_object object;
	assert_int_equal(snug_client_alloc(client, 0, size, "x", 1, &object), SNUG_OK);
	return object;
}

static snug_worker_stats rest(void) {
	CREW_WAIT_UNTIL(crew_rests(workers, 0));
	return crew_stats(workers, 0);
}

static void a_large_free_takes_many_turns(void **state) {
	(void)state;
	make(NULL);
	snug_object object = alloc(LARGE_BYTES);
	uint64_t turns = rest().turns;
	char byte;
	assert_int_equal(snug_client_free(client, object), SNUG_OK);
	assert_int_equal(snug_client_free(client, object), SNUG_ERROR_HANDLE);
	assert_int_equal(snug_client_read(client, object, 0, &byte, 1), SNUG_ERROR_HANDLE);
	snug_worker_stats stats = rest();
	assert_int_equal(stats.heap.objects, 0);
	assert_true(stats.turns - turns >= LARGE_BYTES / SLICE_BYTES);
	unmake();
}

/* As if it had gone at once. */
static void its_room_can_be_taken(void **state) {
	(void)state;
	make(NULL);
	snug_object object = alloc(LARGE_BYTES);
	for (uint32_t round = 0; round < 30; round++) {
		snug_operation operations[] = {
			{.kind = SNUG_OPERATION_FREE, .object = object},
			{.kind = SNUG_OPERATION_ALLOC, .size = LARGE_BYTES + LARGE_BYTES / 2},
			{.kind = SNUG_OPERATION_SIZE, .object = object},
		};
		snug_ticket tickets[3];
		snug_result results[3];
		assert_int_equal(snug_client_submit(client, operations, 3, tickets), SNUG_OK);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(snug_client_wait(client, tickets[i], SNUG_FOREVER, &results[i]),
							 SNUG_OK);
		assert_int_equal(results[0].error, SNUG_OK);
		assert_int_equal(results[1].error, SNUG_OK);
		assert_int_equal(results[2].error, SNUG_ERROR_HANDLE);
		object = results[1].object;
	}
	assert_int_equal(snug_client_free(client, object), SNUG_OK);
	assert_int_equal(rest().heap.objects, 0);
	unmake();
}

/* What the one that is freed first has left is not enough, and there is no other memory. */
static void the_next_one_pays_too(void **state) {
	(void)state;
	make(NULL);
	snug_object first = alloc(2 * MIB), second = alloc(300000), filler;
	for (size_t size = LIMIT_BYTES; size > 0; size /= 2) {
		while (snug_client_alloc(client, 0, size, NULL, 0, &filler) == SNUG_OK) {
		}
	}
	snug_operation operations[] = {
		{.kind = SNUG_OPERATION_FREE, .object = first},
		{.kind = SNUG_OPERATION_FREE, .object = second},
		{.kind = SNUG_OPERATION_ALLOC, .size = SLICE_BYTES},
		{.kind = SNUG_OPERATION_ALLOC, .size = 200000},
		{.kind = SNUG_OPERATION_ALLOC, .size = MIB},
	};
	snug_ticket tickets[5];
	assert_int_equal(snug_client_submit(client, operations, 5, tickets), SNUG_OK);
	for (uint32_t i = 0; i < 5; i++) {
		snug_result result;
		assert_int_equal(snug_client_wait(client, tickets[i], SNUG_FOREVER, &result), SNUG_OK);
		assert_int_equal(result.error, SNUG_OK);
	}
	unmake();
}

/* They are linked through each other; between them small objects come and go. */
static void many_at_once(void **state) {
	(void)state;
	make(NULL);
	enum { COUNT = 40 };
	snug_operation operations[COUNT];
	snug_ticket tickets[COUNT];
	for (uint32_t i = 0; i < COUNT; i++)
		operations[i] = (snug_operation){.kind = SNUG_OPERATION_FREE, .object = alloc(MIB)};
	assert_int_equal(snug_client_submit(client, operations, COUNT, tickets), SNUG_OK);
	for (uint32_t i = 0; i < COUNT; i++) {
		snug_result result;
		assert_int_equal(snug_client_free(client, alloc(100 + i)), SNUG_OK);
		assert_int_equal(snug_client_wait(client, tickets[i], SNUG_FOREVER, &result), SNUG_OK);
		assert_int_equal(result.error, SNUG_OK);
	}
	assert_int_equal(rest().heap.objects, 0);
	unmake();
}

/* By an emergency, which is refused if it can't be met. */
static void it_counts_for_what_can_be_had(void **state) {
	(void)state;
	make(NULL);
	snug_coordinator *coordinator;
	assert_int_equal(snug_coordinator_create(workers, NULL, &coordinator), SNUG_OK);
	for (uint32_t round = 0; round < 10; round++) {
		snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
		snug_response response;
		snug_ticket ticket;
		snug_object object = alloc(LARGE_BYTES);
		request.min_bytes = LARGE_BYTES - MIB;
		assert_int_equal(snug_client_free(client, object), SNUG_OK);
		assert_int_equal(snug_coordinator_submit(coordinator, &request, &ticket), SNUG_OK);
		assert_int_equal(
			snug_coordinator_wait(coordinator, ticket, SNUG_FOREVER, &response, NULL, NULL),
			SNUG_OK);
		assert_int_equal(response.error, SNUG_OK);
	}
	assert_int_equal(snug_coordinator_destroy(coordinator), SNUG_OK);
	unmake();
}

/* A hook that takes memory itself finds all of it. */
static void take_in_hook(void *context, uint32_t worker, snug_heap *heap, void *const *requests,
						 snug_error *errors, size_t count) {
	(void)context;
	(void)worker;
	for (size_t i = 0; i < count; i++) {
		snug_handle *handle = requests[i];
		errors[i] = snug_alloc(heap, LARGE_BYTES + LARGE_BYTES / 2, handle);
		if (!errors[i]) errors[i] = snug_free(heap, *handle);
	}
}

static void a_hook_finds_it_free(void **state) {
	(void)state;
	make(&(snug_worker_hook){.run = take_in_hook});
	for (uint32_t round = 0; round < 10; round++) {
		snug_handle handle;
		snug_operation operations[] = {
			{.kind = SNUG_OPERATION_FREE, .object = alloc(LARGE_BYTES)},
			{.kind = SNUG_OPERATION_RUN, .buffer = &handle},
		};
		snug_ticket tickets[2];
		snug_result results[2];
		assert_int_equal(snug_client_submit(client, operations, 2, tickets), SNUG_OK);
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(snug_client_wait(client, tickets[i], SNUG_FOREVER, &results[i]),
							 SNUG_OK);
			assert_int_equal(results[i].error, SNUG_OK);
		}
	}
	unmake();
}

static void a_stop_does_not_wait_for_it(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 10; round++) {
		make(NULL);
		snug_object object = alloc(LARGE_BYTES);
		assert_int_equal(snug_client_free(client, object), SNUG_OK);
		unmake();
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_free_takes_many_turns), cmocka_unit_test(its_room_can_be_taken),
		cmocka_unit_test(the_next_one_pays_too),         cmocka_unit_test(many_at_once),
		cmocka_unit_test(it_counts_for_what_can_be_had), cmocka_unit_test(a_hook_finds_it_free),
		cmocka_unit_test(a_stop_does_not_wait_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
