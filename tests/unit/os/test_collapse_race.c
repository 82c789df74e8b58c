/* test_collapse_race.c: a part that goes back while its block is being collapsed stays away; and what
 * the kernel spends time on without success is followed by a pause, too. The kernel's work is replaced
 * by one that takes longer, and leaves the block resident as a whole, or finds no huge page. */
#include "os/collapse.h"
#include "os/threads.h"
#include "unit/cmocka_all.h"

#include <snug/os.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define BLOCK COLLAPSE_BLOCK_BYTES
#define PAGE ((size_t)4096)
#define SOON_NS UINT64_C(50000000)

int __real_madvise(void *address, size_t bytes, int advice);
int __wrap_madvise(void *address, size_t bytes, int advice);

static char *memory;
static _Atomic bool is_under_way, has_ended;

#define FAILURES 2u
#define FAILURE_NS UINT64_C(5000000)

static char *failing;
static uint64_t failed_ns[FAILURES]; /* when each was asked for */
static _Atomic uint32_t failures;

static int fail_slowly(void) {
	uint32_t number = atomic_load(&failures);
	if (number < FAILURES) failed_ns[number] = os_now_ns();
	os_thread_sleep(FAILURE_NS);
	atomic_store(&failures, number + 1);
	errno = ENOMEM;
	return -1;
}

/* Of the blocks; what is asked of anything else, to learn whether the advice is known, is the kernel's
 * affair. */
int __wrap_madvise(void *address, size_t bytes, int advice) {
	if (advice == MADV_COLLAPSE && failing != NULL && bytes == BLOCK) return fail_slowly();
	if (advice != MADV_COLLAPSE || address != memory || bytes != BLOCK)
		return __real_madvise(address, bytes, advice);
	atomic_store(&is_under_way, true);
	os_thread_sleep(SOON_NS);
	for (size_t at = 0; at < BLOCK; at += PAGE) ((volatile char *)memory)[at] += 0;
	atomic_store(&has_ended, true);
	return 0;
}

static void what_goes_back_meanwhile_stays_away(void **state) {
	const snug_os *os = snug_os_linux();
	struct collapse *collapse;
	unsigned char resident[2];
	(void)state;
	memory = os->reserve(os->context, BLOCK, BLOCK);
	assert_non_null(memory);
	memset(memory, 1, BLOCK);
	const struct os_range range = {.base = memory, .bytes = BLOCK};
	assert_int_equal(collapse_start(&range, 1, &collapse), SNUG_OK);
	uint64_t until_ns = os_deadline_ns(100 * SOON_NS);
	while (!atomic_load(&is_under_way) && os_remaining_ns(until_ns) > 0) os_thread_sleep(1000000);
	if (!atomic_load(&is_under_way)) { /* a kernel without it */
		collapse_stop(collapse);
		os->release(os->context, memory, BLOCK);
		skip();
	}
	assert_true(os->decommit(os->context, memory + PAGE, PAGE));
	assert_true(atomic_load(&has_ended));
	assert_int_equal(mincore(memory, 2 * PAGE, resident), 0);
	assert_true(resident[0] & 1);
	assert_false(resident[1] & 1);
	assert_int_equal(memory[PAGE], 0);
	collapse_stop(collapse);
	os->release(os->context, memory, BLOCK);
}

static void what_fails_slowly_is_asked_seldom(void **state) {
	const snug_os *os = snug_os_linux();
	struct collapse *collapse;
	(void)state;
	failing = os->reserve(os->context, FAILURES * BLOCK, BLOCK);
	assert_non_null(failing);
	memset(failing, 1, FAILURES * BLOCK);
	const struct os_range range = {.base = failing, .bytes = FAILURES * BLOCK};
	assert_int_equal(collapse_start(&range, 1, &collapse), SNUG_OK);
	uint64_t until_ns = os_deadline_ns(1000 * SOON_NS);
	while (atomic_load(&failures) < FAILURES && os_remaining_ns(until_ns) > 0)
		os_thread_sleep(1000000);
	collapse_stop(collapse);
	os->release(os->context, failing, FAILURES * BLOCK);
	failing = NULL;
	if (atomic_load(&failures) == 0) skip(); /* a kernel without it */
	assert_true(atomic_load(&failures) >= FAILURES);
	assert_true(failed_ns[1] - failed_ns[0] >= 100 * FAILURE_NS);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fails_slowly_is_asked_seldom),
		cmocka_unit_test(what_goes_back_meanwhile_stays_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
