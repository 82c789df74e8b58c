/* test_duty.c: when the next slice of maintenance may run. */
#include "unit/cmocka_all.h"
#include "work/policy/duty.h"

static struct duty serving(uint32_t ppm) {
	return (struct duty){.ppm = ppm, .idle_ns = 200000, .traffic_ns = 1000000};
}

static void the_first_slice_may_run_at_once(void **state) {
	(void)state;
	struct duty duty = serving(50000);
	assert_int_equal(duty_wait_ns(&duty, 1000001), 0);
}

/* Twenty slices of 1 us and their pauses take 400 us at 5 %, whatever the length of a slice. */
static void slices_take_their_share_of_the_time(void **state) {
	(void)state;
	static const uint32_t shares_ppm[] = {1000, 50000, 250000, 500000, 999999};
	for (size_t i = 0; i < sizeof shares_ppm / sizeof shares_ppm[0]; i++) {
		struct duty duty = serving(shares_ppm[i]);
		uint64_t now_ns = 1000000;
		uint64_t slices_ns = 0;
		for (uint64_t slice_ns = 1000; slice_ns <= 20000; slice_ns += 1000) {
			duty.traffic_ns = now_ns;
			duty_note_slice(&duty, now_ns, now_ns + slice_ns);
			now_ns += slice_ns;
			slices_ns += slice_ns;
			duty.traffic_ns = now_ns;
			duty.idle_ns = UINT64_MAX; /* never idle */
			now_ns += duty_wait_ns(&duty, now_ns);
		}
		double share = (double)slices_ns / (double)(now_ns - 1000000);
		assert_true(share > shares_ppm[i] * 0.999e-6 && share < shares_ppm[i] * 1.001e-6 + 1e-9);
	}
}

static void the_whole_time_knows_no_pause(void **state) {
	(void)state;
	struct duty duty = serving(DUTY_WHOLE_PPM);
	duty_note_slice(&duty, 1000000, 2000000);
	assert_int_equal(duty_wait_ns(&duty, 2000000), 0);
}

static void an_idle_worker_does_not_pause(void **state) {
	(void)state;
	struct duty duty = serving(50000);
	/* a pause of 950 us, but idle 200 us after the last message */
	duty_note_slice(&duty, 1000000, 1050000);
	assert_int_equal(duty_wait_ns(&duty, 1050000), 150000);
	assert_int_equal(duty_wait_ns(&duty, 1199999), 1);
	assert_int_equal(duty_wait_ns(&duty, 1200000), 0);
	duty.traffic_ns = 1200000; /* a message: the pause holds again */
	assert_int_equal(duty_wait_ns(&duty, 1200000), 200000);
	duty.traffic_ns = 1900000;
	assert_int_equal(duty_wait_ns(&duty, 1900000), 100000);
}

static void a_slice_of_hours_does_not_pause_for_days(void **state) {
	(void)state;
	struct duty duty = {.ppm = 1, .idle_ns = UINT64_MAX, .traffic_ns = 5};
	uint64_t end_ns = UINT64_C(10000) * 1000000000;
	duty_note_slice(&duty, 0, end_ns);
	assert_int_equal(duty_wait_ns(&duty, end_ns), DUTY_PAUSE_MAX_NS);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_slice_may_run_at_once),
		cmocka_unit_test(slices_take_their_share_of_the_time),
		cmocka_unit_test(the_whole_time_knows_no_pause),
		cmocka_unit_test(an_idle_worker_does_not_pause),
		cmocka_unit_test(a_slice_of_hours_does_not_pause_for_days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
