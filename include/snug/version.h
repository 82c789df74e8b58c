/* snug/version.h: the version of these headers and of the library that is linked. */
#ifndef SNUG_VERSION_H
#define SNUG_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define SNUG_VERSION_MAJOR 0
#define SNUG_VERSION_MINOR 1
#define SNUG_VERSION_PATCH 0
#define SNUG_VERSION_TEXT "0.1.0"

/* The linked library's version, such as "0.1.0". Any thread. */
const char *snug_version(void);

#ifdef __cplusplus
}
#endif
#endif
