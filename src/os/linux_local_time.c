/* os/linux_local_time.c: os/local_time.h with the C library's table of time zones. What local time
 * is ahead of UTC is asked for a moment of UTC, which has one answer; the other way round has none,
 * or two, when clocks are changed (work/policy/schedule.c). */
#include "os/local_time.h"

#include <time.h>

int64_t os_wall_s(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* The seconds of both change together. */
void os_epoch_begin(struct os_epoch *epoch, uint64_t now_ns) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	*epoch = (struct os_epoch){.begun_s = now.tv_sec, .begun_ns = now_ns - (uint64_t)now.tv_nsec};
}

/* localtime_r need not look at TZ by itself; tzset does. */
int32_t os_local_offset_s(int64_t at_s) {
	time_t at = (time_t)at_s;
	struct tm local;
	tzset();
	return localtime_r(&at, &local) != NULL ? (int32_t)local.tm_gmtoff : 0;
}
