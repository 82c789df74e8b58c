/* test_snapshot.c: words that are copied while they are written are of one moment. In one thread:
 * the reader's yield is replaced at the link by the rest of the write. */
#include "os/threads.h"
#include "unit/cmocka_all.h"
#include "work/channel/snapshot.h"

#define WORDS 4

static _Atomic uint64_t sequence, words[WORDS];
static uint32_t yields;

void __wrap_os_thread_yield(void);

static void write_to(uint64_t begin, uint64_t end, uint64_t value) {
	for (uint64_t index = begin; index < end; index++) atomic_store(&words[index], value);
}

void __wrap_os_thread_yield(void) {
	yields++;
	write_to(WORDS / 2, WORDS, 9);
	atomic_fetch_add(&sequence, 1);
}

/* The writer has lost its processor in the middle of the second write. */
static void half_a_write_is_waited_for(void **state) {
	(void)state;
	const uint64_t first[WORDS] = {5, 5, 5, 5};
	uint64_t copy[WORDS];
	snapshot_write(&sequence, words, first, WORDS);
	snapshot_read(&sequence, words, copy, WORDS);
	assert_memory_equal(copy, first, sizeof copy);
	assert_int_equal(yields, 0);
	atomic_fetch_add(&sequence, 1);
	write_to(0, WORDS / 2, 9);
	snapshot_read(&sequence, words, copy, WORDS);
	assert_int_equal(yields, 1);
	for (uint32_t index = 0; index < WORDS; index++) assert_int_equal(copy[index], 9);
	assert_int_equal(atomic_load(&sequence) % 2, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_a_write_is_waited_for),
	};
	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
