/* test_histogram.c: snug/histogram.h against sorted values, and its buckets at every power of
 * two. */
#include "unit/cmocka_all.h"

#include <snug/histogram.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static snug_histogram histogram; /* 15 KiB: not on the stack */

/* What the histogram answers for a value that is alone in its bucket, with a larger one behind
 * it. */
static uint64_t reported(uint64_t value) {
	snug_histogram_init(&histogram);
	snug_histogram_add(&histogram, value);
	snug_histogram_add(&histogram, UINT64_MAX);
	return snug_histogram_quantile(&histogram, 0.5);
}

static void empty_answers_zero(void **state) {
	(void)state;
	snug_histogram_init(&histogram);
	assert_int_equal(histogram.count, 0);
	assert_true(histogram.min == UINT64_MAX);
	assert_int_equal(histogram.max, 0);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.5), 0);
}

static void small_values_are_exact(void **state) {
	(void)state;
	for (uint64_t value = 0; value < 128; value++)
		assert_int_equal(reported(value), value < 64 ? value : value | 1);
}

static void error_is_below_a_32nd_everywhere(void **state) {
	(void)state;
	for (uint32_t power = 6; power < 64; power++) {
		uint64_t start = UINT64_C(1) << power;
		const uint64_t values[] = {start, start + 1, start + start / 3, start + start / 2,
								   start + (start - 1)};
		for (size_t index = 0; index < sizeof values / sizeof *values; index++) {
			uint64_t answer = reported(values[index]);
			assert_true(answer >= values[index]);
			assert_true(answer - values[index] < values[index] / 32 + (values[index] % 32 != 0));
		}
	}
}

static void largest_value_has_the_last_bucket(void **state) {
	(void)state;
	snug_histogram_init(&histogram);
	snug_histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram.buckets[SNUG_HISTOGRAM_BUCKETS - 1], 1);
	assert_true(snug_histogram_quantile(&histogram, 1.0) == UINT64_MAX);
}

static void never_answers_more_than_the_largest(void **state) {
	(void)state;
	snug_histogram_init(&histogram);
	snug_histogram_add(&histogram, 1000000);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.0), 1000000);
	assert_int_equal(snug_histogram_quantile(&histogram, 1.0), 1000000);
}

static void quantiles_outside_the_range_are_clamped(void **state) {
	(void)state;
	snug_histogram_init(&histogram);
	for (uint64_t value = 1; value <= 10; value++) snug_histogram_add(&histogram, value);
	assert_int_equal(snug_histogram_quantile(&histogram, -1.0), 1);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.0), 1);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.1), 1);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.11), 2);
	assert_int_equal(snug_histogram_quantile(&histogram, 0.5), 5);
	assert_int_equal(snug_histogram_quantile(&histogram, 1.0), 10);
	assert_int_equal(snug_histogram_quantile(&histogram, 7.0), 10);
	assert_int_equal(snug_histogram_quantile(&histogram, (double)NAN), 1);
}

static int by_value(const void *left, const void *right) {
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static void quantiles_agree_with_sorted_values(void **state) {
	(void)state;
	enum { COUNT = 20000 };
	static uint64_t values[COUNT];
	uint64_t random = 42;
	snug_histogram_init(&histogram);
	for (size_t index = 0; index < COUNT; index++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		values[index] = random >> (random >> 58);
		snug_histogram_add(&histogram, values[index]);
	}
	qsort(values, COUNT, sizeof *values, by_value);
	assert_int_equal(histogram.count, COUNT);
	assert_true(histogram.min == values[0] && histogram.max == values[COUNT - 1]);
	for (size_t rank = 1; rank <= COUNT; rank += 7) {
		uint64_t exact = values[rank - 1];
		uint64_t answer = snug_histogram_quantile(&histogram, (double)rank / COUNT);
		assert_true(answer >= exact && answer - exact <= exact / 32);
	}
}

static void merging_is_adding(void **state) {
	(void)state;
	static snug_histogram left;
	static snug_histogram right;
	snug_histogram_init(&left);
	snug_histogram_init(&right);
	snug_histogram_init(&histogram);
	for (uint64_t value = 1; value < 100000; value = value * 5 / 4 + 1) {
		snug_histogram_add(value % 3 == 0 ? &left : &right, value);
		snug_histogram_add(&histogram, value);
	}
	snug_histogram_merge(&left, &right);
	assert_memory_equal(&left, &histogram, sizeof left);
	snug_histogram_init(&right);
	snug_histogram_merge(&left, &right);
	assert_memory_equal(&left, &histogram, sizeof left);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_answers_zero),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(error_is_below_a_32nd_everywhere),
		cmocka_unit_test(largest_value_has_the_last_bucket),
		cmocka_unit_test(never_answers_more_than_the_largest),
		cmocka_unit_test(quantiles_outside_the_range_are_clamped),
		cmocka_unit_test(quantiles_agree_with_sorted_values),
		cmocka_unit_test(merging_is_adding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
