/* test_schedule.c: when runs begin and end, as tables on a clock of the test's own, with and
 * without changes of the clock. */
#include "os/local_time.h"
#include "unit/cmocka_all.h"
#include "work/policy/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Local time is UTC before `change_s`, and `ahead_s` ahead of it from then on. */
struct zone {
	int64_t change_s;
	int32_t before_s;
	int32_t after_s;
};

static int32_t offset_in(void *context, int64_t at_s) {
	const struct zone *zone = context;
	return at_s < zone->change_s ? zone->before_s : zone->after_s;
}

#define DAY 86400
#define AT(day, hour, minute) ((int64_t)(day)*DAY + (hour)*3600 + (minute)*60)
#define M(hour, minute) ((uint16_t)((hour)*60 + (minute)))

static struct occurrence occurrence_of(const snug_schedule *schedule, struct zone *zone,
									   int64_t now_s) {
	struct wall_clock clock = {.context = zone, .offset_s = offset_in};
	struct occurrence out = {0, 0};
	assert_true(schedule_occurrence(schedule, &clock, now_s, &out));
	return out;
}

static snug_schedule one_window(uint16_t from, uint16_t to) {
	return (snug_schedule){.window_count = 1, .windows = {{from, to}}};
}

/* ------------------------------------------------------------------ windows ------------------- */

static void windows_without_changes(void **state) {
	(void)state;
	static const struct {
		uint16_t from, to;
		int64_t now, begin, end;
	} rows[] = {
		{M(2, 0), M(4, 0), AT(10, 0, 0), AT(10, 2, 0), AT(10, 4, 0)}, /* ahead */
		/* at its first second */
		{M(2, 0), M(4, 0), AT(10, 2, 0), AT(10, 2, 0), AT(10, 4, 0)},
		/* at its last one */
		{M(2, 0), M(4, 0), AT(10, 3, 59) + 59, AT(10, 3, 59) + 59, AT(10, 4, 0)},
		/* over: tomorrow */
		{M(2, 0), M(4, 0), AT(10, 4, 0), AT(11, 2, 0), AT(11, 4, 0)},
		/* across midnight */
		{M(22, 0), M(6, 0), AT(10, 12, 0), AT(10, 22, 0), AT(11, 6, 0)},
		{M(22, 0), M(6, 0), AT(10, 23, 59), AT(10, 23, 59), AT(11, 6, 0)},
		{M(22, 0), M(6, 0), AT(10, 0, 30), AT(10, 0, 30), AT(10, 6, 0)},
		/* to the end of the day */
		{M(22, 0), M(24, 0), AT(10, 23, 0), AT(10, 23, 0), AT(11, 0, 0)},
		{M(22, 0), M(0, 0), AT(10, 23, 0), AT(10, 23, 0), AT(11, 0, 0)}, /* the same */
		/* the whole day: once a day */
		{M(0, 0), M(24, 0), AT(10, 23, 0), AT(10, 23, 0), AT(11, 0, 0)},
		{M(0, 0), M(24, 0), AT(11, 0, 0), AT(11, 0, 0), AT(12, 0, 0)},
		{M(12, 0), M(12, 1), AT(10, 12, 1), AT(11, 12, 0), AT(11, 12, 1)}, /* a minute */
		{M(2, 0), M(4, 0), -AT(3, 20, 30), -AT(3, 20, 30), -AT(3, 20, 0)}, /* before 1970 */
	};
	struct zone utc = {0, 0, 0};
	struct zone behind = {0, -5 * 3600, -5 * 3600};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		snug_schedule schedule = one_window(rows[row].from, rows[row].to);
		assert_int_equal(schedule_check(&schedule), SNUG_OK);
		struct occurrence here = occurrence_of(&schedule, &utc, rows[row].now);
		struct occurrence there = occurrence_of(&schedule, &behind, rows[row].now + 5 * 3600);
		if (here.begin_s != rows[row].begin || here.end_s != rows[row].end)
			fail_msg("row %zu", row);
		if (there.begin_s != here.begin_s + 5 * 3600 || there.end_s != here.end_s + 5 * 3600)
			fail_msg("row %zu, five hours behind", row);
	}
}

static void the_nearest_of_several_windows(void **state) {
	(void)state;
	snug_schedule schedule = {
		.window_count = 3,
		.windows = {{M(20, 0), M(21, 0)}, {M(3, 0), M(4, 0)}, {M(4, 0), M(5, 0)}}};
	struct zone utc = {0, 0, 0};
	assert_int_equal(schedule_check(&schedule), SNUG_OK);
	assert_int_equal(occurrence_of(&schedule, &utc, AT(5, 1, 0)).begin_s, AT(5, 3, 0));
	struct occurrence first = occurrence_of(&schedule, &utc, AT(5, 3, 30));
	assert_int_equal(first.end_s, AT(5, 4, 0)); /* the touching one is another run */
	assert_int_equal(occurrence_of(&schedule, &utc, AT(5, 6, 0)).begin_s, AT(5, 20, 0));
}

/* Day 100: at 02:00 the clock goes to 03:00. In UTC that is AT(100, 1, 0) with local time an hour
 * ahead before. */
static void windows_when_the_clock_goes_forward(void **state) {
	(void)state;
	struct zone zone = {AT(100, 1, 0), 3600, 7200};
	snug_schedule whole = one_window(M(1, 0), M(4, 0)); /* loses an hour */
	struct occurrence out = occurrence_of(&whole, &zone, AT(99, 12, 0));
	assert_int_equal(out.begin_s, AT(100, 0, 0));
	assert_int_equal(out.end_s, AT(100, 2, 0));
	snug_schedule cut = one_window(M(2, 30), M(3, 30)); /* begins at 03:00 */
	out = occurrence_of(&cut, &zone, AT(99, 12, 0));
	assert_int_equal(out.begin_s, AT(100, 1, 0));
	assert_int_equal(out.end_s, AT(100, 1, 30));
	snug_schedule skipped = one_window(M(2, 10), M(2, 40)); /* does not occur: the next day's */
	out = occurrence_of(&skipped, &zone, AT(99, 12, 0));
	assert_int_equal(out.begin_s, AT(101, 0, 10));
	assert_int_equal(out.end_s, AT(101, 0, 40));
	snug_schedule before = one_window(M(1, 30), M(2, 0)); /* ends with the change */
	out = occurrence_of(&before, &zone, AT(99, 12, 0));
	assert_int_equal(out.begin_s, AT(100, 0, 30));
	assert_int_equal(out.end_s, AT(100, 1, 0));
	snug_schedule later = one_window(M(5, 0), M(6, 0)); /* after it */
	assert_int_equal(occurrence_of(&later, &zone, AT(99, 12, 0)).begin_s, AT(100, 3, 0));
}

/* Day 300: at 03:00 the clock goes back to 02:00: AT(300, 1, 0), two hours ahead before and one
 * after. */
static void windows_when_the_clock_goes_back(void **state) {
	(void)state;
	struct zone zone = {AT(300, 1, 0), 7200, 3600};
	snug_schedule whole = one_window(M(1, 0), M(4, 0)); /* gains an hour */
	struct occurrence out = occurrence_of(&whole, &zone, AT(299, 12, 0));
	assert_int_equal(out.begin_s, AT(299, 23, 0));
	assert_int_equal(out.end_s, AT(300, 3, 0));
	snug_schedule twice = one_window(M(2, 10), M(2, 40));
	out = occurrence_of(&twice, &zone, AT(299, 12, 0));
	assert_int_equal(out.begin_s, AT(300, 0, 10));
	assert_int_equal(out.end_s, AT(300, 0, 40));
	out = occurrence_of(&twice, &zone, out.end_s);
	assert_int_equal(out.begin_s, AT(300, 1, 10));
	assert_int_equal(out.end_s, AT(300, 1, 40));
}

/* Every minute of a year, twice changed, against the definition: in a window if and only if the
 * clock shows it. */
static void occurrences_are_what_the_clock_shows(void **state) {
	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	static const snug_window windows[] = {
		{M(2, 0), M(3, 0)}, {M(22, 30), M(1, 15)}, {M(1, 59), M(2, 1)}};
	struct wall_clock clock = {.offset_s = NULL};
	int32_t offsets = 0;
	for (size_t index = 0; index < sizeof windows / sizeof windows[0]; index++) {
		snug_schedule schedule = {.window_count = 1, .windows = {windows[index]}};
		struct zone zone = {0};
		clock.context = &zone;
		clock.offset_s = offset_in;
		for (int64_t day = 20520; day < 20520 + 365; day++) { /* 2026 */
			zone = (struct zone){0, os_local_offset_s(day * DAY), os_local_offset_s(day * DAY)};
			int32_t tomorrow_s = os_local_offset_s((day + 2) * DAY);
			if (tomorrow_s == zone.before_s) continue;
			offsets++;
			zone.after_s = tomorrow_s;
			for (zone.change_s = day * DAY; os_local_offset_s(zone.change_s) != tomorrow_s;)
				zone.change_s += 60;
			for (int64_t now_s = day * DAY; now_s < (day + 2) * DAY; now_s += 60) {
				int64_t local = ((now_s + offset_in(&zone, now_s)) % DAY) / 60;
				const snug_window *window = &windows[index];
				bool inside = window->from_minute < window->to_minute
								  ? local >= window->from_minute && local < window->to_minute
								  : local >= window->from_minute || local < window->to_minute;
				struct occurrence out;
				assert_true(schedule_occurrence(&schedule, &clock, now_s, &out));
				assert_int_equal(out.begin_s == now_s, inside);
				assert_true(out.begin_s >= now_s && out.end_s > out.begin_s);
			}
		}
	}
	/* two changes a year, each seen on two days, three windows */
	assert_int_equal(offsets, 3 * 2 * 2);
}

/* ------------------------------------------------------------------ check --------------------- */

static void schedules_that_make_no_sense(void **state) {
	(void)state;
	static const struct {
		snug_schedule schedule;
		snug_error error;
	} rows[] = {
		{{0}, SNUG_ERROR_SCHEDULE},
		{{.interval_ns = 1}, SNUG_ERROR_SCHEDULE},
		{{.interval_ns = SNUG_INTERVAL_MIN_NS - 1}, SNUG_ERROR_SCHEDULE},
		{{.interval_ns = SNUG_INTERVAL_MIN_NS}, SNUG_OK},
		{{.window_count = 1, .windows = {{60, 120}}, .interval_ns = 1000000000},
		 SNUG_ERROR_SCHEDULE},
		{{.window_count = 1, .windows = {{60, 60}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 1, .windows = {{0, 0}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 1, .windows = {{1440, 60}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 1, .windows = {{60, 1441}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 1, .windows = {{1439, 0}}}, SNUG_OK},
		{{.window_count = 1, .windows = {{0, 1440}}}, SNUG_OK},
		{{.window_count = SNUG_WINDOWS_MAX + 1, .windows = {{60, 120}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 2, .windows = {{60, 120}, {119, 130}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 2, .windows = {{1400, 120}, {100, 130}}}, SNUG_ERROR_SCHEDULE},
		{{.window_count = 2, .windows = {{60, 120}, {120, 130}}}, SNUG_OK},
		{{.target_fragmentation_ppm = 1000000, .interval_ns = SNUG_INTERVAL_MIN_NS},
		 SNUG_ERROR_OPTION},
		{{.target_fragmentation_ppm = 999999, .interval_ns = SNUG_INTERVAL_MIN_NS}, SNUG_OK},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		if (schedule_check(&rows[row].schedule) != rows[row].error) fail_msg("row %zu", row);
	}
}

static void intervals_keep_to_their_grid(void **state) {
	(void)state;
	assert_int_equal(schedule_next_ns(100, 10, 0), 100);
	assert_int_equal(schedule_next_ns(100, 10, 99), 100);
	assert_int_equal(schedule_next_ns(100, 10, 100), 110);
	assert_int_equal(schedule_next_ns(100, 10, 109), 110);
	assert_int_equal(schedule_next_ns(100, 10, 157), 160);
	assert_true(schedule_next_ns(100, UINT64_MAX, 200) == UINT64_MAX);
	assert_true(schedule_next_ns(0, UINT64_MAX / 2, UINT64_MAX - 1) == UINT64_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_without_changes),
		cmocka_unit_test(the_nearest_of_several_windows),
		cmocka_unit_test(windows_when_the_clock_goes_forward),
		cmocka_unit_test(windows_when_the_clock_goes_back),
		cmocka_unit_test(occurrences_are_what_the_clock_shows),
		cmocka_unit_test(schedules_that_make_no_sense),
		cmocka_unit_test(intervals_keep_to_their_grid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
