/* server/buffers/connection_memory.h: what one worker's connections hold, apart from the items:
 * its share of --connection-memory.
 *
 *     region   [ chunk ][ chunk ][ chunk ] ...   64 KiB each, reserved once
 *     chunk    [cell][cell][cell] ...            of one kind; or free, and then warm or given back
 *                                                to the system
 *
 * Everything that a client makes the server hold lies in cells of a few sizes: connections,
 * records, blocks of output, and input, which takes the smallest that does. So nothing fragments: a
 * chunk whose cells are all free serves any kind again. Nothing is written into free cells; which
 * are free is a bitmap in the chunk's descriptor.
 *
 * Laws    M1  a chunk is free, or its cells are of one kind; its bitmap and its count agree
 *         M2  chunks in use are never more than the budget has; the last of them, the reserve, are
 *             for what was begun, and half of those for new connections, short commands, and the
 *             commands of known clients that wait
 *         M3  chunks that were not needed for a second go back to the system, a few in a turn
 *
 * Cost    a cell is taken or given in some ten instructions; no call of the system but for M3.
 * Tried   malloc for each buffer, charged to the items' memory while in use: the process kept 0.4
 *         to 1 times -m of pieces after a burst, and clients that did not read evicted the items of
 *         all others.
 *
 * Belongs to one worker. */
#ifndef SNUG_SERVER_CONNECTION_MEMORY_H
#define SNUG_SERVER_CONNECTION_MEMORY_H

#include <snug/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES 65536u
#define CHUNK_CELLS_MAX 128u

/* No power of two, which would put the heads of all cells into the same few sets of the processor's
 * cache (gets of 24 over two workers cost 1.05 times as much). Whole cache lines. */
#define CONNECTION_BYTES 448u
#define RECORD_BYTES 4032u /* of a record, its head included */
#define BLOCK_BYTES 16320u /* of a block, its head included */

/* Of input alone: an eighth, a third and half of a chunk. */
#define INPUT_8K_BYTES 8128u
#define INPUT_21K_BYTES 21824u
#define INPUT_32K_BYTES 32704u

enum cell_kind {
	CELL_CONNECTION,
	CELL_RECORD,
	CELL_INPUT_8K,
	CELL_BLOCK,
	CELL_INPUT_21K,
	CELL_INPUT_32K,
	CELL_CHUNK,
	CELL_KINDS
};

/* Who asks. */
enum cell_right {
	CELLS_SHARED,   /* not from the reserve */
	CELLS_RESERVED, /* not from its last half: for what was begun */
	CELLS_LAST      /* a new connection's, or for a short command, or of who is known and waits */
};

struct chunk {
	uint64_t free[CHUNK_CELLS_MAX / 64]; /* a bit for each cell */
	uint32_t next;                       /* of its kind with a free cell, or of the free ones */
	uint32_t previous;
	uint16_t free_count;
	uint8_t kind;
};

/* Chunks that hang together, by their numbers. */
struct chunk_list {
	uint32_t first;
	uint32_t count;
};

struct connection_memory {
	char *region;
	struct chunk *chunk;
	uint32_t chunk_count;   /* the budget */
	uint32_t reserve_count; /* of them */
	uint32_t used_count;
	/* as many as were taken elsewhere, by malloc; they count as used */
	uint32_t outside_count;
	struct chunk_list warm; /* free and resident */
	struct chunk_list cold; /* free and given back */
	/* the fewest warm ones since the last second began: not needed */
	uint32_t warm_min;
	uint32_t trim_count;                   /* to go back */
	struct chunk_list partial[CELL_KINDS]; /* with a free cell */
	uint32_t free_cells[CELL_KINDS];       /* in them */
	uint32_t taken[CELL_KINDS];
};

/* At least CONNECTION_MEMORY_MIN_BYTES. OS_MEMORY. */
#define CONNECTION_MEMORY_MIN_BYTES ((uint64_t)1 << 20)
SNUG_NODISCARD snug_error connection_memory_init(struct connection_memory *memory, uint64_t bytes);
/* All cells must have been given back. */
void connection_memory_deinit(struct connection_memory *memory);

/* Undefined content. NULL: the budget is used up. */
void *connection_cell_take(struct connection_memory *memory, enum cell_kind kind,
						   enum cell_right right);
void connection_cell_give(struct connection_memory *memory, enum cell_kind kind, void *cell);
uint32_t connection_cell_bytes(enum cell_kind kind);

/* True: so many records and blocks can be taken now. */
bool cells_are_there(const struct connection_memory *memory, uint32_t records, uint32_t blocks,
					 enum cell_right right);

/* Memory that is taken elsewhere counts as so many chunks. False: the budget is used up. */
SNUG_NODISCARD bool connection_memory_borrow(struct connection_memory *memory, uint32_t chunks,
											 enum cell_right right);
void connection_memory_repay(struct connection_memory *memory, uint32_t chunks);

/* Bytes of chunks in use, and of those that are left to CELLS_SHARED. */
static inline uint64_t connection_memory_used(const struct connection_memory *memory) {
	return (uint64_t)(memory->used_count + memory->outside_count) * CHUNK_BYTES;
}
uint64_t connection_memory_left(const struct connection_memory *memory);

/* True: the reserve is being used. */
bool connection_memory_is_short(const struct connection_memory *memory);

/* Once a second: what was not needed since the last time is to go back. */
void connection_memory_tick(struct connection_memory *memory);
/* Gives a few chunks back; tells whether there are more. */
bool connection_memory_trim(struct connection_memory *memory);

/* The number of the law that is broken, such as "M1"; NULL: none is. */
const char *connection_memory_check(const struct connection_memory *memory);

#endif
