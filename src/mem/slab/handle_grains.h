/* mem/slab/handle_grains.h: the grains of the handle table, their headers and lists (law H4). What a
 * grain, an own list and a floor are: handles.h.
 *
 *   lists   [0]         [1]    ...   [7]          [8]                   [9]
 *           up to 1/8   to 2/8       nearly all   all are dead,         all are used up
 *           |                                     or used up            |
 *           v                                     v                     v
 *           gives its own list next               can go back to the OS
 *
 * A word of the header holds two numbers as a dead entry does: one where the link is, one where the
 * generation is. So the bit that says "live" is never set in a header, and a forged handle that
 * names one is refused like any other.
 *
 * COST. An entry that goes on its grain's own list takes some 25 instructions; one in 64 moves its
 * grain to another list. */
#ifndef SNUG_MEM_HANDLE_GRAINS_H
#define SNUG_MEM_HANDLE_GRAINS_H

#include "mem/slab/handles.h"

#define HANDLE_GRAIN_ENTRIES ((uint32_t)(METADATA_GRAIN / sizeof(uint64_t)))
#define HANDLE_GRAIN_HEADER 3u
#define HANDLE_GRAIN_USABLE (HANDLE_GRAIN_ENTRIES - HANDLE_GRAIN_HEADER)
/* As struct handle_grain has them: all entries are dead, or all are retired. */
#define HANDLE_LIST_EMPTY (HANDLE_LISTS - 1)
#define HANDLE_LIST_RETIRED HANDLE_LISTS
/* Grains that have a dead entry, or can go: bits of list_mask. */
#define HANDLE_MASK_DEAD ((1u << HANDLE_LIST_EMPTY) - 1)
#define HANDLE_MASK_EMPTY (3u << (HANDLE_LIST_EMPTY - 1))

#define FLOOR_COLD ((uint32_t)1 << 31) /* in floors: the grain is not committed */

/* A header, unpacked. */
struct handle_grain {
	uint32_t next; /* grain number + 1; 0: none */
	uint32_t previous;
	uint32_t head;    /* of the own list: index + 1; 0: none */
	uint32_t list;    /* + 1; 0: on none */
	uint32_t dead;    /* entries on the own list */
	uint32_t retired; /* entries whose generations are used up */
};

/* Entries on the near list. */
static inline uint32_t handles_near(const struct handle_table *table) {
	return NEAR_MAX - table->near_room;
}

/* Live handles. */
static inline uint32_t handles_live(const struct handle_table *table) {
	return table->out_count - handles_near(table);
}

static inline uint32_t handle_grain_count(const struct handle_table *table) {
	return table->count / HANDLE_GRAIN_ENTRIES;
}

static inline uint64_t *handle_grain_at(const struct handle_table *table, uint32_t number) {
	return table->entries + (size_t)number * HANDLE_GRAIN_ENTRIES;
}

static inline struct handle_grain handle_grain_read(const struct handle_table *table,
													uint32_t number) {
	const uint64_t *words = handle_grain_at(table, number);
	return (struct handle_grain){
		.next = (uint32_t)words[0],
		.previous = (uint32_t)words[1],
		.head = (uint32_t)words[2],
		.list = (uint32_t)(words[0] >> ENTRY_GENERATION_SHIFT),
		.dead = (uint32_t)(words[1] >> ENTRY_GENERATION_SHIFT),
		.retired = (uint32_t)(words[2] >> ENTRY_GENERATION_SHIFT),
	};
}

static inline void handle_grain_write(struct handle_table *table, uint32_t number,
									  struct handle_grain grain) {
	uint64_t *words = handle_grain_at(table, number);
	words[0] = (uint64_t)grain.list << ENTRY_GENERATION_SHIFT | grain.next;
	words[1] = (uint64_t)grain.dead << ENTRY_GENERATION_SHIFT | grain.previous;
	words[2] = (uint64_t)grain.retired << ENTRY_GENERATION_SHIFT | grain.head;
}

/* Grains that floors do not cover are warm. */
static inline bool handle_grain_is_cold(const struct handle_table *table, uint32_t number) {
	return number < table->floors_range.committed_bytes / sizeof(uint32_t) &&
		   (table->floors[number] & FLOOR_COLD) != 0;
}

static inline uint32_t handle_grain_floor(const struct handle_table *table, uint32_t number) {
	return table->floors[number] & ~FLOOR_COLD;
}

/* An entry that may be read, and is no part of a header. */
static inline bool handle_is_entry(const struct handle_table *table, uint64_t index) {
	return index < table->count && index % HANDLE_GRAIN_ENTRIES >= HANDLE_GRAIN_HEADER &&
		   !handle_grain_is_cold(table, (uint32_t)index / HANDLE_GRAIN_ENTRIES);
}

/* On which list a grain belongs, + 1: by how many entries it has dead; 0: none is. */
uint32_t handle_grain_list(const struct handle_table *table, const struct handle_grain *grain);

/* Takes the grain off its list. The header is written by the caller. */
void handle_grain_unlist(struct handle_table *table, struct handle_grain *grain);

/* Puts the grain where its counts say it belongs, and writes its header. */
void handle_grain_relist(struct handle_table *table, uint32_t number, struct handle_grain *grain);

/* A dead entry that is on no list goes on its grain's own. One above GENERATION_MAX is retired. */
void handle_grain_give(struct handle_table *table, uint32_t index, uint64_t generation);

/* An entry of the near list goes on its grain's own: the first, or the one behind it. There is
 * one. */
void handle_grain_give_near(struct handle_table *table, bool keep_first);

/* The near list, which is empty, takes over the own list of the grain. */
void handle_grain_take(struct handle_table *table, uint32_t number);

#endif
