/* cache/client/cache_parcel.c: requests of an asker who does not wait for ever: all that they need
 * travels with them.
 *
 *     parcel   | requests | tickets | room, key, value of the first | of the second | ... |
 *
 * It is one block of just that size: a set that waits for nothing is a request of some 350 bytes and
 * what it stores.
 *
 *     sent --all answers in time--> copied back, freed
 *       \--not in time--> late: TIMED_OUT; freed when the last answer has come
 *
 * A worker may write into a parcel up to its last answer, so it stays until then; the caller's own
 * memory is free at once. Each call looks first at what is late. Late requests are under way and
 * count: with 256 of them a call is refused. What is set later is late from the beginning.
 *
 * COST. One malloc and a copy of key and value, and of the value back. Who waits for ever pays
 * neither. */
#include "base/assert.h"
#include "cache/client/cache_parts.h"
#include "os/threads.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(_Alignof(struct request) >= _Alignof(snug_ticket), "tickets stand behind requests");

struct parcel {
	struct parcel *next; /* late, and sent after it */
	size_t count;
	bool is_later;       /* nobody waits for it: its end is counted */
	snug_ticket *ticket; /* `count` of them, behind the requests; 0: not under way */
	struct request request[];
};

/* ------------------------------------------------------------------ packing ---------------- */

static size_t bytes_of(const struct request *request) {
	size_t value_bytes = request->operation.value == NULL ? 0 : request->operation.value_bytes;
	return request->operation.key.length + value_bytes + request->room_bytes +
		   _Alignof(max_align_t);
}

/* A room begins where anything may: a visit's context is one. */
static char *align(struct parcel *parcel, const char *at) {
	size_t offset = (size_t)(at - (const char *)parcel), grain = _Alignof(max_align_t);
	return (char *)parcel + (offset + grain - 1) / grain * grain;
}

static char *pack(struct parcel *parcel, const struct request *from, struct request *to, char *at) {
	*to = *from;
	at = align(parcel, at);
	if (from->room != NULL) to->room = at;
	if (from->kind == REQUEST_VISIT) {
		if (from->room_bytes > 0) memcpy(at, from->visit_context, from->room_bytes);
		to->visit_context = at;
	}
	at += from->room_bytes;
	if (from->operation.key.length > 0)
		memcpy(at, from->operation.key.bytes, from->operation.key.length);
	to->operation.key.bytes = at;
	at += from->operation.key.length;
	if (from->operation.value == NULL) return at;
	memcpy(at, from->operation.value, from->operation.value_bytes);
	to->operation.value = at;
	return at + from->operation.value_bytes;
}

static struct parcel *parcel_create(const snug_cache_client *client, size_t count) {
	size_t bytes = sizeof(struct parcel) + _Alignof(max_align_t) +
				   count * (sizeof(struct request) + sizeof(snug_ticket));
	for (size_t i = 0; i < count; i++) bytes += bytes_of(&client->request[i]);
	SNUG_ASSERT(count > 0 && count <= CACHE_MANY);
	struct parcel *parcel = malloc(bytes);
	if (parcel == NULL) return NULL;
	parcel->next = NULL;
	parcel->is_later = false;
	parcel->count = count;
	parcel->ticket = (snug_ticket *)&parcel->request[count];
	char *at = (char *)&parcel->ticket[count];
	for (size_t i = 0; i < count; i++) {
		parcel->ticket[i] = 0;
		at = pack(parcel, &client->request[i], &parcel->request[i], at);
		SNUG_ASSERT((size_t)(at - (const char *)parcel) <= bytes);
	}
	return parcel;
}

/* What was answered; whatever the caller gave is his again. */
static void unpack(const struct request *from, struct request *to) {
	const void *value = to->operation.value, *key_bytes = to->operation.key.bytes;
	SNUG_ASSERT(from->kind == to->kind && from->owner == to->owner);
	void *room = to->room, *context = to->visit_context;
	if (from->kind == REQUEST_VISIT && from->room_bytes > 0)
		memcpy(context, from->visit_context, from->room_bytes);
	SNUG_ASSERT(!from->value_in_room || from->operation.item.value_bytes <= to->room_bytes);
	if (from->value_in_room && from->operation.item.value_bytes > 0)
		memcpy(room, from->room, from->operation.item.value_bytes);
	*to = *from;
	to->operation.value = value;
	to->operation.key.bytes = key_bytes;
	to->room = room;
	to->visit_context = context;
}

/* ------------------------------------------------------------------ what is late ----------- */

/* Takes the answers that have come by then. False: some have not. */
static bool collect(snug_cache_client *client, struct parcel *parcel, uint64_t deadline_ns,
					snug_error *first) {
	bool is_complete = true;
	SNUG_ASSERT(parcel->count > 0 && parcel->count <= CACHE_MANY);
	for (size_t i = 0; i < parcel->count; i++) {
		snug_result result = {.error = SNUG_OK};
		if (parcel->ticket[i] == 0) continue;
		snug_error error = snug_client_wait(client->client, parcel->ticket[i],
											os_remaining_ns(deadline_ns), &result);
		if (error == SNUG_ERROR_TIMED_OUT || error == SNUG_ERROR_WRONG_THREAD) {
			is_complete = false;
			continue;
		}
		parcel->ticket[i] = 0;
		if (!error) error = result.error;
		if (error && !*first) *first = error;
	}
	return is_complete;
}

/* Counts in or out what the client's own reads must not overtake. */
static void count_late(snug_cache_client *client, const struct parcel *parcel, bool in) {
	for (size_t i = 0; i < parcel->count; i++) {
		const struct request *request = &parcel->request[i];
		if (request->kind == REQUEST_VISIT) {
			SNUG_ASSERT(in || client->late_visits > 0);
			client->late_visits = in ? client->late_visits + 1 : client->late_visits - 1;
			continue;
		}
		uint16_t *keys = &client->late_keys[request->operation.key.hash % CACHE_LATE_KEYS];
		SNUG_ASSERT(in || *keys > 0);
		*keys = (uint16_t)(in ? *keys + 1 : *keys - 1);
	}
}

static void keep_late(snug_cache_client *client, struct parcel *parcel) {
	count_late(client, parcel, true);
	SNUG_ASSERT((client->first_late == NULL) == (client->last_late == NULL));
	SNUG_ASSERT(parcel->next == NULL);
	if (client->last_late == NULL)
		client->first_late = parcel;
	else
		client->last_late->next = parcel;
	client->last_late = parcel;
}

/* What was set later, and has ended with this error, or as the answer says. */
static void count_end(snug_cache_client *client, const struct parcel *parcel, snug_error error) {
	if (!parcel->is_later) return;
	SNUG_ASSERT(parcel->count == 1 && parcel->request[0].operation.kind == OPERATION_STORE);
	if (!error) error = operation_error(&parcel->request[0].operation);
	client->late.stored += error == SNUG_OK;
	client->late.refused += error != SNUG_OK;
	if (client->late.error == SNUG_OK) client->late.error = error;
}

/* Ends those whose answers have come by then: one after the other, for they mostly come in the
 * order in which they were sent. */
static bool end_late(snug_cache_client *client, uint64_t deadline_ns) {
	while (client->first_late != NULL) {
		struct parcel *parcel = client->first_late;
		snug_error error = SNUG_OK;
		if (!collect(client, parcel, deadline_ns, &error)) return false;
		count_end(client, parcel, error);
		count_late(client, parcel, false);
		SNUG_ASSERT((parcel->next == NULL) == (client->last_late == parcel));
		client->first_late = parcel->next;
		if (parcel->next == NULL) client->last_late = NULL;
		free(parcel);
	}
	return true;
}

void parcels_look(snug_cache_client *client) {
	(void)end_late(client, 0);
}

snug_error parcels_wait(snug_cache_client *client) {
	return end_late(client, os_deadline_ns(SNUG_FOREVER)) ? SNUG_OK : SNUG_ERROR_WRONG_THREAD;
}

/* ------------------------------------------------------------------ asking ----------------- */

/* An inbox is full for a moment: one after the other, each waiting for room. */
static snug_error send_one_by_one(snug_cache_client *client, struct parcel *parcel,
								  uint64_t deadline_ns) {
	for (size_t i = 0; i < parcel->count; i++) {
		snug_result result;
		snug_ticket late;
		snug_error error = snug_client_call(client->client, &client->operation[i],
											os_remaining_ns(deadline_ns), &result, &late);
		if (error == SNUG_ERROR_TIMED_OUT) parcel->ticket[i] = late;
		/* there was no room in time */
		if (error == SNUG_ERROR_QUEUE_FULL) error = SNUG_ERROR_TIMED_OUT;
		if (!error) error = result.error;
		if (error) return error;
	}
	return SNUG_OK;
}

static snug_error send(snug_cache_client *client, struct parcel *parcel, uint64_t deadline_ns) {
	for (size_t i = 0; i < parcel->count; i++)
		client->operation[i] = (snug_operation){.kind = SNUG_OPERATION_RUN,
												.object.worker = parcel->request[i].owner,
												.buffer = &parcel->request[i]};
	snug_error error =
		snug_client_submit(client->client, client->operation, parcel->count, client->ticket);
	if (error == SNUG_ERROR_QUEUE_FULL) return send_one_by_one(client, parcel, deadline_ns);
	if (!error) memcpy(parcel->ticket, client->ticket, parcel->count * sizeof parcel->ticket[0]);
	return error;
}

snug_error parcel_ask(snug_cache_client *client, size_t count) {
	uint64_t deadline_ns = os_deadline_ns(client->timeout_ns);
	(void)end_late(client, 0);
	if (snug_client_in_flight(client->client) + count > CACHE_FLIGHTS) return SNUG_ERROR_QUEUE_FULL;
	struct parcel *parcel = parcel_create(client, count);
	if (parcel == NULL) return SNUG_ERROR_OS_MEMORY;
	snug_error error = send(client, parcel, deadline_ns), first = SNUG_OK;
	if (!collect(client, parcel, deadline_ns, &first)) {
		keep_late(client, parcel);
		return error ? error : SNUG_ERROR_TIMED_OUT;
	}
	if (!error) error = first;
	for (size_t i = 0; i < count && !error; i++) unpack(&parcel->request[i], &client->request[i]);
	free(parcel);
	return error;
}

snug_error parcel_send(snug_cache_client *client) {
	parcels_look(client);
	if (snug_client_in_flight(client->client) >= CACHE_FLIGHTS) return SNUG_ERROR_QUEUE_FULL;
	struct parcel *parcel = parcel_create(client, 1);
	if (parcel == NULL) return SNUG_ERROR_OS_MEMORY;
	snug_operation operation = {.kind = SNUG_OPERATION_RUN,
								.object.worker = parcel->request[0].owner,
								.buffer = &parcel->request[0]};
	snug_error error = snug_client_submit(client->client, &operation, 1, parcel->ticket);
	if (error) {
		free(parcel);
		return error;
	}
	SNUG_ASSERT(parcel->ticket[0] != 0 && parcel->count == 1);
	parcel->is_later = true;
	keep_late(client, parcel);
	return SNUG_OK;
}
