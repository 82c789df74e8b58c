/* test_pressure.c: thresholds as tables, the kernel's files as texts, sound and not, and a machine
 * made of such texts. */
#include "unit/cmocka_all.h"
#include "work/coordinator/machine.h"

#include <stdio.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

static const snug_background thresholds = {true,   50000, 200000, 50000,  50000,  100000,
										   100000, 20000, 950000, 900000, 4 * MIB};

/* ------------------------------------------------------------------ texts --------------------- */

static void stalls_are_parsed(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int32_t ppm; /* -1: refused */
	} rows[] = {
		{"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=9.00 avg60=0.00 avg300=0.00 "
		 "total=0\n",
		 0},
		{"some avg10=1.25 avg60=0.00 avg300=0.00 total=0\n", 12500},
		{"full avg10=9.00 avg60=1.00\nsome avg10=100.00 avg60=0.00\n", 1000000},
		{"some avg10=100.01 avg60=0.00\n", -1},
		{"some avg10=1.5 avg60=0.00\n", -1},
		{"some avg10=1.500 avg60=0.00\n", -1},
		{"some avg10=.50 avg60=0.00\n", -1},
		{"some avg10= 1.50\n", -1},
		{"some avg10=-1.50\n", -1},
		{"some avg10=1,50\n", -1},
		{"some avg10=1.50x\n", -1},
		{"some avg10=99999999999999999999999.00\n", -1},
		{"some avg10=1.50", 15000},
		{"full avg10=1.50\n", -1},
		{"awesome avg10=1.50\n", -1},
		{"", -1},
		{"some avg10=", -1},
		{"some", -1},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		uint32_t ppm = 77;
		bool parsed = parse_stall(rows[row].text, &ppm);
		if (parsed != (rows[row].ppm >= 0)) fail_msg("row %zu", row);
		assert_int_equal(ppm, parsed ? rows[row].ppm : 77);
	}
}

static void cgroup_paths_are_parsed(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *path; /* NULL: refused */
	} rows[] = {
		{"0::/\n", "/"},
		{"0::/user.slice/a b\n", "/user.slice/a b"},
		{"9:memory:/x\n1:cpu:/\n0::/y", "/y"},
		{"9:memory:/x\n", NULL},
		{"10::/x\n", NULL},
		{"0::relative\n", NULL},
		{"0::/0123456789012345678901234567890\n", NULL}, /* no room */
		{"0::", NULL},
		{"", NULL},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		char path[32] = "as it was";
		bool parsed = parse_cgroup_path(rows[row].text, path, sizeof path);
		if (parsed != (rows[row].path != NULL)) fail_msg("row %zu", row);
		assert_string_equal(path, parsed ? rows[row].path : "as it was");
	}
}

static void cgroup_numbers_are_parsed(void **state) {
	(void)state;
	uint64_t bytes = 7;
	assert_true(parse_cgroup_bytes("4096\n", &bytes) && bytes == 4096);
	assert_true(parse_cgroup_bytes("0", &bytes) && bytes == 0);
	assert_true(parse_cgroup_bytes("max\n", &bytes) && bytes == CGROUP_NO_LIMIT);
	assert_true(parse_cgroup_bytes("18446744073709551615\n", &bytes) && bytes == UINT64_MAX);
	static const char *const bad[] = {
		"", "\n", "maximum\n", "-1\n", "12 34\n", "0x10\n", "18446744073709551616\n", " 1\n"};
	for (size_t row = 0; row < sizeof bad / sizeof bad[0]; row++) {
		bytes = 7;
		if (parse_cgroup_bytes(bad[row], &bytes) || bytes != 7) fail_msg("row %zu", row);
	}
	uint64_t events = 7;
	assert_true(parse_cgroup_events("low 9\nhigh 1\nmax 20\noom 300\noom_kill 5\n", &events) &&
				events == 321);
	static const char *const bad_events[] = {"", "high 1\nmax 2\n", "high 1\nmax x\noom 3\n",
											 "high1\nmax 2\noom 3\n"};
	for (size_t row = 0; row < sizeof bad_events / sizeof bad_events[0]; row++) {
		if (parse_cgroup_events(bad_events[row], &events)) fail_msg("events row %zu", row);
	}
}

/* ------------------------------------------------------------------ thresholds ---------------- */

static void the_machine_is_pressed_with_hysteresis(void **state) {
	(void)state;
	enum { UNKNOWN = -1 };
	static const struct {
		int32_t stall_ppm;
		int32_t cgroup_ppm; /* of a limit of a million bytes */
		uint64_t new_events;
		bool before, after;
	} rows[] = {
		{UNKNOWN, UNKNOWN, 0, false, false},
		{UNKNOWN, UNKNOWN, 0, true, false},
		{99999, UNKNOWN, 0, false, false},
		{100000, UNKNOWN, 0, false, true},
		{99999, UNKNOWN, 0, true, true},
		{20001, UNKNOWN, 0, true, true},
		{20000, UNKNOWN, 0, true, false},
		{20000, UNKNOWN, 0, false, false},
		{UNKNOWN, 949999, 0, false, false},
		{UNKNOWN, 950000, 0, false, true},
		{UNKNOWN, 900001, 0, true, true},
		{UNKNOWN, 900000, 0, true, false},
		{0, 950000, 0, false, true},
		{100000, 0, 0, false, true},
		{0, 900001, 0, true, true},
		{20001, 0, 0, true, true},
		{0, 0, 1, false, true},
		{0, 0, 1, true, true},
		{0, 0, 0, true, false},
		{UNKNOWN, 0, 1, false, true},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		struct machine_sample sample = {.limit_bytes = CGROUP_NO_LIMIT,
										.events = 5 + rows[row].new_events};
		sample.stall_known = rows[row].stall_ppm != UNKNOWN;
		sample.stall_ppm = sample.stall_known ? (uint32_t)rows[row].stall_ppm : 999999;
		sample.cgroup_known = sample.events_known = rows[row].cgroup_ppm != UNKNOWN;
		if (sample.cgroup_known) {
			sample.current_bytes = (uint64_t)rows[row].cgroup_ppm;
			sample.limit_bytes = 1000000;
		}
		if (machine_is_pressed(rows[row].before, &thresholds, &sample, 5) != rows[row].after)
			fail_msg("row %zu", row);
	}
	struct machine_sample unlimited = {
		.cgroup_known = true, .current_bytes = MIB, .limit_bytes = CGROUP_NO_LIMIT};
	assert_false(machine_is_pressed(false, &thresholds, &unlimited, 0));
	/* another cgroup now: its count began anew */
	struct machine_sample fewer = {.events_known = true, .events = 3};
	assert_false(machine_is_pressed(false, &thresholds, &fewer, 5));
}

static void cleanup_is_wanted_with_hysteresis(void **state) {
	(void)state;
	static const struct {
		uint64_t reclaimable_ppm, available_ppm; /* of 100 MiB of slabs, of a limit of 200 MiB */
		uint64_t free_mib;
		bool pressed, before, on, run;
	} rows[] = {
		{0, 500000, 0, false, false, false, false},
		{199999, 500000, 0, false, false, false, false},
		{200000, 500000, 0, false, false, true, true},
		{199999, 500000, 0, false, true, true, true},
		{50001, 500000, 0, false, true, true, true},
		{50000, 500000, 0, false, true, false, false},
		{60000, 50001, 0, false, false, false, false},
		{60000, 50000, 0, false, false, true, true},
		{40000, 50000, 0, false, false, true, true},
		{40000, 99999, 0, false, true, true, true},
		{40000, 100000, 0, false, true, false, false},
		{0, 10000, 0, false, false, true, false},    /* wanted, and nothing to gain: no run */
		{100, 10000, 0, false, false, true, false},  /* less than a page */
		{40000, 500000, 0, true, false, true, true}, /* pressure of the machine */
		/* free, but less than a unit beyond what is retained */
		{0, 500000, 5, true, false, true, false},
		{0, 500000, 6, true, false, true, true},    /* to return */
		{0, 500000, 6, false, false, false, false}, /* not without pressure */
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		snug_stats stats = {.limit_bytes = 200 * MIB,
							.page_bytes = 16384,
							.free_page_bytes = rows[row].free_mib * MIB};
		stats.total.slab_bytes = 100 * MIB;
		stats.total.reclaimable_bytes = (rows[row].reclaimable_ppm * 100 * MIB + 999999) / 1000000;
		if (rows[row].reclaimable_ppm % 10 == 9) stats.total.reclaimable_bytes--;
		if (rows[row].reclaimable_ppm % 50000 == 0)
			stats.total.reclaimable_bytes = rows[row].reclaimable_ppm * MIB / 10000;
		stats.available_bytes = (rows[row].available_ppm * 200 * MIB + 999999) / 1000000;
		struct cleanup_wish wish = cleanup_wish_of(rows[row].before, &thresholds, &stats,
												   rows[row].pressed, SNUG_NO_BUDGET);
		if (wish.on != rows[row].on || wish.run != rows[row].run)
			fail_msg("row %zu: %d %d", row, wish.on, wish.run);
		assert_int_equal(wish.retain_bytes == SNUG_NO_BUDGET, !rows[row].pressed);
		assert_true(wish.target_bytes > 0);
	}
}

/* Reclaiming the target leads back across stop. */
static void the_target_leads_to_the_stop(void **state) {
	(void)state;
	snug_stats stats = {
		.limit_bytes = 200 * MIB, .page_bytes = 16384, .available_bytes = 100 * MIB};
	stats.total.slab_bytes = 100 * MIB;
	stats.total.reclaimable_bytes = 30 * MIB;
	struct cleanup_wish wish = cleanup_wish_of(false, &thresholds, &stats, false, SNUG_NO_BUDGET);
	assert_int_equal(wish.target_bytes, 25 * MIB);
	stats.total.reclaimable_bytes -= wish.target_bytes;
	stats.total.slab_bytes -= wish.target_bytes;
	stats.total.reclaimable_bytes -= 2 * MIB; /* slabs are fewer now: the next run does the rest */
	assert_false(cleanup_wish_of(true, &thresholds, &stats, false, SNUG_NO_BUDGET).on);
	stats.available_bytes = 4 * MIB;
	assert_int_equal(
		cleanup_wish_of(false, &thresholds, &stats, false, SNUG_NO_BUDGET).target_bytes, 16 * MIB);
}

/* A reason of its own, without a target; it says nothing about the others. */
static void memory_that_nothing_uses_is_a_reason(void **state) {
	(void)state;
	snug_stats stats = {.limit_bytes = 200 * MIB,
						.page_bytes = 16384,
						.return_unit_bytes = 16384,
						.available_bytes = 100 * MIB,
						.free_page_bytes = 60 * MIB};
	stats.total.slab_bytes = 60 * MIB;
	struct cleanup_wish wish = cleanup_wish_of(false, &thresholds, &stats, false, 20 * MIB);
	assert_true(wish.run && wish.spare && !wish.on);
	assert_int_equal(wish.target_bytes, SNUG_NO_BUDGET);
	assert_int_equal(wish.retain_bytes, 20 * MIB);
	assert_int_equal(wish.return_bytes, 0);
	wish = cleanup_wish_of(false, &thresholds, &stats, false, 57 * MIB);
	assert_false(wish.run || wish.spare); /* less than a sixteenth of the slabs */
	stats.total.slab_bytes = 20 * MIB;
	wish = cleanup_wish_of(false, &thresholds, &stats, false, 57 * MIB);
	assert_true(wish.run && wish.spare);
	assert_int_equal(wish.return_bytes, 3 * MIB); /* by the page */
	wish = cleanup_wish_of(false, &thresholds, &stats, true, 20 * MIB);
	assert_true(wish.run && wish.on && !wish.spare); /* under pressure it goes at once */
	assert_int_equal(wish.retain_bytes, thresholds.retain_bytes);
}

static void thresholds_are_checked(void **state) {
	(void)state;
	snug_background good = thresholds;
	assert_int_equal(pressure_check(&good), SNUG_OK);
	snug_background bad;
#define REFUSED(field, value) \
	(bad = good, bad.field = (value), assert_int_equal(pressure_check(&bad), SNUG_ERROR_OPTION))
	REFUSED(duty_ppm, 0);
	REFUSED(duty_ppm, 1000001);
	REFUSED(start_reclaimable_ppm, 49999);
	REFUSED(start_reclaimable_ppm, 1000001);
	REFUSED(start_available_ppm, 100001);
	REFUSED(stop_available_ppm, 1000001);
	REFUSED(start_stall_ppm, 19999);
	REFUSED(stop_stall_ppm, 100001);
	REFUSED(start_cgroup_ppm, 899999);
	REFUSED(stop_cgroup_ppm, 950001);
#undef REFUSED
	bad.on = false;
	assert_int_equal(pressure_check(&bad), SNUG_OK);
}

/* ------------------------------------------------------------------ a machine ----------------- */

struct fake_file {
	const char *path;
	const char *text; /* NULL: not there */
};

static bool read_fake(void *context, const char *path, char *text, size_t room) {
	for (const struct fake_file *file = context; file->path != NULL; file++) {
		if (strcmp(file->path, path) == 0 && file->text != NULL) {
			snprintf(text, room, "%s", file->text);
			return true;
		}
	}
	return false;
}

static uint32_t lines_written;

static void count_line(void *context, snug_log_level level, const char *line) {
	(void)context;
	(void)level;
	(void)line;
	lines_written++;
}

static void a_machine_is_read(void **state) {
	(void)state;
	struct fake_file files[] = {
		{"/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
		{"/proc/self/cgroup", "0::/job\n"},
		{"/sys/fs/cgroup/unified/job/memory.current", "50\n"},
		{"/sys/fs/cgroup/unified/job/memory.high", "max\n"},
		{"/sys/fs/cgroup/unified/job/memory.max", "100\n"},
		{"/sys/fs/cgroup/unified/job/memory.events", "low 0\nhigh 2\nmax 0\noom 0\n"},
		{NULL, NULL},
	};
	const struct file_reader reader = {files, read_fake};
	const snug_log log = {count_line, NULL, SNUG_LOG_DEBUG};
	struct machine machine;
	lines_written = 0;
	machine_init(&machine, &reader, &log);
	assert_true(machine.has_stall && machine.has_cgroup);
	assert_int_equal(lines_written, 0);
	assert_false(machine_look(&machine, &thresholds, &log));
	files[2].text = "95\n";
	assert_true(machine_look(&machine, &thresholds, &log));
	files[2].text = "91\n";
	assert_true(machine_look(&machine, &thresholds, &log));
	files[2].text = "90\n";
	assert_false(machine_look(&machine, &thresholds, &log));
	files[3].text = "94\n"; /* the lower one counts */
	assert_true(machine_look(&machine, &thresholds, &log));
	files[3].text = "max\n";
	assert_false(machine_look(&machine, &thresholds, &log));
	files[5].text = "low 0\nhigh 3\nmax 0\noom 0\n";
	assert_true(machine_look(&machine, &thresholds, &log));
	assert_false(machine_look(&machine, &thresholds, &log)); /* none new */
	files[0].text = "some avg10=10.00 avg60=0.00\n";
	assert_true(machine_look(&machine, &thresholds, &log));
	files[0].text = "nonsense";
	assert_false(machine_look(&machine, &thresholds, &log));
	files[2].text = NULL; /* goes on when a file goes away */
	assert_false(machine_look(&machine, &thresholds, &log));
	assert_int_equal(lines_written, 8); /* each change once */
}

static void a_machine_without_files_is_said_once(void **state) {
	(void)state;
	struct fake_file none[] = {{NULL, NULL}};
	const struct file_reader reader = {none, read_fake};
	const snug_log log = {count_line, NULL, SNUG_LOG_INFO};
	struct machine machine;
	lines_written = 0;
	machine_init(&machine, &reader, &log);
	assert_false(machine.has_stall || machine.has_cgroup);
	assert_int_equal(lines_written, 2);
	for (int look = 0; look < 5; look++) assert_false(machine_look(&machine, &thresholds, &log));
	assert_int_equal(lines_written, 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stalls_are_parsed),
		cmocka_unit_test(cgroup_paths_are_parsed),
		cmocka_unit_test(cgroup_numbers_are_parsed),
		cmocka_unit_test(the_machine_is_pressed_with_hysteresis),
		cmocka_unit_test(cleanup_is_wanted_with_hysteresis),
		cmocka_unit_test(the_target_leads_to_the_stop),
		cmocka_unit_test(memory_that_nothing_uses_is_a_reason),
		cmocka_unit_test(thresholds_are_checked),
		cmocka_unit_test(a_machine_is_read),
		cmocka_unit_test(a_machine_without_files_is_said_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
