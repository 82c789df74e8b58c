/* mem/arena/limit.h: the one account of the limit (law A1).
 *
 *     limit_bytes >= account = committed pages + metadata + what the owner has charged
 *
 * It is checked when a page or a grain of metadata is committed, when the owner charges something,
 * and nowhere else. So allocating and freeing in pages that are there know nothing of it.
 *
 * `limit_goal_bytes` is what was asked for. The limit is above it only after it was lowered below
 * what is in use:
 *
 *     limit       ____
 *                     \___            follows the account down, and never up again
 *     account     ________\___
 *                             \_____
 *     goal        ------------------  here limit = goal, and all is as before
 *
 * Until then each page that becomes free goes back to the OS at once. As many as an allocation or a
 * charge waits for are kept until it has them; or, if it was refused, until another one has what it
 * waits for, or the next step of a defragmentation. If all of them went, an allocation that frees
 * pages for itself would have to free all down to the goal first.
 *
 * So a limit can be set at any time: what can be had at once is had, the rest follows, and nothing
 * grows in the meantime. */
#ifndef SNUG_MEM_LIMIT_H
#define SNUG_MEM_LIMIT_H

#include "base/assert.h"
#include "mem/types.h"

static inline size_t limit_account(const struct arena *arena) {
	return arena->committed_bytes + arena->metadata_bytes + arena->charged_bytes;
}

/* True when `bytes` more may be committed. */
static inline bool limit_allows(const struct arena *arena, size_t bytes) {
	return limit_account(arena) + bytes <= arena->limit_bytes;
}

static inline bool limit_is_exceeded(const struct arena *arena) {
	return arena->limit_bytes > arena->limit_goal_bytes;
}

/* Free pages that an allocation, or a charge, waits for. */
static inline void limit_keep(struct arena *arena, uint64_t pages) {
	if (arena->kept_pages < pages) arena->kept_pages = pages;
}

static inline void limit_keep_no_more(struct arena *arena) {
	arena->kept_pages = 0;
}

/* After the account has grown. */
static inline void limit_note_peak(struct arena *arena) {
	size_t now_bytes = limit_account(arena);
	SNUG_ASSERT(now_bytes <= arena->limit_bytes);
	if (now_bytes > arena->peak_bytes) arena->peak_bytes = now_bytes;
}

/* After the account has shrunk, or the goal has changed. */
static inline void limit_settle(struct arena *arena) {
	size_t now_bytes = limit_account(arena);
	arena->limit_bytes = now_bytes > arena->limit_goal_bytes ? now_bytes : arena->limit_goal_bytes;
}

#define LIMIT_PAGES_MIN 16u

static inline bool limit_is_workable(size_t limit_bytes, size_t page_bytes) {
	return limit_bytes >= SNUG_LIMIT_MIN_BYTES && limit_bytes / page_bytes >= LIMIT_PAGES_MIN;
}

/* object_max_bytes: the largest object that a heap without any other can hold under this limit.
 * What is larger could never fit; each size up to it fits an empty heap (limit.c). */
size_t limit_object_bytes(const snug_heap *heap, size_t limit_bytes);

/* The pages whose descriptors are counted for that object; an emptied heap keeps no more. */
uint64_t limit_pages_ever(const snug_heap *heap);

#endif
