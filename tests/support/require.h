/* require.h: how the shared test helpers say that something is wrong.
 *
 * The helpers serve cmocka tests, where a failure ends the test, and fuzz targets, where it must
 * abort so that the fuzzer keeps the input. So they call `require_failed`, of which a program links
 * one of two: require_cmocka.c or require_abort.c. Before it ends, it prints the note that the
 * program set last: the seed and the number of the operation. */
#ifndef SNUG_TEST_REQUIRE_H
#define SNUG_TEST_REQUIRE_H

#include <snug/error.h>

/* Does not return (cmocka's way out is a longjmp). */
__attribute__((noreturn, format(printf, 3, 4))) void require_failed(const char *file, int line,
																	const char *format, ...);

/* What a failure prints besides its own text; keeps the pointer. NULL: nothing. */
void require_note(const char *note);

#define REQUIRE(condition, ...)                              \
	do {                                                     \
		if (!(condition)) {                                  \
			require_failed(__FILE__, __LINE__, __VA_ARGS__); \
		}                                                    \
	} while (0)

/* The call must answer exactly `expected`. */
#define REQUIRE_ERROR(expected, call)                                                           \
	do {                                                                                        \
		snug_error require_answer = (call);                                                     \
		snug_error require_expected = (expected);                                               \
		if (require_answer != require_expected) {                                               \
			require_failed(__FILE__, __LINE__, "%s answered %s, not %s", #call,                 \
						   snug_error_name(require_answer), snug_error_name(require_expected)); \
		}                                                                                       \
	} while (0)

#define REQUIRE_OK(call) REQUIRE_ERROR(SNUG_OK, call)

#endif
