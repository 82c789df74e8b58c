/* os/linux_local_time.c: os/local_time.h with the C library's table of time zones. */
#include "os/local_time.h"

#include <time.h>

int64_t os_wall_s(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

uint64_t os_wall_fraction_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_nsec;
}

/* localtime_r need not look at TZ by itself; tzset does. */
int32_t os_local_offset_s(int64_t at_s) {
	time_t at = (time_t)at_s;
	struct tm local;
	tzset();
	return localtime_r(&at, &local) != NULL ? (int32_t)local.tm_gmtoff : 0;
}
