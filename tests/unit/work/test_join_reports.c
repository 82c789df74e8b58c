/* test_join_reports.c: reports joined in time and over workers. The counters are walked as words,
 * so that a field which a later version adds, and nobody joins, is found. */
#include "unit/cmocka_all.h"
#include "work/policy/join_reports.h"

#include <string.h>

#define COUNTERS_BEGIN offsetof(snug_report, coalesced_bytes)
#define COUNTERS ((offsetof(snug_report, before) - COUNTERS_BEGIN) / sizeof(uint64_t))

static void set_counters(snug_report *report, uint64_t value) {
	uint64_t words[COUNTERS];
	for (size_t i = 0; i < COUNTERS; i++) words[i] = value + i;
	memcpy((char *)report + COUNTERS_BEGIN, words, sizeof words);
}

static uint64_t counter(const snug_report *report, size_t index) {
	uint64_t word;
	memcpy(&word, (const char *)report + COUNTERS_BEGIN + index * sizeof word, sizeof word);
	return word;
}

static bool is_at(size_t index, size_t offset) {
	return COUNTERS_BEGIN + index * sizeof(uint64_t) == offset;
}

static snug_report report_of(uint64_t value, snug_outcome outcome) {
	snug_report report = {.outcome = outcome};
	report.complete = outcome != SNUG_OUTCOME_BUDGET && outcome != SNUG_OUTCOME_CANCELLED;
	report.before.limit_bytes = report.after.limit_bytes = 1000;
	report.before.total.slab_bytes = value * 10;
	report.after.total.slab_bytes = value;
	set_counters(&report, value);
	report.late_steps = value;
	return report;
}

static void parts_in_time_add_up(void **state) {
	(void)state;
	snug_report sum = {0};
	snug_report first = report_of(100, SNUG_OUTCOME_CANCELLED);
	snug_report second = report_of(1000, SNUG_OUTCOME_DONE);
	join_report_in_time(&sum, &first);
	assert_memory_equal(&sum, &first, sizeof sum);
	join_report_in_time(&sum, &second);
	for (size_t i = 0; i < COUNTERS; i++) {
		bool last = is_at(i, offsetof(snug_report, pinned_objects)) ||
					is_at(i, offsetof(snug_report, pinned_bytes)) ||
					is_at(i, offsetof(snug_report, pinned_slabs)) ||
					is_at(i, offsetof(snug_report, unmovable_bytes));
		bool longest = is_at(i, offsetof(snug_report, longest_step_ns));
		assert_int_equal(counter(&sum, i), last || longest ? 1000 + i : 1100 + 2 * i);
	}
	assert_int_equal(sum.late_steps, 1100);
	assert_int_equal(sum.before.total.slab_bytes, 1000);
	assert_int_equal(sum.after.total.slab_bytes, 1000);
	assert_int_equal(sum.outcome, SNUG_OUTCOME_DONE);
	assert_true(sum.complete);
}

static void the_last_part_says_how_it_ended(void **state) {
	(void)state;
	snug_report sum = report_of(7, SNUG_OUTCOME_CANCELLED);
	snug_report nothing = {
		.outcome = SNUG_OUTCOME_NOTHING, .complete = true, .before.limit_bytes = 1};
	join_report_in_time(&sum, &nothing);
	assert_int_equal(sum.outcome, SNUG_OUTCOME_DONE); /* the first part gained something */
	assert_true(sum.complete);
	snug_report cancelled = {.outcome = SNUG_OUTCOME_CANCELLED, .before.limit_bytes = 1};
	join_report_in_time(&sum, &cancelled);
	assert_int_equal(sum.outcome, SNUG_OUTCOME_CANCELLED);
	assert_false(sum.complete);
	snug_report empty = {.outcome = SNUG_OUTCOME_CANCELLED, .before.limit_bytes = 1};
	join_report_in_time(&empty, &nothing);
	assert_int_equal(empty.outcome, SNUG_OUTCOME_NOTHING);
}

static void workers_side_by_side(void **state) {
	(void)state;
	snug_report sum = report_of(100, SNUG_OUTCOME_DONE);
	snug_report other = report_of(1000, SNUG_OUTCOME_NOTHING);
	join_report_of_workers(&sum, &other);
	for (size_t i = 0; i < COUNTERS; i++) {
		bool longest = is_at(i, offsetof(snug_report, longest_step_ns)) ||
					   is_at(i, offsetof(snug_report, total_ns));
		assert_int_equal(counter(&sum, i), longest ? 1000 + i : 1100 + 2 * i);
	}
	assert_int_equal(sum.late_steps, 1100);
	assert_int_equal(sum.before.total.slab_bytes, 11000);
	assert_int_equal(sum.after.total.slab_bytes, 1100);
	assert_int_equal(sum.after.limit_bytes, 2000);
	assert_int_equal(sum.outcome, SNUG_OUTCOME_DONE);
	assert_true(sum.complete);
}

static void one_partial_worker_makes_the_whole_partial(void **state) {
	(void)state;
	static const snug_outcome order[] = {SNUG_OUTCOME_NOTHING, SNUG_OUTCOME_NOTHING_PINNED,
										 SNUG_OUTCOME_DONE,    SNUG_OUTCOME_TARGET,
										 SNUG_OUTCOME_BUDGET,  SNUG_OUTCOME_CANCELLED};
	assert_int_equal(sizeof order / sizeof order[0], SNUG_OUTCOME_COUNT);
	for (size_t a = 0; a < SNUG_OUTCOME_COUNT; a++) {
		for (size_t b = 0; b < SNUG_OUTCOME_COUNT; b++) {
			snug_report sum = report_of(1, order[a]);
			snug_report other = report_of(1, order[b]);
			join_report_of_workers(&sum, &other);
			assert_int_equal(sum.outcome, order[a > b ? a : b]);
			assert_true(sum.complete == (a < 4 && b < 4));
		}
	}
}

static void figures_of_workers(void **state) {
	(void)state;
	snug_stats sum = {.committed_bytes = 90,
					  .metadata_bytes = 10,
					  .charged_bytes = 3,
					  .late_steps = 1,
					  .limit_goal_bytes = 5,
					  .total = {.payload_bytes = 50, .slot_bytes = 60}};
	snug_stats other = {.committed_bytes = 280,
						.metadata_bytes = 20,
						.charged_bytes = 4,
						.late_steps = 2,
						.limit_goal_bytes = 6,
						.total = {.payload_bytes = 150, .slot_bytes = 190}};
	sum.total.hole_bytes = 10, sum.total.slab_bytes = 80;
	other.total.hole_bytes = 30, other.total.slab_bytes = 120;
	join_stats_of_workers(&sum, &other);
	assert_int_equal(sum.late_steps, 3);
	assert_true(sum.utilisation > 0.4999 && sum.utilisation < 0.5001);
	assert_true(sum.total.internal_fragmentation > 0.1999 &&
				sum.total.internal_fragmentation < 0.2001);
	assert_true(sum.total.external_fragmentation > 0.1999 &&
				sum.total.external_fragmentation < 0.2001);
	snug_estimate_report estimate = {
		.reclaimable_bytes = 5, .predicted_ns = 7, .outcome = SNUG_OUTCOME_NOTHING};
	snug_estimate_report more = {
		.reclaimable_bytes = 6, .predicted_ns = 3, .outcome = SNUG_OUTCOME_DONE};
	join_estimate_of_workers(&estimate, &more);
	assert_int_equal(estimate.reclaimable_bytes, 11);
	assert_int_equal(estimate.predicted_ns, 7);
	assert_int_equal(estimate.outcome, SNUG_OUTCOME_DONE);
}

static void fragmentation_of_the_pools_in_scope(void **state) {
	(void)state;
	snug_stats stats = {0};
	assert_int_equal(fragmentation_ppm_of(&stats, 0), 0);
	stats.pool[SNUG_POOL_SMALL].slab_bytes = 100, stats.pool[SNUG_POOL_SMALL].hole_bytes = 50;
	stats.pool[SNUG_POOL_LARGE].slab_bytes = 300, stats.pool[SNUG_POOL_LARGE].hole_bytes = 30;
	assert_int_equal(fragmentation_ppm_of(&stats, 0), 200000);
	assert_int_equal(fragmentation_ppm_of(&stats, SNUG_POOL_BIT(SNUG_POOL_SMALL)), 500000);
	assert_int_equal(fragmentation_ppm_of(&stats, SNUG_POOL_BIT(SNUG_POOL_LARGE)), 100000);
	assert_int_equal(fragmentation_ppm_of(&stats, SNUG_POOL_BIT(SNUG_POOL_MEDIUM)), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_in_time_add_up),
		cmocka_unit_test(the_last_part_says_how_it_ended),
		cmocka_unit_test(workers_side_by_side),
		cmocka_unit_test(one_partial_worker_makes_the_whole_partial),
		cmocka_unit_test(figures_of_workers),
		cmocka_unit_test(fragmentation_of_the_pools_in_scope),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
