/* os/local_time.h: the clock on the wall, and one that nobody sets but that counts the same
 * seconds.
 *
 *     os_wall_s        what the machine's clock says now: for dates, and for windows of the day
 *     os_epoch_s       what it said once, and what has passed since: for what is to last a while
 *
 * Expiry is counted by the second, so that setting the clock neither ends nor prolongs what was
 * stored. */
#ifndef SNUG_OS_LOCAL_TIME_H
#define SNUG_OS_LOCAL_TIME_H

#include <stdint.h>

/* Seconds since 1970 (CLOCK_REALTIME): may be set forward and back. Any thread. */
int64_t os_wall_s(void);

/* Seconds since 1970 by a clock that nobody sets: the clock on the wall as it was once, and what
 * has passed since. */
struct os_epoch {
	int64_t begun_s;
	uint64_t begun_ns; /* when that second began, by the clock that is asked later */
};

/* Any thread. `now_ns`: by os_now_ns, or another clock that nobody sets, by which it is asked from
 * then on. */
void os_epoch_begin(struct os_epoch *epoch, uint64_t now_ns);

static inline int64_t os_epoch_s(const struct os_epoch *epoch, uint64_t now_ns) {
	return epoch->begun_s + (int64_t)((now_ns - epoch->begun_ns) / UINT64_C(1000000000));
}

/* What local time is ahead of UTC at that moment, in seconds; 0 where nothing is known. Any thread,
 * none of which changes TZ. */
int32_t os_local_offset_s(int64_t at_s);

#endif
