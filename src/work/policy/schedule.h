/* work/policy/schedule.h: when a schedule's runs begin and end. Pure functions: the clock is the
 * caller's. */
#ifndef SNUG_WORK_SCHEDULE_H
#define SNUG_WORK_SCHEDULE_H

#include <snug/coordinator.h>
#include <stdbool.h>
#include <stdint.h>

/* The clock on the wall: what local time is ahead of UTC, for any moment. */
struct wall_clock {
	void *context;
	int64_t (*now_s)(void *context); /* seconds since 1970 */
	int32_t (*offset_s)(void *context, int64_t at_s);
};

/* A window's occurrence: [begin, end) in seconds since 1970. */
struct occurrence {
	int64_t begin_s;
	int64_t end_s;
};

/* SCHEDULE: neither windows nor an interval, or both; too many windows; a window that is empty,
 * beyond the day or overlaps another one; an interval shorter than SNUG_INTERVAL_MIN_NS. OPTION:
 * target_fragmentation_ppm of a million or more. */
snug_error schedule_check(const snug_schedule *schedule);

/* The occurrence that `now_s` lies in (begin_s is then now_s: what was before does not matter), or
 * the next one. False: none within three days. */
bool schedule_occurrence(const snug_schedule *schedule, const struct wall_clock *clock,
						 int64_t now_s, struct occurrence *out);

/* The first moment after now_ns on the grid first_ns, first_ns + interval_ns, ... */
uint64_t schedule_next_ns(uint64_t first_ns, uint64_t interval_ns, uint64_t now_ns);

#endif
