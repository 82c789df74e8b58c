/* test_buffers.c: who may take how many records. */
#include "cmocka_all.h"
#include "server/connection/buffers.h"

#define SHARED 64u

static const struct buffer_stock stock = {.taken_max = 2 * SHARED, .shared_max = SHARED};

static void who_is_alone_may_hold_half(void **state) {
	(void)state;
	struct buffer_stock now = stock;
	uint32_t held = 0;
	for (; buffers_left(&now, held) > 0; held++) now.taken++;
	assert_int_equal(held, SHARED / 2);
}

/* However many hold all that they may and give nothing back, whoever comes then gets one, until there are none. */
static void those_who_hold_leave_some(void **state) {
	(void)state;
	uint32_t held[2 * SHARED] = {0};
	struct buffer_stock now = stock;
	for (uint32_t holder = 0; holder < 2 * SHARED; holder++) {
		assert_true(now.taken < now.taken_max);
		assert_true(buffers_left(&now, 0) > 0);
		for (; buffers_left(&now, held[holder]) > 0; held[holder]++) now.taken++;
		assert_true(held[holder] > 0);
		if (now.taken == now.taken_max) break;
	}
	assert_int_equal(now.taken, now.taken_max);
	assert_int_equal(buffers_left(&now, 0), 0);
}

static void what_is_left_is_never_more_than_there_is(void **state) {
	(void)state;
	for (uint32_t taken = 0; taken <= stock.taken_max; taken++)
		for (uint32_t held = 0; held <= taken; held++) {
			struct buffer_stock now = stock;
			now.taken = taken;
			assert_true(taken + buffers_left(&now, held) <= now.taken_max);
		}
}

static void little_memory_has_fewer_records(void **state) {
	(void)state;
	struct buffers little, much;
	buffers_init(&little, NULL, (uint64_t)2 << 20, 2048);
	buffers_init(&much, NULL, (uint64_t)1 << 30, 2048);
	assert_int_equal(little.records.shared_max, 64);
	assert_int_equal(little.records.taken_max, 128);
	assert_int_equal(much.records.shared_max, 1024);
	assert_int_equal(much.records.taken_max, 2048);
	buffers_init(&little, NULL, (uint64_t)256 << 10, 2048);
	assert_int_equal(little.records.shared_max, 16);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_alone_may_hold_half),
		cmocka_unit_test(those_who_hold_leave_some),
		cmocka_unit_test(what_is_left_is_never_more_than_there_is),
		cmocka_unit_test(little_memory_has_fewer_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
