/* base/bits.h: counting bits, rounding, dividing, which way a branch mostly goes, and what is
 * written soon. Each is one or two instructions; none checks its argument beyond an assertion.
 *
 * What an argument must not be is said at each: the compiler's built-ins are undefined for a word
 * of 0, and rounding up may find no multiple in a size_t. Callers look before, where it can
 * happen. */
#ifndef SNUG_BASE_BITS_H
#define SNUG_BASE_BITS_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(condition) __builtin_expect(!!(condition), true)
#define UNLIKELY(condition) __builtin_expect(!!(condition), false)

/* The cache line at `at` is written soon, and another processor may have it. The compilers' built-in
 * fetches it for reading on x86-64, so that who writes waits once more; the instruction is one that
 * processors take since 2005. */
static inline void fetch_to_write(const void *at) {
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* The index of the lowest set bit. `word` is not 0. */
static inline uint32_t bit_lowest(uint64_t word) {
	SNUG_ASSERT(word != 0);
	return (uint32_t)__builtin_ctzll(word);
}

/* The index of the highest set bit, that is log2 rounded down. `word` is not 0. */
static inline uint32_t bit_highest(uint64_t word) {
	SNUG_ASSERT(word != 0);
	return 63u - (uint32_t)__builtin_clzll(word);
}

static inline uint32_t bit_count(uint64_t word) {
	return (uint32_t)__builtin_popcountll(word);
}

static inline bool is_power_of_two(size_t value) {
	return value != 0 && (value & (value - 1)) == 0;
}

/* The next multiple of `alignment` (a power of two) at or above `value`; 0 if there is none in a
 * size_t. */
static inline size_t round_up(size_t value, size_t alignment) {
	SNUG_ASSERT(is_power_of_two(alignment));
	return (value + (alignment - 1)) & ~(alignment - 1);
}

static inline size_t round_down(size_t value, size_t alignment) {
	SNUG_ASSERT(is_power_of_two(alignment));
	return value & ~(alignment - 1);
}

/* value / divisor rounded up, without overflow. `divisor` is not 0. */
static inline size_t divide_up(size_t value, size_t divisor) {
	SNUG_ASSERT(divisor != 0);
	return value / divisor + (value % divisor != 0);
}

static inline uint64_t smaller(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

static inline uint64_t larger(uint64_t a, uint64_t b) {
	return a > b ? a : b;
}

#endif
