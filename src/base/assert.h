/* base/assert.h: what to do about a condition that should always hold. Three tiers, by cost and by
 * who must be protected.
 *
 * SNUG_GUARD   every build. A cheap test that stands before memory would be overwritten or read out
 *              of bounds. It is an expression, true when all is well; the caller answers an error,
 *              because a library does not end its host:
 *                  if (!SNUG_GUARD(slot < class->slots))
 *                      return SNUG_ERROR_CORRUPT;
 * SNUG_ASSERT  debug builds (SNUG_DEBUG=1). States what the code relies on. Writes condition, file
 *              and line to stderr and aborts. In release builds the condition is compiled but not
 *              evaluated, so it cannot rot and costs nothing; it must have no side effects.
 * snug_check   on demand (snug/stats.h). Walks everything and counts again. Too slow to be
 *              called by the library itself.
 *
 * A guard does not abort in debug builds either: the tests corrupt memory on purpose and expect the
 * error. */
#ifndef SNUG_BASE_ASSERT_H
#define SNUG_BASE_ASSERT_H

#include <stdbool.h>

/* Defined where AddressSanitizer is told of free memory. */
#if defined(__SANITIZE_ADDRESS__)
#define BUILD_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILD_POISONS 1
#endif
#endif

#define SNUG_GUARD(condition) ((bool)__builtin_expect(!!(condition), true))

#ifdef SNUG_DEBUG

#include <stdio.h>
#include <stdlib.h>

__attribute__((noreturn, cold)) static inline void assertion_failed(const char *condition,
																	const char *file, int line) {
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}

#define SNUG_ASSERT(condition) \
	((condition) ? (void)0 : assertion_failed(#condition, __FILE__, __LINE__))

#else

#define SNUG_ASSERT(condition) ((void)sizeof(!(condition)))

#endif
#endif
