/* server/buffers/buffers.c: see server/buffers/buffers.h.
 *
 * RECORDS. A quarter of the budget at most are those that are shared, and as many again are for who
 * has none, one each. So those who never give theirs back leave some, and whoever comes gets one
 * command through. A connection that holds n may take more while more than n of the shared ones are
 * left.
 *
 * INPUT above a chunk is rare: what was on its way when its connection was paused. It is borrowed
 * from the budget as so many chunks, and lies in malloc's memory. */
#include "server/buffers/buffers.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdlib.h>

#define RECORDS_SHARE 4u /* of the budget, at most, are the records that are shared */
#define RECORDS_MIN 16u
#define COMMAND_BLOCKS 3u /* a head, a value that is copied, a line's end */

/* What waits for others must not take what the answers need. */
static uint32_t shared_records_of(uint64_t bytes, uint32_t records_max) {
	uint64_t records = bytes / RECORDS_SHARE / RECORD_BYTES;
	return records < RECORDS_MIN       ? RECORDS_MIN
		   : records > records_max / 2 ? records_max / 2
									   : (uint32_t)records;
}

snug_error buffers_init(struct buffers *buffers, uint64_t bytes, uint32_t records_max) {
	uint32_t shared = shared_records_of(bytes, records_max);
	buffers->records = (struct record_stock){.taken_max = 2 * shared, .shared_max = shared};
	return connection_memory_init(&buffers->memory, bytes);
}

void buffers_deinit(struct buffers *buffers) {
	SNUG_ASSERT(buffers->records.taken == 0);
	SNUG_ASSERT(connection_memory_check(&buffers->memory) == NULL);
	connection_memory_deinit(&buffers->memory);
}

void *buffers_take_record(struct buffers *buffers, enum cell_right right) {
	if (buffers->records.taken == buffers->records.taken_max) return NULL;
	void *record = connection_cell_take(&buffers->memory, CELL_RECORD, right);
	if (record != NULL) buffers->records.taken++;
	return record;
}

void buffers_give_record(struct buffers *buffers, void *record) {
	SNUG_ASSERT(buffers->records.taken > 0);
	buffers->records.taken--;
	connection_cell_give(&buffers->memory, CELL_RECORD, record);
}

uint32_t buffers_left(const struct record_stock *records, uint32_t held) {
	uint32_t left = records->shared_max > records->taken ? records->shared_max - records->taken : 0;
	if (LIKELY(left > held)) return left - held;
	return held == 0 && records->taken < records->taken_max ? 1 : 0;
}

bool buffers_are_there(const struct buffers *buffers, uint32_t commands, enum cell_right right) {
	return buffers->records.taken_max - buffers->records.taken >= commands &&
		   cells_are_there(&buffers->memory, commands, commands * COMMAND_BLOCKS, right);
}

/* The smallest that does: cells are in the order of their sizes. */
static enum cell_kind input_kind(uint32_t bytes) {
	uint32_t kind = CELL_CONNECTION;
	while (kind < CELL_CHUNK && bytes > connection_cell_bytes((enum cell_kind)kind)) kind++;
	return (enum cell_kind)kind;
}

/* What was on its way when its connection was paused may be more than a chunk. Whole chunks, and no
 * more: the old room and the new one are there at the same time, and a small memory has no room
 * for twice as much. */
static void *take_large(struct buffers *buffers, uint32_t *bytes) {
	uint32_t room = *bytes > UINT32_MAX - CHUNK_BYTES
						? 0
						: (*bytes + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
	if (room < *bytes ||
		!connection_memory_borrow(&buffers->memory, room / CHUNK_BYTES, CELLS_SHARED))
		return NULL;
	void *input = malloc(room);
	if (input == NULL) {
		connection_memory_repay(&buffers->memory, room / CHUNK_BYTES);
		return NULL;
	}
	*bytes = room;
	return input;
}

void *buffers_take_input(struct buffers *buffers, uint32_t *bytes, enum cell_right right) {
	if (UNLIKELY(*bytes > CHUNK_BYTES)) return take_large(buffers, bytes);
	enum cell_kind kind = input_kind(*bytes);
	void *input = connection_cell_take(&buffers->memory, kind, right);
	if (input != NULL) *bytes = connection_cell_bytes(kind);
	return input;
}

void buffers_give_input(struct buffers *buffers, void *input, uint32_t bytes) {
	if (UNLIKELY(bytes > CHUNK_BYTES)) {
		free(input);
		connection_memory_repay(&buffers->memory, bytes / CHUNK_BYTES);
		return;
	}
	connection_cell_give(&buffers->memory, input_kind(bytes), input);
}

uint64_t buffers_held_bytes(const struct buffers *buffers) {
	return connection_memory_used(&buffers->memory);
}

uint64_t buffers_limit_bytes(const struct buffers *buffers) {
	return (uint64_t)buffers->memory.chunk_count * CHUNK_BYTES;
}
