/* base/tsan.h: tells ThreadSanitizer of synchronization that it can't see, such as inline assembly; nothing in other builds.
 *
 * TSAN_RELEASE(address) before the publishing store, TSAN_ACQUIRE(address) after the load that saw it: what the one thread did
 * before is then known to have happened before what the other does after. They stand only where the machine's instructions
 * give the same order, and only for the threads that take part: a race of anything else stays visible. */
#ifndef SNUG_BASE_TSAN_H
#define SNUG_BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define SNUG_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SNUG_TSAN 1
#endif
#endif

#ifdef SNUG_TSAN

#include <sanitizer/tsan_interface.h>

#define TSAN_ACQUIRE(address) __tsan_acquire((void *)(address))
#define TSAN_RELEASE(address) __tsan_release((void *)(address))

#else

#define TSAN_ACQUIRE(address) ((void)sizeof(address))
#define TSAN_RELEASE(address) ((void)sizeof(address))

#endif
#endif
