/* test_yielding.c: whether a thread gives its processor away before it sleeps. */
#include "unit/cmocka_all.h"
#include "work/channel/yielding.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* A yield that takes so long, and brings so much work. Tells when the work is done. */
static uint64_t yield(struct yielding *yielding, uint64_t begin_ns, uint64_t took_ns,
					  uint64_t work_ns) {
	assert_true(begin_ns >= yielding->next_ns);
	yielding->begin_ns = begin_ns;
	yielding->end_ns = begin_ns + took_ns;
	yielding_judge(yielding, yielding->end_ns + work_ns);
	return yielding->end_ns + work_ns;
}

static void it_may_at_first(void **state) {
	(void)state;
	struct yielding yielding = {0};
	assert_true(yielding_try(&yielding));
	assert_true(yielding.begin_ns > 0 && yielding.end_ns >= yielding.begin_ns);
}

static void none_in_the_pause(void **state) {
	(void)state;
	struct yielding yielding = {.next_ns = UINT64_MAX};
	assert_false(yielding_try(&yielding));
	assert_int_equal(yielding.end_ns, 0);
}

/* Those that a thread works with are back within a millisecond: that is what it is for. */
static void short_ones_are_free(void **state) {
	(void)state;
	struct yielding yielding = {0};
	for (uint64_t now_ns = 0; now_ns < 1000 * MS;) now_ns = yield(&yielding, now_ns, MS, 0);
	assert_int_equal(yielding.next_ns, 0);
	uint64_t now_ns = yield(&yielding, 2000 * MS, MS + 1, 0);
	assert_int_equal(yielding.next_ns, now_ns + MS + 1);
}

/* Many connections: they were served late, and together, for the price of one wake-up. */
static void a_long_one_that_brings_much_is_worth_it(void **state) {
	(void)state;
	struct yielding yielding = {0};
	uint64_t now_ns = yield(&yielding, MS, 4 * MS, 15 * US);
	assert_int_equal(yielding.next_ns, 0);
	now_ns = yield(&yielding, now_ns, 4 * MS, 15 * US - 1);
	assert_int_equal(yielding.next_ns, now_ns + 4 * MS);
}

static uint64_t lost_among_strangers(struct yielding *yielding, uint64_t now_ns,
									 uint64_t until_ns) {
	uint64_t lost_ns = 0;
	while (now_ns < until_ns) {
		if (now_ns >= yielding->next_ns) {
			now_ns = yield(yielding, now_ns, 4 * MS, 5 * US);
			lost_ns += 4 * MS;
		}
		now_ns += 200 * US;
	}
	return lost_ns;
}

static void strangers_cost_a_thousandth(void **state) {
	(void)state;
	struct yielding yielding = {0};
	/* they are new */
	assert_in_range(lost_among_strangers(&yielding, 0, 5000 * MS), 24 * MS, 28 * MS);
	assert_in_range(lost_among_strangers(&yielding, 5000 * MS, 105000 * MS), 92 * MS, 104 * MS);
}

/* The others of a worker's own circle yield in a millisecond meanwhile: that is no sign that the
 * strangers have gone. */
static void a_few_good_ones_change_nothing(void **state) {
	(void)state;
	struct yielding yielding = {0};
	(void)lost_among_strangers(&yielding, 0, 10000 * MS);
	for (uint64_t now_ns = yielding.next_ns; now_ns < yielding.good_since_ns + 99 * MS;)
		now_ns = yield(&yielding, now_ns, 100 * US, 5 * US);
	assert_int_equal(yielding.pause_times, YIELD_PAUSE_TIMES_MAX);
}

static void it_is_noticed_when_they_have_gone(void **state) {
	(void)state;
	struct yielding yielding = {0};
	(void)lost_among_strangers(&yielding, 0, 10000 * MS);
	uint64_t now_ns = yielding.next_ns;
	assert_true(now_ns < 15000 * MS);
	for (uint64_t until_ns = now_ns + 1200 * MS; now_ns < until_ns;)
		now_ns = yield(&yielding, now_ns, 100 * US, 100 * US);
	assert_int_equal(yielding.pause_times, 0);
	/* One more stray one is forgiven soon. */
	now_ns = yield(&yielding, now_ns, 4 * MS, 0);
	assert_int_equal(yielding.next_ns, now_ns + 4 * MS);
}

/* A machine that stood still, or a debugger, is no reason for hours without. */
static void a_pause_has_an_end(void **state) {
	(void)state;
	struct yielding yielding = {0};
	uint64_t now_ns = yield(&yielding, MS, 3600000 * MS, 0);
	assert_int_equal(yielding.next_ns, now_ns + YIELD_PAUSE_MAX_NS);
	yielding = (struct yielding){.pause_times = YIELD_PAUSE_TIMES_MAX};
	(void)yield(&yielding, 0, UINT64_MAX - YIELD_PAUSE_MAX_NS, 0);
	assert_int_equal(yielding.next_ns, UINT64_MAX);
}

/* Until it is known better each look pays; then a few that do are enough. */
static void looks_in_vain_do_not_pay(void **state) {
	(void)state;
	struct yielding yielding = {0};
	for (int i = 0; i < 6; i++) yielding_note_look(&yielding, false);
	assert_true(yielding_look_pays(&yielding));
	for (int i = 0; i < 60; i++) yielding_note_look(&yielding, false);
	uint32_t tried = 0;
	for (int i = 0; i < 640; i++) tried += yielding_look_pays(&yielding);
	assert_int_equal(tried, 10);
	yielding_note_look(&yielding, true);
	assert_false(yielding_look_pays(&yielding));
	yielding_note_look(&yielding, true);
	assert_true(yielding_look_pays(&yielding));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_may_at_first),
		cmocka_unit_test(none_in_the_pause),
		cmocka_unit_test(short_ones_are_free),
		cmocka_unit_test(a_long_one_that_brings_much_is_worth_it),
		cmocka_unit_test(strangers_cost_a_thousandth),
		cmocka_unit_test(a_few_good_ones_change_nothing),
		cmocka_unit_test(it_is_noticed_when_they_have_gone),
		cmocka_unit_test(a_pause_has_an_end),
		cmocka_unit_test(looks_in_vain_do_not_pay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
