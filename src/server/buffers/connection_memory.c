/* server/buffers/connection_memory.c: see server/buffers/connection_memory.h. What a chunk
 * is:
 *
 *     cold      free, and given back to the system
 *     warm      free, and resident
 *     partial   of one kind, with a free cell; the first of them serves the next one who asks
 *     full      of one kind; on no list
 *
 *     cold, warm --a cell is wanted, and no chunk of its kind has one--> partial <--> full
 *     partial --its last cell is given back--> warm --not needed for a second--> cold
 *
 * Lists hang together by numbers of chunks: a descriptor has 32 bytes, and free memory is never
 * touched for the sake of a list. Which cells are free is a bitmap, so the lowest is taken
 * first. */
#include "server/buffers/connection_memory.h"

#include "base/assert.h"
#include "base/bits.h"
#include "mem/arena/poison.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NO_CHUNK UINT32_MAX
#define LINE_BYTES 64u
#define TRIM_CHUNKS 8u    /* in one turn */
#define RESERVE_SHARE 16u /* of the budget */
/* records and blocks for what was begun; connections, and the input of who is known */
#define RESERVE_MIN 4u

static const uint32_t bytes_of[CELL_KINDS] = {CONNECTION_BYTES, RECORD_BYTES,    INPUT_8K_BYTES,
											  BLOCK_BYTES,      INPUT_21K_BYTES, INPUT_32K_BYTES,
											  CHUNK_BYTES};
static const uint32_t cells_of[CELL_KINDS] = {CHUNK_CELLS_MAX,
											  CHUNK_BYTES / RECORD_BYTES,
											  CHUNK_BYTES / INPUT_8K_BYTES,
											  CHUNK_BYTES / BLOCK_BYTES,
											  CHUNK_BYTES / INPUT_21K_BYTES,
											  CHUNK_BYTES / INPUT_32K_BYTES,
											  1};
_Static_assert(CHUNK_CELLS_MAX <= CHUNK_BYTES / CONNECTION_BYTES,
			   "a chunk holds as many as the bitmap has bits");

uint32_t connection_cell_bytes(enum cell_kind kind) {
	return bytes_of[kind];
}

/* ------------------------------------------------------------------ lists ------------------ */

static void push(struct connection_memory *memory, struct chunk_list *list, uint32_t number) {
	struct chunk *chunk = &memory->chunk[number];
	chunk->previous = NO_CHUNK;
	chunk->next = list->first;
	if (list->first != NO_CHUNK) memory->chunk[list->first].previous = number;
	list->first = number;
	list->count++;
}

static void drop(struct connection_memory *memory, struct chunk_list *list, uint32_t number) {
	struct chunk *chunk = &memory->chunk[number];
	if (chunk->next != NO_CHUNK) memory->chunk[chunk->next].previous = chunk->previous;
	if (chunk->previous != NO_CHUNK)
		memory->chunk[chunk->previous].next = chunk->next;
	else
		list->first = chunk->next;
	list->count--;
}

/* ------------------------------------------------------------------ begin, end ------------- */

snug_error connection_memory_init(struct connection_memory *memory, uint64_t bytes) {
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	SNUG_ASSERT(bytes >= CONNECTION_MEMORY_MIN_BYTES);
	*memory = (struct connection_memory){.chunk_count = (uint32_t)(bytes / CHUNK_BYTES)};
	memory->reserve_count = memory->chunk_count / RESERVE_SHARE;
	if (memory->reserve_count < RESERVE_MIN) memory->reserve_count = RESERVE_MIN;
	memory->warm.first = memory->cold.first = NO_CHUNK;
	for (uint32_t kind = 0; kind < CELL_KINDS; kind++) memory->partial[kind].first = NO_CHUNK;
	memory->chunk = calloc(memory->chunk_count, sizeof *memory->chunk);
	if (memory->chunk == NULL) return SNUG_ERROR_OS_MEMORY;
	size_t region_bytes = (size_t)memory->chunk_count * CHUNK_BYTES;
	void *region = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (region == MAP_FAILED) {
		free(memory->chunk);
		return SNUG_ERROR_OS_MEMORY;
	}
	/* A huge page would keep 2 MiB resident for one block. */
	(void)madvise(region, region_bytes, MADV_NOHUGEPAGE);
	memory->region = region;
	poison_free(region, region_bytes);
	for (uint32_t number = memory->chunk_count; number-- > 0;) push(memory, &memory->cold, number);
	return SNUG_OK;
}

void connection_memory_deinit(struct connection_memory *memory) {
	size_t region_bytes = (size_t)memory->chunk_count * CHUNK_BYTES;
	SNUG_ASSERT(memory->used_count == 0 && memory->outside_count == 0);
	unpoison(memory->region, region_bytes);
	(void)munmap(memory->region, region_bytes);
	free(memory->chunk);
}

/* ------------------------------------------------------------------ cells ------------------ */

static uint32_t free_chunks(const struct connection_memory *memory, enum cell_right right) {
	uint32_t count = memory->warm.count + memory->cold.count;
	count = count > memory->outside_count ? count - memory->outside_count : 0;
	uint32_t kept = right == CELLS_SHARED     ? memory->reserve_count
					: right == CELLS_RESERVED ? memory->reserve_count / 2
											  : 0;
	return count > kept ? count - kept : 0;
}

/* A free chunk becomes one of this kind. */
static bool cut_chunk(struct connection_memory *memory, enum cell_kind kind,
					  enum cell_right right) {
	if (UNLIKELY(free_chunks(memory, right) == 0)) return false;
	struct chunk_list *from = memory->warm.count > 0 ? &memory->warm : &memory->cold;
	uint32_t number = from->first;
	drop(memory, from, number);
	if (memory->warm.count < memory->warm_min) memory->warm_min = memory->warm.count;
	struct chunk *chunk = &memory->chunk[number];
	SNUG_ASSERT(chunk->free_count == 0);
	uint32_t cells = cells_of[kind];
	chunk->kind = (uint8_t)kind;
	chunk->free_count = (uint16_t)cells;
	for (uint32_t word = 0; word < CHUNK_CELLS_MAX / 64; word++, cells -= cells < 64 ? cells : 64)
		chunk->free[word] = cells >= 64 ? UINT64_MAX : (UINT64_C(1) << cells) - 1;
	push(memory, &memory->partial[kind], number);
	memory->free_cells[kind] += chunk->free_count;
	memory->used_count++;
	return true;
}

static char *cell_at(const struct connection_memory *memory, uint32_t chunk, enum cell_kind kind,
					 uint32_t cell) {
	return memory->region + (size_t)chunk * CHUNK_BYTES + (size_t)cell * bytes_of[kind];
}

/* The lines that are written at once, of the cell that is taken next. Of a record that are the head,
 * the request, and a small key and value: another worker has read them, so they would be waited for
 * one by one. */
static void prefetch_cell(const char *cell, enum cell_kind kind) {
	static const uint8_t record_lines[] = {1, 2, 3, 7, 8, 9, 10, 11};
	fetch_to_write(cell);
	if (kind != CELL_RECORD) return;
#pragma GCC unroll 8
	for (size_t i = 0; i < sizeof record_lines; i++)
		fetch_to_write(cell + record_lines[i] * LINE_BYTES);
}

void *connection_cell_take(struct connection_memory *memory, enum cell_kind kind,
						   enum cell_right right) {
	struct chunk_list *partial = &memory->partial[kind];
	if (UNLIKELY(partial->count == 0) && !cut_chunk(memory, kind, right)) return NULL;
	uint32_t number = partial->first;
	struct chunk *chunk = &memory->chunk[number];
	uint32_t word = 0;
	while (chunk->free[word] == 0) word++; /* free_count says that one is not */
	uint32_t cell = word * 64 + (uint32_t)__builtin_ctzll(chunk->free[word]);
	chunk->free[word] &= chunk->free[word] - 1;
	if (--chunk->free_count == 0)
		drop(memory, partial, number);
	else if (LIKELY(chunk->free[word] != 0))
		prefetch_cell(
			cell_at(memory, number, kind, word * 64 + (uint32_t)__builtin_ctzll(chunk->free[word])),
			kind);
	memory->free_cells[kind]--;
	memory->taken[kind]++;
	char *at = cell_at(memory, number, kind, cell);
	unpoison_slot(at, bytes_of[kind]);
	return at;
}

void connection_cell_give(struct connection_memory *memory, enum cell_kind kind, void *cell) {
	size_t offset = (size_t)((char *)cell - memory->region);
	uint32_t number = (uint32_t)(offset / CHUNK_BYTES),
			 at = (uint32_t)(offset % CHUNK_BYTES) / bytes_of[kind];
	struct chunk *chunk = &memory->chunk[number];
	SNUG_ASSERT(number < memory->chunk_count && chunk->kind == kind &&
				offset % CHUNK_BYTES % bytes_of[kind] == 0);
	SNUG_ASSERT((chunk->free[at / 64] >> at % 64 & 1) == 0);
	poison_slot(cell, bytes_of[kind]);
	chunk->free[at / 64] |= UINT64_C(1) << at % 64;
	if (chunk->free_count++ == 0) push(memory, &memory->partial[kind], number);
	memory->free_cells[kind]++;
	memory->taken[kind]--;
	if (LIKELY(chunk->free_count < cells_of[kind])) return;
	drop(memory, &memory->partial[kind], number);
	memory->free_cells[kind] -= chunk->free_count;
	chunk->free_count = 0;
	memory->used_count--;
	push(memory, &memory->warm, number);
}

static uint32_t chunks_for(const struct connection_memory *memory, enum cell_kind kind,
						   uint32_t cells) {
	if (LIKELY(memory->free_cells[kind] >= cells)) return 0;
	return (cells - memory->free_cells[kind] + cells_of[kind] - 1) / cells_of[kind];
}

bool cells_are_there(const struct connection_memory *memory, uint32_t records, uint32_t blocks,
					 enum cell_right right) {
	uint32_t chunks =
		chunks_for(memory, CELL_RECORD, records) + chunks_for(memory, CELL_BLOCK, blocks);
	return LIKELY(chunks == 0) || chunks <= free_chunks(memory, right);
}

bool connection_memory_borrow(struct connection_memory *memory, uint32_t chunks,
							  enum cell_right right) {
	if (free_chunks(memory, right) < chunks) return false;
	memory->outside_count += chunks;
	return true;
}

void connection_memory_repay(struct connection_memory *memory, uint32_t chunks) {
	SNUG_ASSERT(memory->outside_count >= chunks);
	memory->outside_count -= chunks;
}

bool connection_memory_is_short(const struct connection_memory *memory) {
	return UNLIKELY(free_chunks(memory, CELLS_LAST) < memory->reserve_count);
}

uint64_t connection_memory_left(const struct connection_memory *memory) {
	return (uint64_t)free_chunks(memory, CELLS_SHARED) * CHUNK_BYTES;
}

/* ------------------------------------------------------------------ back to the system ----- */

void connection_memory_tick(struct connection_memory *memory) {
	memory->trim_count = memory->warm_min;
	memory->warm_min = memory->warm.count;
}

bool connection_memory_trim(struct connection_memory *memory) {
	for (uint32_t i = 0; i < TRIM_CHUNKS && memory->trim_count > 0 && memory->warm.count > 0; i++) {
		uint32_t number = memory->warm.first;
		drop(memory, &memory->warm, number);
		/* Refused: it stays resident, and is as good as the others. */
		(void)madvise(memory->region + (size_t)number * CHUNK_BYTES, CHUNK_BYTES, MADV_DONTNEED);
		push(memory, &memory->cold, number);
		memory->trim_count--;
	}
	if (memory->warm.count < memory->warm_min) memory->warm_min = memory->warm.count;
	if (memory->warm.count == 0) memory->trim_count = 0;
	return memory->trim_count > 0;
}

/* ------------------------------------------------------------------ laws ------------------- */

static const char *check_kind(const struct connection_memory *memory, uint32_t kind,
							  uint32_t *used) {
	uint32_t listed = 0, free_cells = 0, number = memory->partial[kind].first;
	for (; number != NO_CHUNK && listed <= memory->chunk_count;
		 number = memory->chunk[number].next, listed++) {
		const struct chunk *chunk = &memory->chunk[number];
		uint32_t count = 0;
		for (uint32_t word = 0; word < CHUNK_CELLS_MAX / 64; word++)
			count += (uint32_t)__builtin_popcountll(chunk->free[word]);
		if (chunk->kind != kind || count != chunk->free_count || count == 0 ||
			count >= cells_of[kind])
			return "M1";
		free_cells += count;
	}
	if (listed != memory->partial[kind].count || free_cells != memory->free_cells[kind])
		return "M1";
	*used += (memory->taken[kind] + free_cells) / cells_of[kind];
	return (memory->taken[kind] + free_cells) % cells_of[kind] == 0 ? NULL : "M1";
}

const char *connection_memory_check(const struct connection_memory *memory) {
	uint32_t used = 0;
	for (uint32_t kind = 0; kind < CELL_KINDS; kind++) {
		const char *law = check_kind(memory, kind, &used);
		if (law != NULL) return law;
	}
	if (used != memory->used_count || used + memory->outside_count > memory->chunk_count)
		return "M2";
	return used + memory->warm.count + memory->cold.count == memory->chunk_count ? NULL : "M2";
}
