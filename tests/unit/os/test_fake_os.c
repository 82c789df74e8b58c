/* test_fake_os.c: the fake operating system refuses when told to, counts right, and finds each
 * mistake. */
#include "unit/cmocka_all.h"

#include "os/fake.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE FAKE_OS_PAGE_BYTES

static struct fake_os fake;

static int begin(void **state) {
	(void)state;
	fake_os_init(&fake);
	return 0;
}

static int end(void **state) {
	(void)state;
	fake_os_deinit(&fake);
	return fake.reserved_bytes != 0 || fake.committed_bytes != 0;
}

static char *reserve(size_t pages) {
	char *address = fake.os.reserve(fake.os.context, pages * PAGE, PAGE);
	assert_non_null(address);
	return address;
}

static bool commit(char *address, size_t pages) {
	return fake.os.commit(fake.os.context, address, pages * PAGE);
}

static bool decommit(char *address, size_t pages) {
	return fake.os.decommit(fake.os.context, address, pages * PAGE);
}

static void follows_what_is_committed(void **state) {
	(void)state;
	char *address = reserve(100);
	assert_int_equal(fake.reserved_bytes, 100 * PAGE);
	assert_true(commit(address + 10 * PAGE, 60));
	address[10 * PAGE] = 1;
	address[70 * PAGE - 1] = 1;
	assert_int_equal(fake.committed_bytes, 60 * PAGE);
	assert_true(decommit(address + 20 * PAGE, 30));
	assert_int_equal(fake.committed_bytes, 30 * PAGE);
	assert_int_equal(address[10 * PAGE], 1);
	assert_true(commit(address + 20 * PAGE, 1));
	assert_int_equal(address[20 * PAGE], 0);
	assert_int_equal(fake.peak_committed_bytes, 60 * PAGE);
	fake.os.release(fake.os.context, address, 100 * PAGE);
	assert_int_equal(fake.reserved_bytes, 0);
	assert_int_equal(fake.committed_bytes, 0);
	assert_int_equal(fake.mistakes, 0);
	assert_int_equal(fake.reserve.calls + fake.release.calls, 2);
	assert_int_equal(fake.commit.calls, 2);
	assert_int_equal(fake.decommit.calls, 1);
}

static void refuses_one_call_or_all_later_ones(void **state) {
	(void)state;
	char *address = reserve(8);
	fake.commit.fail_at = 2;
	assert_true(commit(address, 1));
	assert_false(commit(address + PAGE, 1));
	assert_true(commit(address + PAGE, 1));
	fake.commit.fail_at = 4;
	fake.commit.fail_onwards = true;
	assert_false(commit(address + 2 * PAGE, 1));
	assert_false(commit(address + 2 * PAGE, 1));
	assert_int_equal(fake.commit.calls, 5);
	assert_int_equal(fake.commit.refused, 3);
	assert_int_equal(fake.committed_bytes, 2 * PAGE);

	fake.reserve.fail_at = fake.reserve.calls + 1;
	assert_null(fake.os.reserve(fake.os.context, PAGE, PAGE));
	fake.decommit.fail_at = 1;
	address[0] = 9;
	assert_false(decommit(address, 1));
	assert_int_equal(address[0], 9);
	fake.populate.fail_at = 1;
	assert_false(fake.os.populate(fake.os.context, address, PAGE));
	assert_true(fake.os.populate(fake.os.context, address, PAGE));
	assert_int_equal(fake.mistakes, 0);
}

static void expect_mistake(uint64_t count, bool answer, bool expected) {
	assert_int_equal(answer, expected);
	assert_int_equal(fake.mistakes, count);
	assert_non_null(fake.first_mistake);
}

static void finds_mistakes(void **state) {
	(void)state;
	char *address = reserve(8);
	assert_true(commit(address, 4));
	expect_mistake(1, commit(address + 3 * PAGE, 2), true); /* answered as an OS would, and noted */
	assert_int_equal(fake.committed_bytes, 5 * PAGE);
	expect_mistake(2, decommit(address + 4 * PAGE, 2), true);
	assert_int_equal(fake.committed_bytes, 4 * PAGE);
	expect_mistake(3, commit(address + 7 * PAGE, 2), false); /* beyond the end */
	expect_mistake(4, commit(address + 1, 1), false);        /* not a page */
	expect_mistake(5, commit(address, 0), false);
	expect_mistake(6, fake.os.populate(fake.os.context, address + 4 * PAGE, PAGE), false);
	fake.os.release(fake.os.context, address, 4 * PAGE);
	expect_mistake(7, true, true);
	fake.os.advise_huge(fake.os.context, address - PAGE, PAGE);
	expect_mistake(8, true, true);
	assert_int_equal(fake.reserved_bytes, 8 * PAGE);
}

/* Touches the byte in a child; true if that ended it. */
static bool touching_ends_it(volatile char *byte) {
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = {0, 0};
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		*byte = 1;
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void uncommitted_memory_cannot_be_touched(void **state) {
	(void)state;
	char *address = reserve(4);
	assert_true(touching_ends_it(address));
	assert_true(commit(address + PAGE, 2));
	assert_false(touching_ends_it(address + PAGE));
	assert_true(touching_ends_it(address + PAGE - 1));
	assert_true(touching_ends_it(address + 3 * PAGE));
	assert_true(decommit(address + PAGE, 1));
	assert_true(touching_ends_it(address + PAGE));
	assert_false(touching_ends_it(address + 2 * PAGE));
}

static void reservations_are_kept_apart(void **state) {
	(void)state;
	char *addresses[FAKE_OS_RESERVATIONS_MAX];
	for (size_t index = 0; index < FAKE_OS_RESERVATIONS_MAX; index++) {
		addresses[index] = reserve(2);
		assert_true(commit(addresses[index], 1));
	}
	assert_int_equal(fake.committed_bytes, FAKE_OS_RESERVATIONS_MAX * PAGE);
	assert_null(fake.os.reserve(fake.os.context, PAGE, PAGE));
	assert_int_equal(fake.mistakes, 1);
	fake.os.release(fake.os.context, addresses[7], 2 * PAGE);
	assert_non_null(fake.os.reserve(fake.os.context, PAGE, (size_t)1 << 21));
	assert_int_equal(fake.mistakes, 1);
}

static void clock_is_the_tests(void **state) {
	(void)state;
	fake.time_ns = 500;
	fake.advance_ns = 10;
	assert_int_equal(fake.os.now_ns(fake.os.context), 500);
	assert_int_equal(fake.os.now_ns(fake.os.context), 510);
	fake.advance_ns = 0;
	assert_int_equal(fake.os.now_ns(fake.os.context), 520);
	assert_int_equal(fake.os.now_ns(fake.os.context), 520);
	assert_int_equal(fake.clock.calls, 4);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(follows_what_is_committed, begin, end),
		cmocka_unit_test_setup_teardown(refuses_one_call_or_all_later_ones, begin, end),
		cmocka_unit_test_setup_teardown(finds_mistakes, begin, end),
		cmocka_unit_test_setup_teardown(uncommitted_memory_cannot_be_touched, begin, end),
		cmocka_unit_test_setup_teardown(reservations_are_kept_apart, begin, end),
		cmocka_unit_test_setup_teardown(clock_is_the_tests, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
