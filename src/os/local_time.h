/* os/local_time.h: the clock on the wall. */
#ifndef SNUG_OS_LOCAL_TIME_H
#define SNUG_OS_LOCAL_TIME_H

#include <stdint.h>

/* Seconds since 1970 (CLOCK_REALTIME): may be set forward and back. Any thread. */
int64_t os_wall_s(void);

/* What has passed of that second, in nanoseconds. Any thread. */
uint64_t os_wall_fraction_ns(void);

/* What local time is ahead of UTC at that moment, in seconds; 0 where nothing is known. Any thread, none of which changes TZ. */
int32_t os_local_offset_s(int64_t at_s);

#endif
