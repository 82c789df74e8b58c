/* work/policy/schedule.c: windows on the clock on the wall, and intervals on a grid.
 *
 * A window is defined by what the clock on the wall shows: a moment is in it when its local minute
 * of the day is. So nothing needs to know what summer time is: a window of which the clock skips a
 * part is shorter that day, one that it skips wholly does not occur, one that it repeats occurs
 * twice.
 *
 *     clock     01:30   02:00 -> 03:00   03:30             set forward an hour
 *     window    [ 01:30 ........ 03:30 )                    lasts one hour that night
 *     window            [02:00, 03:00)                      does not occur that night
 *
 * To find a window's next edge, go as many minutes forward as the clock is away from it. If local
 * time is ahead of UTC by the same amount there, that was it. Else the clock was changed in
 * between: look for the change by bisection, stop at the edge if it comes before the change, and go
 * on from the change if not. That is some 17 looks at the table of time zones for each change, and
 * three without one. (mktime was rejected: for a local time that does not exist, or exists twice,
 * each C library answers something else.)
 *
 * An interval's runs are on the grid first, first + interval, ...: one that runs late does not
 * shift those after it. */
#include "work/policy/schedule.h"

#include "base/assert.h"

#define SECONDS_A_MINUTE 60
#define SECONDS_A_DAY 86400
#define LOOKS_MAX 16 /* edges and changes of the clock within three days */

static uint32_t minute_at(const struct wall_clock *clock, int64_t at_s) {
	int64_t local_s = at_s + clock->offset_s(clock->context, at_s);
	int64_t second = ((local_s % SECONDS_A_DAY) + SECONDS_A_DAY) % SECONDS_A_DAY;
	SNUG_ASSERT(second >= 0 && second < SECONDS_A_DAY);
	return (uint32_t)(second / SECONDS_A_MINUTE);
}

static bool window_holds(const snug_window *window, uint32_t minute) {
	if (window->from_minute < window->to_minute)
		return minute >= window->from_minute && minute < window->to_minute;
	return minute >= window->from_minute || minute < window->to_minute;
}

/* Windows don't overlap: at most one holds it. NULL: none. */
static const snug_window *window_at(const snug_schedule *schedule, uint32_t minute) {
	for (uint32_t index = 0; index < schedule->window_count; index++) {
		if (window_holds(&schedule->windows[index], minute)) return &schedule->windows[index];
	}
	return NULL;
}

/* ------------------------------------------------------------------ check ------------------ */

/* The end of the day and its beginning are one: from 0 to 1440 is a whole day, from 0 to 0
 * nothing. */
static bool window_is_sound(const snug_window *window) {
	return window->from_minute < SNUG_MINUTES_A_DAY && window->to_minute <= SNUG_MINUTES_A_DAY &&
		   window->from_minute != window->to_minute;
}

static bool windows_overlap(const snug_schedule *schedule) {
	for (uint32_t minute = 0; minute < SNUG_MINUTES_A_DAY; minute++) {
		uint32_t holders = 0;
		for (uint32_t index = 0; index < schedule->window_count; index++)
			holders += window_holds(&schedule->windows[index], minute);
		if (holders > 1) return true;
	}
	return false;
}

snug_error schedule_check(const snug_schedule *schedule) {
	if (schedule->target_fragmentation_ppm >= 1000000) return SNUG_ERROR_OPTION;
	if (schedule->window_count == 0)
		return schedule->interval_ns >= SNUG_INTERVAL_MIN_NS ? SNUG_OK : SNUG_ERROR_SCHEDULE;
	if (schedule->interval_ns != 0 || schedule->window_count > SNUG_WINDOWS_MAX)
		return SNUG_ERROR_SCHEDULE;
	for (uint32_t index = 0; index < schedule->window_count; index++) {
		if (!window_is_sound(&schedule->windows[index])) return SNUG_ERROR_SCHEDULE;
	}
	return windows_overlap(schedule) ? SNUG_ERROR_SCHEDULE : SNUG_OK;
}

/* ------------------------------------------------------------------ edges ------------------ */

/* The moment in (from_s, to_s] from which on the offset is that of to_s. */
static int64_t change_between(const struct wall_clock *clock, int64_t from_s, int64_t to_s) {
	int32_t after_s = clock->offset_s(clock->context, to_s);
	SNUG_ASSERT(from_s <= to_s);
	while (to_s - from_s > 1) {
		int64_t middle_s = from_s + (to_s - from_s) / 2;
		if (clock->offset_s(clock->context, middle_s) == after_s)
			to_s = middle_s;
		else
			from_s = middle_s;
	}
	return to_s;
}

/* Where the clock, at_s, will show the beginning of `minute` next (a whole day on, if it is that
 * now), or the change of the clock before that. */
static int64_t forward_to(const struct wall_clock *clock, int64_t at_s, uint32_t minute) {
	int32_t offset_s = clock->offset_s(clock->context, at_s);
	int64_t second = (((at_s + offset_s) % SECONDS_A_DAY) + SECONDS_A_DAY) % SECONDS_A_DAY;
	int64_t ahead_s = (int64_t)minute * SECONDS_A_MINUTE - second;
	if (ahead_s <= 0) ahead_s += SECONDS_A_DAY;
	SNUG_ASSERT(ahead_s > 0 && ahead_s <= SECONDS_A_DAY);
	int64_t edge_s = at_s + ahead_s;
	if (clock->offset_s(clock->context, edge_s) == offset_s) return edge_s;
	int64_t change_s = change_between(clock, at_s, edge_s);
	return change_s < edge_s ? change_s : edge_s;
}

/* The next moment at which the window in which the clock is may be another one, or none. */
static int64_t next_edge(const snug_schedule *schedule, const struct wall_clock *clock,
						 int64_t at_s) {
	const snug_window *window = window_at(schedule, minute_at(clock, at_s));
	if (window != NULL) return forward_to(clock, at_s, window->to_minute % SNUG_MINUTES_A_DAY);
	int64_t first_s = INT64_MAX;
	for (uint32_t index = 0; index < schedule->window_count; index++) {
		int64_t edge_s = forward_to(clock, at_s, schedule->windows[index].from_minute);
		if (edge_s < first_s) first_s = edge_s;
	}
	return first_s;
}

bool schedule_occurrence(const snug_schedule *schedule, const struct wall_clock *clock,
						 int64_t now_s, struct occurrence *out) {
	SNUG_ASSERT(schedule->window_count > 0);
	int64_t at_s = now_s;
	int looks = 0;
	const snug_window *window = window_at(schedule, minute_at(clock, at_s));
	for (; window == NULL; looks++) {
		if (looks == LOOKS_MAX) return false;
		at_s = next_edge(schedule, clock, at_s);
		window = window_at(schedule, minute_at(clock, at_s));
	}
	int64_t begin_s = at_s;
	uint32_t minute;
	do { /* once, but for a change of the clock that leads into the same window */
		at_s = next_edge(schedule, clock, at_s);
		minute = minute_at(clock, at_s);
	} while (++looks < LOOKS_MAX && minute != window->to_minute % SNUG_MINUTES_A_DAY &&
			 window_at(schedule, minute) == window);
	SNUG_ASSERT(begin_s >= now_s && at_s > begin_s);
	*out = (struct occurrence){begin_s, at_s};
	return true;
}

uint64_t schedule_next_ns(uint64_t first_ns, uint64_t interval_ns, uint64_t now_ns) {
	SNUG_ASSERT(interval_ns > 0);
	if (now_ns < first_ns) return first_ns;
	uint64_t intervals = (now_ns - first_ns) / interval_ns + 1;
	if (intervals > (UINT64_MAX - first_ns) / interval_ns) return UINT64_MAX;
	return first_ns + intervals * interval_ns;
}
