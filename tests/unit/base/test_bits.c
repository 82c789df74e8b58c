/* test_bits.c: src/base/bits.h at its edges. */
#include "unit/cmocka_all.h"

#include "base/bits.h"

static void finds_lowest_and_highest_bit(void **state) {
	(void)state;
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t word = UINT64_C(1) << bit;
		assert_int_equal(bit_lowest(word), bit);
		assert_int_equal(bit_highest(word), bit);
		assert_int_equal(bit_lowest(word | UINT64_C(1) << 63), bit);
		assert_int_equal(bit_highest(word | 1), bit);
	}
}

static void counts_bits(void **state) {
	(void)state;
	assert_int_equal(bit_count(0), 0);
	assert_int_equal(bit_count(UINT64_MAX), 64);
	assert_int_equal(bit_count(UINT64_C(0x8000000000000001)), 2);
}

static void knows_powers_of_two(void **state) {
	(void)state;
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1));
	assert_true(is_power_of_two((size_t)1 << 63));
	assert_false(is_power_of_two(3));
	assert_false(is_power_of_two(SIZE_MAX));
}

static void aligns_both_ways(void **state) {
	(void)state;
	assert_int_equal(round_up(0, 4096), 0);
	assert_int_equal(round_up(1, 4096), 4096);
	assert_int_equal(round_up(4096, 4096), 4096);
	assert_int_equal(round_up(17, 1), 17);
	assert_int_equal(round_up(SIZE_MAX, 4096), 0);
	assert_int_equal(round_down(0, 4096), 0);
	assert_int_equal(round_down(4095, 4096), 0);
	assert_int_equal(round_down(4096, 4096), 4096);
	assert_int_equal(round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
}

static void divides_upwards_without_overflow(void **state) {
	(void)state;
	assert_int_equal(divide_up(0, 7), 0);
	assert_int_equal(divide_up(7, 7), 1);
	assert_int_equal(divide_up(8, 7), 2);
	assert_int_equal(divide_up(SIZE_MAX, 2), SIZE_MAX / 2 + 1);
	assert_int_equal(divide_up(SIZE_MAX, 1), SIZE_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_lowest_and_highest_bit),
		cmocka_unit_test(counts_bits),
		cmocka_unit_test(knows_powers_of_two),
		cmocka_unit_test(aligns_both_ways),
		cmocka_unit_test(divides_upwards_without_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
