/* test_choose.c: the policy of compaction as tables: what can be gained, which class, which slab. */
#include "mem/defragment/choose.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

static void what_can_be_gained(void **state) {
	(void)state;
	static const struct {
		uint32_t slots;
		uint64_t slabs, live, pinned_holes, gain;
	} rows[] = {
		{10, 0, 0, 0, 0},   /* nothing there */
		{10, 3, 30, 0, 0},  /* full */
		{10, 3, 21, 0, 0},  /* nine holes are no slab */
		{10, 3, 20, 0, 1},  /* ten are one */
		{10, 3, 11, 0, 1},  /* and so are nineteen */
		{10, 3, 10, 0, 2},  /* all in one slab */
		{10, 3, 0, 0, 3},   /* empty ones */
		{10, 3, 25, 5, 1},  /* holes beside pins take five */
		{10, 3, 25, 4, 0},  /* four are not enough */
		{10, 3, 5, 5, 3},   /* all go there */
		{10, 3, 5, 100, 3}, /* and no more than there are */
		{1, 4, 4, 0, 0},    {1, 4, 3, 0, 1},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		uint64_t gain =
			victim_count(rows[row].slots, rows[row].slabs, rows[row].live, rows[row].pinned_holes);
		REQUIRE(gain == rows[row].gain, "row %zu: %llu slabs", row, (unsigned long long)gain);
	}
}

/* Rows from the best class to the worst; the last ones gain nothing. */
static void the_class_that_costs_least(void **state) {
	(void)state;
	static const struct class_candidate rows[] = {
		{.slots = 4, .emptiest = 0, .holes = 4, .unpinned_slabs = 2},
		{.slots = 100, .emptiest = 0, .holes = 1000, .unpinned_slabs = 20},
		{.slots = 4, .emptiest = 1, .holes = 400, .unpinned_slabs = 200},
		{.slots = 4, .emptiest = 16, .holes = 4, .unpinned_slabs = 1},
		{.slots = 4, .emptiest = 0, .holes = 3, .unpinned_slabs = 2},
		{.slots = 4, .emptiest = 0, .holes = 8, .unpinned_slabs = 0},
	};
	const size_t count = sizeof rows / sizeof rows[0], with_gain = 4;
	for (size_t one = 0; one < count; one++)
		for (size_t other = 0; other < count; other++) {
			bool better = victim_class_is_better(&rows[one], &rows[other]) != 0;
			REQUIRE(better == (one < other && one < with_gain), "row %zu and row %zu", one, other);
		}
}

static void the_slab_with_the_fewest_objects(void **state) {
	(void)state;
	static const uint32_t live[] = {7, 3, 9, 3, 8};
	REQUIRE(victim_choose_slab(live, 0) == VICTIM_NONE, "there is none");
	REQUIRE(victim_choose_slab(live, 1) == 0, "there is one");
	REQUIRE(victim_choose_slab(live, 5) == 1, "not the emptiest, or not the first of two");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_gained),
		cmocka_unit_test(the_class_that_costs_least),
		cmocka_unit_test(the_slab_with_the_fewest_objects),
	};
	return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
