/* unit/base/test_latency.c: base/latency.h: each bucket holds what it says, its bound included. */
#include "base/latency.h"
#include "cmocka_all.h"

static void test_bounds(void **state) {
	(void)state;
	assert_int_equal(latency_bucket(0), 0);
	for (uint32_t bucket = 0; bucket + 1 < LATENCY_BUCKETS; bucket++) {
		assert_int_equal(latency_bound_ns(bucket), UINT64_C(1000) << bucket);
		assert_int_equal(latency_bucket(latency_bound_ns(bucket)), bucket);
		assert_int_equal(latency_bucket(latency_bound_ns(bucket) + 1), bucket + 1);
	}
	assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
	assert_int_equal(latency_bound_ns(LATENCY_BUCKETS - 1), UINT64_MAX);
}

static void test_merge(void **state) {
	struct latency one = {0}, other = {0};
	(void)state;
	latency_add(&one, 1500);
	latency_add(&other, 7);
	latency_add(&other, 1999);
	latency_merge(&one, &other);
	assert_int_equal(one.bucket[0], 1);
	assert_int_equal(one.bucket[1], 2);
	assert_int_equal(one.sum_ns, 3506);
	assert_int_equal(one.max_ns, 1999);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_merge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
