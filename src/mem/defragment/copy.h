/* mem/defragment/copy.h: copying a slot.
 *
 *   from   |<-- 32 -->|<-- 32 -->|<-- 32 -->|..|
 *                                 |<-- 32 -->|        the last one overlaps the one before
 *
 * Most slots are 32 to 512 bytes, where the call and the dispatch of memcpy cost as much as the
 * copy. So up to 256 bytes go by whole vectors, inline, without a branch on the remainder. Below 32
 * and above 256 memcpy does it. A slot moves to another page, so the two never overlap. */
#ifndef SNUG_MEM_COPY_H
#define SNUG_MEM_COPY_H

#include <stddef.h>
#include <string.h>

#define COPY_INLINE_MAX 256u

static inline void copy_slot(char *restrict to, const char *restrict from, size_t bytes) {
	if (bytes < 32 || bytes > COPY_INLINE_MAX) {
		memcpy(to, from, bytes);
		return;
	}
	struct vector {
		char bytes[32];
	} vector;
	for (size_t at = 0; at + 32 < bytes; at += 32) {
		memcpy(&vector, from + at, 32);
		memcpy(to + at, &vector, 32);
	}
	memcpy(&vector, from + bytes - 32, 32);
	memcpy(to + bytes - 32, &vector, 32);
}

#endif
