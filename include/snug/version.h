/* snug/version.h: the version of these headers and of the library that is linked.
 *
 *     #if SNUG_VERSION < SNUG_VERSION_OF(0, 1, 0)                      // what the program is compiled with
 *     #error "snug 0.1.0 or newer is needed"
 *     #endif
 *     if (snug_version_number() < SNUG_VERSION) return 1;              // what it runs with
 *     printf("compiled with snug %s, runs with %s\n", SNUG_VERSION_TEXT, snug_version());
 *
 * The three numbers are those of the build (meson.build), which a test compares; all else here is
 * made of them.
 *
 * WHAT MAY GROW. A program goes on working with a newer library, without being compiled again.
 *
 * - A struct that you give (options, a request) begins with struct_bytes and grows at its end: a
 *   new member lies behind the old size, never in the padding before it. In C and C++ begin with
 *   snug_X_default(), in other languages with snug_X_init(address, size). A static table may say
 *   .struct_bytes = sizeof(snug_X) where zero is the default of the rest. Members that your headers
 *   do not know have their defaults, which mean "as before". Members that the library does not know
 *   must be zero, or the answer is SNUG_ERROR_VERSION; so it is if the struct was not initialised.
 * - Where such a struct contains another one, that is its last member, and its own new members come
 *   out of `reserved`, which must be zero.
 * - A struct that the library writes (statistics, reports, entries) keeps its size, for it is part
 *   of others and an element of arrays. New figures come out of `reserved`, which is zero. Tables
 *   of functions (snug_os, snug_worker_hook) keep their size in the same way.
 * - What is given or told with every object keeps its size and its members: snug_alloc_options,
 *   snug_attributes, snug_key, snug_item, snug_lease, snug_extent, snug_object, snug_operation,
 *   snug_result; and snug_log, snug_owner, snug_check_result, snug_histogram.
 * - Enumerations grow at their end. */
#ifndef SNUG_VERSION_H
#define SNUG_VERSION_H

#include <snug/platform.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNUG_VERSION_MAJOR 0
#define SNUG_VERSION_MINOR 1
#define SNUG_VERSION_PATCH 0

/* As one number, to be compared: 0.1.0 is 1000, 2.3.4 is 2003004. */
#define SNUG_VERSION_OF(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
#define SNUG_VERSION SNUG_VERSION_OF(SNUG_VERSION_MAJOR, SNUG_VERSION_MINOR, SNUG_VERSION_PATCH)

/* As text: "0.1.0". */
#define SNUG_VERSION_QUOTE_(major, minor, patch) #major "." #minor "." #patch
#define SNUG_VERSION_QUOTE(major, minor, patch) SNUG_VERSION_QUOTE_(major, minor, patch)
#define SNUG_VERSION_TEXT \
	SNUG_VERSION_QUOTE(SNUG_VERSION_MAJOR, SNUG_VERSION_MINOR, SNUG_VERSION_PATCH)

/* The same of the library that is linked. Any thread. */
uint32_t snug_version_number(void);
const char *snug_version(void);

#ifdef __cplusplus
}
#endif
#endif
