/* mem/arena/poison.h: what a sanitizer and a debugger are told.
 *
 *   build      a free slot         a fresh slot            a free page
 *   release    untouched           untouched               untouched
 *   debug      filled with 0xDF    filled with 0xCA        untouched
 *   ASan       poisoned            unpoisoned              poisoned
 *
 * So an address that was kept across a move shows itself at the next read. A free page is never
 * filled: that would make cold pages resident. Bitmaps beside the slots are what makes this
 * possible: nothing of the heap's own lies in a free slot. In release builds all of it is
 * nothing. */
#ifndef SNUG_MEM_POISON_H
#define SNUG_MEM_POISON_H

#include "base/assert.h"

#include <stddef.h>
#include <string.h>

#ifdef BUILD_POISONS
#include <sanitizer/asan_interface.h>
#endif

#define FREED_PATTERN 0xDF
#define FRESH_PATTERN 0xCA

static inline void unpoison(void *address, size_t bytes) {
#ifdef BUILD_POISONS
	__asan_unpoison_memory_region(address, bytes);
#else
	(void)address, (void)bytes;
#endif
}

/* The bytes of a page that belongs to no slab. Not filled: that would make cold pages resident. */
static inline void poison_free(void *address, size_t bytes) {
#ifdef BUILD_POISONS
	__asan_poison_memory_region(address, bytes);
#else
	(void)address, (void)bytes;
#endif
}

/* A slot that was freed or left by a move. Of one that is lent and empty only the trailer is not
 * poisoned yet. */
static inline void poison_slot(void *address, size_t bytes) {
#ifdef SNUG_DEBUG
	unpoison(address, bytes);
	memset(address, FREED_PATTERN, bytes);
#endif
	poison_free(address, bytes);
}

/* A slot that is handed out. */
static inline void unpoison_slot(void *address, size_t bytes) {
	unpoison(address, bytes);
#ifdef SNUG_DEBUG
	memset(address, FRESH_PATTERN, bytes);
#endif
}

#endif
