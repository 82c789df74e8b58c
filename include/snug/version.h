/* snug/version.h: the version of these headers and of the library that is linked.
 *
 *     #if SNUG_VERSION < SNUG_VERSION_OF(0, 1, 0)                      // what the program is compiled with
 *     #error "snug 0.1.0 or newer is needed"
 *     #endif
 *     if (snug_version_number() < SNUG_VERSION) return 1;              // what it runs with
 *     printf("compiled with snug %s, runs with %s\n", SNUG_VERSION_TEXT, snug_version());
 *
 * The three numbers are those of the build (meson.build), which a test compares; all else here is made of them. */
#ifndef SNUG_VERSION_H
#define SNUG_VERSION_H

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
#define SNUG_VERSION_TEXT SNUG_VERSION_QUOTE(SNUG_VERSION_MAJOR, SNUG_VERSION_MINOR, SNUG_VERSION_PATCH)

/* The same of the library that is linked. Any thread. */
uint32_t snug_version_number(void);
const char *snug_version(void);

#ifdef __cplusplus
}
#endif
#endif
