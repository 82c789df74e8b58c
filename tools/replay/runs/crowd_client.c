/* crowd_client.c: one client of a crowd: its share of a phase, in batches.
 *
 * A batch holds allocations and, before each, what has to go so that it fits: every object is read
 * back whole before it is freed, by two operations of the same batch, which its worker executes in
 * order. The content goes with the allocation. The batch is submitted, and its results are taken
 * one after the other; an operation's time is from the submission to then. */
#include "ledger/clock.h"
#include "ledger/pattern.h"
#include "runs/crowd.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES ((size_t)1 << 20) /* objects that are larger go alone */

static void broken(struct crowd_client *client, const char *what, snug_error error) {
	client->integrity_errors++;
	if (client->problem[0] != '\0') return;
	snprintf(client->problem, sizeof client->problem, "%s%s%s", what, error != SNUG_OK ? ": " : "",
			 error != SNUG_OK ? snug_error_text(error) : "");
}

bool crowd_client_begin(struct crowd_client *client, snug_workers *workers) {
	ledger_init(&client->ledger, client->live_bytes / OBJECT_MIN_BYTES + 1024);
	client->buffer_room = BATCH_BYTES + client->largest_bytes;
	client->buffer = bookkeeping_map(client->buffer_room);
	snug_histogram_init(&client->operation_ns);
	snug_error error = snug_client_create(workers, NULL, &client->endpoint);
	if (error != SNUG_OK) broken(client, "a client cannot be created", error);
	return error == SNUG_OK;
}

/* ---- a batch ---- */

static size_t room_of_batch(const struct crowd_client *client) {
	return CROWD_BATCH - client->count;
}

static bool bytes_fit(const struct crowd_client *client, size_t size) {
	return client->count == 0 || client->buffer_bytes + size <= client->buffer_room;
}

/* Objects lie where their first bytes say. */
static snug_operation *add_operation(struct crowd_client *client, uint32_t index, size_t size) {
	struct crowd_step *step = &client->step[client->count];
	snug_operation *operation = &client->operation[client->count++];
	uint64_t header = object_header(index, client->ledger.entries[index].stamp);
	*step = (struct crowd_step){index, (uint32_t)size, header, client->buffer_bytes};
	*operation = (snug_operation){
		.object = {.worker = snug_client_place(client->endpoint, &header, sizeof header)}};
	return operation;
}

static void add_allocation(struct crowd_client *client, size_t size) {
	uint32_t index = ledger_take(&client->ledger);
	if (index == ENTRY_NONE) {
		broken(client, "the ledger is full", SNUG_OK);
		return;
	}
	snug_operation *operation = add_operation(client, index, size);
	struct pattern pattern =
		pattern_of(object_header(index, client->ledger.entries[index].stamp), client->job->seed);
	operation->kind = SNUG_OPERATION_ALLOC;
	operation->size = operation->length = size;
	operation->buffer = client->buffer + client->buffer_bytes;
	pattern_write(&pattern, 0, operation->buffer, size);
	client->buffer_bytes += size;
	client->pending_bytes += size;
}

/* Reads and frees. */
static void add_removal(struct crowd_client *client, uint32_t index) {
	struct entry *entry = &client->ledger.entries[index];
	snug_operation *operation = add_operation(client, index, entry->size);
	operation->kind = SNUG_OPERATION_READ;
	operation->object.handle = entry->name;
	operation->length = entry->size;
	operation->buffer = client->buffer + client->buffer_bytes;
	client->buffer_bytes += entry->size;
	operation = add_operation(client, index, entry->size);
	operation->kind = SNUG_OPERATION_FREE;
	operation->object.handle = entry->name;
}

static void take_allocation(struct crowd_client *client, const struct crowd_step *step,
							const snug_result *result) {
	client->allocations++;
	if (result->error == SNUG_OK) {
		ledger_add(&client->ledger, step->index, result->object.handle, step->size);
		client->allocated_bytes += step->size;
		return;
	}
	ledger_give_back(&client->ledger, step->index);
	client->failed_allocations++;
	client->progress->failed_allocations++;
	bool may_fail =
		result->error == SNUG_ERROR_NO_MEMORY || result->error == SNUG_ERROR_SIZE_TOO_LARGE;
	if (!may_fail) broken(client, "alloc", result->error);
}

static void take_result(struct crowd_client *client, size_t at, const snug_result *result) {
	const struct crowd_step *step = &client->step[at];
	struct pattern pattern = pattern_of(step->header, client->job->seed);
	switch (client->operation[at].kind) {
	case SNUG_OPERATION_ALLOC:
		take_allocation(client, step, result);
		break;
	case SNUG_OPERATION_READ:
		client->verified_bytes += step->size;
		if (result->error != SNUG_OK ||
			!pattern_matches(&pattern, 0, client->buffer + step->buffer_at, step->size))
			broken(client, "an object's bytes are not those that were written", result->error);
		break;
	default:
		client->frees++;
		if (result->error != SNUG_OK) broken(client, "free", result->error);
		break;
	}
}

static void run_batch(struct crowd_client *client) {
	snug_ticket tickets[CROWD_BATCH];
	uint64_t begin_ns = clock_ns();
	snug_error error;
	while ((error = snug_client_submit(client->endpoint, client->operation, client->count,
									   tickets)) == SNUG_ERROR_QUEUE_FULL)
		sched_yield();
	if (error != SNUG_OK) broken(client, "submit", error);
	for (size_t at = 0; at < client->count && error == SNUG_OK; at++) {
		snug_result result;
		error = snug_client_wait(client->endpoint, tickets[at], SNUG_FOREVER, &result);
		snug_histogram_add(&client->operation_ns, clock_ns() - begin_ns);
		if (error != SNUG_OK) broken(client, "wait", error);
		if (error == SNUG_OK) take_result(client, at, &result);
	}
	client->operations += client->count;
	client->count = client->buffer_bytes = client->pending_bytes = 0;
}

/* ---- phases ---- */

/* Takes the object off the ledger at once, so that no second removal chooses it. Its entry may
 * serve again in the same batch: the batch keeps its own copy of what it needs, and the next object
 * in the entry has another stamp. */
static bool remove_random(struct crowd_client *client) {
	const struct entry_list *movable = &client->ledger.movable;
	if (movable->count == 0) return false;
	uint32_t index = movable->index[random_below(&client->victim_random, movable->count)];
	if (room_of_batch(client) < 2 || !bytes_fit(client, client->ledger.entries[index].size)) {
		run_batch(client);
		index = movable->index[random_below(&client->victim_random, movable->count)];
	}
	add_removal(client, index);
	ledger_remove(&client->ledger, index);
	return true;
}

static bool over(const struct crowd_client *client) {
	return client->integrity_errors > 0 ||
		   (client->job->stop_at_failure && client->progress->failed_allocations > 0);
}

/* Until one more object of this size keeps to the share of live bytes; false: nothing is left that
 * could go. */
static bool make_room(struct crowd_client *client, size_t size) {
	while (client->ledger.live_bytes + client->pending_bytes + size > client->live_bytes) {
		if (remove_random(client)) continue;
		if (client->count == 0) return false;
		run_batch(client);
	}
	return true;
}

static void churn(struct crowd_client *client) {
	const struct phase *phase = client->phase;
	uint64_t wanted_bytes = phase_churn_bytes(phase, client->job->factor, client->live_bytes);
	uint64_t failed = client->failed_allocations;
	for (uint64_t done_bytes = 0; done_bytes < wanted_bytes && !over(client);) {
		size_t size = sizes_draw(&phase->sizes, &client->size_random, client->largest_bytes);
		if (!make_room(client, size)) break;
		for (; failed < client->failed_allocations; failed++) (void)remove_random(client);
		if (room_of_batch(client) == 0 || !bytes_fit(client, size)) run_batch(client);
		add_allocation(client, size);
		done_bytes += size;
		client->progress->done_bytes += size;
	}
	if (client->count > 0) run_batch(client);
}

static void delete_share(struct crowd_client *client, double share) {
	uint32_t count = (uint32_t)(share * ledger_count(&client->ledger) + .5);
	while (count > 0 && remove_random(client)) count--;
	if (client->count > 0) run_batch(client);
}

static void delete_where(struct crowd_client *client, bool alternate) {
	bool chosen = false;
	for (uint32_t index = 0; index < client->ledger.used; index++) {
		if (client->ledger.entries[index].name == 0) continue;
		chosen = !alternate || !chosen;
		if (!chosen) continue;
		if (room_of_batch(client) < 2 || !bytes_fit(client, client->ledger.entries[index].size))
			run_batch(client);
		add_removal(client, index);
		ledger_remove(&client->ledger, index);
	}
	if (client->count > 0) run_batch(client);
}

void *crowd_client_run(void *context) {
	struct crowd_client *client = context;
	switch (client->phase->kind) {
	case PHASE_CHURN:
		churn(client);
		break;
	case PHASE_DELETE:
		delete_share(client, client->phase->amount);
		break;
	case PHASE_DELETE_ALTERNATE:
		delete_where(client, true);
		break;
	default: /* the leader's */
		break;
	}
	client->done = true;
	return NULL;
}

void crowd_client_end(struct crowd_client *client) {
	uint64_t frees = client->frees;
	if (client->endpoint == NULL) return;
	delete_where(client, false);
	client->frees = frees;
	snug_error error = snug_client_destroy(client->endpoint);
	if (error != SNUG_OK) broken(client, "a client cannot be destroyed", error);
}
