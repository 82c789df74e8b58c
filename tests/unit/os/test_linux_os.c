/* test_linux_os.c: snug_os_linux() against what snug/os.h promises, with the kernel's own count of
 * resident pages. */
#include "unit/cmocka_all.h"

#include "os/threads.h"

#include <signal.h>
#include <snug/heap.h>
#include <snug/os.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES ((size_t)4096)
#define MIB ((size_t)1 << 20)

static const snug_os *os;

static int get_os(void **state) {
	(void)state;
	os = snug_os_linux();
	return os == NULL;
}

static size_t resident_pages(void *address, size_t bytes) {
	static unsigned char flags[4 * MIB / PAGE_BYTES];
	assert_true(bytes / PAGE_BYTES <= sizeof flags);
	assert_int_equal(mincore(address, bytes, flags), 0);
	size_t count = 0;
	for (size_t page = 0; page < bytes / PAGE_BYTES; page++) count += flags[page] & 1u;
	return count;
}

static void reserves_aligned_and_zeroed(void **state) {
	(void)state;
	for (size_t alignment = PAGE_BYTES; alignment <= 4 * MIB; alignment *= 2) {
		char *address = os->reserve(os->context, 3 * PAGE_BYTES, alignment);
		assert_non_null(address);
		assert_int_equal((uintptr_t)address % alignment, 0);
		assert_true(os->commit(os->context, address, 3 * PAGE_BYTES));
		for (size_t offset = 0; offset < 3 * PAGE_BYTES; offset++)
			assert_int_equal(address[offset], 0);
		memset(address, 1, 3 * PAGE_BYTES);
		os->release(os->context, address, 3 * PAGE_BYTES);
	}
}

/* Trimming must leave nothing mapped around the reservation, nor give away a part of it. */
static void trims_exactly(void **state) {
	(void)state;
	char *address = os->reserve(os->context, 4 * MIB, 2 * MIB);
	assert_non_null(address);
	assert_int_equal(resident_pages(address, 4 * MIB), 0);
	os->release(os->context, address, 4 * MIB);
	assert_int_equal(mprotect(address, 4 * MIB, PROT_NONE), -1);
}

/* As much as the largest limit, most often more than the machine has: address space alone is
 * taken. */
static void reserves_the_largest_limit(void **state) {
	(void)state;
	char *address = os->reserve(os->context, SNUG_LIMIT_MAX_BYTES, 2 * MIB);
	assert_non_null(address);
	address[SNUG_LIMIT_MAX_BYTES - 1] = 1;
	os->release(os->context, address, SNUG_LIMIT_MAX_BYTES);
}

static void refuses_the_impossible(void **state) {
	(void)state;
	assert_null(os->reserve(os->context, 0, PAGE_BYTES));
	assert_null(os->reserve(os->context, SIZE_MAX - PAGE_BYTES + 1, 2 * MIB));
	assert_null(os->reserve(os->context, (size_t)1 << 60, PAGE_BYTES));
}

static void decommit_drops_the_content(void **state) {
	(void)state;
	char *address = os->reserve(os->context, 4 * MIB, 2 * MIB);
	assert_non_null(address);
	memset(address, 1, 4 * MIB);
	assert_int_equal(resident_pages(address, 4 * MIB), 4 * MIB / PAGE_BYTES);
	assert_true(os->decommit(os->context, address + 2 * MIB, 2 * MIB));
	assert_int_equal(resident_pages(address + 2 * MIB, 2 * MIB), 0);
	assert_int_equal(address[2 * MIB - 1], 1);
	assert_true(os->commit(os->context, address + 2 * MIB, 2 * MIB));
	assert_int_equal(address[2 * MIB], 0);
	os->release(os->context, address, 4 * MIB);
}

static void decommit_reports_failure(void **state) {
	(void)state;
	char *address = os->reserve(os->context, PAGE_BYTES, PAGE_BYTES);
	assert_non_null(address);
	assert_false(os->decommit(os->context, address + 1, PAGE_BYTES));
	os->release(os->context, address, PAGE_BYTES);
}

/* qemu-user does: whatever it is advised, it agrees, and does nothing. */
static bool agrees_to_any_advice(void *address) {
	const int nonsense = 12345;
	return madvise(address, PAGE_BYTES, nonsense) == 0;
}

static void populate_makes_resident_and_keeps_content(void **state) {
	(void)state;
	char *address = os->reserve(os->context, 4 * MIB, 2 * MIB);
	assert_non_null(address);
	if (agrees_to_any_advice(address)) skip();
	os->advise_huge(os->context, address, 4 * MIB);
	address[5 * PAGE_BYTES] = 7;
	assert_true(os->populate(os->context, address, 4 * MIB));
	assert_int_equal(resident_pages(address, 4 * MIB), 4 * MIB / PAGE_BYTES);
	assert_int_equal(address[5 * PAGE_BYTES], 7);
	os->release(os->context, address, 4 * MIB);
}

static void clock_goes_forward(void **state) {
	(void)state;
	uint64_t before_ns = os->now_ns(os->context);
	assert_true(before_ns > 0);
	for (int turn = 0; turn < 1000; turn++) {
		uint64_t now_ns = os->now_ns(os->context);
		assert_true(now_ns >= before_ns);
		before_ns = now_ns;
	}
}

static void read_mask(void *context) {
	pthread_sigmask(SIG_SETMASK, NULL, context);
}

/* The kernel ends the process by a blocked one, even where the host handles it. */
static void threads_do_not_block_what_their_instructions_raise(void **state) {
	(void)state;
	static const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
	struct os_thread thread;
	sigset_t mask;
	sigemptyset(&mask);
	assert_true(os_thread_start(&thread, read_mask, &mask));
	os_thread_join(&thread);
	assert_true(sigismember(&mask, SIGTERM));
	for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++)
		assert_false(sigismember(&mask, raised[i]));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserves_aligned_and_zeroed),
		cmocka_unit_test(trims_exactly),
		cmocka_unit_test(reserves_the_largest_limit),
		cmocka_unit_test(refuses_the_impossible),
		cmocka_unit_test(decommit_drops_the_content),
		cmocka_unit_test(decommit_reports_failure),
		cmocka_unit_test(populate_makes_resident_and_keeps_content),
		cmocka_unit_test(clock_goes_forward),
		cmocka_unit_test(threads_do_not_block_what_their_instructions_raise),
	};
	return cmocka_run_group_tests(tests, get_os, NULL);
}
