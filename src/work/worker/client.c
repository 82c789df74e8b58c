/* work/worker/client.c: a thread's endpoint: what it has in flight, and the channel on which it is
 * answered.
 *
 *     flights   what is in flight: work/worker/flights.h
 *     replies   a channel with room for all of it, so that a worker never waits to answer
 *     outbox    one submission
 *
 *     operations   w1 w0 w1 w2                   sorted by worker, stable
 *     outbox       [w0] [w1 w1] [w2]             claim room in inbox 0, 1, 2: all, or none
 *     inboxes       |     |      |               then send: each worker that sleeps is woken once
 *     replies      <------+------+               in any order; tickets tell which is which
 *
 * A submission is sorted by worker, claims room in every inbox it needs, and only then sends: so
 * all of it goes or none (law W3). Operations of one worker keep their order (law W8); across
 * workers there is none. Nothing here is shared: the client belongs to its thread, and the workers
 * know its channel alone. It ends when no answer is to come any more; closing the channel waits for
 * a worker that is still leaving it (law W5).
 *
 * A worker that waits for workers may wait for itself: on a worker's thread nothing waits
 * (WRONG_THREAD).
 *
 * COST. 184 bytes for each operation that may be in flight: its flight, a message in the outbox and
 * one in the channel. All of it is taken at creation; submitting and collecting take no memory. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "work/key_hash.h"
#include "work/worker/flights.h"
#include "work/worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define FLIGHT_DEFAULT 256u
#define REPLY_BATCH 32u

/* All: the client's thread only. */
struct snug_client {
	snug_workers *workers;
	struct channel *replies; /* workers send, the client receives */
	struct message *outbox;  /* a submission, sorted by worker */
	struct flights flights;
	struct flight flight[];
};

/* ------------------------------------------------------------------ create, destroy --------- */

static void give_back(snug_client *client) {
	if (client->replies != NULL) channel_close(client->replies);
	channel_destroy(client->replies);
	free(client->outbox);
	free(client);
}

static snug_error take_memory(uint32_t flight_max, snug_client **out) {
	snug_client *client = calloc(1, sizeof *client + flight_max * sizeof client->flight[0]);
	if (client == NULL) return SNUG_ERROR_OS_MEMORY;
	uint32_t room = flight_max < CHANNEL_MESSAGES_MIN ? CHANNEL_MESSAGES_MIN : flight_max;
	client->outbox = calloc(flight_max, sizeof *client->outbox);
	snug_error error =
		client->outbox == NULL ? SNUG_ERROR_OS_MEMORY : channel_create(room, &client->replies);
	if (error) {
		give_back(client);
		return error;
	}
	flights_init(&client->flights, client->flight, flight_max);
	*out = client;
	return SNUG_OK;
}

void snug_client_options_init(snug_client_options *options, size_t struct_bytes) {
	static const snug_client_options defaults = {.flight_max = 0};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

snug_error snug_client_create(snug_workers *workers, const snug_client_options *options,
							  snug_client **out) {
	if (workers == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_client_options known = snug_client_options_default();
	if (options != NULL && !grown_read(options, &known, sizeof known)) return SNUG_ERROR_VERSION;
	uint32_t flight_max = known.flight_max != 0 ? known.flight_max : FLIGHT_DEFAULT;
	if (!is_power_of_two(flight_max) || flight_max > SNUG_CLIENT_FLIGHT_MAX)
		return SNUG_ERROR_OPTION;
	snug_client *client;
	snug_error error = workers_attach(workers);
	if (error) return error;
	error = take_memory(flight_max, &client);
	if (error) {
		workers_detach(workers);
		return error;
	}
	client->workers = workers;
	*out = client;
	return SNUG_OK;
}

static void collect(snug_client *client);

snug_error snug_client_destroy(snug_client *client) {
	if (client == NULL) return SNUG_OK;
	collect(client);
	if (client->flights.flying > 0) return SNUG_ERROR_IN_USE;
	SNUG_ASSERT(channel_depth(client->replies) == 0);
	snug_workers *workers = client->workers;
	give_back(client);
	workers_detach(workers);
	return SNUG_OK;
}

uint32_t snug_client_place(const snug_client *client, const void *key, size_t key_bytes) {
	if (client == NULL || (key == NULL && key_bytes > 0)) return 0;
	uint64_t hash = key_hash(key, key_bytes);
	return (uint32_t)((hash >> 32) * client->workers->options.count >> 32);
}

/* ------------------------------------------------------------------ answers ---------------- */

static bool tells_size(uint16_t kind) {
	return kind == SNUG_OPERATION_ALLOC || kind == SNUG_OPERATION_RESIZE ||
		   kind == SNUG_OPERATION_SIZE;
}

static void note_answer(snug_client *client, const struct message *answer) {
	snug_result result = {
		.error = (snug_error)answer->error,
		.object = {.handle = answer->name, .worker = answer->worker},
		.size = answer->error == 0 && tells_size(answer->kind) ? answer->size : 0,
	};
	SNUG_ASSERT(answer->worker < client->workers->options.count &&
				answer->reply == client->replies);
	bool landed = flights_land(&client->flights, answer->cookie, &result);
	SNUG_ASSERT(landed);
	(void)landed;
}

/* All that have come, without waiting. */
static void collect(snug_client *client) {
	struct message answers[REPLY_BATCH];
	size_t count;
	while (client->flights.flying > 0 &&
		   (count = channel_receive(client->replies, answers, REPLY_BATCH)) > 0) {
		for (size_t index = 0; index < count; index++) note_answer(client, &answers[index]);
	}
}

/* A worker that waits for workers may wait for itself. */
static bool must_not_wait(const snug_client *client, uint64_t timeout_ns) {
	return timeout_ns > 0 && workers_is_own_thread(client->workers);
}

/* Some more, waiting for the first. TIMED_OUT, WRONG_THREAD. */
static snug_error collect_wait(snug_client *client, uint64_t timeout_ns) {
	struct message answers[REPLY_BATCH];
	size_t count = 0;
	bool insider = must_not_wait(client, timeout_ns);
	snug_error error = channel_receive_wait(client->replies, answers, REPLY_BATCH,
											insider ? 0 : timeout_ns, &count);
	for (size_t index = 0; index < count; index++) note_answer(client, &answers[index]);
	return insider && error == SNUG_ERROR_TIMED_OUT ? SNUG_ERROR_WRONG_THREAD : error;
}

snug_error snug_client_wait(snug_client *client, snug_ticket ticket, uint64_t timeout_ns,
							snug_result *out) {
	if (client == NULL || out == NULL) return SNUG_ERROR_NULL;
	struct flight *flight = flights_find(&client->flights, ticket);
	if (flight == NULL) return SNUG_ERROR_TICKET;
	if (flight->state != FLIGHT_DONE) collect(client);
	uint64_t deadline_ns = flight->state == FLIGHT_DONE ? 0 : os_deadline_ns(timeout_ns);
	while (flight->state != FLIGHT_DONE) {
		snug_error error = collect_wait(client, os_remaining_ns(deadline_ns));
		if (error) return error;
	}
	SNUG_ASSERT(flights_find(&client->flights, ticket) == flight);
	*out = flights_take(&client->flights, flight);
	return SNUG_OK;
}

snug_error snug_client_poll(snug_client *client, snug_ticket ticket, snug_result *out) {
	return snug_client_wait(client, ticket, 0, out);
}

snug_error snug_client_next(snug_client *client, uint64_t timeout_ns, snug_ticket *ticket,
							snug_result *out) {
	if (client == NULL || ticket == NULL || out == NULL) return SNUG_ERROR_NULL;
	if (client->flights.in_flight == 0) return SNUG_ERROR_TICKET;
	snug_ticket taken;
	struct flight *flight = flights_first_done(&client->flights, &taken);
	if (flight == NULL) {
		snug_error error = collect_wait(client, timeout_ns);
		if (error) return error;
		flight = flights_first_done(&client->flights, &taken);
	}
	if (!SNUG_GUARD(flight != NULL)) return SNUG_ERROR_CORRUPT;
	SNUG_ASSERT(flight->state == FLIGHT_DONE);
	*out = flights_take(&client->flights, flight);
	*ticket = taken;
	return SNUG_OK;
}

uint32_t snug_client_in_flight(const snug_client *client) {
	return client == NULL ? 0 : client->flights.in_flight;
}

/* ------------------------------------------------------------------ submission ------------- */

static snug_error check(const snug_client *client, const snug_operation *operation) {
	if ((uint32_t)operation->kind >= SNUG_OPERATION_COUNT) return SNUG_ERROR_OPTION;
	if (operation->object.worker >= client->workers->options.count) return SNUG_ERROR_WORKER;
	return SNUG_OK;
}

static struct message message_of(const snug_client *client, const snug_operation *operation,
								 snug_ticket ticket) {
	return (struct message){
		.kind = (uint16_t)(MESSAGE_OPERATION + operation->kind),
		.worker = operation->object.worker,
		.name = operation->kind == SNUG_OPERATION_ALLOC ? 0 : operation->object.handle,
		.size = operation->size,
		.offset = operation->offset,
		.length = operation->length,
		.data = operation->buffer,
		.reply = client->replies,
		.cookie = ticket,
	};
}

/* Where each worker's messages begin in the outbox; the last entry is the end. */
struct sorting {
	uint32_t begin[SNUG_WORKERS_MAX + 1];
	uint32_t cursor[SNUG_WORKERS_MAX];
	uint32_t position[SNUG_WORKERS_MAX]; /* that was claimed in its inbox */
};

static void sort_by_worker(const snug_client *client, const snug_operation *operations,
						   size_t count, struct sorting *out) {
	uint32_t workers = client->workers->options.count;
	SNUG_ASSERT(workers <= SNUG_WORKERS_MAX && count <= client->flights.room);
	memset(out->begin, 0, (workers + 1) * sizeof out->begin[0]);
	for (size_t index = 0; index < count; index++)
		out->begin[operations[index].object.worker + 1]++;
	for (uint32_t worker = 0; worker < workers; worker++) {
		out->begin[worker + 1] += out->begin[worker];
		out->cursor[worker] = out->begin[worker];
	}
	SNUG_ASSERT(out->begin[workers] == count);
}

/* Claims room in each inbox that takes part; all or none. */
static snug_error claim_all(const snug_client *client, struct sorting *sorting) {
	SNUG_ASSERT(sorting->begin[0] == 0);
	snug_error error = SNUG_OK;
	uint32_t claimed = 0;
	for (; claimed < client->workers->options.count; claimed++) {
		uint32_t count = sorting->begin[claimed + 1] - sorting->begin[claimed];
		if (count > 0)
			error = channel_claim(workers_inbox(client->workers, claimed), count,
								  &sorting->position[claimed]);
		if (error) break;
	}
	if (!error) return SNUG_OK;
	while (claimed-- > 0) {
		uint32_t count = sorting->begin[claimed + 1] - sorting->begin[claimed];
		if (count > 0)
			channel_unclaim(workers_inbox(client->workers, claimed), sorting->position[claimed],
							count);
	}
	return error;
}

/* Each worker's part of the outbox is full. */
static void send_all(const snug_client *client, const struct sorting *sorting) {
	for (uint32_t worker = 0; worker < client->workers->options.count; worker++) {
		uint32_t begin = sorting->begin[worker];
		uint32_t count = sorting->begin[worker + 1] - begin;
		SNUG_ASSERT(sorting->cursor[worker] == begin + count);
		if (count > 0)
			channel_send_claimed(workers_inbox(client->workers, worker), sorting->position[worker],
								 client->outbox + begin, count);
	}
}

snug_error snug_client_submit(snug_client *client, const snug_operation *operations, size_t count,
							  snug_ticket *tickets) {
	if (client == NULL || (count > 0 && (operations == NULL || tickets == NULL)))
		return SNUG_ERROR_NULL;
	for (size_t index = 0; index < count; index++) {
		snug_error error = check(client, &operations[index]);
		if (error) return error;
	}
	if (count > client->flights.room - client->flights.in_flight) return SNUG_ERROR_QUEUE_FULL;
	struct sorting sorting;
	sort_by_worker(client, operations, count, &sorting);
	for (size_t index = 0; index < count; index++) {
		const snug_operation *operation = &operations[index];
		struct message *message = &client->outbox[sorting.cursor[operation->object.worker]++];
		*message = message_of(client, operation, flights_begin(&client->flights, operation->kind));
	}
	snug_error error = claim_all(client, &sorting);
	if (error) {
		for (size_t index = count; index-- > 0;)
			flights_undo(&client->flights, client->outbox[index].cookie);
		return error;
	}
	send_all(client, &sorting);
	/* The outbox again in the order of the operations. */
	for (size_t index = count; index-- > 0;) {
		tickets[index] = client->outbox[--sorting.cursor[operations[index].object.worker]].cookie;
	}
	return SNUG_OK;
}

/* ------------------------------------------------------------------ one at a time ---------- */

/* Waits for room. QUEUE_FULL: none came in time. */
static snug_error submit_one(snug_client *client, const snug_operation *operation,
							 uint64_t timeout_ns, snug_ticket *out) {
	snug_error error = check(client, operation);
	if (error) return error;
	if (client->flights.in_flight == client->flights.room) return SNUG_ERROR_QUEUE_FULL;
	snug_ticket ticket = flights_begin(&client->flights, operation->kind);
	struct message message = message_of(client, operation, ticket);
	SNUG_ASSERT(flights_find(&client->flights, ticket) != NULL);
	error = channel_send(workers_inbox(client->workers, operation->object.worker), &message,
						 timeout_ns);
	if (error) {
		flights_undo(&client->flights, ticket);
		return error == SNUG_ERROR_TIMED_OUT ? SNUG_ERROR_QUEUE_FULL : error;
	}
	*out = ticket;
	return SNUG_OK;
}

snug_error snug_client_call(snug_client *client, const snug_operation *operation,
							uint64_t timeout_ns, snug_result *out, snug_ticket *late) {
	if (client == NULL || operation == NULL || out == NULL || late == NULL) return SNUG_ERROR_NULL;
	if (must_not_wait(client, timeout_ns)) return SNUG_ERROR_WRONG_THREAD;
	uint64_t deadline_ns = os_deadline_ns(timeout_ns);
	snug_ticket ticket;
	snug_error error = submit_one(client, operation, timeout_ns, &ticket);
	if (error) return error;
	error = snug_client_wait(client, ticket, os_remaining_ns(deadline_ns), out);
	if (error == SNUG_ERROR_TIMED_OUT) *late = ticket;
	return error;
}

/* The operation's own error, too. */
static snug_error run(snug_client *client, const snug_operation *operation, snug_result *out) {
	if (client == NULL) return SNUG_ERROR_NULL;
	snug_ticket late;
	snug_error error = snug_client_call(client, operation, SNUG_FOREVER, out, &late);
	return error ? error : out->error;
}

snug_error snug_client_alloc(snug_client *client, uint32_t worker, size_t size, const void *data,
							 size_t length, snug_object *out) {
	if (out == NULL) return SNUG_ERROR_NULL;
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_ALLOC, {0, worker}, size, 0, length, (void *)data};
	snug_error error = run(client, &operation, &result);
	if (!error) *out = result.object;
	return error;
}

snug_error snug_client_free(snug_client *client, snug_object object) {
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_FREE, object, 0, 0, 0, NULL};
	return run(client, &operation, &result);
}

snug_error snug_client_resize(snug_client *client, snug_object object, size_t size) {
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_RESIZE, object, size, 0, 0, NULL};
	return run(client, &operation, &result);
}

snug_error snug_client_read(snug_client *client, snug_object object, size_t offset, void *buffer,
							size_t length) {
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_READ, object, 0, offset, length, buffer};
	return run(client, &operation, &result);
}

snug_error snug_client_write(snug_client *client, snug_object object, size_t offset,
							 const void *data, size_t length) {
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_WRITE, object, 0, offset, length, (void *)data};
	return run(client, &operation, &result);
}

snug_error snug_client_run(snug_client *client, uint32_t worker, void *request) {
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_RUN, {0, worker}, 0, 0, 0, request};
	return run(client, &operation, &result);
}

snug_error snug_client_size(snug_client *client, snug_object object, size_t *out) {
	if (out == NULL) return SNUG_ERROR_NULL;
	snug_result result;
	snug_operation operation = {SNUG_OPERATION_SIZE, object, 0, 0, 0, NULL};
	snug_error error = run(client, &operation, &result);
	if (!error) *out = result.size;
	return error;
}
