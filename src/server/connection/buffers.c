/* server/connection/buffers.c: see server/connection/buffers.h. */
#include "server/connection/buffers.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdlib.h>

#define KEEP_SHARE 256u /* of the limit: what free blocks may hold, and free records */
#define KEEP_MAX 512u
#define RECORDS_SHARE 8u
#define RECORDS_MIN 16u

static uint32_t keep_of(uint64_t limit_bytes, uint32_t bytes) {
	uint64_t keep = limit_bytes / KEEP_SHARE / bytes;
	return keep < 2 ? 2 : keep > KEEP_MAX ? KEEP_MAX : (uint32_t)keep;
}

/* What waits for others must not drive out the items: an eighth of the limit, if no more connections wait than can have one each. */
static uint32_t shared_records_of(uint64_t limit_bytes, uint32_t records_max) {
	uint64_t records = limit_bytes / RECORDS_SHARE / RECORD_BYTES;
	return records < RECORDS_MIN ? RECORDS_MIN : records > records_max / 2 ? records_max / 2 : (uint32_t)records;
}

void buffers_init(struct buffers *buffers, snug_shard *shard, uint64_t limit_bytes, uint32_t records_max) {
	uint32_t shared = shared_records_of(limit_bytes, records_max);
	*buffers = (struct buffers){
		.shard = shard,
		.blocks = {.bytes = BUFFER_BYTES, .keep = keep_of(limit_bytes, BUFFER_BYTES), .taken_max = UINT32_MAX},
		.records = {.bytes = RECORD_BYTES,
					.keep = keep_of(limit_bytes, RECORD_BYTES),
					.taken_max = 2 * shared,
					.shared_max = shared},
	};
}

void *buffers_alloc(struct buffers *buffers, size_t bytes) {
	if (snug_shard_charge(buffers->shard, bytes) != SNUG_OK) return NULL;
	void *memory = malloc(bytes);
	if (memory == NULL)
		snug_shard_discharge(buffers->shard, bytes);
	else
		buffers->held_bytes += bytes;
	return memory;
}

void buffers_free(struct buffers *buffers, void *memory, size_t bytes) {
	free(memory);
	buffers->held_bytes -= bytes;
	snug_shard_discharge(buffers->shard, bytes);
}

void *buffers_take(struct buffers *buffers, struct buffer_stock *stock) {
	if (stock->taken == stock->taken_max) return NULL;
	struct buffer *buffer = stock->free;
	if (LIKELY(buffer != NULL)) {
		stock->free = buffer->next_free;
		stock->free_count--;
		__builtin_prefetch(stock->free, 1); /* the next one */
	} else {
		buffer = buffers_alloc(buffers, stock->bytes);
		if (buffer == NULL) return NULL;
	}
	stock->taken++;
	return buffer;
}

void buffers_give(struct buffers *buffers, struct buffer_stock *stock, void *memory) {
	struct buffer *buffer = memory;
	SNUG_ASSERT(stock->taken > 0);
	stock->taken--;
	if (UNLIKELY(stock->free_count >= stock->keep)) {
		buffers_free(buffers, buffer, stock->bytes);
		return;
	}
	buffer->next_free = stock->free;
	stock->free = buffer;
	stock->free_count++;
}

uint32_t buffers_left(const struct buffer_stock *stock, uint32_t held) {
	uint32_t left = stock->shared_max > stock->taken ? stock->shared_max - stock->taken : 0;
	if (LIKELY(left > held)) return left - held;
	return held == 0 && stock->taken < stock->taken_max ? 1 : 0;
}

bool buffers_prepare(struct buffers *buffers, struct buffer_stock *stock, uint32_t count) {
	if (UNLIKELY(stock->taken_max - stock->taken < count)) return false;
	while (UNLIKELY(stock->free_count < count)) {
		struct buffer *buffer = buffers_alloc(buffers, stock->bytes);
		if (buffer == NULL) return false;
		buffer->next_free = stock->free;
		stock->free = buffer;
		stock->free_count++;
	}
	return true;
}

static void drop_free(struct buffers *buffers, struct buffer_stock *stock) {
	while (stock->free != NULL) {
		struct buffer *buffer = stock->free;
		stock->free = buffer->next_free;
		buffers_free(buffers, buffer, stock->bytes);
	}
}

void buffers_deinit(struct buffers *buffers) {
	SNUG_ASSERT(buffers->blocks.taken == 0 && buffers->records.taken == 0);
	drop_free(buffers, &buffers->blocks);
	drop_free(buffers, &buffers->records);
	SNUG_ASSERT(buffers->held_bytes == 0);
}
