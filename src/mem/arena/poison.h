/* mem/arena/poison.h: helps the sanitizers and the debugger. Memory that holds no object is poisoned for AddressSanitizer, and in
 * debug builds filled with a pattern, so that a stale address shows itself at once. Nothing in release builds. */
#ifndef SNUG_MEM_POISON_H
#define SNUG_MEM_POISON_H

#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ASAN 1
#endif
#endif

#ifdef POISON_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define FREED_PATTERN 0xDF
#define FRESH_PATTERN 0xCA

static inline void unpoison(void *address, size_t bytes) {
#ifdef POISON_ASAN
	__asan_unpoison_memory_region(address, bytes);
#else
	(void)address, (void)bytes;
#endif
}

/* The bytes of a page that belongs to no slab. Not filled: that would make cold pages resident. */
static inline void poison_free(void *address, size_t bytes) {
#ifdef POISON_ASAN
	__asan_poison_memory_region(address, bytes);
#else
	(void)address, (void)bytes;
#endif
}

/* A slot that was freed or left by a move. */
static inline void poison_slot(void *address, size_t bytes) {
#ifdef SNUG_DEBUG
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
