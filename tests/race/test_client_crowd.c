/* test_client_crowd.c: many clients on few workers, random operations, each client against a twin
 * of its own: what is read back is what was written, each operation submitted ends in exactly one
 * result, and a stop in the middle loses none. Meanwhile a maintainer sends one job after the other
 * to all workers, so that objects move under the clients' hands.
 *
 *     SNUG_SEED=0x... tests/race/test_client_crowd      the same choices again; threads still
 *                                                       interleave as they like
 *     SNUG_CROWD_OPERATIONS=N                           of each client
 *     SNUG_CROWD_STOPS=N                                crowds that are stopped in the middle */
#include "crew.h"
#include "support/test_random.h"
#include "work/channel/channel.h"
#include "work/worker/job.h"
#include "work/worker/worker.h"

#include <snug/snug.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 8u
#define CLIENTS_MAX 16u
#define OBJECTS 768u /* of all clients together: about half of one worker's heap */
#define OBJECT_MAX_BYTES 6000u
#define WINDOW 24u /* operations in flight */

static uint64_t seed;

/* What a client believes of one of its objects. One operation at a time is in flight on each. */
struct twin_object {
	snug_object object;
	bool live;
	bool busy;
	uint32_t size;
	uint32_t new_size; /* of the operation in flight */
	uint32_t offset;
	uint32_t length;
	unsigned char bytes[OBJECT_MAX_BYTES];
	unsigned char buffer[OBJECT_MAX_BYTES]; /* the worker's while busy */
	snug_operation_kind kind;
	snug_ticket ticket;
};

struct crowd_client {
	struct os_thread thread;
	snug_workers *workers;
	_Atomic uint32_t *running;             /* clients that have not ended */
	const _Atomic uint64_t *moved_objects; /* so far, on all workers */
	/* operations to submit, and more until something was moved */
	uint64_t left;
	test_random random;
	uint64_t submitted;
	uint64_t taken;
	uint64_t no_memory;
	uint64_t verified_bytes;
	bool stopped;
	const char *mistake; /* NULL: none */
	uint32_t objects;
	struct twin_object *twin; /* `objects` of them */
};

static bool mistake(struct crowd_client *client, const char *what) {
	if (client->mistake == NULL) client->mistake = what;
	return false;
}

/* ------------------------------------------------------------------ one operation ------------- */

static void choose_range(struct crowd_client *client, struct twin_object *twin) {
	twin->offset = (uint32_t)test_random_below(&client->random, twin->size);
	twin->length = 1 + (uint32_t)test_random_below(&client->random, twin->size - twin->offset);
}

static uint32_t choose_size(struct crowd_client *client) {
	bool small = test_random_chance(&client->random, 800);
	return 1 + (uint32_t)test_random_below(&client->random, small ? 300 : OBJECT_MAX_BYTES);
}

static snug_operation choose(struct crowd_client *client, struct twin_object *twin) {
	snug_operation operation = {.object = twin->object, .buffer = twin->buffer};
	static const snug_operation_kind kinds[] = {SNUG_OPERATION_FREE,  SNUG_OPERATION_RESIZE,
												SNUG_OPERATION_READ,  SNUG_OPERATION_READ,
												SNUG_OPERATION_WRITE, SNUG_OPERATION_SIZE};
	operation.kind =
		twin->live ? kinds[test_random_below(&client->random, 6)] : SNUG_OPERATION_ALLOC;
	switch (operation.kind) {
	case SNUG_OPERATION_ALLOC:
		operation.object.worker =
			(uint32_t)test_random_below(&client->random, snug_workers_count(client->workers));
		operation.size = twin->new_size = choose_size(client);
		operation.length = twin->length = twin->new_size;
		test_random_fill(twin->buffer, twin->length, test_random_next(&client->random));
		break;
	case SNUG_OPERATION_RESIZE:
		operation.size = twin->new_size = choose_size(client);
		break;
	case SNUG_OPERATION_WRITE:
		choose_range(client, twin);
		test_random_fill(twin->buffer, twin->length, test_random_next(&client->random));
		break;
	case SNUG_OPERATION_READ:
		choose_range(client, twin);
		memset(twin->buffer, 0xEE, twin->length);
		break;
	default:
		break;
	}
	if (operation.kind != SNUG_OPERATION_ALLOC) {
		operation.offset = twin->offset;
		operation.length = twin->length;
	}
	return operation;
}

/* What a resize made larger holds nothing in particular: it is written before it is read. */
static bool apply_resize(struct crowd_client *client, snug_client *endpoint,
						 struct twin_object *twin) {
	uint32_t old_size = twin->size;
	twin->size = twin->new_size;
	if (twin->size <= old_size) return true;
	test_random_fill(twin->bytes + old_size, twin->size - old_size,
					 test_random_next(&client->random));
	snug_error error = snug_client_write(endpoint, twin->object, old_size, twin->bytes + old_size,
										 twin->size - old_size);
	if (error == SNUG_ERROR_STOPPED) client->stopped = true;
	return error == SNUG_OK || error == SNUG_ERROR_STOPPED || mistake(client, "write after resize");
}

static bool apply(struct crowd_client *client, snug_client *endpoint, struct twin_object *twin,
				  const snug_result *result) {
	bool may_lack = twin->kind == SNUG_OPERATION_ALLOC || twin->kind == SNUG_OPERATION_RESIZE;
	twin->busy = false;
	if (result->error == SNUG_ERROR_NO_MEMORY && may_lack) return client->no_memory++, true;
	if (result->error != SNUG_OK) return mistake(client, snug_error_text(result->error));
	switch (twin->kind) {
	case SNUG_OPERATION_ALLOC:
		twin->live = true;
		twin->object = result->object;
		twin->size = twin->new_size;
		memcpy(twin->bytes, twin->buffer, twin->size);
		return result->size == twin->size || mistake(client, "size of alloc");
	case SNUG_OPERATION_FREE:
		twin->live = false;
		return true;
	case SNUG_OPERATION_RESIZE:
		return apply_resize(client, endpoint, twin);
	case SNUG_OPERATION_WRITE:
		memcpy(twin->bytes + twin->offset, twin->buffer, twin->length);
		return true;
	case SNUG_OPERATION_READ:
		client->verified_bytes += twin->length;
		return memcmp(twin->bytes + twin->offset, twin->buffer, twin->length) == 0 ||
			   mistake(client, "bytes read");
	default:
		return result->size == twin->size || mistake(client, "size");
	}
}

/* ------------------------------------------------------------------ a client's thread --------- */

static struct twin_object *twin_of(struct crowd_client *client, snug_ticket ticket) {
	for (uint32_t i = 0; i < client->objects; i++)
		if (client->twin[i].busy && client->twin[i].ticket == ticket) return &client->twin[i];
	return NULL;
}

/* One result, whichever comes, or a certain one. */
static bool take_one(struct crowd_client *client, snug_client *endpoint) {
	snug_ticket ticket = 0;
	snug_result result;
	snug_error error;
	struct twin_object *some = &client->twin[test_random_below(&client->random, client->objects)];
	if (some->busy) {
		ticket = some->ticket;
		error = snug_client_wait(endpoint, ticket, HANG_NS, &result);
	} else {
		error = snug_client_next(endpoint, HANG_NS, &ticket, &result);
	}
	if (error) return mistake(client, error == SNUG_ERROR_TIMED_OUT ? "no answer came" : "wait");
	struct twin_object *twin = twin_of(client, ticket);
	client->taken++;
	return twin == NULL ? mistake(client, "a result of nothing")
						: apply(client, endpoint, twin, &result);
}

/* A batch of up to 8 on objects that are not busy. */
static bool submit_some(struct crowd_client *client, snug_client *endpoint) {
	snug_operation operations[8];
	snug_ticket tickets[8];
	struct twin_object *twins[8];
	uint32_t wanted = 1 + (uint32_t)test_random_below(&client->random, 8), count = 0;
	for (uint32_t tries = 0; tries < 32 && count < wanted; tries++) {
		struct twin_object *twin =
			&client->twin[test_random_below(&client->random, client->objects)];
		if (twin->busy) continue;
		operations[count] = choose(client, twin);
		twin->kind = operations[count].kind;
		twin->busy = true;
		twins[count++] = twin;
	}
	snug_error error = snug_client_submit(endpoint, operations, count, tickets);
	for (uint32_t i = 0; i < count; i++) {
		twins[i]->busy = error == SNUG_OK;
		twins[i]->ticket = error == SNUG_OK ? tickets[i] : 0;
	}
	if (error == SNUG_OK) client->submitted += count;
	if (error == SNUG_ERROR_STOPPED) client->stopped = true;
	if (error == SNUG_ERROR_QUEUE_FULL && snug_client_in_flight(endpoint) == 0) os_thread_yield();
	return error == SNUG_OK || error == SNUG_ERROR_STOPPED || error == SNUG_ERROR_QUEUE_FULL ||
		   mistake(client, "submit");
}

/* At the end: every byte of every object. */
static bool read_all(struct crowd_client *client, snug_client *endpoint) {
	bool fine = true;
	for (uint32_t i = 0; i < client->objects && fine; i++) {
		struct twin_object *twin = &client->twin[i];
		if (!twin->live) continue;
		snug_error error = snug_client_read(endpoint, twin->object, 0, twin->buffer, twin->size);
		if (error == SNUG_ERROR_STOPPED) return true;
		client->verified_bytes += twin->size;
		fine = error == SNUG_OK && memcmp(twin->bytes, twin->buffer, twin->size) == 0;
	}
	return fine || mistake(client, "bytes at the end");
}

/* On a busy machine the maintainer may come late. */
static bool is_wanted(const struct crowd_client *client) {
	if (client->submitted < client->left) return true;
	return atomic_load(client->moved_objects) == 0 && client->submitted < 100 * client->left;
}

static void run_client(void *context) {
	struct crowd_client *client = context;
	snug_client *endpoint = NULL;
	snug_client_options options = {.struct_bytes = sizeof(snug_client_options), .flight_max = 64};
	snug_error error = snug_client_create(client->workers, &options, &endpoint);
	if (error == SNUG_ERROR_STOPPED) client->stopped = true;
	bool fine = error == SNUG_OK;
	while (fine && !client->stopped && is_wanted(client)) {
		uint32_t in_flight = snug_client_in_flight(endpoint);
		bool take =
			in_flight + 8 > WINDOW || (in_flight > 0 && test_random_chance(&client->random, 400));
		fine = take ? take_one(client, endpoint) : submit_some(client, endpoint);
	}
	while (fine && snug_client_in_flight(endpoint) > 0) fine = take_one(client, endpoint);
	if (fine && endpoint != NULL) read_all(client, endpoint);
	if (endpoint != NULL && snug_client_destroy(endpoint) != SNUG_OK) mistake(client, "destroy");
	if (client->taken != client->submitted) mistake(client, "results lost");
	atomic_fetch_sub(client->running, 1);
}

/* ------------------------------------------------------------------ the maintainer ------------ */

struct maintainer {
	struct os_thread thread;
	snug_workers *workers;
	_Atomic uint32_t *running;
	struct channel *answers;
	test_random random;
	uint64_t sent;
	uint64_t answered;
	_Atomic uint64_t moved_objects;
	const char *mistake;
};

/* One job to each worker, and now and then a cancel behind it. Each is answered once. */
static bool one_round(struct maintainer *maintainer, struct job jobs[WORKERS_MAX]) {
	uint32_t sent = 0;
	bool stopped = false;
	for (uint32_t worker = 0; worker < snug_workers_count(maintainer->workers); worker++) {
		struct job *job = &jobs[worker];
		*job = (struct job){
			.kind = test_random_chance(&maintainer->random, 700) ? JOB_DEFRAGMENT : JOB_EMERGENCY,
			.priority =
				(enum job_priority)test_random_below(&maintainer->random, JOB_PRIORITY_COUNT),
			.options = snug_defragment_options_default(),
			.min_bytes = 4096};
		job->options.step_bytes = 1 + test_random_below(&maintainer->random, 10000);
		struct message message = {.kind = MESSAGE_JOB, .data = job, .reply = maintainer->answers};
		struct channel *inbox = workers_inbox(maintainer->workers, worker);
		if (channel_send(inbox, &message, SNUG_FOREVER) != SNUG_OK) return stopped = true, false;
		sent++;
		maintainer->sent++;
		message.kind = MESSAGE_JOB_CANCEL;
		if (test_random_chance(&maintainer->random, 100))
			stopped |= channel_send(inbox, &message, SNUG_FOREVER) != SNUG_OK;
	}
	while (sent > 0) {
		struct message answers[WORKERS_MAX];
		size_t count = 0;
		if (channel_receive_wait(maintainer->answers, answers, sent, HANG_NS, &count) != SNUG_OK) {
			maintainer->mistake = "a job was not answered";
			return false;
		}
		for (size_t i = 0; i < count; i++)
			atomic_fetch_add(&maintainer->moved_objects,
							 ((struct job *)answers[i].data)->report.moved_objects);
		maintainer->answered += count;
		sent -= (uint32_t)count;
	}
	return !stopped;
}

static void run_maintainer(void *context) {
	struct maintainer *maintainer = context;
	struct job *jobs = calloc(WORKERS_MAX, sizeof *jobs);
	bool going = jobs != NULL;
	while (going && atomic_load(maintainer->running) > 0) going = one_round(maintainer, jobs);
	/* The stop answers those that were sent before a refused one. */
	snug_error error = snug_workers_stop(maintainer->workers, HANG_NS);
	if (error) maintainer->mistake = "stop";
	struct message answer;
	while (channel_receive(maintainer->answers, &answer, 1) > 0) maintainer->answered++;
	if (maintainer->answered != maintainer->sent)
		maintainer->mistake = "not each job was answered once";
	free(jobs);
}

/* ------------------------------------------------------------------ the crowd ----------------- */

static void check_heap(void *context, uint32_t worker, snug_heap *heap) {
	_Atomic uint32_t *broken = context;
	snug_check_result result;
	(void)worker;
	if (snug_check(heap, &result) != SNUG_OK) atomic_fetch_add(broken, 1);
}

/* `stop_after_ns`: 0: when the clients are done. */
static void crowd(uint32_t worker_count, uint32_t client_count, uint64_t operations,
				  uint64_t stop_after_ns) {
	_Atomic uint32_t running = client_count, broken = 0;
	snug_workers_options options = crew_options(worker_count);
	options.heap.limit_bytes = (size_t)1 << 20;
	options.inbox_messages = 64;
	options.duty_ppm = 300000;
	options.hook = (snug_worker_hook){.context = (void *)&broken, .stop = check_heap};
	snug_workers *workers = crew_make(&options);
	struct crowd_client *clients = calloc(client_count, sizeof *clients);
	struct twin_object *twins = calloc(OBJECTS, sizeof *twins);
	assert_non_null(clients);
	assert_non_null(twins);
	struct maintainer maintainer = {
		.workers = workers, .running = &running, .random = {seed ^ 0x5eed}};
	assert_int_equal(channel_create(16, &maintainer.answers), SNUG_OK);
	for (uint32_t i = 0; i < client_count; i++) {
		clients[i].workers = workers;
		clients[i].running = &running;
		clients[i].moved_objects = &maintainer.moved_objects;
		clients[i].left = operations;
		clients[i].random.state = seed + i * 7919;
		clients[i].objects = OBJECTS / client_count;
		clients[i].twin = &twins[i * clients[i].objects];
		assert_true(os_thread_start(&clients[i].thread, run_client, &clients[i]));
	}
	assert_true(os_thread_start(&maintainer.thread, run_maintainer, &maintainer));
	if (stop_after_ns > 0) {
		os_thread_sleep(stop_after_ns);
		assert_int_equal(snug_workers_stop(workers, HANG_NS), SNUG_OK);
	}
	uint64_t submitted = 0, verified_bytes = 0;
	for (uint32_t i = 0; i < client_count; i++) {
		os_thread_join(&clients[i].thread);
		if (clients[i].mistake != NULL)
			fail_msg("seed 0x%llx, client %u: %s", (unsigned long long)seed, i, clients[i].mistake);
		assert_int_equal(clients[i].submitted, clients[i].taken);
		assert_true(stop_after_ns > 0 || clients[i].submitted >= operations);
		submitted += clients[i].submitted;
		verified_bytes += clients[i].verified_bytes;
	}
	os_thread_join(&maintainer.thread);
	if (maintainer.mistake != NULL)
		fail_msg("seed 0x%llx: %s", (unsigned long long)seed, maintainer.mistake);
	printf("%u workers, %2u clients: %llu operations, %llu bytes verified, %llu jobs, %llu objects "
		   "moved\n",
		   worker_count, client_count, (unsigned long long)submitted,
		   (unsigned long long)verified_bytes, (unsigned long long)maintainer.answered,
		   (unsigned long long)maintainer.moved_objects);
	crew_unmake(workers);
	assert_true(stop_after_ns > 0 || (verified_bytes > 10000 &&
									  maintainer.moved_objects > 0)); /* or nothing was tested */
	assert_int_equal(broken, 0);
	channel_close(maintainer.answers);
	channel_destroy(maintainer.answers);
	free(clients);
	free(twins);
}

static const uint32_t worker_counts[] = {1, 2, 8};
static const uint32_t client_counts[] = {1, 2, 7, 16};

static void what_is_read_is_what_was_written(void **state) {
	(void)state;
	uint64_t operations = test_environment_number("SNUG_CROWD_OPERATIONS", 3000);
	for (size_t w = 0; w < 3; w++)
		for (size_t c = 0; c < 4; c++) crowd(worker_counts[w], client_counts[c], operations, 0);
}

static void stops_in_the_middle_lose_nothing(void **state) {
	(void)state;
	test_random random = {seed};
	/* each pair once */
	uint64_t stops = test_environment_number("SNUG_CROWD_STOPS", 3 * CLIENTS_MAX);
	for (uint64_t round = 0; round < stops; round++)
		crowd(worker_counts[round % 3], 1 + (uint32_t)(round / 3 % CLIENTS_MAX), UINT64_MAX,
			  test_random_between(&random, 1, 15 * MS));
}

int main(void) {
	seed = test_environment_number("SNUG_SEED", os_now_ns());
	printf("SNUG_SEED=0x%llx\n", (unsigned long long)seed);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_was_written),
		cmocka_unit_test(stops_in_the_middle_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
