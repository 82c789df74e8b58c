/* test_client.c: what a client is told: each error of its header, the order of its operations,
 * time-outs that lose nothing, submissions that go whole or not at all, and the end while
 * operations are in flight. */
#include "crew.h"
#include "work/channel/channel.h"
#include "work/worker/worker.h"

#include <snug/snug.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INBOX 16u

/* A worker that stands still while `hold` is set, so that inboxes fill and time-outs pass. */
struct gate {
	_Atomic bool hold;
	_Atomic uint32_t holding; /* workers that stand */
};

static bool turn_gated(void *context, uint32_t worker, snug_heap *heap) {
	struct gate *gate = context;
	(void)worker;
	(void)heap;
	if (!atomic_load(&gate->hold)) return false;
	atomic_fetch_add(&gate->holding, 1);
	while (atomic_load(&gate->hold)) os_thread_sleep(MS / 4);
	atomic_fetch_sub(&gate->holding, 1);
	return true;
}

struct scene {
	struct gate *gate;
	snug_workers *workers;
	snug_client *client;
};

static snug_client *client_make(snug_workers *workers, uint32_t flight_max) {
	snug_client_options options = {.struct_bytes = sizeof(snug_client_options),
								   .flight_max = flight_max};
	snug_client *client = NULL;
	assert_int_equal(snug_client_create(workers, &options, &client), SNUG_OK);
	return client;
}

static struct scene scene_make(uint32_t workers) {
	struct scene scene = {.gate = calloc(1, sizeof *scene.gate)};
	assert_non_null(scene.gate);
	snug_workers_options options = crew_options(workers);
	options.inbox_messages = INBOX;
	options.hook = (snug_worker_hook){.context = scene.gate, .turn = turn_gated};
	scene.workers = crew_make(&options);
	scene.client = client_make(scene.workers, 64);
	return scene;
}

static void scene_unmake(struct scene *scene) {
	assert_int_equal(snug_client_destroy(scene->client), SNUG_OK);
	crew_unmake(scene->workers);
	free(scene->gate);
}

/* All workers stand, with empty inboxes. A message wakes each from its sleep; its answer comes
 * before the hook is called. */
static void hold(struct scene *scene) {
	snug_object object;
	uint32_t count = snug_workers_count(scene->workers);
	for (uint32_t worker = 0; worker < count; worker++)
		CREW_WAIT_UNTIL(crew_rests(scene->workers, worker));
	atomic_store(&scene->gate->hold, true);
	for (uint32_t worker = 0; worker < count; worker++)
		assert_int_equal(snug_client_alloc(scene->client, worker, 1, NULL, 0, &object), SNUG_OK);
	CREW_WAIT_UNTIL(atomic_load(&scene->gate->holding) == count);
}

static void let_go(struct scene *scene) {
	atomic_store(&scene->gate->hold, false);
	CREW_WAIT_UNTIL(atomic_load(&scene->gate->holding) == 0);
}

static snug_operation alloc_operation(uint32_t worker, uint64_t size) {
	return (snug_operation){.kind = SNUG_OPERATION_ALLOC, .object.worker = worker, .size = size};
}

/* Takes all that is in flight; how many of them had this error. */
static uint32_t take_all(snug_client *client, snug_error expected) {
	uint32_t count = 0;
	while (snug_client_in_flight(client) > 0) {
		snug_ticket ticket;
		snug_result result;
		assert_int_equal(snug_client_next(client, HANG_NS, &ticket, &result), SNUG_OK);
		count += result.error == expected;
	}
	return count;
}

/* ------------------------------------------------------------------ errors -------------------- */

static void bad_calls_are_answered(void **state) {
	(void)state;
	struct scene scene = scene_make(2);
	snug_client *client = NULL;
	snug_client_options odd = {.struct_bytes = sizeof(snug_client_options), .flight_max = 100};
	snug_client_options large = {.struct_bytes = sizeof(snug_client_options),
								 .flight_max = 2 * SNUG_CLIENT_FLIGHT_MAX};
	assert_int_equal(snug_client_create(NULL, NULL, &client), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_create(scene.workers, NULL, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_create(scene.workers, &odd, &client), SNUG_ERROR_OPTION);
	assert_int_equal(snug_client_create(scene.workers, &large, &client), SNUG_ERROR_OPTION);
	assert_null(client);
	assert_int_equal(snug_client_destroy(NULL), SNUG_OK);
	assert_int_equal(snug_client_place(NULL, "x", 1), 0);
	assert_int_equal(snug_client_place(scene.client, NULL, 1), 0);
	assert_int_equal(snug_client_in_flight(NULL), 0);

	client = scene.client;
	snug_operation operation = alloc_operation(0, 10);
	snug_ticket ticket = 77, late = 88;
	snug_result result;
	snug_object object;
	size_t size;
	assert_int_equal(snug_client_submit(NULL, &operation, 1, &ticket), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_submit(client, NULL, 1, &ticket), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_submit(client, &operation, 1, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_submit(client, NULL, 0, NULL), SNUG_OK);
	operation.kind = SNUG_OPERATION_COUNT;
	assert_int_equal(snug_client_submit(client, &operation, 1, &ticket), SNUG_ERROR_OPTION);
	assert_int_equal(snug_client_call(client, &operation, 0, &result, &late), SNUG_ERROR_OPTION);
	operation = alloc_operation(2, 10);
	assert_int_equal(snug_client_submit(client, &operation, 1, &ticket), SNUG_ERROR_WORKER);
	assert_int_equal(snug_client_call(client, &operation, 0, &result, &late), SNUG_ERROR_WORKER);
	assert_int_equal(snug_client_alloc(client, 2, 10, NULL, 0, &object), SNUG_ERROR_WORKER);
	assert_int_equal(snug_client_call(client, NULL, 0, &result, &late), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_alloc(NULL, 0, 10, NULL, 0, &object), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_alloc(client, 0, 10, NULL, 0, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_size(client, object, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_next(client, 0, &ticket, &result), SNUG_ERROR_TICKET);
	assert_int_equal(snug_client_next(client, 0, NULL, &result), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_wait(client, 1, 0, &result), SNUG_ERROR_TICKET);
	assert_int_equal(snug_client_poll(client, 0, &result), SNUG_ERROR_TICKET);
	assert_int_equal(ticket, 77); /* written on success only */
	assert_int_equal(late, 88);

	char text[8] = "";
	assert_int_equal(snug_client_alloc(client, 0, 0, NULL, 0, &object), SNUG_ERROR_SIZE_ZERO);
	assert_int_equal(snug_client_alloc(client, 0, 4, "12345", 5, &object), SNUG_ERROR_RANGE);
	assert_int_equal(snug_client_alloc(client, 0, 4, NULL, 4, &object), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_alloc(client, 0, (size_t)1 << 30, NULL, 0, &object),
					 SNUG_ERROR_SIZE_TOO_LARGE);
	assert_int_equal(snug_client_alloc(client, 1, 5, "12345", 5, &object), SNUG_OK);
	assert_int_equal(snug_client_read(client, object, 1, text, 5), SNUG_ERROR_RANGE);
	assert_int_equal(snug_client_write(client, object, 5, "x", 1), SNUG_ERROR_RANGE);
	assert_int_equal(snug_client_resize(client, object, 0), SNUG_ERROR_SIZE_ZERO);
	assert_int_equal(snug_client_resize(client, object, 6), SNUG_OK);
	assert_int_equal(snug_client_size(client, object, &size), SNUG_OK);
	assert_int_equal(size, 6);
	snug_object elsewhere = {object.handle, 0};
	assert_int_equal(snug_client_read(client, elsewhere, 0, text, 1), SNUG_ERROR_HANDLE);
	assert_int_equal(snug_client_free(client, object), SNUG_OK);
	assert_int_equal(snug_client_free(client, object), SNUG_ERROR_HANDLE);
	scene_unmake(&scene);
}

/* What could not be stored whole is not stored at all. */
static void a_refused_allocation_leaves_nothing(void **state) {
	(void)state;
	struct scene scene = scene_make(1);
	snug_object object;
	assert_int_equal(snug_client_alloc(scene.client, 0, 4, "12345", 5, &object), SNUG_ERROR_RANGE);
	assert_int_equal(snug_client_alloc(scene.client, 0, 4, NULL, 4, &object), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_alloc(scene.client, 0, (size_t)1 << 30, "12345", 5, &object),
					 SNUG_ERROR_SIZE_TOO_LARGE);
	CREW_WAIT_UNTIL(crew_stats(scene.workers, 0).messages == 3);
	assert_int_equal(crew_stats(scene.workers, 0).heap.objects, 0);
	assert_int_equal(crew_stats(scene.workers, 0).heap.allocations, 0);
	scene_unmake(&scene);
}

/* The object as it was: it is there, with its size and its bytes. */
static void assert_object(snug_client *client, snug_object object, const char *bytes, size_t size) {
	char found[64] = "";
	size_t found_size = 0;
	assert_int_equal(snug_client_size(client, object, &found_size), SNUG_OK);
	assert_int_equal(found_size, size);
	assert_int_equal(snug_client_read(client, object, 0, found, size), SNUG_OK);
	assert_memory_equal(found, bytes, size);
}

static void a_refused_resize_leaves_the_object(void **state) {
	(void)state;
	struct scene scene = scene_make(1);
	snug_client *client = scene.client;
	snug_object object, filler;
	assert_int_equal(snug_client_alloc(client, 0, 5, "12345", 5, &object), SNUG_OK);
	assert_int_equal(snug_client_resize(client, object, 0), SNUG_ERROR_SIZE_ZERO);
	assert_object(client, object, "12345", 5);
	assert_int_equal(snug_client_resize(client, object, (size_t)1 << 30),
					 SNUG_ERROR_SIZE_TOO_LARGE);
	assert_object(client, object, "12345", 5);
	uint64_t fillers = 0;
	snug_error error = SNUG_OK;
	for (; !error; fillers += !error)
		error = snug_client_alloc(client, 0, 100000, NULL, 0, &filler);
	assert_int_equal(error, SNUG_ERROR_NO_MEMORY);
	snug_operation operation = {.kind = SNUG_OPERATION_RESIZE, .object = object, .size = 200000};
	snug_ticket late;
	snug_result result;
	assert_int_equal(snug_client_call(client, &operation, SNUG_FOREVER, &result, &late), SNUG_OK);
	assert_int_equal(result.error, SNUG_ERROR_NO_MEMORY);
	assert_int_equal(result.size, 0); /* of a refused one nothing is told */
	assert_int_equal(result.object.handle, object.handle);
	assert_object(client, object, "12345", 5);
	CREW_WAIT_UNTIL(crew_stats(scene.workers, 0).messages == 11 + fillers);
	assert_int_equal(crew_stats(scene.workers, 0).heap.objects, 1 + fillers);
	assert_int_equal(snug_client_free(client, object), SNUG_OK);
	scene_unmake(&scene);
}

static void keys_are_spread_and_stay(void **state) {
	(void)state;
	struct scene scene = scene_make(8);
	snug_client *other = client_make(scene.workers, 0);
	uint32_t hits[8] = {0};
	for (uint32_t key = 0; key < 8000; key++) {
		uint32_t worker = snug_client_place(scene.client, &key, sizeof key);
		assert_true(worker < 8);
		assert_int_equal(snug_client_place(other, &key, sizeof key), worker);
		hits[worker]++;
	}
	for (uint32_t i = 0; i < 8; i++) assert_true(hits[i] > 850 && hits[i] < 1150);
	assert_int_equal(snug_client_destroy(other), SNUG_OK);
	scene_unmake(&scene);
}

/* ------------------------------------------------------------------ full queues --------------- */

static void a_full_inbox_refuses_the_whole_submission(void **state) {
	(void)state;
	struct scene scene = scene_make(2);
	snug_client *other = client_make(scene.workers, 64);
	snug_operation operations[64];
	snug_ticket tickets[64] = {0};
	for (uint32_t i = 0; i < 64; i++) operations[i] = alloc_operation(1, 8);
	hold(&scene);
	assert_int_equal(snug_client_submit(other, operations, INBOX + 1, tickets),
					 SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(snug_client_submit(other, operations, INBOX - 1, tickets), SNUG_OK);
	/* Worker 0 has room for all of its part, worker 1 for one: neither gets any. */
	for (uint32_t i = 0; i < 8; i++) operations[i].object.worker = i < 6 ? 0 : 1;
	tickets[0] = 0;
	assert_int_equal(snug_client_submit(scene.client, operations, 8, tickets),
					 SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(tickets[0], 0);
	assert_int_equal(snug_client_in_flight(scene.client), 0);
	assert_int_equal(channel_depth(workers_inbox(scene.workers, 0)), 0);
	assert_int_equal(channel_depth(workers_inbox(scene.workers, 1)), INBOX - 1);
	assert_int_equal(snug_client_submit(scene.client, operations, 7, tickets), SNUG_OK);
	assert_int_equal(channel_depth(workers_inbox(scene.workers, 0)), 6);
	assert_int_equal(channel_depth(workers_inbox(scene.workers, 1)), INBOX);
	snug_ticket late = 5;
	snug_result result;
	operations[0].object.worker = 1;
	assert_int_equal(snug_client_call(scene.client, &operations[0], MS, &result, &late),
					 SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(late, 5);
	let_go(&scene);
	assert_int_equal(take_all(other, SNUG_OK), INBOX - 1);
	assert_int_equal(take_all(scene.client, SNUG_OK), 7);
	assert_int_equal(snug_client_destroy(other), SNUG_OK);
	scene_unmake(&scene);
}

static void flights_not_taken_fill_the_client(void **state) {
	(void)state;
	struct scene scene = scene_make(1);
	snug_client *small = client_make(scene.workers, 4);
	snug_operation operations[5];
	snug_ticket tickets[5];
	snug_result result;
	snug_object object;
	for (uint32_t i = 0; i < 5; i++) operations[i] = alloc_operation(0, 8);
	assert_int_equal(snug_client_submit(small, operations, 5, tickets), SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(snug_client_submit(small, operations, 4, tickets), SNUG_OK);
	assert_int_equal(snug_client_submit(small, operations, 1, tickets + 4), SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(snug_client_alloc(small, 0, 8, NULL, 0, &object), SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(snug_client_wait(small, tickets[2], HANG_NS, &result), SNUG_OK);
	assert_int_equal(snug_client_wait(small, tickets[2], HANG_NS, &result), SNUG_ERROR_TICKET);
	assert_int_equal(snug_client_alloc(small, 0, 8, NULL, 0, &object),
					 SNUG_OK); /* answered after the three: they are there */
	assert_int_equal(snug_client_in_flight(small), 3);
	snug_ticket ticket;
	assert_int_equal(snug_client_next(small, 0, &ticket, &result), SNUG_OK);
	assert_int_equal(ticket, tickets[0]);
	assert_int_equal(snug_client_next(small, 0, &ticket, &result), SNUG_OK);
	assert_int_equal(ticket, tickets[1]);
	assert_int_equal(snug_client_destroy(small), SNUG_OK); /* the last is dropped */
	scene_unmake(&scene);
}

/* ------------------------------------------------------------------ time ---------------------- */

static void a_late_result_is_not_lost(void **state) {
	(void)state;
	struct scene scene = scene_make(1);
	hold(&scene);
	snug_operation operation = alloc_operation(0, 33);
	snug_ticket late = 0, ticket = 0;
	snug_result result;
	uint64_t begin_ns = os_now_ns();
	assert_int_equal(snug_client_call(scene.client, &operation, 3 * MS, &result, &late),
					 SNUG_ERROR_TIMED_OUT);
	assert_true(os_now_ns() - begin_ns >= 3 * MS);
	assert_true(late != 0);
	assert_int_equal(snug_client_poll(scene.client, late, &result), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_client_wait(scene.client, late, MS, &result), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_client_next(scene.client, MS, &ticket, &result), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_client_in_flight(scene.client), 1);
	assert_int_equal(snug_client_destroy(scene.client), SNUG_ERROR_IN_USE); /* and nothing done */
	let_go(&scene);
	assert_int_equal(snug_client_wait(scene.client, late, HANG_NS, &result), SNUG_OK);
	assert_int_equal(result.error, SNUG_OK);
	assert_int_equal(result.size, 33);
	size_t size = 0;
	assert_int_equal(snug_client_size(scene.client, result.object, &size), SNUG_OK);
	assert_int_equal(size, 33);
	assert_int_equal(snug_client_poll(scene.client, late, &result), SNUG_ERROR_TICKET);
	scene_unmake(&scene);
}

/* A client waits for room; a bounded time if asked. */
static void run_let_go(void *context) {
	struct gate *gate = context;
	os_thread_sleep(10 * MS);
	atomic_store(&gate->hold, false);
}

static void blocking_forms_wait_for_room(void **state) {
	(void)state;
	struct scene scene = scene_make(1);
	snug_operation operations[INBOX];
	snug_ticket tickets[INBOX];
	for (uint32_t i = 0; i < INBOX; i++) operations[i] = alloc_operation(0, 8);
	hold(&scene);
	assert_int_equal(snug_client_submit(scene.client, operations, INBOX, tickets), SNUG_OK);
	struct os_thread thread;
	assert_true(os_thread_start(&thread, run_let_go, scene.gate));
	snug_object object;
	assert_int_equal(snug_client_alloc(scene.client, 0, 8, NULL, 0, &object), SNUG_OK);
	os_thread_join(&thread);
	assert_int_equal(take_all(scene.client, SNUG_OK), INBOX);
	scene_unmake(&scene);
}

/* What a worker's own hook may do with a client: submit and poll. What would wait for itself is
 * refused, before anything is sent. */
struct insider {
	snug_workers *_Atomic workers;
	snug_client *client; /* hook only */
	snug_ticket ticket;
	_Atomic uint32_t mistakes;
	_Atomic bool done;
};

static bool refuses_to_wait(struct insider *insider) {
	snug_operation operation = alloc_operation(1, 8);
	snug_ticket late = 5;
	snug_result result;
	snug_object object;
	if (snug_client_call(insider->client, &operation, MS, &result, &late) !=
		SNUG_ERROR_WRONG_THREAD)
		return false;
	if (snug_client_alloc(insider->client, 1, 8, NULL, 0, &object) != SNUG_ERROR_WRONG_THREAD)
		return false;
	if (late != 5 || snug_client_in_flight(insider->client) != 0) return false;
	operation.object.worker = 0;
	if (snug_client_submit(insider->client, &operation, 1, &insider->ticket) != SNUG_OK)
		return false;
	return snug_client_wait(insider->client, insider->ticket, SNUG_FOREVER, &result) ==
			   SNUG_ERROR_WRONG_THREAD &&
		   snug_client_next(insider->client, SNUG_FOREVER, &late, &result) ==
			   SNUG_ERROR_WRONG_THREAD &&
		   snug_client_poll(insider->client, insider->ticket, &result) == SNUG_ERROR_TIMED_OUT;
}

static bool turn_insider(void *context, uint32_t worker, snug_heap *heap) {
	struct insider *insider = context;
	snug_workers *workers = atomic_load(&insider->workers);
	(void)heap;
	if (worker != 0 || workers == NULL || atomic_load(&insider->done)) return false;
	if (insider->client == NULL) {
		if (snug_client_create(workers, NULL, &insider->client) != SNUG_OK)
			atomic_fetch_add(&insider->mistakes, 1);
		if (!refuses_to_wait(insider)) atomic_fetch_add(&insider->mistakes, 1);
		return true;
	}
	snug_result result; /* a turn later the answer is there: its worker is this one */
	if (snug_client_wait(insider->client, insider->ticket, SNUG_FOREVER, &result) != SNUG_OK ||
		result.error != SNUG_OK)
		atomic_fetch_add(&insider->mistakes, 1);
	if (snug_client_destroy(insider->client) != SNUG_OK) atomic_fetch_add(&insider->mistakes, 1);
	atomic_store(&insider->done, true);
	return true;
}

static void a_worker_does_not_wait_for_workers(void **state) {
	(void)state;
	struct insider insider = {.client = NULL};
	snug_workers_options options = crew_options(2);
	options.hook = (snug_worker_hook){.context = &insider, .turn = turn_insider};
	snug_workers *workers = crew_make(&options);
	snug_client *caller = client_make(workers, 4);
	snug_object object;
	atomic_store(&insider.workers, workers);
	assert_int_equal(snug_client_alloc(caller, 0, 8, NULL, 0, &object), SNUG_OK); /* wakes it */
	CREW_WAIT_UNTIL(atomic_load(&insider.done));
	assert_int_equal(atomic_load(&insider.mistakes), 0);
	assert_int_equal(snug_client_destroy(caller), SNUG_OK);
	crew_unmake(workers);
}

/* ------------------------------------------------------------------ order --------------------- */

/* Each write overwrites the one before, each read sees the last: over hundreds of batches, by every
 * way of taking results. */
static void one_worker_executes_in_the_order_of_submission(void **state) {
	(void)state;
	struct scene scene = scene_make(2);
	snug_object object[2];
	uint64_t written[2][8], read[2][8];
	for (uint32_t worker = 0; worker < 2; worker++)
		assert_int_equal(snug_client_alloc(scene.client, worker, 8, NULL, 0, &object[worker]),
						 SNUG_OK);
	for (uint64_t round = 0; round < 500; round++) {
		snug_operation operations[32];
		snug_ticket tickets[32];
		for (uint32_t i = 0; i < 16; i++) { /* alternating workers */
			uint32_t worker = i % 2;
			written[worker][i / 2] = round * 100 + i;
			operations[2 * i] = (snug_operation){SNUG_OPERATION_WRITE,   object[worker], 0, 0, 8,
												 &written[worker][i / 2]};
			operations[2 * i + 1] = (snug_operation){SNUG_OPERATION_READ, object[worker], 0, 0, 8,
													 &read[worker][i / 2]};
		}
		for (snug_error error = SNUG_ERROR_QUEUE_FULL; error == SNUG_ERROR_QUEUE_FULL;) {
			error = snug_client_submit(scene.client, operations, 32, tickets);
			assert_true(error == SNUG_OK || error == SNUG_ERROR_QUEUE_FULL);
		}
		assert_int_equal(take_all(scene.client, SNUG_OK), 32);
		assert_memory_equal(written, read, sizeof written);
	}
	scene_unmake(&scene);
}

/* ------------------------------------------------------------------ stop ---------------------- */

static void a_stop_answers_what_was_accepted(void **state) {
	(void)state;
	struct scene scene = scene_make(2);
	snug_operation operations[20];
	snug_ticket tickets[20];
	for (uint32_t i = 0; i < 20; i++) operations[i] = alloc_operation(i % 2, 8);
	hold(&scene);
	assert_int_equal(snug_client_submit(scene.client, operations, 20, tickets), SNUG_OK);
	assert_int_equal(snug_workers_stop(scene.workers, 0), SNUG_ERROR_TIMED_OUT);
	snug_ticket refused;
	snug_object object;
	assert_int_equal(snug_client_submit(scene.client, operations, 1, &refused), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_client_alloc(scene.client, 0, 8, NULL, 0, &object), SNUG_ERROR_STOPPED);
	snug_client *late = NULL;
	assert_int_equal(snug_client_create(scene.workers, NULL, &late), SNUG_ERROR_STOPPED);
	assert_null(late);
	assert_int_equal(snug_client_in_flight(scene.client), 20);
	assert_int_equal(snug_workers_destroy(scene.workers), SNUG_ERROR_IN_USE);
	let_go(&scene);
	assert_int_equal(take_all(scene.client, SNUG_OK), 20);
	assert_int_equal(snug_client_destroy(scene.client), SNUG_OK);
	assert_int_equal(snug_workers_stop(scene.workers, HANG_NS), SNUG_OK);
	uint64_t objects =
		crew_stats(scene.workers, 0).heap.objects + crew_stats(scene.workers, 1).heap.objects;
	assert_int_equal(objects, 22);
	assert_int_equal(snug_workers_destroy(scene.workers), SNUG_OK);
	free(scene.gate);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_calls_are_answered),
		cmocka_unit_test(a_refused_allocation_leaves_nothing),
		cmocka_unit_test(a_refused_resize_leaves_the_object),
		cmocka_unit_test(keys_are_spread_and_stay),
		cmocka_unit_test(a_full_inbox_refuses_the_whole_submission),
		cmocka_unit_test(flights_not_taken_fill_the_client),
		cmocka_unit_test(a_late_result_is_not_lost),
		cmocka_unit_test(blocking_forms_wait_for_room),
		cmocka_unit_test(a_worker_does_not_wait_for_workers),
		cmocka_unit_test(one_worker_executes_in_the_order_of_submission),
		cmocka_unit_test(a_stop_answers_what_was_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
