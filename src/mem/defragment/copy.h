/* mem/defragment/copy.h: copying a slot. Most are 32 to 512 bytes, where the call and the dispatch of memcpy cost as much as the copy: so
 * whole vectors with an overlapping last one, inline. */
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
