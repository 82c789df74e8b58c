/* mem/arena/arena.h: pages of one size out of one reservation.
 *
 * A page that nobody uses is in one of three places, and law A3 says in exactly one:
 *
 *   stacked   freed lately, warm; taken first (LIFO)
 *   free      a bit in its region: coalesced with its neighbours into runs; taken from the fullest
 *             region, so that others drain
 *   cold      not committed; taken last, and only within the limit
 *
 *            commit (limit and OS are asked)           take
 *     COLD -------------------------------> FREE ----------------> in use: SLAB, VICTIM, TARGET
 *      ^                                    |  ^                        |       ^
 *      |  return: whole free regions,       |  | coalesce               | give  | take, first
 *      |  in an emergency any run;          |  |                        v       |
 *      +------------------------------------+  +--------------------- STACKED --+
 *         trade: one page, for metadata, a charge or a lower limit
 *
 * A region that is drained has its free pages handed out last, while mem/defragment/drain.h empties
 * its used ones.
 *
 * The room: limit.h, the one account that all of this is under; cells, small pieces of metadata;
 * poison.h, what a sanitizer is told.
 *
 * All operations are O(1) but coalescing (one bit a page) and returning (one call of the system for
 * each run; a region is 0.1 to 0.3 ms, so a step that has a time asks for 64 KiB at once). A page
 * freed anywhere serves any use, so above the page there is no fragmentation of addresses, and no
 * search for a fit. That is what one size buys; the price is that what is larger than a page lies in
 * fragments (mem/object/chain.h). */
#ifndef SNUG_MEM_ARENA_H
#define SNUG_MEM_ARENA_H

#include "mem/types.h"

/* Reserves the addresses. The descriptor and region ranges are already reserved. OS_MEMORY. */
snug_error arena_init(struct arena *arena, char *base, bool populate);
void arena_deinit(struct arena *arena);

/* A page without content, state PAGE_SLAB, on no list. NO_MEMORY (limit), OS_MEMORY. */
snug_error arena_take(struct arena *arena, page_number *out);
void arena_give(struct arena *arena, page_number page);

/* The same of a page of which it is known that it is committed, and has content: of a memory file. */
snug_error arena_adopt(struct arena *arena, page_number page);
/* And is cold all the same; its content is the caller's to drop. */
void arena_disown(struct arena *arena, page_number page);

/* Committed pages that nobody uses. */
static inline uint64_t arena_free_pages(const struct arena *arena) {
	return arena->free_pages + arena->stacked_pages;
}

/* Pages that arena_take could hand out without anything being freed. */
uint64_t arena_available_pages(const struct arena *arena);

/* Commits cold pages until so many are free, or the limit allows no more. OS_MEMORY: the OS refused
 * some of them. */
snug_error arena_warm(struct arena *arena, uint64_t pages);

/* Merges up to `most` stacked pages into runs; returns how many. */
uint32_t arena_coalesce(struct arena *arena, uint32_t most);

/* Returns a wholly free region to the OS, as far as `most_pages` go, run after run; the bytes it
 * gave, 0 if the OS refused. */
size_t arena_return_region(struct arena *arena, uint32_t number, uint64_t most_pages);

/* Returns a run of at most `most_pages` free pages of the emptiest region that has any; the bytes
 * it gave, 0 if no page is in a run or the OS refused. Only for what is wanted back now: the pages
 * come back one fault at a time, and where they are parts of huge pages, they must not go. */
size_t arena_return_run(struct arena *arena, uint64_t most_pages);

/* Sets a region's free pages aside, and puts them back in line. An allocation that finds no other
 * free page ends it too. */
void arena_drain_begin(struct arena *arena, uint32_t number);
void arena_drain_end(struct arena *arena);

/* Ends the draining of a region that cannot be emptied: it hands out its pages before all others,
 * and is not drained again in this round. */
void arena_drain_give_up(struct arena *arena);

/* Puts up to `most` regions that were given up in an earlier round back in line; true when all are.
 * A round begins by counting drain_round up, and gives nothing up before that. */
bool arena_drain_resume(struct arena *arena, uint32_t most);

/* The region that is drained next: the one with the fewest used pages, to a seventh, of those that
 * were not given up. Number + 1; 0: none. */
uint32_t arena_drain_choice(const struct arena *arena);

/* Gives descriptors behind the last page that is not cold back to the OS, of some regions; false if
 * there are none to give. */
bool arena_forget_cold(struct arena *arena);

/* Where nothing is in use: gives some of the free pages that lie behind the first `most_pages` back
 * to the OS; false if there are none, or the OS refuses. */
bool arena_return_behind(struct arena *arena, uint64_t most_pages);

/* Gives one free page back to the OS to make room under the limit. NO_MEMORY: none is free.
 * OS_MEMORY: the OS did not take it, and it is still free. */
snug_error arena_trade_page(struct arena *arena);

/* The same until `bytes` more are allowed. OS_MEMORY: no more pages would help, nor would moving or
 * evicting what is in them. */
snug_error arena_trade_for(struct arena *arena, size_t bytes, size_t allowed_bytes);

static inline uint32_t region_pages(const struct arena *arena) {
	return 1u << arena->region_shift;
}

static inline page_number page_in_region(const struct arena *arena, uint32_t region, uint32_t bit) {
	return (region << arena->region_shift) + bit + 1;
}

static inline uint32_t region_used_pages(const struct region *region) {
	return (uint32_t)region->page_count - region->free_pages - region->cold_pages;
}

static inline struct region *arena_region(const struct arena *arena, uint32_t number) {
	return (struct region *)arena->region_range.base + number;
}

/* Of a page that has become a slab of one slot, or is one no more: 1 or -1. */
void arena_count_whole(struct arena *arena, page_number page, int sign);

/* Any thread: whether such slabs take most of a region, touched or not. A guess, which may be late. */
bool arena_region_is_whole(const struct arena *arena, uint32_t number);

/* ------------------------------------------------------------------ metadata -------
 *
 * Each kind of metadata is an array at a fixed address inside the metadata reservation and is
 * committed in grains of 4 KiB as it grows (mem/arena/limit.h has the account). When metadata must
 * grow and the limit is reached while free pages are committed, free pages are traded for it one by
 * one. What it no longer needs goes back in grains, too: mem/slab/tables.h says when. */

/* Makes the first `bytes` of the range usable; they read as zeros when first used. For ranges that
 * are committed from their start. NO_MEMORY, OS_MEMORY. */
snug_error range_ensure(struct arena *arena, struct range *range, size_t bytes);

/* Gives what lies behind the first `bytes` back to the OS. A refusal is counted and changes
 * nothing. */
void range_shrink(struct arena *arena, struct range *range, size_t bytes);

/* The same for a piece anywhere in the range: `at_bytes` and `bytes` are whole grains. */
snug_error range_commit(struct arena *arena, struct range *range, size_t at_bytes, size_t bytes);
bool range_return(struct arena *arena, struct range *range, size_t at_bytes, size_t bytes);

#endif
