/* cache/operation/request.c: others' requests, carried out by the shard's owner, a batch at a time.
 *
 * BATCH. The requests were written by another processor, so their lines are fetched first, then
 * their keys and values, and the buckets and items that they ask for, all at once. Then they are
 * carried out in order.
 *
 * WINDOW. Of the rest of a leased value as many bytes as have at most 32 extents: all of it is
 * tried, then half, then a quarter.
 *
 * RESERVING A LARGE VALUE takes the place of many small ones: in slices, between which others are
 * served. The request comes back unfinished and is sent again. A slice goes on by 32 KiB until 64
 * items have gone or been moved. So a value that takes the place of some large ones is not put off:
 * what its client sends meanwhile would have to be kept, and be received a buffer at a time.
 *
 *     try without evicting --it fits--> lease
 *         \--no--> promise (or refuse: nothing goes for a lease that may not be had in the end)
 *                    \--> round: evict what it takes, a slice at a time --> try again
 *                           first all its bytes; each later round an eighth; after nine: at once
 *
 * The first round makes room for all of it; what is missing then, because holes lie apart, is
 * little. After nine rounds it is done at once, so that those who take what was freed do not keep
 * it from its end. */
#include "cache/operation/request.h"

#include "base/assert.h"
#include "base/bits.h"
#include "cache/operation/operation_parts.h"
#include "mem/types.h"

#include <string.h>

#define PREFETCH_MAX 32u

void request_fill_window(snug_shard *shard, struct request *request) {
	const snug_lease *lease = &request->operation.lease;
	size_t count = REQUEST_EXTENTS, bytes = lease->value_bytes - request->window_offset;
	SNUG_ASSERT(request->window != NULL && lease->ref != 0);
	SNUG_ASSERT(request->window_offset <= lease->value_bytes);
	request->window_count = 0;
	request->window_bytes = 0;
	while (snug_shard_lease_view(shard, lease, request->window_offset, bytes, request->window,
								 &count) == SNUG_ERROR_TOO_MANY_EXTENTS) {
		bytes = bytes / 2;
		count = REQUEST_EXTENTS;
	}
	SNUG_ASSERT(count <= REQUEST_EXTENTS);
	SNUG_ASSERT(count > 0 || request->window_offset == lease->value_bytes);
	request->window_count = (uint32_t)count;
	request->window_bytes = (uint32_t)bytes;
}

void request_copy_value(snug_shard *shard, const snug_item *item, void *to) {
	snug_extent extent;
	size_t count = 1;
	if (item->value_bytes == 0) return;
	snug_error error = snug_shard_view(shard, item, 0, item->value_bytes, &extent, &count);
	SNUG_ASSERT(error || extent.length == item->value_bytes);
	if (LIKELY(!error))
		memcpy(to, extent.data, extent.length);
	else
		error = snug_shard_read(shard, item, 0, to, item->value_bytes);
	SNUG_ASSERT(!error);
	(void)error;
}

/* The value of what was found: copied, or leased. */
static void hand_over(snug_shard *shard, struct request *request) {
	struct operation *operation = &request->operation;
	size_t value_bytes = operation->item.value_bytes;
	SNUG_ASSERT(operation->status == STATUS_FOUND && request->room != NULL);
	request->value_in_room = value_bytes <= request->room_bytes;
	if (request->value_in_room) {
		request_copy_value(shard, &operation->item, request->room);
		return;
	}
	if (request->keeps_no_lease) return;
	if (snug_shard_pin(shard, &operation->item, &operation->lease) != SNUG_OK) {
		operation->status = STATUS_NO_MEMORY;
		return;
	}
	request->window_offset = 0;
	request_fill_window(shard, request);
}

#define SLICE_BYTES 32768u
#define SLICE_ITEMS 64u
#define ROUNDS_MAX 9u
#define ROUND_SHARE 8u

static void end_promise(snug_shard *shard, struct request *request) {
	shard_end_promise(shard, request->promised_bytes);
	request->promised_bytes = 0;
}

static void begin_round(struct request *request) {
	uint32_t bytes = request->promised_bytes;
	SNUG_ASSERT(bytes > 0 && request->evict_bytes == 0 && request->rounds < ROUNDS_MAX);
	request->evict_bytes = request->rounds == 0 ? bytes : bytes / ROUND_SHARE;
	request->rounds++;
}

static uint64_t evict_slice(snug_shard *shard, struct request *request) {
	uint64_t gained = shard_make_rooms(shard, smaller(request->evict_bytes, SLICE_BYTES));
	request->evict_bytes -= (uint32_t)smaller(gained, request->evict_bytes);
	return gained;
}

/* As a whole, with what must go for it. */
static snug_error reserve_at_once(snug_shard *shard, struct request *request) {
	struct operation *operation = &request->operation;
	return snug_shard_reserve(shard, &operation->key, operation->value_bytes, &operation->lease);
}

/* What comes next towards the lease: all of it, or some room, or a refusal. */
static snug_error reserve_part(snug_shard *shard, struct request *request) {
	struct operation *operation = &request->operation;
	size_t bytes = operation->value_bytes;
	snug_error error = SNUG_OK;
	request->is_unfinished = false;
	operation->lease.ref = 0;
	end_promise(shard, request);
	if (bytes <= SLICE_BYTES) return reserve_at_once(shard, request);
	if (request->evict_bytes == 0) {
		error = shard_reserve_free(shard, &operation->key, bytes, &operation->lease);
		if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) return error;
	}
	request->promised_bytes = shard_promise_lease(shard, &operation->key, bytes, error);
	if (request->promised_bytes > 0 && request->evict_bytes == 0 && request->rounds < ROUNDS_MAX)
		begin_round(request);
	request->is_unfinished =
		request->promised_bytes > 0 && request->evict_bytes > 0 && evict_slice(shard, request) > 0;
	SNUG_ASSERT(operation->lease.ref == 0);
	if (request->is_unfinished) return SNUG_OK;
	end_promise(shard, request);
	return reserve_at_once(shard, request);
}

/* Items that have gone or been moved, ever. */
static uint64_t work_done(const snug_shard *shard) {
	const snug_shard_stats *counts = &shard->stats;
	return counts->evictions + counts->expired + counts->flushed + shard->heap->totals.moves;
}

/* As much as a slice allows. It ends: each part that leaves it unfinished has made some room. */
static snug_error reserve_slice(snug_shard *shard, struct request *request) {
	uint64_t before = work_done(shard);
	snug_error error;
	do {
		error = reserve_part(shard, request);
	} while (!error && request->is_unfinished && work_done(shard) - before < SLICE_ITEMS);
	return error;
}

static void reserve(snug_shard *shard, struct operation_counts *counts, struct request *request) {
	struct operation *operation = &request->operation;
	snug_error error = reserve_slice(shard, request);
	if (error) {
		operation_store_refused(shard, operation, error, counts);
		return;
	}
	operation->status = STATUS_STORED;
	request->window_offset = 0;
	SNUG_ASSERT(request->is_unfinished == (operation->lease.ref == 0));
	if (!request->is_unfinished) request_fill_window(shard, request);
}

static void serve(snug_shard *shard, uint32_t worker, struct operation_counts *counts,
				  struct request *request) {
	struct operation *operation = &request->operation;
	switch ((enum request_kind)request->kind) {
	case REQUEST_OPERATION:
		operation_execute(shard, operation, counts);
		if (operation->kind == OPERATION_GET && operation->status == STATUS_FOUND &&
			request->room != NULL)
			hand_over(shard, request);
		operation_end(shard, operation);
		break;
	case REQUEST_RESERVE:
		reserve(shard, counts, request);
		break;
	case REQUEST_WINDOW:
		request_fill_window(shard, request);
		break;
	case REQUEST_RELEASE:
		end_promise(shard, request);
		snug_shard_release(shard, &operation->lease);
		break;
	case REQUEST_VISIT:
		request->visit(request->visit_context, worker, shard, counts);
		break;
	}
}

#define LINE_BYTES 64u

#define VALUE_LINES 6u /* of a usual value */

/* Its key and its value, and where the item is told of. */
static void prefetch_operation(const struct operation *operation) {
	const char *key = operation->key.bytes, *value = operation->value;
	__builtin_prefetch(key);
	__builtin_prefetch(key + operation->key.length - 1);
	if (operation->kind != OPERATION_STORE) {
		fetch_to_write(&operation->item);
		return;
	}
	if (value == NULL) return; /* it lies in a lease */
	for (size_t at = 0; at < operation->value_bytes && at < VALUE_LINES * LINE_BYTES;
		 at += LINE_BYTES)
		__builtin_prefetch(value + at);
}

/* The requests themselves were written by another processor; then what they refer to, and what they
 * ask for. */
static void prefetch(snug_shard *shard, struct request *const *requests, size_t count) {
	uint64_t hashes[PREFETCH_MAX];
	size_t found = 0;
	SNUG_ASSERT(count <= PREFETCH_MAX);
	if (count <= 1) return;
	for (size_t i = 0; i < count; i++) {
		__builtin_prefetch(requests[i]);
		fetch_to_write((const char *)requests[i] + REQUEST_ANSWERED_OFFSET);
	}
	for (size_t i = 0; i < count; i++) {
		if (requests[i]->kind != REQUEST_OPERATION) continue;
		prefetch_operation(&requests[i]->operation);
		hashes[found++] = requests[i]->operation.key.hash;
	}
	SNUG_ASSERT(found <= count);
	snug_shard_prefetch(shard, hashes, found);
}

void requests_serve(snug_shard *shard, uint32_t worker, struct operation_counts *counts,
					struct request *const *requests, size_t count) {
	SNUG_ASSERT(requests != NULL || count == 0);
	while (count > 0) {
		size_t part = smaller(count, PREFETCH_MAX);
		prefetch(shard, requests, part);
		shard_take_hints(shard); /* what was used before is known to whoever asks */
		for (size_t i = 0; i < part; i++) serve(shard, worker, counts, requests[i]);
		requests += part;
		count -= part;
	}
}
