/* server/buffers/buffers.h: who among a worker's connections may take how much of its connection
 * memory.
 *
 *     records   [ shared by need: half ][ one each, for who has none: half ]
 *     input     cells up to a chunk; above that malloc, counted as so many chunks
 *
 * Nothing is taken from the items. Belongs to one worker.
 *
 * Beside it in this room: connection_memory, the cells themselves. */
#ifndef SNUG_SERVER_BUFFERS_H
#define SNUG_SERVER_BUFFERS_H

#include "server/buffers/connection_memory.h"

struct record_stock {
	uint32_t taken;
	uint32_t taken_max;
	uint32_t shared_max; /* as many are shared by need; those beyond are for who has none */
};

struct buffers {
	struct connection_memory memory;
	struct record_stock records;
};

/* `records_max` records may be taken at a time, or fewer where the budget is low; half of them are
 * shared. OS_MEMORY. */
SNUG_NODISCARD snug_error buffers_init(struct buffers *buffers, uint64_t bytes,
									   uint32_t records_max);
/* All must have been given back. */
void buffers_deinit(struct buffers *buffers);

/* Undefined content. NULL: the budget is used up, or too many are taken. */
void *buffers_take_record(struct buffers *buffers, enum cell_right right);
void buffers_give_record(struct buffers *buffers, void *record);

/* How many who holds `held` may take besides: together no more than are left to all others, so that
 * those who never give theirs back leave some; and one, if he holds none, as long as there are
 * any. */
uint32_t buffers_left(const struct record_stock *records, uint32_t held);

/* True: so many commands can be carried out and answered: a record for each, and blocks for the
 * longest answer that is copied. */
bool buffers_are_there(const struct buffers *buffers, uint32_t commands, enum cell_right right);

/* Room for at least `*bytes` of input; tells how much. NULL: the budget is used up. */
void *buffers_take_input(struct buffers *buffers, uint32_t *bytes, enum cell_right right);
void buffers_give_input(struct buffers *buffers, void *input, uint32_t bytes);

/* Bytes that connections hold now, and that all of them may hold. */
uint64_t buffers_held_bytes(const struct buffers *buffers);
uint64_t buffers_limit_bytes(const struct buffers *buffers);

#endif
