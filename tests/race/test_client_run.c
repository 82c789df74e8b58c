/* test_client_run.c: requests of the user's own: they reach the hook on the worker's thread, in
 * order among the other operations of their client, several at a time, and what the hook answers is
 * what the client is told. */
#include "crew.h"
#include "work/worker/worker.h"

#include <snug/snug.h>
#include <stdatomic.h>
#include <string.h>

#define COUNT 48u

/* What the hook has seen; the worker's until the answer, then the test's. */
struct seen {
	uint32_t values[COUNT];
	uint32_t count;
	uint32_t largest_batch;
	_Atomic bool *go; /* the hook waits for it, so that requests gather; NULL: it does not */
};

struct request {
	uint32_t value;
	uint32_t worker; /* written by the hook */
	bool refused;
	snug_handle handle; /* if not 0: read, into `read` */
	char read[4];
};

static void run_requests(void *context, uint32_t worker, snug_heap *heap, void *const *requests,
						 snug_error *errors, size_t count) {
	struct seen *seen = &((struct seen *)context)[worker];
	while (seen->go != NULL && !atomic_load(seen->go)) os_thread_sleep(MS / 4);
	if (count > seen->largest_batch) seen->largest_batch = (uint32_t)count;
	for (size_t index = 0; index < count; index++) {
		struct request *request = requests[index];
		assert_int_equal(errors[index], SNUG_OK);
		seen->values[seen->count++ % COUNT] = request->value;
		request->worker = worker;
		if (request->handle != 0)
			errors[index] = snug_read(heap, request->handle, 0, request->read, 4);
		if (request->refused) errors[index] = SNUG_ERROR_RANGE;
	}
}

static snug_workers *with_hook(uint32_t count, struct seen *seen) {
	snug_workers_options options = crew_options(count);
	options.hook = (snug_worker_hook){.context = seen, .run = run_requests};
	return crew_make(&options);
}

static void requests_come_in_order(void **state) {
	(void)state;
	_Atomic bool go = false;
	struct seen seen[2];
	struct request requests[COUNT];
	snug_operation operations[COUNT];
	snug_ticket tickets[COUNT];
	snug_client *client;
	memset(seen, 0, sizeof seen);
	memset(requests, 0, sizeof requests);
	seen[0].go = seen[1].go = &go;
	snug_workers *workers = with_hook(2, seen);
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
	for (uint32_t i = 0; i < COUNT; i++) {
		requests[i].value = i;
		requests[i].refused = i % 7 == 3;
		operations[i] = (snug_operation){
			.kind = SNUG_OPERATION_RUN, .object.worker = i % 3 == 0, .buffer = &requests[i]};
	}
	assert_int_equal(snug_client_submit(client, operations, COUNT, tickets), SNUG_OK);
	atomic_store(&go, true);
	for (uint32_t i = 0; i < COUNT; i++) {
		snug_result result;
		assert_int_equal(snug_client_wait(client, tickets[i], HANG_NS, &result), SNUG_OK);
		assert_int_equal(result.error, i % 7 == 3 ? SNUG_ERROR_RANGE : SNUG_OK);
		assert_int_equal(requests[i].worker, i % 3 == 0);
	}
	assert_int_equal(seen[0].count + seen[1].count, COUNT);
	assert_true(seen[0].largest_batch > 1);
	for (uint32_t worker = 0; worker < 2; worker++)
		for (uint32_t i = 1; i < seen[worker].count; i++)
			assert_true(seen[worker].values[i] > seen[worker].values[i - 1]);
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

/* An allocation, a write, a request that reads what was written, and a free, submitted at once. */
static void requests_keep_their_place(void **state) {
	(void)state;
	struct seen seen[1];
	struct request request = {.value = 1};
	snug_ticket tickets[3];
	snug_result result;
	snug_client *client;
	snug_object object;
	char text[] = "text";
	memset(seen, 0, sizeof seen);
	snug_workers *workers = with_hook(1, seen);
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
	assert_int_equal(snug_client_alloc(client, 0, 4, "old.", 4, &object), SNUG_OK);
	request.handle = object.handle;
	snug_operation operations[] = {
		{.kind = SNUG_OPERATION_WRITE, .object = object, .length = 4, .buffer = text},
		{.kind = SNUG_OPERATION_RUN, .object = object, .buffer = &request},
		{.kind = SNUG_OPERATION_FREE, .object = object},
	};
	assert_int_equal(snug_client_submit(client, operations, 3, tickets), SNUG_OK);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(snug_client_wait(client, tickets[i], HANG_NS, &result), SNUG_OK);
		assert_int_equal(result.error, SNUG_OK);
	}
	assert_memory_equal(request.read, "text", 4);
	/* Now the object is gone: the hook's own error. */
	assert_int_equal(snug_client_run(client, 0, &request), SNUG_ERROR_HANDLE);
	assert_int_equal(snug_client_run(client, 1, &request), SNUG_ERROR_WORKER);
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

/* As a server's workers ask each other: several requests in one message, answered with one; what is
 * told of its first one is told of it. */
static void several_come_in_one_message(void **state) {
	(void)state;
	struct seen seen[1];
	struct request requests[COUNT];
	struct message messages[COUNT];
	struct channel *replies;
	uint32_t sent = 0, asked = 0, answered = 0;
	size_t received = 0;
	memset(seen, 0, sizeof seen);
	memset(requests, 0, sizeof requests);
	snug_workers *workers = with_hook(1, seen);
	assert_int_equal(channel_create(64, &replies), SNUG_OK);
	while (asked < COUNT) {
		struct message *message = &messages[sent];
		uint32_t most = 1 + sent % MESSAGE_REQUESTS_MAX;
		*message = (struct message){.kind = MESSAGE_REQUESTS, .reply = replies};
		requests[asked].refused = sent % 2 == 1;
		for (uint32_t i = 0; i < most && asked < COUNT; i++) {
			requests[asked].value = asked;
			message->requests[i] = &requests[asked++];
		}
		sent++;
	}
	assert_int_equal(channel_try_send_batch(workers_inbox(workers, 0), messages, sent), SNUG_OK);
	while (answered < sent) {
		assert_int_equal(
			channel_receive_wait(replies, &messages[answered], sent - answered, HANG_NS, &received),
			SNUG_OK);
		answered += (uint32_t)received;
	}
	for (uint32_t i = 0; i < sent; i++)
		assert_int_equal(messages[i].error, i % 2 == 1 ? SNUG_ERROR_RANGE : SNUG_OK);
	assert_int_equal(seen[0].count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++) assert_int_equal(seen[0].values[i], i);
	channel_close(replies);
	channel_destroy(replies);
	crew_unmake(workers);
}

static void no_hook_is_an_error(void **state) {
	(void)state;
	snug_workers_options options = crew_options(1);
	snug_workers *workers = crew_make(&options);
	snug_client *client;
	struct request request = {.value = 1};
	assert_int_equal(snug_client_create(workers, NULL, &client), SNUG_OK);
	assert_int_equal(snug_client_run(client, 0, &request), SNUG_ERROR_OPTION);
	assert_int_equal(snug_client_run(NULL, 0, &request), SNUG_ERROR_NULL);
	assert_int_equal(snug_client_destroy(client), SNUG_OK);
	crew_unmake(workers);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_in_order),
		cmocka_unit_test(several_come_in_one_message),
		cmocka_unit_test(requests_keep_their_place),
		cmocka_unit_test(no_hook_is_an_error),
	};
	return cmocka_run_group_tests_name("client_run", tests, NULL, NULL);
}
