/* server/connection/buffers.h: the memory that connections use: blocks for bytes on their way out, records for answers that are not there yet, and
 * whatever size for input that is not whole yet. All of it is charged to the shard, which evicts for it if need be: so it counts towards the
 * limit. Some free blocks and records are kept, warm ones first. Belongs to one worker. */
#ifndef SNUG_SERVER_BUFFERS_H
#define SNUG_SERVER_BUFFERS_H

#include <snug/shard.h>

#define BUFFER_BYTES 16384u /* of a block, its head included */
#define RECORD_BYTES 4096u  /* of a record, its head included */

struct buffer {
	struct buffer *next_free;
};

struct buffer_stock {
	struct buffer *free;
	uint32_t free_count;
	uint32_t keep; /* free ones at most; those beyond go back */
	uint32_t bytes;
	uint32_t taken;
	uint32_t taken_max;
	uint32_t shared_max; /* as many are shared by need; those beyond are for who has none */
};

struct buffers {
	snug_shard *shard;
	uint64_t held_bytes; /* charged now, free ones included */
	struct buffer_stock blocks;
	struct buffer_stock records;
};

/* `records_max` records may be taken at a time, or fewer where the limit is low; half of them are shared. */
void buffers_init(struct buffers *buffers, snug_shard *shard, uint64_t limit_bytes, uint32_t records_max);
/* All must have been given back. */
void buffers_deinit(struct buffers *buffers);

/* Undefined content. NULL: no memory, or too many. */
void *buffers_take(struct buffers *buffers, struct buffer_stock *stock);
void buffers_give(struct buffers *buffers, struct buffer_stock *stock, void *memory);

/* How many who holds `held` may take besides: together no more than are left to all others, so that those who never give theirs back leave some; and one,
 * if he holds none, as long as there are any. */
uint32_t buffers_left(const struct buffer_stock *stock, uint32_t held);

/* True when `count` can be taken without taking memory, which moves and evicts items. */
bool buffers_prepare(struct buffers *buffers, struct buffer_stock *stock, uint32_t count);

/* Any size. NULL: no memory. */
void *buffers_alloc(struct buffers *buffers, size_t bytes);
void buffers_free(struct buffers *buffers, void *memory, size_t bytes);

#endif
