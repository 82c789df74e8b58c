/* test_pace.c: how large a unit of a step is, and whether it is begun, as tables. */
#include "mem/defragment/pace.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define STEP_NS 16000u

static const struct pace_shape plain = {0}, call = {.eighths = 6, .fixed_items = 4};

static void as_many_as_fit(void **state) {
	(void)state;
	static const struct {
		uint32_t item_ns;
		uint64_t step_ns, left_ns;
		uint32_t items, in_a_call;
	} rows[] = {
		{100, STEP_NS, STEP_NS, 80, 116}, /* half of the step; of a call six eighths, less four */
		{100, STEP_NS, 8001, 80, 76},     /* while that is left; */
		{100, STEP_NS, 7999, 79, 75},     /* then what is */
		{5000, STEP_NS, STEP_NS, 1, 1},   /* none fits twice */
		{9000, STEP_NS, STEP_NS, 1, 1},   /* one in any case */
		{9000, STEP_NS, 0, 1, 1},         /* even then */
		{0, STEP_NS, STEP_NS, 4, 2},      /* not measured: 2 us */
		{1, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX - 4},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		struct pace pace = {rows[row].item_ns};
		uint32_t items = pace_items(&pace, plain, rows[row].step_ns, rows[row].left_ns);
		uint32_t in_a_call = pace_items(&pace, call, rows[row].step_ns, rows[row].left_ns);
		REQUIRE(items == rows[row].items, "row %zu: %u items", row, items);
		REQUIRE(in_a_call == rows[row].in_a_call, "row %zu: %u items in a call", row, in_a_call);
	}
}

static void what_does_not_fit_is_not_begun(void **state) {
	(void)state;
	static const struct {
		uint32_t item_ns;
		uint64_t left_ns;
		bool fits, call_fits;
	} rows[] =
		{
			{2000, STEP_NS, true, true},
			{2000, 15999, true, false}, /* a call, and as many pages as cost as much */
			{2000, 2000, true, false},
			{2000, 1999, false, false},
			{100, 1000, true, true},
			{100, 999, false, false}, /* less than a sixteenth of the step */
			{100, 0, false, false},
			{STEP_NS + 1, STEP_NS, false, false},
		};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		struct pace pace = {rows[row].item_ns};
		bool fits = pace_fits(&pace, plain, STEP_NS, rows[row].left_ns);
		bool call_fits = pace_fits(&pace, call, STEP_NS, rows[row].left_ns);
		REQUIRE(fits == rows[row].fits && call_fits == rows[row].call_fits, "row %zu", row);
	}
	REQUIRE(!pace_fits(&(struct pace){16}, plain, 1, 0), "of a step of 1 ns nothing is left");
}

static void follow(struct pace *pace, uint32_t item_ns, uint32_t times) {
	while (times-- > 0) pace_note(pace, plain, 10, 10 * (uint64_t)item_ns);
}

static void it_follows_what_is_measured(void **state) {
	(void)state;
	struct pace pace = {0};
	/* what came with a call is counted as four of its items */
	for (uint32_t turn = 0; turn < 40; turn++) pace_note(&pace, call, 12, 16 * 300);
	REQUIRE(pace.item_ns >= 300 && pace.item_ns < 310, "%u ns", pace.item_ns);
	follow(&pace, 300, 40);
	REQUIRE(pace.item_ns >= 300 && pace.item_ns < 310, "%u ns", pace.item_ns);
	/* dearer: half the way at once, */
	follow(&pace, 900, 1);
	REQUIRE(pace.item_ns >= 600 && pace.item_ns < 610, "%u ns", pace.item_ns);
	follow(&pace, 900, 5);
	REQUIRE(pace.item_ns > 880 && pace.item_ns <= 900, "%u ns", pace.item_ns);
	/* cheaper: a quarter of it */
	follow(&pace, 100, 1);
	REQUIRE(pace.item_ns > 680 && pace.item_ns < 710, "%u ns", pace.item_ns);
	/* between the two, and nearer to the dear ones */
	for (uint32_t turn = 0; turn < 50; turn++) follow(&pace, turn % 2 == 0 ? 100 : 300, 1);
	REQUIRE(pace.item_ns > 210, "%u ns", pace.item_ns);
}

static void an_interruption_is_forgotten(void **state) {
	(void)state;
	struct pace pace = {0};
	follow(&pace, 100, 60);
	pace_note(&pace, plain, 10, 5000000);
	REQUIRE(pace.item_ns <= 500, "%u ns", pace.item_ns);
	follow(&pace, 100, 20);
	REQUIRE(pace.item_ns < 150, "%u ns", pace.item_ns);
}

/* A clock that stands still, one that jumps, items without end. */
static void any_measurement_will_do(void **state) {
	(void)state;
	struct pace pace = {0};
	for (uint32_t turn = 0; turn < 100; turn++) pace_note(&pace, plain, 1, 0);
	REQUIRE(pace.item_ns > 0 && pace_items(&pace, plain, STEP_NS, STEP_NS) >= 32, "%u ns",
			pace.item_ns);
	for (uint32_t turn = 0; turn < 100; turn++) pace_note(&pace, plain, 1, UINT64_MAX);
	REQUIRE(pace.item_ns == UINT32_MAX, "%u ns", pace.item_ns);
	REQUIRE(pace_items(&pace, plain, STEP_NS, STEP_NS) == 1, "more than one");
	pace_note(&pace, plain, UINT32_MAX, 1);
	REQUIRE(pace.item_ns < UINT32_MAX, "it never falls");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_fit),
		cmocka_unit_test(what_does_not_fit_is_not_begun),
		cmocka_unit_test(it_follows_what_is_measured),
		cmocka_unit_test(an_interruption_is_forgotten),
		cmocka_unit_test(any_measurement_will_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
