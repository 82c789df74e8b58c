/* slow_build.h: a build with ThreadSanitizer takes some ten times as long. There a test that only
 * repeats itself, so that a race has more chances, does a tenth of it: the tool sees the race where it
 * did no harm, too. */
#ifndef SNUG_TEST_SLOW_BUILD_H
#define SNUG_TEST_SLOW_BUILD_H

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define TEST_SLOWDOWN 10u
#endif
#elif defined __SANITIZE_THREAD__
#define TEST_SLOWDOWN 10u
#endif
#ifndef TEST_SLOWDOWN
#define TEST_SLOWDOWN 1u
#endif

#endif
